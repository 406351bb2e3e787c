"""The one table of what is pooled in the tests: windows, dtypes, memory layouts, data."""

import os
import zlib
from dataclasses import asdict, dataclass

import ml_dtypes  # NumPy knows its types by name from then on
import numpy as np

from cypool import dispatch

THREADS = (1, 2, 3, 4)
LEVELS = (os.environ["CYPOOL_LEVEL"],) if os.environ.get("CYPOOL_LEVEL") else dispatch.available()
"""The instruction-set levels to test: all that this CPU has, or the one that is asked for."""


@dataclass(frozen=True)
class Case:
    """A shape and the window arguments that every function shares."""

    shape: tuple
    kernel_size: object
    stride: object = None
    padding: object = 0
    dilation: object = 1
    axis: object = None
    ceil_mode: bool = False

    @property
    def window(self):
        """The window arguments, as keywords."""
        arguments = asdict(self)
        del arguments["shape"]
        return arguments

    @property
    def id(self):
        said = [f"k{self.kernel_size}"]
        for name, default in (("stride", None), ("padding", 0), ("dilation", 1), ("axis", None)):
            if getattr(self, name) != default:
                said.append(f"{name}{getattr(self, name)}")
        text = "x".join(map(str, self.shape)) + "-" + "-".join(said) + "-ceil" * self.ceil_mode
        return text.replace(" ", "").replace("'", "")


HW = (2, 3)  # the spatial axes of NCHW
WH = (1, 2)  # the spatial axes of NHWC

# A handful that touches every option: for products with dtypes, layouts and threads.
FEW = (
    Case((17,), 3, 2, 1),
    Case((9, 10), (2, 3), (2, 2), ((0, 1), (2, 0)), ceil_mode=True),
    Case((2, 3, 7, 8), (3, 3), (2, 2), (1, 1)),
    Case((2, 7, 6, 5), (3, 2), (1, 2), (1, 0), (2, 1), axis=WH),
    Case((5, 4, 6), 2, 1, axis=(2, 0)),
    Case((3, 40), (13,), 1, 6),
)

CASES = (
    *FEW,
    # one axis: sizes around the window, then options one at a time, then wide rows and long windows
    Case((1,), 1),
    Case((1,), 3, 1, 1),
    Case((2,), 2),
    Case((3,), 2),
    Case((4,), 1, 3),
    Case((5,), 5),
    Case((5,), 4, 1, 3),
    Case((6,), 2, 2, ceil_mode=True),
    Case((7,), 2, 2, ceil_mode=True),
    Case((9,), 4, 4, 2, ceil_mode=True),
    Case((9,), 2, 5, ceil_mode=True),
    Case((10,), 2, 4, 1),
    Case((11,), 3, 1, ((2, 0),)),
    Case((11,), 3, 2, ((0, 2),), ceil_mode=True),
    Case((13,), 3, 1, 2, 2),
    Case((13,), 3, 2, 3, 3, ceil_mode=True),
    Case((13,), 2, 3, 0, 5),
    Case((14,), 3, 2, "same"),
    Case((14,), 3, 2, "same_lower"),
    Case((15,), 4, 3, "same", 2),
    Case((15,), 4, 3, "same_lower", 2, ceil_mode=True),
    Case((7,), 2, 5, "same"),
    Case((8,), 3, 2, "valid", ceil_mode=True),
    Case((3,), 9, 1, 4),
    Case((4,), 16, 2, (9,)),
    Case((300,), 2),
    Case((301,), 3, 2, 1),
    Case((257,), 3, 1, 1),
    Case((130,), 5, 1, "same"),
    Case((130,), 4, 3),
    Case((129,), 7, 7),
    Case((100,), 31, 1),
    Case((100,), 31, 7, 15),
    Case((140,), 64, 1, 20),
    Case((140,), 127, 1, 63),
    Case((140,), 127, 13, ((90, 0),), ceil_mode=True),
    Case((64,), 64),
    Case((90,), 17, 1, 0, 4),
    Case((90,), 8, 5, 11, 3),
    Case((3, 33), (33,)),
    Case((3, 2), (3,), 2, ceil_mode=True),
    Case((2, 4), (5,), 2, ceil_mode=True),
    Case((2, 2, 50), (3,), 2, 1),
    # many planes of short rows
    Case((40, 7), (3,), 2, 1),
    Case((2, 33, 7, 7), (3, 3), (2, 2), (1, 1)),
    Case((70, 5, 8), (3, 2), (1, 1), "same", ceil_mode=True),
    Case((35, 3, 6, 5), (2, 2), (2, 3), ((1, 0), (0, 2)), (1, 2), ceil_mode=True),
    Case((2, 1, 33, 2, 3, 4), (2, 2, 3), 1, 1),
    # two axes
    Case((1, 1), 1),
    Case((1, 9), 1, 2),
    Case((9, 1), (3, 1), (2, 1), (1, 0)),
    Case((6, 6), 2),
    Case((7, 7), 2, ceil_mode=True),
    Case((7, 9), 3, 1, 1),
    Case((8, 11), 3, 2, 1),
    Case((8, 11), 3, 2, 1, ceil_mode=True),
    Case((8, 11), (3, 2), (2, 3), "same"),
    Case((8, 11), (3, 2), (2, 3), "same_lower"),
    Case((8, 11), (2, 3), (3, 5)),
    Case((10, 12), (2, 3), (1, 2), ((2, 1), (0, 3)), (3, 2)),
    Case((10, 12), 3, 1, 2, 2),
    Case((12, 4), (5, 2), (1, 1), (7, 0), axis=(0, 1), dilation=(2, 1)),
    Case((20, 21), 7, 1, 3),
    Case((20, 21), 7, 5, 3),
    Case((20, 21), (20, 21)),
    Case((24, 24), 13, 1, 6),
    Case((40, 36), 31, 1),
    Case((33, 5), (31, 2), 1, ((15, 15), (1, 0))),
    Case((5, 150), (2, 64), (1, 9)),
    Case((3, 300), (3, 3), (1, 1), (1, 1)),
    Case((40, 9), 3, 2, 1),
    Case((9, 10), (2, 3), axis=(1, 0)),
    Case((9, 10), (2, 3), 1, (0, 2), axis=(-1, -2)),
    # kept axes: channels first, last and in the middle, small maps, pooling over channels or the batch
    Case((2, 5, 7, 7), (3, 3), (2, 2), (1, 1), axis=HW),
    Case((1, 6, 7, 7), (7, 7), axis=HW),
    Case((1, 4, 13, 13), (5, 5), 1, 2, axis=HW),
    Case((1, 5, 14, 14), (3, 3), 2, 0, axis=HW),
    Case((1, 5, 14, 14), (2, 2), axis=HW),
    Case((2, 3, 13, 13), (3, 3), 2, 0, axis=HW, ceil_mode=True),
    Case((1, 2, 9, 70), (3, 3), (1, 2), 1, axis=HW),
    Case((2, 2, 6, 6), (2, 2), 1, "same", axis=HW),
    *(Case((1, 6, 7, c), (3, 3), 2, 1, axis=WH) for c in (1, 3, 4, 16, 17, 64)),
    *(Case((2, 5, 4, c), (2, 2), axis=WH, ceil_mode=True) for c in (1, 3, 4, 16, 17, 64)),
    Case((1, 12, 9, 4), (5, 5), 1, 2, axis=WH),
    Case((1, 9, 9, 3), (2, 3), (3, 2), ((1, 0), (0, 2)), (2, 3), axis=WH),
    Case((40, 6, 4), (31,), 1, 15, axis=0),
    Case((9, 4, 5), 3, 2, 1, axis=0),
    Case((2, 11, 3, 4), 3, 1, 1, axis=1),
    Case((2, 11, 3, 4), 4, axis=1),
    Case((2, 11, 3, 4), 5, 3, 2, axis=-3, dilation=2),
    Case((3, 65, 6), 2, 2, axis=1),
    Case((6, 3, 7), (2, 3), (2, 1), (0, 1), axis=(0, 2)),
    Case((6, 3, 7), (3, 2), (1, 2), (1, 0), axis=(2, 0)),
    # three axes and more
    Case((5, 5, 5), 2),
    Case((5, 6, 7), 3, 2, 1),
    Case((5, 6, 7), 3, 2, 1, axis=(2, 0, 1)),
    Case((5, 6, 7), (2, 3, 4), (1, 2, 3), ((1, 0), (0, 2), (1, 1)), (2, 1, 2), ceil_mode=True),
    Case((1, 2, 4, 6, 6), (3, 3, 3), 2, 1, axis=(2, 3, 4)),
    Case((2, 4, 5, 4, 3), (2, 2, 2), axis=(1, 2, 3)),
    Case((4, 2, 5, 3, 4), (2, 3), 2, 1, axis=(3, 0)),
    Case((4, 5, 3, 4), 2),
    Case((4, 5, 3, 4), (3, 2, 1, 2), (1, 2, 1, 2), (1, 0, 0, 1), axis=(3, 1, 0, 2)),
    Case((3, 4, 3, 4, 3), 2, 1),
    Case((3, 4, 3, 4, 3), (2, 3, 2), (2, 1, 1), "same", axis=(4, 1, 2)),
    Case((2, 2, 3, 2, 2, 2, 3), 2, 1),
    Case((2, 3, 2, 3, 2, 3, 2), 2, 2, ceil_mode=True),
    Case((2, 3, 2, 3, 2, 3, 2), (2, 3, 1), 1, (1, 0, 0), axis=(6, 1, 3)),
    Case((1, 1, 1, 1, 1, 1, 1), 1),
    Case((1, 1, 3, 1, 4, 1), (2, 2), 1, axis=(2, 4)),
    # kept axes of size 0 or 1
    Case((0, 5), (2,)),
    Case((0, 3, 6, 6), (3, 3), 2, 1),
    Case((2, 6, 6, 0), (2, 2), axis=WH),
    Case((4, 0, 5), (2, 3), 1, 1, axis=(2, 0)),
    Case((1, 1, 5, 5), (2, 2)),
)

# Element types.
WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*WHOLE, *FLOATS, "complex64", "complex128", "datetime64[s]", "timedelta64[ns]")
ORDERED = tuple(d for d in DTYPES if not d.startswith("complex"))  # max and min take these
SUMMABLE = tuple(d for d in DTYPES if not d.endswith("]"))  # sum and avg take these
INTEGERS = WHOLE


def dtype_of(name):
    """The NumPy dtype of an entry of DTYPES."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


# ------------------------------------------------------------------------------------------------- data


def seed(*facts):
    """A generator that depends on what the test is about and on nothing else."""
    return np.random.default_rng(zlib.crc32(repr(facts).encode()))


def ordered(shape, dtype):
    """Many ties, both ends of the range, and where the dtype has them NaN and infinities."""
    dtype = dtype_of(dtype)
    rng = seed(shape, dtype.name)
    x = rng.integers(0, 5, shape)
    odd = rng.random(shape) < 0.2
    if dtype.kind == "b":
        return x % 2 == 0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.where(odd, rng.choice(np.array([info.min, info.max], dtype), shape), x.astype(dtype))
    if dtype.kind in "mM":
        return np.where(odd & (x == 1), np.array("NaT", dtype), x.astype(np.int64).astype(dtype))
    specials = np.array([np.nan, np.inf, -np.inf, -np.inf])
    odd &= rng.random(shape) < 0.5
    return np.where(odd, rng.choice(specials, shape), x - 2.0).astype(dtype)


def finite(shape, dtype):
    """Numbers to add up: full mantissas of both signs and three magnitudes, or the whole range of an integer."""
    dtype = dtype_of(dtype)
    rng = seed(shape, dtype.name, "finite")
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-1, 2, shape)
    return (x + 1j * rng.standard_normal(shape) if dtype.kind == "c" else x).astype(dtype)


# ---------------------------------------------------------------------------------------------- layouts


def _stepped(x):
    room = np.ones([2 * n + 1 for n in x.shape], x.dtype)
    held = room[tuple(slice(1, None, 2) for _ in x.shape)]
    held[...] = x
    return held


def _reversed(x):
    back = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[back])[back]


def _rotated(x):
    order = [*range(1, x.ndim), 0]
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def _readonly(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _misaligned(x):
    packed = np.zeros(x.shape, np.dtype([("first", "u1"), ("x", x.dtype)]))
    packed["x"] = x
    return packed["x"]


# Each gives an array of the same shape in some other place in memory; only the broadcast ones change values.
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "rotated": _rotated,
    "reversed": _reversed,
    "last axis reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "stepped": _stepped,
    "stepped F": lambda x: _stepped(x.T).T,
    "stepped and reversed": lambda x: _stepped(_reversed(x)[::-1])[::-1],
    "first axis broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "last axis broadcast": lambda x: np.broadcast_to(x[..., :1], x.shape),
    "all axes broadcast": lambda x: np.broadcast_to(x.ravel()[-1], x.shape),
    "read-only": _readonly,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "misaligned": _misaligned,
}
