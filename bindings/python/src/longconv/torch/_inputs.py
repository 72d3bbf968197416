# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what layers are given: errors name the argument, what was expected and what was given."""
import torch

from .. import _errors


def expect_tensor(argument, tensor, rank=None):
    """Refuses what is no tensor, or one of another rank."""
    if not isinstance(tensor, torch.Tensor):
        raise _errors.InvalidArgumentError(f"{argument}: expected a tensor, given {type(tensor).__name__}")
    if rank is not None and tensor.dim() != rank:
        raise _errors.InvalidArgumentError(f"{argument}: expected rank {rank}, given shape {list(tensor.shape)}")


def length_of(argument, tensor, channels, layout="BLD"):
    """seqlen of a tensor [batch, seqlen, channels], or [batch, channels, seqlen] in layout "BDL"."""
    expect_tensor(argument, tensor)
    time, across = (2, 1) if layout == "BDL" else (1, 2)
    if tensor.dim() != 3 or tensor.shape[across] != channels:
        expected = f"[batch, {channels}, seqlen]" if layout == "BDL" else f"[batch, seqlen, {channels}]"
        raise _errors.InvalidArgumentError(f"{argument}: expected shape {expected}, given {list(tensor.shape)}")
    return tensor.shape[time]
