"""Pools that weigh the cells of a window by their values, and their gradients. Compiled once per instruction-set level.

Windows are treated a row at a time: those next to each other along one axis, with the lanes of a kept axis and several
planes, as many as make some 256 doubles. For each tap its cells are loaded into a row (`window_plan.py` decides rows),
whatever their type, with cells that change nothing where the tap lies in the padding. A formula then goes over rows:

    peak      the window's greatest cell, so that nothing that follows overflows;
    sum       up to two sums over the cells, settled every few taps so that they lose nothing;
    finish    the result from both.

Where windows are long and few the row is a stretch of one window's cells instead, and is folded in the end.

A gradient owns a box of cells. It visits the windows that touch the box, makes their peaks and sums again where the
formula needs them, and adds each tap's part to sums in scratch, in which the cells that a tap of neighbouring windows
lies on stand side by side. All orders of addition depend on the plan alone.

Everything is double precision, whatever arrays hold. Offsets count elements, except where a name ends in `bytes`.
"""

from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cypool._kernels.cells cimport bytes_of, to_cell, to_lane
from cypool._kernels.memory cimport Memory, address, memory_of, table_of
from cypool._kernels.powers cimport cypool_exp, cypool_log, power, root, roots
from cypool._kernels.walk cimport ceil, floor
from cypool._types cimport F8, N_TYPES
from cypool._types cimport brain_t, half_t, kept_t, stored_t

cdef extern from "exponents.h" nogil:
    double cypool_of_bits(uint64_t bits)
    uint64_t cypool_bits_of(double value)

cdef enum:
    MAX_AXES = 64
    PLANES = 64         # in a tile at most
    ROW = 256           # doubles
    ROWS = 14           # of scratch
    SETTLED = 16        # taps that are added before their sum is settled
    ALIGNMENT = 64      # bytes

# In the order of `window_plan.OPS`.
cdef enum OpName:
    LP_SMALL, LP_ANY, LP_MAX, MEAN_SMALL, MEAN_ANY, MEAN_SLOPE, LOGSUMEXP, SOFT, WEIGHTED, WEIGHTS, EXPECTED, STOCHASTIC
    LP_FACTORED, MEAN_FACTORED

# x and its weights; the result; then by windows: the gradient or the random numbers, and the pool or the indices.
cdef enum Array:
    X, W, OUT, G, Y
    N_ARRAYS

cdef struct Axis:
    Py_ssize_t size, kernel, stride, dilation, low, high, count
    Py_ssize_t strides[N_ARRAYS]
    Py_ssize_t code, base       # of flat indices: of a step along the taps, and along the cells
    Py_ssize_t side             # cells of a gradient's box

cdef struct Outer:
    Py_ssize_t size
    Py_ssize_t strides[N_ARRAYS]

cdef struct Head:
    Py_ssize_t op, peak, sums, counted
    Py_ssize_t types[N_ARRAYS]
    Py_ssize_t starts[N_ARRAYS]
    Py_ssize_t planes, planes_tile, summed, lanes, lanes_tile
    Py_ssize_t lane_strides[N_ARRAYS]
    Py_ssize_t width, fold      # windows of a row, or cells of one window
    Py_ssize_t phases           # cells of a box that are this far apart along a row stand side by side
    Py_ssize_t box, units
    Py_ssize_t run, n_axes, n_outer, n_summed

ctypedef void (*store_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const double* src, Py_ssize_t length,
                         Py_ssize_t lanes) noexcept nogil
ctypedef void (*load_f)(double* out, const void* src, Py_ssize_t length, Py_ssize_t step, Py_ssize_t lanes,
                        Py_ssize_t lane_step) noexcept nogil
ctypedef void (*peak_f)(double* m, const double* x, Py_ssize_t n) noexcept nogil
ctypedef void (*sum_f)(double* s, double* t, const double* x, const double* w, const double* m, const double* d,
                       Py_ssize_t n, double p) noexcept nogil
ctypedef void (*finish_f)(double* out, const double* m, const double* d, const double* s, const double* t,
                          const double* count, Py_ssize_t n, double p) noexcept nogil
ctypedef void (*part_f)(double* out, const double* g, const double* x, const double* w, const double* y,
                        const double* m, const double* d, const double* s, const double* t, const double* count,
                        Py_ssize_t n, double p) noexcept nogil
ctypedef void (*factor_f)(double* row, const double* sums, Py_ssize_t n, double p) noexcept nogil

# What an op does with rows: its formulas, the cell that changes nothing, and how its peaks become divisors.
cdef struct Op:
    peak_f peak
    sum_f sum
    finish_f finish
    part_f part
    factor_f factor             # if parts are of windows alone: multiplies their sums with what is of the cells
    double nothing
    bint scaled                 # divisors are powers of two

cdef struct Job:
    Head head
    Op op
    double p
    const Axis* axes
    const Outer* outer
    Memory arrays[N_ARRAYS]
    Py_ssize_t bytes[N_ARRAYS]          # of an element
    load_f loads[N_ARRAYS]
    store_f store

# Where a row lies, and the scratch of its thread.
cdef struct Tile:
    Py_ssize_t plane, planes, summed, lane, lanes
    Py_ssize_t offsets[N_ARRAYS][PLANES]    # where each plane starts
    Py_ssize_t window[MAX_AXES]             # the first of the row
    Py_ssize_t windows                      # along the run
    Py_ssize_t width                        # the same, or the cells of a stretch
    Py_ssize_t n                            # doubles of a row
    Py_ssize_t low[MAX_AXES]                # a box of cells
    Py_ssize_t high[MAX_AXES]
    Py_ssize_t pitch[MAX_AXES]
    Py_ssize_t plane_pitch
    Py_ssize_t first[MAX_AXES]              # taps
    Py_ssize_t last[MAX_AXES]
    Py_ssize_t tap[MAX_AXES]
    Py_ssize_t begin, stop                  # the part of the row whose tap is a cell
    double* x
    double* w
    double* m                               # peaks
    double* d                               # divisors, or the powers of two that are multiplied with
    double* s                               # two sums,
    double* t
    double* settled[2]                      # what of them is settled,
    double* lost[2]                         # and what was rounded off
    double* count
    double* out
    double* g
    double* y
    double* box


def pool(x not None, weights, out not None, random, indices, bytes plan not None, double p, int threads):
    """Fill `out`, and `indices`, with the pool of `x` as `plan` lays it out."""
    cdef Job job
    _read(&job, table_of(plan), p)
    _hold(&job, (x, weights, out, random, indices))
    _share_out(&job, False, threads)


def gradient(x not None, weights, out not None, grad not None, y, bytes plan not None, double p, int threads):
    """Fill `out` with what `grad` hands to the cells of `x`, or to their weights."""
    cdef Job job
    _read(&job, table_of(plan), p)
    _hold(&job, (x, weights, out, grad, y))
    _share_out(&job, True, threads)


def exponents(double x):
    """Return exp and log of `x` as the formulas below have them: for tests."""
    return cypool_exp(x), cypool_log(x)


cdef _share_out(const Job* job, bint gradient, int threads):
    """Do all units, in more chunks than threads, so that a thread that is held up does not hold up the call."""
    cdef Py_ssize_t units = job.head.units
    cdef Py_ssize_t chunk
    cdef Py_ssize_t chunks = min(units, 1 if threads == 1 else 8 * threads)
    cdef int failed = 0
    if chunks == 1:
        with nogil:
            failed = _units(job, gradient, 0, units)
    else:
        for chunk in prange(chunks, nogil=True, schedule="dynamic", num_threads=threads):
            failed += _units(job, gradient, units * chunk // chunks, units * (chunk + 1) // chunks)
    if failed:
        raise MemoryError("no memory for the scratch of a pool")


# --- units ------------------------------------------------------------------------------------------------------

cdef int _units(const Job* job, bint gradient, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Do the units `first`..`last` - 1; 1 when there was no memory."""
    cdef Tile tile
    cdef Py_ssize_t number
    cdef char* scratch = <char*>malloc((ROWS * ROW + job.head.box) * sizeof(double) + ALIGNMENT)
    if scratch == NULL:
        return 1
    _lay_out(&tile, <double*>(scratch + ALIGNMENT - <uintptr_t>scratch % ALIGNMENT))
    for number in range(first, last):
        if gradient:
            _boxed(job, &tile, number)
        else:
            _rows_of(job, &tile, number)
    free(scratch)
    return 0


cdef void _lay_out(Tile* tile, double* scratch) noexcept nogil:
    tile.plane = -1
    tile.x = scratch
    tile.w = scratch + ROW
    tile.m = scratch + 2 * ROW
    tile.d = scratch + 3 * ROW
    tile.s = scratch + 4 * ROW
    tile.t = scratch + 5 * ROW
    tile.settled[0] = scratch + 6 * ROW
    tile.settled[1] = scratch + 7 * ROW
    tile.lost[0] = scratch + 8 * ROW
    tile.lost[1] = scratch + 9 * ROW
    tile.count = scratch + 10 * ROW
    tile.out = scratch + 11 * ROW
    tile.g = scratch + 12 * ROW
    tile.y = scratch + 13 * ROW
    tile.box = scratch + ROWS * ROW


cdef void _rows_of(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Pool one row of windows: lanes change fastest, then the windows along the run, the other axes, the planes."""
    cdef const Head* head = &job.head
    cdef const Axis* axis = &job.axes[head.run]
    cdef Py_ssize_t width = 1 if head.fold else head.width
    cdef Py_ssize_t a
    number = _lanes_of(job, tile, number)
    tile.window[head.run] = number % ((axis.count + width - 1) // width) * width
    number //= (axis.count + width - 1) // width
    for a in range(head.n_axes - 1, -1, -1):
        if a != head.run:
            tile.window[a] = number % job.axes[a].count
            number //= job.axes[a].count
    _planes_of(job, tile, number, 0)
    _row(job, tile, min(width, axis.count - tile.window[head.run]))
    if head.op == STOCHASTIC:
        _draw(job, tile)
        return
    _weigh(job, tile)
    job.op.finish(tile.out, tile.m, tile.d, tile.s, tile.t, tile.count, tile.n, job.p)
    _store_windows(job, tile, OUT, tile.out, job.store)


cdef void _boxed(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Make the gradient of a box of cells."""
    cdef const Head* head = &job.head
    cdef const Axis* axis
    cdef Py_ssize_t a, summed, blocks, pitch
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef bint touched = True
    number = _lanes_of(job, tile, number)
    pitch = tile.lanes
    for a in range(head.n_axes - 1, -1, -1):
        axis = &job.axes[a]
        blocks = (axis.size + axis.side - 1) // axis.side
        tile.low[a] = number % blocks * axis.side
        tile.high[a] = min(tile.low[a] + axis.side, axis.size)
        number //= blocks
        # The windows that reach the box.
        low[a] = max(ceil(tile.low[a] + axis.low - axis.dilation * (axis.kernel - 1), axis.stride), <Py_ssize_t>0)
        high[a] = min(floor(tile.high[a] - 1 + axis.low, axis.stride) + 1, axis.count)
        touched &= low[a] < high[a]
    pitch *= ceil(tile.high[head.run] - tile.low[head.run], head.phases) * head.phases
    for a in range(head.n_axes - 1, -1, -1):
        if a != head.run:
            tile.pitch[a] = pitch
            pitch *= tile.high[a] - tile.low[a]
    tile.plane_pitch = pitch
    for summed in range(head.summed):
        _planes_of(job, tile, number, summed)
        if summed == 0:
            memset(tile.box, 0, tile.planes * pitch * sizeof(double))
        if touched:
            _spread(job, tile, low, high)
    _planes_of(job, tile, number, 0)
    _store_box(job, tile)


cdef Py_ssize_t _lanes_of(const Job* job, Tile* tile, Py_ssize_t number) noexcept nogil:
    """Take a unit's lanes off its number."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t blocks = (head.lanes + head.lanes_tile - 1) // head.lanes_tile
    if blocks > 1:
        tile.plane = -1
    tile.lane = number % blocks * head.lanes_tile
    tile.lanes = min(head.lanes_tile, head.lanes - tile.lane)
    return number // blocks


cdef void _planes_of(const Job* job, Tile* tile, Py_ssize_t number, Py_ssize_t summed) noexcept nogil:
    """Find where the planes of group `number` start, unless that is known."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t p, i, k, plane, place
    if tile.plane == number * head.planes_tile and tile.summed == summed:
        return
    tile.plane = number * head.planes_tile
    tile.planes = min(head.planes_tile, head.planes - tile.plane)
    tile.summed = summed
    for p in range(tile.planes):
        for k in range(N_ARRAYS):
            tile.offsets[k][p] = head.starts[k] + tile.lane * head.lane_strides[k]
        plane = tile.plane + p
        for i in range(head.n_outer - 1, -1, -1):
            place = plane % job.outer[i].size
            plane //= job.outer[i].size
            for k in range(N_ARRAYS):
                tile.offsets[k][p] += place * job.outer[i].strides[k]
        plane = summed
        for i in range(head.n_outer + head.n_summed - 1, head.n_outer - 1, -1):
            place = plane % job.outer[i].size
            plane //= job.outer[i].size
            for k in range(N_ARRAYS):
                tile.offsets[k][p] += place * job.outer[i].strides[k]


cdef inline void _row(const Job* job, Tile* tile, Py_ssize_t windows) noexcept nogil:
    """Make a row of so many windows."""
    tile.windows = windows
    tile.width = job.head.width if job.head.fold else windows
    tile.n = tile.planes * tile.width * tile.lanes


# --- taps -------------------------------------------------------------------------------------------------------

cdef bint _first_tap(const Job* job, Tile* tile, const Py_ssize_t* low, const Py_ssize_t* high) noexcept nogil:
    """Find the taps of a row that lie on cells in [low, high), and go to the first; False if there are none."""
    cdef const Axis* axis
    cdef Py_ssize_t a, start, end
    for a in range(job.head.n_axes):
        axis = &job.axes[a]
        start = end = tile.window[a] * axis.stride - axis.low
        if a == job.head.run:
            end += (tile.windows - 1) * axis.stride
        tile.first[a] = ceil(low[a] - end, axis.dilation) if end < low[a] else 0
        tile.last[a] = axis.kernel
        if start + (axis.kernel - 1) * axis.dilation >= high[a]:
            tile.last[a] = floor(high[a] - 1 - start, axis.dilation) + 1
        if tile.first[a] >= tile.last[a]:
            return False
        tile.tap[a] = tile.first[a]
    return True


cdef bint _next_tap(const Job* job, Tile* tile) noexcept nogil:
    """Go to the next tap, in row-major order; False after the last."""
    cdef Py_ssize_t a = job.head.n_axes - 1
    while a >= 0:
        tile.tap[a] += tile.width if job.head.fold and a == job.head.run else 1
        if tile.tap[a] < tile.last[a]:
            return True
        tile.tap[a] = tile.first[a]
        a -= 1
    return False


cdef inline Py_ssize_t _cell(const Job* job, const Tile* tile, Py_ssize_t a) noexcept nogil:
    """The cell, along an axis, of the first element of the row at this tap."""
    cdef const Axis* axis = &job.axes[a]
    return tile.window[a] * axis.stride - axis.low + tile.tap[a] * axis.dilation


cdef inline Py_ssize_t _apart(const Job* job) noexcept nogil:
    """How many cells the elements of a row are apart."""
    return job.axes[job.head.run].dilation if job.head.fold else job.axes[job.head.run].stride


cdef inline void _reach(const Job* job, Tile* tile, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    """Find the part of the row whose cells at this tap lie in [low, high) along the run."""
    cdef Py_ssize_t cell = _cell(job, tile, job.head.run)
    cdef Py_ssize_t step = _apart(job)
    cdef Py_ssize_t length = tile.width
    if job.head.fold:
        length = min(length, tile.last[job.head.run] - tile.tap[job.head.run])
    tile.begin, tile.stop = 0, length
    if cell < low:
        tile.begin = min(ceil(low - cell, step), length)
    if cell + (length - 1) * step >= high:
        tile.stop = floor(high - 1 - cell, step) + 1 if cell < high else 0
    tile.stop = max(tile.stop, tile.begin)


cdef const double* _gather(const Job* job, const Tile* tile, Array array, double* row, double nothing) noexcept nogil:
    """Return a row of the cells at this tap, and `nothing` where there are none."""
    cdef const Axis* axis = &job.axes[job.head.run]
    cdef Py_ssize_t step = axis.strides[<int>array] * _apart(job)
    cdef Py_ssize_t lane_step = job.head.lane_strides[<int>array]
    cdef Py_ssize_t length = tile.stop - tile.begin
    cdef Py_ssize_t width = tile.width * tile.lanes
    cdef Py_ssize_t offset = tile.begin * step
    cdef Py_ssize_t a, p, j
    cdef double* to
    for a in range(job.head.n_axes):
        offset += _cell(job, tile, a) * job.axes[a].strides[<int>array]
    if (length == tile.width and tile.planes == 1 and job.head.types[<int>array] == F8
            and (tile.lanes == 1 and step == 1 or lane_step == 1 and (step == tile.lanes or length == 1))):
        return <const double*>_at(job, array, tile.offsets[<int>array][0] + offset, tile.n - 1)
    for p in range(tile.planes):
        to = row + p * width
        for j in range(tile.begin * tile.lanes):
            to[j] = nothing
        for j in range(tile.stop * tile.lanes, width):
            to[j] = nothing
        if length > 0:
            job.loads[<int>array](
                to + tile.begin * tile.lanes,
                _at(job, array, tile.offsets[<int>array][p] + offset,
                    (length - 1) * step + (tile.lanes - 1) * lane_step),
                length, step, tile.lanes, lane_step)
    return row


cdef inline char* _at(const Job* job, Array array, Py_ssize_t first, Py_ssize_t length) noexcept nogil:
    """Return where an element is; the checked build looks at the one `length` further on as well."""
    return address(job.arrays[<int>array], first, first + length, job.bytes[<int>array])


# --- windows ----------------------------------------------------------------------------------------------------

cdef void _weigh(const Job* job, Tile* tile) noexcept nogil:
    """Make the peaks, divisors, sums and counts of a row's windows, as far as the formulas need them."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t j
    if head.peak:
        _peaks(job, tile)
        if job.op.scaled:
            powers_of_two(tile.d, tile.m, tile.n)
        else:
            divisors(tile.d, tile.m, tile.n)
    else:
        for j in range(tile.n):
            tile.d[j] = 1
    if head.sums:
        _sums(job, tile)
    if head.counted:
        _counts(job, tile)


cdef void _peaks(const Job* job, Tile* tile) noexcept nogil:
    cdef Py_ssize_t j
    cdef bint more
    for j in range(tile.n):
        tile.m[j] = job.op.nothing
    more = _every_tap(job, tile)
    while more:
        _reach(job, tile, 0, job.axes[job.head.run].size)
        job.op.peak(tile.m, _gather(job, tile, X, tile.x, job.op.nothing), tile.n)
        more = _next_tap(job, tile)
    if job.head.fold:
        _fold(tile, tile.m, job.op.peak)


cdef void _sums(const Job* job, Tile* tile) noexcept nogil:
    cdef const double* w = tile.w
    cdef const double* x
    cdef Py_ssize_t taps = 0
    cdef bint settled = False
    cdef bint more
    memset(tile.s, 0, tile.n * sizeof(double))
    memset(tile.t, 0, tile.n * sizeof(double))
    more = _every_tap(job, tile)
    while more:
        if taps == SETTLED:
            _settle(tile, 0, tile.s, settled)
            _settle(tile, 1, tile.t, settled)
            settled = True
            taps = 0
        _reach(job, tile, 0, job.axes[job.head.run].size)
        x = _gather(job, tile, X, tile.x, job.op.nothing)
        if job.arrays[<int>W].data != NULL:
            w = _gather(job, tile, W, tile.w, 0)
        job.op.sum(tile.s, tile.t, x, w, tile.m, tile.d, tile.n, job.p)
        taps += 1
        more = _next_tap(job, tile)
    if settled:
        _settle(tile, 0, tile.s, True)
        _settle(tile, 1, tile.t, True)
        restore(tile.s, tile.settled[0], tile.lost[0], tile.n)
        restore(tile.t, tile.settled[1], tile.lost[1], tile.n)
    if job.head.fold:
        _fold(tile, tile.s, add)
        _fold(tile, tile.t, add)


cdef inline bint _every_tap(const Job* job, Tile* tile) noexcept nogil:
    """As `_first_tap`, for all cells there are."""
    cdef Py_ssize_t low[MAX_AXES]
    cdef Py_ssize_t high[MAX_AXES]
    cdef Py_ssize_t a
    for a in range(job.head.n_axes):
        low[a] = 0
        high[a] = job.axes[a].size
    return _first_tap(job, tile, low, high)


cdef inline void _settle(Tile* tile, int which, double* row, bint more) noexcept nogil:
    if not more:
        memset(tile.settled[which], 0, tile.n * sizeof(double))
        memset(tile.lost[which], 0, tile.n * sizeof(double))
    settle(tile.settled[which], tile.lost[which], row, tile.n)


cdef void _fold(const Tile* tile, double* row, peak_f merge) noexcept nogil:
    """Merge a stretch's cells, the first half with the second, and so on; all of it gets the result."""
    cdef Py_ssize_t p, length, half
    cdef double* of
    for p in range(tile.planes):
        of = row + p * tile.width * tile.lanes
        length = tile.width
        while length > 1:
            half = (length + 1) // 2
            merge(of, of + half * tile.lanes, (length - half) * tile.lanes)
            length = half
        _repeat(tile, of)


cdef inline void _repeat(const Tile* tile, double* row) noexcept nogil:
    """Every group of lanes becomes the first."""
    cdef Py_ssize_t i
    for i in range(1, tile.width):
        memcpy(row + i * tile.lanes, row, tile.lanes * sizeof(double))


cdef void _counts(const Job* job, Tile* tile) noexcept nogil:
    """How many cells each window has."""
    cdef Py_ssize_t a, i, j, p
    cdef double others = 1
    cdef double count
    for a in range(job.head.n_axes):
        if a != job.head.run:
            others *= _cells_of(&job.axes[a], tile.window[a])
    for i in range(tile.width):
        count = others * _cells_of(&job.axes[job.head.run], tile.window[job.head.run] + (0 if job.head.fold else i))
        for p in range(tile.planes):
            for j in range(tile.lanes):
                tile.count[(p * tile.width + i) * tile.lanes + j] = count


cdef inline Py_ssize_t _cells_of(const Axis* axis, Py_ssize_t window) noexcept nogil:
    """How many taps of a window are cells, along one axis."""
    cdef Py_ssize_t start = window * axis.stride - axis.low
    cdef Py_ssize_t first = ceil(-start, axis.dilation) if start < 0 else 0
    return min(axis.kernel, floor(axis.size - 1 - start, axis.dilation) + 1) - first


cdef inline Py_ssize_t _window_offset(const Job* job, const Tile* tile, Array array) noexcept nogil:
    cdef Py_ssize_t a
    cdef Py_ssize_t offset = 0
    for a in range(job.head.n_axes):
        offset += tile.window[a] * job.axes[a].strides[<int>array]
    return offset


cdef void _load_windows(const Job* job, const Tile* tile, Array array, double* row) noexcept nogil:
    """Load what an array has for a row's windows."""
    cdef Py_ssize_t offset = _window_offset(job, tile, array)
    cdef Py_ssize_t step = job.axes[job.head.run].strides[<int>array]
    cdef Py_ssize_t lane_step = job.head.lane_strides[<int>array]
    cdef Py_ssize_t p
    for p in range(tile.planes):
        job.loads[<int>array](
            row + p * tile.width * tile.lanes,
            _at(job, array, tile.offsets[<int>array][p] + offset,
                (tile.windows - 1) * step + (tile.lanes - 1) * lane_step),
            tile.windows, step, tile.lanes, lane_step)
        if job.head.fold:
            _repeat(tile, row + p * tile.width * tile.lanes)


cdef void _store_windows(const Job* job, const Tile* tile, Array array, const double* row,
                         store_f put) noexcept nogil:
    """Store a row into an array that has one element for each window."""
    cdef Py_ssize_t offset = _window_offset(job, tile, array)
    cdef Py_ssize_t step = job.axes[job.head.run].strides[<int>array]
    cdef Py_ssize_t lane_step = job.head.lane_strides[<int>array]
    cdef Py_ssize_t p
    for p in range(tile.planes):
        put(_at(job, array, tile.offsets[<int>array][p] + offset,
                (tile.windows - 1) * step + (tile.lanes - 1) * lane_step),
            step, lane_step, row + p * tile.width * tile.lanes, tile.windows, tile.lanes)


cdef void _draw(const Job* job, Tile* tile) noexcept nogil:
    """Choose a cell of each window: the first at which the sum of the cells so far exceeds its share of them all."""
    cdef const Head* head = &job.head
    cdef const double* x
    cdef Py_ssize_t a, p, j, at, code
    cdef Py_ssize_t step = _apart(job) * job.axes[head.run].base
    cdef bint more = _every_tap(job, tile)
    _load_windows(job, tile, G, tile.g)
    memset(tile.s, 0, tile.n * sizeof(double))
    while more:
        _reach(job, tile, 0, job.axes[head.run].size)
        add_size(tile.s, _gather(job, tile, X, tile.x, 0), tile.n)
        more = _next_tap(job, tile)
    for j in range(tile.n):
        tile.t[j] = 0
        tile.d[j] = tile.g[j] * tile.s[j]
        tile.y[j] = tile.m[j] = -1
        tile.out[j] = 0
    more = _every_tap(job, tile)
    while more:
        _reach(job, tile, 0, job.axes[head.run].size)
        x = _gather(job, tile, X, tile.x, 0)
        code = tile.begin * step
        for a in range(head.n_axes):
            code += _cell(job, tile, a) * job.axes[a].base
        for p in range(tile.planes):
            at = (p * tile.width + tile.begin) * tile.lanes
            choose(tile.out + at, tile.y + at, tile.m + at, tile.t + at, tile.s + at, tile.d + at, x + at,
                   tile.stop - tile.begin, tile.lanes, <double>code, <double>step)
        more = _next_tap(job, tile)
    for j in range(tile.n):
        tile.y[j] = tile.y[j] if tile.y[j] >= 0 else tile.m[j]
    _store_windows(job, tile, OUT, tile.out, job.store)
    _store_windows(job, tile, Y, tile.y, <store_f><void*>store_cells[int64_t])


# --- gradients --------------------------------------------------------------------------------------------------

cdef void _spread(const Job* job, Tile* tile, const Py_ssize_t* low, const Py_ssize_t* high) noexcept nogil:
    """Add to the box what the windows [low, high) hand to its cells."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t run = head.run
    cdef Py_ssize_t width = 1 if head.fold else head.width
    cdef Py_ssize_t a
    for a in range(head.n_axes):
        tile.window[a] = low[a]
    while True:
        tile.window[run] = low[run]
        while tile.window[run] < high[run]:
            _row(job, tile, min(width, high[run] - tile.window[run]))
            _spread_row(job, tile)
            tile.window[run] += width
        a = head.n_axes - 1
        while a >= 0:
            if a != run:
                tile.window[a] += 1
                if tile.window[a] < high[a]:
                    break
                tile.window[a] = low[a]
            a -= 1
        if a < 0:
            return


cdef void _spread_row(const Job* job, Tile* tile) noexcept nogil:
    cdef const double* w = tile.w
    cdef const double* x
    cdef bint more = _first_tap(job, tile, tile.low, tile.high)
    if not more:
        return
    _load_windows(job, tile, G, tile.g)
    if job.arrays[<int>Y].data != NULL:
        _load_windows(job, tile, Y, tile.y)
    if job.head.peak or job.head.sums or job.head.counted:
        _weigh(job, tile)
    if job.op.factor != NULL:
        job.op.part(tile.out, tile.g, NULL, NULL, tile.y, NULL, NULL, NULL, NULL, tile.count, tile.n, job.p)
    more = _first_tap(job, tile, tile.low, tile.high)
    while more:
        _reach(job, tile, tile.low[job.head.run], tile.high[job.head.run])
        if tile.begin < tile.stop and job.op.factor != NULL:
            _add_to_box(job, tile)
        elif tile.begin < tile.stop:
            x = _gather(job, tile, X, tile.x, job.op.nothing)
            if job.arrays[<int>W].data != NULL:
                w = _gather(job, tile, W, tile.w, 0)
            job.op.part(tile.out, tile.g, x, w, tile.y, tile.m, tile.d, tile.s, tile.t, tile.count, tile.n, job.p)
            _add_to_box(job, tile)
        more = _next_tap(job, tile)


cdef void _add_to_box(const Job* job, Tile* tile) noexcept nogil:
    """Add a row of parts to the cells that they are for."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t run = head.run
    cdef Py_ssize_t per_phase = ceil(tile.high[run] - tile.low[run], head.phases) * tile.lanes
    cdef Py_ssize_t cell = _cell(job, tile, run) + tile.begin * _apart(job) - tile.low[run]
    cdef Py_ssize_t at = cell % head.phases * per_phase + cell // head.phases * tile.lanes
    cdef Py_ssize_t a, p
    for a in range(head.n_axes):
        if a != run:
            at += (_cell(job, tile, a) - tile.low[a]) * tile.pitch[a]
    for p in range(tile.planes):
        add(tile.box + p * tile.plane_pitch + at, tile.out + (p * tile.width + tile.begin) * tile.lanes,
            (tile.stop - tile.begin) * tile.lanes)


cdef void _store_box(const Job* job, Tile* tile) noexcept nogil:
    """Store the sums of a box, as many cells of a row at a time as scratch holds."""
    cdef const Head* head = &job.head
    cdef Py_ssize_t run = head.run
    cdef Py_ssize_t step = job.axes[run].strides[<int>OUT]
    cdef Py_ssize_t lane_step = head.lane_strides[<int>OUT]
    cdef Py_ssize_t cell[MAX_AXES]
    cdef Py_ssize_t a, p, at, to, length
    cdef const double* sums
    for a in range(head.n_axes):
        cell[a] = tile.low[a]
    while True:
        at = 0
        for a in range(head.n_axes):
            if a != run:
                at += (cell[a] - tile.low[a]) * tile.pitch[a]
        while cell[run] < tile.high[run]:
            length = min(ROW // tile.lanes, tile.high[run] - cell[run])
            to = 0
            for a in range(head.n_axes):
                to += cell[a] * job.axes[a].strides[<int>OUT]
            for p in range(tile.planes):
                sums = _side_by_side(job, tile, tile.box + p * tile.plane_pitch + at, cell[run] - tile.low[run], length)
                if job.op.factor != NULL:
                    sums = _multiplied(job, tile, sums, cell, length, p)
                job.store(
                    _at(job, OUT, tile.offsets[<int>OUT][p] + to, (length - 1) * step + (tile.lanes - 1) * lane_step),
                    step, lane_step, sums, length, tile.lanes)
            cell[run] += length
        cell[run] = tile.low[run]
        a = head.n_axes - 1
        while a >= 0:
            if a != run:
                cell[a] += 1
                if cell[a] < tile.high[a]:
                    break
                cell[a] = tile.low[a]
            a -= 1
        if a < 0:
            return


cdef const double* _side_by_side(const Job* job, Tile* tile, const double* row, Py_ssize_t first,
                                 Py_ssize_t length) noexcept nogil:
    """Return the sums of the cells from `first` on of a row of the box, whose phases stand one after the other."""
    cdef Py_ssize_t run = job.head.run
    cdef Py_ssize_t phases = job.head.phases
    cdef Py_ssize_t per_phase = ceil(tile.high[run] - tile.low[run], phases) * tile.lanes
    cdef Py_ssize_t phase, cell
    if phases == 1:
        return row + first * tile.lanes
    for phase in range(min(phases, length)):
        cell = first + phase
        spread(tile.out + phase * tile.lanes, phases * tile.lanes,
               row + cell % phases * per_phase + cell // phases * tile.lanes,
               (length - phase + phases - 1) // phases, tile.lanes)
    return tile.out


cdef const double* _multiplied(const Job* job, Tile* tile, const double* sums, const Py_ssize_t* cell,
                               Py_ssize_t length, Py_ssize_t plane) noexcept nogil:
    """Return the sums of cells from `cell` on times what is of the cells; those that no window has stay 0."""
    cdef const Axis* axis
    cdef Py_ssize_t lane_step = job.head.lane_strides[<int>X]
    cdef Py_ssize_t at = tile.offsets[<int>X][plane]
    cdef Py_ssize_t touched = length
    cdef Py_ssize_t a, stop
    for a in range(job.head.n_axes):
        axis = &job.axes[a]
        at += cell[a] * axis.strides[<int>X]
        # Where the last window ends; no cell before that is between windows.
        stop = (axis.count - 1) * axis.stride - axis.low + axis.kernel
        if a == job.head.run:
            touched = min(touched, stop - cell[a])
        elif cell[a] >= stop:
            return sums
    if touched <= 0:
        return sums
    axis = &job.axes[job.head.run]
    job.loads[<int>X](tile.x, _at(job, X, at, (touched - 1) * axis.strides[<int>X] + (tile.lanes - 1) * lane_step),
                      touched, axis.strides[<int>X], tile.lanes, lane_step)
    job.op.factor(tile.x, sums, touched * tile.lanes, job.p)
    for a in range(touched * tile.lanes, length * tile.lanes):
        tile.x[a] = sums[a]
    return tile.x


# --- rows -------------------------------------------------------------------------------------------------------

cdef void load_cells(double* restrict out, const stored_t* src, Py_ssize_t length, Py_ssize_t step, Py_ssize_t lanes,
                     Py_ssize_t lane_step) noexcept nogil:
    """out[i, j] = src[i * step + j * lane_step]."""
    cdef Py_ssize_t i, j
    if lane_step == 1 and step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if lanes == 1 and step == 1:
        for i in range(length):
            out[i] = to_lane(out, src[i])
    elif lanes == 1 and step == 2:
        for i in range(length):
            out[i] = to_lane(out, src[2 * i])
    elif lanes == 1:
        for i in range(length):
            out[i] = to_lane(out, src[i * step])
    elif lane_step == 1:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = to_lane(out, src[i * step + j])
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = to_lane(out, src[i * step + j * lane_step])


cdef void store_cells(kept_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const double* src,
                      Py_ssize_t length, Py_ssize_t lanes) noexcept nogil:
    """out[i * step + j * lane_step] = src[i, j]."""
    cdef Py_ssize_t i, j
    if lane_step == 1 and step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if lanes == 1 and step == 1:
        for i in range(length):
            out[i] = to_cell(out, src[i])
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * step + j * lane_step] = to_cell(out, src[i * lanes + j])


cdef void add(double* restrict s, const double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += x[j]


cdef void spread(double* restrict out, Py_ssize_t step, const double* src, Py_ssize_t length,
                 Py_ssize_t lanes) noexcept nogil:
    """out[i * step + j] = src[i, j]."""
    cdef Py_ssize_t i, j
    if lanes == 1 and step == 2:
        for i in range(length):
            out[2 * i] = src[i]
    elif lanes == 1:
        for i in range(length):
            out[i * step] = src[i]
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * step + j] = src[i * lanes + j]


cdef void settle(double* restrict settled, double* restrict lost, double* restrict s, Py_ssize_t n) noexcept nogil:
    """Add `s` to what is settled, and what that rounds off to what is lost; `s` starts again at 0 (Knuth's two-sum)."""
    cdef Py_ssize_t j
    cdef double total, part
    for j in range(n):
        total = settled[j] + s[j]
        part = total - settled[j]
        lost[j] += (settled[j] - (total - part)) + (s[j] - part)
        settled[j] = total
        s[j] = 0


cdef void restore(double* restrict s, const double* settled, const double* lost, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        s[j] = settled[j] + (lost[j] if fabs(settled[j]) < INFINITY else 0)


cdef void powers_of_two(double* restrict d, const double* m, Py_ssize_t n) noexcept nogil:
    """d[j] * m[j] is near 1 (within 2**52 where m[j] is hardly a number), exactly."""
    cdef Py_ssize_t j
    cdef int64_t exponent
    for j in range(n):
        exponent = 2046 - <int64_t>(cypool_bits_of(m[j]) >> 52 & 0x7FF)
        d[j] = cypool_of_bits(<uint64_t>(exponent if exponent > 1 else 1) << 52)


cdef void divisors(double* restrict d, const double* m, Py_ssize_t n) noexcept nogil:
    """The peaks, or 1 for those that nothing can be divided by."""
    cdef Py_ssize_t j
    for j in range(n):
        d[j] = m[j] if (m[j] > 0) & (m[j] < INFINITY) else 1


cdef inline double size_of(double x) noexcept nogil:
    """A cell that must not be negative; NaN if it is."""
    return x if x >= 0 else NAN


cdef inline double greater(double a, double b) noexcept nogil:
    return b if (b > a) | (b != b) else a


cdef void peak_of_sizes(double* restrict m, const double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        m[j] = greater(m[j], fabs(x[j]))


cdef void peak_of_positives(double* restrict m, const double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        m[j] = greater(m[j], size_of(x[j]))


cdef void peak_of_cells(double* restrict m, const double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        m[j] = greater(m[j], x[j])


# --- lp and power means: (sum r**p) ** (1 / p), with r = |x| / peak -----------------------------------------------

cdef void sum_small(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                    const double* d, Py_ssize_t n, double p) noexcept nogil:
    """s += (|x| * d) ** p for p = 1, 2, 3 and 4."""
    cdef Py_ssize_t j
    cdef double r
    if p == 1:
        for j in range(n):
            s[j] += fabs(x[j]) * d[j]
    elif p == 2:
        for j in range(n):
            r = x[j] * d[j]
            s[j] += r * r
    elif p == 3:
        for j in range(n):
            r = fabs(x[j]) * d[j]
            s[j] += r * r * r
    else:
        for j in range(n):
            r = x[j] * d[j]
            s[j] += r * r * (r * r)


cdef void sum_small_positive(double* restrict s, double* restrict t, const double* x, const double* w,
                             const double* m, const double* d, Py_ssize_t n, double p) noexcept nogil:
    """The same for cells that must not be negative."""
    cdef Py_ssize_t j
    cdef double r
    if p == 1:
        for j in range(n):
            s[j] += size_of(x[j]) * d[j]
    elif p == 2:
        for j in range(n):
            r = size_of(x[j]) * d[j]
            s[j] += r * r
    elif p == 3:
        for j in range(n):
            r = size_of(x[j]) * d[j]
            s[j] += r * r * r
    else:
        for j in range(n):
            r = size_of(x[j]) * d[j]
            s[j] += r * r * (r * r)


cdef void sum_any(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                  const double* d, Py_ssize_t n, double p) noexcept nogil:
    """s += (|x| / d) ** p."""
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += power(fabs(x[j]) / d[j], p)


cdef void sum_slope(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                    const double* d, Py_ssize_t n, double p) noexcept nogil:
    """s += r ** p, t += r ** p * log(r)."""
    cdef Py_ssize_t j
    cdef double r, e
    for j in range(n):
        r = cypool_log(fabs(x[j]) / d[j])
        e = cypool_exp(p * r)
        s[j] += e
        t[j] += 0 if e == 0 else e * r


cdef void sum_ties(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                   const double* d, Py_ssize_t n, double p) noexcept nogil:
    """How many cells are as large as the peak."""
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += 1 if fabs(x[j]) == m[j] else 0


cdef void finish_small(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                       const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = s[j]
    roots(out, n, p)
    for j in range(n):
        out[j] = out[j] / d[j]


cdef void finish_small_mean(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                            const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = s[j] / count[j]
    roots(out, n, p)
    for j in range(n):
        out[j] = out[j] / d[j]


cdef void finish_any(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                     const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = m[j] * root(s[j], p)


cdef void finish_any_mean(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                          const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = m[j] * root(s[j] / count[j], p)


cdef void finish_slope(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                       const double* count, Py_ssize_t n, double p) noexcept nogil:
    """dy / dp = y * (sum(r**p * log(r)) / sum(r**p) - log(mean(r**p)) / p) / p."""
    cdef Py_ssize_t j
    cdef double y, mean
    for j in range(n):
        mean = cypool_log(s[j] / count[j]) / p
        y = m[j] * cypool_exp(mean)
        out[j] = 0 if y == 0 else y * ((t[j] / s[j] - mean) / p)


cdef void finish_peak(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                      const double* count, Py_ssize_t n, double p) noexcept nogil:
    memcpy(out, m, n * sizeof(double))


cdef inline double ratio(double x, double y) noexcept nogil:
    """|x| / y, 0 where y is."""
    return fabs(x) / (y if y != 0 else INFINITY)


cdef inline double lower(double r, double p) noexcept nogil:
    """r ** (p - 1) for p = 1, 3 and 4; a NaN stays one."""
    return (1 if r == r else r) if p == 1 else r * r if p == 3 else r * r * r


cdef inline double signed(double r, double x) noexcept nogil:
    """r with the sign of x; 0 where x is, NaN where r is."""
    return r if x > 0 else -r if x < 0 else 0 * r


cdef void part_small(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                     const double* m, const double* d, const double* s, const double* t, const double* count,
                     Py_ssize_t n, double p) noexcept nogil:
    """g * sign(x) * (|x| / y) ** (p - 1) for p = 1, 2, 3 and 4."""
    cdef Py_ssize_t j
    if p == 2:
        for j in range(n):
            out[j] = g[j] * (x[j] / (y[j] if y[j] != 0 else INFINITY))
    else:
        for j in range(n):
            out[j] = g[j] * signed(lower(ratio(x[j], y[j]), p), x[j])


cdef void part_factored(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                        const double* m, const double* d, const double* s, const double* t, const double* count,
                        Py_ssize_t n, double p) noexcept nogil:
    """g / y ** (p - 1) for p = 2, 3 and 4; 0 where y is."""
    cdef Py_ssize_t j
    cdef double r
    if p == 2:
        for j in range(n):
            out[j] = g[j] / (y[j] if y[j] != 0 else INFINITY)
    else:
        for j in range(n):
            r = y[j] if y[j] != 0 else INFINITY
            out[j] = g[j] / (r * (r if p == 3 else r * r))


cdef void factor(double* restrict row, const double* sums, Py_ssize_t n, double p) noexcept nogil:
    """row = sums * sign(row) * |row| ** (p - 1) for p = 2, 3 and 4; 0 is never negative."""
    cdef Py_ssize_t j
    if p == 2:
        for j in range(n):
            row[j] = sums[j] * row[j] + 0.0
    elif p == 3:
        for j in range(n):
            row[j] = sums[j] * (row[j] * fabs(row[j])) + 0.0
    else:
        for j in range(n):
            row[j] = sums[j] * (row[j] * row[j] * row[j]) + 0.0


cdef void part_any(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                   const double* m, const double* d, const double* s, const double* t, const double* count,
                   Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = g[j] * signed(power(ratio(x[j], y[j]), p - 1), x[j])


cdef void part_ties(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                    const double* m, const double* d, const double* s, const double* t, const double* count,
                    Py_ssize_t n, double p) noexcept nogil:
    """g * sign(x) shared by the cells that are as large as the peak."""
    cdef Py_ssize_t j
    cdef double sign
    for j in range(n):
        sign = (1 if x[j] > 0 else -1 if x[j] < 0 else 0) if fabs(x[j]) == m[j] else 0
        out[j] = g[j] * (sign / s[j])


cdef void part_small_mean(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                          const double* m, const double* d, const double* s, const double* t, const double* count,
                          Py_ssize_t n, double p) noexcept nogil:
    """g / count * (x / y) ** (p - 1), 0 where y is."""
    cdef Py_ssize_t j
    if p == 2:
        for j in range(n):
            out[j] = g[j] / count[j] * (size_of(x[j]) / (y[j] if y[j] != 0 else INFINITY))
    else:
        for j in range(n):
            out[j] = g[j] / count[j] * (0 if y[j] == 0 else lower(ratio(size_of(x[j]), y[j]), p))


cdef void part_any_mean(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                        const double* m, const double* d, const double* s, const double* t, const double* count,
                        Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    cdef double r
    for j in range(n):
        r = power(ratio(size_of(x[j]), y[j]), p - 1)
        out[j] = g[j] / count[j] * (0 if y[j] == 0 else r)


cdef void part_factored_mean(double* restrict out, const double* g, const double* x, const double* w,
                             const double* y, const double* m, const double* d, const double* s, const double* t,
                             const double* count, Py_ssize_t n, double p) noexcept nogil:
    """g / count / y ** (p - 1) for p = 2, 3 and 4; 0 where y is."""
    cdef Py_ssize_t j
    part_factored(out, g, x, w, y, m, d, s, t, count, n, p)
    for j in range(n):
        out[j] = out[j] / count[j]


cdef void factor_positive(double* restrict row, const double* sums, Py_ssize_t n, double p) noexcept nogil:
    """The same for cells that must not be negative."""
    cdef Py_ssize_t j
    for j in range(n):
        row[j] = size_of(row[j])
    factor(row, sums, n, p)


# --- weights that grow with x: e = exp((x - peak) / temperature) --------------------------------------------------

cdef void sum_exponents(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                        const double* d, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += cypool_exp((x[j] - m[j]) / p)


cdef void sum_soft(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                   const double* d, Py_ssize_t n, double p) noexcept nogil:
    """s += e, t += e * (x - peak)."""
    cdef Py_ssize_t j
    cdef double e, below
    for j in range(n):
        below = x[j] - m[j]
        e = cypool_exp(below)
        s[j] += e
        t[j] += 0 if e == 0 else e * below


cdef void finish_exponents(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                           const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    cdef double y
    for j in range(n):
        y = m[j] + p * cypool_log(s[j])
        out[j] = y if fabs(m[j]) < INFINITY else m[j]


cdef void finish_soft(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                      const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    cdef double y
    for j in range(n):
        y = m[j] + t[j] / s[j]
        out[j] = y if fabs(m[j]) < INFINITY else m[j]


cdef void part_exponents(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                         const double* m, const double* d, const double* s, const double* t, const double* count,
                         Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = g[j] * (cypool_exp((x[j] - m[j]) / p) / s[j])


cdef void part_soft(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                    const double* m, const double* d, const double* s, const double* t, const double* count,
                    Py_ssize_t n, double p) noexcept nogil:
    """g * e / sum(e) * (1 + x - y)."""
    cdef Py_ssize_t j
    cdef double e, below
    for j in range(n):
        below = x[j] - m[j]
        e = cypool_exp(below) / s[j]
        out[j] = g[j] * (0 if e == 0 else e * (1 + below - t[j] / s[j]))


# --- weights that are given, or the cells themselves --------------------------------------------------------------

cdef void sum_weighted(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                       const double* d, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += w[j] * x[j]
        t[j] += w[j]


cdef void sum_expected(double* restrict s, double* restrict t, const double* x, const double* w, const double* m,
                       const double* d, Py_ssize_t n, double p) noexcept nogil:
    """s += r * x, t += r, with r = x / peak."""
    cdef Py_ssize_t j
    cdef double r
    for j in range(n):
        r = x[j] / d[j]
        s[j] += r * x[j]
        t[j] += r


cdef void finish_weighted(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                          const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = s[j] / (t[j] if t[j] != 0 else NAN)


cdef void finish_expected(double* restrict out, const double* m, const double* d, const double* s, const double* t,
                          const double* count, Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    cdef double y
    for j in range(n):
        y = s[j] / t[j]
        out[j] = y if (m[j] > 0) & (m[j] < INFINITY) else m[j]


cdef void part_weighted(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                        const double* m, const double* d, const double* s, const double* t, const double* count,
                        Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = g[j] * (w[j] / (t[j] if t[j] != 0 else NAN))


cdef void part_weights(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                       const double* m, const double* d, const double* s, const double* t, const double* count,
                       Py_ssize_t n, double p) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = g[j] * ((x[j] - y[j]) / (t[j] if t[j] != 0 else NAN))


cdef void part_expected(double* restrict out, const double* g, const double* x, const double* w, const double* y,
                        const double* m, const double* d, const double* s, const double* t, const double* count,
                        Py_ssize_t n, double p) noexcept nogil:
    """g * (2 * x - y) / sum(x)."""
    cdef Py_ssize_t j
    cdef double r
    for j in range(n):
        r = (2 * (x[j] / d[j]) - s[j] / t[j] / d[j]) / t[j]
        out[j] = g[j] * (r if m[j] > 0 else 0 if m[j] == 0 else NAN)


cdef void add_size(double* restrict s, const double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        s[j] += size_of(x[j])


cdef void choose(double* restrict out, double* restrict codes, double* restrict firsts, double* restrict t,
                 const double* s, const double* d, const double* x, Py_ssize_t length, Py_ssize_t lanes, double code,
                 double step) noexcept nogil:
    """Add a tap's cells to `t`; where it first exceeds its threshold `d`, the cell is chosen."""
    cdef Py_ssize_t i, j
    cdef bint chosen
    for i in range(length):
        for j in range(i * lanes, (i + 1) * lanes):
            t[j] += size_of(x[j])
            chosen = (t[j] > d[j]) | (not t[j] < INFINITY) | ((t[j] >= s[j]) & (s[j] > 0))
            chosen &= codes[j] < 0
            out[j] = (x[j] if x[j] >= 0 else NAN) if chosen else out[j]
            codes[j] = code + i * step if chosen else codes[j]
            firsts[j] = firsts[j] if firsts[j] >= 0 else code + i * step


# --- the loops for the types of a call --------------------------------------------------------------------------

cdef void _read(Job* job, const Py_ssize_t* table, double p):
    """Lay the plan's table open and choose its formulas and loops."""
    cdef Py_ssize_t k
    cdef load_f[N_TYPES] loads = [
        <load_f><void*>load_cells[int8_t], <load_f><void*>load_cells[int16_t], <load_f><void*>load_cells[int32_t],
        <load_f><void*>load_cells[int64_t], <load_f><void*>load_cells[uint8_t], <load_f><void*>load_cells[uint16_t],
        <load_f><void*>load_cells[uint32_t], <load_f><void*>load_cells[uint64_t], <load_f><void*>load_cells[float],
        <load_f><void*>load_cells[double], NULL, <load_f><void*>load_cells[half_t], <load_f><void*>load_cells[brain_t],
        NULL]
    cdef store_f[N_TYPES] stores = [
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, <store_f><void*>store_cells[float],
        <store_f><void*>store_cells[double], NULL, <store_f><void*>store_cells[half_t],
        <store_f><void*>store_cells[brain_t], NULL]
    job.head = (<const Head*>table)[0]
    job.p = p
    job.axes = <const Axis*>(table + sizeof(Head) // sizeof(Py_ssize_t))
    job.outer = <const Outer*>(job.axes + job.head.n_axes)
    for k in range(N_ARRAYS):
        job.bytes[k] = bytes_of(job.head.types[k])
        job.loads[k] = loads[job.head.types[k]]
    job.store = stores[job.head.types[<int>OUT]]
    _choose_op(&job.op, <OpName>job.head.op)


cdef _hold(Job* job, tuple arrays):
    cdef Py_ssize_t k
    for k in range(len(arrays)):
        job.arrays[k] = memory_of(arrays[k])


cdef void _choose_op(Op* op, OpName name) noexcept:
    op.nothing = 0
    op.scaled = False
    op.factor = NULL
    if name == LP_SMALL:
        _formulas(op, peak_of_sizes, sum_small, finish_small, part_small)
        op.scaled = True
    elif name == LP_ANY:
        _formulas(op, peak_of_sizes, sum_any, finish_any, part_any)
    elif name == LP_MAX:
        _formulas(op, peak_of_sizes, sum_ties, finish_peak, part_ties)
    elif name == MEAN_SMALL:
        _formulas(op, peak_of_positives, sum_small_positive, finish_small_mean, part_small_mean)
        op.scaled = True
    elif name == MEAN_ANY:
        _formulas(op, peak_of_positives, sum_any, finish_any_mean, part_any_mean)
    elif name == MEAN_SLOPE:
        _formulas(op, peak_of_positives, sum_slope, finish_slope, NULL)
    elif name == LOGSUMEXP:
        _formulas(op, peak_of_cells, sum_exponents, finish_exponents, part_exponents)
        op.nothing = -INFINITY
    elif name == SOFT:
        _formulas(op, peak_of_cells, sum_soft, finish_soft, part_soft)
        op.nothing = -INFINITY
    elif name == WEIGHTED:
        _formulas(op, NULL, sum_weighted, finish_weighted, part_weighted)
    elif name == WEIGHTS:
        _formulas(op, NULL, sum_weighted, NULL, part_weights)
    elif name == EXPECTED:
        _formulas(op, peak_of_positives, sum_expected, finish_expected, part_expected)
    elif name == LP_FACTORED:
        _formulas(op, NULL, NULL, NULL, part_factored)
        op.factor = factor
    elif name == MEAN_FACTORED:
        _formulas(op, NULL, NULL, NULL, part_factored_mean)
        op.factor = factor_positive


cdef void _formulas(Op* op, peak_f peak, sum_f sum, finish_f finish, part_f part) noexcept:
    op.peak = peak
    op.sum = sum
    op.finish = finish
    op.part = part
