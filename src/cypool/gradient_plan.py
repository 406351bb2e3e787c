"""How the gradient kernel walks the arrays of one call; integers only, touches no data.

The counterpart of plan.py: the result is one flat table of int64, read by `_kernels/backward.pyx` (`Head`, `Axis` and
`Outer` there name its entries in this order). Strides are in the order result, source, indices (or numbers of cells);
the source of a gradient is the gradient of the pool's result, that of `max_pool_take` is the array it takes from,
that of `max_unpool` what it writes.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from cypool.geometry import Window
from cypool.plan import TYPES, Axis, Kept, Plan, even, merge_lanes, sort_axes

SUM, CHOOSE, SCATTER, TAKE, PUT = range(5)

APART = 25
"""Cells of a window from which on its index is followed, if no other window has them."""
TERMS = 64
"""Cells of a window up to which every window is compared with every tap; indices into larger ones are followed."""
BOX = 4096
"""Lanes of a tile: it stands in scratch about six times."""
STRAIGHT = 16 * 1024
"""Lanes of a tile that needs no scratch."""
SHARES = 4
"""Windows over cells that are made at once, up to which sums are made in one go rather than axis by axis."""
NARROW = 8
"""Lanes below which they are no row of their own."""
LINE = 256
"""Indices that are followed together where they name any cell, 28 bytes for each: more leave no room for the cells."""
ROW = 1024
"""Lanes that are handled at once where a row must be cut."""
PARTS = 16
"""Tiles from which on the phases of the first axis are not shared out among threads."""
FEW = 4
"""Phases that are interleaved rather than written one by one."""


class Request(NamedTuple):
    """What a call wants done; types are places in `plan.TYPES`."""

    mode: int
    type: int
    lane_type: int
    index_type: int
    flat: bool
    counted: bool
    padded: bool
    gaps: bool
    least: int
    anywhere: bool


class _Tiled(NamedTuple):
    """What the kernel wants to know of an axis besides its geometry."""

    first: int
    last: int
    whole_first: int
    whole_last: int
    length: int

    def halo(self) -> int:
        return self.last - self.first


def follows(found: Sequence[Window], flat: bool) -> bool:
    """Whether indices into these windows are followed one by one: taps are too many, of no one place, or too far apart.

    So are those into windows wider than an axis, of which two taps may be equally far from the first in row-major order.
    """
    steps = ((w.kernel - 1) * w.dilation * prod(v.size for v in found[i + 1 :]) for i, w in enumerate(found))
    bins = any(w.bins is not None for w in found)
    wide = any((w.kernel - 1) * w.dilation >= w.size for w in found[1:])
    return bins or wide or prod(w.kernel for w in found) > TERMS or (flat and sum(steps) >= 2**30)


def _apart(window: Window | Axis) -> bool:
    """Whether no cell is under two windows."""
    if window.bins is not None:
        return bool((window.bins[1:, 0] >= window.bins[:-1, 1]).all())
    return window.count == 1 or (window.kernel - 1) * window.dilation < window.stride


def alone(found: Sequence[Window], strides: Sequence[int]) -> bool:
    """Whether to put the gradient of each window where its index says, among zeros: they are large and apart.

    Less large, where no blocks of cells would be made along the rows of the result.
    """
    rows = [w.stride for w in found if abs(strides[w.axis]) == 1]
    return prod(w.kernel for w in found) >= (FEW + 1 if rows and rows[0] > FEW else APART) and all(map(_apart, found))


def plan(
    found: Sequence[Window],
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    starts: Sequence[int],
    request: Request,
) -> Plan:
    """Lay out a call for an array of this shape; strides and starts count elements."""
    axes, kept = sort_axes(found, shape, strides, request.mode != SUM, request.flat)
    lanes, outer = merge_lanes(kept, len(strides))
    # The result is the largest array, so the walk follows its memory; what is taken is no gradient but smaller.
    if request.mode != PUT:  # of two windows that write one cell, the last in row-major order comes last
        axes.sort(key=lambda axis: -abs(axis.strides[0]))
    # Flat indices of any cell need no taking apart where a step is the same everywhere.
    steps = [(a.base, a.strides[1 if request.mode == TAKE else 0]) for a in axes]
    line = min(steps)[1] if request.anywhere else 0
    line *= all(step == base * line for base, step in steps)
    if line:
        axes = _joined(axes, (0 if request.mode == TAKE else 1, 2))
    tiled = [_tiled(a, request.mode) for a in axes]
    clipped = any(t.whole_first > 0 or t.whole_last < a.count for a, t in zip(axes, tiled, strict=True))
    codes = prod(w.size for w in found) if request.flat else prod(w.kernel for w in found)
    taps = sum((a.kernel - 1) * a.code for a in axes)
    most = taps if request.mode == CHOOSE else codes - 1
    planes = prod(k.size for k in outer)
    blocks = _blocks(axes, tiled, lanes, request)
    straight = blocks and _straight(axes, tiled, lanes, outer, request)
    room = STRAIGHT if straight else BOX
    tiles, lanes_tile = _grow(axes, tiled, lanes.size, request.mode, room, request.anywhere)
    one = lanes_tile * prod(n if request.mode >= SCATTER else n + t.halo() for n, t in zip(tiles, tiled, strict=True))
    # Sums over indices that are followed are made for one plane at a time.
    planes_tile = 1 if request.mode >= SCATTER else max(1, min(planes, room // one))
    number = prod(-(-t.length // n) for n, t in zip(tiles, tiled, strict=True)) * -(-lanes.size // lanes_tile)
    phases = min(axes[0].stride, axes[0].size)
    shared = request.mode < SCATTER and not blocks and (len(axes) > 1 or axes[0].stride > FEW)
    if shared:
        # Rather the planes than the phases, of which those that are the same are made once.
        planes_tile = max(1, min(planes_tile, planes * number // PARTS))
    number *= -(-planes // planes_tile)
    shared &= number < PARTS
    parts = min(phases, PARTS) if shared else 1
    box = -(-one * planes_tile // 16) * 16
    rungs = max(_rungs(a, t.halo()) for a, t in zip(axes, tiled, strict=True)) if request.mode == SUM else 0
    row = min(LINE if line else ROW, lanes_tile * max(t.length for t in tiled)) if request.mode >= SCATTER else 0
    if request.mode >= TAKE or straight:
        box = 0
    table = [
        *request, blocks, straight, line, *starts, planes, planes_tile, lanes.size, lanes_tile, *lanes.strides, most, codes,
        box, rungs, row, parts, number * parts, clipped, len(axes), len(outer),
    ]  # fmt: skip
    bins: list[int] = []
    if request.mode == CHOOSE and request.flat:
        # Codes number the taps.
        axes = [a._replace(code=prod(b.kernel for b in axes[i + 1 :])) for i, a in enumerate(axes)]
    bins_at = len(table) + 18 * len(axes) + 4 * len(outer)
    for axis, t, tile in zip(axes, tiled, tiles, strict=True):
        # Flat indices that are followed are taken apart by `base`; sums have no codes.
        code = 1 if request.mode >= SCATTER and request.flat else max(axis.code, 1)
        code = 0 if request.mode == SUM else code
        table += [*axis[:7], *axis.strides, code, axis.base, *t[:4], tile]
        table += [bins_at + len(bins) - len(table) + 17 if axis.bins is not None else 0]
        bins += [] if axis.bins is None else axis.bins.ravel().tolist()
    for size, of in outer:
        table += [size, *of]
    return Plan(
        np.array(table + bins, np.int64).tobytes(),
        prod(shape) + prod(w.count for w in found) * prod(k.size for k in kept),
    )


def _joined(axes: list[Axis], arrays: tuple[int, int]) -> list[Axis]:
    """Join the axes whose windows follow each other in two arrays, where what an index means is the same for all."""
    joined = axes[:1]
    for axis in axes[1:]:
        last = joined[-1]
        if all(last.strides[i] == axis.count * axis.strides[i] for i in arrays):
            count = last.count * axis.count
            joined[-1] = Axis(count, 1, 1, 1, 0, 0, count, axis.strides, axis.code, axis.base)
        else:
            joined.append(axis)
    return joined


def _tiled(axis: Axis, mode: int) -> _Tiled:
    n, s, low = axis.size, axis.stride, axis.low
    phases = -(-n // s)
    length = {SCATTER: n, TAKE: axis.count, PUT: axis.count}.get(mode, phases)
    whole_last = max(0, min(axis.count, (n + low - axis.extent) // s + 1))
    whole_first = min(-(-low // s), whole_last)
    if mode >= SCATTER:
        return _Tiled(0, 0, whole_first, whole_last, length)
    # Window q + delta has a tap at cell q * s + phase for 0 <= phase + low - delta * s <= extent - 1.
    first = max(-((axis.extent - 1 - low) // s), 1 - phases)
    last = min((min(s, n) - 1 + low) // s, axis.count - 1)
    return _Tiled(first, max(first, last), whole_first, whole_last, length)


def _rungs(axis: Axis, halo: int) -> int:
    """Return how high the ladder for the windows over a cell gets: to sums of 4 ** rungs of them."""
    return (min(axis.kernel, halo + 1).bit_length() - 1) // 2


def _blocks(axes: list[Axis], tiled: list[_Tiled], lanes: Kept, request: Request) -> bool:
    """Whether cells under the same windows are made at once: few phases in a row, few windows that all hand on."""
    if request.mode not in (SUM, CHOOSE) or request.lane_type != request.type:
        return False
    along = axes[-1].stride <= FEW and axes[-1].strides[0] == 1
    rows = along if lanes.size == 1 else lanes.size >= NARROW and lanes.strides[0] == 1
    return rows and (request.mode == CHOOSE or prod(t.halo() + 1 for t in tiled) <= SHARES)


def _straight(axes: list[Axis], tiled: list[_Tiled], lanes: Kept, outer: list[Kept], request: Request) -> bool:
    """Whether shares and codes are read where they are: codes of a byte, in arrays that lie as their shares do.

    Shares of averages are, where each cell is of one window's block and all have the same divisor.
    """
    side = axes[-1].strides if lanes.size == 1 else lanes.strides
    if request.mode == SUM:
        alike = not (request.counted or request.gaps) and side[1] == 1
        return alike and all(t.first == t.last == 0 and t.length == a.count for a, t in zip(axes, tiled, strict=True))
    if request.mode != CHOOSE or request.flat or TYPES[request.index_type] != "u1":
        return False
    steps = [(a.count, a.strides) for a in axes] + [(k.size, k.strides) for k in (lanes, *outer)]
    # Codes follow each other without a gap, in whatever order.
    whole = 1
    for step, n in sorted((of[2], n) for n, of in steps if n > 1):
        if step != whole:
            return False
        whole *= n
    return side[1] == side[2] == 1 and all(of[1] == of[2] for n, of in steps if n > 1)


def _grow(
    axes: list[Axis], tiled: list[_Tiled], lanes: int, mode: int, room: int, anywhere: bool
) -> tuple[list[int], int]:
    """Return the sides of a tile and its lanes: doubled where its halo weighs most, the last axis first."""
    if mode == PUT and (anywhere or not all(_apart(a) for a in axes)):
        return [t.length for t in tiled], min(lanes, ROW)
    if mode >= TAKE:
        return [even(t.length, max(1, ROW // lanes)) for t in tiled], min(lanes, ROW)
    halos = [a.extent + a.stride if mode == SCATTER else t.halo() for a, t in zip(axes, tiled, strict=True)]
    least = prod(1 if mode == SCATTER else h + 1 for h in halos)
    lanes_tile = min(lanes, max(16, min(ROW, even(lanes, max(1, room // least)))))
    most = max(room, 4 * least * lanes_tile)
    sides = [1] * len(axes)
    open_axes = set(range(len(axes)))
    while open_axes:
        i = max(open_axes, key=lambda i: (halos[i] / sides[i], i))
        before = sides[i]
        sides[i] = min(2 * before, tiled[i].length)
        size = prod(n if mode == SCATTER else n + h for n, h in zip(sides, halos, strict=True))
        if sides[i] == before or size * lanes_tile > most:
            sides[i] = before
            open_axes.remove(i)
    return [even(t.length, n) for t, n in zip(tiled, sides, strict=True)], lanes_tile
