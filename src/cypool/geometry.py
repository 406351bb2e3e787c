"""Window arithmetic, in exact Python integers; touches no data.

Every public function turns its window arguments into one `Window` per pooled axis here, once. What a
window covers, how many there are, and what is refused is decided in this file and nowhere else.
"""

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

LARGEST = 2**62
"""No window may reach further than this, so that int64 holds every position a kernel computes."""


class Window(NamedTuple):
    """How the windows of one pooled axis lie on its cells.

    Window `w` has its taps at the cells ``w * stride - low + t * dilation`` for ``0 <= t < kernel``;
    taps outside ``[0, size)`` are padding.
    """

    axis: int
    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which is not wanted
    bins: np.ndarray | None = None
    """Where windows lie that have no one size and stride, as [start, stop) pairs of cells; `kernel` is the largest."""

    @property
    def extent(self) -> int:
        """Cells from a window's first tap to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    def span(self, first: int, last: int) -> tuple[int, int, int, int]:
        """Return what the windows `first`..`last` - 1 need, as ``(start, stop, low, high)``.

        Pooling the cells ``[start, stop)`` with padding ``(low, high)`` gives exactly those windows:
        the halo that lets an array be pooled piece by piece.
        """
        begin = first * self.stride - self.low
        end = (last - 1) * self.stride - self.low + self.extent
        start, stop = max(begin, 0), min(end, self.size)
        return start, stop, start - begin, end - stop


class Bins:
    """What takes the place of a stride where `windows` is given an output size instead of a kernel size."""


ADAPTIVE = Bins()
TABLE = Bins()
"""There is a tuple of (start, stop) pairs for each axis, both of which grow from one to the next."""
SPREAD = Bins()
"""For each axis (n, bins): an output of n cells, each of which is over those of the bins that hold it."""


def windows(
    shape: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    axis: Any = None,
    ceil_mode: Any = False,
) -> tuple[Window, ...]:
    """Return the `Window` of each pooled axis, in the order given by `axis`.

    Raises
    ------
    ValueError
        An argument is out of range, an axis has no window, or a window touches no cell.
    TypeError
        An argument is not made of integers.
    OverflowError
        A window reaches further than 2**62 cells.
    """
    if stride is ADAPTIVE:
        return adaptive(shape, kernel_size, axis)
    if stride is TABLE:
        return tuple([_binned(a, shape[a], np.array(bins)) for a, bins in zip(axis, kernel_size, strict=True)])
    if stride is SPREAD:
        return tuple([_spread(a, n, bins) for a, (n, bins) in zip(axis, kernel_size, strict=True)])
    axes = _axes(len(shape), kernel_size, axis)
    if not isinstance(ceil_mode, bool):
        ceil_mode = flag("ceil_mode", ceil_mode)
    kernels = _per_axis("kernel_size", kernel_size, len(axes), 1)
    strides = kernels if stride is None else _per_axis("stride", stride, len(axes), 1)
    dilations = _per_axis("dilation", dilation, len(axes), 1)
    pads = _paddings(padding, len(axes))
    found = []
    for i, a in enumerate(axes):
        n, k, s, d = shape[a], kernels[i], strides[i], dilations[i]
        extent = d * (k - 1) + 1
        if isinstance(pads, str):
            low, high = _same(n, extent, s, lower=pads == "same_lower") if pads != "valid" else (0, 0)
        else:
            low, high = pads[i]
        if max(extent, s, n + low + high) > LARGEST:
            raise OverflowError(
                f"the windows of axis {a} reach further than 2**62 cells: kernel_size {k}, stride {s}, dilation {d} and "
                f"padding ({low}, {high}) on size {n}"
            )
        count = _count(n, extent, s, low, high, bool(ceil_mode))
        if count <= 0:
            raise ValueError(
                f"axis {a} of size {n} has no window: kernel_size {k} with dilation {d} spans {extent} cells, "
                f"and padding ({low}, {high}) leaves only {n + low + high}"
            )
        window = Window(a, n, k, s, d, low, high, count)
        empty = _untouched(window)
        if empty is not None:
            raise ValueError(
                f"window {empty} of axis {a} touches no cell: kernel_size {k}, stride {s}, dilation {d} and "
                f"padding ({low}, {high}) on size {n} put all its taps into the padding"
            )
        found.append(window)
    return tuple(found)


def adaptive(shape: Sequence[int], output_size: Any, axis: Any, name: str = "output_size") -> tuple[Window, ...]:
    """Return the `Window` of each pooled axis that is to have so many bins.

    Bin i of n cells in o bins is ``[floor(i * n / o), ceil((i + 1) * n / o))``: together they cover every cell, and
    neighbours share one where n / o is no integer.

    Raises
    ------
    ValueError
        An argument is out of range, or an axis has no cell.
    TypeError
        An argument is not made of integers.
    OverflowError, MemoryError
        There are more bins than can be numbered, or than there is memory for.
    """
    axes = _axes(len(shape), output_size, axis, name)
    sizes = _per_axis(name, output_size, len(axes), 1, [shape[a] for a in axes])
    found = []
    for a, o in zip(axes, sizes, strict=True):
        n = shape[a]
        if n == 0:
            raise ValueError(f"axis {a} of size 0 has no cell to make a bin of, got {name} {output_size!r}")
        if o > LARGEST:
            raise OverflowError(f"{name} makes more than 2**62 bins of axis {a}, got {o}")
        if n % o == 0:
            found.append(Window(a, n, n // o, n // o, 1, 0, 0, o))
            continue
        try:
            found.append(_binned(a, n, edges(n, o)))
        except (ValueError, MemoryError) as error:
            raise MemoryError(f"no memory for the {o} bins of axis {a} that {name} asks for: {error}") from None
    return tuple(found)


def _spread(axis: int, n: int, bins: int | tuple[tuple[int, int], ...]) -> Window:
    """Return a window for each of n cells: over the bins that hold it, which are given or as many."""
    starts, stops = (edges(n, bins) if isinstance(bins, int) else np.array(bins)).T
    cells = np.arange(n)
    holding = np.searchsorted(stops, cells, "right"), np.searchsorted(starts, cells, "right")
    return _binned(axis, len(starts), np.stack(holding, axis=1))


def edges(n: int, o: int) -> np.ndarray:
    """Return the first cell of each of `o` bins of `n` cells, and the one past its last."""
    corners = np.arange(o + 1, dtype=np.int64 if n * (o + 1) < LARGEST else object) * n
    return np.stack([corners[:-1] // o, -(-corners[1:] // o)], axis=1).astype(np.int64)


def _binned(axis: int, size: int, bins: np.ndarray) -> Window:
    starts, lengths = bins[:, 0], bins[:, 1] - bins[:, 0]
    steps = np.diff(starts)
    if len(steps) and starts[0] == 0 and steps[0] > 0 and (steps == steps[0]).all() and (lengths == lengths[0]).all():
        # 13 cells in 6 bins, say, are windows of 3 cells, 2 apart.
        return Window(axis, size, int(lengths[0]), int(steps[0]), 1, 0, 0, len(bins))
    return Window(axis, size, int(lengths.max()), 1, 1, 0, 0, len(bins), bins)


def pooled_shape(shape: Sequence[int], found: Sequence[Window]) -> tuple[int, ...]:
    """Return `shape` with each pooled axis replaced by its number of windows."""
    result = list(shape)
    for window in found:
        result[window.axis] = window.count
    return tuple(result)


def unpooled_shape(
    shape: Sequence[int], kernel_size: Any, stride: Any, padding: Any, dilation: Any, axis: Any, given: Any = None
) -> tuple[int, ...]:
    """Return the shape whose pool has this `shape`: the least there is, or for "same" the largest.

    Or the `given` one, which may have the sizes of the pooled axes alone.
    """
    axes = _axes(len(shape), kernel_size, axis)
    result = list(shape)
    if given is not None:
        sizes = [integer("output_shape", n, 0) for n in sequence("output_shape", given)]
        if len(sizes) == len(shape):
            return tuple(sizes)
        if len(sizes) != len(axes):
            raise ValueError(
                f"output_shape must have one size for each of {len(shape)} axes, or of the {len(axes)} that are pooled, "
                f"got {given!r}"
            )
        for a, n in zip(axes, sizes, strict=True):
            result[a] = n
        return tuple(result)
    kernels = _per_axis("kernel_size", kernel_size, len(axes), 1)
    strides = kernels if stride is None else _per_axis("stride", stride, len(axes), 1)
    dilations = _per_axis("dilation", dilation, len(axes), 1)
    pads = _paddings(padding, len(axes))
    for i, a in enumerate(axes):
        low, high = pads[i] if isinstance(pads, list) else (0, 0)
        result[a] = (shape[a] - 1) * strides[i] + dilations[i] * (kernels[i] - 1) + 1 - low - high
        if isinstance(pads, str) and pads != "valid":
            result[a] = shape[a] * strides[i]
        if result[a] <= 0:
            raise ValueError(f"y of size {shape[a]} along axis {a} is no pool of anything with padding {padding!r}")
    return tuple(result)


def integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an int of at least `least`; bools and floats are refused."""
    if type(value) is not int:
        if isinstance(value, (bool, ndarray)):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        try:
            value = index(value)
        except TypeError:
            raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; anything but a bool is refused."""
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {value!r}")


def sequence(name: str, value: Any) -> list[Any]:
    """Return a sequence argument as a list; strings, sets and 0-d arrays are refused."""
    if isinstance(value, (str, bytes, set, frozenset, dict)):
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {value!r}")
    try:
        return list(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {value!r}") from None


def _is_scalar(value: Any) -> bool:
    return not hasattr(value, "__len__") or (isinstance(value, ndarray) and value.ndim == 0)


def _axes(ndim: int, kernel_size: Any, axis: Any, name: str = "kernel_size") -> list[int]:
    """Return the pooled axes as non-negative ints, in the order that `axis` gives."""
    if axis is None:
        if _is_scalar(kernel_size):
            if ndim == 0:
                raise ValueError(f"axis: an array of no axes has none to pool ({name} {kernel_size!r})")
            return list(range(ndim))
        length = len(sequence(name, kernel_size))
        if length == 0:
            raise ValueError(f"{name} must have at least one entry, got {kernel_size!r}")
        if length > ndim:
            raise ValueError(f"{name} has {length} entries for an array of {ndim} axes, got {kernel_size!r}")
        return list(range(ndim - length, ndim))
    given = [axis] if _is_scalar(axis) else sequence("axis", axis)
    if not given:
        raise ValueError(f"axis must name at least one axis, got {axis!r}")
    result = []
    for a in given:
        a = integer("axis", a, -LARGEST)
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of range for an array of {ndim} axes")
        result.append(a % ndim)
    if len(set(result)) != len(result):
        raise ValueError(f"axis must name each axis once, got {axis!r}")
    return result


def _per_axis(name: str, value: Any, length: int, least: int, usual: Sequence[int] | None = None) -> list[int]:
    """Return one integer per pooled axis from an integer or a sequence of them; where there is a usual one, of None."""
    if _is_scalar(value) and (value is not None or usual is None):
        return [integer(name, value, least)] * length
    given = [None] * length if value is None else sequence(name, value)
    if len(given) != length:
        raise ValueError(f"{name} must have one entry per pooled axis ({length}), got {value!r}")
    return [usual[i] if usual and v is None else integer(name, v, least) for i, v in enumerate(given)]


def _paddings(padding: Any, length: int) -> str | list[tuple[int, int]]:
    """Return padding as a known word, or as one (low, high) pair per pooled axis."""
    if isinstance(padding, str):
        if padding not in ("valid", "same", "same_lower"):
            raise ValueError(f"padding must be integers, 'valid', 'same' or 'same_lower', got {padding!r}")
        return padding
    if _is_scalar(padding):
        p = integer("padding", padding, 0)
        return [(p, p)] * length
    given = sequence("padding", padding)
    if len(given) != length:
        raise ValueError(
            f"padding must have one integer or one (low, high) pair per pooled axis ({length}), got {padding!r}"
        )
    pairs = []
    for p in given:
        both = [p, p] if _is_scalar(p) else sequence("padding", p)
        if len(both) != 2:
            raise ValueError(f"padding must have (low, high) pairs, got {padding!r}")
        low, high = (integer("padding", v, 0) for v in both)
        pairs.append((low, high))
    return pairs


def _same(n: int, extent: int, stride: int, *, lower: bool) -> tuple[int, int]:
    """Return the padding of TensorFlow and ONNX that gives ``ceil(n / stride)`` windows."""
    count = -(-n // stride)
    total = max((count - 1) * stride + extent - n, 0)
    small = total // 2
    return (total - small, small) if lower else (small, total - small)


def _count(n: int, extent: int, stride: int, low: int, high: int, ceil_mode: bool) -> int:
    """Return the number of windows of an axis; see DESIGN, "Output size"."""
    room = n + low + high - extent
    if not ceil_mode:
        return room // stride + 1
    count = (room + stride - 1) // stride + 1
    return count - 1 if (count - 1) * stride >= n + low else count


def _untouched(window: Window) -> int | None:
    """Return the first window with no tap in ``[0, size)``, or None.

    A window that straddles cell 0 touches the array unless its first tap at or past 0, which lies at
    ``start mod dilation``, is past the end; that needs ``dilation > size``.
    """
    _, n, _, s, d, low, _, count, _ = window
    if n == 0 or window.extent <= low:
        return 0
    if d > n:
        # Residues do not repeat within a period and only n of them are harmless: n + 1 steps suffice.
        for w in range(min(count, n + 1, -(-low // s))):
            if (w * s - low) % d >= n:
                return w
    if (count - 1) * s - low >= n:
        return (n + low + s - 1) // s
    return None
