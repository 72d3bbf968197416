# SPDX-License-Identifier: BSD-3-Clause
"""What the training examples share: a residual block around a mixer, and a progress bar."""
import sys
import time

from torch import nn


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
