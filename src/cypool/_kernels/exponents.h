/* exp and log in double precision as plain arithmetic: no library call, so that compilers make vectors of the loops around
   them, and the same bits on every CPU. The polynomials are fdlibm's (Sun Microsystems, 1993), whose error is below
   1 ulp; with the rounding of a subnormal result both are within 2 ulp for every double (tests/test_norms.py). */

#ifndef CYPOOL_EXPONENTS_H
#define CYPOOL_EXPONENTS_H

#include <math.h>
#include <stdint.h>

static inline double cypool_of_bits(uint64_t bits) {
    union {
        uint64_t bits;
        double value;
    } both;
    both.bits = bits;
    return both.value;
}

static inline uint64_t cypool_bits_of(double value) {
    union {
        uint64_t bits;
        double value;
    } both;
    both.value = value;
    return both.bits;
}

static inline double cypool_exp(double x) {
    const double shift = 6755399441055744.0; /* 1.5 * 2**52: what is added to it is rounded to a whole number */
    double y = x > 710.0 ? 710.0 : x;
    double k, hi, lo, r, t, c, e;
    uint64_t n, first;
    y = y < -746.0 ? -746.0 : y;
    k = y * 1.44269504088896338700e+00 + shift;
    n = cypool_bits_of(k) - UINT64_C(0x4338000000000000) + 4096; /* the number in its low bits; 4096 keeps it positive */
    k -= shift;
    hi = y - k * 6.93147180369123816490e-01;
    lo = k * 1.90821492927058770002e-10;
    r = hi - lo;
    t = r * r;
    c = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 + t * (6.61375632143793436117e-05
        + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    e = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi);
    /* Times 2**n in two steps, of which only the second can leave the normal numbers. */
    first = n >> 1;
    e *= cypool_of_bits((first - 2048 + 1023) << 52);
    return e * cypool_of_bits((n - first - 2048 + 1023) << 52);
}

static inline double cypool_log(double x) {
    const uint64_t half_root = UINT64_C(0x3fe6a09e00000000); /* sqrt(1/2), at the end of its upper half */
    int tiny = x < 2.2250738585072014e-308;
    double whole = tiny ? x * 18014398509481984.0 : x; /* 2**54 */
    uint64_t bits = cypool_bits_of(whole) + (UINT64_C(0x3ff0000000000000) - half_root);
    double k = cypool_of_bits((bits >> 52) | UINT64_C(0x4330000000000000)) - (4503599627370496.0 + 1023.0);
    double f = cypool_of_bits((bits & UINT64_C(0x000fffffffffffff)) + half_root) - 1.0;
    double s = f / (2.0 + f), z = s * s, w = z * z, h = 0.5 * f * f, r;
    k -= tiny ? 54.0 : 0.0;
    r = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
        + z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01
        + w * 1.479819860511658591e-01)));
    r = s * (h + r) + k * 1.90821492927058770002e-10 - h + f + k * 6.93147180369123816490e-01;
    r = x < INFINITY ? r : x;
    r = x > 0.0 ? r : (double)NAN;
    return x == 0.0 ? -INFINITY : r;
}

#endif
