"""Cells that take no part in a pool: those that `where` leaves out, and NaN under a `nan_policy`."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from cypool.geometry import Window, integer

POLICIES = ("propagate", "omit", "raise")
BLOCK = 1 << 16
"""Cells that are looked at together for NaN."""


class Gaps(NamedTuple):
    """The arguments nan_policy, where, min_count and fill_value, checked.

    `layout` is what a plan depends on, or None if every window is sure to have cells enough.
    """

    refuse: bool
    where: np.ndarray | None
    least: int
    missing: Any
    layout: tuple[bool, tuple[int, ...] | None, int] | None


def gaps(shape: tuple[int, ...], has_nan: bool, nan_policy: Any, where: Any, min_count: Any, missing: Any) -> Gaps:
    """Check the arguments of a pool of an array of this shape."""
    if not isinstance(nan_policy, str) or nan_policy not in POLICIES:
        raise ValueError(f"nan_policy must be 'propagate', 'omit' or 'raise', got {nan_policy!r}")
    least = min(integer("min_count", min_count, 0), 2**62)
    if where is True:
        where = None
    if where is not None:
        where = np.asarray(where)
        if where.dtype != np.bool_:
            raise TypeError(f"where must be a boolean array, got dtype {where.dtype}")
        try:
            where = np.broadcast_to(where, shape)
        except ValueError:
            raise ValueError(f"where must broadcast to the shape of x, {shape}, got shape {where.shape}") from None
    omit = nan_policy == "omit" and has_nan
    layout = None
    if omit or where is not None or least > 1:
        layout = omit, None if where is None else where.strides, least
    return Gaps(nan_policy == "raise" and has_nan, where, least, missing, layout)


def fill(gaps: Gaps, dtype: np.dtype) -> np.ndarray:
    """Return twice what windows without enough cells get in a result of this dtype."""
    whole = dtype.kind in "biu"
    if gaps.missing is None:
        if whole and (gaps.where is not None or gaps.least > 1):
            raise ValueError(
                f"fill_value must be given for a result of dtype {dtype}, "
                "which has no NaN for windows without enough cells"
            )
        value = np.zeros((), dtype) if whole else np.array("NaT" if dtype.kind in "mM" else np.nan).astype(dtype)
    else:
        given = np.asarray(gaps.missing)
        value = given
        fits = given.shape == () and (given.dtype.kind in "biuf" if whole else np.can_cast(given, dtype, "same_kind"))
        if fits:
            with np.errstate(invalid="ignore"):
                value = given.astype(dtype)
            fits = not whole or bool(value == given)
        if not fits:
            raise ValueError(f"fill_value must be one number that dtype {dtype} can hold, got {gaps.missing!r}")
    return np.full(2, value, dtype)


def has_nan(y: np.ndarray) -> bool:
    """Whether an array of floats, complex numbers or times holds a NaN."""
    return any(np.isnan(y[block]).any() for block in _blocks(y.shape))


def first_nan(x: np.ndarray, found: Sequence[Window], where: np.ndarray | None) -> tuple[int, ...] | None:
    """Return the position of the first NaN in row-major order that lies in a window, or None."""
    for block in _blocks(x.shape):
        bad = np.isnan(x[block])
        if where is not None:
            bad &= where[block]
        if bad.any():
            for w in found:
                cells = block[w.axis]
                line = [1] * x.ndim
                line[w.axis] = cells.stop - cells.start
                bad &= _touched(w, cells.start, cells.stop).reshape(line)
            if bad.any():
                inside = np.unravel_index(int(bad.argmax()), bad.shape)
                return tuple(int(i) + cells.start for i, cells in zip(inside, block, strict=True))
    return None


def clear(x: np.ndarray, where: np.ndarray) -> None:
    """Set the cells of x that are not there to 0, in place."""
    for block in _blocks(x.shape):
        np.copyto(x[block], np.zeros((), x.dtype), where=~where[block])


def _touched(w: Window, first: int, last: int) -> np.ndarray:
    """Whether each of the cells `first`..`last` - 1 of an axis lies under a tap of some window."""
    if w.bins is not None:
        # Starts and stops both grow: of the bins that start no later than a cell, the last reaches furthest.
        cells = np.arange(first, last)
        bin_of = np.searchsorted(w.bins[:, 0], cells, "right") - 1
        return (bin_of >= 0) & (cells < w.bins[bin_of, 1])  # type: ignore[no-any-return]
    # Tap t of window v lies on cell c if t * dilation + v * stride = c + low =: p, so t is known modulo m.
    divisor = gcd(w.stride, w.dilation)
    m = w.stride // divisor
    small = max(m * m, w.extent + w.low + last + w.count * w.stride) < 2**62
    p = np.arange(first, last, dtype=np.int64 if small else object) + w.low
    least = np.maximum(0, -(-(p - (w.count - 1) * w.stride) // w.dilation))
    most = np.minimum(w.kernel - 1, p // w.dilation)
    tap = p // divisor % m * pow(w.dilation // divisor, -1, m) % m
    result = (p % divisor == 0) & (least + (tap - least) % m <= most)
    return result.astype(bool)  # type: ignore[no-any-return]


def _blocks(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Cut an array into boxes of about `BLOCK` cells, in row-major order."""
    if 0 in shape:
        return
    axis = 0
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) > BLOCK:
        axis += 1
    step = max(1, BLOCK // prod(shape[axis + 1 :]))
    inner = [slice(0, n) for n in shape[axis + 1 :]]
    for outer in product(*(range(n) for n in shape[:axis])):
        for start in range(0, shape[axis], step):
            yield (
                *(slice(i, i + 1) for i in outer),
                slice(start, min(start + step, shape[axis])),
                *inner,
            )
