"""What `peers.py` measured, as lines, a table and a picture.

    python asv_benchmarks/report.py docs/performance

makes the table and the picture in that folder anew from its peers.json.
"""

import json
import platform
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from math import exp, log
from pathlib import Path
from typing import Any

from benchmarks import rivals

import cypool

OURS = "cypool", "cypool-out"
NETWORKS = "torch", "torch-cl", "onnxruntime", "openvino", "jax", "jax-cl"
"""They have an order of axes of their own, whatever that of the workload."""
LARGE, SMALL = 16 * 2**20, 2**16
"""Bytes from which on memory's speed is all that counts, and below which the calls are."""
Row = dict[str, Any]


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


def us(seconds: float | None, none: str = "-") -> str:
    """Return a time in microseconds, to three digits or the microsecond."""
    if seconds is None:
        return none
    t = seconds * 1e6
    return f"{t:.2f}" if t < 10 else f"{t:.1f}" if t < 100 else f"{t:.0f}"


def two(value: float | None) -> str:
    """Return a number with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def same_memory(row: Row) -> float | None:
    """Return cypool's time over that of the best other that found the array in the same order in memory."""
    last = row["name"].split()[1].endswith("C")
    others = [
        s
        for name, s in row["seconds"].items()
        if not name.startswith("cypool") and (name not in NETWORKS or name.endswith("-cl") == last)
    ]
    ours = our_best(row)
    return ours / min(others) if others and ours else None


def loud(row: Row, verbose: bool = False) -> dict[str, str]:
    """Return the notes that must be read: of cypool, and of results that differ."""
    return {n: t for n, t in row["notes"].items() if verbose or n == "cypool" or t.startswith("MISMATCH")}


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
    return " | ".join(parts) + "".join(f"\n          {n}: {t}" for n, t in loud(row, verbose).items())


def mean(values: list[float]) -> float:
    """Return the geometric mean."""
    return exp(sum(map(log, values)) / len(values))


def summary(rows: list[Row]) -> list[str]:
    """Return how cypool stands, for each thread count."""
    said = []
    for threads in sorted({row["threads"] for row in rows}):
        mine = [row for row in rows if row["threads"] == threads]
        ratios = [r for row in mine if (r := ratio(row)) is not None]
        alike = [r for row in mine if (r := same_memory(row)) is not None]
        if ratios:
            said.append(
                f"{plural(threads)}: geometric mean {mean(ratios):.2f} of the best peer's time over "
                f"{len(ratios)} workloads, worst {max(ratios):.2f}, {sum(r > 1 for r in ratios)} above 1; "
                f"{mean(alike):.2f} of the best whose arrays lie in the same order in memory"
            )
    return said


def gaps(rows: list[Row]) -> list[str]:
    """Return the rows that miss the goals, the worst first, as lines of a table."""
    found = []
    for row in rows:
        r, f = ratio(row), fraction(row)
        goal = 0.7 if row["bytes"] > LARGE else 0.4 if row["bytes"] > SMALL else 0.0
        if (r or 0) > 0.6 or (f is not None and f < goal):
            best = best_peer(row) or ("", None)
            cells = [row["name"], str(row["threads"]), us(our_best(row)), us(best[1]), best[0], two(r)]
            cells += [two(same_memory(row)), two(f), f"{goal:g}" if goal else ""]
            found.append((r or 0, "| " + " | ".join(cells) + " |"))
    head = [
        "| workload | threads | cypool | best | peer | x best | x same memory | of limit | goal |",
        "| --- " * 9 + "|",
    ]
    return head + [text for _, text in sorted(found, reverse=True)]


def plural(threads: int) -> str:
    """Return so many threads."""
    return f"{threads} thread{'s' * (threads > 1)}"


def facts(cpus: int) -> Row:
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
    versions.setdefault("cypool", cypool.__version__)
    return {"date": date.today().isoformat(), "cpu": cpu, "cpus": cpus, "versions": versions}


def markdown(about: Row, rows: list[Row]) -> str:
    """Return the tables."""
    ours = dict.fromkeys(n for row in rows for n in row["seconds"] if n.startswith("cypool"))
    names = [n for n in (*ours, *rivals.RIVALS) if any(n in row["seconds"] for row in rows)]
    busy = max((row["others"] for row in rows), default=0)
    text = [
        f"Measured on {about['date']} on {about['cpus']} CPUs of an {about['cpu']}, while other processes had at most "
        f"{busy:.0%} of them, with " + ", ".join(f"{n} {v}" for n, v in about["versions"].items()) + ".",
        "",
        *(f"* {s}" for s in summary(rows)),
    ]
    for threads in sorted({row["threads"] for row in rows}):
        text += ["", f"## {plural(threads).capitalize()}", ""]
        text += ["| workload | x best | of limit | limit | " + " | ".join(names) + " |"]
        text += ["| --- " + "| ---: " * (len(names) + 3) + "|"]
        for row in rows:
            if row["threads"] != threads:
                continue
            seconds = row["seconds"]
            least = min(seconds.values(), default=0)
            cells = [f"**{us(seconds[n])}**" if seconds.get(n) == least else us(seconds.get(n), "") for n in names]
            left = [f"{row['group']}: {row['name']}", two(ratio(row)), two(fraction(row)), us(row["limit"])]
            text.append("| " + " | ".join(left + cells) + " |")
    wrong = {f"* {row['name']}, {n}: {t}" for row in rows for n, t in loud(row).items()}
    if wrong:
        text += ["", "Left out:", "", *sorted(wrong)]
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
                label=plural(threads),
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
    left.set_title(f"cypool {about['versions'].get('cypool', '')}, {about['date']}, {about['cpu']}", fontsize=9)
    fig.tight_layout()
    fig.savefig(path, dpi=110, bbox_inches="tight")


def write(about: Row, rows: list[Row], folder: Path) -> None:
    """Write peers.json, peers.md and peers.png."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [row | {"notes": loud(row)} for row in rows]
    (folder / "peers.json").write_text(json.dumps({"about": about, "rows": kept}, indent=1) + "\n")
    (folder / "peers.md").write_text(markdown(about, rows))
    picture(about, rows, folder / "peers.png")
    print(f"wrote {folder}/peers.json, peers.md, peers.png")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    found = json.loads((where / "peers.json").read_text())
    if "--gaps" in sys.argv:
        print(*gaps(found["rows"]), sep="\n")
    else:
        write(found["about"], found["rows"], where)
