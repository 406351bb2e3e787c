/* The best cell of each window and its code, in vectors.

   The taps of a window come in the order of their codes, so that the first of equal cells stays without a look at any
   code, and value and code stay in registers over all of them. Cells that are `stride` apart are put side by side by
   shuffles, as in across.h. Where windows reach into the padding, a vector takes of each tap only the lanes that have
   it: no padding is laid out in scratch. Codes are written as wide as lanes, as bytes, or, with where the window starts
   added, as numbers of 64 bits. */

#ifndef CYPOOL_PICKS_H
#define CYPOOL_PICKS_H

#include "across.h"
#include "bytes.h"

/* One cell of each window of a row. */
typedef struct {
    ptrdiff_t at, code;    /* where the first window has it, and what it is called */
    ptrdiff_t first, stop; /* the windows that have it */
    ptrdiff_t shift;       /* how many cells before it vectors are read, so that none past their windows is */
} cypool_tap;

/* The windows of a row. */
typedef struct {
    const cypool_tap *taps; /* in the order of their codes */
    ptrdiff_t n, stride;
    ptrdiff_t first, stop;  /* the windows that have all of them */
    ptrdiff_t low, high;    /* the least and the greatest place that a vector of the first windows is read from */
    const void *begin, *end; /* the memory that there is */
    ptrdiff_t base, along, below; /* what the first window's codes of 64 bits start from, the next one's, the next row's */
} cypool_windows;

typedef void (*cypool_picks)(void *out, void *codes, ptrdiff_t step, int bytes, const void *src, ptrdiff_t src_step,
                             ptrdiff_t rows, ptrdiff_t length, const cypool_windows *windows);

/* Whether b takes the place of a, the earlier: not on a tie; a NaN does, and keeps it. */
#define CYPOOL_ABOVE(a, b) ((b) > (a))
#define CYPOOL_BELOW(a, b) ((b) < (a))
#define CYPOOL_ABOVE_FLOAT(a, b) ((((a) >= (b)) == 0) & ((a) == (a)))
#define CYPOOL_BELOW_FLOAT(a, b) ((((a) <= (b)) == 0) & ((a) == (a)))

/* Window j. */
#define CYPOOL_PICKS_ONE(NAME, T, C, BEATS)                                                                           \
    CYPOOL_INLINE void NAME(T *out, void *codes, int bytes, ptrdiff_t base, const T *src, ptrdiff_t j,                \
                            const cypool_windows *windows) {                                                          \
        const cypool_tap *tap = windows->taps, *end = tap + windows->n;                                               \
        ptrdiff_t code;                                                                                               \
        T a, b;                                                                                                       \
        while (j < tap->first || j >= tap->stop)                                                                      \
            tap++;                                                                                                    \
        a = src[windows->stride * j + tap->at];                                                                       \
        code = tap->code;                                                                                             \
        for (tap++; tap < end; tap++) {                                                                               \
            if (j < tap->first || j >= tap->stop)                                                                     \
                continue;                                                                                             \
            b = src[windows->stride * j + tap->at];                                                                   \
            if (BEATS(a, b)) {                                                                                        \
                a = b;                                                                                                \
                code = tap->code;                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
        out[j] = a;                                                                                                   \
        if (bytes == 8)                                                                                               \
            ((int64_t *)codes)[j] = code + base + j * windows->along;                                                 \
        else if (bytes)                                                                                               \
            ((uint8_t *)codes)[j] = (uint8_t)code;                                                                    \
        else                                                                                                          \
            ((C *)codes)[j] = (C)code;                                                                                \
    }

#ifdef CYPOOL_SHUFFLES

/* The sums of N codes, none of which is negative, and first, first + step, ...: numbers of 64 bits, M to a vector L. */
#define CYPOOL_TO_LONGS(C, N, p, a, first, step) CYPOOL_JOIN(cypool_##C##_longs_, N)(p, a, first, step)
#define CYPOOL_LONGS8(N, L)                                                                                           \
    CYPOOL_INLINE void cypool_int64_t_longs_##N(int64_t *p, L a, int64_t first, int64_t step) {                       \
        *(L *)p = a + CYPOOL_COUNTED(L, int64_t, N, 0) * step + first;                                                \
    }
#define CYPOOL_LONGS4(N, V, M, L)                                                                                     \
    CYPOOL_INLINE void cypool_int32_t_longs_##N(int64_t *p, V a, int64_t first, int64_t step) {                       \
        const V zero = {0};                                                                                           \
        const L counted = CYPOOL_COUNTED(L, int64_t, M, 0) * step;                                                    \
        *(L *)p = (L)CYPOOL_TURNS(N, 0, a, zero) + counted + first;                                                   \
        *(L *)(p + M) = (L)CYPOOL_TURNS(N, 1, a, zero) + counted + (first + M * step);                                \
    }
#if CYPOOL_BYTES == 64
CYPOOL_LONGS4(16, int32_t64, 8, int64_t64)
CYPOOL_LONGS8(8, int64_t64)
#endif
#if CYPOOL_BYTES >= 32
CYPOOL_LONGS4(8, int32_t32, 4, int64_t32)
CYPOOL_LONGS8(4, int64_t32)
#endif
CYPOOL_LONGS4(4, int32_t16, 2, int64_t16)
CYPOOL_LONGS8(2, int64_t16)
#if CYPOOL_BYTES < 64
CYPOOL_LONGS4(2, int32_t8, 1, int64_t8)
CYPOOL_LONGS8(1, int64_t8)
#endif

/* The windows j .. j + N - 1; `edge`: not all of them have all taps. */
#define CYPOOL_PICKS_VECTOR(NAME, T, C, V, K, N, BEATS)                                                               \
    CYPOOL_INLINE V NAME##_apart(const T *src, ptrdiff_t stride, const cypool_tap *tap) {                             \
        const T *p = src + tap->at - tap->shift;                                                                      \
        V a = *(const V *)p, b, c;                                                                                    \
        if (stride == 1)                                                                                              \
            return a;                                                                                                 \
        b = *(const V *)(p + N);                                                                                      \
        if (stride == 2)                                                                                              \
            return tap->shift ? CYPOOL_HALVED(N, 1, a, b) : CYPOOL_HALVED(N, 0, a, b);                                \
        c = *(const V *)(p + 2 * N);                                                                                  \
        if (tap->shift == 0)                                                                                          \
            return CYPOOL_THIRDS(N, 0, a, b, c);                                                                      \
        return tap->shift == 1 ? CYPOOL_THIRDS(N, 1, a, b, c) : CYPOOL_THIRDS(N, 2, a, b, c);                         \
    }                                                                                                                 \
    CYPOOL_INLINE void NAME(T *out, void *codes, int bytes, ptrdiff_t base, const T *src, ptrdiff_t j,                \
                            ptrdiff_t stride, const cypool_windows *windows, int edge) {                              \
        const cypool_tap *tap = windows->taps, *end = tap + windows->n;                                               \
        const K lane = CYPOOL_COUNTED(K, C, N, j);                                                                    \
        V a = {0}, b;                                                                                                 \
        K code = {0}, none = ~code, has, take;                                                                        \
        if (!edge) {                                                                                                  \
            a = NAME##_apart(src + stride * j, stride, tap);                                                          \
            code += (C)tap++->code;                                                                                   \
        }                                                                                                             \
        for (; tap < end; tap++) {                                                                                    \
            b = NAME##_apart(src + stride * j, stride, tap);                                                          \
            take = (K)BEATS(a, b);                                                                                    \
            if (edge) {                                                                                               \
                has = (lane >= (C)tap->first) & (lane < (C)tap->stop);                                                \
                take = (take | none) & has;                                                                           \
                none &= ~has;                                                                                         \
            }                                                                                                         \
            a = CYPOOL_SELECT(take, b, a);                                                                            \
            code = CYPOOL_SELECT(take, (K){0} + (C)tap->code, code);                                                  \
        }                                                                                                             \
        *(V *)(out + j) = a;                                                                                          \
        if (bytes == 8)                                                                                               \
            CYPOOL_TO_LONGS(C, N, (int64_t *)codes + j, code, base + j * windows->along, windows->along);             \
        else if (bytes)                                                                                               \
            CYPOOL_TO_BYTES(C, N, (uint8_t *)codes + j, code);                                                        \
        else                                                                                                          \
            *(K *)((C *)codes + j) = code;                                                                            \
    }

/* A row of them, the last vector overlapping the one before. What a vector would read past the memory that there is,
   goes window by window. */
#define CYPOOL_PICKS_FIT(NAME, ONE, N)                                                                                \
    if (N > 1 && length >= N) {                                                                                       \
        for (j = 0; j < length; j += N) {                                                                             \
            j = j > length - N ? length - N : j;                                                                      \
            if (j >= windows->first && j + N <= windows->stop)                                                        \
                NAME(out, codes, bytes, base, src, j, stride, windows, 0);                                            \
            else if ((const void *)(src + stride * j + windows->low) >= windows->begin &&                             \
                     (const void *)(src + stride * (j + N) + windows->high) <= windows->end)                          \
                NAME(out, codes, bytes, base, src, j, stride, windows, 1);                                            \
            else                                                                                                      \
                for (i = j; i < j + N; i++)                                                                           \
                    ONE(out, codes, bytes, base, src, i, windows);                                                    \
        }                                                                                                             \
        return;                                                                                                       \
    }
#define CYPOOL_PICKS_VECTORS(NAME, T, C, N4, N3, N2, BEATS)                                                           \
    CYPOOL_PICKS_VECTOR(NAME##_whole, T, C, CYPOOL_JOIN(T, CYPOOL_BYTES), CYPOOL_JOIN(C, CYPOOL_BYTES), N4, BEATS)    \
    CYPOOL_PICKS_VECTOR(NAME##_half, T, C, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), CYPOOL_JOIN(C, CYPOOL_HALF_BYTES), N3,  \
                        BEATS)                                                                                        \
    CYPOOL_PICKS_VECTOR(NAME##_quarter, T, C, CYPOOL_JOIN(T, CYPOOL_QUARTER_BYTES),                                   \
                        CYPOOL_JOIN(C, CYPOOL_QUARTER_BYTES), N2, BEATS)
#define CYPOOL_PICKS_FITS(NAME, N4, N3, N2)                                                                           \
    CYPOOL_PICKS_FIT(NAME##_whole, NAME##_one, N4)                                                                    \
    CYPOOL_PICKS_FIT(NAME##_half, NAME##_one, N3)                                                                     \
    CYPOOL_PICKS_FIT(NAME##_quarter, NAME##_one, N2)
#else
#define CYPOOL_PICKS_VECTORS(NAME, T, C, N4, N3, N2, BEATS)
#define CYPOOL_PICKS_FITS(NAME, N4, N3, N2)
#endif

/* out[r, j] = the best of src[r, taps[t].at + j * stride] for all t, codes[r, j] its code: as wide as a lane, or of so
   many bytes, 1 or 8. Strides are 1, 2 and 3; windows leave no cell between them. */
#define CYPOOL_PICKS(NAME, T, C, N4, N3, N2, BEATS)                                                                   \
    CYPOOL_PICKS_ONE(NAME##_one, T, C, BEATS)                                                                         \
    CYPOOL_PICKS_VECTORS(NAME, T, C, N4, N3, N2, BEATS)                                                               \
    CYPOOL_INLINE void NAME##_row(T *out, void *codes, int bytes, ptrdiff_t base, const T *src, ptrdiff_t length,     \
                                  ptrdiff_t stride, const cypool_windows *windows) {                                  \
        ptrdiff_t i, j;                                                                                               \
        (void)i, (void)stride;                                                                                        \
        CYPOOL_PICKS_FITS(NAME, N4, N3, N2)                                                                           \
        for (j = 0; j < length; j++)                                                                                  \
            NAME##_one(out, codes, bytes, base, src, j, windows);                                                     \
    }                                                                                                                 \
    static void NAME(void *out, void *codes, ptrdiff_t step, int bytes, const void *src, ptrdiff_t src_step,          \
                     ptrdiff_t rows, ptrdiff_t length, const cypool_windows *windows) {                               \
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src;                                                                               \
        ptrdiff_t r;                                                                                                  \
        for (r = 0; r < rows; r++, to += step, from += src_step) {                                                    \
            char *code = (char *)codes + r * step * (bytes ? bytes : (ptrdiff_t)sizeof(C));                           \
            const ptrdiff_t base = windows->base + r * windows->below;                                                \
            if (windows->stride == 1)                                                                                 \
                NAME##_row(to, code, bytes, base, from, length, 1, windows);                                          \
            else if (windows->stride == 2)                                                                            \
                NAME##_row(to, code, bytes, base, from, length, 2, windows);                                          \
            else                                                                                                      \
                NAME##_row(to, code, bytes, base, from, length, 3, windows);                                          \
        }                                                                                                             \
    }

#if CYPOOL_BYTES == 64
#define CYPOOL_PICKS4(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int32_t, 16, 8, 4, BEATS)
#define CYPOOL_PICKS8(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int64_t, 8, 4, 2, BEATS)
#elif CYPOOL_BYTES == 32
#define CYPOOL_PICKS4(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int32_t, 8, 4, 2, BEATS)
#define CYPOOL_PICKS8(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int64_t, 4, 2, 1, BEATS)
#else
#define CYPOOL_PICKS4(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int32_t, 4, 2, 2, BEATS)
#define CYPOOL_PICKS8(NAME, T, BEATS) CYPOOL_PICKS(NAME, T, int64_t, 2, 1, 1, BEATS)
#endif

CYPOOL_PICKS4(int32_t_above, int32_t, CYPOOL_ABOVE)
CYPOOL_PICKS8(int64_t_above, int64_t, CYPOOL_ABOVE)
CYPOOL_PICKS4(float_above, float, CYPOOL_ABOVE_FLOAT)
CYPOOL_PICKS8(double_above, double, CYPOOL_ABOVE_FLOAT)
CYPOOL_PICKS4(int32_t_below, int32_t, CYPOOL_BELOW)
CYPOOL_PICKS8(int64_t_below, int64_t, CYPOOL_BELOW)
CYPOOL_PICKS4(float_below, float, CYPOOL_BELOW_FLOAT)
CYPOOL_PICKS8(double_below, double, CYPOOL_BELOW_FLOAT)

/* Whether two cells are as good as each other, so that the earlier stays. */
#define CYPOOL_EQUAL(a, b) ((a) == (b))
#define CYPOOL_EQUAL_FLOAT(a, b) (((a) == (b)) | (((a) != (a)) & ((b) != (b))))

/* W vectors of cells and their codes, `gap` bytes behind them; with no gap, cells have the code of their tap alone. Four
   at a time, as each tap waits for the one before. */
#define CYPOOL_PICK_VECTOR(NAME, T, C, V, K, W, BEATS, EQUAL)                                                         \
    CYPOOL_INLINE void NAME(T *out, ptrdiff_t out_gap, const T *src, ptrdiff_t src_gap, const ptrdiff_t *taps,        \
                            const ptrdiff_t *codes, ptrdiff_t n, int how) {                                           \
        const ptrdiff_t lanes = sizeof(V) / sizeof(T);                                                                \
        ptrdiff_t i, t = how != CYPOOL_MORE;                                                                          \
        V a[W];                                                                                                       \
        K code[W];                                                                                                    \
        CYPOOL_UNROLL for (i = 0; i < W; i++) {                                                                       \
            const T *from = t ? src + taps[0] + i * lanes : out + i * lanes;                                          \
            const K zero = {0};                                                                                       \
            a[i] = *(const V *)from;                                                                                  \
            code[i] = t && !src_gap ? zero : *(const K *)((const char *)from + (t ? src_gap : out_gap));              \
            if (t)                                                                                                    \
                code[i] += (C)codes[0];                                                                               \
        }                                                                                                             \
        for (; t < n; t++) {                                                                                          \
            CYPOOL_UNROLL for (i = 0; i < W; i++) {                                                                   \
                const T *from = src + taps[t] + i * lanes;                                                            \
                const V b = *(const V *)from;                                                                         \
                const K zero = {0};                                                                                   \
                const K other = (src_gap ? *(const K *)((const char *)from + src_gap) : zero) + (C)codes[t];          \
                const K take = (K)(BEATS(a[i], b)) | ((K)(EQUAL(a[i], b)) & (other < code[i]));                       \
                a[i] = CYPOOL_SELECT(take, b, a[i]);                                                                  \
                code[i] = CYPOOL_SELECT(take, other, code[i]);                                                        \
            }                                                                                                         \
        }                                                                                                             \
        CYPOOL_UNROLL for (i = 0; i < W; i++) {                                                                       \
            *(V *)(out + i * lanes) = a[i];                                                                           \
            *(K *)((char *)(out + i * lanes) + out_gap) = code[i];                                                    \
        }                                                                                                             \
    }

#define CYPOOL_PICK_ONE(NAME, T, C, BEATS, EQUAL)                                                                     \
    CYPOOL_INLINE void NAME(T *out, ptrdiff_t out_gap, const T *src, ptrdiff_t src_gap, const ptrdiff_t *taps,        \
                            const ptrdiff_t *codes, ptrdiff_t n, int how) {                                           \
        ptrdiff_t t = how != CYPOOL_MORE;                                                                             \
        T a = t ? src[taps[0]] : *out, b;                                                                             \
        C code = t ? (C)codes[0] : *(const C *)((const char *)out + out_gap), other;                                  \
        if (t && src_gap)                                                                                             \
            code += *(const C *)((const char *)(src + taps[0]) + src_gap);                                            \
        for (; t < n; t++) {                                                                                          \
            b = src[taps[t]];                                                                                         \
            other = (C)codes[t];                                                                                      \
            if (src_gap)                                                                                              \
                other += *(const C *)((const char *)(src + taps[t]) + src_gap);                                       \
            if ((BEATS(a, b)) | ((EQUAL(a, b)) & (other < code))) {                                                   \
                a = b;                                                                                                \
                code = other;                                                                                         \
            }                                                                                                         \
        }                                                                                                             \
        *out = a;                                                                                                     \
        *(C *)((char *)out + out_gap) = code;                                                                         \
    }

/* A row of them; a last vector overlaps the one before, unless that is merged with what is there already. */
#if CYPOOL_BYTES > 1
#define CYPOOL_PICK_VECTORS(NAME, T, C, BEATS, EQUAL)                                                                 \
    CYPOOL_PICK_VECTOR(NAME##_pick_four, T, C, CYPOOL_JOIN(T, CYPOOL_BYTES), CYPOOL_JOIN(C, CYPOOL_BYTES), 4, BEATS,  \
                       EQUAL)                                                                                         \
    CYPOOL_PICK_VECTOR(NAME##_pick_whole, T, C, CYPOOL_JOIN(T, CYPOOL_BYTES), CYPOOL_JOIN(C, CYPOOL_BYTES), 1, BEATS, \
                       EQUAL)                                                                                         \
    CYPOOL_PICK_VECTOR(NAME##_pick_half, T, C, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), CYPOOL_JOIN(C, CYPOOL_HALF_BYTES),  \
                       1, BEATS, EQUAL)
#define CYPOOL_PICK_FIT(NAME, lanes)                                                                                  \
    for (; j < length; j += (lanes)) {                                                                                \
        const ptrdiff_t at = CYPOOL_AT(j, length - (lanes));                                                          \
        if (at < 0 || (at < j && how == CYPOOL_MORE))                                                                 \
            break;                                                                                                    \
        NAME(out + at, out_gap, src + at, src_gap, taps, codes, n, how);                                              \
    }
#define CYPOOL_PICK_FITS(NAME, T)                                                                                     \
    for (; j + 4 * CYPOOL_LANES(T) <= length; j += 4 * CYPOOL_LANES(T))                                               \
        NAME##_pick_four(out + j, out_gap, src + j, src_gap, taps, codes, n, how);                                    \
    CYPOOL_PICK_FIT(NAME##_pick_whole, CYPOOL_LANES(T))                                                               \
    CYPOOL_PICK_FIT(NAME##_pick_half, CYPOOL_LANES(T) / 2)
#else
#define CYPOOL_PICK_VECTORS(NAME, T, C, BEATS, EQUAL)
#define CYPOOL_PICK_FITS(NAME, T)
#endif

/* As in vectors.h, for cells that remember where they came from. Codes grow in row-major order of the pooled axes, so on
   a tie the smaller one wins, whatever the order in which the axes are merged. */
#define CYPOOL_PICK(NAME, T, C, BEATS, EQUAL)                                                                         \
    CYPOOL_PICK_VECTORS(NAME, T, C, BEATS, EQUAL)                                                                     \
    CYPOOL_PICK_ONE(NAME##_pick_one, T, C, BEATS, EQUAL)                                                              \
    CYPOOL_INLINE void NAME##_pick_row(T *out, ptrdiff_t out_gap, const T *src, ptrdiff_t src_gap,                    \
                                       const ptrdiff_t *taps, const ptrdiff_t *codes, ptrdiff_t n, ptrdiff_t length,  \
                                       int how) {                                                                     \
        ptrdiff_t j = 0;                                                                                              \
        CYPOOL_PICK_FITS(NAME, T)                                                                                     \
        for (; j < length; j++)                                                                                       \
            NAME##_pick_one(out + j, out_gap, src + j, src_gap, taps, codes, n, how);                                 \
    }                                                                                                                 \
    static void NAME##_pick(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, const ptrdiff_t *taps,\
                            const ptrdiff_t *codes, ptrdiff_t n, ptrdiff_t rows, ptrdiff_t length, ptrdiff_t out_gap, \
                            ptrdiff_t src_gap, int how, void *op) {                                                   \
        ptrdiff_t r;                                                                                                  \
        (void)op;                                                                                                     \
        for (r = 0; r < rows; r++) {                                                                                  \
            T *to = (T *)out + r * out_step;                                                                          \
            const T *from = (const T *)src + r * src_step;                                                            \
            if (src_gap && n == 2)                                                                                    \
                NAME##_pick_row(to, out_gap, from, src_gap, taps, codes, 2, length, how);                             \
            else if (src_gap && n == 4)                                                                               \
                NAME##_pick_row(to, out_gap, from, src_gap, taps, codes, 4, length, how);                             \
            else if (src_gap)                                                                                         \
                NAME##_pick_row(to, out_gap, from, src_gap, taps, codes, n, length, how);                             \
            else                                                                                                      \
                NAME##_pick_row(to, out_gap, from, 0, taps, codes, n, length, how);                                   \
        }                                                                                                             \
    }

CYPOOL_PICK(int32_t_above, int32_t, int32_t, CYPOOL_ABOVE, CYPOOL_EQUAL)
CYPOOL_PICK(int64_t_above, int64_t, int64_t, CYPOOL_ABOVE, CYPOOL_EQUAL)
CYPOOL_PICK(float_above, float, int32_t, CYPOOL_ABOVE_FLOAT, CYPOOL_EQUAL_FLOAT)
CYPOOL_PICK(double_above, double, int64_t, CYPOOL_ABOVE_FLOAT, CYPOOL_EQUAL_FLOAT)
CYPOOL_PICK(int32_t_below, int32_t, int32_t, CYPOOL_BELOW, CYPOOL_EQUAL)
CYPOOL_PICK(int64_t_below, int64_t, int64_t, CYPOOL_BELOW, CYPOOL_EQUAL)
CYPOOL_PICK(float_below, float, int32_t, CYPOOL_BELOW_FLOAT, CYPOOL_EQUAL_FLOAT)
CYPOOL_PICK(double_below, double, int64_t, CYPOOL_BELOW_FLOAT, CYPOOL_EQUAL_FLOAT)

/* By type of lane. */
static const cypool_combine cypool_max_pick[] = {
    0, 0, int32_t_above_pick, int64_t_above_pick, 0, 0, 0, 0, float_above_pick, double_above_pick};
static const cypool_combine cypool_min_pick[] = {
    0, 0, int32_t_below_pick, int64_t_below_pick, 0, 0, 0, 0, float_below_pick, double_below_pick};
static const cypool_picks cypool_max_picks[] = {0, 0, int32_t_above, int64_t_above, 0, 0, 0, 0, float_above, double_above};
static const cypool_picks cypool_min_picks[] = {0, 0, int32_t_below, int64_t_below, 0, 0, 0, 0, float_below, double_below};

#endif
