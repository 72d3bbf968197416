# SPDX-License-Identifier: BSD-3-Clause
"""The plan cache: bounded, clearable, shared by threads, usable after fork. Prepared filters, info and explain."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import weakref

import numpy as np
import pytest
from conftest import close, direct

import longconv


@pytest.fixture(autouse=True)
def empty_cache():
    longconv.clear_cache()
    yield
    longconv.set_cache_limit(256)


def kept():
    return longconv.cache_info()["plans"]["kept"]


def made():
    return longconv.cache_info()["plans"]["made"]


def test_a_plan_is_made_once_for_all_strides(rng):
    u, filter = rng.standard_normal((2, 3, 40)).astype("f4"), np.ones((3, 7), "f4")
    before = made()
    longconv.conv(u, filter)
    longconv.conv(u, filter)
    longconv.conv(np.repeat(u, 2, -1)[..., ::2], filter)
    assert kept() == 1 and made() == before + 1
    assert longconv.cache_info()["bindings"]["kept"] == 2


def test_bounded_and_clearable(rng):
    longconv.set_cache_limit(4)
    filter = np.ones((1, 3), "f4")
    for length in range(1, 20):
        u = rng.standard_normal((1, 1, length)).astype("f4")
        close(longconv.conv(u, filter), direct(u, filter))
    assert kept() == 4
    longconv.clear_cache()
    assert kept() == 0
    with pytest.raises(longconv.InvalidArgumentError, match="max_plans"):
        longconv.set_cache_limit(0)


def test_many_threads_few_plans(rng):
    """Threads share plans and drop them from under each other; every result is right."""
    longconv.set_cache_limit(2)
    inputs = [rng.standard_normal((2, 3, 200 + 10 * i)).astype("f4") for i in range(4)]
    filter = rng.standard_normal((3, 100)).astype("f4")
    expected = [direct(u, filter) for u in inputs]

    def work(i):
        if i % 50 == 49:
            longconv.clear_cache()
        close(longconv.conv(inputs[i % 4], filter), expected[i % 4])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(800)))


FORK = """
import os, sys, threading, numpy as np, longconv
from longconv import _plans
from longconv._native import library
u, filter = np.ones((2, 3, 5000), 'f4'), np.ones((3, 5000), 'f4')
expected = longconv.conv(u, filter)
held = [_plans.plans.lock, _plans.bindings.lock, library._lock]
ready, go = threading.Event(), threading.Event()
def hold():
    for lock in held: lock.acquire()
    ready.set(); go.wait()
threading.Thread(target=hold, daemon=True).start()
ready.wait()
child = os.fork()
if child == 0:
    same = np.array_equal(longconv.conv(u, filter), expected)                    # a plan of the parent
    same &= bool(np.isfinite(longconv.conv(u[..., :777], filter)).all())         # a new one
    longconv.clear_cache()
    os._exit(0 if same else 1)
go.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_fork_while_a_thread_holds_the_locks():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)


def test_prepared_filter(rng):
    filter = rng.standard_normal((3, 300)).astype("f4")
    prepared = longconv.prepare(filter, (2, 3, 300))
    for shape in [(2, 3, 300), (1, 3, 300), (5, 3, 300), (2, 3, 4096)]:
        u = rng.standard_normal(shape).astype("f4")
        np.testing.assert_array_equal(longconv.conv(u, prepared), longconv.conv(u, prepared))
        close(longconv.conv(u, prepared), direct(u, filter))
    kept_taps = filter.copy()
    filter[...] = 0  # the prepared filter has its own copy
    close(longconv.conv(u, prepared), direct(u, kept_taps))


def test_prepared_filter_of_two_sides(rng):
    filter, future = rng.standard_normal((2, 1, 50)).astype("f8")
    u = rng.standard_normal((2, 3, 128)).astype("f4")
    prepared = longconv.prepare(filter, u.shape, mode="twosided", filter_future=future)
    close(longconv.conv(u, prepared, mode="twosided"), direct(u, filter, mode="twosided", filter_future=future))
    with pytest.raises(longconv.InvalidArgumentError, match="filter_future"):
        longconv.conv(u, prepared, mode="twosided", filter_future=future)


def test_prepared_filter_outlives_the_cache_and_serves_threads(rng):
    filter = rng.standard_normal((2, 500)).astype("f4")
    prepared = longconv.prepare(filter, (1, 2, 500))
    inputs = [rng.standard_normal((1, 2, length)).astype("f4") for length in (500, 700, 900)]
    expected = [direct(u, filter) for u in inputs]
    longconv.clear_cache()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda i: longconv.conv(inputs[i % 3], prepared), range(60)))
    for i, result in enumerate(results):
        close(result, expected[i % 3])


def test_info():
    info = longconv.info()
    assert pathlib.Path(info["library"]).exists() and info["version"].count(".") == 2
    backends = {backend["name"]: backend for backend in info["backends"]}
    assert backends["ref"]["available"] and backends["cpu"]["available"] and "direct" in backends["cpu"]["engines"]
    assert all(backend["available"] or backend["reason"] for backend in info["backends"])


def test_explain(rng):
    u = rng.standard_normal((1, 2, 4096)).astype("f4")
    told = longconv.explain(u, np.ones((2, 4096), "f8"))
    assert told.backend == "cpu" and told.engine and told.fft_size >= 4096 and told.workspace_bytes > 0
    assert told.copies == ("filter was copied: converted from float64 to float32",)
    assert told.engine in str(told) and told.why in str(told)
    assert longconv.explain(u, np.ones((2, 3), "f4"), backend="ref").backend == "ref"
    assert "no array is copied" in str(longconv.explain(u, np.ones((2, 3), "f4")))


def test_a_missing_library_is_a_clear_error():
    environment = {**os.environ, "LONGCONV_LIBRARY": "/nonexistent/liblongconv.so"}
    code = "import longconv\ntry: longconv.info()\nexcept longconv.NoDeviceError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "/nonexistent/liblongconv.so" in done.stdout


def test_silent_at_the_end_of_the_process():
    """Plans that are kept when the interpreter ends make no noise."""
    code = "import numpy, longconv; kept = longconv.prepare(numpy.ones((1, 9)), (1, 1, 9)); f = longconv.filters.decay(1, 8)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_plans_are_destroyed():
    """A plan that leaves the cache goes, with its memory."""
    from longconv import _plans
    u, filter = np.ones((1, 1, 50), "f4"), np.ones((1, 5), "f4")
    longconv.conv(u, filter)
    plan = weakref.ref(next(iter(_plans.plans.entries.values())))
    assert plan() is not None
    longconv.clear_cache()
    assert plan() is None
