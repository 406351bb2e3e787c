"""Each line of coming_from.md: what is called in the other library gives what the line says that cypool gives."""

import importlib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from cases import seed
from numpy.lib.stride_tricks import sliding_window_view
from test_docs import DOCS, page_tables, shown
from test_oracles import run_node

import cypool

PAGE = DOCS / "coming_from.md"
x = seed("x").standard_normal((2, 3, 12, 15)).astype(np.float32)
a = seed("a").random((12, 15)) + 0.1
nhwc, rgb = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), np.ascontiguousarray(x[0].transpose(1, 2, 0))
HERE = {"np": np, "x": x, "a": a, "nhwc": nhwc, "rgb": rgb, **{name: getattr(cypool, name) for name in cypool.__all__}}


# --- libraries that the tests do without: TensorFlow and xarray from their documentation -----------------------


def tensorflow_pool(reduce, x, ksize, strides, padding):
    """VALID leaves out what is left over; SAME makes ceil(n / stride) windows, an odd cell at the end."""
    kernel, stride = np.broadcast_to(ksize, 2), np.broadcast_to(strides, 2)
    pads = [(0, 0)] * 4
    if padding == "SAME":
        for axis, k, s in zip((1, 2), kernel, stride, strict=True):
            total = max((-(-x.shape[axis] // s) - 1) * s + k - x.shape[axis], 0)
            pads[axis] = total // 2, total - total // 2
    every = sliding_window_view(np.pad(x, pads, constant_values=np.nan), kernel, (1, 2))
    return reduce(every[:, :: stride[0], :: stride[1]], axis=(4, 5))


TENSORFLOW = SimpleNamespace(
    nn=SimpleNamespace(max_pool2d=partial(tensorflow_pool, np.nanmax), avg_pool2d=partial(tensorflow_pool, np.nanmean)),
    keras=SimpleNamespace(layers=SimpleNamespace(GlobalAveragePooling2D=lambda: partial(np.mean, axis=(1, 2)))),
)


class DataArray:
    """A plane with the dimensions y and x; what coarsen's boundary "pad" adds is NaN, which its methods skip."""

    def __init__(self, values):
        self.values = values

    def coarsen(self, boundary="exact", **window):
        values = self.values
        blocks = [window.get(dim, 1) for dim in ("y", "x")]
        if boundary == "pad":
            values = np.pad(
                values, [(0, -n % b) for n, b in zip(values.shape, blocks, strict=True)], constant_values=np.nan
            )
        elif boundary == "exact":
            assert not any(n % b for n, b in zip(values.shape, blocks, strict=True))
        rows, columns = (n // b for n, b in zip(values.shape, blocks, strict=True))
        values = values[: rows * blocks[0], : columns * blocks[1]].reshape(rows, blocks[0], columns, blocks[1])
        reductions = {"mean": np.nanmean, "max": np.nanmax, "min": np.nanmin, "sum": np.nansum}
        return SimpleNamespace(**{name: partial(f, values, axis=(1, 3)) for name, f in reductions.items()})


# --- the libraries: what the left column may name --------------------------------------------------------------


def by_torch():
    torch = pytest.importorskip("torch")
    return {"torch": torch, "F": importlib.import_module("torch.nn.functional"), "t": torch.from_numpy(x)}


def by_onnx():
    operators = ("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")
    nodes = {name: lambda name=name, **attributes: run_node(name, [x], ["y"], attributes)[0] for name in operators}
    y, z = run_node("MaxPool", [x], ["y", "indices"], {"kernel_shape": [2, 3], "strides": [2, 3]})
    return {**nodes, "MaxUnpool": lambda **attributes: run_node("MaxUnpool", [y, z], ["y"], attributes)[0]}


LIBRARIES = {
    "torch": by_torch,
    "tensorflow": lambda: {"tf": TENSORFLOW},
    "scipy": lambda: {"ndimage": pytest.importorskip("scipy.ndimage")},
    "skimage": lambda: {"block_reduce": pytest.importorskip("skimage.measure").block_reduce},
    "xarray": lambda: {"d": DataArray(a)},
    "onnx": by_onnx,
}


def test_the_page_has_these_tables():
    assert set(page_tables.MARK.findall(PAGE.read_text(encoding="utf-8"))) == {*LIBRARIES, "end"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_both_sides_are_the_same(library):
    there = HERE | LIBRARIES[library]()
    (_, title), *rows = shown(PAGE, library)
    assert title == "cypool"
    assert len(rows) >= 5
    for theirs, ours in rows:
        want, got = eval(theirs.strip("`"), there), eval(ours.strip("`"), HERE)
        want, got = ([v] if not isinstance(v, tuple) else v for v in (want, got))
        for one, other in zip(want, got, strict=True):
            np.testing.assert_allclose(other, np.asarray(one), rtol=2e-6, atol=1e-6, err_msg=ours, strict=True)
