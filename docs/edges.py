"""The tables of edges.md: what several libraries make of the same small arrays.

    python docs/edges.py            # print the tables
    python docs/edges.py --write    # and put them into edges.md

Libraries that are not installed are left out. Each of the others is asked for the same windows in the way that comes
first to its users; it may refuse, and what it has no way to express is left blank.
"""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import page_tables

import cypool

PAGE = Path(__file__).with_name("edges.md")
BLANK = ""
REFUSES = "refuses"


class Blank(Exception):
    """The library has no way to say this."""


# --- the libraries: each pools a one-dimensional array -------------------------------------------------------------


def by_cypool(op, x, kernel, stride=None, padding=0, dilation=1, ceil=False, include=None, indices=False, **options):
    window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil}
    try:
        if op == "avg":
            return cypool.avg_pool(x, **window, count_include_pad=include, **options)
        return cypool.max_pool(x, **window, return_indices=indices, **options)
    except (TypeError, ValueError):
        return REFUSES


def by_torch(op, x, kernel, stride=None, padding=0, dilation=1, ceil=False, include=None, indices=False, **options):
    import torch
    from torch.nn import functional

    if isinstance(padding, str) or options:
        raise Blank
    tensor = torch.from_numpy(x)[None]
    try:
        if op == "avg":
            return functional.avg_pool1d(tensor, kernel, stride, padding, ceil, include in (None, True))[0].numpy()
        result = functional.max_pool1d(tensor, kernel, stride, padding, dilation, ceil, return_indices=indices)
        return tuple(part[0].numpy() for part in result) if indices else result[0].numpy()
    except RuntimeError:
        return REFUSES


def by_onnx(op, x, kernel, stride=None, padding=0, dilation=1, ceil=False, include=None, indices=False, **options):
    import onnxruntime
    from onnx import TensorProto, helper
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    if options:
        raise Blank
    attributes = {"kernel_shape": [kernel], "strides": [stride or kernel], "dilations": [dilation], "ceil_mode": ceil}
    if isinstance(padding, str):
        attributes["auto_pad"] = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER"}[padding]
    else:
        attributes["pads"] = [padding, padding]
    if include is not None:
        attributes["count_include_pad"] = include
    made = ["y", "z"] if indices else ["y"]
    node = helper.make_node({"avg": "AveragePool", "max": "MaxPool"}[op], ["x"], made, **attributes)
    types = {"y": helper.np_dtype_to_tensor_dtype(x.dtype), "z": TensorProto.INT64}
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", types["y"], [1, 1, x.size])],
        [helper.make_tensor_value_info(name, types[name], None) for name in made],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), quiet, providers=["CPUExecutionProvider"])
        result = [part.ravel() for part in session.run(None, {"x": x[None, None]})]
    except (errors.Fail, errors.InvalidGraph, errors.NotImplemented):
        return REFUSES
    return tuple(result) if indices else result[0]


def by_scipy(op, x, kernel, stride=None, padding=0, dilation=1, ceil=False, include=None, indices=False, **options):
    """Filter around every cell, then keep those that are the middle of a window."""
    from scipy import ndimage

    if indices or dilation != 1 or isinstance(padding, str) or include is not None or options:
        raise Blank
    stride = stride or kernel
    first, count = kernel // 2 - padding, (x.size + 2 * padding - kernel + (stride - 1) * ceil) // stride + 1
    if first < 0 or first + (count - 1) * stride >= x.size:
        raise Blank
    try:
        if op == "avg":
            y = ndimage.uniform_filter(x, kernel, mode="constant")
        else:
            y = ndimage.maximum_filter(x, kernel, mode="constant")
    except RuntimeError:
        return REFUSES
    return y[first::stride][:count]


def by_skimage(op, x, kernel, stride=None, padding=0, dilation=1, ceil=False, include=None, indices=False, **options):
    """Pool in blocks, the last of which is always kept."""
    from skimage.measure import block_reduce

    whole = x.size % kernel == 0
    if (stride or kernel) != kernel or padding != 0 or dilation != 1 or indices or options or not (ceil or whole):
        raise Blank
    return block_reduce(x, kernel, np.mean if op == "avg" else np.max)


LIBRARIES = {
    "cypool": (by_cypool, ("cypool",)),
    "torch": (by_torch, ("torch",)),
    "ONNX Runtime": (by_onnx, ("onnxruntime", "onnx")),
    "scipy.ndimage": (by_scipy, ("scipy",)),
    "skimage": (by_skimage, ("skimage",)),
}
DISTRIBUTIONS = {
    "torch": "torch",
    "ONNX Runtime": "onnxruntime",
    "scipy.ndimage": "scipy",
    "skimage": "scikit-image",
}


# --- the arrays ----------------------------------------------------------------------------------------------------


def f4(*values):
    return np.array(values, np.float32)


def i8(*values):
    return np.array(values, np.int64)


def u1(*values):
    return np.array(values, np.uint8)


nan, inf = np.nan, np.inf
LINE = (1, 1, 1, 1, 1, 1)
SIX = f4(6, 6, 6, 6)
THREE = {"kernel": 3, "stride": 2, "padding": 1}

# name of a table -> (what the row says, operation, array, window and options)
TABLES = {
    "padding": (
        ("[-3, -1, -2, -4], k 3, s 1, p 1", "max", f4(-3, -1, -2, -4), {"kernel": 3, "stride": 1, "padding": 1}),
        ("[-3, -1, -2, -4], k 2, s 2, p 1", "max", f4(-3, -1, -2, -4), {"kernel": 2, "padding": 1}),
        ("[-3, -1, -2, -4], k 2, s 2, p 2", "max", f4(-3, -1, -2, -4), {"kernel": 2, "padding": 2}),
        (
            "[-3, -1], k 2, s 1, p 1, d 3",
            "max",
            f4(-3, -1),
            {"kernel": 2, "stride": 1, "padding": 1, "dilation": 3, "indices": True},
        ),
    ),
    "partial": (
        ("max of [-1, -2, -3, -4, -5]", "max", f4(-1, -2, -3, -4, -5), {"kernel": 2}),
        ("the same, ceil_mode", "max", f4(-1, -2, -3, -4, -5), {"kernel": 2, "ceil": True}),
        ("mean of [-1, -2, -3, -4, -5]", "avg", f4(-1, -2, -3, -4, -5), {"kernel": 2}),
        ("the same, ceil_mode", "avg", f4(-1, -2, -3, -4, -5), {"kernel": 2, "ceil": True}),
    ),
    "divisor": (
        ("by default", "avg", SIX, THREE),
        ("by default, ceil_mode", "avg", SIX, THREE | {"ceil": True}),
        ("padding counts", "avg", SIX, THREE | {"include": True}),
        ("padding counts, ceil_mode", "avg", SIX, THREE | {"include": True, "ceil": True}),
        ("it does not", "avg", SIX, THREE | {"include": False}),
        ("it does not, ceil_mode", "avg", SIX, THREE | {"include": False, "ceil": True}),
        ('padding="same"', "avg", SIX, THREE | {"padding": "same"}),
    ),
    "nan": (
        ("[nan, 1, 2]", "max", f4(nan, 1, 2), {"kernel": 3}),
        ("[1, 3, nan, 2, 4, 0, 1], s 1", "max", f4(1, 3, nan, 2, 4, 0, 1), {"kernel": 3, "stride": 1}),
        ("[nan, 1, 2] and its index", "max", f4(nan, 1, 2), {"kernel": 3, "indices": True}),
        ("[1, nan, 2] and its index", "max", f4(1, nan, 2), {"kernel": 3, "indices": True}),
        ("[nan, 2, nan] and its index", "max", f4(nan, 2, nan), {"kernel": 3, "indices": True}),
        ("[nan, 2, nan], omit", "max", f4(nan, 2, nan), {"kernel": 3, "indices": True, "nan_policy": "omit"}),
        ("[nan, nan, nan], omit", "max", f4(nan, nan, nan), {"kernel": 3, "indices": True, "nan_policy": "omit"}),
    ),
    "infinity": (
        ("[-inf, -inf]", "max", f4(-inf, -inf), {"kernel": 2}),
        ("[-inf, -inf] and its index", "max", f4(-inf, -inf), {"kernel": 2, "indices": True}),
    ),
    "line": (
        ("nan", "avg", f4(1, nan, *LINE), {"kernel": 3, "stride": 1}),
        ("nan, omit", "avg", f4(1, nan, *LINE), {"kernel": 3, "stride": 1, "nan_policy": "omit"}),
        ("inf", "avg", f4(1, inf, *LINE), {"kernel": 3, "stride": 1}),
        ("3e17, in float64", "avg", np.array([1, 3e17, *LINE]), {"kernel": 3, "stride": 1}),
    ),
    "integers": (
        ("int64 [1, 2, 3, 4]", "avg", i8(1, 2, 3, 4), {"kernel": 2}),
        ("int64 [-1, -2, -3, -4]", "avg", i8(-1, -2, -3, -4), {"kernel": 2}),
        ("uint8 [1, 2, 3, 4]", "avg", u1(1, 2, 3, 4), {"kernel": 2}),
        ("uint8 [255, 254, 255, 255]", "avg", u1(255, 254, 255, 255), {"kernel": 4}),
        ("the first, dtype=np.int64", "avg", i8(1, 2, 3, 4), {"kernel": 2, "dtype": np.int64}),
        ("the second, dtype=np.int64", "avg", i8(-1, -2, -3, -4), {"kernel": 2, "dtype": np.int64}),
        ("the third, dtype=np.uint8", "avg", u1(1, 2, 3, 4), {"kernel": 2, "dtype": np.uint8}),
        ("the fourth, dtype=np.uint8", "avg", u1(255, 254, 255, 255), {"kernel": 4, "dtype": np.uint8}),
    ),
    "many": (
        ("float16, mean of 4096 ones", "avg", np.ones(4096, np.float16), {"kernel": 4096}),
        ("float16, mean of 4096 times 60000", "avg", np.full(4096, 60000, np.float16), {"kernel": 4096}),
        ("float32, mean of 2**25 ones", "avg", lambda: np.ones(2**25, np.float32), {"kernel": 2**25}),
        ("float16, max of [1, 2, 3, 4]", "max", np.array([1, 2, 3, 4], np.float16), {"kernel": 2}),
    ),
}


# --- what they say -------------------------------------------------------------------------------------------------


def number(value):
    if isinstance(value, np.floating):
        digits = 4 if np.isfinite(value) and abs(value) >= 1e5 else 6
        return f"{float(value):.{digits}g}".replace("e+", "e")
    return str(value)


def shown(result):
    """One cell of a table."""
    if isinstance(result, str):
        return result
    if isinstance(result, tuple):
        return ", ".join(map(shown, result))
    return f"`[{', '.join(map(number, result))}]`"


@cache
def installed():
    """The libraries that are there, in the order of the columns."""
    return [name for name, (_, modules) in LIBRARIES.items() if all(map(find_spec, modules))]


def ask(library, op, x, window):
    pool = LIBRARIES[library][0]
    try:
        # What a library says about the overflow or the NaN that it is asked for is no part of the result.
        with np.errstate(all="ignore"):
            return shown(pool(op, x() if callable(x) else x, **window))
    except Blank:
        return BLANK


def table(name):
    """The rows of a table: what they are about, then one cell per installed library; the first is the header."""
    asked = TABLES[name]
    rows = [[label, *(ask(each, op, x, window) for each in installed())] for label, op, x, window in asked]
    return [["", *installed()], *rows]


def versions():
    """The line of the page that says which libraries were asked."""
    said = [f"{name} {version(DISTRIBUTIONS[name]).partition('+')[0]}" for name in installed() if name in DISTRIBUTIONS]
    return f"The tables below show {', '.join(said)}." if said else "None of the other libraries is installed."


def parts():
    """What is generated, by the name that marks its place in the page."""
    return {"versions": versions(), **{name: page_tables.markdown(table(name)) for name in TABLES}}


if __name__ == "__main__":
    page_tables.main(PAGE, parts, LIBRARIES.keys() - set(installed()))
