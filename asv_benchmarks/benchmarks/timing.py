"""Timing several calls side by side, and the limit that memory sets.

All sides run in one process, in turn, one sample each, so that whatever slows the machine slows them alike.
A sample is as many calls as take about a millisecond, after one call that brings the side's own arrays back
into the caches; a side's time is the median of its samples.
"""

from collections.abc import Callable, Mapping
from statistics import median
from threading import Barrier, Thread
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np

Call = Callable[[], Any]

SAMPLE = 1e-3
SLOW = 0.03
HOPELESS = 4
SPIN = 5e-3


def once(call: Call, loops: int, clock: Callable[[], float] = perf_counter) -> float:
    """Return the seconds per call of `loops` calls."""
    turns = range(loops)
    start = clock()
    for _ in turns:
        call()
    return (clock() - start) / loops


def calibrate(call: Call) -> int:
    """Return how many calls make a sample."""
    loops = 1
    while (taken := once(call, loops) * loops) < SAMPLE / 4:
        loops *= 2 if taken > SAMPLE / 64 else 8
    return max(1, round(SAMPLE / taken * loops))


def interleaved(
    calls: Mapping[str, Call],
    samples: int,
    threads: int = 1,
    clock: Callable[[], float] = perf_counter,
    bar: str | None = None,
) -> dict[str, list[float]]:
    """Return `samples` timings of each call, taken in turn; a third of them of a call slower than 30 ms.

    So it is with one that needs more than four times as long as the call named `bar`: its exact time matters to nobody.

    Thread pools spin for a few milliseconds after a call and would slow the next side: with more than one
    thread each side starts after a pause that lets them fall asleep, and wakes its own with a call of its own.
    """
    loops = {name: calibrate(call) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(samples):
        for name, call in calls.items():
            if turn % 3 and (taken[name][0] > SLOW or (bar in taken and taken[name][0] > HOPELESS * taken[bar][0])):
                continue
            if threads > 1:
                sleep(SPIN)
            if not taken[name] or taken[name][0] < SLOW:
                call()
            taken[name].append(once(call, loops[name], clock))
    return taken


def medians(
    calls: Mapping[str, Call],
    samples: int,
    threads: int = 1,
    clock: Callable[[], float] = perf_counter,
    bar: str | None = None,
) -> dict[str, float]:
    """Return the median seconds of each call, timed side by side."""
    return {name: median(times) for name, times in interleaved(calls, samples, threads, clock, bar).items()}


def flat(a: np.ndarray) -> np.ndarray:
    """Return the bytes of a dense array as words that NumPy reads fastest."""
    b = a.ravel(order="K").view(np.uint8)
    return b.view(np.int32) if b.size % 4 == 0 else b


def touch(x: np.ndarray, y: np.ndarray) -> None:
    """Read every byte of `x` and write every byte of `y`, once."""
    np.maximum.reduce(x)
    y.fill(0)


def limit(
    x: np.ndarray, y: np.ndarray, samples: int, threads: int = 1, clock: Callable[[], float] = perf_counter
) -> float:
    """Return the seconds that it takes to read `x` and to write `y`, the least that any pool must do.

    Reading is NumPy's vectorised maximum over the array as 32-bit words (for its speed: 110-150 GB/s from L2
    on a machine whose memcpy reaches 75, while `sum` does 30), writing is a fill. The arrays are as warm as the
    pools find theirs. With more threads each has its own slice and they start together. A few microseconds of
    it are two NumPy calls: the limit means nothing for arrays of a few kilobytes.
    """
    read, write = flat(x), flat(y)
    parts = [
        (r, w) for r, w in zip(np.array_split(read, threads), np.array_split(write, threads), strict=True) if r.size
    ]
    if threads == 1:
        return medians({"limit": lambda: touch(read, write)}, samples, clock=clock)["limit"]
    loops = calibrate(lambda: touch(*parts[0]))
    best = []
    for _ in range(samples):
        barrier = Barrier(len(parts))
        found: list[float] = []

        def run(part: tuple[np.ndarray, np.ndarray], barrier: Barrier = barrier, found: list[float] = found) -> None:
            touch(*part)
            barrier.wait()
            found.append(once(lambda: touch(*part), loops))

        team = [Thread(target=run, args=(part,)) for part in parts]
        for member in team:
            member.start()
        for member in team:
            member.join()
        best.append(max(found))
    return median(best)


CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": process_time}
