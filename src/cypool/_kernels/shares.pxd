"""The loops over elements of the gradients: each a formula over rows in contiguous memory.

As in `rows.pxd`, steps and sizes count elements of the row's type, and a row that is written never overlaps one that
is read. An index in scratch is a code: what its window's taps are numbered by, NONE, or WRONG.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from cypool._kernels.cells cimport to_cell, to_lane
from cypool._types cimport bits_t, code_t, given_index_t, real_t, share_t

cdef enum:
    NONE = -1
    WRONG = -2

# The types of these loops once their element types are chosen.
ctypedef void (*load_shares_f)(void* out, const void* src, Py_ssize_t length, Py_ssize_t step, Py_ssize_t lanes,
                               Py_ssize_t lane_step, const double* counts, double count) noexcept nogil
ctypedef void (*weigh_f)(void* shares, const int64_t* cells, Py_ssize_t length, Py_ssize_t step, Py_ssize_t lanes,
                         Py_ssize_t lane_step, const double* taps, double count, const double* inside, double inner,
                         double divisor, Py_ssize_t least) noexcept nogil
ctypedef void (*load_codes_f)(void* out, const void* src, Py_ssize_t length, Py_ssize_t step, Py_ssize_t lanes,
                              Py_ssize_t lane_step, Py_ssize_t base, Py_ssize_t base_step,
                              Py_ssize_t most) noexcept nogil
ctypedef void (*interleave_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void** src, Py_ssize_t stride,
                              Py_ssize_t cells, Py_ssize_t lanes) noexcept nogil
ctypedef void (*repeat_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void* src, Py_ssize_t first,
                          Py_ssize_t last, Py_ssize_t stride, Py_ssize_t cells, Py_ssize_t lanes) noexcept nogil
ctypedef void (*scatter_f)(double* out, const void* src, const Py_ssize_t* places, Py_ssize_t length) noexcept nogil
ctypedef void (*store_sums_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const double* src, Py_ssize_t length,
                              Py_ssize_t lanes) noexcept nogil
ctypedef void (*put_f)(void* out, const Py_ssize_t* places, const void* src, Py_ssize_t step, Py_ssize_t lane_step,
                       Py_ssize_t length, Py_ssize_t lanes) noexcept nogil
ctypedef void (*take_f)(void* out, Py_ssize_t step, Py_ssize_t lane_step, const void* src, const Py_ssize_t* places,
                        Py_ssize_t length, Py_ssize_t lanes) noexcept nogil


# --- from the arrays --------------------------------------------------------------------------------------------

cdef inline void load_shares(real_t* restrict out, const share_t* src, Py_ssize_t length, Py_ssize_t step,
                             Py_ssize_t lanes, Py_ssize_t lane_step, const double* counts,
                             double count) noexcept nogil:
    """out[i, j] = src[i * step + j * lane_step], over counts[i] * count if there is a count."""
    cdef Py_ssize_t i, j
    if counts == NULL and lane_step == 1 and step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if lanes == 1 and step == 1:
        if count == 0:
            for i in range(length):
                out[i] = to_lane(out, src[i])
        elif counts == NULL:
            for i in range(length):
                out[i] = to_lane(out, src[i]) / <real_t>count
        else:
            for i in range(length):
                out[i] = to_lane(out, src[i]) / <real_t>(counts[i] * count)
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = to_lane(out, src[i * step + j * lane_step])
                if counts != NULL:
                    out[i * lanes + j] /= <real_t>(counts[i] * count)
                elif count != 0:
                    out[i * lanes + j] /= <real_t>count


cdef inline void weigh(real_t* restrict shares, const int64_t* cells, Py_ssize_t length, Py_ssize_t step,
                       Py_ssize_t lanes, Py_ssize_t lane_step, const double* taps, double count, const double* inside,
                       double inner, double divisor, Py_ssize_t least) noexcept nogil:
    """Divide the shares of windows of which some cells are absent; those with fewer than `least` hand on nothing.

    By the divisor, or if that is 0, by the cells that are there and the taps[i] * count - inside[i] * inner in the
    padding.
    """
    cdef Py_ssize_t i, j
    cdef int64_t n
    cdef double by
    for i in range(length):
        for j in range(lanes):
            n = cells[i * step + j * lane_step]
            by = divisor if divisor != 0 else <double>n + (taps[i] * count - inside[i] * inner)
            shares[i * lanes + j] = shares[i * lanes + j] / <real_t>by if n >= least and by > 0 else 0


cdef inline void load_codes(code_t* restrict out, const given_index_t* src, Py_ssize_t length, Py_ssize_t step,
                            Py_ssize_t lanes, Py_ssize_t lane_step, Py_ssize_t base, Py_ssize_t base_step,
                            Py_ssize_t most) noexcept nogil:
    """out[i, j] = the code of src[i * step + j * lane_step]; a flat index is counted from base + i * base_step."""
    cdef Py_ssize_t i, j
    if base_step == 0 and lane_step == 1 and step == lanes:
        length, lanes, step = length * lanes, 1, 1
    if lanes == 1 and step == 1:
        for i in range(length):
            out[i] = code(out, src[i], base + i * base_step, most)
    else:
        for i in range(length):
            for j in range(lanes):
                out[i * lanes + j] = code(out, src[i * step + j * lane_step], base + i * base_step, most)


cdef inline code_t code(code_t* kind, given_index_t index, Py_ssize_t base, Py_ssize_t most) noexcept nogil:
    """A signed index is flat and -1 is none; an unsigned one is a tap's number and the largest value is none."""
    cdef uint64_t away
    cdef bint known
    if given_index_t is uint8_t or given_index_t is uint16_t or given_index_t is uint32_t or given_index_t is uint64_t:
        if sizeof(given_index_t) < sizeof(uint64_t) and sizeof(code_t) < sizeof(uint64_t):
            known = <uint32_t>index <= <uint32_t>most
        else:
            known = <uint64_t>index <= <uint64_t>most
        return NONE if index == <given_index_t>~<given_index_t>0 else (<code_t>index if known else WRONG)
    else:
        away = <uint64_t><int64_t>index - <uint64_t>base
        return NONE if index == -1 else (WRONG if (index < 0) | (away > <uint64_t>most) else <code_t>away)


cdef inline bint name_codes(uint8_t* restrict out, const int32_t* codes, Py_ssize_t length, const Py_ssize_t* taps,
                            Py_ssize_t n_taps) noexcept nogil:
    """out[i] = t where codes[i] is taps[t], or the code itself without taps, the largest byte for NONE.

    Returns whether each is one of these.
    """
    cdef int32_t names[256]
    cdef int32_t wrong = 0
    cdef Py_ssize_t start, i, t, n
    for start in range(0, length, 256):
        n = min(<Py_ssize_t>256, length - start)
        if n_taps == 0:
            for i in range(n):
                names[i] = codes[start + i]
        else:
            for i in range(n):
                names[i] = NONE if codes[start + i] == NONE else WRONG
        t = 0
        while t + 4 <= n_taps:
            name_taps(names, codes + start, n, taps + t, <int32_t>t)
            t += 4
        while t < n_taps:
            name_tap(names, codes + start, n, <int32_t>taps[t], <int32_t>t)
            t += 1
        for i in range(n):
            wrong |= names[i] == WRONG
            out[start + i] = <uint8_t>names[i]
    return wrong == 0


cdef inline void name_tap(int32_t* restrict names, const int32_t* codes, Py_ssize_t n, int32_t tap,
                          int32_t name) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        names[i] = name if codes[i] == tap else names[i]


cdef inline void name_taps(int32_t* restrict names, const int32_t* codes, Py_ssize_t n, const Py_ssize_t* taps,
                           int32_t name) noexcept nogil:
    """Four at once."""
    cdef int32_t a = <int32_t>taps[0]
    cdef int32_t b = <int32_t>taps[1]
    cdef int32_t c = <int32_t>taps[2]
    cdef int32_t d = <int32_t>taps[3]
    cdef int32_t code, named
    cdef Py_ssize_t i
    for i in range(n):
        code, named = codes[i], names[i]
        named = name if code == a else named
        named = name + 1 if code == b else named
        named = name + 2 if code == c else named
        names[i] = name + 3 if code == d else named


ctypedef fused name_t:
    uint8_t
    uint64_t


cdef inline bint in_range(const name_t* codes, Py_ssize_t length, name_t most) noexcept nogil:
    """Whether each code is at most `most`, or the largest there is: none."""
    cdef name_t wrong = 0
    cdef Py_ssize_t i
    for i in range(length):
        wrong |= <name_t>(codes[i] + 1) > <name_t>(most + 1)
    return wrong == 0


cdef inline bint among(const uint8_t* codes, Py_ssize_t length, uint64_t some) noexcept nogil:
    """Whether each code is one of `some`, a set of bits, or the largest byte: none."""
    cdef uint64_t wrong = 0
    cdef Py_ssize_t i
    for i in range(length):
        wrong |= ~(some >> (codes[i] & 63)) & (codes[i] != 255)
    return wrong == 0


# --- to the arrays ----------------------------------------------------------------------------------------------

cdef inline void interleave(share_t* out, Py_ssize_t step, Py_ssize_t lane_step, const real_t** src,
                            Py_ssize_t stride, Py_ssize_t cells, Py_ssize_t lanes) noexcept nogil:
    """Cell r * stride + p of the row is src[p][r], for as many cells as there are."""
    cdef Py_ssize_t whole = cells // stride
    cdef Py_ssize_t p
    if lanes == 1 and step == 1 and stride <= 4:
        if stride == 1:
            repeat(out, 1, 1, src[0], 0, 1, 1, cells, 1)
        elif stride == 2:
            interleave2(out, src[0], src[1], whole)
        elif stride == 3:
            interleave3(out, src[0], src[1], src[2], whole)
        else:
            interleave4(out, src[0], src[1], src[2], src[3], whole)
        for p in range(cells - whole * stride):
            out[whole * stride + p] = to_cell(out, src[p][whole])
    else:
        for p in range(min(stride, cells)):
            repeat(out, step, lane_step, src[p], p, p + 1, stride, cells, lanes)


cdef inline void interleave2(share_t* restrict out, const real_t* a, const real_t* b, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(length):
        out[2 * j] = to_cell(out, a[j])
        out[2 * j + 1] = to_cell(out, b[j])


cdef inline void interleave3(share_t* restrict out, const real_t* a, const real_t* b, const real_t* c,
                             Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(length):
        out[3 * j] = to_cell(out, a[j])
        out[3 * j + 1] = to_cell(out, b[j])
        out[3 * j + 2] = to_cell(out, c[j])


cdef inline void interleave4(share_t* restrict out, const real_t* a, const real_t* b, const real_t* c, const real_t* d,
                             Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(length):
        out[4 * j] = to_cell(out, a[j])
        out[4 * j + 1] = to_cell(out, b[j])
        out[4 * j + 2] = to_cell(out, c[j])
        out[4 * j + 3] = to_cell(out, d[j])


cdef inline void repeat(share_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const real_t* src,
                        Py_ssize_t first, Py_ssize_t last, Py_ssize_t stride, Py_ssize_t cells,
                        Py_ssize_t lanes) noexcept nogil:
    """The cells r * stride + p of the row are src[r], for first <= p < last and as many cells as there are."""
    cdef Py_ssize_t r, p, j
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t n = last - first
    if stride == 1 and lanes == 1 and step == 1:
        for r in range(cells):
            out[r] = to_cell(out, src[r])
        return
    for r in range((cells - first + stride - 1) // stride):
        start = r * stride + first
        n = min(last - first, cells - start)
        if lanes == 1 and step == 1:
            for p in range(n):
                out[start + p] = to_cell(out, src[r])
        elif lanes == 1:
            for p in range(n):
                out[(start + p) * step] = to_cell(out, src[r])
        elif lane_step == 1:
            for p in range(n):
                for j in range(lanes):
                    out[(start + p) * step + j] = to_cell(out, src[r * lanes + j])
        else:
            for p in range(n):
                for j in range(lanes):
                    out[(start + p) * step + j * lane_step] = to_cell(out, src[r * lanes + j])


# --- cells one by one -------------------------------------------------------------------------------------------

cdef inline void scatter(double* out, const real_t* src, const Py_ssize_t* places, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length):
        if places[i] != NONE:
            out[places[i]] += src[i]


cdef inline void store_sums(share_t* restrict out, Py_ssize_t step, Py_ssize_t lane_step, const double* src,
                            Py_ssize_t length, Py_ssize_t lanes) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(length):
        for j in range(lanes):
            out[i * step + j * lane_step] = to_cell(out, src[i * lanes + j])


cdef inline bint along(Py_ssize_t* restrict places, const int64_t* codes, Py_ssize_t length, Py_ssize_t lanes,
                       Py_ssize_t start, Py_ssize_t lane_step, Py_ssize_t line) noexcept nogil:
    """Turn codes into places `line` apart; returns whether none is WRONG."""
    cdef Py_ssize_t i, j
    cdef bint wrong = 0
    if lanes == 1:
        for i in range(length):
            wrong |= codes[i] == WRONG
            places[i] = NONE if codes[i] == NONE else start + codes[i] * line
    else:
        for i in range(length):
            for j in range(lanes):
                wrong |= codes[i * lanes + j] == WRONG
                places[i * lanes + j] = (NONE if codes[i * lanes + j] == NONE
                                         else start + j * lane_step + codes[i * lanes + j] * line)
    return wrong == 0


cdef inline void take(bits_t* out, Py_ssize_t step, Py_ssize_t lane_step, const bits_t* src, const Py_ssize_t* places,
                      Py_ssize_t length, Py_ssize_t lanes) noexcept nogil:
    """out[i * step + j * lane_step] = src[places[i, j]], or 0 for no place."""
    cdef Py_ssize_t i, j
    for i in range(length):
        for j in range(lanes):
            if places[i * lanes + j] != NONE:
                out[i * step + j * lane_step] = src[places[i * lanes + j]]
            else:
                memset(out + i * step + j * lane_step, 0, sizeof(bits_t))


cdef inline void put(bits_t* out, const Py_ssize_t* places, const bits_t* src, Py_ssize_t step, Py_ssize_t lane_step,
                     Py_ssize_t length, Py_ssize_t lanes) noexcept nogil:
    """out[places[i, j]] = src[i * step + j * lane_step], one after the other, where there is a place."""
    cdef Py_ssize_t i, j
    if lanes == 1:
        for i in range(length):
            if places[i] != NONE:
                out[places[i]] = src[i * step]
        return
    for i in range(length):
        for j in range(lanes):
            if places[i * lanes + j] != NONE:
                out[places[i * lanes + j]] = src[i * step + j * lane_step]
