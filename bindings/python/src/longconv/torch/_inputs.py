# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what layers are given: errors name the argument, what was expected and what was given."""
import math

import torch

from .. import _errors, _words


def expect_tensor(argument, tensor, rank=None):
    """Refuses what is no tensor, or one of another rank."""
    if not isinstance(tensor, torch.Tensor):
        raise _errors.InvalidArgumentError(f"{argument}: expected a tensor, given {type(tensor).__name__}")
    if rank is not None and tensor.dim() != rank:
        raise _errors.InvalidArgumentError(f"{argument}: expected rank {rank}, given shape {list(tensor.shape)}")


def expect_whole(least=1, **sizes):
    """Refuses what is no whole number, or below the least one. None is one that is not given."""
    for argument, size in sizes.items():
        if size is not None and _words.whole(argument, size) < least:
            raise _errors.InvalidArgumentError(f"{argument}: expected a whole number from {least} on, given {size}")


def expect_steps(dt_min, dt_max):
    """Refuses time steps that have no logarithm."""
    if not 0 < _words.real("dt_min", dt_min) <= _words.real("dt_max", dt_max) < math.inf:
        raise _errors.InvalidArgumentError(f"dt_min, dt_max: expected 0 < dt_min <= dt_max, given {dt_min}, {dt_max}")


def length_of(argument, tensor, channels, layout="BLD"):
    """seqlen of a tensor [batch, seqlen, channels], or [batch, channels, seqlen] in layout "BDL"."""
    expect_tensor(argument, tensor)
    time, across = (2, 1) if layout == "BDL" else (1, 2)
    if tensor.dim() != 3 or tensor.shape[across] != channels:
        expected = f"[batch, {channels}, seqlen]" if layout == "BDL" else f"[batch, seqlen, {channels}]"
        raise _errors.InvalidArgumentError(f"{argument}: expected shape {expected}, given {list(tensor.shape)}")
    return tensor.shape[time]
