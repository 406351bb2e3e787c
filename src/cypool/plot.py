"""Pictures of pooling: where windows lie, which cells win, what a stack of pools sees.

Needs matplotlib: ``pip install 'cypool[plot]'``. Every function draws into `ax`, or a new figure, and returns the axes.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from cypool.geometry import Window, integer, sequence
from cypool.geometry import windows as lay
from cypool.pool import max_pool

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap, to_rgba
    from matplotlib.patches import Polygon, Rectangle
except ImportError as error:
    raise ImportError("cypool.plot needs matplotlib: pip install 'cypool[plot]'") from error

__all__ = ["receptive_field", "windows", "winners"]

COLORS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
"""Of Okabe and Ito, told apart by everyone; yellow is left out, which is not seen on white."""
CELL, PADDING = "#e8e8e8", "#ffffff"
WON = "#E69F00", "#D55E00", "#500000"
"""From one window to the most, each seen on grey."""


def windows(
    shape: int | Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    ceil_mode: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the windows of a pool of one or two axes.

    Cells are grey; padding, and what hangs over the end, is white with a dotted border. Along one axis each window is a row of its taps below the
    cells; over two axes it is a frame with a dot in every tap.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the array: one axis or two, with at most 4096 cells and padding altogether.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `cypool.max_pool`, over all axes and with the same errors.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        `shape` has not one or two axes, is too large to draw, or the window arguments are wrong.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from cypool import plot
    >>> ax = plot.windows((5, 6), 3, stride=2, padding=1)
    >>> ax.get_title()
    '5 x 6 cells, 3 x 3 windows'
    """
    given = sequence("shape", shape if np.ndim(shape) else [shape])
    sizes = [integer("shape", n, 1) for n in given]
    if len(sizes) not in (1, 2):
        raise ValueError(f"shape must have one or two axes to be drawn, got {shape!r}")
    found = lay(sizes, kernel_size, stride, padding, dilation, range(len(sizes)), ceil_mode)
    ends = [max(w.size + w.high, (w.count - 1) * w.stride - w.low + w.extent) for w in found]
    if np.prod([end + w.low for end, w in zip(ends, found, strict=True)], dtype=object) > 4096:
        raise ValueError(f"shape has too many cells and padding to be drawn, got {shape!r}")
    ax = _new(ax)
    if len(found) == 1:
        _one_axis(ax, found[0], ends[0])
    else:
        _two_axes(ax, found, ends)
    ax.set_aspect("equal")
    ax.axis("off")
    cells, counts = (" x ".join(map(str, v)) for v in (sizes, [w.count for w in found]))
    ax.set_title(f"{cells} cells, {counts} window{'s' if counts != '1' else ''}")
    return ax


def winners(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    ceil_mode: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw an image with the cells that max pooling kept.

    The image is faint; over it lies every cell that is the maximum of a window, in the colour of how many.

    Parameters
    ----------
    x : array_like
        An image of two axes, of any dtype that `cypool.max_pool` takes.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `cypool.max_pool`, over all axes and with the same errors.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        `x` has not two axes, or the window arguments are wrong.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from cypool import plot
    >>> x = [[1, 5, 2, 0], [3, 4, 8, 1]]
    >>> ax = plot.winners(x, 2, stride=1)
    >>> ax.get_title()
    '2 of 8 cells won'
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"x must be an image of two axes, got shape {x.shape}")
    window = kernel_size, stride, padding, dilation
    _, indices = max_pool(x, *window, axis=(0, 1), ceil_mode=ceil_mode, return_indices=True)
    won = np.bincount(indices.ravel(), minlength=x.size).reshape(x.shape)
    ax = _new(ax)
    ax.imshow(x.astype(float), cmap="gray", alpha=0.35, interpolation="nearest")
    shown = ax.imshow(
        np.ma.masked_equal(won, 0), cmap=LinearSegmentedColormap.from_list("won", WON), interpolation="nearest", vmin=1
    )
    if won.max() > 1:
        ax.figure.colorbar(shown, ax=ax, label="windows won", shrink=0.8)
    ax.axis("off")
    ax.set_title(f"{np.count_nonzero(won)} of {x.size} cells won")
    return ax


def receptive_field(layers: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """Draw what one cell at the top of a stack of pools or convolutions sees, along one axis.

    The cell of layer l sees ``1 + sum over i <= l of (extent[i] - 1) * jump[i]`` cells of the input, where
    ``jump[i]`` is the product of the strides below layer i and ``extent[i] = dilation[i] * (kernel[i] - 1) + 1``.

    Parameters
    ----------
    layers : sequence of int, (kernel, stride) or (kernel, stride, dilation)
        The layers from the input up; an int is a kernel of stride 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There is no layer, or an entry is out of range.
    TypeError
        An entry is not made of integers.

    References
    ----------
    Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from cypool import plot
    >>> ax = plot.receptive_field([(3, 2), (3, 2), (3, 1)])
    >>> ax.get_title()
    'one cell sees 15 of the input'
    """
    steps = []
    for layer in sequence("layers", layers):
        values = sequence("layers", layer) if np.ndim(layer) else [layer]
        if not 1 <= len(values) <= 3:
            raise ValueError(f"layers must be made of (kernel, stride, dilation), got {layer!r}")
        kernel, stride, dilation = (integer("layers", v, 1) for v in (*values, 1, 1)[:3])
        steps.append((dilation * (kernel - 1) + 1, stride))
    if not steps:
        raise ValueError("layers must have at least one entry, got none")
    # From the top down: so many cells of each layer are seen, each so many cells of the input apart.
    seen = [1]
    for extent, stride in reversed(steps):
        seen.insert(0, (seen[0] - 1) * stride + extent)
    if seen[0] > 2048:
        raise ValueError(f"layers see {seen[0]} cells of the input, too many to be drawn")
    jumps = [1]
    for _, stride in steps:
        jumps.append(jumps[-1] * stride)
    ax = _new(ax)
    for level, (n, jump) in enumerate(zip(seen, jumps, strict=True)):
        half = (n - 1) * jump / 2
        color = COLORS[level % len(COLORS)]
        ax.plot(np.linspace(-half, half, n), [level] * n, "o", color=color, markersize=5 if seen[0] <= 64 else 2)
        name = "input" if level == 0 else f"layer {level}"
        ax.annotate(f"{name}: {n}", (seen[0] / 2 + 0.5, level), va="center", color=color, annotation_clip=False)
        if level:
            below = (seen[level - 1] - 1) * jumps[level - 1] / 2
            corners = [(-half, level), (half, level), (below, level - 1), (-below, level - 1)]
            ax.add_patch(Polygon(corners, closed=True, color=color, alpha=0.15, linewidth=0))
    ax.set_xlim(-seen[0] / 2 - 1, seen[0] / 2 + 1)
    ax.set_ylim(-0.5, len(steps) + 0.5)
    ax.axis("off")
    ax.set_title(f"one cell sees {seen[0]} of the input")
    return ax


def _new(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _one_axis(ax: Axes, w: Window, end: int) -> None:
    """Draw the cells in a row, and under them a row for each window."""
    for i in range(-w.low, end):
        _cell(ax, i, 0, 0 <= i < w.size)
    for v in range(w.count):
        color = COLORS[v % len(COLORS)]
        first = v * w.stride - w.low
        y = 1.3 + 0.6 * v
        ax.plot([first, first + w.extent], [y, y], color=color, linewidth=1)
        for t in range(w.kernel):
            ax.add_patch(Rectangle((first + t * w.dilation + 0.1, y - 0.2), 0.8, 0.4, color=color, gid="tap"))
    ax.set_xlim(-w.low - 0.5, end + 0.5)
    ax.set_ylim(1.3 + 0.6 * w.count, -0.5)


def _two_axes(ax: Axes, found: Sequence[Window], ends: Sequence[int]) -> None:
    """Draw the cells as a grid, and each window as a frame around its taps."""
    rows, columns = found
    for i, j in product(range(-rows.low, ends[0]), range(-columns.low, ends[1])):
        _cell(ax, j, i, 0 <= i < rows.size and 0 <= j < columns.size)
    # What windows that share cells draw there is drawn a little apart.
    apart = rows.stride < rows.extent or columns.stride < columns.extent
    for v, u in product(range(rows.count), range(columns.count)):
        color = COLORS[(v * 2 + u) % len(COLORS)]
        y, x = v * rows.stride - rows.low, u * columns.stride - columns.low
        inset = 0.06 + 0.1 * (apart and (v + u) % 2)
        shift = [0.5 + 0.2 * (apart and i % 3 - 1) for i in (v, u)]
        ax.add_patch(
            Rectangle(
                (x + inset, y + inset),
                columns.extent - 2 * inset,
                rows.extent - 2 * inset,
                facecolor=to_rgba(color, 0.12),
                edgecolor=color,
                linewidth=1.5,
                gid="window",
            )
        )
        taps = [
            (x + t * columns.dilation + shift[1], y + s * rows.dilation + shift[0])
            for s, t in product(range(rows.kernel), range(columns.kernel))
        ]
        ax.plot(*zip(*taps, strict=True), ".", color=color, markersize=4)
    ax.set_xlim(-columns.low - 0.2, ends[1] + 0.2)
    ax.set_ylim(ends[0] + 0.2, -rows.low - 0.2)


def _cell(ax: Axes, x: int, y: int, real: bool) -> None:
    fill, edge = (CELL, "white") if real else (PADDING, "#b0b0b0")
    name, line = ("cell", "-") if real else ("padding", ":")
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor=edge, linestyle=line, linewidth=1, gid=name))
