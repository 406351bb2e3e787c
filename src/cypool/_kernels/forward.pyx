"""Pooling, forward. This source is compiled once per instruction-set level.

A pool is a reduction over a box, so it is done one axis at a time wherever that is cheaper. `plan.py` decides how;
this file carries it out, tile by tile. A tile is a box of windows small enough that all its steps stay in cache:

    rows      the axes across rows are merged first, all taps at once, straight from the input or from a staged copy,
              into a block of rows, each padded left and right;
    across    the axis along the rows is merged, in one long run over the whole block where rows are short; large
              windows are doubled (doubling.h). In one go with the rows go windows of few cells whose indices are wanted
              (picks.h), and those that are one run of memory, as whole planes are (runs.h);
    store     rows are divided (averages), converted and written.

Rows of floats are pooled in registers, piece by piece, where these have masks (held.h). Many planes of short rows
become lanes on their way into scratch, and planes again on their way out (turn.h); means of small whole numbers go from
the input to the output in registers (means.h), those of windows that overlap by running sums (rolling.h).

Large windows are streamed instead: a tile goes along the last row axis, and the windows that begin in the same eight
cells are made together, of what they share and what they do not (slide.h). Cells come straight from the input, or, if
there are other axes across rows or they are to be converted, from a ring of slabs.

Doing a block of rows at once is what makes it fast: a row that is read back while its stores are still in flight
stalls (40 against 22 us on 64x56x56), and short rows would end every vector loop before it begins (319 against 33 us
on 512x14x14).

Where cells may be absent, by a mask or as NaN, the rows are always staged: on the way into the tile an absent cell is
replaced by the one that changes nothing. The same steps then go over the tile a second time, with 1 for each cell that
is there and 0 for each that is not, which counts them; the store puts both results together.

Nothing here knows an element type: `Steps` (job.pxd) holds the typed loops of `rows.pxd` for one call. Offsets count
elements, except where a name ends in `bytes`. With indices, the code of a value in scratch lies `gap` bytes behind it.
"""

from cython.parallel cimport prange
from libc.stdint cimport int8_t, uint8_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cypool._kernels.cells cimport bytes_of
from cypool._kernels.job cimport Array, Axis, Head, Job, MASK, SUM, X, Y, Z
from cypool._kernels.job cimport choose_loops, read_plan
from cypool._kernels.memory cimport Memory, address, memory_of, table_of
from cypool._kernels.powers cimport powers, roots
from cypool._kernels.rows cimport HELD_LANES, cypool_axis, cypool_held_piece, cypool_tap, cypool_windows, flags_of
from cypool._kernels.rows cimport paired
from cypool._kernels.vectors cimport FAR, cypool_fetch_row
from cypool._kernels.walk cimport advance

cdef enum:
    MAX_AXES = 64
    BATCH = 64          # taps merged by one call of `combine`
    SLID = 8            # cells of an axis that a stream goes by
    CHAIN = 32          # cells of a bin merged by one: a sum of so many is rounded at most 10 times
    FEW_ROWS = 3        # of few lanes: not worth turning
    LEVELS = 32         # of a ladder
    ALIGNMENT = 64      # bytes
    LONG_RUN = 256      # elements: rows as long as this are merged one by one
    WIDE_LANES = 8      # lanes as many as this need no splitting
    SHORT_ROW = 64      # elements: shorter rows are not worth a call each

    WIDEST = 16         # bytes of a lane

cdef Py_ssize_t ZERO = 0
cdef Py_ssize_t[2] NONE = [-1, -1]      # an index of any type
cdef Py_ssize_t[2] NOTHING = [0, 0]

# A row to merge, of every unit of a tile.
cdef enum Kind:
    NOWHERE, SOURCE, SCRATCH

cdef struct Row:
    Kind kind
    char* at            # that of the first one,
    Py_ssize_t code     # and what it adds to the code of a winner

cdef struct Unit:
    Py_ssize_t row, piece, length       # which row of a slab, and which lanes of it
    Py_ssize_t in_source, in_scratch    # how far it lies behind the first one, in bytes

# Where a tile lies, and the scratch of the thread that pools it.
cdef struct Tile:
    Py_ssize_t plane, planes
    Py_ssize_t first[MAX_AXES]      # per row axis: the first window,
    Py_ssize_t end[MAX_AXES]        # the one after the last,
    Py_ssize_t count[MAX_AXES]      # and how many
    Py_ssize_t rows                 # the product of these
    Py_ssize_t column, columns      # windows along the rows
    Py_ssize_t start, cells         # a row's first cell (padding, if negative), its cells up to a whole stride
    Py_ssize_t begin, stop          # the real ones among them, counted from start
    Py_ssize_t lane, lanes
    Py_ssize_t padded_start, padded_cells   # the row whose padding stands in buffer 0, and its lanes
    Py_ssize_t gap
    Memory codes_in                 # those of cells that have some, laid out as they are
    char* codes                     # of the cells picked: where that of an output's, or buffer 0's, first one is
    char* buffers
    char* slots
    char* partial
    char* ring
    char* nothing                   # a slab of padding,
    char* parts                     # those that windows are made of in steps,
    char* made                      # and where windows are made
    Py_ssize_t rungs[LEVELS]        # where the ring of each level of merged slabs starts, in slabs
    Py_ssize_t origin               # of a stream: its first cell,
    Py_ssize_t taken, blocks        # and how many are in its ring, and merged by SLID
    double* counts                  # how many taps its windows along the rows have,
    Py_ssize_t counted              # if this is its column
    char* by                        # what a row's sums are divided by, in lanes: counts times by_count
    double by_count
    double by_same                  # where all of these are alike: what, and how many
    Py_ssize_t by_length
    Py_ssize_t* plane_x             # where each plane of the tile starts in the input
    Py_ssize_t* plane_to            # and in the output, or in buffer 0
    Py_ssize_t* plane_mask          # and in the mask
    char* row                       # a row of cells that are to be counted,
    uint8_t* flags                  # which of a row's cells are there,
    uint8_t* enough                 # which of its windows have enough of them,
    double* divisors                # and what their sums are divided by
    cypool_held_piece* pieces       # of rows that are held in registers


def pool(source not None, result not None, indices, bytes plan not None, double divisor, int threads):
    """Fill `result`, and `indices`, with the pool of `source` as `plan` lays it out: below y, z and x.

    Raises MemoryError when there is no memory for scratch.
    """
    cdef Job job
    cdef Py_ssize_t chunk, chunks
    cdef int failed = 0
    cdef Memory x = memory_of(source)
    cdef Memory y = memory_of(result)
    cdef Memory z = memory_of(indices)
    read_plan(&job, table_of(plan), divisor)
    # More chunks than threads, so that a thread that is held up does not hold up the call.
    chunks = min(job.head.n_tiles, 1 if threads == 1 else 8 * threads)
    if chunks == 1:
        with nogil:
            failed = _tiles(&job, x, y, z, 0, job.head.n_tiles)
    else:
        for chunk in prange(chunks, nogil=True, schedule="dynamic", num_threads=threads):
            failed += _tiles(&job, x, y, z, job.head.n_tiles * chunk // chunks,
                             job.head.n_tiles * (chunk + 1) // chunks)
    if failed:
        raise MemoryError("no memory for the scratch of a pool")


def pool_with_gaps(source not None, result not None, indices, mask not None, missing not None, bytes plan not None,
                   double divisor, int threads):
    """As `pool`, where cells may be absent: those that are False in `mask`, or NaN, as the plan says.

    A window that has too few cells gets `missing`, two elements of the output, for lanes in turn.
    """
    cdef Job job, counting
    cdef Py_ssize_t chunk, chunks
    cdef int failed = 0
    cdef Memory x = memory_of(source)
    cdef Memory y = memory_of(result)
    cdef Memory z = memory_of(indices)
    read_plan(&job, table_of(plan), divisor)
    job.mask = <const uint8_t*>memory_of(mask).data
    job.missing = memory_of(missing).data
    counting = job
    counting.values = &job
    counting.head.op = SUM
    counting.head.indices = 0
    counting.head.lane_type = job.head.count_type
    counting.lane_bytes = bytes_of(job.head.count_type)
    choose_loops(&counting)
    job.steps.judge = counting.steps.judge
    chunks = min(job.head.n_tiles, 1 if threads == 1 else 8 * threads)
    for chunk in prange(chunks, nogil=True, schedule="dynamic", num_threads=threads):
        failed += _tiles_with_gaps(&job, &counting, x, y, z, job.head.n_tiles * chunk // chunks,
                                   job.head.n_tiles * (chunk + 1) // chunks)
    if failed:
        raise MemoryError("no memory for the scratch of a pool")


# --- tiles ------------------------------------------------------------------------------------------------------

cdef int _tiles(const Job* job, Memory x, Memory y, Memory z, Py_ssize_t first,
                Py_ssize_t last) noexcept nogil:
    """Pool the tiles `first`..`last` - 1; 1 when there was no memory."""
    cdef Tile tile
    cdef Py_ssize_t number, pitch
    cdef char* block
    cdef char* scratch = _scratch(job, &tile)
    if scratch == NULL:
        return 1
    for number in range(first, last):
        _place(job, &tile, number)
        if job.head.streamed:
            _stream(job, &tile, NULL, NULL, x, y, z)
            continue
        block = _merge(job, &tile, x, y, z, &pitch)
        if block != NULL:
            _store(job, &tile, block, pitch, y, z)
    free(scratch)
    return 0


cdef int _tiles_with_gaps(const Job* job, const Job* counting, Memory x, Memory y, Memory z,
                          Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """As `_tiles`, where cells may be absent."""
    cdef Tile tile, counted
    cdef Py_ssize_t number, pitch
    cdef char* block
    cdef char* counts
    cdef char* scratch = _scratch(job, &tile)
    cdef char* more = _scratch(counting, &counted)
    cdef bint failed = scratch == NULL or more == NULL
    if not failed:
        for number in range(first, last):
            _place(job, &tile, number)
            _place(counting, &counted, number)
            if job.head.streamed:
                _stream(job, &tile, counting, &counted, x, y, z)
                continue
            block = _merge(job, &tile, x, y, z, &pitch)
            counts = _merge(counting, &counted, x, y, z, &pitch)
            _store_with_gaps(job, &tile, block, counts, pitch, y, z)
    free(scratch)
    free(more)
    return failed


cdef char* _scratch(const Job* job, Tile* tile) noexcept nogil:
    """Allocate the scratch of a thread and lay it out; return what to free in the end, or NULL."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t values = (head.buffers * head.buffer + head.slots + head.partials * head.partial
                              + head.ring * head.slab) * job.lane_bytes
    cdef Py_ssize_t codes = values if head.indices else 0
    cdef Py_ssize_t columns = job.across.tile if head.has_across else 1
    cdef Py_ssize_t planes = head.planes_tile
    cdef Py_ssize_t arrays = columns * sizeof(double) + 3 * planes * sizeof(Py_ssize_t)
    cdef Py_ssize_t by = columns * head.lanes_tile * <Py_ssize_t>sizeof(double) if head.fused or head.boxed else 0
    cdef Py_ssize_t row = columns * head.lanes_tile
    cdef Py_ssize_t gaps = head.buffer * (WIDEST + 1) + row * (<Py_ssize_t>sizeof(double) + 1) if head.masked else 0
    cdef Py_ssize_t pieces = (columns + head.held - 1) // head.held if head.held else 0
    cdef Py_ssize_t held = pieces * (sizeof(cypool_held_piece) + job.across.kernel * HELD_LANES) if head.held else 0
    cdef char* scratch = <char*>malloc(values + codes + arrays + by + held + gaps + ALIGNMENT)
    if scratch == NULL:
        return NULL
    tile.buffers = scratch + ALIGNMENT - <uintptr_t>scratch % ALIGNMENT
    tile.slots = tile.buffers + head.buffers * head.buffer * job.lane_bytes
    tile.partial = tile.slots + head.slots * job.lane_bytes
    tile.ring = tile.partial + head.partials * head.partial * job.lane_bytes
    tile.gap = codes
    tile.plane_x = <Py_ssize_t*>(tile.buffers + values + codes)
    tile.plane_to = tile.plane_x + planes
    tile.plane_mask = tile.plane_to + planes
    tile.counts = <double*>(tile.plane_mask + planes)
    tile.by = <char*>(tile.counts + columns)
    tile.by_count = tile.by_same = tile.counted = -1
    tile.by_length = 0
    if head.held:
        tile.pieces = <cypool_held_piece*>(tile.by + by)
        _cut(job.across, head.held, tile.pieces, pieces)
    if head.masked:
        tile.divisors = tile.counts + columns
        tile.row = <char*>(tile.divisors + row)
        tile.flags = <uint8_t*>tile.row + head.buffer * WIDEST
        tile.enough = tile.flags + head.buffer
    tile.padded_cells = -1
    return scratch


cdef void _place(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Find where tile `number` lies: lanes change fastest, then columns, rows, planes."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = job.across
    cdef Py_ssize_t a
    cdef Py_ssize_t blocks = (head.lanes + head.lanes_tile - 1) // head.lanes_tile
    tile.lane = number % blocks * head.lanes_tile
    tile.lanes = min(head.lanes_tile, head.lanes - tile.lane)
    number //= blocks
    tile.column = tile.start = tile.begin = 0
    tile.columns = tile.cells = tile.stop = 1
    tile.by_count = tile.counted = -1
    if head.has_across:
        blocks = (axis.count + axis.tile - 1) // axis.tile
        _columns(axis, tile, number % blocks * axis.tile, min(axis.tile, axis.count - number % blocks * axis.tile))
        number //= blocks
    tile.rows = 1
    for a in range(head.n_rows - 1, -1, -1):
        axis = &job.rows[a]
        blocks = (axis.count + axis.tile - 1) // axis.tile
        tile.first[a] = number % blocks * axis.tile
        tile.count[a] = min(axis.tile, axis.count - tile.first[a])
        tile.end[a] = tile.first[a] + tile.count[a]
        tile.rows *= tile.count[a]
        number //= blocks
    tile.plane = number * head.planes_tile
    tile.planes = min(head.planes_tile, head.planes - tile.plane)


cdef void _columns(const Axis* axis, Tile* tile, Py_ssize_t column, Py_ssize_t columns) noexcept nogil:
    """Let a tile have so many windows along the rows, and find the cells under them."""
    tile.column, tile.columns = column, columns
    tile.start = _start(axis, column)
    tile.cells = _span(axis, column, columns)
    tile.begin = max(-tile.start, 0)
    tile.stop = min(tile.cells, axis.size - tile.start)
    if tile.cells >= axis.stride:
        tile.cells = (tile.cells + axis.stride - 1) // axis.stride * axis.stride
    tile.by_count = tile.counted = -1


cdef char* _merge(const Job* job, Tile* tile, Memory x, Memory y, Memory z,
                  Py_ssize_t* pitch) noexcept nogil:
    """Pool one tile, rows and across; return the block of its rows, `pitch` elements apart; NULL if they are stored."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t p
    cdef char* block = tile.buffers
    cdef bint across = head.has_across and not head.picked
    _planes(job, tile)
    if head.bare:
        _bare(job, tile, x, y)
        return NULL
    if head.rolled:
        _roll(job, tile, x, y)
        return NULL
    pitch[0] = _pitch(job, tile)
    for p in range(tile.planes):
        tile.plane_to[p] = p * tile.rows * pitch[0] + (tile.begin * tile.lanes if across else 0)
        if head.direct:
            tile.plane_to[p] = _plane(job, Y, tile.plane + p) + tile.column * tile.lanes + tile.lane
    tile.codes = block + tile.gap
    if head.direct:
        if head.picked:
            # Each where its value is.
            tile.codes = z.data + (head.starts[<int>Z] - head.starts[<int>Y]) * job.z_bytes
        _direct_rows(job, tile, x, y.data)
        return NULL
    if head.runs:
        pitch[0] = tile.columns
        _merge_runs(job, tile, x)
        return block
    if across:
        _pad(job, tile)
    _direct_rows(job, tile, x, block)
    return _along(job, tile, block, y, pitch) if across else block


cdef inline char* _along(const Job* job, Tile* tile, char* block, Memory y, Py_ssize_t* pitch) noexcept nogil:
    """Merge along the rows of the block, if they are; return where, or NULL if that is the output."""
    if not job.head.has_across:
        return block
    if job.head.fused:
        _across_to_output(job, tile, block, y)
        return NULL
    pitch[0] = _across_pitch(job, tile)
    return _across(job, tile, block, _other(job, tile, block))


cdef void _merge_runs(const Job* job, Tile* tile, Memory x) noexcept nogil:
    """Merge windows that are one run of cells each, into rows of them in buffer 0."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = job.across
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t a, p, first
    cdef Py_ssize_t length = _span(axis, tile.column, tile.columns)
    cdef Py_ssize_t step = axis.strides[<int>X]
    cdef char* out = tile.buffers
    cdef const char* src
    for a in range(head.n_rows):
        index[a] = 0
    for p in range(tile.planes):
        while True:
            first = tile.plane_x[p] + tile.start * step
            for a in range(head.n_rows):
                first += (tile.first[a] + index[a]) * job.rows[a].stride * job.rows[a].strides[<int>X]
            src = address(x, first, first + (length - 1) * step, job.x_bytes)
            if head.staged:
                _convert(job, tile.buffers + head.buffer * job.lane_bytes, src, length, step, 1)
                src = tile.buffers + head.buffer * job.lane_bytes
            if axis.bins:
                _runs_of_bins(job, axis, tile, src, out)
            else:
                job.steps.runs(out, src, axis.stride, tile.columns, axis.kernel)
            out += tile.columns * job.lane_bytes
            if not advance(index, NULL, tile.count, head.n_rows):
                break


cdef void _runs_of_bins(const Job* job, const Axis* axis, const Tile* tile, const char* src, char* out) noexcept nogil:
    """Merge windows that only the table knows, as many at once as are of one size and equally far apart."""
    cdef Py_ssize_t end = tile.column + tile.columns
    cdef Py_ssize_t w = tile.column
    cdef Py_ssize_t start, cells, step, n
    while w < end:
        start, cells = _start(axis, w), _span(axis, w, 1)
        step = _start(axis, w + 1) - start if w + 1 < end else 0
        n = 1
        while w + n < end and _span(axis, w + n, 1) == cells and _start(axis, w + n) == start + n * step:
            n += 1
        job.steps.runs(out, src + (start - tile.start) * job.lane_bytes, step, n, cells)
        out += n * job.lane_bytes
        w += n


cdef inline Py_ssize_t _pitch(const Job* job, Tile* tile) noexcept nogil:
    """Return how far apart the rows are that `_direct_rows` makes."""
    return (tile.columns if job.head.picked else tile.cells) * tile.lanes


cdef void _planes(const Job* job, Tile* tile) noexcept nogil:
    """Find where the planes of a tile start."""
    cdef Py_ssize_t p
    for p in range(tile.planes):
        tile.plane_x[p] = _plane(job, X, tile.plane + p) + tile.lane * job.head.lane_strides[<int>X]
        tile.plane_mask[p] = 0
        if job.head.masked:
            tile.plane_mask[p] = _plane(job, MASK, tile.plane + p) + tile.lane * job.head.lane_strides[<int>MASK]


cdef Py_ssize_t _plane(const Job* job, Array array, Py_ssize_t plane) noexcept nogil:
    """Return where a plane starts in one of the arrays; no division for the first axis, as one costs ten cells."""
    cdef Py_ssize_t offset = job.head.starts[<int>array]
    cdef Py_ssize_t i
    for i in range(job.head.n_outer - 1, 0, -1):
        offset += plane % job.outer[i].size * job.outer[i].strides[<int>array]
        plane //= job.outer[i].size
    return offset + plane * job.outer[0].strides[<int>array] if job.head.n_outer else offset


cdef inline Py_ssize_t _extent(const Axis* axis) noexcept nogil:
    return axis.dilation * (axis.kernel - 1) + 1


cdef inline const Py_ssize_t* _bin(const Axis* axis, Py_ssize_t window) noexcept nogil:
    """Return where the table has the first cell of a window and the one past its last."""
    return <const Py_ssize_t*>axis + axis.bins + 2 * window


cdef inline Py_ssize_t _start(const Axis* axis, Py_ssize_t window) noexcept nogil:
    """Return the cell under a window's first tap; in the padding, if it is negative."""
    return _bin(axis, window)[0] if axis.bins else window * axis.stride - axis.low


cdef inline Py_ssize_t _span(const Axis* axis, Py_ssize_t first, Py_ssize_t windows) noexcept nogil:
    """Return how many cells there are from the first tap of window `first` to the last of so many windows."""
    if axis.bins:
        return _bin(axis, first + windows - 1)[1] - _bin(axis, first)[0]
    return (windows - 1) * axis.stride + _extent(axis)


cdef inline void _taps(const Axis* axis, Py_ssize_t window, Py_ssize_t low, Py_ssize_t high, Py_ssize_t* first,
                       Py_ssize_t* last) noexcept nogil:
    """The taps `first`..`last` - 1 of a window lie in the cells [-low, size + high)."""
    if axis.bins:
        first[0] = 0
        last[0] = _bin(axis, window)[1] - _bin(axis, window)[0]
        return
    cdef Py_ssize_t start = window * axis.stride - axis.low
    cdef Py_ssize_t d = axis.dilation
    first[0] = (-low - start + d - 1) // d if start < -low else 0
    last[0] = min(axis.kernel, (axis.size + high - start + d - 1) // d)


# --- rows: the axes across rows ---------------------------------------------------------------------------------

cdef void _pad(const Job* job, Tile* tile) noexcept nogil:
    """Fill buffer 0 with padding if rows have some. Rows overwrite real cells only: it lasts while they lie alike."""
    if tile.begin == 0 and tile.stop == tile.cells:
        tile.padded_cells = -1
    elif tile.start != tile.padded_start or tile.cells * tile.lanes != tile.padded_cells:
        job.steps.fill(tile.buffers, job.head.buffer, tile.gap, NULL)
        tile.padded_start, tile.padded_cells = tile.start, tile.cells * tile.lanes


cdef void _direct_rows(const Job* job, Tile* tile, Memory x, char* out) noexcept nogil:
    """Merge each row of windows from all the rows of cells under it, all planes of the tile at once."""
    cdef Py_ssize_t strides[MAX_AXES]
    cdef char* staged = tile.buffers + job.head.buffer * job.lane_bytes
    cdef Py_ssize_t source = 0
    cdef Py_ssize_t a, p
    if job.head.staged == 1:
        for p in range(tile.planes):
            source = _stage(job, tile, x, tile.plane_x[p], tile.plane_mask[p], job.head.n_rows, staged,
                            (tile.stop - tile.begin) * tile.lanes, 0, strides)
            _runs_of_rows(job, tile, x, staged, source, strides, out, p, 1)
    else:
        for a in range(job.head.n_rows):
            strides[a] = job.rows[a].strides[<int>X]
        if job.head.has_across:
            source = (tile.start + tile.begin) * job.across.strides[<int>X]
        _runs_of_rows(job, tile, x, NULL, source, strides, out, 0, tile.planes)


cdef void _runs_of_rows(const Job* job, Tile* tile, Memory x, char* staged, Py_ssize_t source,
                        const Py_ssize_t* strides, char* out, Py_ssize_t plane, Py_ssize_t planes) noexcept nogil:
    """Go through the rows of windows, in runs along the last row axis that have the same taps."""
    cdef const Head* head = &job.head
    cdef const Axis* run = &job.rows[head.n_rows - 1]
    cdef Py_ssize_t index[MAX_AXES]      # of the row, counted from the tile's first
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t a, w, whole, rows, to
    cdef Py_ssize_t row = 0
    cdef Py_ssize_t last = head.n_rows - 1
    cdef Py_ssize_t out_step = run.strides[<int>Y] if head.direct else _pitch(job, tile)
    for a in range(head.n_rows):
        index[a] = 0
    while True:
        # One run of rows along the last row axis: those whose windows are whole go together, the rest alone.
        to = 0
        for a in range(last):
            _taps(&job.rows[a], tile.first[a] + index[a], 0, 0, &low[a], &high[a])
            to += (tile.first[a] + index[a]) * job.rows[a].strides[<int>Y] if head.direct else 0
        to += tile.first[last] * out_step if head.direct else row * out_step
        w = 0
        while w < tile.count[last]:
            _taps(run, tile.first[last] + w, 0, 0, &low[last], &high[last])
            rows = 1
            if low[last] == 0 and high[last] == run.kernel and not run.bins:
                # Whole windows follow until one would end past the axis.
                whole = (run.size - _extent(run) + run.low) // run.stride + 1
                rows = min(whole - tile.first[last], tile.count[last]) - w
            if head.picked:
                _pick_rows(job, tile, x, staged, source, strides, index, low, high, w, rows, out, to + w * out_step,
                           out_step, plane, planes)
            else:
                _merge_rows(job, tile, x, staged, source, strides, index, low, high, w, rows, out, to + w * out_step,
                            out_step, plane, planes)
            w += rows
        row += tile.count[last]
        if not advance(index, NULL, tile.count, last):
            return


cdef void _merge_rows(const Job* job, Tile* tile, Memory x, char* staged, Py_ssize_t source,
                      const Py_ssize_t* strides, const Py_ssize_t* index, const Py_ssize_t* low,
                      const Py_ssize_t* high, Py_ssize_t w, Py_ssize_t rows, char* out, Py_ssize_t target,
                      Py_ssize_t out_step, Py_ssize_t plane, Py_ssize_t planes) noexcept nogil:
    """Merge `rows` rows of windows from `w` on, with the taps low[a]..high[a] - 1, in each of the planes."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_rows - 1
    cdef Py_ssize_t length = (tile.stop - tile.begin) * tile.lanes
    cdef Py_ssize_t taps[BATCH]
    cdef Py_ssize_t codes[BATCH]
    cdef Py_ssize_t marks[BATCH]
    cdef Py_ssize_t tap[MAX_AXES]
    cdef const Axis* run = &job.rows[last]
    cdef Py_ssize_t along = run.dilation * strides[last]
    cdef Py_ssize_t a, n, p, base, offset, code, step, first, src_step, many
    cdef Py_ssize_t total = 1
    cdef Py_ssize_t batch = 0
    cdef Py_ssize_t most = BATCH
    cdef Py_ssize_t mark = 0
    cdef Py_ssize_t src_gap = tile.gap if head.masked else 0
    cdef char* result = NULL
    cdef const void* divisors = NULL
    cdef double count = job.divisor
    cdef Py_ssize_t across = job.across.kernel if head.has_across else 1
    cdef bint far = head.far and head.staged == 0 and not head.indices and job.lane_bytes <= 8
    if head.boxed:
        if head.counted:
            count = 1
            for a in range(head.n_rows):
                count *= _count(&job.rows[a], tile.first[a] + (w if a == last else index[a]), head.padded)
        divisors = _divisors(job, tile, count)
    offset = source
    code = 0
    for a in range(head.n_rows):
        total *= high[a] - low[a]
        tap[a] = low[a]
        base = _start(&job.rows[a], tile.first[a] + (w if a == last else index[a]))
        offset += (base + low[a] * job.rows[a].dilation) * strides[a]
        code += low[a] * job.rows[a].code
        mark += (base + low[a] * job.rows[a].dilation) * job.rows[a].strides[<int>MASK]
    step = job.rows[last].stride * strides[last]
    if head.staged == 2:
        most = min(most, head.buffer // (rows * length))
    if total > most and rows * planes > 1 or head.staged == 2 and planes > 1:
        # Too many taps for one batch: a cascade takes one row at a time.
        for p in range(planes):
            for a in range(rows if total > most else 1):
                _merge_rows(job, tile, x, staged, source, strides, index, low, high, w + a,
                            1 if total > most else rows, out, target + a * out_step, out_step, plane + p, 1)
        return
    while total > 0:
        # The next batch of taps, relative to its first.
        base = offset
        n = 0
        while n < most and n < total:
            # Those along the last axis are alike.
            many = min(high[last] - tap[last], min(most, total) - n)
            for a in range(n, n + many):
                taps[a] = offset - base + (a - n) * along
            if head.indices:
                for a in range(n, n + many):
                    codes[a] = code + (a - n) * run.code
            if head.masked:
                for a in range(n, n + many):
                    marks[a] = mark + (a - n) * run.dilation * run.strides[<int>MASK]
            n += many
            _next_tap(job, strides, low, high, many, tap, &offset, &code, &mark)
        total -= n
        if head.held:
            _hold_rows(job, tile, x, base, step, taps, n, rows, out + target * job.y_bytes, out_step,
                       <const char*>divisors)
            return
        for p in range(plane, plane + planes):
            result = out + (tile.plane_to[p] + target) * job.lane_bytes
            if batch or total:
                result = tile.partial + (head.partials - 1) * head.partial * job.lane_bytes
            src = staged + base * job.lane_bytes
            src_step = step
            first = base + tile.plane_x[p]
            if head.staged == 2:
                src = _stage_batch(job, tile, x, first, step, taps, n, rows, marks, tile.plane_mask[p])
                src_step = length
            elif head.staged == 0:
                src = address(x, first, first + taps[n - 1] + (rows - 1) * step + length - 1, job.x_bytes)
            if head.boxed:
                job.steps.across(result, out_step, src, src_step, rows, tile.columns * tile.lanes, across, across,
                                 tile.lanes, taps, n, divisors)
            else:
                job.steps.combine(result, out_step, src, src_step, taps, codes, n, rows, length, tile.gap, src_gap,
                                  FAR if far else 0, NULL)
        if batch or total:
            _cascade(job, tile, batch, result, length)
            batch += 1
    if batch:
        _cascaded(job, tile, batch, out + (tile.plane_to[plane] + target) * job.lane_bytes, length)


cdef inline void _hold_rows(const Job* job, Tile* tile, Memory x, Py_ssize_t first, Py_ssize_t step,
                            const Py_ssize_t* taps, Py_ssize_t n, Py_ssize_t rows, char* out, Py_ssize_t out_step,
                            const char* divisors) noexcept nogil:
    """Merge the rows of all planes of the tile in registers, along them as well, piece by piece."""
    cdef const cypool_held_piece* piece = tile.pieces
    cdef Py_ssize_t last = first + taps[n - 1] + (rows - 1) * step + job.across.size - 1
    cdef Py_ssize_t p
    cdef Py_ssize_t w = 0
    for p in range(tile.planes):
        address(x, first + tile.plane_x[p], last + tile.plane_x[p], job.x_bytes)
    while w < tile.columns:
        job.steps.held(out + w * job.y_bytes, out_step, tile.plane_to, x.data + (first + piece.first) * job.x_bytes,
                       step, tile.plane_x, tile.planes, rows, taps, n, piece, divisors)
        w += piece.windows
        if divisors != NULL:
            divisors += piece.windows * job.lane_bytes
        piece += 1


cdef void _cut(const Axis* axis, Py_ssize_t windows, cypool_held_piece* pieces, Py_ssize_t n) noexcept nogil:
    """Cut an axis into `n` pieces of so many windows, and find the cells under their taps."""
    cdef int8_t* places = <int8_t*>(pieces + n)
    cdef cypool_held_piece* piece
    cdef Py_ssize_t i, j, t, w, first, last
    memset(places, -1, n * axis.kernel * HELD_LANES)
    for i in range(n):
        piece = &pieces[i]
        w = i * windows
        piece.kernel = axis.kernel
        piece.places = places
        piece.windows = min(windows, axis.count - w)
        piece.first = max(_start(axis, w), 0)
        piece.cells = min(_start(axis, w) + _span(axis, w, piece.windows), axis.size) - piece.first
        for j in range(piece.windows):
            _taps(axis, w + j, 0, 0, &first, &last)
            for t in range(first, last):
                places[t * HELD_LANES + j] = <int8_t>(_start(axis, w + j) + t * axis.dilation - piece.first)
        places += axis.kernel * HELD_LANES


cdef void _pick_rows(const Job* job, Tile* tile, Memory x, char* staged, Py_ssize_t source,
                     const Py_ssize_t* strides, const Py_ssize_t* index, const Py_ssize_t* low,
                     const Py_ssize_t* high, Py_ssize_t w, Py_ssize_t rows, char* out, Py_ssize_t target,
                     Py_ssize_t out_step, Py_ssize_t plane, Py_ssize_t planes) noexcept nogil:
    """As `_merge_rows`, along the rows as well, for windows of no more than BATCH cells that remember them."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t last = head.n_rows - 1
    cdef Py_ssize_t length = (tile.stop - tile.begin) * tile.lanes
    cdef Py_ssize_t step = job.rows[last].stride * strides[last]
    cdef cypool_tap taps[BATCH]
    cdef cypool_windows windows
    cdef Py_ssize_t tap[MAX_AXES]
    cdef Py_ssize_t a, p, base, first
    cdef Py_ssize_t offset = source
    cdef Py_ssize_t code = 0
    cdef Py_ssize_t mark = 0
    cdef Py_ssize_t code_bytes = job.z_bytes if head.direct else job.lane_bytes
    cdef char* src
    windows.base = tile.start * job.across.base if head.has_across else 0
    windows.along = job.across.stride * job.across.base if head.has_across else 0
    windows.below = job.rows[last].stride * job.rows[last].base
    for a in range(head.n_rows):
        tap[a] = low[a]
        base = _start(&job.rows[a], tile.first[a] + (w if a == last else index[a]))
        offset += (base + low[a] * job.rows[a].dilation) * strides[a]
        code += low[a] * job.rows[a].code
        windows.base += base * job.rows[a].base
    base = offset
    windows.taps = taps
    windows.n = 0
    windows.stride = job.across.stride if head.has_across else 1
    windows.first = 0
    windows.stop = tile.columns * tile.lanes
    windows.low = windows.high = 0
    while True:
        _add_taps(job, tile, taps, &windows, offset - base, code)
        if not _next_tap(job, strides, low, high, 1, tap, &offset, &code, &mark):
            break
    # What the last tap of each axis adds: `offset` is back at the first.
    for a in range(head.n_rows):
        offset += (high[a] - low[a] - 1) * job.rows[a].dilation * strides[a]
    windows.begin, windows.end = tile.buffers, tile.plane_x
    if head.staged == 0:
        windows.begin, windows.end = x.data, x.data + x.size
    for p in range(plane, plane + planes):
        src = staged + base * job.lane_bytes
        if head.staged == 0:
            first = base + tile.plane_x[p]
            src = address(x, first, first + offset - base + (rows - 1) * step + length - 1, job.x_bytes)
        first = tile.plane_to[p] + target
        job.steps.picks(out + first * job.lane_bytes, tile.codes + first * code_bytes, out_step,
                        job.z_bytes if head.direct else 0, src, step, rows, tile.columns * tile.lanes, &windows)


cdef inline bint _next_tap(const Job* job, const Py_ssize_t* strides, const Py_ssize_t* low, const Py_ssize_t* high,
                           Py_ssize_t many, Py_ssize_t* tap, Py_ssize_t* offset, Py_ssize_t* code,
                           Py_ssize_t* mark) noexcept nogil:
    """Go `many` taps further along the last axis across rows, which may be all that are left of it, or to the first of
    the next row of them; False after the last, and back at the first of all."""
    cdef const Axis* axis
    cdef Py_ssize_t a, steps
    for a in range(job.head.n_rows - 1, -1, -1):
        axis = &job.rows[a]
        steps = many if tap[a] + many < high[a] else low[a] - tap[a]
        tap[a] += steps
        offset[0] += steps * axis.dilation * strides[a]
        code[0] += steps * axis.code
        mark[0] += steps * axis.dilation * axis.strides[<int>MASK]
        if steps > 0:
            return True
        many = 1
    return False


cdef inline void _add_taps(const Job* job, Tile* tile, cypool_tap* taps, cypool_windows* windows, Py_ssize_t offset,
                           Py_ssize_t code) noexcept nogil:
    """Add the taps of one row of cells, each where its code belongs."""
    cdef const Axis* axis = job.across
    cdef cypool_tap tap
    cdef Py_ssize_t t, at
    cdef Py_ssize_t i = 0
    if not job.head.has_across:
        axis = NULL
    for t in range(1 if axis == NULL else axis.kernel):
        tap.at, tap.code, tap.first, tap.stop, tap.shift = offset, code, 0, tile.columns * tile.lanes, 0
        if axis != NULL:
            at = t * axis.dilation - tile.begin
            tap.at += at * tile.lanes
            tap.code += t * axis.code
            tap.shift = min(t * axis.dilation, axis.stride - 1)
            # The windows whose cell lies between those of the row: all arguments of // are positive.
            tap.first = (axis.stride - 1 - at) // axis.stride if at < 0 else 0
            at = tile.stop - tile.begin - at
            tap.stop = min(tile.columns, (at + axis.stride - 1) // axis.stride if at > 0 else 0)
            tap.first *= tile.lanes
            tap.stop *= tile.lanes
        windows.first = max(windows.first, tap.first)
        windows.stop = min(windows.stop, tap.stop)
        windows.low = min(windows.low, tap.at - tap.shift)
        windows.high = max(windows.high, tap.at - tap.shift)
        i = windows.n
        while i > 0 and taps[i - 1].code > tap.code:
            taps[i] = taps[i - 1]
            i -= 1
        taps[i] = tap
        windows.n += 1


cdef char* _stage_batch(const Job* job, Tile* tile, Memory x, Py_ssize_t source, Py_ssize_t step,
                        Py_ssize_t* taps, Py_ssize_t n, Py_ssize_t rows, const Py_ssize_t* marks,
                        Py_ssize_t mask) noexcept nogil:
    """Copy the rows under a batch of taps into buffer 1, tap after tap, and return it; `taps` become places in it."""
    cdef Py_ssize_t cell = job.across.strides[<int>X] if job.head.has_across else tile.lanes
    cdef Py_ssize_t cells = tile.stop - tile.begin
    cdef Py_ssize_t length = cells * tile.lanes
    cdef char* stage = tile.buffers + job.head.buffer * job.lane_bytes
    cdef char* to = stage
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef Py_ssize_t t, r
    if job.head.has_across:
        mask += (tile.start + tile.begin) * job.across.strides[<int>MASK]
    for t in range(n):
        for r in range(rows):
            _load(job, tile, to, x, source + taps[t] + r * step,
                  mask + marks[t] + r * run.stride * run.strides[<int>MASK], cells, cell)
            to += length * job.lane_bytes
        taps[t] = t * rows * length
    return stage


cdef inline void _load(const Job* job, Tile* tile, char* to, Memory x, Py_ssize_t first, Py_ssize_t mask,
                       Py_ssize_t cells, Py_ssize_t step) noexcept nogil:
    """Copy a row of cells, `step` elements apart, into scratch."""
    cdef char* src = address(x, first, first + (cells - 1) * step + tile.lanes - 1, job.x_bytes)
    if job.head.masked:
        _load_with_gaps(job, tile, to, src, mask, cells, step)
    else:
        _convert(job, to, src, cells, step, tile.lanes)


cdef inline void _convert(const Job* job, char* to, const char* src, Py_ssize_t cells, Py_ssize_t step,
                          Py_ssize_t lanes) noexcept nogil:
    """Copy a row of cells into scratch, to the type of its lanes, and to the power that is to be added up.

    What follows it in memory is fetched meanwhile, if no cache holds it: it is likely to be next.
    """
    cdef Py_ssize_t bytes = ((cells - 1) * step + lanes) * job.x_bytes
    if job.head.far:
        cypool_fetch_row(src + bytes, bytes)
    job.steps.load(to, src, cells, step, lanes)
    if job.head.power:
        powers(<double*>to, cells * lanes, <double>job.head.power)


cdef void _load_with_gaps(const Job* job, Tile* tile, char* to, const char* src, Py_ssize_t mask, Py_ssize_t cells,
                          Py_ssize_t step) noexcept nogil:
    """Copy a row of cells into scratch, those that are absent as the one that changes nothing; or count them."""
    cdef const Head* head = &job.head
    cdef const Job* values = job if job.values == NULL else job.values
    cdef Py_ssize_t length = cells * tile.lanes
    cdef char* row = to if job.values == NULL else tile.row
    if head.where:
        flags_of(tile.flags, job.mask + mask, cells, job.across.strides[<int>MASK] if head.has_across else 0,
                 tile.lanes, head.lane_strides[<int>MASK])
    else:
        memset(tile.flags, 1, length)
    if head.omit or job.values == NULL:
        values.steps.load(row, src, cells, step, tile.lanes)
    if head.omit:
        values.steps.not_nan(tile.flags, row, length)
        if head.paired:
            paired(tile.flags, length)
    if job.values == NULL:
        job.steps.erase(to, tile.gap, tile.flags, length, NULL)
    else:
        job.steps.count(to, tile.flags, length)


cdef void _cascade(const Job* job, Tile* tile, Py_ssize_t batch, char* row, Py_ssize_t length) noexcept nogil:
    """Add batch number `batch` to partial results as a binary counter adds one: each merges equals, so that a sum
    of n cells is rounded about log2(n) times on its way."""
    cdef Py_ssize_t bytes = job.head.partial * job.lane_bytes
    cdef char* level = tile.partial
    while batch & 1:
        job.steps.combine(level, 0, row, 0, &ZERO, &ZERO, 1, 1, length, tile.gap, tile.gap, True, NULL)
        row = level
        level += bytes
        batch >>= 1
    job.steps.combine(level, 0, row, 0, &ZERO, &ZERO, 1, 1, length, tile.gap, tile.gap, False, NULL)


cdef void _cascaded(const Job* job, Tile* tile, Py_ssize_t batches, char* out, Py_ssize_t length) noexcept nogil:
    """Merge what a cascade of `batches` holds, the later and smaller parts first."""
    cdef Py_ssize_t bytes = job.head.partial * job.lane_bytes
    cdef char* level = tile.partial
    cdef char* rest = NULL
    while batches:
        if batches & 1:
            if rest != NULL:
                job.steps.combine(level, 0, rest, 0, &ZERO, &ZERO, 1, 1, length, tile.gap, tile.gap, True, NULL)
            rest = level
        level += bytes
        batches >>= 1
    job.steps.combine(out, 0, rest, 0, &ZERO, &ZERO, 1, 1, length, tile.gap, tile.gap, False, NULL)


cdef Py_ssize_t _stage(const Job* job, Tile* tile, Memory x, Py_ssize_t source, Py_ssize_t mask,
                       Py_ssize_t n_axes, char* box, Py_ssize_t width, Py_ssize_t indent,
                       Py_ssize_t* strides) noexcept nogil:
    """Copy the real cells under the first row axes of a plane into `box`: rows of `width` lanes, from `indent` on.

    Fills the strides of these axes in the box and returns where cell 0 of them all would lie.
    """
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t a, start, cells, from_x, from_mask, to
    cdef Py_ssize_t walked = n_axes
    cdef Py_ssize_t origin = 0
    cdef Py_ssize_t inner = width
    cdef Py_ssize_t length = tile.stop - tile.begin
    cdef Py_ssize_t step = job.across.strides[<int>X] if head.has_across else tile.lanes
    for a in range(n_axes - 1, -1, -1):
        axis = &job.rows[a]
        strides[a] = inner
        start = _start(axis, tile.first[a])
        cells = _span(axis, tile.first[a], tile.count[a])
        origin -= start * inner
        low[a] = index[a] = max(start, 0)
        high[a] = min(start + cells, axis.size)
        inner *= cells
        if low[a] >= high[a]:
            return origin
    if head.has_across:
        source += (tile.start + tile.begin) * step
        mask += (tile.start + tile.begin) * job.across.strides[<int>MASK]
    # Rows of cells that follow each other in the array, and so in the box, are one row.
    while (walked > 0 and not head.masked and (head.turned or step == tile.lanes)
           and strides[walked - 1] == length * tile.lanes
           and job.rows[walked - 1].strides[<int>X] == length * (1 if head.turned else tile.lanes)):
        walked -= 1
        length *= high[walked] - low[walked]
    while True:
        from_x = source
        from_mask = mask
        to = origin + indent
        for a in range(n_axes):
            from_x += index[a] * job.rows[a].strides[<int>X]
            from_mask += index[a] * job.rows[a].strides[<int>MASK]
            to += index[a] * strides[a]
        if head.turned:
            step = head.lane_strides[<int>X]
            job.steps.turn(box + to * job.lane_bytes, tile.lanes,
                           address(x, from_x, from_x + (tile.lanes - 1) * step + length - 1, job.x_bytes), step,
                           tile.lanes, length)
        else:
            _load(job, tile, box + to * job.lane_bytes, x, from_x, from_mask, length, step)
        if head.coded:
            job.steps.load_codes(box + to * job.lane_bytes + tile.gap,
                                 address(tile.codes_in, from_x, from_x + (length - 1) * step + tile.lanes - 1,
                                         job.z_bytes), length, step, tile.lanes)
        elif head.streamed and tile.gap and not head.masked:
            memset(box + to * job.lane_bytes + tile.gap, 0, length * tile.lanes * job.lane_bytes)
        if not advance(index, low, high, walked):
            return origin


# --- rows: large windows ----------------------------------------------------------------------------------------

cdef void _stream(const Job* job, Tile* tile, const Job* counting, Tile* counted, Memory x,
                  Memory y, Memory z) noexcept nogil:
    """Pool one tile along the last row axis, the windows that begin in the next SLID cells (of each phase, where they
    are dilated) at a time; where cells may be absent, count them alongside."""
    cdef Py_ssize_t last = job.head.n_rows - 1
    cdef const Axis* run = &job.rows[last]
    cdef Py_ssize_t first = tile.first[last]
    cdef Py_ssize_t count = tile.count[last]
    cdef Py_ssize_t group = 0
    cdef Py_ssize_t w = 0
    cdef Py_ssize_t n, i, together, pitch
    cdef char* block
    cdef char* counts
    tile.codes_in = z
    _open_stream(job, tile)
    if counting != NULL:
        _open_stream(counting, counted)
    while w < count:
        n = min(count, ((group + 1) * SLID * run.dilation + run.stride - 1) // run.stride) - w
        _group(job, tile, x, y, group, first + w, n)
        if counting != NULL:
            _group(counting, counted, x, y, group, first + w, n)
        # Their rows are one block, if they are short; else each is finished alone.
        together = n if job.head.together else 1
        i = n if job.head.direct else 0
        while i < n:
            block = _finish(job, tile, y, first + w + i, together, i, &pitch)
            if counting != NULL:
                counts = _finish(counting, counted, y, first + w + i, together, i, &pitch)
                _store_with_gaps(job, tile, block, counts, pitch, y, z)
            elif block != NULL:
                _store(job, tile, block, pitch, y, z)
            i += together
        w += n
        group += 1


cdef void _open_stream(const Job* job, Tile* tile) noexcept nogil:
    """Lay out the rings, and fill what stands for cells that are not there."""
    cdef const Head* head = &job.head
    cdef const Axis* run = &job.rows[head.n_rows - 1]
    cdef const Py_ssize_t* lengths = _lengths(job)
    cdef Py_ssize_t level
    cdef Py_ssize_t slab = lengths[0]
    _planes(job, tile)
    tile.origin = _start(run, tile.first[head.n_rows - 1])
    tile.taken, tile.blocks = 0, 1
    for level in range(run.levels + 1):
        tile.rungs[level] = slab
        slab += lengths[level + 1] * run.dilation
    tile.nothing = _slab_at(job, tile, slab)
    tile.parts = _slab_at(job, tile, slab + 1)
    tile.made = tile.buffers
    job.steps.fill(tile.nothing, head.slab, tile.gap, NULL)
    if not head.together:
        slab += 1 if job.steps.slide != NULL else 2 + SLID
        tile.made = _slab_at(job, tile, slab)
        job.steps.fill(tile.made, (head.ring - slab) * head.slab, tile.gap, NULL)
    if head.n_rows > 1:
        job.steps.fill(_staging(job, tile), head.buffer, tile.gap, NULL)


cdef void _group(const Job* job, Tile* tile, Memory x, Memory y, Py_ssize_t group, Py_ssize_t first,
                 Py_ssize_t n) noexcept nogil:
    """Merge the rows of the `n` windows of a group, from `first` on."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t phase
    _take_in(job, tile, x, group)
    if n and head.together and head.has_across:
        _pad(job, tile)
    for phase in range(job.rows[head.n_rows - 1].dilation if n else 0):
        _slide(job, tile, x, y, group * SLID, phase, first, n)


cdef char* _finish(const Job* job, Tile* tile, Memory y, Py_ssize_t first, Py_ssize_t n, Py_ssize_t i,
                   Py_ssize_t* pitch) noexcept nogil:
    """Merge along the rows of `n` windows of a group from its window `i` on, which is `first`, as `_along` does."""
    cdef Py_ssize_t last = job.head.n_rows - 1
    cdef Py_ssize_t a
    tile.first[last], tile.count[last], tile.end[last] = first, n, first + n
    tile.rows = n
    for a in range(last):
        tile.rows *= tile.count[a]
    pitch[0] = _pitch(job, tile)
    return _along(job, tile, tile.made + i * job.head.slab * job.lane_bytes, y, pitch)


cdef void _take_in(const Job* job, Tile* tile, Memory x, Py_ssize_t group) noexcept nogil:
    """Put the cells that a group needs into the ring, unless they are read where they are, and merge them by SLID."""
    cdef const Head* head = &job.head
    cdef const Axis* run = &job.rows[head.n_rows - 1]
    cdef Py_ssize_t phase
    while head.staged and tile.taken < (group * SLID + SLID + run.kernel - 1) * run.dilation:
        if 0 <= tile.origin + tile.taken < run.size:
            _slab(job, tile, x, tile.origin + tile.taken, _slab_at(job, tile, tile.taken % _lengths(job)[0]))
        tile.taken += 1
    while run.n_last and tile.blocks < group + run.kernel // SLID:
        for phase in range(run.dilation):
            _add_block(job, tile, x, phase)
        tile.blocks += 1


cdef void _add_block(const Job* job, Tile* tile, Memory x, Py_ssize_t phase) noexcept nogil:
    """Merge the next SLID cells, and on each level of the ladder four of the level below."""
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef Row[SLID] rows
    cdef Row out = _rung(job, tile, 0, tile.blocks, phase)
    cdef Unit unit
    cdef Py_ssize_t t, number, level, start
    cdef Py_ssize_t below = 1
    for t in range(SLID):
        rows[t] = _cell(job, tile, x, tile.blocks * SLID + t, phase)
        rows[t].code = t * run.code
    for number in range(_units(job, tile)):
        unit = _unit(job, tile, number)
        _combine(job, tile, _at(&out, &unit), rows, SLID, &unit, 0)
    for level in range(run.levels):
        start = tile.blocks + 1 - 4 * below
        if start < 1:
            return
        for t in range(4):
            rows[t] = _rung(job, tile, level, start + t * below, phase)
            rows[t].code = t * below * SLID * run.code
        out = _rung(job, tile, level + 1, start, phase)
        for number in range(_units(job, tile)):
            unit = _unit(job, tile, number)
            _combine(job, tile, _at(&out, &unit), rows, 4, &unit, 0)
        below *= 4


cdef void _slide(const Job* job, Tile* tile, Memory x, Memory y, Py_ssize_t cell, Py_ssize_t phase, Py_ssize_t first,
                 Py_ssize_t n) noexcept nogil:
    """Make the windows that begin in SLID cells of a phase, from `cell` on: slide.h says of what.

    They are among the `n` windows from `first` on.
    """
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef Row[3 * SLID + BATCH] rows
    cdef Row* after = rows + SLID
    cdef Row* shared = rows + 2 * SLID
    cdef const Py_ssize_t* ladder = job.table + run.last
    cdef Py_ssize_t windows[SLID]
    cdef char* out[SLID]
    cdef Unit unit
    cdef Py_ssize_t t, number, at
    cdef Py_ssize_t n_shared = 0
    cdef Py_ssize_t rest = run.kernel % SLID if run.kernel > SLID else 0
    for t in range(SLID):
        # The window that begins here; -1 if there is none.
        at = tile.origin + run.low + (cell + t) * run.dilation + phase
        windows[t] = at // run.stride - first if at % run.stride == 0 and at // run.stride - first < n else -1
        rows[t] = _cell(job, tile, x, cell + t, phase)
        rows[t].code = t * run.code
        after[t] = _cell(job, tile, x, cell + run.kernel + t, phase)
        after[t].code = (run.kernel + t) * run.code
    # What all of them share, the smaller parts first.
    for t in range(run.kernel - rest, run.kernel):
        shared[n_shared] = _cell(job, tile, x, cell + t, phase)
        shared[n_shared].code = t * run.code
        n_shared += 1
    for t in range(run.n_last - 1, -1, -1):
        at = 1 + ladder[2 * t + 1]
        shared[n_shared] = _rung(job, tile, ladder[2 * t], cell // SLID + at, phase)
        shared[n_shared].code = at * SLID * run.code
        n_shared += 1
    for number in range(_units(job, tile)):
        unit = _unit(job, tile, number)
        for t in range(SLID):
            out[t] = _row_of(job, tile, y, &unit, first, n, windows[t]) if windows[t] >= 0 else NULL
        _slide_rows(job, tile, out, rows, n_shared, &unit)


cdef void _slide_rows(const Job* job, Tile* tile, char** out, const Row* rows, Py_ssize_t n_shared,
                      const Unit* unit) noexcept nogil:
    """Merge the rows of SLID windows: their first cells, those after the first window's last, and what they share."""
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef const Row* after = rows + SLID
    cdef const Row* shared = rows + 2 * SLID
    cdef char* at[2 * SLID + BATCH]
    cdef Row ends[SLID]
    cdef Row[SLID] both
    cdef Row grown
    cdef Py_ssize_t i, t
    if run.kernel <= SLID:
        for i in range(SLID):
            for t in range(run.kernel):
                both[t] = rows[i + t] if i + t < SLID else after[i + t - run.kernel]
            if out[i] != NULL:
                _combine(job, tile, out[i], both, run.kernel, unit, -i * run.code)
        return
    if job.steps.slide != NULL:
        for t in range(2 * SLID + n_shared):
            at[t] = _at(&rows[t], unit)
        job.steps.slide(<void**>out, <void**>at, <void**>(at + 2 * SLID), n_shared, <void**>(at + SLID), unit.length)
        return
    # The same in steps: the ends of the first cells, and what is shared as it grows.
    ends[SLID - 1] = rows[SLID - 1]
    for i in range(SLID - 2, -1, -1):
        both[0], both[1] = rows[i], ends[i + 1]
        ends[i] = _part(job, tile, i)
        _combine(job, tile, ends[i].at, both, 2, unit, 0)
    for i in range(SLID):
        if i:
            both[0], both[1] = grown, after[i - 1]
            grown = _part(job, tile, SLID - 1 + i % 2)
            _combine(job, tile, grown.at, both, 2, unit, 0)
        else:
            grown = _part(job, tile, SLID - 1)
            _combine(job, tile, grown.at, shared, n_shared, unit, 0)
        both[0], both[1] = ends[i], grown
        if out[i] != NULL:
            _combine(job, tile, out[i], both, 2, unit, -i * run.code)


cdef inline Row _part(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Return a row of scratch for one unit, whose codes are there already."""
    return _located(NOWHERE, tile.parts + number * job.head.slab * job.lane_bytes)


cdef inline char* _row_of(const Job* job, Tile* tile, Memory y, const Unit* unit, Py_ssize_t first, Py_ssize_t n,
                          Py_ssize_t window) noexcept nogil:
    """Return where the row of the `window`-th of `n` windows goes: to the output, if it is neither merged along nor
    converted, or into the block of all windows, or into one of its own."""
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef Py_ssize_t at = tile.begin * tile.lanes + unit.piece
    if job.head.direct:
        return _row(job, tile, y, _plane(job, Y, tile.plane + unit.row) + (first + window) * run.strides[<int>Y]
                    + tile.lane, 1)
    if job.head.together:
        at += (unit.row * n + window) * _pitch(job, tile)
    else:
        at += window * job.head.slab + unit.row * _pitch(job, tile)
    return tile.made + at * job.lane_bytes


cdef inline void _combine(const Job* job, Tile* tile, char* out, const Row* rows, Py_ssize_t n, const Unit* unit,
                          Py_ssize_t code) noexcept nogil:
    """Merge rows that lie anywhere; `code` is added to theirs."""
    cdef Py_ssize_t taps[SLID + BATCH]
    cdef Py_ssize_t codes[SLID + BATCH]
    cdef char* first = _at(&rows[0], unit)
    cdef Py_ssize_t t
    for t in range(n):
        taps[t] = (<Py_ssize_t>_at(&rows[t], unit) - <Py_ssize_t>first) // job.lane_bytes
        codes[t] = rows[t].code + code
    job.steps.combine(out, 0, first, 0, taps, codes, n, 1, unit.length, tile.gap, tile.gap, False, NULL)


cdef inline Py_ssize_t _pieces(const Job* job, const Tile* tile) noexcept nogil:
    """Return how many pieces of a row there are: one, or its cells if their lanes are not side by side."""
    if job.head.staged or not job.head.has_across or job.across.strides[<int>X] == tile.lanes:
        return 1
    return tile.stop - tile.begin


cdef inline Py_ssize_t _units(const Job* job, Tile* tile) noexcept nogil:
    """Return how many pieces of rows lie in a slab: those of each plane, and of each window along the other axes."""
    cdef Py_ssize_t units = tile.planes * _pieces(job, tile)
    cdef Py_ssize_t a
    for a in range(job.head.n_rows - 1):
        units *= tile.count[a]
    return units


cdef inline Py_ssize_t _length(const Tile* tile) noexcept nogil:
    """Return the lanes of a row: of its real cells."""
    return (tile.stop - tile.begin) * tile.lanes


cdef inline const Py_ssize_t* _lengths(const Job* job) noexcept nogil:
    """Return how many slabs the ring holds, and for each phase how many merged ones of each level."""
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    return job.table + run.last + 2 * run.n_last


cdef inline char* _slab_at(const Job* job, Tile* tile, Py_ssize_t slab) noexcept nogil:
    return tile.ring + slab * job.head.slab * job.lane_bytes


cdef inline Unit _unit(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Find where one of the units is."""
    cdef Py_ssize_t pieces = _pieces(job, tile)
    cdef Py_ssize_t row = number // pieces
    cdef Unit unit
    unit.row, unit.piece = row, (number - row * pieces) * tile.lanes
    unit.length = _length(tile) // pieces
    unit.in_scratch = number * unit.length * job.lane_bytes
    unit.in_source = 0
    if not job.head.staged:
        unit.in_source = (tile.plane_x[row] - tile.plane_x[0]) * job.x_bytes
        if pieces > 1:
            unit.in_source += (number - row * pieces) * job.across.strides[<int>X] * job.x_bytes
    return unit


cdef inline char* _at(const Row* row, const Unit* unit) noexcept nogil:
    """Return where the piece of one unit is."""
    return row.at + (unit.in_scratch if row.kind == SCRATCH else unit.in_source if row.kind == SOURCE else 0)


cdef inline Row _rung(const Job* job, Tile* tile, Py_ssize_t level, Py_ssize_t block, Py_ssize_t phase) noexcept nogil:
    """Return the rows of 4 ** level blocks of SLID cells, from this block on."""
    cdef Py_ssize_t turn = block % _lengths(job)[1 + level]
    return _located(SCRATCH, _slab_at(job, tile, tile.rungs[level] + turn * job.rows[job.head.n_rows - 1].dilation
                                      + phase))


cdef inline Row _cell(const Job* job, Tile* tile, Memory x, Py_ssize_t number, Py_ssize_t phase) noexcept nogil:
    """Return the rows under a cell, counted within its phase from the tile's first cell."""
    cdef const Axis* run = &job.rows[job.head.n_rows - 1]
    cdef Py_ssize_t cell = number * run.dilation + phase
    cdef Py_ssize_t first, last
    if not 0 <= tile.origin + cell < run.size:
        return _located(NOWHERE, tile.nothing)
    if job.head.staged:
        return _located(SCRATCH, _slab_at(job, tile, cell % _lengths(job)[0]))
    first = last = tile.plane_x[0] + (tile.origin + cell) * run.strides[<int>X]
    if job.head.has_across:
        first += (tile.start + tile.begin) * job.across.strides[<int>X]
        last += (tile.start + tile.stop - 1) * job.across.strides[<int>X]
    return _located(SOURCE, address(x, first, last + tile.lanes - 1, job.x_bytes))


cdef inline Row _located(Kind kind, char* at) noexcept nogil:
    """Return a row that lies there, the codes of which are as they stand."""
    cdef Row row
    row.kind, row.at, row.code = kind, at, 0
    return row


cdef inline char* _staging(const Job* job, Tile* tile) noexcept nogil:
    """Return the buffer in which what lies under a slab is staged, among padding that stays."""
    return tile.buffers + (job.head.buffers - 1) * job.head.buffer * job.lane_bytes


cdef void _slab(const Job* job, Tile* tile, Memory x, Py_ssize_t cell, char* out) noexcept nogil:
    """Merge what lies under one cell of the last row axis along the other axes across rows, all planes at once."""
    cdef Py_ssize_t last = job.head.n_rows - 1
    cdef const Axis* run = &job.rows[last]
    cdef Py_ssize_t box = _length(tile)
    cdef Py_ssize_t strides[MAX_AXES]
    cdef Py_ssize_t a, p
    cdef Py_ssize_t outer = tile.planes
    cdef char* block = _staging(job, tile) if last else out
    for a in range(last):
        box *= _span(&job.rows[a], tile.first[a], tile.count[a])
    for p in range(tile.planes):
        _stage(job, tile, x, tile.plane_x[p] + cell * run.strides[<int>X],
               tile.plane_mask[p] + cell * run.strides[<int>MASK], last, block + p * box * job.lane_bytes,
               _length(tile), 0, strides)
    for a in range(last):
        block = _pass(job, tile, &job.rows[a], block, outer, _span(&job.rows[a], tile.first[a], tile.count[a]),
                      tile.count[a], strides[a], out if a == last - 1 else _other(job, tile, block),
                      tile.count[a] * strides[a])
        outer *= tile.count[a]


# --- one axis of a block in scratch -----------------------------------------------------------------------------

cdef void _across_to_output(const Job* job, Tile* tile, char* block, Memory y) noexcept nogil:
    """Merge along the rows of the block straight into the output, and divide."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = job.across
    cdef const Axis* run = &job.rows[head.n_rows - 1]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t last = head.n_rows - 1
    cdef Py_ssize_t rows = tile.count[last]
    cdef Py_ssize_t planes = tile.planes
    cdef Py_ssize_t step = run.strides[<int>Y]
    cdef Py_ssize_t pitch = tile.cells
    cdef Py_ssize_t kernel, stride, a, p, r, n, to
    cdef double outer_count, count
    block = _folded(job, tile, block, planes * tile.rows * (tile.cells // axis.stride), &kernel)
    stride = axis.stride
    if axis.folds > 1:
        pitch = tile.cells // axis.stride * kernel
        stride = kernel
    if (head.n_rows == 1 and head.n_outer == 1 and rows == run.count and not head.counted
            and job.outer.strides[<int>Y] == rows * step):
        rows *= planes
        planes = 1
    for a in range(head.n_rows):
        index[a] = tile.first[a]
    for p in range(planes):
        while True:
            to = _plane(job, Y, tile.plane + p) + tile.column
            outer_count = 1
            for a in range(head.n_rows):
                to += index[a] * job.rows[a].strides[<int>Y]
                if head.counted and a < last:
                    outer_count *= _count(&job.rows[a], index[a], head.padded)
            r = 0
            while r < rows:
                n = rows - r
                count = job.divisor
                if head.counted:
                    # Rows of windows with as many taps go together.
                    count = _count(run, index[last] + r, head.padded)
                    n = 1
                    while r + n < rows and _count(run, index[last] + r + n, head.padded) == count:
                        n += 1
                _row(job, tile, y, to + (r + n - 1) * step, 1)
                _merge_along(job, tile, _row(job, tile, y, to + r * step, 1), step, block, pitch, n, kernel, stride,
                             _divisors(job, tile, outer_count * count))
                block += n * pitch * job.lane_bytes
                r += n
            if not advance(index, tile.first, tile.end, last):
                break


cdef inline void _merge_along(const Job* job, Tile* tile, char* out, Py_ssize_t out_step, const char* src,
                              Py_ssize_t src_step, Py_ssize_t rows, Py_ssize_t kernel, Py_ssize_t stride,
                              const void* divisors) noexcept nogil:
    """Merge along rows to where they end, and divide."""
    if job.across.doubled:
        job.steps.doubled(out, out_step, src, src_step, rows, tile.columns, kernel, divisors, tile.slots)
    else:
        job.steps.across(out, out_step, src, src_step, rows, tile.columns, kernel, stride, job.across.dilation, &ZERO,
                         1, divisors)


cdef const void* _divisors(const Job* job, Tile* tile, double count) noexcept nogil:
    """Return what the sums of a row are divided by if there are `count` taps across rows, or NULL."""
    cdef const Axis* axis = job.across
    cdef Py_ssize_t length = tile.columns * tile.lanes
    cdef Py_ssize_t w
    cdef double by = count
    cdef bint counted = job.head.counted and job.head.has_across
    if count == 0:
        return NULL
    if job.head.means:
        return &job.divisor
    if tile.by_count == count:
        return tile.by
    tile.by_count = count
    # Where the first and the last window are whole, so are those between.
    if (counted and _count(axis, tile.column, job.head.padded) == axis.kernel
            and _count(axis, tile.column + tile.columns - 1, job.head.padded) == axis.kernel):
        by *= axis.kernel
        counted = False
    if not counted and tile.by_same == by and tile.by_length >= length:
        return tile.by
    tile.by_same, tile.by_length = -1 if counted else by, length
    if counted:
        _count_columns(job, tile)
        for w in range(length):
            _set_divisor(job, tile, w, count * tile.counts[w])
    else:
        for w in range(length):
            _set_divisor(job, tile, w, by)
    return tile.by


cdef void _count_columns(const Job* job, Tile* tile) noexcept nogil:
    """Count the taps of the tile's windows along the rows, once."""
    cdef Py_ssize_t w
    if tile.counted == tile.column:
        return
    tile.counted = tile.column
    for w in range(tile.columns):
        tile.counts[w] = _count(job.across, tile.column + w, job.head.padded)


cdef inline void _set_divisor(const Job* job, Tile* tile, Py_ssize_t w, double by) noexcept nogil:
    if job.lane_bytes == sizeof(float):
        (<float*>tile.by)[w] = <float>by
    else:
        (<double*>tile.by)[w] = by


cdef void _roll(const Job* job, Tile* tile, Memory x, Memory y) noexcept nogil:
    """Pool rows of small whole numbers by running sums, from the input to the output."""
    cdef const Axis* run = job.rows
    cdef cypool_axis rows = _counting(job, run, tile.first[0], tile.count[0])
    cdef cypool_axis along
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t stop = 1
    cdef Py_ssize_t top = max(rows.first, 0)
    cdef Py_ssize_t bottom = min(rows.first + rows.windows + rows.kernel - 1, rows.size) - 1
    cdef Py_ssize_t from_x = tile.plane_x[0]
    cdef Py_ssize_t to = _plane(job, Y, tile.plane) + tile.first[0] * run.strides[<int>Y] + tile.lane
    cdef Py_ssize_t last = to + (tile.count[0] - 1) * run.strides[<int>Y] + tile.columns * tile.lanes - 1
    if job.head.has_across:
        along = _counting(job, job.across, tile.column, tile.columns)
        begin = max(along.first, 0)
        stop = min(along.first + along.windows + along.kernel - 1, along.size)
        to += tile.column * tile.lanes
        last += tile.column * tile.lanes
    else:
        along.size = along.kernel = along.windows = along.high = 1
        along.first = along.low = 0
    address(x, from_x + top * run.strides[<int>X] + begin * tile.lanes,
            from_x + bottom * run.strides[<int>X] + stop * tile.lanes - 1, job.x_bytes)
    job.steps.rolled(address(y, to, last, job.y_bytes), run.strides[<int>Y],
                     job.y_bytes if job.head.y_type != job.head.x_type else 0, x.data + from_x * job.x_bytes,
                     run.strides[<int>X], &rows, &along, tile.lanes, job.divisor, tile.slots)


cdef inline cypool_axis _counting(const Job* job, const Axis* axis, Py_ssize_t first,
                                  Py_ssize_t windows) noexcept nogil:
    """Say where the windows of a tile lie along an axis, and which of their cells they count."""
    cdef cypool_axis of
    of.size, of.kernel, of.windows, of.first = axis.size, axis.kernel, windows, _start(axis, first)
    of.low = -axis.low if job.head.padded else 0
    of.high = axis.size + (axis.high if job.head.padded else 0)
    return of


cdef void _bare(const Job* job, Tile* tile, Memory x, Memory y) noexcept nogil:
    """Pool rows alone, straight from the input to the output; what touches padding, or the end, through scratch."""
    cdef const Axis* axis = job.across
    cdef const Axis* run = job.rows
    cdef Py_ssize_t first = tile.column
    cdef Py_ssize_t end = tile.column + tile.columns
    cdef Py_ssize_t begin = min(max(first, (axis.low + axis.stride - 1) // axis.stride), end)
    # Divided after the stride is added: C rounds towards 0, and no window at all may be whole.
    cdef Py_ssize_t stop = min(end, max(begin, (axis.size + axis.low - _extent(axis) + axis.stride) // axis.stride))
    cdef Py_ssize_t from_x, to
    tile.plane_to[0] = 0
    if begin < stop:
        _columns(axis, tile, begin, stop - begin)
        from_x = tile.plane_x[0] + tile.first[0] * run.strides[<int>X] + tile.start
        to = _plane(job, Y, tile.plane) + tile.first[0] * run.strides[<int>Y] + begin
        _row(job, tile, y, to + (tile.rows - 1) * run.strides[<int>Y], 1)
        address(x, from_x, from_x + (tile.rows - 1) * run.strides[<int>X] + tile.stop - 1, job.x_bytes)
        _merge_along(job, tile, _row(job, tile, y, to, 1), run.strides[<int>Y],
                     address(x, from_x, from_x, job.x_bytes), run.strides[<int>X], tile.rows, axis.kernel, axis.stride,
                     _divisors(job, tile, 1 if job.head.counted else job.divisor))
    if first < begin:
        _edge(job, tile, x, y, first, begin)
    if stop < end:
        _edge(job, tile, x, y, stop, end)


cdef void _edge(const Job* job, Tile* tile, Memory x, Memory y, Py_ssize_t first,
                Py_ssize_t end) noexcept nogil:
    """Pool the windows `first`..`end` - 1 of the rows of a tile through scratch."""
    _columns(job.across, tile, first, end - first)
    tile.plane_to[0] = tile.begin
    _pad(job, tile)
    _direct_rows(job, tile, x, tile.buffers)
    _across_to_output(job, tile, tile.buffers, y)


cdef inline bint _one_by_one(const Job* job, Tile* tile) noexcept nogil:
    """Whether rows are merged one by one, and not in one run over all of them."""
    return (tile.columns * tile.lanes >= LONG_RUN or tile.planes * tile.rows == 1 or job.head.turned
            or tile.cells < job.across.stride or job.across.bins != 0 or job.across.slid or job.across.doubled)


cdef inline Py_ssize_t _across_pitch(const Job* job, Tile* tile) noexcept nogil:
    """Return how far apart the rows are that `_across` makes."""
    return (tile.columns if _one_by_one(job, tile) else tile.cells // job.across.stride) * tile.lanes


cdef char* _across(const Job* job, Tile* tile, char* block, char* out) noexcept nogil:
    """Merge along the rows of the block to `out`, and return it."""
    cdef const Axis* axis = job.across
    cdef Py_ssize_t outer = tile.planes * tile.rows
    cdef Py_ssize_t o
    if axis.bins or axis.doubled:
        return _pass(job, tile, axis, block, outer, tile.cells, tile.columns, tile.lanes, out,
                     tile.columns * tile.lanes)
    if _one_by_one(job, tile):
        # A row after the other, so that what is made of it on the way stays in the first-level cache.
        for o in range(outer):
            _pass(job, tile, axis, block + o * tile.cells * tile.lanes * job.lane_bytes, 1, tile.cells, tile.columns,
                  tile.lanes, out + o * tile.columns * tile.lanes * job.lane_bytes, 0)
        return out
    # One run over all rows: windows that reach from one row into the next are made too, and not stored.
    return _pass(job, tile, axis, block, 1, outer * tile.cells, (outer * tile.cells - _extent(axis)) // axis.stride + 1,
                 tile.lanes, out, 0)


cdef char* _pass(const Job* job, Tile* tile, const Axis* axis, char* block, Py_ssize_t outer, Py_ssize_t cells,
                 Py_ssize_t windows, Py_ssize_t inner, char* out, Py_ssize_t out_step) noexcept nogil:
    """Merge one axis of a block of (outer, cells, inner) lanes to `out`, of (outer, windows, inner); returns `out`.

    Large windows of lanes side by side are made eight cells at a time (slide.h), those of one lane by doubling
    (doubling.h). For others, the ladder makes windows
    of 4, 16, 64, ... taps for every cell, each from four of the last; what remains is a few merges from its levels for
    each window.
    """
    cdef Py_ssize_t bytes = job.lane_bytes
    cdef Py_ssize_t buffer = job.head.buffer
    cdef Py_ssize_t taps[BATCH]
    cdef Py_ssize_t codes[BATCH]
    cdef Py_ssize_t o, t, n, level, first
    cdef Py_ssize_t taps_below = 1
    cdef Py_ssize_t reach
    cdef Py_ssize_t length = outer * cells * inner
    if axis.bins:
        return _bins(job, tile, axis, block, outer, cells, windows, inner, out, out_step)
    if axis.doubled:
        job.steps.doubled(out, out_step, block, cells, outer, windows, axis.kernel, NULL, tile.slots)
        return out
    if axis.slid:
        for o in range(outer):
            _along_lanes(job, axis, out + o * out_step * bytes, block + o * cells * inner * bytes, windows, inner,
                         tile.buffers + 3 * buffer * bytes)
        return out
    cdef char* below = block
    cdef char* rung
    for level in range(axis.levels):
        reach = taps_below * axis.dilation * inner
        for t in range(4):
            taps[t] = t * reach
            codes[t] = t * taps_below * axis.code
        rung = tile.buffers + (3 + level) * buffer * bytes
        length -= 3 * reach
        job.steps.combine(rung, 0, below, 0, taps, codes, 4, 1, length, tile.gap, tile.gap, False, NULL)
        below = rung
        taps_below *= 4
    cdef const Py_ssize_t* last = job.table + axis.last
    first = 0
    while first < axis.n_last:
        n = min(<Py_ssize_t>BATCH, axis.n_last - first)
        for t in range(n):
            level = last[2 * (first + t)]
            taps[t] = last[2 * (first + t) + 1] * axis.dilation * inner
            if level:
                taps[t] += (tile.buffers - block) // bytes + (2 + level) * buffer
            codes[t] = last[2 * (first + t) + 1] * axis.code
        for o in range(outer):
            _strided(job, tile, axis, out + o * out_step * bytes, block + o * cells * inner * bytes, taps, codes, n,
                     windows, inner, first > 0)
        first += n
    return out


cdef inline void _along_lanes(const Job* job, const Axis* axis, char* out, const char* src, Py_ssize_t windows,
                              Py_ssize_t lanes, char* scratch) noexcept nogil:
    """out[w, j] = the merged src[w + t * dilation, j] for all taps t; the scratch is as large as what is read."""
    cdef Py_ssize_t d = axis.dilation
    cdef Py_ssize_t step = lanes * job.lane_bytes
    cdef Py_ssize_t phase
    for phase in range(min(d, windows)):
        job.steps.along(out + phase * step, d * lanes, src + phase * step, d * lanes, (windows - phase + d - 1) // d,
                        axis.kernel, lanes, scratch)


cdef void _strided(const Job* job, Tile* tile, const Axis* axis, char* out, char* block, Py_ssize_t* taps,
                   const Py_ssize_t* codes, Py_ssize_t n, Py_ssize_t windows, Py_ssize_t inner,
                   bint more) noexcept nogil:
    """out[w, j] = the merged block[w * stride, taps[t] + j] for all t."""
    cdef Py_ssize_t s = axis.stride
    cdef Py_ssize_t kernel
    if s == 1:
        job.steps.combine(out, 0, block, 0, taps, codes, n, 1, windows * inner, tile.gap, tile.gap, more, NULL)
    elif inner >= WIDE_LANES or axis != job.across:
        job.steps.combine(out, inner, block, s * inner, taps, codes, n, windows, inner, tile.gap, tile.gap, more, NULL)
    elif axis.folds:
        block = _folded(job, tile, block, windows, &kernel)
        job.steps.across(out, 0, block, 0, 1, windows, kernel, kernel if axis.folds > 1 else s, 1, &ZERO, 1, NULL)
    else:
        _split(job, tile, axis, out, block, taps, codes, n, windows, inner, more)


cdef char* _folded(const Job* job, Tile* tile, char* block, Py_ssize_t windows, Py_ssize_t* kernel) noexcept nogil:
    """Make what one call of `across` makes windows of, by two and by three through the slots; return it.

    `kernel` becomes the cells of a window that are left. Windows that one call can make are left as they are.
    """
    cdef Py_ssize_t left = job.across.folds
    cdef Py_ssize_t factor
    cdef char* slot = tile.slots
    kernel[0] = job.across.kernel
    while left > 1:
        left -= 1
        factor = 2 if kernel[0] % 2 == 0 else 3
        kernel[0] //= factor
        job.steps.across(slot, 0, block, 0, 1, windows * kernel[0], factor, factor, 1, &ZERO, 1, NULL)
        block = slot
        slot += windows * kernel[0] * job.lane_bytes
    return block


cdef void _split(const Job* job, Tile* tile, const Axis* axis, char* out, char* block, const Py_ssize_t* taps,
                 const Py_ssize_t* codes, Py_ssize_t n, Py_ssize_t windows, Py_ssize_t inner,
                 bint more) noexcept nogil:
    """Put every stride-th group of lanes side by side, once for each offset below the stride that the taps need."""
    cdef Py_ssize_t step = axis.stride * inner
    cdef Py_ssize_t side[BATCH]
    cdef Py_ssize_t t, u, away, reach
    cdef Py_ssize_t slot = 0
    for t in range(n):
        side[t] = -1
    for t in range(n):
        if side[t] >= 0:
            continue
        # Taps a whole number of strides further on in the same rung share the copy.
        side[t] = slot
        reach = 0
        for u in range(t + 1, n):
            away = taps[u] - taps[t]
            if side[u] < 0 and away >= 0 and away < _extent(axis) * inner and away % step == 0:
                side[u] = slot + away // axis.stride
                reach = max(reach, away // step)
        job.steps.split(tile.slots + slot * job.lane_bytes, block + taps[t] * job.lane_bytes, windows + reach, step,
                        inner)
        if tile.gap:
            job.steps.split(tile.slots + slot * job.lane_bytes + tile.gap, block + taps[t] * job.lane_bytes + tile.gap,
                            windows + reach, step, inner)
        slot += (windows + reach) * inner
    job.steps.combine(out, 0, tile.slots, 0, side, codes, n, 1, windows * inner, tile.gap, tile.gap, more, NULL)


# --- windows along the rows that only the table knows -----------------------------------------------------------

cdef char* _bins(const Job* job, Tile* tile, const Axis* axis, char* block, Py_ssize_t outer, Py_ssize_t cells,
                 Py_ssize_t windows, Py_ssize_t inner, char* out, Py_ssize_t out_step) noexcept nogil:
    """As `_pass`, for windows of a table. Codes of flat indices count from the tile's first cell.

    Rows of few lanes are turned, so that one window's cells lie side by side for all of them: a vector of rows.
    """
    cdef Py_ssize_t bytes = job.lane_bytes
    cdef bint turned = inner < WIDE_LANES and outer > FEW_ROWS
    cdef char* side = tile.slots
    cdef char* done = tile.slots + job.head.buffer * bytes
    cdef Py_ssize_t pitch = outer * inner
    cdef Py_ssize_t o, w, start, n
    if axis.kernel > CHAIN:
        for o in range(outer):
            for w in range(windows):
                start, n = _start(axis, tile.column + w) - tile.start, _span(axis, tile.column + w, 1)
                _shrink(job, tile, axis, block + (o * cells + start) * inner * bytes, start * axis.base, n, inner,
                        out + (o * out_step + w * inner) * bytes)
        return out
    if turned:
        _turn(job, tile, side, pitch, block, cells * inner, outer, cells, inner)
    for w in range(windows):
        start, n = _start(axis, tile.column + w) - tile.start, _span(axis, tile.column + w, 1)
        if turned:
            _merge_bin(job, tile, axis, done + w * pitch * bytes, 0, side + start * pitch * bytes, 0, pitch,
                       start * axis.base, n, 1, pitch)
        else:
            _merge_bin(job, tile, axis, out + w * inner * bytes, out_step, block + start * inner * bytes,
                       cells * inner, inner, start * axis.base, n, outer, inner)
    if turned:
        _turn(job, tile, out, out_step, done, pitch, windows, outer, inner)
    return out


cdef inline void _turn(const Job* job, Tile* tile, char* out, Py_ssize_t out_step, const char* src,
                       Py_ssize_t src_step, Py_ssize_t rows, Py_ssize_t cells, Py_ssize_t lanes) noexcept nogil:
    """out[c, r] = src[r, c], each a group of lanes, with their codes."""
    cdef Py_ssize_t c
    if lanes == 1 and job.steps.turn != NULL:
        job.steps.turn(out, out_step, src, src_step, rows, cells)
        if tile.gap:
            job.steps.turn(out + tile.gap, out_step, src + tile.gap, src_step, rows, cells)
        return
    for c in range(cells):
        _side_by_side(job, tile, out + c * out_step * job.lane_bytes, src + c * lanes * job.lane_bytes, rows, src_step,
                      lanes)


cdef inline void _merge_bin(const Job* job, Tile* tile, const Axis* axis, char* out, Py_ssize_t out_step, char* src,
                            Py_ssize_t src_step, Py_ssize_t cell, Py_ssize_t code, Py_ssize_t n, Py_ssize_t rows,
                            Py_ssize_t length) noexcept nogil:
    """out[r, j] = the merged src[r, t * cell + j] for t < n <= CHAIN; the first has this code."""
    cdef Py_ssize_t taps[CHAIN]
    cdef Py_ssize_t codes[CHAIN]
    cdef Py_ssize_t t
    for t in range(n):
        taps[t] = t * cell
        codes[t] = code + t * axis.code
    job.steps.combine(out, out_step, src, src_step, taps, codes, n, rows, length, tile.gap, tile.gap, False, NULL)


cdef void _shrink(const Job* job, Tile* tile, const Axis* axis, char* src, Py_ssize_t code, Py_ssize_t n,
                  Py_ssize_t inner, char* out) noexcept nogil:
    """Merge `n` cells that follow each other: CHAIN parts of them become one, until it is a single cell.

    A sum is rounded no more than twice for each doubling of n.
    """
    cdef Py_ssize_t taps[CHAIN]
    cdef Py_ssize_t codes[CHAIN]
    cdef Py_ssize_t t, part, parts, rest
    cdef char* to = tile.slots
    while n > CHAIN:
        part = (n + CHAIN - 1) // CHAIN
        parts = (n + part - 1) // part
        rest = n - (parts - 1) * part       # cells of the last one
        for t in range(parts):
            taps[t] = t * part * inner
            codes[t] = t * part * axis.code
        job.steps.combine(to, 0, src, 0, taps, codes, parts, 1, rest * inner, tile.gap, tile.gap, False, NULL)
        if rest < part:
            job.steps.combine(to + rest * inner * job.lane_bytes, 0, src + rest * inner * job.lane_bytes, 0, taps,
                              codes, parts - 1, 1, (part - rest) * inner, tile.gap, tile.gap, False, NULL)
        src, n = to, part
        to = tile.slots + (job.head.buffer * job.lane_bytes if to == tile.slots else 0)
    _merge_bin(job, tile, axis, out, 0, src, 0, inner, code, n, 1, inner)


cdef inline void _side_by_side(const Job* job, Tile* tile, char* out, const char* src, Py_ssize_t length,
                               Py_ssize_t step, Py_ssize_t lanes) noexcept nogil:
    """Copy every group of lanes, with their codes."""
    job.steps.split(out, src, length, step, lanes)
    if tile.gap:
        job.steps.split(out + tile.gap, src + tile.gap, length, step, lanes)


# --- store ------------------------------------------------------------------------------------------------------

cdef void _store(const Job* job, Tile* tile, char* block, Py_ssize_t pitch, Memory y,
                 Memory z) noexcept nogil:
    """Write the rows of the block, `pitch` elements apart, to the output and the indices."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = job.across
    cdef const Axis* run = &job.rows[head.n_rows - 1]
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t last = head.n_rows - 1
    cdef Py_ssize_t y_step = axis.strides[<int>Y] if head.has_across else tile.lanes
    cdef Py_ssize_t z_step = axis.strides[<int>Z] if head.has_across else tile.lanes
    cdef Py_ssize_t length = tile.columns * tile.lanes
    cdef Py_ssize_t p, a, r, to_y, to_z, at_z, base
    cdef Py_ssize_t rows = tile.count[last]
    cdef Py_ssize_t planes = tile.planes
    cdef Py_ssize_t bytes = job.lane_bytes
    cdef double outer_count, count
    # Rows that lie in the output as in the block are copied many at once; short ones that are to be divided or
    # converted are so beforehand, in one run over the block.
    cdef bint alike = _alike(job, tile, y_step)
    cdef bint copied = alike and not head.converts
    cdef char* converted = _other(job, tile, block)
    if head.power:
        roots(<double*>block, planes * tile.rows * pitch, <double>head.power)
    if head.turned:
        _store_turned(job, tile, block, converted, y)
        return
    if (alike and head.converts and not head.counted and not head.indices and job.y_bytes <= bytes
            and length < SHORT_ROW):
        job.steps.store(converted, 1, 1, block, planes * tile.rows * pitch, 1, NULL, job.divisor)
        block = converted
        bytes = job.y_bytes
        copied = True
    if (copied and not head.indices and head.n_rows == 1 and head.n_outer == 1 and rows == run.count
            and job.outer.strides[<int>Y] == rows * run.strides[<int>Y]):
        rows *= planes
        planes = 1
    if head.counted and head.has_across:
        _count_columns(job, tile)
    for a in range(head.n_rows):
        index[a] = tile.first[a]
    for p in range(planes):
        while True:
            to_y = _plane(job, Y, tile.plane + p) + tile.column * y_step + tile.lane * head.lane_strides[<int>Y]
            to_z = base = 0
            outer_count = 1
            for a in range(head.n_rows):
                to_y += index[a] * job.rows[a].strides[<int>Y]
                if head.counted and a < last:
                    outer_count *= _count(&job.rows[a], index[a], head.padded)
            if head.indices:
                to_z = _plane(job, Z, tile.plane + p) + tile.column * z_step + tile.lane * head.lane_strides[<int>Z]
                base = tile.start * axis.base if head.has_across else 0
                for a in range(head.n_rows):
                    to_z += index[a] * job.rows[a].strides[<int>Z]
                    if a < last:
                        base += _start(&job.rows[a], index[a]) * job.rows[a].base
            if copied:
                job.steps.copy(_row(job, tile, y, to_y + (rows - 1) * run.strides[<int>Y], y_step)
                               - (rows - 1) * run.strides[<int>Y] * job.y_bytes, run.strides[<int>Y], block, pitch,
                               &ZERO, &ZERO, 1, rows, length, 0, 0, False, NULL)
            for r in range(rows):
                if not copied:
                    count = outer_count * _count(run, index[last] + r, head.padded) if head.counted else job.divisor
                    job.steps.store(_row(job, tile, y, to_y + r * run.strides[<int>Y], y_step), y_step,
                                    head.lane_strides[<int>Y], block + r * pitch * bytes, tile.columns, tile.lanes,
                                    tile.counts if head.counted and head.has_across else NULL, count)
                if head.indices:
                    at_z = to_z + r * run.strides[<int>Z]
                    job.steps.store_codes(address(z, at_z, at_z, job.z_bytes), z_step, head.lane_strides[<int>Z], block
                                          + r * pitch * bytes + tile.gap, tile.columns, tile.lanes,
                                          base + _start(run, index[last] + r) * run.base,
                                          axis.stride * axis.base if head.has_across and not axis.bins else 0)
            block += rows * pitch * bytes
            if not advance(index, tile.first, tile.end, last):
                break


cdef void _store_turned(const Job* job, Tile* tile, char* block, char* divided, Memory y) noexcept nogil:
    """Write the windows of the block, whose lanes are planes, to the output."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t bytes = job.lane_bytes
    cdef Py_ssize_t step = head.lane_strides[<int>Y]
    cdef Py_ssize_t windows = tile.columns
    cdef Py_ssize_t walked = head.n_rows
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t a, p, r, w, to
    cdef double count
    for a in range(head.n_rows):
        index[a] = tile.first[a]
    if head.converts and not head.counted:
        job.steps.store(divided, 1, 1, block, tile.planes * tile.rows * tile.columns * tile.lanes, 1, NULL,
                        job.divisor)
    elif head.converts:
        if head.has_across:
            _count_columns(job, tile)
        for r in range(tile.planes * tile.rows):
            count = 1
            for a in range(head.n_rows):
                count *= _count(&job.rows[a], index[a], head.padded)
            for w in range(tile.columns):
                to = (r * tile.columns + w) * tile.lanes * bytes
                job.steps.store(divided + to, 1, 1, block + to, tile.lanes, 1, NULL,
                                count * tile.counts[w] if head.has_across else count)
            advance(index, tile.first, tile.end, head.n_rows)
    if head.converts:
        block = divided
    # Windows that lie side by side in each plane of the output are one row.
    while walked > 0 and job.rows[walked - 1].strides[<int>Y] == windows:
        walked -= 1
        windows *= tile.count[walked]
    for p in range(tile.planes):
        while True:
            to = _plane(job, Y, tile.plane + p) + tile.lane * step
            for a in range(head.n_rows):
                to += index[a] * job.rows[a].strides[<int>Y]
            job.steps.turn(address(y, to, to + (tile.lanes - 1) * step + windows - 1, job.y_bytes), step, block,
                           tile.lanes, windows, tile.lanes)
            block += windows * tile.lanes * bytes
            if not advance(index, tile.first, tile.end, walked):
                break


cdef inline bint _alike(const Job* job, Tile* tile, Py_ssize_t y_step) noexcept nogil:
    """Whether the cells of a row lie in the output as they do in a block."""
    return ((y_step == tile.lanes or tile.columns == 1)
            and (job.head.lane_strides[<int>Y] == 1 or tile.lanes == 1))


cdef void _store_with_gaps(const Job* job, Tile* tile, char* block, char* counts, Py_ssize_t pitch, Memory y,
                           Memory z) noexcept nogil:
    """As `_store`, where `counts` holds how many cells each window of the block has."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = job.across
    cdef Py_ssize_t index[MAX_AXES]
    cdef Py_ssize_t y_step = axis.strides[<int>Y] if head.has_across else tile.lanes
    cdef Py_ssize_t z_step = axis.strides[<int>Z] if head.has_across else tile.lanes
    cdef Py_ssize_t count_bytes = bytes_of(head.count_type)
    cdef Py_ssize_t p, a, w, to_y, to_z, base
    cdef double inside, counted
    cdef bint enough
    cdef char* to
    for a in range(head.n_rows):
        index[a] = tile.first[a]
    for p in range(tile.planes):
        while True:
            to_y = _plane(job, Y, tile.plane + p) + tile.column * y_step + tile.lane * head.lane_strides[<int>Y]
            to_z = _plane(job, Z, tile.plane + p) + tile.column * z_step + tile.lane * head.lane_strides[<int>Z]
            base = tile.start * axis.base if head.has_across else 0
            inside = counted = 1
            for a in range(head.n_rows):
                to_y += index[a] * job.rows[a].strides[<int>Y]
                to_z += index[a] * job.rows[a].strides[<int>Z]
                base += _start(&job.rows[a], index[a]) * job.rows[a].base
                inside *= _count(&job.rows[a], index[a], False)
                counted *= _count(&job.rows[a], index[a], head.padded)
            # Cells of padding that count in the average of a window.
            for w in range(tile.columns):
                tile.counts[w] = counted - inside
                if head.has_across and head.padded:
                    tile.counts[w] = (counted * _count(axis, tile.column + w, True)
                                      - inside * _count(axis, tile.column + w, False))
            enough = job.steps.judge(tile.divisors, tile.enough, counts, tile.columns, tile.lanes, tile.counts,
                                     head.least, head.counted)
            to = _row(job, tile, y, to_y, y_step)
            if not head.counted:
                job.steps.store(to, y_step, head.lane_strides[<int>Y], block, tile.columns, tile.lanes, NULL,
                                job.divisor)
            elif tile.lanes == 1:
                job.steps.store(to, y_step, 1, block, tile.columns, 1, tile.divisors, 1)
            else:
                for w in range(tile.columns):
                    job.steps.store(to + w * y_step * job.y_bytes, head.lane_strides[<int>Y], 1,
                                    block + w * tile.lanes * job.lane_bytes, tile.lanes, 1,
                                    tile.divisors + w * tile.lanes, 1)
            if head.least == 0 and not job.steps.judge(tile.divisors, tile.enough, counts, tile.columns, tile.lanes,
                                                       tile.counts, 1, False):
                # A sum of nothing is 0, not the -0.0 that adds nothing.
                job.steps.patch_y(to, y_step, head.lane_strides[<int>Y], &NOTHING, tile.enough, tile.columns,
                                  tile.lanes)
                job.steps.judge(tile.divisors, tile.enough, counts, tile.columns, tile.lanes, tile.counts, head.least,
                                head.counted)
            if not enough:
                job.steps.patch_y(to, y_step, head.lane_strides[<int>Y], job.missing, tile.enough, tile.columns,
                                  tile.lanes)
            if head.indices:
                to = address(z, to_z, to_z, job.z_bytes)
                job.steps.store_codes(to, z_step, head.lane_strides[<int>Z], block + tile.gap, tile.columns, tile.lanes,
                                      base, axis.stride * axis.base if head.has_across and not axis.bins else 0)
                if not enough:
                    job.steps.patch_z(to, z_step, head.lane_strides[<int>Z], &NONE, tile.enough, tile.columns,
                                      tile.lanes)
            block += pitch * job.lane_bytes
            counts += pitch * count_bytes
            if not advance(index, tile.first, tile.end, head.n_rows):
                break


cdef inline char* _row(const Job* job, Tile* tile, Memory y, Py_ssize_t first, Py_ssize_t step) noexcept nogil:
    """Return where a row of the output starts; the checked build looks at its end as well."""
    return address(y, first, first + (tile.columns - 1) * step + (tile.lanes - 1) * job.head.lane_strides[<int>Y],
                   job.y_bytes)


cdef inline char* _other(const Job* job, Tile* tile, char* block) noexcept nogil:
    """Return a buffer to make something of the block in: never buffer 0, where padding stays."""
    cdef Py_ssize_t bytes = job.head.buffer * job.lane_bytes
    return tile.buffers + (2 * bytes if block == tile.buffers + bytes else bytes)


cdef double _count(const Axis* axis, Py_ssize_t window, bint padded) noexcept nogil:
    """Return how many taps of a window lie on cells, or on cells and padding."""
    cdef Py_ssize_t first, last
    if padded:
        _taps(axis, window, axis.low, axis.high, &first, &last)
    else:
        _taps(axis, window, 0, 0, &first, &last)
    return <double>(last - first)
