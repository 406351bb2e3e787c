/* Rows of cells from the windows over them: sums of shares, of all windows or of those that chose the cell.

   The cells of a row fall into `stride` phases; those of each are made in vectors, and put side by side by shuffles on
   the way to the array. With a phase at a time in scratch, averages of 64x56x56 k2 s2 took about 1.3 times as long. */

#ifndef CYPOOL_SPREAD_H
#define CYPOOL_SPREAD_H

#include "across.h"

/* The windows over cell r * stride + p of a row: their shares stand at r + offsets[t], for begins[p] <= t < begins[p + 1],
   and count where the code beside them, `codes` elements further on, is taps[t]. */
typedef struct {
    ptrdiff_t stride, codes;
    const ptrdiff_t *offsets, *taps, *begins;
} cypool_reach;

typedef void (*cypool_spread)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                              ptrdiff_t cells, const cypool_reach *reach);

#define CYPOOL_SHARE(V, C, K, t) (*(const V *)(src + offsets[t]))
#if CYPOOL_BYTES > 1
#define CYPOOL_CHOSEN(V, C, K, t)                                                                                     \
    ((V)((*(const C *)(src + offsets[t] + codes) == (K)taps[t]) & (C)CYPOOL_SHARE(V, C, K, t)))
#else
#define CYPOOL_CHOSEN(V, C, K, t)                                                                                     \
    (*(const C *)(src + offsets[t] + codes) == (K)taps[t] ? CYPOOL_SHARE(V, C, K, t) : 0)
#endif

/* One vector of a phase: one window after the other, as all ways of adding choices do. */
#define CYPOOL_PHASE_OF_CHOSEN(NAME, T, V, C, K)                                                                      \
    CYPOOL_INLINE V NAME##_phase(const T *src, ptrdiff_t codes, const ptrdiff_t *offsets, const ptrdiff_t *taps,      \
                                 ptrdiff_t n) {                                                                       \
        V a = {0};                                                                                                    \
        ptrdiff_t t;                                                                                                  \
        for (t = 0; t < n; t++)                                                                                       \
            a += CYPOOL_CHOSEN(V, C, K, t);                                                                           \
        return a;                                                                                                     \
    }

/* Or of sums: groups of four windows, so that few sums are rounded one after the other. */
#define CYPOOL_PHASE_OF_SHARES(NAME, T, V, C, K)                                                                      \
    CYPOOL_INLINE V NAME##_phase(const T *src, ptrdiff_t codes, const ptrdiff_t *offsets, const ptrdiff_t *taps,      \
                                 ptrdiff_t n) {                                                                       \
        V a = {0};                                                                                                    \
        ptrdiff_t t = n % 4;                                                                                          \
        (void)codes, (void)taps;                                                                                      \
        if (t == 1)                                                                                                   \
            a = CYPOOL_SHARE(V, C, K, 0);                                                                             \
        else if (t == 2)                                                                                              \
            a = CYPOOL_SHARE(V, C, K, 0) + CYPOOL_SHARE(V, C, K, 1);                                                  \
        else if (t == 3)                                                                                              \
            a = CYPOOL_SHARE(V, C, K, 0) + CYPOOL_SHARE(V, C, K, 1) + CYPOOL_SHARE(V, C, K, 2);                       \
        else if (n) {                                                                                                 \
            a = (CYPOOL_SHARE(V, C, K, 0) + CYPOOL_SHARE(V, C, K, 1))                                                 \
                + (CYPOOL_SHARE(V, C, K, 2) + CYPOOL_SHARE(V, C, K, 3));                                              \
            t = 4;                                                                                                    \
        }                                                                                                             \
        for (; t < n; t += 4)                                                                                         \
            a += (CYPOOL_SHARE(V, C, K, t) + CYPOOL_SHARE(V, C, K, t + 1))                                            \
                 + (CYPOOL_SHARE(V, C, K, t + 2) + CYPOOL_SHARE(V, C, K, t + 3));                                     \
        return a;                                                                                                     \
    }

#define CYPOOL_PHASE_OF(NAME, p, at)                                                                                  \
    NAME##_phase((at), codes, offsets + begins[p], taps + begins[p], begins[(p) + 1] - begins[p])

#ifdef CYPOOL_SHUFFLES

/* Lanes of two vectors in turn, from their first or their second half; of three, the first two and then the last. */
#define CYPOOL_TURN(n, r, i) ((i) / 2 + (i) % 2 * (n) + (r) * (n) / 2)
#define CYPOOL_TURN3(n, r, i)                                                                                         \
    (((r) * (n) + (i)) % 3 < 2 ? ((r) * (n) + (i)) % 3 * (n) + ((r) * (n) + (i)) / 3 : 0)
#define CYPOOL_TURN3_LAST(n, r, i) (((r) * (n) + (i)) % 3 < 2 ? (i) : (n) + ((r) * (n) + (i)) / 3)
#define CYPOOL_TURNS(N, r, a, b) __builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN, N, r, 0))
#define CYPOOL_TURNS3(N, r, a, b, c)                                                                                  \
    __builtin_shufflevector(__builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN3, N, r, 0)), c,         \
                            CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN3_LAST, N, r, 0))

/* The cells of N windows. */
#define CYPOOL_SPREAD_VECTOR(NAME, T, V, C, K, N, PHASE)                                                              \
    PHASE(NAME, T, V, C, K)                                                                                           \
    CYPOOL_INLINE void NAME(T *out, const T *src, ptrdiff_t stride, ptrdiff_t codes, const ptrdiff_t *offsets,        \
                            const ptrdiff_t *taps, const ptrdiff_t *begins) {                                         \
        V a = CYPOOL_PHASE_OF(NAME, 0, src);                                                                          \
        if (stride == 1)                                                                                              \
            *(V *)out = a;                                                                                            \
        else if (stride == 2) {                                                                                       \
            V b = CYPOOL_PHASE_OF(NAME, 1, src);                                                                      \
            *(V *)out = CYPOOL_TURNS(N, 0, a, b);                                                                     \
            *(V *)(out + N) = CYPOOL_TURNS(N, 1, a, b);                                                               \
        } else if (stride == 3) {                                                                                     \
            V b = CYPOOL_PHASE_OF(NAME, 1, src), c = CYPOOL_PHASE_OF(NAME, 2, src);                                   \
            *(V *)out = CYPOOL_TURNS3(N, 0, a, b, c);                                                                 \
            *(V *)(out + N) = CYPOOL_TURNS3(N, 1, a, b, c);                                                           \
            *(V *)(out + 2 * N) = CYPOOL_TURNS3(N, 2, a, b, c);                                                       \
        } else {                                                                                                      \
            V b = CYPOOL_PHASE_OF(NAME, 1, src), c = CYPOOL_PHASE_OF(NAME, 2, src);                                   \
            V d = CYPOOL_PHASE_OF(NAME, 3, src), e = CYPOOL_TURNS(N, 0, a, c), f = CYPOOL_TURNS(N, 0, b, d);          \
            *(V *)out = CYPOOL_TURNS(N, 0, e, f);                                                                     \
            *(V *)(out + N) = CYPOOL_TURNS(N, 1, e, f);                                                               \
            e = CYPOOL_TURNS(N, 1, a, c), f = CYPOOL_TURNS(N, 1, b, d);                                               \
            *(V *)(out + 2 * N) = CYPOOL_TURNS(N, 0, e, f);                                                           \
            *(V *)(out + 3 * N) = CYPOOL_TURNS(N, 1, e, f);                                                           \
        }                                                                                                             \
    }

#define CYPOOL_SPREAD_FIT(NAME, N)                                                                                    \
    if (N > 1 && whole >= N) {                                                                                        \
        for (j = 0; j + N <= whole; j += N)                                                                           \
            NAME(out + stride * j, src + j, stride, codes, offsets, taps, begins);                                    \
        if (j < whole)                                                                                                \
            NAME(out + stride * (whole - N), src + whole - N, stride, codes, offsets, taps, begins);                  \
        j = whole;                                                                                                    \
    }

#define CYPOOL_SPREAD_VECTORS(NAME, T, C, N4, N3, N2, PHASE)                                                          \
    CYPOOL_SPREAD_VECTOR(NAME##_whole, T, CYPOOL_JOIN(T, CYPOOL_BYTES), CYPOOL_JOIN(C, CYPOOL_BYTES), C, N4, PHASE)   \
    CYPOOL_SPREAD_VECTOR(NAME##_half, T, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), CYPOOL_JOIN(C, CYPOOL_HALF_BYTES), C, N3, \
                         PHASE)                                                                                       \
    CYPOOL_SPREAD_VECTOR(NAME##_quarter, T, CYPOOL_JOIN(T, CYPOOL_QUARTER_BYTES),                                     \
                         CYPOOL_JOIN(C, CYPOOL_QUARTER_BYTES), C, N2, PHASE)
#define CYPOOL_SPREAD_FITS(NAME, N4, N3, N2)                                                                          \
    CYPOOL_SPREAD_FIT(NAME##_whole, N4)                                                                               \
    else CYPOOL_SPREAD_FIT(NAME##_half, N3)                                                                           \
    else CYPOOL_SPREAD_FIT(NAME##_quarter, N2)
#else
#define CYPOOL_SPREAD_VECTORS(NAME, T, C, N4, N3, N2, PHASE)
#define CYPOOL_SPREAD_FITS(NAME, N4, N3, N2)
#endif

/* Row r is of `cells` cells from out + r * out_step on, of windows whose shares stand from src + r * src_step on. */
#define CYPOOL_SPREAD(NAME, T, C, N4, N3, N2, PHASE)                                                                  \
    CYPOOL_SPREAD_VECTORS(NAME, T, C, N4, N3, N2, PHASE)                                                              \
    PHASE(NAME##_one, T, CYPOOL_ONE(T), CYPOOL_ONE(C), C)                                                             \
    CYPOOL_INLINE void NAME##_row(T *out, const T *src, ptrdiff_t cells, ptrdiff_t stride, ptrdiff_t codes,           \
                                  const ptrdiff_t *offsets, const ptrdiff_t *taps, const ptrdiff_t *begins) {         \
        const ptrdiff_t whole = cells / stride;                                                                       \
        ptrdiff_t j = 0, p;                                                                                           \
        CYPOOL_SPREAD_FITS(NAME, N4, N3, N2)                                                                          \
        for (; j * stride < cells; j++)                                                                               \
            for (p = 0; p < stride && j * stride + p < cells; p++)                                                    \
                *(CYPOOL_ONE(T) *)(out + j * stride + p) = CYPOOL_PHASE_OF(NAME##_one, p, src + j);                   \
    }                                                                                                                 \
    static void NAME(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,              \
                     ptrdiff_t cells, const cypool_reach *reach) {                                                    \
        const ptrdiff_t codes = reach->codes, *offsets = reach->offsets, *taps = reach->taps, *begins = reach->begins;\
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src;                                                                               \
        ptrdiff_t r;                                                                                                  \
        for (r = 0; r < rows; r++, to += out_step, from += src_step)                                                  \
            if (reach->stride == 1)                                                                                   \
                NAME##_row(to, from, cells, 1, codes, offsets, taps, begins);                                         \
            else if (reach->stride == 2)                                                                              \
                NAME##_row(to, from, cells, 2, codes, offsets, taps, begins);                                         \
            else if (reach->stride == 3)                                                                              \
                NAME##_row(to, from, cells, 3, codes, offsets, taps, begins);                                         \
            else                                                                                                      \
                NAME##_row(to, from, cells, 4, codes, offsets, taps, begins);                                         \
    }

#if CYPOOL_BYTES == 64
#define CYPOOL_SPREAD4(NAME, PHASE) CYPOOL_SPREAD(NAME, float, int32_t, 16, 8, 4, PHASE)
#define CYPOOL_SPREAD8(NAME, PHASE) CYPOOL_SPREAD(NAME, double, int64_t, 8, 4, 2, PHASE)
#elif CYPOOL_BYTES == 32
#define CYPOOL_SPREAD4(NAME, PHASE) CYPOOL_SPREAD(NAME, float, int32_t, 8, 4, 2, PHASE)
#define CYPOOL_SPREAD8(NAME, PHASE) CYPOOL_SPREAD(NAME, double, int64_t, 4, 2, 1, PHASE)
#else
#define CYPOOL_SPREAD4(NAME, PHASE) CYPOOL_SPREAD(NAME, float, int32_t, 4, 2, 2, PHASE)
#define CYPOOL_SPREAD8(NAME, PHASE) CYPOOL_SPREAD(NAME, double, int64_t, 2, 1, 1, PHASE)
#endif

CYPOOL_SPREAD4(cypool_spread_floats, CYPOOL_PHASE_OF_SHARES)
CYPOOL_SPREAD8(cypool_spread_doubles, CYPOOL_PHASE_OF_SHARES)
CYPOOL_SPREAD4(cypool_choose_floats, CYPOOL_PHASE_OF_CHOSEN)
CYPOOL_SPREAD8(cypool_choose_doubles, CYPOOL_PHASE_OF_CHOSEN)

#endif
