/* The merge of rows, in vectors: the one loop that nearly all time is spent in.

   It keeps its result in registers over any number of taps and ends every row with a vector that overlaps the last,
   neither of which gcc makes of the plain loop: 64x56x56 k3 s2 p1 took 1.3 times, 512x14x14 3 times as long with it.
   Vectors are the compiler's own (gcc and clang); what has none compiles the plain loop at the end.

   Lanes are in the order of `Type` in _types.pxd. */

#ifndef CYPOOL_VECTORS_H
#define CYPOOL_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

typedef void (*cypool_combine)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step,
                               const ptrdiff_t *taps, const ptrdiff_t *codes, ptrdiff_t n_taps, ptrdiff_t rows,
                               ptrdiff_t length, ptrdiff_t out_gap, ptrdiff_t src_gap, int how, void *op);

/* Before a loop of few turns over variables that are to be in registers: -O2 leaves what grows as a loop. */
#if defined(__GNUC__)
#define CYPOOL_UNROLL _Pragma("GCC unroll 16")
#else
#define CYPOOL_UNROLL
#endif

#define CYPOOL_JOIN_(a, b) a##b
#define CYPOOL_JOIN(a, b) CYPOOL_JOIN_(a, b)

/* The merge of two cells, a the earlier: it stays on a tie, and a NaN wins. */
#if defined(__GNUC__)
#define CYPOOL_SELECT(mask, b, a) ((__typeof__(a))(((mask) & (__typeof__(mask))(b)) | (~(mask) & (__typeof__(mask))(a))))
#else
#define CYPOOL_SELECT(mask, b, a) ((mask) ? (b) : (a))
#endif
#define CYPOOL_MAX_WHOLE(a, b) CYPOOL_SELECT((b) > (a), b, a)
#define CYPOOL_MIN_WHOLE(a, b) CYPOOL_SELECT((b) < (a), b, a)
#if !defined(__GNUC__)
#define CYPOOL_MAX_FLOAT(a, b) CYPOOL_SELECT(((b) > (a)) | ((b) != (b)), b, a)
#define CYPOOL_MIN_FLOAT(a, b) CYPOOL_SELECT(((b) < (a)) | ((b) != (b)), b, a)
#endif
#define CYPOOL_SUM(a, b) ((a) + (b))

/* One vector of a row that is there already, and eight more taps: as `CYPOOL_CELLS` adds them. */
#define CYPOOL_EIGHT(NAME, T, V, MERGE)                                                                               \
    CYPOOL_INLINE void NAME(T *out, const T *src, const ptrdiff_t *taps) {                                            \
        V a = *(const V *)out;                                                                                        \
        V b = *(const V *)(src + taps[0]), c = *(const V *)(src + taps[1]);                                           \
        V d = *(const V *)(src + taps[2]), e = *(const V *)(src + taps[3]);                                           \
        V f = *(const V *)(src + taps[4]), g = *(const V *)(src + taps[5]);                                           \
        V h = *(const V *)(src + taps[6]), i = *(const V *)(src + taps[7]);                                           \
        b = MERGE(b, c);                                                                                              \
        d = MERGE(d, e);                                                                                              \
        f = MERGE(f, g);                                                                                              \
        h = MERGE(h, i);                                                                                              \
        b = MERGE(b, d);                                                                                              \
        f = MERGE(f, h);                                                                                              \
        b = MERGE(b, f);                                                                                              \
        *(V *)out = MERGE(a, b);                                                                                      \
    }

/* One vector V of a row: the taps in order, those past the first few in groups of eight, so that a sum of n taps is
   rounded no more than n / 8 + 10 times on any way. */
#define CYPOOL_CELLS(NAME, T, V, MERGE)                                                                               \
    CYPOOL_EIGHT(NAME##_eight, T, V, MERGE)                                                                           \
    CYPOOL_INLINE void NAME(T *out, const T *src, const ptrdiff_t *taps, ptrdiff_t n) {                               \
        ptrdiff_t t, head = (n - 1) % 8 + 1;                                                                          \
        V a = *(const V *)(src + taps[0]);                                                                            \
        for (t = 1; t < head; t++) {                                                                                  \
            V b = *(const V *)(src + taps[t]);                                                                        \
            a = MERGE(a, b);                                                                                          \
        }                                                                                                             \
        *(V *)out = a;                                                                                                \
        for (; t < n; t += 8)                                                                                         \
            NAME##_eight(out, src, taps + t);                                                                         \
    }

#if defined(__GNUC__)

#if defined(__AVX512BW__)
#define CYPOOL_BYTES 64
#define CYPOOL_HALF_BYTES 32
#elif defined(__AVX2__)
#define CYPOOL_BYTES 32
#define CYPOOL_HALF_BYTES 16
#else
#define CYPOOL_BYTES 16
#define CYPOOL_HALF_BYTES 8
#endif

#define CYPOOL_INLINE static inline __attribute__((always_inline))
#define CYPOOL_APART static __attribute__((noinline))
#define CYPOOL_LANES(T) ((ptrdiff_t)(CYPOOL_BYTES / sizeof(T)))
#define CYPOOL_ONE(T) T##1

/* Where the vector at lane j of a row is made: the last one overlaps the one before it. One loop does both, for what is
   made in it is compiled for every type, reduction and size of a vector. */
#define CYPOOL_AT(j, last) ((j) < (last) ? (j) : (last))

/* Where the second vector of a row starts, if the first starts where the row does: at a multiple of its bytes. Rows that
   are a power of two apart push each other out of the first level of cache: a line of theirs is not to be read twice. */
CYPOOL_INLINE ptrdiff_t cypool_line(const void *row, size_t bytes, size_t cell) {
    return (ptrdiff_t)((bytes - (uintptr_t)row % bytes) / cell);
}

/* Four vectors of a row, tap by tap: for taps too many to be unrolled. */
#define CYPOOL_FOURFOLD(NAME, ONE, T, V, MERGE)                                                                       \
    CYPOOL_INLINE void NAME(T *out, const T *src, const ptrdiff_t *taps, ptrdiff_t n) {                               \
        const ptrdiff_t lanes = sizeof(V) / sizeof(T);                                                                \
        ptrdiff_t t;                                                                                                  \
        if (n > 8) {                                                                                                  \
            for (t = 0; t < 4; t++)                                                                                   \
                ONE(out + t * lanes, src + t * lanes, taps, n);                                                       \
        } else {                                                                                                      \
            const T *row = src + taps[0];                                                                             \
            V a = *(const V *)row, b = *(const V *)(row + lanes);                                                     \
            V c = *(const V *)(row + 2 * lanes), d = *(const V *)(row + 3 * lanes);                                   \
            for (t = 1; t < n; t++) {                                                                                 \
                V e = *(const V *)(src + taps[t]), f = *(const V *)(src + taps[t] + lanes);                           \
                V g = *(const V *)(src + taps[t] + 2 * lanes), h = *(const V *)(src + taps[t] + 3 * lanes);           \
                a = MERGE(a, e);                                                                                      \
                b = MERGE(b, f);                                                                                      \
                c = MERGE(c, g);                                                                                      \
                d = MERGE(d, h);                                                                                      \
            }                                                                                                         \
            *(V *)out = a;                                                                                            \
            *(V *)(out + lanes) = b;                                                                                  \
            *(V *)(out + 2 * lanes) = c;                                                                              \
            *(V *)(out + 3 * lanes) = d;                                                                              \
        }                                                                                                             \
    }

/* One vector of each of four rows whose windows, of more than three rows, overlap: their taps come in runs of rows a
   `step` apart, as the windows do, so that a cell is read once for all four. What maxima share is merged once as well;
   sums are made in the order of their taps, as everywhere, and of one run. */
#define CYPOOL_FOUR_ROWS(NAME, T, V, MERGE, SHARED)                                                                   \
    CYPOOL_INLINE void NAME(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t step, const ptrdiff_t *taps,          \
                            ptrdiff_t n, ptrdiff_t run) {                                                             \
        V a, b, c, d, e, f, g, h, x, y;                                                                               \
        ptrdiff_t t, i;                                                                                               \
        for (t = 0; t < n; t += run) {                                                                                \
            const T *row = src + taps[t];                                                                             \
            e = *(const V *)row;                                                                                      \
            f = *(const V *)(row + step);                                                                             \
            g = *(const V *)(row + 2 * step);                                                                         \
            h = *(const V *)(row + 3 * step);                                                                         \
            x = *(const V *)(row + 4 * step);                                                                         \
            if (SHARED && run == 2) {                                                                                 \
                e = MERGE(e, f);                                                                                      \
                f = MERGE(f, g);                                                                                      \
                g = MERGE(g, h);                                                                                      \
                h = MERGE(h, x);                                                                                      \
            } else if (SHARED && run == 3) {                                                                          \
                y = *(const V *)(row + 5 * step);                                                                     \
                f = MERGE(f, g);                                                                                      \
                e = MERGE(e, f);                                                                                      \
                f = MERGE(f, h);                                                                                      \
                x = MERGE(h, x);                                                                                      \
                g = MERGE(g, x);                                                                                      \
                h = MERGE(x, y);                                                                                      \
            } else if (SHARED) {                                                                                      \
                for (i = 4; i < run; i++) {                                                                           \
                    x = *(const V *)(row + i * step);                                                                 \
                    h = MERGE(h, x);                                                                                  \
                }                                                                                                     \
                g = MERGE(g, h);                                                                                      \
                f = MERGE(f, g);                                                                                      \
                e = MERGE(e, f);                                                                                      \
                x = *(const V *)(row + run * step);                                                                   \
                f = MERGE(f, x);                                                                                      \
                y = *(const V *)(row + (run + 1) * step);                                                             \
                x = MERGE(x, y);                                                                                      \
                g = MERGE(g, x);                                                                                      \
                y = *(const V *)(row + (run + 2) * step);                                                             \
                x = MERGE(x, y);                                                                                      \
                h = MERGE(h, x);                                                                                      \
            } else {                                                                                                  \
                e = MERGE(e, f);                                                                                      \
                f = MERGE(f, g);                                                                                      \
                e = MERGE(e, g);                                                                                      \
                g = MERGE(g, h);                                                                                      \
                e = MERGE(e, h);                                                                                      \
                f = MERGE(f, h);                                                                                      \
                for (i = 4; i < run; i++) {                                                                           \
                    x = *(const V *)(row + i * step);                                                                 \
                    e = MERGE(e, x);                                                                                  \
                    f = MERGE(f, x);                                                                                  \
                    g = MERGE(g, x);                                                                                  \
                    h = MERGE(h, x);                                                                                  \
                }                                                                                                     \
                x = *(const V *)(row + run * step);                                                                   \
                f = MERGE(f, x);                                                                                      \
                g = MERGE(g, x);                                                                                      \
                h = MERGE(h, x);                                                                                      \
                x = *(const V *)(row + (run + 1) * step);                                                             \
                g = MERGE(g, x);                                                                                      \
                h = MERGE(h, x);                                                                                      \
                x = *(const V *)(row + (run + 2) * step);                                                             \
                h = MERGE(h, x);                                                                                      \
            }                                                                                                         \
            if (t) {                                                                                                  \
                e = MERGE(a, e);                                                                                      \
                f = MERGE(b, f);                                                                                      \
                g = MERGE(c, g);                                                                                      \
                h = MERGE(d, h);                                                                                      \
            }                                                                                                         \
            a = e, b = f, c = g, d = h;                                                                               \
        }                                                                                                             \
        *(V *)out = a;                                                                                                \
        *(V *)(out + out_step) = b;                                                                                   \
        *(V *)(out + 2 * out_step) = c;                                                                               \
        *(V *)(out + 3 * out_step) = d;                                                                               \
    }                                                                                                                 \
    /* As many rows as can be done so; returns how many that are. */                                                  \
    CYPOOL_INLINE ptrdiff_t NAME##_all(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t step, const ptrdiff_t *taps,\
                                       ptrdiff_t n, ptrdiff_t run, ptrdiff_t rows, ptrdiff_t length) {                \
        const ptrdiff_t lanes = sizeof(V) / sizeof(T);                                                                \
        ptrdiff_t r, j, next;                                                                                         \
        for (r = 0; r + 4 <= rows; r += 4, out += 4 * out_step, src += 4 * step) {                                    \
            next = length > lanes ? cypool_line(src, sizeof(V), sizeof(T)) : lanes;                                   \
            for (j = 0; j < length; j = next, next += lanes) {                                                        \
                const ptrdiff_t at = CYPOOL_AT(j, length - lanes);                                                    \
                NAME(out + at, out_step, src + at, step, taps, n, run);                                               \
            }                                                                                                         \
        }                                                                                                             \
        return r;                                                                                                     \
    }

/* How many taps in a row are a step apart, if all are in such runs; else 1. */
CYPOOL_INLINE ptrdiff_t cypool_run(const ptrdiff_t *taps, ptrdiff_t n, ptrdiff_t step) {
    ptrdiff_t t, run = 1;
    while (run < n && taps[run] - taps[run - 1] == step)
        run++;
    for (t = run; t < n; t++)
        if (t % run && taps[t] - taps[t - 1] != step)
            return 1;
    return n % run ? 1 : run;
}

#define CYPOOL_OVERLAPPING(NAME, ...) NAME##_overlapping(__VA_ARGS__)

/* A row of fewer lanes than a vector: one or two shorter ones, if its length allows. */
#define CYPOOL_SHORT(NAME, T, BYTES)                                                                                  \
    if (length >= (ptrdiff_t)(BYTES / sizeof(T))) {                                                                   \
        const ptrdiff_t short_lanes = BYTES / sizeof(T);                                                              \
        for (j = 0; j < length; j += short_lanes) {                                                                   \
            const ptrdiff_t at = CYPOOL_AT(j, length - short_lanes);                                                  \
            NAME##BYTES(out + at, src + at, taps, n);                                                                 \
        }                                                                                                             \
        return;                                                                                                       \
    }

/* Fetch eight lines of the cells under some tap, from byte `at` of its row on, and move on to the next ones; taps past
   the last are as far apart as the last two. What is beyond memory is not fetched. */
CYPOOL_INLINE void cypool_fetch(const char *src, const ptrdiff_t *taps, ptrdiff_t n, ptrdiff_t size, ptrdiff_t bytes,
                                ptrdiff_t *tap, ptrdiff_t *at) {
    int i;
    for (i = 0; i < 8; i++) {
        const ptrdiff_t past = *tap - n + 1;
        const ptrdiff_t start = past < 0 ? taps[*tap] : taps[n - 1] + past * (taps[n - 1] - taps[n - 2]);
        __builtin_prefetch((const char *)((uintptr_t)src + (uintptr_t)(start * size + *at)), 0, 2);
        *at += 64;
        if (*at >= bytes) {
            *at = 0;
            ++*tap;
        }
    }
}

CYPOOL_INLINE void cypool_fetch_row(const char *src, ptrdiff_t bytes) {
    ptrdiff_t i;
    for (i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)((uintptr_t)src + (uintptr_t)i), 0, 2);
}

#if CYPOOL_BYTES == 64
#define CYPOOL_SHORTER(NAME, T) CYPOOL_SHORT(NAME, T, 32) CYPOOL_SHORT(NAME, T, 16) CYPOOL_SHORT(NAME, T, 8)
#elif CYPOOL_BYTES == 32
#define CYPOOL_SHORTER(NAME, T) CYPOOL_SHORT(NAME, T, 16) CYPOOL_SHORT(NAME, T, 8)
#else
#define CYPOOL_SHORTER(NAME, T) CYPOOL_SHORT(NAME, T, 8)
#endif

#define CYPOOL_TYPES(T)                                                                                               \
    typedef T T##64 __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));                                  \
    typedef T T##32 __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));                                  \
    typedef T T##16 __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));                                  \
    typedef T T##8 __attribute__((vector_size(8), aligned(sizeof(T)), may_alias));                                    \
    typedef T T##1 __attribute__((vector_size(sizeof(T)), may_alias));

CYPOOL_TYPES(int8_t)
CYPOOL_TYPES(int16_t)
CYPOOL_TYPES(int32_t)
CYPOOL_TYPES(int64_t)
CYPOOL_TYPES(uint8_t)
CYPOOL_TYPES(uint16_t)
CYPOOL_TYPES(uint32_t)
CYPOOL_TYPES(uint64_t)
CYPOOL_TYPES(float)
CYPOOL_TYPES(double)

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* that vectors are returned: from functions that are always inlined */
#endif

/* x86 has the larger of two floats, with the second operand where they are equal or not ordered, as one instruction that
   no expression is compiled to; only a NaN in b is then left to mend. In three instructions instead of four, one of them
   slow, rows of 64 x 28 are merged 1.7 times as fast. */
#define CYPOOL_BETTER(V, BEST, LARGER, SMALLER)                                                                       \
    CYPOOL_INLINE V V##_larger(V a, V b) {                                                                            \
        V c = (V)LARGER((BEST)b, (BEST)a);                                                                            \
        return CYPOOL_SELECT(b != b, b, c);                                                                           \
    }                                                                                                                 \
    CYPOOL_INLINE V V##_smaller(V a, V b) {                                                                           \
        V c = (V)SMALLER((BEST)b, (BEST)a);                                                                           \
        return CYPOOL_SELECT(b != b, b, c);                                                                           \
    }
#define CYPOOL_BETTER_PLAIN(V)                                                                                        \
    CYPOOL_INLINE V V##_larger(V a, V b) { return CYPOOL_SELECT((b > a) | (b != b), b, a); }                          \
    CYPOOL_INLINE V V##_smaller(V a, V b) { return CYPOOL_SELECT((b < a) | (b != b), b, a); }

#if defined(__AVX512F__)
CYPOOL_BETTER(float64, __m512, _mm512_max_ps, _mm512_min_ps)
CYPOOL_BETTER(double64, __m512d, _mm512_max_pd, _mm512_min_pd)
#else
CYPOOL_BETTER_PLAIN(float64)
CYPOOL_BETTER_PLAIN(double64)
#endif
#if defined(__AVX__)
CYPOOL_BETTER(float32, __m256, _mm256_max_ps, _mm256_min_ps)
CYPOOL_BETTER(double32, __m256d, _mm256_max_pd, _mm256_min_pd)
#else
CYPOOL_BETTER_PLAIN(float32)
CYPOOL_BETTER_PLAIN(double32)
#endif
#if defined(__SSE2__)
CYPOOL_BETTER(float16, __m128, _mm_max_ps, _mm_min_ps)
CYPOOL_BETTER(double16, __m128d, _mm_max_pd, _mm_min_pd)
#else
CYPOOL_BETTER_PLAIN(float16)
CYPOOL_BETTER_PLAIN(double16)
#endif
CYPOOL_BETTER_PLAIN(float8)
CYPOOL_BETTER_PLAIN(float1)
CYPOOL_BETTER_PLAIN(double1)

#define CYPOOL_BETTER_OF(a, b, WHICH)                                                                                 \
    _Generic((a), float64: float64##WHICH, float32: float32##WHICH, float16: float16##WHICH, float8: float8##WHICH,   \
             float1: float1##WHICH, double64: double64##WHICH, double32: double32##WHICH, double16: double16##WHICH,  \
             double1: double1##WHICH)((a), (b))
#define CYPOOL_MAX_FLOAT(a, b) CYPOOL_BETTER_OF(a, b, _larger)
#define CYPOOL_MIN_FLOAT(a, b) CYPOOL_BETTER_OF(a, b, _smaller)

#define CYPOOL_ROW(NAME, T, MERGE, SHARED)                                                                            \
    CYPOOL_CELLS(NAME##64, T, T##64, MERGE)                                                                           \
    CYPOOL_CELLS(NAME##32, T, T##32, MERGE)                                                                           \
    CYPOOL_CELLS(NAME##16, T, T##16, MERGE)                                                                           \
    CYPOOL_CELLS(NAME##8, T, T##8, MERGE)                                                                             \
    CYPOOL_CELLS(NAME##1, T, T##1, MERGE)                                                                             \
    CYPOOL_FOURFOLD(NAME##_four, CYPOOL_JOIN(NAME, CYPOOL_BYTES), T, CYPOOL_JOIN(T, CYPOOL_BYTES), MERGE)             \
    CYPOOL_FOUR_ROWS(NAME##_rows, T, CYPOOL_JOIN(T, CYPOOL_BYTES), MERGE, SHARED)                                     \
    CYPOOL_FOUR_ROWS(NAME##_half_rows, T, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), MERGE, SHARED)                           \
    CYPOOL_INLINE ptrdiff_t NAME##_overlapping(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t step,              \
                                               const ptrdiff_t *taps, ptrdiff_t n, ptrdiff_t rows, ptrdiff_t length) {\
        const ptrdiff_t run = rows < 4 ? 1 : cypool_run(taps, n, step);                                               \
        if (run == 1 || n <= 3 || (!(SHARED) && (run < n || n > 8)) || length < CYPOOL_LANES(T) / 2)                  \
            return 0;                                                                                                 \
        if (length < CYPOOL_LANES(T))                                                                                 \
            return NAME##_half_rows_all(out, out_step, src, step, taps, n, run, rows, length);                        \
        return NAME##_rows_all(out, out_step, src, step, taps, n, run, rows, length);                                 \
    }                                                                                                                 \
    CYPOOL_INLINE void NAME##_row(T *out, const T *src, const ptrdiff_t *taps, ptrdiff_t n, ptrdiff_t length) {       \
        const ptrdiff_t lanes = CYPOOL_LANES(T);                                                                      \
        ptrdiff_t j = 0;                                                                                              \
        if (length >= lanes) {                                                                                        \
            for (; j + 4 * lanes <= length; j += 4 * lanes)                                                           \
                NAME##_four(out + j, src + j, taps, n);                                                               \
            for (; j < length; j += lanes) {                                                                          \
                const ptrdiff_t at = CYPOOL_AT(j, length - lanes);                                                    \
                CYPOOL_JOIN(NAME, CYPOOL_BYTES)(out + at, src + at, taps, n);                                         \
            }                                                                                                         \
            return;                                                                                                   \
        }                                                                                                             \
        CYPOOL_SHORTER(NAME, T)                                                                                       \
        for (; j < length; j++)                                                                                       \
            NAME##1(out + j, src + j, taps, n);                                                                       \
    }

#else

#define CYPOOL_INLINE static inline
#define CYPOOL_APART static
#define CYPOOL_ONE(T) T
#define cypool_fetch(src, taps, n, size, bytes, tap, at) ((void)0)
#define cypool_fetch_row(src, bytes) ((void)0)
#define CYPOOL_BYTES 1
#define CYPOOL_LANES(T) ((ptrdiff_t)1)

#define CYPOOL_ROW(NAME, T, MERGE, SHARED)                                                                            \
    CYPOOL_CELLS(NAME##1, T, T, MERGE)                                                                                \
    CYPOOL_INLINE void NAME##_row(T *out, const T *src, const ptrdiff_t *taps, ptrdiff_t n, ptrdiff_t length) {       \
        ptrdiff_t j;                                                                                                  \
        for (j = 0; j < length; j++)                                                                                  \
            NAME##1(out + j, src + j, taps, n);                                                                       \
    }
#define CYPOOL_OVERLAPPING(NAME, ...) 0

#endif

/* Cells under one tap, of any type. */
CYPOOL_ROW(cypool_copied, uint8_t, CYPOOL_MAX_WHOLE, 1)
CYPOOL_APART void cypool_copy(void *out, const void *src, ptrdiff_t bytes) {
    const ptrdiff_t tap = 0;
    cypool_copied_row((uint8_t *)out, (const uint8_t *)src, &tap, 1, bytes);
}

/* out[r, j] = the merged src[r, taps[t] + j] for all t; with CYPOOL_MORE, out[r, j] itself comes first; with CYPOOL_FAR,
   the cells are in no cache, and are fetched in the order of memory: processors do so by themselves for a few rows only
   (64 of 256 floats each: 15 GB/s without it, 40 with it, into the second level; 18 into the first). */
#define CYPOOL_MORE 1
#define CYPOOL_FAR 2
#define CYPOOL_AHEAD 32
#define CYPOOL_COMBINE(NAME, T, MERGE, SHARED)                                                                        \
    CYPOOL_ROW(NAME, T, MERGE, SHARED)                                                                                \
    CYPOOL_APART void NAME##_any(T *to, const T *from, const ptrdiff_t *taps, ptrdiff_t n_taps, ptrdiff_t length) {   \
        NAME##_row(to, from, taps, n_taps, length);                                                                   \
    }                                                                                                                 \
    static void NAME(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, const ptrdiff_t *taps,       \
                     const ptrdiff_t *codes, ptrdiff_t n_taps, ptrdiff_t rows, ptrdiff_t length, ptrdiff_t out_gap,   \
                     ptrdiff_t src_gap, int how, void *op) {                                                          \
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src;                                                                               \
        ptrdiff_t r, t, j;                                                                                            \
        (void)codes, (void)out_gap, (void)src_gap, (void)op;                                                          \
        r = 0;                                                                                                        \
        if (how != CYPOOL_MORE)                                                                                       \
            r = CYPOOL_OVERLAPPING(NAME, to, out_step, from, src_step, taps, n_taps, rows, length);                   \
        to += r * out_step;                                                                                           \
        from += r * src_step;                                                                                         \
        for (; r < rows; r++, to += out_step, from += src_step) {                                                     \
            if (how == CYPOOL_MORE) {                                                                                 \
                for (t = 0; t < n_taps; t++)                                                                          \
                    for (j = 0; j < length; j++) {                                                                    \
                        CYPOOL_ONE(T) a = *(CYPOOL_ONE(T) *)(to + j), b = *(const CYPOOL_ONE(T) *)(from + taps[t] + j);\
                        *(CYPOOL_ONE(T) *)(to + j) = MERGE(a, b);                                                     \
                    }                                                                                                 \
            } else if (n_taps == 1 && length > 256)                                                                   \
                memcpy(to, from + taps[0], length * sizeof(T));                                                       \
            else if (n_taps == 1)                                                                                     \
                cypool_copy(to, from + taps[0], length * sizeof(T));                                                  \
            else if (n_taps == 2)                                                                                     \
                NAME##_row(to, from, taps, 2, length);                                                                \
            else if (n_taps == 3)                                                                                     \
                NAME##_row(to, from, taps, 3, length);                                                                \
            else if (n_taps == 4)                                                                                     \
                NAME##_row(to, from, taps, 4, length);                                                                \
            else if (n_taps <= 8 || (how != CYPOOL_FAR && length * sizeof(T) <= (n_taps <= 16 ? 1024 : 256)))         \
                NAME##_any(to, from, taps, n_taps, length);                                                           \
            else {                                                                                                    \
                /* Not more rows at a time than a cache of few ways holds: theirs may be a power of two apart. */     \
                ptrdiff_t tap, at = 0;                                                                                \
                t = (n_taps - 1) % 8 + 1;                                                                             \
                if (how == CYPOOL_FAR)                                                                                \
                    for (tap = t + CYPOOL_AHEAD - 8; tap < t + CYPOOL_AHEAD;)                                         \
                        cypool_fetch((const char *)from, taps, n_taps, sizeof(T), length * sizeof(T), &tap, &at);     \
                NAME##_any(to, from, taps, t, length);                                                                \
                for (; t < n_taps; t += 8) {                                                                          \
                    tap = t + CYPOOL_AHEAD, at = 0;                                                                   \
                    for (j = 0; j + CYPOOL_LANES(T) <= length; j += CYPOOL_LANES(T)) {                                \
                        if (how == CYPOOL_FAR)                                                                        \
                            cypool_fetch((const char *)from, taps, n_taps, sizeof(T), length * sizeof(T), &tap, &at); \
                        CYPOOL_JOIN(CYPOOL_JOIN(NAME, CYPOOL_BYTES), _eight)(to + j, from + j, taps + t);             \
                    }                                                                                                 \
                    for (; j < length; j++)                                                                           \
                        NAME##1_eight(to + j, from + j, taps + t);                                                    \
                }                                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
    }

#define CYPOOL_WHOLE(T)                                                                                               \
    CYPOOL_COMBINE(T##_max, T, CYPOOL_MAX_WHOLE, 1)                                                                   \
    CYPOOL_COMBINE(T##_min, T, CYPOOL_MIN_WHOLE, 1)
#define CYPOOL_FLOAT(T)                                                                                               \
    CYPOOL_COMBINE(T##_max, T, CYPOOL_MAX_FLOAT, 1)                                                                   \
    CYPOOL_COMBINE(T##_min, T, CYPOOL_MIN_FLOAT, 1)

CYPOOL_WHOLE(int8_t)
CYPOOL_WHOLE(int16_t)
CYPOOL_WHOLE(int32_t)
CYPOOL_WHOLE(int64_t)
CYPOOL_WHOLE(uint8_t)
CYPOOL_WHOLE(uint16_t)
CYPOOL_WHOLE(uint32_t)
CYPOOL_WHOLE(uint64_t)
CYPOOL_FLOAT(float)
CYPOOL_FLOAT(double)
CYPOOL_COMBINE(uint16_t_sum, uint16_t, CYPOOL_SUM, 0)
CYPOOL_COMBINE(int32_t_sum, int32_t, CYPOOL_SUM, 0)
CYPOOL_COMBINE(uint64_t_sum, uint64_t, CYPOOL_SUM, 0)
CYPOOL_COMBINE(float_sum, float, CYPOOL_SUM, 0)
CYPOOL_COMBINE(double_sum, double, CYPOOL_SUM, 0)

static const cypool_combine cypool_max[] = {int8_t_max,  int16_t_max,  int32_t_max,  int64_t_max, uint8_t_max,
                                            uint16_t_max, uint32_t_max, uint64_t_max, float_max,   double_max};
static const cypool_combine cypool_min[] = {int8_t_min,  int16_t_min,  int32_t_min,  int64_t_min, uint8_t_min,
                                            uint16_t_min, uint32_t_min, uint64_t_min, float_min,   double_min};
static const cypool_combine cypool_sum[] = {0, 0, int32_t_sum, 0, 0, uint16_t_sum, 0, uint64_t_sum, float_sum, double_sum};

#endif
