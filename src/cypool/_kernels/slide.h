/* Rows of large windows, eight cells of an axis at a time.

   Windows that begin in the same eight cells share all cells from the eighth on up to the end of the first window. What
   they do not share are the last of those eight cells, merged from the eighth back, and the first cells past that end,
   merged onwards. So each window is two merges of what is there, however many cells it has, and each cell is read twice.
   (van Herk's prefixes and suffixes are as long as the window; these are eight cells, for the bound on rounding.) */

#ifndef CYPOOL_SLIDE_H
#define CYPOOL_SLIDE_H

#include "vectors.h"

#define CYPOOL_SLID 8
#if defined(__GNUC__)
#define CYPOOL_UNROLL _Pragma("GCC unroll 8")
#else
#define CYPOOL_UNROLL
#endif

typedef void (*cypool_slide)(void **out, void **first, void **shared, ptrdiff_t n_shared,
                             void **next, ptrdiff_t length);

/* One vector of the rows. Sums of what is shared come before those past it, which are added up by themselves, so that a
   sum is rounded as few times as it can be; maxima grow on. */
#define CYPOOL_SLIDE_VECTOR(NAME, T, V, MERGE, SUMS)                                                                  \
    CYPOOL_INLINE void NAME(void **out, void **first, void **shared, ptrdiff_t n,                                     \
                            void **next, ptrdiff_t j) {                                                               \
        V last[CYPOOL_SLID], a, b;                                                                                    \
        ptrdiff_t i;                                                                                                  \
        last[CYPOOL_SLID - 1] = *(const V *)((const T *)first[CYPOOL_SLID - 1] + j);                                  \
        CYPOOL_UNROLL for (i = CYPOOL_SLID - 2; i >= 0; i--) {                                                        \
            a = *(const V *)((const T *)first[i] + j);                                                                \
            last[i] = MERGE(a, last[i + 1]);                                                                          \
        }                                                                                                             \
        a = *(const V *)((const T *)shared[0] + j);                                                                   \
        for (i = 1; i < n; i++) {                                                                                     \
            b = *(const V *)((const T *)shared[i] + j);                                                               \
            a = MERGE(a, b);                                                                                          \
        }                                                                                                             \
        last[0] = MERGE(last[0], a);                                                                                  \
        if (out[0])                                                                                                   \
            *(V *)((T *)out[0] + j) = last[0];                                                                        \
        b = *(const V *)((const T *)next[0] + j);                                                                     \
        CYPOOL_UNROLL for (i = 1; i < CYPOOL_SLID; i++) {                                                             \
            if (i > 1) {                                                                                              \
                V c = *(const V *)((const T *)next[i - 1] + j);                                                       \
                if (SUMS)                                                                                             \
                    c = MERGE(b, c);                                                                                  \
                b = c;                                                                                                \
            }                                                                                                         \
            if (SUMS) {                                                                                               \
                last[i] = MERGE(last[i], a);                                                                          \
                last[i] = MERGE(last[i], b);                                                                          \
            } else {                                                                                                  \
                a = MERGE(a, b);                                                                                      \
                last[i] = MERGE(last[i], a);                                                                          \
            }                                                                                                         \
            if (out[i])                                                                                               \
                *(V *)((T *)out[i] + j) = last[i];                                                                    \
        }                                                                                                             \
    }

/* out[i][j] = the merged first[i][j], ..., first[7][j], shared[t][j] for all t, next[0][j], ..., next[i - 1][j]; NULL
   for rows that are not wanted. Rows end with a vector that overlaps the last: none is written that is read. */
#if defined(__GNUC__)
#define CYPOOL_SLIDE(NAME, T, MERGE, SUMS)                                                                            \
    CYPOOL_SLIDE_VECTOR(NAME##_whole, T, CYPOOL_JOIN(T, CYPOOL_BYTES), MERGE, SUMS)                                   \
    CYPOOL_SLIDE_VECTOR(NAME##_half, T, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), MERGE, SUMS)                               \
    CYPOOL_SLIDE_VECTOR(NAME##_one, T, T##1, MERGE, SUMS)                                                             \
    static void NAME(void **out, void **first, void **shared, ptrdiff_t n,                                            \
                     void **next, ptrdiff_t length) {                                                                 \
        const ptrdiff_t lanes = CYPOOL_LANES(T);                                                                      \
        ptrdiff_t j;                                                                                                  \
        if (length >= lanes) {                                                                                        \
            NAME##_whole(out, first, shared, n, next, 0);                                                             \
            for (j = cypool_line(first[0], CYPOOL_BYTES, sizeof(T)); j < length; j += lanes)                          \
                NAME##_whole(out, first, shared, n, next, j < length - lanes ? j : length - lanes);                   \
        }                                                                                                             \
        else if (length >= lanes / 2)                                                                                 \
            for (j = 0; j < length; j += lanes / 2)                                                                   \
                NAME##_half(out, first, shared, n, next, j < length - lanes / 2 ? j : length - lanes / 2);            \
        else                                                                                                          \
            for (j = 0; j < length; j++)                                                                              \
                NAME##_one(out, first, shared, n, next, j);                                                           \
    }
#else
#define CYPOOL_SLIDE(NAME, T, MERGE, SUMS)                                                                            \
    CYPOOL_SLIDE_VECTOR(NAME##_one, T, T, MERGE, SUMS)                                                                \
    static void NAME(void **out, void **first, void **shared, ptrdiff_t n, void **next, ptrdiff_t length) {           \
        ptrdiff_t j;                                                                                                  \
        for (j = 0; j < length; j++)                                                                                  \
            NAME##_one(out, first, shared, n, next, j);                                                               \
    }
#endif

#define CYPOOL_SLIDE_BOTH(T, KIND)                                                                                    \
    CYPOOL_SLIDE(T##_max_slide, T, CYPOOL_MAX_##KIND, 0)                                                              \
    CYPOOL_SLIDE(T##_min_slide, T, CYPOOL_MIN_##KIND, 0)

CYPOOL_SLIDE_BOTH(int8_t, WHOLE)
CYPOOL_SLIDE_BOTH(int16_t, WHOLE)
CYPOOL_SLIDE_BOTH(int32_t, WHOLE)
CYPOOL_SLIDE_BOTH(int64_t, WHOLE)
CYPOOL_SLIDE_BOTH(uint8_t, WHOLE)
CYPOOL_SLIDE_BOTH(uint16_t, WHOLE)
CYPOOL_SLIDE_BOTH(uint32_t, WHOLE)
CYPOOL_SLIDE_BOTH(uint64_t, WHOLE)
CYPOOL_SLIDE_BOTH(float, FLOAT)
CYPOOL_SLIDE_BOTH(double, FLOAT)
CYPOOL_SLIDE(uint16_t_sum_slide, uint16_t, CYPOOL_SUM, 1)
CYPOOL_SLIDE(int32_t_sum_slide, int32_t, CYPOOL_SUM, 1)
CYPOOL_SLIDE(uint64_t_sum_slide, uint64_t, CYPOOL_SUM, 1)
CYPOOL_SLIDE(float_sum_slide, float, CYPOOL_SUM, 1)
CYPOOL_SLIDE(double_sum_slide, double, CYPOOL_SUM, 1)

#define CYPOOL_SLIDES(OP)                                                                                             \
    {int8_t_##OP##_slide,  int16_t_##OP##_slide,  int32_t_##OP##_slide,  int64_t_##OP##_slide, uint8_t_##OP##_slide,  \
     uint16_t_##OP##_slide, uint32_t_##OP##_slide, uint64_t_##OP##_slide, float_##OP##_slide,   double_##OP##_slide, 0}

static const cypool_slide cypool_max_slides[] = CYPOOL_SLIDES(max);
static const cypool_slide cypool_min_slides[] = CYPOOL_SLIDES(min);
static const cypool_slide cypool_sum_slides[] = {
    0, 0, int32_t_sum_slide, 0, 0, uint16_t_sum_slide, 0, uint64_t_sum_slide, float_sum_slide, double_sum_slide, 0};

#endif
