"""
A photograph, pooled
====================

The same windows, 9 x 9 every 4 cells, keep different things: the minimum what is dark, the maximum what is bright, the
average neither. The mean of the p-th powers, and of that the p-th root, goes from the average to the maximum with p.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import cypool

image = np.asarray(Image.open("../images/sample.png").convert("L"), np.float32) / 255
pools = {
    f"the photograph, {image.shape[0]} x {image.shape[1]}": image,
    "minimum": cypool.min_pool(image, 9, stride=4),
    "average": cypool.avg_pool(image, 9, stride=4),
    "p = 4": cypool.power_mean_pool(image, 4, 9, stride=4),
    "p = 16": cypool.power_mean_pool(image, 16, 9, stride=4),
    "maximum": cypool.max_pool(image, 9, stride=4),
}
_, axes = plt.subplots(2, 3, figsize=(11, 5.2), layout="constrained")
for ax, (name, pooled) in zip(axes.flat, pools.items(), strict=True):
    ax.imshow(pooled, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name)
    ax.axis("off")
