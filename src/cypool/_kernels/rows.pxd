"""The loops over elements: each a formula over rows of lanes in contiguous memory.

Everything else in this folder moves pointers. Steps, sizes and taps count elements of the row's type. A row
that is written never overlaps a row that is read; reading past the cells that matter, into allocated memory, is
allowed and its result is not used.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cypool._kernels.cells cimport to_cell, to_lane
from cypool._kernels.vectors cimport combine_f
from cypool._types cimport bits_t, code_t, count_t, index_t, kept_t, lane_t, pick_t, stored_t, work_t
from cypool._types cimport N_TYPES, brain_t, half_t, stamp_t, wide_t

# What a window does with its cells: types, so that one loop is compiled for each and none is chosen inside it.
cdef struct Max:
    char unused

cdef struct Min:
    char unused

cdef struct Sum:
    char unused

ctypedef fused value_op:
    Max
    Min

ctypedef fused any_op:
    Max
    Min
    Sum

# The types of these loops once their element types are chosen; `op` is NULL, its type says it all.
ctypedef void (*across_f)(void* out, Py_ssize_t out_step, const void* src, Py_ssize_t src_step, Py_ssize_t rows,
                          Py_ssize_t length, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t dilation,
                          const Py_ssize_t* taps, Py_ssize_t n_taps, const void* divisors) noexcept nogil
ctypedef void (*fill_f)(void* out, Py_ssize_t length, Py_ssize_t gap, void* op) noexcept nogil
ctypedef void (*split_f)(void* out, const void* src, Py_ssize_t length, Py_ssize_t step,
                         Py_ssize_t lanes) noexcept nogil
ctypedef void (*load_f)(void* out, const void* src, Py_ssize_t length, Py_ssize_t step,
                        Py_ssize_t lanes) noexcept nogil
ctypedef void (*store_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void* src, Py_ssize_t length,
                         Py_ssize_t lanes, const double* counts, double count) noexcept nogil
ctypedef void (*store_codes_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void* src, Py_ssize_t length,
                               Py_ssize_t lanes, Py_ssize_t base, Py_ssize_t base_step) noexcept nogil
ctypedef void (*load_codes_f)(void* out, const void* src, Py_ssize_t length, Py_ssize_t step,
                              Py_ssize_t lanes) noexcept nogil
ctypedef void (*erase_f)(void* out, Py_ssize_t gap, const uint8_t* flags, Py_ssize_t length, void* op) noexcept nogil
ctypedef void (*not_nan_f)(uint8_t* flags, const void* row, Py_ssize_t length) noexcept nogil
ctypedef void (*count_f)(void* out, const uint8_t* flags, Py_ssize_t length) noexcept nogil
ctypedef bint (*judge_f)(double* divisors, uint8_t* enough, const void* counts, Py_ssize_t length, Py_ssize_t lanes,
                         const double* padding, double least, bint divided) noexcept nogil
ctypedef void (*patch_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void* missing, const uint8_t* enough,
                         Py_ssize_t length, Py_ssize_t lanes) noexcept nogil


cdef extern from "slide.h" nogil:
    # By type of lane: out[i][j] = the merged first[i][j], ..., first[7][j], all shared[t][j], next[0][j], ...,
    # next[i - 1][j] for i < 8, where out[i] is not NULL.
    ctypedef void (*cypool_slides)(void** out, void** first, void** shared, Py_ssize_t n_shared, void** next,
                                   Py_ssize_t length) noexcept
    const cypool_slides* cypool_max_slide
    const cypool_slides* cypool_min_slide
    const cypool_slides* cypool_sum_slide

    # out[w * out_step + j] = the merged src[(w + t) * step + j] for t < kernel, which is more than 8. NULL but for
    # floats and sums of int32.
    ctypedef void (*cypool_alongs)(void* out, Py_ssize_t out_step, const void* src, Py_ssize_t step,
                                   Py_ssize_t windows, Py_ssize_t kernel, Py_ssize_t length, void* scratch) noexcept
    const cypool_alongs* cypool_max_along
    const cypool_alongs* cypool_min_along
    const cypool_alongs* cypool_sum_along

cdef extern from "doubling.h" nogil:
    # By type of lane: out[r, j] = the merged src[r, j + t] for t < kernel, which is more than 1, over divisors[j] if
    # there are any (sums of floats only). Scratch: see there. NULL for lanes that this is seldom wanted of.
    ctypedef void (*cypool_doubles)(void* out, Py_ssize_t out_step, const void* src, Py_ssize_t src_step,
                                    Py_ssize_t rows, Py_ssize_t length, Py_ssize_t kernel, const void* divisors,
                                    void* scratch) noexcept
    const cypool_doubles* cypool_max_doubled
    const cypool_doubles* cypool_min_doubled
    const cypool_doubles* cypool_sum_doubled

cdef extern from "across.h" nogil:
    # By type of lane: out[r, j] = the merged src[r, taps[i] + stride * j + t * dilation] for i < n_taps and t < kernel,
    # over divisors[j] if there are any (sums of floats only). NULL for lanes that cannot; see there for what can.
    const across_f* cypool_max_across
    const across_f* cypool_min_across
    const across_f* cypool_sum_across

cdef extern from "held.h" nogil:
    # A piece of a row: where it starts, and which of its cells is under each tap of each window, tap by tap for 16
    # windows; -1 for none.
    ctypedef struct cypool_held_piece:
        Py_ssize_t first, cells, windows, kernel
        const int8_t* places

    # By reduction (norms of power 2 come last) and type of cell: out[out_planes[p] + r, j] = the merged
    # src[src_planes[p] + r, taps[i] + places[t, j]] for all i and t, over divisors[j] if there are any (sums only). For
    # floats, and only where registers have HELD_BYTES.
    enum: HELD_BYTES "CYPOOL_HELD_BYTES"
    enum: HELD_LANES "CYPOOL_HELD_LANES"
    ctypedef void (*cypool_held)(void* out, Py_ssize_t out_step, const Py_ssize_t* out_planes, const void* src,
                                 Py_ssize_t src_step, const Py_ssize_t* src_planes, Py_ssize_t planes, Py_ssize_t rows,
                                 const Py_ssize_t* taps, Py_ssize_t n_taps, const cypool_held_piece* piece,
                                 const void* divisors)
    const cypool_held[4][N_TYPES] cypool_holds

cdef extern from "means.h" nogil:
    # As `cypool_sum_across`, over a power of two, for kernels and strides of 1 and of 2.
    const across_f* cypool_means

cdef extern from "rolling.h" nogil:
    # Windows along an axis of `size` cells: window w has the `kernel` cells from `first` + w on, and counts those of
    # them that lie in [low, high).
    ctypedef struct cypool_axis:
        Py_ssize_t size, kernel, windows, first, low, high

    # By type of cell: out[w, v] = the mean of the cells in window w of `rows` and window v of `along`, over `divisor`
    # if that is not 0; src is where cell 0 of both is. Means are of the cells' type, or `real` numbers of so many
    # bytes.
    ctypedef void (*cypool_rolled)(void* out, Py_ssize_t out_step, int real, const void* src, Py_ssize_t src_step,
                                   const cypool_axis* rows, const cypool_axis* along, Py_ssize_t lanes, double divisor,
                                   void* scratch) noexcept
    const cypool_rolled* cypool_rolls

cdef extern from "turn.h" nogil:
    # out[c * out_step + r] = src[r * src_step + c] for r < rows and c < cells, by bytes of a cell: of four and eight.
    ctypedef void (*cypool_turn)(void* out, Py_ssize_t out_step, const void* src, Py_ssize_t src_step,
                                 Py_ssize_t rows, Py_ssize_t cells) noexcept nogil
    const cypool_turn* cypool_turns

cdef extern from "halves.h" nogil:
    const bint CYPOOL_HALVES    # whether there are these: rows of float16 to float32, and back, over a count if not 0
    void cypool_of_halves(float* out, const void* src, Py_ssize_t length)
    void cypool_to_halves(void* out, const float* src, Py_ssize_t length, float count)

cdef extern from "runs.h" nogil:
    # By type of lane: out[j] = the merged src[j * step + t] for t < cells, of no fewer than 64 bytes.
    ctypedef void (*cypool_runs)(void* out, const void* src, Py_ssize_t step, Py_ssize_t windows, Py_ssize_t cells)
    const cypool_runs* cypool_max_runs
    const cypool_runs* cypool_min_runs
    const cypool_runs* cypool_sum_runs
    const cypool_runs* cypool_norm_runs     # of floats, in double; by power

cdef extern from "picks.h" nogil:
    # One cell of each window of a row: where the first window has it, its code, and the windows that have it.
    ctypedef struct cypool_tap:
        Py_ssize_t at, code, first, stop, shift

    ctypedef struct cypool_windows:
        const cypool_tap* taps
        Py_ssize_t n, stride, first, stop, low, high
        const void* begin
        const void* end
        Py_ssize_t base, along, below

    # By type of lane: out[r, j] = the best of src[r, taps[t].at + stride * j] for all t, codes[r, j] its code: as wide
    # as a lane, or of so many bytes, 1, or 8 with base + r * below + j * along.
    ctypedef void (*cypool_picks)(void* out, void* codes, Py_ssize_t step, int bytes, const void* src,
                                  Py_ssize_t src_step, Py_ssize_t rows, Py_ssize_t length,
                                  const cypool_windows* windows)
    const combine_f* cypool_max_pick    # what `cypool_max` is, for cells `gap` bytes before their codes
    const combine_f* cypool_min_pick
    const cypool_picks* cypool_max_picks
    const cypool_picks* cypool_min_picks


# --- one cell ---------------------------------------------------------------------------------------------------

cdef inline lane_t merged(lane_t a, lane_t b, any_op* op) noexcept nogil:
    """The reduction of two cells, `a` the earlier: it stays on a tie, and a NaN wins."""
    if lane_t is wide_t:
        # Wide lanes only add.
        a.low += b.low
        a.high += b.high + (a.low < b.low)
        return a
    elif any_op is Sum:
        return <lane_t>(a + b)
    elif any_op is Max:
        if lane_t is float or lane_t is double:
            return b if (b > a) | (b != b) else a
        else:
            return b if b > a else a
    else:
        if lane_t is float or lane_t is double:
            return b if (b < a) | (b != b) else a
        else:
            return b if b < a else a


cdef inline lane_t identity(lane_t* lane, any_op* op) noexcept nogil:
    """The cell that changes nothing: what padding holds. -0.0 keeps the sign of a sum of zeros."""
    cdef lane_t nothing
    if lane_t is wide_t:
        nothing.low = nothing.high = 0
        return nothing
    elif any_op is Sum:
        if lane_t is float or lane_t is double:
            return -<lane_t>0.0
        else:
            return 0
    elif lane_t is float or lane_t is double:
        return <lane_t>-INFINITY if any_op is Max else <lane_t>INFINITY
    elif lane_t is int8_t or lane_t is int16_t or lane_t is int32_t or lane_t is int64_t:
        return <lane_t>((<uint64_t>1 << (8 * sizeof(lane_t) - 1)) - (0 if any_op is Max else 1))
    else:
        return <lane_t>0 if any_op is Max else <lane_t>~<lane_t>0


# --- rows of cells ----------------------------------------------------------------------------------------------

cdef inline void fill(lane_t* out, Py_ssize_t length, Py_ssize_t gap, any_op* op) noexcept nogil:
    """out[j] = the cell that changes nothing."""
    cdef Py_ssize_t j
    cdef lane_t cell = identity(out, op)
    for j in range(length):
        out[j] = cell


cdef inline void add_wide(wide_t* out, Py_ssize_t out_step, const wide_t* src, Py_ssize_t src_step,
                          const Py_ssize_t* taps, const Py_ssize_t* codes, Py_ssize_t n_taps, Py_ssize_t rows,
                          Py_ssize_t length, Py_ssize_t out_gap, Py_ssize_t src_gap, int more, Sum* op) noexcept nogil:
    """What `cypool_sum` is for the other lanes."""
    cdef Py_ssize_t r, t, j
    cdef wide_t total
    for r in range(rows):
        for j in range(length):
            total = out[r * out_step + j] if more else identity(out, op)
            for t in range(n_taps):
                total = merged(total, src[r * src_step + taps[t] + j], op)
            out[r * out_step + j] = total


# --- rows of cells that remember where they came from -----------------------------------------------------------

cdef inline void pick_fill(pick_t* out, Py_ssize_t length, Py_ssize_t gap, value_op* op) noexcept nogil:
    """Padding: the cell that changes nothing, with a code later than any cell's (and room to add one to it)."""
    cdef Py_ssize_t j
    cdef pick_t cell = identity(out, op)
    for j in range(length):
        out[j] = cell
    if pick_t is float or pick_t is int32_t:
        for j in range(length):
            (<int32_t*>(<char*>out + gap))[j] = <int32_t>1 << 30
    else:
        for j in range(length):
            (<int64_t*>(<char*>out + gap))[j] = <int64_t>1 << 62


# --- in and out of scratch --------------------------------------------------------------------------------------

cdef inline void split(bits_t* restrict out, const bits_t* src, Py_ssize_t length, Py_ssize_t step,
                       Py_ssize_t lanes) noexcept nogil:
    """out[i, j] = src[i * step + j] for j < lanes: every step-th group of lanes, side by side."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j
    if step == lanes:
        memcpy(out, src, length * lanes * sizeof(bits_t))
    elif lanes == 1 and step == 2:
        for i in range(length):
            out[i] = src[2 * i]
    elif lanes == 1:
        for i in range(length):
            out[i] = src[i * step]
    else:
        # Small groups by 16 bytes each, for as long as what is too much stays inside both rows.
        if step > 0 and lanes * sizeof(bits_t) <= 16:
            while (length - i) * lanes * sizeof(bits_t) >= 16:
                memcpy(out + i * lanes, src + i * step, 16)
                i += 1
        while i < length:
            for j in range(lanes):
                out[i * lanes + j] = src[i * step + j]
            i += 1


cdef inline void load(work_t* restrict out, const stored_t* src, Py_ssize_t length, Py_ssize_t step,
                      Py_ssize_t lanes) noexcept nogil:
    """As `split`, from the array's type to the lanes'."""
    cdef Py_ssize_t i, j
    if step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if work_t is float and stored_t is half_t:
        if CYPOOL_HALVES and lanes == 1 and step == 1:
            cypool_of_halves(out, src, length)
            return
    if lanes == 1 and step == 1:
        for i in range(length):
            out[i] = to_lane(out, src[i])
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = to_lane(out, src[i * step + j])


cdef inline void spread(bits_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const bits_t* src,
                        Py_ssize_t length, Py_ssize_t lanes, const double* counts, double count) noexcept nogil:
    """out[i * step + j * lane_step] = src[i, j]."""
    cdef Py_ssize_t i, j
    if lanes == 1 or lane_step == 1 and step == lanes:
        if lanes != 1 or step == 1:
            memcpy(out, src, length * lanes * sizeof(bits_t))
        else:
            for i in range(length):
                out[i * step] = src[i]
    elif lane_step == 1:
        for i in range(length):
            memcpy(out + i * step, src + i * lanes, lanes * sizeof(bits_t))
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * step + j * lane_step] = src[i * lanes + j]


cdef inline void store(kept_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const work_t* src,
                       Py_ssize_t length, Py_ssize_t lanes, const double* counts, double count) noexcept nogil:
    """As `spread`, from the lanes' type to the array's; with a count, the mean over counts[i] * count cells."""
    cdef Py_ssize_t i, j
    if counts == NULL and lane_step == 1 and step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if work_t is float and kept_t is half_t:
        if CYPOOL_HALVES and lanes == 1 and step == 1 and counts == NULL:
            cypool_to_halves(out, src, length, <float>count)
            return
    if lanes == 1 and step == 1:
        if count == 0:
            for i in range(length):
                out[i] = to_cell(out, src[i])
        elif counts == NULL and inverted(out, src, count):
            for i in range(length):
                out[i] = inverted_mean(out, src[i], 1 / count)
        elif counts == NULL:
            for i in range(length):
                out[i] = mean(out, src[i], count)
        else:
            for i in range(length):
                out[i] = mean(out, src[i], counts[i] * count)
    else:
        for i in range(length):
            for j in range(lanes):
                if count == 0:
                    out[i * step + j * lane_step] = to_cell(out, src[i * lanes + j])
                else:
                    out[i * step + j * lane_step] = mean(
                        out, src[i * lanes + j], count if counts == NULL else counts[i] * count)


cdef inline void store_codes(index_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const code_t* src,
                             Py_ssize_t length, Py_ssize_t lanes, Py_ssize_t base,
                             Py_ssize_t base_step) noexcept nogil:
    """out[i * step + j * lane_step] = src[i, j] + base + i * base_step: a window's first cell, the winner's offset."""
    cdef Py_ssize_t i, j
    if lanes == 1 and step == 1:
        for i in range(length):
            out[i] = <index_t>(src[i] + base + i * base_step)
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * step + j * lane_step] = <index_t>(src[i * lanes + j] + base + i * base_step)


cdef inline void load_codes(code_t* restrict out, const index_t* src, Py_ssize_t length, Py_ssize_t step,
                            Py_ssize_t lanes) noexcept nogil:
    """out[i, j] = src[i * step + j]."""
    cdef Py_ssize_t i, j
    if step == lanes:
        for i in range(length * lanes):
            out[i] = <code_t>src[i]
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = <code_t>src[i * step + j]


# --- averages ---------------------------------------------------------------------------------------------------

cdef inline kept_t mean(kept_t* kind, work_t total, double count) noexcept nogil:
    """total / count; for an integer result exactly, rounded half to even."""
    if kept_t is half_t or kept_t is brain_t or kept_t is float or kept_t is double:
        if work_t is float:
            return to_cell(kind, total / <float>count)
        elif work_t is wide_t:
            return to_cell(kind, <double>total.low / count)
        elif work_t is uint64_t:
            return to_cell(kind, <double><int64_t>total / count)
        else:
            return to_cell(kind, <double>total / count)
    elif work_t is wide_t:
        return to_cell(kind, wide_mean(total, <uint64_t>count))
    elif work_t is uint64_t:
        return to_cell(kind, <uint64_t>whole_mean(<int64_t>total, <int64_t>count))
    elif work_t is uint16_t:
        # Exact as below, for half a unit in 2**16.
        return to_cell(kind, <int32_t>nearest(<float>total / <float>count))
    else:
        # Exact: |total| < 2**31, so the quotient is at least 2**-31 of itself away from a tie it is not.
        return to_cell(kind, <int32_t>whole(<double>total / count))


cdef inline bint inverted(kept_t* kind, const work_t* total, double count) noexcept nogil:
    """Whether a rounded mean of small whole numbers is had by a multiplication.

    Over an odd count none is a tie, and the error of the product, total / count * 2**-23 or * 2**-52, does not reach
    one that is at least 1 / (2 * count) away; the inverse of a power of two is exact.
    """
    if kept_t is half_t or kept_t is brain_t or kept_t is float or kept_t is double:
        return False
    elif work_t is uint16_t or work_t is int32_t:
        return odd_or_power(<int64_t>count)
    else:
        return False


cdef inline bint odd_or_power(int64_t n) noexcept nogil:
    return (n & 1) | ((n & (n - 1)) == 0)


cdef inline kept_t inverted_mean(kept_t* kind, work_t total, double inverse) noexcept nogil:
    """As `mean`, by the inverse of the count."""
    if work_t is uint16_t:
        return to_cell(kind, <int32_t>nearest(<float>total * <float>inverse))
    elif work_t is int32_t:
        return to_cell(kind, <int32_t>whole(<double>total * inverse))
    else:
        return to_cell(kind, total)


cdef inline float nearest(float x) noexcept nogil:
    """The integer nearest to x, half to even, for 0 <= x < 2**22."""
    cdef float ones = 8388608       # from here on floats are whole
    return (x + ones) - ones


cdef inline double whole(double x) noexcept nogil:
    """The integer nearest to x, half to even, for |x| < 2**51."""
    cdef double ones = 6755399441055744     # as above, for both signs
    return (x + ones) - ones


cdef inline int64_t whole_mean(int64_t total, int64_t n) noexcept nogil:
    cdef int64_t whole = total // n
    cdef int64_t rest = total - whole * n
    if rest < 0:
        rest += n
        whole -= 1
    return whole + ((rest > n - rest) | ((rest == n - rest) & (whole & 1)))


cdef inline uint64_t wide_mean(wide_t total, uint64_t n) noexcept nogil:
    """The low 64 bits of total / n, n < 2**63, rounded half to even; total is signed."""
    cdef bint negative = total.high >> 63
    cdef uint64_t whole = 0
    cdef uint64_t rest, digits
    cdef int bit
    if negative:
        total.low = 0 - total.low
        total.high = ~total.high + (total.low == 0)
    rest = total.high % n
    if n >> 32:
        # Bit by bit: windows of so many cells take longer to add up.
        for bit in range(63, -1, -1):
            rest = rest << 1 | total.low >> bit & 1
            whole <<= 1
            if rest >= n:
                rest -= n
                whole |= 1
    else:
        # By two digits of 32 bits.
        digits = rest << 32 | total.low >> 32
        whole = digits // n
        digits = digits % n << 32 | total.low & <uint64_t>0xFFFFFFFF
        whole = whole << 32 | digits // n
        rest = digits % n
    whole += (rest > n - rest) | ((rest == n - rest) & (whole & 1))
    return 0 - whole if negative else whole


# --- cells that may be absent -----------------------------------------------------------------------------------

cdef inline void flags_of(uint8_t* restrict flags, const uint8_t* mask, Py_ssize_t length, Py_ssize_t step,
                          Py_ssize_t lanes, Py_ssize_t lane_step) noexcept nogil:
    """flags[i, j] = mask[i * step + j * lane_step], 1 for whatever means True."""
    cdef Py_ssize_t i, j
    if lanes == 1 and step == 1 or lane_step == 1 and (step == lanes or length == 1):
        for i in range(length * lanes):
            flags[i] = mask[i] != 0
    else:
        for i in range(length):
            for j in range(lanes):
                flags[i * lanes + j] = mask[i * step + j * lane_step] != 0


ctypedef fused nan_t:
    int64_t
    float
    double

cdef inline void not_nan(uint8_t* restrict flags, const nan_t* row, Py_ssize_t length) noexcept nogil:
    """flags[j] = 0 where row[j] is NaN, or NaT."""
    cdef Py_ssize_t j
    for j in range(length):
        if nan_t is int64_t:
            flags[j] &= row[j] != <int64_t>(<uint64_t>1 << 63)
        else:
            flags[j] &= row[j] == row[j]


cdef inline void paired(uint8_t* flags, Py_ssize_t length) noexcept nogil:
    """A complex number is there if both its parts are."""
    cdef Py_ssize_t j
    for j in range(length // 2):
        flags[2 * j] &= flags[2 * j + 1]
        flags[2 * j + 1] = flags[2 * j]


cdef inline void erase(lane_t* restrict out, Py_ssize_t gap, const uint8_t* flags, Py_ssize_t length,
                       any_op* op) noexcept nogil:
    """Absent cells become the one that changes nothing."""
    cdef Py_ssize_t j
    cdef lane_t nothing = identity(out, op)
    for j in range(length):
        out[j] = out[j] if flags[j] else nothing


cdef inline void erase_picks(pick_t* restrict out, Py_ssize_t gap, const uint8_t* flags, Py_ssize_t length,
                             value_op* op) noexcept nogil:
    """As `erase`, with the code 0 for cells that are there, and for those that are not the one of padding."""
    cdef Py_ssize_t j
    erase(out, gap, flags, length, op)
    if pick_t is float or pick_t is int32_t:
        for j in range(length):
            (<int32_t*>(<char*>out + gap))[j] = 0 if flags[j] else <int32_t>1 << 30
    else:
        for j in range(length):
            (<int64_t*>(<char*>out + gap))[j] = 0 if flags[j] else <int64_t>1 << 62


cdef inline void counted_flags(count_t* restrict out, const uint8_t* flags, Py_ssize_t length) noexcept nogil:
    """One cell or none."""
    cdef Py_ssize_t j
    for j in range(length):
        out[j] = flags[j]


cdef inline bint judge(double* restrict divisors, uint8_t* restrict enough, const count_t* counts, Py_ssize_t length,
                       Py_ssize_t lanes, const double* padding, double least, bint divided) noexcept nogil:
    """Whether the windows of a row have at least so many cells; for averages also what their sums are divided by."""
    cdef Py_ssize_t i, j
    cdef uint8_t every = 1
    if divided:
        for i in range(length):
            for j in range(lanes):
                divisors[i * lanes + j] = <double>counts[i * lanes + j] + padding[i]
    for i in range(length * lanes):
        enough[i] = counts[i] >= least
    if divided:
        for i in range(length * lanes):
            enough[i] &= divisors[i] > 0
            divisors[i] = divisors[i] if divisors[i] > 0 else 1
    for i in range(length * lanes):
        every &= enough[i]
    return every


cdef inline void patch(bits_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const bits_t* missing,
                       const uint8_t* enough, Py_ssize_t length, Py_ssize_t lanes) noexcept nogil:
    """Windows that have too few cells get missing[0], or missing[1] in every other lane."""
    cdef Py_ssize_t i, j
    for i in range(length):
        for j in range(lanes):
            if not enough[i * lanes + j]:
                out[i * step + j * lane_step] = missing[j & 1]
