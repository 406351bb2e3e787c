"""The instruction-set levels: chosen, forced, refused, and the same in setup.py as in dispatch.py."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cypool
from cypool import _cpu, dispatch

SETUP = Path(__file__).parents[1] / "setup.py"


def start(code, **environment):
    """Run code in a new process; the CYPOOL_ variables of this one do not reach it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CYPOOL_")}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_best_level_is_the_default():
    assert start("from cypool import dispatch; print(dispatch.level)").stdout.split() == [dispatch.available()[0]]


def test_empty_variable_is_no_choice():
    code = "from cypool import dispatch; print(dispatch.level)"
    assert start(code, CYPOOL_LEVEL="").stdout.split() == [dispatch.available()[0]]


@pytest.mark.parametrize("level", dispatch.available())
def test_forced_level(level):
    code = "from cypool import dispatch; print(dispatch.level, *(m.__name__ for m in vars(dispatch.kernels).values()))"
    expected = [level, *(f"cypool._kernels.{stem}_{level}" for stem in dispatch.KERNELS)]
    assert start(code, CYPOOL_LEVEL=level).stdout.split() == expected


def test_unknown_level_stops_the_import():
    result = start("import cypool", CYPOOL_LEVEL="x86_64_v9")
    assert result.returncode == 1
    assert "ValueError: CYPOOL_LEVEL=x86_64_v9: no level 'x86_64_v9'; the levels are x86_64_v4," in result.stderr


def test_unknown_level():
    with pytest.raises(ValueError, match=r"no level 'sse9'; the levels are .*baseline"):
        dispatch.load("sse9")


def test_level_that_this_cpu_lacks(monkeypatch):
    monkeypatch.setattr(_cpu, "level", 0)
    assert dispatch.available() == ("baseline",)
    with pytest.raises(ImportError, match="this CPU cannot run the level x86_64_v3; it can run baseline"):
        dispatch.load("x86_64_v3")


def test_level_that_this_build_lacks(monkeypatch):
    monkeypatch.setitem(dispatch.LEVELS, "x86_64_v1", 0)
    with pytest.raises(ImportError, match="this build of cypool has no level x86_64_v1"):
        dispatch.load("x86_64_v1")


def test_load_holds_every_kernel():
    for level in dispatch.available():
        assert set(vars(dispatch.load(level))) == set(dispatch.KERNELS)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists() or not dispatch.available()[1:], reason="needs Linux on x86-64")
def test_level_agrees_with_the_kernel_of_the_system():
    flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].splitlines()[0].split())
    v3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}
    v4 = v3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    assert _cpu.level == (4 if v4 <= flags else 3 if v3 <= flags else 0)


@pytest.mark.skipif(not SETUP.exists(), reason="needs the checkout")
def test_setup_and_dispatch_name_the_same_modules():
    assigned = {
        node.targets[0].id: node.value
        for node in ast.parse(SETUP.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert set(ast.literal_eval(assigned["LEVELS"])) == set(dispatch.LEVELS)
    assert ast.literal_eval(assigned["KERNELS"]) == dispatch.KERNELS


def test_levels_are_listed_best_first():
    needed = list(dispatch.LEVELS.values())
    assert needed == sorted(needed, reverse=True)


def test_show_config(capsys):
    config = cypool.show_config(mode="dicts")
    assert config["level"] == dispatch.level
    assert config["threads"] == cypool.get_num_threads()
    assert cypool.show_config() is None
    printed = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: value.strip() for name, value in printed.items()} == {name: str(v) for name, v in config.items()}
    with pytest.raises(ValueError, match="mode must be"):
        cypool.show_config(mode="json")


PAST_THE_END = """
import numpy as np
from cypool import calls, dispatch
x = np.zeros((8, 8))
call = calls.prepare(calls.MAX, x.shape, x.strides, x.dtype, False, None, None, 2, None, 0, 1, None, False, False)
dispatch.kernels.forward.pool(x[:7].copy(), np.empty(call.shape), None, call.table, call.divisor, 1)
"""


@pytest.mark.skipif(not _cpu.checked, reason="not the build with bounds checks")
@pytest.mark.parametrize("level", dispatch.available())
def test_the_checked_build_stops_at_the_end_of_an_array(level):
    done = start(PAST_THE_END, CYPOOL_LEVEL=level)
    assert done.returncode != 0
    assert "are outside of 448 bytes" in done.stderr
