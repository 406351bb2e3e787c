"""How cypool runs a workload, and which of its functions there are to run."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

import cypool

from .common import SEED, Workload, data

Call = Callable[[], Any]

NOT_POOLS = {"get_num_threads", "output_shape", "set_num_threads", "show_config"}
"""Public functions that touch no array: `overhead.py` times them where that makes sense."""


def window(w: Workload) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the window arguments of `w` as its users would write them: nothing that is a default."""
    args: list[Any] = [w.kernel]
    if w.stride is not None or w.padding or w.dilation > 1:
        args.append(w.strides[0] if w.stride is not None else None)
    if w.padding or w.dilation > 1:
        args.append(w.padding)
    if w.dilation > 1:
        args.append(w.dilation)
    words: dict[str, Any] = {"axis": w.axis}
    if w.ceil_mode:
        words["ceil_mode"] = True
    return tuple(args), words


def forward(w: Workload, x: np.ndarray, op: str | None = None, **options: Any) -> Call:
    """Return the call of cypool that pools `x` as `w` says."""
    op = op or w.op
    args, words = window(w)
    if w.indices and op in ("max", "min"):
        words["return_indices"] = w.indices
    if op == "avg" and x.dtype.kind in "iu":
        words["dtype"] = x.dtype  # what image pyramids want; float64 is the default
    if op == "lp":
        args = (2, *args)
    return partial(getattr(cypool, f"{op}_pool"), x, *args, **words, **options)


def backward(w: Workload, x: np.ndarray, op: str | None = None, **options: Any) -> Call:
    """Return the call of cypool that takes the gradient of `forward(w, x)`."""
    op = op or w.op
    args, words = window(w)
    function = getattr(cypool, f"{op}_pool_grad")
    g = data(w.out_shape, x.dtype.name if x.dtype.kind in "fc" else "float32", w.order, SEED + 1)
    if op in ("max", "min"):
        kind = w.indices or "window"
        _, indices = forward(w._replace(indices=kind), x, op)()
        return partial(function, g, indices, x.shape, *args, **words, **options)
    if op == "lp":
        y = forward(w, x, op)()
        return partial(function, g, x, y, 2, *args, **words, **options)
    return partial(function, g, x.shape, *args, **words, **options)


def take(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that takes the cells of `x` that won `forward(w, x)`."""
    args, words = window(w)
    _, indices = forward(w._replace(indices=w.indices or "window"), x, "max")()
    return partial(cypool.max_pool_take, x, indices, *args, **words, **options)


def both(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return a call of cypool that pools and takes the gradient, as a training step does."""
    args, words = window(w)
    pool = forward(w, x, **options)
    gradient = getattr(cypool, f"{w.op}_pool_grad")
    g = data(w.out_shape, w.dtype, w.order, SEED + 1)

    def step() -> np.ndarray:
        if w.op in ("max", "min"):
            _, indices = pool()
            return gradient(g, indices, x.shape, *args, **words, **options)
        pool()
        return gradient(g, x.shape, *args, **words, **options)

    return step


def cypool_call(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that does the whole of `w`."""
    return both(w, x, **options) if w.grad else forward(w, x, **options)


def public_pools(names: Iterable[str]) -> dict[str, Callable[..., Call]]:
    """Return how to call each of the public functions `names` that pools; fail for one nobody thought of."""
    found: dict[str, Callable[..., Call]] = {}
    for name in names:
        op, _, rest = name.partition("_pool")
        if name in NOT_POOLS or not callable(getattr(cypool, name)):
            continue
        if op in ("max", "min", "avg", "sum", "lp") and rest in ("", "_grad"):
            found[name] = partial(backward if rest else forward, op=op)
        elif name == "max_pool_take":
            found[name] = take
        else:
            raise LookupError(f"cypool.{name} has no benchmark: say in benchmarks/common.py how to call it")
    return found
