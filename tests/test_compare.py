"""The judges, judged: the comparers reject what they must, and the quick NumPy oracle agrees with the reference."""

import numpy as np
import numpy_oracle
import pytest
from cases import CASES, finite, ordered
from compare import assert_same, assert_same_numbers, assert_within, sum_bound

from cypool import reference


def floats(*values):
    return np.array(values, np.float32)


EQUAL = (
    (floats(1, -0.0, np.inf), floats(1, -0.0, np.inf)),
    (floats(np.nan), np.array([0x7FC00123], np.uint32).view(np.float32)),
    (floats(np.nan), np.array([0xFFC00000], np.uint32).view(np.float32)),
    (np.array([1j * np.nan, -0.0]), np.array([1j * np.nan, -0.0])),
    (np.array([5, "NaT"], "M8[s]"), np.array([5, "NaT"], "M8[s]")),
    (np.array([True]), np.array([True])),
    (np.ones((0, 3)), np.ones((0, 3))),
    (np.asfortranarray([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
)
DIFFERENT = {
    "a value": (floats(1, 2), floats(1, 3)),
    "one unit in the last place": (floats(1), np.nextafter(floats(1), floats(2))),
    "NaN for a number": (floats(np.nan), floats(1)),
    "a number for NaN": (floats(1), floats(np.nan)),
    "the sign of infinity": (floats(np.inf), floats(-np.inf)),
    "dtype": (floats(1), np.array([1.0])),
    "signedness": (np.array([1], np.int64), np.array([1], np.uint64)),
    "byte order": (floats(1).astype(">f4"), floats(1)),
    "shape": (floats(1), floats(1)[None]),
    "shape that broadcasts": (floats(1, 1), floats(1)),
    "shape of nothing": (np.ones((0, 3)), np.ones((3, 0))),
    "a scalar": (np.float32(1), floats(1)),
    "a list": ([1.0], np.array([1.0])),
    "an integer past 2**53": (np.array([2**53 + 1]), np.array([2**53])),
    "NaT": (np.array(["NaT"], "M8[s]"), np.array([5], "M8[s]")),
    "an imaginary part": (np.array([1 + 1j]), np.array([1 + 2j])),
}


@pytest.mark.parametrize(("got", "want"), EQUAL)
def test_same_accepts(got, want):
    assert_same(got, want)


@pytest.mark.parametrize("what", DIFFERENT)
def test_every_judge_rejects(what):
    got, want = DIFFERENT[what]
    with pytest.raises(AssertionError):
        assert_same(got, want)
    with pytest.raises(AssertionError):
        assert_same_numbers(got, want)
    with pytest.raises(AssertionError):
        assert_within(got, want, 0.0)


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0), (complex(0, 0.0), complex(0, -0.0))])
def test_sign_of_zero(zeros):
    got, want = (np.array([z]) for z in zeros)
    assert_same_numbers(got, want)
    assert_within(got, want, 0.0)
    with pytest.raises(AssertionError):
        assert_same(got, want)


def test_message_tells_where():
    with pytest.raises(AssertionError, match=r"1 of 6 cells differ; at \(1, 2\): .*7.*, should be .*5"):
        assert_same(np.array([[0, 1, 2], [3, 4, 7]]), np.arange(6).reshape(2, 3))


def test_within_uses_the_bound_of_each_cell():
    want, bound = np.array([1.0, 100.0]), np.array([0.1, 10.0])
    assert_within(want + bound * 0.99, want, bound)
    for wrong in ([0.11, 0], [0, 10.1], [-0.11, 0], [np.nan, 0], [np.inf, 0], [0, -np.inf]):
        with pytest.raises(AssertionError):
            assert_within(want + wrong, want, bound)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_within_wants_specials_exactly(special):
    assert_within(floats(special), floats(special), np.array([np.nan]))
    for wrong in {1.0, 3e38, np.inf, -np.inf} - {special}:
        with pytest.raises(AssertionError):
            assert_within(floats(wrong), floats(special), np.array([np.inf]))


def test_bound_rejects_a_sum_in_too_few_digits():
    x = finite((4096,), "float32")
    window = {"kernel_size": 4096}
    want = reference.sum_pool(x, **window)
    bound = sum_bound(x, want.dtype, window)
    assert_within(x.sum(keepdims=True), want, bound)
    with pytest.raises(AssertionError):
        assert_within(x.astype(np.float16).cumsum()[-1:].astype(np.float32), want, bound)


def test_bound_rejects_running_sums():
    """Differences of a running sum carry one large number into every later window."""
    x = np.ones(1000, np.float32)
    x[10] = 1e8
    window = {"kernel_size": 5, "stride": 1}
    want = reference.sum_pool(x, **window)
    bound = sum_bound(x, want.dtype, window)
    running = np.concatenate([[0], np.cumsum(x)]).astype(np.float32)
    with pytest.raises(AssertionError):
        assert_within(running[5:] - running[:-5], want, bound)


def test_bound_of_an_average_is_divided():
    x = finite((12,), "float64")
    window = {"kernel_size": 4, "padding": 1}
    whole = sum_bound(x, x.dtype, window)
    np.testing.assert_allclose(sum_bound(x, x.dtype, window, count_include_pad=True), whole / 4, rtol=1e-14)


PLAIN = [c for c in CASES if not isinstance(c.padding, str) and not c.ceil_mode and isinstance(c.kernel_size, tuple)]
PLAIN = [c for c in PLAIN if c.axis is None]


@pytest.mark.parametrize("case", PLAIN, ids=lambda c: c.id)
def test_numpy_oracle(case):
    window = case.kernel_size, case.stride, case.padding, case.dilation
    for dtype in ("int16", "float32"):
        x = ordered(case.shape, dtype)
        for name in ("max_pool", "min_pool"):
            assert_same_numbers(getattr(numpy_oracle, name)(x, *window), getattr(reference, name)(x, *window))
    x = finite(case.shape, "float64")
    want = reference.sum_pool(x, *window)
    assert_within(numpy_oracle.sum_pool(x, *window), want, sum_bound(x, x.dtype, case.window))
