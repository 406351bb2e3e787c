"""What is refused, and how: the message names the argument and its value, and nothing has been written."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
from cases import ordered
from compare import assert_same

import cypool
from cypool import reference

REFUSALS = (ValueError, TypeError, OverflowError, MemoryError)
POOLS = {name: getattr(cypool, name) for name in ("max_pool", "min_pool", "avg_pool", "sum_pool")}
ANY = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
X = ordered((9, 10), "float32")
GOOD = {"kernel_size": (2, 3)}


def says(message, name, value):
    """Whether the message names the argument and shows its value, or the part of it that is wrong."""

    def shown(value):
        if isinstance(value, np.ndarray) and value.ndim:
            value = value.tolist()
        if isinstance(value, list | tuple):
            return repr(tuple(value)) in message or repr(list(value)) in message or any(map(shown, value))
        return repr(value) in message

    return re.search(rf"\b{name}\b", message) and shown(value)


def refuses(function, *arguments, name, value, **more):
    with pytest.raises(REFUSALS) as caught:
        function(*arguments, **more)
    assert says(str(caught.value), name, value), caught.value
    return caught.value


def test_says():
    assert says("stride must be positive, got -1", "stride", -1)
    assert says("stride must be positive, got -1", "stride", (2, (-1, 3)))
    assert not says("strides must be positive, got -1", "stride", -1)
    assert not says("stride must be positive", "stride", -1)
    assert not says("stride must be positive, got -1", "stride", (2, 3))


# -------------------------------------------------------------------------------------------- the window

NOT_INTEGERS = (2.0, np.float64(2), True, np.True_, "2", b"2", 2j, {2}, {}, object, np.array(2.0), (2, 3.0), (2, True))
NOT_SIZES = ((), [], (2, 2, 2), ((2, 3),), ((2, 2), (3, 3)), (2, "x"), (None, 2), np.ones((2, 2), int))
WRONG = (
    *(("kernel_size", v) for v in (*NOT_INTEGERS, None, *NOT_SIZES, 0, -1, -(2**63), (2, 0), (2, -1))),
    *(("kernel_size", v) for v in (2**31, 2**62, 2**63, 2**64, (2, 2**62), 10**30)),
    *(("stride", v) for v in (*NOT_INTEGERS, *NOT_SIZES, (2,), 0, -1, -(2**63), (2, 0), (1, -1))),
    *(("dilation", v) for v in (*NOT_INTEGERS, None, *NOT_SIZES, (2,), 0, -1, -(2**63), (2, 0), (1, -1))),
    *(("dilation", v) for v in (2**31, 2**62, 2**63, 2**64, (1, 2**62), 10**30)),
    *(("padding", v) for v in (*NOT_INTEGERS, None, (), (2,), (2, 2, 2), -1, -(2**63), (0, -1), ((0, 1), (0, -1)))),
    *(
        ("padding", v)
        for v in (((1, 1),), ((1, 1), (1,)), ((1, 1), (1, 1, 1)), (((1, 1),), (1, 1)), ((1, None), (1, 1)))
    ),
    *(("padding", v) for v in (2**31, 2**62, 2**63, 2**64, ((0, 2**62), (0, 0)), ((2**63, 0), (0, 0)), 10**30)),
    *(("padding", v) for v in ("SAME", "full", "", "same_upper", b"same")),
    *(
        ("axis", v)
        for v in (2, -3, 2**62, -(2**63), (0, 2), (0, 0), (0, -2), (1, 0, 1), 1.0, (0, 1.0), True, "0", (), {0, 1})
    ),
    *(("axis", v) for v in (((0, 1),), (None, 1), object)),
    *(("ceil_mode", v) for v in (None, 2, 1, 0, "yes", (), 1.0)),
)


def label(value):
    return repr(value).replace(" ", "")[:40]


@ANY
@pytest.mark.parametrize(("name", "value"), WRONG, ids=label)
def test_wrong_windows(pool, name, value):
    refuses(pool, X, **GOOD | {name: value}, name=name, value=value)


# (a wrong value, a right one that Python takes for equal to it)
TWINS = (
    *(("kernel_size", v) for v in ((2.0, 2), (True, 1), ((2, 3.0), (2, 3)), ((True, 2), (1, 2)), (2 + 0j, 2))),
    *(("stride", v) for v in ((2.0, 2), (True, 1), ((2, 3.0), (2, 3)), ((True, 2), (1, 2)))),
    *(("padding", v) for v in ((1.0, 1), (False, 0), ((1, 0.0), (1, 0)), (((1, 1.0), (0, 0)), ((1, 1), (0, 0))))),
    *(("dilation", v) for v in ((2.0, 2), (True, 1), ((2, 1.0), (2, 1)), ((True, 2), (1, 2)))),
    *(("axis", v) for v in (((0, 1.0), (0, 1)), ((False, 1), (0, 1)), ((0, True), (0, 1)))),
    *(("ceil_mode", v) for v in ((0, False), (1, True), (1.0, True))),
)


@ANY
@pytest.mark.parametrize(("name", "twins"), TWINS, ids=label)
def test_a_call_that_went_well_before_does_not_hide_a_wrong_one(pool, name, twins):
    wrong, right = twins
    good = {"kernel_size": (2, 3), "padding": 0, "stride": 1, name: right}
    want = pool(X, **good)
    refuses(pool, X, **good | {name: wrong}, name=name, value=wrong)
    assert_same(pool(X, **good), want)


@ANY
@pytest.mark.parametrize("axis", [0, (1,), -1, [1]], ids=str)
def test_as_many_sizes_as_axes(pool, axis):
    refuses(pool, X, (2, 3), axis=axis, name="kernel_size", value=(2, 3))
    refuses(pool, X, (1, 1, 1), name="kernel_size", value=(1, 1, 1))


@pytest.mark.parametrize(("name", "value"), WRONG, ids=label)
def test_wrong_windows_of_output_shape(name, value):
    refuses(cypool.output_shape, X.shape, **GOOD | {name: value}, name=name, value=value)


@pytest.mark.parametrize("shape", [5, 5.0, "55", None, (5, -1), (5, 2.0), (5, True), (5, "5"), (5, None)], ids=str)
def test_wrong_shapes(shape):
    refuses(cypool.output_shape, shape, 2, name="shape", value=shape)


def test_shapes_that_no_array_can_have():
    """Only arithmetic, so either the formula or a refusal."""
    assert cypool.output_shape((2**40, 2**40), 2) == (2**39, 2**39)
    assert cypool.output_shape([7, np.int16(5)], 2) == (3, 2)
    try:
        assert cypool.output_shape((2**63,), 2) == (2**62,)
    except (ValueError, OverflowError) as error:
        assert "axis 0" in str(error)  # noqa: PT017


# What is legal but far longer than the array: (kernel_size, stride, padding, dilation) and how much of X, which is all
# ones, is in each window; in a child, so that running away with the memory or the process fails a test and no more.
LONG = (
    *((2, n, 0, 1, 4) for n in (2**31, 2**32 + 1, 2**61, 2**62)),  # one window, the next one would be far outside
    *((3, 1, n, n, 1) for n in (2**31, 2**32 + 1, 2**60)),  # the middle one of three taps on each cell
    *((n, n, n // 2, 1, 90) for n in (2**6, 2**10, 2**16, 2**20, 2**31, 2**60)),  # one window around everything
)
CHILD = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
import numpy as np
import cypool
kernel, stride, padding, dilation, cells = {long}
x = np.ones((9, 10), np.{dtype})
for name, want in dict(max_pool=1, min_pool=1, sum_pool=cells, avg_pool=cells / kernel**2).items():
    y = getattr(cypool, name)(x, kernel, stride, padding, dilation)
    np.testing.assert_allclose(y, np.full(y.shape, want), rtol=1e-6, err_msg=name)
    assert y.shape == cypool.output_shape(x.shape, kernel, stride, padding, dilation)
"""


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("long", LONG, ids=str)
def test_lengths_far_beyond_the_array(long, dtype):
    """Padding is legal in any amount, and neither it nor a length costs time or memory."""
    child = [sys.executable, "-c", CHILD.format(long=long, dtype=dtype)]
    done = subprocess.run(child, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize(
    ("shape", "window", "axis"),
    [
        ((5,), {"kernel_size": 2, "stride": 1, "padding": 2}, 0),
        ((5,), {"kernel_size": 2, "stride": 1, "padding": ((0, 2),)}, 0),
        ((4, 2), {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": (1, 3)}, 1),
        ((4, 0, 3), {"kernel_size": (2, 2), "stride": 1, "padding": 1}, 1),
        ((4, 5, 3), {"kernel_size": (3, 2), "stride": 1, "padding": ((0, 0), (2, 0)), "axis": (2, 0)}, 0),
        ((0, 3), {"kernel_size": (2,), "padding": 2}, 1),
    ],
)
@ANY
def test_windows_that_touch_nothing(pool, shape, window, axis):
    """Also if there is no batch, so nothing to compute."""
    with pytest.raises(ValueError, match=rf"window \d+ .*axis {axis}\b.*touches no"):
        pool(np.zeros(shape, np.float32), **window)
    with pytest.raises(ValueError, match=rf"window \d+ .*axis {axis}\b.*touches no"):
        cypool.output_shape(shape, **window)


@pytest.mark.parametrize(
    ("shape", "window", "axis"),
    [
        ((3,), {"kernel_size": 4}, 0),
        ((0,), {"kernel_size": 1}, 0),
        ((5, 3), {"kernel_size": (3, 2), "dilation": (1, 3)}, 1),
    ],
)
@ANY
def test_outputs_without_a_size(pool, shape, window, axis):
    with pytest.raises(ValueError, match=rf"axis {axis}\b"):
        pool(np.zeros(shape, np.float32), **window)


@ANY
def test_an_array_without_axes(pool):
    for kernel_size in (1, (1,)):
        with pytest.raises(ValueError, match=r"axes|axis|dimension"):
            pool(np.float32(3), kernel_size)


# ----------------------------------------------------------------------------------------- other options


@ANY
@pytest.mark.parametrize("value", [0, -1, -(2**63), 1.5, 2.0, True, False, "2", (2,), [], np.float64(2), 1j], ids=label)
def test_wrong_num_threads(pool, value):
    error = refuses(pool, X, 2, num_threads=value, name="num_threads", value=value)
    assert isinstance(error, ValueError)


@ANY
def test_num_threads_of_any_size(pool):
    want = pool(X, 2, num_threads=1)
    for n in (np.int8(2), 100, 10**6, 2**31, 2**64, None):
        assert_same(pool(X, 2, num_threads=n), want)


@pytest.mark.parametrize("pool", [cypool.max_pool, cypool.min_pool])
@pytest.mark.parametrize("value", ["flat", "", 2, 1.0, None, (), "Window", b"window", np.array([True])], ids=label)
def test_wrong_return_indices(pool, value):
    refuses(pool, X, 2, return_indices=value, name="return_indices", value=value)


@ANY
@pytest.mark.parametrize("value", ["", "ignore", "Omit", None, True, 0, ("omit",), b"omit"], ids=label)
def test_wrong_nan_policy(pool, value):
    refuses(pool, X, 2, nan_policy=value, name="nan_policy", value=value)


@pytest.mark.parametrize("value", [0, 1.5, 2.0, True, "2", (2,), np.nan, np.float64(2)], ids=label)
def test_wrong_divisor_override(value):
    refuses(cypool.avg_pool, X, 2, divisor_override=value, name="divisor_override", value=value)


@pytest.mark.parametrize("value", [2, "yes", (), 1.0], ids=label)
def test_wrong_count_include_pad(value):
    refuses(cypool.avg_pool, X, 2, count_include_pad=value, name="count_include_pad", value=value)


@pytest.mark.parametrize("pool", [cypool.avg_pool, cypool.sum_pool])
@pytest.mark.parametrize(
    "value", ["int32", "float33", object, "U3", "longdouble", [("a", "f4")], "M8[s]", 7], ids=label
)
def test_wrong_dtype(pool, value):
    """Whole numbers cannot hold sums of floats; what is no dtype at all is numpy's to say."""
    with pytest.raises(TypeError):
        pool(X, 2, dtype=value)


# ---------------------------------------------------------------------------------------------- arrays

NOT_ARRAYS = {
    "longdouble": np.zeros((4, 4), np.longdouble),
    "clongdouble": np.zeros((4, 4), np.clongdouble),
    "object": np.zeros((4, 4), object),
    "str": np.zeros((4, 4), "U3"),
    "bytes": np.zeros((4, 4), "S3"),
    "StringDType": np.zeros((4, 4), np.dtypes.StringDType()),
    "void": np.zeros((4, 4), "V4"),
    "structured": np.zeros((4, 4), [("a", "f4"), ("b", "f4")]),
}
NAMES = {
    "clongdouble": "complex256",
    "structured": "structured|a.*b",
    "bytes": r"\|?S3|bytes",
    "void": "V4|void",
    "str": "U3|str",
}
NAMES |= {"longdouble": "longdouble|float128", "clongdouble": "longdouble|complex256"}


@ANY
@pytest.mark.parametrize("kind", NOT_ARRAYS)
def test_dtypes_that_are_refused(pool, kind):
    with pytest.raises(TypeError, match=NAMES.get(kind, kind)) as caught:
        pool(NOT_ARRAYS[kind], 2)
    assert len(str(caught.value)) > 30, "it does not say what to do instead"


@ANY
def test_masked_arrays_are_refused(pool):
    masked = np.ma.masked_greater(X, 1)
    with pytest.raises(TypeError, match="masked"):
        pool(masked, 2)


@ANY
@pytest.mark.parametrize(
    "x",
    [None, "text", object(), [[1, 2], [3]], {1: 2}, max],
    ids=["None", "text", "object", "ragged", "dict", "function"],
)
def test_things_that_are_no_arrays(pool, x):
    with pytest.raises((TypeError, ValueError)):
        pool(x, 2)


# ------------------------------------------------------------------------------------------------- out=


def outs():
    """(what is wrong, an out of that kind) for a float32 result of shape (4, 5)."""
    readonly = np.full((4, 5), 7, np.float32)
    readonly.flags.writeable = False
    yield "a list", [[7.0] * 5] * 4, TypeError
    yield "a scalar", 7.0, TypeError
    yield "a masked array", np.ma.masked_all((4, 5), np.float32), TypeError
    yield "a wider dtype", np.full((4, 5), 7, np.float64), (TypeError, ValueError)
    yield "a narrower dtype", np.full((4, 5), 7, np.float16), (TypeError, ValueError)
    yield "an integer dtype", np.full((4, 5), 7, np.int32), (TypeError, ValueError)
    yield "the other byte order", np.full((4, 5), 7, ">f4"), (TypeError, ValueError)
    yield "an object array", np.full((4, 5), 7, object), (TypeError, ValueError)
    yield "one row more", np.full((5, 5), 7, np.float32), ValueError
    yield "a column less", np.full((4, 4), 7, np.float32), ValueError
    yield "the input's shape", np.full((9, 10), 7, np.float32), ValueError
    yield "the shape transposed", np.full((5, 4), 7, np.float32), ValueError
    yield "one axis more", np.full((1, 4, 5), 7, np.float32), ValueError
    yield "one axis less", np.full(20, 7, np.float32), ValueError
    yield "something that would broadcast", np.full((4, 1), 7, np.float32), ValueError
    yield "read-only", readonly, ValueError
    yield "one row for all", np.lib.stride_tricks.as_strided(np.full(5, 7, np.float32), (4, 5), (0, 4)), ValueError


OUTS = {what: (out, error) for what, out, error in outs()}


@ANY
@pytest.mark.parametrize("what", OUTS)
def test_wrong_out(pool, what):
    out, error = OUTS[what]
    pool(X, 2)  # so that the call is known
    with pytest.raises(error, match=r"\bout\b"):
        pool(X, 2, out=out)
    if isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray):
        assert (out == 7).all()


WRONG_CALLS = (
    {"kernel_size": 11},
    {"kernel_size": 2, "padding": 3},
    {"kernel_size": 2, "stride": 0},
    {"kernel_size": 2, "dilation": 2**62},
    {"kernel_size": 2, "axis": (0, 0)},
    {"kernel_size": 2, "num_threads": 0},
    {"kernel_size": 2, "nan_policy": "never"},
)


@ANY
@pytest.mark.parametrize("wrong", WRONG_CALLS, ids=str)
def test_errors_leave_out_untouched(pool, wrong):
    for shape in ((4, 5), (1, 1), (9, 10)):
        out = np.full(shape, 7, np.float32)
        pool(X, 2)  # so that the right one is known
        with pytest.raises(REFUSALS):
            pool(X, **wrong, out=out)
        assert (out == 7).all()


# --------------------------------------------------------------------------------------------- signatures

W = "kernel_size, stride=None, padding=0, dilation=1, *, axis=None, ceil_mode=False"
GAPS = "nan_policy='propagate', where=None, min_count=1, fill_value=None"
SIGNATURES = {
    "max_pool": f"x, {W}, return_indices=False, {GAPS}, out=None, num_threads=None",
    "min_pool": f"x, {W}, return_indices=False, {GAPS}, out=None, num_threads=None",
    "avg_pool": f"x, {W}, count_include_pad=None, divisor_override=None, dtype=None, {GAPS}, "
    "out=None, num_threads=None",
    "sum_pool": f"x, {W}, dtype=None, {GAPS}, out=None, num_threads=None",
    "output_shape": f"shape, {W}",
    "max_unpool": f"y, indices, {W.replace('*, ', '*, output_shape=None, ')}, out=None, num_threads=None",
    "max_unpool_grad": f"grad, indices, {W}, out=None, num_threads=None",
    "lp_pool": f"x, norm_type, {W}, out=None, num_threads=None",
    "lp_pool_grad": f"grad, x, y, norm_type, {W}, out=None, num_threads=None",
    "max_pool_grad": f"grad, indices, shape, {W}, out=None, num_threads=None",
    "min_pool_grad": f"grad, indices, shape, {W}, out=None, num_threads=None",
    "avg_pool_grad": f"grad, shape, {W}, count_include_pad=None, divisor_override=None, where=None, min_count=1, "
    "out=None, num_threads=None",
    "sum_pool_grad": f"grad, shape, {W}, where=None, min_count=1, out=None, num_threads=None",
    "adaptive_max_pool": f"x, output_size, *, axis=None, return_indices=False, {GAPS}, out=None, num_threads=None",
    "adaptive_min_pool": f"x, output_size, *, axis=None, return_indices=False, {GAPS}, out=None, num_threads=None",
    "adaptive_avg_pool": f"x, output_size, *, axis=None, dtype=None, {GAPS}, out=None, num_threads=None",
    "adaptive_max_pool_grad": "grad, indices, shape, output_size, *, axis=None, out=None, num_threads=None",
    "adaptive_avg_pool_grad": "grad, shape, output_size, *, axis=None, where=None, min_count=1, out=None, "
    "num_threads=None",
    "global_max_pool": "x, *, axis=None, keepdims=True, return_indices=False",
    "global_avg_pool": "x, *, axis=None, keepdims=True",
    "global_lp_pool": "x, norm_type=2, *, axis=None, keepdims=True",
    "spatial_pyramid_pool": "x, levels=(1, 2, 4), *, op='max', axis=None",
    "fractional_max_pool": "x, kernel_size, *, output_size=None, output_ratio=None, axis=None, rng=None, samples=None, "
    "return_indices=False",
    "weighted_avg_pool": f"x, weights, {W}, out=None, num_threads=None",
    "soft_pool": f"x, {W}, out=None, num_threads=None",
    "power_mean_pool": f"x, p, {W}, out=None, num_threads=None",
    "logsumexp_pool": f"x, {W}, out=None, num_threads=None",
    "stochastic_pool": f"x, {W}, rng=None",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    """Names, order, kinds and defaults; more keywords may join later."""
    promised = inspect.signature(eval(f"lambda {SIGNATURES[name]}: 0")).parameters
    actual = inspect.signature(getattr(cypool, name)).parameters
    found = [p.replace(annotation=p.empty) for p in actual.values() if p.name in promised]
    assert found == list(promised.values())
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in actual.values() if p.name not in promised)


def test_public_names():
    assert {*SIGNATURES, "set_num_threads", "get_num_threads", "show_config"} <= set(cypool.__all__)
    assert all(getattr(cypool, name).__doc__ for name in cypool.__all__)
    assert cypool.__all__ == sorted(cypool.__all__)
    assert set(POOLS) <= set(reference.__all__)
