"""Pools into a given number of bins, or a single one, whatever the size of the input; the bins are made in geometry.py."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from cypool import gaps as absent
from cypool import gradients
from cypool.arrays import array, into
from cypool.calls import hashable, pool
from cypool.dtypes import kind_of
from cypool.geometry import ADAPTIVE, SPREAD, Window, adaptive, flag, integer, pooled_shape, sequence
from cypool.plan import MAX, MIN, SUM


def adaptive_max_pool(
    x: Any,
    output_size: Any,
    *,
    axis: Any = None,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the largest cell of each bin, for as many bins as wanted.

    ``y[i] = max of x[floor(i * n / o) : ceil((i + 1) * n / o)]`` for an axis of n cells and o bins, over all pooled axes
    at once. Bins cover every cell; neighbours share one where n / o is no integer, and cells repeat where o > n.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `max_pool` takes.
    output_size : int, None or sequence of them
        Bins along each pooled axis; None keeps the size that the axis has.
    axis : int or sequence of int, optional
        The axes to pool. If not given: the last ``len(output_size)`` axes, or every axis if `output_size` is no
        sequence.
    return_indices : bool or "window"
        As for `max_pool`. Offsets within a window number the cells of the largest bin in row-major order, counted from
        the first cell of each.
    nan_policy, where, min_count, fill_value, out, num_threads
        As for `max_pool`.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `x`; in C order, or in Fortran order if `x` is.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`.

    Raises
    ------
    ValueError
        An argument is out of range, a pooled axis has no cell, `fill_value` is missing, or there is a NaN and
        `nan_policy` is "raise".
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError, MemoryError
        There are more bins than can be numbered, or than there is memory for.

    See Also
    --------
    max_pool, adaptive_min_pool, adaptive_avg_pool

    Notes
    -----
    The bins are those of PyTorch's ``adaptive_max_pool``, in exact integers.

    Examples
    --------
    >>> import cypool
    >>> cypool.adaptive_max_pool([3, 1, 4, 1, 5, 9, 2], 3)
    array([4, 5, 9])
    >>> cypool.adaptive_max_pool([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], (None, 2), return_indices=True)
    (array([[4, 5],
           [9, 6]]), array([[2, 4],
           [5, 7]]))
    """
    window = output_size, ADAPTIVE, 0, 1, axis, False
    missing = nan_policy, where, min_count, fill_value
    return pool(MAX, x, window, (return_indices,), missing, out, num_threads)


def adaptive_min_pool(
    x: Any,
    output_size: Any,
    *,
    axis: Any = None,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the smallest cell of each bin, for as many bins as wanted.

    ``y[i] = min of x[floor(i * n / o) : ceil((i + 1) * n / o)]`` for an axis of n cells and o bins, over all pooled axes
    at once. Parameters, results and errors are those of `adaptive_max_pool`.

    See Also
    --------
    min_pool, adaptive_max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.adaptive_min_pool([3, 1, 4, 1, 5, 9, 2], 3, return_indices="window")
    (array([1, 1, 2]), array([1, 1, 2], dtype=uint8))
    """
    window = output_size, ADAPTIVE, 0, 1, axis, False
    missing = nan_policy, where, min_count, fill_value
    return pool(MIN, x, window, (return_indices,), missing, out, num_threads)


def adaptive_avg_pool(
    x: Any,
    output_size: Any,
    *,
    axis: Any = None,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the mean of each bin, for as many bins as wanted.

    ``y[i] = mean of x[floor(i * n / o) : ceil((i + 1) * n / o)]`` for an axis of n cells and o bins, over all pooled
    axes at once.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `avg_pool` takes.
    output_size, axis
        As for `adaptive_max_pool`.
    dtype, nan_policy, where, min_count, fill_value, out, num_threads
        As for `avg_pool`.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is; as exact as that of `avg_pool`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `adaptive_max_pool`.

    See Also
    --------
    avg_pool, adaptive_max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.adaptive_avg_pool([1.0, 2.0, 3.0, 4.0, 5.0], 3)
    array([1.5, 3. , 4.5])
    >>> cypool.adaptive_avg_pool([1.0, 2.0], 4)
    array([1., 1., 2., 2.])
    """
    window = output_size, ADAPTIVE, 0, 1, axis, False
    missing = nan_policy, where, min_count, fill_value
    y: np.ndarray = pool(SUM, x, window, (dtype, None, None), missing, out, num_threads)
    return y


def global_max_pool(
    x: Any,
    *,
    axis: Any = None,
    keepdims: bool = True,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the largest cell along whole axes.

    ``y = max over c of x[c]`` for all cells of the pooled axes: one window as large as each.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `max_pool` takes.
    axis : int or sequence of int, optional
        The axes to pool. If not given: all but the first two of an array of three or more axes, else every axis.
    keepdims : bool
        Whether pooled axes stay, with a size of 1.
    return_indices : bool or "window"
        As for `max_pool`. Both kinds count the cells of the pooled axes in row-major order.
    nan_policy, where, min_count, fill_value, out, num_threads
        As for `max_pool`.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `x`; in C order, or in Fortran order if `x` is.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `adaptive_max_pool`.

    See Also
    --------
    max_pool, adaptive_max_pool, global_min_pool, global_avg_pool

    Notes
    -----
    The gradient is that of `adaptive_max_pool` with an output size of 1, for a `grad` that has the pooled axes.

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.arange(12).reshape(1, 2, 2, 3)
    >>> cypool.global_max_pool(x, keepdims=False)
    array([[ 5, 11]])
    >>> cypool.global_max_pool(x, axis=1).shape
    (1, 1, 2, 3)
    """
    missing = nan_policy, where, min_count, fill_value
    return _whole(MAX, x, axis, keepdims, (return_indices,), missing, out, num_threads)


def global_min_pool(
    x: Any,
    *,
    axis: Any = None,
    keepdims: bool = True,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the smallest cell along whole axes.

    ``y = min over c of x[c]`` for all cells of the pooled axes. Parameters, results and errors are those of
    `global_max_pool`.

    See Also
    --------
    min_pool, global_max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.global_min_pool([3, 1, 4], return_indices=True)
    (array([1]), array([1]))
    """
    missing = nan_policy, where, min_count, fill_value
    return _whole(MIN, x, axis, keepdims, (return_indices,), missing, out, num_threads)


def global_avg_pool(
    x: Any,
    *,
    axis: Any = None,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the mean along whole axes.

    ``y = sum over c of x[c], divided by the number of cells`` of the pooled axes.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `avg_pool` takes.
    axis, keepdims
        As for `global_max_pool`.
    dtype, nan_policy, where, min_count, fill_value, out, num_threads
        As for `avg_pool`.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is; as exact as that of `avg_pool`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `adaptive_max_pool`.

    See Also
    --------
    avg_pool, adaptive_avg_pool, global_max_pool

    Notes
    -----
    The gradient is that of `adaptive_avg_pool` with an output size of 1, for a `grad` that has the pooled axes.

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> cypool.global_avg_pool(np.arange(12.0).reshape(1, 2, 2, 3))
    array([[[[2.5]],
    <BLANKLINE>
            [[8.5]]]])
    """
    missing = nan_policy, where, min_count, fill_value
    y: np.ndarray = _whole(SUM, x, axis, keepdims, (dtype, None, None), missing, out, num_threads)
    return y


def _whole(
    op: int,
    x: Any,
    axis: Any,
    keepdims: bool,
    options: tuple[Any, ...],
    missing: tuple[Any, ...],
    out: Any,
    num_threads: int | None,
) -> Any:
    """Make one bin of each of the axes."""
    keepdims = flag("keepdims", keepdims)
    if type(x) is not np.ndarray:
        x = array(x)
    if axis is None and x.ndim >= 3:
        axis = tuple(range(2, x.ndim))
    window = 1, ADAPTIVE, 0, 1, axis, False
    if keepdims:
        return pool(op, x, window, options, missing, out, num_threads)
    axes, room = without(x, axis, out)
    result = pool(op, x, window, options, missing, room, num_threads)
    y, *indices = result if isinstance(result, tuple) else (result,)
    y = y.squeeze(axes) if out is None else out
    return (y, indices[0].squeeze(axes)) if indices else y


def without(x: np.ndarray, axis: Any, out: Any) -> tuple[tuple[int, ...], Any]:
    """Return the axes that a result loses with `keepdims` off, and `out` as a view that has them."""
    axes = tuple([w.axis for w in adaptive(x.shape, 1, axis)])
    if not isinstance(out, np.ndarray):
        return axes, out
    kept = x.ndim - len(axes)
    if out.ndim != kept:
        raise ValueError(f"out must have {kept} axes without keepdims, got shape {out.shape}")
    return axes, np.expand_dims(out, axes)


def adaptive_max_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
    output_size: Any,
    *,
    axis: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `adaptive_max_pool` with respect to its input.

    ``g[c] = sum over i of grad[i], for the bins i whose index names cell c``; a cell that no bin chose gets exactly 0.

    Parameters
    ----------
    grad, indices
        As for `max_pool_grad`, of the shape of the pool's result.
    shape : sequence of int
        The shape of the pool's input.
    output_size, axis
        Those of the pool; see `adaptive_max_pool`.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`; in C order, or in Fortran order if `grad` is. Shares
        of a cell are added in double precision, in row-major order of the bins.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool_grad` and `adaptive_max_pool`.

    See Also
    --------
    adaptive_max_pool, max_pool_grad

    Examples
    --------
    >>> import cypool
    >>> y, indices = cypool.adaptive_max_pool([3, 1, 4, 1, 5, 9, 2], 3, return_indices=True)
    >>> cypool.adaptive_max_pool_grad([1.0, 2.0, 4.0], indices, (7,), 3)
    array([0., 0., 1., 0., 2., 4., 0.])
    """
    window = output_size, ADAPTIVE, 0, 1, axis, False
    return gradients.call("grad", grad, indices, shape, window, (), out, num_threads)


def adaptive_min_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
    output_size: Any,
    *,
    axis: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `adaptive_min_pool` with respect to its input.

    ``g[c] = sum over i of grad[i], for the bins i whose index names cell c``. The indices say all there is to say, so
    parameters, result and errors are those of `adaptive_max_pool_grad`.

    See Also
    --------
    adaptive_min_pool, adaptive_max_pool_grad

    Examples
    --------
    >>> import cypool
    >>> y, indices = cypool.adaptive_min_pool([3, 1, 4, 1, 5, 9, 2], 3, return_indices="window")
    >>> cypool.adaptive_min_pool_grad([1.0, 2.0, 4.0], indices, (7,), 3)
    array([0., 1., 0., 2., 0., 0., 4.])
    """
    return adaptive_max_pool_grad(grad, indices, shape, output_size, axis=axis, out=out, num_threads=num_threads)


def adaptive_avg_pool_grad(
    grad: Any,
    shape: Sequence[int],
    output_size: Any,
    *,
    axis: Any = None,
    where: Any = None,
    min_count: int = 1,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `adaptive_avg_pool` with respect to its input.

    ``g[c] = sum over i of grad[i] / n[i], for the bins i that hold cell c and n[i] cells``. It is linear in `grad`, and
    `adaptive_avg_pool` is its adjoint.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, of the result's shape: float32, float64, or complex.
    shape : sequence of int
        The shape of the pool's input.
    output_size, axis
        Those of the pool; see `adaptive_max_pool`.
    where, min_count
        Those of the pool; see `avg_pool_grad`.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`; in C order, or in Fortran order if `grad` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `avg_pool_grad` and `adaptive_avg_pool`.

    See Also
    --------
    adaptive_avg_pool, avg_pool_grad

    Examples
    --------
    >>> import cypool
    >>> cypool.adaptive_avg_pool_grad([2.0, 6.0, 8.0], (5,), 3)
    array([1., 3., 2., 6., 4.])
    >>> cypool.adaptive_avg_pool_grad([2.0, 6.0, 8.0], (5,), 3, where=[True, False, True, True, True])
    array([2., 0., 3., 7., 4.])
    """
    g = gradients.array_of("grad", grad)
    if kind_of(g.dtype) not in "fc":
        raise TypeError(f"grad must have a float or complex dtype, got {g.dtype}: convert it with grad.astype")
    sizes = tuple([integer("shape", n, 0) for n in sequence("shape", shape)])
    output_size, axis = hashable((output_size, axis))
    try:
        found, axes, divisors = _shares(sizes, output_size, axis)
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        found, axes, divisors = _shares.__wrapped__(sizes, output_size, axis)
    if g.shape != pooled_shape(sizes, found):
        raise ValueError(f"grad must have the shape of the pool's result, {pooled_shape(sizes, found)}, got {g.shape}")
    if divisors is None:
        window = tuple([w.kernel for w in found]), tuple([w.stride for w in found]), 0, 1, axes, False
        return gradients.shared(g, sizes, window, (None, None), where, min_count, out, num_threads)
    gaps = absent.gaps(sizes, False, "propagate", where, min_count, None)
    there = gaps.where
    enough: Any = True
    if gaps.layout is not None:
        cells = there if there is not None else np.broadcast_to(True, sizes)
        divisors = gradients.counts(cells, (output_size, ADAPTIVE, 0, 1, axis, False), num_threads)
        enough = divisors >= max(gaps.least, 1)
    # Halves are divided and added up in float32.
    shares = np.zeros(g.shape, np.float32 if g.dtype.itemsize == 2 else g.dtype, "F" if g.flags.fnc else "C")
    np.divide(g, divisors.astype(shares.real.dtype), out=shares, where=enough)
    spread = tuple([(sizes[w.axis], w.count) for w in found]), SPREAD, 0, 1, axes, False
    held = None if out is not None and there is not None and np.may_share_memory(out, there) else out
    y: np.ndarray = pool(SUM, shares, spread, (g.dtype,), ("propagate", None, 1, None), held, num_threads)
    if there is not None:
        absent.clear(y, there)
    return y if held is out else into(out, y)


@lru_cache(maxsize=256, typed=True)
def _shares(
    shape: tuple[int, ...], output_size: Any, axis: Any
) -> tuple[tuple[Window, ...], tuple[int, ...], np.ndarray | None]:
    """Return the bins, their axes, and how many cells each has, unless that is the same for all."""
    found = adaptive(shape, output_size, axis)
    axes = tuple([w.axis for w in found])
    if all(w.bins is None for w in found):
        return found, axes, None
    divisors = np.ones((1,) * len(shape))
    for w in found:
        cells = np.full(1, w.kernel) if w.bins is None else w.bins[:, 1] - w.bins[:, 0]
        divisors = divisors * cells.reshape([-1 if a == w.axis else 1 for a in range(len(shape))])
    return found, axes, divisors
