/* Rows of cells from the windows over them: each cell claims the shares of those that reach it, or of those whose code
   names it.

   Up to four cells that lie under the same windows are made at once, so that a share and its code are read once for all
   of them; those beside each other in a row are put there by shuffles. Where a row ends before its windows do, lanes of
   windows that are not there name nothing. */

#ifndef CYPOOL_CLAIMS_H
#define CYPOOL_CLAIMS_H

#include "across.h"
#include "bytes.h"

/* No code of a byte. */
#define CYPOOL_NOT_NAMED 256

/* One window over the cells that are made at once. */
typedef struct {
    ptrdiff_t at;       /* its share stands at r + at, for the r-th such cells of a row, and its code as well; */
    ptrdiff_t window;   /* it is the window r + window of its row; */
    ptrdiff_t codes[4]; /* what it calls each of them, or CYPOOL_NOT_NAMED */
} cypool_claim;

typedef struct {
    const cypool_claim *claims;
    ptrdiff_t n;
    ptrdiff_t stride;        /* cells beside each other, */
    ptrdiff_t lines;         /* and lines of them; */
    const ptrdiff_t *starts; /* where each of these starts in the result */
    ptrdiff_t windows;       /* of a row of the array; 0: a row here is of lanes, and all windows are there */
    ptrdiff_t first, stop;   /* the r that have all of their windows */
    ptrdiff_t low, high;     /* the least and the greatest `at` */
    const void *begin, *end; /* the shares that there are */
    double by, times;        /* shares are divided by this, or if it is 0, multiplied */
} cypool_claims;

typedef void (*cypool_claim_rows)(void *out, ptrdiff_t out_step, const void *src, const uint8_t *codes,
                                  ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cells, const cypool_claims *claims);

/* The cells over r, r + 1, ..., one by one. */
#define CYPOOL_CLAIM_ONE(NAME, T, NAMED)                                                                              \
    CYPOOL_INLINE void NAME(T *out, const T *src, const uint8_t *codes, ptrdiff_t r, ptrdiff_t stop, ptrdiff_t cells, \
                            const cypool_claims *claims) {                                                            \
        const T by = (T)claims->by, times = (T)claims->times;                                                         \
        ptrdiff_t p, line, i;                                                                                         \
        for (; r < stop; r++)                                                                                         \
            for (line = 0; line < claims->lines; line++)                                                              \
                for (p = 0; p < claims->stride && r * claims->stride + p < cells; p++) {                              \
                    T a = 0, b = 0;                                                                                   \
                    for (i = 0; i < claims->n; i++) {                                                                 \
                        const cypool_claim *claim = claims->claims + i;                                               \
                        const ptrdiff_t code = claim->codes[line * claims->stride + p];                               \
                        if (!NAMED && i && i % 4 == 0) {                                                              \
                            b += a;                                                                                   \
                            a = 0;                                                                                    \
                        }                                                                                             \
                        if (claims->windows && (size_t)(r + claim->window) >= (size_t)claims->windows)                \
                            continue;                                                                                 \
                        if (NAMED && codes[r + claim->at] == code)                                                    \
                            a += src[r + claim->at];                                                                  \
                        if (!NAMED && code != CYPOOL_NOT_NAMED)                                                       \
                            a += by != 0 ? src[r + claim->at] / by : src[r + claim->at] * times;                      \
                    }                                                                                                 \
                    out[claims->starts[line] + r * claims->stride + p] = b + a;                                       \
                }                                                                                                     \
    }

#ifdef CYPOOL_SHUFFLES

/* Of N r's the cells, or, where there are no more than two of each, of N from r and of N from q on; `edge`: not all of
   their windows are there. Sums are made of four windows at a time, so that few are rounded one after the other; there
   are few that name a cell. */
#define CYPOOL_CLAIM_VECTOR(NAME, T, C, V, K, N, NAMED)                                                               \
    CYPOOL_INLINE K NAME##_codes(const uint8_t *codes, ptrdiff_t r, const cypool_claim *claim, ptrdiff_t windows,     \
                                 int edge) {                                                                          \
        const ptrdiff_t first = r + claim->window;                                                                    \
        K code = {0};                                                                                                 \
        if (NAMED)                                                                                                    \
            code = CYPOOL_OF_BYTES(C, N, codes + r + claim->at);                                                      \
        if (NAMED && edge && (first < 0 || first + N > windows)) {                                                    \
            const ptrdiff_t low = first < 0 ? -first : 0, high = windows - first;                                     \
            const K lane = CYPOOL_COUNTED(K, C, N, 0);                                                                \
            code |= (lane < (C)(low < N ? low : N)) | (lane >= (C)(high < N ? high : N));                             \
        }                                                                                                             \
        return code;                                                                                                  \
    }                                                                                                                 \
    CYPOOL_INLINE V NAME##_claimed(V share, K code, ptrdiff_t claimed) {                                              \
        return (V)((NAMED ? code == (C)claimed : (K){0} + (C)claimed != CYPOOL_NOT_NAMED) & (K)share);                \
    }                                                                                                                 \
    CYPOOL_INLINE V NAME##_share(const T *src, T by, T times) {                                                       \
        V share = *(const V *)src;                                                                                    \
        if (!NAMED && by != 0)                                                                                        \
            share /= by;                                                                                              \
        else if (!NAMED)                                                                                              \
            share *= times;                                                                                           \
        return share;                                                                                                 \
    }                                                                                                                 \
    CYPOOL_INLINE void NAME##_some(V *a, V *b, V *c, V *d, const T *src, const uint8_t *codes, ptrdiff_t r,           \
                                   ptrdiff_t q, ptrdiff_t cells, ptrdiff_t windows, const cypool_claim *claim,        \
                                   const cypool_claim *end, T by, T times, int edge) {                                \
        V share;                                                                                                      \
        K code;                                                                                                       \
        *a = *b = *c = *d = (V){0};                                                                                   \
        for (; claim < end; claim++) {                                                                                \
            code = NAME##_codes(codes, r, claim, windows, edge);                                                      \
            share = NAME##_share(src + r + claim->at, by, times);                                                     \
            *a += NAME##_claimed(share, code, claim->codes[0]);                                                       \
            if (cells > 1)                                                                                            \
                *b += NAME##_claimed(share, code, claim->codes[1]);                                                   \
            if (cells > 2) {                                                                                          \
                *c += NAME##_claimed(share, code, claim->codes[2]);                                                   \
                if (cells > 3)                                                                                        \
                    *d += NAME##_claimed(share, code, claim->codes[3]);                                               \
                continue;                                                                                             \
            }                                                                                                         \
            code = NAME##_codes(codes, q, claim, windows, edge);                                                      \
            share = NAME##_share(src + q + claim->at, by, times);                                                     \
            *c += NAME##_claimed(share, code, claim->codes[0]);                                                       \
            if (cells > 1)                                                                                            \
                *d += NAME##_claimed(share, code, claim->codes[1]);                                                   \
        }                                                                                                             \
    }                                                                                                                 \
    CYPOOL_INLINE void NAME(T *out, const T *src, const uint8_t *codes, ptrdiff_t r, ptrdiff_t q, ptrdiff_t lines,    \
                            ptrdiff_t stride, const cypool_claims *claims, int edge) {                                \
        const cypool_claim *claim = claims->claims, *end = claim + claims->n;                                         \
        const ptrdiff_t *starts = claims->starts, windows = claims->windows, cells = lines * stride;                  \
        const T by = (T)claims->by, times = (T)claims->times;                                                         \
        V a, b, c, d, e, f, g, h;                                                                                     \
        NAME##_some(&a, &b, &c, &d, src, codes, r, q, cells, windows, claim,                                          \
                    NAMED || end - claim <= 4 ? end : claim + 4, by, times, edge);                                    \
        if (!NAMED)                                                                                                   \
            for (claim += 4; claim < end; claim += 4) {                                                               \
                NAME##_some(&e, &f, &g, &h, src, codes, r, q, cells, windows, claim,                                  \
                            end - claim <= 4 ? end : claim + 4, by, times, edge);                                     \
                a += e;                                                                                               \
                b += f;                                                                                               \
                c += g;                                                                                               \
                d += h;                                                                                               \
            }                                                                                                         \
        if (stride == 1) {                                                                                            \
            *(V *)(out + starts[0] + r) = a;                                                                          \
            if (lines > 1)                                                                                            \
                *(V *)(out + starts[1] + r) = b;                                                                      \
            if (lines > 2)                                                                                            \
                *(V *)(out + starts[2] + r) = c;                                                                      \
            else {                                                                                                    \
                *(V *)(out + starts[0] + q) = c;                                                                      \
                if (lines > 1)                                                                                        \
                    *(V *)(out + starts[1] + q) = d;                                                                  \
            }                                                                                                         \
            if (lines > 3)                                                                                            \
                *(V *)(out + starts[3] + r) = d;                                                                      \
        } else if (stride == 2) {                                                                                     \
            T *second = lines > 1 ? out + starts[1] + 2 * r : out + starts[0] + 2 * q;                                \
            *(V *)(out + starts[0] + 2 * r) = CYPOOL_TURNS(N, 0, a, b);                                               \
            *(V *)(out + starts[0] + 2 * r + N) = CYPOOL_TURNS(N, 1, a, b);                                           \
            *(V *)second = CYPOOL_TURNS(N, 0, c, d);                                                                  \
            *(V *)(second + N) = CYPOOL_TURNS(N, 1, c, d);                                                            \
        } else if (stride == 3) {                                                                                     \
            out += starts[0] + 3 * r;                                                                                 \
            *(V *)out = CYPOOL_TURNS3(N, 0, a, b, c);                                                                 \
            *(V *)(out + N) = CYPOOL_TURNS3(N, 1, a, b, c);                                                           \
            *(V *)(out + 2 * N) = CYPOOL_TURNS3(N, 2, a, b, c);                                                       \
        } else {                                                                                                      \
            e = CYPOOL_TURNS(N, 0, a, c), f = CYPOOL_TURNS(N, 0, b, d);                                               \
            out += starts[0] + 4 * r;                                                                                 \
            *(V *)out = CYPOOL_TURNS(N, 0, e, f);                                                                     \
            *(V *)(out + N) = CYPOOL_TURNS(N, 1, e, f);                                                               \
            e = CYPOOL_TURNS(N, 1, a, c), f = CYPOOL_TURNS(N, 1, b, d);                                               \
            *(V *)(out + 2 * N) = CYPOOL_TURNS(N, 0, e, f);                                                           \
            *(V *)(out + 3 * N) = CYPOOL_TURNS(N, 1, e, f);                                                           \
        }                                                                                                             \
    }

/* The last vectors of a row overlap those before; what would be read past the shares that there are goes one by one. */
#define CYPOOL_CLAIM_FIT(NAME, ONE, N)                                                                                \
    if (N > 1 && whole >= N + (lines * stride <= 2)) {                                                                \
        for (r = 0; r < whole; r += lines * stride <= 2 ? 2 * N : N) {                                                \
            r = r < whole - N ? r : whole - N;                                                                        \
            q = r + N < whole - N ? r + N : whole - N;                                                                \
            last = lines * stride <= 2 ? q : r;                                                                       \
            if (claims->windows == 0 || (r >= claims->first && last + N <= claims->stop))                             \
                NAME(out, src, codes, r, q, lines, stride, claims, 0);                                                \
            else if ((const void *)(src + r + claims->low) >= claims->begin &&                                        \
                     (const void *)(src + last + N + claims->high) <= claims->end)                                    \
                NAME(out, src, codes, r, q, lines, stride, claims, 1);                                                \
            else                                                                                                      \
                ONE(out, src, codes, r, last + N, cells, claims);                                                     \
        }                                                                                                             \
        r = whole;                                                                                                    \
    }
#define CYPOOL_CLAIM_VECTORS(NAME, T, C, N4, N3, N2, NAMED)                                                           \
    CYPOOL_CLAIM_VECTOR(NAME##_whole, T, C, CYPOOL_JOIN(T, CYPOOL_BYTES), CYPOOL_JOIN(C, CYPOOL_BYTES), N4, NAMED)    \
    CYPOOL_CLAIM_VECTOR(NAME##_half, T, C, CYPOOL_JOIN(T, CYPOOL_HALF_BYTES), CYPOOL_JOIN(C, CYPOOL_HALF_BYTES), N3,  \
                        NAMED)                                                                                        \
    CYPOOL_CLAIM_VECTOR(NAME##_quarter, T, C, CYPOOL_JOIN(T, CYPOOL_QUARTER_BYTES),                                   \
                        CYPOOL_JOIN(C, CYPOOL_QUARTER_BYTES), N2, NAMED)
#define CYPOOL_CLAIM_FITS(NAME, N4, N3, N2)                                                                           \
    CYPOOL_CLAIM_FIT(NAME##_whole, NAME##_one, N4)                                                                    \
    else CYPOOL_CLAIM_FIT(NAME##_half, NAME##_one, N3)                                                                \
    else CYPOOL_CLAIM_FIT(NAME##_quarter, NAME##_one, N2)
#else
#define CYPOOL_CLAIM_VECTORS(NAME, T, C, N4, N3, N2, NAMED)
#define CYPOOL_CLAIM_FITS(NAME, N4, N3, N2)
#endif

/* Row i, of `cells` cells in each line, is made from out + i * out_step on, of the shares and codes i * src_step on. */
#define CYPOOL_CLAIM(NAME, T, C, N4, N3, N2, NAMED)                                                                   \
    CYPOOL_CLAIM_ONE(NAME##_one, T, NAMED)                                                                            \
    CYPOOL_CLAIM_VECTORS(NAME, T, C, N4, N3, N2, NAMED)                                                               \
    CYPOOL_INLINE void NAME##_row(T *out, const T *src, const uint8_t *codes, ptrdiff_t cells, ptrdiff_t lines,       \
                                  ptrdiff_t stride, const cypool_claims *claims) {                                    \
        const ptrdiff_t whole = cells / stride;                                                                       \
        ptrdiff_t r = 0, q, last;                                                                                     \
        (void)q, (void)last, (void)lines, (void)whole;                                                                \
        CYPOOL_CLAIM_FITS(NAME, N4, N3, N2)                                                                           \
        NAME##_one(out, src, codes, r, (cells + stride - 1) / stride, cells, claims);                                 \
    }                                                                                                                 \
    static void NAME(void *out, ptrdiff_t out_step, const void *src, const uint8_t *codes, ptrdiff_t src_step,        \
                     ptrdiff_t rows, ptrdiff_t cells, const cypool_claims *claims) {                                  \
        T *to = (T *)out;                                                                                             \
        const T *from = (const T *)src;                                                                               \
        const cypool_claims here = *claims; /* which no store can change */                                           \
        ptrdiff_t i;                                                                                                  \
        for (i = 0; i < rows; i++, to += out_step, from += src_step, codes += src_step)                               \
            switch (4 * here.lines + here.stride) {                                                                   \
            case 4 + 1:                                                                                               \
                NAME##_row(to, from, codes, cells, 1, 1, &here);                                                      \
                break;                                                                                                \
            case 4 + 2:                                                                                               \
                NAME##_row(to, from, codes, cells, 1, 2, &here);                                                      \
                break;                                                                                                \
            case 4 + 3:                                                                                               \
                NAME##_row(to, from, codes, cells, 1, 3, &here);                                                      \
                break;                                                                                                \
            case 4 + 4:                                                                                               \
                NAME##_row(to, from, codes, cells, 1, 4, &here);                                                      \
                break;                                                                                                \
            case 8 + 1:                                                                                               \
                NAME##_row(to, from, codes, cells, 2, 1, &here);                                                      \
                break;                                                                                                \
            case 8 + 2:                                                                                               \
                NAME##_row(to, from, codes, cells, 2, 2, &here);                                                      \
                break;                                                                                                \
            case 12 + 1:                                                                                              \
                NAME##_row(to, from, codes, cells, 3, 1, &here);                                                      \
                break;                                                                                                \
            default:                                                                                                  \
                NAME##_row(to, from, codes, cells, 4, 1, &here);                                                      \
            }                                                                                                         \
    }

#if CYPOOL_BYTES == 64
#define CYPOOL_CLAIM4(NAME, NAMED) CYPOOL_CLAIM(NAME, float, int32_t, 16, 8, 4, NAMED)
#define CYPOOL_CLAIM8(NAME, NAMED) CYPOOL_CLAIM(NAME, double, int64_t, 8, 4, 2, NAMED)
#elif CYPOOL_BYTES == 32
#define CYPOOL_CLAIM4(NAME, NAMED) CYPOOL_CLAIM(NAME, float, int32_t, 8, 4, 2, NAMED)
#define CYPOOL_CLAIM8(NAME, NAMED) CYPOOL_CLAIM(NAME, double, int64_t, 4, 2, 1, NAMED)
#else
#define CYPOOL_CLAIM4(NAME, NAMED) CYPOOL_CLAIM(NAME, float, int32_t, 4, 2, 2, NAMED)
#define CYPOOL_CLAIM8(NAME, NAMED) CYPOOL_CLAIM(NAME, double, int64_t, 2, 1, 1, NAMED)
#endif

CYPOOL_CLAIM4(cypool_claim_floats, 1)
CYPOOL_CLAIM8(cypool_claim_doubles, 1)
CYPOOL_CLAIM4(cypool_share_floats, 0)
CYPOOL_CLAIM8(cypool_share_doubles, 0)

#endif
