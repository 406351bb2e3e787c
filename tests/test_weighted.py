"""Weighted averages and soft pooling, and their gradients: against the specification and other libraries."""

import itertools

import numpy as np
import pytest
from cases import CASES, FEW, LAYOUTS, LEVELS, Case, finite, seed
from compare import assert_same, assert_within
from test_arguments import refuses
from test_norms import EPS, LARGE, by_id
from test_pool import running

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")
SHAPES = {
    "all": lambda shape: shape,
    "last": lambda shape: shape[-1:],
    "first": lambda shape: (shape[0], *[1] * (len(shape) - 1)),
    "not the first": lambda shape: (1, *shape[1:]),
    "not the last": lambda shape: (*shape[:-1], 1),
}


def positive(shape, *facts):
    return seed(shape, *facts).uniform(0.1, 2, shape)


def near(want, scale, dtype):
    return EPS[dtype] * np.abs(want.astype(float)) + 64 * EPS["float64"] * (1 + scale) + 2.0**-24 * (dtype == "float16")


def check(case, dtype, layout="C", shape="all", threads=(1, 3)):
    """Both pools and all gradients."""
    x = LAYOUTS[layout](finite(case.shape, dtype))
    weights = LAYOUTS[layout](positive(SHAPES[shape](case.shape), case.id).astype(dtype))
    y = reference.weighted_avg_pool(np.array(x), np.array(weights), **case.window)
    g = finite(y.shape, dtype)
    want = reference.weighted_avg_pool_grad(g, np.array(x), np.array(weights), y, **case.window)
    soft = reference.soft_pool(np.array(x), **case.window)
    soft_back = reference.soft_pool_grad(g, np.array(x), **case.window)
    most, total = np.abs(x.astype(float)).max(initial=1), np.abs(g.astype(float)).sum()
    for n in threads:
        assert_within(cypool.weighted_avg_pool(x, weights, **case.window, num_threads=n), y, near(y, most, dtype))
        gx, gw = cypool.weighted_avg_pool_grad(g, x, weights, y, **case.window, num_threads=n)
        assert_within(gx, want[0], near(want[0], total, dtype))
        assert_within(gw, want[1], near(want[1], 10 * total * most, dtype))
        out = np.full_like(gx, 7), np.full_like(gw, 7)
        into = cypool.weighted_avg_pool_grad(g, x, weights, y, **case.window, num_threads=n, out=out)
        for one, two, three in zip(into, out, (gx, gw), strict=True):
            assert one is two
            assert_same(one, three)
        assert_within(cypool.soft_pool(x, **case.window, num_threads=n), soft, near(soft, most, dtype))
        assert_within(
            cypool.soft_pool_grad(g, x, **case.window, num_threads=n), soft_back, near(soft_back, total * most, dtype)
        )


@by_id("case", CASES[::3])
def test_cases(case):
    check(case, "float64")


@pytest.mark.parametrize("shape", SHAPES)
@by_id("case", FEW)
def test_weights_of_every_shape(case, shape, level):
    check(case, "float32", shape=shape, threads=(2,))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    for case in FEW[2:5]:
        check(case, "float32", layout, threads=(2,))
        check(case, "float64", layout, threads=(2,))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves(dtype):
    for case in FEW[:3]:
        check(case, dtype, threads=(1,))


def test_weights_of_any_dtype():
    x = np.arange(12.0).reshape(3, 4)
    mask = np.arange(12).reshape(3, 4) % 3 > 0
    want = cypool.weighted_avg_pool(x, mask.astype(float), 2)
    for dtype in ("bool", "uint8", "int64", "float16", "float32"):
        assert_same(cypool.weighted_avg_pool(x, mask.astype(dtype), 2), want)
        assert_same(cypool.weighted_avg_pool(x.astype("i2"), mask.astype(dtype), 2), want)
    assert cypool.weighted_avg_pool(x.astype("f4"), mask, 2).dtype == np.float32


@by_id("case", LARGE)
def test_levels_and_threads_agree_to_the_last_bit(case):
    x = seed(case.id).standard_normal(case.shape)
    weights = positive(case.shape[-1:])
    y = cypool.weighted_avg_pool(x, weights, **case.window, num_threads=1)
    g = seed(case.id, "g").standard_normal(y.shape)

    def results(n):
        return (
            cypool.weighted_avg_pool(x, weights, **case.window, num_threads=n),
            *cypool.weighted_avg_pool_grad(g, x, weights, y, **case.window, num_threads=n),
            cypool.soft_pool(x, **case.window, num_threads=n),
            cypool.soft_pool_grad(g, x, **case.window, num_threads=n),
        )

    first = results(1)
    full = np.broadcast_to(weights, x.shape)
    total = cypool.sum_pool(full * x, **case.window) / cypool.sum_pool(full, **case.window)
    np.testing.assert_allclose(y, total, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.vdot(first[1], x), np.vdot(g, y), rtol=1e-9)
    # Twice the weights are the same average.
    np.testing.assert_allclose(np.vdot(first[2], weights), 0, atol=1e-9)
    for level, n in itertools.product(LEVELS, (1, 2, 4)):
        with running(level):
            for got, want in zip(results(n), first, strict=True):
                assert_same(got, want)


# ------------------------------------------------------------------------------------------------- numerics


def test_weights_that_add_up_to_nothing():
    x = np.array([1.0, 2, 3, 4, np.nan, 1])
    assert_same(cypool.weighted_avg_pool(x, [0, 0, 1, -1, 0, 1], 2), np.full(3, np.nan))
    gx, gw = cypool.weighted_avg_pool_grad(np.ones(3), x, [0, 0, 1, 1, 0, 1], np.array([np.nan, 3.5, np.nan]), 2)
    assert np.isnan(gx[:2]).all()
    assert np.isnan(gw[:2]).all()
    assert gx[2:4].tolist() == [0.5, 0.5]
    assert gw[2:4].tolist() == [-0.25, 0.25]


@pytest.mark.parametrize("scale", [1.0, 700.0, 1e5, 1e300, 1.7e308])
def test_soft_pool_of_any_size(scale):
    x = seed(scale).uniform(-1, 1, (50, 8)) * scale
    want = reference.soft_pool(x, (8,))
    assert_within(cypool.soft_pool(x, (8,)), want, 32 * EPS["float64"] * (np.abs(x).max(1, keepdims=True) + 1))
    g = cypool.soft_pool_grad(np.ones((50, 1)), x, (8,))
    assert_within(g, reference.soft_pool_grad(np.ones((50, 1)), x, (8,)), 1e-13 * (1 + min(scale, 1e3)))


def test_soft_pool_of_what_is_not_a_number():
    inf, nan = np.inf, np.nan
    y = cypool.soft_pool([1, -inf, inf, 2, -inf, -inf, nan, inf], 2)
    assert_same(y, np.array([1, inf, -inf, nan]))
    assert_same(reference.soft_pool(np.array([1, -inf, inf, 2, -inf, -inf, nan, inf]), 2), y)
    assert_same(cypool.soft_pool_grad(np.ones(1), [1, -inf], 2), np.array([1.0, 0]))


@by_id("case", FEW)
def test_finite_differences(case):
    x, tangent = finite(case.shape, "float64"), seed(case.id).standard_normal(case.shape)
    weights, turn = positive(case.shape), seed(case.id, "w").standard_normal(case.shape)
    y = cypool.soft_pool(x, **case.window)
    g = seed(case.id, "g").standard_normal(y.shape)
    h = 1e-5
    change = (cypool.soft_pool(x + h * tangent, **case.window) - cypool.soft_pool(x - h * tangent, **case.window)) / (
        2 * h
    )
    np.testing.assert_allclose(
        np.vdot(cypool.soft_pool_grad(g, x, **case.window), tangent), np.vdot(g, change), rtol=1e-5, atol=1e-5
    )
    y = cypool.weighted_avg_pool(x, weights, **case.window)
    gx, gw = cypool.weighted_avg_pool_grad(g, x, weights, y, **case.window)
    np.testing.assert_allclose(
        np.vdot(gx, tangent), np.vdot(g, cypool.weighted_avg_pool(tangent, weights, **case.window))
    )
    after, before = (cypool.weighted_avg_pool(x, weights + s * turn, **case.window) for s in (h, -h))
    np.testing.assert_allclose(np.vdot(gw, turn), np.vdot(g, after - before) / (2 * h), rtol=1e-5, atol=1e-5)


def test_torch():
    torch = pytest.importorskip("torch")
    x, weights = finite((2, 3, 9, 10), "float64"), positive((1, 3, 9, 10))
    t, w = torch.from_numpy(x).requires_grad_(), torch.from_numpy(weights).requires_grad_()

    def total(z):
        return torch.nn.functional.avg_pool2d(z, 3, 2, divisor_override=1)

    want = total(t * w) / total(w.expand_as(t))
    y = cypool.weighted_avg_pool(x, weights, (3, 3), 2)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-12)
    g = seed("torch").standard_normal(y.shape)
    want.backward(torch.from_numpy(g))
    gx, gw = cypool.weighted_avg_pool_grad(g, x, weights, y, (3, 3), 2)
    np.testing.assert_allclose(gx, t.grad.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(gw, w.grad.numpy(), rtol=1e-8, atol=1e-10)
    t.grad = None
    e = torch.exp(t)
    want = total(e * t) / total(e)
    want.backward(torch.from_numpy(g))
    np.testing.assert_allclose(cypool.soft_pool(x, (3, 3), 2), want.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(cypool.soft_pool_grad(g, x, (3, 3), 2), t.grad.numpy(), rtol=1e-7, atol=1e-9)


# ------------------------------------------------------------------------------------------------- arguments

X = finite((9, 10), "float32")
Y = np.ones((4, 5), np.float32)


def test_arrays_that_are_refused():
    refuses(cypool.weighted_avg_pool, X, np.ones(9), 2, name="weights", value=(9,))
    refuses(cypool.weighted_avg_pool_grad, Y, X, np.ones((2, 9, 10)), Y, 2, name="weights", value=(2, 9, 10))
    for call in (
        lambda w: cypool.weighted_avg_pool(X, w, 2),
        lambda w: cypool.weighted_avg_pool_grad(Y, X, w, Y, 2),
    ):
        for dtype in ("complex64", "M8[s]", "U3", "longdouble"):
            with pytest.raises(TypeError, match=r"^weights has dtype"):
                call(np.ones((9, 10)).astype(dtype))
        with pytest.raises(TypeError, match=r"^weights is a masked array"):
            call(np.ma.masked_less(X, 1))
    for call in (
        lambda x: cypool.weighted_avg_pool(x, 1, 2),
        lambda x: cypool.weighted_avg_pool_grad(Y, x, 1, Y, 2),
        lambda x: cypool.soft_pool(x, 2),
        lambda x: cypool.soft_pool_grad(Y, x, 2),
    ):
        with pytest.raises(TypeError, match=r"^x has dtype complex64"):
            call(X.astype("c8"))
    for call in (
        lambda g: cypool.weighted_avg_pool_grad(g, X, 1, Y, 2),
        lambda g: cypool.weighted_avg_pool_grad(Y, X, 1, g, 2),
        lambda g: cypool.soft_pool_grad(g, X, 2),
    ):
        with pytest.raises(
            ValueError, match=r"^(grad|y) must have the shape of the pool's result, \(4, 5\), got \(5, 4\)"
        ):
            call(Y.T)
    with pytest.raises(TypeError, match=r"^grad must have a floating dtype"):
        cypool.soft_pool_grad(Y.astype(int), X, 2)


def test_windows_threads_out_and_empty_batches():
    for call in (
        lambda **more: cypool.weighted_avg_pool(X, 1, **{"kernel_size": 2} | more),
        lambda **more: cypool.weighted_avg_pool_grad(Y, X, 1, Y, **{"kernel_size": 2} | more),
        lambda **more: cypool.soft_pool(X, **{"kernel_size": 2} | more),
        lambda **more: cypool.soft_pool_grad(Y, X, **{"kernel_size": 2} | more),
    ):
        for name, value in (("kernel_size", 0), ("stride", -1), ("axis", 2), ("num_threads", 0), ("padding", "SAME")):
            refuses(call, **{name: value}, name=name, value=value)
    x, weights, y, g = X.copy(), np.ones_like(X), Y.copy(), finite(Y.shape, "float32")
    want = cypool.weighted_avg_pool_grad(g, x, weights, y, 2)
    for wrong, error, match in (
        (x, TypeError, "out must be a tuple of two arrays"),
        ((x,), TypeError, "out must be a tuple of two arrays"),
        ((x, None), TypeError, "out must be an ndarray, got NoneType"),
        ((x, y), ValueError, r"out must have shape \(9, 10\)"),
        ((x, x[::-1]), ValueError, "out must be two arrays that share no memory"),
    ):
        with pytest.raises(error, match=match):
            cypool.weighted_avg_pool_grad(g, x, weights, y, 2, out=wrong)
        assert_same(x, X)
    for one, two in zip(cypool.weighted_avg_pool_grad(g, x, weights, y, 2, out=(weights, x)), want, strict=True):
        assert_same(one, two)  # over what they are made of
    out = np.empty((4, 5), np.float32)
    assert cypool.weighted_avg_pool(X, 1, 2, out=out) is out
    assert_same(out, cypool.weighted_avg_pool(X, 1, 2))
    weights = np.full((4, 5), 2, np.float32)
    small = finite((4, 5), "float32")
    want = cypool.weighted_avg_pool(small, weights, 1)
    assert_same(cypool.weighted_avg_pool(small, weights, 1, out=weights), want)
    empty = np.zeros((0, 4))
    assert cypool.weighted_avg_pool(empty, 1, (2,)).shape == (0, 2)
    gx, gw = cypool.weighted_avg_pool_grad(empty[:, :2], empty, np.ones(4), empty[:, :2], (2,))
    assert gx.shape == (0, 4)
    assert_same(gw, np.zeros(4))


def test_constant_weights_are_no_weights():
    case = Case((2, 3, 7, 8), (3, 3), (2, 2), (1, 1))
    x = finite(case.shape, "float64")
    want = cypool.avg_pool(x, **case.window, count_include_pad=False)
    np.testing.assert_allclose(cypool.weighted_avg_pool(x, 3, **case.window), want, rtol=1e-12, atol=1e-14)
