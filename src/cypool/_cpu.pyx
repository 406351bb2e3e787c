"""Three facts from C: the CPU's instruction-set level, whether OpenMP is in, whether this is the checked build.

``level`` is 4, 3 or 0: the best psABI level of x86-64 that the CPU has *and* whose registers the operating system
saves. It is asked with cpuid and xgetbv and not with the compilers' ``__builtin_cpu_supports("x86-64-v3")``, which
only gcc 12 and clang 18 know: one way for every compiler is one way to be wrong.
"""

cdef extern from *:
    """
    #ifdef _OPENMP
        #include <omp.h>
        #define CYPOOL_OPENMP _OPENMP
    #else
        #define CYPOOL_OPENMP 0
        #define omp_get_max_threads() 1
    #endif

    #ifndef CYPOOL_CHECKED
        #define CYPOOL_CHECKED 0
    #endif

    #ifdef CYPOOL_X86_LEVELS
        #ifdef _MSC_VER
            #include <intrin.h>
            static void cypool_cpuid(unsigned leaf, unsigned r[4]) { __cpuidex((int *)r, (int)leaf, 0); }
            static unsigned cypool_saved(void) { return (unsigned)_xgetbv(0); }
        #else
            #include <cpuid.h>
            static void cypool_cpuid(unsigned leaf, unsigned r[4]) {
                __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
            }
            static unsigned cypool_saved(void) {
                unsigned low, high;
                __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
                return low;
            }
        #endif

        #define HAS(word, bits) (((word) & (bits)) == (bits))

        static int cypool_level(void) {
            unsigned top[4], one[4], seven[4], top_extended[4], extended[4], saved;
            enum { A, B, C, D };
            cypool_cpuid(0, top);
            cypool_cpuid(0x80000000u, top_extended);
            if (top[A] < 7 || top_extended[A] < 0x80000001u) return 0;
            cypool_cpuid(1, one);
            cypool_cpuid(7, seven);
            cypool_cpuid(0x80000001u, extended);

            /* sse3 ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt osxsave avx f16c; lahf lzcnt; bmi1 avx2 bmi2 */
            if (!HAS(one[C], 1u << 0 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 23
                             | 1u << 27 | 1u << 28 | 1u << 29)
                || !HAS(extended[C], 1u << 0 | 1u << 5)
                || !HAS(seven[B], 1u << 3 | 1u << 5 | 1u << 8)) return 0;
            saved = cypool_saved();                             /* legal: osxsave is among the bits above */
            if (!HAS(saved, 0x06u)) return 0;                   /* xmm and ymm */

            /* avx512 f dq cd bw vl */
            if (!HAS(seven[B], 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31)
                || !HAS(saved, 0xe6u)) return 3;                /* and the masks and zmm */
            return 4;
        }
    #else
        static int cypool_level(void) { return 0; }
    #endif
    """
    int CYPOOL_OPENMP
    int CYPOOL_CHECKED
    int cypool_level()
    int omp_get_max_threads() nogil

level = cypool_level()
openmp = CYPOOL_OPENMP
checked = bool(CYPOOL_CHECKED)


def max_threads():
    """What OpenMP would use for a region of the calling thread now; threadpoolctl changes it."""
    return omp_get_max_threads()
