"""This tree's build beside that of another commit: instructions counted, and times taken in turn in one process.

    python asv_benchmarks/compare.py [COMMIT]

COMMIT is main unless given; its build and counts are kept in build/bench. Ends with 1 if a workload needs more
instructions than before by over `THRESHOLD`: counts are the same on every run, so that is never noise. Times are to
be looked at: the same source built twice differs by 1 to 6 %.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

os.environ["CYPOOL_NUM_THREADS"] = "1"  # read when a build is imported

import numpy as np
from benchmarks import instructions, timing
from benchmarks.common import BY_NAME, CORE

import cypool

ROOT = Path(__file__).resolve().parents[1]
THRESHOLD = 0.005
"""That of asv.conf.json."""

Counts = dict[str, float]


def git(*words: str) -> bytes:
    """Return what git says in the project's folder."""
    return subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


def build(commit: str) -> Path:
    """Return a folder that holds the build of `commit`, made unless it is there."""
    folder = ROOT / "build/bench" / commit
    site = folder / "site"
    if not site.exists():
        print(f"building {commit[:12]}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        source = folder / "source"
        source.mkdir(parents=True)
        subprocess.run(["tar", "-x"], input=git("archive", commit), cwd=source, check=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder / "built"), "."], cwd=source, check=True)
        (folder / "built").rename(site)
        shutil.rmtree(source)
    return site


def count(site: Path, workload: str, level: str) -> float | None:
    """Return the instructions per cell with the build in `site`, or None if it cannot do the workload."""
    try:
        return instructions.per_cell(workload, level, site)
    except RuntimeError as error:
        print(f"{workload}, {level}, {site}: {str(error).splitlines()[-1]}", flush=True)
        return None


def counts(site: Path, kept: Path | None = None) -> Counts:
    """Return the instructions of each core workload at each level, from the file `kept` where they are there."""
    found: Counts = json.loads(kept.read_text()) if kept and kept.exists() else {}
    names = [f"{name}, {level}" for name, level in product(instructions.WORKLOADS, instructions.LEVELS)]
    missing = [name for name in names if name not in found]
    with ThreadPoolExecutor(instructions.CPUS) as pool:
        values = pool.map(lambda name: count(site, *name.split(", ")), missing)
        found |= {name: value for name, value in zip(missing, values, strict=True) if value is not None}
    if kept:
        kept.write_text(json.dumps(found, indent=1))
    return {name: found[name] for name in names if name in found}


def calls_of(site: Path) -> ModuleType:
    """Import the build in `site` beside those that are imported already; return a `benchmarks.calls` of its own."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cypool" or name == "benchmarks.calls"]:
        del sys.modules[name]
    sys.path.insert(0, str(site))
    calls = import_module("benchmarks.calls")
    sys.path.remove(str(site))
    if not Path(calls.cypool.__file__).is_relative_to(site):
        raise ImportError(f"cypool came from {calls.cypool.__file__}, not from {site}")
    return calls


def times(sites: dict[str, Path], samples: int) -> dict[str, tuple[dict[str, float], float]]:
    """Return the seconds of each core workload with each build, and the median of the two sides' ratios."""
    modules = {side: calls_of(site) for side, site in sites.items()}
    found = {}
    for name in CORE:
        w = BY_NAME[name]
        x = w.array
        calls: dict[str, Any] = {}
        for side, module in modules.items():
            call = module.cypool_call(w, x)
            call = module.forward(w, x, out=np.zeros_like(call())) if not (w.indices or w.grad) else call
            calls[side] = partial(call)
        taken = timing.interleaved(calls, samples, clock=timing.CLOCKS["cpu"])
        before, after = (taken[side] for side in sites)
        # One side may be sampled less often, if only it is slow.
        ratio = median(a / b for a, b in zip(after, before, strict=False))
        found[name] = {side: median(taken[side]) for side in sites}, ratio
    return found


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default="main")
    parser.add_argument("--samples", type=int, default=41)
    options = parser.parse_args()
    commit = git("rev-parse", "--verify", f"{options.commit}^{{commit}}").decode().strip()
    before, after = build(commit), Path(cypool.__file__).parents[1]
    sides = {options.commit: before, "tree": after}

    print(f"\nMicroseconds, one thread; {options.commit} is {commit[:12]}\n")
    print(f"{'workload':45} {options.commit[:9]:>9} {'tree':>9}  tree/{options.commit[:9]}")
    for name, (seconds, ratio) in times(sides, options.samples).items():
        print(f"{name:45} {seconds[options.commit] * 1e6:9.2f} {seconds['tree'] * 1e6:9.2f} {ratio:6.2f}", flush=True)

    if not instructions.possible():
        print("\nno valgrind here: no instructions counted")
        return
    print(f"\nInstructions per cell\n\n{'workload, level':60} {options.commit[:9]:>9} {'tree':>9}   change", flush=True)
    was = counts(before, before.parent / "instructions.json")
    worse = []
    for name, now in counts(after).items():
        change = now / was[name] - 1 if name in was else 0.0
        worse += [name] if change > THRESHOLD else []
        print(f"{name:60} {was.get(name, float('nan')):9.3f} {now:9.3f} {change:+8.2%}{' <<' * (change > THRESHOLD)}")
    if worse:
        sys.exit(f"\n{len(worse)} workloads need over {THRESHOLD:.1%} more instructions than {options.commit}")


if __name__ == "__main__":
    main()
