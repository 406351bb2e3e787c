"""cypool beside the other libraries: every workload, in one process, at the same time.

    python asv_benchmarks/peers.py --quick --only 'ResNet|Tiny' --threads 1

prints one line per workload and, with --out, writes what docs/performance.md shows; see report.py. One process per
thread count, because some libraries choose their threads when they are imported; inside it the sides take
turns, sample by sample. Every side's result is compared with cypool's before it is timed; one that computes
something else is named and left out. A side that cannot do a workload is left out silently; --verbose says why.
A side that ends the process is named and left out too, and the run goes on.

Columns: `cypool` returns a new array; `cypool-out` writes into `out=`, as the libraries with bound outputs do;
`cypool-v3` and the like are the lesser instruction-set levels. Each library counts with the better of its columns.
`x best` is cypool's time over the best other's (below 1 is faster), `of limit` the part of the memory limit (reading
the input and writing the output once; see benchmarks/timing.py) that cypool reaches.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import IO, Any

import numpy as np
import report
from benchmarks import rivals, timing
from benchmarks.common import WORKLOADS, Workload
from report import Row

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LOST = 1.0
"""Seconds; a side whose first call needs more is listed with the time of its second, and not timed again."""

Event = Callable[[dict[str, Any]], None]


def same(w: Workload, ours: object, theirs: object) -> str:
    """Return what is different about two results, or an empty string."""
    if isinstance(ours, tuple) != isinstance(theirs, tuple):
        return "not the same number of results"
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        if w.indices == "window":  # flat ones, from all but cypool
            return same(w, ours[0], theirs[0])
        return "; ".join(filter(None, (same(w, a, b) for a, b in zip(ours, theirs, strict=True))))
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape:
        return f"shape {b.shape}, not {a.shape}"
    if w.exact:
        wrong = np.count_nonzero(a != b)
        return f"{wrong} of {a.size} cells differ" if wrong else ""
    if a.dtype.kind in "iu":  # libraries round means up, down, to even: off by one is the same mean
        off = np.abs(a.astype(np.int64) - b.astype(np.int64)).max(initial=0)
        return f"off by {off}" if off > (w.op == "avg") else ""
    scale = float(np.abs(a.astype(np.float64)).max(initial=0))
    tolerance = {"float16": 2e-3, "float32": 2e-5}.get(a.dtype.name, 1e-12) * max(scale, 1e-3)
    off = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))
    return f"off by {off:.3g}" if not off <= tolerance else ""


def at_level(kernels: Any, call: timing.Call) -> Any:
    """Call cypool with the kernels of another level."""
    from cypool import dispatch

    before, dispatch.kernels = dispatch.kernels, kernels
    try:
        return call()
    finally:
        dispatch.kernels = before


def our_sides(w: Workload, x: np.ndarray, threads: int, levels: bool) -> tuple[dict[str, timing.Call], object]:
    """Return cypool's calls and its result; raises what cypool raises."""
    from benchmarks.calls import cypool, cypool_call

    from cypool import dispatch

    cypool.set_num_threads(threads)
    new = cypool_call(w, x)
    result = new()
    sides = {"cypool": new}
    if isinstance(result, np.ndarray) and not w.grad:
        sides["cypool-out"] = cypool_call(w, x, out=np.zeros_like(result))
    for level in dispatch.available() if levels else ():
        if level != dispatch.level:
            sides[f"cypool-{level.removeprefix('x86_64_')}"] = partial(at_level, dispatch.load(level), new)
    return sides, result


def other_work() -> float:
    """Return the CPU seconds that other processes have used so far, where the system says (Linux)."""
    total = Path("/proc/stat")
    if not total.exists():
        return 0.0
    user, nice, system = map(int, total.read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - process_time()


def compare(w: Workload, threads: int, options: argparse.Namespace, trying: Callable[[str], None]) -> Row:
    """Verify and time one workload; return its row."""
    x = w.array
    row: Row = {"group": w.group, "name": w.name, "threads": threads}
    notes: dict[str, str] = {}
    sides: dict[str, timing.Call] = {}
    slow: dict[str, float] = {}
    reference = None

    def add(name: str, call: timing.Call, first: float) -> None:
        # The first call may have compiled something.
        if first > LOST and (second := timing.once(call, 1) if first < 5 * LOST else first) > LOST / 2:
            slow[name] = second
        else:
            sides[name] = call

    try:
        trying("cypool")
        ours, reference = our_sides(w, x, threads, options.levels)
        for name, call in ours.items():
            add(name, call, timing.once(call, 1))
            if name in slow:
                break
    except Exception as error:  # noqa: BLE001 - not there yet, or not for this type: the row says so
        notes["cypool"] = f"{type(error).__name__}: {error}"
    for name, rival in rivals.installed().items():
        if (options.peers and not re.search(options.peers, name)) or name in options.lost:
            continue
        trying(name)
        try:
            call, fetch = rival(w, x, threads)
            start = perf_counter()
            done = call()
            first = perf_counter() - start
            result = fetch(done)
        except rivals.Unable as reason:
            notes[name] = str(reason)
            continue
        except Exception as error:  # noqa: BLE001 - "not implemented for Int" comes in every flavour
            notes[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
            continue
        reference = result if reference is None else reference
        if difference := same(w, reference, result):
            notes[name] = f"MISMATCH: {difference}"
            continue
        add(name, call, first)
    trying("")
    wrong = any(text.startswith("MISMATCH") for text in notes.values())
    if wrong and "cypool" not in notes and all(name.startswith("cypool") for name in sides | slow):
        notes["cypool"] = "MISMATCH: not one other library agrees, so it is left out itself"
        sides, slow = {}, {}
    clock = timing.CLOCKS[options.clock if threads == 1 else "wall"]
    before, start = other_work(), perf_counter()
    row["seconds"] = slow | timing.medians(sides, options.samples, threads, clock, "cypool")
    used, passed = other_work() - before, perf_counter() - start
    row["others"] = round(used / passed / CPUS, 2) if passed > 0.1 else 0.0  # the system counts in 10 ms
    read, write = w.traffic
    row["bytes"] = read + write
    row["limit"] = timing.limit(np.ones(read, "u1"), np.zeros(write, "u1"), options.samples, threads, clock)
    row["notes"] = notes
    return row


# --- a process for each thread count ------------------------------------------------------------------------------


def measure(threads: int, options: argparse.Namespace, workloads: Iterable[Workload], event: Event) -> None:
    """Run workloads in this process, printing as they come."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        # One CPU: the libraries whose threads cannot be set take it from here.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for w in workloads:
        row = compare(w, threads, options, lambda side: event({"trying": side}))
        row["notes"] |= dict.fromkeys(options.lost, "MISMATCH: it ends the process")
        options.lost = []
        event({"row": row})
        print(report.line(row, options.verbose), flush=True)


def child(threads: int, options: argparse.Namespace, start: int, lost: list[str], hear: Event) -> int:
    """Run `measure` in a process of its own from workload `start` on; return how it ended."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "0", "JAX_PLATFORMS": "cpu"}
    # New results come from memory that is mapped already, for every library: page faults (8 of 14 ms for a
    # result of 26 MB) are the allocator's, and come and go with what was freed before.
    environment |= {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
    read, write = os.pipe()
    command = [sys.executable, __file__, *sys.argv[1:], "--child", str(threads), str(start), str(write)]
    command += [f"--lost={name}" for name in lost]
    with subprocess.Popen(command, pass_fds=[write], env=environment) as process:
        os.close(write)
        with open(read) as pipe:
            for text in pipe:
                hear(json.loads(text))
    return process.returncode


def rows_of(threads: int, options: argparse.Namespace, count: int) -> list[Row]:
    """Return the rows of all `count` workloads, whatever a side does to the process."""
    rows: list[Row] = []
    lost: list[str] = []
    passed = 0
    trying = ""

    def hear(event: dict[str, Any]) -> None:
        nonlocal trying, passed
        if "row" in event:
            rows.append(event["row"])
            passed += 1
            trying = ""
            lost.clear()
        else:
            trying = event["trying"]

    while passed < count and (code := child(threads, options, passed, lost, hear)):
        if code in (1, 2, -signal.SIGINT):  # Python's own way to end
            sys.exit(code)
        print(f"workload {passed}: {trying or 'timing'} ended the process with {code}", flush=True)
        if trying:
            lost.append(trying)
        else:
            passed += 1
    return rows


def answer(pipe: IO[str], event: dict[str, Any]) -> None:
    """Write one line to the parent."""
    print(json.dumps(event), file=pipe, flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", default="", help="workloads whose group and name match")
    parser.add_argument("--peers", metavar="REGEX", help="peers whose names match; '^$' for none")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, CPUS}), help="default: 1 and all CPUs")
    parser.add_argument("--quick", action="store_true", help="5 samples, where 15 is the least for a number to show")
    parser.add_argument("--samples", type=int, help="timings of each side (default 15)")
    parser.add_argument("--levels", action="store_true", help="cypool's lesser levels too")
    parser.add_argument("--clock", choices=timing.CLOCKS, default="wall", help="cpu: for a busy machine, 1 thread")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write peers.json, peers.md and peers.png there")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument("--verbose", action="store_true", help="say why a peer is left out")
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--lost", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.samples = options.samples or (5 if options.quick else 15)
    workloads = [w for w in WORKLOADS if re.search(options.only, f"{w.group} {w.name}")]
    if options.list:
        print(*(f"{w.group}: {w.name}" for w in workloads), sep="\n")
        return
    if options.child:
        threads, start, write = options.child
        with open(write, "w") as pipe:
            measure(threads, options, workloads[start:], partial(answer, pipe))
        return
    rows = [row for threads in options.threads for row in rows_of(threads, options, len(workloads))]
    print(*report.summary(rows), sep="\n")
    if options.out:
        report.write(report.facts(CPUS), rows, options.out)


if __name__ == "__main__":
    main()
