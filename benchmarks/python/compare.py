# SPDX-License-Identifier: BSD-3-Clause
"""Times longconv against frameworks' own FFT pipelines on the same data, in alternation in one process.

    python benchmarks/python/compare.py --build build [--peers torch,scipy,jax] [--threads 1] [--out FILE.jsonl]

Prints one JSON line for each shape, peer and kind of work, with medians in milliseconds, the spread, the ratio
(the peer's median over ours) and the relative L2 difference of the results. A peer that is not installed is
named and left out. Kinds: forward (filter transformed in the call), prepared (filter transformed before),
train (gated forward and backward, filter transformed in the call), short (3 and 4 taps, against the framework's
depthwise conv1d). Each line also has the rate of a multiply-add loop in one and two threads, before and after."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import native
from measure import alternate, problem, processor, spread

SHAPES = [(1, 768, 1024), (8, 256, 2048), (1, 256, 8192), (1, 64, 32768), (1, 16, 131072), (1, 4, 1048576),
          (1, 256, 1000), (1, 256, 3000), (1, 64, 10007), (1, 16, 100003)]
SHORT = [(1, 64, 65536, 3), (1, 64, 65536, 4)]  # and the taps


# ---- Peers: each makes {kind: function returning y}; a function is what is timed ----

def torch_short(torch, data):
    u, channels, taps = torch.from_numpy(data["u"]), *data["filter"].shape
    weight = torch.from_numpy(data["filter"]).flip(-1).reshape(channels, 1, taps).contiguous()

    def short():
        with torch.no_grad():  # as models do it: padded on both sides, the end is cut off
            return torch.nn.functional.conv1d(u, weight, padding=taps - 1, groups=channels)[..., :u.shape[-1]]

    return f"torch {torch.__version__} conv1d", {"short": short}


def torch_peer(data, threads):
    import torch
    torch.set_num_threads(threads)
    if data["filter"].shape[-1] < data["u"].shape[-1]:
        return torch_short(torch, data)
    t = {name: torch.from_numpy(array) for name, array in data.items() if name != "y"}
    seqlen = data["u"].shape[-1]
    spectrum = torch.fft.rfft(t["filter"], n=2 * seqlen)

    def conv(u, filter_spectrum):
        return torch.fft.irfft(torch.fft.rfft(u, n=2 * seqlen) * filter_spectrum, n=2 * seqlen)[..., :seqlen]

    def forward():
        with torch.no_grad():
            return conv(t["u"], torch.fft.rfft(t["filter"], n=2 * seqlen)) + t["u"] * t["skip"][:, None]

    def prepared():
        with torch.no_grad():
            return conv(t["u"], spectrum) + t["u"] * t["skip"][:, None]

    def train():
        leaves = [t[name].detach().requires_grad_() for name in ("u", "filter", "skip", "pre_gate", "post_gate")]
        u, taps, skip, pre_gate, post_gate = leaves
        x = pre_gate * u
        y = post_gate * (conv(x, torch.fft.rfft(taps, n=2 * seqlen)) + x * skip[:, None])
        torch.autograd.grad(y, leaves, t["dy"])
        return y.detach()

    library = "MKL" if "mkl" in torch.__config__.show().lower() and torch.backends.mkl.is_available() else "pocketfft"
    return f"torch {torch.__version__} ({library})", {"forward": forward, "prepared": prepared, "train": train}


def scipy_peer(data, threads):
    import scipy
    from scipy import fft
    seqlen = data["u"].shape[-1]
    size = fft.next_fast_len(2 * seqlen - 1, real=True)

    def conv(spectrum):
        with fft.set_workers(threads):
            y = fft.irfft(fft.rfft(data["u"], size) * spectrum, size)[..., :seqlen]
        return y + data["u"] * data["skip"][:, None]

    kept = fft.rfft(data["filter"], size)
    return (f"scipy {scipy.__version__} (pocketfft)",
            {"forward": lambda: conv(fft.rfft(data["filter"], size)), "prepared": lambda: conv(kept)})


def jax_peer(data, threads):
    os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import jax.numpy as jnp
    seqlen = data["u"].shape[-1]
    a = {name: jnp.asarray(array) for name, array in data.items() if name != "y"}

    def conv(u, filter_spectrum):
        return jnp.fft.irfft(jnp.fft.rfft(u, 2 * seqlen) * filter_spectrum, 2 * seqlen)[..., :seqlen]

    @jax.jit
    def run_forward(u, taps, skip):
        return conv(u, jnp.fft.rfft(taps, 2 * seqlen)) + u * skip[:, None]

    @jax.jit
    def run_prepared(u, spectrum, skip):
        return conv(u, spectrum) + u * skip[:, None]

    @jax.jit
    def run_train(u, taps, skip, pre_gate, post_gate, dy):
        def layer(u, taps, skip, pre_gate, post_gate):
            x = pre_gate * u
            return post_gate * (conv(x, jnp.fft.rfft(taps, 2 * seqlen)) + x * skip[:, None])
        y, pull = jax.vjp(layer, u, taps, skip, pre_gate, post_gate)
        return y, pull(dy)

    kept = jnp.fft.rfft(a["filter"], 2 * seqlen)
    kinds = {"forward": lambda: run_forward(a["u"], a["filter"], a["skip"]).block_until_ready(),
             "prepared": lambda: run_prepared(a["u"], kept, a["skip"]).block_until_ready()}
    if "dy" in a:
        kinds["train"] = lambda: jax.block_until_ready(run_train(
            a["u"], a["filter"], a["skip"], a["pre_gate"], a["post_gate"], a["dy"]))[0]
    return f"jax {jax.__version__}", kinds


PEERS = {"torch": torch_peer, "scipy": scipy_peer, "jax": jax_peer}


# ---- Ours ----

def ours(data, kind, threads):
    if kind == "short":
        plan = native.Conv(data["u"], data["filter"], data["y"], threads)
        return plan, lambda: (plan.forward(), data["y"])[1]
    same = {name: data[name] for name in ("u", "filter", "y", "skip")}
    if kind != "train":
        plan = native.Conv(threads=threads, prepared=kind == "prepared", **same)
        return plan, lambda: (plan.forward(), data["y"])[1]
    grads = {"dy": data["dy"]}
    for gradient, source in (("du", "u"), ("dfilter", "filter"), ("dskip", "skip"), ("dpre_gate", "pre_gate"),
                             ("dpost_gate", "post_gate")):
        grads[gradient] = np.empty_like(data[source])
    plan = native.Conv(threads=threads, grads=grads, pre_gate=data["pre_gate"],
                       post_gate=data["post_gate"], **same)
    return plan, lambda: (plan.forward(), plan.backward(), data["y"])[2]


# ---- Timing ----

def calibrate(build):
    """GFLOP/s of a multiply-add loop in one thread and in two at once, as `longconv bench` sees them."""
    command = [os.path.join(build, "tools", "longconv"), "bench", "--json", "--reps", "1", "--min-time", "0.001",
               "conv:f32:b1:d1:l64", "vs=none"]
    try:
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    except (OSError, subprocess.CalledProcessError):
        return np.full(2, np.nan)
    return np.array([json.loads(line)[key] for key in ("fma_gflops_1", "fma_gflops_2")])


def describe(shape, kind):
    batch, channels, seqlen, taps = shape
    words = {"train": ":skip:gated:fwdbwd", "short": ""}.get(kind, ":skip")
    return f"conv:f32:b{batch}:d{channels}:l{seqlen}:k{taps}:causal{words}"


def compare(shape, kind, peer, options, seen):
    threads = options.threads
    data = problem(*shape, gated=kind == "train")
    peer_name, kinds = peer(data, threads)
    if kind not in kinds:
        return None
    plan, function = ours(data, kind, threads)
    expected, got = np.asarray(kinds[kind](), np.float64), np.asarray(function(), np.float64)
    before = calibrate(options.build)
    times = alternate([function, kinds[kind]], options.seconds)
    fma = 0.5 * (before + calibrate(options.build))
    mine, theirs = (statistics.median(values) for values in times)
    batch, channels, seqlen, _ = shape
    return {"problem": describe(shape, kind), "kind": kind, "engine": plan.engine(), "vs": peer_name,
            "threads": threads, "prepared": kind == "prepared", "median_ms": round(mine, 4),
            "vs_median_ms": round(theirs, 4), "ratio": round(theirs / mine, 3), "spread": spread(times[0]),
            "vs_spread": spread(times[1]), "ns_per_output": round(1e6 * mine / (batch * channels * seqlen), 4),
            "l2_difference": float(np.linalg.norm(got - expected) / np.linalg.norm(expected)),
            "fma_gflops_1": finite(fma[0]), "fma_gflops_2": finite(fma[1]), **seen}


def finite(value):
    return round(float(value), 1) if np.isfinite(value) else None


def run_peer(peer, options, seen):
    kinds = options.kinds.split(",")
    work = [((*shape, shape[2]), kind) for shape in SHAPES for kind in kinds if kind != "short"]
    work += [(shape, "short") for shape in SHORT if "short" in kinds]
    for shape, kind in work:
        row = compare(shape, kind, peer, options, seen) if shape[2] <= options.longest else None
        if row is None:
            continue
        print(json.dumps(row), flush=True)
        if options.out:
            with open(options.out, "a") as out:
                out.write(json.dumps(row) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="build folder of the library")
    parser.add_argument("--peers", default="torch,scipy,jax")
    parser.add_argument("--kinds", default="forward,prepared,train,short")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    parser.add_argument("--longest", type=int, default=1 << 20, help="leave out longer sequences")
    parser.add_argument("--out", help="file that the JSON lines are added to")
    options = parser.parse_args()
    native.use_build(options.build)
    seen = {"machine": processor(), "cpus": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
    for name in options.peers.split(","):
        try:
            run_peer(PEERS[name], options, seen)
        except ImportError as missing:
            print(f"{name}: left out: {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
