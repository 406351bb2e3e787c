"""The public functions against the specification, at every level and on 1 to 4 threads."""

import contextlib
import functools
import itertools

import numpy as np
import numpy_oracle
import pytest
from cases import (
    CASES,
    DTYPES,
    FEW,
    FLOATS,
    INTEGERS,
    LAYOUTS,
    LEVELS,
    ORDERED,
    SUMMABLE,
    THREADS,
    WH,
    Case,
    dtype_of,
    finite,
    ordered,
    seed,
)
from compare import assert_same, assert_same_numbers, assert_within, sum_bound
from hypothesis import assume, example, given
from hypothesis import strategies as st

import cypool
from cypool import calls, dispatch, reference
from cypool.plan import MAX, SUM

pytestmark = pytest.mark.usefixtures("eager_threads")
by_id = functools.partial(pytest.mark.parametrize, ids=lambda c: c.id)
AVERAGES = ({}, {"count_include_pad": True}, {"count_include_pad": False}, {"divisor_override": 3})


@contextlib.contextmanager
def running(level):
    """The public functions run on this level, for where the fixture cannot be used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "kernels", dispatch.load(level))
        yield


# What the specification says, once for all levels and thread counts. A layout is an array of its own.


def wanted_extremes(name, x, case):
    y, flat = getattr(reference, name)(x, **case.window, return_indices=True)
    return y, flat, getattr(reference, name)(x, **case.window, return_indices="window")[1]


def wanted_sums(name, x, case, options):
    """The specified result and how far from it a result may be; 0 for integers."""
    y = getattr(reference, name)(x, **case.window, **options)
    if y.dtype.kind in "iu":
        return y, None
    divisor = {"divisor_override": 1} if name == "sum_pool" else {k: v for k, v in options.items() if k != "dtype"}
    finite_x = np.where(np.isfinite(x), x, 0)
    if name == "avg_pool" and not divisor:
        divisor = {"count_include_pad": None}
    return y, sum_bound(finite_x, y.dtype, case.window, **divisor)


def check_extremes(x, case, wanted, threads=THREADS):
    """max_pool and min_pool, without and with both kinds of indices."""
    for name in ("max_pool", "min_pool"):
        pool, (y, flat, window) = getattr(cypool, name), wanted[name]
        for n in threads:
            assert_same(pool(x, **case.window, num_threads=n), y)
            for kind, indices in ((True, flat), ("window", window)):
                got, got_indices = pool(x, **case.window, return_indices=kind, num_threads=n)
                assert_same(got, y)
                assert_same(got_indices, indices)


def check_sums(x, case, wanted, threads=THREADS):
    """sum_pool and avg_pool with the options in `wanted`, within the bound and the same for any threads."""
    for (name, options), (y, bound) in wanted.items():
        results = [getattr(cypool, name)(x, **case.window, **dict(options), num_threads=n) for n in threads]
        if bound is None:
            assert_same(results[0], y)
        else:
            assert_within(results[0], y, bound)
        for result in results[1:]:
            assert_same(result, results[0])


def check_levels(case, dtype):
    """All levels and thread counts come to the same, to the last bit."""
    for name in ("max_pool", "min_pool", "sum_pool", "avg_pool", "lp_pool"):
        x = zeros(case, name).astype(dtype) if name in ("max_pool", "min_pool") else finite(case.shape, dtype)
        more = {"norm_type": 2} if name == "lp_pool" else {}
        results = []
        for level, n in itertools.product(LEVELS, (1, 2)):
            with running(level):
                results.append(getattr(cypool, name)(x, **more, **case.window, num_threads=n))
        for result in results:
            assert_same(result, results[0])


@functools.cache
def extremes_of(case, dtype, layout="C"):
    x = LAYOUTS[layout](ordered(case.shape, dtype))
    return x, {name: wanted_extremes(name, np.array(x), case) for name in ("max_pool", "min_pool")}


@functools.cache
def sums_of(case, dtype, layout="C", averages=4):
    x = LAYOUTS[layout](finite(case.shape, dtype))
    asked = [("sum_pool", {}), *(("avg_pool", options) for options in AVERAGES[:averages])]
    return x, {(name, tuple(o.items())): wanted_sums(name, np.array(x), case, o) for name, o in asked}


# -------------------------------------------------------------------- cases x dtypes x layouts x levels


@by_id("case", CASES)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_max_and_min(case, dtype, level):
    x, wanted = extremes_of(case, dtype)
    before = x.copy()
    check_extremes(x, case, wanted)
    assert_same(x, before)


@functools.cache
def rows_of(dtype, shape, axis, stride):
    """Of windows of few cells, with rows of about as many of them as a vector has lanes: case, array, what is wanted."""
    rows = []
    for (kernel, dilation), windows in itertools.product(
        ((1, 1), (2, 1), (3, 1), (4, 1), (2, 2)), (1, 2, 3, 4, 5, 8, 9, 16, 17, 33)
    ):
        padding = (1, kernel * dilation // 2)
        width = max((windows - 1) * stride + (kernel - 1) * dilation + 1 - padding[1], kernel * dilation)
        case = Case(tuple(n or width for n in shape), (2, kernel), stride, padding, (1, dilation), axis=axis)
        x = ordered(case.shape, dtype)
        rows.append((case, x, {name: wanted_extremes(name, x, case) for name in ("max_pool", "min_pool")}))
    return rows


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "int64"])
@pytest.mark.parametrize(("shape", "axis"), [((2, 5, None), WH), ((5, None, 9), (0, 1))], ids=["rows", "lanes"])
def test_indices_of_rows_about_as_long_as_vectors(shape, axis, dtype, stride, level):
    for case, x, wanted in rows_of(dtype, shape, axis, stride):
        for layout in ("C", "F"):
            check_extremes(LAYOUTS[layout](x), case, wanted, threads=(1,))


@by_id("case", CASES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_sum_and_avg(case, dtype, level):
    x, wanted = sums_of(case, dtype)
    before = x.copy()
    check_sums(x, case, wanted)
    assert_same(x, before)


@by_id("case", CASES)
def test_output_shape(case):
    assert cypool.output_shape(case.shape, **case.window) == reference.output_shape(case.shape, **case.window)


@by_id("case", FEW)
@pytest.mark.parametrize("dtype", ORDERED)
def test_max_and_min_of_every_dtype(case, dtype, level):
    x, wanted = extremes_of(case, dtype)
    check_extremes(x, case, wanted, threads=(1, 2))


@by_id("case", FEW)
@pytest.mark.parametrize("dtype", SUMMABLE)
def test_sum_and_avg_of_every_dtype(case, dtype, level):
    x, wanted = sums_of(case, dtype)
    check_sums(x, case, wanted, threads=(1, 2))


@by_id("case", FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64", *FLOATS, "complex64", "datetime64[s]"])
def test_layouts(case, dtype, layout, level):
    if dtype in ORDERED:
        x, wanted = extremes_of(case, dtype, layout)
        before = np.array(x)
        check_extremes(x, case, wanted, threads=(2,))
        assert_same(np.array(x), before)
        assert not np.may_share_memory(cypool.max_pool(x, **case.window), x)
    if dtype in SUMMABLE:
        x, wanted = sums_of(case, dtype, layout, averages=1)
        before = np.array(x)
        check_sums(x, case, wanted, threads=(2,))
        assert_same(np.array(x), before)


# ------------------------------------------------------------------------------------ results and dtypes


@pytest.mark.parametrize("dtype", INTEGERS)
@by_id("case", FEW)
def test_sums_of_integers_in_another_dtype(case, dtype, level):
    """They wrap around as numpy.sum does with the same dtype."""
    x = finite(case.shape, dtype)
    for asked in INTEGERS[1:]:
        want = reference.sum_pool(x, **case.window, dtype=asked)
        assert_same(cypool.sum_pool(x, **case.window, dtype=asked), want)


@pytest.mark.parametrize("name", ["sum_pool", "avg_pool"])
@pytest.mark.parametrize("dtype", ["int16", "uint64", "float32", "complex128"])
def test_a_dtype_of_the_other_byte_order(name, dtype):
    """The result is in the machine's order, as without a dtype."""
    x = np.arange(6).astype(np.dtype(dtype).newbyteorder())
    want = getattr(cypool, name)(x.astype(dtype), 2, dtype=dtype)
    assert_same(getattr(cypool, name)(x, 2, dtype=x.dtype), want)


@pytest.mark.parametrize("dtype", INTEGERS)
@by_id("case", FEW)
def test_exact_means_of_integers(case, dtype, level):
    """Rounded half to even; a mean fits wherever its cells fit, so none may be lost on the way."""
    for x in (finite(case.shape, dtype), ordered(case.shape, dtype)):
        for options in AVERAGES[:3]:
            want = reference.avg_pool(x, **case.window, **options, dtype="uint64" if dtype == "uint64" else "int64")
            for to in INTEGERS[1:]:
                if np.can_cast(dtype, to):
                    assert_same(cypool.avg_pool(x, **case.window, **options, dtype=to), want.astype(to))


# Rows about as long as vectors, lanes of pixels and of planes, one to twelve rows of cells in a window.
PYRAMIDS = (
    *(Case((4, n), 2) for n in (2, 5, 8, 17, 32, 67, 130)),
    *(Case((4, n, lanes), 2, axis=(0, 1)) for n in (2, 11, 70) for lanes in (2, 3, 4, 7, 8)),
    Case((4, 6, 40), 2, axis=(0, 1)),
    Case((5, 9, 41), 2),
    Case((9, 33), (4,), (3,), axis=(0,)),
    Case((9, 66), (8, 2), (5, 2)),
    Case((3, 150), (2,), ceil_mode=True),
    Case((2, 300, 3), (2,), axis=(1,)),
    Case((5, 20), 2, 2, ((1, 0), (0, 0))),
    Case((5, 21), 2, 2, 1),
)


@by_id("case", PYRAMIDS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_means_of_image_pyramids(case, dtype, level):
    info = np.iinfo(dtype)
    rng = seed(case.id, dtype)
    for x in (
        rng.integers(info.min, info.max, case.shape, dtype, endpoint=True),
        rng.choice(np.array([info.min, info.min + 1, info.max - 1, info.max], dtype), case.shape),
        rng.integers(0, 3, case.shape, dtype),
    ):
        for override in (None, 2, 32):
            options = {"dtype": dtype, "divisor_override": override}
            want = reference.avg_pool(x, **case.window, **options)
            for order, n in zip("CF", (1, 2), strict=True):
                got = cypool.avg_pool(np.array(x, order=order), **case.window, **options, num_threads=n)
                assert_same(np.ascontiguousarray(got), want)


# Rows of some hundred lanes, of which windows overlap: one cell along or many, few columns and many, pixels and planes.
ROLLING = (
    Case((4, 300), 3, 1, 1),
    Case((2, 4, 70, 4), (3, 5), 1, (1, 2), axis=(1, 2)),
    Case((11, 310), (8, 2), 1),
    Case((15, 260), (17, 16), 1, (3, 8)),
    Case((4, 100, 3), (3, 33), 1, (1, 16), axis=(0, 1)),
    Case((37, 40, 8), (35, 9), 1, axis=(0, 1)),
    Case((2, 600), (7,), 1, 3),
    Case((3, 200, 2), (40,), 1, 0, axis=(1,)),
    Case((30, 260), (33,), 1, 16, axis=(0,)),
    Case((3, 280), (4, 4), 1, 2, ceil_mode=True),
    Case((4, 20, 20), (3, 3), 1, 1, axis=(0, 1)),
)


@by_id("case", ROLLING)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_means_by_running_sums(case, dtype, level):
    info = np.iinfo(dtype)
    rng = seed(case.id, dtype)
    for x in (
        rng.integers(info.min, info.max, case.shape, dtype, endpoint=True),
        rng.choice(np.array([info.min, info.max], dtype), case.shape, p=(0.3, 0.7)),
    ):
        for inside, to in ((True, dtype), (False, dtype), (False, "float32"), (True, "float64")):
            options = {"count_include_pad": inside, "dtype": to}
            want = reference.avg_pool(x, **case.window, **options)
            for n in (1, 3):
                assert_same(cypool.avg_pool(x, **case.window, **options, num_threads=n), want)
            if to != dtype:
                continue
            backwards = x[::-1, :, ...]
            want = reference.avg_pool(backwards, **case.window, **options)
            out = np.zeros((*want.shape[:-1], want.shape[-1] + 2), dtype)[..., 1:-1]
            assert_same(cypool.avg_pool(backwards, **case.window, **options, out=out), want)


def rounded_means(totals, count):
    """totals / count for whole numbers, rounded half to even."""
    whole, rest = np.divmod(totals, count)
    return whole + ((2 * rest > count) | ((2 * rest == count) & (whole % 2 == 1)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize(
    "kernel", [(127, 129), (127, 127), (128, 128), (181, 181), (255, 3), (3, 255), (256, 5), (90, 182)]
)
def test_means_of_large_windows_are_exact(dtype, kernel, level):
    """Up to the largest windows that sums have room for, and beyond, of cells at the ends of their range."""
    info = np.iinfo(dtype)
    rng = seed(kernel, dtype)
    shape = kernel[0] + 3, kernel[1] + 300
    x = np.where(rng.random(shape) < np.linspace(0, 1.2, shape[1]), info.max, info.min).astype(dtype)
    sums = np.cumsum(np.cumsum(np.pad(x.astype(np.int64), ((1, 0), (1, 0))), 0), 1)
    totals = sums[kernel[0] :, kernel[1] :] - sums[: -kernel[0], kernel[1] :]
    totals -= sums[kernel[0] :, : -kernel[1]] - sums[: -kernel[0], : -kernel[1]]
    count = kernel[0] * kernel[1]
    assert_same(cypool.avg_pool(x, kernel, 1, dtype=dtype), rounded_means(totals, count).astype(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_every_mean_of_bytes_is_exact(dtype, level):
    """Each total that a window of so many bytes can have: of columns, over every small odd count, and of rows."""
    info = np.iinfo(dtype)
    along = ((3, 3), (3, 5), (7, 9), (11, 11), (1, 127), (3, 43), (5, 33), (2, 3), (4, 9), (16, 5))
    for kernel in (*((count, 1) for count in range(5, 128, 2)), *along):
        count = kernel[0] * kernel[1]
        # Windows lie a window apart in x, but all are made.
        totals = np.arange(count * info.min, count * info.max + 1)
        cells = (totals + np.arange(count)[:, None]) // count
        x = cells.astype(dtype).reshape(*kernel, -1).transpose(0, 2, 1).reshape(kernel[0], -1)
        got = cypool.avg_pool(x, kernel, 1, dtype=dtype)[0, :: kernel[1]]
        assert_same(got, rounded_means(totals, count).astype(dtype))


@pytest.mark.parametrize("dtype", ["int32", "uint8", *FLOATS, "complex64"])
@pytest.mark.parametrize("asked", [*FLOATS, "complex64", "complex128"])
def test_sums_and_means_in_another_float(dtype, asked, level):
    if dtype == "complex64" and not asked.startswith("complex"):
        with pytest.raises(TypeError, match="dtype must be a complex type for x of dtype complex64"):
            cypool.sum_pool(np.ones(4, dtype), 2, dtype=dtype_of(asked))
        return
    asked = dtype_of(asked)
    for case in FEW:
        x = finite(case.shape, dtype)
        if asked == np.float16 and dtype == "int32":
            x >>= 16  # or all results are infinite
        for name in ("sum_pool", "avg_pool"):
            y, bound = wanted_sums(name, x, case, {"dtype": asked})
            assert_within(getattr(cypool, name)(x, **case.window, dtype=asked), y, bound)
            out = np.empty(y.shape, asked)
            assert getattr(cypool, name)(x, **case.window, dtype=asked.type, out=out) is out
            assert_within(out, y, bound)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_sums_have_numpys_dtype(dtype):
    x = np.ones(4, dtype)
    assert cypool.sum_pool(x, 2).dtype == x.sum().dtype
    assert cypool.avg_pool(x, 2).dtype == x.mean().dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_order_follows_the_input(dtype):
    x = finite((4, 5, 6), dtype) if dtype in SUMMABLE else ordered((4, 5, 6), dtype)
    for name in ("max_pool",) * (dtype in ORDERED) + ("avg_pool", "sum_pool") * (dtype in SUMMABLE):
        function = getattr(cypool, name)
        assert function(x, 2).flags.c_contiguous
        assert function(x.transpose(1, 0, 2), 2).flags.c_contiguous
        assert function(np.asfortranarray(x), 2).flags.f_contiguous
    if dtype not in ORDERED:
        return
    y, indices = cypool.max_pool(np.asfortranarray(x), 2, return_indices=True)
    assert y.flags.f_contiguous
    assert indices.flags.f_contiguous
    assert cypool.max_pool(x[0, 0], 2).flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_past_the_end_of_planes(layout, level):
    """Planes of broadcast arrays, 0 apart, must not pass for one plane after the other."""
    for shape in ((2, 5, 4, 1), (3, 2, 1, 1), (4, 1, 7, 2)):
        case = Case(shape, (1, 3, 2), axis=(0, 1, 2), ceil_mode=True)
        x = LAYOUTS[layout](ordered(shape, "int16"))
        check_extremes(x, case, {n: wanted_extremes(n, np.array(x), case) for n in ("max_pool", "min_pool")})
        assert_same(cypool.sum_pool(x, **case.window), reference.sum_pool(np.array(x), **case.window))


# ------------------------------------------------------------------------------------- ties, NaN, numerics


@pytest.mark.parametrize("dtype", ORDERED)
@pytest.mark.parametrize(
    "window", [((7, 9), 3, 1, 1), ((5, 40), (2, 13), 1), ((40, 5), (31, 2), 1, (15, 0)), ((6, 6), 2)]
)
def test_ties_go_to_the_first_cell(dtype, window, level):
    shape, kernel_size, *rest = window
    case = Case(shape, kernel_size, *rest)
    x = np.ones(shape, dtype)
    wanted = {name: wanted_extremes(name, x, case) for name in ("max_pool", "min_pool")}
    check_extremes(x, case, wanted, threads=(1, 2))


def zeros(case, name):
    """Zeros of both signs among numbers that never win."""
    worse = -1.0 if name == "max_pool" else 1.0
    return seed(case.id).choice(np.array([0.0, -0.0, worse], np.float32), case.shape)


@by_id("case", CASES)
@pytest.mark.parametrize("kind", [True, "window"])
def test_zeros_of_both_signs_are_ties(case, kind, level):
    """So the first of them is the result, with its sign."""
    for name in ("max_pool", "min_pool"):
        x = zeros(case, name)
        got, _ = getattr(cypool, name)(x, **case.window, return_indices=kind)
        assert_same(got, getattr(reference, name)(x, **case.window))


def test_without_indices_any_zero_of_a_window_may_win(level):
    """The sign is that of one of them, which docs/design.md explains."""
    for case, name in itertools.product(CASES, ("max_pool", "min_pool")):
        x = zeros(case, name)
        got = getattr(cypool, name)(x, **case.window)
        assert_same_numbers(got, getattr(reference, name)(x, **case.window))
        # A window whose zeros are all of one sign has that sign.
        for sign in (False, True):
            alike = reference.min_pool((x != 0) | (np.signbit(x) == sign), **case.window)
            assert (np.signbit(got[alike & (got == 0)]) == sign).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [2, 3, 5, 13, 31])
def test_nan_and_infinity_stay_in_their_windows(dtype, kernel, level):
    for special, stride in itertools.product((np.nan, np.inf, -np.inf), (1, 2, kernel)):
        case = Case((37, 41), kernel, stride)
        x = finite(case.shape, dtype)
        x[20, 17] = x[36, 40] = x[0, 0] = special
        wanted = {name: wanted_extremes(name, x, case) for name in ("max_pool", "min_pool")}
        check_extremes(x, case, wanted, threads=(1,))
        check_sums(x, case, {(n, ()): wanted_sums(n, x, case, {}) for n in ("sum_pool", "avg_pool")}, threads=(1,))
        touched = reference.sum_pool(~np.isfinite(x), **case.window) > 0
        assert np.array_equal(~np.isfinite(cypool.sum_pool(x, **case.window)), touched)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_cancel_to_nan(dtype, level):
    x = np.array([np.inf, 1, -np.inf, 2, 3, np.inf, np.inf], dtype)
    assert_same_numbers(cypool.sum_pool(x, 3, 1), np.array([np.nan, -np.inf, -np.inf, np.inf, np.inf], dtype))
    assert_same_numbers(cypool.avg_pool(x, 3, 1), np.array([np.nan, -np.inf, -np.inf, np.inf, np.inf], dtype))


def adversaries(shape, dtype):
    rng = seed(shape, dtype, "adversary")
    large = np.ones(shape, dtype)
    large.flat[large.size // 3] = 1e8
    yield large
    yield np.where(np.indices(shape).sum(0) % 2 == 0, 1, -1).astype(dtype) * rng.random(shape).astype(dtype)
    yield (10.0 ** rng.integers(-6, 7, shape) * rng.choice([-1, 1], shape)).astype(dtype)
    yield np.full(shape, 0.1, dtype)
    yield np.full(shape, np.finfo(dtype).smallest_subnormal)


ADVERSE = (
    Case((300,), 3, 1, 1),
    Case((300,), 100, 1),
    Case((2000,), 1000, 250),
    Case((60, 70), 31, 5, 15),
    Case((64, 64), (64, 64)),
    Case((50, 3), (50,), axis=0),
    Case((300, 2), 200, 25, axis=0),
    Case((1, 40, 40, 3), (13, 13), 3, 6, axis=WH),
)


@by_id("case", ADVERSE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_bound_on_adversarial_data(case, dtype, level):
    for x in adversaries(case.shape, dtype):
        check_sums(x, case, {(n, ()): wanted_sums(n, x, case, {}) for n in ("sum_pool", "avg_pool")}, threads=(1, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2**20,), (1024, 1024), (2**20, 1), (4, 2**18)])
def test_error_bound_of_a_million_cells(shape, dtype, level):
    for x in adversaries(shape, dtype):
        exact = x.astype(np.longdouble).sum()  # 64 bits of mantissa, pairwise: far below either bound
        bound = (20 + 3) * float(np.finfo(dtype).eps) * float(np.abs(x).astype(np.longdouble).sum())
        assert abs(cypool.sum_pool(x, shape).item() - float(exact)) <= bound
        assert abs(cypool.avg_pool(x, shape).item() - float(exact / x.size)) <= bound / x.size


# Around whole vectors of 64 bytes and eight of them, and some powers of two of those.
RUNS = (15, 16, 17, 31, 33, 49, 63, 64, 65, 100, 127, 128, 129, 143, 145, 255, 256, 257, 511, 1000, 1025, 4113)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_bound_of_windows_that_are_one_run(dtype, level):
    for n in RUNS:
        case = Case((3, 2 * n + n // 2), (n,))
        for x in adversaries(case.shape, dtype):
            check_sums(
                x, case, {(f, ()): wanted_sums(f, x, case, {}) for f in ("sum_pool", "avg_pool")}, threads=(1, 2)
            )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint64", "float16", "bfloat16", "float32", "float64"])
def test_windows_that_are_one_run(dtype, level):
    """In rows, planes and bands of planes, with nothing, something and everything between windows."""
    cases = [Case((3, 2 * n + 5), (n,), n + extra) for n in RUNS[:-3] for extra in (0, 2)]
    cases += [Case((2, 5, a, b), (a, b)) for a, b in ((7, 7), (1, 70), (9, 13), (70, 1), (33, 31))]
    cases += [Case((4, 12, 17), (3, 17)), Case((4, 12, 17), (4, 17), (5, 17)), Case((3, 8, 5, 16), (4, 5, 16))]
    for case in cases:
        for layout in ("C", "stepped", "reversed"):
            x, wanted = extremes_of(case, dtype, layout)
            check_extremes(x, case, wanted, threads=(1, 3))
            x, wanted = sums_of(case, dtype, layout, 2)
            check_sums(x, case, wanted, threads=(1, 3))


def test_integer_extremes(level):
    for dtype in INTEGERS[1:]:
        info = np.iinfo(dtype)
        x = np.array([info.min, info.min, info.max, info.max, info.min, info.max], dtype)
        assert_same(cypool.max_pool(x, 2), np.array([info.min, info.max, info.max], dtype))
        assert_same(cypool.min_pool(x, 2), np.array([info.min, info.max, info.min], dtype))
        assert_same(cypool.max_pool(x, 2, 1, 1), reference.max_pool(x, 2, 1, 1))
        assert_same(cypool.min_pool(x, 2, 1, 1), reference.min_pool(x, 2, 1, 1))
        want = reference.avg_pool(x, 2)
        assert_within(cypool.avg_pool(x, 2), want, sum_bound(x, want.dtype, {"kernel_size": 2}, divisor_override=2))
        if info.bits < 64:
            assert_same(cypool.avg_pool(x, 2), want)


# --------------------------------------------------------------------------------------- windows of many cells


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("kernel", [(15, 17), (16, 16), (1, 256), (256, 1), (255, 2), (7, 6, 6), (257, 256)], ids=str)
def test_indices_of_windows_past_one_and_two_bytes(kernel, dtype, level):
    """Winners at the far end, so that a place that is cut to 8 or 16 bits shows."""
    shape = tuple(k + 2 for k in kernel)
    x = np.zeros(shape, dtype)
    x[(-2,) * len(shape)] = 1
    x[(-1,) * len(shape)] = 2
    for name, a in (("max_pool", x), ("min_pool", 2 - x)):
        _, flat = getattr(cypool, name)(a, kernel, 1, return_indices=True)
        _, window = getattr(cypool, name)(a, kernel, 1, return_indices="window")
        cells = int(np.prod(kernel))
        assert window.dtype == np.min_scalar_type(cells)
        last = (-1,) * len(shape)
        assert (flat[last], window[last]) == (x.size - 1, cells - 1)
        beside = (-2,) * len(shape)
        assert (flat[beside], window[beside]) == (np.ravel_multi_index([n - 2 for n in shape], shape), cells - 1)
        first = (0,) * len(shape)
        assert (flat[first], window[first]) == (0, 0)


# ------------------------------------------------------- arrays of the sizes that users have, on more threads

LARGE = (
    Case((2, 16, 56, 56), (3, 3), (2, 2), (1, 1)),
    Case((3, 40, 14, 14), (3, 3), (2, 2), (1, 1)),
    Case((300, 7, 7), (7, 7)),
    Case((4, 33, 61, 59), (2, 2), (2, 2)),
    Case((257, 263), (3, 3), (1, 1), (1, 1)),
    Case((250, 240), (31, 31), (1, 1), (15, 15)),
    Case((5, 100, 103), (13, 13), (1, 1), (6, 6)),
    Case((3, 90, 91), (5, 4), (3, 1), ((0, 2), (3, 1)), (2, 3)),
    Case((100_003,), (3,), (2,), (1,)),
    Case((70_001,), (64,), (1,), (31,)),
    Case((3, 20_000), (9,), (9,)),
    Case((2, 4, 30, 31, 32), (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    Case((7, 6, 8, 9, 5, 6), (2, 2, 3, 2), (1, 2, 1, 2)),
    Case((40, 12, 16, 18), (17, 7, 7), (1, 1, 1), (8, 3, 3)),  # axes in turn
    Case((2, 40, 1700), (64,), (1,), (32,)),  # channels last: lanes are streamed
    # About whole groups of eight cells, which large windows are made by.
    Case((3, 70, 45), (23, 8), (1, 1), (11, 0)),
    Case((40, 180), (146,), (1,)),
    Case((5000,), (300,), (1,)),
    Case((6, 3, 20), (9,), (1,), (4,)),
    Case((2, 60, 40), (9, 16), (2, 1), (4, 8), (2, 1)),
    Case((36, 50), (24,), (1,), (3,), (2,)),
    Case((2, 30, 20, 21), (10, 9, 3), (1, 1, 1)),
    Case((1000, 5, 7), (2, 3), (2, 2)),
    Case((6, 2000), (1,), (2,)),
    Case((2, 3, 500, 40), (100, 1), (7, 1)),
    Case((2, 3, 40, 500), (1, 100), (1, 7)),
)


def channels_last(case):
    """The same pool of an array whose kept axes lie last in memory and in shape."""
    m = len(case.kernel_size)
    kept, pooled = case.shape[:-m], case.shape[-m:]
    axis = tuple(range(m))
    return Case(pooled + kept, case.kernel_size, case.stride, case.padding, case.dilation, axis), axis


@functools.lru_cache(maxsize=4)
def large(case, dtype):
    x = seed(case.id, dtype).standard_normal(case.shape) * 100
    x = x.astype(dtype)
    window = case.kernel_size, case.stride, case.padding, case.dilation
    oracle = {name: getattr(numpy_oracle, name)(x, *window) for name in ("max_pool", "min_pool", "sum_pool")}
    bound = numpy_oracle.sum_pool(np.abs(x.astype(np.float64)), *window)
    return x, oracle, (np.log2(np.prod(case.kernel_size)) + 3) * float(np.finfo(np.float32).eps) * bound


@by_id("case", LARGE)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("layout", ["channels first", "channels last", "Fortran order"])
def test_large(case, dtype, layout, level):
    x, oracle, bound = large(case, dtype)
    window, home = case.window, lambda y: y
    if layout == "channels last":
        last, axis = channels_last(case)
        trailing = range(len(case.shape) - len(axis), len(case.shape))
        x, window = np.ascontiguousarray(np.moveaxis(x, trailing, axis)), last.window
        home = functools.partial(np.moveaxis, source=axis, destination=trailing)
    elif layout == "Fortran order":
        x = np.asfortranarray(x)
    for name in ("max_pool", "min_pool"):
        pool = getattr(cypool, name)
        y, flat = pool(x, **window, return_indices=True, num_threads=1)
        _, places = pool(x, **window, return_indices="window", num_threads=1)
        assert_same(home(y), oracle[name])
        for n in THREADS:
            assert_same(pool(x, **window, num_threads=n), y)
            for kind, indices in ((True, flat), ("window", places)):
                for got, want in zip(pool(x, **window, return_indices=kind, num_threads=n), (y, indices), strict=True):
                    assert_same(got, want)
        check_indices(x, case, home(y), home(flat), home(places), home)
    for name, count in (("sum_pool", 1), ("avg_pool", np.prod(case.kernel_size))):
        pool = getattr(cypool, name)
        y = pool(x, **window, num_threads=1)
        if y.dtype.kind in "iu":
            assert_same(home(y).astype(np.float64), oracle["sum_pool"])
        else:
            assert_within(home(y), (oracle["sum_pool"] / count).astype(y.dtype), bound / count)
        for n in THREADS[1:]:
            assert_same(pool(x, **window, num_threads=n), y)


def check_indices(x, case, y, flat, places, home):
    """Both kinds name the same cell, the cell has the value, and no earlier cell of the window has it."""
    m = len(case.kernel_size)
    plane = home(x)
    sizes, kept = case.shape[-m:], case.shape[:-m]
    np.testing.assert_array_equal(
        np.take_along_axis(plane.reshape(*kept, -1), flat.reshape(*kept, -1), -1).reshape(y.shape), y
    )
    position, place = np.unravel_index(flat, sizes), np.unravel_index(places, case.kernel_size)
    taps = numpy_oracle.windows(plane, 0, case.kernel_size, case.stride, case.padding, case.dilation)
    for a in range(m):
        low = case.padding[a] if isinstance(case.padding, tuple) else case.padding
        low = low[0] if isinstance(low, tuple) else low
        stride = case.kernel_size[a] if case.stride is None else case.stride[a]
        dilation = case.dilation if isinstance(case.dilation, int) else case.dilation[a]
        window = np.arange(y.shape[-m + a]).reshape((-1,) + (1,) * (m - 1 - a))
        np.testing.assert_array_equal(position[a], window * stride - low + place[a] * dilation)
    if not np.any(case.padding) and taps.size < 5_000_000:
        equal = taps.reshape(*y.shape, -1) == y[..., None]
        np.testing.assert_array_equal(places, equal.argmax(-1))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("vector", [8, 16, 32, 64])
def test_rows_as_long_as_a_vector_that_begin_anywhere(vector, dtype, level):
    cells = max(2, vector // np.dtype(dtype).itemsize)
    for shift in (0, 1, 3):
        x = finite((33 * cells + shift,), dtype)[shift:].reshape(33, cells)
        for size in ((9, 2), (2, 2), (17, 1)):
            case = Case(x.shape, size, 1)
            check_extremes(x, case, {n: wanted_extremes(n, x, case) for n in ("max_pool", "min_pool")}, threads=(1,))
            check_sums(x, case, {("sum_pool", ()): wanted_sums("sum_pool", x, case, {})}, threads=(1,))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("size", [7, 9, 16, 31, 64, 130])
def test_windows_along_rows_about_the_lanes_of_64_bytes(size, dtype, level):
    for windows, padding in ((1, 0), (15, (3, 2)), (17, 0), (65, (2, 3))):
        cells = windows + size - 1 - np.sum(padding)
        x = finite((3, cells + 5), dtype)[:, 2 : cells + 2]
        case = Case(x.shape, (size,), 1, padding and (padding,), axis=(1,))
        check_extremes(x, case, {n: wanted_extremes(n, x, case) for n in ("max_pool", "min_pool")}, threads=(1,))
        check_sums(x, case, {(n, ()): wanted_sums(n, x, case, {}) for n in ("sum_pool", "avg_pool")}, threads=(1,))


# Rows of one to some registers of windows, of one or two of cells; then three axes, one, long planes, and padding that is
# most of what there is.
IN_REGISTERS = [
    Case((3, 7, cells), (3, kernel), stride, padding, (1, dilation))
    for cells in (13, 15, 16, 17, 31, 32, 33, 56, 70)
    for kernel, stride, padding, dilation in ((2, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 1, (1, 3), 3), (5, 3, 2, 1))
] + [
    Case((5, 4, 6, 11), (2, 2, 3), 1, 1),
    Case((33, 14), (3,), 2, 1),
    Case((2, 300, 11), (2, 5), 1, 1, (1, 2)),
    Case((1, 2, 9), (2, 4), (1, 2), (0, 3), ceil_mode=True),
]


@by_id("case", IN_REGISTERS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_rows_of_windows_in_registers(case, dtype):
    """Which not every level has: a plan for both comes to the same."""
    x = ordered(case.shape, dtype)
    arguments = case.kernel_size, case.stride, case.padding, case.dilation, tuple(range(-len(case.kernel_size), 0))
    table = calls.prepare(MAX, x.shape, x.strides, x.dtype, False, None, None, *arguments, case.ceil_mode, False).table
    assert np.frombuffer(table, np.int64)[0] > 0
    wanted = {n: wanted_extremes(n, x, case) for n in ("max_pool", "min_pool")}
    numbers = finite(case.shape, dtype)
    sums = {(n, ()): wanted_sums(n, numbers, case, {}) for n in ("sum_pool", "avg_pool")}
    for level in LEVELS:
        with running(level):
            check_extremes(x, case, wanted)
            check_sums(numbers, case, sums)
    check_levels(case, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_axes_in_turn_divide_by_the_cells_of_the_whole_window(dtype, level):
    x = seed("in turn", dtype).standard_normal((30, 16, 18)).astype(dtype)
    window = (17, 13, 13), (1, 1, 1), (8, 6, 6)
    call = calls.prepare(
        SUM, x.shape, x.strides, x.dtype, False, None, None, *window, 1, None, False, None, False, None
    )
    assert call.then is not None
    cells = numpy_oracle.sum_pool(np.ones_like(x), *window)
    bound = (np.log2(17 * 13 * 13) + 4) * float(np.finfo(dtype).eps) * numpy_oracle.sum_pool(np.abs(x), *window) / cells
    want = (numpy_oracle.sum_pool(x, *window) / cells).astype(dtype)
    out = np.empty((18, 16, 30), dtype).T[:, ::-1]
    for y in (cypool.avg_pool(x, *window, count_include_pad=False),
              cypool.avg_pool(x, *window, count_include_pad=False, out=out)):  # fmt: skip
        assert_within(y, want, bound)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "datetime64[s]"])
def test_axes_in_turn_carry_indices(dtype, level):
    case = Case((11, 10, 12), (11, 9, 10), 1, ((5, 5), (4, 4), (5, 4)), axis=(2, 0, 1))
    x = ordered(case.shape, dtype)
    arguments = case.kernel_size, case.stride, case.padding, 1, case.axis, False
    for kind in (True, "window"):
        assert calls.prepare(MAX, x.shape, x.strides, x.dtype, False, None, None, *arguments, kind).then is not None
    check_extremes(x, case, {n: wanted_extremes(n, x, case) for n in ("max_pool", "min_pool")})


@by_id("case", (*FEW, *LARGE))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_levels_agree_to_the_last_bit(case, dtype):
    check_levels(case, dtype)


# --------------------------------------------------------------------------------------------------- many axes


def test_sixty_four_axes(level):
    shape = [1] * 64
    shape[3], shape[20], shape[63] = 4, 3, 5
    x = ordered(tuple(shape), "float32")
    small = x.reshape(4, 3, 5)
    for axis, small_axis in (((63, 3), (2, 0)), ((20,), (1,)), ((3, 20, 63), (0, 1, 2))):
        got = cypool.max_pool(x, 2, 1, axis=axis, return_indices=True)
        want = reference.max_pool(small, 2, 1, axis=small_axis, return_indices=True)
        for a, b in zip(got, want, strict=True):
            assert a.ndim == 64
            assert_same(a.reshape(b.shape), b)
    every = cypool.sum_pool(np.ones(shape, np.int8), 1)
    assert_same(every, np.ones(shape, np.int64))


# ---------------------------------------------------------------------------------------------- out=


@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool", "sum_pool"])
@pytest.mark.parametrize("layout", ["C", "F", "rotated", "reversed", "stepped", "misaligned"])
def test_out(name, layout, level):
    for case in FEW:
        x = finite(case.shape, "float32")
        pool = getattr(cypool, name)
        want = pool(x, **case.window)
        out = LAYOUTS[layout](np.full(want.shape, 7, want.dtype))
        assert pool(x, **case.window, out=out) is out
        assert_same(out, want)


def test_out_writes_nothing_beside_it(level):
    x = finite((9, 10), "float32")
    want = cypool.max_pool(x, 3, 2, 1)
    room = np.full((9, 12), 7, np.float32)
    cypool.max_pool(x, 3, 2, 1, out=room[2:7, 4:9])
    assert_same(room[2:7, 4:9], want)
    room[2:7, 4:9] = 7
    assert (room == 7).all()


def test_out_with_indices(level):
    x = ordered((7, 9), "float32")
    want = reference.max_pool(x, 3, 2, 1, return_indices=True)
    out = np.empty(want[0].shape, np.float32)
    y, indices = cypool.max_pool(x, 3, 2, 1, return_indices=True, out=out)
    assert y is out
    assert_same(y, want[0])
    assert_same(indices, want[1])


OVERLAPS = {
    "itself": lambda x: (x, x),
    "its reverse": lambda x: (x, x[::-1]),
    "one row down": lambda x: (x[:-1], x[1:]),
    "one row up": lambda x: (x[1:], x[:-1]),
    "its transpose": lambda x: (x, x.T),
}


def test_out_in_a_file(tmp_path, level):
    x = finite((40, 50), "float32")
    for out in (
        np.memmap(tmp_path / "out", np.float32, "w+", shape=(20, 25)),
        np.zeros((20, 25), np.float32).view(np.recarray),
    ):
        assert cypool.max_pool(x, 2, out=out) is out
        assert_same(np.asarray(out), cypool.max_pool(x, 2))


@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool", "sum_pool"])
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_out_over_the_input(name, overlap, level):
    pool = getattr(cypool, name)
    for size, n in itertools.product((12, 150), (1, 2)):
        x, out = OVERLAPS[overlap](finite((size, size), "float32"))
        want = pool(x.copy(), 3, 1, 1)
        pool(x, 3, 1, 1)  # so that the call is known
        assert pool(x, 3, 1, 1, out=out, num_threads=n) is out
        assert_same(out, want)


# ------------------------------------------------------------------------------------------- known calls

VIEWS = {
    "as it is": lambda x: x,
    "transposed": lambda x: x.T,
    "backwards": lambda x: x[::-1, :, ::-1],
    "every other": lambda x: x[:, ::2],
    "one for all": lambda x: np.broadcast_to(x[:1], x.shape),
    "none": lambda x: x[:0],
    "bytes swapped": lambda x: x.astype(">f4"),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("max_pool", {}),
        ("max_pool", {"return_indices": True}),
        ("min_pool", {"return_indices": "window"}),
        ("avg_pool", {"divisor_override": 3}),
        ("avg_pool", {"count_include_pad": False, "dtype": "float64"}),
        ("sum_pool", {"dtype": np.complex64}),
        ("sum_pool", {"nan_policy": "omit"}),
    ],
    ids=str,
)
def test_a_known_call_does_what_the_first_did(view, name, options):
    x = VIEWS[view](finite((6, 14, 9), "float32"))
    pool = functools.partial(getattr(cypool, name), **options)
    for window in ((3, 2, 1), ([2, 3], 2, [(0, 1), [1, 0]]), ((2, 2), None, "same"), (2, 1, 0, 1)):
        window = {"axis": (1, 2), **dict(zip(("kernel_size", "stride", "padding", "dilation"), window, strict=False))}
        first = pool(x, **window)
        y = first[0] if isinstance(first, tuple) else first
        for out in (None, np.empty_like(y), np.empty(y.shape[::-1], y.dtype).T):
            again = pool(x, **window, out=out)
            for a, b in zip(again, first, strict=True) if isinstance(first, tuple) else [(again, first)]:
                assert_same(a, b)
            assert out is None or out is (again[0] if isinstance(again, tuple) else again)


def test_known_calls_are_bounded():
    for n in range(1, 3000):
        cypool.max_pool(np.zeros(n, np.int8), 1)
    assert 0 < len(calls.pool) <= 1024


# ------------------------------------------------------------------------------------------------ inputs


class ArrayLike:
    def __array__(self, dtype=None, copy=None):
        return np.arange(6.0)


class Dlpack:
    """Offers nothing but the DLPack protocol."""

    def __init__(self, x):
        self.__dlpack__ = x.__dlpack__
        self.__dlpack_device__ = x.__dlpack_device__


def test_things_that_are_arrays():
    want = np.array([1.0, 3.0, 5.0])
    x = np.arange(6.0)
    for same in (x.tolist(), memoryview(x), ArrayLike(), Dlpack(x), x.astype(">f8"), x.view(np.recarray)):
        assert_same(cypool.max_pool(same, 2), want)
    assert_same(cypool.max_pool(bytearray(b"acbd"), 2), np.array([99, 100], np.uint8))


def test_subclasses_and_scalars_of_numpy():
    assert type(cypool.max_pool(np.arange(6.0).view(np.recarray), 2)) is np.ndarray
    window = {"kernel_size": np.int8(2), "stride": np.array([1]), "padding": [np.uint64(1)], "dilation": (np.int64(1),)}
    assert_same(cypool.max_pool(np.arange(3), **window, axis=np.int32(0)), np.array([0, 1, 2, 2]))


# --------------------------------------------------------------------------------- the space between the cases


@st.composite
def pools(draw):
    ndim = draw(st.integers(1, 4))
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=ndim, max_size=ndim)))
    axis = tuple(draw(st.permutations(range(ndim)))[: draw(st.integers(1, min(3, ndim)))])
    m = len(axis)

    def each(*bounds):
        return tuple(draw(st.lists(st.integers(*bounds), min_size=m, max_size=m)))

    numeric = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=m, max_size=m).map(tuple)
    padding = draw(st.one_of(st.just(0), numeric, st.sampled_from(("same", "same_lower", "valid"))))
    return Case(
        shape, each(1, 5), draw(st.sampled_from((None, each(1, 4)))), padding, each(1, 3), axis, draw(st.booleans())
    )


@given(
    case=pools(),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(sorted(LAYOUTS)),
    level=st.sampled_from(LEVELS),
)
@example(
    case=Case((3, 5), (2, 2), (1, 1), ((0, 1), (1, 0)), (2, 1), (1, 0)), dtype="float32", layout="F", level="baseline"
)
def test_any_pool(case, dtype, layout, level):
    try:
        shape = reference.output_shape(case.shape, **case.window)
    except ValueError:
        for refuse in (cypool.output_shape, lambda s, **w: cypool.max_pool(np.zeros(s, dtype), **w)):
            with pytest.raises(ValueError, match="axis"):
                refuse(case.shape, **case.window)
        return
    assert cypool.output_shape(case.shape, **case.window) == shape
    assume(np.prod(shape) < 2000)
    with running(level):
        if dtype in ORDERED:
            x, wanted = extremes_of(case, dtype, layout)
            check_extremes(x, case, wanted, threads=(1, 3))
        if dtype in SUMMABLE:
            x, wanted = sums_of(case, dtype, layout)
            check_sums(x, case, wanted, threads=(1, 3))
