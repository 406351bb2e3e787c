"""
A photograph, pooled
====================

The same windows, 9 x 9 every 4 cells, keep different things: the maximum what is bright, the minimum what is dark, and
the average neither.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import cypool

image = np.asarray(Image.open("../images/sample.png").convert("L"), np.float32)
window = {"kernel_size": 9, "stride": 4, "padding": "same"}
pools = {
    f"the photograph, {image.shape[0]} x {image.shape[1]}": image,
    "maximum": cypool.max_pool(image, **window),
    "average": cypool.avg_pool(image, **window),
    "minimum": cypool.min_pool(image, **window),
}
_, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
for ax, (name, pooled) in zip(axes.flat, pools.items(), strict=True):
    ax.imshow(pooled, cmap="gray", vmin=0, vmax=255)
    ax.set_title(name)
    ax.axis("off")
