"""Lp pools, power means and log-sum-exp, and their gradients: against the specification and other libraries."""

import functools
import itertools
import math

import numpy as np
import pytest
from cases import CASES, FEW, LAYOUTS, LEVELS, Case, finite, seed
from compare import assert_same, assert_within
from test_arguments import NOT_ARRAYS, WRONG, refuses
from test_pool import running

import cypool
from cypool import dispatch, reference

pytestmark = pytest.mark.usefixtures("eager_threads")
by_id = functools.partial(pytest.mark.parametrize, ids=lambda c: c.id)
DTYPES = ("bool", "int8", "uint16", "int64", "uint64", "float16", "bfloat16", "float32", "float64")
EXPONENTS = (1, 1.5, 2, 3, 4, 7, 20.0, math.inf)
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def eps_of(y):
    return EPS[y.dtype.name]


def lp(p):
    return (
        lambda module, x, **window: module.lp_pool(x, p, **window),
        lambda module, g, x, y, **window: module.lp_pool_grad(g, x, y, p, **window),
    )


def mean(p):
    return (
        lambda module, x, **window: module.power_mean_pool(np.abs(x), p, **window),
        lambda module, g, x, y, **window: module.power_mean_pool_grad(g, np.abs(x), y, p, **window)[0],
    )


def soft(t):
    return (
        lambda module, x, **window: module.logsumexp_pool(x, **window, temperature=t),
        lambda module, g, x, y, **window: module.logsumexp_pool_grad(g, x, y, **window, temperature=t),
    )


# name -> (pool, gradient) of either module, cypool or reference
POOLS = {f"lp {p}": lp(p) for p in EXPONENTS}
POOLS |= {f"mean {p}": mean(p) for p in (0.5, 1, 2, 3, 4, 2.7, 30)}
POOLS |= {f"logsumexp {t}": soft(t) for t in (1.0, 0.25, 30)}
ANY = pytest.mark.parametrize("name", POOLS)


def data(case, dtype):
    x = finite(case.shape, dtype)
    # No difference of integers as large as these is exact in float64.
    return x // 2**20 if x.dtype.itemsize == 8 and x.dtype.kind in "iu" else x


def bound(name, x, want):
    """What is wanted is rounded as well: one unit of the result's dtype after 32 of float64."""
    size = np.abs(want.astype(float))
    if name.startswith("logsumexp"):
        size = size + float(name.split()[1])
    tiny = 2.0**-24 if want.dtype == np.float16 else float(np.finfo(np.float32).tiny if want.itemsize < 8 else 5e-324)
    return eps_of(want) * size + 32 * EPS["float64"] * size + tiny


@functools.cache
def wanted(name, case, dtype, layout="C"):
    x = LAYOUTS[layout](data(case, dtype))
    pool, gradient = POOLS[name]
    y = pool(reference, np.array(x), **case.window)
    shares = np.dtype(np.float32) if y.dtype == np.float64 and x.dtype != np.float64 else y.dtype
    g = finite(y.shape, shares.name)
    return x, y, g, gradient(reference, g, np.array(x), y, **case.window)


def check(name, case, dtype, layout="C", threads=(1, 3)):
    x, y, g, back = wanted(name, case, dtype, layout)
    pool, gradient = POOLS[name]
    before = x.copy()
    got = [pool(cypool, x, **case.window, num_threads=n) for n in threads]
    assert_within(got[0], y, bound(name, x, y))
    parts = [gradient(cypool, g, x, y, **case.window, num_threads=n) for n in threads]
    near = (2 * eps_of(back) + 1e-12) * (np.abs(back.astype(float)) + np.abs(g.astype(float)).max(initial=0))
    assert_within(parts[0], back, near)
    for result, first in [*zip(got, itertools.repeat(got[0])), *zip(parts, itertools.repeat(parts[0]))]:
        assert_same(result, first)
    assert_same(x, before)


# --------------------------------------------------------------- cases x dtypes x layouts x levels x threads


@by_id("case", CASES)
@pytest.mark.parametrize("name", ["lp 1.5", "mean 3"])
def test_cases(name, case):
    check(name, case, "float64")


@ANY
def test_levels(name, level):
    for case, dtype in itertools.product(FEW, ("float32", "float64")):
        check(name, case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["lp 2", "lp 1.5", "lp inf", "mean 3", "mean 2.7", "logsumexp 1.0"])
def test_every_dtype(name, dtype):
    for case in FEW[1:4]:
        check(name, case, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["lp 2", "mean 2.7", "logsumexp 1.0"])
def test_layouts(name, layout):
    for case, dtype in itertools.product(FEW, ("float32", "float64")):
        check(name, case, dtype, layout, threads=(2,))


LARGE = (
    Case((3, 40, 300), (3, 3), 2, 1),
    Case((2, 33, 50, 40), (5, 4), (2, 3), 1, axis=(1, 2)),
    Case((70, 6, 500), (6, 500)),
    Case((2, 300, 7), 300, axis=1),
    Case((20000,), 9000, 3000, 10),
    Case((4, 3000), (1, 700), (1, 100), axis=(0, 1)),
    Case((5, 17, 600), (17, 2), 2, ((0, 1), (0, 0)), axis=(1, 2)),
)


@by_id("case", LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_levels_and_threads_agree_to_the_last_bit(case, dtype):
    x = np.abs(seed(case.id).standard_normal(case.shape)).astype(dtype)
    for name in ("lp 2", "lp 1.5", "mean 3", "logsumexp 1.0", "lp inf"):
        pool, gradient = POOLS[name]
        y = pool(cypool, x, **case.window, num_threads=1)
        g = seed(case.id, "g").standard_normal(y.shape).astype(dtype)
        back = gradient(cypool, g, x, y, **case.window, num_threads=1)
        for level, n in itertools.product(LEVELS, (1, 2, 4)):
            with running(level):
                assert_same(pool(cypool, x, **case.window, num_threads=n), y)
                assert_same(gradient(cypool, g, x, y, **case.window, num_threads=n), back)
        total = cypool.sum_pool(x.astype(float) ** 2, **case.window)
        np.testing.assert_allclose(cypool.lp_pool(x, 2, **case.window), np.sqrt(total), rtol=2 * EPS[dtype])
        # Along x itself a norm changes by itself: an identity that any wrong part breaks.
        if name.startswith("lp"):
            np.testing.assert_allclose(
                np.vdot(back.astype(float), x), np.vdot(g.astype(float), y), rtol=1e-4, atol=1e-4
            )


# -------------------------------------------------------------------------------------------------- numerics


def ulps(got, want, wide):
    """How far `got` is from the long double `wide`, in units in the last place of `want`."""
    return np.abs((got.astype(np.longdouble) - wide) / np.spacing(np.abs(want)).astype(np.longdouble))


def test_exponential_and_logarithm(level):
    """Within 2 ulp for every kind of double."""
    rng = seed("exponentials")
    ends = [
        0.0,
        -0.0,
        5e-324,
        1e-310,
        2.0**-1022,
        1.0,
        709.78,
        709.79,
        1.7e308,
        np.inf,
        np.nan,
        -745.13,
        -745.14,
        -1e308,
    ]
    spread = np.exp(rng.uniform(-745, 709, 50000))
    near = 1 + rng.uniform(-0.4, 0.5, 50000) * 10.0 ** -rng.integers(0, 16, 50000)
    x = np.concatenate([ends, [-np.inf, -1.0], spread, -spread, near, rng.uniform(-760, 720, 100000)])
    e, log = np.transpose([dispatch.kernels.windows.exponents(v) for v in x])
    with np.errstate(all="ignore"):
        for got, function in ((e, np.exp), (log, np.log)):
            wide = function(x.astype(np.longdouble))
            want = wide.astype(float)
            good = (got == want) | np.isnan(got) & np.isnan(want)
            assert np.all(good | (ulps(got, want, wide) <= 2))


@pytest.mark.parametrize("p", [1, 1.25, 2, 3, 4, 5, 100, 1e6, 1e300, math.inf])
@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e-5, 1e200, 1.7e308 / 40])
def test_nothing_overflows_or_vanishes(p, scale, level):
    x = seed(p, scale).uniform(0.01, 1, (30, 20)) * scale
    want = reference.lp_pool(x, p, (20,))
    got = cypool.lp_pool(x, p, (20,))
    assert_within(got, want, 32 * EPS["float64"] * want + 5e-324)
    want = reference.power_mean_pool(x, min(p, 1e300), (20,))
    assert_within(cypool.power_mean_pool(x, min(p, 1e300), (20,)), want, 32 * EPS["float64"] * want + 5e-324)
    g = cypool.lp_pool_grad(np.ones((30, 1)), x, got, p, (20,))
    assert np.isfinite(g).all()
    assert np.abs(g).max() <= 1 + 1e-9


@pytest.mark.parametrize("p", [1, 2, 2.5, 3, 4, 50])
@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-38, 1.0, 3.4e38 / 20])
def test_nothing_overflows_or_vanishes_in_float32(p, scale):
    x = (seed(p, scale).uniform(0, 1, (30, 16)) * scale).astype(np.float32)
    want = reference.lp_pool(x, p, (16,))
    assert_within(cypool.lp_pool(x, p, (16,)), want, 2.0**-23 * want.astype(float) + 1e-45)


def test_mixed_magnitudes():
    for small, large in ((1e-300, 1e300), (5e-324, 1.0), (1.0, 1e308)):
        x = np.array([small, large, small, 0, 0, 0])
        for p in (1, 1.5, 2, 3, 40):
            np.testing.assert_allclose(cypool.lp_pool(x, p, 3), [large, 0], rtol=1e-14)
            np.testing.assert_allclose(cypool.lp_pool(x[2:5], p, 3), [small], rtol=1e-14)


def test_sums_of_any_length_stay_accurate():
    x = seed("long").uniform(0.5, 1.5, 300_001)
    for p in (1, 2, 2.5):
        for window in ({"kernel_size": 300_001}, {"kernel_size": 100_000, "stride": 1, "dilation": 3}):
            want = float(
                (x[slice(None, None, window.get("dilation", 1))].astype(np.longdouble) ** p)[
                    : window["kernel_size"]
                ].sum()
            )
            got = cypool.lp_pool(x, p, **window)[0]
            assert abs(got - want ** (1 / p)) <= 32 * EPS["float64"] * got


def test_what_is_not_a_number_stays_in_its_windows():
    x = np.ones((4, 6))
    x[0, 1], x[1, 3], x[2, 5] = np.nan, np.inf, -np.inf
    bad = np.isnan(cypool.sum_pool(x, 2, 1))
    for name, (pool, _) in POOLS.items():
        y = pool(cypool, x, kernel_size=2, stride=1)
        assert_within(y, pool(reference, x, kernel_size=2, stride=1), 1e-13)
        assert np.array_equal(np.isnan(y), bad), name
    assert cypool.logsumexp_pool([-np.inf, -np.inf, -np.inf, 2.0], 2).tolist() == [-np.inf, 2]
    y = cypool.lp_pool(x, 2, 2, 1)
    g = cypool.lp_pool_grad(np.ones(y.shape), x, y, 2, 2, 1)
    assert np.isnan(g[0, 1])
    assert np.isfinite(g[3, :4]).all()


def test_a_negative_cell_has_no_power_mean():
    for p in (0.5, 1, 2, 3, 4, 2.5):
        y = cypool.power_mean_pool([-1.0, 2.0, 3.0, 3.0, 0.0, -0.0], p, 2)
        assert np.isnan(y[0])
        np.testing.assert_allclose(y[1:], [3, 0])
        g, dp = cypool.power_mean_pool_grad(np.ones(3), [1.0, 2.0, 3.0, 3.0, 0.0, -0.0], np.array([1.5, 3, 0]), p, 2)
        assert g[4:].tolist() == [0, 0]
        assert np.isfinite(dp)


def test_a_power_mean_of_exponent_1_is_an_average():
    for dtype in ("float32", "float64"):
        x = np.array([0, 2, 0, 0, 5, 1], dtype)
        g, _ = cypool.power_mean_pool_grad(np.ones(2, dtype), x, cypool.power_mean_pool(x, 1, 3), 1, 3)
        assert_same(g, np.full(6, 1 / 3, dtype))


def test_no_norm_no_gradient():
    x = np.array([0.0, -0.0, 2, -2, 0, 1])
    for p in EXPONENTS:
        y = cypool.lp_pool(x, p, 2)
        g = cypool.lp_pool_grad(np.ones(3), x, y, p, 2)
        assert not g[:2].any()
        assert g[2] == -g[3] > 0
        assert g[4] == 0
        np.testing.assert_allclose(g[5], 1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(2, 2, 1), (3, 2, 1), (3, 1, 1), (2, 3, 1), (2, 2, 2), (4, 3, 1)]
)
def test_gradients_where_cells_are_not_finite(dtype, kernel, stride, dilation):
    """Windows that have such a cell hand on NaN; where no window is, it stays 0."""
    rng = np.random.default_rng(seed("not finite"))
    for shape, axes in ((3, 5, 9), 2), ((2, 6, 10, 3), 2), ((300,), 1), ((7, 70), 2):
        axis = tuple(range(len(shape)))[-axes - (shape[-1] == 3) :][:axes]
        window = kernel, stride, 0, dilation
        x = (rng.standard_normal(shape) * 2.0 ** rng.integers(-4, 3, shape)).astype(dtype)
        x[rng.random(shape) < 0.1] = 0
        x[..., -1] = np.where(rng.random(shape[:-1]) < 0.5, np.inf, x[..., -1])
        x[..., -3] = np.where(rng.random(shape[:-1]) < 0.2, np.nan, x[..., -3])
        for p, pool in itertools.product((1.5, 2, 3, 4), ("lp_pool", "power_mean_pool")):
            cells = x if pool == "lp_pool" else np.abs(x)
            with np.errstate(all="ignore"):
                y = getattr(reference, pool)(cells, p, *window, axis=axis)
                g = rng.standard_normal(y.shape).astype(dtype)
                got, expected = (
                    getattr(module, f"{pool}_grad")(g, cells, y, p, *window, axis=axis)
                    for module in (cypool, reference)
                )
            got, expected = (a[0] if isinstance(a, tuple) else a for a in (got, expected))
            assert np.array_equal(np.isnan(got), np.isnan(expected)), (p, pool)
            assert not np.signbit(got[(cells == 0) & (got == 0)]).any()
            np.testing.assert_allclose(got, expected, 8 * EPS[dtype], 8 * EPS[dtype])


def test_weights_do_not_suffer_from_a_rounded_result():
    x = np.array([1e6, 1e6 + 0.5], np.float32)
    y = cypool.logsumexp_pool(x, 2)
    g = cypool.logsumexp_pool_grad(np.ones(1, np.float32), x, y, 2)
    np.testing.assert_allclose(g, [1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(-0.5))], rtol=1e-7)


# ------------------------------------------------------------------------------------------- differences, oracles


@by_id("case", FEW)
@ANY
def test_finite_differences(name, case):
    if name == "lp inf":
        return
    pool, gradient = POOLS[name]
    rng = seed(case.id, name)
    x, tangent = rng.uniform(0.5, 2, case.shape) * rng.choice([-1, 1], case.shape), rng.standard_normal(case.shape)
    if name.startswith("mean"):
        x = np.abs(x)
    y = pool(cypool, x, **case.window)
    g = rng.standard_normal(y.shape)
    step = 1e-5
    change = (pool(cypool, x + step * tangent, **case.window) - pool(cypool, x - step * tangent, **case.window)) / (
        2 * step
    )
    np.testing.assert_allclose(
        np.vdot(gradient(cypool, g, x, y, **case.window), tangent), np.vdot(g, change), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("p", [0.3, 1, 2, 3, 4.5])
def test_the_gradient_for_p(p):
    for case in FEW:
        x = np.abs(finite(case.shape, "float64"))
        x.flat[::3] = 0
        pool = functools.partial(cypool.power_mean_pool, x, **case.window)
        g = seed(case.id).standard_normal(pool(p).shape)
        change = np.vdot(g, pool(p + 1e-5) - pool(p - 1e-5)) / 2e-5
        _, dp = cypool.power_mean_pool_grad(g, x, pool(p), p, **case.window)
        _, same = reference.power_mean_pool_grad(g, x, pool(p), p, **case.window)
        np.testing.assert_allclose(dp, same, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(dp, change, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), ((3, 2), (1, 2)), (4, 5)])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 2.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch(kernel, stride, p, dtype):
    torch = pytest.importorskip("torch")
    x = np.abs(finite((2, 3, 13, 14), dtype)) + np.asarray(0.1, dtype)
    t = torch.from_numpy(x.copy()).requires_grad_()
    want = torch.nn.functional.lp_pool2d(t, p, kernel, stride)
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    y = cypool.lp_pool(x, p, kernel, stride)
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-12, "atol": 1e-6 if dtype == "float32" else 1e-12}
    np.testing.assert_allclose(y, want.detach().numpy(), **tolerance)
    g = seed(kernel, p).standard_normal(y.shape).astype(dtype)
    want.backward(torch.from_numpy(g))
    np.testing.assert_allclose(
        cypool.lp_pool_grad(g, x, y, p, kernel, stride),
        t.grad.numpy(),
        rtol=1e-4 if dtype == "float32" else 1e-10,
        atol=tolerance["atol"],
    )
    rows = torch.nn.functional.unfold(torch.from_numpy(x).double(), kernel, stride=stride).reshape(
        2, 3, -1, *y.shape[2:]
    )
    want = torch.logsumexp(rows, 2).numpy()
    np.testing.assert_allclose(cypool.logsumexp_pool(x, kernel, stride), want, **tolerance)


def test_scipy():
    special = pytest.importorskip("scipy.special")
    x = seed("scipy").standard_normal((7, 40)) * 100
    assert_within(cypool.logsumexp_pool(x, (40,)), special.logsumexp(x, axis=1, keepdims=True), 1e-12)
    g = cypool.logsumexp_pool_grad(np.ones((7, 1)), x, np.ones((7, 1)), (40,))
    assert_within(g, special.softmax(x, axis=1), 1e-15)


# ------------------------------------------------------------------------------------------------- global


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 7), (2, 3, 7, 7), (2, 3, 4, 5, 6), (2, 7, 7, 64)])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, -1)])
def test_global(shape, axis, level):
    if axis == (0, -1) and len(shape) == 1:
        axis = (0,)
    x = finite(shape, "float32")
    for p, keepdims in itertools.product((2, 3.5), (True, False)):
        want = reference.global_lp_pool(x, p, axis=axis, keepdims=keepdims)
        got = cypool.global_lp_pool(x, p, axis=axis, keepdims=keepdims)
        assert_within(got, want, bound("lp", x, want))
        out = np.empty(want.shape, np.float32)
        assert cypool.global_lp_pool(x, p, axis=axis, keepdims=keepdims, out=out) is out
        assert_same(out, got)
    assert_same(cypool.global_lp_pool(x, axis=axis), cypool.global_lp_pool(x, 2, axis=axis))


# ------------------------------------------------------------------------------------------------- arguments

X = np.abs(finite((9, 10), "float32"))
Y = np.ones((4, 5), np.float32)
CALLS = {
    "lp_pool": lambda x=X, **more: cypool.lp_pool(x, 2, **{"kernel_size": 2} | more),
    "power_mean_pool": lambda x=X, **more: cypool.power_mean_pool(x, 2, **{"kernel_size": 2} | more),
    "logsumexp_pool": lambda x=X, **more: cypool.logsumexp_pool(x, **{"kernel_size": 2} | more),
    "lp_pool_grad": lambda x=X, g=Y, y=Y, **more: cypool.lp_pool_grad(g, x, y, 2, **{"kernel_size": 2} | more),
    "power_mean_pool_grad": lambda x=X, g=Y, y=Y, **more: cypool.power_mean_pool_grad(
        g, x, y, 2, **{"kernel_size": 2} | more
    ),
    "logsumexp_pool_grad": lambda x=X, g=Y, y=Y, **more: cypool.logsumexp_pool_grad(
        g, x, y, **{"kernel_size": 2} | more
    ),
}
EVERY = pytest.mark.parametrize("name", CALLS)
GRADIENTS = pytest.mark.parametrize("name", [name for name in CALLS if name.endswith("grad")])


@EVERY
def test_wrong_windows(name):
    for wrong, value in WRONG:
        refuses(CALLS[name], **{"kernel_size": (2, 3), wrong: value}, name=wrong, value=value)


@pytest.mark.parametrize("value", ["2", None, True, 2j, [2], object])
def test_exponents_that_are_no_numbers(value):
    for call, name in (
        (lambda: cypool.lp_pool(X, value, 2), "norm_type"),
        (lambda: cypool.lp_pool_grad(Y, X, Y, value, 2), "norm_type"),
        (lambda: cypool.global_lp_pool(X, value), "norm_type"),
        (lambda: cypool.power_mean_pool(X, value, 2), "p"),
        (lambda: cypool.power_mean_pool_grad(Y, X, Y, value, 2), "p"),
        (lambda: cypool.logsumexp_pool(X, 2, temperature=value), "temperature"),
        (lambda: cypool.logsumexp_pool_grad(Y, X, Y, 2, temperature=value), "temperature"),
    ):
        assert isinstance(refuses(call, name=name, value=value), TypeError)


@pytest.mark.parametrize("value", [0, -1, -math.inf, math.nan, np.float32(-2), 10**400])
def test_exponents_out_of_range(value):
    refuses(cypool.lp_pool, X, value, 2, name="norm_type", value=value)
    refuses(cypool.power_mean_pool, X, value, 2, name="p", value=value)
    refuses(cypool.logsumexp_pool, X, 2, temperature=value, name="temperature", value=value)
    refuses(cypool.lp_pool, X, 0.99, 2, name="norm_type", value=0.99)
    refuses(cypool.power_mean_pool, X, math.inf, 2, name="p", value=math.inf)


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.int8(2), np.uint64(2)])
def test_exponents_of_any_type(number):
    assert_same(cypool.lp_pool(X, number, 2), cypool.lp_pool(X, 2, 2))


@EVERY
def test_arrays_that_are_refused(name):
    for kind, x in NOT_ARRAYS.items():
        with pytest.raises(TypeError, match=r"^x has dtype"):
            CALLS[name](x)
        assert kind
    for dtype in ("complex64", "M8[s]", "m8[s]"):
        with pytest.raises(TypeError, match=rf"^x has dtype {np.dtype(dtype).name.split('[')[0]}.* real numbers"):
            CALLS[name](np.zeros((9, 10), dtype))
    with pytest.raises(TypeError, match=r"^x is a masked array"):
        CALLS[name](np.ma.masked_less(X, 1))


@GRADIENTS
def test_arrays_that_do_not_fit(name):
    for argument, word in (("g", "grad"), ("y", "y")):
        error = refuses(CALLS[name], **{argument: Y[:3]}, name=word, value=(3, 5))
        assert "(4, 5)" in str(error)
        with pytest.raises(TypeError, match=rf"^{word} is a masked array"):
            CALLS[name](**{argument: np.ma.masked_less(Y, 1)})
        with pytest.raises(TypeError, match=rf"^{word} has dtype complex64"):
            CALLS[name](**{argument: Y.astype("c8")})
    with pytest.raises(TypeError, match=r"^grad must have a floating dtype, got int32"):
        CALLS[name](g=Y.astype("i4"))


@EVERY
def test_out(name):
    call = CALLS[name]
    first = (lambda result: result[0]) if name == "power_mean_pool_grad" else (lambda result: result)
    want = first(call())
    places = {
        "C": np.empty(want.shape, want.dtype),
        "F": np.empty(want.shape, want.dtype, "F"),
        "stepped": np.empty([3 * n for n in want.shape], want.dtype)[::3, ::-3],
        "misaligned": np.empty(want.shape, [("a", "u1"), ("b", want.dtype)])["b"],
    }
    for place in places.values():
        assert first(call(out=place)) is place
        assert_same(np.array(place), want)
    if name.endswith("grad"):
        x = X.copy()
        assert_same(first(call(x, out=x)), want)
    for wrong in (want.tolist(), want[:2].copy(), want.astype("f8"), np.ma.masked_less(want, 0)):
        with pytest.raises((TypeError, ValueError), match=r"^out must"):
            call(out=wrong)
    kept = np.full(want.shape, 7, want.dtype)
    refuses(call, out=kept, stride=0, name="stride", value=0)
    assert (kept == 7).all()


@EVERY
def test_num_threads_and_empty_batches(name):
    refuses(CALLS[name], num_threads=0, name="num_threads", value=0)
    empty = np.zeros((0, 4), np.float32)
    more = {"g": empty[:, :2], "y": empty[:, :2]} if name.endswith("grad") else {}
    result = CALLS[name](empty, **more, kernel_size=(2,))
    if name == "power_mean_pool_grad":
        result, dp = result
        assert dp == 0
    assert result.shape == ((0, 4) if more else (0, 2))


def test_kept_flags_of_global_lp_pool():
    refuses(cypool.global_lp_pool, X, keepdims=2, name="keepdims", value=2)
    refuses(cypool.global_lp_pool, X, axis=2, name="axis", value=2)
    with pytest.raises(ValueError, match="axis 0 of size 0"):
        cypool.global_lp_pool(np.zeros((0, 3)), axis=0)
    with pytest.raises(TypeError, match="out must be an ndarray"):
        cypool.global_lp_pool(X, out=3.0)
    with pytest.raises(ValueError, match=r"out must have 1 axes without keepdims, got shape \(3, 1\)"):
        cypool.global_lp_pool(np.zeros((3, 4)), axis=1, keepdims=False, out=np.zeros((3, 1)))


@pytest.mark.parametrize(("kernel", "padding", "dilation"), [(2**40, 2**39, 1), (3, 2**31, 2**31), (2**61, 2**60, 1)])
def test_lengths_far_beyond_the_array(kernel, padding, dilation):
    x = np.full((6, 5), 2.0)
    cells = 30 if dilation == 1 else 1
    for stride in (kernel, None):
        y = cypool.lp_pool(x, 2, kernel, stride, padding, dilation)
        np.testing.assert_allclose(y.max(), 2 * math.sqrt(cells))
        g = cypool.lp_pool_grad(np.ones(y.shape), x, y, 2, kernel, stride, padding, dilation)
        assert np.isfinite(g).all()
