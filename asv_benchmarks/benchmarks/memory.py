"""Memory of each public function, beside that of its input and output.

`peakmem_call` is the process; `peakmem_reference` is the same process without the call, to subtract. What the
call alone takes is far below both and the noise of an interpreter's start, so `track_extra` measures just that: how
far the address space of a forked process grows while the call runs, beyond what the call returns (Linux, glibc).
Unlike resident memory, which Linux counts to some 100 KiB, that is exact to the page. Blocks of 16 KiB and more are
the system's own here, so none hides in what earlier calls gave back.
"""

import os
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


M_MMAP_THRESHOLD = -3


def kib(name: str) -> int:
    """Return what Linux says of this process's memory."""
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def growth(call: Callable[[], Any]) -> int:
    """Return the bytes by which this process would grow while `call` runs."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:  # whose peak is what it has now
        try:
            before = kib("VmSize")
            call()
            os.write(write, str(1024 * (kib("VmPeak") - before)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int(said)


class _Memory:
    """A class for each function is made of this one below."""

    params = (WORKLOADS, tuple(LAYOUTS))
    param_names = ("workload", "layout")
    make: Any

    def setup(self, workload: str, layout: str) -> None:
        w = BY_NAME[workload]
        x = LAYOUTS[layout](w.array)
        cypool.set_num_threads(1)
        self.call = type(self).make(w, x)
        result = self.call()  # what only the first call sets up is set up
        self.returned = sum(np.asarray(a).nbytes for a in (result if isinstance(result, tuple) else (result,)))

    def peakmem_call(self, workload: str, layout: str) -> None:
        self.call()

    def peakmem_reference(self, workload: str, layout: str) -> None:
        """Hold the input and the output, and do nothing."""

    def track_extra(self, workload: str, layout: str) -> int:
        if not Path("/proc/self/status").exists():
            raise NotImplementedError("nothing says how large this process is")
        libc = CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 14)
        libc.malloc_trim(0)
        return growth(self.call) - self.returned

    track_extra.unit = "bytes"  # type: ignore[attr-defined]


for name, make in public_pools(cypool.__all__).items():
    globals()[name] = type(name, (_Memory,), {"make": staticmethod(make)})
