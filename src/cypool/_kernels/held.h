/* Rows of windows in registers: cells are merged across rows as they are, then put under the taps of their windows by a
   shuffle for each tap, with what changes nothing for a tap in the padding.

   Nothing goes through scratch, short rows cost no more than long ones, and windows may have any stride, dilation and
   padding, or be bins that only a table knows. It takes masked loads and shuffles of two registers whose lanes are
   variables, which AVX-512 has. */

#ifndef CYPOOL_HELD_H
#define CYPOOL_HELD_H

#include "across.h"

#define CYPOOL_MOST_TAPS 8 /* along a row */
#define CYPOOL_HELD_LANES 16

/* A piece of a row: so many windows of so many cells, one register of windows and at most two of cells, and the
   cell under each tap of each window, tap by tap for 16 windows: -1 for none. */
typedef struct {
    ptrdiff_t first, cells, windows, kernel;
    const int8_t *places;
} cypool_held_piece;

typedef void (*cypool_held)(void *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const void *src,
                            ptrdiff_t src_step, const ptrdiff_t *src_planes, ptrdiff_t planes, ptrdiff_t rows,
                            const ptrdiff_t *taps, ptrdiff_t n_taps, const cypool_held_piece *piece,
                            const void *divisors);

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#define CYPOOL_HELD_BYTES 64

/* V_mask: which lanes; V_at: which lane of one or two registers goes into each. */
#define CYPOOL_REGISTER(V, T, I, M, BITS, OF)                                                                         \
    typedef M V##_mask;                                                                                               \
    typedef I V##_at;                                                                                                 \
    CYPOOL_INLINE V V##_read(const T *src, V##_mask mask) { return (V)_mm##BITS##_maskz_loadu_##OF(mask, src); }      \
    CYPOOL_INLINE void V##_write(T *out, V##_mask mask, V a) { _mm##BITS##_mask_storeu_##OF(out, mask, (I)a); }       \
    CYPOOL_INLINE V V##_placed(const V *a, int two, V##_at at, V##_mask mask, V nothing) {                            \
        if (!two)                                                                                                     \
            return (V)_mm##BITS##_mask_permutexvar_##OF((I)nothing, mask, at, (I)a[0]);                               \
        return (V)_mm##BITS##_mask_mov_##OF((I)nothing, mask, _mm##BITS##_permutex2var_##OF((I)a[0], at, (I)a[1]));   \
    }                                                                                                                 \
    CYPOOL_INLINE V##_at V##_places(const int8_t *places) {                                                           \
        return _mm##BITS##_cvtepi8_##OF(_mm_loadu_si128((const __m128i *)places));                                    \
    }                                                                                                                 \
    CYPOOL_INLINE V##_mask V##_real(V##_at at) { return _mm##BITS##_cmpge_##OF##_mask(at, (I){0}); }
CYPOOL_REGISTER(float64, float, __m512i, __mmask16, 512, epi32)
CYPOOL_REGISTER(double64, double, __m512i, __mmask8, 512, epi64)
CYPOOL_REGISTER(float32, float, __m256i, __mmask8, 256, epi32)
CYPOOL_REGISTER(double32, double, __m256i, __mmask8, 256, epi64)

/* The first lanes of a register. */
CYPOOL_INLINE __mmask16 cypool_first(ptrdiff_t lanes) {
    return (__mmask16)(lanes >= 16 ? 0xffff : ((uint32_t)1 << (lanes < 0 ? 0 : lanes)) - 1);
}

#define CYPOOL_HELD_OF(NAME, N, K)                                                                                    \
    NAME##_of(out, out_step, out_planes, src, src_step, src_planes, planes, rows, taps, N, piece, K, by);

/* All rows of all planes: of X registers of cells, with so many taps across rows and along them. */
#define CYPOOL_HELD_ROWS(NAME, T, V, X, MERGE, DIVIDE, NOTHING)                                                       \
    CYPOOL_INLINE void NAME##_of(T *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const T *src,               \
                                 ptrdiff_t src_step, const ptrdiff_t *src_planes, ptrdiff_t planes, ptrdiff_t rows,   \
                                 const ptrdiff_t *taps, ptrdiff_t n, const cypool_held_piece *piece, ptrdiff_t kernel, \
                                 const T *divisors) {                                                                 \
        const ptrdiff_t lanes = sizeof(V) / sizeof(T);                                                                \
        const V nothing = (T)(NOTHING) - (V){0};                                                                      \
        const V##_mask windows = (V##_mask)cypool_first(piece->windows);                                              \
        const V by = divisors ? V##_read(divisors, windows) : nothing;                                                \
        const V *const each = divisors ? &by : 0;                                                                     \
        V##_mask cells[X], real[CYPOOL_MOST_TAPS];                                                                    \
        V##_at at[CYPOOL_MOST_TAPS];                                                                                  \
        ptrdiff_t p, r, t;                                                                                            \
        int i;                                                                                                        \
        for (i = 0; i < X; i++)                                                                                       \
            cells[i] = (V##_mask)cypool_first(piece->cells - i * lanes);                                              \
        for (t = 0; t < kernel; t++) {                                                                                \
            at[t] = V##_places(piece->places + CYPOOL_HELD_LANES * t);                                                \
            real[t] = V##_real(at[t]);                                                                                \
        }                                                                                                             \
        for (p = 0; p < planes; p++) {                                                                                \
            const T *from = src + src_planes[p];                                                                      \
            T *to = out + out_planes[p];                                                                              \
            for (r = 0; r < rows; r++, from += src_step, to += out_step) {                                            \
                V a[X], b, c;                                                                                         \
                for (i = 0; i < X; i++)                                                                               \
                    a[i] = V##_read(from + taps[0] + i * lanes, cells[i]);                                            \
                for (t = 1; t < n; t++)                                                                               \
                    for (i = 0; i < X; i++) {                                                                         \
                        b = V##_read(from + taps[t] + i * lanes, cells[i]);                                           \
                        a[i] = MERGE(a[i], b);                                                                        \
                    }                                                                                                 \
                b = V##_placed(a, X > 1, at[0], real[0], nothing);                                                    \
                for (t = 1; t < kernel; t++) {                                                                        \
                    c = V##_placed(a, X > 1, at[t], real[t], nothing);                                                \
                    b = MERGE(b, c);                                                                                  \
                }                                                                                                     \
                DIVIDE(b, each)                                                                                       \
                V##_write(to, windows, b);                                                                            \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    CYPOOL_APART void NAME(T *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const T *src, ptrdiff_t src_step, \
                           const ptrdiff_t *src_planes, ptrdiff_t planes, ptrdiff_t rows, const ptrdiff_t *taps,      \
                           ptrdiff_t n, const cypool_held_piece *piece, const T *by) {                                \
        if (n == 3 && piece->kernel == 3)                                                                             \
            CYPOOL_HELD_OF(NAME, 3, 3)                                                                                \
        else if (n == 2 && piece->kernel == 2)                                                                        \
            CYPOOL_HELD_OF(NAME, 2, 2)                                                                                \
        else if (piece->kernel == 3)                                                                                  \
            CYPOOL_HELD_OF(NAME, n, 3)                                                                                \
        else if (piece->kernel == 4)                                                                                  \
            CYPOOL_HELD_OF(NAME, n, 4)                                                                                \
        else if (piece->kernel == 5)                                                                                  \
            CYPOOL_HELD_OF(NAME, n, 5)                                                                                \
        else                                                                                                          \
            CYPOOL_HELD_OF(NAME, n, piece->kernel)                                                                    \
    }

/* In the fewest and smallest registers that hold the piece. */
#define CYPOOL_HELD(NAME, T, V, W, ...)                                                                               \
    CYPOOL_HELD_ROWS(NAME##_small, T, W, 1, __VA_ARGS__)                                                              \
    CYPOOL_HELD_ROWS(NAME##_one, T, V, 1, __VA_ARGS__)                                                                \
    CYPOOL_HELD_ROWS(NAME##_two, T, V, 2, __VA_ARGS__)                                                                \
    static void NAME(void *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const void *src, ptrdiff_t src_step, \
                     const ptrdiff_t *src_planes, ptrdiff_t planes, ptrdiff_t rows, const ptrdiff_t *taps,            \
                     ptrdiff_t n, const cypool_held_piece *piece, const void *divisors) {                             \
        const ptrdiff_t one = sizeof(V) / sizeof(T), small = sizeof(W) / sizeof(T);                                   \
        if (piece->cells > one)                                                                                       \
            NAME##_two((T *)out, out_step, out_planes, (const T *)src, src_step, src_planes, planes, rows, taps, n,   \
                       piece, (const T *)divisors);                                                                   \
        else if (piece->cells > small || piece->windows > small)                                                      \
            NAME##_one((T *)out, out_step, out_planes, (const T *)src, src_step, src_planes, planes, rows, taps, n,   \
                       piece, (const T *)divisors);                                                                   \
        else                                                                                                          \
            NAME##_small((T *)out, out_step, out_planes, (const T *)src, src_step, src_planes, planes, rows, taps, n, \
                         piece, (const T *)divisors);                                                                 \
    }
CYPOOL_HELD(float_max_held, float, float64, float32, CYPOOL_MAX_FLOAT, CYPOOL_PLAIN, -__builtin_inff())
CYPOOL_HELD(float_min_held, float, float64, float32, CYPOOL_MIN_FLOAT, CYPOOL_PLAIN, __builtin_inff())
CYPOOL_HELD(float_sum_held, float, float64, float32, CYPOOL_SUM, CYPOOL_DIVIDED, -0.0f)
CYPOOL_HELD(double_max_held, double, double64, double32, CYPOOL_MAX_FLOAT, CYPOOL_PLAIN, -__builtin_inf())
CYPOOL_HELD(double_min_held, double, double64, double32, CYPOOL_MIN_FLOAT, CYPOOL_PLAIN, __builtin_inf())
CYPOOL_HELD(double_sum_held, double, double64, double32, CYPOOL_SUM, CYPOOL_DIVIDED, -0.0)
static const cypool_held cypool_max_held[] = {0, 0, 0, 0, 0, 0, 0, 0, float_max_held, double_max_held};
static const cypool_held cypool_min_held[] = {0, 0, 0, 0, 0, 0, 0, 0, float_min_held, double_min_held};
static const cypool_held cypool_sum_held[] = {0, 0, 0, 0, 0, 0, 0, 0, float_sum_held, double_sum_held, 0};
#else
#define CYPOOL_HELD_BYTES 0
static const cypool_held cypool_max_held[10], cypool_min_held[10], cypool_sum_held[11];
#endif

#endif
