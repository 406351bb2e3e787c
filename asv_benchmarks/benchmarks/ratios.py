"""cypool's time over the best other library's, and over what memory allows: lower is better.

Measured side by side in one process, so that they travel between machines; noise stays (1-6 % between two
builds of the same source), so these are positions to look at and no gates. `peers.py` has the whole table.
"""

import os

import numpy as np

import cypool

from . import rivals, timing
from .calls import forward
from .common import BY_NAME, CORE


class Ratios:
    """One thread; the other libraries are those that are installed."""

    params = CORE
    param_names = ("workload",)
    timeout = 300

    def setup(self, workload: str) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        cypool.set_num_threads(1)
        self.w = BY_NAME[workload]
        self.x = self.w.array
        self.y = forward(self.w, self.x)()
        self.ours = forward(self.w, self.x, out=np.zeros_like(self.y))

    def track_best_peer(self, workload: str) -> float:
        sides = {"cypool": self.ours}
        for name, rival in rivals.installed().items():
            try:
                call, fetch = rival(self.w, self.x, 1)
                theirs = fetch(call())
            except Exception:  # noqa: BLE001, S112 - what it cannot do is no bar
                continue
            if theirs.shape == self.y.shape and np.allclose(theirs, self.y, rtol=1e-4, atol=1):
                sides[name] = call
        if len(sides) == 1:
            return float("nan")  # no other library here does this: asv shows n/a, and a raise in here as a failure
        times = timing.medians(sides, 15)
        return times.pop("cypool") / min(times.values())

    def track_memory_limit(self, workload: str) -> float:
        ours = timing.medians({"cypool": self.ours}, 15)["cypool"]
        return ours / timing.limit(self.x, self.y, 15)

    track_best_peer.unit = "x of the best peer's time"  # type: ignore[attr-defined]
    track_memory_limit.unit = "x of the time to touch each byte once"  # type: ignore[attr-defined]
