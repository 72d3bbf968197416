# SPDX-License-Identifier: BSD-3-Clause
"""Times longconv.torch against PyTorch's own pipeline (rfft, product, irfft), eager and compiled, on the same tensors, in
turns in one process.

    python benchmarks/compare_torch.py [--shapes 1x768x1024,...] [--kinds forward,train,...] [--threads 2]
                                       [--out FILE.jsonl] [--figure FILE.svg]

Prints a JSON line for each shape and kind of work, then a table in Markdown, then what a call costs at 64 samples beside
torch.add. Kinds: forward (with a skip), train (forward and backward), gated, gated_train (with both gates, whose
gradients are wanted too). Each line has medians in milliseconds, spreads, ratios (the other's median over ours) and the
relative difference of the results. Extra memory is measured in a process for each side: how far the resident memory
rises over what it was with the inputs there, during a first and a second call.

Needs longconv, PyTorch and, for the compiled side, a C++ compiler; Matplotlib for --figure."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import timeit

sys.path.insert(0, str(pathlib.Path(__file__).parent / "python"))
from measure import alternate, problem, processor, spread  # noqa: E402

import torch  # noqa: E402

import longconv.torch  # noqa: E402

SHAPES = "1x768x1024,8x256x2048,1x256x8192,1x64x32768,1x16x131072,1x4x1048576"
KINDS = ("forward", "train", "gated", "gated_train")
SIDES = ("longconv", "eager", "compiled")
NAMES = ("u", "filter", "skip", "pre_gate", "post_gate")


def ours(u, filter, skip, pre_gate=None, post_gate=None):
    return longconv.torch.conv(u, filter, skip=skip, pre_gate=pre_gate, post_gate=post_gate)


def pipeline(u, filter, skip, pre_gate=None, post_gate=None):
    """As models write it: everything padded to twice the length."""
    length = u.shape[-1]
    x = u if pre_gate is None else pre_gate * u
    product = torch.fft.rfft(filter, n=2 * length) * torch.fft.rfft(x, n=2 * length)
    y = torch.fft.irfft(product, n=2 * length)[..., :length] + x * skip[:, None]
    return y if post_gate is None else post_gate * y


def tensors_of(shape, kind):
    """Inputs with gradients where they are wanted, and the gradient by the output."""
    gated, train = "gated" in kind, "train" in kind
    data = problem(*shape, shape[-1], gated=True)
    names = NAMES if gated else NAMES[:3]
    return [torch.from_numpy(data[name]).requires_grad_(train) for name in names], torch.from_numpy(data["dy"])


def work(function, shape, kind):
    """One step of a kind of work: returns y and the gradients."""
    inputs, dy = tensors_of(shape, kind)
    if "train" not in kind:
        def step():
            with torch.no_grad():
                return [function(*inputs)]
    else:
        def step():
            y = function(*inputs)
            return [y.detach(), *torch.autograd.grad(y, inputs, dy)]
    return step


def function_of(side):
    return {"longconv": lambda: ours, "eager": lambda: pipeline,
            "compiled": lambda: torch.compile(pipeline, dynamic=False)}[side]()


# ---- Extra memory, in a process of its own ----

def resident(field):
    """Bytes of VmRSS or VmHWM."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")


def extra_memory(side, shape, kind):
    """Highest rise of the resident memory during two calls. A small call before has loaded the libraries."""
    function = function_of(side)
    if side != "compiled":
        work(function, (1, 1, 64), kind)()
    step = work(function, shape, kind)
    if side == "compiled":
        step()  # compilation takes memory of its own
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the highest value so far
    before = resident("VmRSS")
    for _ in range(2):
        step()
    return resident("VmHWM") - before


def extra_memory_apart(side, shape, kind, threads):
    # Freed memory goes back at once, so that it does not hide what a call takes.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, __file__, "--threads", str(threads), "--extra-memory", side, "x".join(map(str, shape)), kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 else None


# ---- One line ----

def difference(ours, theirs):
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(ours, theirs))


def compare(shape, kind, sides, options):
    steps = [work(function_of(side), shape, kind) for side in sides]
    results = [step() for step in steps]
    times = alternate(steps, options.seconds)
    medians = [statistics.median(values) for values in times]
    words = ":gated" * ("gated" in kind) + ":fwdbwd" * ("train" in kind)
    batch, channels, seqlen = shape
    row = {"problem": f"conv:f32:b{batch}:d{channels}:l{seqlen}:k{seqlen}:causal:skip{words}", "kind": kind,
           "threads": options.threads, "prepared": False, "torch": torch.__version__}
    for i, side in enumerate(sides):
        prefix = "" if side == "longconv" else side + "_"
        row[prefix + "median_ms"], row[prefix + "spread"] = round(medians[i], 4), spread(times[i])
        if i > 0:
            row[prefix + "ratio"] = round(medians[i] / medians[0], 3)
            row[prefix + "difference"] = difference(results[0], results[i])
        if not options.no_memory:
            row[prefix + "extra_bytes"] = extra_memory_apart(side, shape, kind, options.threads)
    return {**row, "load": round(os.getloadavg()[0], 1), "machine": processor(), "cpus": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d")}


def mebibytes(count):
    return "" if count is None else f"{count / (1 << 20):.1f}"


def print_table(rows, sides):
    others = [side for side in sides if side != "longconv"]
    print("\n| problem | kind | ms | " + " | ".join(f"{side} takes" for side in others) + " | extra MiB | " +
          " | ".join(f"{side} MiB" for side in others) + " |\n|" + "---|" * (4 + 2 * len(others)))
    for row in rows:
        name = ", ".join(part[1:] for part in row["problem"].split(":")[2:5])
        ratios = [f"{row[side + '_ratio']:.2f} times" for side in others]
        memory = [mebibytes(row.get(prefix + "extra_bytes")) for prefix in ["", *(side + "_" for side in others)]]
        print(f"| {name} | {row['kind'].replace('_', ' ')} | {row['median_ms']:.2f} | " + " | ".join(ratios + memory) + " |")


def draw(rows, sides, path):
    """Ratios over the problems, a panel for each kind."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    figure, panels = pyplot.subplots(1, len(kinds), figsize=(3.6 * len(kinds), 3.6), sharey=True, layout="constrained",
                                     squeeze=False)
    for axes, kind in zip(panels[0], kinds):
        chosen = [row for row in rows if row["kind"] == kind]
        for offset, (side, colour) in enumerate(zip(sides[1:], ("#b2182b", "#e08214"))):
            places = [i + 0.4 * offset for i in range(len(chosen))]
            axes.bar(places, [row[side + "_ratio"] for row in chosen], 0.38, label=f"PyTorch {side}", color=colour)
        axes.axhline(1, color="black", lw=0.8)
        axes.set_xticks([i + 0.2 for i in range(len(chosen))],
                        [", ".join(part[1:] for part in row["problem"].split(":")[2:5]) for row in chosen], rotation=60,
                        fontsize=7, ha="right")
        axes.set_title(kind.replace("_", " "), fontsize=9)
    panels[0][0].set_ylabel("time of PyTorch over time of longconv")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


# ---- What a call costs ----

def microseconds(function):
    """Least of ten averages."""
    count = max(int(0.02 / max(timeit.timeit(function, number=20) / 20, 1e-7)), 20)
    return 1e6 * min(timeit.repeat(function, number=count, repeat=10)) / count


def print_overhead():
    u, filter, dy = torch.randn(1, 4, 64), torch.randn(4, 64), torch.randn(1, 4, 64)
    leaves = [u.clone().requires_grad_(), filter.clone().requires_grad_()]
    conv, add = longconv.torch.conv, torch.add
    rows = {
        "without gradient": (lambda: conv(u, filter), lambda: add(u, u)),
        "with gradient": (lambda: conv(*leaves), lambda: add(leaves[0], leaves[0])),
        "forward and backward": (lambda: torch.autograd.grad(conv(*leaves), leaves, dy),
                                 lambda: torch.autograd.grad(add(leaves[0], leaves[0]), leaves[:1], dy)),
    }
    print("\nA call on [1, 4, 64] in microseconds, and torch.add in the same run:")
    for name, (mine, theirs) in rows.items():
        print(f"    {name:22} {microseconds(mine):6.1f}   torch.add {microseconds(theirs):6.1f}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES, help="batch x channels x seqlen, separated by commas")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sides", default=",".join(SIDES), help="longconv, eager, compiled; the first stays")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    parser.add_argument("--no-memory", action="store_true", help="leave extra memory out")
    parser.add_argument("--out", help="file for the JSON lines")
    parser.add_argument("--figure", help=".svg, .png or .pdf")
    parser.add_argument("--extra-memory", nargs=3, metavar=("SIDE", "SHAPE", "KIND"), help=argparse.SUPPRESS)
    return parser.parse_args()


def shape_of(text):
    return tuple(int(size) for size in text.split("x"))


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.extra_memory:
        side, shape, kind = options.extra_memory
        print(extra_memory(side, shape_of(shape), kind))
        return
    sides, rows = options.sides.split(","), []
    for shape in map(shape_of, options.shapes.split(",")):
        for kind in options.kinds.split(","):
            rows.append(compare(shape, kind, sides, options))
            print(json.dumps(rows[-1]), flush=True)
            torch._dynamo.reset()
    if options.out:
        pathlib.Path(options.out).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_table(rows, sides)
    print_overhead()
    if options.figure:
        draw(rows, sides, options.figure)


if __name__ == "__main__":
    main()
