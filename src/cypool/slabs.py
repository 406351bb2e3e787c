"""Cut an array into slabs that can be pooled one after the other, whatever the size of the whole."""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from numpy import ndarray

from cypool.geometry import Window

SLAB_BYTES = 64 * 2**20
RUN_BYTES = 2**20


class Slab(NamedTuple):
    """The cells `source` of an array, pooled with `padding`, are the cells `target` of its pool."""

    source: tuple[slice, ...]
    target: tuple[slice, ...]
    padding: list[tuple[int, int]]


def slabs(x: ndarray[Any, Any], found: Sequence[Window], itemsize: int) -> list[Slab]:
    """Cut the pool of `x` over the windows `found` into slabs of about `SLAB_BYTES`, input and output together.

    The axes are cut from the outermost in memory inwards, and no further than needed: never so thin that a slab
    shares more than half of its cells with the next one, nor into runs shorter than `RUN_BYTES`, which would
    read each page of a mapped file many times. `itemsize` is that of the result.
    """
    pooled = {window.axis: window for window in found}
    kept = (Window(axis, n, 1, 1, 1, 0, 0, n) for axis, n in enumerate(x.shape))
    every = [pooled.get(window.axis, window) for window in kept]
    steps = [window.count for window in every]

    def nbytes() -> int:
        reads = prod(min(w.size, (step - 1) * w.stride + w.extent) for w, step in zip(every, steps, strict=True))
        return x.itemsize * reads + itemsize * prod(steps)

    for w in sorted(every, key=lambda w: -abs(x.strides[w.axis])):
        step_bytes = max(w.stride * abs(x.strides[w.axis]), 1)
        least = max(-(-w.extent // w.stride), RUN_BYTES // step_bytes, 1)
        while steps[w.axis] > least and nbytes() > SLAB_BYTES:
            steps[w.axis] = max(-(-steps[w.axis] // 2), least)

    result = []
    for corner in product(*(range(0, w.count, max(step, 1)) for w, step in zip(every, steps, strict=True))):
        source, target, paddings = [], [], {}
        for w, first, step in zip(every, corner, steps, strict=True):
            last = min(first + step, w.count)
            start, stop, low, high = w.span(first, last)
            source.append(slice(start, stop))
            target.append(slice(first, last))
            # Past the padding is overhang from ceil_mode, which an average must not count.
            paddings[w.axis] = low, min(high, w.high)
        result.append(Slab(tuple(source), tuple(target), [paddings[w.axis] for w in found]))
    return result
