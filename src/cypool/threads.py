"""How many threads a call may use, and how to run it on them after a fork.

pool.py calls two functions:

``resolve(num_threads)`` turns a user's argument into the number of threads that the call may use.

``run(kernel, *args)`` is ``kernel(*args)``, for a kernel that will use more than one thread. libgomp keeps a team of
threads for each thread that ever ran a parallel region; after a fork the child's copy of the forking thread still
has a team, whose members do not exist there, and its first region waits for them forever. So in a forked child a call
from that thread runs in a helper thread, which has a team of its own.
"""

import math
import operator
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cypool._cpu import max_threads, openmp

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

# More threads than CPUs gain nothing, and OpenMP ends the process if it cannot start one. 64 is for tests on a small
# machine and costs 0.5 GB of address space, not of memory. Without OpenMP there is one.
MOST = max(64, os.cpu_count() or 1) if openmp else 1


def resolve(num_threads: int | None) -> int:
    """The number of threads that a call with this argument may use.

    None is what ``set_num_threads`` said, else CYPOOL_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that this
    process may use; and never more than a limit that threadpoolctl or ``omp_set_num_threads`` put on this thread.
    """
    if num_threads is None:
        limit = max_threads()
        return limit if limit < _default and limit != _unlimited else _default
    return min(_checked(num_threads), MOST)


def set_num_threads(n: int | None) -> None:
    """Let every later call without ``num_threads`` use ``n`` threads; None returns to the environment's choice."""
    global _default, _unlimited
    if n is None:
        _default, _unlimited = _environment()
    else:
        _default, _unlimited = min(_checked(n, "n"), MOST), _INITIAL


def get_num_threads() -> int:
    """The number of threads that a call without ``num_threads`` may use now."""
    return resolve(None)


def run(kernel: "Callable[..., object]", *args: Any) -> object:
    """kernel(*args), for a kernel that uses more than one thread: in a helper thread if this one's team is lost."""
    if not hasattr(_thread, "helper"):
        return kernel(*args)
    if _thread.helper is None:
        _thread.helper = _new_helper()
    return _thread.helper.submit(kernel, *args).result()


def _checked(num_threads: object, name: str = "num_threads") -> int:
    """A positive int, or a ValueError that names the argument."""
    try:
        value = 0 if isinstance(num_threads, bool) else operator.index(num_threads)  # type: ignore[arg-type]
    except TypeError:
        value = 0
    if value < 1:
        raise ValueError(f"{name} must be a positive integer, got {num_threads!r}")
    return value


# ---- What the environment says ----------------------------------------------------------------------------------


def _environment() -> tuple[int, int | None]:
    """(threads, what OpenMP's own number is while nobody limits it) from the environment and the machine.

    CYPOOL_NUM_THREADS may exceed OpenMP's number, which is then no limit until it changes. Otherwise OpenMP read the
    same variable or the same CPUs as we do, and if its number is below ours, it is a limit: also the one in force if
    cypool is imported inside a ``threadpool_limits`` block.
    """
    text = os.environ.get("CYPOOL_NUM_THREADS", "").strip()
    if text:
        try:
            return min(_checked(int(text)), MOST), _INITIAL
        except ValueError:
            raise ValueError(f"CYPOOL_NUM_THREADS must be a positive integer, got {text!r}") from None
    # One number per nesting level: "4,2". OpenMP itself complains about anything else.
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(int(text) if text.isdecimal() and int(text) else _cpus(), MOST), None


def _cpus() -> int:
    """The CPUs that this process may use: its affinity, and its cgroup's quota rounded up."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(mine, _quota())))


def _quota(root: Path = Path("/")) -> float:
    """The CPUs' worth of time that this process's cgroup, or one above it, allows; inf if there is no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
        else:
            continue
        group = top / path.lstrip("/")
        quotas += [_group_quota(folder) for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return min(quotas)


def _group_quota(folder: Path) -> float:
    """The quota of one cgroup: ``cpu.max`` holds "200000 100000" in version 2, two files the same in version 1."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if int(quota) > 0:  # version 1 says -1 for "no limit"
                return int(quota) / int(period)
        except (OSError, ValueError):  # no such file; version 2 says "max" for "no limit"
            continue
    return math.inf


# ---- After a fork -----------------------------------------------------------------------------------------------

# In the thread of a forked child that is the parent's forking thread: its helper, None until one is needed.
_thread = threading.local()


def _new_helper() -> "ThreadPoolExecutor":
    # Imported here because a process that is not forked never needs it.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1, "cypool")


def _after_fork_in_child() -> None:
    # Whether the parent ever had a team is not asked: another library may share our libgomp and have started it.
    # A helper that the parent had is not in the child either.
    _thread.helper = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

_INITIAL = max_threads()
_default, _unlimited = _environment()
