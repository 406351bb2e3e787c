"""What every kernel walks arrays with."""


cdef inline bint advance(Py_ssize_t* index, const Py_ssize_t* low, const Py_ssize_t* high, Py_ssize_t n) noexcept nogil:
    """Move `index` to its successor in row-major order within [low, high); False after the last, and back at `low`.

    NULL as `low` stands for zeros.
    """
    cdef Py_ssize_t a
    for a in range(n - 1, -1, -1):
        index[a] += 1
        if index[a] < high[a]:
            return True
        index[a] = 0 if low == NULL else low[a]
    return False


cdef inline Py_ssize_t ceil(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Return ceil(a / b) for any a and positive b."""
    return a // b + (a > 0 and a % b != 0)


cdef inline Py_ssize_t floor(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Return floor(a / b) for any a and positive b."""
    return a // b - (a < 0 and a % b != 0)
