"""Fractional max pooling: windows of one size whose places are drawn, so that any ratio of sizes can be had."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from cypool import gradients
from cypool.arrays import array, empty, into
from cypool.calls import pool
from cypool.dtypes import index_type
from cypool.geometry import TABLE, Window, integer, pooled_shape, sequence, windows
from cypool.plan import MAX

Pairs = tuple[tuple[int, int], ...]
_PLAIN = ("propagate", None, 1, None)


def fractional_max_pool(
    x: Any,
    kernel_size: Any,
    *,
    output_size: Any = None,
    output_ratio: Any = None,
    axis: Any = None,
    rng: Any = None,
    samples: Any = None,
    return_indices: bool | str = False,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the largest cell of windows of one size that lie a fractional, randomly rounded step apart.

    ``y[i] = max of x[start(i) : start(i) + k]`` with ``start(i) = floor((i + u) * a) - floor(u * a)``, the step
    ``a = (n - k) / (o - 1)`` and a sample u in [0, 1) for each axis of n cells and o windows; the last window ends with
    the axis.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `max_pool` takes.
    kernel_size : int or sequence of int
        Cells of a window along each pooled axis.
    output_size : int or sequence of int
        Windows along each pooled axis.
    output_ratio : float or sequence of float
        Instead of `output_size`: windows per cell, between 0 and 1; ``int(n * ratio)`` of them.
    axis : int or sequence of int, optional
        The axes to pool, as for `max_pool`.
    rng : None, int, numpy.random.Generator or whatever `numpy.random.default_rng` takes
        Where samples come from if none are given: one for each pooled axis, the same in all planes.
    samples : array_like, optional
        The samples: one for each pooled axis, in the order of the axes, or such a set for each plane, in an array of
        the kept axes and then one. The places are computed in their precision, float32 or float64.
    return_indices, out, num_threads
        As for `max_pool`.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `x`; in C order, or in Fortran order if `x` is. The same samples, or the same
        seed, give the same result for any number of threads.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`.

    Raises
    ------
    ValueError
        An argument is out of range, or an axis is too short for as many different windows.
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    max_pool, adaptive_max_pool, fractional_max_pool_grad

    Notes
    -----
    The sequence is that of PyTorch, which in two dimensions takes the sample of the last axis first.

    References
    ----------
    B. Graham: Fractional Max-Pooling, arXiv:1412.6071.

    Examples
    --------
    >>> import cypool
    >>> cypool.fractional_max_pool([3, 1, 4, 1, 5, 9, 2, 6], 2, output_size=5, samples=[0.4])
    array([3, 4, 5, 9, 6])
    """
    if type(x) is not np.ndarray:
        x = array(x)
    found = windows(x.shape, kernel_size, 1, 0, 1, axis, False)
    sizes = _sizes(found, output_size, output_ratio)
    axes = tuple([w.axis for w in found])
    kept = tuple([n for a, n in enumerate(x.shape) if a not in axes])
    if samples is None:
        samples = np.random.default_rng(rng).random(len(axes))
    samples = _samples(samples, kept, len(axes))
    if samples.ndim == 1:
        window = _places(found, sizes, samples), TABLE, 0, 1, axes, False
        return pool(MAX, x, window, (return_indices,), _PLAIN, out, num_threads)
    shape = pooled_shape(x.shape, [w._replace(count=o) for w, o in zip(found, sizes, strict=True)])
    order = "F" if x.flags.fnc else "C"
    y = empty(shape, x.dtype.newbyteorder("="), order)
    index_dtype, _ = index_type(return_indices, found)
    z = None if index_dtype is None else empty(shape, index_dtype, order)
    last = range(-len(axes), 0)
    planes_x, planes_y = np.moveaxis(x, axes, last), np.moveaxis(y, axes, last)
    planes_z = None if z is None else np.moveaxis(z, axes, last)
    for plane in product(*map(range, kept)):
        window = _places(found, sizes, samples[plane]), TABLE, 0, 1, tuple(range(len(axes))), False
        result = pool(MAX, planes_x[plane], window, (return_indices,), _PLAIN, None, num_threads)
        if planes_z is None:
            planes_y[plane] = result
        else:
            planes_y[plane], planes_z[plane] = result
    y = into(out, y)
    return y if z is None else (y, z)


def fractional_max_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
    kernel_size: Any,
    *,
    axis: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `fractional_max_pool` with respect to its input.

    ``g[c] = sum over w of grad[w], for the windows w whose index names cell c``. Where windows lay is not known any more:
    an index may name any cell of the pooled axes.

    Parameters
    ----------
    grad
        As for `max_pool_grad`, of the shape of the pool's result.
    indices : array_like
        The positions within the pooled axes that the pool returned with ``return_indices=True``; -1 is none.
    shape : sequence of int
        The shape of the pool's input.
    kernel_size, axis
        Those of the pool.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`; in C order, or in Fortran order if `grad` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool_grad`.

    See Also
    --------
    fractional_max_pool, max_pool_grad

    Examples
    --------
    >>> import cypool
    >>> x = [3, 1, 4, 1, 5, 9, 2, 6]
    >>> y, indices = cypool.fractional_max_pool(x, 2, output_size=5, samples=[0.4], return_indices=True)
    >>> cypool.fractional_max_pool_grad([1.0, 2.0, 3.0, 4.0, 5.0], indices, (8,), 2)
    array([1., 0., 2., 0., 3., 4., 0., 5.])
    """
    g, z = gradients.array_of("grad", grad), gradients.array_of("indices", indices)
    if z.dtype.kind != "i":
        raise TypeError(f"indices must be of a signed integer dtype, positions in the pooled axes, got {z.dtype}")
    lengths = tuple([integer("shape", n, 0) for n in sequence("shape", shape)])
    found = windows(lengths, kernel_size, 1, 0, 1, axis, False)
    if g.ndim != len(lengths):
        raise ValueError(f"grad must have the {len(lengths)} axes of the pool's result, got shape {g.shape}")
    anywhere = tuple([((0, w.size),) * g.shape[w.axis] for w in found])
    if not all(anywhere):
        raise ValueError(f"grad must have the shape of the pool's result, which is never empty, got {g.shape}")
    window = anywhere, TABLE, 0, 1, tuple([w.axis for w in found]), False
    return gradients.call("grad", g, z, lengths, window, (), out, num_threads)


def _sizes(found: Sequence[Window], output_size: Any, output_ratio: Any) -> list[int]:
    """Return how many windows each axis is to have."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"output_size or output_ratio must be given, and not both, got {output_size!r} and {output_ratio!r}"
        )
    name, value = ("output_size", output_size) if output_ratio is None else ("output_ratio", output_ratio)
    given = list(value) if isinstance(value, (tuple, list)) else [value] * len(found)
    if len(given) != len(found):
        raise ValueError(f"{name} must have one entry per pooled axis ({len(found)}), got {value!r}")
    sizes = []
    for w, one in zip(found, given, strict=True):
        if output_ratio is None:
            sizes.append(integer(name, one, 1))
        elif not isinstance(one, (float, np.floating)) or not 0 < one < 1:
            raise ValueError(f"output_ratio must be a float between 0 and 1, got {one!r}")
        else:
            sizes.append(int(w.size * one))
        if not 1 <= sizes[-1] <= w.count:
            raise ValueError(
                f"{name} must make at least one and at most {w.count} windows of {w.kernel} cells in axis {w.axis} of size "
                f"{w.size}, got {one!r}"
            )
    return sizes


def _samples(samples: Any, kept: tuple[int, ...], axes: int) -> np.ndarray:
    """Return the samples: for all planes, or for each."""
    given = np.asarray(samples)
    if given.dtype.kind != "f":
        raise TypeError(f"samples must be floats, got dtype {given.dtype}")
    if given.shape not in ((axes,), (*kept, axes)):
        raise ValueError(f"samples must have shape {(axes,)} or {(*kept, axes)}, got {given.shape}")
    if not ((given >= 0) & (given < 1)).all():
        raise ValueError(f"samples must be in [0, 1), got {given.ravel()[~((given >= 0) & (given < 1)).ravel()][0]}")
    return given.astype(np.float64 if given.dtype.itemsize >= 8 else np.float32)


def _places(found: Sequence[Window], sizes: Sequence[int], samples: np.ndarray) -> tuple[Pairs, ...]:
    """Return where the windows of each axis lie, in the arithmetic of the samples' type."""
    places = []
    for w, o, u in zip(found, sizes, samples, strict=True):
        room = w.size - w.kernel
        starts = [room]
        if o > 1:
            step = u.dtype.type(room) / u.dtype.type(o - 1)
            steps = ((np.arange(o - 1).astype(u.dtype) + u) * step).astype(np.int64) - int(u * step)
            # Rounding in float32 must not put a window past the end.
            starts = [*np.minimum(steps, room).tolist(), room]
        places.append(tuple([(s, s + w.kernel) for s in starts]))
    return tuple(places)
