/* Windows that are one run of memory each: all cells of a plane, or a long piece of a row.

   Cells go into as many lanes as there are in 64 bytes, whatever the level, eight vectors at a time as a tree; results of
   those as a cascade; the lanes are merged in the end. So a sum of n cells is rounded no more than log2(n) + 2 times on
   any way, in the same order at every level. */

#ifndef CYPOOL_RUNS_H
#define CYPOOL_RUNS_H

#include <math.h>

#include "across.h"

typedef void (*cypool_runs)(void *out, const void *src, ptrdiff_t step, ptrdiff_t windows, ptrdiff_t cells);

/* One window is at least this many bytes. */
#define CYPOOL_RUN 64
#if CYPOOL_BYTES > 1
#define CYPOOL_KEEP CYPOOL_JOIN(uint8_t, CYPOOL_BYTES)
#else
#define CYPOOL_KEEP uint8_t
#endif

/* The lanes of V, N each, from one that MERGE puts into the first. */
#define CYPOOL_FOLD(n, r, i) (((i) + (r)) % (n))
#ifdef CYPOOL_SHUFFLES
#define CYPOOL_FOLDED(N, v, r) __builtin_shufflevector(v, v, CYPOOL_JOIN(CYPOOL_, N)(CYPOOL_FOLD, N, r, 0))
#define CYPOOL_FOLD_ALL(T, V, N, MERGE, v)                                                                            \
    {                                                                                                                 \
        V w;                                                                                                          \
        if (N > 32)                                                                                                   \
            w = CYPOOL_FOLDED(N, v, 32), v = MERGE(v, w);                                                             \
        if (N > 16)                                                                                                   \
            w = CYPOOL_FOLDED(N, v, 16), v = MERGE(v, w);                                                             \
        if (N > 8)                                                                                                    \
            w = CYPOOL_FOLDED(N, v, 8), v = MERGE(v, w);                                                              \
        if (N > 4)                                                                                                    \
            w = CYPOOL_FOLDED(N, v, 4), v = MERGE(v, w);                                                              \
        if (N > 2)                                                                                                    \
            w = CYPOOL_FOLDED(N, v, 2), v = MERGE(v, w);                                                              \
        if (N > 1)                                                                                                    \
            w = CYPOOL_FOLDED(N, v, 1), v = MERGE(v, w);                                                              \
    }
#else
#define CYPOOL_FOLD_ALL(T, V, N, MERGE, v)                                                                            \
    {                                                                                                                 \
        CYPOOL_ONE(T) lane[sizeof(V) / sizeof(T)];                                                                    \
        memcpy(lane, &v, sizeof(V));                                                                                  \
        for (h = sizeof(V) / sizeof(T) / 2; h > 0; h /= 2)                                                            \
            for (i = 0; i < h; i++)                                                                                   \
                lane[i] = MERGE(lane[i], lane[i + h]);                                                                \
        memcpy(&v, lane, sizeof(V));                                                                                  \
    }
#endif

/* 64 bytes from the n-th on are a mask of the last n: read from memory that nothing is written to, which loads of other
   sizes than the stores before them would wait for. */
#define CYPOOL_SET 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
static const uint8_t cypool_last[2 * CYPOOL_RUN] = {
    [CYPOOL_RUN] = CYPOOL_SET, CYPOOL_SET, CYPOOL_SET, CYPOOL_SET, CYPOOL_SET, CYPOOL_SET, CYPOOL_SET, CYPOOL_SET};

/* What is merged of the cells of S at p, in lanes of V. */
#define CYPOOL_AS_IT_IS(V, p) (*(const V *)(p))

/* `vectors` of eight in a tree, the last of them only its lanes in `keep`; the cells before those are in others. */
#define CYPOOL_RUN_TREE(NAME, S, LOAD, T, V, MERGE)                                                                   \
    CYPOOL_INLINE V NAME##_load(const S *src, ptrdiff_t v, ptrdiff_t vectors, ptrdiff_t rest, const uint8_t *keep,    \
                                const T *nothing) {                                                                   \
        const ptrdiff_t lanes = CYPOOL_RUN / sizeof(T);                                                               \
        if (v + 1 == vectors && rest)                                                                                 \
            return CYPOOL_SELECT(*(const CYPOOL_KEEP *)keep, LOAD(V, src + (v - 1) * lanes + rest),                   \
                                 *(const V *)nothing);                                                                \
        return LOAD(V, src + v * lanes);                                                                              \
    }                                                                                                                 \
    CYPOOL_INLINE V NAME##_two(const S *src, ptrdiff_t v, ptrdiff_t vectors, ptrdiff_t rest, const uint8_t *keep,     \
                               const T *nothing) {                                                                    \
        V a = NAME##_load(src, v, vectors, rest, keep, nothing), b;                                                   \
        if (v + 1 >= vectors)                                                                                         \
            return a;                                                                                                 \
        b = NAME##_load(src, v + 1, vectors, rest, keep, nothing);                                                    \
        return MERGE(a, b);                                                                                           \
    }                                                                                                                 \
    CYPOOL_INLINE V NAME##_four(const S *src, ptrdiff_t v, ptrdiff_t vectors, ptrdiff_t rest, const uint8_t *keep,    \
                                const T *nothing) {                                                                   \
        V a = NAME##_two(src, v, vectors, rest, keep, nothing), b;                                                    \
        if (v + 2 >= vectors)                                                                                         \
            return a;                                                                                                 \
        b = NAME##_two(src, v + 2, vectors, rest, keep, nothing);                                                     \
        return MERGE(a, b);                                                                                           \
    }                                                                                                                 \
    CYPOOL_INLINE V NAME##_eight(const S *src, ptrdiff_t vectors, ptrdiff_t rest, const uint8_t *keep,                \
                                 const T *nothing) {                                                                  \
        V a = NAME##_four(src, 0, vectors, rest, keep, nothing), b;                                                   \
        if (vectors <= 4)                                                                                             \
            return a;                                                                                                 \
        b = NAME##_four(src, 4, vectors, rest, keep, nothing);                                                        \
        return MERGE(a, b);                                                                                           \
    }

/* out[j] = the merged src[j * step + t] for t < cells, of `vectors` vectors after the last eight, the last of `rest`. */
#define CYPOOL_RUNS(NAME, S, LOAD, T, V, N, MERGE, NOTHING)                                                           \
    CYPOOL_RUN_TREE(NAME, S, LOAD, T, V, MERGE)                                                                       \
    CYPOOL_INLINE void NAME##_all(T *out, const S *src, ptrdiff_t step, ptrdiff_t windows, ptrdiff_t eights,          \
                                  ptrdiff_t vectors, ptrdiff_t rest) {                                                \
        const ptrdiff_t lanes = CYPOOL_RUN / sizeof(T), pieces = CYPOOL_RUN / sizeof(V);                              \
        const uint8_t *keep = cypool_last + rest * sizeof(T);                                                         \
        T nothing[CYPOOL_RUN / sizeof(T)];                                                                            \
        V sums[48][CYPOOL_RUN / sizeof(V)], a[CYPOOL_RUN / sizeof(V)] = {0};                                          \
        ptrdiff_t e, h, i, j, p, level;                                                                               \
        for (i = 0; i < lanes; i++)                                                                                   \
            nothing[i] = NOTHING;                                                                                     \
        for (j = 0; j < windows; j++, src += step) {                                                                  \
            for (e = 0; e < eights; e++) {                                                                            \
                CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                            \
                    a[p] = NAME##_eight(src + 8 * e * lanes + p * (lanes / pieces), 8, 0, keep, nothing);             \
                for (h = e, level = 0; h & 1; h >>= 1, level++)                                                       \
                    CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                        \
                        a[p] = MERGE(sums[level][p], a[p]);                                                           \
                CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                            \
                    sums[level][p] = a[p];                                                                            \
            }                                                                                                         \
            if (vectors)                                                                                              \
                CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                            \
                    a[p] = NAME##_eight(src + 8 * eights * lanes + p * (lanes / pieces), vectors, rest,               \
                                        keep + p * sizeof(V), nothing);                                               \
            for (h = eights, level = 0; h; h >>= 1, level++)                                                          \
                if (h & 1 && (vectors || h << level != eights))                                                       \
                    CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                        \
                        a[p] = MERGE(sums[level][p], a[p]);                                                           \
                else if (h & 1)                                                                                       \
                    CYPOOL_UNROLL for (p = 0; p < pieces; p++)                                                        \
                        a[p] = sums[level][p];                                                                        \
            CYPOOL_UNROLL for (h = pieces / 2; h > 0; h /= 2)                                                         \
                CYPOOL_UNROLL for (p = 0; p < h; p++)                                                                 \
                    a[p] = MERGE(a[p], a[p + h]);                                                                     \
            CYPOOL_FOLD_ALL(T, V, N, MERGE, a[0])                                                                     \
            out[j] = *(const T *)&a[0];                                                                               \
        }                                                                                                             \
        (void)i;                                                                                                      \
    }                                                                                                                 \
    static void NAME(void *out, const void *src, ptrdiff_t step, ptrdiff_t windows, ptrdiff_t cells) {                \
        const ptrdiff_t lanes = CYPOOL_RUN / sizeof(T), eights = cells / (8 * lanes), left = cells % (8 * lanes);     \
        const ptrdiff_t vectors = (left + lanes - 1) / lanes, rest = left % lanes;                                    \
        T *to = (T *)out;                                                                                             \
        const S *from = (const S *)src;                                                                               \
        switch (eights ? -1 : vectors) {                                                                              \
        case 1:                                                                                                       \
            NAME##_all(to, from, step, windows, 0, 1, rest);                                                          \
            break;                                                                                                    \
        case 2:                                                                                                       \
            NAME##_all(to, from, step, windows, 0, 2, rest);                                                          \
            break;                                                                                                    \
        case 3:                                                                                                       \
            NAME##_all(to, from, step, windows, 0, 3, rest);                                                          \
            break;                                                                                                    \
        case 4:                                                                                                       \
            NAME##_all(to, from, step, windows, 0, 4, rest);                                                          \
            break;                                                                                                    \
        default:                                                                                                      \
            NAME##_all(to, from, step, windows, eights, vectors, rest);                                               \
        }                                                                                                             \
    }

#if CYPOOL_BYTES == 1
#define CYPOOL_RUNS4(NAME, T, MERGE, NOTHING) CYPOOL_RUNS(NAME, T, CYPOOL_AS_IT_IS, T, T, 1, MERGE, NOTHING)
#define CYPOOL_RUNS1 CYPOOL_RUNS4
#define CYPOOL_RUNS2 CYPOOL_RUNS4
#define CYPOOL_RUNS8 CYPOOL_RUNS4
#else
#define CYPOOL_RUNS_IN(NAME, T, N, MERGE, NOTHING)                                                                    \
    CYPOOL_RUNS(NAME, T, CYPOOL_AS_IT_IS, T, CYPOOL_JOIN(T, CYPOOL_BYTES), N, MERGE, NOTHING)
#if CYPOOL_BYTES == 64
#define CYPOOL_RUNS1(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 64, MERGE, NOTHING)
#define CYPOOL_RUNS2(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 32, MERGE, NOTHING)
#define CYPOOL_RUNS4(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 16, MERGE, NOTHING)
#define CYPOOL_RUNS8(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 8, MERGE, NOTHING)
#elif CYPOOL_BYTES == 32
#define CYPOOL_RUNS1(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 32, MERGE, NOTHING)
#define CYPOOL_RUNS2(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 16, MERGE, NOTHING)
#define CYPOOL_RUNS4(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 8, MERGE, NOTHING)
#define CYPOOL_RUNS8(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 4, MERGE, NOTHING)
#else
#define CYPOOL_RUNS1(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 16, MERGE, NOTHING)
#define CYPOOL_RUNS2(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 8, MERGE, NOTHING)
#define CYPOOL_RUNS4(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 4, MERGE, NOTHING)
#define CYPOOL_RUNS8(NAME, T, MERGE, NOTHING) CYPOOL_RUNS_IN(NAME, T, 2, MERGE, NOTHING)
#endif
#endif

#define CYPOOL_RUNS_WHOLE(BYTES, T, LEAST, MOST)                                                                      \
    CYPOOL_RUNS##BYTES(T##_max_runs, T, CYPOOL_MAX_WHOLE, LEAST)                                                      \
    CYPOOL_RUNS##BYTES(T##_min_runs, T, CYPOOL_MIN_WHOLE, MOST)
#define CYPOOL_RUNS_FLOAT(BYTES, T)                                                                                   \
    CYPOOL_RUNS##BYTES(T##_max_runs, T, CYPOOL_MAX_FLOAT, -(T)INFINITY)                                               \
    CYPOOL_RUNS##BYTES(T##_min_runs, T, CYPOOL_MIN_FLOAT, (T)INFINITY)                                                \
    CYPOOL_RUNS##BYTES(T##_sum_runs, T, CYPOOL_SUM, -(T)0)

CYPOOL_RUNS_WHOLE(1, int8_t, INT8_MIN, INT8_MAX)
CYPOOL_RUNS_WHOLE(2, int16_t, INT16_MIN, INT16_MAX)
CYPOOL_RUNS_WHOLE(4, int32_t, INT32_MIN, INT32_MAX)
CYPOOL_RUNS_WHOLE(8, int64_t, INT64_MIN, INT64_MAX)
CYPOOL_RUNS_WHOLE(1, uint8_t, 0, UINT8_MAX)
CYPOOL_RUNS_WHOLE(2, uint16_t, 0, UINT16_MAX)
CYPOOL_RUNS_WHOLE(4, uint32_t, 0, UINT32_MAX)
CYPOOL_RUNS_WHOLE(8, uint64_t, 0, UINT64_MAX)
CYPOOL_RUNS_FLOAT(4, float)
CYPOOL_RUNS_FLOAT(8, double)
CYPOOL_RUNS2(uint16_t_sum_runs, uint16_t, CYPOOL_SUM, 0)
CYPOOL_RUNS4(int32_t_sum_runs, int32_t, CYPOOL_SUM, 0)
CYPOOL_RUNS8(uint64_t_sum_runs, uint64_t, CYPOOL_SUM, 0)

/* Sums of the sizes and of the squares of floats, in double: see powers.pxd. */
#if CYPOOL_BYTES == 1
#define CYPOOL_OF_FLOATS(V, p) ((V) * (p))
#define CYPOOL_NORM_RUNS(NAME, LOAD) CYPOOL_RUNS(NAME, float, LOAD, double, double, 1, CYPOOL_SUM, -0.0)
#else
#if CYPOOL_BYTES == 64
#define CYPOOL_DOUBLES 8
#elif CYPOOL_BYTES == 32
#define CYPOOL_DOUBLES 4
#else
#define CYPOOL_DOUBLES 2
#endif
/* One instruction, which gcc makes four of, all shuffles, from __builtin_convertvector. */
#if defined(__AVX512F__)
#define CYPOOL_OF_FLOATS(V, p) ((V)_mm512_cvtps_pd(_mm256_loadu_ps(p)))
#elif defined(__AVX__)
#define CYPOOL_OF_FLOATS(V, p) ((V)_mm256_cvtps_pd(_mm_loadu_ps(p)))
#else
#define CYPOOL_OF_FLOATS(V, p) __builtin_convertvector(*(const CYPOOL_JOIN(float, CYPOOL_HALF_BYTES) *)(p), V)
#endif
#define CYPOOL_NORM_RUNS(NAME, LOAD)                                                                                  \
    CYPOOL_RUNS(NAME, float, LOAD, double, CYPOOL_JOIN(double, CYPOOL_BYTES), CYPOOL_DOUBLES, CYPOOL_SUM, -0.0)
#endif
#define CYPOOL_SIZES(V, p)                                                                                            \
    CYPOOL_SELECT(CYPOOL_OF_FLOATS(V, p) <= 0, 0 - CYPOOL_OF_FLOATS(V, p), CYPOOL_OF_FLOATS(V, p))
#define CYPOOL_SQUARES(V, p) (CYPOOL_OF_FLOATS(V, p) * CYPOOL_OF_FLOATS(V, p))
CYPOOL_NORM_RUNS(cypool_size_runs, CYPOOL_SIZES)
CYPOOL_NORM_RUNS(cypool_square_runs, CYPOOL_SQUARES)

/* By power. */
static const cypool_runs cypool_norm_runs[] = {0, cypool_size_runs, cypool_square_runs};

/* By type of lane. */
static const cypool_runs cypool_max_runs[] = {
    int8_t_max_runs,   int16_t_max_runs,  int32_t_max_runs,  int64_t_max_runs, uint8_t_max_runs,
    uint16_t_max_runs, uint32_t_max_runs, uint64_t_max_runs, float_max_runs,   double_max_runs};
static const cypool_runs cypool_min_runs[] = {
    int8_t_min_runs,   int16_t_min_runs,  int32_t_min_runs,  int64_t_min_runs, uint8_t_min_runs,
    uint16_t_min_runs, uint32_t_min_runs, uint64_t_min_runs, float_min_runs,   double_min_runs};
static const cypool_runs cypool_sum_runs[] = {
    0, 0, int32_t_sum_runs, 0, 0, uint16_t_sum_runs, 0, uint64_t_sum_runs, float_sum_runs, double_sum_runs, 0};

#endif
