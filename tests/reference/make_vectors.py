#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Computes the reference vectors of the convolution in float64, from the formulas of include/longconv/conv.h.

    make_vectors.py            writes tests/reference/vectors/*.txt
    make_vectors.py --check    compares them with what it computes, exit status 1 when they differ

It shares nothing with the library: every convolution is the plain sum over taps, every gradient the plain sum of
the chain rule. Inputs are float32 numbers, so that the library can be checked in float32 and float64.

A file is text: "set NAME VALUE" for a field of the plan, "in NAME SHAPE..." and "out NAME SCALE SHAPE...", each
followed by its numbers in C's hexadecimal notation. SCALE times the rounding unit is the error that conv.h allows
the worst element of the array.
"""
import math
import pathlib
import re
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "vectors"

# name: the fields that differ from the defaults. Sizes are small, but no length is a round one by chance.
CASES = {
    "causal": dict(batch=2, channels=3, seqlen=29),
    "causal_prime": dict(batch=1, channels=1, seqlen=1009),
    "causal_long_filter": dict(batch=2, channels=2, seqlen=13, filter_len=31, terms="skip bias", backward=True),
    "causal_gated": dict(batch=2, channels=3, seqlen=64, filter_len=5, terms="skip pre_gate post_gate",
                         backward=True),
    "causal_one_sample": dict(batch=3, channels=2, seqlen=1, terms="skip", backward=True),
    "anticausal": dict(batch=2, channels=2, seqlen=31, mode="anticausal", terms="skip", backward=True),
    "twosided_lag1": dict(batch=2, channels=2, seqlen=24, filter_future_len=9, mode="twosided",
                          terms="post_gate", backward=True),
    "twosided_lag0_shared": dict(batch=2, channels=3, seqlen=24, filter_len=7, filter_future_len=30,
                                 future_first_lag=0, mode="twosided", form="shared", backward=True),
    "circular_folded": dict(batch=2, channels=2, seqlen=20, filter_len=33, mode="circular", terms="bias",
                            backward=True),
    "grouped_gelu": dict(batch=2, channels=4, seqlen=17, form="grouped", filter_groups=2, activation="gelu",
                         terms="skip bias", backward=True),
    "per_sample_gelu_tanh": dict(batch=3, channels=2, seqlen=19, filter_len=8, form="per_sample",
                                 activation="gelu_tanh", terms="skip bias pre_gate post_gate", backward=True),
    "shared_silu": dict(batch=2, channels=3, seqlen=21, form="shared", activation="silu", terms="pre_gate",
                        backward=True),
    "state_short_chunk": dict(batch=2, channels=2, seqlen=10, filter_len=14, terms="state skip", backward=True),
    "state_gated_gelu": dict(batch=1, channels=2, seqlen=40, filter_len=9, activation="gelu",
                             terms="state pre_gate post_gate", backward=True),
    "state_empty_chunk": dict(batch=2, channels=2, seqlen=0, filter_len=5, terms="state"),
}
DEFAULTS = dict(filter_len=None, filter_future_len=0, future_first_lag=1, filter_groups=0, mode="causal",
                form="per_channel", activation="none", terms="", backward=False)


# ---- Activations: value and derivative, and the constants by which they pass errors on ----

def normal_cdf(z):
    return 0.5 * np.vectorize(math.erfc, otypes=[float])(-z / math.sqrt(2.0))


def normal_pdf(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def gelu_tanh_inner(z):
    return np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3))


def gelu_tanh_slope(z):
    t = gelu_tanh_inner(z)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * math.sqrt(2.0 / math.pi) * (1 + 3 * 0.044715 * z * z)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


ACTIVATIONS = {
    "none": (lambda z: z, np.ones_like, 1.0, 0.0),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z), 1.13, 0.8),
    "gelu_tanh": (lambda z: 0.5 * z * (1 + gelu_tanh_inner(z)), gelu_tanh_slope, 1.13, 0.8),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))), 1.10, 0.8),
}


# ---- Shapes and inputs ----

class Case:
    """One case: its fields, its inputs, and what follows from them."""

    def __init__(self, name, fields):
        self.name = name
        self.fields = {**DEFAULTS, **fields}
        if self.fields["filter_len"] is None:
            self.fields["filter_len"] = self.fields["seqlen"]
        self.__dict__.update(self.fields)
        self.terms = self.terms.split()
        self.state_len = max(self.filter_len - 1, 0) if "state" in self.terms else 0
        self.random = np.random.default_rng(sum(map(ord, name)))
        self.inputs = {}
        self.outputs = {}
        self.scales = {}

    def draw(self, name, *shape):
        values = self.random.uniform(-1, 1, shape).astype(np.float32).astype(np.float64)
        self.inputs[name] = values
        return values

    def filter_shape(self, taps):
        rows = {"per_channel": (self.channels,), "shared": (1,), "grouped": (self.filter_groups,),
                "per_sample": (self.batch, self.channels)}[self.form]
        return rows + (taps,)

    def filter_row(self, b, c):
        """Index of the filter of one row."""
        return {"per_channel": (c,), "shared": (0,), "per_sample": (b, c),
                "grouped": (c // (self.channels // max(self.filter_groups, 1)),)}[self.form]

    def rows(self):
        return [(b, c) for b in range(self.batch) for c in range(self.channels)]

    def emit(self, name, values, bound):
        """Records an output and the largest error bound of its elements, in rounding units."""
        self.outputs[name] = values
        self.scales[name] = float(np.max(bound)) if np.size(bound) else 0.0


def draw_inputs(case):
    data = (case.batch, case.channels, case.seqlen)
    one = np.ones(data)
    case.u = case.draw("u", *data)
    case.h = case.draw("filter", *case.filter_shape(case.filter_len))
    case.hf = np.zeros(case.filter_shape(0))
    if case.mode == "twosided":
        case.hf = case.draw("filter_future", *case.filter_shape(case.filter_future_len))
    zero = np.zeros(case.channels)
    case.skip = case.draw("skip", case.channels) if "skip" in case.terms else zero
    case.bias = case.draw("bias", case.channels) if "bias" in case.terms else zero
    case.pre = case.draw("pre_gate", *data) if "pre_gate" in case.terms else one
    case.post = case.draw("post_gate", *data) if "post_gate" in case.terms else one
    state = (case.batch, case.channels, case.state_len)
    case.state = case.draw("state_in", *state) if "state" in case.terms else np.zeros(state)
    case.dstate_out = np.zeros(state)
    if case.backward:
        case.dy = case.draw("dy", *data)
        if "state" in case.terms:
            case.dstate_out = case.draw("dstate_out", *state)


# ---- The linear part: v[t] = sum of taps, over t in [0, seqlen + state_len) ----

def lags(case):
    """(which filter, tap, lag) of every term of the sum."""
    sign = -1 if case.mode == "anticausal" else 1
    for j in range(case.filter_len):
        yield "past", j, sign * j
    for j in range(case.filter_future_len):
        yield "future", j, -(j + case.future_first_lag)


def shifted(case, x, lag):
    """x[t - lag] for every output t, zero (or wrapped) outside the sequence."""
    length = case.seqlen
    if case.mode == "circular":
        return x[(np.arange(length) - lag) % length] if length else x
    out = np.zeros(length + case.state_len)
    source = np.arange(len(out)) - lag
    inside = (source >= 0) & (source < length)
    out[inside] = x[source[inside]]
    return out


def unshifted(case, g, lag):
    """The adjoint of shifted: what flows back to x[s] through this lag."""
    length = case.seqlen
    if case.mode == "circular":
        return g[(np.arange(length) + lag) % length] if length else g
    out = np.zeros(length)
    target = np.arange(length) + lag
    inside = (target >= 0) & (target < len(g))
    out[inside] = g[target[inside]]
    return out


def norm(values):
    return float(np.sqrt(np.sum(values * values)))


# ---- Forward ----

def forward(case):
    act, _, lipschitz, _ = ACTIVATIONS[case.activation]
    length = case.seqlen
    case.x = case.pre * case.u
    case.v = np.zeros((case.batch, case.channels, length + case.state_len))
    case.v_error = np.zeros_like(case.v)
    for b, c in case.rows():
        row = case.filter_row(b, c)
        for which, j, lag in lags(case):
            tap = case.h[row][j] if which == "past" else case.hf[row][j]
            case.v[b, c] += tap * shifted(case, case.x[b, c], lag)
        case.v[b, c, :case.state_len] += case.state[b, c]
        taps = norm(case.h[row]) + norm(case.hf[row])
        case.v_error[b, c] = 4 * (norm(case.x[b, c]) * taps + norm(case.state[b, c]))
    skip = case.skip[None, :, None] * case.x
    case.z = case.v[..., :length] + skip + case.bias[None, :, None]
    case.z_error = case.v_error[..., :length] + 4 * (np.abs(skip) + np.abs(case.bias)[None, :, None] + np.abs(case.z))
    y = case.post * act(case.z)
    case.emit("y", y, np.abs(case.post) * lipschitz * case.z_error + 4 * np.abs(y))
    if "state" in case.terms:
        case.emit("state_out", case.v[..., length:], case.v_error[..., length:])


# ---- Backward: the chain rule, term by term ----

def backward(case):
    act, slope, lipschitz, curvature = ACTIVATIONS[case.activation]
    dz = case.dy * case.post * slope(case.z)
    dz_error = 4 * np.abs(dz) + np.abs(case.dy * case.post) * curvature * case.z_error
    g = np.concatenate([dz, case.dstate_out], axis=2)
    dx = case.skip[None, :, None] * dz
    dh, dhf = np.zeros_like(case.h), np.zeros_like(case.hf)
    dx_error, row_error = np.zeros_like(dx), 0.0
    for b, c in case.rows():
        row = case.filter_row(b, c)
        for which, j, lag in lags(case):
            taps, gradient = (case.h, dh) if which == "past" else (case.hf, dhf)
            dx[b, c] += taps[row][j] * unshifted(case, g[b, c], lag)
            gradient[row][j] += np.dot(shifted(case, case.x[b, c], lag), g[b, c])
        taps = norm(case.h[row]) + norm(case.hf[row])
        arriving = 4 * norm(g[b, c]) + norm(dz_error[b, c])
        dx_error[b, c] = arriving * (taps + abs(case.skip[c]))
        row_error = max(row_error, arriving * norm(case.x[b, c]))
    sharing = len(case.rows()) * case.filter_len // max(case.h.size, 1)

    def gated(other):
        return np.abs(other) * dx_error + 4 * np.abs(other * dx)

    case.emit("du", case.pre * dx, gated(case.pre))
    case.emit("dfilter", dh, math.sqrt(sharing) * row_error)
    if case.mode == "twosided":
        case.emit("dfilter_future", dhf, math.sqrt(sharing) * row_error)
    if "skip" in case.terms:
        case.emit("dskip", np.sum(dz * case.x, axis=(0, 2)), math.sqrt(case.batch) * row_error)
    if "bias" in case.terms:
        arriving = max(4 * norm(dz[r]) + norm(dz_error[r]) for r in case.rows())
        case.emit("dbias", np.sum(dz, axis=(0, 2)), math.sqrt(case.batch * case.seqlen) * arriving)
    if "pre_gate" in case.terms:
        case.emit("dpre_gate", case.u * dx, gated(case.u))
    if "post_gate" in case.terms:
        dpost = case.dy * act(case.z)
        case.emit("dpost_gate", dpost, np.abs(case.dy) * lipschitz * case.z_error + 4 * np.abs(dpost))
    if "state" in case.terms:
        length = case.state_len
        case.emit("dstate_in", g[..., :length], np.concatenate([dz_error, 0 * case.dstate_out], 2)[..., :length])


# ---- Files ----

def hexadecimal(value):
    """C's %a without the zeros at the end of the digits."""
    return re.sub(r"\.?0+p", "p", value.hex())


def lines_of(values):
    numbers = [hexadecimal(value) for value in values.ravel().tolist()]
    return [" ".join(numbers[i:i + 6]) for i in range(0, len(numbers), 6)]


def text_of(case):
    lines = ["# SPDX-License-Identifier: BSD-3-Clause", "# Written by make_vectors.py."]
    lines += [f"set {name} {int(value) if isinstance(value, bool) else value}"
              for name, value in case.fields.items() if name != "terms"]
    lines += [f"set term {term}" for term in case.terms]
    for name, values in case.inputs.items():
        lines += [f"in {name} {' '.join(map(str, values.shape))}"] + lines_of(values)
    for name, values in case.outputs.items():
        lines += [f"out {name} {hexadecimal(case.scales[name])} {' '.join(map(str, values.shape))}"] + lines_of(values)
    return "\n".join(lines) + "\n"


def parse(text):
    """The words of a file and, of each line, its numbers: enough to compare two files."""
    words, numbers = [], []
    for line in text.splitlines():
        if line.startswith(("0x", "-0x")):
            numbers += map(float.fromhex, line.split())
        else:
            kept = [part for part in line.split() if "0x" not in part]
            words.append(f"{' '.join(kept)} after {len(numbers)}")
    return words, np.array(numbers)


def same(text, stored):
    """Equal but for the last digits, in which C libraries and the order of sums may differ."""
    words, numbers = parse(text)
    stored_words, stored_numbers = parse(stored)
    return words == stored_words and bool(np.allclose(numbers, stored_numbers, rtol=1e-12, atol=1e-13))


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    FOLDER.mkdir(exist_ok=True)
    differ = []
    for name, fields in CASES.items():
        case = Case(name, fields)
        draw_inputs(case)
        forward(case)
        if case.backward:
            backward(case)
        path = FOLDER / f"{name}.txt"
        if not check:
            path.write_text(text_of(case))
        elif not path.exists() or not same(text_of(case), path.read_text()):
            differ.append(name)
    print(f"{len(CASES) - len(differ)} cases agree" if check else f"{len(CASES)} files written to {FOLDER}")
    if differ:
        sys.exit("these differ: " + " ".join(differ))


if __name__ == "__main__":
    main()
