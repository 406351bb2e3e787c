"""Stochastic pooling of Zeiler and Fergus (2013), and what it is on average."""

from typing import Any

import numpy as np

from cypool import arrays
from cypool import window_calls as call
from cypool.window_calls import Formula

_DRAWN = Formula("stochastic")
_EXPECTED = Formula("expected", again=(True, True))


def stochastic_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    rng: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a cell of each window, drawn with a probability in proportion to its value.

    ``P(y[w] = x[c]) = x[c] / sum of x, over the cells of window w``. One uniform number u is drawn per window, in row-major
    order of the result; the first cell is chosen, in row-major order of the pooled axes, at which the sum of the cells so
    far exceeds u times the sum of all. So equal generators give equal results, whatever the threads or the memory order.

    Parameters
    ----------
    x : array_like
        The array to pool, of non-negative cells; see `lp_pool`. The sum of a window must not overflow float64.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`.
    rng : None, int, sequence of int, BitGenerator or Generator
        Where the numbers come from: ``numpy.random.default_rng(rng).random``.
    out, num_threads
        As for `lp_pool`; `out` is for the values.

    Returns
    -------
    y : ndarray
        The chosen cells, of the dtype of `x`, or float64 for integers; in C order, or in Fortran order if `x` is.
    indices : ndarray
        Where they were: their row-major position within the pooled axes (int64), which `max_pool_grad` and
        `max_pool_take` take. A window of zeros has none to choose and gets 0 and its first cell; a NaN or a negative
        cell makes its windows NaN and is what they choose.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`; for what is no source of random numbers, what ``numpy.random.default_rng`` raises.

    See Also
    --------
    stochastic_pool_expectation, max_pool_grad

    References
    ----------
    Zeiler, Fergus: Stochastic pooling for regularization of deep convolutional neural networks, 2013.

    Examples
    --------
    >>> import cypool
    >>> cypool.stochastic_pool([0.0, 2.0, 0.0, 0.0], 2, rng=0)
    (array([2., 0.]), array([1, 2]))
    """
    x = call.given("x", x)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    shape = call.pooled(x.shape, window)
    order = "F" if x.flags.fnc else "C"
    if out is not None:
        arrays.check_out(out, shape, call.result_type(x.dtype))
    indices = arrays.empty(shape, np.dtype(np.int64), order)
    random = np.random.default_rng(rng).random(shape)
    y = call.forward(_DRAWN, x, window, random=random, indices=indices, out=out, num_threads=num_threads)
    return y, indices


def stochastic_pool_expectation(
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
    """Return what `stochastic_pool` gives on average, for use after training.

    ``y[w] = sum of x[c] ** 2 / sum of x[c], over the cells c of window w``; 0 for a window of zeros, NaN for one with a
    negative cell.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `stochastic_pool`.
    out, num_threads
        As for `lp_pool`.

    Returns
    -------
    ndarray
        The expectations; dtype, order and error are those of `lp_pool`. No square overflows or vanishes on the way.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `lp_pool`.

    See Also
    --------
    stochastic_pool, stochastic_pool_expectation_grad

    Examples
    --------
    >>> import cypool
    >>> cypool.stochastic_pool_expectation([1.0, 3.0, 0.0, 0.0], 2)
    array([2.5, 0. ])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call.forward(_EXPECTED, call.given("x", x), window, out=out, num_threads=num_threads)


def stochastic_pool_expectation_grad(
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
    """Return the gradient of `stochastic_pool_expectation` with respect to its input.

    ``g[c] = sum over w of grad[w] * (2 * x[c] - y[w]) / s[w], for the windows w that hold cell c``, where s[w] is the sum
    of window w; a window of zeros hands on nothing. y is worked out again from `x`.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, as for `lp_pool_grad`.
    x : array_like
        What was pooled.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `stochastic_pool_expectation`.
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
    stochastic_pool_expectation

    Examples
    --------
    >>> import cypool
    >>> cypool.stochastic_pool_expectation_grad([8.0], [1.0, 3.0], 2)
    array([-1.,  7.])
    """
    x, grad = call.given("x", x), call.given("grad", grad)
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    call.same_shape("grad", grad, call.pooled(x.shape, window))
    return call.gradient(_EXPECTED, grad, x, window, out=out, num_threads=num_threads)
