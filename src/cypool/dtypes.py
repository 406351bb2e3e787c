"""Which dtypes can be pooled, what each gives, and in which lanes a kernel computes it."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np


def kind_of(dtype: np.dtype) -> str:
    """Return the letter of a kind of dtypes that can be pooled; bfloat16, which NumPy calls void, is a float."""
    kind = "f" if _is_brain(dtype) else dtype.kind
    if kind in "biumM" or dtype.itemsize <= {"f": 8, "c": 16}.get(kind, 0):
        return kind
    if dtype.names is not None:
        hint = "pool one field of it, as x['name']"
    elif kind == "O":
        hint = "convert it to a numeric dtype with x.astype"
    elif kind in "fc":
        hint = f"convert it to {'float64' if kind == 'f' else 'complex128'} with x.astype"
    else:
        hint = "only bool, integers, floats, complex numbers, dates and times can be pooled"
    raise TypeError(f"x has dtype {dtype}, which cannot be pooled: {hint}")


def _is_brain(dtype: np.dtype) -> bool:
    # NumPy takes 2 us to make a name up.
    return dtype.kind == "V" and dtype.name == "bfloat16"


def name_of(dtype: np.dtype) -> str:
    """Return the name of a dtype's cells in `TYPES`."""
    if _is_brain(dtype):
        return "bfloat16"
    kind = {"b": "u", "c": "f", "m": "i", "M": "i"}.get(dtype.kind, dtype.kind)
    return f"{kind}{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}"


def value_lanes(dtype: np.dtype) -> str:
    """Return the type in which values are compared."""
    return "f4" if kind_of(dtype) == "f" and dtype.itemsize == 2 else name_of(dtype)


def index_type(return_indices: Any, found: Sequence[Any]) -> tuple[np.dtype | None, bool]:
    """Return the dtype of indices and whether they are flat."""
    if isinstance(return_indices, (bool, np.bool_)):
        return (np.dtype(np.int64), True) if return_indices else (None, False)
    if not isinstance(return_indices, str) or return_indices != "window":
        raise ValueError(f"return_indices must be True, False or 'window', got {return_indices!r}")
    cells = prod(w.kernel for w in found)
    for name in ("u1", "u2", "u4", "u8"):
        dtype = np.dtype(name)
        if cells <= np.iinfo(dtype).max:
            return dtype, False
    raise OverflowError(f"kernel_size makes windows of {cells} cells, too many to number")


def pick_lanes(dtype: np.dtype, found: Sequence[Any], flat: bool) -> str:
    """Return the type in which values and offset codes of the same width travel together."""
    steps = [w.dilation if flat else 1 for w in found]
    sizes = [w.size if flat else w.kernel for w in found]
    furthest = sum((w.kernel - 1) * d * prod(sizes[i + 1 :]) for i, (w, d) in enumerate(zip(found, steps, strict=True)))
    narrow = furthest < 2**30
    if furthest >= 2**62:
        raise OverflowError("kernel_size makes windows whose cells cannot be numbered in 64 bits")
    if kind_of(dtype) == "f":
        return "f4" if dtype.itemsize <= 4 and narrow else "f8"
    small = dtype.itemsize < 4 or dtype == np.int32
    return "i4" if small and narrow else "i8"


class Complex(Exception):
    """A complex dtype for the sums of real numbers: they are added up as real ones."""

    def __init__(self, dtype: np.dtype):
        self.dtype, self.parts = dtype, np.empty(0, dtype).real.dtype


def sum_types(dtype: np.dtype, wanted: Any, average: bool, cells: int) -> tuple[np.dtype, str]:
    """Return the dtype of a sum or mean and the type it is added up in."""
    kind = kind_of(dtype)
    if kind in "mM":
        raise TypeError(
            f"x has dtype {dtype}, and times have no sum: pool x.view('int64'), where NaT is the least integer"
        )
    if wanted is not None:
        result = np.dtype(wanted).newbyteorder("=")
        try:
            to = kind_of(result)
        except TypeError:
            to = ""
        if to not in ("i", "u", "f", "c"):
            raise TypeError(f"dtype must be an integer, float or complex type, got {result}")
        if "iufc".index(to) < "..fc".find(kind):
            raise TypeError(
                f"dtype must be a {'float' if kind == 'f' else 'complex'} type for x of dtype {dtype}, got {result}"
            )
        if to == "c" and kind != "c":
            raise Complex(result)
    elif kind in "fc":
        result = dtype
    elif average:
        result = np.dtype(np.float64)
    else:
        result = np.dtype(np.uint64 if kind == "u" else np.int64)
    whole = kind_of(result) in "iu"
    if kind in "fc":
        widest = max(t.itemsize // (2 if t.kind == "c" else 1) for t in (dtype, result))
        return result, "f8" if widest == 8 else "f4"
    if not whole and (not average or dtype.itemsize == 8):
        return result, "f8"
    bound = cells * (1 if kind == "b" else 2 ** (8 * dtype.itemsize) - 1)
    if bound < 2**16 and kind in "bu":
        return result, "u2"
    if bound < 2**31:
        return result, "i4"
    return result, "wide" if average and bound >= 2**63 else "u8"
