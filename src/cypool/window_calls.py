"""One call of a pool that weighs cells by their values, or of its gradient: check, plan, allocate, run.

The counterpart of calls.py for norms.py, weighted.py and stochastic.py, whose kernel is `_kernels/windows.pyx`.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite, prod
from typing import Any, NamedTuple

import numpy as np

from cypool import arrays, calls, dispatch, dtypes, threads
from cypool.geometry import pooled_shape, windows
from cypool.plan import TYPES
from cypool.window_plan import ARRAYS, FACTORED, OUT, WEIGHTS, G, Request, X, plan

_NOTHING = np.zeros(1, np.uint8)


class Formula(NamedTuple):
    """One of `window_plan.OPS`, with its parameter: an exponent or a temperature.

    `passes` says whether a pool needs the peaks of its windows and their sums, "narrow" whether it needs no peaks for
    values that are far from the ends of float64; `again` says the same of the gradient.
    """

    op: str
    p: float = 1.0
    passes: tuple[bool, bool] = (True, True)
    again: tuple[bool, bool] = (False, False)
    narrow: bool = False
    counted: bool = False


def real(name: str, value: Any, least: float, *, exclusive: bool, infinite: bool) -> float:
    """Return an argument that must be a real number as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = float("nan")
    if not (number > least if exclusive else number >= least) or not (infinite or isfinite(number)):
        low = f"greater than {least:g}" if exclusive else f"at least {least:g}"
        raise ValueError(f"{name} must be {low}{'' if infinite else ' and finite'}, got {value!r}")
    return number


def given(name: str, value: Any) -> np.ndarray:
    """Return an argument as an array of real numbers that the kernel can read."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost: fill it first, as with {name}.filled(value)"
        )
    array = arrays.array(value)
    try:
        kind = dtypes.kind_of(array.dtype)
    except TypeError as error:
        raise TypeError(f"{name}{str(error).removeprefix('x')}") from None
    if kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {array.dtype}, but must be of real numbers: take their real part or abs first"
        )
    if not array.dtype.isnative or any(s % array.itemsize for s in array.strides):
        array = arrays.native(array)
    return array


def result_type(dtype: np.dtype) -> np.dtype:
    """Return the dtype of a result: that of floats, float64 for integers."""
    return dtype if dtypes.kind_of(dtype) == "f" else np.dtype(np.float64)


def broadcast(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} must broadcast to the shape of x, {shape}, got shape {array.shape}") from None


def same_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of the pool's result, {shape}, got {array.shape}")


def grad_type(grad: np.ndarray) -> np.dtype:
    """Return the dtype of a gradient, which is that of `grad`."""
    if dtypes.kind_of(grad.dtype) != "f":
        raise TypeError(f"grad must have a floating dtype, got {grad.dtype}: convert it with grad.astype")
    return grad.dtype


def forward(
    formula: Formula,
    x: np.ndarray,
    window: tuple[Any, ...],
    *,
    weights: np.ndarray | None = None,
    random: np.ndarray | None = None,
    indices: np.ndarray | None = None,
    out: Any = None,
    dtype: np.dtype | None = None,
    num_threads: int | None,
) -> np.ndarray:
    """Return the pool of `x`; `random` and `indices`, which is written, have the shape of the result."""
    count = threads.resolve(num_threads)
    inputs = [x, weights, None, random, indices]
    return _call(
        dispatch.kernels.windows.pool, formula, False, inputs, window, dtype or result_type(x.dtype), out, count
    )


def gradient(
    formula: Formula,
    grad: np.ndarray,
    x: np.ndarray,
    window: tuple[Any, ...],
    *,
    weights: np.ndarray | None = None,
    y: np.ndarray | None = None,
    summed: Sequence[bool] = (),
    out: Any = None,
    dtype: np.dtype | None = None,
    num_threads: int | None,
) -> np.ndarray:
    """Return the gradient with respect to `x`; with the op "weights", that to the weights, summed over kept axes."""
    count = threads.resolve(num_threads)
    inputs = [x, weights, None, grad, y]
    kernel = dispatch.kernels.windows.gradient
    return _call(kernel, formula, True, inputs, window, dtype or grad_type(grad), out, count, tuple(summed))


def _call(
    kernel: Any, formula: Formula, back: bool, inputs: list[np.ndarray | None], window: tuple[Any, ...],
    dtype: np.dtype, out: Any, count: int, summed: tuple[bool, ...] = (),
) -> np.ndarray:  # fmt: skip
    x = inputs[X]
    assert x is not None
    layouts = tuple([None if a is None else (a.strides, a.dtype) for a in inputs])
    like = inputs[3] if back else x
    assert like is not None
    key = formula, back, x.shape, layouts, dtype, "F" if like.flags.fnc else "C", summed
    arguments = calls.hashable(window)
    try:
        call = _prepare(*key, None, *arguments)
    except TypeError:
        # An argument that cannot be hashed, or of a wrong type: its own check says so.
        call = _prepare.__wrapped__(*key, None, *arguments)
    y = None
    if out is not None:
        arrays.check_out(out, call.shape, call.dtype)
        apart = not any(a is not None and np.may_share_memory(a, out) for a in inputs)
        if apart and all(s % out.itemsize == 0 for s in out.strides):
            y = out
            call = _prepare(*key, out.strides, *arguments)
    if y is None:
        y = arrays.empty(call.shape, call.dtype, call.order)
    if call.empty:
        y[...] = 0  # weights that an empty batch shares
    else:
        data = [*inputs[:OUT], y, *inputs[OUT + 1 :]]
        if count == 1 or call.serial:
            kernel(*data, call.table, formula.p, 1)
        else:
            threads.run(kernel, *data, call.table, formula.p, count)
    if out is not None and y is not out:
        out[...] = y
        y = out
    return y


def pooled(shape: tuple[int, ...], window: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the shape of a pool's result; all window arguments are checked."""
    return pooled_shape(shape, windows(shape, *window))


@lru_cache(maxsize=1024, typed=True)
def _prepare(
    formula: Formula,
    back: bool,
    shape: tuple[int, ...],
    layouts: tuple[Any, ...],
    dtype: np.dtype,
    order: str,
    summed: tuple[bool, ...],
    out_strides: tuple[int, ...] | None,
    *window: Any,
) -> calls.Call:
    """Check the window arguments and plan the call; `out_strides` are those of an `out` to write into, if there is one."""
    found = windows(shape, *window)
    y_shape = pooled_shape(shape, found)
    result = shape if back else y_shape
    if summed:
        result = tuple([1 if s else n for n, s in zip(shape, summed, strict=True)])
    bytes_per_step = out_strides
    if bytes_per_step is None:
        bytes_per_step = tuple([s * dtype.itemsize for s in arrays.strides_of(result, order)])
    if summed:
        bytes_per_step = tuple([0 if s else n for n, s in zip(bytes_per_step, summed, strict=True)])
    empty = prod(y_shape) == 0 or prod(shape) == 0
    table, work = b"", 0
    if not empty:
        strides, starts, types = [], [], []
        for i in ARRAYS:
            steps, kind = ((bytes_per_step, dtype) if i == OUT else layouts[i]) or ((0,) * len(shape), _NOTHING.dtype)
            steps = [s // kind.itemsize for s in steps]
            lengths = shape if i in (X, WEIGHTS) else result if i == OUT else y_shape
            strides.append(steps)
            starts.append(arrays.start_of(lengths, steps))
            types.append(TYPES.index(dtypes.name_of(kind)))
        peak, sums = formula.again if back else formula.passes
        wide = layouts[X][1] == np.float64
        op = formula.op
        between = any(w.dilation > 1 or w.stride > w.kernel for w in found)  # cells that no window has
        if back and formula.narrow and formula.p > 1 and not (wide or layouts[G][1] == np.float64 or between):
            op = FACTORED[op]
        request = Request(op, back, peak and (wide or not formula.narrow), sums, formula.counted, types)
        table, work, *_ = plan(found, shape, strides, starts, request)
    return calls.Call(table, 0.0, None, result, dtype, None, work < calls.SERIAL, order, empty)
