# SPDX-License-Identifier: BSD-3-Clause
"""What the comparisons with frameworks share: data, timing in turns, the machine's name."""
import platform
import statistics
import time

import numpy as np


def random(shape, seed, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def problem(batch, channels, seqlen, taps, gated):
    """The arrays of one problem, by name."""
    decay = np.exp(-np.arange(taps) * (4.0 / taps))
    data = {"u": random((batch, channels, seqlen), 1),
            "filter": (random((channels, taps), 2, taps ** -0.5) * decay).astype(np.float32),
            "skip": random((channels,), 3), "y": np.empty((batch, channels, seqlen), np.float32)}
    if gated:
        data["pre_gate"] = random(data["u"].shape, 4)
        data["post_gate"] = random(data["u"].shape, 5)
        data["dy"] = random(data["u"].shape, 6)
    return data


def alternate(functions, budget):
    """Milliseconds of each function, in turns, after one warm-up of each."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    start = time.perf_counter()
    while len(times[0]) < 5 or (time.perf_counter() - start < budget and len(times[0]) < 101):
        for function, kept in zip(functions, times):
            before = time.perf_counter()
            function()
            kept.append(1e3 * (time.perf_counter() - before))
    return times


def spread(values):
    low, _, high = statistics.quantiles(values, n=4)
    return round((high - low) / statistics.median(values), 3)


def processor():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
