"""The pools: max, min, average and sum. What a call does is in calls.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cypool.calls import pool
from cypool.geometry import integer, pooled_shape, sequence, windows
from cypool.plan import MAX, MIN, SUM


def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the largest cell of each window.

    ``y[w] = max over t of x[w * stride - low + t * dilation]``, over all pooled axes at once.

    Parameters
    ----------
    x : array_like
        The array to pool, with any number of axes and any strides: bool, any integer, float16, bfloat16, float32 or
        float64, datetime64 or timedelta64, whose NaT is treated as NaN.
    kernel_size : int or sequence of int
        Cells of a window along each pooled axis.
    stride : int or sequence of int, optional
        Cells from one window to the next; `kernel_size` if not given.
    padding : int, sequence of int, sequence of (int, int) pairs, "valid", "same" or "same_lower"
        Cells added around `x`, the same on both ends of an axis or as ``(low, high)``. They never win.
        "same" makes ``ceil(n / stride)`` windows and puts an odd cell at the end, "same_lower" at the start.
    dilation : int or sequence of int
        Cells from one tap of a window to the next.
    axis : int or sequence of int, optional
        The axes to pool, in the order that ties and indices go by. If not given: the last
        ``len(kernel_size)`` axes, or every axis for a `kernel_size` that is an int.
    ceil_mode : bool
        Whether a last window may hang over the end; it must start on a cell or in the low padding.
    return_indices : bool or "window"
        Also return where each maximum was: True for its row-major position within the pooled axes (int64),
        "window" for its row-major offset within the window (the smallest unsigned type that holds one value
        more than there are offsets).
    nan_policy : "propagate", "omit" or "raise"
        What a NaN in a window does: it wins; or it is left out, as if it were not there; or ValueError tells where the
        first one is. Integers have none.
    where : array_like of bool, optional
        Which cells are there, in a shape that broadcasts to that of `x`; the others are left out.
    min_count : int
        A window with fewer cells than that, without those left out and those of padding, gets no result but
        `fill_value`, and the index "none": -1, or the largest value of the dtype of "window". A maximum is of one cell
        at least.
    fill_value : scalar, optional
        What such windows get; NaN or NaT if not given. A result of bool or an integer dtype has no NaN: it must be
        given with `where`, or with a `min_count` above 1.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype. It may overlap `x`.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `x`; in C order, or in Fortran order if `x` is.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`. The first of equal cells in row-major order counts, and
        the first NaN of all.

    Raises
    ------
    ValueError
        An argument is out of range, an axis has no window, a window touches no cell, `fill_value` is missing, or there
        is a NaN and `nan_policy` is "raise".
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError
        A window reaches further than 2**62 cells.
    MemoryError
        There is no memory for the result.

    See Also
    --------
    min_pool, avg_pool, sum_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.array([[1, 5, 2, 0], [3, 4, 8, 1], [0, 2, 6, 7]])
    >>> cypool.max_pool(x, 2)
    array([[5, 8]])
    >>> cypool.max_pool(x, 2, ceil_mode=True)
    array([[5, 8],
           [2, 7]])
    >>> cypool.max_pool(x, (1, 3), stride=1, return_indices=True)
    (array([[5, 5],
           [8, 8],
           [6, 7]]), array([[ 1,  1],
           [ 6,  6],
           [10, 11]]))
    >>> cypool.max_pool(x, 2, where=x < 5, fill_value=-1)
    array([[4, 2]])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    return pool(MAX, x, window, (return_indices,), missing, out, num_threads)


def min_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the smallest cell of each window.

    ``y[w] = min over t of x[w * stride - low + t * dilation]``, over all pooled axes at once. Parameters, results
    and errors are those of `max_pool`.

    See Also
    --------
    max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.min_pool([3, 1, 4, 1, 5, 9], 3, return_indices="window")
    (array([1, 1]), array([1, 0], dtype=uint8))
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    return pool(MIN, x, window, (return_indices,), missing, out, num_threads)


def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    count_include_pad: bool | None = None,
    divisor_override: int | None = None,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the mean of each window.

    ``y[w] = sum over t of x[w * stride - low + t * dilation], divided by the number of taps that count``, over all
    pooled axes at once. Padding adds nothing to the sum.

    Parameters
    ----------
    x : array_like
        The array to pool: bool, any integer, float16, bfloat16, float32, float64, complex64 or complex128.
    kernel_size, stride, padding, dilation, axis, ceil_mode, out, num_threads
        As for `max_pool`.
    count_include_pad : bool, optional
        Whether taps in the padding count; what hangs over it in `ceil_mode` never does. If not given, they do for
        `padding` in numbers (as in PyTorch) and do not for "same" (as in TensorFlow).
    divisor_override : int, optional
        Divide each sum by this number instead.
    dtype : dtype, optional
        The dtype of the result, in the machine's byte order. If not given: that of `x` for floats and complex numbers,
        float64 for integers. An integer dtype gives the exact mean of integers, rounded half to even.
    nan_policy, where, min_count, fill_value
        As for `max_pool`. Cells that are left out do not count either: the mean is over those that are there, and over
        the padding where that counts. A mean of nothing is `fill_value`, whatever `min_count` says.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is. A float sum of n cells is within
        ``(log2(n) + 3) * eps * sum(abs(cells))``, before it is divided; float16 and bfloat16 are added up in float32.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    sum_pool, max_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.arange(5.0)
    >>> cypool.avg_pool(x, 3, stride=1, padding=1)
    array([0.33333333, 1.        , 2.        , 3.        , 2.33333333])
    >>> cypool.avg_pool(x, 3, stride=1, padding=1, count_include_pad=False)
    array([0.5, 1. , 2. , 3. , 3.5])
    >>> cypool.avg_pool(np.array([0, 1, 1, 2], np.uint8), 2, dtype=np.uint8)
    array([0, 2], dtype=uint8)
    >>> cypool.avg_pool([1, np.nan, 5, np.nan, np.nan, np.nan], 3, nan_policy="omit")
    array([ 3., nan])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    options = dtype, count_include_pad, divisor_override
    y: np.ndarray = pool(SUM, x, window, options, missing, out, num_threads)
    return y


def sum_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the sum of each window.

    ``y[w] = sum over t of x[w * stride - low + t * dilation]``, over all pooled axes at once. Padding adds nothing.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, axis, ceil_mode, out, num_threads
        As for `avg_pool`.
    nan_policy, where, min_count, fill_value
        As for `max_pool`; with a `min_count` of 0 the sum of nothing is 0.
    dtype : dtype, optional
        The dtype of the result, in the machine's byte order. If not given: that of `x` for floats and complex numbers;
        int64 for bool and signed, uint64 for unsigned integers. As in `numpy.sum`, integer sums wrap around where the
        dtype is too narrow for them.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    avg_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.sum_pool([1, 2, 3, 4, 5], 2, stride=1)
    array([3, 5, 7, 9])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    y: np.ndarray = pool(SUM, x, window, (dtype,), missing, out, num_threads)
    return y


def output_shape(
    shape: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """Return the shape of a pool of an array of this shape; touches no data.

    A pooled axis of n cells has ``floor((n + low + high - extent) / stride) + 1`` windows, where
    ``extent = dilation * (kernel_size - 1) + 1``; with `ceil_mode`, ceil instead of floor, less one if the last window
    would start at or past ``n + low``.

    Parameters
    ----------
    shape : sequence of int
        The shape of the input.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`, with the same errors.

    Returns
    -------
    tuple of int
        The shape of the output.

    Examples
    --------
    >>> import cypool
    >>> cypool.output_shape((8, 64, 55, 55), 3, 2, axis=(2, 3))
    (8, 64, 27, 27)
    """
    sizes = [integer("shape", n, 0) for n in sequence("shape", shape)]
    return pooled_shape(sizes, windows(sizes, kernel_size, stride, padding, dilation, axis, ceil_mode))
