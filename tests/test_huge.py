"""Arrays of more than 2**31 cells, where every position needs 64 bits; and how much memory a call takes."""

import os
from pathlib import Path

import numpy as np
import pytest

import cypool


def kibibytes(file, name):
    """What Linux says on a line like "VmHWM:  1234 kB"; 0 where it is not Linux."""
    lines = Path("/proc", file).read_text().splitlines() if os.path.exists(f"/proc/{file}") else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


needs_6_gib = pytest.mark.skipif(kibibytes("meminfo", "MemAvailable") < 6 * 2**20, reason="needs 6 GiB of free memory")


@needs_6_gib
def test_one_long_axis():
    n = 2**31 + 64
    x = np.zeros(n, np.uint8)
    marks = {0: 1, 2**30: 2, 2**31 - 2: 3, 2**31 - 1: 4, 2**31: 5, 2**31 + 3: 6, n - 1: 7}
    for at, value in marks.items():
        x[at] = value
    y = cypool.max_pool(x, 2)
    assert y.shape == (n // 2,)
    want = {}
    for at, value in marks.items():
        want[at // 2] = max(value, want.get(at // 2, 0))
    assert {int(at): int(y[at]) for at in np.flatnonzero(y)} == want
    del y
    # a stride that leaves few windows, and flat indices past 2**31
    y, flat = cypool.max_pool(x, 2**27 + 4, return_indices=True)
    assert y.tolist() == [1, *[0] * 6, 2, *[0] * 7, 7][: len(y)]
    assert flat[-1] == n - 1
    assert flat[7] == 2**30
    total = cypool.sum_pool(x, n)
    assert total.tolist() == [sum(marks.values())]
    assert cypool.avg_pool(x, n).tolist() == [sum(marks.values()) / n]


@needs_6_gib
def test_two_axes():
    shape = (3, 2**30)
    x = np.zeros(shape, np.uint8)
    x[2, -1], x[2, 5], x[0, 2**29] = 9, 8, 7
    y, flat = cypool.max_pool(x, (3, 2**26), return_indices=True)
    assert y.tolist() == [[8, *[0] * 7, 7, *[0] * 6, 9]]
    assert (flat[0, 0], flat[0, 8], flat[0, -1]) == (2**31 + 5, 2**29, 3 * 2**30 - 1)
    y = cypool.max_pool(x, (1, 2**29), axis=(0, 1))
    assert y.tolist() == [[0, 7], [0, 0], [8, 9]]
    y = cypool.max_pool(x, 2, 1, axis=0)
    assert (y.shape, y[1, -1], y[1, 5], y[0, 2**29]) == ((2, 2**30), 9, 8, 7)
    assert np.count_nonzero(y) == 3


def test_a_view_without_memory_behind_it():
    """Zero strides make arrays larger than any memory; only their size matters."""
    x = np.broadcast_to(np.array([1, 3, 2], np.int8), (2**32, 3))
    y = cypool.max_pool(x, (2**31, 3))
    assert y.tolist() == [[3], [3]]


PLACES = {
    "C order": lambda x: x,
    "Fortran order": lambda x: x.T,
    "reversed": lambda x: x[::-1, ::-1],
    "every other column": lambda x: x[:, ::2],
    "every other row": lambda x: x[::2],
}


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux tells the peak and forgets it")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "window",
    [
        ((64, 64),),
        ((3, 3), (64, 64)),
        ((2, 2048), (64, 1024)),
        ((2048, 2), (1024, 64)),
        ((256, 256), (128, 128), (128, 128)),
    ],
    ids=str,
)
def test_no_copy_of_the_input(window, dtype, place):
    """Scratch is bounded, whatever the window and wherever the cells are."""
    x = PLACES[place](np.ones((4096, 4096), dtype))
    calls = [
        lambda: cypool.max_pool(x, *window, num_threads=2),
        lambda: cypool.max_pool(x, *window, return_indices=True, num_threads=2),
        lambda: cypool.sum_pool(x, *window, num_threads=2),
        lambda: cypool.avg_pool(x, *window, num_threads=2),
    ]
    for call in calls:
        call()  # what is made once, as threads and plans, is not meant
        Path("/proc/self/clear_refs").write_text("5")
        before = kibibytes("self/status", "VmHWM")
        call()
        assert kibibytes("self/status", "VmHWM") - before < 6 * 2**10
