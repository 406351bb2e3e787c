/* Rows and columns exchanged, in square blocks: many short rows side by side are lanes, which no loop over them is too
   short for.

   The last blocks of a row overlap the ones before. Blocks of 64 bytes a side are no faster than those of 32. */

#ifndef CYPOOL_TURN_H
#define CYPOOL_TURN_H

#include "across.h"

typedef void (*cypool_turn)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                            ptrdiff_t cells);

#ifdef CYPOOL_SHUFFLES
/* N rows of N cells: every pass puts the lanes of rows half a block apart in turn. */
#define CYPOOL_TURN_BLOCK(NAME, T, V, N)                                                                              \
    CYPOOL_INLINE void NAME##_block(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t src_step) {                   \
        V a[N], b[N];                                                                                                 \
        int i, half;                                                                                                  \
        CYPOOL_UNROLL for (i = 0; i < N; i++)                                                                         \
            a[i] = *(const V *)(src + i * src_step);                                                                  \
        CYPOOL_UNROLL for (half = N; half > 1; half /= 2) {                                                           \
            CYPOOL_UNROLL for (i = 0; i < N / 2; i++) {                                                               \
                b[2 * i] = CYPOOL_TURNS(N, 0, a[i], a[i + N / 2]);                                                    \
                b[2 * i + 1] = CYPOOL_TURNS(N, 1, a[i], a[i + N / 2]);                                                \
            }                                                                                                         \
            CYPOOL_UNROLL for (i = 0; i < N; i++)                                                                     \
                a[i] = b[i];                                                                                          \
        }                                                                                                             \
        CYPOOL_UNROLL for (i = 0; i < N; i++)                                                                         \
            *(V *)(out + i * out_step) = a[i];                                                                        \
    }                                                                                                                 \
    CYPOOL_INLINE int NAME(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t src_step, ptrdiff_t rows,              \
                           ptrdiff_t cells) {                                                                         \
        ptrdiff_t r, c;                                                                                               \
        if (rows < N || cells < N)                                                                                    \
            return 0;                                                                                                 \
        for (r = 0; r < rows; r += N) {                                                                               \
            r = r < rows - N ? r : rows - N;                                                                          \
            for (c = 0; c < cells; c += N) {                                                                          \
                c = c < cells - N ? c : cells - N;                                                                    \
                NAME##_block(out + c * out_step + r, out_step, src + r * src_step + c, src_step);                     \
            }                                                                                                         \
        }                                                                                                             \
        return 1;                                                                                                     \
    }
#else
#define CYPOOL_TURN_BLOCK(NAME, T, V, N)                                                                              \
    CYPOOL_INLINE int NAME(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t src_step, ptrdiff_t rows,              \
                           ptrdiff_t cells) {                                                                         \
        (void)out, (void)out_step, (void)src, (void)src_step, (void)rows, (void)cells;                                \
        return 0;                                                                                                     \
    }
#endif

/* out[c * out_step + r] = src[r * src_step + c] for r < rows and c < cells. */
#define CYPOOL_TURN_ALL(NAME, T, N, V, HALF, W)                                                                       \
    CYPOOL_TURN_BLOCK(NAME##_large, T, V, N)                                                                          \
    CYPOOL_TURN_BLOCK(NAME##_small, T, W, HALF)                                                                       \
    static void NAME(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,              \
                     ptrdiff_t cells) {                                                                               \
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src;                                                                               \
        ptrdiff_t r, c;                                                                                               \
        if (NAME##_large(to, out_step, from, src_step, rows, cells) ||                                                \
            NAME##_small(to, out_step, from, src_step, rows, cells))                                                  \
            return;                                                                                                   \
        for (r = 0; r < rows; r++)                                                                                    \
            for (c = 0; c < cells; c++)                                                                               \
                to[c * out_step + r] = from[r * src_step + c];                                                        \
    }

#if CYPOOL_BYTES >= 32
CYPOOL_TURN_ALL(cypool_turn4, uint32_t, 8, uint32_t32, 4, uint32_t16)
CYPOOL_TURN_ALL(cypool_turn8, uint64_t, 4, uint64_t32, 2, uint64_t16)
#else
CYPOOL_TURN_ALL(cypool_turn4, uint32_t, 4, uint32_t16, 2, uint32_t8)
CYPOOL_TURN_ALL(cypool_turn8, uint64_t, 2, uint64_t16, 1, uint64_t8)
#endif

/* By bytes of a cell. */
static const cypool_turn cypool_turns[17] = {[4] = cypool_turn4, [8] = cypool_turn8};

#endif
