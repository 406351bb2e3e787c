"""Fractional max pooling against the specification and torch."""

import numpy as np
import pytest
from cases import LAYOUTS, THREADS, finite, ordered, seed
from compare import assert_same

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")

# (shape, kernel, output size, axis)
CASES = (
    ((8,), 2, 5, None),
    ((9,), 3, 1, None),
    ((9,), 3, 7, None),
    ((9, 10), (2, 3), (5, 4), None),
    ((9, 10), (3, 2), (5, 6), (1, 0)),
    ((2, 3, 13, 11), (2, 2), (7, 8), None),
    ((2, 9, 12, 5), (3, 2), (4, 7), (1, 2)),
    ((2, 9, 12, 40), (3, 2), (4, 7), (1, 2)),
    ((2, 3, 300), (2,), (211,), None),
    ((1, 2, 6, 7, 8), (2, 3, 2), (4, 3, 5), None),
)
by_case = pytest.mark.parametrize(("shape", "kernel", "size", "axis"), CASES, ids=str)


@by_case
@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("planes", [False, True])
def test_values_and_indices(shape, kernel, size, axis, dtype, planes, level):
    x = ordered(shape, dtype)  # with NaN among its cells
    m = np.size(size) if not np.isscalar(size) else 1
    kept = tuple(n for a, n in enumerate(shape) if a not in (axis or range(len(shape) - m, len(shape))))
    samples = seed(shape).random((*kept, m) if planes else m)
    words = {"output_size": size, "axis": axis, "samples": samples}
    for kind in (True, "window"):
        want = reference.fractional_max_pool(x, kernel, **words, return_indices=kind)
        for n in THREADS[:2]:
            got = cypool.fractional_max_pool(x, kernel, **words, return_indices=kind, num_threads=n)
            for one, right in zip(got, want, strict=True):
                assert_same(one, right)
    out = np.empty_like(want[0])
    assert cypool.fractional_max_pool(x, kernel, **words, out=out) is out
    assert_same(out, want[0])


@by_case
def test_gradient(shape, kernel, size, axis):
    y, indices = cypool.fractional_max_pool(finite(shape, "float64"), kernel, output_size=size, axis=axis, rng=3,
                                            return_indices=True)  # fmt: skip
    grad = np.rint(finite(y.shape, "float64"))
    want = reference.fractional_max_pool_grad(grad, indices, shape, kernel, axis=axis)
    for n in THREADS:
        got = cypool.fractional_max_pool_grad(grad, indices, shape, kernel, axis=axis, num_threads=n)
        assert_same(got + 0.0, want + 0.0)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_torch(d, dtype, size):
    torch = pytest.importorskip("torch")
    x = seed(d, size).standard_normal((2, 3, 9, 11, 10)[: 2 + d]).astype(dtype)
    samples = seed(d, size, 1).random((2, 3, d)).astype(dtype)
    order = samples[..., ::-1] if d == 2 else samples
    asked = {"output_size": (size,) * d, "return_indices": True, "_random_samples": torch.from_numpy(samples)}
    want = getattr(torch.nn.functional, f"fractional_max_pool{d}d")(torch.from_numpy(x), 2, **asked)
    kernel = (2,) * d
    got = cypool.fractional_max_pool(x, kernel, output_size=size, samples=order, return_indices=True)
    for one, right in zip(got, want, strict=True):
        assert_same(one, right.numpy())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x = LAYOUTS[layout](finite((2, 3, 9, 10), "float32"))
    for samples in (seed(1).random(2), seed(2).random((2, 3, 2))):
        want = reference.fractional_max_pool(np.array(x), (2, 2), output_size=(5, 6), samples=samples)
        y = cypool.fractional_max_pool(x, (2, 2), output_size=(5, 6), samples=samples)
        assert_same(y, want)


def test_seeds_and_ratios():
    x = finite((2, 30, 40), "float32")
    y = cypool.fractional_max_pool(x, (2, 3), output_ratio=0.6, rng=7, num_threads=1)
    assert y.shape == (2, 18, 24)
    for n in THREADS:
        rng = np.random.default_rng(7)
        assert_same(cypool.fractional_max_pool(x, (2, 3), output_ratio=(0.6, 0.6), rng=rng, num_threads=n), y)
    assert not np.array_equal(cypool.fractional_max_pool(x, (2, 3), output_ratio=0.6, rng=8), y)


X = np.arange(30.0).reshape(5, 6)
WRONG = (
    (ValueError, "output_size or output_ratio must be given, and not both, got None and None", {}),
    (ValueError, "and not both, got 3 and 0.5", {"output_size": 3, "output_ratio": 0.5}),
    (ValueError, "output_size must be at least 1, got 0", {"output_size": 0}),
    (TypeError, "output_size must be an integer, got 2.0", {"output_size": 2.0}),
    (ValueError, r"output_size must have one entry per pooled axis \(2\), got \(2,\)", {"output_size": (2,)}),
    (ValueError, "at most 4 windows of 2 cells in axis 0 of size 5, got 5", {"output_size": 5}),
    (ValueError, "output_ratio must be a float between 0 and 1, got 1.5", {"output_ratio": 1.5}),
    (ValueError, "output_ratio must make at least one", {"output_ratio": 0.1}),
    (ValueError, r"samples must be in \[0, 1\), got 1.0", {"output_size": 3, "samples": [0.5, 1.0]}),
    (ValueError, r"samples must have shape \(2,\)", {"output_size": 3, "samples": [0.5]}),
    (TypeError, "samples must be floats, got dtype int64", {"output_size": 3, "samples": [0, 0]}),
    (ValueError, "axis 2 is out of range", {"output_size": 3, "axis": 2}),
    (ValueError, r"out must have shape \(3, 3\)", {"output_size": 3, "out": np.ones((2, 3))}),
)


@pytest.mark.parametrize(("error", "message", "arguments"), WRONG, ids=lambda v: str(v)[:40])
def test_refusals(error, message, arguments):
    with pytest.raises(error, match=message):
        cypool.fractional_max_pool(X, 2, **arguments)


def test_wrong_gradients():
    function, indices = cypool.fractional_max_pool_grad, np.array([0, 2, 6])
    with pytest.raises(ValueError, match=r"indices must name cells of their windows, got the position .* 7 for"):
        function(np.ones(3), np.array([0, 2, 7]), (7,), 2)
    with pytest.raises(TypeError, match="indices must be of a signed integer dtype"):
        function(np.ones(3), indices.astype(np.uint8), (7,), 2)
    with pytest.raises(ValueError, match=r"indices must have the shape of the pool's result, \(3,\), got \(2,\)"):
        function(np.ones(3), indices[:2], (7,), 2)
    with pytest.raises(ValueError, match="grad must have the 1 axes of the pool's result"):
        function(np.ones((3, 1)), indices, (7,), 2)
    assert_same(function(np.ones(3), np.array([-1, 2, 6]), (7,), 2), np.array([0.0, 0, 1, 0, 0, 0, 1]))
