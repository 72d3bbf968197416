# SPDX-License-Identifier: BSD-3-Clause
"""A layer with explicit filters: every tap is a parameter."""
import torch
from torch import nn

from . import _functional, _inputs
from ._functional import conv
from ._step import LongConvSteps


class LongConv(LongConvSteps, nn.Module):
    """y = activation(u conv filter + skip * u + bias) for [batch, channels, seqlen] ([batch, seqlen, channels] with
    layout="BLD").

    filter_len taps for each channel, or for each of `groups` groups of channels; in mode "twosided" future_len more for
    the future. Parameters: filter, filter_future, skip, bias, as far as they are asked for.
    Source of the initial values: Fu et al., Simple Hardware-Efficient Long Convolutions (2023)."""

    def __init__(self, channels, filter_len, *, groups=None, mode="causal", future_len=0, future_first_lag=1, skip=True,
                 bias=False, activation=None, layout="BDL", device=None, dtype=None):
        super().__init__()
        _inputs.expect_whole(channels=channels, groups=groups)
        _inputs.expect_whole(0, filter_len=filter_len, future_len=future_len, future_first_lag=future_first_lag)
        _functional._check_words(activation, mode, layout)
        kind = {"device": device, "dtype": dtype}
        rows = channels if groups is None else groups
        self.channels, self.mode, self.future_first_lag = channels, mode, future_first_lag
        self.activation, self.layout = activation, layout
        self.filter = nn.Parameter(torch.empty(rows, filter_len, **kind))
        future = nn.Parameter(torch.empty(rows, future_len, **kind)) if mode == "twosided" else None
        self.register_parameter("filter_future", future)
        self.register_parameter("skip", nn.Parameter(torch.empty(channels, **kind)) if skip else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(channels, **kind)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.normal_(self.filter, std=0.002)
        if self.filter_future is not None:
            nn.init.normal_(self.filter_future, std=0.002)
        if self.skip is not None:
            nn.init.normal_(self.skip)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, u, pre_gate=None, post_gate=None):
        _inputs.length_of("u", u, self.channels, self.layout)
        return conv(u, self.filter, filter_future=self.filter_future, skip=self.skip, bias=self.bias, pre_gate=pre_gate,
                    post_gate=post_gate, activation=self.activation, mode=self.mode,
                    future_first_lag=self.future_first_lag, layout=self.layout)

    def extra_repr(self):
        return f"{self.channels}, filter_len={self.filter.shape[-1]}, mode={self.mode!r}, layout={self.layout!r}"
