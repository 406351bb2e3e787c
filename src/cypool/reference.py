"""The specification of cypool: the same functions, slow and obvious, in NumPy and exact arithmetic.

Every function is written from its definition: visit the output cells one by one, gather the taps of the
window, apply the formula. Sums are exact (``math.fsum``, Python integers) and rounded once. Nothing here is
shared with the library, so the two can judge each other; nothing here is fast.

Per axis with ``n`` cells, window ``i`` starts at ``i * stride - low`` and has its taps at
``start + j * dilation`` for ``j`` in ``range(kernel)``; the taps inside ``[0, n)`` are real cells, the others
inside ``[-low, n + high)`` are padding, and the rest, overhang from ``ceil_mode``, does not exist.
"""

import cmath
import math
import operator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "adaptive_max_pool_grad",
    "adaptive_min_pool",
    "adaptive_min_pool_grad",
    "avg_pool",
    "avg_pool_grad",
    "fractional_max_pool",
    "fractional_max_pool_grad",
    "global_avg_pool",
    "global_lp_pool",
    "global_max_pool",
    "global_min_pool",
    "logsumexp_pool",
    "logsumexp_pool_grad",
    "lp_pool",
    "lp_pool_grad",
    "max_pool",
    "max_pool_grad",
    "max_pool_take",
    "max_unpool",
    "max_unpool_grad",
    "min_pool",
    "min_pool_grad",
    "output_shape",
    "power_mean_pool",
    "power_mean_pool_grad",
    "soft_pool",
    "soft_pool_grad",
    "spatial_pyramid_pool",
    "spatial_pyramid_pool_grad",
    "stochastic_pool",
    "stochastic_pool_expectation",
    "stochastic_pool_expectation_grad",
    "sum_pool",
    "sum_pool_grad",
    "weighted_avg_pool",
    "weighted_avg_pool_grad",
]


# ---------------------------------------------------------------------------------------------- forward


def max_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
             return_indices=False, nan_policy="propagate", where=None, min_count=1, fill_value=None,
             out=None, num_threads=None):  # fmt: skip
    """``y[o] = max(x[c] for c in window(o))``; the first NaN wins, else the first of the greatest."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _extreme(x, window, operator.gt, return_indices, nan_policy, where, min_count, fill_value, out)


def min_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
             return_indices=False, nan_policy="propagate", where=None, min_count=1, fill_value=None,
             out=None, num_threads=None):  # fmt: skip
    """``y[o] = min(x[c] for c in window(o))``; the first NaN wins, else the first of the least."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _extreme(x, window, operator.lt, return_indices, nan_policy, where, min_count, fill_value, out)


def avg_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
             count_include_pad=None, divisor_override=None, dtype=None, nan_policy="propagate",
             where=None, min_count=1, fill_value=None, out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(x[c] for c in window(o)) / divisor(o)``, rounded once.

    The divisor is `divisor_override`, or else the number of real cells that take part, plus the padded ones
    if `count_include_pad` (None: yes for numeric padding, no for "same"). Integers give float64, or with an
    integer `dtype` the exact mean rounded half to even.
    """
    x = _array(x, "avg_pool")
    plan = _Plan(x.shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    divisor = _divisor_rule(padding, count_include_pad, divisor_override)
    dtype = _result_dtype(x.dtype, dtype, np.dtype(np.float64))

    def mean(values, window, absent):
        by = divisor(window, absent)
        if by == 0:
            return None
        if _is_integer(dtype):
            return round(Fraction(sum(values), by))
        return _exact_sum(values) / by

    return _accumulate(x, plan, mean, dtype, nan_policy, where, min_count, fill_value, out)


def sum_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
             dtype=None, nan_policy="propagate", where=None, min_count=1, fill_value=None,
             out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(x[c] for c in window(o))``, rounded once; integers wrap in `dtype` as in numpy.sum."""
    x = _array(x, "sum_pool")
    plan = _Plan(x.shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    accumulator = np.dtype(np.uint64 if x.dtype.kind == "u" else np.int64)
    dtype = _result_dtype(x.dtype, dtype, accumulator)

    def total(values, window, absent):
        return _exact_sum(values)

    return _accumulate(x, plan, total, dtype, nan_policy, where, min_count, fill_value, out)


def adaptive_max_pool(x, output_size, *, axis=None, return_indices=False, nan_policy="propagate", where=None,
                      min_count=1, fill_value=None, out=None, num_threads=None):  # fmt: skip
    """``y[o] = max(x[c] for c in bin(o))``; offsets of "window" indices count in the largest bin."""
    return _extreme(x, lambda shape: _Bins(shape, output_size, axis), operator.gt, return_indices, nan_policy, where,
                    min_count, fill_value, out)  # fmt: skip


def adaptive_min_pool(x, output_size, *, axis=None, return_indices=False, nan_policy="propagate", where=None,
                      min_count=1, fill_value=None, out=None, num_threads=None):  # fmt: skip
    """``y[o] = min(x[c] for c in bin(o))``; offsets of "window" indices count in the largest bin."""
    return _extreme(x, lambda shape: _Bins(shape, output_size, axis), operator.lt, return_indices, nan_policy, where,
                    min_count, fill_value, out)  # fmt: skip


def adaptive_avg_pool(x, output_size, *, axis=None, dtype=None, nan_policy="propagate", where=None, min_count=1,
                      fill_value=None, out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(x[c] for c in bin(o)) / how many these are``, rounded as in `avg_pool`."""
    x = _array(x, "adaptive_avg_pool")
    plan = _Bins(x.shape, output_size, axis)
    dtype = _result_dtype(x.dtype, dtype, np.dtype(np.float64))

    def mean(values, window, absent):
        if not values:
            return None
        return round(Fraction(sum(values), len(values))) if _is_integer(dtype) else _exact_sum(values) / len(values)

    return _accumulate(x, plan, mean, dtype, nan_policy, where, min_count, fill_value, out)


def global_max_pool(x, *, axis=None, keepdims=True, **options):
    """``max(x[c] for all c)`` along the axes, all but the first two if there are three or more; options of max_pool."""
    return _whole(adaptive_max_pool, x, axis, keepdims, options)


def global_min_pool(x, *, axis=None, keepdims=True, **options):
    """``min(x[c] for all c)`` along the axes."""
    return _whole(adaptive_min_pool, x, axis, keepdims, options)


def global_avg_pool(x, *, axis=None, keepdims=True, **options):
    """``sum(x[c] for all c) / how many they are`` along the axes."""
    return _whole(adaptive_avg_pool, x, axis, keepdims, options)


def _whole(pool, x, axis, keepdims, options):
    x = np.asanyarray(x)
    if axis is None:
        axis = tuple(range(2 if x.ndim >= 3 else 0, x.ndim))
    result = pool(x, 1, axis=axis, **options)
    if keepdims:
        return result
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(a.squeeze(axes) for a in result) if isinstance(result, tuple) else result.squeeze(axes)


def spatial_pyramid_pool(x, levels=(1, 2, 4), *, op="max", axis=None, return_indices=False, out=None, num_threads=None):
    """The adaptive pools of all levels, each with its bins in row-major order, one after the other."""
    x = _array(x, "spatial_pyramid_pool")
    axes = _pyramid_axes(axis, x.ndim)
    pool = {"max": adaptive_max_pool, "avg": adaptive_avg_pool}[op]
    pooled = [pool(x, bins, axis=axes, **({"return_indices": True} if op == "max" else {})) for bins in levels]
    rows = [[_bins_last(a, axes) for a in (p if op == "max" else (p,))] for p in pooled]
    result = [np.concatenate(row, axis=-1) for row in zip(*rows, strict=True)]
    y = _deliver(result[0], result[0], out)
    return (y, result[1]) if return_indices else y


def _pyramid_axes(axis, ndim):
    axis = range(2 if ndim >= 3 else 0, ndim) if axis is None else axis if isinstance(axis, tuple | list) else [axis]
    return tuple(a % ndim for a in axis)


def _bins_last(y, axes):
    kept = [a for a in range(y.ndim) if a not in axes]
    return np.ascontiguousarray(y.transpose(*kept, *axes)).reshape(
        [*(y.shape[a] for a in kept), math.prod(y.shape[a] for a in axes)]
    )


def fractional_max_pool(x, kernel_size, *, output_size=None, output_ratio=None, axis=None, rng=None, samples=None,
                        return_indices=False, out=None, num_threads=None):  # fmt: skip
    """``y[o] = max(x[c] for c in window(o))``: windows start at ``floor((i + u) a) - floor(u a)``, the last at the end.

    `a` is ``(n - k) / (o - 1)``, computed in the type of the samples `u`: one for each axis, or such a set per plane.
    """
    x = _array(x, "fractional_max_pool")
    plan = _Plan(x.shape, kernel_size, 1, 0, 1, axis, False)
    m = len(plan.axes)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, tuple | list) else [output_ratio] * m
        output_size = tuple(int(n * r) for n, r in zip(plan.sizes, ratios, strict=True))
    plan.outs = _per_axis("output_size", output_size, m, least=1)
    plan._finish()
    samples = np.random.default_rng(rng).random(m) if samples is None else np.asarray(samples)
    samples = np.broadcast_to(samples, (*plan.kept, m))
    y = np.empty(plan.kept + plan.outs, x.dtype)
    indices = np.empty(y.shape, np.int64 if return_indices is True else plan.window_dtype)
    for kept in np.ndindex(plan.kept):
        starts = [
            _starts(n, k, o, u) for n, k, o, u in zip(plan.sizes, plan.kernels, plan.outs, samples[kept], strict=True)
        ]
        for o in np.ndindex(plan.outs):
            corner = [s[i] for s, i in zip(starts, o, strict=True)]
            cells = tuple(slice(c, c + k) for c, k in zip(corner, plan.kernels, strict=True))
            taken = plan.pooled_last(x)[kept][cells]
            first = np.unravel_index(int(np.argmax(taken)), taken.shape)
            y[kept][o] = taken[first]
            flat = np.ravel_multi_index([c + t for c, t in zip(corner, first, strict=True)], plan.sizes)
            indices[kept][o] = flat if return_indices is True else np.ravel_multi_index(first, plan.kernels)
    y = _deliver(plan.pooled_back(y), x, out)
    return (y, _deliver(plan.pooled_back(indices), x, None)) if return_indices else y


def _starts(n, k, o, u):
    u = np.asarray(u)
    a = u.dtype.type(n - k) / u.dtype.type(max(o - 1, 1))
    return [int((u.dtype.type(i) + u) * a) - int(u * a) for i in range(o - 1)] + [n - k]


def output_shape(shape, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False):
    """The shape a pool of an array of this `shape` would return."""
    return _Plan(shape, kernel_size, stride, padding, dilation, axis, ceil_mode).output_shape


# -------------------------------------------------------------------------------------------- gradients


def spatial_pyramid_pool_grad(grad, indices, shape, levels=(1, 2, 4), *, op="max", axis=None, out=None,
                              num_threads=None):  # fmt: skip
    """``g[c] =`` the sum of the gradients of all levels."""
    axes = _pyramid_axes(axis, len(shape))
    result = np.zeros(shape, np.result_type(grad.dtype, np.float64))
    first = 0
    for bins in levels:
        plan = _Bins(shape, bins, axes)
        cells = slice(first, first + math.prod(plan.outs))
        first = cells.stop
        asked = [
            plan.pooled_back(a[..., cells].reshape(plan.kept + plan.outs)) for a in (grad, indices) if a is not None
        ]
        gradient = adaptive_max_pool_grad if op == "max" else adaptive_avg_pool_grad
        result += gradient(*asked, shape, bins, axis=axes)
    return _deliver(result.astype(grad.dtype), result, out)


def fractional_max_pool_grad(grad, indices, shape, kernel_size, *, axis=None, out=None, num_threads=None):
    """``g[c] = sum(grad[o] for o if indices[o] names c)``."""
    plan = _Plan(shape, kernel_size, 1, 0, 1, axis, False)
    plan.outs = tuple(grad.shape[a] for a in plan.axes)
    plan._finish()
    asked = plan.pooled_last(indices)

    def share(kept, o, window, g):
        cell = asked[kept].flat[o]
        return [] if cell == -1 else [(int(cell), g)]

    return _scatter(grad, plan, share, out)


def adaptive_max_pool_grad(grad, indices, shape, output_size, *, axis=None, out=None, num_threads=None):
    """``g[c] = sum(grad[o] for o if indices[o] names c)``, for an input of this `shape`."""
    return _follow(grad, indices, _Bins(shape, output_size, axis), out)


adaptive_min_pool_grad = adaptive_max_pool_grad


def adaptive_avg_pool_grad(grad, shape, output_size, *, axis=None, where=None, min_count=1, out=None,
                           num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] / how many cells bin(o) has, for o if bin(o) holds c)``; `where` as in the pool."""
    plan = _Bins(shape, output_size, axis)
    grad = _matching(grad, "grad", plan.output_shape)
    valid = plan.pooled_last(_valid_cells(where, plan))

    def share(kept, o, window, g):
        is_valid = valid[kept].ravel()
        cells = [c for c in window.cells if is_valid[c]]
        return [(c, g / len(cells)) for c in cells] if len(cells) >= min_count else []

    return _scatter(grad, plan, share, out)


def max_pool_grad(grad, indices, shape, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                  ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] for o if indices[o] names c)``, for an input of this `shape`."""
    return _follow(grad, indices, _Plan(shape, kernel_size, stride, padding, dilation, axis, ceil_mode), out)


min_pool_grad = max_pool_grad  # the indices already say which cell won


def _follow(grad, indices, plan, out):
    grad = _matching(grad, "grad", plan.output_shape)
    indices = _matching(indices, "indices", plan.output_shape)
    asked = plan.pooled_last(indices)

    def share(kept, o, window, g):
        cell = _named_cell(window, asked[kept].flat[o], plan)
        return [] if cell is None else [(cell, g)]

    return _scatter(grad, plan, share, out)


def avg_pool_grad(grad, shape, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                  ceil_mode=False, count_include_pad=None, divisor_override=None, where=None, min_count=1,
                  out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] / divisor(o) for o if window(o) holds c)``; `where` as in the pool."""
    plan = _Plan(shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    grad = _matching(grad, "grad", plan.output_shape)
    divisor = _divisor_rule(padding, count_include_pad, divisor_override)

    valid = plan.pooled_last(_valid_cells(where, plan))

    def share(kept, o, window, g):
        is_valid = valid[kept].ravel()
        cells = [c for c in window.cells if is_valid[c]]
        by = divisor(window, len(window.cells) - len(cells))
        return [(c, g / by) for c in cells] if len(cells) >= min_count else []

    return _scatter(grad, plan, share, out)


def sum_pool_grad(grad, shape, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                  ceil_mode=False, where=None, min_count=1, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] for o if window(o) holds c)``; `where` as in the pool."""
    return avg_pool_grad(grad, shape, kernel_size, stride, padding, dilation, axis=axis, ceil_mode=ceil_mode,
                         divisor_override=1, where=where, min_count=min_count, out=out)  # fmt: skip


def max_pool_take(x, indices, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                  ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``y[o] = x[c]`` for the cell ``c`` that ``indices[o]`` names, 0 where it names none."""
    x = _array(x, "max_pool_take")
    plan = _Plan(x.shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    return _take(x, indices, plan, out, anywhere=False)


def max_unpool(y, indices, kernel_size, stride=None, padding=0, dilation=1, *, output_shape=None, axis=None,
               ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``x[c] = y[o]`` for the last window ``o`` whose index names cell ``c``, 0 where none does.

    Flat indices name any cell. Without `output_shape` a pooled axis of n windows has the cells from the first tap of
    the first to the last tap of the last, without the padding; ``n * stride`` for "same".
    """
    y = _array(y, "max_unpool")
    axes = _axes(axis, kernel_size, y.ndim)
    shape = list(y.shape)
    if output_shape is not None and len(output_shape) == y.ndim:
        shape = output_shape
    else:
        kernels = _per_axis("kernel_size", kernel_size, len(axes), least=1)
        strides = kernels if stride is None else _per_axis("stride", stride, len(axes), least=1)
        extents = [d * (k - 1) + 1 for k, d in zip(kernels, _per_axis("dilation", dilation, len(axes), 1), strict=True)]
        pads = _pads("valid" if isinstance(padding, str) else padding, kernels, extents, strides)
        for i, a in enumerate(axes):
            shape[a] = (y.shape[a] - 1) * strides[i] + extents[i] - sum(pads[i])
            if padding in ("same", "same_lower"):
                shape[a] = y.shape[a] * strides[i]
            if output_shape is not None:
                shape[a] = output_shape[i]
    plan = _Plan(shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    _matching(y, "y", plan.output_shape)
    indices = _matching(indices, "indices", plan.output_shape)
    result = np.zeros(plan.kept + plan.sizes, y.dtype)
    for kept in np.ndindex(plan.kept):
        asked = plan.pooled_last(indices)[kept].ravel()
        for window, index, v in zip(plan.windows(), asked, plan.pooled_last(y)[kept].ravel(), strict=True):
            cell = _named_cell(window, index, plan, anywhere=True)
            if cell is not None:
                result[kept].flat[cell] = v
    return _deliver(plan.pooled_back(result), y, out)


def max_unpool_grad(grad, indices, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
                    out=None, num_threads=None):  # fmt: skip
    """``g[o] = grad[c]`` for the cell ``c`` that ``indices[o]`` names, 0 where it names none; flat ones name any cell."""
    grad = _array(grad, "max_unpool_grad")
    plan = _Plan(grad.shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    return _take(grad, indices, plan, out, anywhere=True)


# ------------------------------------------------------------------------------- norms, means and soft maxima


def lp_pool(x, norm_type, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
            out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(abs(x[c]) ** p for c in window(o)) ** (1 / p)``, and the largest abs(x[c]) for p = inf."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _weigh(x, window, lambda cells: _norm(np.abs(cells), norm_type, 1), out)


def global_lp_pool(x, norm_type=2, *, axis=None, keepdims=True, out=None, num_threads=None):
    """The norm of all cells along `axis`: all axes but the first two of three or more."""
    x = np.asarray(x)
    if axis is None:
        axis = tuple(range(2 if x.ndim > 2 else 0, x.ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    y = lp_pool(x, norm_type, tuple(x.shape[a] for a in axes), axis=axes)
    return y if keepdims else y.squeeze(axes)


def power_mean_pool(x, p, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
                    out=None, num_threads=None):  # fmt: skip
    """``y[o] = mean(x[c] ** p for c in window(o)) ** (1 / p)``; NaN where a cell is negative."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _weigh(x, window, lambda cells: _norm(_positive(cells), p, len(cells)), out)


def logsumexp_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
                   temperature=1.0, out=None, num_threads=None):  # fmt: skip
    """``y[o] = T * log(sum(exp(x[c] / T) for c in window(o)))``."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def smooth_max(cells):
        most = cells.max()
        return most + temperature * np.log(np.exp((cells - most) / temperature).sum()) if np.isfinite(most) else most

    return _weigh(x, window, smooth_max, out)


def lp_pool_grad(grad, x, y, norm_type, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                 ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] * sign(x[c]) * (abs(x[c]) / y[o]) ** (p - 1))``, 0 where y is; p = inf: ties share."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def slopes(cells, norm):
        if norm_type == math.inf:
            ties = np.abs(cells) == np.abs(cells).max()
            return np.sign(cells) * ties / ties.sum()
        return np.sign(cells) * (np.abs(cells) / norm) ** (norm_type - 1) if norm != 0 else 0 * cells

    return _unweigh(grad, x, window, slopes, out, y=y)


def power_mean_pool_grad(grad, x, y, p, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                         ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] / n(o) * (x[c] / y[o]) ** (p - 1))`` and the sum of ``grad[o] * dy[o] / dp``."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def slopes(cells, mean):
        return (_positive(cells) / mean) ** (p - 1) / len(cells) if mean != 0 else 0 * cells

    def slope_of_p(cells):
        most = _positive(cells).max()
        if most == 0:
            return np.longdouble(0)
        r = _positive(cells) / most
        logs = np.log(np.where(r == 0, 1, r))
        mean = np.log((r**p).mean()) / p
        return most * np.exp(mean) * ((r**p * logs).sum() / (r**p).sum() - mean) / p

    dp = _weigh(np.asarray(x), window, slope_of_p, None, np.dtype(np.float64))
    return _unweigh(grad, x, window, slopes, out, y=y), float((np.asarray(grad, float) * dp).sum())


def logsumexp_pool_grad(grad, x, y, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                        ceil_mode=False, temperature=1.0, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] * softmax(x / T)[c] in window(o))``."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def softmax(cells):
        e = np.exp((cells - cells.max()) / temperature)
        return e / e.sum()

    return _unweigh(grad, x, window, softmax, out)


def weighted_avg_pool(x, weights, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                      ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(weights[c] * x[c]) / sum(weights[c])`` for c in window(o), NaN where the weights add up to 0."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def average(cells, w):
        return (w * cells).sum() / w.sum() if w.sum() != 0 else np.nan

    return _weigh(x, window, average, out, weights=weights)


def weighted_avg_pool_grad(grad, x, weights, y, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                           ceil_mode=False, num_threads=None):  # fmt: skip
    """``sum(grad[o] * weights[c] / s(o))`` and ``sum(grad[o] * (x[c] - y[o]) / s(o))``, s(o) the sum of weights."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    gx = _unweigh(grad, x, window, lambda cells, w: w / w.sum(), None, weights=weights)
    gw = _unweigh(np.asarray(grad, float), x, window, lambda cells, w, y: (cells - y) / w.sum(), None,
                  weights=weights, y=y)  # fmt: skip
    sizes = (1,) * (gw.ndim - np.ndim(weights)) + np.shape(weights)
    gw = gw.sum(axis=tuple(a for a, n in enumerate(sizes) if n == 1), keepdims=True)
    return gx, gw.reshape(np.shape(weights)).astype(gx.dtype)


def soft_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
              out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(exp(x[c]) * x[c]) / sum(exp(x[c]))`` for c in window(o)."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _weigh(x, window, _soft, out)


def soft_pool_grad(grad, x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
                   out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] * softmax(x)[c] * (1 + x[c] - y[o]))``."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def slopes(cells):
        e = np.exp(cells - cells.max())
        return np.where(e == 0, 0, e / e.sum() * (1 + (cells - _soft(cells))))

    return _unweigh(grad, x, window, slopes, out)


def stochastic_pool(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False, rng=None,
                    out=None, num_threads=None):  # fmt: skip
    """The first cell at which the sum so far exceeds u times the sum of the window, u uniform; and where it is."""
    x = _array(x, "stochastic_pool")
    plan = _Plan(x.shape, kernel_size, stride, padding, dilation, axis, ceil_mode)
    random = plan.pooled_last(np.random.default_rng(rng).random(plan.output_shape))
    y = np.empty(random.shape, np.float64 if _is_integer(x.dtype) else x.dtype)
    indices = np.empty(y.shape, np.int64)
    windows = plan.windows()
    for kept in np.ndindex(plan.kept):
        plane = plan.pooled_last(x)[kept].ravel()
        for o, w in enumerate(windows):
            cells = _positive(plane[w.cells].astype(float))
            total = np.cumsum(cells)
            chosen = 0
            if np.isnan(cells).any():
                chosen = np.isnan(cells).argmax()
            elif total[-1] > 0:
                chosen = ((total > random[kept].flat[o] * total[-1]) | (total == total[-1])).argmax()
            y[kept].flat[o] = cells[chosen]
            indices[kept].flat[o] = w.cells[chosen]
    return _deliver(plan.pooled_back(y), x, out), _deliver(plan.pooled_back(indices), x, None)


def stochastic_pool_expectation(x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False,
                                out=None, num_threads=None):  # fmt: skip
    """``y[o] = sum(x[c] ** 2) / sum(x[c])`` for c in window(o), 0 where all cells are, NaN where one is negative."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode
    return _weigh(x, window, _expected, out)


def stochastic_pool_expectation_grad(grad, x, kernel_size, stride=None, padding=0, dilation=1, *, axis=None,
                                     ceil_mode=False, out=None, num_threads=None):  # fmt: skip
    """``g[c] = sum(grad[o] * (2 * x[c] - y[o]) / sum(x))``, 0 where all cells are."""
    window = kernel_size, stride, padding, dilation, axis, ceil_mode

    def slopes(cells):
        total = _positive(cells).sum()
        return (2 * cells - _expected(cells)) / total if total != 0 else 0 * cells

    return _unweigh(grad, x, window, slopes, out)


def _soft(cells):
    most = cells.max()
    if not np.isfinite(most):
        return most
    cells = cells[cells > -np.inf]
    e = np.exp(cells - most)
    return (e * cells).sum() / e.sum()


def _expected(cells):
    cells = _positive(cells)
    most = cells.max()
    return (cells * (cells / most)).sum() / (cells / most).sum() if 0 < most < math.inf else most


def _norm(sizes, p, count):
    """``(sum(sizes ** p) / count) ** (1 / p)``, relative to the largest, so that nothing overflows."""
    most = sizes.max()
    if p == math.inf or not 0 < most < math.inf:
        return most
    return most * (((sizes / most) ** p).sum() / count) ** (1 / np.longdouble(p))


def _positive(cells):
    return np.where(cells >= 0, cells, np.nan)


def _weigh(x, window, formula, out, dtype=None, **more):
    """One number per window: ``formula(cells)``, of its real cells in long double; `more` are arrays like `x`."""
    x = _array(x, "a pool of real numbers")
    dtype = dtype or (np.dtype(np.float64) if _is_integer(x.dtype) else x.dtype)
    plan = _Plan(x.shape, *window)
    arrays = [plan.pooled_last(np.broadcast_to(a, x.shape)) for a in (x, *more.values())]
    result = np.empty(plan.kept + plan.outs, dtype)
    for kept in np.ndindex(plan.kept):
        for o, w in enumerate(plan.windows()):
            with np.errstate(all="ignore"):
                y = formula(*(_wide(a[kept].ravel()[w.cells]) for a in arrays))
                result[kept].flat[o] = np.array(y).astype(np.float64).astype(dtype)
    return _deliver(plan.pooled_back(result), x, out)


def _unweigh(grad, x, window, slopes, out, **more):
    """Window ``o`` hands ``grad[o] * slopes(cells)`` to its cells; `more` are arrays like `x`, or `y` like `grad`."""
    x = _array(x, "a gradient of real numbers")
    plan = _Plan(x.shape, *window)
    grad = _matching(grad, "grad", plan.output_shape)
    y = more.pop("y", None)
    arrays = [plan.pooled_last(np.broadcast_to(a, x.shape)) for a in (x, *more.values())]
    pooled = [] if y is None else [plan.pooled_last(_matching(y, "y", plan.output_shape))]

    def share(kept, o, window, g):
        with np.errstate(all="ignore"):
            cells = [_wide(a[kept].ravel()[window.cells]) for a in arrays]
            parts = g * slopes(*cells, *(_wide(a[kept].flat[o]) for a in pooled))
        return list(zip(window.cells, parts.astype(float).tolist(), strict=True))

    return _scatter(grad, plan, share, out)


def _wide(cells):
    """In long double, by way of float64, in which the library computes."""
    return np.asarray(cells).astype(np.float64).astype(np.longdouble)


# ------------------------------------------------------------------------------------------ the formulas


def _extreme(x, window, better, return_indices, nan_policy, where, min_count, fill_value, out):
    x = _array(x, "max_pool and min_pool")
    if x.dtype.kind == "c":
        raise TypeError(f"max_pool and min_pool need an order, which {x.dtype} has not; pool abs(x) instead")
    if return_indices not in (False, True, "window"):
        raise ValueError(f'return_indices must be False, True or "window", got {return_indices!r}')
    plan = window(x.shape) if callable(window) else _Plan(x.shape, *window)
    valid = _valid_cells(where, plan, x, nan_policy)
    nothing = _nothing(x.dtype, where, min_count, fill_value)
    result = np.empty(plan.kept + plan.outs, x.dtype)
    flat = np.full(result.shape, -1, np.int64)
    within = np.full(result.shape, np.iinfo(plan.window_dtype).max, plan.window_dtype)
    windows = plan.windows()
    for kept in np.ndindex(plan.kept):
        plane = plan.pooled_last(x)[kept].ravel()
        numbers = _numbers(plane)
        is_valid = plan.pooled_last(valid)[kept].ravel().tolist()
        for o, w in enumerate(windows):
            taps = [(numbers[c], c, j) for c, j in zip(w.cells, w.offsets, strict=True) if is_valid[c]]
            if nan_policy == "raise" and any(cmath.isnan(v) for v, _, _ in taps):
                raise ValueError(f"x holds a NaN and nan_policy={nan_policy!r} refuses it")
            if len(taps) < max(min_count, 1):
                result[kept].flat[o] = nothing
                continue
            best = taps[0]
            for tap in taps:
                if cmath.isnan(tap[0]):
                    best = tap
                    break
                if better(tap[0], best[0]):
                    best = tap
            _, cell, offset = best
            result[kept].flat[o] = plane[cell]
            flat[kept].flat[o] = cell
            within[kept].flat[o] = offset
    result = _deliver(plan.pooled_back(result), x, out)
    if return_indices is False:
        return result
    indices = within if return_indices == "window" else flat
    return result, _deliver(plan.pooled_back(indices), x, None)


def _accumulate(x, plan, formula, dtype, nan_policy, where, min_count, fill_value, out):
    """One number per window: ``formula(values that take part, window, how many real cells do not)``, None for none."""
    valid = _valid_cells(where, plan, x, nan_policy)
    nothing = _nothing(dtype, where, min_count, fill_value)
    result = np.empty(plan.kept + plan.outs, dtype)
    windows = plan.windows()
    for kept in np.ndindex(plan.kept):
        numbers = _numbers(plan.pooled_last(x)[kept].ravel())
        is_valid = plan.pooled_last(valid)[kept].ravel().tolist()
        for o, window in enumerate(windows):
            values = [numbers[c] for c in window.cells if is_valid[c]]
            if nan_policy == "raise" and any(map(cmath.isnan, values)):
                raise ValueError(f"x holds a NaN and nan_policy={nan_policy!r} refuses it")
            enough = len(values) >= min_count
            y = formula(values, window, len(window.cells) - len(values)) if enough else None
            result[kept].flat[o] = nothing if y is None else _rounded(y, dtype)
    return _deliver(plan.pooled_back(result), x, out)


def _scatter(grad, plan, share, out):
    """Window ``o`` hands out ``(cell, part)`` pairs; the gradient of a cell is the exact sum of its parts."""
    if grad.dtype.kind in "biumM":
        raise TypeError(f"grad must be of a floating or complex dtype, got {grad.dtype}")
    result = np.empty(plan.kept + plan.sizes, grad.dtype)
    windows = plan.windows()
    for kept in np.ndindex(plan.kept):
        numbers = _numbers(plan.pooled_last(grad)[kept].ravel())
        received = [[] for _ in range(math.prod(plan.sizes))]
        for o, window in enumerate(windows):
            for cell, part in share(kept, o, window, numbers[o]):
                received[cell].append(part)
        for cell, parts in enumerate(received):
            result[kept].flat[cell] = _rounded(_exact_sum(parts), grad.dtype)
    return _deliver(plan.pooled_back(result), grad, out)


def _take(x, indices, plan, out, anywhere):
    indices = _matching(indices, "indices", plan.output_shape)
    result = np.zeros(plan.kept + plan.outs, x.dtype)
    windows = plan.windows()
    for kept in np.ndindex(plan.kept):
        plane = plan.pooled_last(x)[kept].ravel()
        asked = plan.pooled_last(indices)[kept].ravel()
        for o, (window, index) in enumerate(zip(windows, asked, strict=True)):
            cell = _named_cell(window, index, plan, anywhere)
            if cell is not None:
                result[kept].flat[o] = plane[cell]
    return _deliver(plan.pooled_back(result), x, out)


def _named_cell(window, index, plan, anywhere=False):
    """The cell of the pooled axes that `index` names: signed is flat, unsigned is the place in the window."""
    if index.dtype.kind == "i":
        if index == -1:
            return None
        if index in window.cells or (anywhere and 0 <= index < math.prod(plan.sizes)):
            return int(index)
    elif index.dtype.kind == "u":
        if index == np.iinfo(index.dtype).max:
            return None
        if index in window.offsets:
            return window.cells[window.offsets.index(index)]
    else:
        raise TypeError(f"indices must be of an integer dtype, got {index.dtype}")
    raise ValueError(f"indices holds {index}, which names no cell of its window {plan.describe()}")


def _divisor_rule(padding, count_include_pad, divisor_override):
    """``rule(window, absent)``: what the sum of a window is divided by when `absent` real cells sit out."""
    if divisor_override is not None:
        override = _integer("divisor_override", divisor_override)
        if override == 0:
            raise ValueError("divisor_override must not be 0")
        return lambda window, absent: override
    if count_include_pad is None:
        count_include_pad = not isinstance(padding, str)
    if count_include_pad:
        return lambda window, absent: window.in_padded - absent
    return lambda window, absent: len(window.cells) - absent


# ------------------------------------------------------------------------------------------ the geometry


class _Window(NamedTuple):
    cells: list  # flat positions of its real cells in the pooled axes, row-major
    offsets: list  # for each of them its row-major place within the window
    in_padded: int  # how many taps lie on real or padded cells


class _Plan:
    """Where every window of a pool lies; built from the arguments all functions share."""

    def __init__(self, shape, kernel_size, stride, padding, dilation, axis, ceil_mode):
        self.shape = tuple(_integer("shape", n, least=0) for n in shape)
        self.axes = _axes(axis, kernel_size, len(self.shape))
        m = len(self.axes)
        self.sizes = tuple(self.shape[a] for a in self.axes)
        self.kept = tuple(n for a, n in enumerate(self.shape) if a not in self.axes)
        self.kernels = _per_axis("kernel_size", kernel_size, m, least=1)
        strides = self.kernels if stride is None else _per_axis("stride", stride, m, least=1)
        dilations = _per_axis("dilation", dilation, m, least=1)
        extents = [d * (k - 1) + 1 for k, d in zip(self.kernels, dilations, strict=True)]
        pads = _pads(padding, self.sizes, extents, strides)
        self.rules = list(zip(self.axes, self.sizes, self.kernels, strides, pads, dilations, strict=True))
        self.outs = tuple(
            _output_size(*facts, ceil_mode) for facts in zip(self.axes, self.sizes, extents, strides, pads, strict=True)
        )
        for rule, out in zip(self.rules, self.outs, strict=True):
            for i in range(out):
                if not _taps(i, rule).cells:
                    raise ValueError(f"window {i} along axis {rule[0]} touches no real cell {self.describe()}")
        self._finish()

    def _finish(self):
        by_axis = dict(zip(self.axes, self.outs, strict=True))
        self.output_shape = tuple(by_axis.get(a, n) for a, n in enumerate(self.shape))
        cells = math.prod(self.kernels)
        fits = [t for t in (np.uint8, np.uint16, np.uint32, np.uint64) if cells <= np.iinfo(t).max]
        self.window_dtype = np.dtype(fits[0])

    def windows(self):
        """Every window of the pooled axes, row-major: the product of the windows along each axis."""
        windows = [_Window([0], [0], 1)]
        for rule, out in zip(self.rules, self.outs, strict=True):
            _, n, kernel, *_ = rule
            along = [self.taps(i, rule) for i in range(out)]
            windows = [
                _Window(
                    [c * n + d for c in w.cells for d in v.cells],
                    [j * kernel + i for j in w.offsets for i in v.offsets],
                    w.in_padded * v.in_padded,
                )
                for w in windows
                for v in along
            ]
        return windows

    def taps(self, i, rule):
        """Window `i` along one axis."""
        return _taps(i, rule)

    def pooled_last(self, x):
        """`x` with the pooled axes last, in the order of `axis`."""
        return np.moveaxis(x, self.axes, range(x.ndim - len(self.axes), x.ndim))

    def pooled_back(self, x):
        return np.moveaxis(x, range(x.ndim - len(self.axes), x.ndim), self.axes)

    def describe(self):
        names = "axis", "size", "kernel_size", "stride", "padding", "dilation"
        rules = ("; ".join(f"{name} {value}" for name, value in zip(names, rule, strict=True)) for rule in self.rules)
        return "(" + ", ".join(f"[{rule}]" for rule in rules) + ")"


class _Bins(_Plan):
    """So many bins along each axis: bin i of n cells in o bins is [floor(i n / o), ceil((i + 1) n / o))."""

    def __init__(self, shape, output_size, axis):
        self.shape = tuple(_integer("shape", n, least=0) for n in shape)
        self.axes = _axes(axis, output_size, len(self.shape))
        self.sizes = tuple(self.shape[a] for a in self.axes)
        self.kept = tuple(n for a, n in enumerate(self.shape) if a not in self.axes)
        asked = output_size if isinstance(output_size, tuple | list) else [output_size] * len(self.axes)
        asked = [n if o is None else o for n, o in zip(self.sizes, asked, strict=True)]
        self.outs = _per_axis("output_size", asked, len(self.axes), least=1)
        if 0 in self.sizes:
            raise ValueError(
                f"output_size {output_size!r} asks for bins of axes of sizes {self.sizes}, one without cells"
            )
        self.bins = {
            a: [range(math.floor(Fraction(i * n, o)), math.ceil(Fraction((i + 1) * n, o))) for i in range(o)]
            for a, n, o in zip(self.axes, self.sizes, self.outs, strict=True)
        }
        self.kernels = tuple(max(map(len, self.bins[a])) for a in self.axes)
        self.rules = list(zip(self.axes, self.sizes, self.kernels, strict=True))
        self._finish()

    def taps(self, i, rule):
        cells = self.bins[rule[0]][i]
        return _Window(list(cells), list(range(len(cells))), len(cells))

    def describe(self):
        return f"({self.outs} bins of {self.sizes} cells)"


def _taps(i, rule):
    """Window `i` along one axis."""
    _, n, kernel, stride, (low, high), dilation = rule
    places = [(j, i * stride - low + j * dilation) for j in range(kernel)]
    real = [(j, p) for j, p in places if 0 <= p < n]
    return _Window([p for _, p in real], [j for j, _ in real], sum(-low <= p < n + high for _, p in places))


def _output_size(axis, n, extent, stride, pads, ceil_mode):
    low, high = pads
    room = n + low + high - extent
    size = (room + stride - 1 if ceil_mode else room) // stride + 1
    if ceil_mode and (size - 1) * stride >= n + low:
        size -= 1
    if size <= 0:
        raise ValueError(
            f"the output would have size {size} along axis {axis}: kernel_size and dilation span {extent} cells, "
            f"axis and padding have {n} + {low} + {high}"
        )
    return size


def _pads(padding, sizes, extents, strides):
    if not isinstance(padding, str):
        if isinstance(padding, tuple | list) and any(isinstance(p, tuple | list) for p in padding):
            if len(padding) == len(sizes) and all(len(p) == 2 for p in padding):
                return [tuple(_integer("padding", p, least=0) for p in pair) for pair in padding]
            raise ValueError(f"padding must hold one (low, high) pair for each of {len(sizes)} axes, got {padding!r}")
        return [(p, p) for p in _per_axis("padding", padding, len(sizes), least=0)]
    if padding not in ("valid", "same", "same_lower"):
        raise ValueError(f'padding must be integers, "valid", "same" or "same_lower", got {padding!r}')
    pads = []
    for n, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max((-(-n // stride) - 1) * stride + extent - n, 0) if padding != "valid" else 0
        less, more = total // 2, total - total // 2
        pads.append((more, less) if padding == "same_lower" else (less, more))
    return pads


def _axes(axis, kernel_size, ndim):
    if axis is None:
        count = len(kernel_size) if isinstance(kernel_size, tuple | list) else ndim
        axes = range(ndim - count, ndim)
    else:
        axes = axis if isinstance(axis, tuple | list) else (axis,)
        axes = [_integer("axis", a) for a in axes]
    if any(not -ndim <= a < ndim for a in axes):
        raise ValueError(f"axis {axis!r} with kernel_size={kernel_size!r} does not fit {ndim} dimensions")
    axes = tuple(a % ndim for a in axes)
    if not axes or len(set(axes)) < len(axes):
        raise ValueError(f"axis must name at least one axis and none twice, got {axis!r} of {ndim} dimensions")
    return axes


def _per_axis(name, value, count, least):
    values = value if isinstance(value, tuple | list) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name} must be one integer or one for each of {count} axes, got {value!r}")
    return tuple(_integer(name, v, least) for v in values)


def _integer(name, value, least=None):
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be made of integers, got {value!r}")
    if least is not None and operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return operator.index(value)


# ------------------------------------------------------------------------------------ arrays and numbers


def _array(x, function):
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{function} takes no masked arrays; pass x.data and where=~x.mask")
    x = np.asarray(x)
    if x.dtype.name != "bfloat16" and (x.dtype.kind not in "biufcmM" or x.dtype.char in "gG"):
        raise TypeError(f"{function} does not take {x.dtype}; convert x with astype")
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def _matching(x, name, shape):
    x = np.asarray(x)
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, but a pool of this geometry has {shape}")
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def _numbers(plane):
    """The cells as Python numbers, exactly; times as their integer counts, NaT as NaN."""
    if plane.dtype.kind in "mM":
        return [math.nan if np.isnat(v) else int(v.view(np.int64)) for v in plane]
    return (plane.astype(np.float64) if plane.dtype.name == "bfloat16" else plane).tolist()


def _valid_cells(where, plan, x=None, nan_policy="propagate"):
    """Which cells of the input take part."""
    if nan_policy not in ("propagate", "omit", "raise"):
        raise ValueError(f'nan_policy must be "propagate", "omit" or "raise", got {nan_policy!r}')
    if where is not None and np.asarray(where).dtype != bool:
        raise TypeError(f"where must be a boolean array, got {np.asarray(where).dtype}")
    valid = np.broadcast_to(True if where is None else where, plan.shape)
    return valid & ~np.isnan(x) if nan_policy == "omit" else valid


def _nothing(dtype, where, min_count, fill_value):
    """What a window with too few cells gives: NaN, NaT, or `fill_value` where the dtype has neither."""
    _integer("min_count", min_count, least=0)
    if fill_value is not None:
        return fill_value
    if dtype.kind in "mM":
        return np.array("NaT", dtype)
    if not _is_integer(dtype):
        return math.nan
    if where is not None or min_count > 1:
        raise ValueError(f"fill_value must be given for {dtype}, which has no NaN for windows without enough cells")
    return None


def _is_integer(dtype):
    return dtype.kind in "biu"


def _result_dtype(x, asked, for_integers):
    """The dtype of a sum or an average of cells of dtype `x`."""
    if x.kind in "mM":
        raise TypeError(f"dates and times have no sum, got {x}; pool x.view(np.int64)")
    if asked is None:
        return for_integers if _is_integer(x) else x
    asked = np.dtype(asked).newbyteorder("=")
    if (_is_integer(asked) and not _is_integer(x)) or (asked.kind != "c" and x.kind == "c"):
        raise TypeError(f"dtype={asked} cannot hold sums of {x}")
    return asked


def _exact_sum(values):
    """The exact sum of integers, or of floats or complex numbers rounded once to double precision."""
    if any(isinstance(v, complex) for v in values):
        return complex(_exact_sum([v.real for v in values]), _exact_sum([v.imag for v in values]))
    if not any(isinstance(v, float) for v in values):
        return sum(values)
    special = [v for v in values if not math.isfinite(v)]
    if special:
        return sum(special)
    try:
        return math.fsum(values)
    except OverflowError:  # on the way or in the end
        exact = sum(map(Fraction, values))
        if abs(exact) < 2**1024 - 2**970:
            return float(exact)
        return math.inf if exact > 0 else -math.inf


def _rounded(y, dtype):
    """`y` as `dtype`; integers wrap around."""
    if dtype.kind in "iu" and isinstance(y, int):
        bits = 8 * dtype.itemsize
        y %= 2**bits
        return y - 2**bits if dtype.kind == "i" and y >= 2 ** (bits - 1) else y
    with np.errstate(over="ignore"):
        return np.array(y).astype(dtype)


def _deliver(result, like, out):
    """`result` in C order, or in F order if `like` is; in `out` if there is one."""
    if out is None:
        fortran = like.flags.f_contiguous and not like.flags.c_contiguous
        return np.asfortranarray(result) if fortran else np.ascontiguousarray(result)
    if out.shape != result.shape or out.dtype != result.dtype:
        raise ValueError(f"out must be {result.dtype} of shape {result.shape}, got {out.dtype} of {out.shape}")
    out[...] = result
    return out
