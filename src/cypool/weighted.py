"""Averages whose weights are given or grow with the cells, and their gradients."""

from typing import Any

import numpy as np

from cypool import arrays
from cypool import window_calls as call
from cypool.geometry import pooled_shape, windows
from cypool.window_calls import Formula

_WEIGHTED = Formula("weighted", passes=(False, True), again=(False, True))
_WEIGHTS = _WEIGHTED._replace(op="weights")
_SOFT = Formula("soft", again=(True, True))


def weighted_avg_pool(
    x: Any,
    weights: Any,
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
    """Return the weighted average of each window.

    ``y[w] = sum of weights[c] * x[c] / sum of weights[c], over the cells c of window w``. Padding has no weight.

    Parameters
    ----------
    x : array_like
        The array to pool, with any number of axes and any strides: bool, any integer, float16, bfloat16, float32 or
        float64.
    weights : array_like
        Real numbers in a shape that broadcasts to that of `x`: a mask, areas, an attention map, or as many weights as
        cells. They may be negative, but then a sum of weights may come near 0 and its error grow without bound.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The averages, of the dtype of `x`, or float64 for integers; in C order, or in Fortran order if `x` is. A window
        whose weights add up to 0 gives NaN. So does one with a NaN, even of weight 0, as in ``numpy.average``: give
        such a cell another value. Products and sums are made in float64 and must not overflow it; for weights that are
        not negative the result is within ``32 * eps * sum(weights * abs(x)) / sum(weights)`` and rounded once.

    Raises
    ------
    ValueError
        As for `lp_pool`, or `weights` do not broadcast.
    TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    weighted_avg_pool_grad, soft_pool, avg_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.weighted_avg_pool([1.0, 5.0, 4.0, 8.0], [3, 1, 1, 1], 2)
    array([2., 6.])
    """
    x = call.given("x", x)
    weights = call.broadcast("weights", call.given("weights", weights), x.shape)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call.forward(_WEIGHTED, x, window, weights=weights, out=out, num_threads=num_threads)


def weighted_avg_pool_grad(
    grad: Any,
    x: Any,
    weights: Any,
    y: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    out: tuple[np.ndarray, np.ndarray] | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of `weighted_avg_pool` with respect to its input and to the weights.

    With s[w] for the sum of the weights of window w, and sums over the windows w that hold cell c,
    ``gx[c] = sum of grad[w] * weights[c] / s[w]`` and ``gw[c] = sum of grad[w] * (x[c] - y[w]) / s[w]``, the latter added
    up over all cells that share a weight.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, as for `lp_pool_grad`.
    x, weights : array_like
        What was pooled, and its weights.
    y : array_like
        The pool, `weighted_avg_pool` of both with the same arguments.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `weighted_avg_pool`.
    out : tuple of two ndarrays, optional
        Where to put `gx` and `gw`; they must have exactly their shapes and dtypes.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    gx : ndarray
        The gradient with respect to `x`, of its shape and the dtype of `grad`.
    gw : ndarray
        The gradient with respect to the weights, of their shape and the dtype of `grad`. Both are added up in float64,
        in an order that depends on the arguments alone. Where the weights are one along a pooled axis, the sum over it
        is made from an array with all its cells.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool_grad` and `weighted_avg_pool`.

    See Also
    --------
    weighted_avg_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.weighted_avg_pool_grad([1.0], [1.0, 5.0], [3.0, 1.0], [2.0], 2)
    (array([0.75, 0.25]), array([-0.25,  0.75]))
    """
    x, given, y, grad = call.given("x", x), call.given("weights", weights), call.given("y", y), call.given("grad", grad)
    weights = call.broadcast("weights", given, x.shape)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    found = windows(x.shape, *window)
    shape = pooled_shape(x.shape, found)
    call.same_shape("grad", grad, shape)
    call.same_shape("y", y, shape)
    to_x, to_weights = _pair(out, (x.shape, given.shape), call.grad_type(grad))
    if to_x is not None and any(np.may_share_memory(to_x, a) for a in (weights, y, grad, x, to_weights)):
        to_x = None
    gx = call.gradient(_WEIGHTED, grad, x, window, weights=weights, out=to_x, num_threads=num_threads)
    sizes = (1,) * (x.ndim - given.ndim) + given.shape
    once = [n == 1 and m != 1 for n, m in zip(sizes, x.shape, strict=True)]
    pooled = {w.axis for w in found}
    axes = tuple([a for a in pooled if once[a]])
    gw = call.gradient(
        _WEIGHTS, grad, x, window, weights=weights, y=y, num_threads=num_threads,
        summed=[shared and a not in pooled for a, shared in enumerate(once)],
        dtype=np.dtype(np.float64) if axes else None,
    )  # fmt: skip
    if axes:
        gw = gw.sum(axis=axes, keepdims=True).astype(gx.dtype)
    gw = gw.reshape(given.shape)
    return (gx, gw) if out is None else (arrays.into(out[0], gx), arrays.into(out[1], gw))


def _pair(out: Any, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype) -> tuple[Any, ...]:
    """Check the places of two results; they are not to be one."""
    if out is None:
        return None, None
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"out must be a tuple of two arrays, got {out!r:.60}")
    for one, shape in zip(out, shapes, strict=True):
        arrays.check_out(one, shape, dtype)
    if np.may_share_memory(*out):
        raise ValueError("out must be two arrays that share no memory")
    return out


def soft_pool(
    x: Any,
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
    """Return the average of each window with weights that grow exponentially with its cells.

    ``y[w] = sum of exp(x[c]) * x[c] / sum of exp(x[c]), over the cells c of window w``. The largest cell is taken out
    first, so that no exponential overflows. Padding adds nothing, nor do cells of -inf.

    Parameters
    ----------
    x : array_like
        The array to pool; see `lp_pool`.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The averages, of the dtype of `x`, or float64 for integers; in C order, or in Fortran order if `x` is. They are
        computed in float64, within ``32 * eps * (abs(m) + 1)`` with m for the largest cell, and rounded once.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    soft_pool_grad, logsumexp_pool, weighted_avg_pool

    References
    ----------
    Stergiou, Poppe, Kalliatakis: Refining activation downsampling with SoftPool, 2021.

    Examples
    --------
    >>> import cypool
    >>> cypool.soft_pool([3.0, 3.0, 1000.0, 0.0], 2)
    array([   3., 1000.])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call.forward(_SOFT, call.given("x", x), window, out=out, num_threads=num_threads)


def soft_pool_grad(
    grad: Any,
    x: Any,
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
    """Return the gradient of `soft_pool` with respect to its input.

    ``g[c] = sum over w of grad[w] * e[c] * (1 + x[c] - y[w]), for the windows w that hold cell c``, where e is the softmax
    of the window. It is the gradient of the whole formula, weights included; y is worked out again from `x`.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, as for `lp_pool_grad`.
    x : array_like
        What was pooled.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `soft_pool`.
    out, num_threads
        As for `lp_pool_grad`.

    Returns
    -------
    ndarray
        The gradient; see `lp_pool_grad`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool_grad`.

    See Also
    --------
    soft_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.soft_pool_grad([1.0], [0.0, 0.0], 2)
    array([0.5, 0.5])
    """
    x, grad = call.given("x", x), call.given("grad", grad)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    call.same_shape("grad", grad, call.pooled(x.shape, window))
    return call.gradient(_SOFT, grad, x, window, out=out, num_threads=num_threads)
