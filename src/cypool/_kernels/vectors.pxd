"""What vectors.h has: the merge of rows."""

ctypedef void (*combine_f)(void* out, Py_ssize_t out_step, const void* src, Py_ssize_t src_step,
                           const Py_ssize_t* taps, const Py_ssize_t* codes, Py_ssize_t n_taps, Py_ssize_t rows,
                           Py_ssize_t length, Py_ssize_t out_gap, Py_ssize_t src_gap, int more,
                           void* op) noexcept nogil

cdef extern from "vectors.h" nogil:
    # By type of lane: out[r, j] = the merged src[r, taps[t] + j] for all t; with `more`, out[r, j] itself comes first;
    # with FAR it does not, and the cells are fetched ahead.
    enum: FAR "CYPOOL_FAR"
    void cypool_fetch_row(const char* src, Py_ssize_t bytes)
    const combine_f* cypool_max
    const combine_f* cypool_min
    const combine_f* cypool_sum
