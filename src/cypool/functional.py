"""Pooling as `torch.nn.functional` has it, on NumPy arrays: ``import cypool.functional as F``.

Names, order of arguments, defaults, indices, results and refusals are those of PyTorch 2.13 on a CPU: channels first,
an ``input`` of shape (C, \\*spatial) or (N, C, \\*spatial), the same padding on both ends of an axis. What that takes
beyond the core, and where it differs from it, is said in each docstring; everything else is in `cypool.max_pool` and
its kin. Threads are those of `cypool.set_num_threads`.

An argument that is one integer per axis may be an integer, or a tuple or list of one or of as many as there are axes.
What PyTorch refuses is refused, as ValueError or TypeError. One thing more is: a window of a dilated max that touches no
cell, for which PyTorch makes up -inf and a position outside the array.
"""

from functools import partial
from math import prod
from typing import Any

import numpy as np

from cypool import arrays
from cypool.adaptive import adaptive_avg_pool, adaptive_max_pool
from cypool.fractional import fractional_max_pool
from cypool.gaps import has_nan
from cypool.geometry import flag, integer, sequence
from cypool.pool import avg_pool, max_pool, sum_pool
from cypool.unpool import max_unpool

_OPS = (
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "fractional_max_pool",
    "lp_pool",
    "max_pool",
    "max_unpool",
)
__all__ = [f"{op}{n}d" for op in _OPS for n in (1, 2, 3) if (op, n) != ("fractional_max_pool", 1)]

_BLOCK = 1 << 18
"""Cells whose powers are held at once."""
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_ORDERED = (*_FLOATS, "int8", "int16", "int32", "int64", "uint8")


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest cell of each window of the last axis.

    ``y[w] = max over t of input[w * stride - padding + t * dilation]``.

    Parameters
    ----------
    input : array_like
        Of shape (C, W) or (N, C, W), where N may be 0: a float dtype; with `return_indices` also uint8 or a signed
        integer, as in PyTorch.
    kernel_size : int or sequence of int
        Cells of a window.
    stride : int or sequence of int, optional
        Cells from one window to the next; `kernel_size` if it is not given, or empty.
    padding : int or sequence of int
        Cells added at both ends, at most half of `kernel_size`, whatever the dilation. They never win.
    dilation : int or sequence of int
        Cells from one tap of a window to the next.
    ceil_mode : bool
        Whether a last window may hang over the end; it must start on a cell or in the low padding.
    return_indices : bool
        Also return where each maximum was.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `input`.
    indices : ndarray
        Only with `return_indices`: int64, the row-major position within the spatial axes. Of equal cells the first
        counts, but of several NaNs the last; in `cypool.max_pool` it is the first.

    Raises
    ------
    ValueError
        `input` has another number of axes, or none of a size but N is 0; an argument is out of range or has a wrong
        number of entries; there is no window; a window touches no cell.
    TypeError
        An argument or the dtype of `input` is of a wrong kind.

    See Also
    --------
    cypool.max_pool

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool1d.html

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.max_pool1d([[3.0, 1, 4, 1, 5, 9]], 3, 2, return_indices=True)
    (array([[4., 5.]]), array([[2, 4]]))
    """
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest cell of each window of the last two axes.

    Parameters, results and errors are those of `max_pool1d`, for an `input` of shape (C, H, W) or (N, C, H, W), a
    float, uint8 or signed integer dtype.

    See Also
    --------
    max_pool1d, cypool.max_pool

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.max_pool2d([[[1, 5, 2, 0], [3, 4, 8, 1]]], 2)
    array([[[5, 8]]])
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest cell of each window of the last three axes.

    Parameters, results and errors are those of `max_pool1d`, for an `input` of shape (C, D, H, W) or (N, C, D, H, W),
    a float, uint8 or signed integer dtype.

    See Also
    --------
    max_pool1d, cypool.max_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.max_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), (4, 2, 2))
    array([[[[53., 55.],
             [61., 63.]]]])
    """
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """Return the mean of each window of the last axis.

    ``y[w] = sum over t of input[w * stride - padding + t], divided by the number of taps that count``.

    Parameters
    ----------
    input : array_like
        Of shape (C, W) or (N, C, W), where N may be 0: a float dtype or int64; other integers are refused, as in
        PyTorch, while `cypool.avg_pool` takes them.
    kernel_size, stride, padding, ceil_mode
        As for `max_pool1d`. Padding adds 0.
    count_include_pad : bool
        Whether taps in the padding count. What hangs over it in `ceil_mode` never does.

    Returns
    -------
    ndarray
        The pooled array, of the dtype of `input`. The mean of int64 is int64, its fraction cut off (towards 0);
        `cypool.avg_pool` gives float64, or rounds half to even. float16 and bfloat16 are added up in float32.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool1d`.

    See Also
    --------
    cypool.avg_pool

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool1d.html

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.avg_pool1d([[0.0, 1, 2, 3, 4]], 3, 1, 1)
    array([[0.33333333, 1.        , 2.        , 3.        , 2.33333333]])
    >>> F.avg_pool1d([[-3, 0, 3, 4]], 2)
    array([[-1,  3]])
    """
    return _avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Return the mean of each window of the last two axes.

    Parameters, results and errors are those of `avg_pool1d`, for an `input` of shape (C, H, W) or (N, C, H, W).
    `divisor_override` is what each sum is divided by instead: any integer but 0, also a negative one, which
    `cypool.avg_pool` refuses.

    See Also
    --------
    avg_pool1d, cypool.avg_pool

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.avg_pool2d([[[1.0, 5, 2, 0], [3, 4, 8, 1]]], 2)
    array([[[3.25, 2.75]]])
    """
    return _avg(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Return the mean of each window of the last three axes.

    Parameters, results and errors are those of `avg_pool2d`, for an `input` of shape (C, D, H, W) or (N, C, D, H, W),
    of dtype float32, float64 or int64. As in PyTorch, a `kernel_size` larger than the input without its padding is
    refused.

    See Also
    --------
    avg_pool2d, cypool.avg_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.avg_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), (4, 2, 2))
    array([[[[26.5, 28.5],
             [34.5, 36.5]]]])
    """
    return _avg(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> np.ndarray:
    """Return the p-norm of each window of the last axis, as PyTorch has it.

    ``y[w] = (k * mean over t of input[w * stride + t] ** p) ** (1 / p)`` for windows of k cells. That differs in three ways
    from `cypool.lp_pool`, whose ``sum of abs(x) ** p``: the sign counts, so that an odd p gives NaN where the sum is
    negative; a window cut off in `ceil_mode` is scaled up to a whole one; and powers that overflow do.

    Parameters
    ----------
    input : array_like
        Of shape (C, W) or (N, C, W), where N may be 0. An integer `norm_type` takes floats, int64 and bool; a float
        one any dtype of real numbers; an infinite one floats and complex numbers, and along
        more axes what `max_pool2d` takes.
    norm_type : int or float
        The power p, any number but 0; inf for the largest absolute value, -inf for the smallest.
    kernel_size : int
        Cells of a window.
    stride, ceil_mode
        As for `max_pool1d`.

    Returns
    -------
    ndarray
        Of the dtype of `input` if it is a float, else float32; with an infinite `norm_type` that of ``abs(input)``. The
        powers of some planes at a time are an array: a quarter of a million cells, or one plane if that is larger.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool1d`; also for a `norm_type` of 0 or one that is no number.

    See Also
    --------
    max_pool1d

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool1d.html

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.lp_pool1d([[3.0, 4, -5, 12, 8]], 2, 2)
    array([[ 5., 13.]])
    >>> F.lp_pool1d([[3.0, 4, -5, 12, 8]], 1, 2, ceil_mode=True)
    array([[ 7.,  7., 16.]])
    """
    return _lp(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> np.ndarray:
    """Return the p-norm of each window of the last two axes, as PyTorch has it.

    Parameters, results and errors are those of `lp_pool1d`, for an `input` of shape (C, H, W) or (N, C, H, W); a
    `kernel_size` that is a sequence must have two entries.

    See Also
    --------
    lp_pool1d

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.lp_pool2d([[[1.0, 1, 3, 0], [1, 1, 0, 4]]], 2, 2)
    array([[[2., 5.]]])
    """
    return _lp(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> np.ndarray:
    """Return the p-norm of each window of the last three axes, as PyTorch has it.

    Parameters, results and errors are those of `lp_pool1d`, for an `input` of shape (C, D, H, W) or (N, C, D, H, W)
    other than float16 and bfloat16; a `kernel_size` that is a sequence must have three entries, and none may be larger
    than the input.

    See Also
    --------
    lp_pool1d

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.lp_pool3d(np.ones((1, 4, 4, 4)), 3, (4, 4, 1))[0, 0, 0]
    array([2.5198421, 2.5198421, 2.5198421, 2.5198421])
    """
    return _lp(3, input, norm_type, kernel_size, stride, ceil_mode)


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> np.ndarray:
    """Put each cell of `input` at its index along the last axis, into zeros.

    ``x[indices[w]] = input[w]``. Of windows that name the same cell the last wins, which PyTorch leaves open.

    Parameters
    ----------
    input : array_like
        Of shape (C, W) or (N, C, W), where N may be 0: a float dtype; `cypool.max_unpool` takes others too.
    indices : array_like
        int64, of the same shape: positions within the spatial axes of the result, none of them negative.
    kernel_size, stride, padding : int or sequence of int
        Those of the pool. Only the size of the result depends on them, but they must be such as a pool can have;
        PyTorch computes with any.
    output_size : sequence of int, optional
        The spatial sizes of the result, or all sizes, of which the first two are ignored. Each must be less than a
        stride away from the usual ``(n - 1) * stride - 2 * padding + kernel_size``.

    Returns
    -------
    ndarray
        Of the dtype of `input`.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool1d`; also if an index or `output_size` is out of range.

    See Also
    --------
    max_pool1d, cypool.max_unpool

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool1d.html

    Examples
    --------
    >>> import cypool.functional as F
    >>> y, indices = F.max_pool1d([[3.0, 1, 4, 1, 5, 9]], 2, return_indices=True)
    >>> F.max_unpool1d(y, indices, 2)
    array([[3., 0., 4., 0., 0., 9.]])
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> np.ndarray:
    """Put each cell of `input` at its index within the last two axes, into zeros.

    Parameters, results and errors are those of `max_unpool1d`, for an `input` of shape (C, H, W) or (N, C, H, W); sequences
    have two entries, `output_size` two or four.

    See Also
    --------
    max_unpool1d, cypool.max_unpool

    Examples
    --------
    >>> import cypool.functional as F
    >>> y, indices = F.max_pool2d([[[1.0, 5, 2, 0], [3, 4, 8, 1]]], 2, return_indices=True)
    >>> F.max_unpool2d(y, indices, 2)
    array([[[0., 5., 0., 0.],
            [0., 0., 8., 0.]]])
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> np.ndarray:
    """Put each cell of `input` at its index within the last three axes, into zeros.

    Parameters, results and errors are those of `max_unpool1d`, for an `input` of shape (C, D, H, W) or (N, C, D, H, W);
    sequences have three entries, `output_size` three or five.

    See Also
    --------
    max_unpool1d, cypool.max_unpool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.max_unpool3d(np.ones((1, 1, 1, 1)), np.array([[[[3]]]]), (1, 2, 2))
    array([[[[0., 0.],
             [0., 1.]]]])
    """
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest cell of each of a given number of bins of the last axis.

    ``y[i] = max of input[floor(i * n / o) : ceil((i + 1) * n / o)]`` for an axis of n cells and o bins.

    Parameters
    ----------
    input : array_like
        Of shape (C, W) or (N, C, W), where the first axis may be empty: a float dtype; `cypool.adaptive_max_pool`
        takes others too.
    output_size : int or sequence of int
        Bins, at least one; PyTorch makes none as well.
    return_indices : bool
        Also return where each maximum was.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `input`.
    indices : ndarray
        Only with `return_indices`: as for `max_pool1d`, that of the last NaN included.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool1d`.

    See Also
    --------
    cypool.adaptive_max_pool

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool1d.html

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.adaptive_max_pool1d([[3.0, 1, 4, 1, 5]], 2, return_indices=True)
    (array([[4., 5.]]), array([[2, 4]]))
    """
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest cell of each of a given number of bins of the last two axes.

    Parameters, results and errors are those of `adaptive_max_pool1d`, for an `input` of shape (C, H, W) or
    (N, C, H, W). `output_size` is an integer or 2 entries, None for as many bins as cells.

    See Also
    --------
    adaptive_max_pool1d, cypool.adaptive_max_pool

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.adaptive_max_pool2d([[[3.0, 1, 4], [1, 5, 9]]], (None, 1))
    array([[[4.],
            [9.]]])
    """
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest cell of each of a given number of bins of the last three axes.

    Parameters, results and errors are those of `adaptive_max_pool1d`, for an `input` of shape (C, D, H, W) or
    (N, C, D, H, W). `output_size` is an integer or 3 entries, None for as many bins as cells.

    See Also
    --------
    adaptive_max_pool1d, cypool.adaptive_max_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), (1, 1, 2))
    array([[[[6., 7.]]]])
    """
    return _adaptive_max(3, input, output_size, return_indices)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> np.ndarray:
    """Return the mean of each of a given number of bins of the last axis.

    ``y[i] = mean of input[floor(i * n / o) : ceil((i + 1) * n / o)]`` for an axis of n cells and o bins. Parameters and
    errors are those of `adaptive_max_pool1d`; with a batch there may be no channels. The result has the dtype of `input`.

    See Also
    --------
    cypool.adaptive_avg_pool

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.adaptive_avg_pool1d([[3.0, 1, 5, 1, 6]], 2)
    array([[3., 4.]])
    """
    return _adaptive_avg(1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> np.ndarray:
    """Return the mean of each of a given number of bins of the last two axes.

    Parameters, results and errors are those of `adaptive_avg_pool1d`, for an `input` of shape (C, H, W) or
    (N, C, H, W). `output_size` is an integer or 2 entries, None for as many bins as cells.

    See Also
    --------
    adaptive_avg_pool1d, cypool.adaptive_avg_pool

    Examples
    --------
    >>> import cypool.functional as F
    >>> F.adaptive_avg_pool2d([[[3.0, 1, 4], [1, 5, 9]]], (None, 1))
    array([[[2.66666667],
            [5.        ]]])
    """
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> np.ndarray:
    """Return the mean of each of a given number of bins of the last three axes.

    Parameters, results and errors are those of `adaptive_avg_pool1d`, for an `input` of shape (C, D, H, W) or
    (N, C, D, H, W); the channels of a batch may not be none. `output_size` is an integer or 3 entries, None for as many bins as cells.

    See Also
    --------
    adaptive_avg_pool1d, cypool.adaptive_avg_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.adaptive_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), (1, 1, 2))
    array([[[[3., 4.]]]])
    """
    return _adaptive_avg(3, input, output_size)


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Return the largest cell of windows that lie a fractional step apart in the last two axes.

    ``y[i] = max of input[start(i) : start(i) + k]`` with ``start(i) = floor((i + u) * a) - floor(u * a)``, the step
    ``a = (n - k) / (o - 1)`` and a sample u for each plane and axis; the last window ends with the axis (Graham 2014).

    Parameters
    ----------
    input : array_like
        Of shape (C, H, W) or (N, C, H, W), where N may be 0: a float dtype.
    kernel_size : int or two of them
        Cells of a window along each axis.
    output_size : int or two of them
        Windows along each axis, at least one; PyTorch makes none as well.
    output_ratio : two floats
        Instead of `output_size`: windows per cell.
    return_indices : bool
        Also return where each maximum was.
    _random_samples : array_like, optional
        The samples, in [0, 1): of the dtype of `input` and shape (N, C, 2), for the last axis and the one before. If not
        given, they are drawn afresh.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `input`.
    indices : ndarray
        Only with `return_indices`: as for `max_pool1d`, that of the last NaN included.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool1d`; also if `_random_samples` are of another shape or dtype, or out of range.

    See Also
    --------
    cypool.fractional_max_pool

    References
    ----------
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool2d.html

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> x = np.arange(25.0).reshape(1, 5, 5)
    >>> F.fractional_max_pool2d(x, 2, 3, _random_samples=np.full((1, 1, 2), 0.4))
    array([[[ 6.,  8.,  9.],
            [16., 18., 19.],
            [21., 23., 24.]]])
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Return the largest cell of windows that lie a fractional step apart in the last three axes.

    Parameters, results and errors are those of `fractional_max_pool2d`, for an `input` of shape (C, D, H, W) or
    (N, C, D, H, W). Samples are in the order of the axes and computed with in float32 at least, while PyTorch rounds
    places to half precision for an input of that; `output_ratio` may be one float for all, and as in PyTorch
    windows must leave one cell more than they need: ``output_size + kernel_size <= size``.

    See Also
    --------
    fractional_max_pool2d, cypool.fractional_max_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool.functional as F
    >>> F.fractional_max_pool3d(np.ones((1, 5, 5, 5)), 2, (3, 2, 1)).shape
    (1, 3, 2, 1)
    """
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


# --- the same for every number of axes ---------------------------------------------------------------------------


def _max(
    n: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, return_indices: Any
) -> Any:
    x = _array(input, n, _FLOATS if n == 1 and not return_indices else _ORDERED)
    window = _window(n, kernel_size, stride, padding, ceil_mode, dilation)
    if not return_indices:
        return max_pool(x, **window)
    return _indexed(n, x, partial(max_pool, **window))


def _indexed(n: int, x: np.ndarray, pool: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pool with indices, those of the last NaN where there are several."""
    y, indices = pool(x, return_indices=True)
    if has_nan(y):
        # The last NaN is the greatest position of one.
        places = np.arange(prod(x.shape[-n:])).reshape(x.shape[-n:])
        np.copyto(indices, pool(np.where(np.isnan(x), places, -1)), where=np.isnan(y))
    return y, indices


def _adaptive_max(n: int, input: Any, output_size: Any, return_indices: Any) -> Any:
    x = _array(input, n, _FLOATS, empty=1)
    pool = partial(adaptive_max_pool, output_size=_output_size(x, n, output_size), axis=tuple(range(-n, 0)))
    return _indexed(n, x, pool) if return_indices else pool(x)


def _adaptive_avg(n: int, input: Any, output_size: Any) -> np.ndarray:
    x = _array(input, n, _FLOATS, empty=1 if n == 3 else 2)
    return adaptive_avg_pool(x, _output_size(x, n, output_size), axis=tuple(range(-n, 0)))


def _fractional(
    n: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, return_indices: Any, samples: Any
) -> Any:
    x = _array(input, n, _FLOATS)
    spatial = x.shape[-n:]
    if output_size is None and output_ratio is None:
        raise ValueError("output_size or output_ratio must be given, got None for both")
    if output_size is None:
        ratios = (
            [output_ratio] * n if n == 3 and isinstance(output_ratio, float) else sequence("output_ratio", output_ratio)
        )
        if len(ratios) != n:
            raise ValueError(f"output_ratio must have {n} entries, got {output_ratio!r}")
        output_size = [int(size * ratio) for size, ratio in zip(spatial, ratios, strict=True)]
    kernel, sizes = _exactly("kernel_size", kernel_size, n), _exactly("output_size", output_size, n)
    if any(o + k - (n == 2) > size for o, k, size in zip(sizes, kernel, spatial, strict=True)):
        raise ValueError(
            f"output_size must leave room for windows of kernel_size={kernel_size!r} in {spatial}, got {output_size!r}"
        )
    planes = x.shape[:-n]
    if samples is None:
        samples = np.random.default_rng().random((*planes, n)).astype(x.dtype)
    else:
        samples = arrays.array(samples)
        batch = x.shape[0] if len(planes) == 2 else 1
        if samples.ndim != 3 or samples.shape[0] < batch or samples.shape[1:] != (planes[-1], n):
            raise ValueError(f"_random_samples must have shape {(batch, planes[-1], n)}, got {samples.shape}")
        if samples.dtype != x.dtype:
            raise TypeError(f"_random_samples must have the dtype of input, {x.dtype}, got {samples.dtype}")
        samples = samples[:batch] if len(planes) == 2 else samples[0]
    # In two dimensions the first sample is that of the last axis.
    samples = (samples[..., ::-1] if n == 2 else samples).astype(np.float32 if x.itemsize < 4 else x.dtype, copy=False)
    pool = partial(
        fractional_max_pool, kernel_size=kernel, output_size=sizes, axis=tuple(range(-n, 0)), samples=samples
    )
    return _indexed(n, x, pool) if return_indices else pool(x)


def _avg(
    n: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any, include: Any, divisor: Any
) -> np.ndarray:
    x = _array(input, n, ("float32", "float64", "int64") if n == 3 else (*_FLOATS, "int64"))
    window = _window(n, kernel_size, stride, padding, ceil_mode)
    include = flag("count_include_pad", include)
    if n == 3 and any(k > size for k, size in zip(window["kernel_size"], x.shape[-3:], strict=True)):
        raise ValueError(
            f"kernel_size must be at most the input's size {x.shape[-3:]}, padding not counted, got {kernel_size!r}"
        )
    if divisor is not None and integer("divisor_override", divisor, -(2**63)) == 0:
        raise ValueError("divisor_override must not be 0, got 0")
    if x.dtype.kind == "i":
        y = sum_pool(x, **window)
        y, rest = np.divmod(y, _taps(y.shape, x.shape, window, include) if divisor is None else divisor)
        y += (rest != 0) & (y < 0)
        return y
    y = avg_pool(x, **window, count_include_pad=include, divisor_override=None if divisor is None else abs(divisor))
    return -y if divisor is not None and divisor < 0 else y


def _lp(n: int, input: Any, p: Any, kernel_size: Any, stride: Any, ceil_mode: Any) -> np.ndarray:
    if isinstance(p, bool) or not isinstance(p, (int, float, np.integer, np.floating)):
        raise TypeError(f"norm_type must be a number, got {p!r}")
    if p == 0:
        raise ValueError(f"norm_type must not be 0, got {p!r}")
    whole = isinstance(p, (int, np.integer))
    p = int(p) if whole else float(p)
    if isinstance(kernel_size, (tuple, list)) and (len(kernel_size) != n or (n == 1 and p * p < np.inf)):
        raise ValueError(f"kernel_size must be an integer{f' or {n} of them' if n > 1 else ''}, got {kernel_size!r}")
    y: np.ndarray
    if p * p == np.inf:
        x = np.abs(_array(input, n, (*(_FLOATS if n == 1 else _ORDERED), "complex64", "complex128")))
        y = _max(n, x if p > 0 else -x, kernel_size, stride, 0, 1, ceil_mode, False)
        return y if p > 0 else -y
    x = _array(input, n, (*_FLOATS, "int64", "bool") if whole else (*_ORDERED, "bool", "uint16", "uint32", "uint64"))
    if x.dtype.kind in "biu":
        x = x.astype(np.int64 if whole else np.float32, copy=False)
    if x.dtype.kind == "i" and p < 0:
        raise ValueError(f"norm_type must not be a negative integer for an input of integers, got {p}")
    *lead, planes = x.shape[:-n]
    step = max(1, _BLOCK // max(1, prod(x.shape[-n:])))
    if x.size <= _BLOCK or (planes <= step and prod(lead) == 1):
        return _norms(n, x, p, kernel_size, stride, ceil_mode)
    first = _norms(n, x[(0,) * len(lead)][:1], p, kernel_size, stride, ceil_mode)
    y = np.empty((*lead, planes, *first.shape[1:]), first.dtype)
    for i in np.ndindex(*lead):
        for j in range(0, planes, step):
            y[i][j : j + step] = _norms(n, x[i][j : j + step], p, kernel_size, stride, ceil_mode)
    return y


def _norms(n: int, x: np.ndarray, p: float, kernel_size: Any, stride: Any, ceil_mode: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        mean = _avg(n, (x**p).astype(x.dtype, copy=False), kernel_size, stride, 0, ceil_mode, True, None)
        y = (mean * prod(_per_axis("kernel_size", kernel_size, n, 1))) ** (1 / p)
    return y.astype(np.float32 if x.dtype.kind == "i" else x.dtype, copy=False)


def _unpool(
    n: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> np.ndarray:
    x, z = _array(input, n, _FLOATS), arrays.array(indices)
    if z.dtype != np.int64:
        raise TypeError(f"indices must have dtype int64, got {z.dtype}: convert them with astype")
    if z.size and z.min() < 0:
        raise ValueError(f"indices must not be negative, got {z.min()}")
    window = _window(n, kernel_size, stride, padding, False)
    counts = x.shape[-n:]
    steps = window["stride"]
    usual = [
        (w - 1) * s - 2 * p + k
        for w, s, p, k in zip(counts, steps, window["padding"], window["kernel_size"], strict=True)
    ]
    sizes = usual if output_size is None else sequence("output_size", output_size)
    sizes = sizes[2:] if len(sizes) == n + 2 else sizes
    if len(sizes) != n:
        raise ValueError(f"output_size must have {n} or {n + 2} entries, got {output_size!r}")
    for size, u, s in zip(sizes, usual, steps, strict=True):
        if not max(u - s, 0) < integer("output_size", size, 0) < u + s:
            raise ValueError(f"output_size must be from {max(u - s, 0) + 1} to {u + s - 1} here, got {output_size!r}")
    # Indices may be anywhere, so let each window be over everything.
    reach = [size + w - 1 for size, w in zip(sizes, counts, strict=True)]
    shape = *x.shape[:-n], *sizes
    return max_unpool(x, z, reach, 1, [w - 1 for w in counts], axis=window["axis"], output_shape=shape)


def _taps(pooled: tuple[int, ...], shape: tuple[int, ...], window: dict[str, Any], include: bool) -> np.ndarray:
    """Return how many taps of each window count."""
    result = np.array(1)
    for a, k, s, p in zip(window["axis"], window["kernel_size"], window["stride"], window["padding"], strict=True):
        first = np.arange(pooled[a]) * s - p
        end = np.minimum(first + k, shape[a] + p)
        if not include:
            first, end = np.maximum(first, 0), np.minimum(end, shape[a])
        result = np.multiply.outer(result, end - first)
    return result


# --- what PyTorch allows -----------------------------------------------------------------------------------------


def _array(input: Any, n: int, dtypes: tuple[str, ...], empty: int = 0) -> np.ndarray:
    """Return `input` as an array of channels with `n` spatial axes, with or without a batch.

    Without a batch no axis may be empty, with one the batch alone; `empty` says how many of the first may be at least.
    """
    x = arrays.array(input)
    if x.ndim not in (n + 1, n + 2):
        raise ValueError(
            f"input must have {n} spatial axes after (C,) or (N, C), {n + 1} or {n + 2} in all, got shape {x.shape}"
        )
    if 0 in x.shape[max(x.ndim - n - 1, min(empty, x.ndim - n)) :]:
        raise ValueError(f"input must have a cell along every axis but the batch's, got shape {x.shape}")
    if x.dtype.name not in dtypes:
        raise TypeError(f"input must have one of the dtypes {', '.join(dtypes)}, got {x.dtype}: convert it with astype")
    return x


def _window(n: int, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any, dilation: Any = 1) -> dict[str, Any]:
    """Return the core's window arguments for the last `n` axes."""
    kernel = _per_axis("kernel_size", kernel_size, n, 1)
    pads = _per_axis("padding", padding, n, 0)
    if any(p > k // 2 for k, p in zip(kernel, pads, strict=True)):
        raise ValueError(f"padding must be at most half of kernel_size={kernel_size!r}, got {padding!r}")
    absent = stride is None or (stride in ((), []))
    return {
        "kernel_size": kernel,
        "stride": kernel if absent else _per_axis("stride", stride, n, 1),
        "padding": pads,
        "dilation": _per_axis("dilation", dilation, n, 1),
        "axis": tuple(range(-n, 0)),
        "ceil_mode": flag("ceil_mode", ceil_mode),
    }


def _per_axis(name: str, value: Any, n: int, least: int) -> tuple[int, ...]:
    """Return an argument as one integer for each of `n` axes."""
    given = value if isinstance(value, (tuple, list)) else [value]
    if len(given) not in (1, n):
        raise ValueError(f"{name} must be an integer or a sequence of 1 or {n} of them, got {value!r}")
    every = tuple(integer(name, v, least) for v in given)
    return every if len(every) == n else every * n


def _exactly(name: str, value: Any, n: int) -> tuple[int, ...]:
    """Return an argument as one integer for each of `n` axes, of which a sequence must have as many."""
    if isinstance(value, (tuple, list)) and len(value) != n:
        raise ValueError(f"{name} must be an integer or {n} of them, got {value!r}")
    return _per_axis(name, value, n, 1)


def _output_size(x: np.ndarray, n: int, output_size: Any) -> tuple[int, ...]:
    """Return how many bins each axis gets; None, in more than one dimension, is as many as it has cells."""
    if n > 1 and isinstance(output_size, (tuple, list)):
        usual = zip(output_size, x.shape[-n:], strict=False)
        output_size = [*(size if o is None else o for o, size in usual), *output_size[n:]]
    return _exactly("output_size", output_size, n)
