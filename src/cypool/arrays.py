"""What arrays a call takes and makes, and how a kernel sees them: as memory, a first element and strides."""

from collections.abc import Sequence
from typing import Any

import numpy as np

BYTE = np.dtype(np.uint8)


def array(x: Any) -> np.ndarray:
    """Return x as an ndarray, without copying what has a buffer or speaks DLPack."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("x is a masked array, whose mask would be lost: pool x.data with where=~x.mask")
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def native(x: np.ndarray) -> np.ndarray:
    """Return a copy of x in this machine's byte order, aligned."""
    return x.astype(x.dtype.newbyteorder("="), order="K", copy=True)


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be an ndarray, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must have shape {shape} and dtype {dtype}, got shape {out.shape} and dtype {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    if not out.flags.forc and any(s == 0 and n > 1 for s, n in zip(out.strides, out.shape, strict=True)):
        raise ValueError(f"out must have a place of its own for each cell, got strides {out.strides}")


def into(out: Any, y: np.ndarray) -> np.ndarray:
    """Return y, in `out` if it is given."""
    if out is None:
        return y
    check_out(out, y.shape, y.dtype)
    if out is not y:
        out[...] = y
    return out  # type: ignore[no-any-return]


def strides_of(shape: Sequence[int], order: str) -> list[int]:
    """Return the strides, in elements, of a new array."""
    axes = range(len(shape)) if order == "F" else range(len(shape) - 1, -1, -1)
    strides = [0] * len(shape)
    step = 1
    for a in axes:
        strides[a] = step
        step *= shape[a]
    return strides


def start_of(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Return how far an array's first element lies from its lowest in memory."""
    return -sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)


def empty(shape: tuple[int, ...], dtype: np.dtype, order: Any) -> np.ndarray:
    try:
        return np.empty(shape, dtype, order)
    except ValueError as error:
        raise MemoryError(f"no array can have the result's shape {shape} and dtype {dtype}: {error}") from None
