"""The door: every public function checks its arguments, plans, allocates, and calls one kernel."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cypool import dispatch, threads
from cypool import gaps as absent
from cypool.geometry import flag, integer, pooled_shape, sequence, windows
from cypool.plan import MAX, MIN, SUM, TYPES, Gaps, Request, plan

SERIAL = 1 << 17
"""Cells read and written below which a call stays on one thread: some 20 us of work. A parallel region takes 1 to 3 us
to start on an idle machine, and far more on a busy one."""

_BYTE = np.dtype(np.uint8)
_PROPAGATE = "propagate"
_ONE = 1


def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the largest cell of each window.

    ``y[w] = max over t of x[w * stride - low + t * dilation]``, over all pooled axes at once.

    Parameters
    ----------
    x : array_like
        The array to pool, with any number of axes and any strides: bool, any integer, float16, bfloat16, float32 or
        float64, datetime64 or timedelta64, whose NaT is treated as NaN.
    kernel_size : int or sequence of int
        Cells of a window along each pooled axis.
    stride : int or sequence of int, optional
        Cells from one window to the next; `kernel_size` if not given.
    padding : int, sequence of int, sequence of (int, int) pairs, "valid", "same" or "same_lower"
        Cells added around `x`, the same on both ends of an axis or as ``(low, high)``. They never win.
        "same" makes ``ceil(n / stride)`` windows and puts an odd cell at the end, "same_lower" at the start.
    dilation : int or sequence of int
        Cells from one tap of a window to the next.
    axis : int or sequence of int, optional
        The axes to pool, in the order that ties and indices go by. If not given: the last
        ``len(kernel_size)`` axes, or every axis for a `kernel_size` that is an int.
    ceil_mode : bool
        Whether a last window may hang over the end; it must start on a cell or in the low padding.
    return_indices : bool or "window"
        Also return where each maximum was: True for its row-major position within the pooled axes (int64),
        "window" for its row-major offset within the window (the smallest unsigned type that holds one value
        more than there are offsets).
    nan_policy : "propagate", "omit" or "raise"
        What a NaN in a window does: it wins; or it is left out, as if it were not there; or ValueError tells where the
        first one is. Integers have none.
    where : array_like of bool, optional
        Which cells are there, in a shape that broadcasts to that of `x`; the others are left out.
    min_count : int
        A window with fewer cells than that, without those left out and those of padding, gets no result but
        `fill_value`, and the index "none": -1, or the largest value of the dtype of "window". A maximum is of one cell
        at least.
    fill_value : scalar, optional
        What such windows get; NaN or NaT if not given. A result of bool or an integer dtype has no NaN: it must be
        given with `where`, or with a `min_count` above 1.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype. It may overlap `x`.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    y : ndarray
        The pooled array, of the dtype of `x`; in C order, or in Fortran order if `x` is.
    indices : ndarray
        Only with `return_indices`: of the shape of `y`. The first of equal cells in row-major order counts, and
        the first NaN of all.

    Raises
    ------
    ValueError
        An argument is out of range, an axis has no window, a window touches no cell, `fill_value` is missing, or there
        is a NaN and `nan_policy` is "raise".
    TypeError
        An argument or the dtype of `x` is of a wrong kind.
    OverflowError
        A window reaches further than 2**62 cells.
    MemoryError
        There is no memory for the result.

    See Also
    --------
    min_pool, avg_pool, sum_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.array([[1, 5, 2, 0], [3, 4, 8, 1], [0, 2, 6, 7]])
    >>> cypool.max_pool(x, 2)
    array([[5, 8]])
    >>> cypool.max_pool(x, 2, ceil_mode=True)
    array([[5, 8],
           [2, 7]])
    >>> cypool.max_pool(x, (1, 3), stride=1, return_indices=True)
    (array([[5, 5],
           [8, 8],
           [6, 7]]), array([[ 1,  1],
           [ 6,  6],
           [10, 11]]))
    >>> cypool.max_pool(x, 2, where=x < 5, fill_value=-1)
    array([[4, 2]])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    return _pool(MAX, x, window, (return_indices,), missing, out, num_threads)


def min_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Any:
    """Return the smallest cell of each window.

    ``y[w] = min over t of x[w * stride - low + t * dilation]``, over all pooled axes at once. Parameters, results
    and errors are those of `max_pool`.

    See Also
    --------
    max_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.min_pool([3, 1, 4, 1, 5, 9], 3, return_indices="window")
    (array([1, 1]), array([1, 0], dtype=uint8))
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    return _pool(MIN, x, window, (return_indices,), missing, out, num_threads)


def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    count_include_pad: bool | None = None,
    divisor_override: int | None = None,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the mean of each window.

    ``y[w] = sum over t of x[w * stride - low + t * dilation], divided by the number of taps that count``, over all
    pooled axes at once. Padding adds nothing to the sum.

    Parameters
    ----------
    x : array_like
        The array to pool: bool, any integer, float16, bfloat16, float32, float64, complex64 or complex128.
    kernel_size, stride, padding, dilation, axis, ceil_mode, out, num_threads
        As for `max_pool`.
    count_include_pad : bool, optional
        Whether taps in the padding count; what hangs over it in `ceil_mode` never does. If not given, they do for
        `padding` in numbers (as in PyTorch) and do not for "same" (as in TensorFlow).
    divisor_override : int, optional
        Divide each sum by this number instead.
    dtype : dtype, optional
        The dtype of the result. If not given: that of `x` for floats and complex numbers, float64 for integers. An
        integer dtype gives the exact mean of integers, rounded half to even.
    nan_policy, where, min_count, fill_value
        As for `max_pool`. Cells that are left out do not count either: the mean is over those that are there, and over
        the padding where that counts. A mean of nothing is `fill_value`, whatever `min_count` says.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is. A float sum of n cells is within
        ``(log2(n) + 3) * eps * sum(abs(cells))``, before it is divided; float16 and bfloat16 are added up in float32.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    sum_pool, max_pool

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.arange(5.0)
    >>> cypool.avg_pool(x, 3, stride=1, padding=1)
    array([0.33333333, 1.        , 2.        , 3.        , 2.33333333])
    >>> cypool.avg_pool(x, 3, stride=1, padding=1, count_include_pad=False)
    array([0.5, 1. , 2. , 3. , 3.5])
    >>> cypool.avg_pool(np.array([0, 1, 1, 2], np.uint8), 2, dtype=np.uint8)
    array([0, 2], dtype=uint8)
    >>> cypool.avg_pool([1, np.nan, 5, np.nan, np.nan, np.nan], 3, nan_policy="omit")
    array([ 3., nan])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    options = dtype, count_include_pad, divisor_override
    y: np.ndarray = _pool(SUM, x, window, options, missing, out, num_threads)
    return y


def sum_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    dtype: Any = None,
    nan_policy: str = "propagate",
    where: Any = None,
    min_count: int = 1,
    fill_value: Any = None,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the sum of each window.

    ``y[w] = sum over t of x[w * stride - low + t * dilation]``, over all pooled axes at once. Padding adds nothing.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, axis, ceil_mode, out, num_threads
        As for `avg_pool`.
    nan_policy, where, min_count, fill_value
        As for `max_pool`; with a `min_count` of 0 the sum of nothing is 0.
    dtype : dtype, optional
        The dtype of the result. If not given: that of `x` for floats and complex numbers; int64 for bool and signed,
        uint64 for unsigned integers. As in `numpy.sum`, integer sums wrap around where the dtype is too narrow for them.

    Returns
    -------
    ndarray
        The pooled array, in C order, or in Fortran order if `x` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool`.

    See Also
    --------
    avg_pool

    Examples
    --------
    >>> import cypool
    >>> cypool.sum_pool([1, 2, 3, 4, 5], 2, stride=1)
    array([3, 5, 7, 9])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    missing = nan_policy, where, min_count, fill_value
    y: np.ndarray = _pool(SUM, x, window, (dtype,), missing, out, num_threads)
    return y


def output_shape(
    shape: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """Return the shape of a pool of an array of this shape; touches no data.

    A pooled axis of n cells has ``floor((n + low + high - extent) / stride) + 1`` windows, where
    ``extent = dilation * (kernel_size - 1) + 1``; with `ceil_mode`, ceil instead of floor, less one if the last window
    would start at or past ``n + low``.

    Parameters
    ----------
    shape : sequence of int
        The shape of the input.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        As for `max_pool`, with the same errors.

    Returns
    -------
    tuple of int
        The shape of the output.

    Examples
    --------
    >>> import cypool
    >>> cypool.output_shape((8, 64, 55, 55), 3, 2, axis=(2, 3))
    (8, 64, 27, 27)
    """
    sizes = [integer("shape", n, 0) for n in sequence("shape", shape)]
    return pooled_shape(sizes, windows(sizes, kernel_size, stride, padding, dilation, axis, ceil_mode))


# --- one call, from arguments to the kernel ---------------------------------------------------------------------


class _Call(NamedTuple):
    """What a call with arrays of one layout comes to: all of it but the data."""

    table: np.ndarray
    divisor: float
    shape: tuple[int, ...]
    dtype: np.dtype
    index_dtype: np.dtype | None
    serial: bool
    order: str
    empty: bool


def _pool(
    op: int,
    x: Any,
    window: tuple[Any, ...],
    options: tuple[Any, ...],
    missing: tuple[Any, ...],
    out: Any,
    num_threads: int | None,
) -> Any:
    if type(x) is not np.ndarray:
        x = _array(x)
    limit = threads.resolve(num_threads)
    window = _hashable(window)
    gaps = layout = None
    nan_policy, where, min_count, fill_value = missing
    # Identity is enough to know the defaults by, and costs nothing; what only equals them takes the longer way.
    if not (nan_policy is _PROPAGATE and where is None and min_count is _ONE and fill_value is None):
        gaps = absent.gaps(x.shape, _kind(x.dtype) in "fcmM", *missing)
        if gaps.refuse:
            return _refusing_nan(op, x, window, options, (where, min_count, fill_value), gaps, out, num_threads)
        layout = gaps.layout
    key = op, x.shape, x.strides, x.dtype, x.flags.fnc, None, layout, *window, *options
    try:
        call = _prepare(*key)
    except _Convert:
        return _pool(op, _native(x), window, options, missing, out, num_threads)
    except _Complex as wanted:
        y = _pool(op, x, window, (wanted.parts, *options[1:]), missing, None, num_threads)
        return _into(out, y.astype(wanted.dtype, order="K"))
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        call = _prepare.__wrapped__(*key)
    fill = None if gaps is None else absent.fill(gaps, call.dtype)
    y = None
    if out is not None:
        y, strides = _output(out, call, x)
        if gaps is not None and gaps.where is not None and np.may_share_memory(gaps.where, out):
            y = strides = None
        if strides is not None:
            call = _prepare(*key[:5], strides, *key[6:])
    if y is None:
        y = _empty(call.shape, call.dtype, call.order)
    z = None if call.index_dtype is None else _empty(call.shape, call.index_dtype, call.order)
    if not call.empty:
        kernel: Any = dispatch.kernels.forward.pool
        arguments: tuple[Any, ...] = _bytes(x), _bytes(y), None if z is None else _bytes(z), call.table, call.divisor
        if gaps is not None and fill is not None and layout is not None:
            kernel = dispatch.kernels.forward.pool_with_gaps
            mask = fill if gaps.where is None else gaps.where
            arguments = *arguments[:3], _bytes(mask), _bytes(fill), *arguments[3:]
        if limit == 1 or call.serial:
            kernel(*arguments, 1)
        else:
            threads.run(kernel, *arguments, limit)
    if out is not None and y is not out:
        out[...] = y
        y = out
    return y if z is None else (y, z)


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
    result = _pool(op, x, window, options, (_PROPAGATE, *missing), None, num_threads)
    y = result[0] if isinstance(result, tuple) else result
    if gaps.layout is not None or absent.has_nan(y):
        where = absent.first_nan(x, windows(x.shape, *window), gaps.where)
        if where is not None:
            raise ValueError(f"x has a NaN at {where}, which nan_policy='raise' refuses")
    y = _into(out, y)
    return (y, result[1]) if isinstance(result, tuple) else y


def _output(out: Any, call: _Call, x: np.ndarray) -> tuple[np.ndarray | None, tuple[int, ...] | None]:
    """Check `out`; return it if a kernel can write straight into it, with its strides unless they are a new array's."""
    _check_out(out, call.shape, call.dtype)
    if not out.flags.forc and any(s % out.itemsize for s in out.strides):
        return None, None
    if np.may_share_memory(x, out):
        return None, None
    usual = call.empty or (out.flags.fnc if call.order == "F" else out.flags.c_contiguous)
    return out, None if usual else out.strides


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be an ndarray, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must have shape {shape} and dtype {dtype}, got shape {out.shape} and dtype {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    if not out.flags.forc and any(s == 0 and n > 1 for s, n in zip(out.strides, out.shape, strict=True)):
        raise ValueError(f"out must have a place of its own for each cell, got strides {out.strides}")


def _into(out: Any, y: np.ndarray) -> np.ndarray:
    """Return y, in `out` if it is given."""
    if out is None:
        return y
    _check_out(out, y.shape, y.dtype)
    out[...] = y
    return out  # type: ignore[no-any-return]


class _Complex(Exception):
    """A complex dtype for the sums of real numbers: they are added up as real ones."""

    def __init__(self, dtype: np.dtype):
        self.dtype, self.parts = dtype, np.empty(0, dtype).real.dtype


class _Convert(Exception):
    """The array's cells are not where a kernel can read them: of another byte order, or not aligned."""


_ATOMS = frozenset([int, bool, type(None), str])


def _hashable(window: tuple[Any, ...]) -> tuple[Any, ...]:
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
        return items if all(v.__class__ is int or v.__class__ is tuple for v in items) else list(items)
    return value


@lru_cache(maxsize=1024, typed=True)
def _prepare(
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
) -> _Call:
    """Check the arguments and plan the call; `out_strides` are those of an `out` that is not as a new array."""
    kind = _kind(dtype)
    found = windows(shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    cells = prod(w.kernel for w in found)
    divisor, counted, padded = 0.0, False, False
    index_dtype = None
    y_dtype = dtype
    flat = False
    if op == SUM:
        wanted, *average = options
        y_dtype, lanes = _sum_types(dtype, wanted, bool(average), cells)
        if average:
            divisor, counted, padded = _divisor(found, padding, cells, *average)
    else:
        (return_indices,) = options
        index_dtype, flat = _index_type(return_indices, found)
        lanes = _lanes(dtype) if index_dtype is None else _pick_lanes(dtype, found, flat)
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
    whole = _strides(y_shape, order)
    size = dtype.itemsize
    if any(s % size for s in strides) or not dtype.isnative:
        raise _Convert
    x_strides = [s // size for s in strides]
    y_strides = whole if out_strides is None else [s // y_dtype.itemsize for s in out_strides]
    # NaT is the least integer: it loses a max, unless it is turned into the greatest.
    shifted = "stamp" if kind in "mM" and op == MAX and not (gaps and gaps.omit) else None
    request = Request(
        op, TYPES.index(shifted or _name(dtype)), TYPES.index(lanes), TYPES.index(shifted or _name(y_dtype)),
        TYPES.index(_name(index_dtype or _BYTE)),
        index_dtype is not None, flat, counted, padded, op == SUM and (counted or divisor != 0), gaps,
    )  # fmt: skip
    empty = prod(y_shape) == 0
    if empty:
        return _Call(np.empty(0, np.int64), divisor, y_shape, y_dtype, index_dtype, True, order, True)
    arrays = [x_strides, y_strides, whole, mask]
    starts = [_start(shape, x_strides), _start(y_shape, y_strides), 0, _start(shape, mask)]
    if kind == "c":
        # Numbers of two floats, which are one more axis to keep.
        arrays = [*([*(2 * s for s in strides), 1] for strides in arrays[:3]), [*mask, 0]]
        starts = [*(2 * start for start in starts[:3]), starts[3]]
        shape = *shape, 2
    made = plan(found, shape, arrays, starts, request)
    return _Call(made.table, divisor, y_shape, y_dtype, index_dtype, made.work < SERIAL, order, False)


def _array(x: Any) -> np.ndarray:
    """Return x as an ndarray, without copying what has a buffer or speaks DLPack."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("x is a masked array, whose mask would be lost: pool x.data with where=~x.mask")
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def _native(x: np.ndarray) -> np.ndarray:
    """Return a copy of x in this machine's byte order, aligned."""
    return x.astype(x.dtype.newbyteorder("="), order="K", copy=True)


def _kind(dtype: np.dtype) -> str:
    """Return the letter of a kind of dtypes that can be pooled; bfloat16, which NumPy calls void, is a float."""
    kind = "f" if dtype.name == "bfloat16" else dtype.kind
    if kind in "biumM" or dtype.itemsize <= {"f": 8, "c": 16}.get(kind, 0):
        return kind
    if dtype.names is not None:
        hint = "pool one field of it, as x['name']"
    elif kind == "O":
        hint = "convert it to a numeric dtype with x.astype"
    elif kind in "fc":
        hint = f"convert it to {'float64' if kind == 'f' else 'complex128'} with x.astype"
    else:
        hint = "only bool, integers, floats, complex numbers, dates and times can be pooled"
    raise TypeError(f"x has dtype {dtype}, which cannot be pooled: {hint}")


def _name(dtype: np.dtype) -> str:
    """Return the name of a dtype's cells in `TYPES`."""
    if dtype.name == "bfloat16":
        return "bfloat16"
    kind = {"b": "u", "c": "f", "m": "i", "M": "i"}.get(dtype.kind, dtype.kind)
    return f"{kind}{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}"


def _lanes(dtype: np.dtype) -> str:
    """Return the type in which values are compared."""
    return "f4" if _kind(dtype) == "f" and dtype.itemsize == 2 else _name(dtype)


def _index_type(return_indices: Any, found: Sequence[Any]) -> tuple[np.dtype | None, bool]:
    """Return the dtype of indices and whether they are flat."""
    if isinstance(return_indices, (bool, np.bool_)):
        return (np.dtype(np.int64), True) if return_indices else (None, False)
    if not isinstance(return_indices, str) or return_indices != "window":
        raise ValueError(f"return_indices must be True, False or 'window', got {return_indices!r}")
    cells = prod(w.kernel for w in found)
    for name in ("u1", "u2", "u4", "u8"):
        dtype = np.dtype(name)
        if cells <= np.iinfo(dtype).max:
            return dtype, False
    raise OverflowError(f"kernel_size makes windows of {cells} cells, too many to number")


def _pick_lanes(dtype: np.dtype, found: Sequence[Any], flat: bool) -> str:
    """Return the type in which values and offset codes of the same width travel together."""
    steps = [w.dilation if flat else 1 for w in found]
    sizes = [w.size if flat else w.kernel for w in found]
    furthest = sum((w.kernel - 1) * d * prod(sizes[i + 1 :]) for i, (w, d) in enumerate(zip(found, steps, strict=True)))
    narrow = furthest < 2**30
    if furthest >= 2**62:
        raise OverflowError("kernel_size makes windows whose cells cannot be numbered in 64 bits")
    if _kind(dtype) == "f":
        return "f4" if dtype.itemsize <= 4 and narrow else "f8"
    small = dtype.itemsize < 4 or dtype == np.int32
    return "i4" if small and narrow else "i8"


def _sum_types(dtype: np.dtype, wanted: Any, average: bool, cells: int) -> tuple[np.dtype, str]:
    """Return the dtype of a sum or mean and the type it is added up in."""
    kind = _kind(dtype)
    if kind in "mM":
        raise TypeError(
            f"x has dtype {dtype}, and times have no sum: pool x.view('int64'), where NaT is the least integer"
        )
    if wanted is not None:
        result = np.dtype(wanted)
        try:
            to = _kind(result)
        except TypeError:
            to = ""
        if to not in ("i", "u", "f", "c") or not result.isnative:
            raise TypeError(f"dtype must be an integer, float or complex type, got {result}")
        if "iufc".index(to) < "..fc".find(kind):
            raise TypeError(
                f"dtype must be a {'float' if kind == 'f' else 'complex'} type for x of dtype {dtype}, got {result}"
            )
        if to == "c" and kind != "c":
            raise _Complex(result)
    elif kind in "fc":
        result = dtype
    elif average:
        result = np.dtype(np.float64)
    else:
        result = np.dtype(np.uint64 if kind == "u" else np.int64)
    whole = _kind(result) in "iu"
    if kind in "fc":
        widest = max(t.itemsize // (2 if t.kind == "c" else 1) for t in (dtype, result))
        return result, "f8" if widest == 8 else "f4"
    if not whole and (not average or dtype.itemsize == 8):
        return result, "f8"
    bound = cells * (1 if kind == "b" else 2 ** (8 * dtype.itemsize) - 1)
    if bound < 2**16 and kind in "bu":
        return result, "u2"
    if bound < 2**31:
        return result, "i4"
    return result, "wide" if average and bound >= 2**63 else "u8"


def _divisor(found: Sequence[Any], padding: Any, cells: int, include: Any, override: Any) -> tuple[float, bool, bool]:
    """Return a constant divisor, or that taps are to be counted, and whether those in the padding are."""
    if include is None:
        include = not isinstance(padding, str)
    padded = flag("count_include_pad", include)
    if override is not None:
        return float(integer("divisor_override", override, 1)), False, padded
    # Windows that stay within the cells that count all have the same number of taps.
    whole = all(
        (padded or w.low == 0) and (w.count - 1) * w.stride + w.extent <= w.low + w.size + (w.high if padded else 0)
        for w in found
    )
    return (float(cells), False, padded) if whole else (0.0, True, padded)


def _strides(shape: Sequence[int], order: str) -> list[int]:
    """Return the strides, in elements, of a new array."""
    axes = range(len(shape)) if order == "F" else range(len(shape) - 1, -1, -1)
    strides = [0] * len(shape)
    step = 1
    for a in axes:
        strides[a] = step
        step *= shape[a]
    return strides


def _start(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Return how far an array's first element lies from its lowest in memory."""
    return -sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)


def _empty(shape: tuple[int, ...], dtype: np.dtype, order: Any) -> np.ndarray:
    try:
        return np.empty(shape, dtype, order)
    except ValueError as error:
        raise MemoryError(f"no array can have the result's shape {shape} and dtype {dtype}: {error}") from None


def _bytes(array: np.ndarray) -> np.ndarray:
    """Return the memory from an array's lowest element to its highest as a flat array of bytes."""
    if array.flags.forc:
        return array.ravel("K").view(_BYTE)
    corner = array[tuple(slice(-1, None) if s < 0 else slice(1) for s in array.strides)]
    span = 1 + sum((n - 1) * abs(s) for n, s in zip(array.shape, array.strides, strict=True)) // array.itemsize
    return as_strided(corner, (span,), (array.itemsize,)).view(_BYTE)
