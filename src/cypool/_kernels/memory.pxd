"""How a kernel holds an array: as the memory of its elements.

NumPy shows it through `__array_struct__`, for every dtype and any strides, in 60 ns. A typed memoryview takes 150,
after 350 for the flat array of bytes that stands for any number of axes; and where it is passed on, its 208 bytes are
copied.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer

cdef extern from "memory.h" nogil:
    ctypedef struct Array "cypool_array":
        int nd, itemsize, flags
        Py_ssize_t* shape
        Py_ssize_t* strides
    ctypedef struct Memory "cypool_memory":
        char* data
        Py_ssize_t size
    Memory span "cypool_span"(const Array* array)
    char* address "cypool_at"(Memory memory, Py_ssize_t first, Py_ssize_t last, Py_ssize_t size)


cdef inline Memory memory_of(array) except *:
    """Return the memory of an ndarray; NULL for None."""
    cdef Memory memory = [NULL, 0]
    if array is not None:
        shown = array.__array_struct__      # what it points to goes with it
        memory = span(<const Array*>PyCapsule_GetPointer(shown, NULL))
    return memory


cdef inline const Py_ssize_t* table_of(bytes plan) except NULL:
    """Return a plan's table."""
    return <const Py_ssize_t*><const char*>plan
