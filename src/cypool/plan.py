"""How a kernel walks the arrays of one call; integers only, touches no data.

Takes windows (geometry.py) and strides, and decides everything a kernel does not: which axes are merged and in what
order, whether a window is merged whole or axis by axis, how large a tile is. The result is one flat table of int64,
read by `_kernels/forward.pyx` (`Head`, `Axis` and `Outer` there name its entries in this order).

The numbers that decide were measured on float32, one thread, and are not sharp: a factor of two either way costs a
few percent.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from cypool.geometry import Window

TYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "wide", "f2", "bfloat16", "stamp")
"""Element types as kernels number them, those of lanes first; the order of `Type` in _types.pxd."""
BYTES = (1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 16, 2, 2, 8)

MAX, MIN, SUM = range(3)

BATCH = 64
"""Taps that one call of a kernel's `combine` merges."""
SLID = 8
"""Cells that a stream goes by; the kernels know them too."""
DIRECT = 6
"""Taps along a row that are merged one after the other; more are doubled, or grow as a ladder."""
LADDER = 4
"""Taps of a ladder's rung in the rung below."""
CHAIN = 32
"""Merges after a ladder beyond which a sum would be rounded more than twice per doubling of its window."""
WIDE = 32
"""Lanes from which on windows are merged lane by lane, straight from the input: no axis runs across rows."""
BARE = 16 * 1024
"""Cells of a tile's row that goes straight from the input to the output."""
BOX = 12
"""Rows of cells under a block window that are merged with it in one go."""
PICKS = 16
"""Cells of a window that are looked at in one go where their indices are wanted; twice as many if no stride is 1."""
RUN = 32 * 1024
"""Cells of a tile of windows that are one run of memory each; and of one window that is converted on the way."""
ALONE = 256
"""Windows of a row that is as well made by doubling without its neighbours."""
NARROW = 8
"""Lanes below which a strided window along the rows is gathered first."""
ROW = 4096
"""Lanes of a row in a tile, if it must be cut."""
BLOCK = 16 * 1024
"""Bytes of a tile's rows that stay in the first-level cache."""
TURN = 8 * 1024
"""Cells under a tile of planes that are turned into lanes."""
HELD = 32 * 1024
"""Cells under a tile of windows that are made in registers; half of that where few tiles would be left."""
HELD_ROW = 512
"""Cells of a row that is walked down in pieces of a register each."""
REGISTER = 64
"""Bytes of one."""
ORDERED = 8
"""Rows under a window that are merged one after the other; of more, the last ones in groups."""
SHORT = 8
"""Windows of a row that is too short to be merged along, of no more than twice as many cells."""
WORK = 256 * 1024
"""Cells that a tile merges, where fewer than a block's rows make as many."""
STREAM = 256 * 1024
"""Bytes of scratch for streamed windows, in the second-level cache."""
ROLL = 4096
"""Lanes of a row whose columns are added up in running sums: in the first-level cache with what is made of them."""
ROLLS = 16 * ROLL
"""Lanes of a tile of running sums, at least."""
LONG_BIN = 32
"""Cells of bins from which on each is merged by itself."""
FAR = 8 * 1024 * 1024
"""Bytes of an input that the first two levels of cache do not hold."""
HALO = 2.0
"""How often cells may be read for one axis to be merged along with another."""
TILES = 16
"""Tiles to cut a stream into, where there are not as many anyway, for threads to share."""


Program = tuple[int, list[tuple[int, int]]]
"""How a window grows along an axis: the height of a ladder, and (level, tap) pairs to merge in the end."""
Strides = tuple[int, ...]
"""Of one axis in each array of a call: here the input, the output, the indices and the mask."""


class Axis(NamedTuple):
    """One pooled axis as the kernel sees it; see `Axis` in forward.pyx."""

    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which is not wanted
    strides: Strides
    code: int = 0
    base: int = 0
    bins: np.ndarray | None = None

    @property
    def extent(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    def cells(self, windows: int) -> int:
        """Cells under so many windows in a row, at most."""
        if self.bins is not None:
            last = self.bins[min(windows, self.count) - 1 :, 1]
            return int((last - self.bins[: len(last), 0]).max())
        return (windows - 1) * self.stride + self.extent


class Kept(NamedTuple):
    """An axis that is not pooled, or a run of them merged into one."""

    size: int
    strides: Strides


class Request(NamedTuple):
    """What a call wants done; types are places in `TYPES`.

    `in_place`: the cells are in the output, and where they come from, if that is wanted, in the indices' array. `means`
    are of small whole numbers, over one power of two, as what is averaged; `rolled` are of such as well, over as many
    cells as windows have, as what is averaged or as floats. With a `power` sums are of such powers of the cells' sizes,
    in float64, and their roots are what is wanted.
    """

    op: int
    x_type: int
    lane_type: int
    y_type: int
    z_type: int
    indices: bool
    flat: bool
    counted: bool
    padded: bool
    divided: bool
    gaps: "Gaps | None" = None
    in_place: bool = False
    means: bool = False
    rolled: bool = False
    power: int = 0

    @property
    def idempotent(self) -> bool:
        """Whether a cell may be merged twice: not where cells are counted in the same steps."""
        return self.op != SUM and self.gaps is None


class Gaps(NamedTuple):
    """Which cells are absent: those that a mask leaves out, those that are NaN; a complex number is a pair of cells."""

    masked: bool
    omit: bool
    paired: bool
    count_type: int
    least: int


class Plan(NamedTuple):
    """A kernel's table, of int64, and what is in it.

    `work` is the cells read and written, to choose the number of threads by; `streamed` says whether windows are, and
    `in_turn` whether one axis after the other had better be.
    """

    table: bytes
    work: int
    streamed: bool = False
    in_turn: bool = False


def plan(
    found: Sequence[Window],
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    starts: Sequence[int],
    request: Request,
    among: Sequence[Window] | None = None,
) -> Plan:
    """Lay out a call; `strides` and `starts`, in elements, are those of input, output, indices and mask.

    Offsets count in all the windows of a call, those `among` which `found` are, if these are not all.
    """
    pooled, kept = sort_axes(found, shape, strides, request.indices, request.flat, among)
    lanes, outer = merge_lanes(kept, len(strides))
    pooled.sort(key=lambda axis: -abs(axis.strides[0]))
    request = request._replace(means=_means(pooled, lanes, request))
    request = request._replace(rolled=not request.means and _rolled(pooled, lanes, request))
    if request.means or request.rolled:
        request = request._replace(lane_type=request.x_type)
    width = BYTES[request.lane_type]
    if pooled and not request.rolled and _beside(pooled[-1], lanes, request):
        pooled[-1], lanes = _flat(pooled[-1], lanes), Kept(1, (1,) * len(strides))
    run = None if request.means or request.rolled else _run(pooled, lanes.size, width, request)
    far = prod(shape) * BYTES[request.x_type] > FAR
    held = _held(pooled, outer, request, far) if lanes.size == 1 and run is None else 0
    better = _in_registers(pooled, lanes, list(outer), starts, request, far, held) if held else []
    # Bins of many cells each are runs of memory; of few, they are too many.
    many = run is None or (run.bins is not None and run.size < LONG_BIN * run.count)
    turned = lanes.size == 1 and many and _turned(pooled, outer, width, request)
    if turned:
        lanes, run = outer.pop(), None
    across: Axis | None = run
    rows: list[Axis] = []
    if request.rolled:
        across, rows = (pooled[-1], pooled[:-1]) if _rolls_along(pooled, lanes) else (None, pooled)
    elif turned and len(pooled) > 1:
        across, rows = pooled[-1], pooled[:-1]
    elif not run:
        across, rows = _across(pooled, lanes.size, width, request)
    if run:
        across = _continued(run, outer)
    elif rows and not request.flat and not request.rolled:
        rows[-1] = _continued(rows[-1], outer)
    rows = rows or [_as_rows(outer)]
    if request.rolled:
        tiling = _rolls(rows[-1], across, lanes.size, prod(k.size for k in outer), request)
    else:
        tiling = _tiling(rows, across, lanes, outer, request, width, run is not None, turned)
    work = prod(shape) + prod(w.count for w in found) * prod(a.size for a in kept)
    beside = across is not None and (tiling.crowded or _halo(across, tiling.windows[-1]) > HALO)
    in_turn = (tiling.streamed or tiling.crowded) and (len(rows) > 1 or beside)
    table = _table(rows, across, lanes, outer, starts, request, tiling, run is not None, far, turned)
    if better:
        # Kernels that have such registers go on from there.
        table[0] = len(table)
    return Plan(np.array(table + better, np.int64).tobytes(), work, tiling.streamed, in_turn)


def _as_rows(outer: list[Kept]) -> Axis:
    """Take an axis that is not pooled as windows of one cell: the kernel wants at least one axis across rows."""
    size, strides = outer.pop() if outer else Kept(1, (0, 0, 0, 0))
    return Axis(size, 1, 1, 1, 0, 0, size, strides)


def _table(
    rows: list[Axis],
    across: Axis | None,
    lanes: Kept,
    outer: list[Kept],
    starts: Sequence[int],
    request: Request,
    tiling: "Tiling",
    runs: bool,
    far: bool,
    turned: bool,
    held: int = 0,
) -> list[int]:
    """Write down what a kernel reads; in the order of `Head`, `Axis` and `Outer` there."""
    axes = rows + ([across] if across else [])
    gaps = request.gaps
    # A cascade keeps the sums of 1, 2, 4, ... batches of taps, which may be of one tap each, and the latest batch.
    partials = prod(min(a.kernel, a.size) for a in rows).bit_length() + 2
    converts = request.divided or request.y_type != request.lane_type
    table = [
        0, *request[:5], gaps is not None, *(gaps or (0,) * 5), *starts,
        request.indices, request.counted, request.padded, converts, tiling.staged, tiling.streamed, tiling.together, tiling.direct,
        tiling.fused, tiling.bare, tiling.boxed, tiling.picked, runs, far,
        turned, held, request.means, request.rolled, request.power, request.in_place and request.indices,
        prod(a.size for a in outer), tiling.planes, lanes.size, tiling.lanes, *lanes.strides,
        tiling.buffer, tiling.buffers, tiling.slots, tiling.partial, partials, tiling.slab, tiling.ring,
        tiling.tiles,
        across is not None, len(rows), len(outer),
    ]  # fmt: skip
    lasts: list[int] = []
    lasts_at = len(table) + 21 * len(axes) + 5 * len(outer)
    for i, (axis, windows, levels, last, folds, slid) in enumerate(
        zip(axes, tiling.windows, tiling.levels, tiling.lasts, tiling.folds, tiling.slid, strict=True)
    ):
        table += [*axis[:7], *axis.strides, axis.code, axis.base, windows]
        table += [levels, len(last), lasts_at + len(lasts), folds, tiling.doubled and i == len(rows), slid]
        table += [lasts_at + len(lasts) - len(table) + 20 if axis.bins is not None else 0]
        lasts += [value for pair in last for value in pair] if axis.bins is None else axis.bins.ravel().tolist()
        lasts += tiling.rings if axis is rows[-1] else []
    for size, of in outer:
        table += [size, *of]
    return table + lasts


def _halo(axis: Axis, windows: int) -> float:
    """Return how often a cell is read by tiles of so many windows."""
    return axis.cells(windows) / (windows * axis.stride)


def sort_axes(
    found: Sequence[Window],
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    indices: bool,
    flat: bool,
    among: Sequence[Window] | None = None,
) -> tuple[list[Axis], list[Kept]]:
    """Sort the axes into those that are pooled and those that are kept."""
    pooled = []
    every = among or found
    places = {w.axis: i for i, w in enumerate(every)}
    kept = {a: Kept(n, _at(strides, a)) for a, n in enumerate(shape)}
    for w in found:
        later = every[places[w.axis] + 1 :]
        base = prod(v.size for v in later)
        code = w.dilation * base if flat else prod(v.kernel for v in later) if indices else 0
        trivial = w.kernel == w.stride == 1 and w.low == w.high == 0 and w.bins is None
        if not trivial or flat:
            del kept[w.axis]
            axis = Axis(*w[1:8], _at(strides, w.axis), code, base if flat else 0, w.bins)
            # One window has no next: a stride that says nothing must not cost scratch either.
            pooled.append(axis if w.count > 1 else axis._replace(stride=min(w.stride, axis.extent)))
    if not flat and not pooled and found:
        w = found[0]
        del kept[w.axis]
        pooled.append(Axis(*w[1:8], _at(strides, w.axis)))
    return pooled, [k for k in kept.values() if k.size != 1]


def _at(strides: Sequence[Sequence[int]], axis: int) -> Strides:
    return tuple([s[axis] for s in strides])


def merge_lanes(kept: list[Kept], arrays: int) -> tuple[Kept, list[Kept]]:
    """Merge kept axes that follow each other in every array; those at stride 1 in the input are the lanes."""
    kept = sorted(kept, key=lambda k: -abs(k.strides[0]))
    merged: list[Kept] = []
    for k in kept:
        if merged and merged[-1].strides == tuple(k.size * s for s in k.strides):
            merged[-1] = Kept(merged[-1].size * k.size, k.strides)
        else:
            merged.append(k)
    for i, k in enumerate(merged):
        if k.strides[0] == 1:
            return merged.pop(i), merged
    return Kept(1, (1,) * arrays), merged


def _beside(axis: Axis, lanes: Kept, request: Request) -> bool:
    """Whether windows that lie a few lanes apart may as well be windows of lanes: of cells as far apart."""
    follow = all(n == lanes.size * of for n, of in zip(axis.strides, lanes.strides, strict=True))
    plain = (
        axis.stride == 1
        and axis.kernel <= DIRECT
        and axis.bins is None
        and not (request.indices or request.means or request.gaps)
    )
    return 1 < lanes.size < WIDE and plain and follow


def _flat(axis: Axis, lanes: Kept) -> Axis:
    n = lanes.size
    size, kernel, _, dilation, low, high, count = axis[:7]
    return Axis(size * n, kernel, 1, dilation * n, low * n, high * n, count * n, lanes.strides)


def _continued(run: Axis, outer: list[Kept]) -> Axis:
    """Merge into an axis the planes whose windows follow each other."""
    while outer and _continues(run, outer[-1]):
        planes = outer.pop()
        run = run._replace(size=planes.size * run.count * run.stride, count=planes.size * run.count)
    return run


def _continues(run: Axis, planes: Kept) -> bool:
    """Whether the windows of one plane follow those of the plane before in every array, as block pooling's do."""
    step = run.count * run.stride
    return (
        run.low == run.high == 0
        and run.bins is None
        and run.extent <= run.stride
        and run.cells(run.count) <= run.size  # else a stride of 0 would do
        and planes.strides == tuple(n * s for n, s in zip((step, run.count, run.count, step), run.strides, strict=True))
    )


def _weight(width: int, request: Request) -> int:
    """Return the bytes of scratch for each cell in it: with its code, with its flags and what they count to."""
    counted = BYTES[request.gaps.count_type] + 6 if request.gaps else 0
    return width * (1 + request.indices) + counted


def _across(pooled: list[Axis], lanes: int, width: int, request: Request) -> tuple[Axis | None, list[Axis]]:
    """Choose the axis that runs along rows, if there are not lanes enough to do without."""
    if not pooled or (lanes >= WIDE and not _large(pooled, request)):
        return None, pooled
    if lanes >= WIDE and len(pooled) == 1:
        return None, pooled
    *rows, axis = pooled
    # Padding is laid out in scratch; where it would dwarf the cells, taps are clipped one by one instead.
    if axis.extent > 4 * axis.size + 64:
        return None, pooled
    inside = axis.low == axis.high == 0 and axis.cells(axis.count) <= axis.size
    long = axis.extent * lanes * width > STREAM // 4
    if long and axis.bins is not None:
        return None, pooled
    apart = axis.stride > 4 * axis.extent + 64
    if not long and not apart:
        return axis, rows
    # What is between windows far apart is not to be read: each is a row of its own. A window too long for scratch
    # becomes several rows, its pieces one after the other in memory.
    part = axis.kernel
    if long:
        part = next((p for p in range(min(ROW, axis.kernel), 63, -1) if axis.kernel % p == 0), axis.kernel)
    if not inside or part * axis.dilation * lanes * width > STREAM // 4:
        return (axis, rows) if not long else (None, pooled)
    pieces = axis._replace(
        size=axis.size - (part - 1) * axis.dilation,
        kernel=axis.kernel // part,
        dilation=part * axis.dilation,
        code=part * axis.code,
    )
    inner = Axis(axis.size, part, 1, axis.dilation, 0, 0, 1, (axis.strides[0], 0, 0, axis.strides[3]), axis.code)
    return inner, [*rows, pieces]


def _run(pooled: list[Axis], lanes: int, width: int, request: Request) -> Axis | None:
    """Merge axes whose windows are one run of memory each and do not overlap into one; None if they are not such."""
    if not pooled or lanes > 1 or request.indices or request.gaps or TYPES[request.lane_type] == "wide":
        return None
    *others, run = pooled
    if any(a.dilation > 1 or a.low or a.high or (others and a.bins is not None) for a in pooled):
        return None
    for axis in reversed(others):
        if run.kernel != run.size or axis.strides[0] != run.size * run.strides[0]:
            return None
        n = run.size
        strides = run.strides[0], *axis.strides[1:]
        run = Axis(axis.size * n, axis.kernel * n, axis.stride * n, 1, 0, 0, axis.count, strides)
    apart = run.bins is not None or run.count == 1 or run.stride >= run.kernel
    fits = run.kernel <= RUN or not _converted(run, request)
    shortest = run.kernel if run.bins is None else int((run.bins[:, 1] - run.bins[:, 0]).min())
    return run if apart and fits and shortest * width >= 64 and run.cells(run.count) <= run.size else None


def _means(pooled: list[Axis], lanes: Kept, request: Request) -> bool:
    """Whether windows are blocks of at most BOX rows of cells, lane by lane or in pairs, that `means.h` averages."""
    if not request.means or not pooled or any(a.bins is not None for a in pooled):
        return False
    rows, last = pooled[:-1], pooled[-1]
    if lanes.size >= WIDE:
        rows = pooled
    elif lanes.size > 8 or last.kernel != 2 or not _side_by_side(last) or last.strides[:2] != (lanes.size,) * 2:
        return False
    few = prod(a.kernel for a in rows) <= BOX and not _large(rows, request)
    return few and (lanes.strides[1] == 1 or lanes.size == 1)


def _rolled(pooled: list[Axis], lanes: Kept, request: Request) -> bool:
    """Whether means are made by running sums, along one axis or two; see rolling.h, also for what they have room for."""
    if not request.rolled or not 0 < len(pooled) < 3:
        return False
    if any(not a.stride == a.dilation == 1 or a.bins is not None for a in pooled):
        return False
    side = lanes.size == 1 or lanes.strides[:2] == (1, 1)
    along = pooled[-1] if _rolls_along(pooled, lanes) else None
    rows = pooled[0].kernel if along is not pooled[0] else 1
    cells, columns = (2**14 - 1, 255) if BYTES[request.x_type] == 1 else (2**15, 2**15)
    long = along is not None and (along.kernel * lanes.size > 2**13 or along.extent > 4 * along.size)
    fits = prod(a.kernel for a in pooled) <= cells and rows <= columns
    row = (along.count if along else 1) * lanes.size
    worth = prod(a.kernel for a in pooled) > 4 and (row >= ROLL // 16 or max(a.kernel for a in pooled) >= 32)
    return side and fits and worth and not long and (along is not None or len(pooled) == 1)


def _rolls_along(pooled: list[Axis], lanes: Kept) -> bool:
    """Whether the cells of the last axis follow each other, in the input and in the output, and are not rows themselves."""
    return pooled[-1].strides[:2] == (lanes.size,) * 2 and (len(pooled) > 1 or lanes.size < WIDE)


def _held(pooled: list[Axis], outer: list[Kept], request: Request, far: bool) -> int:
    """Return how many windows of a row are made in a register, which held.h does; 0 if they are not.

    Windows are made in the order in which they are without such registers: across rows first, tap by tap.
    """
    if not pooled or request.indices or request.gaps or request.in_place:
        return 0
    *rows, last = pooled
    names = ("f4",) if request.power else ("f4", "f8", "f2", "bfloat16")
    able = request.x_type == request.y_type and TYPES[request.x_type] in names and request.power in (0, 2)
    small = last.kernel <= DIRECT and (last.bins is not None or _folds(last) == 1)
    few = prod(min(a.kernel, a.size) for a in rows) <= (BATCH if request.idempotent else ORDERED)
    if not (able and small and few and last.strides[:2] == (1, 1)) or _large(pooled, request):
        return 0
    lanes = REGISTER // BYTES[request.lane_type]
    # Two registers of cells cost about 1.6 times as much as one, for each of windows.
    best, least = 0, 0.0
    for registers in (1, 2):
        fit = next((n for n in range(min(lanes, last.count), 0, -1) if last.cells(n) <= registers * lanes), 0)
        cost = -(-last.count // fit) * (1.0, 1.6)[registers - 1] if fit else 0.0
        if fit and (not best or cost < least):
            best, least = even(last.count, fit), cost
    if request.x_type != request.lane_type:
        # The other way is a long one, by scratch.
        return best if last.size <= ROW else 0
    # Few windows of many planes are made lane by lane; blocks as they lie are loaded with nothing between them.
    if last.count <= SHORT // 2 or (_side_by_side(last) and 2 * last.count >= lanes):
        return 0
    pieces = -(-last.count // best) if best else 0
    if pieces == 1:
        continued = outer and not rows and _continues(last, outer[-1])
        return best if rows or (not continued and (last.stride > 1 or last.count <= SHORT)) else 0
    # Rows of more pieces are walked down one piece after the other, which memory is slower at than at whole rows; and
    # maxima are merged across rows faster by way of scratch, which is what most of the work is in larger windows.
    near = pieces <= 2 if far else last.size <= HELD_ROW
    light = last.kernel <= 3 or last.stride > 2 or request.op == SUM
    return best if rows and near and light else 0


def _turned(pooled: list[Axis], outer: list[Kept], width: int, request: Request) -> bool:
    """Whether to make lanes of the planes that follow each other: there are many, and their rows are short."""
    if not pooled or not outer or outer[-1].size < WIDE or width not in (4, 8) or request.indices or request.gaps:
        return False
    last = pooled[-1]
    plain = request.x_type == request.lane_type == request.y_type and last.strides[:2] == (1, 1)
    few = prod(a.kernel for a in pooled) <= BATCH and not _large(pooled, request)
    # Rows of blocks are merged faster: most of what they read they read once.
    most = 3 * SHORT if last.bins is not None else 2 * SHORT if last.extent > last.stride else SHORT - 1
    short = last.count <= SHORT and last.size <= most
    # A plane of several rows has its own turned where only a table knows their windows: `_bins` in forward.pyx.
    return plain and few and (short or (last.bins is not None and len(pooled) == 1))


def _converted(run: Axis, request: Request) -> bool:
    """Whether a window that is one run of memory goes through scratch."""
    alike = request.x_type == request.lane_type or (request.power in (1, 2) and TYPES[request.x_type] == "f4")
    return run.strides[0] != 1 or not alike


class Tiling(NamedTuple):
    """How large a tile is and how each of its axes is merged."""

    windows: list[int]
    levels: list[int]
    lasts: list[list[tuple[int, int]]]
    folds: list[int]
    doubled: bool
    slid: list[bool]
    rings: list[int]
    lanes: int
    planes: int
    staged: int
    streamed: bool
    crowded: bool
    together: bool
    direct: bool
    fused: bool
    bare: bool
    boxed: bool
    picked: bool
    buffer: int
    buffers: int
    slots: int
    partial: int
    slab: int
    ring: int
    tiles: int


def _in_one_go(windows: list[int], tiles: int, **named: Any) -> Tiling:
    """Return the tiling of windows that one loop makes of their cells: all but what is named is nothing."""
    none = [0] * len(windows)
    nothing = Tiling(
        windows, none, [[] for _ in none], none, False, [False] * len(none), [], 1, 1, 0, False, False, False, False, False, False, False,
        False, 0, 0, 0, 0, 0, 0, tiles,
    )  # fmt: skip
    return nothing._replace(**named)


def _tiling(
    rows: list[Axis],
    across: Axis | None,
    lanes: Kept,
    outer: list[Kept],
    request: Request,
    width: int,
    runs: bool,
    turned: bool,
) -> Tiling:
    """Choose the tile, and between windows merged whole and streamed ones."""
    axes = rows + ([across] if across else [])
    planes = prod(k.size for k in outer)
    if runs:
        return _tiles_of_runs(rows, axes[-1], planes, request)
    slid = [_slid(a, lanes.size if a is across else WIDE, request) for a in axes]
    programs = [(1, []) if s else _program(a, 1.0, request) for a, s in zip(rows, slid, strict=False)]
    folds = [0] * len(axes)
    doubled = across is not None and _doubled(across, lanes.size, request)
    if across:
        narrow = across.stride > 1 and lanes.size < NARROW
        plain = not request.indices and lanes.size == 1 and TYPES[request.lane_type] != "wide"
        folds[-1] = 1 if doubled else _folds(across) if plain else 0
        if slid[-1] or doubled:
            programs.append((int(slid[-1]), []))
        elif folds[-1]:
            programs.append((0, [(0, t) for t in range(min(across.kernel, BATCH))]))
        else:
            programs.append(_program(across, 16.0 if narrow else 1.0, request))
    picked = _picked(rows, across, lanes.size, request)
    stream = None
    if not picked and (across or lanes.size >= WIDE):
        stream = _stream(rows, across, lanes, planes, programs, width, request)
    # What had better be streamed does not fit into scratch.
    crowded = not (stream or picked or (across and across.bins is not None)) and _large(rows, request)
    if stream:
        windows, planes_tile, lanes_tile, rings, staged, together, direct, buffer, slab, ring = stream
        programs[len(rows) - 1] = _blocks(rows[-1], request)
        partial = 0
    else:
        rings, slab, ring, together = [], 0, 0, False
        windows, planes_tile, lanes_tile, staged, buffer = _block(
            rows, across, lanes.size, planes, request, width, picked, turned
        )
        row = (_pitch(across, windows[-1]) if across else 1) * lanes_tile
        partial = row if prod(min(a.kernel, a.size) for a in rows) > BATCH or staged == 2 else 0
        picked = picked and staged != 2
        direct = request.lane_type == request.y_type and (lanes.strides[1] == 1 or lanes.size == 1)
        if request.indices:
            # Codes of a byte go where they belong along with the values, flat indices as well.
            steps = [a.strides for a in axes] + [k.strides for k in (lanes, *outer)]
            alike = all(of[1] == of[2] for of in steps)
            side = not across or across.strides[1] == lanes.size
            # Where windows run along rows, what one adds to a flat index is the same for each lane of one, not of several.
            plain = not request.flat or not across or lanes.size == 1
            wanted = "i8" if request.flat else "u1"
            direct = direct and picked and alike and side and plain and TYPES[request.z_type] == wanted
        else:
            direct = direct and across is None and not request.divided and request.gaps is None
    # Straight to the output: along rows from scratch (fused) or from the input (bare), or whole blocks (boxed).
    levels = [p[0] for p in programs]
    lasts = [p[1] for p in programs]
    open_ended = (
        request.gaps is None
        and not request.indices
        and request.y_type == request.lane_type
        and (not request.divided or TYPES[request.lane_type] in ("f4", "f8"))
        and (across.strides[1] == 1 if across else lanes.strides[1] == 1 or lanes.size == 1)
    )
    fused = open_ended and folds[-1] > 0 and not (stream and len(rows) > 1)
    # Short rows are doubled together, and only then divided each by counts of its own.
    if across and doubled and request.counted and across.count < ALONE:
        fused = fused and all(_alone(a) for a in rows)
    bare = fused and not stream and staged == 0 and folds[-1] == 1 and len(rows) == 1 and _alone(rows[0])
    boxed = open_ended and not stream and staged == 0 and prod(min(a.kernel, a.size) for a in rows) <= BOX
    # Rows of single cells are put together on the way only where they are divided as well.
    side = across is not None and fused and _side_by_side(across) and (across.kernel > 1 or request.divided)
    boxed = boxed and not bare and (side or (across is None and request.divided))
    if request.means:
        fused, bare, boxed, staged = False, False, True, 0
    if across and (bare or boxed):
        windows[-1] = even(across.count, max(1, BARE // (across.stride * lanes.size)))
        budget = max(1, 2 * BARE // (windows[-1] * across.stride * prod(min(a.kernel, a.size) for a in rows)))
        planes_tile = _fill(rows, windows, planes, budget)
        # Scratch holds no more than the windows at both ends.
        buffer = windows[0] * (2 * (across.extent + max(across.low, across.high)) + 4 * across.stride) if bare else 0
        planes_tile = 1 if bare else planes_tile
    direct = direct or boxed
    buffer = -(-max(buffer, slab) // 64) * 64
    slots = 0
    if across and doubled:
        slots = _stretches(across.kernel, request)
    elif across and not picked:
        slots = _slots(across, folds[-1], lasts[-1], lanes_tile, buffer)
    tiles = prod(-(-a.count // w) for a, w in zip(axes, windows, strict=True))
    tiles *= -(-lanes.size // lanes_tile) * -(-planes // planes_tile)
    return Tiling(
        windows, levels, lasts, folds, doubled, slid, rings, lanes_tile, planes_tile, staged, bool(stream), crowded, together, direct, fused, bare, boxed,
        picked, buffer, _buffers(programs, rows, stream is not None), slots, partial, slab, ring, tiles,
    )  # fmt: skip


def _buffers(programs: list[Program], rows: list[Axis], stream: bool) -> int:
    """Count the buffers of a block: three, one for each level of a ladder, and one to stage what a slab is made of."""
    if not stream:
        return 3 + max(p[0] for p in programs)
    ladders = [*programs[: len(rows) - 1], *programs[len(rows) :]]
    return 3 + max((p[0] for p in ladders), default=0) + (len(rows) > 1)


def _slots(across: Axis, folds: int, last: list[tuple[int, int]], lanes: int, buffer: int) -> int:
    """Find the scratch to merge along the rows with: of the last fold, of cells a stride apart, or of turned rows."""
    if folds > 1:
        return buffer
    if across.stride > 1 and lanes < NARROW and not folds:
        sides = len({(level, tap * across.dilation % across.stride) for level, tap in last})
        return sides * (buffer // across.stride + (across.extent + 2) * lanes)
    return 2 * buffer if across.bins is not None else 0


def _tiles_of_runs(rows: list[Axis], across: Axis, planes: int, request: Request) -> Tiling:
    """Choose the tile for windows that are one run of memory each."""
    cells = across.stride if across.bins is None else across.kernel
    staged = _converted(across, request)
    # What is converted on the way is to stay in the first-level cache.
    columns = even(across.count, max(1, (RUN // 8 if staged else RUN) // cells))
    windows = [1] * len(rows) + [columns]
    planes_tile = _fill(rows, windows, planes, max(1, RUN // (columns * cells)))
    buffer = max(planes_tile * prod(windows), across.cells(columns) if staged else 0)
    tiles = prod(-(-a.count // w) for a, w in zip((*rows, across), windows, strict=True)) * -(-planes // planes_tile)
    return _in_one_go(windows, tiles, planes=planes_tile, staged=int(staged), buffer=-(-buffer // 64) * 64, buffers=3)


def _in_registers(
    pooled: list[Axis], lanes: Kept, outer: list[Kept], starts: Sequence[int], request: Request, far: bool, held: int
) -> list[int]:
    """Lay out a call whose rows are held in registers; see held.h."""
    *rows, across = pooled
    if rows:
        rows[-1] = _continued(rows[-1], outer)
    rows = rows or [_as_rows(outer)]
    windows = [1] * len(rows) + [across.count]
    planes = prod(k.size for k in outer)
    cells = prod(-(-a.size // a.count) for a in rows) * across.size
    total = cells * prod(a.count for a in rows) * planes
    planes_tile = _fill(rows, windows, planes, max(1, min(HELD, max(HELD // 2, total // TILES)) // cells))
    tiles = prod(-(-a.count // w) for a, w in zip(rows, windows, strict=False)) * -(-planes // planes_tile)
    tiling = _in_one_go(windows, tiles, planes=planes_tile, direct=True, boxed=True)
    return _table(rows, across, lanes, outer, starts, request, tiling, False, far, False, held)


def _rolls(rows: Axis, across: Axis | None, lanes: int, planes: int, request: Request) -> Tiling:
    """Choose the tile for running sums: rows of some thousand lanes, as many as are worth the sums they start from.

    Its scratch, in `slots`, is laid out in rolling.h.
    """
    axes = [rows, across] if across else [rows]
    lanes_tile = lanes if across else even(lanes, ROLL)
    windows = [even(across.count, max(1, ROLL // lanes, 2 * across.kernel))] if across else []
    strips = prod(-(-a.count // w) for a, w in zip(axes[1:], windows, strict=True)) * -(-lanes // lanes_tile) * planes
    made = (windows[0] if across else 1) * lanes_tile
    least = max(4 * rows.kernel, ROLLS // made)
    windows.insert(0, even(rows.count, max(-(-rows.count * strips // TILES), least)))
    tiles = strips * -(-rows.count // windows[0])
    row = (across.cells(windows[1]) if across else 1) * lanes_tile
    width = BYTES[request.x_type]
    scratch = 4 * (row + lanes_tile + 128) + 4 * width * (made + 16) + 2 * width * (row + 128) + width * row
    return _in_one_go(windows, tiles, lanes=lanes_tile, slots=-(-scratch // width))


def _block(
    rows: list[Axis],
    across: Axis | None,
    lanes: int,
    planes: int,
    request: Request,
    width: int,
    picked: bool,
    turned: bool,
) -> tuple[list[int], int, int, int, int]:
    """Return a tile of rows merged whole, as (windows, planes, lanes, staged, cells of a buffer)."""
    windows = [1] * len(rows)
    lanes_tile = lanes
    row = 1
    axes = [*rows, across] if across else rows
    if turned:
        lanes_tile = even(lanes, WIDE * (4 if 4 * WIDE * prod(a.size for a in axes) <= TURN else 2))
    elif across and lanes >= WIDE and (request.gaps or request.x_type != request.lane_type):
        lanes_tile = even(lanes, max(16, ROW // 2 // across.extent))
    elif not across and lanes > ROW // 2:
        lanes_tile = ROW // 4
    if across:
        windows.append(across.count if turned else _columns(across, lanes_tile))
        row = _pitch(across, windows[-1])
    row *= lanes_tile
    # Rows of large windows are work enough for a tile each.
    budget = max(1, min(BLOCK // width // row, WORK // (row * prod(min(a.kernel, a.size) for a in rows))))
    if turned:
        budget = max(1, int(TURN // (row * prod(a.size / a.count for a in rows))))
    overlap = rows[-1].kernel > 1 and rows[-1].stride == rows[-1].dilation == 1 and not (turned or request.indices)
    step = 1
    if overlap and 4 * row * _weight(width, request) <= STREAM // 2:
        step = 4  # rows that are merged at once
        budget = max(step, budget // step * step)
    planes_tile = _fill(rows, windows, planes, budget, step)
    buffer = planes_tile * prod(windows[: len(rows)]) * row
    staged = 0
    if turned:
        staged, buffer = 1, max(buffer, _box(rows, windows, row))
    # Cells that may be absent are looked at on their way into scratch.
    elif request.gaps or request.x_type != request.lane_type or (across and across.strides[0] != lanes_tile):
        box = _box(rows, windows, row)
        overlapping = any(a.kernel > a.stride for a in rows)
        # Rows without a gap between them are copied in one go.
        cells = min(across.cells(windows[-1]), across.size) if across else 1
        joined = rows[-1].strides[0] == cells * lanes_tile and (not across or across.strides[0] == lanes_tile)
        staged = 1 if (overlapping or picked or joined) and box <= STREAM // _weight(width, request) else 2
        buffer = max(buffer, box if staged == 1 else windows[len(rows) - 1] * row)
    return windows, planes_tile, lanes_tile, staged, buffer


def _fill(rows: list[Axis], windows: list[int], planes: int, budget: int, step: int = 1) -> int:
    """Make a tile of about `budget` rows, the last axis first and by whole steps; return how many planes it takes."""
    windows[: len(rows)] = [1] * len(rows)
    for i in range(len(rows) - 1, -1, -1):
        windows[i] = even(rows[i].count, budget)
        if i == len(rows) - 1:
            windows[i] = min(rows[i].count, -(-windows[i] // step) * step)
        budget //= windows[i]
        if windows[i] < rows[i].count:
            return 1
    return max(1, min(planes, budget))


def _picked(rows: list[Axis], across: Axis | None, lanes: int, request: Request) -> bool:
    """Whether all cells of a window are looked at in one go: few ones, whose indices are wanted."""
    axes = [*rows, across] if across else rows
    return (
        request.indices
        and not request.in_place
        and request.gaps is None
        and all(a.bins is None for a in axes)
        and prod(a.kernel for a in axes) <= PICKS * (2 if all(a.stride > 1 for a in axes) else 1)
        and (not across or across.stride <= min(across.extent, 3 if lanes == 1 else 1))
    )


def _alone(axis: Axis) -> bool:
    """Whether windows are of one cell each: an axis that is there for the kernel only."""
    return axis.kernel == axis.stride == 1 and axis.low == axis.high == 0 and axis.bins is None


def _side_by_side(axis: Axis) -> bool:
    """Whether windows are few cells, follow each other without a gap and are all whole."""
    return axis.kernel == axis.stride <= 3 and axis.low == 0 and axis.cells(axis.count) <= axis.size


class Stream(NamedTuple):
    """A tile of streamed windows: those along each axis, what is in its scratch, and how it is filled and left."""

    windows: list[int]
    planes: int
    lanes: int
    rings: list[int]
    staged: int
    together: bool
    direct: bool
    buffer: int
    slab: int
    slabs: int


def _stream(
    rows: list[Axis],
    across: Axis | None,
    lanes: Kept,
    planes: int,
    programs: list[Program],
    width: int,
    request: Request,
) -> "Stream | None":
    """Lay out streamed windows, or return None if they are better merged whole."""
    *others, run = rows
    if (across and across.bins is not None) or not (request.in_place or _large(rows, request)):
        return None
    axes = [*others, across] if across else others
    staged = _staged(rows, across, lanes.size, request)
    direct = request.lane_type == request.y_type and (lanes.strides[1] == 1 or lanes.size == 1)
    direct = direct and not (axes or request.divided or request.gaps or request.indices)
    group = -(-SLID * run.dilation // run.stride)
    lanes_tile = lanes.size if lanes.size < WIDE else min(lanes.size, max(16, (64 if staged else 256) // width))
    together = not direct and not others and (not across or across.cells(across.count) * lanes_tile < ROW // 2)
    rings = _rings(run, *_blocks(run, request), staged)
    # As well: what stands for no cells, windows that are made in steps, and those that are not made in a buffer.
    stepwise = request.indices or TYPES[request.lane_type] == "wide"
    slabs = rings[0] + run.dilation * sum(rings[1:]) + 1 + (SLID + 1) * stepwise + group * (not together and not direct)
    buffers = _buffers(programs, rows, True)
    weight = _weight(width, request)
    windows = [1] * len(axes)
    if not axes:
        lanes_tile = even(lanes.size, max(lanes_tile, STREAM // weight // (slabs + buffers * group * together) - 32))
    # Fewer lanes, so that a tile has more windows than cells beside them.
    if across and lanes.size >= WIDE and 2 * across.extent * lanes_tile * weight * (slabs + buffers) > STREAM:
        lanes_tile = min(lanes_tile, 16)
    while (
        across
        and staged
        and lanes_tile > 1
        and 2 * across.extent * lanes_tile * weight * (slabs + buffers) > 4 * STREAM
    ):
        lanes_tile = (lanes_tile + 1) // 2

    def scratch(planes: int = 1) -> tuple[int, int]:
        row = planes * prod(windows[: len(others)]) * (_pitch(across, windows[-1]) if across else 1) * lanes_tile
        if others:
            return max(row, planes * _box(others, windows, row // prod(windows[: len(others)]) // planes)), row + 32
        return 0 if direct else group * row if together else row, row + 32

    def cells() -> int:
        buffer, slab = scratch()
        return buffers * buffer + slabs * slab

    if cells() * weight > 4 * STREAM:
        return None
    open_axes = set(range(len(axes)))
    while open_axes:
        i = max(open_axes, key=lambda i: (axes[i].extent + 16) / (windows[i] * axes[i].stride))
        before = windows[i]
        windows[i] = min(2 * before, axes[i].count)
        # Where most cells would be read for the windows beside them, a tile may take more of the cache.
        halo = axes[i].extent // (before * axes[i].stride)
        if windows[i] == before or cells() * weight > STREAM * (4 if halo >= 4 else 2 if halo else 1):
            windows[i] = before
            open_axes.remove(i)
    windows = [even(a.count, w) for a, w in zip(axes, windows, strict=True)]
    planes_tile = 1
    if all(w == a.count for a, w in zip(axes, windows, strict=True)):
        planes_tile = max(1, min(planes, STREAM // weight // cells()))
    # Enough tiles for many threads, each long enough for its start, where windows are not complete, not to matter.
    tiles = prod(-(-a.count // w) for a, w in zip(axes, windows, strict=True)) * -(-planes // planes_tile)
    parts = -(-TILES // (tiles * -(-lanes.size // lanes_tile)))
    least = run.count if request.in_place else -(-(3 if staged else 1) * run.extent // run.stride)
    along = -(-max(least, -(-run.count // parts)) // group) * group
    sizes = scratch(planes_tile)
    windows.insert(len(others), min(run.count, along))
    return Stream(windows, planes_tile, lanes_tile, rings, staged, together, direct, *sizes, slabs)


def _staged(rows: list[Axis], across: Axis | None, lanes: int, request: Request) -> int:
    """Whether the cells of streamed windows are copied into a ring, and not read where they are."""
    plain = request.x_type == request.lane_type and not (request.gaps or request.indices or request.in_place)
    side = across is None or lanes >= WIDE or across.strides[0] == lanes
    return int(len(rows) > 1 or not plain or not side)


def _blocks(axis: Axis, request: Request) -> Program:
    """Choose the ladder that grows from blocks of SLID cells: of the blocks that all windows of a group share."""
    blocks = axis.kernel // SLID - 1
    return _program(axis._replace(kernel=blocks, size=blocks, stride=1), 1.0, request) if blocks > 0 else (0, [])


def _slid(axis: Axis, lanes: int, request: Request) -> bool:
    """Whether windows of so many lanes side by side are made eight cells at a time."""
    able = TYPES[request.lane_type] in ("f4", "f8") or (request.op == SUM and TYPES[request.lane_type] == "i4")
    plain = not (request.indices or request.gaps) and axis.stride == 1 and axis.bins is None
    return able and plain and lanes >= NARROW and axis.kernel > SLID


def _doubled(axis: Axis, lanes: int, request: Request) -> bool:
    """Whether windows along rows are made by doubling; see doubling.h, also for the lanes that can be."""
    able = ("i4", "u2", "u8", "f4", "f8") if request.op == SUM else ("u1", "u2", "f4", "f8")
    plain = lanes == axis.stride == axis.dilation == 1 and axis.bins is None and not request.indices
    return TYPES[request.lane_type] in able and plain and axis.kernel > DIRECT


def _stretches(kernel: int, request: Request) -> int:
    """Find the scratch of windows that are made by doubling, in cells: as doubling.h has it."""
    sizes = 1
    while 8 * 4**sizes <= kernel:
        sizes += 1
    width = BYTES[request.lane_type]
    if request.gaps:
        width = min(width, BYTES[request.gaps.count_type])
    return (3 + sizes) * ((8192 // width + 3 * kernel + 255) // 64 * 64)


def _rings(axis: Axis, levels: int, last: list[tuple[int, int]], staged: int) -> list[int]:
    """Return how many slabs the ring of cells holds, and those of each level for one phase: as many as pass until the
    last use of one, and itself."""
    rings = [staged * axis.dilation * (axis.kernel + SLID - 1)]
    for level in range(levels + 1):
        size = LADDER**level
        ages = [axis.kernel // SLID - 1 - tap - size for at, tap in last if at == level]
        if level < levels:
            ages.append((LADDER - 1) * size)
        rings.append(max(ages, default=0) + 1)
    return rings


def _program(axis: Axis, gather: float, request: Request) -> Program:
    """Choose a ladder's height for the cheapest windows: (levels, (level, tap) pairs to merge at the end).

    A rung costs about 4.5 loads per cell; a last merge one per window, or `gather` where it takes single cells.
    """
    if axis.bins is not None:
        return 0, []
    best = None
    level = 0
    most = BATCH if request.idempotent else CHAIN
    # Past four times the axis a window is mostly padding, and its taps are clipped one by one.
    while LADDER**level <= min(axis.kernel, 4 * axis.size):
        if axis.kernel // LADDER**level > most and LADDER ** (level + 1) <= axis.kernel:
            level += 1
            continue
        last = _last(axis.kernel, level, request.idempotent)
        if len(last) > most and LADDER ** (level + 1) <= axis.kernel:
            level += 1
            continue
        cost = 4.5 * level * axis.stride + gather * len(last)
        if best is None or cost < best[0]:
            best = (cost, level, last)
        level += 1
    return (best[1], best[2]) if best else (0, [])


def _last(kernel: int, level: int, idempotent: bool) -> list[tuple[int, int]]:
    """Cover `kernel` taps with windows of up to LADDER ** level, the large ones first.

    Where a cell may count twice, the windows are all of the largest size and the last two overlap.
    """
    size = LADDER**level
    if idempotent:
        return [(level, t) for t in range(0, kernel - size, size)] + [(level, kernel - size)]
    last = []
    tap = 0
    for rung in range(level, -1, -1):
        size = LADDER**rung
        for _ in range((kernel - tap) // size):
            last.append((rung, tap))
            tap += size
    return last


def _folds(axis: Axis) -> int:
    """How many calls of a kernel's `across` make this window along a row; 0 if they cannot.

    One for a few taps up to three cells apart; block windows of many are made by two and by three.
    """
    if axis.bins is not None:
        return 0
    if axis.stride <= 3 and axis.kernel <= DIRECT and 1 in (axis.stride, axis.dilation):
        return 1
    if axis.dilation != 1 or axis.kernel != axis.stride:
        return 0
    kernel, folds = axis.kernel, 0
    for factor in (2, 3):
        while kernel % factor == 0:
            kernel //= factor
            folds += 1
    return folds if kernel == 1 else 0


def _large(rows: list[Axis], request: Request) -> bool:
    """Whether one row axis after the other is cheaper than all taps at once, per row of windows."""
    if not rows:
        return False
    direct = float(prod(a.kernel for a in rows))
    *others, run = rows
    levels, last = _blocks(run, request)
    if run.bins is not None or len(last) > BATCH // 2:
        return False
    shared = run.kernel % SLID + len(last)
    together = max(1.0, SLID / run.stride)
    cost = 1.0 + 3.0 * prod(a.stride for a in rows)
    cost += run.stride * bool(last) + (2 * SLID + shared) / together if run.kernel > SLID else run.kernel
    after = run.stride
    for axis in reversed(others):
        levels, last = _program(axis, 1.0, request)
        if not last or len(last) > BATCH:
            return False
        slid = _slid(axis, WIDE, request)
        cost += (4 if slid else 4.5 * levels * axis.stride + len(last)) * after
        after *= axis.stride
    return direct > cost + 2


def _columns(axis: Axis, lanes: int) -> int:
    """Windows of a tile along the rows."""
    if axis.bins is None and axis.cells(axis.count) * lanes <= 2 * ROW:
        return axis.count
    fit = max(ROW // lanes, 4 * axis.extent)
    if axis.bins is not None:
        if max(axis.size, axis.count) * lanes <= 2 * ROW:
            return axis.count
        return even(axis.count, max(1, min(fit, (fit - axis.extent) * axis.count // axis.size)))
    return even(axis.count, max(1, (fit - axis.extent) // axis.stride + 1))


def even(count: int, most: int) -> int:
    """Cut `count` into the fewest parts of at most `most`, all about as long."""
    parts = -(-count // min(most, count))
    return -(-count // parts)


def _pitch(axis: Axis, windows: int) -> int:
    """Cells of a tile's row, up to a whole number of strides unless that is far."""
    cells = axis.cells(windows)
    if axis.bins is not None:
        return max(cells, windows)  # there may be more of them than cells
    return cells if axis.stride > cells else -(-cells // axis.stride) * axis.stride


def _box(axes: list[Axis], windows: list[int], inner: int) -> int:
    """Cells under a box of windows, times `inner`."""
    return inner * prod(a.cells(w) for a, w in zip(axes, windows, strict=False))
