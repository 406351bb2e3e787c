"""Spatial pyramids against the specification, torch, and finite differences."""

import ml_dtypes
import numpy as np
import pytest
from cases import LAYOUTS, SUMMABLE, THREADS, dtype_of, finite, ordered, seed
from compare import assert_same, assert_same_numbers, assert_within

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")
CASES = (
    ((2, 3, 13, 17), (1, 2, 4), None),
    ((2, 3, 8, 12), (4, 2, 1), None),
    ((2, 9, 11, 5), (1, 2, 3, 6), (1, 2)),
    ((2, 9, 11, 20), (3, 4), (1, 2)),
    ((29,), (1, 5, 7), None),
    ((5, 4), (2, (3, 1), 6), (1, 0)),
    ((2, 2, 6, 5, 7), ((1, 2, 3), (3, 2, 1)), None),
    ((3, 50, 4), [1, [7]], 1),
    ((0, 2, 5), (1, 2), None),
)
by_case = pytest.mark.parametrize(("shape", "levels", "axis"), CASES, ids=str)


@by_case
@pytest.mark.parametrize("dtype", ["float32", "int16", "datetime64[s]"])
def test_max(shape, levels, axis, dtype, level):
    x = ordered(shape, dtype)
    want, indices = reference.spatial_pyramid_pool(x, levels, axis=axis, return_indices=True)
    for n in THREADS:
        assert_same_numbers(cypool.spatial_pyramid_pool(x, levels, axis=axis, num_threads=n), want)
    y, z = cypool.spatial_pyramid_pool(x, levels, axis=axis, return_indices=True)
    assert_same(y, want)
    assert_same(z, indices)


@by_case
@pytest.mark.parametrize("dtype", SUMMABLE)
def test_avg(shape, levels, axis, dtype):
    x = finite(shape, dtype)
    want = reference.spatial_pyramid_pool(x, levels, op="avg", axis=axis)
    wide = np.abs(x.astype(np.complex128 if x.dtype.kind == "c" else np.float64))
    eps = 2.0**-7 if want.dtype.name == "bfloat16" else np.finfo(want.dtype).eps
    far = reference.spatial_pyramid_pool(wide, levels, op="avg", axis=axis) * eps * (np.log2(max(2, x.size)) + 6)
    results = [cypool.spatial_pyramid_pool(x, levels, op="avg", axis=axis, num_threads=n) for n in THREADS]
    assert_within(results[0], want, far)
    for result in results[1:]:
        assert_same(result, results[0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x = LAYOUTS[layout](ordered((2, 3, 9, 10), "float32"))
    y = cypool.spatial_pyramid_pool(x)
    assert_same_numbers(y, reference.spatial_pyramid_pool(np.array(x)))
    assert y.flags.c_contiguous


def test_a_fixed_length_and_torch():
    torch = pytest.importorskip("torch")
    for n in (5, 13, 16, 40):
        x = seed(n).standard_normal((2, 3, n, n + 3)).astype(np.float32)
        y = cypool.spatial_pyramid_pool(x)
        assert y.shape == (2, 3, 21)
        levels = [torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(x), b).flatten(2) for b in (1, 2, 4)]
        assert_same(y, torch.cat(levels, 2).numpy())


@by_case
@pytest.mark.parametrize("op", ["max", "avg"])
def test_gradients(shape, levels, axis, op, level):
    x = seed(shape).permutation(float(np.prod(shape)) + np.arange(np.prod(shape))).reshape(shape)
    pool = {"levels": levels, "op": op, "axis": axis}
    indices = None
    if op == "max":
        _, indices = cypool.spatial_pyramid_pool(x, **pool, return_indices=True)
    y = cypool.spatial_pyramid_pool(x, **pool)
    grad = finite(y.shape, "float64")
    got = cypool.spatial_pyramid_pool_grad(grad, indices, shape, **pool)
    np.testing.assert_allclose(got, reference.spatial_pyramid_pool_grad(grad, indices, shape, **pool), atol=1e-12)
    # The pool is linear between two arrays with the same winners.
    step = finite(shape, "float64") * 1e-3
    moved = cypool.spatial_pyramid_pool(x + step, **pool) - y
    np.testing.assert_allclose(np.vdot(moved, grad), np.vdot(step, got), rtol=1e-6, atol=1e-8)
    out = np.full(shape, 7.0)
    assert cypool.spatial_pyramid_pool_grad(grad, indices, shape, **pool, out=out) is out
    assert_same(out, got)


@by_case
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_of_halves_are_added_up_in_float32(shape, levels, axis, dtype, level):
    """Whole numbers: what is rounded is the result alone."""
    half = dtype_of(dtype)
    x = ordered(shape, dtype)
    _, indices = cypool.spatial_pyramid_pool(x, levels, axis=axis, return_indices=True)
    for op, z in (("max", indices), ("avg", None)):
        grad = seed(shape, op).integers(1, 100, indices.shape).astype(half)
        got = cypool.spatial_pyramid_pool_grad(grad, z, shape, levels, op=op, axis=axis)
        want = cypool.spatial_pyramid_pool_grad(grad.astype("f8"), z, shape, levels, op=op, axis=axis)
        assert got.dtype == half
        if op == "max":
            assert_same(got, want.astype("f4").astype(half))
        else:
            # The sum in float32 and the result are rounded.
            np.testing.assert_allclose(got.astype("f8"), want, rtol=1.01 * float(ml_dtypes.finfo(half).eps) / 2)


def test_out():
    x = finite((3, 4, 6, 7), "float32")
    want = cypool.spatial_pyramid_pool(x)
    held = x.copy()
    out = held.reshape(3, 4, 42)[..., 1::2]
    assert cypool.spatial_pyramid_pool(held, out=out) is out
    assert_same(out.copy(), want)


X = np.ones((2, 3, 6, 5))
WRONG = (
    (ValueError, r"levels must have at least one entry, got \(\)", {"levels": ()}),
    (ValueError, "levels must be at least 1, got 0", {"levels": (1, 0)}),
    (TypeError, "levels must be an integer, got 1.5", {"levels": (1, 1.5)}),
    (TypeError, "levels must be an integer or a sequence of integers, got 3", {"levels": 3}),
    (ValueError, r"levels must have one entry per pooled axis \(2\), got \(1, 2, 3\)", {"levels": (1, (1, 2, 3))}),
    (ValueError, "op must be 'max' or 'avg', got 'sum'", {"op": "sum"}),
    (ValueError, "axis 4 is out of range", {"axis": 4}),
    (ValueError, "return_indices must be False for op 'avg', got True", {"op": "avg", "return_indices": True}),
    (ValueError, r"out must have shape \(2, 3, 21\)", {"out": np.ones((2, 3, 20))}),
)


@pytest.mark.parametrize(("error", "message", "arguments"), WRONG, ids=lambda v: str(v)[:40])
def test_refusals(error, message, arguments):
    with pytest.raises(error, match=message):
        cypool.spatial_pyramid_pool(X, **arguments)


def test_wrong_gradients():
    function = cypool.spatial_pyramid_pool_grad
    indices = np.array([0, 1, 2])
    out = np.full(5, 7.0)
    with pytest.raises(
        ValueError, match=r"indices must name cells of their bins, got 3 for bin \(0,\) of level \(2,\)"
    ):
        function(np.ones(3), np.array([0, 3, 4]), (5,), (1, 2), out=out)
    assert (out == 7).all()
    with pytest.raises(ValueError, match=r"indices must have the shape of the pool's result, \(3,\), got \(2,\)"):
        function(np.ones(3), indices[:2], (5,), (1, 2))
    with pytest.raises(ValueError, match=r"grad must have the shape of the pool's result, \(3,\), got \(4,\)"):
        function(np.ones(4), indices, (5,), (1, 2))
    with pytest.raises(TypeError, match="indices must be of a signed integer dtype, got uint8"):
        function(np.ones(3), indices.astype(np.uint8), (5,), (1, 2))
    with pytest.raises(ValueError, match="indices must be given for op 'max' and be None for 'avg'"):
        function(np.ones(3), None, (5,), (1, 2))
    with pytest.raises(TypeError, match="grad must have a float dtype, got int64"):
        function(np.ones(3, int), indices, (5,), (1, 2))
    with pytest.raises(ValueError, match="shape must be at least 0, got -5"):
        function(np.ones(3), indices, (-5,), (1, 2))
    for op, z in (("max", indices), ("avg", None)):
        with pytest.raises(ValueError, match="num_threads must be a positive integer, got 0"):
            function(np.ones(3), z, (5,), (1, 2), op=op, num_threads=0)
    assert_same(function(np.ones(3), np.array([-1, -1, 2]), (5,), (1, 2)), np.array([0.0, 0, 1, 0, 0]))
