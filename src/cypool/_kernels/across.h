/* Windows along rows: the merge of neighbours, in the compiler's own vectors.

   Cells that are `stride` apart are put side by side by shuffles of whole vectors, so that nothing is gathered in
   scratch first, and each row ends with a vector that overlaps the one before. gcc makes vectors of the plain loop too,
   but ends each row with scalars: 64x56x56 k3 s2 p1, rows of 28, took 1.2 times as long in one run over all rows. */

#ifndef CYPOOL_ACROSS_H
#define CYPOOL_ACROSS_H

#include "vectors.h"

typedef void (*cypool_across)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                              ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation,
                              const ptrdiff_t *taps, ptrdiff_t n_taps, const void *divisors);

#define CYPOOL_PLAIN(a, d) (void)(d);
#define CYPOOL_PLAIN_MANY 0 /* lane by lane, many rows of cells are only divided here */
#define CYPOOL_DIVIDED_MANY 1
#define CYPOOL_DIVIDED(a, d)                                                                                          \
    if (d)                                                                                                            \
        a = a / *(d);

#if CYPOOL_BYTES > 1 && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define CYPOOL_SHUFFLES
#endif
#endif

/* X = the vector at P, merged with those of the other rows of the windows. */
#define CYPOOL_MERGED(X, V, P, MERGE)                                                                                 \
    X = *(const V *)(P);                                                                                              \
    for (i = 1; i < n; i++) {                                                                                         \
        V y = *(const V *)((P) + taps[i]);                                                                            \
        X = MERGE(X, y);                                                                                              \
    }

/* Window after window. */
#define CYPOOL_ACROSS_ONE(NAME, T, MERGE, DIVIDE)                                                                     \
    CYPOOL_APART void NAME##_ones(T *out, const T *src, ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride,         \
                                  ptrdiff_t dilation, const ptrdiff_t *taps, ptrdiff_t n, const T *divisors) {        \
        ptrdiff_t i, j, t;                                                                                            \
        for (j = 0; j < length; j++) {                                                                                \
            CYPOOL_ONE(T) a, b;                                                                                       \
            CYPOOL_MERGED(a, CYPOOL_ONE(T), src + stride * j, MERGE)                                                  \
            for (t = 1; t < kernel; t++) {                                                                            \
                CYPOOL_MERGED(b, CYPOOL_ONE(T), src + stride * j + t * dilation, MERGE)                               \
                a = MERGE(a, b);                                                                                      \
            }                                                                                                         \
            DIVIDE(a, (divisors ? (const CYPOOL_ONE(T) *)(divisors + j) : 0))                                         \
            *(CYPOOL_ONE(T) *)(out + j) = a;                                                                          \
        }                                                                                                             \
    }

#ifdef CYPOOL_SHUFFLES

/* The numbers M(first), M(first + 1), ... of as many lanes. */
#define CYPOOL_1(M, n, r, i) M(n, r, i)
#define CYPOOL_2(M, n, r, i) CYPOOL_1(M, n, r, i), CYPOOL_1(M, n, r, (i) + 1)
#define CYPOOL_4(M, n, r, i) CYPOOL_2(M, n, r, i), CYPOOL_2(M, n, r, (i) + 2)
#define CYPOOL_8(M, n, r, i) CYPOOL_4(M, n, r, i), CYPOOL_4(M, n, r, (i) + 4)
#define CYPOOL_16(M, n, r, i) CYPOOL_8(M, n, r, i), CYPOOL_8(M, n, r, (i) + 8)
#define CYPOOL_32(M, n, r, i) CYPOOL_16(M, n, r, i), CYPOOL_16(M, n, r, (i) + 16)
#define CYPOOL_64(M, n, r, i) CYPOOL_32(M, n, r, i), CYPOOL_32(M, n, r, (i) + 32)

/* first, first + 1, ... in N lanes of V, of C each. */
#define CYPOOL_LANE(n, r, i) (i)
#define CYPOOL_COUNTED(V, C, N, first) ((V){CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_LANE, N, 0, 0)} + (C)(first))

/* Every second lane of two vectors from r on; every third of three, from the first two and then the last. */
#define CYPOOL_SECOND(n, r, i) (2 * (i) + (r))
#define CYPOOL_THIRD(n, r, i) (3 * (i) + (r) < 2 * (n) ? 3 * (i) + (r) : 0)
#define CYPOOL_THIRD_LAST(n, r, i) (3 * (i) + (r) < 2 * (n) ? (i) : 3 * (i) + (r) - (n))
#define CYPOOL_HALVED(N, r, a, b) __builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_SECOND, N, r, 0))
#define CYPOOL_THIRDS(N, r, a, b, c)                                                                                  \
    __builtin_shufflevector(__builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_THIRD, N, r, 0)), c,         \
                            CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_THIRD_LAST, N, r, 0))

/* Lanes of two vectors in turn, from their first or their second half; of three, the first two and then the last. */
#define CYPOOL_TURN(n, r, i) ((i) / 2 + (i) % 2 * (n) + (r) * (n) / 2)
#define CYPOOL_TURN3(n, r, i)                                                                                         \
    (((r) * (n) + (i)) % 3 < 2 ? ((r) * (n) + (i)) % 3 * (n) + ((r) * (n) + (i)) / 3 : 0)
#define CYPOOL_TURN3_LAST(n, r, i) (((r) * (n) + (i)) % 3 < 2 ? (i) : (n) + ((r) * (n) + (i)) / 3)
#define CYPOOL_TURNS(N, r, a, b) __builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN, N, r, 0))
#define CYPOOL_TURNS3(N, r, a, b, c)                                                                                  \
    __builtin_shufflevector(__builtin_shufflevector(a, b, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN3, N, r, 0)), c,         \
                            CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_TURN3_LAST, N, r, 0))

/* One vector of N windows. Of a last group of fewer taps than the stride, the cells before it are read again, not those
   past it. */
#define CYPOOL_ACROSS_VECTOR(NAME, T, V, N, MERGE, DIVIDE)                                                            \
    CYPOOL_INLINE void NAME(T *out, const T *src, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation,             \
                            const ptrdiff_t *taps, ptrdiff_t n, const T *divisors) {                                  \
        ptrdiff_t i, t, rest;                                                                                         \
        V a, b, c, d, e;                                                                                              \
        if (stride == 1) {                                                                                            \
            CYPOOL_MERGED(a, V, src, MERGE)                                                                           \
            for (t = 1; t < kernel; t++) {                                                                            \
                CYPOOL_MERGED(b, V, src + t * dilation, MERGE)                                                        \
                a = MERGE(a, b);                                                                                      \
            }                                                                                                         \
        } else if (stride == 2) {                                                                                     \
            CYPOOL_MERGED(b, V, src, MERGE)                                                                           \
            CYPOOL_MERGED(c, V, src + N, MERGE)                                                                       \
            a = CYPOOL_HALVED(N, 0, b, c);                                                                            \
            if (kernel > 1) {                                                                                         \
                d = CYPOOL_HALVED(N, 1, b, c);                                                                        \
                a = MERGE(a, d);                                                                                      \
            }                                                                                                         \
            for (t = 2; t < kernel; t += 2) {                                                                         \
                rest = t + 1 == kernel;                                                                               \
                CYPOOL_MERGED(b, V, src + t - rest, MERGE)                                                            \
                CYPOOL_MERGED(c, V, src + t - rest + N, MERGE)                                                        \
                if (!rest) {                                                                                          \
                    d = CYPOOL_HALVED(N, 0, b, c);                                                                    \
                    a = MERGE(a, d);                                                                                  \
                }                                                                                                     \
                d = CYPOOL_HALVED(N, 1, b, c);                                                                        \
                a = MERGE(a, d);                                                                                      \
            }                                                                                                         \
        } else {                                                                                                      \
            CYPOOL_MERGED(b, V, src, MERGE)                                                                           \
            CYPOOL_MERGED(c, V, src + N, MERGE)                                                                       \
            CYPOOL_MERGED(d, V, src + 2 * N, MERGE)                                                                   \
            a = CYPOOL_THIRDS(N, 0, b, c, d);                                                                         \
            for (t = 0; t < kernel; t += 3) {                                                                         \
                rest = t && t + 3 > kernel ? t + 3 - kernel : 0;                                                      \
                if (t) {                                                                                              \
                    CYPOOL_MERGED(b, V, src + t - rest, MERGE)                                                        \
                    CYPOOL_MERGED(c, V, src + t - rest + N, MERGE)                                                    \
                    CYPOOL_MERGED(d, V, src + t - rest + 2 * N, MERGE)                                                \
                    if (rest < 1) {                                                                                   \
                        e = CYPOOL_THIRDS(N, 0, b, c, d);                                                             \
                        a = MERGE(a, e);                                                                              \
                    }                                                                                                 \
                }                                                                                                     \
                if (rest < 2 && kernel > 1) {                                                                         \
                    e = CYPOOL_THIRDS(N, 1, b, c, d);                                                                 \
                    a = MERGE(a, e);                                                                                  \
                }                                                                                                     \
                if (kernel > 2) {                                                                                     \
                    e = CYPOOL_THIRDS(N, 2, b, c, d);                                                                 \
                    a = MERGE(a, e);                                                                                  \
                }                                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
        DIVIDE(a, (const V *)divisors)                                                                                \
        *(V *)out = a;                                                                                                \
    }

/* A row of them: vectors of all sizes that fit, the last overlapping the one before. */
#define CYPOOL_ACROSS_FIT(NAME, N)                                                                                    \
    if (length >= N) {                                                                                                \
        for (j = 0; j < length; j += N) {                                                                             \
            const ptrdiff_t at = CYPOOL_AT(j, length - N);                                                            \
            NAME(out + at, src + stride * at, kernel, stride, dilation, taps, n, divisors ? divisors + at : 0);       \
        }                                                                                                             \
        return;                                                                                                       \
    }

#define CYPOOL_ACROSS_ROW(NAME, T, N4, N3, N2, MERGE, DIVIDE)                                                         \
    CYPOOL_ACROSS_VECTOR(NAME##_whole, T, CYPOOL_JOIN(T, CYPOOL_BYTES), N4, MERGE, DIVIDE)                            \
    CYPOOL_ACROSS_VECTOR(NAME##_half, T, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), N3, MERGE, DIVIDE)                        \
    CYPOOL_ACROSS_VECTOR(NAME##_quarter, T, CYPOOL_JOIN(T, CYPOOL_QUARTER_BYTES), N2, MERGE, DIVIDE)                  \
    CYPOOL_INLINE void NAME##_across_row(T *out, const T *src, ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride,  \
                                         ptrdiff_t dilation, const ptrdiff_t *taps, ptrdiff_t n, const T *divisors) { \
        ptrdiff_t j;                                                                                                  \
        CYPOOL_ACROSS_FIT(NAME##_whole, N4)                                                                           \
        CYPOOL_ACROSS_FIT(NAME##_half, N3)                                                                            \
        CYPOOL_ACROSS_FIT(NAME##_quarter, N2)                                                                         \
        NAME##_ones(out, src, length, kernel, stride, dilation, taps, n, divisors);                                   \
    }
#else
#define CYPOOL_ACROSS_ROW(NAME, T, N4, N3, N2, MERGE, DIVIDE)                                                         \
    CYPOOL_INLINE void NAME##_across_row(T *out, const T *src, ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride,  \
                                         ptrdiff_t dilation, const ptrdiff_t *taps, ptrdiff_t n, const T *divisors) { \
        NAME##_ones(out, src, length, kernel, stride, dilation, taps, n, divisors);                                   \
    }
#endif

#define CYPOOL_ACROSS_ROWS(NAME, K, S, D, N)                                                                          \
    for (r = 0; r < rows; r++, to += out_step, from += src_step)                                                      \
        NAME##_across_row(to, from, length, K, S, D, taps, N, by);

/* out[r, j] = the merged src[r, taps[i] + stride * j + t * dilation] for i < n_taps and t < kernel, over divisors[j] if
   there are any; taps[0] is 0. Strides are 1, 2 or 3, and 1 where cells are dilated; windows of more than one row are
   blocks: kernel and stride are equal. Nothing past the cells of a row's windows is read if they leave no cell between
   them. */
#define CYPOOL_ACROSS(NAME, T, N4, N3, N2, MERGE, DIVIDE)                                                             \
    CYPOOL_ACROSS_ONE(NAME, T, MERGE, DIVIDE)                                                                         \
    CYPOOL_ACROSS_ROW(NAME, T, N4, N3, N2, MERGE, DIVIDE)                                                             \
    static void NAME##_across(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,     \
                              ptrdiff_t length, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation,               \
                              const ptrdiff_t *taps, ptrdiff_t n_taps, const void *divisors) {                        \
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src, *by = (const T *)divisors;                                                    \
        ptrdiff_t r;                                                                                                  \
        if (n_taps > 1 && kernel == 2 && stride == 2) {                                                               \
            if (n_taps == 2)                                                                                          \
                CYPOOL_ACROSS_ROWS(NAME, 2, 2, 1, 2)                                                                  \
            else                                                                                                      \
                CYPOOL_ACROSS_ROWS(NAME, 2, 2, 1, n_taps)                                                             \
        } else if (DIVIDE##_MANY && n_taps > 1 && kernel == 1 && stride == 1) {                                       \
            if (n_taps == 2)                                                                                          \
                CYPOOL_ACROSS_ROWS(NAME, 1, 1, 1, 2)                                                                  \
            else if (n_taps == 4)                                                                                     \
                CYPOOL_ACROSS_ROWS(NAME, 1, 1, 1, 4)                                                                  \
            else                                                                                                      \
                CYPOOL_ACROSS_ROWS(NAME, 1, 1, 1, n_taps)                                                             \
        } else if (n_taps > 1) {                                                                                      \
            CYPOOL_ACROSS_ROWS(NAME, 3, 3, 1, n_taps)                                                                 \
        } else if (stride == 1) {                                                                                     \
            if (kernel == 2)                                                                                          \
                CYPOOL_ACROSS_ROWS(NAME, 2, 1, dilation, 1)                                                           \
            else if (kernel == 3)                                                                                     \
                CYPOOL_ACROSS_ROWS(NAME, 3, 1, dilation, 1)                                                           \
            else                                                                                                      \
                CYPOOL_ACROSS_ROWS(NAME, kernel, 1, dilation, 1)                                                      \
        } else if (stride == 2) {                                                                                     \
            if (kernel == 2)                                                                                          \
                CYPOOL_ACROSS_ROWS(NAME, 2, 2, 1, 1)                                                                  \
            else if (kernel == 3)                                                                                     \
                CYPOOL_ACROSS_ROWS(NAME, 3, 2, 1, 1)                                                                  \
            else                                                                                                      \
                CYPOOL_ACROSS_ROWS(NAME, kernel, 2, 1, 1)                                                             \
        } else if (kernel == 3) {                                                                                     \
            CYPOOL_ACROSS_ROWS(NAME, 3, 3, 1, 1)                                                                      \
        } else {                                                                                                      \
            CYPOOL_ACROSS_ROWS(NAME, kernel, 3, 1, 1)                                                                 \
        }                                                                                                             \
    }

#if CYPOOL_BYTES == 64
#define CYPOOL_QUARTER_BYTES 16
#define CYPOOL_ACROSS1(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 64, 32, 16, __VA_ARGS__)
#define CYPOOL_ACROSS2(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 32, 16, 8, __VA_ARGS__)
#define CYPOOL_ACROSS4(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 16, 8, 4, __VA_ARGS__)
#define CYPOOL_ACROSS8(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 8, 4, 2, __VA_ARGS__)
#elif CYPOOL_BYTES == 32
#define CYPOOL_QUARTER_BYTES 8
#define CYPOOL_ACROSS1(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 32, 16, 8, __VA_ARGS__)
#define CYPOOL_ACROSS2(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 16, 8, 4, __VA_ARGS__)
#define CYPOOL_ACROSS4(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 8, 4, 2, __VA_ARGS__)
#define CYPOOL_ACROSS8(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 4, 2, 1, __VA_ARGS__)
#else
#define CYPOOL_QUARTER_BYTES 8
#define CYPOOL_ACROSS1(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 16, 8, 8, __VA_ARGS__)
#define CYPOOL_ACROSS2(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 8, 4, 4, __VA_ARGS__)
#define CYPOOL_ACROSS4(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 4, 2, 2, __VA_ARGS__)
#define CYPOOL_ACROSS8(NAME, T, ...) CYPOOL_ACROSS(NAME, T, 2, 1, 1, __VA_ARGS__)
#endif

#define CYPOOL_ACROSS_WHOLE(BYTES, T)                                                                                 \
    CYPOOL_ACROSS##BYTES(T##_max, T, CYPOOL_MAX_WHOLE, CYPOOL_PLAIN)                                                  \
    CYPOOL_ACROSS##BYTES(T##_min, T, CYPOOL_MIN_WHOLE, CYPOOL_PLAIN)
#define CYPOOL_ACROSS_FLOAT(BYTES, T)                                                                                 \
    CYPOOL_ACROSS##BYTES(T##_max, T, CYPOOL_MAX_FLOAT, CYPOOL_PLAIN)                                                  \
    CYPOOL_ACROSS##BYTES(T##_min, T, CYPOOL_MIN_FLOAT, CYPOOL_PLAIN)                                                  \
    CYPOOL_ACROSS##BYTES(T##_sum, T, CYPOOL_SUM, CYPOOL_DIVIDED)

CYPOOL_ACROSS_WHOLE(1, int8_t)
CYPOOL_ACROSS_WHOLE(2, int16_t)
CYPOOL_ACROSS_WHOLE(4, int32_t)
CYPOOL_ACROSS_WHOLE(8, int64_t)
CYPOOL_ACROSS_WHOLE(1, uint8_t)
CYPOOL_ACROSS_WHOLE(2, uint16_t)
CYPOOL_ACROSS_WHOLE(4, uint32_t)
CYPOOL_ACROSS_WHOLE(8, uint64_t)
CYPOOL_ACROSS_FLOAT(4, float)
CYPOOL_ACROSS_FLOAT(8, double)
CYPOOL_ACROSS2(uint16_t_sum, uint16_t, CYPOOL_SUM, CYPOOL_PLAIN)
CYPOOL_ACROSS4(int32_t_sum, int32_t, CYPOOL_SUM, CYPOOL_PLAIN)
CYPOOL_ACROSS8(uint64_t_sum, uint64_t, CYPOOL_SUM, CYPOOL_PLAIN)

static const cypool_across cypool_max_across[] = {
    int8_t_max_across,   int16_t_max_across,  int32_t_max_across,  int64_t_max_across, uint8_t_max_across,
    uint16_t_max_across, uint32_t_max_across, uint64_t_max_across, float_max_across,   double_max_across};
static const cypool_across cypool_min_across[] = {
    int8_t_min_across,   int16_t_min_across,  int32_t_min_across,  int64_t_min_across, uint8_t_min_across,
    uint16_t_min_across, uint32_t_min_across, uint64_t_min_across, float_min_across,   double_min_across};
static const cypool_across cypool_sum_across[] = {
    0, 0, int32_t_sum_across, 0, 0, uint16_t_sum_across, 0, uint64_t_sum_across, float_sum_across, double_sum_across,
    0};

#endif
