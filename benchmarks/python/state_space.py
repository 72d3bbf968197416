# SPDX-License-Identifier: BSD-3-Clause
"""Times the taps of state space models (families diag_ssm, modal, s4_dplr) against the same formulas in NumPy, in
alternation in one process, with the same parameters and the same cores.

    python benchmarks/python/state_space.py --build build [--channels 256] [--seqlen 16384] [--threads 2]

NumPy evaluates whole arrays of channels x modes x taps (Vandermonde) or channels x modes x frequencies (Cauchy), for some
channels at a time, which is faster for it than all at once, on as many threads. s4_dplr is timed with the truncated C that
S4's own code keeps (`s4_truncated`, the same work on both sides) and with C itself, where each side truncates it first.
Prints one JSON line a model: medians of `wall`, what a clock shows, and of `cpu`, what the processors worked for, which says
more on a machine that others use too. `ratio` is NumPy's over ours, `difference` the relative 2-norm between both."""
import argparse
import concurrent.futures
import json
import os
import statistics
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--seqlen", type=int, default=16384)
    parser.add_argument("--modes", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--together", type=int, default=4, help="channels that NumPy evaluates at a time")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--model", help="only this one")
    return parser.parse_args()


ARGS = arguments()
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded: the threads are those of the pool below
os.environ["LONGCONV_NUM_THREADS"] = str(ARGS.threads)

import numpy as np  # noqa: E402

import measure  # noqa: E402
import native  # noqa: E402

native.use_build(ARGS.build)
from longconv.filters import Filter  # noqa: E402

REAL = np.dtype(ARGS.dtype)
COMPLEX = np.dtype("complex64" if ARGS.dtype == "float32" else "complex128")


def complex_of(values):
    return (values[..., 0] + 1j * values[..., 1]).astype(COMPLEX)


def exponentials(residues, log_poles):
    """Re sum_n residue_n exp(log_pole_n t)."""
    time = np.arange(ARGS.seqlen, dtype=REAL)
    return np.einsum("hn,hnl->hl", residues, np.exp(log_poles[..., None] * time)).real


class S4D:
    family, options = "diag_ssm", {}

    def __init__(self, values):
        dt = np.exp(values["inv_dt"].astype(np.float64))[:, None]
        a = -np.exp(values["a_real"].astype(np.float64)) - 1j * values["a_imag"]
        gain = (np.exp(dt * a) - 1) / a
        self.log_poles = (dt * a).astype(COMPLEX)
        self.residues = (2 * complex_of(values["b"]) * complex_of(values["c"]) * gain).astype(COMPLEX)

    def taps(self, rows):
        return exponentials(self.residues[rows], self.log_poles[rows])


class DSS:
    family = "diag_ssm"
    options = dict(discretisation="softmax", conjugate=0, with_b=0, real="identity", imag_sign="plus", init="legs", std=1)

    def __init__(self, values):
        dt = np.exp(values["inv_dt"].astype(np.float64))[:, None]
        a = values["a_real"] + 1j * values["a_imag"].astype(np.float64)
        step, size = dt * a, (np.exp(dt * a * ARGS.seqlen) - 1) * a
        gain = (np.exp(step) - 1) * size.conj() / (np.abs(size) ** 2 + 1e-7)
        self.log_poles, self.residues = step.astype(COMPLEX), (complex_of(values["c"]) * gain).astype(COMPLEX)

    taps = S4D.taps


class Modal:
    family, options = "modal", {}

    def __init__(self, values):
        self.log_poles, self.residues = values["log_poles"], values["residues"]

    taps = S4D.taps


class S4:
    family, options = "s4_dplr", dict(c_form="truncated")

    def __init__(self, values):
        self.dt = np.exp(values["inv_dt"].astype(np.float64))[:, None]
        half = self.dt * (-np.exp(values["a_real"].astype(np.float64)) - 1j * values["a_imag"])
        both = lambda x: np.concatenate([x, x.conj()], -1)  # noqa: E731
        self.a, self.p, self.b, self.c = (both(x) for x in (
            half, complex_of(values["p"]), complex_of(values["b"]), complex_of(values["c"])))
        omega = np.exp(-2j * np.pi * np.arange(ARGS.seqlen // 2 + 1) / ARGS.seqlen)
        if ARGS.seqlen % 2 == 0:
            omega[-1] = np.exp(-1j * np.pi)  # not exactly -1, as in S4's code
        self.z, self.factor = (2 * (1 - omega) / (1 + omega)).astype(COMPLEX), (2 / (1 + omega)).astype(COMPLEX)

    def taps(self, rows):
        return self.from_spectrum(rows, self.c[rows])

    def from_spectrum(self, rows, c):
        a, p, b, c, dt = (x.astype(COMPLEX) for x in (self.a[rows], self.p[rows], self.b[rows], c, self.dt[rows]))
        v = np.stack([b * c, b * p.conj(), p * c, p * p.conj()], 1)
        r = np.einsum("hvn,hnm->vhm", dt[..., None] * v, 1 / (self.z - a[..., None]))
        k = (r[0] - r[1] * r[2] / (1 + r[3])) * self.factor
        return np.fft.irfft(k, ARGS.seqlen)


class S4Direct(S4):
    options = {}

    def taps(self, rows):
        """Truncates C first, with the powers of M."""
        a, p, dt = self.a[rows], self.p[rows], self.dt[rows, :, None]
        matrix = (a[..., None] * np.eye(a.shape[-1]) - dt * p[..., None] * p.conj()[:, None, :]) / 2
        one = np.eye(a.shape[-1])
        power = np.linalg.matrix_power(np.linalg.solve(one - matrix, one + matrix), ARGS.seqlen)
        return self.from_spectrum(rows, self.c[rows] - np.einsum("hn,hnm->hm", self.c[rows], power))


MODELS = {"s4d": S4D, "dss": DSS, "modal": Modal, "s4_truncated": S4, "s4": S4Direct}


def alternate(functions, runs):
    """{kind: milliseconds of each function}, after one warm-up of each."""
    times = {"wall": [[] for _ in functions], "cpu": [[] for _ in functions]}
    for run in range(runs + 1):
        for i, function in enumerate(functions):
            before = time.perf_counter(), time.process_time()
            function()
            after = time.perf_counter(), time.process_time()
            for kept, start, end in zip(times.values(), before, after):
                if run > 0:
                    kept[i].append(1e3 * (end - start))
    return times


def compare(name, model, pool):
    f = Filter(model.family, ARGS.channels, ARGS.seqlen, dtype=REAL, num_threads=ARGS.threads, modes=ARGS.modes,
               **model.options)
    taps, reference = f.taps(ARGS.seqlen), model(f.parameters)
    expected = np.empty_like(taps)
    rows = [slice(i, i + ARGS.together) for i in range(0, ARGS.channels, ARGS.together)]

    def run(part):
        expected[part] = reference.taps(part)

    times = alternate([lambda: f.taps(ARGS.seqlen, out=taps), lambda: list(pool.map(run, rows))], ARGS.runs)
    line = {"model": name, "channels": ARGS.channels, "seqlen": ARGS.seqlen, "modes": ARGS.modes, "dtype": ARGS.dtype,
            "threads": ARGS.threads, "machine": measure.processor(), "load": round(os.getloadavg()[0], 1)}
    for kind, values in times.items():
        ours, numpy = (statistics.median(kept) for kept in values)
        line[kind] = {"ours": round(ours, 2), "numpy": round(numpy, 2), "ratio": round(numpy / ours, 2)}
    line["difference"] = float(np.linalg.norm(taps - expected) / np.linalg.norm(expected))
    return line


def main():
    pool = concurrent.futures.ThreadPoolExecutor(ARGS.threads)
    for name, model in MODELS.items():
        if ARGS.model in (None, name):
            print(json.dumps(compare(name, model, pool)), flush=True)


if __name__ == "__main__":
    main()
