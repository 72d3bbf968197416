# SPDX-License-Identifier: BSD-3-Clause
"""Times one mixer layer against one layer of exact causal attention, from 256 to 65536 tokens, on this machine.

    python examples/attention_crossover.py [--mixer hyena] [--width 128] [--longest 65536] [--backward]
                                           [--out FILE.jsonl] [--figure FILE]

Both layers take and give [1, length, width]: attention is a projection to queries, keys and values, PyTorch's
scaled_dot_product_attention and a projection out, the mixer is a layer of longconv.torch, with all of its projections and
the evaluation of its filters. They take turns. Prints a line for each length, the length from which the mixer is faster
(between two lengths by interpolation), and draws both times. --backward adds the backward pass.

Needs PyTorch and longconv; Matplotlib for the picture. Attention of 65536 tokens takes from seconds to a minute a call."""
import json
import math
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

from longconv.torch import H3, HyenaOperator
from training import Parser, whole, writable

MIXERS = {
    "hyena": lambda width, length: HyenaOperator(width, length, emb_dim=5, filter_order=64, w=10),
    "h3": lambda width, length: H3(width, 64),
}


class Attention(nn.Module):
    """Exact causal attention with heads of 64 features."""

    def __init__(self, width):
        super().__init__()
        self.heads = max(width // 64, 1)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.in_proj(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


def work(layer, x, backward):
    """One pass as a function, after one to warm up."""
    def forward():
        with torch.no_grad():
            return layer(x)

    def train():
        return torch.autograd.grad(layer(x).sum(), list(layer.parameters()))
    step = train if backward else forward
    step()
    return step


def alternate(steps, seconds):
    """Median seconds of each, in turns: at least one turn, more while `seconds` are left."""
    times, start = [[] for _ in steps], time.perf_counter()
    while not times[0] or (time.perf_counter() - start < seconds and len(times[0]) < 51):
        for step, kept in zip(steps, times):
            before = time.perf_counter()
            step()
            kept.append(time.perf_counter() - before)
    return [statistics.median(kept) for kept in times]


def measure(length, options):
    torch.manual_seed(0)
    x = torch.randn(1, length, options.width)
    layers = [MIXERS[options.mixer](options.width, length), Attention(options.width)]
    mixer, attention = alternate([work(layer, x, options.backward) for layer in layers], options.seconds)
    return {"length": length, "width": options.width, "backward": options.backward, "mixer": options.mixer,
            "threads": torch.get_num_threads(), "mixer_ms": 1e3 * mixer, "attention_ms": 1e3 * attention,
            "ratio": attention / mixer}


def crossover(rows):
    """The length from which on the mixer is faster at all lengths, interpolated between logarithms, and how to say it."""
    slower = [i for i, row in enumerate(rows) if row["ratio"] < 1]
    if not slower:
        return rows[0]["length"], f"at every length: the crossover lies below {rows[0]['length']} tokens"
    last = slower[-1]
    if last == len(rows) - 1:
        return None, f"not up to {rows[-1]['length']} tokens"
    a, b = rows[last], rows[last + 1]
    part = -math.log(a["ratio"]) / (math.log(b["ratio"]) - math.log(a["ratio"]))
    length = round(a["length"] * (b["length"] / a["length"]) ** part)
    return length, f"from about {length} tokens on"


def draw(rows, where, path):
    """Both times over the length, with logarithmic axes."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(5.5, 3.8), layout="constrained")
    lengths = [row["length"] for row in rows]
    axes.loglog(lengths, [row["attention_ms"] for row in rows], "s-", color="#b2182b", label="exact attention (PyTorch)")
    axes.loglog(lengths, [row["mixer_ms"] for row in rows], "o-", color="#2166ac", label=f"{rows[0]['mixer']} (longconv.torch)")
    if where is not None and where > lengths[0]:
        axes.axvline(where, color="black", lw=0.8, ls=":")
        axes.annotate(f"{where} tokens", (where, axes.get_ylim()[0]), xytext=(4, 6), textcoords="offset points", fontsize=8)
    axes.annotate(f"{rows[-1]['ratio']:.0f} times", (lengths[-1], rows[-1]["attention_ms"]), xytext=(-8, 4),
                  textcoords="offset points", ha="right", fontsize=8)
    axes.set_ylim(top=3 * max(row["attention_ms"] for row in rows))
    axes.set_xticks(lengths, [str(length) if length < 1024 else f"{length // 1024}K" for length in lengths], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("tokens")
    axes.set_ylabel("milliseconds" + (", forward and backward" if rows[0]["backward"] else ", forward"))
    axes.set_title(f"one layer of width {rows[0]['width']}, {rows[0]['threads']} thread(s)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def arguments():
    parser = Parser(__doc__)
    parser.add_argument("--mixer", default="hyena", choices=MIXERS)
    parser.add_argument("--width", type=whole, default=128)
    parser.add_argument("--shortest", type=whole, default=256)
    parser.add_argument("--longest", type=whole, default=65536)
    parser.add_argument("--backward", action="store_true", help="forward and backward")
    parser.add_argument("--threads", type=whole, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="for each length, where more than one turn fits")
    parser.add_argument("--out", type=writable, help="file for the measurements, a JSON line a length")
    parser.add_argument("--figure", default="attention_crossover.svg", help=".svg, .png or .pdf; empty: none")
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    lengths = [options.shortest << i for i in range(max(options.longest // options.shortest, 1).bit_length())]
    print("| tokens | mixer, ms | attention, ms | attention takes |\n|---|---|---|---|")
    rows = []
    for length in lengths:
        rows.append(measure(length, options))
        print(f"| {length} | {rows[-1]['mixer_ms']:.2f} | {rows[-1]['attention_ms']:.2f} | {rows[-1]['ratio']:.2f} times |", flush=True)
    where, said = crossover(rows)
    print(f"\nThe {options.mixer} layer is faster than attention {said}; at {rows[-1]['length']} tokens attention takes "
          f"{rows[-1]['ratio']:.1f} times as long.")
    if options.out:
        pathlib.Path(options.out).write_text("".join(json.dumps(row) + "\n" for row in rows))
    if options.figure:
        try:
            draw(rows, where, options.figure)
        except ImportError as missing:
            print(f"No picture: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
