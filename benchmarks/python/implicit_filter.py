# SPDX-License-Identifier: BSD-3-Clause
"""Times Hyena's implicit filter (family implicit_mlp) against the same formulas in NumPy, in alternation in one
process, with the same parameters and threads, and against one convolution with its result.

    python benchmarks/python/implicit_filter.py --build build [--channels 768] [--seqlen 8192] [--threads 2]

NumPy evaluates channels first, whole matrices at a time, once with the decay window made in the call (as the
reference implementation does) and once with a window made before. The times are the process's own: `wall` counts
what a clock shows, `cpu` what the processors worked for, which says more on a machine that others use too. Prints one
JSON line; `ratio` is NumPy's median over ours."""
import argparse
import json
import os
import statistics
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--seqlen", type=int, default=8192)
    parser.add_argument("--batch", type=int, default=8, help="of the convolution that it is compared with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--options", default="mlp_width=64")
    return parser.parse_args()


ARGS = arguments()
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LONGCONV_NUM_THREADS"):
    os.environ[name] = str(ARGS.threads)  # before NumPy is loaded

import numpy as np  # noqa: E402

import native  # noqa: E402

native.use_build(ARGS.build)
from longconv.filters import Filter  # noqa: E402


class NumpyFilter:
    def __init__(self, f, channels, seqlen, options):
        chosen = dict(o.split("=") for o in options.split())
        width, depth = int(chosen.pop("mlp_width", 16)), int(chosen.pop("mlp_depth", 2))
        features = int(chosen.pop("posenc_dim", 3))
        chosen.pop("sine_freq", None)
        if chosen:
            raise SystemExit(f"this comparison does not know the options {' '.join(chosen)}")
        values = f.parameters
        self.z = np.ascontiguousarray(values["posenc"].reshape(seqlen, features).T)
        hidden = values["weight_hidden"].reshape(depth, width, width) if depth > 0 else []
        self.weights = [values["weight_in"].reshape(width, features), *hidden]
        self.biases = values["bias"].reshape(depth + 1, width)[..., None]
        self.freq = values["sine_freq"].reshape(width)[:, None]
        self.out = values["weight_out"].reshape(channels, width)
        self.rate = np.abs(values["decay_rate"].reshape(channels))[:, None]
        self.time = np.linspace(0, 1, seqlen, dtype=np.float32)[None]
        self.window = np.exp(-self.rate * self.time)

    def features(self):
        h = self.z
        for weight, bias in zip(self.weights, self.biases):
            h = np.sin(self.freq * (weight @ h + bias))
        return h

    def evaluate(self):
        return (self.out @ self.features()) * np.exp(-self.rate * self.time)

    def evaluate_with_window(self):
        return (self.out @ self.features()) * self.window


def measure(functions, runs):
    times = {name: ([], []) for name in functions}
    for run in range(runs + 2):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if run >= 2:
                times[name][0].append(wall * 1e3)
                times[name][1].append(cpu * 1e3)
    return times


def main():
    f = Filter("implicit_mlp", ARGS.channels, ARGS.seqlen, **dict(option.split("=") for option in ARGS.options.split()))
    taps = f.taps(ARGS.seqlen)
    n = NumpyFilter(f, ARGS.channels, ARGS.seqlen, ARGS.options)
    expected = n.evaluate()
    difference = float(np.linalg.norm(taps - expected) / np.linalg.norm(expected))
    u = np.random.default_rng(1).standard_normal((ARGS.batch, ARGS.channels, ARGS.seqlen)).astype(np.float32)
    conv = native.Conv(u, taps, np.empty_like(u), ARGS.threads, prepared=True)
    times = measure({"ours": lambda: f.taps(ARGS.seqlen, out=taps), "numpy": n.evaluate, "numpy_window": n.evaluate_with_window,
                     "convolution": conv.forward}, ARGS.runs)
    line = {"problem": f"filter:implicit_mlp:f32:d{ARGS.channels}:l{ARGS.seqlen}:{ARGS.options.replace(' ', ':')}",
            "numpy": np.__version__, "threads": ARGS.threads, "load": os.getloadavg()[0], "difference": difference}
    for kind, index in (("wall", 0), ("cpu", 1)):
        median = {name: statistics.median(values[index]) for name, values in times.items()}
        line[kind] = {name: round(value, 3) for name, value in median.items()}
        line[kind]["ratio"] = round(median["numpy"] / median["ours"], 2)
        line[kind]["ratio_window"] = round(median["numpy_window"] / median["ours"], 2)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
