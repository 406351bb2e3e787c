"""Powers and roots of float64, the same bits at every level."""

from libc.math cimport fabs, sqrt

cdef extern from "exponents.h" nogil:
    double cypool_exp(double x)
    double cypool_log(double x)


cdef inline double power(double r, double p) noexcept nogil:
    """r ** p for r >= 0 and p != 0."""
    return cypool_exp(p * cypool_log(r))


cdef inline double root(double s, double p) noexcept nogil:
    """s ** (1 / p) for s >= 0."""
    return cypool_exp(cypool_log(s) / p)


cdef inline void powers(double* restrict row, Py_ssize_t n, double p) noexcept nogil:
    """row = |row| ** p for p = 1, 2, 3 and 4."""
    cdef Py_ssize_t j
    if p == 1:
        for j in range(n):
            row[j] = fabs(row[j])
    elif p == 2:
        for j in range(n):
            row[j] = row[j] * row[j]
    elif p == 3:
        for j in range(n):
            row[j] = fabs(row[j]) * (row[j] * row[j])
    else:
        for j in range(n):
            row[j] = row[j] * row[j] * (row[j] * row[j])


cdef inline void roots(double* restrict row, Py_ssize_t n, double p) noexcept nogil:
    """row = row ** (1 / p) for p = 1, 2, 3 and 4."""
    cdef Py_ssize_t j
    if p == 2:
        for j in range(n):
            row[j] = sqrt(row[j])
    elif p == 3:
        for j in range(n):
            row[j] = root(row[j], 3)
    elif p == 4:
        for j in range(n):
            row[j] = sqrt(sqrt(row[j]))
