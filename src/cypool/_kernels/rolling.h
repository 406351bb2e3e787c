/* Means of small whole numbers over windows that overlap, by running sums: their cost does not depend on the window.

   Sums of whole numbers are exact, so that what leaves a window may be taken away, which floats would not forgive. The
   sums of the columns under a row of windows come from those under the row before: one row of cells is added, one taken
   away. Along the row sums of all cells so far are made in registers, modulo 2**32, and a window is the difference of two
   of them; a few columns are added up one by one. Means are rounded half to even. */

#ifndef CYPOOL_ROLLING_H
#define CYPOOL_ROLLING_H

#include "across.h"

/* Windows along an axis of `size` cells: window w has the `kernel` cells from `first` + w on, and counts those of them that
   lie in [low, high). */
typedef struct {
    ptrdiff_t size, kernel, windows, first, low, high;
} cypool_axis;

/* Means are of the cells' type, or `real` numbers of so many bytes. */
typedef void (*cypool_rolled)(void *out, ptrdiff_t out_step, int real, const void *src, ptrdiff_t src_step,
                              const cypool_axis *rows, const cypool_axis *along, ptrdiff_t lanes, double divisor,
                              void *scratch);

#define CYPOOL_ONE_BY_ONE 8 /* so many cells along a row, if their sum is no wider than those of columns */

static inline ptrdiff_t cypool_counted(const cypool_axis *axis, ptrdiff_t window) {
    const ptrdiff_t start = axis->first + window, stop = start + axis->kernel;
    return (stop < axis->high ? stop : axis->high) - (start > axis->low ? start : axis->low);
}

/* far[j] = sums[j] + sums[j - lanes] + ..., in pairs of vectors of N, and so few past the end; returns how many. */
#if CYPOOL_BYTES >= 32 && !defined(__clang__)
#define CYPOOL_SO_FAR(NAME, W, N, V, H)                                                                               \
    CYPOOL_INLINE ptrdiff_t NAME##_steps(uint32_t *far, const W *sums, ptrdiff_t length, ptrdiff_t lanes, int steps) {\
        V shift[4], carry, carry_on, last = {0};                                                                      \
        const V zero = {0};                                                                                           \
        ptrdiff_t i, j;                                                                                               \
        for (i = 0; i < steps; i++)                                                                                   \
            for (j = 0; j < N; j++)                                                                                   \
                shift[i][j] = (uint32_t)(j < lanes << i ? 0 : N + j - (lanes << i));                                  \
        for (j = 0; j < N; j++) {                                                                                     \
            carry[j] = (uint32_t)(N - lanes + j % lanes);                                                             \
            carry_on[j] = (uint32_t)(N - lanes + (j + N) % lanes);                                                    \
        }                                                                                                             \
        for (j = 0; j < length; j += 2 * N) {                                                                         \
            V a = __builtin_convertvector(*(const H *)(sums + j), V);                                                 \
            V b = __builtin_convertvector(*(const H *)(sums + j + N), V);                                             \
            CYPOOL_UNROLL for (i = 0; i < steps; i++) {                                                               \
                a += __builtin_shuffle(zero, a, shift[i]);                                                            \
                b += __builtin_shuffle(zero, b, shift[i]);                                                            \
            }                                                                                                         \
            b += __builtin_shuffle(a, carry);                                                                         \
            a += __builtin_shuffle(last, carry);                                                                      \
            last = b + __builtin_shuffle(last, carry_on);                                                             \
            *(V *)(far + j) = a;                                                                                      \
            *(V *)(far + j + N) = last;                                                                               \
        }                                                                                                             \
        return j;                                                                                                     \
    }                                                                                                                 \
    CYPOOL_APART ptrdiff_t NAME##_so_far(uint32_t *far, const W *sums, ptrdiff_t length, ptrdiff_t lanes) {           \
        if (8 * lanes < N)                                                                                            \
            return NAME##_steps(far, sums, length, lanes, 4);                                                         \
        if (4 * lanes < N)                                                                                            \
            return NAME##_steps(far, sums, length, lanes, 3);                                                         \
        if (2 * lanes < N)                                                                                            \
            return NAME##_steps(far, sums, length, lanes, 2);                                                         \
        return lanes > N ? 0 : NAME##_steps(far, sums, length, lanes, lanes < N);                                     \
    }
#else
#define CYPOOL_SO_FAR(NAME, W, N, V, H)                                                                               \
    CYPOOL_INLINE ptrdiff_t NAME##_so_far(uint32_t *far, const W *sums, ptrdiff_t length, ptrdiff_t lanes) {          \
        (void)far, (void)sums, (void)length, (void)lanes;                                                             \
        return 0;                                                                                                     \
    }
#endif

/* A row of means of the totals that an expression of j makes. Over an odd count none is a tie, and the inverse of a power
   of two is exact: those are had by a multiplication. */
#define CYPOOL_ROLLED_MEANS(T, F, ones, total)                                                                        \
    if ((count & 1) || !(count & (count - 1)))                                                                        \
        for (j = 0; j < n; j++)                                                                                       \
            to[j] = (T)(int32_t)((F)(int32_t)(total) * one + ones - ones);                                            \
    else                                                                                                              \
        for (j = 0; j < n; j++)                                                                                       \
            to[j] = (T)(int32_t)((F)(int32_t)(total) / all + ones - ones);

/* A row of them as floats R, over one count or each over its own. */
#define CYPOOL_ROLLED_REALS(R)                                                                                        \
    {                                                                                                                 \
        R *to = (R *)out;                                                                                             \
        if (totals && by)                                                                                             \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (R)((double)(int32_t)totals[j] / (double)by[j]);                                              \
        else if (totals)                                                                                              \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (R)((double)(int32_t)totals[j] / (double)count);                                              \
        else if (by)                                                                                                  \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (R)((double)(int32_t)(past[j] - far[j]) / (double)by[j]);                                     \
        else                                                                                                          \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (R)((double)(int32_t)(past[j] - far[j]) / (double)count);                                     \
    }

/* Cells T, the least of which is `least`, columns of which add up to W. Means are made as F, which is whole from `ones` on;
   sums so far in vectors V of N, of vectors H of columns. */
#define CYPOOL_ROLLED(NAME, T, W, F, ones, least, SUM, N, V, H)                                                       \
    CYPOOL_SO_FAR(NAME, W, N, V, H)                                                                                   \
    CYPOOL_APART void NAME##_roll(W *restrict sums, const T *restrict in, const T *restrict out, ptrdiff_t n) {       \
        ptrdiff_t j;                                                                                                  \
        for (j = 0; j < n; j++)                                                                                       \
            sums[j] = (W)(sums[j] + in[j] - out[j]);                                                                  \
    }                                                                                                                 \
    /* Of totals, or of the differences of those so far, all over one count. A small odd one divides whole numbers of \
       16 bits, by the upper half of a product: (t + count / 2) * m / 2**(16 + shift) is less than 1 / 128 too large. */\
    CYPOOL_APART void NAME##_means(T *restrict to, const W *restrict totals, const uint32_t *restrict far,            \
                                   ptrdiff_t apart, ptrdiff_t count, ptrdiff_t n) {                                   \
        const F one = (F)1 / (F)count, all = (F)count;                                                                \
        const uint32_t *past = far + apart;                                                                           \
        ptrdiff_t j;                                                                                                  \
        if (!totals) {                                                                                                \
            CYPOOL_ROLLED_MEANS(T, F, ones, past[j] - far[j])                                                         \
        } else if (sizeof(T) == 1 && (count & 1) && count > 1 && count < 128) {                                       \
            const int shift = count < 4 ? 1 : count < 8 ? 2 : count < 16 ? 3 : count < 32 ? 4 : count < 64 ? 5 : 6;   \
            const uint16_t m = (uint16_t)((((uint32_t)1 << (16 + shift)) - 1) / (uint32_t)count + 1);                 \
            const uint16_t more = (uint16_t)(count / 2 - (least) * count);                                            \
            for (j = 0; j < n; j++) {                                                                                 \
                const uint16_t t = (uint16_t)((uint16_t)totals[j] + more);                                            \
                to[j] = (T)((uint16_t)((uint32_t)t * m >> 16 >> shift) + (least));                                    \
            }                                                                                                         \
        } else if ((count & 1) && count < 64) {                                                                       \
            const float narrow = 1.0f / (float)count; /* off by 65535 / 2**23 at most: less than 1 / 2 / count */     \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (T)(int32_t)((float)(int32_t)totals[j] * narrow + 12582912.0f - 12582912.0f);                 \
        } else {                                                                                                      \
            CYPOOL_ROLLED_MEANS(T, F, ones, totals[j])                                                                \
        }                                                                                                             \
    }                                                                                                                 \
    /* Each over a count of its own. */                                                                               \
    CYPOOL_APART void NAME##_edges(T *restrict to, const W *restrict totals, const uint32_t *restrict far,            \
                                   ptrdiff_t apart, const F *restrict by, ptrdiff_t n) {                              \
        const uint32_t *past = far + apart;                                                                           \
        ptrdiff_t j;                                                                                                  \
        if (totals)                                                                                                   \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (T)(int32_t)((F)(int32_t)totals[j] / by[j] + ones - ones);                                    \
        else                                                                                                          \
            for (j = 0; j < n; j++)                                                                                   \
                to[j] = (T)(int32_t)((F)(int32_t)(past[j] - far[j]) / by[j] + ones - ones);                           \
    }                                                                                                                 \
    CYPOOL_APART void NAME##_reals(char *out, int real, const W *restrict totals, const uint32_t *restrict far,       \
                                   ptrdiff_t apart, const F *restrict by, ptrdiff_t count, ptrdiff_t n) {             \
        const uint32_t *past = far + apart;                                                                           \
        ptrdiff_t j;                                                                                                  \
        if (real == sizeof(float))                                                                                    \
            CYPOOL_ROLLED_REALS(float)                                                                                \
        else                                                                                                          \
            CYPOOL_ROLLED_REALS(double)                                                                               \
    }                                                                                                                 \
    static void NAME(void *out, ptrdiff_t out_step, int real, const void *src, ptrdiff_t src_step,                    \
                     const cypool_axis *rows, const cypool_axis *along, ptrdiff_t lanes, double divisor,              \
                     void *scratch) {                                                                                 \
        const ptrdiff_t cells = along->windows + along->kernel - 1, length = cells * lanes, end = along->first + cells;\
        const ptrdiff_t begin = along->first > 0 ? along->first : 0;                                                  \
        const ptrdiff_t held = ((end < along->size ? end : along->size) - begin) * lanes;                             \
        const T *from = (const T *)src + begin * lanes;                                                               \
        char *to = (char *)out;                                                                                       \
        const ptrdiff_t bytes = real ? real : (ptrdiff_t)sizeof(T);                                                   \
        uint32_t *far = (uint32_t *)scratch;                                                                          \
        F *by = (F *)(far + (length + lanes + 79) / 16 * 16);                                                         \
        W *sums = (W *)(by + (along->windows * lanes + 15) / 16 * 16), *there = sums + (begin - along->first) * lanes;\
        T *none = (T *)(sums + length + 64);                                                                          \
        /* Without totals, sums so far are made instead. */                                                           \
        const W *totals = along->kernel == 1 ? sums : (const W *)far;                                                 \
        const ptrdiff_t made = along->windows * lanes, apart = along->kernel * lanes;                                 \
        ptrdiff_t ends[4] = {0, 0, along->windows, made}, taps[CYPOOL_ONE_BY_ONE], c, j, w, s, counted = 0;           \
        if (along->kernel > CYPOOL_ONE_BY_ONE || (sizeof(T) == 1 && rows->kernel * along->kernel > 255))              \
            totals = NULL;                                                                                            \
        for (j = 0; totals && j < along->kernel; j++)                                                                 \
            taps[j] = j * lanes;                                                                                      \
        memset(far, 0, lanes * sizeof(uint32_t));                                                                     \
        memset(sums, 0, (length + 64) * sizeof(W));                                                                   \
        memset(none, 0, held * sizeof(T));                                                                            \
        /* Windows at both ends that do not count all of their cells, and those between. */                           \
        while (divisor == 0 && ends[1] < along->windows && cypool_counted(along, ends[1]) < along->kernel)            \
            ends[1]++;                                                                                                \
        while (divisor == 0 && ends[2] > ends[1] && cypool_counted(along, ends[2] - 1) < along->kernel)               \
            ends[2]--;                                                                                                \
        ends[1] *= lanes;                                                                                             \
        ends[2] *= lanes;                                                                                             \
        for (w = 1 - rows->kernel; w < rows->windows; w++, to += w > 0 ? out_step * bytes : 0) {                      \
            const ptrdiff_t in = rows->first + w + rows->kernel - 1, past = rows->first + w - 1;                      \
            const T *more = in >= 0 && in < rows->size ? from + in * src_step : none;                                 \
            const T *less = w > 0 && past >= 0 && past < rows->size ? from + past * src_step : none;                  \
            if (in + 1 >= 0 && in + 1 < rows->size && w + 1 < rows->windows)                                          \
                cypool_fetch_row((const char *)(from + (in + 1) * src_step), held * (ptrdiff_t)sizeof(T));            \
            if (more != less)                                                                                         \
                NAME##_roll(there, more, less, held);                                                                 \
            if (w < 0)                                                                                                \
                continue;                                                                                             \
            if (divisor == 0 && counted != cypool_counted(rows, w)) {                                                 \
                counted = cypool_counted(rows, w);                                                                    \
                for (j = 0; j < made; j++)                                                                            \
                    by[j] = (F)(counted * cypool_counted(along, j / lanes));                                          \
            }                                                                                                         \
            if (totals && along->kernel > 1)                                                                          \
                SUM(far, 0, sums, 0, taps, NULL, along->kernel, 1, made, 0, 0, 0, NULL);                              \
            else if (!totals)                                                                                         \
                for (j = NAME##_so_far(far + lanes, sums, length, lanes); j < length; j += lanes)                     \
                    for (c = 0; c < lanes; c++)                                                                       \
                        far[j + lanes + c] = far[j + c] + (uint32_t)sums[j + c];                                      \
            for (s = 0; s < 3; s++) {                                                                                 \
                const ptrdiff_t at = ends[s], n = ends[s + 1] - at, all = divisor == 0 ? counted * along->kernel      \
                                                                                       : (ptrdiff_t)divisor;          \
                const W *here = totals ? totals + at : NULL;                                                          \
                if (real)                                                                                             \
                    NAME##_reals(to + at * bytes, real, here, far + at, apart, s == 1 ? NULL : by + at, all, n);      \
                else if (s == 1)                                                                                      \
                    NAME##_means((T *)to + at, here, far + at, apart, all, n);                                        \
                else                                                                                                  \
                    NAME##_edges((T *)to + at, here, far + at, apart, by + at, n);                                    \
            }                                                                                                         \
        }                                                                                                             \
    }

#if CYPOOL_BYTES == 64
#define CYPOOL_ROLLED1(NAME, T, W, least)                                                                             \
    CYPOOL_ROLLED(NAME, T, W, float, 12582912.0f, least, uint16_t_sum, 16, uint32_t64, W##32)
#define CYPOOL_ROLLED2(NAME, T, W, least)                                                                             \
    CYPOOL_ROLLED(NAME, T, W, double, 6755399441055744.0, least, int32_t_sum, 16, uint32_t64, W##64)
#else
#define CYPOOL_ROLLED1(NAME, T, W, least)                                                                             \
    CYPOOL_ROLLED(NAME, T, W, float, 12582912.0f, least, uint16_t_sum, 8, uint32_t32, W##16)
#define CYPOOL_ROLLED2(NAME, T, W, least)                                                                             \
    CYPOOL_ROLLED(NAME, T, W, double, 6755399441055744.0, least, int32_t_sum, 8, uint32_t32, W##32)
#endif

CYPOOL_ROLLED1(cypool_rolled_i1, int8_t, int16_t, INT8_MIN)
CYPOOL_ROLLED1(cypool_rolled_u1, uint8_t, uint16_t, 0)
CYPOOL_ROLLED2(cypool_rolled_i2, int16_t, int32_t, INT16_MIN)
CYPOOL_ROLLED2(cypool_rolled_u2, uint16_t, uint32_t, 0)

/* By type of cell. */
static const cypool_rolled cypool_rolls[] = {cypool_rolled_i1, cypool_rolled_i2, 0, 0, cypool_rolled_u1, cypool_rolled_u2};

#endif
