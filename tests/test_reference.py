"""The specification itself: against values worked out by hand, NumPy, SciPy, and calculus."""

import numpy as np
import pytest
from cases import CASES, SUMMABLE, dtype_of, finite, ordered, seed
from compare import assert_same, assert_same_numbers, assert_within, sum_bound

from cypool import reference as ref

NAN, INF = np.nan, np.inf
SQUARE = np.arange(9.0).reshape(3, 3)


def check(got, want):
    assert_same(got, np.array(want, got.dtype))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_every_case_is_one(case):
    shape = ref.output_shape(case.shape, **case.window)
    assert ref.max_pool(np.zeros(case.shape), **case.window).shape == shape
    assert len({c.id for c in CASES}) == len(set(CASES)) == len(CASES)


# (shape, window arguments, output): the formula of each line worked out with pencil and paper
SHAPES = (
    ((6,), {"kernel_size": 2}, (3,)),
    ((7,), {"kernel_size": 2}, (3,)),
    ((7,), {"kernel_size": 2, "ceil_mode": True}, (4,)),
    ((9,), {"kernel_size": 4, "padding": 2, "ceil_mode": True}, (3,)),  # the fourth would start in the padding
    ((10,), {"kernel_size": 3, "stride": 2, "padding": 1}, (5,)),
    ((10,), {"kernel_size": 3, "stride": 2, "padding": ((1, 0),)}, (5,)),
    ((10,), {"kernel_size": 3, "stride": 2, "padding": ((0, 2),)}, (5,)),
    ((10,), {"kernel_size": 3, "dilation": 4, "stride": 1}, (2,)),
    ((10,), {"kernel_size": 3, "stride": 4, "padding": "same"}, (3,)),
    ((10,), {"kernel_size": 3, "stride": 4, "padding": "valid"}, (2,)),
    ((3,), {"kernel_size": 2, "stride": 9}, (1,)),
    ((4, 6), {"kernel_size": 2}, (2, 3)),
    ((4, 6), {"kernel_size": (2,)}, (4, 3)),
    ((4, 6), {"kernel_size": (2, 3), "axis": (1, 0)}, (1, 3)),
    ((4, 6, 8), {"kernel_size": 4, "axis": -2}, (4, 1, 8)),
    ((0, 6), {"kernel_size": (2,)}, (0, 3)),
)


@pytest.mark.parametrize(("shape", "window", "want"), SHAPES)
def test_output_shape(shape, window, want):
    assert ref.output_shape(shape, **window) == want


# (function, x, arguments, result): worked out by hand
VALUES = (
    ("max_pool", [3, 1, 4, 1, 5], {"kernel_size": 2}, [3, 4]),
    ("min_pool", [3, 1, 4, 1, 5], {"kernel_size": 2, "ceil_mode": True}, [1, 1, 5]),
    ("max_pool", [-3, -1, -4], {"kernel_size": 3, "stride": 1, "padding": 1}, [-1, -1, -1]),
    ("min_pool", [3, 1, 4], {"kernel_size": 2, "stride": 1, "padding": ((1, 0),)}, [3, 1, 1]),
    ("max_pool", [1, 9, 2, 8, 3], {"kernel_size": 2, "stride": 1, "dilation": 2}, [2, 9, 3]),
    ("sum_pool", [1, 2, 3, 4, 5], {"kernel_size": 3, "stride": 2, "padding": 1}, [3, 9, 9]),
    ("avg_pool", [1, 2, 3, 4, 5], {"kernel_size": 2}, [1.5, 3.5]),
    ("avg_pool", [2, 4], {"kernel_size": 2, "padding": 1}, [1, 2]),
    ("avg_pool", [2, 4], {"kernel_size": 2, "padding": 1, "count_include_pad": False}, [2, 4]),
    ("avg_pool", [2, 4], {"kernel_size": 2, "padding": 1, "divisor_override": 4}, [0.5, 1]),
    ("avg_pool", [1, 2, 6], {"kernel_size": 3, "stride": 2, "padding": "same"}, [1.5, 4]),
    ("avg_pool", [1, 2, 6], {"kernel_size": 3, "stride": 2, "padding": "same", "count_include_pad": True}, [1, 8 / 3]),
    ("avg_pool", [1, 2, 4, 8], {"kernel_size": 3, "ceil_mode": True}, [7 / 3, 8]),  # overhang is not counted
    # ... but the padded cell before the overhang is: 8 / 2
    ("avg_pool", [1, 2, 4, 8], {"kernel_size": 3, "padding": ((0, 1),), "ceil_mode": True}, [7 / 3, 4]),
    ("max_pool", [1, 2, 3, 4], {"kernel_size": 3, "stride": 2, "padding": "same"}, [3, 4]),
    ("max_pool", [1, 2, 3, 4], {"kernel_size": 3, "stride": 2, "padding": "same_lower"}, [2, 4]),
    ("max_pool", SQUARE, {"kernel_size": 2, "stride": 1}, [[4, 5], [7, 8]]),
    ("max_pool", SQUARE, {"kernel_size": 2, "axis": 0, "ceil_mode": True}, [[3, 4, 5], [6, 7, 8]]),
    ("sum_pool", SQUARE, {"kernel_size": (3, 1), "axis": (1, 0)}, [[3], [12], [21]]),
    ("max_pool", [1, NAN, 3, 4, -INF, -INF], {"kernel_size": 2}, [NAN, 4, -INF]),
    ("min_pool", [1, NAN, INF, INF], {"kernel_size": 2}, [NAN, INF]),
    ("max_pool", [-0.0, 0.0, 0.0, -0.0], {"kernel_size": 2}, [-0.0, 0.0]),  # equal, so the first
    ("sum_pool", [INF, 1, INF, -INF, NAN, 1], {"kernel_size": 2}, [INF, NAN, NAN]),
    ("sum_pool", [1e308, 1e308, -1e308, 1e308, 1e308, 0], {"kernel_size": 3}, [1e308, INF]),
    ("max_pool", [1, NAN, NAN, NAN], {"kernel_size": 2, "nan_policy": "omit"}, [1, NAN]),
    ("avg_pool", [1, NAN, NAN, NAN, 4, 2], {"kernel_size": 2, "nan_policy": "omit"}, [1, NAN, 3]),
    ("sum_pool", [1, NAN, NAN, NAN], {"kernel_size": 2, "nan_policy": "omit", "min_count": 0}, [1, 0]),
    ("sum_pool", [1, NAN, 2, 3], {"kernel_size": 2, "nan_policy": "omit", "min_count": 2}, [NAN, 5]),
    ("avg_pool", [1, NAN], {"kernel_size": 3, "stride": 1, "padding": 1, "nan_policy": "omit"}, [0.5, 0.5]),
    ("max_pool", [9.0, 1, 2, 3], {"kernel_size": 2, "where": np.array([False, True, True, True])}, [1, 3]),
    ("avg_pool", [9.0, 1, 2, 3], {"kernel_size": 2, "where": np.array([False, False, True, True])}, [NAN, 2.5]),
)


@pytest.mark.parametrize(("function", "x", "arguments", "want"), VALUES)
def test_values(function, x, arguments, want):
    check(getattr(ref, function)(np.asarray(x, np.float64), **arguments), want)


def test_indices():
    x = np.array([[1, 5, 5], [5, 2, 0], [0, 0, 0]])
    y, flat = ref.max_pool(x, 2, 1, return_indices=True)
    check(y, [[5, 5], [5, 2]])
    assert_same(flat, np.array([[1, 1], [3, 4]]))
    _, window = ref.max_pool(x, 2, 1, return_indices="window")
    assert_same(window, np.array([[1, 0], [0, 0]], np.uint8))
    _, flat = ref.max_pool(x, 2, 1, axis=(1, 0), return_indices=True)  # columns first: w * 3 + h, so ties turn
    assert_same(flat, np.array([[1, 3], [1, 4]]))
    _, flat = ref.min_pool(x, (3,), 3, axis=0, return_indices=True)
    assert_same(flat, np.array([[2, 2, 1]]))


def test_indices_of_padding_and_nan():
    _, flat = ref.max_pool(np.array([2.0, 1.0]), 2, 1, 1, return_indices=True)
    assert_same(flat, np.array([0, 0, 1]))
    _, window = ref.max_pool(np.array([2.0, 1.0]), 2, 1, 1, return_indices="window")
    assert_same(window, np.array([1, 0, 0], np.uint8))
    x = np.array([9, NAN, 3, NAN, NAN, NAN])
    assert_same(ref.max_pool(x, 3, return_indices=True)[1], np.array([1, 3]))
    assert_same(ref.max_pool(x, 3, nan_policy="omit", return_indices=True)[1], np.array([0, -1]))
    assert_same(ref.max_pool(x, 3, nan_policy="omit", return_indices="window")[1], np.array([0, 255], np.uint8))


@pytest.mark.parametrize(
    ("kernel", "dtype"), [((255,), "u1"), ((256,), "u2"), ((257, 255), "u2"), ((256, 256), "u4")], ids=str
)
def test_window_index_dtype_keeps_its_largest_value_free(kernel, dtype):
    x = np.zeros(kernel)
    x.flat[-1] = 1
    _, window = ref.max_pool(x, kernel, return_indices="window")
    assert_same(window, np.full((1,) * len(kernel), x.size - 1, dtype))


def test_integers():
    x = np.array([0, 1, 2, 3, 2, 2], np.uint8)
    check(ref.avg_pool(x, 2, dtype="u1"), [0, 2, 2])
    check(ref.avg_pool(-x.astype("i1"), 2, dtype="i1"), [0, -2, -2])
    check(ref.avg_pool(np.array([255] * 4, "u1"), 4, dtype="u1"), [255])
    check(ref.avg_pool(np.array([2**63 - 1] * 3), 3, dtype="i8"), [2**63 - 1])
    check(ref.avg_pool(np.array([True, False, True]), 3), [2 / 3])
    check(ref.sum_pool(np.array([2**63 - 1, 1]), 2), [-(2**63)])
    check(ref.sum_pool(np.array([2**64 - 1, 2], "u8"), 2), [1])
    check(ref.max_pool(np.array([1, 2, 3]), 1, where=[True, False, True], fill_value=-7), [1, -7, 3])
    check(ref.sum_pool(np.array([1, 2, 3]), 2, 1, min_count=2, where=[True, False, True], fill_value=0), [0, 0])
    assert ref.avg_pool(x, 2).dtype == np.float64
    with pytest.raises(ValueError, match="fill_value"):
        ref.max_pool(x, 1, where=x > 0)


def test_times():
    days = np.array(["2020-01-02", "2020-01-01", "NaT", "2020-01-03"], "M8[D]")
    assert_same(ref.max_pool(days, 2), np.array(["2020-01-02", "NaT"], "M8[D]"))
    y, flat = ref.min_pool(days, 2, nan_policy="omit", return_indices=True)
    assert_same(y, np.array(["2020-01-01", "2020-01-03"], "M8[D]"))
    assert_same(flat, np.array([1, 3]))
    with pytest.raises(TypeError, match="times have no sum"):
        ref.sum_pool(days, 2)


def test_complex():
    x = np.array([1 + 2j, 3, NAN, 1j, complex(INF, 1), 1], np.complex64)
    check(ref.sum_pool(x, 2), [4 + 2j, complex(NAN, 1), complex(INF, 1)])
    check(ref.avg_pool(x, 2)[:1], [2 + 1j])
    with pytest.raises(TypeError, match="order"):
        ref.max_pool(x, 2)


def test_half_precision_sums_do_not_saturate():
    ones = np.ones(4096, np.float16)
    check(ref.sum_pool(ones, 4096), [4096])
    check(ref.avg_pool(ones, 4096), [1])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "int64", "float32", "float64", "complex64"])
def test_whole_axes_are_numpy_reductions(dtype):
    x = finite((4, 5, 6), dtype)
    whole = {"kernel_size": (4, 6), "axis": (0, 2)}
    numpy = {"axis": (0, 2), "keepdims": True}
    sum_, mean = ref.sum_pool(x, **whole), ref.avg_pool(x, **whole)
    if x.dtype.kind in "biu":
        assert_same(sum_, x.sum(**numpy))
    else:
        assert_within(x.sum(**numpy), sum_, sum_bound(x, x.dtype, whole))
    assert_within(x.mean(**numpy), mean, sum_bound(x, mean.dtype, whole, divisor_override=24))
    if dtype != "complex64":
        assert_same_numbers(ref.max_pool(x, **whole), x.max(**numpy))
        assert_same_numbers(ref.min_pool(x, **whole), x.min(**numpy))
        _, flat = ref.max_pool(x, **whole, return_indices=True)
        assert_same(flat[0, :, 0], x.transpose(1, 0, 2).reshape(5, 24).argmax(1))


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_blocks_are_reshapes(dtype):
    x = ordered((6, 8), dtype)
    blocks = x.reshape(3, 2, 2, 4)
    assert_same_numbers(ref.max_pool(x, (2, 4)), blocks.max((1, 3)))
    assert_same_numbers(ref.min_pool(x, (2, 4)), blocks.min((1, 3)))
    _, window = ref.max_pool(x, (2, 4), return_indices="window")
    assert_same(window, blocks.swapaxes(1, 2).reshape(3, 2, 8).argmax(2).astype(np.uint8))


@pytest.mark.parametrize("size", [3, (5, 1), (3, 7)], ids=str)
def test_scipy_filters(size):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = finite((9, 11), "float64")
    kernel = size if isinstance(size, tuple) else (size, size)
    same = {"kernel_size": kernel, "stride": 1, "padding": tuple(k // 2 for k in kernel)}
    assert_same(ref.max_pool(x, **same), ndimage.maximum_filter(x, kernel, mode="constant", cval=-INF))
    assert_same(ref.min_pool(x, **same), ndimage.minimum_filter(x, kernel, mode="constant", cval=INF))
    mean = ref.avg_pool(x, **same)
    np.testing.assert_allclose(mean, ndimage.uniform_filter(x, kernel, mode="constant"), atol=1e-13)


# ------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_gradients_are_adjoints(case):
    """``<pool(x), g> == <x, grad(g)>`` for the linear pools, and for max at a fixed x."""
    x = finite(case.shape, "float64")
    g = seed(case.id).standard_normal(ref.output_shape(case.shape, **case.window))
    for options in ({}, {"count_include_pad": True}, {"count_include_pad": False}, {"divisor_override": 3}):
        back = ref.avg_pool_grad(g, case.shape, **case.window, **options)
        np.testing.assert_allclose(np.vdot(x, back), np.vdot(ref.avg_pool(x, **case.window, **options), g), atol=1e-10)
    back = ref.sum_pool_grad(g, case.shape, **case.window)
    np.testing.assert_allclose(np.vdot(x, back), np.vdot(ref.sum_pool(x, **case.window), g), atol=1e-10)
    for name in ("max_pool", "min_pool"):
        for kind in (True, "window"):
            y, indices = getattr(ref, name)(x, **case.window, return_indices=kind)
            back = getattr(ref, name + "_grad")(g, indices, case.shape, **case.window)
            np.testing.assert_allclose(np.vdot(x, back), np.vdot(y, g), atol=1e-10)
            assert_same(ref.max_pool_take(x, indices, **case.window), y)


@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool", "sum_pool"])
def test_gradients_are_derivatives(name):
    rng = seed(name)
    x, window = rng.permutation(60).reshape(5, 12).astype(float), {"kernel_size": 3, "stride": 2, "padding": 1}
    pool = getattr(ref, name)
    g = rng.standard_normal(pool(x, **window).shape)
    if name in ("max_pool", "min_pool"):
        _, indices = pool(x, **window, return_indices="window")
        grad = getattr(ref, name + "_grad")(g, indices, x.shape, **window)
    else:
        grad = getattr(ref, name + "_grad")(g, x.shape, **window)
    for cell in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[cell] = 0.25
        slope = np.vdot(pool(x + step, **window) - pool(x - step, **window), g) / 0.5
        np.testing.assert_allclose(grad[cell], slope, atol=1e-12)


def test_gradient_values():
    g = np.array([1.0, 10.0, 100.0])
    check(ref.max_pool_grad(g, np.array([0, 1, 1]), (2,), 2, 1, 1), [1, 110])
    check(ref.max_pool_grad(g, np.array([1, 1, 0], np.uint8), (2,), 2, 1, 1), [1, 110])
    check(ref.max_pool_grad(g, np.array([-1, 0, -1]), (2,), 2, 1, 1), [10, 0])
    check(ref.max_pool_grad(g, np.array([255, 0, 255], np.uint8), (2,), 2, 1, 1), [10, 0])
    check(ref.max_pool_take(np.array([5, 6]), np.array([-1, 0, 1]), 2, 1, 1), [0, 5, 6])
    check(ref.avg_pool_grad(g, (2,), 2, 1, 1), [5.5, 55])
    check(ref.avg_pool_grad(g, (2,), 2, 1, 1, count_include_pad=False), [6, 105])
    check(ref.sum_pool_grad(g, (2,), 2, 1, 1), [11, 110])
    where = np.array([True, False])
    check(ref.avg_pool_grad(g, (2,), 2, 1, 1, where=where, count_include_pad=False), [11, 0])
    check(ref.avg_pool_grad(np.array([2j]), (2,), 2), [1j, 1j])
    half = np.array([2048, 1, 1, 1, 1], np.float16)  # where 2048 + 1 == 2048
    check(ref.sum_pool_grad(half, (1,), 5, 1, 4), [2052])


def test_gradients_conserve_their_sum():
    x = ordered((7, 9), "float64")
    window = {"kernel_size": 3, "stride": 1, "padding": 1}
    y, indices = ref.max_pool(x, **window, return_indices=True)
    g = seed("conserve").integers(-9, 9, y.shape).astype(float)
    assert ref.max_pool_grad(g, indices, x.shape, **window).sum() == g.sum()


WRONG_INDICES = (
    np.array([0, 0, 3]),
    np.array([0, 0, -2]),
    np.array([0, 0, 0]),
    np.array([0, 0, 2**62]),
    np.array([0, 0, 1], np.uint8),
    np.array([0, 0, 2], np.uint8),
    np.array([0, 0, 254], np.uint8),
)


@pytest.mark.parametrize("indices", WRONG_INDICES, ids=str)
def test_wrong_indices(indices):
    """Of the three windows on cells 0 and 1 the last holds cell 1 at place 0 only."""
    with pytest.raises(ValueError, match="indices"):
        ref.max_pool_grad(np.ones(3), indices, (2,), 2, 1, 1)
    with pytest.raises(ValueError, match="indices"):
        ref.max_pool_take(np.ones(2), indices, 2, 1, 1)


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("shape", "window", "message"),
    [
        ((3,), {"kernel_size": 5}, "size 0 along axis 0"),
        ((3,), {"kernel_size": 50, "stride": 1}, "size -46 along axis 0"),
        ((4, 3), {"kernel_size": (2, 5), "axis": (-2, 1)}, "along axis 1"),
        ((5,), {"kernel_size": 2, "stride": 1, "padding": 2}, "window 0 along axis 0 touches no real cell"),
        ((5,), {"kernel_size": 2, "stride": 1, "padding": ((0, 2),)}, "window 5 along axis 0 touches"),
        ((2,), {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 3}, "window 0 along axis 0 touches"),
        ((0,), {"kernel_size": 2, "stride": 1, "padding": 1}, "window 0 along axis 0 touches"),
    ],
)
def test_geometry_errors(shape, window, message):
    for function in (ref.max_pool, ref.avg_pool):
        with pytest.raises(ValueError, match=message):
            function(np.zeros(shape), **window)
    with pytest.raises(ValueError, match=message):
        ref.output_shape(shape, **window)


def test_nan_policy_raise():
    x = np.array([1, NAN, 2, 3])
    for function in (ref.max_pool, ref.avg_pool, ref.sum_pool):
        with pytest.raises(ValueError, match="NaN"):
            function(x, 2, nan_policy="raise")
        function(x[2:], 2, nan_policy="raise")
        function(x, 2, nan_policy="raise", where=~np.isnan(x))


@pytest.mark.parametrize("dtype", SUMMABLE)
def test_out_and_memory_order(dtype):
    x = np.asfortranarray(finite((3, 4, 5), dtype))
    y = ref.avg_pool(x, 2)
    assert y.flags.f_contiguous
    assert ref.avg_pool(np.ascontiguousarray(x), 2).flags.c_contiguous
    out = np.empty(y.shape, y.dtype)
    assert ref.avg_pool(x, 2, out=out) is out
    assert_same(out, y)
    with pytest.raises(ValueError, match="out"):
        ref.avg_pool(x, 2, out=np.empty(y.shape, np.complex128 if dtype_of(dtype).kind != "c" else "f4"))
