"""How the window kernel walks the arrays of one call; integers only, touches no data.

The counterpart of plan.py for pools whose windows are weighed cell by cell: the result is one flat table of int64, read
by `_kernels/windows.pyx` (`Head`, `Axis` and `Outer` there name its entries in this order). Strides are in the order of
`Array` there: x and the weights by cells; the result, by windows in a pool and by cells in a gradient; two arrays by
windows.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from cypool.geometry import Window
from cypool.plan import Axis, Kept, Plan, even, merge_lanes, sort_axes

ARRAYS = X, WEIGHTS, OUT, G, Y = range(5)

OPS = (
    "lp_small", "lp_any", "lp_max", "mean_small", "mean_any", "mean_slope", "logsumexp", "soft", "weighted", "weights",
    "expected", "stochastic", "lp_factored", "mean_factored",
)  # fmt: skip
"""What a kernel does with a window; the order of `OpName` in windows.pyx."""
FACTORED = {"lp_small": "lp_factored", "mean_small": "mean_factored"}
"""Ops whose gradient is what the windows over a cell hand on, summed up, times what is of the cell alone."""

ROW = 256
"""Lanes of a row: a dozen rows of doubles stay in the first-level cache."""
PLANES = 64
"""Planes that are done together at most."""
BOX = 16 * 1024
"""Cells of a gradient that are summed in scratch."""
SHORT = 32
"""Windows in a row below which long windows are folded instead."""


class Request(NamedTuple):
    """What a call wants done; types are places in `plan.TYPES`, in the order of the arrays."""

    op: str
    gradient: bool
    peak: bool
    sums: bool
    counted: bool
    types: Sequence[int]


def plan(
    found: Sequence[Window],
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    starts: Sequence[int],
    request: Request,
) -> Plan:
    """Lay out a call for an array of this shape; strides and starts count elements."""
    flat = request.op == "stochastic"
    axes, kept = sort_axes(found, shape, strides, flat, flat)
    by_memory = sorted(axes, key=lambda axis: -abs(axis.strides[X]))
    if not flat:
        axes = by_memory = _merged(by_memory, request.gradient)
    run = axes.index(by_memory[-1])
    lanes, outer = merge_lanes([k for k in kept if not _summed(k, request)], len(ARRAYS))
    summed = [k for k in kept if _summed(k, request)]
    axis = axes[run]
    lanes_tile = even(lanes.size, ROW)
    reach = min(axis.kernel, -(-axis.size // axis.dilation))
    fold = not flat and axis.count * lanes.size < SHORT and reach > 4 * axis.count * lanes.size
    width = even(reach if fold else axis.count, max(1, ROW // lanes_tile))
    sides = _sides(axes, run, lanes_tile) if request.gradient else [0] * len(axes)
    planes = prod(k.size for k in outer)
    room = min(PLANES, ROW // (width * lanes_tile))
    phases = [min(axis.dilation if fold else axis.stride, side) if side else 1 for side in sides]
    lengths = [-(-n // p) * p if i == run else n for i, (n, p) in enumerate(zip(sides, phases, strict=True))]
    if request.gradient:
        room = min(room, BOX // (lanes_tile * prod(lengths)))
    planes_tile = max(1, min(planes, room))
    if request.gradient:
        units = prod(-(-a.size // n) for a, n in zip(axes, sides, strict=True))
    else:
        units = prod(a.count for i, a in enumerate(axes) if i != run) * (
            axis.count if fold else -(-axis.count // width)
        )
    units *= -(-lanes.size // lanes_tile) * -(-planes // planes_tile)
    table = [
        OPS.index(request.op), request.peak, request.sums, request.counted, *request.types, *starts,
        planes, planes_tile, prod(k.size for k in summed), lanes.size, lanes_tile, *lanes.strides,
        width, fold, phases[run], planes_tile * lanes_tile * prod(lengths) if request.gradient else 0, units,
        run, len(axes), len(outer), len(summed),
    ]  # fmt: skip
    for axis, side in zip(axes, sides, strict=True):
        table += [*axis[:7], *axis.strides, axis.code, axis.base, side]
    for size, of in outer + summed:
        table += [size, *of]
    taps = prod(min(w.kernel, w.size) for w in found)
    work = prod(shape) + prod(w.count for w in found) * prod(k.size for k in kept) * taps
    return Plan(np.array(table, np.int64).tobytes(), work)


def _summed(kept: Kept, request: Request) -> bool:
    """Whether weights are the same all along a kept axis, so that their gradient is a sum over it."""
    return request.op == "weights" and kept.strides[OUT] == 0


def _merged(axes: list[Axis], gradient: bool) -> list[Axis]:
    """Merge axes under a single window that has all their cells, where they follow each other in memory."""
    cells = (X, WEIGHTS, OUT) if gradient else (X, WEIGHTS)
    merged: list[Axis] = []
    for axis in axes:
        before = merged[-1] if merged else axis
        whole = all(a.kernel == a.size and a.dilation == 1 and a.low == a.high == 0 for a in (before, axis))
        if merged and whole and all(before.strides[i] == axis.size * axis.strides[i] for i in cells):
            size = before.size * axis.size
            merged[-1] = axis._replace(size=size, kernel=size, stride=size)
        else:
            merged.append(axis)
    return merged


def _sides(axes: list[Axis], run: int, lanes: int) -> list[int]:
    """Return the sides of a box of cells: the run first, then the others from the last to the first."""
    sides = [1] * len(axes)
    room = max(1, BOX // (4 * lanes))
    sides[run] = even(axes[run].size, room)
    room = max(1, 4 * room // sides[run])
    for i in range(len(axes) - 1, -1, -1):
        if i != run:
            sides[i] = even(axes[i].size, room)
            room = max(1, room // sides[i])
    return sides
