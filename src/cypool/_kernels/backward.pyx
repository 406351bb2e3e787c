"""Gradients of pools, and what is taken at their indices. Compiled once per instruction-set level.

A pool gathers cells into windows; its gradient spreads the windows' shares over the cells. Here it gathers as well, so
that threads own cells and need no atomics: the cells of an axis fall into as many phases as its stride has steps, and
cell ``q * stride + phase`` receives from the windows ``q + delta`` for a few constants `delta`. So a phase is a pool of
stride 1, and a row of it is one long loop. `gradient_plan.py` decides the tiles; each is a box of cells, done thus:

    stage     the windows that touch the box are copied into scratch, with nothing around them: shares divided
              (averages), by the cells that are there if some are not; indices checked and turned into codes, a byte
              each. Codes that are bytes already, beside shares that lie as they do, are read where they are instead;
    blocks    a few phases of neighbouring axes, whose cells lie under the same windows, are made at once, straight in
              the result, from the shares of all windows or of those whose code names the cell (claims.h);
    phases    or, where cells are not of the lanes' type, lanes are few, strides large, or sums of many windows, every
              combination of one phase per axis: sums one axis after the other, choices in one go;
    store     those along a row are interleaved and written.

Indices of windows of many cells are followed one by one instead (`_visit`), into sums in scratch. Both orders of
addition depend on the geometry alone. Offsets count elements, except where a name ends in `bytes`.
"""

from cython.parallel cimport prange
from libc.math cimport frexp
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cypool._kernels.shares cimport NONE, WRONG
from cypool._kernels.shares cimport along, among, in_range, interleave, load_codes, load_shares, name_codes, repeat
from cypool._kernels.shares cimport put, scatter, store_sums, take, weigh
from cypool._kernels.shares cimport interleave_f, load_codes_f, load_shares_f, repeat_f, scatter_f
from cypool._kernels.shares cimport put_f, store_sums_f, take_f, weigh_f
from cypool._kernels.memory cimport Memory, address, memory_of, table_of
from cypool._kernels.vectors cimport combine_f, cypool_sum
from cypool._kernels.walk cimport advance, ceil, floor
from cypool._types cimport BRAIN, F4, F8, HALF, I8
from cypool._types cimport bits_t, brain_t, code_t, half_t, real_t, share_t

cdef extern from "claims.h" nogil:
    const Py_ssize_t CYPOOL_NOT_NAMED

    # A window over cells made at once: where its share stands, which of its row it is, what it calls each cell.
    ctypedef struct cypool_claim:
        Py_ssize_t at, window
        Py_ssize_t codes[4]
    ctypedef struct cypool_claims:
        const cypool_claim* claims
        Py_ssize_t n, stride, lines
        const Py_ssize_t* starts
        Py_ssize_t windows, first, stop, low, high
        const void* begin
        const void* end
        double by, times
    ctypedef void (*cypool_claim_rows)(void* out, Py_ssize_t out_step, const void* src, const uint8_t* codes,
                                       Py_ssize_t src_step, Py_ssize_t rows, Py_ssize_t cells,
                                       const cypool_claims* claims) noexcept nogil
    void cypool_claim_floats(void*, Py_ssize_t, const void*, const uint8_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const cypool_claims*) noexcept
    void cypool_claim_doubles(void*, Py_ssize_t, const void*, const uint8_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                              const cypool_claims*) noexcept
    void cypool_share_floats(void*, Py_ssize_t, const void*, const uint8_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                             const cypool_claims*) noexcept
    void cypool_share_doubles(void*, Py_ssize_t, const void*, const uint8_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                              const cypool_claims*) noexcept

cdef enum:
    MAX_AXES = 64
    TERMS = 64          # windows that one call of `choose` or `combine` adds
    DIRECT = 16         # windows up to which a sum needs no ladder
    FEW = 4             # phases that are made all at once and interleaved
    AT_ONCE = 4         # cells that claim their shares together
    ALIGNMENT = 64      # bytes

cdef enum Mode:
    SUM, CHOOSE, SCATTER, TAKE, PUT

cdef enum Array:
    OUT, SOURCE, INDICES        # or, for sums with gaps, how many cells of each window are there

cdef enum Failure:
    NO_MEMORY = 1
    WRONG_INDEX = 2

cdef struct Steps:
    combine_f combine
    load_shares_f load_shares
    weigh_f weigh
    load_codes_f load_codes
    cypool_claim_rows claim
    interleave_f interleave
    repeat_f repeat
    scatter_f scatter
    store_sums_f store_sums
    take_f take
    put_f put

# How one pooled axis is walked; in the order of `gradient_plan.py`'s table.
cdef struct Axis:
    Py_ssize_t size, kernel, stride, dilation, low, high, count
    Py_ssize_t strides[3]       # of the result, the source, the indices
    Py_ssize_t code             # what a tap adds to a code
    Py_ssize_t base             # what a cell adds to a flat index
    Py_ssize_t first, last      # the windows q + first .. q + last reach cells of q
    Py_ssize_t whole_first, whole_last  # the windows whole_first .. whole_last - 1 lie inside
    Py_ssize_t tile             # how many q make a tile; cells for SCATTER, windows for TAKE and PUT
    Py_ssize_t bins             # as in job.pxd; of SCATTER, TAKE and PUT only

cdef struct Outer:
    Py_ssize_t size
    Py_ssize_t strides[3]

cdef struct Head:
    Py_ssize_t mode, type, lane_type, index_type, flat, counted, padded, gaps, least
    Py_ssize_t anywhere         # flat indices name any cell, not only those of their windows
    Py_ssize_t blocks           # cells under the same windows are made at once, straight in the result
    Py_ssize_t straight         # shares, and codes of a byte each, are read where they are
    Py_ssize_t line             # what they add to an offset, if that is all there is to it
    Py_ssize_t starts[3]
    Py_ssize_t planes, planes_tile, lanes, lanes_tile
    Py_ssize_t lane_strides[3]
    Py_ssize_t most, codes      # the largest code, and the first number that is no index
    Py_ssize_t box, rungs, row, parts, n_tiles
    Py_ssize_t clipped, n_axes, n_outer

cdef struct Job:
    Head head
    Steps steps
    double divisor              # 0: shares are not divided
    double by, times            # where they are read where they are: as in claims.h
    Py_ssize_t bytes, array_bytes, index_bytes  # of a lane, of a cell in an array, of an index
    const Axis* axes
    const Outer* outer

# The windows that reach the cells of a phase, as offsets in the box.
cdef struct Reach:
    Py_ssize_t number, offset, step
    Py_ssize_t tap, tap_step

# Where a tile lies, and the scratch of its thread.
cdef struct Tile:
    Py_ssize_t plane, planes, lane, lanes
    Py_ssize_t first[MAX_AXES]      # per axis: the first q,
    Py_ssize_t count[MAX_AXES]      # how many,
    Py_ssize_t room[MAX_AXES]       # how many windows stand in the box,
    Py_ssize_t pitch[MAX_AXES]      # and how far apart
    Py_ssize_t plane_pitch
    Py_ssize_t phase_first, phase_last  # of the first axis
    Py_ssize_t phase[MAX_AXES]
    Py_ssize_t alike                    # phases of the axis before the last that are the same as the one at hand
    Reach reach[MAX_AXES]
    Py_ssize_t* plane_to        # where each plane starts in the result,
    Py_ssize_t* plane_from      # and where the shares and codes of its windows do: from these on,
    const char* source
    const char* begin           # (the shares of all windows,
    const char* end             # from here to there)
    const uint8_t* names
    Py_ssize_t step[MAX_AXES]   # so far apart along an axis
    char* shares
    char* codes                 # bytes; where indices are followed, int64
    int32_t* away               # codes that are yet to be made bytes
    char* zeros
    char* buffers
    double* sums
    Py_ssize_t* places
    double* counts              # of the taps of windows along the last axis; with gaps also
    double* inside              # of those inside


def gradient(result not None, source not None, indices, bytes plan not None, double divisor, int threads, bint dry):
    """Fill `result` with what `source` and `indices` hand to its cells, as `plan` lays it out: below x, g and z.

    For a plan of TAKE, fill x with the cells of g at z; for PUT, write those of g into x at z, among zeros. Returns
    whether all indices named a cell that they may name; if not, x may hold anything. With `dry`, only looks at the
    indices. Raises MemoryError if there is none for scratch.
    """
    cdef Job job
    cdef Py_ssize_t chunk, chunks
    cdef int failed = 0
    cdef Memory x = memory_of(result)
    cdef Memory g = memory_of(source)
    cdef Memory z = memory_of(indices)
    _read(&job, table_of(plan), divisor)
    # More chunks than threads, so that a thread that is held up does not hold up the call.
    chunks = min(job.head.n_tiles, 1 if threads == 1 else 8 * threads)
    if chunks == 1:
        with nogil:
            failed = _tiles(&job, x, g, z, 0, job.head.n_tiles, dry)
    else:
        for chunk in prange(chunks, nogil=True, schedule="dynamic", num_threads=threads):
            failed |= _tiles(&job, x, g, z, job.head.n_tiles * chunk // chunks,
                             job.head.n_tiles * (chunk + 1) // chunks, dry)
    if failed & NO_MEMORY:
        raise MemoryError("no memory for the scratch of a gradient")
    return failed == 0


# --- tiles ------------------------------------------------------------------------------------------------------

cdef int _tiles(const Job* job, Memory x, Memory g, Memory z, Py_ssize_t first,
                Py_ssize_t last, bint dry) noexcept nogil:
    """Do the tiles `first`..`last` - 1; returns the `Failure`s."""
    cdef Tile tile
    cdef const Head* head = &job.head
    cdef Py_ssize_t number, begin
    cdef int failed = 0
    cdef char* scratch = _scratch(job, &tile)
    if scratch == NULL:
        return NO_MEMORY
    if head.straight and head.mode == CHOOSE:
        # Each call looks at its part of all codes, whatever windows they are of.
        begin = z.size * first // head.n_tiles
        number = z.size * last // head.n_tiles - begin
        if not in_range(<const uint8_t*>z.data + begin, number, <uint8_t>head.most):
            failed = WRONG_INDEX
    for number in range(first, last):
        _place(job, &tile, number)
        if head.mode >= SCATTER:
            failed |= _visit(job, &tile, x, g, z, dry)
            continue
        _point(job, &tile, g, z)
        if not head.straight:
            failed |= _stage(job, &tile, g, z, dry)
        if head.mode == CHOOSE and head.clipped and not failed and not _names_cells(job, &tile):
            failed = WRONG_INDEX
        if dry or failed:
            continue
        if head.blocks:
            _blocks(job, &tile, x)
        else:
            tile.alike = 1
            _phases(job, &tile, 0, tile.shares, x)
    free(scratch)
    return failed


cdef char* _scratch(const Job* job, Tile* tile) noexcept nogil:
    """Allocate the scratch of a thread and lay it out; return what to free in the end, or NULL."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = &job.axes[head.n_axes - 1]
    cdef bint chosen = head.mode == CHOOSE
    cdef Py_ssize_t row = axis.tile + axis.last - axis.first
    cdef Py_ssize_t planes = 2 * head.planes_tile
    # The shares, and unless blocks are made, zeros, sums on the way and as many phases as are interleaved.
    cdef Py_ssize_t boxes = 1 if head.blocks else 1 + head.n_axes + min(axis.stride, <Py_ssize_t>FEW) + head.rungs
    cdef Py_ssize_t bytes
    cdef char* scratch
    if head.mode >= SCATTER:
        bytes = head.box * sizeof(double) + head.row * (job.bytes + sizeof(int64_t) + sizeof(Py_ssize_t))
    else:
        bytes = ((planes + 2 * row) * sizeof(double) + boxes * head.box * job.bytes
                 + chosen * head.box * (1 + <Py_ssize_t>sizeof(int32_t)))
    scratch = <char*>malloc(bytes + ALIGNMENT)
    if scratch == NULL:
        return NULL
    tile.zeros = scratch + ALIGNMENT - <uintptr_t>scratch % ALIGNMENT
    if head.mode >= SCATTER:
        tile.sums = <double*>tile.zeros
        tile.codes = <char*>(tile.sums + head.box)
        tile.places = <Py_ssize_t*>(tile.codes + head.row * sizeof(int64_t))
        tile.shares = <char*>(tile.places + head.row)
        return scratch
    tile.shares = tile.zeros
    if not head.blocks:
        memset(tile.zeros, 0, head.box * job.bytes)
        tile.shares = tile.zeros + head.box * job.bytes
    tile.buffers = tile.shares + head.box * job.bytes
    tile.counts = <double*>(tile.zeros + boxes * head.box * job.bytes)
    tile.inside = tile.counts + row
    tile.plane_to = <Py_ssize_t*>(tile.inside + row)
    tile.plane_from = tile.plane_to + head.planes_tile
    tile.away = <int32_t*>(tile.plane_from + head.planes_tile)
    tile.codes = <char*>(tile.away + chosen * head.box)
    return scratch


cdef void _point(const Job* job, Tile* tile, Memory g, Memory z) noexcept nogil:
    """Say where the shares and codes of windows stand: in the arrays or in scratch."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t a, p
    cdef Py_ssize_t start = 0
    if head.straight:
        tile.source = tile.begin = g.data
        tile.end = tile.begin + g.size
        tile.names = <const uint8_t*>z.data + head.starts[<int>INDICES] - head.starts[<int>SOURCE]
    else:
        for a in range(head.n_axes):
            start -= (tile.first[a] + job.axes[a].first) * tile.pitch[a]
        tile.source = tile.shares + start * job.bytes
        tile.names = <const uint8_t*>tile.codes + start
    for a in range(head.n_axes):
        tile.step[a] = job.axes[a].strides[<int>SOURCE] if head.straight else tile.pitch[a]
    for p in range(tile.planes):
        tile.plane_to[p] = _plane(job, OUT, tile.plane + p, tile.lane)
        tile.plane_from[p] = p * tile.plane_pitch
        if head.straight:
            tile.plane_from[p] = _plane(job, SOURCE, tile.plane + p, tile.lane)


cdef void _place(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Find where tile `number` lies: lanes change fastest, then the axes from last to first, planes, parts."""
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t a, size
    cdef Py_ssize_t blocks = (head.lanes + head.lanes_tile - 1) // head.lanes_tile
    tile.lane = number % blocks * head.lanes_tile
    tile.lanes = min(head.lanes_tile, head.lanes - tile.lane)
    number //= blocks
    cdef Py_ssize_t pitch = tile.lanes
    for a in range(head.n_axes - 1, -1, -1):
        axis = &job.axes[a]
        size = _length(head, axis)
        blocks = (size + axis.tile - 1) // axis.tile
        tile.first[a] = number % blocks * axis.tile
        tile.count[a] = min(axis.tile, size - tile.first[a])
        tile.room[a] = tile.count[a] + axis.last - axis.first
        tile.pitch[a] = pitch
        pitch *= tile.count[a] if head.mode == SCATTER else tile.room[a]
        number //= blocks
    tile.plane_pitch = pitch
    blocks = (head.planes + head.planes_tile - 1) // head.planes_tile
    tile.plane = number % blocks * head.planes_tile
    tile.planes = min(head.planes_tile, head.planes - tile.plane)
    number //= blocks
    cdef Py_ssize_t phases = min(job.axes[0].stride, job.axes[0].size)
    tile.phase_first = phases * number // head.parts
    tile.phase_last = phases * (number + 1) // head.parts


cdef inline Py_ssize_t _length(const Head* head, const Axis* axis) noexcept nogil:
    """Return how long an axis is, in what tiles count."""
    if head.mode == SCATTER:
        return axis.size
    if head.mode >= TAKE:
        return axis.count
    return (axis.size + axis.stride - 1) // axis.stride


cdef Py_ssize_t _plane(const Job* job, Array array, Py_ssize_t plane, Py_ssize_t lane) noexcept nogil:
    """Return where a lane of a plane starts in one of the arrays."""
    cdef Py_ssize_t offset = job.head.starts[<int>array] + lane * job.head.lane_strides[<int>array]
    cdef Py_ssize_t i = job.head.n_outer - 1
    while plane:
        offset += plane % job.outer[i].size * job.outer[i].strides[<int>array]
        plane //= job.outer[i].size
        i -= 1
    return offset


# --- stage ------------------------------------------------------------------------------------------------------

cdef int _stage(const Job* job, Tile* tile, Memory g, Memory z, bint dry) noexcept nogil:
    """Copy the windows that touch the tile into the box; returns WRONG_INDEX if one of their indices is.

    With `dry`, only the indices are copied.
    """
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t last = head.n_axes - 1
    cdef Py_ssize_t lane_g = head.lane_strides[<int>SOURCE]
    cdef Py_ssize_t lane_z = head.lane_strides[<int>INDICES]
    cdef Py_ssize_t a, p, w, to, length, from_g, from_z, plane_g, plane_z, base, step_g, step_z
    cdef bint whole = True
    cdef double count, inner
    for a in range(head.n_axes):
        axis = &job.axes[a]
        low[a] = max(tile.first[a] + axis.first, 0)
        high[a] = min(tile.first[a] + axis.first + tile.room[a], axis.count)
        whole &= high[a] - low[a] == tile.room[a]
        index[a] = low[a]
        if low[a] >= high[a]:
            memset(tile.shares, 0, head.box * job.bytes)
            if head.mode == CHOOSE:
                memset(tile.codes, 0xff, head.box)      # none
            return 0
    if not whole:
        memset(tile.shares, 0, tile.planes * tile.plane_pitch * job.bytes)
        if head.mode == CHOOSE:
            memset(tile.away, 0xff, tile.planes * tile.plane_pitch * sizeof(int32_t))     # NONE
    axis = &job.axes[last]
    length = high[last] - low[last]
    step_g, step_z = axis.strides[<int>SOURCE], axis.strides[<int>INDICES]
    if head.counted:
        for w in range(length):
            tile.counts[w] = _count(axis, low[last] + w, head.padded)
            tile.inside[w] = _count(axis, low[last] + w, False)
    for p in range(tile.planes):
        plane_g = _plane(job, SOURCE, tile.plane + p, tile.lane) + low[last] * step_g
        plane_z = _plane(job, INDICES, tile.plane + p, tile.lane) + low[last] * step_z
        while True:
            from_g = plane_g
            from_z = plane_z
            to = p * tile.plane_pitch + (low[last] - tile.first[last] - axis.first) * tile.pitch[last]
            base = (low[last] * axis.stride - axis.low) * axis.base
            count = 1 if head.counted else job.divisor
            inner = 1
            for a in range(last):
                from_g += index[a] * job.axes[a].strides[<int>SOURCE]
                from_z += index[a] * job.axes[a].strides[<int>INDICES]
                to += (index[a] - tile.first[a] - job.axes[a].first) * tile.pitch[a]
                base += (index[a] * job.axes[a].stride - job.axes[a].low) * job.axes[a].base
                if head.counted:
                    count *= _count(&job.axes[a], index[a], head.padded)
                    inner *= _count(&job.axes[a], index[a], False)
            if not dry:
                job.steps.load_shares(
                    tile.shares + to * job.bytes,
                    address(g, from_g, from_g + (length - 1) * step_g + (tile.lanes - 1) * lane_g, job.array_bytes),
                    length, step_g, tile.lanes, lane_g, tile.counts if head.counted and not head.gaps else NULL,
                    0 if head.gaps else count)
            if head.gaps:
                job.steps.weigh(
                    tile.shares + to * job.bytes,
                    <const int64_t*>address(z, from_z, from_z + (length - 1) * step_z + (tile.lanes - 1) * lane_z,
                                            job.index_bytes),
                    length, step_z, tile.lanes, lane_z, tile.counts, count, tile.inside, inner, job.divisor, head.least)
            if head.mode == CHOOSE:
                job.steps.load_codes(
                    tile.away + to,
                    address(z, from_z, from_z + (length - 1) * step_z + (tile.lanes - 1) * lane_z, job.index_bytes),
                    length, step_z, tile.lanes, lane_z, base, axis.stride * axis.base, head.most)
            if not advance(index, low, high, last):
                break
    if head.mode == CHOOSE and not _name(job, tile):
        return WRONG_INDEX
    return 0


cdef double _count(const Axis* axis, Py_ssize_t window, bint padded) noexcept nogil:
    """Return how many taps of a window lie inside the array, or `padded`, in the padding as well."""
    cdef Py_ssize_t start = window * axis.stride - axis.low
    cdef Py_ssize_t low = -axis.low if padded else 0
    cdef Py_ssize_t end = axis.size + (axis.high if padded else 0)
    cdef Py_ssize_t first = ceil(low - start, axis.dilation) if start < low else 0
    return <double>(min(axis.kernel, ceil(end - start, axis.dilation)) - first)


cdef bint _name(const Job* job, Tile* tile) noexcept nogil:
    """Turn how far cells are from their windows' first ones, or numbers, into codes; False if one is no cell of its."""
    cdef Py_ssize_t taps[TERMS]
    cdef Py_ssize_t a, t
    cdef Py_ssize_t n = 0
    if job.head.flat:
        taps[0] = 0
        n = 1
        for a in range(job.head.n_axes - 1, -1, -1):
            for t in range(n, n * job.axes[a].kernel):
                taps[t] = taps[t - n] + job.axes[a].dilation * job.axes[a].base
            n *= job.axes[a].kernel
    return name_codes(<uint8_t*>tile.codes, tile.away, tile.planes * tile.plane_pitch, taps, n)


cdef inline const Py_ssize_t* _bin(const Axis* axis, Py_ssize_t window) noexcept nogil:
    """Return where the table has the first cell of a window and the one past its last."""
    return <const Py_ssize_t*>axis + axis.bins + 2 * window


cdef void _windows_over(const Axis* axis, Py_ssize_t* first, Py_ssize_t* last) noexcept nogil:
    """Turn the cells `first`..`last` - 1 into the windows that may have one of them."""
    cdef Py_ssize_t begin = first[0]
    cdef Py_ssize_t end = last[0]
    if axis.bins:
        first[0] = 0
        while first[0] < axis.count and _bin(axis, first[0])[1] <= begin:
            first[0] += 1
        last[0] = first[0]
        while last[0] < axis.count and _bin(axis, last[0])[0] < end:
            last[0] += 1
    else:
        first[0] = max(ceil(begin + axis.low - (axis.kernel - 1) * axis.dilation, axis.stride), 0)
        last[0] = min(floor(end - 1 + axis.low, axis.stride) + 1, axis.count)


cdef inline bint _find(const Job* job, const Py_ssize_t* o, Py_ssize_t index, Py_ssize_t* cell) noexcept nogil:
    """Find the cell that an index of window `o` names; False if it is not one that it may name."""
    cdef const Axis* axis
    cdef Py_ssize_t a, start, away
    if <size_t>index >= <size_t>job.head.codes:
        return False
    for a in range(job.head.n_axes):
        axis = &job.axes[a]
        start = _first_cell(axis, o[a])
        if job.head.flat:
            cell[a] = <Py_ssize_t>(<size_t>index // <size_t>axis.base % <size_t>axis.size)
            away = cell[a] - start
            if job.head.anywhere:
                continue
            if away < 0 or away % axis.dilation != 0 or away // axis.dilation >= axis.kernel:
                return False
        else:
            cell[a] = start + <Py_ssize_t>(<size_t>index // <size_t>axis.code % <size_t>axis.kernel) * axis.dilation
            if cell[a] < 0 or cell[a] >= axis.size:
                return False
        if axis.bins and cell[a] >= _bin(axis, o[a])[1]:
            return False
    return True


# --- blocks of cells --------------------------------------------------------------------------------------------

cdef void _blocks(const Job* job, Tile* tile, Memory x) noexcept nogil:
    """Make the cells of a tile of the shares that they get, or of those whose codes name them."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t zero[MAX_AXES]
    cdef Py_ssize_t phases[MAX_AXES]
    cdef Py_ssize_t a
    cdef Py_ssize_t walked = head.n_axes - (head.lanes == 1)    # axes that are not along the rows
    cdef Py_ssize_t inside = walked                             # the first of those whose phases are made at once
    cdef Py_ssize_t cells = job.axes[walked].stride if head.lanes == 1 else 1
    while inside > 0 and cells * min(job.axes[inside - 1].stride, job.axes[inside - 1].size) <= AT_ONCE:
        inside -= 1
        cells *= min(job.axes[inside].stride, job.axes[inside].size)
    for a in range(head.n_axes):
        zero[a] = tile.phase[a] = 0
        phases[a] = min(job.axes[a].stride, job.axes[a].size)
    while True:
        _runs_of_blocks(job, tile, walked, inside, x)
        if not advance(tile.phase, zero, phases, inside):
            return


cdef bint _names_cells(const Job* job, Tile* tile) noexcept nogil:
    """Whether the windows over a tile that hang over an edge name cells in the array."""
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t a, b, o, p, at, begin, end, length
    cdef Py_ssize_t last = head.n_axes - 1
    cdef uint64_t inside
    for a in range(head.n_axes):
        low[a] = max(tile.first[a] + job.axes[a].first, 0)
        high[a] = min(tile.first[a] + job.axes[a].first + tile.room[a], job.axes[a].count)
        if low[a] >= high[a]:
            return True
    for a in range(head.n_axes):
        axis = &job.axes[a]
        begin, end = low[a], high[a]
        o = begin
        while o < end:
            if axis.whole_first <= o < axis.whole_last:
                o = axis.whole_last
                continue
            inside = _inside(job, axis, o)
            low[a], high[a] = o, o + 1
            length = tile.lanes if head.lanes > 1 else high[last] - low[last]
            for b in range(head.n_axes):
                index[b] = low[b]
            while True:
                at = 0
                for b in range(head.n_axes):
                    at += index[b] * tile.step[b]
                for p in range(tile.planes):
                    if not among(tile.names + tile.plane_from[p] + at, length, inside):
                        return False
                if not advance(index, low, high, head.n_axes - (head.lanes == 1)):
                    break
            o += 1
        low[a], high[a] = begin, end
    return True


cdef uint64_t _inside(const Job* job, const Axis* axis, Py_ssize_t window) noexcept nogil:
    """Return the set of codes, as bits, whose tap along this axis is in the array."""
    cdef uint64_t inside = 0
    cdef Py_ssize_t a, code, cell
    cdef Py_ssize_t codes = 1
    for a in range(job.head.n_axes):
        codes *= job.axes[a].kernel
    for code in range(codes):
        cell = window * axis.stride - axis.low + code // axis.code % axis.kernel * axis.dilation
        if 0 <= cell < axis.size:
            inside |= <uint64_t>1 << code
    return inside


cdef void _runs_of_blocks(const Job* job, Tile* tile, Py_ssize_t walked, Py_ssize_t inside,
                          Memory x) noexcept nogil:
    """Go through the blocks of cells that are made at once, in runs along an axis that lie under the same windows."""
    cdef const Axis* axis
    cdef Py_ssize_t zero[MAX_AXES]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t run = walked - 1
    cdef Py_ssize_t a, rows, whole
    for a in range(walked):
        axis = &job.axes[a]
        zero[a] = index[a] = 0
        high[a] = tile.count[a]
        if a < inside:
            # The last q of an axis may have no cell of this phase.
            high[a] = min(high[a], ceil(axis.size - tile.phase[a], axis.stride) - tile.first[a])
        if high[a] <= 0:
            return
    if run < 0:
        _run_of_blocks(job, tile, index, 1, walked, inside, x)
        return
    axis = &job.axes[run]
    # From the first q whose windows are all there to the one after the last, all are alike.
    whole = axis.count - axis.last
    if run >= inside:
        whole = min(whole, axis.size // min(axis.stride, axis.size))
    whole = min(whole - tile.first[run], high[run])
    while True:
        while index[run] < high[run]:
            rows = 1
            if index[run] + tile.first[run] + axis.first >= 0 and index[run] < whole:
                rows = whole - index[run]
            _run_of_blocks(job, tile, index, rows, walked, inside, x)
            index[run] += rows
        index[run] = 0
        if not advance(index, zero, high, run):
            return


cdef void _run_of_blocks(const Job* job, Tile* tile, const Py_ssize_t* index, Py_ssize_t rows, Py_ssize_t walked,
                         Py_ssize_t inside, Memory x) noexcept nogil:
    """Make `rows` blocks of cells that follow each other and lie under the same windows, in each of the planes."""
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef cypool_claim claims[AT_ONCE * TERMS + 1]
    cdef cypool_claims all
    cdef Py_ssize_t starts[AT_ONCE]
    cdef Py_ssize_t phases[AT_ONCE][MAX_AXES]   # of each cell of a block
    cdef Py_ssize_t delta[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t to = 0
    cdef Py_ssize_t of = 0
    cdef Py_ssize_t out_step = 0
    cdef Py_ssize_t src_step = 0
    cdef Py_ssize_t cells = tile.lanes
    cdef Py_ssize_t a, c, n, p, rest, line, most
    all.stride = all.lines = 1
    all.windows = 0
    for a in range(walked):
        axis = &job.axes[a]
        p = tile.first[a] + index[a]
        to += (p * axis.stride + (tile.phase[a] if a < inside else 0)) * axis.strides[<int>OUT]
        of += p * tile.step[a]
        # Windows that are not there are left out.
        delta[a] = low[a] = max(axis.first, -p)
        high[a] = min(axis.last, axis.count - 1 - p) + 1
        if a >= inside:
            all.lines *= min(axis.stride, axis.size - p * axis.stride)
    if walked < head.n_axes:
        axis = &job.axes[walked]
        to += tile.first[walked] * axis.stride
        of += tile.first[walked]
        delta[walked], low[walked], high[walked] = axis.first, axis.first, axis.last + 1
        all.stride = axis.stride
        # In scratch there is something at the place of windows that are not there.
        all.windows = axis.count if head.straight else 0
        cells = min(tile.count[walked] * axis.stride, axis.size - tile.first[walked] * axis.stride)
    for line in range(all.lines):
        starts[line] = 0
        rest = line
        for a in range(walked - 1, -1, -1):
            axis = &job.axes[a]
            p = tile.phase[a]
            if a >= inside:
                n = min(axis.stride, axis.size - (tile.first[a] + index[a]) * axis.stride)
                p = rest % n
                rest //= n
                starts[line] += p * axis.strides[<int>OUT]
            for c in range(all.stride):
                phases[line * all.stride + c][a] = p
        if walked < head.n_axes:
            for c in range(all.stride):
                phases[line * all.stride + c][walked] = c
    n = 0
    all.low = all.high = all.first = most = 0
    for a in range(head.n_axes):
        if low[a] >= high[a]:
            break
    else:
        while True:
            if _named(job, &claims[n], delta, phases, all.lines * all.stride):
                claims[n].at = claims[n].window = 0
                for a in range(head.n_axes):
                    claims[n].at += delta[a] * tile.step[a]
                if walked < head.n_axes:
                    claims[n].window = tile.first[walked] + delta[walked]
                all.low = min(all.low, claims[n].at)
                all.high = max(all.high, claims[n].at)
                all.first = max(all.first, -claims[n].window)
                most = max(most, claims[n].window)
                n += 1
            if not advance(delta, low, high, head.n_axes):
                break
    all.claims, all.n, all.starts = claims, n, starts
    all.stop = all.windows - most
    all.begin, all.end = tile.begin, tile.end
    all.by, all.times = job.by, job.times
    if walked > 0:
        axis = &job.axes[walked - 1]
        out_step, src_step = axis.stride * axis.strides[<int>OUT], tile.step[walked - 1]
    for p in range(tile.planes):
        rest = tile.plane_to[p] + to
        # The checked build looks at the last cell of each line of the first row, and of the last row.
        for c in range(all.lines):
            address(x, rest + starts[c], rest + starts[c] + cells - 1, job.array_bytes)
            address(x, rest + starts[c], rest + starts[c] + (rows - 1) * out_step + cells - 1, job.array_bytes)
        job.steps.claim(address(x, rest, rest, job.array_bytes), out_step,
                        tile.source + (tile.plane_from[p] + of) * job.bytes, tile.names + tile.plane_from[p] + of,
                        src_step, rows, cells, &all)


cdef inline bint _named(const Job* job, cypool_claim* claim, const Py_ssize_t* delta,
                        Py_ssize_t[MAX_AXES]* phases, Py_ssize_t cells) noexcept nogil:
    """Find what the window q + delta calls each of the cells q * stride + phase; False if it reaches none."""
    cdef Py_ssize_t a, c, code
    cdef bint named = False
    for c in range(cells):
        claim.codes[c] = 0
        for a in range(job.head.n_axes):
            code = _code(&job.axes[a], phases[c][a], delta[a])
            claim.codes[c] = CYPOOL_NOT_NAMED if code == CYPOOL_NOT_NAMED else claim.codes[c] + code
            if code == CYPOOL_NOT_NAMED:
                break
        named |= claim.codes[c] != CYPOOL_NOT_NAMED
    return named


cdef inline Py_ssize_t _code(const Axis* axis, Py_ssize_t phase, Py_ssize_t delta) noexcept nogil:
    """Return what window q + delta adds to the code of cell q * stride + phase, or that it does not reach it."""
    cdef Py_ssize_t away = phase + axis.low - delta * axis.stride
    if away < 0 or away % axis.dilation != 0 or away // axis.dilation >= axis.kernel:
        return CYPOOL_NOT_NAMED
    return away // axis.dilation * axis.code


# --- phases -----------------------------------------------------------------------------------------------------

cdef Reach _reach(const Axis* axis, Py_ssize_t phase, Py_ssize_t pitch) noexcept nogil:
    """Find the windows q + delta that have a tap at cell q * stride + phase."""
    cdef Reach reach
    cdef Py_ssize_t s = axis.stride
    cdef Py_ssize_t d = axis.dilation
    cdef Py_ssize_t step = 1
    cdef Py_ssize_t delta = max(axis.first, ceil(phase + axis.low - (axis.kernel - 1) * d, s))
    cdef Py_ssize_t end = min(axis.last, (phase + axis.low) // s)
    while delta <= end and (phase + axis.low - delta * s) % d != 0:
        delta += 1
    if delta > end:
        reach.number = reach.offset = reach.step = reach.tap = reach.tap_step = 0
        return reach
    # Taps follow each other at the least common multiple of stride and dilation.
    while delta + step <= end and step * s % d != 0:
        step += 1
    reach.number = (end - delta) // step + 1
    reach.offset = (delta - axis.first) * pitch
    reach.step = step * pitch
    reach.tap = (phase + axis.low - delta * s) // d * axis.code
    reach.tap_step = -(step * s // d * axis.code) if reach.number > 1 else 0
    return reach


cdef void _phases(const Job* job, Tile* tile, Py_ssize_t a, char* src, Memory x) noexcept nogil:
    """Make all phases of axis `a` and those after it, for the phases at hand of those before; `src`: their sums."""
    cdef const Axis* axis = &job.axes[a]
    cdef Py_ssize_t first = tile.phase_first if a == 0 else 0
    cdef Py_ssize_t last = tile.phase_last if a == 0 else min(axis.stride, axis.size)
    cdef Py_ssize_t p
    if a == job.head.n_axes - 1:
        if _spreads(job):
            _spread(job, tile, src, x)
        elif axis.stride <= FEW:
            _interleaved(job, tile, src, x)
        else:
            _repeated(job, tile, src, x, first, last)
        return
    p = first
    while p < last:
        tile.phase[a] = p
        tile.reach[a] = _reach(axis, p, tile.pitch[a])
        if a == job.head.n_axes - 2 and not _spreads(job):
            tile.alike = _after(job, tile, a, p, last) - p
        if job.head.mode == SUM:
            _phases(job, tile, a + 1, _summed(job, tile, a, src, tile.buffers + a * job.head.box * job.bytes), x)
        else:
            _phases(job, tile, a + 1, src, x)
        p += tile.alike if a == job.head.n_axes - 2 else 1


cdef inline Py_ssize_t _after(const Job* job, const Tile* tile, Py_ssize_t a, Py_ssize_t phase,
                              Py_ssize_t last) noexcept nogil:
    """Return the first phase of axis `a` behind `phase`, which is at hand, whose cells do not receive the same."""
    cdef Reach other
    cdef const Reach* reach = &tile.reach[a]
    cdef Py_ssize_t most = 1 if job.head.mode == SUM else 0
    phase += 1
    while reach.number <= most and phase < last:
        other = _reach(&job.axes[a], phase, tile.pitch[a])
        if other.number != reach.number or other.offset != reach.offset:
            break
        phase += 1
    return phase


cdef inline bint _spreads(const Job* job) noexcept nogil:
    """Whether rows of sums can be made straight in the result, of few phases and few windows over a cell."""
    cdef const Axis* axis = &job.axes[job.head.n_axes - 1]
    return (job.head.mode == SUM and job.head.type == job.head.lane_type and axis.stride <= FEW
            and job.head.lanes == 1 and axis.strides[<int>OUT] == 1 and axis.last - axis.first < DIRECT)


cdef void _spread(const Job* job, Tile* tile, char* src, Memory x) noexcept nogil:
    """Make the phases along the rows, for the phases at hand of the axes before, straight in the result."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_axes - 1
    cdef const Axis* axis = &job.axes[last]
    cdef cypool_claim claims[DIRECT]
    cdef cypool_claims all
    cdef Py_ssize_t zero[MAX_AXES]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t cells = min(tile.count[last] * axis.stride, axis.size - tile.first[last] * axis.stride)
    cdef Py_ssize_t rows = 1
    cdef Py_ssize_t run = last - 1      # the axis that rows of cells follow each other on
    cdef Py_ssize_t out_step = 0
    cdef Py_ssize_t pitch = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t delta, p, to, place
    all.n = 0
    for delta in range(axis.first, axis.last + 1):
        claims[all.n].at = (delta - axis.first) * tile.pitch[last]
        for p in range(axis.stride):
            claims[all.n].codes[p] = _code(axis, p, delta)
        all.n += 1
    all.claims, all.stride, all.lines, all.starts, all.windows = claims, axis.stride, 1, &start, 0
    all.by, all.times = 0, 1
    if not _first_row(job, tile, index, zero, high):
        return
    if run >= 0:
        out_step, pitch, rows = job.axes[run].stride * job.axes[run].strides[<int>OUT], tile.pitch[run], high[run]
    for p in range(tile.planes):
        while True:
            to = tile.plane_to[p] + tile.first[last] * axis.stride
            place = p * tile.plane_pitch
            _to_row(job, tile, index, &to, &place)
            # The checked build looks at the last cell of the last row as well.
            address(x, to, to + cells - 1, job.array_bytes)
            job.steps.claim(address(x, to, to + cells - 1 + (rows - 1) * out_step, job.array_bytes), out_step,
                            src + place * job.bytes, NULL, pitch, rows, cells, &all)
            if not advance(index, zero, high, run):
                break


cdef void _interleaved(const Job* job, Tile* tile, char* src, Memory x) noexcept nogil:
    """Make the few phases along the rows and write them together."""
    cdef const Axis* axis = &job.axes[job.head.n_axes - 1]
    cdef char* phases[FEW]
    cdef Py_ssize_t p
    for p in range(FEW):
        phases[p] = tile.zeros
    for p in range(min(axis.stride, axis.size)):
        phases[p] = _made(job, tile, p, src, p)
    _store(job, tile, phases, 0, 0, x)


cdef void _repeated(const Job* job, Tile* tile, char* src, Memory x, Py_ssize_t first,
                    Py_ssize_t last) noexcept nogil:
    """Make the phases along the rows one by one; those that are the same are written together."""
    cdef Py_ssize_t end
    cdef char* made
    while first < last:
        made = _made(job, tile, first, src, 0)
        end = _after(job, tile, job.head.n_axes - 1, first, last)
        _store(job, tile, &made, first, end, x)
        first = end


cdef char* _made(const Job* job, Tile* tile, Py_ssize_t phase, char* src, Py_ssize_t slot) noexcept nogil:
    """Make one phase along the rows; returns where it stands in scratch."""
    cdef Py_ssize_t a = job.head.n_axes - 1
    cdef char* out = tile.buffers + (a + slot) * job.head.box * job.bytes
    tile.reach[a] = _reach(&job.axes[a], phase, tile.pitch[a])
    if job.head.mode == SUM:
        return _summed(job, tile, a, src, out)
    return _chosen(job, tile, out)


cdef inline Py_ssize_t _run(const Job* job, const Tile* tile, Py_ssize_t done) noexcept nogil:
    """Return how far the box reaches once its first `done` axes hold cells instead of windows."""
    cdef Py_ssize_t a
    cdef Py_ssize_t length = (tile.planes - 1) * tile.plane_pitch + tile.lanes
    for a in range(job.head.n_axes):
        length += ((tile.count[a] if a < done else tile.room[a]) - 1) * tile.pitch[a]
    return length


cdef char* _summed(const Job* job, Tile* tile, Py_ssize_t a, char* src, char* out) noexcept nogil:
    """Add up the windows that reach the cells along one axis.

    Many are added as a ladder: sums of 4, 16, 64, ... windows, each of four of the last, and a few of each at the end.
    """
    cdef const Reach* reach = &tile.reach[a]
    cdef Py_ssize_t taps[TERMS]
    cdef Py_ssize_t t, size, offset, rung
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t left = reach.number
    cdef Py_ssize_t length = _run(job, tile, a)
    cdef Py_ssize_t bytes = job.bytes
    cdef Py_ssize_t last = job.head.n_axes - 1
    cdef char* rungs = tile.buffers + (last + min(job.axes[last].stride, <Py_ssize_t>FEW)) * job.head.box * bytes
    cdef char* below = src
    if reach.number == 0:
        return tile.zeros
    if reach.number == 1:
        return src + reach.offset * bytes
    if reach.number <= DIRECT:
        for t in range(reach.number):
            taps[t] = reach.offset + t * reach.step
        job.steps.combine(out, 0, src, 0, taps, taps, reach.number, 1, _run(job, tile, a + 1), 0, 0, False, NULL)
        return out
    size, offset, rung = 1, reach.offset, 0
    while True:
        # The last rung takes all that is left, at most three; the others what is no multiple of four.
        for _ in range(left % 4 if left >= 4 else left):
            taps[n] = (below - src) // bytes + offset
            offset += size * reach.step
            n += 1
        left //= 4
        if left == 0:
            break
        length -= 3 * size * reach.step
        for t in range(4):
            taps[TERMS - 4 + t] = t * size * reach.step
        job.steps.combine(rungs + rung * job.head.box * bytes, 0, below, 0, &taps[TERMS - 4], taps, 4, 1, length, 0, 0,
                          False, NULL)
        below = rungs + rung * job.head.box * bytes
        rung += 1
        size *= 4
    job.steps.combine(out, 0, src, 0, taps, taps, n, 1, _run(job, tile, a + 1), 0, 0, False, NULL)
    return out


cdef char* _chosen(const Job* job, Tile* tile, char* out) noexcept nogil:
    """Add up the shares of the windows that chose the cells of the phases at hand."""
    cdef cypool_claim claims[TERMS]
    cdef cypool_claims all
    cdef const Reach* reach
    cdef Py_ssize_t a, i, t
    cdef Py_ssize_t n = 1
    claims[0].at = claims[0].codes[0] = claims[0].window = 0
    for a in range(job.head.n_axes):
        reach = &tile.reach[a]
        # From the end, so that a window is read before its place is taken.
        for i in range(n - 1, -1, -1):
            for t in range(reach.number - 1, -1, -1):
                claims[i * reach.number + t].at = claims[i].at + reach.offset + t * reach.step
                claims[i * reach.number + t].codes[0] = claims[i].codes[0] + reach.tap + t * reach.tap_step
        n *= reach.number
    if n == 0:
        return tile.zeros
    i = 0
    all.claims, all.n, all.lines, all.stride, all.starts, all.windows = claims, n, 1, 1, &i, 0
    all.by, all.times = 0, 1
    job.steps.claim(out, 0, tile.shares, <const uint8_t*>tile.codes, 0, 1, _run(job, tile, job.head.n_axes), &all)
    return out


# --- store ------------------------------------------------------------------------------------------------------

cdef bint _first_row(const Job* job, const Tile* tile, Py_ssize_t* index, Py_ssize_t* zero,
                     Py_ssize_t* high) noexcept nogil:
    """Start at the first row of cells of the phases at hand, of `high` on each axis; False if there is none."""
    cdef Py_ssize_t a
    for a in range(job.head.n_axes - 1):
        zero[a] = index[a] = 0
        # The last q of an axis may have no cell of this phase.
        high[a] = min(tile.count[a], ceil(job.axes[a].size - tile.phase[a], job.axes[a].stride) - tile.first[a])
        if high[a] <= 0:
            return False
    return True


cdef inline void _to_row(const Job* job, const Tile* tile, const Py_ssize_t* index, Py_ssize_t* to,
                         Py_ssize_t* place) noexcept nogil:
    """Move from where a plane starts to where a row does, in the result and in the box."""
    cdef Py_ssize_t a
    for a in range(job.head.n_axes - 1):
        to[0] += ((tile.first[a] + index[a]) * job.axes[a].stride + tile.phase[a]) * job.axes[a].strides[<int>OUT]
        place[0] += index[a] * tile.pitch[a]


cdef void _store(const Job* job, Tile* tile, char** phases, Py_ssize_t first, Py_ssize_t end,
                 Memory x) noexcept nogil:
    """Write rows: the phases interleaved, or, with an `end`, one of them into the phases `first`..`end` - 1.

    Those that are the same follow each other; once the first has all its cells, it is copied.
    """
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_axes - 1
    cdef const Axis* axis = &job.axes[last]
    cdef const Axis* before
    cdef Py_ssize_t zero[MAX_AXES]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef const char* src[FEW]
    cdef Py_ssize_t step = axis.strides[<int>OUT]
    cdef Py_ssize_t lane_step = head.lane_strides[<int>OUT]
    cdef Py_ssize_t cells = min(tile.count[last] * axis.stride, axis.size - tile.first[last] * axis.stride)
    cdef Py_ssize_t bytes = cells * tile.lanes * job.array_bytes
    # Rows of some phases only have gaps.
    cdef bint whole = end == 0 or (first == 0 and end >= min(axis.stride, cells))
    cdef Py_ssize_t p, q, r, to, place, plane
    cdef Py_ssize_t rows = 1
    cdef Py_ssize_t next_row = 0
    cdef char* row
    cdef char* copied = NULL
    if not _first_row(job, tile, index, zero, high):
        return
    if end and first >= cells:
        return
    whole &= (tile.lanes == 1 or lane_step == 1) and (cells == 1 or step == tile.lanes)
    for p in range(tile.planes):
        plane = _plane(job, OUT, tile.plane + p, tile.lane) + tile.first[last] * axis.stride * step
        while True:
            to = plane
            place = p * tile.plane_pitch
            _to_row(job, tile, index, &to, &place)
            if last > 0:
                before = &job.axes[last - 1]
                next_row = before.strides[<int>OUT]
                # The last q of an axis may not have all of the phases.
                rows = min(tile.alike, before.size - (tile.first[last - 1] + index[last - 1]) * before.stride
                           - tile.phase[last - 1])
            for r in range(rows):
                row = address(x, to, to + (cells - 1) * step + (tile.lanes - 1) * lane_step, job.array_bytes)
                to += next_row
                if whole and r > 0:
                    memcpy(row, copied, bytes)
                elif end:
                    job.steps.repeat(row, step, lane_step, phases[0] + place * job.bytes, first, end, axis.stride,
                                     cells, tile.lanes)
                else:
                    for q in range(FEW):
                        src[q] = phases[q] + place * job.bytes
                    job.steps.interleave(row, step, lane_step, <const void**>src, axis.stride, cells, tile.lanes)
                copied = row
            if not advance(index, zero, high, last):
                break


# --- cells one by one -------------------------------------------------------------------------------------------

cdef int _visit(const Job* job, Tile* tile, Memory x, Memory g, Memory z,
                bint dry) noexcept nogil:
    """Follow the indices of the windows of a tile, or (SCATTER) of those that touch it, in row-major order."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t last = head.n_axes - 1
    cdef const Axis* axis
    cdef Py_ssize_t a, p, n
    cdef Py_ssize_t most = max(<Py_ssize_t>1, head.row // tile.lanes)
    cdef int failed = 0
    for a in range(head.n_axes):
        axis = &job.axes[a]
        low[a], high[a] = tile.first[a], tile.first[a] + tile.count[a]
        if head.mode == SCATTER:
            _windows_over(axis, &low[a], &high[a])
        index[a] = low[a]
    for p in range(tile.planes):
        if head.mode == SCATTER:
            memset(tile.sums, 0, tile.plane_pitch * sizeof(double))
        if head.mode == PUT and not dry:
            _clear(job, tile, tile.plane + p, x)
        for a in range(head.n_axes):
            if low[a] >= high[a]:
                break
        else:
            while True:
                index[last] = low[last]
                while index[last] < high[last]:
                    n = min(most, high[last] - index[last])
                    failed |= _visit_row(job, tile, tile.plane + p, index, n, x, g, z, dry)
                    index[last] += n
                if not advance(index, low, high, last):
                    break
        if head.mode == SCATTER and not dry:
            _store_sums(job, tile, tile.plane + p, x)
    return failed


cdef void _clear(const Job* job, const Tile* tile, Py_ssize_t plane, Memory x) noexcept nogil:
    """Make the cells of a tile zero, just before some are written: on each axis those from its first window on."""
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t start = _plane(job, OUT, plane, tile.lane)
    cdef Py_ssize_t step = tile.lanes if head.lane_strides[<int>OUT] == 1 else 1
    cdef Py_ssize_t n = 1
    cdef Py_ssize_t a, at
    if head.line:
        _clear_row(job, tile, start, head.codes, head.line, x)
        return
    for a in range(head.n_axes):
        axis = &job.axes[a]
        low[a] = _first_cell(axis, tile.first[a]) if tile.first[a] > 0 else 0
        high[a] = axis.size
        if tile.first[a] + tile.count[a] < axis.count:
            high[a] = _first_cell(axis, tile.first[a] + tile.count[a])
        index[a] = low[a]
    # Cells that follow each other in memory, across axes: the longer the run, the faster.
    a = 0
    while a < head.n_axes:
        if job.axes[a].strides[<int>OUT] == n * step and high[a] - low[a] > 1:
            n *= high[a] - low[a]
            high[a] = low[a] + 1
            a = 0
        else:
            a += 1
    while True:
        at = start
        for a in range(head.n_axes):
            at += index[a] * job.axes[a].strides[<int>OUT]
        _clear_row(job, tile, at, n, step, x)
        if not advance(index, low, high, head.n_axes):
            return


cdef inline Py_ssize_t _first_cell(const Axis* axis, Py_ssize_t window) noexcept nogil:
    """Return the cell under a window's first tap; in the padding, if it is negative."""
    return _bin(axis, window)[0] if axis.bins else window * axis.stride - axis.low


cdef void _clear_row(const Job* job, const Tile* tile, Py_ssize_t at, Py_ssize_t n, Py_ssize_t step,
                     Memory x) noexcept nogil:
    """Make `n` cells zero, `step` apart, in all lanes."""
    cdef Py_ssize_t lanes = tile.lanes
    cdef Py_ssize_t lane_step = job.head.lane_strides[<int>OUT]
    cdef Py_ssize_t bytes = job.array_bytes
    cdef Py_ssize_t i, j
    cdef char* row = address(x, at, at + (n - 1) * step + (lanes - 1) * lane_step, bytes)
    if (lanes == 1 or lane_step == 1) and (n == 1 or step == lanes):
        memset(row, 0, n * lanes * bytes)
    elif step == 1:
        for j in range(lanes):
            memset(row + j * lane_step * bytes, 0, n * bytes)
    elif lane_step == 1:
        for i in range(n):
            memset(row + i * step * bytes, 0, lanes * bytes)
    else:
        for i in range(n):
            for j in range(lanes):
                memset(row + (i * step + j * lane_step) * bytes, 0, bytes)


cdef int _visit_row(const Job* job, Tile* tile, Py_ssize_t plane, const Py_ssize_t* index, Py_ssize_t n,
                    Memory x, Memory g, Memory z, bint dry) noexcept nogil:
    """Follow the indices of `n` windows along the last axis."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_axes - 1
    cdef const Axis* axis = &job.axes[last]
    cdef Array windows = OUT if head.mode == TAKE else SOURCE
    cdef Py_ssize_t step = axis.strides[<int>windows]
    cdef Py_ssize_t lane_step = head.lane_strides[<int>windows]
    cdef Py_ssize_t step_z = axis.strides[<int>INDICES]
    cdef Py_ssize_t lane_z = head.lane_strides[<int>INDICES]
    cdef Py_ssize_t at = _plane(job, windows, plane, tile.lane)
    cdef Py_ssize_t at_z = _plane(job, INDICES, plane, tile.lane)
    cdef Py_ssize_t cells = _plane(job, SOURCE if head.mode == TAKE else OUT, plane, tile.lane)
    cdef const Py_ssize_t* places = tile.places
    cdef Py_ssize_t start = 0
    cdef const char* codes
    cdef char* windows_at
    cdef Py_ssize_t a
    cdef int failed
    for a in range(head.n_axes):
        at += index[a] * job.axes[a].strides[<int>windows]
        at_z += index[a] * job.axes[a].strides[<int>INDICES]
    codes = address(z, at_z, at_z + (n - 1) * step_z + (tile.lanes - 1) * lane_z, job.index_bytes)
    if head.line == 1 and tile.lanes == 1 and step_z == 1 and head.index_type == I8 and head.mode != SCATTER:
        # They are places in the plane as they are.
        places = <const Py_ssize_t*>codes
        start = cells * job.array_bytes
        failed = 0 if in_range(<const uint64_t*>codes, n, <uint64_t>head.most) else WRONG_INDEX
    else:
        job.steps.load_codes(tile.codes, codes, n, step_z, tile.lanes, lane_z, 0, 0, head.most)
        failed = _locate(job, tile, index, n, cells)
    if dry or failed:
        return failed
    windows_at = address(x if head.mode == TAKE else g, at, at + (n - 1) * step + (tile.lanes - 1) * lane_step,
                         job.array_bytes)
    if head.mode == TAKE:
        job.steps.take(windows_at, step, lane_step, g.data + start, places, n, tile.lanes)
    elif head.mode == PUT:
        job.steps.put(x.data + start, places, windows_at, step, lane_step, n, tile.lanes)
    else:
        job.steps.load_shares(tile.shares, windows_at, n, step, tile.lanes, lane_step, NULL, 0)
        job.steps.scatter(tile.sums, tile.shares, places, n * tile.lanes)
    return 0


cdef int _locate(const Job* job, Tile* tile, const Py_ssize_t* index, Py_ssize_t n, Py_ssize_t start) noexcept nogil:
    """Turn the codes of `n` windows into places in the source (TAKE) or the result (PUT), in the plane from `start` on.

    For SCATTER, in the tile's sums; NONE for those outside.
    """
    cdef const Head* head = &job.head
    cdef Py_ssize_t o[MAX_AXES]
    cdef Py_ssize_t cell[MAX_AXES]
    cdef Array cells = SOURCE if head.mode == TAKE else OUT
    cdef Py_ssize_t a, w, j, place, code
    cdef Py_ssize_t last = head.n_axes - 1
    if head.line:
        return 0 if along(tile.places, <int64_t*>tile.codes, n, tile.lanes, start, head.lane_strides[<int>cells],
                          head.line) else WRONG_INDEX
    for a in range(last):
        o[a] = index[a]
    for w in range(n):
        o[last] = index[last] + w
        for j in range(tile.lanes):
            code = (<int64_t*>tile.codes)[w * tile.lanes + j]
            if code == NONE:
                tile.places[w * tile.lanes + j] = NONE
                continue
            if code == WRONG or not _find(job, o, code, cell):
                return WRONG_INDEX
            if head.mode != SCATTER:
                place = start + j * head.lane_strides[<int>cells]
                for a in range(head.n_axes):
                    place += cell[a] * job.axes[a].strides[<int>cells]
            else:
                place = j
                for a in range(head.n_axes):
                    if <size_t>(cell[a] - tile.first[a]) >= <size_t>tile.count[a]:
                        place = NONE
                        break
                    place += (cell[a] - tile.first[a]) * tile.pitch[a]
            tile.places[w * tile.lanes + j] = place
    return 0


cdef void _store_sums(const Job* job, Tile* tile, Py_ssize_t plane, Memory x) noexcept nogil:
    """Write the tile's sums to the result."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_axes - 1
    cdef Py_ssize_t zero[MAX_AXES]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t step = job.axes[last].strides[<int>OUT]
    cdef Py_ssize_t lane_step = head.lane_strides[<int>OUT]
    cdef Py_ssize_t a, to, place
    for a in range(last):
        zero[a] = index[a] = 0
    while True:
        to = _plane(job, OUT, plane, tile.lane) + tile.first[last] * step
        place = 0
        for a in range(last):
            to += (tile.first[a] + index[a]) * job.axes[a].strides[<int>OUT]
            place += index[a] * tile.pitch[a]
        job.steps.store_sums(
            address(x, to, to + (tile.count[last] - 1) * step + (tile.lanes - 1) * lane_step, job.array_bytes),
            step, lane_step, tile.sums + place, tile.count[last], tile.lanes)
        if not advance(index, zero, tile.count, last):
            return


# --- the loops for the types of a call --------------------------------------------------------------------------

cdef void _read(Job* job, const Py_ssize_t* table, double divisor):
    """Lay the plan's table open and choose its loops."""
    cdef int exponent
    job.head = (<const Head*>table)[0]
    job.divisor = divisor
    job.by, job.times = 0, 1
    if job.head.straight and job.head.mode == SUM and divisor != 0:
        # A power of two has an inverse, and a multiplication is rounded as the division is.
        if frexp(divisor, &exponent) == 0.5:
            job.times = 1 / divisor
        else:
            job.by = divisor
    job.axes = <const Axis*>(table + sizeof(Head) // sizeof(Py_ssize_t))
    job.outer = <const Outer*>(job.axes + job.head.n_axes)
    job.bytes = _bytes(job.head.lane_type)
    job.array_bytes = _bytes(job.head.type)
    job.index_bytes = _bytes(job.head.index_type)
    if job.head.type == F4:
        _shares(job, <float*>NULL)
    elif job.head.type == F8:
        _shares(job, <double*>NULL)
    elif job.head.type == HALF:
        _shares(job, <half_t*>NULL)
    elif job.head.type == BRAIN:
        _shares(job, <brain_t*>NULL)
    # Followed one by one, codes are int64; else they become bytes.
    if job.head.mode == CHOOSE:
        _codes(job, <int32_t*>NULL)
    else:
        _codes(job, <int64_t*>NULL)
    if job.bytes == 1:
        _copies(job, <uint8_t*>NULL)
    elif job.bytes == 2:
        _copies(job, <uint16_t*>NULL)
    elif job.bytes == 4:
        _copies(job, <uint32_t*>NULL)
    else:
        _copies(job, <uint64_t*>NULL)


cdef Py_ssize_t _bytes(Py_ssize_t type) noexcept:
    if type == HALF or type == BRAIN:
        return 2
    if type == F8:
        return 8
    return 4 if type == F4 else <Py_ssize_t>1 << type % 4


cdef void _shares(Job* job, share_t* cell) noexcept:
    if share_t is double:
        _lanes(job, cell, <double*>NULL)
    else:
        _lanes(job, cell, <float*>NULL)


cdef void _lanes(Job* job, share_t* cell, real_t* lane) noexcept:
    job.steps.combine = cypool_sum[job.head.lane_type]
    job.steps.load_shares = <load_shares_f><void*>load_shares[real_t, share_t]
    job.steps.weigh = <weigh_f><void*>weigh[real_t]
    job.steps.interleave = <interleave_f><void*>interleave[share_t, real_t]
    if job.head.mode == SUM:
        job.steps.claim = cypool_share_floats if real_t is float else cypool_share_doubles
    else:
        job.steps.claim = cypool_claim_floats if real_t is float else cypool_claim_doubles
    job.steps.repeat = <repeat_f><void*>repeat[share_t, real_t]
    job.steps.scatter = <scatter_f><void*>scatter[real_t]
    job.steps.store_sums = <store_sums_f><void*>store_sums[share_t]


cdef void _codes(Job* job, code_t* code) noexcept:
    # In the order of `Type`.
    cdef load_codes_f[8] loads = [
        <load_codes_f><void*>load_codes[code_t, int8_t], <load_codes_f><void*>load_codes[code_t, int16_t],
        <load_codes_f><void*>load_codes[code_t, int32_t], <load_codes_f><void*>load_codes[code_t, int64_t],
        <load_codes_f><void*>load_codes[code_t, uint8_t], <load_codes_f><void*>load_codes[code_t, uint16_t],
        <load_codes_f><void*>load_codes[code_t, uint32_t], <load_codes_f><void*>load_codes[code_t, uint64_t]]
    job.steps.load_codes = loads[job.head.index_type]


cdef void _copies(Job* job, bits_t* cell) noexcept:
    job.steps.take = <take_f><void*>take[bits_t]
    job.steps.put = <put_f><void*>put[bits_t]
