"""Time of each public function on the core workloads.

The functions come from `cypool.__all__`: a new one that `calls.public_pools` cannot call stops the run.
"""

from typing import Any

import cypool

from .calls import public_pools
from .common import BY_NAME, CORE


class _Pool:
    """A class for each function is made of this one below."""

    params = CORE
    param_names = ("workload",)
    sample_time = 0.02
    make: Any

    def setup(self, workload: str) -> None:
        w = BY_NAME[workload]
        self.call = type(self).make(w, w.array, num_threads=1)
        self.call()

    def time_call(self, workload: str) -> None:
        self.call()


for name, make in public_pools(cypool.__all__).items():
    globals()[name] = type(name, (_Pool,), {"make": staticmethod(make)})
