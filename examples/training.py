# SPDX-License-Identifier: BSD-3-Clause
"""What the examples share: a residual block around a mixer, a progress bar, and arguments that are checked."""
import argparse
import os
import pathlib
import sys
import time

from torch import nn


class Parser(argparse.ArgumentParser):
    """Of an example's arguments; --help says what they are when they are not given."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def add_argument(self, *names, **words):
        default = words.get("default")
        if default not in (None, "", argparse.SUPPRESS):
            words["help"] = f"{words.get('help', '')} (default: {default})".strip()
        return super().add_argument(*names, **words)


def whole(text):
    """An argument: a number of things of which there must be one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, given {text}")
    return int(text)


def positive(text):
    """An argument: a number above 0."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, given {text}")
    return found


def readable(text):
    """An argument: a file that is there."""
    if not os.access(text, os.R_OK) or not pathlib.Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a file that can be read")
    return text


def writable(text):
    """An argument: a file for results, refused before hours of training and not after them."""
    folder = pathlib.Path(text).parent
    if pathlib.Path(text).is_dir() or not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return text


class Block(nn.Module):
    """A mixer, then a network of two layers, each with a norm before it and a residual around it."""

    def __init__(self, mixer, width):
        super().__init__()
        self.mixer, self.before_mixer, self.before_mlp = mixer, nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.mixer(self.before_mixer(x))
        return x + self.mlp(self.before_mlp(x))


class Progress:
    """A bar on a terminal, ten lines elsewhere; on stderr, with the time that is left."""

    def __init__(self, steps):
        self.steps, self.start = steps, time.perf_counter()

    def show(self, step, text):
        """After step 1, 2, ..., steps."""
        left = (time.perf_counter() - self.start) * (self.steps - step) / step
        line = f"step {step}/{self.steps}, {text}, {left:.0f} s left"
        if sys.stderr.isatty():
            bar = "#" * (30 * step // self.steps)
            print(f"\r[{bar:<30}] {line}  ", end="\n" if step == self.steps else "", file=sys.stderr, flush=True)
        elif step % max(self.steps // 10, 1) == 0:
            print(line, file=sys.stderr, flush=True)
