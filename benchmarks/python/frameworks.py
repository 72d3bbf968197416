# SPDX-License-Identifier: BSD-3-Clause
"""What compare_torch.py and compare_jax.py share: one grid of problems, timing in turns, extra memory, table and figure.

A framework is an object with

    name, title, version    "torch", "PyTorch", its version
    sides                   ours first, then the framework's own pipelines
    compiled_sides          those whose first call compiles
    limit_threads(count)    called before anything is computed
    step(side, shape, kind) a function without arguments that does the work and returns [result, gradients...]
    forget()                drops compiled programs
    calls()                 the work whose cost a call is printed for: {name: (ours, theirs)}, and what theirs is"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import timeit

import numpy as np

from measure import alternate, problem, processor, spread

SHAPES = "1x768x1024,8x256x2048,1x256x8192,1x64x32768,1x16x131072,1x4x1048576"
KINDS = ("forward", "train", "gated", "gated_train")
NAMES = ("u", "filter", "skip", "pre_gate", "post_gate")


def arrays_of(shape, kind):
    """(inputs in the order of NAMES, gradient by the output) of a kind of work."""
    data = problem(*shape, shape[-1], gated=True)
    return [data[name] for name in (NAMES if "gated" in kind else NAMES[:3])], data["dy"]


# ---- Extra memory, in a process of its own ----

def resident(field):
    """Bytes of VmRSS or VmHWM."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")


def extra_memory(framework, side, shape, kind):
    """Highest rise of the resident memory during two calls. A small call before has loaded the libraries, and what is
    compiled has been."""
    framework.step(side, (1, 1, 64), kind)()
    step = framework.step(side, shape, kind)
    if side in framework.compiled_sides:
        step()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the highest value so far
    before = resident("VmRSS")
    for _ in range(2):
        step()
    return resident("VmHWM") - before


def extra_memory_apart(side, shape, kind, threads):
    # Freed memory goes back at once, so that it does not hide what a call takes.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, sys.argv[0], "--threads", str(threads), "--extra-memory", side, "x".join(map(str, shape)),
               kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 else None


# ---- One line ----

def difference(ours, theirs):
    """Largest relative distance of results."""
    pairs = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(ours, theirs)]
    return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs)


def compare(framework, shape, kind, options):
    steps = [framework.step(side, shape, kind) for side in options.sides]
    results = [step() for step in steps]
    times = alternate(steps, options.seconds)
    medians = [statistics.median(values) for values in times]
    words = ":gated" * ("gated" in kind) + ":fwdbwd" * ("train" in kind)
    batch, channels, seqlen = shape
    row = {"problem": f"conv:f32:b{batch}:d{channels}:l{seqlen}:k{seqlen}:causal:skip{words}", "kind": kind,
           "threads": options.threads, "prepared": False, framework.name: framework.version}
    for i, side in enumerate(options.sides):
        prefix = side + "_" if i else ""
        row[prefix + "median_ms"], row[prefix + "spread"] = round(medians[i], 4), spread(times[i])
        if i > 0:
            row[prefix + "ratio"] = round(medians[i] / medians[0], 3)
            row[prefix + "difference"] = difference(results[0], results[i])
        if not options.no_memory:
            row[prefix + "extra_bytes"] = extra_memory_apart(side, shape, kind, options.threads)
    return {**row, "load": round(os.getloadavg()[0], 1), "machine": processor(), "cpus": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d")}


def short_name(row):
    return ", ".join(part[1:] for part in row["problem"].split(":")[2:5])


def mebibytes(count):
    return "" if count is None else f"{count / (1 << 20):.1f}"


def print_table(rows, sides):
    others = sides[1:]
    print("\n| batch, channels, seqlen | kind | ms | " + " | ".join(f"{side} takes" for side in others) + " | extra MiB | " +
          " | ".join(f"{side} MiB" for side in others) + " |\n|" + "---|" * (4 + 2 * len(others)))
    for row in rows:
        ratios = [f"{row[side + '_ratio']:.2f} times" for side in others]
        memory = [mebibytes(row.get(prefix + "extra_bytes")) for prefix in ["", *(side + "_" for side in others)]]
        print(f"| {short_name(row)} | {row['kind'].replace('_', ' ')} | {row['median_ms']:.2f} | " +
              " | ".join(ratios + memory) + " |")


def draw(framework, rows, sides, path):
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
            axes.bar(places, [row[side + "_ratio"] for row in chosen], 0.38, label=f"{framework.title} {side}", color=colour)
        axes.axhline(1, color="black", lw=0.8)
        axes.set_xticks([i + 0.2 for i in range(len(chosen))], [short_name(row) for row in chosen], rotation=60,
                        fontsize=7, ha="right")
        axes.set_title(kind.replace("_", " "), fontsize=9)
    panels[0][0].set_ylabel(f"time of {framework.title} over time of longconv")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


# ---- What a call costs ----

def microseconds(function):
    """Least of two hundred averages over a millisecond: short enough that some run without a break on a busy machine."""
    count = max(int(0.001 / max(timeit.timeit(function, number=20) / 20, 1e-7)), 5)
    return 1e6 * min(timeit.repeat(function, number=count, repeat=200)) / count


def print_calls(framework):
    rows, yardstick = framework.calls()
    print(f"\nA call on [1, 4, 64] in microseconds, and {yardstick} in the same run:")
    for name, (ours, theirs) in rows.items():
        print(f"    {name:22} {microseconds(ours):6.1f}   {yardstick} {microseconds(theirs):6.1f}")


# ---- The program ----

def arguments(framework, description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES, help="batch x channels x seqlen, separated by commas")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sides", default=",".join(framework.sides), help=f"{', '.join(framework.sides)}; the first stays")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    parser.add_argument("--no-memory", action="store_true", help="leave extra memory out")
    parser.add_argument("--out", help="file for the JSON lines")
    parser.add_argument("--figure", help=".svg, .png or .pdf")
    parser.add_argument("--extra-memory", nargs=3, metavar=("SIDE", "SHAPE", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.sides = options.sides.split(",")
    return options


def shape_of(text):
    return tuple(int(size) for size in text.split("x"))


def main(framework, description):
    options = arguments(framework, description)
    framework.limit_threads(options.threads)
    if options.extra_memory:
        side, shape, kind = options.extra_memory
        print(extra_memory(framework, side, shape_of(shape), kind))
        return
    rows = []
    for shape in map(shape_of, options.shapes.split(",")):
        for kind in options.kinds.split(","):
            rows.append(compare(framework, shape, kind, options))
            print(json.dumps(rows[-1]), flush=True)
            framework.forget()
    if options.out:
        pathlib.Path(options.out).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_table(rows, options.sides)
    print_calls(framework)
    if options.figure:
        draw(framework, rows, options.sides, options.figure)
