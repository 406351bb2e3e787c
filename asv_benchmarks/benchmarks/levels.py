"""What each instruction-set level is worth: the core workloads at every level this CPU runs."""

import cypool
from cypool import dispatch

from .calls import forward
from .common import BY_NAME, CORE


class Levels:
    """One thread, so that nothing but the code differs."""

    params = (CORE, tuple(dispatch.LEVELS))
    param_names = ("workload", "level")
    sample_time = 0.02

    def setup(self, workload: str, level: str) -> None:
        self.before = dispatch.kernels  # first: what is skipped is torn down too
        if level not in dispatch.available():
            raise NotImplementedError(f"this CPU cannot run {level}")
        dispatch.kernels = dispatch.load(level)
        w = BY_NAME[workload]
        cypool.set_num_threads(1)
        self.call = forward(w, w.array)
        self.call()

    def teardown(self, workload: str, level: str) -> None:
        dispatch.kernels = self.before

    def time_call(self, workload: str, level: str) -> None:
        self.call()
