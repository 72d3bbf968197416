# SPDX-License-Identifier: BSD-3-Clause
"""RWKV's time mix. Parameters have the names of the authors' RWKV_TimeMix (version 4), whose checkpoints load.

Source: Peng et al., RWKV: Reinventing RNNs for the Transformer Era (2023)."""
import math

import torch
from torch import nn
from torch.nn import functional

from . import _inputs
from ._mixer import Operator


class RWKVTimeMix(nn.Module):
    """[batch, seqlen, n_embd] in and out: each token is mixed with the one before, three ways; from the mixtures come keys,
    values and receptance, and from those the decaying mean of values with weights exp(key), times sigmoid(receptance).
    layer_id of n_layer decides the initial decays and mixtures."""

    def __init__(self, n_embd, layer_id=0, n_layer=1):
        super().__init__()
        _inputs.expect_whole(n_embd=n_embd, n_layer=n_layer)
        depth, channel = layer_id / max(n_layer - 1, 1), torch.arange(n_embd, dtype=torch.get_default_dtype())
        spread = channel / max(n_embd - 1, 1)
        self.time_decay = nn.Parameter(8 * spread ** (0.7 + 1.3 * depth) - 5)
        self.time_first = nn.Parameter(math.log(0.3) + 0.5 * ((channel + 1) % 3 - 1))
        share, rest = (channel / n_embd)[None, None], 1 - layer_id / n_layer
        self.time_mix_k = nn.Parameter(share ** rest)
        self.time_mix_v = nn.Parameter(share ** rest + 0.3 * depth)
        self.time_mix_r = nn.Parameter(share ** (0.5 * rest))
        self.key, self.value, self.receptance, self.output = (nn.Linear(n_embd, n_embd, bias=False) for _ in range(4))
        self.operator = Operator("rwkv4_wkv", n_embd, gate=True)

    def forward(self, x):
        _inputs.length_of("x", x, self.operator.channels)
        before = functional.pad(x, (0, 0, 1, 0))[:, :-1]
        k, v, r = (linear(before + mix * (x - before)) for linear, mix in (
            (self.key, self.time_mix_k), (self.value, self.time_mix_v), (self.receptance, self.time_mix_r)))
        return self.output(self.operator(k=k, v=v, r=r, time_decay=self.time_decay, time_first=self.time_first))
