/* Rows of float16 from and to float32, by the instructions that x86-64-v3 has for it; without them the loops of rows.pxd
   do the same in integers, NaN included. Neither minds the CPU's modes. */

#ifndef CYPOOL_HALVES_H
#define CYPOOL_HALVES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__F16C__) && defined(__AVX2__)

#include <immintrin.h>

#define CYPOOL_HALVES 1

static inline void cypool_of_halves(float *out, const void *src, ptrdiff_t length) {
    const uint16_t *from = (const uint16_t *)src;
    ptrdiff_t i;
    for (i = 0; i + 8 <= length; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + i))));
    for (; i < length; i++)
        out[i] = _cvtsh_ss(from[i]);
}

/* Each over `count`, unless that is 0. */
static inline void cypool_to_halves(void *out, const float *src, ptrdiff_t length, float count) {
    uint16_t *to = (uint16_t *)out;
    uint16_t last[8];
    float rest[8] = {0};
    ptrdiff_t i;
    for (i = 0; i < length; i += 8) {
        const int whole = i + 8 <= length;
        __m256 x;
        __m128i half, nan;
        if (!whole)
            memcpy(rest, src + i, (length - i) * sizeof(float));
        x = _mm256_loadu_ps(whole ? src + i : rest);
        if (count != 0)
            x = _mm256_div_ps(x, _mm256_set1_ps(count));
        half = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        nan = _mm256_extracti128_si256(_mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)), 1);
        nan = _mm_packs_epi32(_mm256_castsi256_si128(_mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q))), nan);
        /* Of a NaN nothing but its sign. */
        half = _mm_blendv_epi8(half, _mm_or_si128(_mm_and_si128(half, _mm_set1_epi16((short)0x8000)),
                                                  _mm_set1_epi16(0x7E00)), nan);
        if (whole)
            _mm_storeu_si128((__m128i *)(to + i), half);
        else {
            _mm_storeu_si128((__m128i *)last, half);
            memcpy(to + i, last, (length - i) * sizeof(uint16_t));
        }
    }
}

#else

#define CYPOOL_HALVES 0
#define cypool_of_halves(out, src, length) (void)(out), (void)(src), (void)(length)
#define cypool_to_halves(out, src, length, count) (void)(out), (void)(src), (void)(length), (void)(count)

#endif

#endif
