"""One call of a pool: the plan's table as structs, and the typed loops that its types ask for.

The layout of the structs is that of `plan.py`'s table. Offsets count elements, except where a name ends in `bytes`.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from cypool._kernels.cells cimport bytes_of
from cypool._kernels.rows cimport Max, Min, Sum
from cypool._kernels.rows cimport add_wide
from cypool._kernels.rows cimport cypool_max_across, cypool_min_across, cypool_sum_across
from cypool._kernels.rows cimport cypool_max_pick, cypool_max_picks, cypool_min_pick, cypool_min_picks, cypool_picks
from cypool._kernels.rows cimport cypool_max_runs, cypool_min_runs, cypool_norm_runs, cypool_runs, cypool_sum_runs
from cypool._kernels.rows cimport cypool_max_along, cypool_min_along, cypool_sum_along, cypool_alongs
from cypool._kernels.rows cimport cypool_max_doubled, cypool_min_doubled, cypool_sum_doubled, cypool_doubles
from cypool._kernels.rows cimport cypool_max_slide, cypool_min_slide, cypool_sum_slide, cypool_slides
from cypool._kernels.rows cimport HELD_BYTES, cypool_held, cypool_holds
from cypool._kernels.rows cimport cypool_means, cypool_rolled, cypool_rolls, cypool_turn, cypool_turns
from cypool._kernels.rows cimport fill, load, load_codes, pick_fill, split, spread, store, store_codes
from cypool._kernels.rows cimport counted_flags, erase, erase_picks, judge, not_nan, patch
from cypool._kernels.rows cimport count_f, erase_f, judge_f, not_nan_f, patch_f
from cypool._kernels.rows cimport across_f, fill_f, load_codes_f, load_f, split_f, store_codes_f, store_f
from cypool._kernels.vectors cimport combine_f, cypool_max, cypool_min, cypool_sum
from cypool._types cimport BRAIN, F4, F8, HALF, I1, I2, I4, I8, N_LANES, N_TYPES, STAMP, U1, U2, U4, U8
from cypool._types cimport bits_t, brain_t, code_t, half_t, lane_t, pick_t, stamp_t, sum_t, wide_t, work_t

cdef enum Op:
    MAX, MIN, SUM
    NORM        # not an op in a plan, which has sums of powers; `held.h` has it as one

cdef enum Array:
    X, Y, Z, MASK       # the input, the output, the indices, which cells of the input are there

cdef struct Steps:
    combine_f combine
    combine_f copy          # rows of the output's type, one tap
    across_f across         # NULL where indices travel along
    cypool_doubles doubled  # here too, and for some lanes
    cypool_slides slide     # here too, and for the widest lanes,
    cypool_alongs along     # and for most others
    cypool_picks picks      # NULL where they do not
    cypool_runs runs
    cypool_held held        # NULL but for floats, and where registers have no masks
    cypool_turn turn        # NULL but for lanes of four and eight bytes
    fill_f fill
    split_f split
    load_f load
    store_f store
    store_codes_f store_codes
    cypool_rolled rolled
    load_codes_f load_codes
    erase_f erase           # these five only where cells may be absent
    not_nan_f not_nan
    count_f count
    judge_f judge
    patch_f patch_y, patch_z

# How one pooled axis is walked; in the order of `plan.py`'s table.
cdef struct Axis:
    Py_ssize_t size, kernel, stride, dilation, low, high, count
    Py_ssize_t strides[4]   # of the arrays, in the order of `Array`
    Py_ssize_t code         # what one step along the taps adds to the offset of a winner
    Py_ssize_t base         # what one step along the axis adds to a flat index
    Py_ssize_t tile         # windows in a tile
    Py_ssize_t levels       # of the ladder: windows of 4, 16, 64, ... taps
    Py_ssize_t n_last       # merges after the ladder,
    Py_ssize_t last         # as (level, tap) pairs: where they stand in the table, before the length of each ring
    Py_ssize_t folds        # calls of `across`, or of `doubled`, that make the window
    Py_ssize_t doubled      # whether windows along rows are made by doubling
    Py_ssize_t slid         # whether windows of lanes side by side are made eight cells at a time
    Py_ssize_t bins         # how far behind it its windows stand as [start, stop), where stride does not say it; or 0

# A run of axes that are not pooled, merged into one.
cdef struct Outer:
    Py_ssize_t size
    Py_ssize_t strides[4]

# One call: the head of `plan.py`'s table, what follows it, and the loops for its types.
cdef struct Head:
    Py_ssize_t better           # where in the table the plan is for rows held in registers, if there is one
    Py_ssize_t op, x_type, lane_type, y_type, z_type
    Py_ssize_t masked, where, omit, paired, count_type, least
    Py_ssize_t starts[4]
    Py_ssize_t indices, counted, padded, converts, staged, streamed, together, direct, fused, bare, boxed, picked
    Py_ssize_t runs, far, turned, held, means, rolled, power, coded
    Py_ssize_t planes, planes_tile, lanes, lanes_tile
    Py_ssize_t lane_strides[4]
    Py_ssize_t buffer, buffers, slots, partial, partials, slab, ring, n_tiles
    Py_ssize_t has_across, n_rows, n_outer

cdef struct Job:
    Head head
    Steps steps
    double divisor          # 0: a sum stays a sum
    Py_ssize_t x_bytes, lane_bytes, y_bytes, z_bytes
    const Py_ssize_t* table
    const Outer* outer
    const Axis* rows
    const Axis* across
    const uint8_t* mask     # where cells may be absent
    const char* missing     # what windows of too few cells get: two elements of the output
    const Job* values       # of the job that counts: the one whose cells it counts


cdef inline void read_plan(Job* job, const Py_ssize_t* table, double divisor):
    """Lay the plan's table open and choose its loops."""
    cdef const Axis* axes
    job.head = (<const Head*>table)[0]
    if HELD_BYTES and job.head.better:
        table += job.head.better
        job.head = (<const Head*>table)[0]
    job.table = table
    job.divisor = divisor
    job.values = NULL
    axes = <const Axis*>(table + sizeof(Head) // sizeof(Py_ssize_t))
    job.rows = axes
    job.across = axes + job.head.n_rows
    job.outer = <const Outer*>(axes + job.head.n_rows + (1 if job.head.has_across else 0))
    job.x_bytes = bytes_of(job.head.x_type)
    job.lane_bytes = bytes_of(job.head.lane_type)
    job.y_bytes = bytes_of(job.head.y_type)
    job.z_bytes = bytes_of(job.head.z_type)
    choose_loops(job)


ctypedef void (*choose_f)(Job* job, void* lane) noexcept


cdef inline void choose_loops(Job* job) noexcept:
    """Fill in the loops. Each table is in the order of `Type`; NULL marks lanes that an operation never uses."""
    cdef choose_f[N_LANES] sums = [
        NULL, NULL, <choose_f><void*>_sums[int32_t], NULL, NULL, <choose_f><void*>_sums[uint16_t], NULL,
        <choose_f><void*>_sums[uint64_t], <choose_f><void*>_sums[float], <choose_f><void*>_sums[double],
        <choose_f><void*>_sums[wide_t]]
    cdef choose_f[N_LANES] picks = [
        NULL, NULL, <choose_f><void*>_picks[int32_t], <choose_f><void*>_picks[int64_t], NULL, NULL, NULL, NULL,
        <choose_f><void*>_picks[float], <choose_f><void*>_picks[double], NULL]
    cdef choose_f[N_LANES] values = [
        <choose_f><void*>_values[int8_t], <choose_f><void*>_values[int16_t], <choose_f><void*>_values[int32_t],
        <choose_f><void*>_values[int64_t], <choose_f><void*>_values[uint8_t], <choose_f><void*>_values[uint16_t],
        <choose_f><void*>_values[uint32_t], <choose_f><void*>_values[uint64_t], <choose_f><void*>_values[float],
        <choose_f><void*>_values[double], NULL]
    job.steps.turn = cypool_turns[job.lane_bytes]
    # Copies are a max of one cell, of integers of the output's width.
    job.steps.copy = cypool_max[U1 + (job.y_bytes > 1) + (job.y_bytes > 2) + (job.y_bytes > 4)]
    job.steps.across = NULL
    job.steps.doubled = NULL
    job.steps.slide = NULL
    job.steps.along = NULL
    job.steps.picks = NULL
    job.steps.store_codes = NULL
    job.steps.not_nan = NULL
    job.steps.held = cypool_holds[NORM if job.head.power else job.head.op][job.head.x_type]
    if job.head.rolled:
        job.steps.rolled = cypool_rolls[job.head.x_type]
    elif job.head.means:
        job.steps.across = cypool_means[job.head.lane_type]
    elif job.head.op == SUM:
        sums[job.head.lane_type](job, NULL)
    elif job.head.indices:
        picks[job.head.lane_type](job, NULL)
    else:
        values[job.head.lane_type](job, NULL)
    if job.head.power and job.head.runs and not job.head.staged:
        job.steps.runs = cypool_norm_runs[job.head.power]
    # Where nothing is converted, only the width of a type matters.
    if job.lane_bytes == 1:
        _copies(job, <uint8_t*>NULL)
    elif job.lane_bytes == 2:
        _copies(job, <uint16_t*>NULL)
    elif job.lane_bytes == 4:
        _copies(job, <uint32_t*>NULL)
    elif job.lane_bytes == 8:
        _copies(job, <uint64_t*>NULL)
    else:
        _copies(job, <wide_t*>NULL)
    job.steps.patch_y = _patch(job.y_bytes)
    job.steps.patch_z = _patch(job.z_bytes)


cdef inline patch_f _patch(Py_ssize_t bytes) noexcept:
    if bytes == 1:
        return <patch_f><void*>patch[uint8_t]
    if bytes == 2:
        return <patch_f><void*>patch[uint16_t]
    return <patch_f><void*>patch[uint32_t] if bytes == 4 else <patch_f><void*>patch[uint64_t]


cdef inline void _values(Job* job, lane_t* lane) noexcept:
    if job.head.op == MAX:
        job.steps.combine = cypool_max[job.head.lane_type]
        job.steps.across = cypool_max_across[job.head.lane_type]
        job.steps.doubled = cypool_max_doubled[job.head.lane_type]
        job.steps.slide = cypool_max_slide[job.head.lane_type]
        job.steps.along = cypool_max_along[job.head.lane_type]
        job.steps.runs = cypool_max_runs[job.head.lane_type]
        job.steps.fill = <fill_f><void*>fill[lane_t, Max]
        job.steps.erase = <erase_f><void*>erase[lane_t, Max]
    else:
        job.steps.combine = cypool_min[job.head.lane_type]
        job.steps.across = cypool_min_across[job.head.lane_type]
        job.steps.doubled = cypool_min_doubled[job.head.lane_type]
        job.steps.slide = cypool_min_slide[job.head.lane_type]
        job.steps.along = cypool_min_along[job.head.lane_type]
        job.steps.runs = cypool_min_runs[job.head.lane_type]
        job.steps.fill = <fill_f><void*>fill[lane_t, Min]
        job.steps.erase = <erase_f><void*>erase[lane_t, Min]
    # Halves are compared as floats, times shifted so that NaT wins; all of these may hold a NaN.
    if lane_t is float or lane_t is double or lane_t is int64_t:
        _converts(job, lane)


cdef inline void _sums(Job* job, sum_t* lane) noexcept:
    job.steps.combine = <combine_f><void*>add_wide if sum_t is wide_t else cypool_sum[job.head.lane_type]
    job.steps.across = cypool_sum_across[job.head.lane_type]
    job.steps.doubled = cypool_sum_doubled[job.head.lane_type]
    job.steps.slide = cypool_sum_slide[job.head.lane_type]
    job.steps.along = cypool_sum_along[job.head.lane_type]
    job.steps.runs = cypool_sum_runs[job.head.lane_type]
    job.steps.fill = <fill_f><void*>fill[sum_t, Sum]
    job.steps.erase = <erase_f><void*>erase[sum_t, Sum]
    if sum_t is uint16_t or sum_t is int32_t or sum_t is uint64_t:
        job.steps.count = <count_f><void*>counted_flags[sum_t]
        job.steps.judge = <judge_f><void*>judge[sum_t]
    _converts(job, lane)


cdef inline void _picks(Job* job, pick_t* lane) noexcept:
    if job.head.op == MAX:
        job.steps.combine = cypool_max_pick[job.head.lane_type]
        job.steps.picks = cypool_max_picks[job.head.lane_type]
        job.steps.fill = <fill_f><void*>pick_fill[pick_t, Max]
        job.steps.erase = <erase_f><void*>erase_picks[pick_t, Max]
    else:
        job.steps.combine = cypool_min_pick[job.head.lane_type]
        job.steps.picks = cypool_min_picks[job.head.lane_type]
        job.steps.fill = <fill_f><void*>pick_fill[pick_t, Min]
        job.steps.erase = <erase_f><void*>erase_picks[pick_t, Min]
    _converts(job, lane)
    if pick_t is float or pick_t is int32_t:
        _codes(job, <int32_t*>NULL)
    else:
        _codes(job, <int64_t*>NULL)


cdef inline void _codes(Job* job, code_t* code) noexcept:
    cdef store_codes_f[N_LANES] stores = [
        NULL, NULL, NULL, <store_codes_f><void*>store_codes[int64_t, code_t],
        <store_codes_f><void*>store_codes[uint8_t, code_t], <store_codes_f><void*>store_codes[uint16_t, code_t],
        <store_codes_f><void*>store_codes[uint32_t, code_t], <store_codes_f><void*>store_codes[uint64_t, code_t],
        NULL, NULL, NULL]
    cdef load_codes_f[N_LANES] loads = [
        NULL, NULL, NULL, <load_codes_f><void*>load_codes[code_t, int64_t],
        <load_codes_f><void*>load_codes[code_t, uint8_t], <load_codes_f><void*>load_codes[code_t, uint16_t],
        <load_codes_f><void*>load_codes[code_t, uint32_t], <load_codes_f><void*>load_codes[code_t, uint64_t],
        NULL, NULL, NULL]
    job.steps.store_codes = stores[job.head.z_type]
    job.steps.load_codes = loads[job.head.z_type]


cdef inline void _converts(Job* job, work_t* lane) noexcept:
    """Choose how lanes are loaded and stored. Whole numbers become floats on their way in or out, floats stay such."""
    cdef load_f[N_TYPES] loads
    cdef store_f[N_TYPES] stores
    memset(loads, 0, sizeof(loads))
    memset(stores, 0, sizeof(stores))
    if work_t is not float:
        loads[<int>I1] = <load_f><void*>load[work_t, int8_t]
        loads[<int>I2] = <load_f><void*>load[work_t, int16_t]
        loads[<int>I4] = <load_f><void*>load[work_t, int32_t]
        loads[<int>I8] = <load_f><void*>load[work_t, int64_t]
        loads[<int>U1] = <load_f><void*>load[work_t, uint8_t]
        loads[<int>U2] = <load_f><void*>load[work_t, uint16_t]
        loads[<int>U4] = <load_f><void*>load[work_t, uint32_t]
        loads[<int>U8] = <load_f><void*>load[work_t, uint64_t]
    if work_t is float or work_t is double:
        loads[<int>F4] = <load_f><void*>load[work_t, float]
        loads[<int>F8] = <load_f><void*>load[work_t, double]
        loads[<int>HALF] = <load_f><void*>load[work_t, half_t]
        loads[<int>BRAIN] = <load_f><void*>load[work_t, brain_t]
    else:
        stores[<int>I1] = stores[<int>U1] = <store_f><void*>store[uint8_t, work_t]
        stores[<int>I2] = stores[<int>U2] = <store_f><void*>store[uint16_t, work_t]
        stores[<int>I4] = stores[<int>U4] = <store_f><void*>store[uint32_t, work_t]
        stores[<int>I8] = <store_f><void*>store[int64_t, work_t]
        stores[<int>U8] = <store_f><void*>store[uint64_t, work_t]
    if work_t is int64_t:
        loads[<int>STAMP] = <load_f><void*>load[work_t, stamp_t]
        stores[<int>STAMP] = <store_f><void*>store[stamp_t, work_t]
    else:
        stores[<int>F4] = <store_f><void*>store[float, work_t]
        stores[<int>F8] = <store_f><void*>store[double, work_t]
        stores[<int>HALF] = <store_f><void*>store[half_t, work_t]
        stores[<int>BRAIN] = <store_f><void*>store[brain_t, work_t]
    if work_t is float or work_t is double or work_t is int64_t:
        job.steps.not_nan = <not_nan_f><void*>not_nan[work_t]
    job.steps.load = loads[job.head.x_type]
    job.steps.store = stores[job.head.y_type]


cdef inline void _copies(Job* job, bits_t* lane) noexcept:
    job.steps.split = <split_f><void*>split[bits_t]
    if job.head.x_type == job.head.lane_type:
        job.steps.load = <load_f><void*>split[bits_t]
    if not job.head.converts:
        job.steps.store = <store_f><void*>spread[bits_t]
