"""One call of a pool, from its arguments to its kernel: check, plan, allocate, run."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from cypool import dispatch, threads
from cypool import gaps as absent
from cypool._shortcut import Shortcut
from cypool.arrays import BYTE, array, check_out, empty, into, native, start_of, strides_of
from cypool.dtypes import Complex, index_type, kind_of, name_of, pick_lanes, sum_types, value_lanes
from cypool.geometry import Bins, Window, flag, integer, pooled_shape, windows
from cypool.plan import MAX, SUM, TYPES, Gaps, Request, plan

SERIAL = 1 << 17
"""Cells read and written below which a call stays on one thread: some 20 us of work. A parallel region takes 1 to 3 us
to start on an idle machine, and far more on a busy one."""

_PROPAGATE = "propagate"
_ONE = 1


class Norm(NamedTuple):
    """As the dtype of a sum: that of floats of at most four bytes, raised to a power before and to its inverse after."""

    power: int


class Call(NamedTuple):
    """What a call with arrays of one layout comes to: all of it but the data."""

    table: bytes
    divisor: float
    then: tuple[bytes, float] | None
    shape: tuple[int, ...]
    dtype: np.dtype
    index_dtype: np.dtype | None
    serial: bool
    order: str
    empty: bool


def _at_length(
    op: int,
    x: Any,
    window: tuple[Any, ...],
    options: tuple[Any, ...],
    missing: tuple[Any, ...],
    out: Any,
    num_threads: int | None,
) -> Any:
    if type(x) is not np.ndarray:
        x = array(x)
    limit = threads.resolve(num_threads)
    window = hashable(window)
    gaps = layout = None
    nan_policy, where, min_count, fill_value = missing
    # The defaults cost nothing; what equals them takes the longer way.
    if not (nan_policy is _PROPAGATE and where is None and min_count is _ONE and fill_value is None):
        gaps = absent.gaps(x.shape, kind_of(x.dtype) in "fcmM", *missing)
        if gaps.refuse:
            return _refusing_nan(op, x, window, options, (where, min_count, fill_value), gaps, out, num_threads)
        layout = gaps.layout
    key = op, x.shape, x.strides, x.dtype, x.flags.fnc, None, layout, *window, *options
    try:
        call = prepare(*key)
    except _Convert:
        return pool(op, native(x), window, options, missing, out, num_threads)
    except Complex as wanted:
        y = pool(op, x, window, (wanted.parts, *options[1:]), missing, None, num_threads)
        return into(out, y.astype(wanted.dtype, order="K"))
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        call = prepare.__wrapped__(*key)
    if gaps is None:
        pool.remember(op, x, window, options, call)
    fill = None if gaps is None else absent.fill(gaps, call.dtype)
    y = None
    if out is not None:
        y, strides = output(out, call, x)
        if gaps is not None and gaps.where is not None and np.may_share_memory(gaps.where, out):
            y = strides = None
        if strides is not None:
            call = prepare(*key[:5], strides, *key[6:])
    if y is None:
        y = empty(call.shape, call.dtype, call.order)
    z = None if call.index_dtype is None else empty(call.shape, call.index_dtype, call.order)
    if not call.empty:
        kernel: Any = dispatch.kernels.forward.pool
        arguments: tuple[Any, ...] = (x, y, z, call.table, call.divisor)
        if gaps is not None and fill is not None and layout is not None:
            kernel = dispatch.kernels.forward.pool_with_gaps
            mask = fill if gaps.where is None else gaps.where
            arguments = *arguments[:3], mask, fill, *arguments[3:]
        count = 1 if call.serial else limit
        _run(kernel, arguments, count)
        if call.then is not None:
            _run(kernel, (y, y, z, *call.then), count)
    if out is not None and y is not out:
        out[...] = y
        y = out
    return y if z is None else (y, z)


def _run(kernel: Any, arguments: tuple[Any, ...], count: int) -> None:
    if count == 1:
        kernel(*arguments, 1)
    else:
        threads.run(kernel, *arguments, count)


def _refusing_nan(
    op: int,
    x: np.ndarray,
    window: tuple[Any, ...],
    options: tuple[Any, ...],
    missing: tuple[Any, ...],
    gaps: absent.Gaps,
    out: Any,
    num_threads: int | None,
) -> Any:
    """Pool with nan_policy "raise": a NaN shows in the result, so x is searched only then; `out` is written last."""
    result = pool(op, x, window, options, (_PROPAGATE, *missing), None, num_threads)
    y = result[0] if isinstance(result, tuple) else result
    if gaps.layout is not None or absent.has_nan(y):
        where = absent.first_nan(x, windows(x.shape, *window), gaps.where)
        if where is not None:
            raise ValueError(f"x has a NaN at {where}, which nan_policy='raise' refuses")
    y = into(out, y)
    return (y, result[1]) if isinstance(result, tuple) else y


def output(out: Any, call: Call, x: np.ndarray) -> tuple[np.ndarray | None, tuple[int, ...] | None]:
    """Check `out`; return it if a kernel can write straight into it, with its strides unless they are a new array's."""
    check_out(out, call.shape, call.dtype)
    if not out.flags.forc and any(s % out.itemsize for s in out.strides):
        return None, None
    if np.may_share_memory(x, out):
        return None, None
    usual = call.empty or (out.flags.fnc if call.order == "F" else out.flags.c_contiguous)
    return out, None if usual else out.strides


class _Convert(Exception):
    """The array's cells are not where a kernel can read them: of another byte order, or not aligned."""


_ATOMS = frozenset([int, bool, type(None), str, Bins])

pool = Shortcut(_at_length, frozenset([Bins, Norm, type]))
"""Pool an array: (op, x, window arguments, options of the op, (nan_policy, where, min_count, fill_value), out, num_threads).

What `_at_length` does, in half the time for a call like one before.
"""


def hashable(window: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return window arguments as a key that is equal only to what means the same."""
    for value in window:
        if value.__class__ is tuple:
            for v in value:
                if v.__class__ is not int:
                    return tuple([_plain(value) for value in window])
        elif value.__class__ not in _ATOMS:
            return tuple([_plain(value) for value in window])
    return window


def _plain(value: Any) -> Any:
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (tuple, list, range)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        items = tuple([_plain(v) for v in value])
        # (True, 2) and (1.0, 2) are equal to (1, 2) but not allowed where it is. A list has no place in the cache.
        return items if all(v is None or v.__class__ is int or v.__class__ is tuple for v in items) else list(items)
    return value


@lru_cache(maxsize=1024, typed=True)
def prepare(
    op: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype,
    fortran: bool,
    out_strides: tuple[int, ...] | None,
    layout: tuple[bool, tuple[int, ...] | None, int] | None,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    axis: Any,
    ceil_mode: Any,
    *options: Any,
) -> Call:
    """Check the arguments and plan the call; `out_strides` are those of an `out` that is not as a new array."""
    kind = kind_of(dtype)
    found = windows(shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    cells = prod(w.kernel for w in found)
    divisor, counted, padded = 0.0, False, False
    power = 0
    index_dtype = None
    y_dtype = dtype
    flat = False
    if op == SUM:
        wanted, *average = options
        if isinstance(wanted, Norm):
            power, lanes = wanted.power, "f8"
        else:
            y_dtype, lanes = sum_types(dtype, wanted, bool(average), cells)
        if average:
            divisor, counted, padded = divisor_of(found, padding, cells, *average)
    else:
        (return_indices,) = options
        index_dtype, flat = index_type(return_indices, found)
        lanes = value_lanes(dtype) if index_dtype is None else pick_lanes(dtype, found, flat)
        if kind == "c":
            raise TypeError(f"x has dtype {dtype}, whose numbers have no order: pool abs(x), x.real or x.imag")
    gaps = None
    mask = [0] * len(shape)
    if layout is not None:
        omit, mask_strides, least = layout
        mask = mask if mask_strides is None else list(mask_strides)
        count_type = "u2" if cells < 2**16 else "i4" if cells < 2**31 else "u8"
        least = least if op == SUM else max(least, 1)
        gaps = Gaps(mask_strides is not None, omit, kind == "c", TYPES.index(count_type), least)
        # Without an override each window has a divisor of its own.
        counted = counted or (divisor != 0 and options[-1] is None)
        divisor = 0.0 if counted else divisor
    y_shape = pooled_shape(shape, found)
    order = "F" if fortran else "C"
    whole = strides_of(y_shape, order)
    size = dtype.itemsize
    if any(s % size for s in strides) or not dtype.isnative:
        raise _Convert
    x_strides = [s // size for s in strides]
    y_strides = whole if out_strides is None else [s // y_dtype.itemsize for s in out_strides]
    # NaT is the least integer: it loses a max, unless it is turned into the greatest.
    shifted = "stamp" if kind in "mM" and op == MAX and not (gaps and gaps.omit) else None
    divided = op == SUM and (counted or divisor != 0)
    small = divided and kind in "iu" and size <= 2 and not gaps
    rolled = small and options[-1] is None and (y_dtype == dtype or y_dtype in (np.float32, np.float64))
    request = Request(
        op, TYPES.index(shifted or name_of(dtype)), TYPES.index(lanes), TYPES.index(shifted or name_of(y_dtype)),
        TYPES.index(name_of(index_dtype or BYTE)),
        index_dtype is not None, flat, counted, padded, divided, gaps, False,
        small and y_dtype == dtype and divisor in (2, 4, 8, 16, 32), rolled, power,
    )  # fmt: skip
    empty = prod(y_shape) == 0
    if empty:
        return Call(b"", divisor, None, y_shape, y_dtype, index_dtype, True, order, True)
    arrays = [x_strides, y_strides, whole, mask]
    starts = [start_of(shape, x_strides), start_of(y_shape, y_strides), 0, start_of(shape, mask)]
    if kind == "c":
        # Numbers of two floats, which are one more axis to keep.
        arrays = [*([*(2 * s for s in strides), 1] for strides in arrays[:3]), [*mask, 0]]
        starts = [*(2 * start for start in starts[:3]), starts[3]]
        shape = *shape, 2
    made = plan(found, shape, arrays, starts, request)
    table, then = made.table, None
    if made.in_turn:
        turns = _in_turn(found, shape, y_shape, arrays, starts, request)
        if turns is not None:
            table, then, divisor = turns[0], (turns[1], divisor), 0.0
    return Call(table, divisor, then, y_shape, y_dtype, index_dtype, made.work < SERIAL, order, False)


def _in_turn(
    found: Sequence[Window], shape: Sequence[int], y_shape: Sequence[int],
    strides: Sequence[Sequence[int]], starts: Sequence[int], request: Request,
) -> tuple[bytes, bytes] | None:  # fmt: skip
    """Plan all axes but one first, into the result, and that one then in place: no tile has a halo along it.

    The result has room for the cells of an axis that has as many windows. Streamed, a window is written when its last
    cell has been read, and that lies at or past the window's own place. So are their indices, which count in the whole
    window from the start, or in the whole array. None if no axis is like that.
    """
    if request.gaps or any(w.bins is not None for w in found) or request.x_type != request.y_type:
        return None
    _, y, z, mask = strides
    if request.indices:
        # In the array that they share, cells and codes lie alike; and a code is to fit into a lane.
        if list(y) != list(z) or (request.flat and prod(w.size for w in found) >= 2**30):
            return None
    elif request.lane_type != request.x_type:
        return None
    for last in found:
        if last.stride == 1 and last.count >= last.size:
            half = list(y_shape)
            half[last.axis] = last.size
            then = request._replace(in_place=True)
            second = plan([last], half, [y, y, z, mask], [starts[1], *starts[1:]], then, found)
            if second.streamed:
                others = [w for w in found if w is not last]
                first = plan(others, shape, strides, starts, request._replace(divided=request.counted), found)
                return first.table, second.table
    return None


def divisor_of(found: Sequence[Any], padding: Any, cells: int, include: Any, override: Any) -> tuple[float, bool, bool]:
    """Return a constant divisor, or that taps are to be counted, and whether those in the padding are."""
    if include is None:
        include = not isinstance(padding, str)
    padded = flag("count_include_pad", include)
    if override is not None:
        return float(integer("divisor_override", override, 1)), False, padded
    # Windows that stay within the cells that count all have the same number of taps.
    whole = all(
        w.bins is None
        and (padded or w.low == 0)
        and (w.count - 1) * w.stride + w.extent <= w.low + w.size + (w.high if padded else 0)
        for w in found
    )
    return (float(cells), False, padded) if whole else (0.0, True, padded)
