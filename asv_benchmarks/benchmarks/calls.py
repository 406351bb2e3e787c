"""How cypool runs a workload, and which of its functions there are to run."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import cypool

from .common import SEED, Workload, data

Call = Callable[[], Any]

NOT_POOLS = {"get_num_threads", "output_shape", "set_num_threads", "show_config"}
"""Public functions that touch no array: `overhead.py` times them where that makes sense."""


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


# --- what a function takes after its arrays -----------------------------------------------------------------------


def window(w: Workload) -> Arguments:
    """Return the window arguments of `w` as its users would write them: nothing that is a default."""
    args: list[Any] = [w.kernel if w.kernel is not None else w.kernels]
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


def bins(w: Workload) -> Arguments:
    """Return as many bins as `w` has windows."""
    return (tuple(w.out_shape[a] for a in w.axis),), {"axis": w.axis}


def axes(w: Workload) -> Arguments:
    """Return the axes alone: every window is the whole of them."""
    return (), {"axis": w.axis}


def norm(w: Workload, arguments: Callable[[Workload], Arguments] = window) -> Arguments:
    """Return the arguments of a norm."""
    args, words = arguments(w)
    return (w.norm, *args), words


# --- what a gradient takes after the gradient that comes in: of the pool's input and result -----------------------


def winners(x: np.ndarray, result: Any) -> tuple[Any, ...]:
    return result[1], x.shape


def shape(x: np.ndarray, result: Any) -> tuple[Any, ...]:
    return (x.shape,)


def values(x: np.ndarray, result: Any) -> tuple[Any, ...]:
    return x, result


def inputs(x: np.ndarray, result: Any) -> tuple[Any, ...]:
    return (x,)


class Member(NamedTuple):
    """How a pool and its gradient are called."""

    arguments: Callable[[Workload], Arguments]
    sources: Callable[[np.ndarray, Any], tuple[Any, ...]]


MEMBERS = {
    "max": Member(window, winners),
    "min": Member(window, winners),
    "avg": Member(window, shape),
    "sum": Member(window, shape),
    "lp": Member(norm, values),
    "adaptive_max": Member(bins, winners),
    "adaptive_min": Member(bins, winners),
    "adaptive_avg": Member(bins, shape),
    "global_max": Member(axes, winners),
    "global_min": Member(axes, winners),
    "global_avg": Member(axes, shape),
    "global_lp": Member(partial(norm, arguments=axes), values),
    "power_mean": Member(norm, values),
    "logsumexp": Member(window, values),
    "soft": Member(window, inputs),
}
"""A new pool `<name>_pool` is a line here."""


# --- calls --------------------------------------------------------------------------------------------------------


def forward(w: Workload, x: np.ndarray, op: str | None = None, **options: Any) -> Call:
    """Return the call of cypool that pools `x` as `w` says."""
    op = op or w.op
    member = MEMBERS[op]
    args, words = member.arguments(w)
    if w.indices and member.sources is winners:
        words["return_indices"] = w.indices
    if op.endswith("avg") and x.dtype.kind in "iu":
        words["dtype"] = x.dtype  # what image pyramids want; float64 is the default
    return partial(getattr(cypool, f"{op}_pool"), x, *args, **words, **options)


def training(w: Workload, x: np.ndarray, op: str | None = None, **options: Any) -> tuple[Call, Callable[..., Any]]:
    """Return the call that pools `x`, and a function that takes the gradient of what that returned."""
    op = op or w.op
    member = MEMBERS[op]
    pool = forward(w._replace(indices=w.indices or "window"), x, op, **options)
    result = pool()
    y = result[0] if isinstance(result, tuple) else result
    g = data(y.shape, y.dtype.name if y.dtype.kind in "fc" else "float32", w.order, SEED + 1)
    args, words = member.arguments(w)
    function = getattr(cypool, f"{op}_pool_grad")

    def gradient(result: Any, **options: Any) -> Any:
        return function(g, *member.sources(x, result), *args, **words, **options)

    return pool, gradient


def backward(w: Workload, x: np.ndarray, op: str | None = None, **options: Any) -> Call:
    """Return the call of cypool that takes the gradient of `forward(w, x)`."""
    pool, gradient = training(w, x, op)
    return partial(gradient, pool(), **options)


def take(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that takes the cells of `x` that won `forward(w, x)`."""
    args, words = window(w)
    _, indices = forward(w._replace(indices=w.indices or "window"), x, "max")()
    return partial(cypool.max_pool_take, x, indices, *args, **words, **options)


def unpool(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that puts the cells that won a max pool back, or takes the gradient of that as well."""
    args, words = window(w)
    y, indices = forward(w._replace(indices=w.indices or "window"), x, "max")()
    there = partial(cypool.max_unpool, y, indices, *args, output_shape=x.shape, **words, **options)
    if not w.grad:
        return there
    g = data(w.shape, w.dtype, w.order, SEED + 1)
    back = partial(cypool.max_unpool_grad, g, indices, *args, **words, **options)
    return lambda: (there(), back())[1]


def unpool_grad(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that takes the gradient of `unpool`; it has the shape of `x`."""
    args, words = window(w)
    _, indices = forward(w._replace(indices=w.indices or "window"), x, "max")()
    return partial(cypool.max_unpool_grad, x, indices, *args, **words, **options)


def both(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return a call of cypool that pools and takes the gradient, as a training step does."""
    pool, gradient = training(w, x, **options)
    return lambda: gradient(pool(), **options)


def fractional(w: Workload, x: np.ndarray, *, grad: bool = False, **options: Any) -> Call:
    """Return the call of cypool that makes as many windows at drawn places as `w` has, or takes its gradient."""
    size = tuple(w.out_shape[a] for a in w.axis)
    words = {"output_size": size, "axis": w.axis, "samples": w.samples}
    if w.indices:
        words["return_indices"] = w.indices
    if not grad:
        return partial(cypool.fractional_max_pool, x, w.kernel, **words, **options)
    y, indices = cypool.fractional_max_pool(x, w.kernel, **(words | {"return_indices": True}))
    g = data(y.shape, "float32", w.order, SEED + 1)
    return partial(cypool.fractional_max_pool_grad, g, indices, x.shape, w.kernel, axis=w.axis, **options)


def pyramid(w: Workload, x: np.ndarray, *, grad: bool = False, **options: Any) -> Call:
    """Return the call of cypool that makes the usual pyramid of `x`, or takes its gradient."""
    pool = partial(cypool.spatial_pyramid_pool, x, axis=w.axis)
    if not grad:
        return partial(pool, **options)
    y, indices = pool(return_indices=True)
    g = data(y.shape, "float32", w.order, SEED + 1)
    return partial(cypool.spatial_pyramid_pool_grad, g, indices, x.shape, axis=w.axis, **options)


def of(name: str, *arrays: str) -> Callable[..., Call]:
    """Return how to call a function of arrays and a window: the input "x", one "weights", or what is as the pool."""

    def call(w: Workload, x: np.ndarray, **options: Any) -> Call:
        args, words = window(w)
        made = {"x": x, "weights": np.linspace(1, 2, x.shape[-1])}
        given = [made[a] if a in made else data(w.out_shape, "float32", w.order, SEED + 1) for a in arrays]
        return partial(getattr(cypool, name), *given, *args, **words, **options)

    return call


OTHERS: dict[str, Callable[..., Call]] = {
    "fractional_max_pool": fractional,
    "fractional_max_pool_grad": partial(fractional, grad=True),
    "max_pool_take": take,
    "max_unpool": unpool,
    "max_unpool_grad": unpool_grad,
    "spatial_pyramid_pool": pyramid,
    "spatial_pyramid_pool_grad": partial(pyramid, grad=True),
    "stochastic_pool": of("stochastic_pool", "x"),
    "stochastic_pool_expectation": of("stochastic_pool_expectation", "x"),
    "stochastic_pool_expectation_grad": of("stochastic_pool_expectation_grad", "grad", "x"),
    "weighted_avg_pool": of("weighted_avg_pool", "x", "weights"),
    "weighted_avg_pool_grad": of("weighted_avg_pool_grad", "grad", "x", "weights", "y"),
}
"""Functions that are no pools and no gradients of them, or are called in a way of their own."""


def cypool_call(w: Workload, x: np.ndarray, **options: Any) -> Call:
    """Return the call of cypool that does the whole of `w`."""
    other = OTHERS.get(w.op) or OTHERS.get(f"{w.op}_pool")
    return (other or (both if w.grad else forward))(w, x, **options)


def public_pools(names: Iterable[str]) -> dict[str, Callable[..., Call]]:
    """Return how to call each of the public functions `names` that pools; fail for one nobody thought of."""
    found: dict[str, Callable[..., Call]] = {}
    for name in names:
        if name in NOT_POOLS or not callable(getattr(cypool, name)):
            continue
        op, _, rest = name.partition("_pool")
        if name in OTHERS:
            found[name] = OTHERS[name]
        elif op in MEMBERS and rest in ("", "_grad"):
            found[name] = partial(backward if rest else forward, op=op)
        else:
            raise LookupError(f"cypool.{name} has no benchmark: add a line to MEMBERS or OTHERS in benchmarks/calls.py")
    return found
