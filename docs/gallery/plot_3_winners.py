"""
What pooling kept
=================

A maximum is a cell of the input. With ``return_indices`` a pool says which, and :func:`cypool.plot.winners` draws them.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import cypool
from cypool import plot

image = np.asarray(Image.open("../images/sample.png").convert("L"))[80:150, 130:220]
_, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
plot.winners(image, 4, ax=axes[0])
axes[0].set_title("4 x 4 side by side: one cell each")
plot.winners(image, 7, stride=2, ax=axes[1])
axes[1].set_title("7 x 7 every 2: bright cells win often")

# %%
# Gradients flow back along the same way: that of a maximum to the cells that won, that of an average to all.
x = image.astype(np.float32)
y, indices = cypool.max_pool(x, 7, stride=2, return_indices="window")
ones = np.ones_like(y)
gradients = {
    "gradient of max_pool": cypool.max_pool_grad(ones, indices, x.shape, 7, stride=2),
    "gradient of avg_pool": cypool.avg_pool_grad(ones, x.shape, 7, stride=2),
}
_, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, (name, gradient) in zip(axes, gradients.items(), strict=True):
    shown = ax.imshow(gradient, cmap="viridis")
    ax.set_title(name)
    ax.axis("off")
    ax.figure.colorbar(shown, ax=ax, label="gradient", shrink=0.8)
