/* Codes of a byte each beside lanes that are wider: of N bytes N lanes of C, and back.

   gcc takes a vector apart, lane by lane, to convert it to another four or eight times as wide. */

#ifndef CYPOOL_BYTES_H
#define CYPOOL_BYTES_H

#include "vectors.h"

#if defined(__GNUC__)

typedef uint8_t uint8_t2 __attribute__((vector_size(2), aligned(1), may_alias));
typedef uint8_t uint8_t4 __attribute__((vector_size(4), aligned(1), may_alias));

#define CYPOOL_OF_BYTES(C, N, p) CYPOOL_JOIN(cypool_##C##_of_, N)(p)
#define CYPOOL_TO_BYTES(C, N, p, a) CYPOOL_JOIN(cypool_##C##_to_, N)(p, a)

#define CYPOOL_OF_ANY(C, N, V)                                                                                        \
    CYPOOL_INLINE V cypool_##C##_of_##N(const uint8_t *p) {                                                           \
        return __builtin_convertvector(*(const uint8_t##N *)p, V);                                                    \
    }
#define CYPOOL_TO_ANY(C, N, V)                                                                                        \
    CYPOOL_INLINE void cypool_##C##_to_##N(uint8_t *p, V a) {                                                         \
        *(uint8_t##N *)p = __builtin_convertvector(a, uint8_t##N);                                                    \
    }

#if defined(__SSE2__)

CYPOOL_INLINE __m128i cypool_bytes(const uint8_t *p, int n) {
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    if (n == 2) {
        memcpy(&two, p, 2);
        return _mm_cvtsi32_si128(two);
    }
    if (n == 4) {
        memcpy(&four, p, 4);
        return _mm_cvtsi32_si128((int)four);
    }
    if (n == 8) {
        memcpy(&eight, p, 8);
        return _mm_cvtsi64_si128((long long)eight);
    }
    return _mm_loadu_si128((const __m128i *)p);
}

#define CYPOOL_OF(C, N, V, OF)                                                                                        \
    CYPOOL_INLINE V cypool_##C##_of_##N(const uint8_t *p) { return (V)OF(cypool_bytes(p, N)); }
#define CYPOOL_TO(C, N, V, M, TO)                                                                                     \
    CYPOOL_INLINE void cypool_##C##_to_##N(uint8_t *p, V a) {                                                         \
        __m128i bytes = TO((M)a);                                                                                     \
        memcpy(p, &bytes, N);                                                                                         \
    }

#if CYPOOL_BYTES == 64

CYPOOL_OF(int32_t, 16, int32_t64, _mm512_cvtepu8_epi32)
CYPOOL_OF(int32_t, 8, int32_t32, _mm256_cvtepu8_epi32)
CYPOOL_OF(int32_t, 4, int32_t16, _mm_cvtepu8_epi32)
CYPOOL_OF(int64_t, 8, int64_t64, _mm512_cvtepu8_epi64)
CYPOOL_OF(int64_t, 4, int64_t32, _mm256_cvtepu8_epi64)
CYPOOL_OF(int64_t, 2, int64_t16, _mm_cvtepu8_epi64)
CYPOOL_TO(int32_t, 16, int32_t64, __m512i, _mm512_cvtepi32_epi8)
CYPOOL_TO(int32_t, 8, int32_t32, __m256i, _mm256_cvtepi32_epi8)
CYPOOL_TO(int32_t, 4, int32_t16, __m128i, _mm_cvtepi32_epi8)
CYPOOL_TO(int64_t, 8, int64_t64, __m512i, _mm512_cvtepi64_epi8)
CYPOOL_TO(int64_t, 4, int64_t32, __m256i, _mm256_cvtepi64_epi8)
CYPOOL_TO(int64_t, 2, int64_t16, __m128i, _mm_cvtepi64_epi8)

#else

#define CYPOOL_PACKED(a, b) _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_setzero_si128())
#define CYPOOL_PACKED4(a) CYPOOL_PACKED(a, a)
CYPOOL_TO(int32_t, 4, int32_t16, __m128i, CYPOOL_PACKED4)
CYPOOL_OF_ANY(int32_t, 2, int32_t8)
CYPOOL_TO_ANY(int32_t, 2, int32_t8)
CYPOOL_OF_ANY(int64_t, 1, int64_t8)
CYPOOL_TO_ANY(int64_t, 1, int64_t8)
CYPOOL_TO_ANY(int64_t, 2, int64_t16)

#if CYPOOL_BYTES == 32
#define CYPOOL_PACKED8(a) CYPOOL_PACKED(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1))
CYPOOL_OF(int32_t, 8, int32_t32, _mm256_cvtepu8_epi32)
CYPOOL_OF(int32_t, 4, int32_t16, _mm_cvtepu8_epi32)
CYPOOL_OF(int64_t, 4, int64_t32, _mm256_cvtepu8_epi64)
CYPOOL_OF(int64_t, 2, int64_t16, _mm_cvtepu8_epi64)
CYPOOL_TO(int32_t, 8, int32_t32, __m256i, CYPOOL_PACKED8)
CYPOOL_TO_ANY(int64_t, 4, int64_t32)
#else
#define CYPOOL_UNPACKED(a) _mm_unpacklo_epi16(_mm_unpacklo_epi8(a, _mm_setzero_si128()), _mm_setzero_si128())
CYPOOL_OF(int32_t, 4, int32_t16, CYPOOL_UNPACKED)
CYPOOL_OF_ANY(int64_t, 2, int64_t16)
#endif

#endif

#else

CYPOOL_OF_ANY(int32_t, 4, int32_t16)
CYPOOL_OF_ANY(int32_t, 2, int32_t8)
CYPOOL_OF_ANY(int64_t, 2, int64_t16)
CYPOOL_OF_ANY(int64_t, 1, int64_t8)
CYPOOL_TO_ANY(int32_t, 4, int32_t16)
CYPOOL_TO_ANY(int32_t, 2, int32_t8)
CYPOOL_TO_ANY(int64_t, 2, int64_t16)
CYPOOL_TO_ANY(int64_t, 1, int64_t8)

#endif

#endif

#endif
