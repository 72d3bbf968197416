# SPDX-License-Identifier: BSD-3-Clause
"""Mega's moving average as a layer. Parameters have the names of the authors' MultiHeadEMA, whose checkpoints load.

Source: Ma et al., Mega: Moving Average Equipped Gated Attention (2022), section 3.1."""
import torch
from torch import nn

from . import _inputs
from ._functional import conv
from ._taps import Family


class MegaEMA(nn.Module):
    """silu(conv(x, ema) + omega x) for [batch, seqlen, d_model]; the authors' code has time first. bidirectional: the second
    half of the rows is for the future, and both halves count lag 0. truncation: the longest filter."""

    def __init__(self, d_model, ndim=2, bidirectional=False, truncation=None):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, ndim=ndim, truncation=truncation)
        self.d_model, self.bidirectional, self.truncation = d_model, bidirectional, truncation
        rows = d_model * (2 if bidirectional else 1)
        self.family = Family("decay", rows, 1 << 40, modes=ndim)
        self.delta, self.alpha = (nn.Parameter(0.2 * torch.randn(rows, ndim, 1)) for _ in range(2))
        signs = torch.tensor([1.0, -1.0]).repeat(ndim)[:ndim, None]
        self.beta = nn.Parameter(0.02 * torch.randn(rows, ndim, 1) + signs)
        self.gamma, self.omega = nn.Parameter(torch.randn(rows, ndim)), nn.Parameter(torch.randn(d_model))

    def forward(self, x):
        length = _inputs.length_of("x", x, self.d_model)
        length = length if self.truncation is None else min(self.truncation, length)
        taps = self.family.taps({name: getattr(self, name) for name in ("delta", "alpha", "beta", "gamma")}, length)
        future = {}
        if self.bidirectional:
            taps, future_taps = taps.split(self.d_model)
            future = {"filter_future": future_taps, "mode": "twosided", "future_first_lag": 0}
        return conv(x, taps, skip=self.omega, activation="silu", layout="BLD", **future)
