"""Stochastic pooling and its expectation: against the specification, in the long run, and the same for every seed."""

import itertools

import numpy as np
import pytest
from cases import CASES, FEW, LAYOUTS, LEVELS, finite, seed
from compare import assert_same, assert_within
from test_arguments import refuses
from test_norms import EPS, LARGE, by_id
from test_pool import running

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")


def activations(shape, dtype):
    """Half of them zeros, in runs."""
    x = np.abs(finite(shape, dtype))
    x.ravel()[: x.size // 3] = 0
    return x * (seed(shape, "zeros").random(shape) < 0.7).astype(x.dtype)


def check(case, dtype, layout="C", threads=(1, 3)):
    x = LAYOUTS[layout](activations(case.shape, dtype))
    plain = np.array(x)
    want = reference.stochastic_pool(plain, **case.window, rng=5)
    mean = reference.stochastic_pool_expectation(plain, **case.window)
    g = finite(mean.shape, mean.dtype.name)
    back = reference.stochastic_pool_expectation_grad(g, plain, **case.window)
    eps = EPS[mean.dtype.name] + 64 * EPS["float64"]
    size = np.abs(back.astype(float))
    for n in threads:
        y, indices = cypool.stochastic_pool(x, **case.window, rng=5, num_threads=n)
        assert_same(y, want[0])
        assert_same(indices, want[1])
        got = cypool.stochastic_pool_expectation(x, **case.window, num_threads=n)
        assert_within(got, mean, eps * mean.astype(float) + 1e-7 * (mean.dtype == np.float16))
        assert_within(
            cypool.stochastic_pool_expectation_grad(g, x, **case.window, num_threads=n),
            back,
            eps * (size + size.max(initial=1)),
        )


@by_id("case", CASES[::3])
def test_cases(case):
    check(case, "float64")


@by_id("case", FEW)
def test_levels(case, level):
    check(case, "float32")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    for case in FEW[1:5]:
        check(case, "float32", layout, threads=(2,))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "bfloat16"])
def test_every_dtype(dtype):
    for case in FEW[:3]:
        x = (
            np.abs(finite(case.shape, dtype))
            if dtype not in ("bool", "int32")
            else finite(case.shape, "uint8").astype(dtype)
        )
        want = reference.stochastic_pool(x, **case.window, rng=1)
        for got, one in zip(cypool.stochastic_pool(x, **case.window, rng=1), want, strict=True):
            assert_same(got, one)


@by_id("case", LARGE)
def test_levels_and_threads_agree_to_the_last_bit(case):
    x = activations(case.shape, "float32")

    def results(n):
        y, indices = cypool.stochastic_pool(x, **case.window, rng=3, num_threads=n)
        mean = cypool.stochastic_pool_expectation(x, **case.window, num_threads=n)
        back = cypool.stochastic_pool_expectation_grad(np.ones_like(mean), x, **case.window, num_threads=n)
        return y, indices, mean, back

    first = results(1)
    # Indices name cells of their windows, and those are the values.
    assert_same(cypool.max_pool_take(x, first[1], **case.window), first[0])
    for level, n in itertools.product(LEVELS, (1, 2, 4)):
        with running(level):
            for got, want in zip(results(n), first, strict=True):
                assert_same(got, want)


# ------------------------------------------------------------------------------------------------ chance


def test_probabilities():
    cells = np.array([1.0, 0, 3, 4])
    x = np.broadcast_to(cells, (40_000, 4))
    y, indices = cypool.stochastic_pool(x, (4,), rng=11)
    shares = np.bincount(indices.ravel(), minlength=4) / len(x)
    # Five standard deviations: a right program of another seed fails once in a million times.
    np.testing.assert_array_less(np.abs(shares - cells / 8), 5 * np.sqrt(0.25 / len(x)))
    assert shares[1] == 0
    mean = cypool.stochastic_pool_expectation(cells, 4)
    np.testing.assert_allclose(mean, [26 / 8])
    np.testing.assert_allclose(y.mean(), mean[0], atol=0.05)


def test_sources_of_random_numbers():
    x = activations((30, 30), "float32")
    want = cypool.stochastic_pool(x, 3, rng=7)[1]
    for rng in (np.random.default_rng(7), np.random.PCG64(7), np.int64(7)):
        assert_same(cypool.stochastic_pool(x, 3, rng=rng)[1], want)
    generator = np.random.default_rng(7)
    cypool.stochastic_pool(x, 3, rng=generator)
    assert generator.random() == np.random.default_rng(7).random(101)[100]
    assert (cypool.stochastic_pool(x, 3, rng=8)[1] != want).any()
    assert (cypool.stochastic_pool(x, 3)[1] != cypool.stochastic_pool(x, 3)[1]).any()
    with pytest.raises(TypeError):
        cypool.stochastic_pool(x, 3, rng="seed")


class Fixed(np.random.Generator):
    """A generator of one number."""

    def __init__(self, number):
        super().__init__(np.random.PCG64())
        self.number = number

    def random(self, size):
        return np.full(size, self.number)


@pytest.mark.parametrize("cells", [[0.1] * 10, [1e300, 1e-300], [1, 0, 0], [0, 0, 1], [0.1, 0.7, 0], [5e-324, 0]])
def test_the_ends_of_the_range(cells):
    """The last number below 1 chooses the last cell that is not 0, and 0 the first, whatever is rounded."""
    x = np.array(cells)
    chosen = np.flatnonzero(x)
    n = len(x)
    assert cypool.stochastic_pool(x, n, rng=Fixed(0.0))[1] == chosen[0]
    last = cypool.stochastic_pool(x, n, rng=Fixed(1 - 2.0**-53))[1]
    assert last == (chosen[-1] if cells[-1] != 1e-300 else 0)


def test_zeros_and_what_has_no_probability():
    inf, nan = np.inf, np.nan
    y, indices = cypool.stochastic_pool([0, 0, 3, nan, -1, 2, 5, inf, -0.0, 0], 2, rng=0)
    assert_same(y, np.array([0, nan, nan, inf, 0]))
    assert indices.tolist() == [0, 3, 4, 7, 8]
    assert_same(cypool.stochastic_pool_expectation([0, 0, 3, nan, -1, 2, 5, inf], 2), np.array([0, nan, nan, inf]))
    g = cypool.stochastic_pool_expectation_grad(np.ones(3), [0.0, 0, -1, 2, 1, 1], 2)
    assert_same(g, np.array([0, 0, nan, nan, 0.5, 0.5]))
    _, padded = cypool.stochastic_pool(np.zeros((3, 3)), 3, 1, 1, rng=0)
    assert padded.tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


def test_no_square_overflows_or_vanishes():
    for scale in (5e-324, 1e-200, 1e200, 1.7e308 / 40):
        x = np.array([1.0, 3, 4, 4]) * scale
        want = reference.stochastic_pool_expectation(x, 4)
        np.testing.assert_allclose(cypool.stochastic_pool_expectation(x, 4), want, rtol=1e-14, atol=5e-324)


@by_id("case", FEW)
def test_finite_differences(case):
    x, tangent = np.abs(finite(case.shape, "float64")) + 0.1, seed(case.id).standard_normal(case.shape)
    pool = cypool.stochastic_pool_expectation
    g = seed(case.id, "g").standard_normal(pool(x, **case.window).shape)
    change = (pool(x + 1e-5 * tangent, **case.window) - pool(x - 1e-5 * tangent, **case.window)) / 2e-5
    back = cypool.stochastic_pool_expectation_grad(g, x, **case.window)
    np.testing.assert_allclose(np.vdot(back, tangent), np.vdot(g, change), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------------------- arguments

X = activations((9, 10), "float32")
Y = np.ones((4, 5), np.float32)


def test_refusals():
    for call in (
        lambda x=X, **more: cypool.stochastic_pool(x, **{"kernel_size": 2} | more),
        lambda x=X, **more: cypool.stochastic_pool_expectation(x, **{"kernel_size": 2} | more),
        lambda x=X, **more: cypool.stochastic_pool_expectation_grad(Y, x, **{"kernel_size": 2} | more),
    ):
        for name, value in (("kernel_size", 0), ("stride", -1), ("axis", 2), ("num_threads", 0), ("padding", "SAME")):
            refuses(call, **{name: value}, name=name, value=value)
        with pytest.raises(TypeError, match=r"^x has dtype complex64"):
            call(X.astype("c8"))
        with pytest.raises(TypeError, match=r"^x is a masked array"):
            call(np.ma.masked_less(X, 1))
        with pytest.raises(TypeError, match=r"^out must be an ndarray"):
            call(out=[1.0])
    with pytest.raises(ValueError, match=r"^grad must have the shape of the pool's result, \(4, 5\), got \(5, 4\)"):
        cypool.stochastic_pool_expectation_grad(Y.T, X, 2)
    with pytest.raises(TypeError, match=r"^grad must have a floating dtype"):
        cypool.stochastic_pool_expectation_grad(Y.astype(int), X, 2)


def test_out_and_empty_batches():
    out = np.empty((4, 5), np.float32)
    y, indices = cypool.stochastic_pool(X, 2, rng=2, out=out)
    assert y is out
    want = cypool.stochastic_pool(X, 2, rng=2)
    assert_same(out, want[0])
    assert_same(indices, want[1])
    place = X.copy()
    assert_same(cypool.stochastic_pool(place, 1, rng=2, out=place)[0], X)
    fortran = cypool.stochastic_pool(np.asfortranarray(X), 2, rng=2)
    assert [a.flags.f_contiguous for a in fortran] == [True, True]
    for got, one in zip(fortran, want, strict=True):
        assert_same(np.ascontiguousarray(got), one)
    y, indices = cypool.stochastic_pool(np.zeros((0, 4)), (2,))
    assert y.shape == indices.shape == (0, 2)
