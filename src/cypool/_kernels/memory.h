/* An array as NumPy shows it (the array interface protocol), and its memory, of which the checked build knows the ends. */
#ifndef CYPOOL_MEMORY_H
#define CYPOOL_MEMORY_H

#include <Python.h>
#include <stddef.h>
#ifdef CYPOOL_CHECKED
#include <stdio.h>
#include <stdlib.h>
#endif

typedef struct {
    int two, nd;
    char typekind;
    int itemsize, flags;
    Py_ssize_t *shape, *strides;
    char *data;
    PyObject *descr;
} cypool_array;

/* From an array's lowest element to the end of its highest. */
typedef struct {
    char *data;
    Py_ssize_t size;
} cypool_memory;

static inline cypool_memory cypool_span(const cypool_array *array) {
    cypool_memory memory = {array->data, array->itemsize};
    int a;
    for (a = 0; a < array->nd; a++) {
        Py_ssize_t away = (array->shape[a] - 1) * array->strides[a];
        if (array->shape[a] == 0) return (cypool_memory){array->data, 0};
        memory.data += away < 0 ? away : 0;
        memory.size += away < 0 ? -away : away;
    }
    return memory;
}

/* Where element `first` of `size` bytes is; the checked build looks at `last` as well. */
static inline char *cypool_at(cypool_memory memory, Py_ssize_t first, Py_ssize_t last, Py_ssize_t size) {
#ifdef CYPOOL_CHECKED
    if (first < 0 || last < 0 || (first + 1) * size > memory.size || (last + 1) * size > memory.size) {
        fprintf(stderr, "cypool: elements %td to %td of %td bytes are outside of %td bytes\n", (ptrdiff_t)first,
                (ptrdiff_t)last, (ptrdiff_t)size, (ptrdiff_t)memory.size);
        abort();
    }
#else
    (void)last;
#endif
    return memory.data + first * size;
}

#endif
