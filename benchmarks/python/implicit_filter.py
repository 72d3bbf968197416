# SPDX-License-Identifier: BSD-3-Clause
"""Times Hyena's implicit filter (family implicit_mlp) against the same formulas in NumPy, in alternation in one
process, with the same parameters and threads, and against one convolution with its result.

    python benchmarks/python/implicit_filter.py --build build [--channels 768] [--seqlen 8192] [--threads 2]

NumPy evaluates channels first, whole matrices at a time, once with the decay window made in the call (as the
reference implementation does) and once with a window made before. The times are the process's own: `wall` counts
what a clock shows, `cpu` what the processors worked for, which says more on a machine that others use too. Prints one
JSON line; `ratio` is NumPy's median over ours."""
import argparse
import ctypes as c
import json
import os
import statistics
import time


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int), ("rank", c.c_int32), ("shape", c.c_int64 * 3),
                ("strides", c.c_int64 * 3), ("device", c.c_int), ("device_index", c.c_int32)]


class Exec(c.Structure):
    _fields_ = [("stream", c.c_void_p), ("workspace", c.c_void_p), ("workspace_bytes", c.c_size_t),
                ("parallel_for", c.c_void_p), ("user", c.c_void_p)]


class FilterArgs(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("seqlen", c.c_int64), ("first", c.c_int64), ("taps", Tensor),
                ("exec", Exec)]


class FilterParams(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("family", c.c_char_p), ("options", c.c_char_p), ("dtype", c.c_int),
                ("channels", c.c_int64), ("max_len", c.c_int64), ("seed", c.c_uint64), ("num_threads", c.c_int32),
                ("backend", c.c_char_p)]


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
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(ARGS.threads)  # before NumPy is loaded

import numpy as np  # noqa: E402

import native  # noqa: E402


def view(array):
    """A float32 array, contiguous, as a tensor."""
    tensor = Tensor(data=array.ctypes.data, dtype=0, rank=array.ndim)
    for axis in range(array.ndim):
        tensor.shape[axis] = array.shape[axis]
        tensor.strides[axis] = array.strides[axis] // array.itemsize
    return tensor


class Library:
    """The C library of a build folder with one context."""

    def __init__(self, folder):
        self.lib, self.handle = c.CDLL(os.path.join(folder, "lib", "liblongconv.so")), c.c_void_p()
        self.lib.lcv_context_message.restype = c.c_char_p
        self.check(self.lib.lcv_context_create(None, c.byref(self.handle)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.lcv_context_message(self.handle).decode())


class Filter:
    """An instance with its taps [channels, seqlen] and its workspace bound."""

    def __init__(self, context, channels, seqlen, options, threads):
        lib = self.lib = context.lib
        self.context, self.handle = context, c.c_void_p()
        params = FilterParams()
        lib.lcv_filter_params_init(c.byref(params), c.c_size_t(c.sizeof(params)))
        params.family, params.options = b"implicit_mlp", options.encode()
        params.channels, params.max_len, params.num_threads = channels, seqlen, threads
        context.check(lib.lcv_filter_create(context.handle, c.byref(params), c.byref(self.handle)))
        self.taps = np.empty((channels, seqlen), np.float32)
        size = c.c_size_t()
        context.check(lib.lcv_filter_workspace(self.handle, c.c_int64(seqlen), c.c_int64(seqlen), 0, c.byref(size)))
        self.workspace = np.empty(size.value, np.uint8)
        self.args = FilterArgs()
        lib.lcv_filter_args_init(c.byref(self.args), c.c_size_t(c.sizeof(self.args)))
        self.args.seqlen, self.args.taps = seqlen, view(self.taps)
        self.args.exec.workspace, self.args.exec.workspace_bytes = self.workspace.ctypes.data, size.value

    def parameter(self, name, *shape):
        values = np.empty(shape, np.float32)
        self.context.check(self.lib.lcv_filter_get(self.handle, name.encode(), c.byref(view(values))))
        return values

    def evaluate(self):
        self.context.check(self.lib.lcv_filter_evaluate(self.handle, c.byref(self.args)))
        return self.taps


class NumpyFilter:
    def __init__(self, f, channels, seqlen, options):
        chosen = dict(o.split("=") for o in options.split())
        width, depth = int(chosen.pop("mlp_width", 16)), int(chosen.pop("mlp_depth", 2))
        features = int(chosen.pop("posenc_dim", 3))
        chosen.pop("sine_freq", None)
        if chosen:
            raise SystemExit(f"this comparison does not know the options {' '.join(chosen)}")
        self.z = np.ascontiguousarray(f.parameter("posenc", seqlen, features).T)
        hidden = f.parameter("weight_hidden", depth, width, width) if depth > 0 else []
        self.weights = [f.parameter("weight_in", width, features), *hidden]
        self.biases = f.parameter("bias", depth + 1, width)[..., None]
        self.freq = f.parameter("sine_freq", width)[:, None]
        self.out = f.parameter("weight_out", channels, width)
        self.rate = np.abs(f.parameter("decay_rate", channels))[:, None]
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
    native.use_build(ARGS.build)
    f = Filter(Library(ARGS.build), ARGS.channels, ARGS.seqlen, ARGS.options, ARGS.threads)
    n = NumpyFilter(f, ARGS.channels, ARGS.seqlen, ARGS.options)
    expected = n.evaluate()
    difference = float(np.linalg.norm(f.evaluate() - expected) / np.linalg.norm(expected))
    u = np.random.default_rng(1).standard_normal((ARGS.batch, ARGS.channels, ARGS.seqlen)).astype(np.float32)
    conv = native.Conv(u, f.taps, np.empty_like(u), ARGS.threads, prepared=True)
    times = measure({"ours": f.evaluate, "numpy": n.evaluate, "numpy_window": n.evaluate_with_window,
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
