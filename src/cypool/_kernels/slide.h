/* Rows of large windows, eight cells of an axis at a time.

   Windows that begin in the same eight cells share all cells from the ninth on up to the end of the first window. What
   they do not share are the last of those eight cells, merged from the eighth back, and the first cells past that end,
   merged onwards. So each window is two merges of what is there, however many cells it has, and each cell is read twice.
   (van Herk's prefixes and suffixes are as long as the window; these are eight cells, for the bound on rounding.) */

#ifndef CYPOOL_SLIDE_H
#define CYPOOL_SLIDE_H

#include "vectors.h"

#define CYPOOL_SLID 8
/* Blocks of eight cells shared by windows from which on these are windows of blocks themselves. */
#define CYPOOL_SLID_BLOCKS 16

typedef void (*cypool_slides)(void **out, void **first, void **shared, ptrdiff_t n_shared, void **next, ptrdiff_t length);
typedef void (*cypool_alongs)(void *out, ptrdiff_t out_step, const void *src, ptrdiff_t step, ptrdiff_t windows,
                             ptrdiff_t kernel, ptrdiff_t length, void *scratch);

#if !defined(__GNUC__)
#define cypool_line(row, bytes, cell) 1
#endif

/* The rows lie anywhere; a window that is not wanted has no row. */
#define CYPOOL_FIRST_ANYWHERE(T, i) ((T *)first[i] + j)
#define CYPOOL_SHARED_ANYWHERE(T, i) ((T *)shared[i] + j)
#define CYPOOL_NEXT_ANYWHERE(T, i) ((T *)next[i] + j)
#define CYPOOL_OUT_ANYWHERE(T, i) ((T *)out[i] + j)
#define CYPOOL_WANTED_ANYWHERE(i) out[i]

/* They follow each other, those of cells, of blocks of cells, and of windows. */
#define CYPOOL_FIRST_ALONG(T, i) (src + (i) * step + j)
#define CYPOOL_SHARED_ALONG(T, i)                                                                                     \
    ((i) < rest ? src + (kernel - rest + (i)) * step + j : blocks + ((i) - rest) * length + j)
#define CYPOOL_NEXT_ALONG(T, i) (src + (kernel + (i)) * step + j)
#define CYPOOL_OUT_ALONG(T, i) (out + (i) * out_step + j)
#define CYPOOL_WANTED_ALONG(i) 1

/* One vector, from lane j on, of the windows that begin in eight cells. Sums of what is shared come before those past it,
   which are added up by themselves, so that a sum is rounded as few times as it can be; maxima grow on. */
#define CYPOOL_SLIDE_VECTOR(T, V, MERGE, SUMS, WHERE)                                                                 \
    {                                                                                                                 \
        V last[CYPOOL_SLID], a, b, c;                                                                                 \
        ptrdiff_t i;                                                                                                  \
        last[CYPOOL_SLID - 1] = *(const V *)CYPOOL_FIRST##WHERE(T, CYPOOL_SLID - 1);                                  \
        CYPOOL_UNROLL for (i = CYPOOL_SLID - 2; i >= 0; i--) {                                                        \
            a = *(const V *)CYPOOL_FIRST##WHERE(T, i);                                                                \
            last[i] = MERGE(a, last[i + 1]);                                                                          \
        }                                                                                                             \
        a = *(const V *)CYPOOL_SHARED##WHERE(T, 0);                                                                   \
        for (i = 1; i < n; i++) {                                                                                     \
            b = *(const V *)CYPOOL_SHARED##WHERE(T, i);                                                               \
            a = MERGE(a, b);                                                                                          \
        }                                                                                                             \
        b = a;                                                                                                        \
        CYPOOL_UNROLL for (i = 0; i < CYPOOL_SLID; i++) {                                                             \
            if (i) {                                                                                                  \
                c = *(const V *)CYPOOL_NEXT##WHERE(T, i - 1);                                                         \
                if (!(SUMS))                                                                                          \
                    a = MERGE(a, c);                                                                                  \
                else if (i > 1)                                                                                       \
                    b = MERGE(b, c);                                                                                  \
                else                                                                                                  \
                    b = c;                                                                                            \
            }                                                                                                         \
            last[i] = MERGE(last[i], a);                                                                              \
            if (i && (SUMS))                                                                                          \
                last[i] = MERGE(last[i], b);                                                                          \
            if (CYPOOL_WANTED##WHERE(i))                                                                              \
                *(V *)CYPOOL_OUT##WHERE(T, i) = last[i];                                                              \
        }                                                                                                             \
    }

/* A row of vectors, the last of which overlaps the one before: no row is written that is read. */
#define CYPOOL_SLIDE_ROW(T, V, MERGE, SUMS, WHERE, first_row)                                                         \
    {                                                                                                                 \
        const ptrdiff_t lanes = sizeof(V) / sizeof(T);                                                                \
        ptrdiff_t j = 0;                                                                                              \
        for (;;) {                                                                                                    \
            CYPOOL_SLIDE_VECTOR(T, V, MERGE, SUMS, WHERE)                                                             \
            if (j >= length - lanes)                                                                                  \
                break;                                                                                                \
            j += j ? lanes : cypool_line(first_row, sizeof(V), sizeof(T));                                            \
            j = j < length - lanes ? j : length - lanes;                                                              \
        }                                                                                                             \
    }

#if defined(__GNUC__)
#define CYPOOL_SLIDE_ANY(T, MERGE, SUMS, WHERE, first_row)                                                            \
    if (length >= CYPOOL_LANES(T))                                                                                    \
        CYPOOL_SLIDE_ROW(T, CYPOOL_JOIN(T, CYPOOL_BYTES), MERGE, SUMS, WHERE, first_row)                              \
    else if (length >= CYPOOL_LANES(T) / 2)                                                                           \
        CYPOOL_SLIDE_ROW(T, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), MERGE, SUMS, WHERE, first_row)                         \
    else                                                                                                              \
        CYPOOL_SLIDE_ROW(T, T##1, MERGE, SUMS, WHERE, first_row)
#else
#define CYPOOL_SLIDE_ANY(T, MERGE, SUMS, WHERE, first_row) CYPOOL_SLIDE_ROW(T, T, MERGE, SUMS, WHERE, first_row)
#endif

/* out[i][j] = the merged first[i][j], ..., first[7][j], all shared[t][j], next[0][j], ..., next[i - 1][j]. */
#define CYPOOL_SLIDE(NAME, T, MERGE, SUMS)                                                                            \
    static void NAME##_slide(void **out, void **first, void **shared, ptrdiff_t n, void **next, ptrdiff_t length) {   \
        CYPOOL_SLIDE_ANY(T, MERGE, SUMS, _ANYWHERE, first[0])                                                         \
    }

/* out[w * out_step + j] = the merged src[(w + t) * step + j] for t < kernel, which is more than eight; the scratch holds as
   many rows as there are cells. For the lanes that this is wanted of most. */
#define CYPOOL_ALONG(NAME, T, MERGE, SUMS)                                                                            \
    CYPOOL_SLIDE(NAME, T, MERGE, SUMS)                                                                                \
    CYPOOL_INLINE void NAME##_group(T *out, ptrdiff_t out_step, const T *src, ptrdiff_t step, ptrdiff_t kernel,       \
                                    const T *blocks, ptrdiff_t n_blocks, ptrdiff_t length) {                          \
        const ptrdiff_t rest = kernel % CYPOOL_SLID, n = rest + n_blocks;                                             \
        CYPOOL_SLIDE_ANY(T, MERGE, SUMS, _ALONG, src)                                                                 \
    }                                                                                                                 \
    /* The last windows, fewer than eight. */                                                                         \
    static void NAME##_fewer(T *out, ptrdiff_t out_step, T *src, ptrdiff_t step, ptrdiff_t kernel, T *blocks,         \
                             ptrdiff_t n_blocks, ptrdiff_t length, ptrdiff_t windows) {                               \
        void *to[CYPOOL_SLID], *first[CYPOOL_SLID], *next[CYPOOL_SLID], *shared[CYPOOL_SLID + CYPOOL_SLID_BLOCKS];    \
        const ptrdiff_t rest = kernel % CYPOOL_SLID, n = rest + n_blocks, j = 0;                                      \
        ptrdiff_t i;                                                                                                  \
        for (i = 0; i < CYPOOL_SLID; i++) {                                                                           \
            to[i] = i < windows ? out + i * out_step : NULL;                                                          \
            first[i] = src + i * step;                                                                                \
            next[i] = i + 1 < windows ? src + (kernel + i) * step : src;                                              \
        }                                                                                                             \
        for (i = 0; i < n; i++)                                                                                       \
            shared[i] = CYPOOL_SHARED_ALONG(T, i);                                                                    \
        NAME##_slide(to, first, shared, n, next, length);                                                             \
    }                                                                                                                 \
    static void NAME##_along(void *to, ptrdiff_t out_step, const void *from, ptrdiff_t step, ptrdiff_t windows,       \
                             ptrdiff_t kernel, ptrdiff_t length, void *scratch) {                                     \
        static const ptrdiff_t none = 0;                                                                              \
        const ptrdiff_t groups = (windows + CYPOOL_SLID - 1) / CYPOOL_SLID;                                           \
        T *src = (T *)from, *out = (T *)to, *blocks = (T *)scratch;                                                   \
        ptrdiff_t b, t, taps[CYPOOL_SLID], n_blocks = kernel / CYPOOL_SLID - 1;                                       \
        for (t = 0; t < CYPOOL_SLID; t++)                                                                             \
            taps[t] = t * step;                                                                                       \
        for (b = 0; n_blocks && b < groups + n_blocks - 1; b++)                                                       \
            NAME(blocks + b * length, 0, src + (b + 1) * CYPOOL_SLID * step, 0, taps, &none, CYPOOL_SLID, 1, length, 0,\
                 0, 0, NULL);                                                                                         \
        if (n_blocks > CYPOOL_SLID_BLOCKS) {                                                                          \
            T *whole = blocks + (groups + n_blocks - 1) * length;                                                     \
            NAME##_along(whole, length, blocks, length, groups, n_blocks, length, whole + groups * length);           \
            blocks = whole;                                                                                           \
            n_blocks = 1;                                                                                             \
        }                                                                                                             \
        step *= CYPOOL_SLID;                                                                                          \
        for (b = 0; windows >= CYPOOL_SLID; b++, windows -= CYPOOL_SLID)                                              \
            NAME##_group(out + b * CYPOOL_SLID * out_step, out_step, src + b * step, step / CYPOOL_SLID, kernel,      \
                         blocks + b * length, n_blocks, length);                                                      \
        if (windows > 0)                                                                                              \
            NAME##_fewer(out + b * CYPOOL_SLID * out_step, out_step, src + b * step, step / CYPOOL_SLID, kernel,      \
                         blocks + b * length, n_blocks, length, windows);                                             \
    }

#define CYPOOL_SLIDE_BOTH(WHICH, T, KIND)                                                                             \
    WHICH(T##_max, T, CYPOOL_MAX_##KIND, 0)                                                                           \
    WHICH(T##_min, T, CYPOOL_MIN_##KIND, 0)

CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, int8_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, int16_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, uint8_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, uint16_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, int32_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, int64_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, uint32_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_SLIDE, uint64_t, WHOLE)
CYPOOL_SLIDE_BOTH(CYPOOL_ALONG, float, FLOAT)
CYPOOL_SLIDE_BOTH(CYPOOL_ALONG, double, FLOAT)
CYPOOL_SLIDE(uint16_t_sum, uint16_t, CYPOOL_SUM, 1)
CYPOOL_ALONG(int32_t_sum, int32_t, CYPOOL_SUM, 1)
CYPOOL_SLIDE(uint64_t_sum, uint64_t, CYPOOL_SUM, 1)
CYPOOL_ALONG(float_sum, float, CYPOOL_SUM, 1)
CYPOOL_ALONG(double_sum, double, CYPOOL_SUM, 1)

/* By type of lane. */
#define CYPOOL_SLIDES(OP)                                                                                             \
    {int8_t_##OP##_slide,  int16_t_##OP##_slide,  int32_t_##OP##_slide,  int64_t_##OP##_slide, uint8_t_##OP##_slide,  \
     uint16_t_##OP##_slide, uint32_t_##OP##_slide, uint64_t_##OP##_slide, float_##OP##_slide,   double_##OP##_slide, 0}
static const cypool_slides cypool_max_slide[] = CYPOOL_SLIDES(max);
static const cypool_slides cypool_min_slide[] = CYPOOL_SLIDES(min);
static const cypool_slides cypool_sum_slide[] = {
    0, 0, int32_t_sum_slide, 0, 0, uint16_t_sum_slide, 0, uint64_t_sum_slide, float_sum_slide, double_sum_slide, 0};
static const cypool_alongs cypool_max_along[] = {0, 0, 0, 0, 0, 0, 0, 0, float_max_along, double_max_along, 0};
static const cypool_alongs cypool_min_along[] = {0, 0, 0, 0, 0, 0, 0, 0, float_min_along, double_min_along, 0};
static const cypool_alongs cypool_sum_along[] = {0, 0, int32_t_sum_along, 0, 0, 0, 0, 0, float_sum_along,
                                                 double_sum_along, 0};

#endif
