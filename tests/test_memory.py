"""How much memory a call takes beyond its input and its results: at most `BOUND` for each thread.

The calls run in a process of their own, where the C library gets every block from the system and gives it back at once,
and which may have no more than the bound while a call runs: a block beyond it is a MemoryError.
"""

import os
import resource
import subprocess
import sys
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest

import cypool

BOUND = 2**20

# (shape, window, axes): rows, streams, ladders, blocks, channels last, volumes, sequences, one window
WINDOWS = (
    ((8, 64, 28, 28), (3, 2, 1), (2, 3)),
    ((256, 40, 40), (13, 1, 6), (1, 2)),
    ((512, 700), (5, 1), (0, 1)),
    ((512, 700), (31, 1, 15), (0, 1)),
    ((512, 700), (127, 1), (0, 1)),
    ((512, 700), (31, 1, 0, 9), (0, 1)),
    ((512, 1024), (2,), (0, 1)),
    ((512, 1024), ((2, 512),), (0, 1)),
    ((1024, 512), ((512, 2),), (0, 1)),
    ((512, 1024), ((128, 128), (64, 64), (64, 64)), (0, 1)),
    ((512, 1024), (512,), (0, 1)),
    ((2, 56, 56, 96), (3, 2, 1), (1, 2)),
    ((1, 40, 40, 384), (13, 1, 6), (1, 2)),
    ((64, 8192), (9, 1), (0,)),
    ((64, 64, 112), (5, 1, 2), (0, 1, 2)),
    ((64, 64, 112), (31, 1, 15), (0, 1, 2)),
    ((64, 64, 32, 4), (3, 2, 1), (0, 1, 2)),
    ((2**19,), (127, 1), (0,)),
    ((2**19,), (65536, 1), (0,)),
    ((2**19,), (4096, 4096), (0,)),
)
PLACES = {
    "C order": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "reversed, every other cell": lambda x: np.repeat(x[..., ::-1], 2, axis=-1)[..., ::-2],
}


def forward(op, **options):
    """A pool of x with options, into an `out` made before."""

    def prepare(x, window, axis):
        call = getattr(cypool, f"{op}_pool")
        result = call(x, *window, axis=axis, **options)
        y = result[0] if isinstance(result, tuple) else result
        return lambda **words: call(x, *window, axis=axis, out=y, **options, **words)

    return prepare


def masked(op):
    """A pool of the cells that a mask leaves."""

    def prepare(x, window, axis):
        keep = np.ones(x.shape, bool)
        return forward(op, where=keep, fill_value=0)(x, window, axis)

    return prepare


def backward(op, **options):
    """The gradient of a pool, into an `out` made before."""

    def prepare(x, window, axis):
        result = getattr(cypool, f"{op}_pool")(x, *window, axis=axis, **options)
        y, *indices = result if isinstance(result, tuple) else (result,)
        share = y if y.dtype.kind == "f" else y.astype(np.float32)
        out = np.zeros(x.shape, share.dtype)
        call = getattr(cypool, f"{op}_pool_grad")
        return lambda **words: call(share, *indices, x.shape, *window, axis=axis, out=out, **words)

    return prepare


def take(x, window, axis):
    """The winners' cells, into an `out` made before."""
    y, indices = cypool.max_pool(x, *window, axis=axis, return_indices="window")
    return lambda **words: cypool.max_pool_take(x, indices, *window, axis=axis, out=y, **words)


OPERATIONS = {
    "max": forward("max"),
    "max, flat indices": forward("max", return_indices=True),
    "max, window indices": forward("max", return_indices="window"),
    "max of a mask": masked("max"),
    "avg": forward("avg"),
    "avg of a mask": masked("avg"),
    "avg, cells counted": forward("avg", count_include_pad=False),
    "sum without NaN": forward("sum", nan_policy="omit"),
    "gradient of max, window": backward("max", return_indices="window"),
    "gradient of max, flat": backward("max", return_indices=True),
    "gradient of avg": backward("avg"),
    "take": take,
}


def cases():
    """Name and prepare each call: all operations wherever the cells lie, then on narrow and on wide types."""
    ways = [("float32", place) for place in PLACES] + [("float16", "C order"), ("int64", "C order")]
    for (shape, window, axis), (dtype, place) in product(WINDOWS, ways):
        x = PLACES[place]((np.arange(prod(shape)) % 119).astype(dtype).reshape(shape))
        for name, prepare in OPERATIONS.items():
            yield f"{name}: {shape} {window} {dtype} {place}", prepare(x, window, axis)


def data_bytes():
    """What RLIMIT_DATA counts: the private writable memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    return 1024 * int(line.split()[1])


def fits(call, room):
    """Whether a call gets by with so many bytes more than the process has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes() + room, hard))
    try:
        call()
    except MemoryError:
        return False
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    return True


def child(threads):
    """Print the cases that need more than the bound."""
    assert not fits(lambda: np.ones(BOUND + 2**16, np.uint8), BOUND), "the limit does not hold"
    assert fits(lambda: np.ones(BOUND - 2**16, np.uint8), BOUND), "the limit holds too early"
    for name, call in cases():
        result = call(num_threads=threads)  # plans and threads are there from now on
        new = result[1].nbytes if isinstance(result, tuple) else 0
        del result
        if not fits(lambda call=call: call(num_threads=threads), threads * BOUND + new):
            print(name)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux refuses memory beyond RLIMIT_DATA")
@pytest.mark.parametrize("threads", [1, 2])
def test_scratch_is_bounded(threads):
    settings = {"MMAP_THRESHOLD_": "4096", "TRIM_THRESHOLD_": "0", "TOP_PAD_": "0", "ARENA_MAX": "1"}
    environment = os.environ | {f"MALLOC_{name}": value for name, value in settings.items()}
    environment["PYTHONMALLOC"] = "malloc"  # else it takes a mebibyte at a time
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-W", "error", __file__, str(threads)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr, run.stdout) == (0, "", "")


if __name__ == "__main__":
    child(int(sys.argv[1]))
