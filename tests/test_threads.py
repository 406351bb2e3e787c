"""How many threads a call may use; calls from many threads at once and from forked children."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import cypool
from cypool import _cpu, threads

needs_openmp = pytest.mark.skipif(not _cpu.openmp, reason="built without OpenMP")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

VARIABLES = ("CYPOOL_NUM_THREADS", "OMP_NUM_THREADS")

# Work enough for two threads, whatever pool.py thinks of small work.
X = np.random.default_rng(0).standard_normal((64, 128, 128), dtype=np.float32)


@pytest.fixture
def restore():
    yield
    cypool.set_num_threads(None)


def start(code, **environment):
    """Run code in a new process. If it hangs, it and all its children are killed after a minute."""
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def chosen(**environment):
    """What get_num_threads says in a new process with these variables."""
    return int(start("import cypool; print(cypool.get_num_threads())", **environment).stdout)


# ---- The argument -----------------------------------------------------------------------------------------------

WRONG = [0, -1, -(2**70), 1.0, 2.5, True, False, "2", b"2", [1], (), math.nan, 1j, np.float64(2), np.True_]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_wrong_argument(wrong):
    for call in (threads.resolve, lambda n: cypool.max_pool(X, 2, num_threads=n)):
        with pytest.raises(ValueError, match=r"^num_threads must be a positive integer, got ") as error:
            call(wrong)
        assert repr(wrong) in str(error.value)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_wrong_default(wrong):
    before = cypool.get_num_threads()
    with pytest.raises(ValueError, match=r"^n must be a positive integer, got "):
        cypool.set_num_threads(wrong)
    assert cypool.get_num_threads() == before


@needs_openmp
@pytest.mark.parametrize("integer", [int, np.int8, np.uint64, np.array])
def test_any_integer_type(integer, restore):
    assert threads.resolve(integer(3)) == 3
    assert type(threads.resolve(integer(3))) is int
    cypool.set_num_threads(integer(3))
    assert cypool.get_num_threads() == 3


@pytest.mark.parametrize("n", [2**31 - 1, 2**31, 2**40, 2**63, 2**64, 10**30])
def test_huge_numbers_are_capped(n, restore):
    assert threads.resolve(n) == threads.MOST
    cypool.set_num_threads(n)
    assert cypool.get_num_threads() == threads.MOST
    np.testing.assert_array_equal(cypool.max_pool(X, 2, num_threads=n), cypool.max_pool(X, 2, num_threads=1))


def test_no_argument_is_the_default(restore):
    cypool.set_num_threads(1)
    assert threads.resolve(None) == 1
    cypool.set_num_threads(None)
    assert threads.resolve(None) == cypool.get_num_threads()


@pytest.mark.skipif(bool(_cpu.openmp), reason="built with OpenMP")
def test_without_openmp_there_is_one_thread(restore):
    cypool.set_num_threads(8)
    assert cypool.get_num_threads() == threads.resolve(8) == threads.resolve(None) == 1


# ---- The environment --------------------------------------------------------------------------------------------


@needs_openmp
def test_variables():
    assert chosen(CYPOOL_NUM_THREADS="3") == 3
    assert chosen(CYPOOL_NUM_THREADS=" 5 ", OMP_NUM_THREADS="2") == 5
    assert chosen(CYPOOL_NUM_THREADS="", OMP_NUM_THREADS="7") == 7
    assert chosen(CYPOOL_NUM_THREADS="9" * 30) == threads.MOST
    assert chosen(OMP_NUM_THREADS="3,2") == 3
    assert chosen(OMP_NUM_THREADS=" 4 ") == 4
    assert chosen(OMP_NUM_THREADS="nonsense") == chosen(OMP_NUM_THREADS="0") == chosen()


@pytest.mark.parametrize("wrong", ["0", "-1", "2.5", "two", "4,2", "0x2", "True"])
def test_wrong_variable_stops_the_import(wrong):
    result = start("import cypool", CYPOOL_NUM_THREADS=wrong)
    assert result.returncode == 1
    assert f"ValueError: CYPOOL_NUM_THREADS must be a positive integer, got {wrong!r}" in result.stderr


@needs_openmp
def test_default_is_the_affinity():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs affinity")
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nimport cypool; print(cypool.get_num_threads())"
    assert int(start(code).stdout) == 1
    assert 1 <= chosen() <= len(os.sched_getaffinity(0))


QUOTAS = {
    "none": ("0::/\n", {}, math.inf),
    "v2": ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
    "v2, no limit": ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
    "v2, own group": ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "cpu.max": "max 100000\n"}, 0.5),
    "v2, group above": ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
    "v2, path of another namespace": ("0::/../x\n", {"cpu.max": "200000 100000\n"}, 2),
    "v1": (
        "4:cpu,cpuacct:/\n",
        {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        2,
    ),
    "v1, no limit": ("4:cpu:/d\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
    "v1, container": (
        "3:cpuset:/\n2:cpu:/docker/f00\n",
        {"cpu/cpu.cfs_quota_us": "4", "cpu/cpu.cfs_period_us": "1"},
        4,
    ),
    "both": ("2:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "4", "cpu/cpu.cfs_period_us": "1", "cpu.max": "3 1"}, 3),
    "nonsense": ("0::/\n", {"cpu.max": "a lot\n"}, math.inf),
    "empty": ("0::/\n", {"cpu.max": ""}, math.inf),
}


@pytest.mark.parametrize(("groups", "files", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_quota(groups, files, expected, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert threads._quota(tmp_path) == expected


def test_quota_elsewhere(tmp_path):
    assert threads._quota(tmp_path) == math.inf


def test_quota_rounds_up(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for quota, expected in ((0.2, 1), (1.5, 2), (4, 4), (64, 8), (math.inf, 8)):
        monkeypatch.setattr(threads, "_quota", lambda quota=quota: quota)
        assert threads._cpus() == expected


# ---- Limits by threadpoolctl ------------------------------------------------------------------------------------


@needs_openmp
def test_threadpoolctl_limits_the_default(restore):
    for default in (None, 4):
        cypool.set_num_threads(default)
        before = cypool.get_num_threads()
        with threadpool_limits(1, user_api="openmp"):
            assert threads.resolve(None) == cypool.get_num_threads() == 1
            assert threads.resolve(3) == 3
        assert cypool.get_num_threads() == before


@needs_openmp
def test_imported_inside_a_limit():
    code = """
        import ctypes, subprocess, sys
        import cypool._cpu  # libgomp only
        from threadpoolctl import threadpool_limits
        for name in [name for name in sys.modules if name.startswith("cypool")]:
            if name != "cypool._cpu":
                del sys.modules[name]
        with threadpool_limits(1, user_api="openmp"):
            import cypool
            print(cypool.get_num_threads())
        print(cypool.get_num_threads())
    """
    assert start(code, OMP_NUM_THREADS="2").stdout.split() == ["1", "2"]


# ---- Many threads, and forks ------------------------------------------------------------------------------------


def test_many_python_threads():
    expected = cypool.max_pool(X, 3, 2, 1, axis=(1, 2), num_threads=1)
    results = [None] * 8

    def work(i):
        for _ in range(10):
            results[i] = cypool.max_pool(X, 3, 2, 1, axis=(1, 2), num_threads=1 + i % 4)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_run_is_a_plain_call_where_no_team_is_lost():
    assert threads.run(threading.get_ident) == threading.get_ident()


FORK = """
    import multiprocessing, os, sys, threading
    import numpy as np
    import cypool
    from cypool import threads

    x = np.arange(64 * 256 * 256, dtype=np.float32).reshape(64, 256, 256)
    expected = cypool.avg_pool(x, 3, 2, 1, axis=(1, 2), num_threads=1)

    def right(n=2):
        assert np.array_equal(cypool.avg_pool(x, 3, 2, 1, axis=(1, 2), num_threads=n), expected)

    def in_child(work):
        pid = os.fork()
        if not pid:
            try:
                work()
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

    right()
"""


def forked(code):
    result = start(textwrap.dedent(FORK) + textwrap.dedent(code) + "\nprint('done')", PYTHONWARNINGS="ignore")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@needs_fork
def test_fork_after_a_parallel_call():
    forked("in_child(right); right()")


@needs_fork
def test_fork_then_threads_of_the_child():
    forked("""
        def work():
            workers = [threading.Thread(target=right) for _ in range(6)]
            for worker in workers: worker.start()
            right()
            for worker in workers: worker.join()
        in_child(work)
    """)


@needs_fork
def test_fork_of_a_fork():
    forked("""
        def grandchild():
            right()
            in_child(right)
            right()
        in_child(lambda: (right(), in_child(grandchild), right()))
        in_child(lambda: in_child(grandchild))
    """)


@needs_fork
def test_fork_from_a_thread():
    forked("""
        def work():
            right()
            in_child(lambda: (right(), in_child(right)))
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        right()
    """)


@needs_fork
def test_fork_pools():
    forked("""
        for _ in range(2):
            with multiprocessing.get_context("fork").Pool(3) as pool:
                pool.map(right, [1, 2, 3, 4] * 5)
    """)


@needs_fork
def test_errors_reach_the_caller_in_a_child():
    forked("""
        def fail(message): raise MemoryError(message)
        def work():
            try:
                threads.run(fail, "as it was")
            except MemoryError as error:
                assert str(error) == "as it was"
            else:
                assert False
        in_child(work)
    """)


@needs_fork
@needs_openmp
def test_a_child_stays_parallel():
    """The forking thread's calls run in one helper thread, with a team of its own."""
    forked("""
        def work():
            before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None
            assert threads.run(threading.get_ident) != threading.get_ident()
            assert threads.run(threading.get_ident) == threads.run(threading.get_ident)
            if before:
                right(3)
                assert len(os.listdir("/proc/self/task")) == before + 3
        in_child(work)
    """)
