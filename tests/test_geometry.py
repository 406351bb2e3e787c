"""geometry.py against brute force: every window of every small pool, tap by tap."""

import itertools

import numpy as np
import pytest
from cases import CASES
from hypothesis import given
from hypothesis import strategies as st

from cypool import geometry, reference

# Every combination of small numbers along one axis; the reference enumerates taps, geometry.py must not.
SMALL = tuple(itertools.product(range(8), (1, 2, 3, 5), (1, 2, 3, 7), (0, 1, 2, 4), (0, 1, 3), (1, 2, 4, 9)))


def brute_force(n, kernel, stride, low, high, dilation, ceil_mode):
    """How many windows there are, by walking them from the left, and the first that touches nothing."""
    last = dilation * (kernel - 1)
    starts = itertools.count(-low, stride)
    if ceil_mode:  # windows may hang over the end by less than a stride, but must start in the array or left of it
        fits = itertools.takewhile(lambda s: s + last < n + high + stride, starts)
        found = [s for s in fits if s + last - (n + high - 1) < stride]
        found = found[:-1] if found and found[-1] >= n else found
    else:
        found = list(itertools.takewhile(lambda s: s + last < n + high, starts))
    empty = [i for i, s in enumerate(found) if not any(0 <= s + j * dilation < n for j in range(kernel))]
    return len(found), empty[0] if empty else None


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_every_small_axis(ceil_mode):
    for n, kernel, stride, low, high, dilation in SMALL:
        count, empty = brute_force(n, kernel, stride, low, high, dilation, ceil_mode)
        arguments = (n,), kernel, stride, ((low, high),), dilation, None, ceil_mode
        if count > 0 and empty is None:
            (window,) = geometry.windows(*arguments)
            assert window == (0, n, kernel, stride, dilation, low, high, count, None), arguments
        else:
            said = f"window {empty} of axis 0" if count > 0 else "axis 0 .* has no window"
            with pytest.raises(ValueError, match=said):
                geometry.windows(*arguments)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("padding", ["same", "same_lower"])
def test_every_small_same(padding, ceil_mode):
    for n, kernel, stride, dilation in itertools.product(range(1, 12), range(1, 6), range(1, 6), range(1, 5)):
        try:
            (window,) = geometry.windows((n,), kernel, stride, padding, dilation, None, ceil_mode)
        except ValueError:
            with pytest.raises(ValueError, match="touches"):
                reference.output_shape((n,), kernel, stride, padding, dilation, ceil_mode=ceil_mode)
            continue
        assert window.count == -(-n // stride)
        reach = (window.count - 1) * stride + window.extent
        assert window.low + window.high == max(reach - n, 0)
        assert window.high - window.low in ((0, 1) if padding == "same" else (0, -1))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_cases(case):
    found = geometry.windows(case.shape, **case.window)
    assert geometry.pooled_shape(case.shape, found) == reference.output_shape(case.shape, **case.window)


@pytest.mark.parametrize("case", [c for c in CASES if c.axis is None and 0 not in c.shape], ids=lambda c: c.id)
def test_span_is_what_a_piece_of_the_output_needs(case):
    """Pooling the span alone gives the same windows: the first, the last, some in the middle, all."""
    x = np.arange(1.0, np.prod(case.shape) + 1).reshape(case.shape)
    whole = reference.sum_pool(x, **case.window)
    found = geometry.windows(case.shape, **case.window)
    w = found[0]
    for first, last in {(0, 1), (0, w.count), (w.count - 1, w.count), (w.count // 3, w.count - w.count // 3)}:
        start, stop, low, high = w.span(first, last)
        assert 0 <= start <= stop <= w.size
        padding = [(v.low, v.high) for v in found]
        counts = [v.count for v in found]
        padding[0], counts[0] = (low, high), last - first
        piece = {
            **case.window,
            "padding": tuple(padding),
            "axis": tuple(v.axis for v in found),
            "kernel_size": tuple(v.kernel for v in found),
            "stride": tuple(v.stride for v in found),
            "dilation": tuple(v.dilation for v in found),
        }
        index = [slice(None)] * x.ndim
        index[w.axis] = slice(start, stop)
        part = reference.sum_pool(x[tuple(index)], **piece)
        index[w.axis] = slice(first, last)
        np.testing.assert_array_equal(part, whole[tuple(index)])


POWERS = st.builds(lambda k, d: 2**k + d, st.sampled_from((30, 31, 32, 40, 61, 62, 63, 64)), st.integers(-2, 2))
SIZES, PADS = st.integers(1, 9) | POWERS, st.integers(0, 2) | POWERS


@given(n=SIZES, kernel=SIZES, stride=SIZES, low=PADS, high=PADS, dilation=SIZES, ceil_mode=st.booleans())
def test_huge_numbers(n, kernel, stride, low, high, dilation, ceil_mode):
    """The formula in unbounded integers or a refusal, and int64 holds every position of a plan that is not refused."""
    extent = dilation * (kernel - 1) + 1
    room = n + low + high - extent
    count = (room + stride - 1 if ceil_mode else room) // stride + 1
    if ceil_mode and (count - 1) * stride >= n + low:
        count -= 1
    try:
        (window,) = geometry.windows((n,), kernel, stride, ((low, high),), dilation, None, ceil_mode)
    except (ValueError, OverflowError) as error:
        assert "axis 0" in str(error)  # noqa: PT017
        return
    assert window == (0, n, kernel, stride, dilation, low, high, count, None)
    assert count > 0
    assert extent > low  # the first window reaches the first cell
    assert (count - 1) * stride - low < n  # and the last one starts before the end
    assert max(n + low + high, extent, stride, (count - 1) * stride + extent) < 2**63
