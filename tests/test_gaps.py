"""nan_policy, where, min_count and fill_value against the specification, and what they refuse."""

import functools
import itertools

import numpy as np
import pytest
from cases import CASES, DTYPES, FEW, LAYOUTS, LEVELS, ORDERED, SUMMABLE, WH, Case, dtype_of, finite, ordered, seed
from compare import assert_same, assert_within, sum_bound
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_pool import by_id, pools, running

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")
NAN = np.nan


def some(case, dtype, share=0.3):
    """Numbers to add up, some of them NaN where the dtype has it; NaN of complex numbers in either part."""
    x = finite(case.shape, dtype)
    rng = seed(case.id, dtype, "gaps")
    if x.dtype.kind in "biu":
        return x
    absent = rng.random(case.shape) < share
    if x.dtype.kind == "c":
        x.real[absent & (rng.random(case.shape) < 0.5)] = NAN
        x.imag[absent] = NAN
        return x
    return np.where(absent, np.array(NAN).astype(x.dtype), x)


def masks(case):
    """A mask of every cell, one of every row, one of the last axis."""
    rng = seed(case.id, "mask")
    yield rng.random(case.shape) < 0.5
    yield rng.random((*case.shape[:-1], 1)) < 0.7
    yield rng.random(case.shape[-1:]) < 0.3


def ways(case):
    """Combinations of the arguments."""
    cells, rows, columns = masks(case)
    yield {"nan_policy": "omit"}
    yield {"where": cells}
    yield {"where": rows, "nan_policy": "omit", "min_count": 0}
    yield {"where": columns, "nan_policy": "omit", "min_count": 2, "fill_value": 1}
    yield {"min_count": 3}
    yield {"where": np.False_}


def completed(way, dtype):
    """With a fill_value where a dtype without NaN needs one, and of the dtype for times."""
    if dtype.kind in "biu":
        return {"fill_value": 1} | way
    if dtype.kind in "mM" and "fill_value" in way:
        return way | {"fill_value": np.array(1).astype(dtype)}
    return way


@functools.cache
def wanted_extremes(case, dtype, layout, which):
    x = LAYOUTS[layout](ordered(case.shape, dtype))
    wanted = []
    for way, name in itertools.product(list(ways(case))[:which], ("max_pool", "min_pool")):
        way = completed(way, x.dtype)
        judge = functools.partial(getattr(reference, name), np.array(x), **case.window, **way)
        y, flat = judge(return_indices=True)
        wanted.append((name, way, y, flat, judge(return_indices="window")[1]))
    return x, wanted


def check_extremes(case, x_and_wanted, threads=(1, 3)):
    x, wanted = x_and_wanted
    for name, way, y, flat, window in wanted:
        for n in threads:
            pool = functools.partial(getattr(cypool, name), x, **case.window, **way, num_threads=n)
            assert_same(pool(), y)
            for kind, indices in ((True, flat), ("window", window)):
                got, got_indices = pool(return_indices=kind)
                assert_same(got, y)
                assert_same(got_indices, indices)


def asked_sums(dtype):
    """What to ask for: function and options."""
    yield "sum_pool", {}
    yield "avg_pool", {}
    yield "avg_pool", {"count_include_pad": False}
    yield "avg_pool", {"divisor_override": 3}
    if dtype.kind in "iu":
        yield "avg_pool", {"dtype": dtype}
        yield "avg_pool", {"dtype": dtype, "divisor_override": 5}


@functools.cache
def wanted_sums(case, dtype, layout, which):
    x = LAYOUTS[layout](some(case, dtype))
    number = np.abs(np.array(x).astype(np.complex128 if x.dtype.kind == "c" else np.float64))
    number[~np.isfinite(number)] = 0
    wanted = []
    for way, (name, options) in itertools.product(list(ways(case))[:which], asked_sums(x.dtype)):
        result = options.get("dtype") or getattr(cypool, name)(np.ones(1, x.dtype), 1, **options).dtype
        way = completed(way, result)
        y = getattr(reference, name)(np.array(x), **case.window, **options, **way)
        bound = None
        if y.dtype.kind not in "biu":
            bound = sum_bound(number, y.dtype, case.window, divisor_override=1)
        wanted.append((name, options | way, y, bound))
    return x, wanted


def check_sums(case, x_and_wanted, threads=(1, 3)):
    x, wanted = x_and_wanted
    for name, options, y, bound in wanted:
        results = [getattr(cypool, name)(x, **case.window, **options, num_threads=n) for n in threads]
        if bound is None:
            assert_same(results[0], y)
        else:
            assert_within(results[0], y, bound)
        for other in results[1:]:
            assert_same(other, results[0])


# ------------------------------------------------------------------------------- cases x dtypes x layouts x levels


@by_id("case", CASES)
def test_every_case(case, level):
    check_extremes(case, wanted_extremes(case, "float32", "C", 2), (2,))
    check_sums(case, wanted_sums(case, "float32", "C", 2), (2,))


@by_id("case", FEW)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(case, dtype, level):
    if dtype in ORDERED:
        check_extremes(case, wanted_extremes(case, dtype, "C", 6))
    if dtype in SUMMABLE:
        check_sums(case, wanted_sums(case, dtype, "C", 6))


@by_id("case", FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "complex64", "timedelta64[ns]"])
def test_layouts(case, dtype, layout, level):
    if dtype in ORDERED:
        check_extremes(case, wanted_extremes(case, dtype, layout, 3), (2,))
    if dtype in SUMMABLE:
        check_sums(case, wanted_sums(case, dtype, layout, 3), (2,))


@by_id("case", FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_where(case, layout, level):
    """A mask of another layout is the same mask."""
    where, x = next(masks(case)), some(case, "float32")
    for name in ("max_pool", "sum_pool"):
        pool = functools.partial(getattr(cypool, name), x, **case.window)
        mask = LAYOUTS[layout](where)
        assert_same(pool(where=mask), pool(where=np.array(mask)))


LARGE = (
    Case((300_000,), (70_001,), (10_007,)),
    Case((40, 50, 60), 40, 1),
    Case((2, 500, 40), (100, 1), (7, 1)),
    Case((2, 40, 500), (1, 100), (1, 7)),
    Case((3, 30, 31, 16), 3, 2, 1, axis=WH),
    Case((1, 200, 300), (31, 31), 1, 15),
    Case((2100, 3), (2053,), 1, axis=0),
    Case((3, 70, 2100), (67, 2), 1, 1),
    Case((5, 4000), (3,), 2, 1),
)


@by_id("case", LARGE)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "complex64"])
def test_large(case, dtype, level):
    """Against NumPy's own reductions: pools of the cells there are, and of how many they are."""
    x = some(case, dtype)
    where = seed(case.id, "where").random(case.shape) < 0.6
    there = where & ~np.isnan(x)
    count = cypool.sum_pool(there, **case.window)
    whole = np.where(there, x, np.zeros((), x.dtype))
    way = {"nan_policy": "omit", "where": where, "min_count": 2, "fill_value": 7}
    want = np.where(count >= 2, cypool.sum_pool(whole, **case.window), 7)
    size = cypool.sum_pool(np.abs(whole).astype(np.float64), **case.window)
    for n in (1, 2):
        got = cypool.sum_pool(x, **case.window, **way, num_threads=n)
        if got.dtype.kind == "u":
            assert_same(got, want.astype(got.dtype))
        else:
            kernel = case.kernel_size
            n_cells = kernel ** len(case.shape) if isinstance(kernel, int) else np.prod(kernel)
            bound = 2 * (np.log2(n_cells) + 3) * float(np.finfo(dtype).eps) * size
            assert_within(got, want.astype(got.dtype), bound)
        if dtype != "complex64":
            low = np.array(0 if dtype == "uint8" else -np.inf, dtype)
            y, flat = cypool.max_pool(np.where(there, x, low), **case.window, return_indices=True)
            got, indices = cypool.max_pool(x, **case.window, **way, return_indices=True, num_threads=n)
            assert_same(got, np.where(count >= 2, y, np.array(7, dtype)))
            assert np.all((indices == -1) == (count < 2))
            if dtype != "uint8":
                assert_same(indices, np.where(count >= 2, flat, -1))


@given(
    case=pools(),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(sorted(LAYOUTS)),
    level=st.sampled_from(LEVELS),
)
@settings(max_examples=100)  # an example takes the reference a sixth of a second
def test_any_gaps(case, dtype, layout, level):
    try:
        assume(np.prod(reference.output_shape(case.shape, **case.window)) < 500)
    except ValueError:
        assume(False)
    with running(level):
        if dtype in ORDERED:
            check_extremes(case, wanted_extremes(case, dtype, layout, 6))
        if dtype in SUMMABLE:
            check_sums(case, wanted_sums(case, dtype, layout, 6))


# ------------------------------------------------------------------------------------------------------ by hand


def test_values():
    x = np.array([1, NAN, NAN, NAN, 4, 2])
    assert_same(cypool.max_pool(x, 2, nan_policy="omit"), np.array([1, NAN, 4]))
    assert_same(cypool.avg_pool(x, 2, nan_policy="omit"), np.array([1, NAN, 3]))
    assert_same(cypool.sum_pool(x, 2, nan_policy="omit", min_count=0), np.array([1.0, 0, 6]))
    assert_same(cypool.sum_pool(x, 2, nan_policy="omit", min_count=2), np.array([NAN, NAN, 6]))
    assert_same(cypool.sum_pool(x, 2, nan_policy="omit", min_count=2, fill_value=-1), np.array([-1.0, -1, 6]))
    # Padding that counts is made of zeros, with or without NaN beside it.
    assert_same(cypool.avg_pool([1, NAN], 3, 1, 1, nan_policy="omit"), np.array([0.5, 0.5]))
    assert_same(cypool.avg_pool([1, NAN], 3, 1, "same", nan_policy="omit"), np.array([1.0, 1.0]))


def test_where_true_is_no_mask():
    x = np.arange(6)
    assert_same(cypool.max_pool(x, 2, where=True), cypool.max_pool(x, 2))
    assert_same(cypool.max_pool(x, 2, nan_policy="omit"), cypool.max_pool(x, 2))
    assert_same(cypool.max_pool(x, 2, nan_policy="raise", min_count=0), cypool.max_pool(x, 2))


def test_nan_in_cells_that_are_there_still_wins():
    x = np.array([1, NAN, 3, NAN])
    assert_same(cypool.max_pool(x, 2, where=[True, False, True, True]), np.array([1, NAN]))


def test_bytes_that_mean_true():
    """A boolean array seen through a view may hold any byte."""
    where = np.array([0, 255, 2, 0, 1, 128], np.uint8).view(bool)
    assert_same(cypool.sum_pool(np.ones(6, int), 3, where=where, fill_value=0), np.array([2, 2]))


def test_out(level):
    x = some(FEW[2], "float32")
    want = cypool.avg_pool(x, **FEW[2].window, nan_policy="omit")
    out = np.empty(want.shape, np.float32)
    assert cypool.avg_pool(x, **FEW[2].window, nan_policy="omit", out=out) is out
    assert_same(out, want)
    out = np.asfortranarray(np.zeros_like(want))
    assert cypool.avg_pool(x, **FEW[2].window, nan_policy="omit", out=out) is out
    assert_same(np.ascontiguousarray(out), want)
    where = np.random.default_rng(0).random(30) < 0.5
    want = cypool.max_pool(np.arange(30) % 2 == 0, 3, 1, 1, where=where.copy(), fill_value=False)
    assert_same(cypool.max_pool(np.arange(30) % 2 == 0, 3, 1, 1, where=where, fill_value=False, out=where), want)


# ------------------------------------------------------------------------------------------------------ refusals

X = np.arange(20.0).reshape(4, 5)
POOLS = [cypool.max_pool, cypool.min_pool, cypool.avg_pool, cypool.sum_pool]


@pytest.mark.parametrize("pool", POOLS)
def test_refused_arguments(pool):
    for where in (1, [0, 1, 0, 1, 0], np.ones((4, 5)), "yes"):
        with pytest.raises(TypeError, match="where must be a boolean array"):
            pool(X, 2, where=where)
    for shape in ((3,), (5, 4), (2, 4, 5)):
        with pytest.raises(ValueError, match="where must broadcast to the shape of x"):
            pool(X, 2, where=np.ones(shape, bool))
    for policy in ("ignore", None, True, b"omit", np.array(["omit", "omit"])):
        with pytest.raises(ValueError, match="nan_policy must be 'propagate', 'omit' or 'raise'"):
            pool(X, 2, nan_policy=policy)
    for count in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="min_count must be an integer"):
            pool(X, 2, min_count=count)
    with pytest.raises(ValueError, match="min_count must be at least 0, got -1"):
        pool(X, 2, min_count=-1)
    for value in ("x", [1, 2], np.zeros(1), object()):
        with pytest.raises(ValueError, match="fill_value must be one number that dtype float64 can hold"):
            pool(X, 2, fill_value=value)


def test_integers_need_a_fill_value():
    x = np.arange(6, dtype=np.uint8)
    for more in ({"where": x > 2}, {"min_count": 2}):
        with pytest.raises(ValueError, match="fill_value must be given for a result of dtype uint8"):
            cypool.max_pool(x, 2, **more)
        with pytest.raises(ValueError, match="fill_value must be given for a result of dtype int16"):
            cypool.avg_pool(x, 2, dtype=np.int16, **more)
        assert cypool.avg_pool(x, 2, **more).dtype == np.float64
    for value in (-1, 256, 0.5, NAN, 1j):
        with pytest.raises(ValueError, match="fill_value must be one number that dtype uint8 can hold"):
            cypool.max_pool(x, 2, where=x > 2, fill_value=value)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "datetime64[s]"])
def test_raise(pool, dtype, level):
    takes = ORDERED if pool in POOLS[:2] else SUMMABLE
    if dtype not in takes:
        return
    x = np.ones((70, 300, 20), int).astype(dtype_of(dtype))
    want = pool(x, 2, nan_policy="raise")
    assert_same(want, pool(x, 2))
    nan = np.array("NaT" if x.dtype.kind == "M" else NAN).astype(x.dtype)
    x[60, 299, 3] = x[69, 0, 0] = nan
    out = want.copy()
    for threads in (1, 2):
        with pytest.raises(ValueError, match=r"x has a NaN at \(60, 299, 3\), which nan_policy='raise' refuses"):
            pool(x, 2, nan_policy="raise", out=out, num_threads=threads)
    assert_same(out, want)
    x[60, 299, 3] = x[0, 0, 0]
    with pytest.raises(ValueError, match=r"x has a NaN at \(69, 0, 0\)"):
        pool(x, 2, nan_policy="raise", where=np.True_)
    pool(x, 2, nan_policy="raise", where=~np.isnan(x))
    pool(x, (69, 300, 20), nan_policy="raise")  # no window reaches it
    if pool in POOLS[:2]:
        y, indices = pool(x[:4], 2, nan_policy="raise", return_indices=True)
        assert_same(y, pool(x[:4], 2))
        assert indices.dtype == np.int64


def test_raise_lets_a_sum_be_nan():
    x = np.array([np.inf, -np.inf, 1, 2])
    assert_same(cypool.sum_pool(x, 2, nan_policy="raise"), np.array([NAN, 3]))


@pytest.mark.parametrize("window", [(3, 5, 0, 1), (2, 3, 1, 2), (3, 7, 2, 4), (2, 1, 0, 9), (4, 6, 3, 3), (1, 4, 0, 1)])
def test_raise_looks_where_windows_look(window):
    kernel_size, stride, padding, dilation = window
    for at in range(23):
        x = np.zeros(23)
        x[at] = NAN
        touched = np.isnan(cypool.max_pool(x, kernel_size, stride, padding, dilation)).any()
        if touched:
            with pytest.raises(ValueError, match=rf"NaN at \({at},\)"):
                cypool.max_pool(x, kernel_size, stride, padding, dilation, nan_policy="raise", where=np.True_)
        else:
            cypool.max_pool(x, kernel_size, stride, padding, dilation, nan_policy="raise", where=np.True_)
