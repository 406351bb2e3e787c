/* Means of small whole numbers over blocks of a power of two of them, as image pyramids are made of.

   A vector holds twice as many numbers as it has sums: the even ones are its lanes' low halves and the odd ones the high,
   so that neighbours are added, or kept apart, without a shuffle. Means are rounded half to even. */

#ifndef CYPOOL_MEANS_H
#define CYPOOL_MEANS_H

#include "across.h"

/* What is left of a sum, or of sums, of W after a division by 2 ** shift. */
#define CYPOOL_ROUNDED(W, a, shift) (((a) + (W)(((W)1 << ((shift)-1)) - 1) + ((a) >> (shift) & (W)1)) >> (shift))

#define CYPOOL_MEAN_ONE(W)                                                                                            \
    for (; j < length; j += lanes)                                                                                    \
        for (c = 0; c < lanes; c++) {                                                                                 \
            W sum = 0;                                                                                                \
            for (i = 0; i < n; i++)                                                                                   \
                for (t = 0; t < kernel; t++)                                                                          \
                    sum = (W)(sum + src[taps[i] + kernel * j + t * lanes + c]);                                       \
            out[j + c] = CYPOOL_ROUNDED(W, sum, shift);                                                               \
        }

#if CYPOOL_BYTES > 1
#define CYPOOL_FETCH(src, next) __builtin_prefetch((const void *)((uintptr_t)(src) + (next) * sizeof(*(src))), 0, 2)
#define CYPOOL_MEAN_VECTOR(NAME, S, W, V, H, B)                                                                       \
    CYPOOL_INLINE void NAME##_pairs(S *out, const S *src, const ptrdiff_t *taps, ptrdiff_t n, int shift, ptrdiff_t next) {\
        V a = {0};                                                                                                    \
        ptrdiff_t i;                                                                                                  \
        for (i = 0; i < n; i++) {                                                                                     \
            const V v = *(const V *)(src + taps[i]);                                                                  \
            CYPOOL_FETCH(src + taps[i], next);                                                                        \
            a += (v << B >> B) + (v >> B);                                                                            \
        }                                                                                                             \
        a = CYPOOL_ROUNDED(W, a, shift);                                                                              \
        *(H *)out = __builtin_convertvector(a, H);                                                                    \
    }                                                                                                                 \
    CYPOOL_INLINE void NAME##_each(S *out, const S *src, const ptrdiff_t *taps, ptrdiff_t n, int shift, ptrdiff_t next) {\
        V a = {0}, b = {0};                                                                                           \
        ptrdiff_t i;                                                                                                  \
        for (i = 0; i < n; i++) {                                                                                     \
            const V v = *(const V *)(src + taps[i]);                                                                  \
            CYPOOL_FETCH(src + taps[i], next);                                                                        \
            a += v << B >> B;                                                                                         \
            b += v >> B;                                                                                              \
        }                                                                                                             \
        a = CYPOOL_ROUNDED(W, a, shift);                                                                              \
        b = CYPOOL_ROUNDED(W, b, shift);                                                                              \
        a = CYPOOL_SELECT((V){0} + (W)(((W)1 << (B - 1) << 1) - 1), a, b << B);                                       \
        *(V *)out = a;                                                                                                \
    }

/* Pairs of cells of a few lanes each: as many as a vector holds, picked out of two; what it holds beyond is overwritten by
   the next. Returns how far it came. */
#if defined(__AVX2__) && !defined(__clang__)
#define CYPOOL_MEAN_LANES(NAME, S, W, V, H)                                                                           \
    CYPOOL_INLINE ptrdiff_t NAME##_lanes(S *out, const S *src, ptrdiff_t length, ptrdiff_t lanes,                     \
                                         const ptrdiff_t *taps, ptrdiff_t n, int shift, ptrdiff_t next) {             \
        const ptrdiff_t held = sizeof(V) / sizeof(W), made = held / lanes * lanes;                                    \
        V first = {0};                                                                                                \
        ptrdiff_t i, j;                                                                                               \
        for (i = 0; i < made; i++)                                                                                    \
            first[i] = (W)(2 * i - i % lanes);                                                                        \
        for (j = 0; made && j + held <= length; j += made) {                                                          \
            V a = {0}, b = {0};                                                                                       \
            for (i = 0; i < n; i++) {                                                                                 \
                const S *cells = src + taps[i] + 2 * j;                                                               \
                a += __builtin_convertvector(*(const H *)cells, V);                                                   \
                b += __builtin_convertvector(*(const H *)(cells + held), V);                                          \
                CYPOOL_FETCH(cells, next);                                                                            \
            }                                                                                                         \
            a = __builtin_shuffle(a, b, first) + __builtin_shuffle(a, b, first + (W)lanes);                           \
            a = CYPOOL_ROUNDED(W, a, shift);                                                                          \
            *(H *)(out + j) = __builtin_convertvector(a, H);                                                          \
        }                                                                                                             \
        return j;                                                                                                     \
    }
#else
#define CYPOOL_MEAN_LANES(NAME, S, W, V, H)                                                                           \
    CYPOOL_INLINE ptrdiff_t NAME##_lanes(S *out, const S *src, ptrdiff_t length, ptrdiff_t lanes,                     \
                                         const ptrdiff_t *taps, ptrdiff_t n, int shift, ptrdiff_t next) {             \
        (void)out, (void)src, (void)length, (void)lanes, (void)taps, (void)n, (void)shift, (void)next;                \
        return 0;                                                                                                     \
    }
#endif

/* A row: whole vectors, the last overlapping the one before. */
#define CYPOOL_MEAN_FIT(NAME, WHICH, MADE)                                                                            \
    if (length >= (ptrdiff_t)(MADE)) {                                                                                \
        for (j = 0; j + (ptrdiff_t)(MADE) <= length; j += MADE)                                                       \
            NAME##WHICH(out + j, src + kernel * j, taps, n, shift, next);                                             \
        if (j < length) {                                                                                             \
            j = length - MADE;                                                                                        \
            NAME##WHICH(out + j, src + kernel * j, taps, n, shift, next);                                             \
        }                                                                                                             \
        return;                                                                                                       \
    }
#define CYPOOL_MEAN_ROW(NAME, S, W, B)                                                                                \
    CYPOOL_MEAN_VECTOR(NAME##_whole, S, W, CYPOOL_JOIN(W, CYPOOL_BYTES), CYPOOL_JOIN(S, CYPOOL_HALF_BYTES), B)        \
    CYPOOL_MEAN_VECTOR(NAME##_half, S, W, W##16, S##8, B)                                                             \
    CYPOOL_MEAN_LANES(NAME, S, W, CYPOOL_JOIN(W, CYPOOL_BYTES), CYPOOL_JOIN(S, CYPOOL_HALF_BYTES))                    \
    CYPOOL_INLINE void NAME##_row(S *out, const S *src, ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t lanes, const ptrdiff_t *taps,\
                                  ptrdiff_t n, int shift, ptrdiff_t next) {                                           \
        ptrdiff_t i, t, c, j = 0;                                                                                     \
        if (kernel == 2 && lanes > 1)                                                                                 \
            j = NAME##_lanes(out, src, length, lanes, taps, n, shift, next);                                          \
        else if (kernel == 2) {                                                                                       \
            CYPOOL_MEAN_FIT(NAME, _whole_pairs, CYPOOL_BYTES / sizeof(W))                                             \
            CYPOOL_MEAN_FIT(NAME, _half_pairs, 16 / sizeof(W))                                                        \
        } else {                                                                                                      \
            CYPOOL_MEAN_FIT(NAME, _whole_each, CYPOOL_BYTES / sizeof(S))                                              \
            CYPOOL_MEAN_FIT(NAME, _half_each, 16 / sizeof(S))                                                         \
        }                                                                                                             \
        CYPOOL_MEAN_ONE(W)                                                                                            \
    }
#else
#define CYPOOL_MEAN_ROW(NAME, S, W, B)                                                                                \
    CYPOOL_INLINE void NAME##_row(S *out, const S *src, ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t lanes, const ptrdiff_t *taps,\
                                  ptrdiff_t n, int shift, ptrdiff_t next) {                                           \
        ptrdiff_t i, t, c, j = 0;                                                                                     \
        (void)next;                                                                                                   \
        CYPOOL_MEAN_ONE(W)                                                                                            \
    }
#endif

/* As `across` (see across.h), for kernel and stride both 1 or both 2, cells `dilation` apart, which is how many lanes they
   have; `divisors` is one double, a power of two. */
#define CYPOOL_MEANS(NAME, S, W, B)                                                                                   \
    CYPOOL_MEAN_ROW(NAME, S, W, B)                                                                                    \
    static void NAME(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,              \
                     ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation, const ptrdiff_t *taps, \
                     ptrdiff_t n_taps, const void *divisors) {                                                        \
        S *to = (S *)out;                                                                                             \
        const S *from = (const S *)src;                                                                               \
        ptrdiff_t r;                                                                                                  \
        int shift = 0;                                                                                                \
        (void)stride;                                                                                                 \
        while ((double)((int64_t)1 << shift) < *(const double *)divisors)                                             \
            shift++;                                                                                                  \
        for (r = 0; r < rows; r++, to += out_step, from += src_step)                                                  \
            if (kernel == 2 && n_taps == 1)                                                                           \
                NAME##_row(to, from, length, 2, dilation, taps, 1, shift, src_step);                                  \
            else if (kernel == 2 && n_taps == 2)                                                                      \
                NAME##_row(to, from, length, 2, dilation, taps, 2, shift, src_step);                                  \
            else if (kernel == 2 && n_taps == 4)                                                                      \
                NAME##_row(to, from, length, 2, dilation, taps, 4, shift, src_step);                                  \
            else if (kernel == 2)                                                                                     \
                NAME##_row(to, from, length, 2, dilation, taps, n_taps, shift, src_step);                             \
            else                                                                                                      \
                NAME##_row(to, from, length, 1, 1, taps, n_taps, shift, src_step);                                    \
    }

CYPOOL_MEANS(cypool_means_i1, int8_t, int16_t, 8)
CYPOOL_MEANS(cypool_means_i2, int16_t, int32_t, 16)
CYPOOL_MEANS(cypool_means_u1, uint8_t, uint16_t, 8)
CYPOOL_MEANS(cypool_means_u2, uint16_t, uint32_t, 16)

/* By type of lane. */
static const cypool_across cypool_means[] = {cypool_means_i1, cypool_means_i2, 0, 0, cypool_means_u1, cypool_means_u2};

#endif
