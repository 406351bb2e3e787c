"""What is drawn: the patches, points, labels and refusals of cypool.plot."""

import subprocess
import sys

import numpy as np
import pytest

import cypool

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

import matplotlib.pyplot as plt

from cypool import plot


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drawn(ax, gid):
    return [patch for patch in ax.patches if patch.get_gid() == gid]


@pytest.mark.parametrize(
    ("window", "low", "count", "padding", "taps"),
    [((2,), 0, 4, 0, 8), ((3, 2, 1), 1, 5, 2, 15), ((3, 1, [(2, 1)], 2), 2, 8, 3, 24)],
)
def test_windows_of_one_axis(window, low, count, padding, taps):
    ax = plot.windows(9, *window)
    assert (len(drawn(ax, "cell")), len(drawn(ax, "padding")), len(drawn(ax, "tap"))) == (9, padding, taps)
    assert ax.get_title() == f"9 cells, {count} windows"
    assert min(patch.get_x() for patch in drawn(ax, "tap")) == pytest.approx(-low + 0.1)


def test_windows_of_two_axes():
    ax = plot.windows((5, 6), (3, 2), stride=2, padding=(1, 0), ceil_mode=True)
    shape = cypool.output_shape((5, 6), (3, 2), 2, (1, 0), ceil_mode=True)
    frames = drawn(ax, "window")
    assert len(frames) == np.prod(shape) == len(ax.lines)
    assert all(len(line.get_xdata()) == 6 for line in ax.lines)
    assert len(drawn(ax, "cell")) == 30
    assert len(drawn(ax, "padding")) == 2 * 6
    assert {round(frame.get_y()) for frame in frames} == {-1, 1, 3}


def test_what_hangs_over_is_drawn_as_padding():
    assert len(drawn(plot.windows(5, 2, ceil_mode=True), "padding")) == 1


def test_axes_that_are_given_are_drawn_into():
    _, ax = plt.subplots()
    assert plot.windows(4, 2, ax=ax) is ax
    assert plot.winners(np.eye(4), 2, ax=ax) is ax
    assert plot.receptive_field([3], ax=ax) is ax


def test_winners():
    x = np.array([[1, 5, 2, 0], [3, 4, 8, 1], [0, 2, 6, 7]])
    ax = plot.winners(x, 2, stride=1)
    image, won = ax.images
    np.testing.assert_array_equal(image.get_array(), x)
    np.testing.assert_array_equal(won.get_array().filled(0), [[0, 1, 0, 0], [0, 1, 4, 0], [0, 0, 0, 0]])
    assert ax.get_title() == "3 of 12 cells won"
    assert [a.get_ylabel() for a in ax.figure.axes] == ["", "windows won"]
    assert len(plot.winners(x, (3, 2)).figure.axes) == 1, "no colours to tell where each cell won once"


def test_receptive_field():
    ax = plot.receptive_field([(3, 2), 3, (2, 1, 4)])
    # From the top: 1, 5 of layer 2, 7 of layer 1, 15 of the input.
    assert [len(line.get_xdata()) for line in ax.lines] == [15, 7, 5, 1]
    assert [text.get_text() for text in ax.texts] == ["input: 15", "layer 1: 7", "layer 2: 5", "layer 3: 1"]
    step = {round(float(np.diff(line.get_xdata())[0]), 9) for line in ax.lines[1:3]}
    assert step == {2.0}
    assert len(ax.patches) == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plot.windows((2, 3, 4), 2), r"shape must have one or two axes to be drawn, got \(2, 3, 4\)"),
        (lambda: plot.windows((100, 100), 2), r"shape has too many cells and padding to be drawn, got \(100, 100\)"),
        (lambda: plot.windows((4, 4), (2,)), r"kernel_size must have one entry per pooled axis \(2\), got \(2,\)"),
        (lambda: plot.winners(np.eye(4), (2,)), r"one entry per pooled axis \(2\), got \(2,\)"),
        (lambda: plot.windows((4, 4), 5), "axis 0 of size 4 has no window"),
        (lambda: plot.windows(0, 5), "shape must be at least 1, got 0"),
        (lambda: plot.winners(np.zeros(3), 2), r"x must be an image of two axes, got shape \(3,\)"),
        (lambda: plot.receptive_field([]), "layers must have at least one entry"),
        (lambda: plot.receptive_field([0]), "layers must be at least 1, got 0"),
        (lambda: plot.receptive_field([(1, 2, 3, 4)]), r"got \(1, 2, 3, 4\)"),
        (lambda: plot.receptive_field([(3, 2)] * 12), "layers see 8191 cells of the input, too many to be drawn"),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_without_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import cypool; import cypool.plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: cypool.plot needs matplotlib: pip install 'cypool[plot]'" in done.stderr
