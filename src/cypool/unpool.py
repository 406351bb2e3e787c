"""Unpooling: what a max pool has picked is put back where it came from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cypool.geometry import unpooled_shape
from cypool.gradients import array_of, call


def max_unpool(
    y: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    output_shape: Sequence[int] | None = None,
    axis: Any = None,
    ceil_mode: bool = False,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Put the cells of a max pool back to where its indices say, with 0 everywhere else.

    ``x[c] = y[w] for the last window w, in row-major order, whose index names cell c, or 0 if there is none``. Rows are
    those of the pooled axes, in the order of `axis`. Where windows overlap several may name one cell; `max_pool_grad`
    adds up instead.

    Parameters
    ----------
    y : array_like
        What is put back: any dtype that can be pooled.
    indices : array_like
        The indices that a pool returned, of the shape of `y`. Signed integers are positions within the pooled axes of the
        result, of any cell, and -1 is none; unsigned ones are offsets within the window, and the largest value of
        their dtype is none. What has none is not put anywhere.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `max_pool`.
    output_shape : sequence of int, optional
        The shape of the pool's input, or that of its pooled axes alone, in the order of `axis`. If not given, a pooled
        axis of n windows has ``(n - 1) * stride - low - high + dilation * (kernel_size - 1) + 1`` cells, the least there
        may be, as in PyTorch; with padding "same" or "same_lower" it has ``n * stride``, the most.
    out : ndarray, optional
        An array to write into, of that shape and the dtype of `y`.
    num_threads : int, optional
        As for `max_pool`.

    Returns
    -------
    ndarray
        The cells in their places, of the dtype of `y`; in C order, or in Fortran order if `y` is.

    Raises
    ------
    ValueError
        An argument is out of range, `y` has not the shape of a pool of an array of the shape `output_shape`, or an
        index names no cell: the first of them is named, and `out` is not written to.
    TypeError, OverflowError, MemoryError
        As for `max_pool_grad`.

    See Also
    --------
    max_pool, max_pool_grad, max_unpool_grad

    Notes
    -----
    Of windows that name the same cell PyTorch lets any one win.

    Examples
    --------
    >>> import cypool
    >>> y, indices = cypool.max_pool([3, 1, 4, 1, 5, 9, 2], 3, 2, return_indices=True)
    >>> y, indices
    (array([4, 5, 9]), array([2, 4, 5]))
    >>> cypool.max_unpool(y, indices, 3, 2)
    array([0, 0, 4, 0, 5, 9, 0])
    >>> cypool.max_unpool([7, 8, 9], indices, 3, 2, output_shape=(8,))
    array([0, 0, 7, 0, 8, 9, 0, 0])
    """
    y = array_of("y", y)
    shape = unpooled_shape(y.shape, kernel_size, stride, padding, dilation, axis, output_shape)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call("put", y, indices, shape, window, (), out, num_threads)


def max_unpool_grad(
    grad: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `max_unpool` with respect to `y`: the cells of `grad` that the indices name.

    ``g[w] = grad[c] for the cell c that indices[w] names, or 0 if it names none``. That is what PyTorch computes too. It
    is the transpose of `max_unpool` if no two windows name the same cell. Where some do, one alone is in the result, yet
    each receives the cell's gradient: what comes from a max pool is the same number in all of them.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of `max_unpool`, of its shape: any dtype that can be pooled.
    indices, kernel_size, stride, padding, dilation, axis, ceil_mode, num_threads
        As for `max_unpool`.
    out : ndarray, optional
        An array to write into, of the shape of `indices` and the dtype of `grad`.

    Returns
    -------
    ndarray
        The gradient, of the shape of `indices` and the dtype of `grad`; in C order, or in Fortran order if `grad` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_unpool`.

    See Also
    --------
    max_unpool, max_pool_take

    Examples
    --------
    >>> import cypool
    >>> cypool.max_unpool_grad([10, 20, 30, 40, 50, 60, 70], [2, -1, 5], 3, 2)
    array([30,  0, 60])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call("gather", grad, indices, None, window, (), out, num_threads)
