"""Instructions per input cell, counted by valgrind: within 0.05 % the same number on every run.

Two runs of a process that differ only in the number of calls are counted; their difference is the calls. No
load touches it, so half a per cent is a regression (asv.conf.json). It is blind to caches, stalls and threads,
and valgrind knows no AVX-512: levels up to x86_64_v3. `python -m benchmarks.instructions` prints the table.
"""

import os
import re
import subprocess
import sys
from math import prod
from pathlib import Path
from shutil import which

from .common import BY_NAME, CORE

LEVELS = "baseline", "x86_64_v3"
GRADIENTS = tuple(w.name for w in BY_NAME.values() if w.group in ("Indices", "Gradient") and prod(w.shape) <= 2**18)
WORKLOADS = *(name for name in CORE if prod(BY_NAME[name].shape) <= 2**21), *GRADIENTS
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
CALLS = 2000
MOST = 2**23
"""Cells that the calls together pool. The start of a process takes up to 130,000 instructions more or less: they must be
few beside those of the calls."""

PROGRAM = """
import sys
from benchmarks.calls import cypool, cypool_call
from benchmarks.common import BY_NAME
w = BY_NAME[sys.argv[1]]
cypool.set_num_threads(1)
call = cypool_call(w, w.array)
for _ in range(int(sys.argv[2])):
    call()
"""


def possible() -> bool:
    """Whether instructions can be counted here."""
    return bool(which("valgrind") and which("setarch"))


def count(workload: str, level: str, calls: int, site: Path | None = None) -> int:
    """Return the instructions of a process that makes so many calls, with the cypool in `site` if that is given."""
    root = Path(__file__).parents[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CYPOOL_", "OMP_", "PYTHON"))}
    environment |= {
        "CYPOOL_LEVEL": level,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([*([str(site)] if site else []), str(root), *filter(None, sys.path)]),
        # What NumPy and its BLAS pick from the CPU would differ between machines.
        "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Haswell",
    }
    command = ["setarch", "-R", "valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-c", PROGRAM, workload, str(calls)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"I\s+refs:\s+([\d,]+)", run.stderr)
    if run.returncode or not found:
        raise RuntimeError(f"valgrind ended with {run.returncode}:\n{run.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def per_cell(workload: str, level: str, site: Path | None = None) -> float:
    """Return the instructions of one call for each cell of its input."""
    cells = prod(BY_NAME[workload].shape)
    calls = max(1, min(CALLS, MOST // cells))
    return (count(workload, level, 1 + calls, site) - count(workload, level, 1, site)) / calls / cells


class Instructions:
    """`cachegrind` of one call on one thread."""

    params = (WORKLOADS, LEVELS)
    param_names = ("workload", "level")
    unit = "instructions per cell"
    timeout = 300

    def setup(self, workload: str, level: str) -> None:
        if not possible():
            raise NotImplementedError("no valgrind here")

    def track_per_cell(self, workload: str, level: str) -> float:
        return per_cell(workload, level)


if __name__ == "__main__":
    for workload in WORKLOADS:
        print(f"{workload:40}", *(f"{level} {per_cell(workload, level):8.3f}" for level in LEVELS), flush=True)
