"""The short way through a pool: a call like one before goes straight from its arguments to its kernel.

A call of 1x8x8x8 takes 1.5 us this way and 3.2 the long way (calls.py), which does the same for any arguments.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memcpy

from cypool._kernels.memory cimport Array, Memory, span

import numpy as np

from cypool import dispatch, threads

cdef enum:
    MOST = 1024         # calls to remember
    # Flags of the array interface protocol.
    C_ORDER = 0x1
    F_ORDER = 0x2
    ALIGNED = 0x100
    WRITEABLE = 0x400

cdef object ndarray = np.ndarray
cdef object dtype_of_numpy = np.dtype
cdef object empty = np.empty
cdef object PROPAGATE = "propagate"
cdef object ONE = 1


cdef class Shortcut:
    """A pool that remembers what the long way made of calls: it takes that way itself where it knows nothing."""

    cdef object at_length
    cdef frozenset atoms
    cdef dict known

    def __init__(self, at_length, frozenset atoms):
        self.at_length = at_length
        self.atoms = atoms
        self.known = {}

    def __call__(self, int op, x, tuple window, tuple options, tuple missing, out, num_threads):
        cdef const Array* array
        cdef tuple call = None
        cdef object capsule, key
        # Identity is enough to know the defaults by, and costs nothing; what only equals them takes the longer way.
        if (type(x) is ndarray and missing[0] is PROPAGATE and missing[1] is None and missing[2] is ONE
                and missing[3] is None):
            capsule = x.__array_struct__
            array = <const Array*>PyCapsule_GetPointer(capsule, NULL)
            key = self.key(op, x, array, window, options)
            if key is not None:
                call = self.known.get(key)
        if call is None:
            return self.at_length(op, x, window, options, missing, out, num_threads)
        table, divisor, then, shape, dtype, index_dtype, serial, order, nothing = call
        if out is not None and not fits(out, array, shape, dtype, order):
            return self.at_length(op, x, window, options, missing, out, num_threads)
        count = 1 if serial and num_threads is None else threads.resolve(num_threads)
        try:
            y = empty(shape, dtype, order) if out is None else out
            z = None if index_dtype is None else empty(shape, index_dtype, order)
        except ValueError:
            return self.at_length(op, x, window, options, missing, out, num_threads)
        if not nothing:
            kernel = dispatch.kernels.forward.pool
            if serial or count == 1:
                kernel(x, y, z, table, divisor, 1)
                if then is not None:
                    kernel(y, y, z, then[0], then[1], 1)
            else:
                threads.run(kernel, x, y, z, table, divisor, count)
                if then is not None:
                    threads.run(kernel, y, y, z, then[0], then[1], count)
        return y if z is None else (y, z)

    def remember(self, int op, x, tuple window, tuple options, call):
        """Remember what a call with such an array and such arguments comes to; the defaults for the rest."""
        cdef object capsule = x.__array_struct__
        cdef object key = self.key(op, x, <const Array*>PyCapsule_GetPointer(capsule, NULL), window, options)
        if key is not None:
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[key] = tuple(call)

    def forget(self):
        """Forget all calls."""
        self.known.clear()

    def __len__(self):
        return len(self.known)

    cdef object key(self, int op, x, const Array* array, tuple window, tuple options):
        """Return what a call's plan depends on; None if an argument is of a type that other values may be equal to."""
        cdef Py_ssize_t bytes = array.nd * sizeof(Py_ssize_t)
        cdef object layout = PyBytes_FromStringAndSize(NULL, 2 * bytes)
        cdef long bools = 0     # True is equal to 1, and means something else
        cdef long bit = 1
        cdef bint lists = False
        memcpy(PyBytes_AS_STRING(layout), array.shape, bytes)
        memcpy(PyBytes_AS_STRING(layout) + bytes, array.strides, bytes)
        for values in (window, options):
            for value in <tuple>values:
                if value is True or value is False:
                    bools |= bit
                elif type(value) is list and of_integers(tuple(value)):
                    lists = True
                elif not (value is None or type(value) is int or type(value) is str or type(value) in self.atoms
                          or (type(value) is tuple and of_integers(<tuple>value)) or isinstance(value, dtype_of_numpy)):
                    return None
                bit <<= 1
        if lists:
            window = tuple([tuple(value) if type(value) is list else value for value in window])
        return layout, x.dtype, op, bools, window, options


cdef bint of_integers(tuple values):
    """Whether these are int, or tuples of int."""
    for value in values:
        if type(value) is not int and not (type(value) is tuple and of_integers(<tuple>value)):
            return False
    return True


cdef bint fits(out, const Array* x, shape, dtype, order) except -1:
    """Whether an `out` is as the new array would be, and apart from `x`."""
    cdef object capsule
    cdef const Array* array
    cdef Memory mine, others
    cdef int need = ALIGNED | WRITEABLE
    if type(out) is not ndarray or out.dtype is not dtype or out.shape != shape:
        return False
    capsule = out.__array_struct__
    array = <const Array*>PyCapsule_GetPointer(capsule, NULL)
    need |= F_ORDER if order == "F" else C_ORDER
    mine, others = span(array), span(x)
    return array.flags & need == need and (mine.data + mine.size <= others.data
                                           or others.data + others.size <= mine.data)
