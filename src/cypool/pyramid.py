"""Spatial pyramid pooling: adaptive pools of several sizes, one after the other in a result of fixed length.

The edges of all levels cut each axis into parts, which no bin divides. They are pooled first, so that the input is read
once, whatever the levels; every bin of a level is a run of parts. Backwards the parts are what cells share.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from cypool import gradients
from cypool.arrays import array, check_out, empty
from cypool.calls import pool
from cypool.dtypes import kind_of
from cypool.geometry import ADAPTIVE, SPREAD, TABLE, adaptive, edges, flag, integer, sequence
from cypool.plan import MAX, SUM
from cypool.threads import resolve

Pairs = tuple[tuple[int, int], ...]
_PLAIN = ("propagate", None, 1, None)


class _Level(NamedTuple):
    """One level: how many bins an axis has, where they start in the result, which parts they are, their cells."""

    sizes: tuple[int, ...]
    first: int
    parts: tuple[Pairs, ...]
    edges: tuple[np.ndarray, ...]
    cells: np.ndarray


class _Pyramid(NamedTuple):
    """The axes of a pyramid, the parts of each that no bin divides, and its levels."""

    axes: tuple[int, ...]
    parts: tuple[Pairs, ...]
    levels: tuple[_Level, ...]
    length: int

    def view(self, result: np.ndarray, level: _Level) -> np.ndarray:
        """Return a level of a result with its bins as axes, where those of the input are."""
        kept = result.shape[:-1]
        bins = result[..., level.first : level.first + prod(level.sizes)].reshape(kept + level.sizes)
        return np.moveaxis(bins, range(len(kept), bins.ndim), self.axes)


def spatial_pyramid_pool(
    x: Any,
    levels: Sequence[Any] = (1, 2, 4),
    *,
    op: str = "max",
    axis: Any = None,
    return_indices: bool = False,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the bins of several adaptive pools in one row, as long for any size of the input.

    ``y[..., j] = max or mean of the cells of bin j``, for the bins of all levels in order, those of a level in row-major
    order. Bin i of an axis of n cells is ``[floor(i * n / b), ceil((i + 1) * n / b))`` at a level of b bins.

    Parameters
    ----------
    x : array_like
        The array to pool, of any dtype that `max_pool` or `avg_pool` takes.
    levels : sequence of int or of one int per pooled axis
        Bins of each level along each pooled axis.
    op : "max" or "avg"
        What to take of each bin.
    axis : int or sequence of int, optional
        The axes to pool. If not given: all but the first two of an array of three or more axes, else every axis.
    return_indices : bool
        With "max", also return the row-major position of each maximum within the pooled axes.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    y : ndarray
        Of the kept axes and then one axis of all bins, in C order; of the dtype that `max_pool` or `avg_pool` gives. A
        float mean of n cells is within ``(log2(n) + 6) * eps`` of the mean of their absolute values.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`, int64.

    Raises
    ------
    ValueError
        An argument is out of range, or a pooled axis has no cell.
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError, MemoryError
        There are more bins than can be numbered, or than there is memory for.

    See Also
    --------
    adaptive_max_pool, adaptive_avg_pool, spatial_pyramid_pool_grad

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition,
    ECCV 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.arange(15).reshape(3, 5)
    >>> cypool.spatial_pyramid_pool(x, (1, 2))
    array([14,  7,  9, 12, 14])
    >>> cypool.spatial_pyramid_pool(np.ones((8, 64, 13, 17))).shape
    (8, 64, 21)
    """
    if type(x) is not np.ndarray:
        x = array(x)
    mean = _mean(op)
    if flag("return_indices", return_indices) and mean:
        raise ValueError(f"return_indices must be False for op 'avg', got {return_indices!r}")
    plan = _plan(x.shape, levels, axis)
    kept = tuple([n for a, n in enumerate(x.shape) if a not in plan.axes])
    shape = *kept, plan.length
    dtype = np.dtype(np.float64) if mean and kind_of(x.dtype) in "biu" else x.dtype.newbyteorder("=")
    if out is not None:
        check_out(out, shape, dtype)
    # The kernel writes only into arrays of its own: out may overlap x.
    y = empty(shape, dtype, "C")
    z = empty(shape, np.dtype(np.int64), "C") if return_indices else None
    window = plan.parts, TABLE, 0, 1, plan.axes, False
    if mean:
        # Halves are added up in float32; sums of the widest integers might not fit.
        kind, width = kind_of(x.dtype), x.dtype.itemsize
        lanes = np.float32 if (kind, width) == ("f", 2) else np.float64 if kind in "iu" and width == 8 else None
        parts = pool(SUM, x, window, (lanes,), _PLAIN, None, num_threads)
    elif z is None:
        parts = pool(MAX, x, window, (False,), _PLAIN, None, num_threads)
    for level in plan.levels:
        bins = plan.view(y, level)
        runs = level.parts, TABLE, 0, 1, plan.axes, False
        if mean:
            total = pool(SUM, parts, runs, (None,), _PLAIN, None, num_threads)
            bins[...] = total / (level.cells if total.dtype.kind in "iu" else level.cells.astype(total.real.dtype))
        elif z is None:
            pool(MAX, parts, runs, (False,), _PLAIN, bins, num_threads)
        else:
            # The first of equal cells need not be in the first of the parts that hold them.
            sizes = level.sizes, ADAPTIVE, 0, 1, plan.axes, False
            bins[...], plan.view(z, level)[...] = pool(MAX, x, sizes, (True,), _PLAIN, None, num_threads)
    if out is not None:
        out[...] = y
        y = out
    return y if z is None else (y, z)


def spatial_pyramid_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
    levels: Sequence[Any] = (1, 2, 4),
    *,
    op: str = "max",
    axis: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `spatial_pyramid_pool` with respect to its input.

    ``g[c] = sum over j of grad[..., j], for the bins j whose index names cell c``; for the mean
    ``sum over j of grad[..., j] / n[j], for the bins j that hold cell c and n[j] cells``.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, of its shape: of a float dtype, or complex for the mean.
        Halves are added up in float32.
    indices : array_like or None
        The indices that the pool returned, for "max"; None for "avg". -1 is none: such a bin hands on nothing.
    shape : sequence of int
        The shape of the pool's input.
    levels, op, axis
        Those of the pool.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`, in C order.

    Raises
    ------
    ValueError
        An argument is out of range, `grad` has not the shape of the pool's result, or an index names no cell of its
        bin.
    TypeError, OverflowError, MemoryError
        As for `spatial_pyramid_pool`.

    See Also
    --------
    spatial_pyramid_pool

    Examples
    --------
    >>> import cypool
    >>> y, indices = cypool.spatial_pyramid_pool([3.0, 1, 4, 1, 5], (1, 2), return_indices=True)
    >>> cypool.spatial_pyramid_pool_grad([1.0, 2.0, 4.0], indices, (5,), (1, 2))
    array([0., 0., 2., 0., 5.])
    >>> cypool.spatial_pyramid_pool_grad([5.0, 3.0, 6.0], None, (5,), (1, 2), op="avg")
    array([2., 2., 4., 3., 3.])
    """
    g = gradients.array_of("grad", grad)
    mean = _mean(op)
    sizes = tuple([integer("shape", n, 0) for n in sequence("shape", shape)])
    plan = _plan(sizes, levels, axis)
    pooled = *(n for a, n in enumerate(sizes) if a not in plan.axes), plan.length
    if kind_of(g.dtype) not in ("fc" if mean else "f"):
        raise TypeError(f"grad must have a float{' or complex' if mean else ''} dtype, got {g.dtype}: use grad.astype")
    if g.shape != pooled:
        raise ValueError(f"grad must have the shape of the pool's result, {pooled}, got {g.shape}")
    lanes = np.dtype(np.float32) if g.dtype.itemsize == 2 else g.dtype
    if (indices is None) != mean:
        raise ValueError(f"indices must be given for op 'max' and be None for 'avg', got {indices!r} for {op!r}")
    if not mean:
        resolve(num_threads)
        z = gradients.array_of("indices", indices)
        if out is not None:
            check_out(out, sizes, g.dtype)
        if z.dtype.kind != "i":
            raise TypeError(f"indices must be of a signed integer dtype, got {z.dtype}")
        if z.shape != pooled:
            raise ValueError(f"indices must have the shape of the pool's result, {pooled}, got {z.shape}")
        found = [_winners(plan, level, sizes, plan.view(g, level), plan.view(z, level)) for level in plan.levels]
        result = np.zeros(sizes, g.dtype) if out is None else out
        result[...] = 0
        cells = [np.concatenate(of) for of in zip(*(c for c, _ in found), strict=True)]
        place = np.ravel_multi_index(cells, sizes)
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        if first.size:
            # As many cells as there are bins, at most: the shares of each are added up in the order of the bins.
            shares = np.concatenate([s for _, s in found]).astype(lanes)
            result[tuple([c[order[first]] for c in cells])] = np.add.reduceat(shares[order], first)
        return result
    held = np.zeros([len(plan.parts[plan.axes.index(a)]) if a in plan.axes else n for a, n in enumerate(sizes)], lanes)
    for level in plan.levels:
        shares = plan.view(g, level).astype(lanes) / level.cells.astype(held.real.dtype)
        runs = tuple([(len(p), r) for p, r in zip(plan.parts, level.parts, strict=True)])
        held += pool(SUM, shares, (runs, SPREAD, 0, 1, plan.axes, False), (None,), _PLAIN, None, num_threads)
    every = tuple([(sizes[a], p) for a, p in zip(plan.axes, plan.parts, strict=True)])
    kind = (None if lanes == g.dtype else g.dtype,)
    y: np.ndarray = pool(SUM, held, (every, SPREAD, 0, 1, plan.axes, False), kind, _PLAIN, out, num_threads)
    return y


def _mean(op: Any) -> bool:
    if not isinstance(op, str) or op not in ("max", "avg"):
        raise ValueError(f"op must be 'max' or 'avg', got {op!r}")
    return op == "avg"


def _winners(
    plan: _Pyramid, level: _Level, shape: tuple[int, ...], grad: np.ndarray, indices: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the cells that the indices of a level name, and what they get."""
    named = indices != -1
    position = np.nonzero(named)
    index = indices[position]
    lengths = [shape[a] for a in plan.axes]
    good = (index >= 0) & (index < prod(lengths))
    cells = list(position)
    for a, at, table in zip(plan.axes, np.unravel_index(np.where(good, index, 0), lengths), level.edges, strict=True):
        good &= (at >= table[position[a], 0]) & (at < table[position[a], 1])
        cells[a] = at
    if not good.all():
        first = int(np.argmin(good))
        where = tuple(int(p[first]) for p in position)
        raise ValueError(
            f"indices must name cells of their bins, got {index[first]} for bin {where} of level {level.sizes}"
        )
    return tuple(cells), grad[position]


def _plan(shape: tuple[int, ...], levels: Any, axis: Any) -> _Pyramid:
    given = tuple([tuple(b) if isinstance(b, (list, np.ndarray)) else b for b in sequence("levels", levels)])
    if not given:
        raise ValueError(f"levels must have at least one entry, got {levels!r}")
    if axis is None and len(shape) >= 3:
        axis = tuple(range(2, len(shape)))
    elif axis is None:
        axis = tuple(range(len(shape)))
    axis = tuple(axis) if isinstance(axis, list) else axis
    try:
        return _planned(shape, given, axis)
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        return _planned.__wrapped__(shape, given, axis)


@lru_cache(maxsize=64, typed=True)
def _planned(shape: tuple[int, ...], levels: tuple[Any, ...], axis: Any) -> _Pyramid:
    every = [adaptive(shape, bins, axis, "levels") for bins in levels]
    axes = tuple([w.axis for w in every[0]])
    tables = [[edges(w.size, w.count) for w in found] for found in every]
    corners = [np.unique(np.concatenate([t[i].ravel() for t in tables])) for i in range(len(axes))]
    made = []
    first = 0
    for found, bins in zip(every, tables, strict=True):
        cells = np.ones((1,) * len(shape))
        for w, table in zip(found, bins, strict=True):
            along = [-1 if a == w.axis else 1 for a in range(len(shape))]
            cells = cells * (table[:, 1] - table[:, 0]).reshape(along)
        parts = tuple([_pairs(np.searchsorted(c, table)) for c, table in zip(corners, bins, strict=True)])
        sizes = tuple([w.count for w in found])
        made.append(_Level(sizes, first, parts, tuple(bins), cells))
        first += prod(sizes)
    return _Pyramid(axes, tuple([_pairs(np.stack([c[:-1], c[1:]], axis=1)) for c in corners]), tuple(made), first)


def _pairs(table: np.ndarray) -> Pairs:
    return tuple([(int(start), int(stop)) for start, stop in table])
