"""Pools between the sum and the maximum, and their gradients: Lp norms, power means, log-sum-exp."""

from typing import Any

import numpy as np

from cypool import window_calls as call
from cypool.adaptive import without
from cypool.calls import Norm, pool
from cypool.dtypes import kind_of
from cypool.geometry import ADAPTIVE, flag
from cypool.plan import SUM
from cypool.window_calls import Formula


def lp_pool(
    x: Any,
    norm_type: float,
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
    """Return the Lp norm of each window.

    ``y[w] = (sum of abs(x[c]) ** p over the cells c of window w) ** (1 / p)``, with p for `norm_type`; for p = inf the
    largest ``abs(x[c])``. Padding adds nothing. No power overflows or vanishes on the way, so the result is right
    wherever it can be represented.

    Parameters
    ----------
    x : array_like
        The array to pool, with any number of axes and any strides: bool, any integer, float16, bfloat16, float32 or
        float64.
    norm_type : float
        The exponent, at least 1; may be inf. It need not be whole.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype. It may overlap `x`.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    ndarray
        The norms, of the dtype of `x`, or float64 for integers; in C order, or in Fortran order if `x` is. They are
        computed in float64, within ``32 * eps`` of the exact norm for windows of any size, and rounded once. A NaN
        makes its windows NaN.

    Raises
    ------
    ValueError
        An argument is out of range, an axis has no window, or a window touches no cell.
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    lp_pool_grad, global_lp_pool, power_mean_pool

    Notes
    -----
    torch's ``lp_pool2d`` is the same for positive cells and windows inside the array; its sums keep the sign of the
    cells, and it rescales windows that hang over the end in `ceil_mode`.

    Examples
    --------
    >>> import cypool
    >>> cypool.lp_pool([3.0, -4.0, 0.0, 5.0], 2, 2)
    array([5., 5.])
    >>> cypool.lp_pool([3e200, -4e200], 2, 2)
    array([5.e+200])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _norm(norm_type, call.given("x", x), window, out, num_threads)


def lp_pool_grad(
    grad: Any,
    x: Any,
    y: Any,
    norm_type: float,
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
    """Return the gradient of `lp_pool` with respect to its input.

    ``g[c] = sum over w of grad[w] * sign(x[c]) * (abs(x[c]) / y[w]) ** (p - 1), for the windows w that hold cell c``;
    a window whose norm is zero hands on nothing. For p = inf the cells of a window that are as large as its norm share
    its gradient evenly.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, of the result's shape: float16, bfloat16, float32 or
        float64.
    x : array_like
        What was pooled.
    y : array_like
        The pool, `lp_pool` of `x` with the same arguments. An error of it counts p - 1 times in the gradient.
    norm_type, kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `lp_pool`.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype. It may overlap the other arrays.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    ndarray
        The gradient, of the shape of `x` and the dtype of `grad`; in C order, or in Fortran order if `grad` is. Parts
        are computed and added in float64, in an order that depends on the arguments alone.

    Raises
    ------
    ValueError
        An argument is out of range, or `grad` or `y` has not the shape of the pool's result.
    TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    lp_pool

    Examples
    --------
    >>> import cypool
    >>> x = [3.0, -4.0, 0.0, 0.0]
    >>> y = cypool.lp_pool(x, 2, 2)
    >>> cypool.lp_pool_grad([1.0, 1.0], x, y, 2, 2)
    array([ 0.6, -0.8,  0. ,  0. ])
    """
    formula = _lp(norm_type)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _gradient(formula, grad, x, y, window, out, num_threads)


def global_lp_pool(
    x: Any,
    norm_type: float = 2,
    *,
    axis: Any = None,
    keepdims: bool = True,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the Lp norm of all cells along some axes: `lp_pool` with one window as large as they are.

    Parameters
    ----------
    x : array_like
        The array to pool; see `lp_pool`.
    norm_type : float
        The exponent; see `lp_pool`.
    axis : int or sequence of int, optional
        The axes to pool. If not given: all but the first two of an array of three axes or more, else all.
    keepdims : bool
        Whether these axes stay, with size 1.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The norms; see `lp_pool`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    lp_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> cypool.global_lp_pool(np.full((1, 2, 4, 4), 3.0), keepdims=False)
    array([[12., 12.]])
    """
    array, keepdims = call.given("x", x), flag("keepdims", keepdims)
    if axis is None and array.ndim >= 3:
        axis = tuple(range(2, array.ndim))
    window = 1, ADAPTIVE, 0, 1, axis, False
    if keepdims:
        return _norm(norm_type, array, window, out, num_threads)
    axes, room = without(array, axis, out)
    y = _norm(norm_type, array, window, room, num_threads)
    return y.squeeze(axes) if out is None else out


def power_mean_pool(
    x: Any,
    p: float,
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
    """Return the power mean of each window, also called generalised mean or GeM.

    ``y[w] = (mean of x[c] ** p over the cells c of window w) ** (1 / p)``: the average for p = 1, ever closer to the
    maximum as p grows. Cells of padding are not counted. No power overflows or vanishes on the way.

    Parameters
    ----------
    x : array_like
        The array to pool, of non-negative cells; see `lp_pool`. A negative cell makes its windows NaN, as a power of
        it would: clip the array first if it may have some.
    p : float
        The exponent, positive and finite.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The means; dtype, order and error are those of `lp_pool`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    power_mean_pool_grad, lp_pool, avg_pool

    References
    ----------
    Radenovic, Tolias, Chum: Fine-tuning CNN image retrieval with no human annotation, 2018.

    Examples
    --------
    >>> import cypool
    >>> cypool.power_mean_pool([1.0, 7.0, 5.0, 5.0], 2, 2)
    array([5., 5.])
    """
    formula = _mean(p)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call.forward(formula, call.given("x", x), window, out=out, num_threads=num_threads)


def power_mean_pool_grad(
    grad: Any,
    x: Any,
    y: Any,
    p: float,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, float]:
    """Return the gradients of `power_mean_pool` with respect to its input and to p.

    ``g[c] = sum over w of grad[w] / n[w] * (x[c] / y[w]) ** (p - 1), for the windows w that hold cell c``, where n[w] is
    how many cells window w has. ``dp = sum over w of grad[w] * y[w] * (a[w] - log(m[w]) / p) / p``, where m[w] is the
    mean of ``x[c] ** p`` and a[w] the mean of ``log(x[c])`` with the weights ``x[c] ** p``. A window of nothing but
    zeros adds nothing to either.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, as for `lp_pool_grad`.
    x : array_like
        What was pooled.
    y : array_like
        The pool, `power_mean_pool` of `x` with the same arguments. An error of it counts p - 1 times in the gradient.
    p, kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `power_mean_pool`.
    out, num_threads
        As for `lp_pool_grad`; `out` is for the first of the two.

    Returns
    -------
    g : ndarray
        The gradient with respect to `x`; see `lp_pool_grad`.
    dp : float
        The gradient with respect to `p`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool_grad`.

    See Also
    --------
    power_mean_pool

    Examples
    --------
    >>> import cypool
    >>> x = [1.0, 7.0]
    >>> y = cypool.power_mean_pool(x, 2, 2)
    >>> g, dp = cypool.power_mean_pool_grad([1.0], x, y, 2, 2)
    >>> g
    array([0.1, 0.7])
    >>> round(dp, 4)
    0.7439
    """
    formula = _mean(p)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    array, back = call.given("x", x), call.given("grad", grad)
    slope = Formula("mean_slope", formula.p, counted=True)
    call.grad_type(back)
    call.same_shape("grad", back, call.pooled(array.shape, window))
    slopes = call.forward(slope, array, window, dtype=np.dtype(np.float64), num_threads=num_threads)
    # Products are made before `out` is written, which may be `grad` itself.
    slopes *= back.astype(np.float64)
    return _gradient(formula, back, array, y, window, out, num_threads), float(slopes.sum())


def logsumexp_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    temperature: float = 1.0,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the logarithm of the sum of exponentials of each window, a smooth maximum.

    ``y[w] = T * log(sum of exp(x[c] / T) over the cells c of window w)``, with T for `temperature`. Padding adds nothing.
    The largest cell is taken out first, so that no exponential overflows.

    Parameters
    ----------
    x : array_like
        The array to pool; see `lp_pool`.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    temperature : float
        Positive and finite: the lower, the closer to the maximum.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The smooth maxima, of the dtype of `x`, or float64 for integers; in C order, or in Fortran order if `x` is. They
        are computed in float64, within ``eps * (abs(y) + 32 * T)``, and rounded once. Cells of -inf add nothing.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    logsumexp_pool_grad, soft_pool, max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.logsumexp_pool([1000.0, 1000.0, 0.0, -1000.0], 2).round(4)
    array([1000.6931,    0.    ])
    """
    formula = _logsumexp(temperature)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call.forward(formula, call.given("x", x), window, out=out, num_threads=num_threads)


def logsumexp_pool_grad(
    grad: Any,
    x: Any,
    y: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    temperature: float = 1.0,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `logsumexp_pool` with respect to its input, a softmax within each window.

    ``g[c] = sum over w of grad[w] * exp((x[c] - y[w]) / T), for the windows w that hold cell c``.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, as for `lp_pool_grad`.
    x : array_like
        What was pooled.
    y : array_like
        The pool, of which only the shape matters: rounded to its dtype it would make wrong weights (for float32 and
        y = 1e6 by 6 %), so the kernel makes it again.
    kernel_size, stride, padding, dilation, axis, ceil_mode, temperature
        Those of the pool; see `logsumexp_pool`.
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
    logsumexp_pool

    Examples
    --------
    >>> import cypool
    >>> x = [1000.0, 1000.0, 0.0, -1000.0]
    >>> cypool.logsumexp_pool_grad([1.0, 1.0], x, cypool.logsumexp_pool(x, 2), 2)
    array([0.5, 0.5, 1. , 0. ])
    """
    formula = _logsumexp(temperature)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _gradient(formula, grad, x, y, window, out, num_threads)


# --- formulas ---------------------------------------------------------------------------------------------------

_SMALL = (1, 2, 3, 4)
"""Exponents that are made by multiplication. Below 5, powers of anything but float64 stay within float64."""


def _norm(norm_type: Any, x: np.ndarray, window: tuple[Any, ...], out: Any, num_threads: int | None) -> np.ndarray:
    formula = _lp(norm_type)
    if formula.op != "lp_small" or kind_of(x.dtype) != "f" or x.dtype.itemsize > 4:
        return call.forward(formula, x, window, out=out, num_threads=num_threads)
    # Such powers of float32 neither overflow in float64 nor vanish: they can be added up as any sum.
    missing = "propagate", None, 1, None
    y: np.ndarray = pool(SUM, x, window, (Norm(int(formula.p)),), missing, out, num_threads)
    return y


def _lp(norm_type: Any) -> Formula:
    p = call.real("norm_type", norm_type, 1, exclusive=False, infinite=True)
    if p == float("inf"):
        return Formula("lp_max", p, (True, False), (True, True))
    return Formula("lp_small", p, (p > 1, True), narrow=True) if p in _SMALL else Formula("lp_any", p)


def _mean(p: Any) -> Formula:
    p = call.real("p", p, 0, exclusive=True, infinite=False)
    return Formula("mean_small" if p in _SMALL else "mean_any", p, narrow=p in _SMALL, counted=True)


def _logsumexp(temperature: Any) -> Formula:
    return Formula(
        "logsumexp", call.real("temperature", temperature, 0, exclusive=True, infinite=False), again=(True, True)
    )


def _gradient(
    formula: Formula, grad: Any, x: Any, y: Any, window: tuple[Any, ...], out: Any, num_threads: int | None
) -> np.ndarray:
    x, y, grad = call.given("x", x), call.given("y", y), call.given("grad", grad)
    shape = call.pooled(x.shape, window)
    call.same_shape("grad", grad, shape)
    call.same_shape("y", y, shape)
    return call.gradient(formula, grad, x, window, y=y, out=out, num_threads=num_threads)
