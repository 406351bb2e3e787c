"""Second opinions, where installed: torch, ONNX Runtime and SciPy on what they can express.

Both the library and its specification are asked, so that they cannot be wrong together.
"""

import numpy as np
import pytest
from cases import seed
from compare import assert_same, assert_same_numbers

import cypool
from cypool import reference


@pytest.fixture(params=[cypool, reference], ids=lambda module: module.__name__)
def pools(request):
    return request.param


def ties(shape, dtype="float32"):
    return seed(shape, dtype).integers(-4, 5, shape).astype(dtype)


def spatial(shape):
    return tuple(range(2, len(shape)))


# What torch, the least general of them, can express: (N, C, spatial...), symmetric padding of at most half a window.
# (shape, kernel_size, stride, padding, dilation, ceil_mode)
SYMMETRIC = (
    ((2, 3, 17), (3,), (2,), (1,), (1,), False),
    ((2, 3, 17), (4,), (3,), (2,), (1,), True),
    ((1, 1, 9), (4,), (4,), (2,), (1,), True),
    ((2, 3, 17), (3,), (1,), (1,), (4,), False),
    ((2, 5, 12, 13), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 5, 12, 13), (3, 3), (2, 2), (1, 1), (1, 1), True),
    ((2, 5, 12, 13), (2, 3), (2, 3), (0, 0), (1, 1), True),
    ((1, 2, 15, 11), (5, 2), (1, 3), (2, 1), (2, 3), False),
    ((1, 2, 15, 11), (2, 2), (4, 5), (0, 1), (1, 1), True),
    ((1, 1, 40, 40), (31, 13), (1, 2), (15, 6), (1, 1), False),
    ((2, 2, 6, 7, 8), (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), False),
    ((2, 2, 6, 7, 8), (2, 3, 1), (1, 2, 3), (1, 0, 0), (1, 2, 1), True),
)
symmetric = pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation", "ceil"), SYMMETRIC)


def functional(name, shape):
    torch = pytest.importorskip("torch")
    return torch, getattr(torch.nn.functional, f"{name}_pool{len(shape) - 2}d")


@symmetric
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
def test_torch_max(pools, dtype, shape, kernel, stride, padding, dilation, ceil):
    torch, pool = functional("max", shape)
    if len(shape) == 3 and "int" in dtype:
        pytest.skip("torch has no max_pool1d of integers")
    x = np.abs(ties(shape)).astype(dtype)
    want = pool(torch.from_numpy(x), kernel, stride, padding, dilation, ceil, return_indices=True)
    got = pools.max_pool(x, kernel, stride, padding, dilation, ceil_mode=ceil, return_indices=True)
    for a, b in zip(got, want, strict=True):
        assert_same(a, b.numpy())


@symmetric
@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("divisor", [None, 5])
def test_torch_avg(pools, include, divisor, shape, kernel, stride, padding, dilation, ceil):
    torch, pool = functional("avg", shape)
    if max(dilation) > 1:
        pytest.skip("torch has no dilated average")
    options = {"count_include_pad": include}
    if divisor is not None:
        if len(shape) == 3:
            pytest.skip("torch has no divisor_override in one dimension")
        options["divisor_override"] = divisor
    x = ties(shape, "float64") / 7
    want = pool(torch.from_numpy(x), kernel, stride, padding, ceil, **options).numpy()
    got = pools.avg_pool(x, kernel, stride, padding, ceil_mode=ceil, **options)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


def test_torch_default_divisor(pools):
    torch, pool = functional("avg", (0, 0, 0))
    x = ties((1, 2, 9), "float64")
    np.testing.assert_allclose(pools.avg_pool(x, (3,), 2, 1), pool(torch.from_numpy(x), 3, 2, 1).numpy(), rtol=1e-14)


@symmetric
@pytest.mark.parametrize("kind", [True, "window"])
def test_torch_gradients(kind, shape, kernel, stride, padding, dilation, ceil):
    torch, max_pool = functional("max", shape)
    _, avg_pool = functional("avg", shape)
    x = ties(shape, "float64")
    window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil}
    y, indices = reference.max_pool(x, **window, return_indices=kind)
    g = seed(shape, "gradient").standard_normal(y.shape)

    def by_torch(pool, *arguments):
        leaf = torch.from_numpy(x).requires_grad_()
        pool(leaf, *arguments).backward(torch.from_numpy(g))
        return leaf.grad.numpy()

    want = by_torch(max_pool, kernel, stride, padding, dilation, ceil)
    np.testing.assert_allclose(reference.max_pool_grad(g, indices, shape, **window), want, atol=1e-13)
    if max(dilation) == 1:
        for include in (True, False):
            want = by_torch(avg_pool, kernel, stride, padding, ceil, include)
            got = reference.avg_pool_grad(g, shape, **window, count_include_pad=include)
            np.testing.assert_allclose(got, want, atol=1e-13)


# ONNX Runtime takes uneven padding below the (undilated) window, automatic padding and dilated averages.
# (shape, kernel_size, stride, padding, dilation, ceil_mode)
UNEVEN = (
    *SYMMETRIC,
    ((2, 3, 17), (3,), (2,), ((0, 2),), (1,), False),
    ((2, 3, 17), (5,), (3,), ((4, 1),), (1,), True),
    ((2, 3, 17), (3,), (2,), "same", (1,), False),
    ((2, 3, 17), (4,), (3,), "same_lower", (1,), False),
    ((1, 2, 9, 10), (3, 2), (2, 3), ((0, 2), (1, 0)), (1, 2), False),
    ((1, 2, 9, 10), (3, 2), (2, 3), ((2, 0), (1, 1)), (2, 1), True),
    ((1, 2, 9, 10), (3, 4), (2, 3), "same", (1, 1), False),
    ((1, 2, 9, 10), (3, 4), (2, 3), "same_lower", (1, 1), False),
    ((1, 2, 5, 6, 7), (2, 3, 2), (1, 2, 2), ((0, 1), (2, 1), (1, 0)), (1, 1, 2), False),
)
uneven = pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation", "ceil"), UNEVEN)


def run_node(operator, inputs, outputs, attributes):
    """What ONNX Runtime makes of one node; the outputs but "y" are indices."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    given = {f"x{i}": x for i, x in enumerate(inputs)}
    element = {name: onnx.helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in given.items()}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, list(given), outputs, **attributes)],
        "pool",
        [onnx.helper.make_tensor_value_info(name, element[name], x.shape) for name, x in given.items()],
        [
            onnx.helper.make_tensor_value_info(name, element["x0"] if name == "y" else onnx.TensorProto.INT64, None)
            for name in outputs
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    quiet = runtime.SessionOptions()
    quiet.log_severity_level = 3
    return runtime.InferenceSession(model.SerializeToString(), quiet).run(None, given)


def run_onnx(operator, x, kernel, stride, padding, dilation, ceil, **options):
    attributes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "ceil_mode": int(ceil), **options}
    if isinstance(padding, str):
        attributes["auto_pad"] = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER"}[padding]
    else:
        pairs = [p if isinstance(p, tuple) else (p, p) for p in padding]
        attributes["pads"] = [low for low, _ in pairs] + [high for _, high in pairs]
    return run_node(operator, [x], ["y", "indices"] if operator == "MaxPool" else ["y"], attributes)


@uneven
def test_onnxruntime_max(pools, shape, kernel, stride, padding, dilation, ceil):
    x = ties(shape)
    y, whole = run_onnx("MaxPool", x, kernel, stride, padding, dilation, ceil)
    got, indices = pools.max_pool(x, kernel, stride, padding, dilation, ceil_mode=ceil, return_indices=True)
    assert_same(got, y)
    assert_same(indices, whole % np.prod(shape[2:]))  # ONNX counts from the start of the whole array


@uneven
@pytest.mark.parametrize("include", [True, False])
def test_onnxruntime_avg(pools, include, shape, kernel, stride, padding, dilation, ceil):
    x = ties(shape)
    (want,) = run_onnx("AveragePool", x, kernel, stride, padding, dilation, ceil, count_include_pad=int(include))
    got = pools.avg_pool(x, kernel, stride, padding, dilation, ceil_mode=ceil, count_include_pad=include)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(3,), (5, 5), (3, 7), (31, 1), (3, 3, 5)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_scipy_filters(pools, size, stride, dtype):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = np.abs(ties((8, 33, 12)[: len(size)], dtype))
    same = {"kernel_size": size, "stride": stride, "padding": tuple(k // 2 for k in size)}
    every = (slice(None, None, stride),) * len(size)
    edge = {"mode": "constant", "cval": 0}  # below everything in x
    assert_same_numbers(pools.max_pool(x, **same), ndimage.maximum_filter(x, size, **edge)[every])
    edge["cval"] = 9  # above everything in x
    assert_same_numbers(pools.min_pool(x, **same), ndimage.minimum_filter(x, size, **edge)[every])
    mean = ndimage.uniform_filter(x.astype(np.float64), size, mode="constant")[every]
    np.testing.assert_allclose(pools.avg_pool(x.astype(np.float64), **same), mean, atol=1e-13)
