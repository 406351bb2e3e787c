"""One cell, from the type of an array to the lanes' and back."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from cypool._types cimport N_TYPES, brain_t, half_t, kept_t, stamp_t, stored_t, wide_t, work_t


cdef inline work_t to_lane(work_t* kind, stored_t cell) noexcept nogil:
    """A cell as a lane; uint64 in int64 lanes, for picking, moves down by 2**63 to keep its order."""
    cdef work_t result
    if work_t is wide_t:
        if stored_t is half_t or stored_t is brain_t:
            result.low = cell.bits
        elif stored_t is stamp_t:
            result.low = <uint64_t>cell.ticks
        elif stored_t is float or stored_t is double:
            result.low = <uint64_t><int64_t>cell
        else:
            result.low = <uint64_t>cell
        if stored_t is int8_t or stored_t is int16_t or stored_t is int32_t or stored_t is int64_t:
            result.high = 0 - (result.low >> 63)
        else:
            result.high = 0
        return result
    elif stored_t is half_t:
        return <work_t>half_to_float(cell.bits)
    elif stored_t is brain_t:
        return <work_t>of_bits(<uint32_t>cell.bits << 16)
    elif stored_t is stamp_t:
        # The least integer, which is NaT, becomes the greatest, all others one less.
        return <work_t>(<uint64_t>cell.ticks - 1)
    elif work_t is int64_t and stored_t is uint64_t:
        return <int64_t>(cell ^ <uint64_t>1 << 63)
    else:
        return <work_t>cell


cdef inline kept_t to_cell(kept_t* kind, work_t lane) noexcept nogil:
    """The inverse of `to_lane`, rounded half to even where it must be."""
    cdef kept_t result
    if work_t is wide_t:
        return to_cell(kind, lane.low)
    elif kept_t is half_t:
        result.bits = <uint16_t>float_to_half(<float>lane)
        return result
    elif kept_t is brain_t:
        result.bits = <uint16_t>float_to_brain(<float>lane)
        return result
    elif kept_t is stamp_t:
        result.ticks = <int64_t>(<uint64_t>lane + 1)
        return result
    elif work_t is int64_t and kept_t is uint64_t:
        return <uint64_t>lane ^ <uint64_t>1 << 63
    else:
        return <kept_t>lane


cdef inline Py_ssize_t bytes_of(Py_ssize_t type) noexcept nogil:
    """The size of a cell of this `Type`."""
    cdef Py_ssize_t[N_TYPES] sizes = [1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 16, 2, 2, 8]
    return sizes[type]


# --- float16 and bfloat16, and float32 --------------------------------------------------------------------------

cdef union float_bits:
    float value
    uint32_t bits

cdef inline float of_bits(uint32_t bits) noexcept nogil:
    cdef float_bits both
    both.bits = bits
    return both.value


cdef inline uint32_t bits_of(float value) noexcept nogil:
    cdef float_bits both
    both.value = value
    return both.bits


cdef inline float half_to_float(uint32_t half) noexcept nogil:
    """Exactly; no branches, so that it vectorises, and only normal numbers on the way, whatever the CPU's mode."""
    cdef uint32_t size = (half & 0x7FFF) << 13
    cdef uint32_t normal = size + (112 << 23 if size < 0x7C00 << 13 else 224 << 23)
    cdef uint32_t subnormal = bits_of(of_bits(size + (113 << 23)) - of_bits(113 << 23))
    cdef uint32_t quiet = 1 << 22 if size > 0x7C00 << 13 else 0
    return of_bits((subnormal if size < 1 << 23 else normal) | quiet | (half & 0x8000) << 16)


cdef inline uint32_t float_to_half(float value) noexcept nogil:
    """Rounded half to even, to infinity past 65519; a NaN keeps its sign."""
    cdef uint32_t bits = bits_of(value)
    cdef uint32_t size = bits & 0x7FFFFFFF
    cdef uint32_t normal = (size - (112 << 23) + 0xFFF + (size >> 13 & 1)) >> 13
    cdef uint32_t subnormal = bits_of(of_bits(size) + <float>0.5) - (126 << 23)
    cdef uint32_t special = 0x7E00 if size > 0x7F800000 else 0x7C00
    normal = special if size >= 143 << 23 else normal
    return (subnormal if size < 113 << 23 else normal) | bits >> 16 & 0x8000


cdef inline uint32_t float_to_brain(float value) noexcept nogil:
    """Rounded half to even; a NaN keeps its sign."""
    cdef uint32_t bits = bits_of(value)
    cdef uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return (bits >> 16 & 0x8000 | 0x7FC0) if (bits & 0x7FFFFFFF) > 0x7F800000 else rounded
