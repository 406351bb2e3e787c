/* Large windows along rows, by doubling: windows of 2, 4, 8, ... cells, each made of two of those before.

   As long as the two are less than 64 bytes apart, both lie in vectors that are at hand, so that a doubling is a shuffle
   and a merge, and a cell is loaded once, wherever its row begins. What a window has beyond a whole number of 64 bytes,
   the rest, grows beside it bit by bit of its length: for sums, in which no cell may be counted twice; maxima overlap.
   From there on windows lie whole vectors apart, and four make the next. All levels go by 64 bytes, whatever their
   registers, and so merge the same cells in the same order. */

#ifndef CYPOOL_DOUBLING_H
#define CYPOOL_DOUBLING_H

#include "runs.h"

/* Windows that are made together, of one row or of several that follow each other; and the cells of each row of scratch:
   two to double through, one for the rest, one for windows of 64 bytes and one for each of four times those. */
#define CYPOOL_STRETCH(T, kernel) (8192 / (ptrdiff_t)sizeof(T) + 2 * (kernel))
#define CYPOOL_STRETCH_PITCH(T, kernel) ((CYPOOL_STRETCH(T, kernel) + (kernel) + 255) / 64 * 64)

typedef void (*cypool_doubles)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                               ptrdiff_t length, ptrdiff_t kernel, const void *divisors, void *scratch);

#if CYPOOL_BYTES >= 32

#define CYPOOL_DOUBLED_AT_ONCE 1
#define CYPOOL_PIECES (64 / CYPOOL_BYTES)
#define CYPOOL_WHOLE_VECTOR(T) CYPOOL_JOIN(T, CYPOOL_BYTES)
#if CYPOOL_BYTES == 64
typedef __m512i cypool_piece;
#define CYPOOL_ON(n) _mm512_alignr_epi8(_mm512_alignr_epi64(b, a, 2), a, n)
#define CYPOOL_ON_WORDS(n) _mm512_alignr_epi32(b, a, (n) / 4)
#else
typedef __m256i cypool_piece;
#define CYPOOL_ON(n) _mm256_alignr_epi8(_mm256_permute2x128_si256(a, b, 0x21), a, n)
#define CYPOOL_ON_WORDS(n) ((n) == 16 ? _mm256_permute2x128_si256(a, b, 0x21) : CYPOOL_ON((n) % 16))
#endif

/* The bytes of a, and those of b after it, from `bytes` on, which is fewer than they have. */
CYPOOL_INLINE cypool_piece cypool_on(cypool_piece a, cypool_piece b, int bytes) {
    switch (bytes) {
    case 1:
        return CYPOOL_ON(1);
    case 2:
        return CYPOOL_ON(2);
    case 4:
        return CYPOOL_ON_WORDS(4);
    case 8:
        return CYPOOL_ON_WORDS(8);
    case 16:
        return CYPOOL_ON_WORDS(16);
    case 32:
        return CYPOOL_ON_WORDS(32);
    default:
        return a;
    }
}

#define CYPOOL_EACH CYPOOL_UNROLL for (i = 0; i < CYPOOL_PIECES; i++)

/* to = the 64 bytes of a, and those of b after it, from `bytes` on. */
#define CYPOOL_PAST(V, to, a, b, bytes)                                                                               \
    CYPOOL_EACH {                                                                                                     \
        const ptrdiff_t p = i + (bytes) / CYPOOL_BYTES, q = p + 1;                                                    \
        const V low = p < CYPOOL_PIECES ? a[p % CYPOOL_PIECES] : b[p % CYPOOL_PIECES];                                \
        const V high = q < CYPOOL_PIECES ? a[q % CYPOOL_PIECES] : b[q % CYPOOL_PIECES];                               \
        to[i] = (V)cypool_on((cypool_piece)low, (cypool_piece)high, (bytes) % CYPOOL_BYTES);                          \
    }

/* From windows of 2^b cells, and what is rest of them, to those of twice as many. What comes in lies at the vector after
   the one that what is there lies at. */
#define CYPOOL_DOUBLE(T, V, MERGE, SUMS, b)                                                                           \
    if ((sizeof(T) << (b)) < 64 && b < doublings) {                                                                   \
        V past[CYPOOL_PIECES];                                                                                        \
        if (SUMS) {                                                                                                   \
            CYPOOL_PAST(V, past, left[b], rest, sizeof(T) << (b))                                                     \
            CYPOOL_EACH past[i] = MERGE(now[b][i], past[i]);                                                          \
            CYPOOL_EACH past[i] = CYPOOL_SELECT(bit[b], past[i], left[b][i]);                                         \
            CYPOOL_EACH left[b][i] = rest[i];                                                                         \
            CYPOOL_EACH rest[i] = past[i];                                                                            \
        }                                                                                                             \
        CYPOOL_PAST(V, past, now[b], next, sizeof(T) << (b))                                                          \
        CYPOOL_EACH past[i] = MERGE(now[b][i], past[i]);                                                              \
        CYPOOL_EACH now[b][i] = next[i];                                                                              \
        CYPOOL_EACH next[i] = past[i];                                                                                \
    }

/* whole[j] = the merged src[j + t] for t < 2^doublings, and rests[j] those for t < kernel % 2^doublings: both for j <
   windows and some more, or the latter for j < windows alone, without `whole`. Nothing from src[cells] on is read. */
#define CYPOOL_GROW(NAME, T, V, MERGE, SUMS, DIVIDED)                                                                 \
    static void NAME##_grow(T *whole, T *rests, T *spare, ptrdiff_t windows, const T *src, ptrdiff_t cells,           \
                            ptrdiff_t kernel, int doublings, const T *divisors) {                                     \
        const ptrdiff_t lanes = 64 / sizeof(T), full = cells / lanes, vectors = (windows - 1) / lanes + 1;            \
        const ptrdiff_t fit = whole ? vectors : windows / lanes;                                                      \
        V now[6][CYPOOL_PIECES], left[6][CYPOOL_PIECES], next[CYPOOL_PIECES], rest[CYPOOL_PIECES];                    \
        T last[64 / sizeof(T)], end[64 / sizeof(T)];                                                                  \
        const V zero = {0}, nothing = -zero;                                                                          \
        CYPOOL_KEEP bit[6];                                                                                           \
        ptrdiff_t i, v;                                                                                               \
        for (v = 0; v < 6; v++)                                                                                       \
            memset(&bit[v], (kernel >> v) & 1 ? 0xff : 0, sizeof(bit[v]));                                            \
        memset(last, 0, sizeof(last));                                                                                \
        memcpy(last, src + full * lanes, cells % lanes * sizeof(T));                                                  \
        CYPOOL_EACH {                                                                                                 \
            now[0][i] = now[1][i] = now[2][i] = now[3][i] = now[4][i] = now[5][i] = nothing;                          \
            left[0][i] = left[1][i] = left[2][i] = left[3][i] = left[4][i] = left[5][i] = nothing;                    \
        }                                                                                                             \
        for (v = -doublings; v < vectors; v++) {                                                                      \
            const T *row = v + doublings < full ? src + (v + doublings) * lanes : last;                               \
            CYPOOL_EACH next[i] = *(const V *)(row + i * (lanes / CYPOOL_PIECES));                                    \
            CYPOOL_EACH rest[i] = nothing;                                                                            \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 0)                                                                       \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 1)                                                                       \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 2)                                                                       \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 3)                                                                       \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 4)                                                                       \
            CYPOOL_DOUBLE(T, V, MERGE, SUMS, 5)                                                                       \
            if (v < 0)                                                                                                \
                continue;                                                                                             \
            if (!(SUMS) || whole)                                                                                     \
                CYPOOL_EACH *(V *)(whole + v * lanes + i * (lanes / CYPOOL_PIECES)) = next[i];                        \
            if (SUMS) {                                                                                               \
                T *to = v < fit ? rests + v * lanes : end;                                                            \
                if (DIVIDED && v < fit && divisors)                                                                   \
                    CYPOOL_EACH rest[i] = rest[i] / *(const V *)(divisors + v * lanes + i * (lanes / CYPOOL_PIECES)); \
                CYPOOL_EACH *(V *)(to + i * (lanes / CYPOOL_PIECES)) = rest[i];                                       \
            }                                                                                                         \
        }                                                                                                             \
        if (SUMS)                                                                                                     \
            for (v = fit * lanes; v < windows; v++)                                                                   \
                rests[v] = DIVIDED && divisors ? end[v - fit * lanes] / divisors[v] : end[v - fit * lanes];           \
        (void)rests, (void)spare, (void)kernel, (void)divisors;                                                       \
    }

#else

/* Narrow registers gain nothing from shuffles: each doubling goes through scratch. */
#define CYPOOL_DOUBLED_AT_ONCE 0
#define CYPOOL_WHOLE_VECTOR(T) T
#define CYPOOL_GROW(NAME, T, V, MERGE, SUMS, DIVIDED)                                                                 \
    static void NAME##_grow(T *whole, T *rests, T *spare, ptrdiff_t windows, const T *src, ptrdiff_t cells,           \
                            ptrdiff_t kernel, int doublings, const T *divisors) {                                     \
        const T *now = src, *left = NULL;                                                                             \
        ptrdiff_t size = 1;                                                                                           \
        for (; doublings > 0; doublings--, size *= 2) {                                                               \
            const ptrdiff_t n = cells - kernel % (2 * size) + 1, more = cells - 2 * size + 1;                         \
            T *to = left == rests ? spare : rests, *next = now == whole ? spare + (rests - spare) / 2 : whole;        \
            if (SUMS && kernel & size) {                                                                              \
                const ptrdiff_t taps[2] = {0, left ? left + size - now : 0};                                          \
                NAME(to, 0, now, 0, taps, NULL, left ? 2 : 1, 1, n, 0, 0, 0, NULL);                                   \
                left = to;                                                                                            \
            }                                                                                                         \
            if (more > 0) {                                                                                           \
                const ptrdiff_t taps[2] = {0, size};                                                                  \
                NAME(next, 0, now, 0, taps, NULL, 2, 1, more, 0, 0, 0, NULL);                                         \
                now = next;                                                                                           \
            }                                                                                                         \
        }                                                                                                             \
        if (now != whole)                                                                                             \
            memcpy(whole, now, (cells - size + 1 > 0 ? cells - size + 1 : 0) * sizeof(T));                            \
        if (left && left != rests)                                                                                    \
            memcpy(rests, left, (cells - kernel % size + 1) * sizeof(T));                                             \
        (void)windows, (void)divisors;                                                                                \
    }
#endif

/* How windows are made, in rows of scratch `pitch` cells apart: the rest stands in the third row, windows of `size` cells,
   which are 2^doublings, in the fourth, and those of four times the size before in each of the next. */
typedef struct {
    ptrdiff_t size, sizes, rest, first; /* first: where the first tap of the last merge is, */
    ptrdiff_t taps[3 * 32 + 1], n;      /* and how far behind it the others are */
    int doublings;
} cypool_steps;

static inline cypool_steps cypool_doubling(ptrdiff_t kernel, ptrdiff_t lanes, int sums, ptrdiff_t pitch) {
    cypool_steps s = {1, 0, 0, 2 * pitch, {0}, 0, 0};
    ptrdiff_t at = 0, i;
    for (; s.size * 2 <= kernel && s.size * 2 <= lanes; s.size *= 2)
        s.doublings++;
    if (sums && kernel < lanes) { /* rest is all that there is */
        s.doublings++;
        s.size *= 2;
    } else {
        while (s.size << 2 * s.sizes <= kernel)
            s.sizes++;
        s.first = (2 + s.sizes) * pitch;
    }
    for (i = s.sizes - 1; i >= 0; i--) {
        const ptrdiff_t cells = s.size << 2 * i;
        for (; at + cells <= kernel - !sums; at += cells)
            s.taps[s.n++] = (3 + i) * pitch - s.first + at;
        if (!sums) { /* the last one overlaps */
            s.taps[s.n++] = kernel - cells;
            break;
        }
    }
    s.rest = kernel - at;
    if (sums && s.rest)
        s.taps[s.n++] = 2 * pitch - s.first + at;
    return s;
}

/* out[r, j] = the merged src[r, j + t] for t < kernel, over divisors[j] if there are any. */
#define CYPOOL_DOUBLING(NAME, T, MERGE, SUMS, DIVIDED)                                                                \
    CYPOOL_GROW(NAME, T, CYPOOL_WHOLE_VECTOR(T), MERGE, SUMS, DIVIDED)                                                \
    static void NAME##_doubled(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,    \
                               ptrdiff_t length, ptrdiff_t kernel, const void *divisors, void *scratch) {             \
        const ptrdiff_t most = CYPOOL_STRETCH(T, kernel), pitch = CYPOOL_STRETCH_PITCH(T, kernel);                    \
        const ptrdiff_t lanes = 64 / sizeof(T), gap = src_step - (length + kernel - 1);                               \
        const int close = rows > 1 && gap >= 0 && gap < lanes && length <= most;                                      \
        const ptrdiff_t group = close ? 1 + (most - length) / src_step : 1;                                           \
        const cypool_steps s = cypool_doubling(kernel, lanes, SUMS, pitch);                                           \
        T *spare = (T *)scratch, *rests = spare + 2 * pitch, *whole = rests + pitch;                                  \
        ptrdiff_t c, i, r;                                                                                            \
        for (r = 0; r < rows; r += group)                                                                             \
            for (c = 0; c < length; c += most) {                                                                      \
                const ptrdiff_t n_rows = group < rows - r ? group : rows - r;                                         \
                const ptrdiff_t columns = most < length - c ? most : length - c;                                      \
                const ptrdiff_t cells = (n_rows - 1) * src_step + columns + kernel - 1;                               \
                const T *from = (const T *)src + r * src_step + c;                                                    \
                const T *by = DIVIDED && divisors ? (const T *)divisors + c : NULL;                                   \
                T *to = (T *)out + r * out_step + c;                                                                  \
                if (CYPOOL_DOUBLED_AT_ONCE && SUMS && s.sizes == 0 && n_rows == 1) {                                  \
                    NAME##_grow(NULL, to, spare, columns, from, cells, kernel, s.doublings, by);                      \
                    continue;                                                                                         \
                }                                                                                                     \
                NAME##_grow(whole, rests, spare, cells - (SUMS && s.rest ? s.rest : s.size) + 1, from, cells, kernel, \
                            s.doublings, NULL);                                                                       \
                for (i = 1; i < s.sizes; i++) {                                                                       \
                    const ptrdiff_t step = s.size << 2 * (i - 1), four[4] = {0, step, 2 * step, 3 * step};            \
                    NAME(whole + i * pitch, 0, whole + (i - 1) * pitch, 0, four, NULL, 4, 1, cells - 4 * step + 1, 0, \
                         0, 0, NULL);                                                                                 \
                }                                                                                                     \
                if (by)                                                                                               \
                    NAME##_across(to, out_step, spare + s.first, src_step, n_rows, columns, 1, 1, 1, s.taps, s.n, by);\
                else                                                                                                  \
                    NAME(to, out_step, spare + s.first, src_step, s.taps, NULL, s.n, n_rows, columns, 0, 0, 0, NULL); \
            }                                                                                                         \
    }

#define CYPOOL_DOUBLING_BOTH(T, KIND)                                                                                 \
    CYPOOL_DOUBLING(T##_max, T, CYPOOL_MAX_##KIND, 0, 0)                                                              \
    CYPOOL_DOUBLING(T##_min, T, CYPOOL_MIN_##KIND, 0, 0)

CYPOOL_DOUBLING_BOTH(uint8_t, WHOLE)
CYPOOL_DOUBLING_BOTH(uint16_t, WHOLE)
CYPOOL_DOUBLING_BOTH(float, FLOAT)
CYPOOL_DOUBLING_BOTH(double, FLOAT)
CYPOOL_DOUBLING(uint16_t_sum, uint16_t, CYPOOL_SUM, 1, 0)
CYPOOL_DOUBLING(int32_t_sum, int32_t, CYPOOL_SUM, 1, 0)
CYPOOL_DOUBLING(uint64_t_sum, uint64_t, CYPOOL_SUM, 1, 0)
CYPOOL_DOUBLING(float_sum, float, CYPOOL_SUM, 1, 1)
CYPOOL_DOUBLING(double_sum, double, CYPOOL_SUM, 1, 1)

/* By type of lane. */
static const cypool_doubles cypool_max_doubled[] = {
    0, 0, 0, 0, uint8_t_max_doubled, uint16_t_max_doubled, 0, 0, float_max_doubled, double_max_doubled, 0};
static const cypool_doubles cypool_min_doubled[] = {
    0, 0, 0, 0, uint8_t_min_doubled, uint16_t_min_doubled, 0, 0, float_min_doubled, double_min_doubled, 0};
static const cypool_doubles cypool_sum_doubled[] = {
    0, 0, int32_t_sum_doubled, 0, 0, uint16_t_sum_doubled, 0, uint64_t_sum_doubled, float_sum_doubled,
    double_sum_doubled, 0};

#endif
