"""The one table of workloads.

Everything that measures (`asv run`, `make peers`) walks `WORKLOADS`; nothing else names a shape.
A layout names the axes by letter: N and C are kept, the others are pooled.
"""

from math import prod
from typing import NamedTuple

import numpy as np

SEED = 20240229


class Workload(NamedTuple):
    """One pool of one array; a row of the table."""

    group: str
    op: str
    layout: str
    shape: tuple[int, ...]
    kernel: int | tuple[int, ...]
    stride: int | None = None  # the kernel, as in every library
    padding: int = 0
    dilation: int = 1
    dtype: str = "float32"
    order: str = "C"
    ceil_mode: bool = False
    indices: bool | str = False  # as return_indices
    grad: bool = False  # time the pool and its gradient together
    core: bool = False  # asv runs these; `make peers` runs all

    @property
    def name(self) -> str:
        """All that tells this row from the others, in one line: names cannot rot or collide."""
        kernel = self.kernel if isinstance(self.kernel, int) else "x".join(map(str, self.kernel))
        said = [self.op, self.layout, "x".join(map(str, self.shape)), f"k{kernel}"]
        said += [] if self.stride is None else [f"s{self.stride}"]
        said += [f"p{self.padding}"] if self.padding else []
        said += [f"d{self.dilation}"] if self.dilation > 1 else []
        said += ["ceil"] if self.ceil_mode else []
        said += [self.dtype] if self.dtype != "float32" else []
        said += ["F"] if self.order == "F" else []
        said += [f"indices={self.indices}"] if self.indices else []
        said += ["+grad"] if self.grad else []
        return " ".join(said)

    @property
    def axis(self) -> tuple[int, ...]:
        """The pooled axes."""
        return tuple(i for i, letter in enumerate(self.layout) if letter not in "NC")

    @property
    def kernels(self) -> tuple[int, ...]:
        """One kernel size per pooled axis."""
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel,) * len(self.axis)

    @property
    def strides(self) -> tuple[int, ...]:
        """One stride per pooled axis."""
        return self.kernels if self.stride is None else (self.stride,) * len(self.axis)

    @property
    def extents(self) -> tuple[int, ...]:
        """Cells from a window's first tap to its last, per pooled axis."""
        return tuple(self.dilation * (k - 1) + 1 for k in self.kernels)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        shape = list(self.shape)
        for a, extent, s in zip(self.axis, self.extents, self.strides, strict=True):
            room = shape[a] + 2 * self.padding - extent
            count = room // s + 1
            if self.ceil_mode:
                count = -(-room // s) + 1
                count -= (count - 1) * s >= shape[a] + self.padding
            shape[a] = count
        return tuple(shape)

    @property
    def taps(self) -> int:
        """What an implementation that looks at every tap of every window has to do."""
        return prod(self.out_shape) * prod(self.kernels)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes that must be read and bytes that must be written, each array once."""
        cell = np.dtype(self.dtype).itemsize
        x, windows = prod(self.shape) * cell, prod(self.out_shape)
        wide = self.op == "sum" and np.dtype(self.dtype).kind in "iu"  # sums of integers are 64 bits wide
        y = windows * (8 if wide else cell)
        indices = windows * {False: 0, True: 8, "window": 1}[self.indices]
        return (x + y + indices, x + y + indices) if self.grad else (x, y + indices)

    @property
    def array(self) -> np.ndarray:
        """The input: fresh, the same in every process, every page touched."""
        return data(self.shape, self.dtype, self.order)


def data(shape: tuple[int, ...], dtype: str, order: str = "C", seed: int = SEED) -> np.ndarray:
    """Return random numbers: normal for floats, the whole range (at most 16 bits) for integers."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        values = random.standard_normal(shape, dtype="float32" if dtype == "float16" else dtype).astype(dtype)
    elif dtype == "bool":
        values = random.integers(0, 2, shape).astype(bool)
    else:
        info = np.iinfo(dtype)
        values = random.integers(max(info.min, -(2**15)), min(int(info.max), 2**16) + 1, shape, "int64").astype(dtype)
    return np.array(values, order=order, copy=True)


W = Workload
IMAGE_KERNELS = 3, 5, 7, 9, 15, 31, 63, 127

# fmt: off
WORKLOADS: tuple[Workload, ...] = (
    # Convolutional networks
    W("AlexNet", "max", "NCHW", (1, 64, 55, 55), 3, 2),
    W("AlexNet", "max", "NCHW", (1, 192, 27, 27), 3, 2),
    W("AlexNet", "max", "NCHW", (1, 256, 13, 13), 3, 2),
    W("VGG", "max", "NCHW", (1, 64, 224, 224), 2, 2),
    W("VGG", "max", "NCHW", (1, 512, 28, 28), 2, 2),
    W("VGG", "max", "NCHW", (1, 512, 14, 14), 2, 2),
    W("VGG", "max", "NCHW", (8, 64, 112, 112), 2, 2),
    W("ResNet", "max", "NCHW", (8, 64, 112, 112), 3, 2, 1),
    W("ResNet", "max", "NCHW", (1, 64, 112, 112), 3, 2, 1),
    W("ResNet", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, core=True),
    W("ResNet", "max", "NCHW", (1, 512, 14, 14), 3, 2, 1),
    W("ResNet", "avg", "NCHW", (8, 64, 112, 112), 2, 2),
    W("ResNet", "avg", "NCHW", (8, 64, 112, 112), 3, 1, 1),
    W("GoogLeNet", "max", "NCHW", (1, 64, 112, 112), 3, 2, ceil_mode=True),
    W("GoogLeNet", "max", "NCHW", (1, 192, 28, 28), 3, 1, 1),
    W("DenseNet", "avg", "NCHW", (1, 128, 56, 56), 2, 2),
    W("DenseNet", "avg", "NCHW", (1, 512, 14, 14), 2, 2),
    W("Inception", "avg", "NCHW", (1, 192, 35, 35), 3, 1, 1, core=True),
    W("Inception", "max", "NCHW", (1, 288, 35, 35), 3, 2),
    W("Inception", "avg", "NCHW", (1, 1280, 8, 8), 3, 1, 1),
    W("Global", "avg", "NCHW", (1, 2048, 7, 7), 7),
    W("Global", "max", "NCHW", (1, 2048, 7, 7), 7),
    W("Global", "avg", "NCHW", (32, 512, 7, 7), 7),
    W("SPP", "max", "NCHW", (1, 512, 20, 20), 5, 1, 2),
    W("SPP", "max", "NCHW", (1, 512, 20, 20), 9, 1, 4),
    W("SPP", "max", "NCHW", (1, 512, 20, 20), 13, 1, 6),
    W("SPP", "max", "NCHW", (1, 512, 32, 32), 13, 1, 6),
    W("PoolFormer", "avg", "NCHW", (1, 64, 56, 56), 3, 1, 1),
    W("Odd", "max", "NCHW", (1, 17, 45, 61), 3, 2, 1),
    W("Odd", "max", "NCHW", (1, 17, 45, 61), 2, 2),
    W("Odd", "avg", "NCHW", (1, 17, 45, 61), 3, 2, 1),
    W("Odd", "avg", "NCHW", (1, 17, 45, 61), 5, 3),
    W("Odd", "max", "NCHW", (1, 17, 45, 61), (3, 5), 1),
    W("Dilated", "max", "NCHW", (1, 64, 56, 56), 3, 1, dilation=2),
    W("Dilated", "max", "HW", (1024, 1024), 15, 1, dilation=4),
    # The same with the channels last
    W("NHWC", "max", "NHWC", (1, 112, 112, 64), 3, 2, 1, core=True),
    W("NHWC", "max", "NHWC", (8, 112, 112, 64), 3, 2, 1),
    W("NHWC", "avg", "NHWC", (8, 112, 112, 64), 2, 2),
    W("NHWC", "max", "NHWC", (1, 56, 56, 16), 3, 2, 1),
    W("NHWC", "avg", "NHWC", (1, 56, 56, 16), 3, 1, 1),
    W("NHWC", "max", "NHWC", (1, 224, 224, 4), 2, 2),
    W("NHWC", "max", "NHWC", (1, 224, 224, 3), 3, 2, 1),
    W("NHWC", "avg", "NHWC", (1, 224, 224, 3), 2, 2),
    W("NHWC", "avg", "NHWC", (1, 7, 7, 2048), 7),
    W("NHWC", "max", "NHWC", (1, 20, 20, 512), 13, 1, 6),
    # Sequences
    W("Audio", "max", "NCL", (16, 64, 4096), 3, 2, 1),
    W("Audio", "max", "NCL", (1, 512, 1024), 4, 4),
    W("Audio", "avg", "NCL", (1, 1, 480000), 16),
    W("Audio", "avg", "NCL", (16, 64, 4096), 5, 1, 2),
    W("Audio", "max", "L", (1_000_000,), 5, 1),
    W("Audio", "max", "L", (1_000_000,), 127, 1),
    W("Audio", "avg", "L", (1_000_000,), 5, 1),
    W("Audio", "avg", "L", (1_000_000,), 127, 1),
    W("Text", "max", "NLC", (32, 128, 256), 3, 1),
    W("Text", "max", "NLC", (32, 128, 256), 128),
    # Volumes
    W("U-Net", "max", "NCDHW", (2, 16, 32, 64, 64), 3, 2, 1),
    W("U-Net", "avg", "NCDHW", (2, 16, 32, 64, 64), 2, 2, core=True),
    W("U-Net", "max", "NCDHW", (1, 32, 64, 64, 64), 2, 2),
    W("C3D", "max", "NCDHW", (1, 64, 16, 112, 112), (1, 2, 2)),
    W("C3D", "max", "NCDHW", (1, 256, 8, 28, 28), 2),
    W("Volume", "max", "DHW", (128, 128, 128), 5, 1, 2),
    W("Volume", "max", "DHW", (128, 128, 128), 31, 1, 15),
    W("Volume", "max", "DHW", (128, 128, 128), 127, 1, 63),
    W("Volume", "avg", "DHW", (128, 128, 128), 5, 1, 2),
    W("Volume", "avg", "DHW", (128, 128, 128), 127, 1, 63),
    W("Volume", "max", "NDHWC", (1, 32, 64, 64, 16), 3, 2, 1),
    W("4-D", "avg", "TDHW", (16, 32, 64, 64), 2),
    # Images
    *(W("Image", op, "HW", (1024, 1024), k, 1, core=op == "max" and k in (3, 31))
      for k in IMAGE_KERNELS for op in ("max", "avg")),
    W("Image", "max", "HWC", (1080, 1920, 3), 3, 1, dtype="uint8"),
    W("Image", "avg", "HWC", (1080, 1920, 3), 3, 1, dtype="uint8"),
    W("Image", "max", "HWC", (1080, 1920, 3), 31, 1, dtype="uint8"),
    W("Image", "avg", "HWC", (1080, 1920, 3), 31, 1, dtype="uint8"),
    W("Image", "max", "HW", (1024, 1024), 31, 1, dtype="uint16"),
    W("Image", "max", "HWC", (1024, 1024, 16), 15, 1),
    W("Image", "sum", "HW", (1024, 1024), 9, 1),
    W("Image", "min", "HW", (1024, 1024), 9, 1),
    W("Image", "max", "HW", (1024, 1024), 9, 2),
    W("Image", "avg", "HW", (1024, 1024), 9, 4),
    # Block means and pyramids
    W("Blocks", "avg", "HW", (4096, 4096), 2),
    W("Blocks", "avg", "HW", (4096, 4096), 8),
    W("Blocks", "max", "HW", (4096, 4096), 8),
    W("Blocks", "sum", "HW", (4096, 4096), 16, dtype="float64"),
    W("Blocks", "avg", "HWC", (2160, 3840, 3), 2, dtype="uint8"),
    W("Pyramid", "avg", "XYZ", (256, 256, 256), 2, dtype="uint8", core=True),
    W("Pyramid", "avg", "XYZ", (256, 256, 256), 2, dtype="uint8", order="F"),
    W("Pyramid", "avg", "XYZ", (256, 256, 256), 2, dtype="uint16"),
    W("Pyramid", "avg", "XYZ", (256, 256, 256), 2, dtype="uint16", order="F"),
    W("Pyramid", "avg", "XYZ", (256, 256, 128), (2, 2, 1), dtype="uint8", order="F"),
    W("Pyramid", "max", "XYZ", (256, 256, 256), 2, dtype="uint8"),
    W("Pyramid", "avg", "HW", (4096, 4096), 2, dtype="uint16"),
    # Other element types
    W("Types", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="float64"),
    W("Types", "avg", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="float64"),
    W("Types", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="float16"),
    W("Types", "avg", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="float16"),
    W("Types", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="int32"),
    W("Types", "sum", "NCHW", (1, 64, 56, 56), 2, 2, dtype="int32"),
    W("Types", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, dtype="int8"),
    # Indices and gradients
    W("Indices", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, indices=True),
    W("Indices", "max", "NCHW", (8, 64, 112, 112), 2, 2, indices=True),
    W("Indices", "max", "NCHW", (8, 64, 112, 112), 2, 2, indices="window"),
    W("Indices", "max", "NHWC", (8, 112, 112, 64), 2, 2, indices=True),
    W("Indices", "max", "HW", (1024, 1024), 31, 1, indices=True),
    W("Gradient", "max", "NCHW", (8, 64, 112, 112), 3, 2, 1, indices="window", grad=True),
    W("Gradient", "max", "NHWC", (8, 112, 112, 64), 3, 2, 1, indices="window", grad=True),
    W("Gradient", "avg", "NCHW", (8, 64, 112, 112), 2, 2, grad=True),
    W("Gradient", "max", "NCDHW", (2, 16, 32, 64, 64), 2, 2, indices="window", grad=True),
    # Calls so small that only the way to the kernel counts
    W("Tiny", "max", "NCHW", (1, 8, 8, 8), 3, 2, 1, core=True),
    W("Tiny", "avg", "NCHW", (1, 8, 8, 8), 2),
    W("Tiny", "max", "HW", (16, 16), 2),
    W("Tiny", "max", "L", (64,), 2),
)
# fmt: on

BY_NAME = {w.name: w for w in WORKLOADS}
assert len(BY_NAME) == len(WORKLOADS), "two workloads with one name"
CORE = tuple(w.name for w in WORKLOADS if w.core)
