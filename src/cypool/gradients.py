"""The door of the gradients: the counterpart of pool.py and calls.py for what flows back through a pool."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from cypool import arrays, calls, dispatch, dtypes, threads
from cypool import gaps as absent
from cypool.geometry import Window, integer, pooled_shape, sequence, windows
from cypool.gradient_plan import CHOOSE, PUT, SCATTER, SUM, TAKE, Request, alone, follows, plan
from cypool.plan import SUM as POOL_SUM
from cypool.plan import TYPES

_LANES = {"f2": "f4", "bfloat16": "f4", "f4": "f4", "f8": "f8"}
"""What a gradient may be made of, and what it is added up in."""


def max_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
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
    """Return the gradient of `max_pool` with respect to its input.

    ``g[c] = sum over w of grad[w], for the windows w whose index names cell c``; a cell that no window chose gets
    exactly 0. It is linear in `grad`, and `max_pool_take` is its adjoint and so its own gradient.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, of the result's shape: float16, bfloat16, float32
        or float64.
    indices : array_like
        The indices that the pool returned, of the same shape. Signed integers are positions within the pooled axes
        (``return_indices=True``) and -1 is none; unsigned ones are offsets within the window ("window") and the
        largest value of their dtype is none. A window whose index is none hands on nothing.
    shape : sequence of int
        The shape of the pool's input.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `max_pool`.
    out : ndarray, optional
        Where to put the result; it must have exactly its shape and dtype. It may overlap the other arrays.
    num_threads : int, optional
        How many threads to use at most; see `set_num_threads`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`; in C order, or in Fortran order if `grad` is. The
        shares of a cell are added in an order that depends on the window arguments and the memory order of the
        result, never on threads: in float32 for float16 and bfloat16, for windows of more than 64 cells in float64,
        and else in the dtype itself.

    Raises
    ------
    ValueError
        An argument is out of range, a shape is not that of this pool, or an index names no cell of its window: the
        message has the first such index, and `out` is as it was.
    TypeError
        An argument or a dtype is of a wrong kind.
    OverflowError
        A window reaches further than 2**62 cells, or has more cells than an index can number.
    MemoryError
        There is no memory for the result.

    See Also
    --------
    max_pool, max_pool_take

    Examples
    --------
    >>> import numpy as np
    >>> import cypool
    >>> x = np.array([[1.0, 5, 2, 0], [3, 4, 8, 1], [0, 2, 6, 7]])
    >>> y, indices = cypool.max_pool(x, 2, stride=1, return_indices="window")
    >>> cypool.max_pool_grad(np.ones_like(y), indices, x.shape, 2, stride=1)
    array([[0., 1., 0., 0.],
           [0., 1., 4., 0.],
           [0., 0., 0., 0.]])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call("grad", grad, indices, shape, window, (), out, num_threads)


def min_pool_grad(
    grad: Any,
    indices: Any,
    shape: Sequence[int],
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
    """Return the gradient of `min_pool` with respect to its input.

    ``g[c] = sum over w of grad[w], for the windows w whose index names cell c``. The indices say all there is to say,
    so parameters, result and errors are those of `max_pool_grad`.

    See Also
    --------
    min_pool, max_pool_grad

    Examples
    --------
    >>> import cypool
    >>> _, indices = cypool.min_pool([3, 1, 4, 1, 5, 9], 3, return_indices=True)
    >>> cypool.min_pool_grad([0.5, 2.0], indices, (6,), 3)
    array([0. , 0.5, 0. , 2. , 0. , 0. ])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call("grad", grad, indices, shape, window, (), out, num_threads)


def max_pool_take(
    x: Any,
    indices: Any,
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
    """Return the cells of `x` at the indices of a pool.

    ``y[w] = x[the cell of window w that indices[w] names]``, or 0 if it names none. With the indices of
    ``max_pool(x)`` that is the pool itself; with a tangent in the place of `x` it is the derivative of the pool along
    that tangent, and with a second gradient it is the gradient of `max_pool_grad` with respect to `grad`.

    Parameters
    ----------
    x : array_like
        The array to take from, of any dtype that can be pooled.
    indices : array_like
        As for `max_pool_grad`, of the shape of a pool of `x`.
    kernel_size, stride, padding, dilation, axis, ceil_mode
        Those of the pool; see `max_pool`.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The cells, of the shape of `indices` and the dtype of `x`; in C order, or in Fortran order if `x` is.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As for `max_pool_grad`.

    See Also
    --------
    max_pool, max_pool_grad

    Examples
    --------
    >>> import cypool
    >>> _, indices = cypool.max_pool([3, 1, 4, 1, 5, 9], 3, return_indices=True)
    >>> cypool.max_pool_take([10, 20, 30, 40, 50, 60], indices, 3)
    array([30, 60])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return call("take", x, indices, None, window, (), out, num_threads)


def avg_pool_grad(
    grad: Any,
    shape: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    count_include_pad: bool | None = None,
    divisor_override: int | None = None,
    where: Any = None,
    min_count: int = 1,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `avg_pool` with respect to its input.

    ``g[c] = sum over w of grad[w] / divisor[w], for the windows w that hold cell c``, with the divisors of the pool; a
    cell of no window gets exactly 0. It is linear in `grad`, and `avg_pool` with the same arguments is its adjoint
    and so its own gradient.

    Parameters
    ----------
    grad : array_like
        The gradient with respect to the result of the pool, of the result's shape: float16, bfloat16, float32,
        float64, complex64 or complex128.
    shape : sequence of int
        The shape of the pool's input.
    kernel_size, stride, padding, dilation, axis, ceil_mode, count_include_pad, divisor_override
        Those of the pool; see `avg_pool`.
    where, min_count
        Those of the pool, `where` broadcasting to `shape`: a share is divided by the number of cells that counted, and
        goes to them alone; absent cells get exactly 0. A window of fewer than `min_count` cells hands on nothing. For
        the gradient of a pool of x with ``nan_policy="omit"`` pass ``where=~np.isnan(x)``.
    out, num_threads
        As for `max_pool_grad`.

    Returns
    -------
    ndarray
        The gradient, of the given shape and the dtype of `grad`; in C order, or in Fortran order if `grad` is. A sum
        over n windows is within ``(log2(n) + 3) * eps * sum(abs(grad / divisor))``; float16 and bfloat16 are added up
        in float32.

    Raises
    ------
    ValueError
        An argument is out of range, or `grad` has not the shape of the pool's result.
    TypeError, OverflowError, MemoryError
        As for `max_pool_grad`.

    See Also
    --------
    avg_pool, sum_pool_grad

    Examples
    --------
    >>> import cypool
    >>> cypool.avg_pool_grad([3.0, 6.0, 9.0], (7,), 3, stride=2)
    array([1., 1., 3., 2., 5., 3., 3.])

    With ``nan_policy="omit"``:

    >>> import numpy as np
    >>> x = np.array([1.0, np.nan, 5.0, np.nan, np.nan, np.nan])
    >>> cypool.avg_pool(x, 3, nan_policy="omit")
    array([ 3., nan])
    >>> cypool.avg_pool_grad([4.0, 7.0], x.shape, 3, where=~np.isnan(x))
    array([2., 0., 2., 0., 0., 0.])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    options = count_include_pad, divisor_override
    return shared(grad, shape, window, options, where, min_count, out, num_threads)


def sum_pool_grad(
    grad: Any,
    shape: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    axis: Any = None,
    ceil_mode: bool = False,
    where: Any = None,
    min_count: int = 1,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return the gradient of `sum_pool` with respect to its input.

    ``g[c] = sum over w of grad[w], for the windows w that hold cell c``: `avg_pool_grad` with all divisors 1.
    Parameters, result and errors are those of `avg_pool_grad`; the adjoint is `sum_pool`.

    See Also
    --------
    sum_pool, avg_pool_grad

    Examples
    --------
    >>> import cypool
    >>> cypool.sum_pool_grad([1.0, 2.0, 4.0], (4,), 2, stride=1)
    array([1., 3., 6., 4.])
    """
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return shared(grad, shape, window, (None, 1), where, min_count, out, num_threads)


# --- one call, from arguments to the kernel ---------------------------------------------------------------------


def shared(
    grad: Any, shape: Any, window: tuple[Any, ...], options: tuple[Any, ...], where: Any, min_count: Any,
    out: Any, num_threads: int | None,
) -> np.ndarray:  # fmt: skip
    """Take the gradient of a sum or an average, of the cells that are there."""
    if where is None and type(min_count) is int and min_count == 1:
        return call("grad", grad, None, shape, window, (*options, 1), out, num_threads)
    shape = _shape(shape)
    gaps = absent.gaps(shape, False, "propagate", where, min_count, None)
    where = np.broadcast_to(True, shape) if gaps.where is None else gaps.where
    cells = counts(where, window, num_threads)
    return call("grad", grad, cells, shape, window, (*options, gaps.least), out, num_threads, where)


def counts(where: np.ndarray, window: tuple[Any, ...], num_threads: int | None) -> np.ndarray:
    """Return how many cells each window has of those that are there."""
    found = windows(where.shape, *window)
    pooled = {w.axis for w in found}
    # Where an axis that is kept is all the same, it is counted once.
    once = tuple(slice(None if s or a in pooled else 1) for a, s in enumerate(where.strides))
    cells = calls.pool(POOL_SUM, where[once], window, (None,), ("propagate", None, 1, None), None, num_threads)
    return np.broadcast_to(cells, pooled_shape(where.shape, found))


def call(
    name: str, source: Any, indices: Any, shape: Any, window: tuple[Any, ...], options: tuple[Any, ...],
    out: Any, num_threads: int | None, where: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Take a gradient of the pool's result back to its input ("grad"), or cells of its input to its result ("take").

    With flat indices of any cells, "gather" does what "take" does, and "put" is its inverse.
    With `where`, the cells of the input that are there, `indices` are the numbers of them in each window.
    """
    source = array_of({"take": "x", "put": "y"}.get(name, "grad"), source)
    z = None if indices is None else array_of("indices", indices)
    limit = threads.resolve(num_threads)
    if shape is not None:
        shape = _shape(shape)
    layout = None if z is None else (z.shape, z.strides, z.dtype)
    key = name, source.shape, source.strides, source.dtype, source.flags.fnc, layout, shape
    arguments = *calls.hashable(window), *options
    try:
        plan_, found = _prepare(*key, None, *arguments)
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        plan_, found = _prepare.__wrapped__(*key, None, *arguments)
    x = None
    if out is not None:
        x, strides = calls.output(out, plan_, source)
        if any(a is not None and np.may_share_memory(out, a) for a in (z, where)):
            x = None
        elif strides is not None:
            plan_, _ = _prepare(*key, strides, *arguments)
    if x is None:
        x = arrays.empty(plan_.shape, plan_.dtype, plan_.order)
    if not plan_.empty:
        data = x, source, z, plan_.table, plan_.divisor
        count = 1 if limit == 1 or plan_.serial else limit
        # Wrong indices must not show in an `out`; a new array nobody sees.
        good = z is None or x is not out or _run(data, count, dry=True)
        if not (good and _run(data, count, dry=False)):
            assert z is not None
            raise ValueError(_complaint(z, found, name in ("put", "gather")))
        if where is not None:
            absent.clear(x, where)
    if out is not None and x is not out:
        out[...] = x
        x = out
    return x


def _run(data: tuple[Any, ...], count: int, *, dry: bool) -> bool:
    """Call the kernel; returns whether all indices were right."""
    kernel = dispatch.kernels.backward.gradient
    return bool(kernel(*data, 1, dry) if count == 1 else threads.run(kernel, *data, count, dry))


@lru_cache(maxsize=1024, typed=True)
def _prepare(
    name: str,
    source: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype,
    fortran: bool,
    indices: tuple[Any, ...] | None,
    shape: tuple[int, ...] | None,
    out_strides: tuple[int, ...] | None,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    axis: Any,
    ceil_mode: Any,
    *average: Any,
) -> tuple[calls.Call, tuple[Window, ...]]:
    """Check the arguments and plan the call; `out_strides` are those of an `out` to write into, if there is one."""
    if name != "grad":
        dtypes.kind_of(dtype)
        shape = source if shape is None else shape
    elif dtypes.name_of(dtype) not in _LANES or (dtype.kind == "c" and not average):
        raise TypeError(
            "grad must have dtype float16, bfloat16, float32 or float64"
            f"{' or be complex' if average else ''}, got {dtype}: convert it with grad.astype"
        )
    assert shape is not None
    found = windows(shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    pooled = pooled_shape(shape, found)
    if name in ("grad", "put") and source != pooled:
        raise ValueError(
            f"{'y' if name == 'put' else 'grad'} must have the shape of the pool's result, {pooled}, got {source}"
        )
    flat = False
    z_strides: Sequence[int] = [0] * len(pooled)
    z_dtype = np.dtype(np.uint8)
    if indices is not None:
        z_shape, z_strides, z_dtype = indices
        if z_dtype.kind not in "iu":
            raise TypeError(f"indices must be of an integer dtype, got {z_dtype}")
        if z_shape != pooled:
            raise ValueError(f"indices must have the shape of the pool's result, {pooled}, got {z_shape}")
        flat = z_dtype.kind == "i" and not average
        if not flat and not average and prod(w.kernel for w in found) >= 2**63:
            raise OverflowError("kernel_size makes windows of more than 2**63 cells, too many to number")
        z_strides = [s // z_dtype.itemsize for s in z_strides]
    divisor, counted, padded, gaps, least = 0.0, False, False, False, 0
    if average:
        include, override, least = average
        divisor, counted, padded = calls.divisor_of(found, padding, prod(w.kernel for w in found), include, override)
        gaps = indices is not None
        if gaps:
            # Without an override each window has a divisor of its own.
            counted = override is None
            divisor = 0.0 if counted else divisor
        elif divisor == 1:
            divisor = 0.0
    anywhere = flat and name in ("put", "gather")
    result = pooled if name in ("take", "gather") else shape
    order = "F" if fortran else "C"
    if out_strides is None:
        x_strides: Sequence[int] = arrays.strides_of(result, order)
    else:
        x_strides = [s // dtype.itemsize for s in out_strides]
    mode = {"grad": SUM, "put": PUT}.get(name, TAKE)
    if name == "grad" and indices is not None and not gaps:
        mode = PUT if alone(found, x_strides) else SCATTER if follows(found, flat) else CHOOSE
    g_strides = [s // dtype.itemsize for s in strides]
    table, work, empty = b"", 0, prod(result) == 0
    if not empty:
        parts = 2 if dtype.kind == "c" else 1
        # What is taken or put has the bytes of a cell and no arithmetic.
        cell = f"u{dtype.itemsize // parts}" if mode >= TAKE else dtypes.name_of(dtype)
        type_, lane, index = (TYPES.index(t) for t in (cell, _LANES.get(cell, cell), dtypes.name_of(z_dtype)))
        request = Request(mode, type_, lane, index, flat, counted, padded, gaps, least, anywhere)
        strides_of: list[Sequence[int]] = [x_strides, g_strides, z_strides]
        starts = [arrays.start_of(n, by) for n, by in zip((result, source, pooled), strides_of, strict=True)]
        if parts == 2:
            # Numbers of two floats, which are one more axis to keep; they share their index.
            strides_of = [[*(2 * s for s in x_strides), 1], [*(2 * s for s in g_strides), 1], [*z_strides, 0]]
            starts = [2 * starts[0], 2 * starts[1], starts[2]]
            shape = *shape, 2
        table, work, *_ = plan(found, shape, strides_of, starts, request)
    return calls.Call(table, divisor, None, result, dtype, None, work < calls.SERIAL, order, empty), found


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple([integer("shape", n, 0) for n in sequence("shape", shape)])


def array_of(name: str, value: Any) -> np.ndarray:
    """Return an argument as an array that a kernel can read."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost: fill it first, as with {name}.filled(value)"
        )
    array = arrays.array(value)
    if not array.dtype.isnative or any(s % array.itemsize for s in array.strides):
        array = arrays.native(array)
    return array


def _complaint(indices: np.ndarray, found: Sequence[Window], anywhere: bool) -> str:
    """Say which index, the first in row-major order, names no cell of its window, or `anywhere`, if it is flat."""
    flat = indices.dtype.kind == "i"
    anywhere &= flat
    none = -1 if flat else np.iinfo(indices.dtype).max
    sizes = [w.size if flat else w.kernel for w in found]
    for start in range(0, indices.size, 1 << 16):
        at = np.unravel_index(np.arange(start, min(start + (1 << 16), indices.size)), indices.shape)
        value = indices[at]
        good = (value >= 0) & (value < prod(sizes))
        place = np.where(good, value, 0).astype(np.int64)
        for i, w in enumerate(found):
            part = place // prod(sizes[i + 1 :]) % sizes[i]
            first = at[w.axis] * w.stride - w.low if w.bins is None else w.bins[at[w.axis], 0]
            tap, rest = np.divmod(part - first, w.dilation) if flat else (part, 0)
            cell = part if flat else first + part * w.dilation
            known = (rest == 0) & (tap >= 0) & (tap < w.kernel) & (cell >= 0)
            good &= anywhere | known & (cell < (w.size if w.bins is None else w.bins[at[w.axis], 1]))
        wrong = np.flatnonzero(~good & (value != none))
        if wrong.size:
            position = tuple(int(c[wrong[0]]) for c in at)
            kind = "position in the pooled axes" if flat else "offset in the window"
            cells = "the array" if anywhere else "their windows"
            return f"indices must name cells of {cells}, got the {kind} {value[wrong[0]]} for window {position}"
    raise AssertionError("the kernel refused indices that are right")
