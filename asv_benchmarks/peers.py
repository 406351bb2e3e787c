"""cypool beside the other libraries: every workload, in one process, at the same time.

    python asv_benchmarks/peers.py --quick --only 'ResNet|Tiny' --threads 1

prints one line per workload and, with --out, writes peers.json, peers.md and peers.png. One process per
thread count, because some libraries choose their threads when they are imported; inside it the sides take
turns, sample by sample. Every side's result is compared with cypool's before it is timed; one that computes
something else is named and left out. A side that cannot do a workload is left out silently; --verbose says why.

Columns: `cypool` returns a new array; `cypool-out` writes into `out=`, as the libraries with bound outputs do.
Each library counts with the better of its columns. `x best` is cypool's time over the best other's (below 1 is
faster), `of limit` the part of the memory limit (reading the input and writing the output once; see
benchmarks/timing.py) that cypool reaches.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from math import exp, log
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from benchmarks import rivals, timing
from benchmarks.common import WORKLOADS, Workload

CPUS = os.cpu_count() or 1
OURS = "cypool", "cypool-out"
Row = dict[str, Any]
TOO_SLOW = 0.5
"""Seconds; a side that needs more for its second call is not timed again."""


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
    if w.op in ("max", "min") and not w.grad:
        wrong = np.count_nonzero(a != b)
        return f"{wrong} of {a.size} cells differ" if wrong else ""
    if a.dtype.kind in "iu":  # libraries round means up, down, to even: off by one is the same mean
        off = np.abs(a.astype(np.int64) - b.astype(np.int64)).max(initial=0)
        return f"off by {off}" if off > (w.op == "avg") else ""
    scale = float(np.abs(a.astype(np.float64)).max(initial=0))
    tolerance = {"float16": 2e-3, "float32": 2e-5}.get(a.dtype.name, 1e-12) * max(scale, 1e-3)
    off = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))
    return f"off by {off:.3g}" if not off <= tolerance else ""


def our_sides(w: Workload, x: np.ndarray, threads: int) -> tuple[dict[str, timing.Call], object]:
    """Return cypool's calls and its result; raises what cypool raises."""
    from benchmarks.calls import cypool, cypool_call

    cypool.set_num_threads(threads)
    new = cypool_call(w, x)
    result = new()
    if w.indices or w.grad:
        return {"cypool": new}, result
    return {"cypool": new, "cypool-out": cypool_call(w, x, out=np.zeros_like(result))}, result


def other_work() -> float:
    """Return the CPU seconds that other processes have used so far, where the system says (Linux)."""
    total = Path("/proc/stat")
    if not total.exists():
        return 0.0
    user, nice, system = map(int, total.read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - process_time()


def compare(w: Workload, threads: int, options: argparse.Namespace) -> Row:
    """Verify and time one workload; return its row."""
    x = w.array
    row: Row = {"group": w.group, "name": w.name, "threads": threads}
    notes: dict[str, str] = {}
    sides: dict[str, timing.Call] = {}
    slow: dict[str, float] = {}
    reference = None
    try:
        ours, reference = our_sides(w, x, threads)
        for name, call in ours.items():
            if (first := timing.once(call, 1)) > TOO_SLOW:
                slow[name] = first
            else:
                sides[name] = call
    except Exception as error:  # noqa: BLE001 - not there yet, or not for this type: the row says so
        notes["cypool"] = f"{type(error).__name__}: {error}"
    for name, rival in rivals.installed().items():
        if options.peers and not re.search(options.peers, name):
            continue
        try:
            call, fetch = rival(w, x, threads)
            result = fetch(call())
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
        if (first := timing.once(call, 1)) > TOO_SLOW:
            slow[name] = first
        else:
            sides[name] = call
    wrong = any(text.startswith("MISMATCH") for text in notes.values())
    if wrong and "cypool" not in notes and not sides.keys() - set(OURS) and not slow.keys() - set(OURS):
        notes["cypool"] = "MISMATCH: not one other library agrees, so it is left out itself"
        sides, slow = {}, {}
    clock = timing.CLOCKS[options.clock if threads == 1 else "wall"]
    before, start = other_work(), perf_counter()
    row["seconds"] = slow | timing.medians(sides, options.samples, threads, clock)
    used, passed = other_work() - before, perf_counter() - start
    row["others"] = round(used / passed / CPUS, 2) if passed > 0.1 else 0.0  # the system counts in 10 ms
    read, write = w.traffic
    row["bytes"] = read + write
    row["limit"] = timing.limit(np.ones(read, "u1"), np.zeros(write, "u1"), options.samples, threads, clock)
    row["notes"] = notes
    return row


def best_peer(row: Row) -> tuple[str, float] | None:
    """Return the fastest side that is not ours, and its seconds."""
    others = {name: s for name, s in row["seconds"].items() if not name.startswith("cypool")}
    return min(others.items(), key=lambda item: item[1]) if others else None


def our_best(row: Row) -> float | None:
    """Return cypool's seconds."""
    return min((s for name, s in row["seconds"].items() if name in OURS), default=None)


def ratio(row: Row) -> float | None:
    """Return cypool's time over the best other's."""
    best, ours = best_peer(row), our_best(row)
    return ours / best[1] if best and ours else None


def fraction(row: Row) -> float | None:
    """Return the part of the memory limit that cypool reaches."""
    ours = our_best(row)
    return row["limit"] / ours if ours else None


def us(seconds: float | None) -> str:
    """Return a time in microseconds, to three digits or the microsecond."""
    if seconds is None:
        return "-"
    t = seconds * 1e6
    return f"{t:.2f}" if t < 10 else f"{t:.1f}" if t < 100 else f"{t:.0f}"


def two(value: float | None) -> str:
    """Return a number with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def line(row: Row, verbose: bool) -> str:
    """Return a row for the terminal."""
    seconds, best = row["seconds"], best_peer(row)
    r = ratio(row)
    parts = [f"{row['group'][:9]:9} {row['name']:50} {row['threads']}t"]
    parts.append(f"cypool {us(our_best(row)):>7}")
    parts.append(f"best {us(best[1]):>7} {best[0]:11}" if best else "no peer" + " " * 16)
    parts.append(
        f"x best {two(r)}{' <<' if r is not None and r > 1 else '   '} of limit {two(fraction(row))} ({us(row['limit'])})"
    )
    if row["others"] > 0.1:
        parts.append(f"BUSY: others had {row['others']:.0%} of the CPUs")
    rest = sorted((s, name) for name, s in seconds.items() if not best or name != best[0])
    parts.append(" ".join(f"{name} {us(s)}" for s, name in rest))
    notes = row["notes"]
    loud = {n: t for n, t in notes.items() if verbose or n == "cypool" or t.startswith("MISMATCH")}
    return " | ".join(parts) + "".join(f"\n          {n}: {t}" for n, t in loud.items())


def summary(rows: list[Row]) -> list[str]:
    """Return the geometric mean of the ratios and how many are above 1, for each thread count."""
    said = []
    for threads in sorted({row["threads"] for row in rows}):
        ratios = [r for row in rows if row["threads"] == threads and (r := ratio(row)) is not None]
        if ratios:
            mean = exp(sum(map(log, ratios)) / len(ratios))
            above = sum(r > 1 for r in ratios)
            said.append(
                f"{threads} thread{'s' * (threads > 1)}: geometric mean {mean:.2f} of the best peer's time over "
                f"{len(ratios)} workloads, worst {max(ratios):.2f}, {above} above 1"
            )
    return said


def facts() -> Row:
    """Return when and where this was measured, and with which versions."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        cpu = next((s.partition(":")[2].strip() for s in information.open() if s.startswith("model name")), cpu)
    versions = {}
    for package in ["cypool", "numpy", *dict.fromkeys(n.partition("-")[0] for n in rivals.installed())]:
        for name in (package, {"cv2": "opencv-python-headless", "skimage": "scikit-image"}.get(package, package)):
            try:
                versions[package] = version(name)
            except PackageNotFoundError:
                continue
    return {"date": date.today().isoformat(), "cpu": cpu, "cpus": CPUS, "versions": versions}


def markdown(about: Row, rows: list[Row]) -> str:
    """Return the table."""
    levels = dict.fromkeys(n for row in rows for n in row["seconds"] if n.startswith("cypool") and n not in OURS)
    names = [n for n in (*OURS, *levels, *rivals.RIVALS) if any(n in row["seconds"] for row in rows)]
    text = [
        f"{about['date']}, {about['cpu']}, {about['cpus']} CPUs; "
        + ", ".join(f"{n} {v}" for n, v in about["versions"].items())
        + ". Microseconds, medians; the best in bold. Other processes had "
        + f"{max((row['others'] for row in rows), default=0):.0%} of the CPUs at most.",
        "",
        *(f"* {s}" for s in summary(rows)),
    ]
    for threads in sorted({row["threads"] for row in rows}):
        text += ["", f"### {threads} thread{'s' * (threads > 1)}", ""]
        text += ["| workload | x best | of limit | limit | " + " | ".join(names) + " |"]
        text += ["| --- " + "| ---: " * (len(names) + 3) + "|"]
        for row in rows:
            if row["threads"] != threads:
                continue
            least = min(row["seconds"].values(), default=0)
            cells = [
                f"**{us(s)}**" if (s := row["seconds"].get(n)) == least else us(s) if s is not None else ""
                for n in names
            ]
            left = [f"{row['group']}: {row['name']}", two(ratio(row)), two(fraction(row)), us(row["limit"])]
            text.append("| " + " | ".join(left + cells) + " |")
    return "\n".join(text) + "\n"


def picture(about: Row, rows: list[Row], path: Path) -> None:
    """Draw the ratio to the best peer and the fraction of the limit, a line per workload."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    labels = list(dict.fromkeys(f"{row['group']}: {row['name']}" for row in rows))
    counts = sorted({row["threads"] for row in rows})
    fig, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(11, 1.5 + 0.17 * len(labels)))
    for threads in counts:
        for panel, value in ((left, ratio), (right, fraction)):
            points = [
                (v, labels.index(f"{row['group']}: {row['name']}"))
                for row in rows
                if row["threads"] == threads and (v := value(row)) is not None
            ]
            panel.plot(
                *zip(*points, strict=True) if points else ([], []),
                "o",
                ms=4,
                label=f"{threads} thread{'s' * (threads > 1)}",
            )
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:g}")
    left.axvline(1, color="grey", lw=1)
    left.set_xlabel("time / best peer's time (left of 1 is faster)")
    right.axvline(1, color="grey", lw=1)
    right.set_xlim(left=0)
    right.set_xlabel("fraction of the memory limit")
    left.set_yticks(range(len(labels)), labels, fontsize=6)
    left.set_ylim(len(labels) - 0.5, -0.5)
    for panel in (left, right):
        panel.grid(axis="y", lw=0.3)
    right.legend(fontsize=7)
    fig.suptitle(f"cypool {about['versions'].get('cypool', '')}, {about['date']}, {about['cpu']}", fontsize=9)
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def measure(threads: int, options: argparse.Namespace) -> list[Row]:
    """Run the workloads in this process with this many threads, printing as they come."""
    rows = []
    for w in WORKLOADS:
        if options.only and not re.search(options.only, f"{w.group} {w.name}"):
            continue
        rows.append(compare(w, threads, options))
        print(line(rows[-1], options.verbose), flush=True)
    return rows


def child(threads: int, options: argparse.Namespace, level: str = "") -> list[Row]:
    """Run `measure` in a process of its own and return its rows; with a level, cypool's alone, at that level."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "0", "JAX_PLATFORMS": "cpu"}
    # New results come from memory that is mapped already, for every library: page faults (8 of 14 ms for a
    # result of 26 MB) are the allocator's, and come and go with what was freed before.
    environment |= {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
    command = [sys.executable, __file__, *options.words, "--child", str(threads)]
    if level:
        environment["CYPOOL_LEVEL"] = level
        command += ["--peers", "^$"]
    read, write = os.pipe()
    with subprocess.Popen([*command, "--pipe", str(write)], pass_fds=[write], env=environment) as process:
        os.close(write)
        with open(read) as pipe:
            text = pipe.read()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(text)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", help="workloads whose group and name match")
    parser.add_argument("--peers", metavar="REGEX", help="peers whose names match; '^$' for none")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, CPUS}), help="default: 1 and all CPUs")
    parser.add_argument("--levels", nargs="+", default=[], help="also cypool at these levels, each in its own process")
    parser.add_argument("--quick", action="store_true", help="5 samples, where 15 is the least for a number to show")
    parser.add_argument("--samples", type=int, help="timings of each side (default 15)")
    parser.add_argument("--clock", choices=timing.CLOCKS, default="wall", help="cpu: for a busy machine, 1 thread")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write peers.json, peers.md and peers.png there")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument("--verbose", action="store_true", help="say why a peer is left out")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pipe", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.words = sys.argv[1:]
    options.samples = options.samples or (5 if options.quick else 15)
    if options.list:
        print(*(f"{w.group}: {w.name}" for w in WORKLOADS), sep="\n")
        return
    if options.child:
        if options.child == 1 and hasattr(os, "sched_setaffinity"):
            # One CPU: the libraries whose threads cannot be set take it from here.
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        rows = measure(options.child, options)
        with open(options.pipe, "w") as pipe:
            json.dump(rows, pipe)
        return
    rows = [row for threads in options.threads for row in child(threads, options)]
    for level in options.levels:
        print(f"\ncypool at level {level}")
        measured = [row for threads in options.threads for row in child(threads, options, level)]
        for row, at_level in zip(rows, measured, strict=True):
            if (seconds := our_best(at_level)) is not None:
                row["seconds"][f"cypool-{level}"] = seconds
    print(*summary(rows), sep="\n")
    if options.out:
        about = facts()
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peers.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
        (options.out / "peers.md").write_text(markdown(about, rows))
        picture(about, rows, options.out / "peers.png")
        print(f"wrote {options.out}/peers.json, peers.md, peers.png")


if __name__ == "__main__":
    main()
