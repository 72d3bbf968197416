#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes cases_pairwise.inc: few problems that cover every allowed pair of choices at least once.

    python3 make_pairwise.py > cases_pairwise.inc

The same list on every machine: its own generator of random numbers, and no sets in iteration order. A row is
built around the first pair that is still missing; of some random rows the one that covers most is kept.
"""
from itertools import combinations

FACTORS = {
    "mode": ["causal", "anticausal", "lag0", "lag1", "circular"],
    "seqlen": [0, 1, 2, 7, 129, 1000, 1024, 10007],
    "taps": ["equal", "below", "above", "one", "none"],
    "future": ["-", "same", "below", "above", "none"],
    "dtype": ["f32", "f64", "f16", "bf16"],
    "form": ["channel", "shared", "grouped", "persample"],
    "size": [(1, 1), (2, 3), (1, 4), (3, 2)],
    "act": ["", "act=gelu", "act=gelu_tanh", "act=silu"],
    "pass": ["fwd", "bwd", "fwdbwd"],
    "skip": [0, 1],
    "bias": [0, 1],
    "pre": [0, 1],
    "post": [0, 1],
    "state": [0, 1],
    "chunk": [0, 1],
    "layout": ["", "bld"],
    "inplace": [0, 1],
}
NAMES = list(FACTORS)
CANDIDATES = 40


class Random:
    """A linear congruential generator; the constants are Knuth's (MMIX)."""

    def __init__(self):
        self.state = 1

    def below(self, count):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % count

    def shuffled(self, items):
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def allowed(row):
    """May this (perhaps partial) row exist? Every rule looks at two factors."""

    def both(a, b, rule):
        return a not in row or b not in row or rule(row[a], row[b])

    return (
        both("mode", "state", lambda mode, state: not state or mode == "causal")
        and both("mode", "chunk", lambda mode, chunk: not chunk or mode == "causal")
        and both("mode", "future", lambda mode, future: (future != "-") == mode.startswith("lag"))
        and both("seqlen", "taps", lambda seqlen, taps: taps != "below" or seqlen > 2)
        and both("seqlen", "future", lambda seqlen, future: future != "below" or seqlen > 2)
        and both("seqlen", "chunk", lambda seqlen, chunk: not chunk or seqlen > 2)
        and both("seqlen", "size", lambda seqlen, size: seqlen < 10007 or size[0] * size[1] == 1)
        and both("form", "size", lambda form, size: form != "grouped" or size[1] % 2 == 0)
        # A sequence of 10007 samples has one row, which has no groups.
        and both("seqlen", "form", lambda seqlen, form: seqlen < 10007 or form != "grouped")
    )


def pairs_of(row):
    return [(a, row[a], b, row[b]) for a, b in combinations(NAMES, 2)]


def complete(row, order, missing, random):
    """Fills a row in the given order, each factor with the value that covers most; None: a dead end."""
    row = dict(row)
    for name in order:
        if name in row:
            continue
        best, best_gain = None, -1
        for value in random.shuffled(FACTORS[name]):
            trial = {**row, name: value}
            if not allowed(trial):
                continue
            gain = sum(
                ((a, trial[a], name, value) in missing or (name, value, a, trial[a]) in missing) for a in row
            )
            if gain > best_gain:
                best, best_gain = value, gain
        if best_gain < 0:
            return None
        row[name] = best
    return row


def cover():
    random = Random()
    missing = {}
    for a, b in combinations(NAMES, 2):
        for x in FACTORS[a]:
            for y in FACTORS[b]:
                if allowed({a: x, b: y}) and complete({a: x, b: y}, NAMES, {}, random):
                    missing[(a, x, b, y)] = True
    rows = []
    while missing:
        a, x, b, y = next(iter(missing))
        best, best_gain = None, 0
        for _ in range(CANDIDATES):
            row = complete({a: x, b: y}, random.shuffled(NAMES), missing, random)
            gain = sum(pair in missing for pair in pairs_of(row)) if row else 0
            if gain > best_gain:
                best, best_gain = row, gain
        if not best:
            raise SystemExit(f"no row for {a}={x}, {b}={y}")
        for pair in pairs_of(best):
            missing.pop(pair, None)
        rows.append(best)
    return rows


def length(kind, seqlen, filter_len=0):
    return {
        "equal": seqlen,
        "same": filter_len,
        "below": seqlen // 2 + 1 if seqlen < 100 else seqlen // 3,
        "above": seqlen + seqlen // 4 + 3,
        "one": 1,
        "none": 0,
    }[kind]


def text(row):
    batch, channels = row["size"]
    seqlen = row["seqlen"]
    taps = length(row["taps"], seqlen)
    words = ["conv", row["dtype"], f"b{batch}", f"d{channels}", f"l{seqlen}", f"k{taps}"]
    if row["mode"].startswith("lag"):
        words += [f"kf{length(row['future'], seqlen, taps)}", "twosided", row["mode"]]
    else:
        words.append(row["mode"])
    words.append({"channel": "", "shared": "shared", "grouped": "g2", "persample": "persample"}[row["form"]])
    words += [name for name in ("skip", "bias", "pre", "post") if row[name]]
    words.append(row["act"])
    if row["state"]:
        words.append("state")
    if row["chunk"]:
        words.append(f"chunk{seqlen // 3 + 1}")
    words.append(row["layout"])
    if row["inplace"]:
        words.append("inplace")
    words.append(row["pass"])
    return ":".join(word for word in words if word)


def main():
    print("/* SPDX-License-Identifier: BSD-3-Clause */")
    print("/* Written by make_pairwise.py: change it there. */")
    for row in cover():
        print(f'CASE("{text(row)}")')


if __name__ == "__main__":
    main()
