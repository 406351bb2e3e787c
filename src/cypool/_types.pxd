"""The element types, named here and nowhere else in compiled code.

`stored_t` is what an array holds, `lane_t` what a kernel computes in, `sum_t` the lanes that add:
uint16 or int32 where a window's sum provably fits, else uint64, whose wrap-around is NumPy's, or float or double;
wide_t for the exact means of 64-bit integers.
`pick_t` are the lanes that carry an offset beside the value, in an integer of the same width.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

# The order is that of `plan.TYPES`.
cdef enum Type:
    I1, I2, I4, I8, U1, U2, U4, U8, F4, F8, WIDE, HALF, BRAIN, STAMP
    N_LANES = 11    # lanes come first,
    N_TYPES = 14    # then what only arrays hold

# An integer of 128 bits, low + 2**64 * high modulo 2**128.
cdef struct wide_t:
    uint64_t low, high

# float16 and bfloat16.
cdef struct half_t:
    uint16_t bits

cdef struct brain_t:
    uint16_t bits

# A date or a time span, where NaT is to be greater than all others instead of less.
cdef struct stamp_t:
    int64_t ticks

ctypedef fused lane_t:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double
    wide_t

ctypedef fused stored_t:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double
    half_t
    brain_t
    stamp_t

# What lanes are stored as. Whole numbers of a width are the same bits with a sign and without; only picks move those of
# uint64.
ctypedef fused kept_t:
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double
    half_t
    brain_t
    stamp_t

ctypedef fused sum_t:
    uint16_t
    int32_t
    uint64_t
    float
    double
    wide_t

ctypedef fused pick_t:
    int32_t
    int64_t
    float
    double

# The lanes that values are converted into and out of.
ctypedef fused work_t:
    uint16_t
    int32_t
    int64_t
    uint64_t
    float
    double
    wide_t

# Any type of a width, where only the width matters.
ctypedef fused bits_t:
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    wide_t

# What holds indices: signed for those within the array, unsigned for those within the window.
ctypedef fused index_t:
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

# What counts cells.
ctypedef fused count_t:
    uint16_t
    int32_t
    uint64_t

ctypedef fused code_t:
    int32_t
    int64_t

# The lanes of a gradient, and what its arrays hold.
ctypedef fused real_t:
    float
    double

ctypedef fused share_t:
    float
    double
    half_t
    brain_t

# What an array of indices that we are given holds.
ctypedef fused given_index_t:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
