/* Rows of windows in registers: cells are merged across rows as they are, then put under the taps of their windows by a
   shuffle for each tap, with what changes nothing for a tap in the padding.

   Nothing goes through scratch, short rows cost no more than long ones, and windows may have any stride, dilation and
   padding, or be bins that only a table knows. It takes masked loads and shuffles of two registers whose lanes are
   variables, which AVX-512 has. */

#ifndef CYPOOL_HELD_H
#define CYPOOL_HELD_H

#include "across.h"

#define CYPOOL_MOST_TAPS 6 /* along a row: DIRECT in plan.py */
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

#if defined(__GNUC__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define CYPOOL_HELD_BYTES 64

/* A register V of so many BITS: which of its lanes (V_mask), and which lane of one or two others goes into each (V_at). */
#define CYPOOL_REGISTER(V, I, M, BITS, OF)                                                                            \
    typedef M V##_mask;                                                                                               \
    typedef I V##_at;                                                                                                 \
    CYPOOL_INLINE V V##_placed(const V *a, int two, V##_at at, V##_mask mask, V nothing) {                            \
        if (!two)                                                                                                     \
            return (V)_mm##BITS##_mask_permutexvar_##OF((I)nothing, mask, at, (I)a[0]);                               \
        return (V)_mm##BITS##_mask_mov_##OF((I)nothing, mask, _mm##BITS##_permutex2var_##OF((I)a[0], at, (I)a[1]));   \
    }                                                                                                                 \
    CYPOOL_INLINE V##_at V##_places(const int8_t *places) {                                                           \
        return _mm##BITS##_cvtepi8_##OF(_mm_loadu_si128((const __m128i *)places));                                    \
    }                                                                                                                 \
    CYPOOL_INLINE V##_mask V##_real(V##_at at) { return _mm##BITS##_cmpge_##OF##_mask(at, (I){0}); }                  \
    CYPOOL_INLINE V V##_read(const void *src, V##_mask mask) { return (V)_mm##BITS##_maskz_loadu_##OF(mask, src); }   \
    CYPOOL_INLINE void V##_write(void *out, V##_mask mask, V a) { _mm##BITS##_mask_storeu_##OF(out, mask, (I)a); }
CYPOOL_REGISTER(float64, __m512i, __mmask16, 512, epi32)
CYPOOL_REGISTER(float32, __m256i, __mmask8, 256, epi32)
CYPOOL_REGISTER(double64, __m512i, __mmask8, 512, epi64)
CYPOOL_REGISTER(double32, __m256i, __mmask8, 256, epi64)

/* Lanes of V from and to the memory of other types: float16, of whose NaN nothing but the sign is kept (halves.h). */
#define CYPOOL_HALF_REGISTER(V, BITS, H, HBITS)                                                                       \
    CYPOOL_INLINE V half_##V##_read(const void *src, V##_mask mask) {                                                 \
        return (V)_mm##BITS##_cvtph_ps(_mm##HBITS##_maskz_loadu_epi16(mask, src));                                    \
    }                                                                                                                 \
    CYPOOL_INLINE void half_##V##_write(void *out, V##_mask mask, V a) {                                              \
        const H half = (H)_mm##BITS##_cvtps_ph((__m##BITS)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);          \
        const V##_mask nan = _mm##BITS##_cmp_ps_mask((__m##BITS)a, (__m##BITS)a, _CMP_UNORD_Q);                       \
        const H sign = half & (H)_mm##HBITS##_set1_epi16((short)0x8000);                                              \
        _mm##HBITS##_mask_storeu_epi16(                                                                               \
            out, mask, _mm##HBITS##_mask_mov_epi16(half, nan, sign | (H)_mm##HBITS##_set1_epi16(0x7E00)));            \
    }
CYPOOL_HALF_REGISTER(float64, 512, __m256i, 256)
CYPOOL_HALF_REGISTER(float32, 256, __m128i, )

/* And bfloat16, rounded half to even, of whose NaN the sign is kept as well. */
#define CYPOOL_BRAIN_REGISTER(V, U, I, BITS, HBITS)                                                                   \
    CYPOOL_INLINE V brain_##V##_read(const void *src, V##_mask mask) {                                                \
        return (V)((U)_mm##BITS##_cvtepu16_epi32(_mm##HBITS##_maskz_loadu_epi16(mask, src)) << 16);                   \
    }                                                                                                                 \
    CYPOOL_INLINE void brain_##V##_write(void *out, V##_mask mask, V a) {                                             \
        const U bits = (U)a, nan = (bits >> 16 & 0x8000) | 0x7FC0;                                                    \
        const U brain = CYPOOL_SELECT((bits & 0x7FFFFFFF) > 0x7F800000, nan, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);\
        _mm##HBITS##_mask_storeu_epi16(out, mask, _mm##BITS##_cvtepi32_epi16((I)brain));                              \
    }
CYPOOL_BRAIN_REGISTER(float64, uint32_t64, __m512i, 512, 256)
CYPOOL_BRAIN_REGISTER(float32, uint32_t32, __m256i, 256, )

/* Squares of floats, and the roots of what they add up to. */
#define CYPOOL_SQUARE_REGISTER(V, BITS, HBITS)                                                                        \
    CYPOOL_INLINE V square_##V##_read(const void *src, V##_mask mask) {                                               \
        const V a = (V)_mm##BITS##_cvtps_pd(_mm##HBITS##_maskz_loadu_ps(mask, src));                                  \
        return a * a;                                                                                                 \
    }                                                                                                                 \
    CYPOOL_INLINE void square_##V##_write(void *out, V##_mask mask, V a) {                                            \
        _mm##HBITS##_mask_storeu_ps(out, mask, _mm##BITS##_cvtpd_ps(_mm##BITS##_sqrt_pd((__m##BITS##d)a)));           \
    }
CYPOOL_SQUARE_REGISTER(double64, 512, 256)
CYPOOL_SQUARE_REGISTER(double32, 256, )

/* The first lanes of a register. */
CYPOOL_INLINE __mmask16 cypool_first(ptrdiff_t lanes) {
    return (__mmask16)(lanes >= 16 ? 0xffff : ((uint32_t)1 << (lanes < 0 ? 0 : lanes)) - 1);
}

#define CYPOOL_HELD_OF(NAME, N, K)                                                                                    \
    NAME##_of(out, out_step, out_planes, src, src_step, src_planes, planes, rows, taps, N, piece, K, by);

/* All rows of all planes: of X registers of cells, with so many taps across rows and along them. */
#define CYPOOL_HELD_ROWS(NAME, M, T, V, P, X, MERGE, DIVIDE, NOTHING)                                                 \
    CYPOOL_INLINE void NAME##_of(M *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const M *src,               \
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
            const M *from = src + src_planes[p];                                                                      \
            M *to = out + out_planes[p];                                                                              \
            for (r = 0; r < rows; r++, from += src_step, to += out_step) {                                            \
                V a[X], b, c;                                                                                         \
                for (i = 0; i < X; i++)                                                                               \
                    a[i] = P##V##_read(from + taps[0] + i * lanes, cells[i]);                                         \
                for (t = 1; t < n; t++)                                                                               \
                    for (i = 0; i < X; i++) {                                                                         \
                        b = P##V##_read(from + taps[t] + i * lanes, cells[i]);                                        \
                        a[i] = MERGE(a[i], b);                                                                        \
                    }                                                                                                 \
                b = V##_placed(a, X > 1, at[0], real[0], nothing);                                                    \
                for (t = 1; t < kernel; t++) {                                                                        \
                    c = V##_placed(a, X > 1, at[t], real[t], nothing);                                                \
                    b = MERGE(b, c);                                                                                  \
                }                                                                                                     \
                DIVIDE(b, each)                                                                                       \
                P##V##_write(to, windows, b);                                                                         \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    CYPOOL_APART void NAME(M *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const M *src, ptrdiff_t src_step, \
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

/* In the fewest and smallest registers that hold the piece: of M in memory, by way of P, and of T in V and W. */
#define CYPOOL_HELD(NAME, M, T, P, V, W, ...)                                                                         \
    CYPOOL_HELD_ROWS(NAME##_small, M, T, W, P, 1, __VA_ARGS__)                                                        \
    CYPOOL_HELD_ROWS(NAME##_one, M, T, V, P, 1, __VA_ARGS__)                                                          \
    CYPOOL_HELD_ROWS(NAME##_two, M, T, V, P, 2, __VA_ARGS__)                                                          \
    static void NAME(void *out, ptrdiff_t out_step, const ptrdiff_t *out_planes, const void *src, ptrdiff_t src_step, \
                     const ptrdiff_t *src_planes, ptrdiff_t planes, ptrdiff_t rows, const ptrdiff_t *taps,            \
                     ptrdiff_t n, const cypool_held_piece *piece, const void *by) {                                   \
        const ptrdiff_t one = sizeof(V) / sizeof(T), small = sizeof(W) / sizeof(T);                                   \
        (piece->cells > one                                ? NAME##_two                                               \
         : piece->cells > small || piece->windows > small ? NAME##_one                                                \
                                                           : NAME##_small)(                                           \
            (M *)out, out_step, out_planes, (const M *)src, src_step, src_planes, planes, rows, taps, n, piece,       \
            (const T *)by);                                                                                           \
    }
#define CYPOOL_HELD_FLOATS(NAME, ...)                                                                                 \
    CYPOOL_HELD(float_##NAME##_held, float, float, , float64, float32, __VA_ARGS__)                                   \
    CYPOOL_HELD(half_##NAME##_held, uint16_t, float, half_, float64, float32, __VA_ARGS__)                            \
    CYPOOL_HELD(brain_##NAME##_held, uint16_t, float, brain_, float64, float32, __VA_ARGS__)                          \
    CYPOOL_HELD(double_##NAME##_held, double, double, , double64, double32, __VA_ARGS__)
CYPOOL_HELD_FLOATS(max, CYPOOL_MAX_FLOAT, CYPOOL_PLAIN, -__builtin_inff())
CYPOOL_HELD_FLOATS(min, CYPOOL_MIN_FLOAT, CYPOOL_PLAIN, __builtin_inff())
CYPOOL_HELD_FLOATS(sum, CYPOOL_SUM, CYPOOL_DIVIDED, -0.0f)
CYPOOL_HELD(float_norm_held, float, double, square_, double64, double32, CYPOOL_SUM, CYPOOL_PLAIN, -0.0)

/* By `Op` (job.pxd) and `Type` (_types.pxd). */
#define CYPOOL_HELD_OF_OP(NAME)                                                                                       \
    {[8] = float_##NAME##_held, [9] = double_##NAME##_held, [11] = half_##NAME##_held, [12] = brain_##NAME##_held}
static const cypool_held cypool_holds[][14] = {CYPOOL_HELD_OF_OP(max), CYPOOL_HELD_OF_OP(min), CYPOOL_HELD_OF_OP(sum),
                                               {[8] = float_norm_held}};
#else
#define CYPOOL_HELD_BYTES 0
static const cypool_held cypool_holds[4][14];
#endif

#endif
