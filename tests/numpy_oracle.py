"""Pooling by padding and ``sliding_window_view``: quick enough to judge arrays too big for the reference."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x, fill, kernel_size, stride=None, padding=0, dilation=1):
    """A view of every window of the last axes: shape ``(*output, *kernel)``; no "same", no ceil_mode."""
    m = len(kernel_size)
    stride = kernel_size if stride is None else stride
    stride, padding, dilation = ([v] * m if isinstance(v, int) else v for v in (stride, padding, dilation))
    kept = x.ndim - m
    pads = [(0, 0)] * kept + [(p, p) if isinstance(p, int) else p for p in padding]
    x = np.pad(x, pads, constant_values=fill)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    every = sliding_window_view(x, extents, axis=range(kept, x.ndim))
    starts = (slice(None),) * kept + tuple(slice(None, None, s) for s in stride)
    return every[starts + tuple(slice(None, None, d) for d in dilation)]


def max_pool(x, kernel_size, *rest):
    lowest = -math.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return _reduce(np.max, windows(x, lowest, kernel_size, *rest), kernel_size)


def min_pool(x, kernel_size, *rest):
    highest = math.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    return _reduce(np.min, windows(x, highest, kernel_size, *rest), kernel_size)


def sum_pool(x, kernel_size, *rest):
    """In float64, so that it is good to judge float32 sums."""
    return _reduce(np.sum, windows(x.astype(np.float64), 0, kernel_size, *rest), kernel_size)


def _reduce(how, taps, kernel_size):
    return how(taps, axis=tuple(range(-len(kernel_size), 0)))
