"""
The bins of a spatial pyramid
=============================

Bin i of n cells in o bins is [floor(i n / o), ceil((i + 1) n / o)). Whatever the size of the image, there are as many
bins; where o does not divide n, neighbours share a row of cells. A pyramid of 1, 2 and 4 bins per axis makes 21 numbers
of every channel (He, Zhang, Ren and Sun, 2014).
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

import cypool

BLUE, ORANGE = "#0072B2", "#E69F00"


def bins(n, o):
    """The first cell of each bin and the one past its last: what an adaptive pool of the positions keeps."""
    cells = np.arange(n)
    return list(zip(cypool.adaptive_min_pool(cells, o), cypool.adaptive_max_pool(cells, o) + 1, strict=True))


image = np.asarray(Image.open("../images/sample.png"))
_, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, level in zip(axes, (1, 2, 4), strict=True):
    ax.imshow(image)
    for rows, columns in product(*(bins(n, level) for n in image.shape[:2])):
        corners = np.array([columns, rows]) - 0.5
        size = np.diff(corners)[:, 0]
        frame = Rectangle(corners[:, 0], *size, fill=False, color=ORANGE, linewidth=2)
        ax.add_patch(frame).set_clip_on(False)
    ax.set_title(f"level {level}: {level * level} bin{'s' if level > 1 else ''}")
    ax.axis("off")

# %%
# Ten cells in 1, 2, 3, 4, 6 and 13 bins: side by side where the number divides 10, sharing cells where it does not, and
# more bins than cells are allowed.
cells, levels = 10, (1, 2, 3, 4, 6, 13)
_, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
for row, level in enumerate(levels):
    for i, (start, stop) in enumerate(bins(cells, level)):
        y, color = (row + 0.12, ORANGE) if i % 2 else (row - 0.28, BLUE)
        ax.add_patch(Rectangle((start + 0.04, y), stop - start - 0.08, 0.3, color=color))
ax.set_xlim(0, cells)
ax.set_ylim(len(levels) - 0.4, -0.6)
ax.set_xticks(range(cells + 1))
ax.set_yticks(range(len(levels)), [str(level) for level in levels])
ax.set_xlabel("cells of the input")
ax.set_ylabel("bins")
ax.grid(axis="x", color="#cccccc", linewidth=0.8)
ax.set_axisbelow(True)
ax.spines[:].set_visible(False)
