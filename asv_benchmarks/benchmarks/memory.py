"""Memory of each public function, beside that of its input and output.

`peakmem_call` is the process; `peakmem_reference` is the same process without the call, to subtract. What the
call alone takes is far below both and the noise of an interpreter's start, so `track_extra` measures just that:
the high-water mark of the process, reset before the call, beyond what `out` and input hold (Linux, glibc).
"""

import re
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path
from typing import Any

import numpy as np

import cypool

from .calls import public_pools
from .common import BY_NAME

WORKLOADS = (
    "max NCHW 8x64x112x112 k3 s2 p1",
    "max NHWC 8x112x112x64 k3 s2 p1",
    "max HW 1024x1024 k31 s1",
    "avg NCDHW 2x16x32x64x64 k2 s2",
)
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda x: x,
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
}


def peak_kib() -> int:
    """Return the most memory that this process has held since the last reset."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


class _Memory:
    """A class for each function is made of this one below."""

    params = (WORKLOADS, tuple(LAYOUTS))
    param_names = ("workload", "layout")
    make: Any

    def setup(self, workload: str, layout: str) -> None:
        w = BY_NAME[workload]
        x = LAYOUTS[layout](w.array)
        cypool.set_num_threads(1)
        make = type(self).make
        self.y = make(w, x)()  # what only the first call sets up is set up
        self.call = make(w, x, out=np.zeros_like(self.y, order="C" if x.flags.c_contiguous else "K"))

    def peakmem_call(self, workload: str, layout: str) -> None:
        self.call()

    def peakmem_reference(self, workload: str, layout: str) -> None:
        """Hold the input and the output, and do nothing."""

    def track_extra(self, workload: str, layout: str) -> int:
        reset = Path("/proc/self/clear_refs")
        if not reset.exists():
            raise NotImplementedError("no high-water mark to reset")
        CDLL(None).malloc_trim(0)  # or scratch is found in what earlier calls gave back to the heap
        reset.write_text("5")
        before = peak_kib()
        self.call()
        return 1024 * (peak_kib() - before)

    track_extra.unit = "bytes"  # type: ignore[attr-defined]


for name, make in public_pools(cypool.__all__).items():
    globals()[name] = type(name, (_Memory,), {"make": staticmethod(make)})
