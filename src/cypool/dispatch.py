"""Which instruction-set level this process runs; decided once, at import.

Each kernel module exists once per level (see setup.py). ``level`` is the best level that the CPU can run, or the one
that the environment variable ``CYPOOL_LEVEL`` names; ``kernels`` holds its modules. Tests and benchmarks get the
others from ``load``. The level changes the speed of a call and no bit of its result.
"""

import os
import platform
import sys
from importlib import import_module
from types import SimpleNamespace

import numpy

from cypool import _cpu, threads

KERNELS = ("forward", "backward", "windows")

# Best first, with the value of _cpu.level that each needs.
LEVELS = {"x86_64_v4": 4, "x86_64_v3": 3, "baseline": 0}


def available() -> tuple[str, ...]:
    """The levels that this CPU can run, best first."""
    return tuple(name for name, needed in LEVELS.items() if needed <= _cpu.level)


def load(level: str) -> SimpleNamespace:
    """The kernel modules of one level, each under its own name: ``load("baseline").forward``.

    Raises ValueError if there is no such level, ImportError if this CPU cannot run it or this build lacks it.
    """
    if level not in LEVELS:
        raise ValueError(f"no level {level!r}; the levels are {', '.join(LEVELS)}")
    if level not in available():
        raise ImportError(f"this CPU cannot run the level {level}; it can run {', '.join(available())}")
    try:
        return SimpleNamespace(**{stem: import_module(f"cypool._kernels.{stem}_{level}") for stem in KERNELS})
    except ModuleNotFoundError as error:
        raise ImportError(f"this build of cypool has no level {level}: {error}") from error


def _chosen() -> str:
    """The level asked for by CYPOOL_LEVEL, else the best."""
    return os.environ.get("CYPOOL_LEVEL") or available()[0]


level = _chosen()
try:
    kernels = load(level)
except (ImportError, ValueError) as error:
    asked = os.environ.get("CYPOOL_LEVEL")
    raise type(error)(f"CYPOOL_LEVEL={asked}: {error}" if asked else str(error)) from error


def show_config(mode: str = "stdout") -> dict[str, object] | None:
    """Print what this process runs: versions, level, OpenMP and threads.

    With ``mode="dicts"`` return it instead, as ``numpy.show_config`` does.
    """
    from cypool import __version__

    config: dict[str, object] = {
        "cypool": __version__,
        "level": level,
        "levels": ", ".join(available()),
        "OpenMP": _cpu.openmp or "no",
        "threads": threads.get_num_threads(),
        "checked": "yes" if _cpu.checked else "no",
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    if mode == "dicts":
        return config
    if mode != "stdout":
        raise ValueError(f'mode must be "stdout" or "dicts", got {mode!r}')
    for name, value in config.items():
        print(f"{name + ':':10}{value}")
    return None
