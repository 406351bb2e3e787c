"""The one table of workloads.

Everything that measures (`asv run`, `make peers`) walks `WORKLOADS`; nothing else names a shape.
A layout names the axes by letter: N and C are kept, the others are pooled.
"""

from math import prod
from typing import NamedTuple

import numpy as np

SEED = 20240229
UNPOOL = "max_unpool"
"""The one function that is no pool: it takes what a max pool of the row's array returns."""


class Workload(NamedTuple):
    """One pool of one array; a row of the table."""

    group: str
    op: str  # the public function's name without its "_pool"
    layout: str
    shape: tuple[int, ...]
    kernel: int | tuple[int, ...] | None = None  # None: the whole axis
    stride: int | None = None  # the kernel, as in every library
    padding: int = 0
    dilation: int = 1
    dtype: str = "float32"
    order: str = "C"
    ceil_mode: bool = False
    bins: int | tuple[int, ...] | None = None  # as output_size
    norm: float = 2  # as norm_type
    indices: bool | str = False  # as return_indices
    grad: bool = False  # time the pool and its gradient together
    core: bool = False  # asv runs these; `make peers` runs all

    @property
    def name(self) -> str:
        """All that tells this row from the others, in one line: names cannot rot or collide."""
        said = [self.op, self.layout, by(self.shape)]
        said += [] if self.kernel is None else [f"k{by(self.kernel)}"]
        said += [] if self.bins is None else [f"to {by(self.bins)}"]
        said += [] if self.stride is None else [f"s{self.stride}"]
        said += [f"p{self.padding}"] if self.padding else []
        said += [f"d{self.dilation}"] if self.dilation > 1 else []
        said += ["ceil"] if self.ceil_mode else []
        said += [f"norm={self.norm:g}"] if self.norm != 2 else []
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
        if self.kernel is None:
            return tuple(self.shape[a] for a in self.axis)
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
        """The shape of the pooled array."""
        shape = list(self.shape)
        if self.bins is not None:
            bins = self.bins if isinstance(self.bins, tuple) else (self.bins,) * len(self.axis)
            for a, n in zip(self.axis, bins, strict=True):
                shape[a] = n
            return tuple(shape)
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
        if self.grad:
            return x + y + indices, x + y + indices
        return (y + indices, x) if self.op == UNPOOL else (x, y + indices)

    @property
    def exact(self) -> bool:
        """Whether cells of the input are what is returned, so that all libraries must agree to the bit."""
        return ("max" in self.op or "min" in self.op) and not self.grad

    @property
    def samples(self) -> np.ndarray:
        """What a fractional pool's windows are drawn from: a number in [0, 1) per plane and axis."""
        kept = [n for n, letter in zip(self.shape, self.layout, strict=True) if letter in "NC"]
        return np.random.default_rng(SEED).random((*kept, len(self.axis)), "float32")

    @property
    def array(self) -> np.ndarray:
        """The input: fresh, the same in every process, every page touched."""
        return data(self.shape, self.dtype, self.order)


def by(sizes: int | tuple[int, ...]) -> str:
    """Return sizes as they are spoken."""
    return str(sizes) if isinstance(sizes, int) else "x".join(map(str, sizes))


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
    W("Gradient", "max", "NCHW", (8, 64, 112, 112), 2, 2, indices="window", grad=True),
    W("Gradient", "max", "NHWC", (8, 112, 112, 64), 2, 2, indices="window", grad=True),
    W("Gradient", "max", "NCHW", (1, 64, 56, 56), 3, 2, 1, indices="window", grad=True),
    W("Gradient", "max", "NHWC", (1, 56, 56, 64), 3, 2, 1, indices="window", grad=True),
    W("Gradient", "avg", "NCHW", (8, 64, 112, 112), 2, 2, grad=True),
    W("Gradient", "avg", "NHWC", (8, 112, 112, 64), 2, 2, grad=True),
    W("Gradient", "max", "NCDHW", (2, 16, 32, 64, 64), 2, 2, indices="window", grad=True),
    # The rest of the family
    W("Adaptive", "adaptive_avg", "NCHW", (1, 256, 13, 13), bins=6),
    W("Adaptive", "adaptive_avg", "NCHW", (8, 64, 112, 112), bins=7),
    W("Adaptive", "adaptive_avg", "NHWC", (1, 56, 56, 64), bins=9),
    W("Adaptive", "adaptive_avg", "NCDHW", (2, 16, 32, 64, 64), bins=(5, 9, 9)),
    W("Adaptive", "adaptive_max", "NCHW", (1, 256, 13, 13), bins=6),
    W("Adaptive", "adaptive_max", "NCHW", (8, 64, 112, 112), bins=7, indices=True),
    W("Adaptive", "adaptive_max", "NCL", (16, 64, 4096), bins=100),
    W("Adaptive", "adaptive_avg", "NCHW", (8, 64, 112, 112), bins=7, grad=True),
    W("Adaptive", "adaptive_max", "NCHW", (8, 64, 112, 112), bins=7, indices="window", grad=True),
    W("Global", "global_avg", "NCHW", (1, 2048, 7, 7)),
    W("Global", "global_max", "NCHW", (1, 2048, 7, 7)),
    W("Global", "global_avg", "NCHW", (8, 256, 56, 56)),
    W("Global", "global_max", "NCHW", (8, 256, 56, 56)),
    W("Global", "global_avg", "NHWC", (8, 56, 56, 256)),
    W("Global", "global_max", "NHWC", (8, 56, 56, 256)),
    W("Global", "global_lp", "NCHW", (8, 256, 56, 56)),
    W("Global", "global_avg", "NCDHW", (2, 16, 32, 64, 64)),
    W("Lp", "lp", "NCHW", (8, 64, 112, 112), 2, 2),
    W("Lp", "lp", "NCHW", (1, 64, 56, 56), 3, 2),
    W("Lp", "lp", "NCHW", (1, 64, 56, 56), 3, 2, norm=3),
    W("Lp", "lp", "NCL", (16, 64, 4096), 4, 4),
    W("Lp", "lp", "NCHW", (8, 64, 112, 112), 2, 2, grad=True),
    W("Unpool", UNPOOL, "NCHW", (8, 64, 112, 112), 2, 2, indices=True),
    W("Unpool", UNPOOL, "NCDHW", (2, 16, 32, 64, 64), 2, 2, indices=True),
    W("Unpool", UNPOOL, "NCHW", (8, 64, 112, 112), 2, 2, indices=True, grad=True),
    W("Fractional", "fractional_max", "NCHW", (8, 64, 112, 112), 2, bins=79),
    W("Fractional", "fractional_max", "NCHW", (8, 64, 112, 112), 2, bins=79, indices=True),
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
