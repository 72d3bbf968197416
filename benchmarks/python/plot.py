# SPDX-License-Identifier: BSD-3-Clause
"""Draws what a run of the grid measured, and prints its tables as Markdown.

    python benchmarks/python/plot.py benchmarks/results/FILE.jsonl [--out FIGURE.svg] [--no-figure]

The picture is time per output over sequence length: forward, float32, filter prepared, one thread. It goes beside
the first file, as .svg, unless --out says otherwise. Several files are taken as one run."""
import argparse
import json
import pathlib
import re
import statistics

SERIES = [  # key, label, colour, marker
    ("longconv", "longconv", "#0b3d91", "o"),
    ("fftw", "longconv, engine fftw", "#1f9e89", "s"),
    ("r2c", "FFTW r2c by hand", "#e08214", "^"),
    ("scipy", "SciPy", "#8073ac", "v"),
    ("torch", "PyTorch", "#b2182b", "D"),
    ("jax", "JAX", "#666666", "P"),
]


def read(paths):
    """The header (of the first file) and the measurements."""
    header, rows = {}, []
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            row = json.loads(line)
            if "problem" in row:
                rows.append(parse(row))
            else:
                header = header or row
    return header, rows


def parse(row):
    words = row["problem"].split(" ")[0].split(":")
    sizes = {match[1]: int(match[2]) for match in (re.fullmatch(r"([bdlk])(\d+)", word) for word in words) if match}
    batch, channels, seqlen = (sizes[letter] for letter in "bdl")
    vs_ms, outputs = row.get("vs_median_ms"), batch * channels * seqlen
    return {**row, "dtype": words[1], "shape": (batch, channels, seqlen), "taps": sizes.get("k", seqlen),
            "words": set(words), "peer": row.get("vs") or "none",
            "vs_ns": None if vs_ms is None else 1e6 * vs_ms / outputs}


# ---- Tables ----

VARIANTS = ("bdl", "f32", "one-thread")


def is_plain(row):
    """Forward, filter as long as the sequence, nothing but perhaps a skip."""
    extras = row["words"] & {"gated", "pre", "post", "bias", "bld", "bwd", "fwdbwd"}
    return not extras and row["taps"] >= row["shape"][2] and row["peer"] not in VARIANTS


def is_power(row):
    length = row["shape"][2]
    return length & (length - 1) == 0


TABLES = [
    ("Forward, powers of two", lambda r: is_plain(r) and is_power(r) and "kind" not in r),
    ("Forward, other lengths", lambda r: is_plain(r) and not is_power(r) and "kind" not in r),
    ("Forward and backward", lambda r: "fwdbwd" in r["words"] and "kind" not in r),
    ("Short filters", lambda r: r["taps"] < r["shape"][2] and "kind" not in r),
    ("Layout, data type, threads", lambda r: r["peer"] in VARIANTS),
    ("Frameworks, filter transformed before", lambda r: r.get("kind") == "prepared"),
    ("Frameworks, filter transformed in the call", lambda r: r.get("kind") == "forward"),
    ("Frameworks, forward and backward", lambda r: r.get("kind") == "train"),
    ("Frameworks, short filters", lambda r: r.get("kind") == "short"),
]


def number(value, digits=2):
    return "" if value is None else f"{value:.{digits}f}"


def percents(*values):
    return " / ".join(f"{100 * value:.0f}" for value in values if value is not None)


def cells(row):
    name = row["problem"].split(" ")[0].replace(":causal", "")
    rate = row.get("fma_gflops_1"), row.get("fma_gflops_2")
    calibration = "" if None in rate else f"{rate[0]:.0f} / {rate[1]:.0f}"
    return [f"`{name}`", str(row["threads"]), row["peer"], number(row["ns_per_output"]), number(row["vs_ns"]),
            number(row["ratio"]), percents(row.get("spread"), row.get("vs_spread")), number(row.get("floor_ratio")),
            calibration]


def print_tables(header, rows):
    names = ("machine", "cpus", "compiler", "fftw", "version", "commit", "date")
    print(", ".join(f"{name}: {header[name]}" for name in names if header.get(name)) + "\n")
    titles = ["problem", "threads", "vs", "ns per output", "the other's", "ratio", "spreads in %", "time / floor",
              "FMA GFLOP/s 1 / 2"]
    for title, wanted in TABLES:
        chosen = [row for row in rows if wanted(row)]
        if not chosen:
            continue
        print(f"### {title}\n\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
        for row in chosen:
            print(f"| {' | '.join(cells(row))} |")
        print()


# ---- The picture ----

def curves(rows):
    """{series: {length: ns}} and {length: floor}. What was measured more than once counts with its median."""
    found, floors = {}, {}
    for row in rows:
        if not is_plain(row) or row["dtype"] != "f32" or row["threads"] != 1 or not row["prepared"]:
            continue
        length = row["shape"][2]
        if "kind" not in row:  # the frameworks' shapes have a skip and fewer rows
            found.setdefault(("longconv", length), []).append(row["ns_per_output"])
        peer = row["peer"].split(" ")[0]
        if row["vs_ns"] is not None:
            found.setdefault((peer, length), []).append(row["vs_ns"])
        if row.get("floor_ns") is not None:
            floors.setdefault(length, []).append(row["floor_ns"])
    series = {}
    for (name, length), values in sorted(found.items()):
        series.setdefault(name, {})[length] = statistics.median(values)
    return series, {length: statistics.median(values) for length, values in sorted(floors.items())}


def short_length(length):
    for power, letter in ((20, "M"), (10, "K")):
        if length >= 1 << power and length % (1 << power) == 0:
            return f"{length >> power}{letter}"
    return str(length)


def draw_series(axes, points, label, colour, marker):
    """Powers of two are joined; other lengths are hollow marks."""
    powers = {length: value for length, value in points.items() if length & (length - 1) == 0}
    others = {length: value for length, value in points.items() if length not in powers}
    width = 2.4 if label == "longconv" else 1.4
    axes.plot(list(powers), list(powers.values()), color=colour, marker=marker, lw=width, ms=5, label=label, zorder=3)
    axes.plot(list(others), list(others.values()), color=colour, marker=marker, ls="none", ms=5, mfc="white", zorder=3)


def draw(header, rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker
    series, floors = curves(rows)
    if not series:
        raise SystemExit("plot.py: there is no plain forward measurement to draw")
    figure, axes = pyplot.subplots(figsize=(9, 5.4), layout="constrained")
    for key, label, colour, marker in SERIES:
        if key in series:
            draw_series(axes, series[key], label, colour, marker)
    powers = {length: value for length, value in floors.items() if length & (length - 1) == 0}
    axes.plot(list(powers), list(powers.values()), color="black", ls="--", lw=1.2, label="floor of the arithmetic")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([length for length in series["longconv"] if length & (length - 1) == 0])
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda length, _: short_length(round(length))))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    axes.grid(True, which="major", color="#dddddd", lw=0.6)
    axes.set_xlabel("sequence length (hollow: not a power of two)")
    axes.set_ylabel("nanoseconds per output")
    axes.set_title("Causal convolution, forward, float32, filter prepared, one thread\n" + subtitle(header),
                   fontsize=10, loc="left")
    axes.legend(frameon=False, ncols=2, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path


def subtitle(header):
    parts = [header.get("machine", ""), header.get("fftw", ""), header.get("date", "")]
    return ", ".join(part for part in parts if part)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="JSON lines of run_grid.sh or compare.py")
    parser.add_argument("--out", help="the figure: .svg, .png or .pdf")
    parser.add_argument("--no-figure", action="store_true", help="only the tables")
    options = parser.parse_args()
    header, rows = read(options.files)
    print_tables(header, rows)
    if not options.no_figure:
        out = options.out or str(pathlib.Path(options.files[0]).with_suffix(".svg"))
        print(f"Figure: {draw(header, rows, out)}")


if __name__ == "__main__":
    main()
