"""
Windows, stride, padding and ceil_mode
======================================

Windows of 3 cells on an axis of 10. Cells are grey; padding, and what hangs over the end, is white. Each window is a row
of its taps, in the order of the result.
"""

import matplotlib.pyplot as plt

from cypool import plot

_, axes = plt.subplots(3, 2, figsize=(9, 8), layout="constrained")
for ax, name, window in (
    (axes[0, 0], "side by side", {}),
    (axes[0, 1], "stride=2: overlapping", {"stride": 2}),
    (axes[1, 0], "ceil_mode=True: the last is cut off", {"ceil_mode": True}),
    (axes[1, 1], "padding=1: one more at each end", {"stride": 2, "padding": 1}),
    (axes[2, 0], "dilation=2: every other cell", {"stride": 2, "dilation": 2}),
    (axes[2, 1], "padding='same': ceil(n / stride)", {"padding": "same"}),
):
    plot.windows(10, 3, **window, ax=ax)
    ax.set_title(name)

# %%
# AlexNet pools 3 x 3 windows every 2 cells, so that neighbours share a row of cells. Its authors found that this is a
# little more accurate than windows side by side (Krizhevsky, Sutskever and Hinton, 2012, section 3.4).
_, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
plot.windows((7, 7), 3, stride=2, ax=axes[0])
axes[0].set_title("overlapping: 3 x 3 every 2 cells")
plot.windows((7, 7), 2, ax=axes[1])
axes[1].set_title("side by side: 2 x 2")

# %%
# What one cell sees grows with every layer: three such pools see 15 cells of the input.
plot.receptive_field([(3, 2), (3, 2), (3, 2)])
