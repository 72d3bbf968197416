# SPDX-License-Identifier: BSD-3-Clause
"""A Monarch matrix as a linear layer. Parameters have the names of the authors' MonarchLinear, whose checkpoints load.

Source: Dao et al., Monarch: Expressive Structured Matrices for Efficient and Accurate Training (2022)."""
import math

import torch
from torch import nn
from torch.nn import functional

from .. import _errors
from . import _inputs
from ._mixer import Operator


class MonarchLinear(nn.Module):
    """[..., in_features] to [..., out_features]: two matrices of nblocks blocks with a transposition between them. Widths
    that nblocks does not divide are filled up with zeros, and cut off."""

    def __init__(self, in_features, out_features, nblocks=4, bias=True):
        super().__init__()
        _inputs.expect_whole(in_features=in_features, out_features=out_features, nblocks=nblocks)
        self.in_features, self.out_features = in_features, out_features
        into, out = (-(-features // nblocks) for features in (in_features, out_features))
        middle = min(into, out)
        self.blkdiag1 = nn.Parameter(torch.empty(nblocks, middle, into))
        self.blkdiag2 = nn.Parameter(torch.empty(nblocks, out, middle))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.operator = Operator("monarch", nblocks * into, blocks=nblocks, middle=nblocks * middle, out_blocks=nblocks,
                                 width=nblocks * out)
        self.fill = nblocks * into - in_features
        self.reset_parameters()

    def reset_parameters(self):
        """As of linear layers of the blocks' sizes."""
        for blocks in (self.blkdiag1, self.blkdiag2):
            nn.init.uniform_(blocks, -1 / math.sqrt(blocks.shape[2]), 1 / math.sqrt(blocks.shape[2]))
        if self.bias is not None:
            nn.init.uniform_(self.bias, -1 / math.sqrt(self.out_features), 1 / math.sqrt(self.out_features))

    def forward(self, x):
        _inputs.expect_tensor("x", x)
        if x.shape[-1:] != (self.in_features,):
            raise _errors.InvalidArgumentError(f"x: expected shape [..., {self.in_features}], given {list(x.shape)}")
        rows = functional.pad(x.reshape(1, -1, self.in_features), (0, self.fill))
        y = self.operator(x=rows, first=self.blkdiag1.flatten(0, 1), second=self.blkdiag2.flatten(0, 1))
        y = y[0, :, :self.out_features].reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def extra_repr(self):
        return f"{self.in_features}, {self.out_features}, nblocks={self.blkdiag1.shape[0]}, bias={self.bias is not None}"
