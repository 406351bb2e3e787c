"""How each other library runs a workload, at its honest best.

A rival is a function ``(workload, x, threads) -> (call, fetch)``: `call` does the work once, `fetch` turns
what it returned into NumPy arrays laid out as the workload says. It raises `Unable` for what the library
cannot do. Making inputs, compiling, binding and changing layouts happen here, outside the clock: each library
gets the memory order it likes, outputs allocated beforehand where its users can have that, and float32 where
it would rather compute in less. Where cypool is asked for window indices, which no other library has, they
return the flat ones they have.
"""

import os
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

from .common import SEED, UNPOOL, Workload, data

Rival = Callable[[Workload, np.ndarray, int], tuple[Callable[[], Any], Callable[[Any], Any]]]


class Unable(Exception):
    """The library cannot do this workload, or not within reason."""


def refuse(reason: str, when: Any) -> None:
    """Raise `Unable` with `reason` if `when`."""
    if when:
        raise Unable(reason)


def planes(w: Workload, x: np.ndarray) -> np.ndarray:
    """Return a view of `x` as N, C, pooled axes: what the network libraries call their default layout."""
    front = [w.layout.index(letter) for letter in "NC" if letter in w.layout]
    view = x.transpose(*front, *w.axis)
    if "N" not in w.layout:
        view = view[None]
    return view if "C" in w.layout else view[:, None]


def unplanes(w: Workload, y: np.ndarray) -> np.ndarray:
    """Undo `planes`."""
    y = y if "C" in w.layout else y[:, 0]
    y = y if "N" in w.layout else y[0]
    front = [w.layout.index(letter) for letter in "NC" if letter in w.layout]
    return y.transpose(np.argsort([*front, *w.axis]))


def gradient_in(w: Workload) -> np.ndarray:
    """Return the gradient that `calls.both` uses."""
    return data(w.shape if w.op == UNPOOL else w.out_shape, w.dtype, w.order, SEED + 1)


def pads_high(w: Workload) -> list[int]:
    """Return the padding at the end of each pooled axis that gives the output's size without a ceil mode."""
    return [
        max((w.out_shape[a] - 1) * s + extent - w.shape[a] - w.padding, w.padding if not w.ceil_mode else 0)
        for a, s, extent in zip(w.axis, w.strides, w.extents, strict=True)
    ]


def torch(w: Workload, x: np.ndarray, threads: int, *, last: bool = False) -> Any:
    """PyTorch's functional pools on contiguous N, C, ... tensors, or channels-last ones."""
    import torch as t
    from torch.nn import functional as f

    dims = len(w.axis)
    refuse("1 to 3 pooled axes", dims > 3)
    refuse("avg has no dilation", w.op == "avg" and w.dilation > 1)
    refuse("odd norms are of signed powers", w.op == "lp" and w.norm % 2)
    refuse("too slow", w.taps > 2e9)
    refuse("nothing to lay out", last and (w.shape[w.layout.index("C")] if "C" in w.layout else 1) == 1)
    t.set_num_threads(threads)
    flat = last and dims == 1  # no channels-last tensors of one axis: they are images of one row
    n = 2 if flat else dims

    def per_axis(values: tuple[int, ...], one: int) -> tuple[int, ...]:
        return (one, *values) if flat else values

    def tensor(a: np.ndarray) -> Any:
        v = t.from_numpy(np.ascontiguousarray(planes(w, a)))
        form = t.contiguous_format if not last else t.channels_last_3d if n == 3 else t.channels_last
        return (v[:, :, None] if flat else v).contiguous(memory_format=form)

    def array(v: Any) -> np.ndarray:
        return unplanes(w, (v[:, :, 0] if flat else v).detach().numpy())

    kernel, stride = per_axis(w.kernels, 1), per_axis(w.strides, 1)
    padding, dilation = per_axis((w.padding,) * dims, 0), per_axis((w.dilation,) * dims, 1)
    bins = per_axis(tuple(w.out_shape[a] for a in w.axis), 1)
    whole = tuple(range(2, 2 + n))
    choose = {"return_indices": True} if w.indices and not w.grad else {}
    source = tensor(x)

    def pool(name: str, *args: Any, **words: Any) -> Any:
        return partial(getattr(f, f"{name}{n}d"), *args, **words)

    def reduced(function: Any, *args: Any) -> Any:
        return lambda v: function(v, *args, whole, True)

    if w.op == UNPOOL:
        y, indices = pool("max_pool", return_indices=True)(source, kernel, stride, padding)
        function = pool("max_unpool", indices=indices, kernel_size=kernel, stride=stride, padding=padding)
        function = partial(function, output_size=source.shape[2:])
        source = y
    else:
        functions = {
            "max": lambda: pool(
                "max_pool", kernel_size=kernel, stride=stride, padding=padding, dilation=dilation,
                ceil_mode=w.ceil_mode, **choose,
            ),
            "avg": lambda: pool(
                "avg_pool", kernel_size=kernel, stride=stride, padding=padding, ceil_mode=w.ceil_mode
            ),
            "lp": lambda: pool("lp_pool", norm_type=w.norm, kernel_size=kernel if n > 1 else kernel[0], stride=stride if n > 1 else stride[0], ceil_mode=w.ceil_mode),
            "adaptive_max": lambda: pool("adaptive_max_pool", output_size=bins, **choose),
            "adaptive_avg": lambda: pool("adaptive_avg_pool", output_size=bins),
            # Samples of images are for the last axis and the one before.
            "fractional_max": lambda: pool(
                "fractional_max_pool", kernel_size=kernel, output_size=bins,
                _random_samples=t.from_numpy(w.samples[..., ::-1].copy()), **choose,
            ),
            "global_max": lambda: reduced(t.amax),
            "global_avg": lambda: reduced(t.mean),
            "global_lp": lambda: reduced(t.linalg.vector_norm, w.norm),
        }  # fmt: skip
        refuse("no such pool", w.op not in functions)
        function = functions[w.op]()
    if w.grad:
        source.requires_grad_(True)
        g = tensor(gradient_in(w))
        return lambda: t.autograd.grad(function(source), source, g)[0], array
    return partial(function, source), lambda y: tuple(map(array, y)) if isinstance(y, tuple) else array(y)


def onnx_model(w: Workload, x: np.ndarray) -> bytes:
    """Return an ONNX model of one pool."""
    from onnx import TensorProto, checker, helper, numpy_helper  # noqa: F401

    window: dict[str, Any] = {
        "kernel_shape": w.kernels,
        "strides": w.strides,
        "pads": [w.padding] * (2 * len(w.axis)),
    }
    rounded = {**window, "ceil_mode": int(w.ceil_mode)}
    dilated = {**rounded, **({"dilations": [w.dilation] * len(w.axis)} if w.dilation > 1 else {})}
    op, attributes = {
        "max": ("MaxPool", dilated),
        "avg": ("AveragePool", {**dilated, "count_include_pad": 1}),
        "lp": ("LpPool", {**rounded, "p": int(w.norm)}),
        UNPOOL: ("MaxUnpool", window),
        "global_max": ("GlobalMaxPool", {}),
        "global_avg": ("GlobalAveragePool", {}),
        "global_lp": ("GlobalLpPool", {"p": int(w.norm)}),
    }[w.op]
    unpools = w.op == UNPOOL
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    small, large = planes(w, np.empty(w.out_shape, "u1")).shape, planes(w, x).shape
    values = [helper.make_tensor_value_info("x", kind, small if unpools else large)]
    results = [helper.make_tensor_value_info("y", kind, large if unpools else small)]
    if w.indices:
        indices = helper.make_tensor_value_info("i", TensorProto.INT64, small)
        (values if unpools else results).append(indices)
    node = helper.make_node(op, [v.name for v in values], [r.name for r in results], **attributes)
    graph = helper.make_graph([node], "pool", values, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model.SerializeToString()


def onnxruntime(w: Workload, x: np.ndarray, threads: int) -> Any:
    """ONNX Runtime with inputs and outputs bound beforehand; N, C, ... is the only layout it pools."""
    import onnxruntime as ort

    refuse("no gradients", w.grad)
    refuse("no such pool", w.op in ("min", "sum", "fractional_max") or w.op.startswith("adaptive"))
    refuse("1 to 3 pooled axes", len(w.axis) > 3)
    refuse("too slow", w.taps > (4e9 if w.op == "max" and not w.indices else 1.2e9))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(onnx_model(w, x), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Unable(f"{type(error).__name__}: {str(error)[:60]}") from error
    source = np.ascontiguousarray(planes(w, x))
    small = planes(w, np.empty(w.out_shape, "u1")).shape
    pooled = [np.zeros(small, x.dtype)] + ([np.zeros(small, np.int64)] if w.indices else [])
    binding = session.io_binding()

    def bind(binding: Any, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> list[Any]:
        held = [ort.OrtValue.ortvalue_from_numpy(a) for a in (*inputs, *outputs)]  # no copies: nobody else holds them
        for name, value in zip(("x", "i"), held[: len(inputs)], strict=False):
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(("y", "i"), held[len(inputs) :], strict=False):
            binding.bind_ortvalue_output(name, value)
        return held

    if w.op == UNPOOL:
        max_pool = ort.InferenceSession(onnx_model(w._replace(op="max"), x), options)
        before = max_pool.io_binding()
        kept = bind(before, [source], pooled)
        max_pool.run_with_iobinding(before)
        inputs, outputs = [np.array(v.numpy()) for v in kept[1:]], [np.zeros(source.shape, x.dtype)]
    else:
        inputs, outputs = [source], pooled
    held = bind(binding, inputs, outputs)

    def fetch(_: Any) -> Any:
        y = [unplanes(w, v.numpy()) for v in held[len(inputs) :]]
        if len(y) == 1:
            return y[0]
        return y[0], y[1] % prod(w.shape[a] for a in w.axis)  # theirs count through the whole tensor

    return partial(session.run_with_iobinding, binding), fetch


def openvino(w: Workload, x: np.ndarray, threads: int) -> Any:
    """OpenVINO's CPU plugin: a compiled model, shared input and output tensors, float32 arithmetic."""
    import openvino as ov
    from openvino import opset8, opset14

    refuse("no gradients", w.grad)
    refuse("1 to 3 pooled axes", len(w.axis) > 3)
    refuse("avg has no dilation", w.op == "avg" and w.dilation > 1)
    refuse("too slow", w.taps > (2e8 if w.indices or w.dilation > 1 else 4e9))
    source = np.ascontiguousarray(planes(w, x))
    parameter = opset8.parameter(list(source.shape), dtype=source.dtype)
    pads = [w.padding] * len(w.axis)
    rounding = "ceil_torch" if w.ceil_mode else "floor"
    args = [list(w.strides), pads, pads, list(w.kernels)]
    dilations = [w.dilation] * len(w.axis)
    axes = np.arange(2, source.ndim)
    bins = np.array([w.out_shape[a] for a in w.axis])
    nodes: dict[str, Callable[[], Any]] = {
        "max": lambda: opset14.max_pool(parameter, args[0], dilations, *args[1:], rounding, None, "i64", 2),
        "avg": lambda: opset14.avg_pool(parameter, *args, False, rounding),
        "adaptive_max": lambda: opset8.adaptive_max_pool(parameter, bins, "i64"),
        "adaptive_avg": lambda: opset8.adaptive_avg_pool(parameter, bins),
        "global_max": lambda: opset8.reduce_max(parameter, axes, keep_dims=True),
        "global_avg": lambda: opset8.reduce_mean(parameter, axes, keep_dims=True),
        "global_lp": lambda: opset8.reduce_l2(parameter, axes, keep_dims=True),
    }
    refuse("no such pool", w.op not in nodes or w.norm != 2)
    node = nodes[w.op]()
    results = [opset8.result(node.output(i)) for i in range(2 if w.indices else 1)]
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        compiled = ov.Core().compile_model(ov.Model(results, [parameter], "pool"), "CPU", config)
    except Exception as error:
        raise Unable(f"{type(error).__name__}: {str(error)[:60]}") from error
    shape = planes(w, np.empty(w.out_shape, "u1")).shape
    outputs = [np.zeros(shape, o.get_element_type().to_dtype()) for o in compiled.outputs]
    request = compiled.create_infer_request()
    tensors = [ov.Tensor(a, shared_memory=True) for a in (source, *outputs)]
    request.set_input_tensor(tensors[0])
    for i, tensor in enumerate(tensors[1:]):
        request.set_output_tensor(i, tensor)
    held = compiled, tensors  # OpenVINO keeps neither alive

    def call() -> Any:
        request.infer()
        return held

    def fetch(_: Any) -> Any:
        y = tuple(unplanes(w, out) for out in outputs)
        return y if w.indices else y[0].astype(x.dtype)

    return call, fetch


def jax(w: Workload, x: np.ndarray, threads: int, *, last: bool = False) -> Any:
    """JAX: a compiled `lax.reduce_window`; its threads are set by the CPUs this process may use."""
    import jax as j
    from jax import lax
    from jax import numpy as jnp

    j.config.update("jax_enable_x64", True)
    refuse("no indices", w.indices and not w.grad)
    refuse("windows only", w.bins is not None or w.op == UNPOOL)
    refuse("integer means round otherwise", w.op == "avg" and x.dtype.kind in "iu")
    refuse("avg with ceil_mode", w.op == "avg" and w.ceil_mode)
    refuse("too slow", w.taps > 5e8 or (w.grad and w.taps > 1e8))
    kept = [i for i in range(x.ndim) if i not in w.axis]
    moved = [*w.axis, *kept] if last else [*kept, *w.axis]
    if last and "N" in w.layout:
        moved = [0, *w.axis, *[i for i in kept if i]]
    if last:
        refuse("nothing to lay out", moved == [*kept, *w.axis])
    back = np.argsort(moved)
    full = {"kernel": [1] * x.ndim, "stride": [1] * x.ndim, "dilation": [1] * x.ndim, "pad": [(0, 0)] * x.ndim}
    for i, a in enumerate(w.axis):
        full["kernel"][a], full["stride"][a], full["dilation"][a] = w.kernels[i], w.strides[i], w.dilation
        full["pad"][a] = (w.padding, pads_high(w)[i])
    k, s, d, p = ([full[name][i] for i in moved] for name in ("kernel", "stride", "dilation", "pad"))
    zero = x.dtype.type(0)
    low, high = (
        (x.dtype.type(-np.inf), x.dtype.type(np.inf))
        if x.dtype.kind == "f"
        else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    )
    start, reduce = {
        "max": (low, lax.max),
        "min": (high, lax.min),
        "avg": (zero, lax.add),
        "sum": (zero, lax.add),
        "lp": (zero, lax.add),
    }[w.op.removeprefix("global_")]
    refuse("sum wraps", w.op == "sum" and x.dtype.kind in "iu")

    def pool(v: Any) -> Any:
        norm = w.op.endswith("lp")
        v = jnp.abs(v) ** int(w.norm) if norm else v
        y = lax.reduce_window(v, x.dtype.type(start), reduce, k, s, p, window_dilation=d)
        return y / np.asarray(prod(k), x.dtype) if w.op.endswith("avg") else y ** (1 / w.norm) if norm else y

    whole = tuple(i for i, a in enumerate(moved) if a in w.axis)
    reductions = {"global_max": jnp.max, "global_avg": jnp.mean}
    if w.op in reductions:
        pool = partial(reductions[w.op], axis=whole, keepdims=True)  # faster than one window

    source = jnp.asarray(np.ascontiguousarray(x.transpose(moved)))
    if w.grad:
        g = jnp.asarray(np.ascontiguousarray(gradient_in(w).transpose(moved)))

        def both(v: Any, g: Any) -> Any:
            y, gradient = j.vjp(pool, v)
            return y, gradient(g)[0]  # the result too, or what the gradient does not depend on is never made

        step = j.jit(both)
        return lambda: j.block_until_ready(step(source, g)), lambda y: np.asarray(y[1]).transpose(back)
    function = j.jit(pool)
    return lambda: function(source).block_until_ready(), lambda y: np.asarray(y).transpose(back)


def interior(w: Workload, axes: tuple[int, ...], ndim: int) -> tuple[slice, ...]:
    """Return where the windows of `w` lie in a filtered image of the input's size, centred on k // 2."""
    where = [slice(None)] * ndim
    for a, extent in zip(axes, w.extents, strict=True):
        first = extent // 2 - w.padding
        refuse("windows past the filter's edge", first < 0)
        where[a] = slice(first, first + w.out_shape[a])
    return tuple(where)


def cv2(w: Workload, x: np.ndarray, threads: int) -> Any:
    """OpenCV on one image: dilate, erode, blur, box filter, or INTER_AREA, into arrays allocated before."""
    import cv2 as cv

    refuse("one image of up to 4 channels", w.layout not in ("HW", "HWC") or (x.ndim == 3 and x.shape[2] > 4))
    refuse("no indices", w.indices)
    refuse("no gradients", w.grad)
    cv.setNumThreads(threads)
    if w.strides == w.kernels and w.op == "avg" and all(x.shape[a] % k == 0 for a, k in enumerate(w.kernels)):
        out = np.zeros(w.out_shape, x.dtype)
        size = w.out_shape[1::-1]
        return partial(cv.resize, x, size, out, 0, 0, cv.INTER_AREA), lambda _: out
    refuse("stride 1 or block means", set(w.strides) != {1})
    refuse("no dilation", w.dilation > 1 and w.op not in ("max", "min"))
    out = np.zeros_like(x)
    inside = interior(w, w.axis, x.ndim)
    size = w.kernels[::-1]
    if w.op in ("max", "min"):
        morph = cv.dilate if w.op == "max" else cv.erode
        element = np.zeros(w.extents, np.uint8)
        element[:: w.dilation, :: w.dilation] = 1
        return partial(morph, x, element, out), lambda _: out[inside]
    call = partial(cv.boxFilter, x, -1, size, out, (-1, -1), w.op == "avg", cv.BORDER_CONSTANT)
    return call, lambda _: out[inside]


def scipy(w: Workload, x: np.ndarray, threads: int) -> Any:
    """SciPy's ndimage filters at stride 1, into an array allocated before; one thread is all it has."""
    from scipy import ndimage

    refuse("stride 1", set(w.strides) != {1})
    refuse("no dilation", w.dilation > 1)
    refuse("no indices", w.indices)
    refuse("no gradients", w.grad)
    refuse("no float16", x.dtype == np.float16)
    refuse("no sum", w.op == "sum")
    out = np.zeros_like(x)
    inside = interior(w, w.axis, x.ndim)
    words: dict[str, Any] = {"size": w.kernels, "axes": w.axis, "output": out, "mode": "constant"}
    if w.op == "avg":
        return partial(ndimage.uniform_filter, x, **words), lambda _: out[inside]
    if w.padding:
        words["mode"] = "nearest"  # repeats cells that are in the window already: right for centred windows
    function = ndimage.maximum_filter if w.op == "max" else ndimage.minimum_filter
    return partial(function, x, **words), lambda _: out[inside]


PLAIN = "max", "min", "avg", "sum"


def blocks(w: Workload, x: np.ndarray) -> None:
    """Refuse all but whole, unpadded blocks."""
    refuse(
        "blocks only",
        w.bins is not None or w.strides != w.kernels or w.padding or w.dilation > 1 or w.indices or w.grad,
    )
    refuse("whole blocks only", any(x.shape[a] % k for a, k in zip(w.axis, w.kernels, strict=True)))


def skimage(w: Workload, x: np.ndarray, threads: int) -> Any:
    """scikit-image's block_reduce."""
    from skimage.measure import block_reduce

    blocks(w, x)
    refuse("too slow", x.size > 2**26)
    block = [1] * x.ndim
    for a, k in zip(w.axis, w.kernels, strict=True):
        block[a] = k
    function = {"max": np.max, "min": np.min, "avg": np.mean, "sum": np.sum}[w.op]
    return partial(block_reduce, x, tuple(block), function), rounded(w, x)


def numpy(w: Workload, x: np.ndarray, threads: int) -> Any:
    """The reshape trick, or the reduction itself."""
    refuse("C order", w.order != "C")
    blocks(w, x)
    if w.op.startswith("global_"):
        functions = {"global_max": np.max, "global_avg": np.mean, "global_lp": np.linalg.vector_norm}
        return partial(functions[w.op], x, axis=w.axis, keepdims=True), lambda y: y
    shape: list[int] = []
    axes: list[int] = []
    kernels = dict(zip(w.axis, w.kernels, strict=True))
    for a, n in enumerate(x.shape):
        if a in kernels:
            axes.append(len(shape) + 1)
            shape += [n // kernels[a], kernels[a]]
        else:
            shape.append(n)
    view = x.reshape(shape)
    method = {"max": "max", "min": "min", "avg": "mean", "sum": "sum"}[w.op]
    return partial(getattr(view, method), axis=tuple(axes)), rounded(w, x)


def rounded(w: Workload, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return how to turn a float mean of integers into the integers that the workload asks for."""
    if w.op == "avg" and x.dtype.kind in "iu":
        return lambda y: np.rint(y).astype(x.dtype)
    return lambda y: y


def tinybrain(w: Workload, x: np.ndarray, threads: int) -> Any:
    """tinybrain's 2x2(x2) means, in Fortran order, the one it is fast in; it has one thread and rounds down."""
    import tinybrain as tb

    blocks(w, x)
    refuse("means only", w.op != "avg")
    refuse("one image or volume", "N" in w.layout or "C" in w.layout)
    swap = w.order == "C"  # a block mean of the transposed array is the transposed block mean
    source = np.asfortranarray(x.T if swap else x)
    factor = tuple(w.kernels[::-1] if swap else w.kernels)
    refuse("2x2 and 2x2x2", factor not in ((2, 2), (2, 2, 1), (2, 2, 2)))
    rank = source.ndim

    def fetch(y: list[np.ndarray]) -> np.ndarray:
        found = y[0].reshape(y[0].shape[:rank])
        return found.T if swap else found

    return partial(tb.downsample_with_averaging, source, factor), fetch


def tensorstore(w: Workload, x: np.ndarray, threads: int) -> Any:
    """TensorStore's downsample driver on an array in memory."""
    import tensorstore as ts

    blocks(w, x)
    refuse("no sum", w.op == "sum")
    factors = [1] * x.ndim
    for a, k in zip(w.axis, w.kernels, strict=True):
        factors[a] = k
    context = ts.Context({"data_copy_concurrency": {"limit": threads}})
    view = ts.downsample(ts.array(x, context=context), factors, {"avg": "mean"}.get(w.op, w.op))
    return lambda: view.read(order=w.order).result(), lambda y: y


RIVALS: dict[str, Rival] = {
    "torch": torch,
    "torch-cl": partial(torch, last=True),
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "jax": jax,
    "jax-cl": partial(jax, last=True),
    "cv2": cv2,
    "scipy": scipy,
    "skimage": skimage,
    "numpy": numpy,
    "tinybrain": tinybrain,
    "tensorstore": tensorstore,
}


@lru_cache
def installed() -> dict[str, Rival]:
    """Return the rivals that can be imported here; `onnxruntime` needs `onnx` to write its models."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    needs = {"onnxruntime": ("onnxruntime", "onnx")}
    return {
        name: rival
        for name, rival in RIVALS.items()
        if all(find_spec(module) for module in needs.get(name, (name.partition("-")[0],)))
    }
