# SPDX-License-Identifier: BSD-3-Clause
"""The three convolution layers of StripedHyena 2 and Evo 2. Parameters have the names of vortex, its inference code
(`filter` and the projections around it), whose checkpoints load.

Source: Ku et al., Systems and Algorithms for Convolutional Multi-Hybrid Language Models at Scale (2025)."""
import torch
from torch import nn

from .. import _errors
from . import _inputs
from ._mixer import Operator
from ._taps import Family
from .ssm import LONGEST

_TAPS = {"se": 7, "mr": 128, "li": None}


class HyenaCascade(nn.Module):
    """post * (conv(pre * v) + D pre * v) with post, pre, v = a short convolution of [batch, seqlen, 3 hidden_size]: the
    result is [batch, seqlen, hidden_size].

    form          "se" (7 taps), "mr" (128 taps), "li" (sums of state_size real exponentials, as long as the sequence)
    groups        filters, each for neighbouring channels; None: one for each channel
    filter_len    other numbers of taps for "se" and "mr". Below 128 the last tap is at lag 0, as in the published code
    interleave    do post, pre and v alternate in the channels?"""

    def __init__(self, hidden_size, form="li", *, groups=None, state_size=16, filter_len=None, short_filter_length=3,
                 interleave=True):
        super().__init__()
        _inputs.expect_whole(hidden_size=hidden_size, groups=groups, state_size=state_size, filter_len=filter_len,
                             short_filter_length=short_filter_length)
        if form not in _TAPS or (form == "li" and filter_len is not None):
            raise _errors.InvalidArgumentError(f"form: expected 'se', 'mr', or 'li' without filter_len, given {form!r}, "
                                               f"{filter_len}")
        groups, taps = hidden_size if groups is None else groups, filter_len or _TAPS[form]
        self.options = {"form": form, "groups": groups, "filter_len": taps or 0, "short_taps": short_filter_length,
                        "interleave": interleave}
        self.hidden_size, self.operator = hidden_size, Operator("evo2_cascade", hidden_size, projections="none", **self.options)
        self.short_filter_weight = nn.Parameter(torch.randn(3 * hidden_size, 1, short_filter_length)
                                                * short_filter_length ** -0.5)
        if form == "li":
            self.family = Family("modal", groups, LONGEST, modes=state_size)
            value = self.family.initial()
            self.log_poles, self.residues = nn.Parameter(value["log_poles"][..., None]), nn.Parameter(value["residues"])
        else:
            self.h = nn.Parameter(torch.randn(groups, 1, taps) * taps ** -0.5)
        has_skip = "skip" in self.operator.ports
        self.register_parameter("D", nn.Parameter(torch.zeros(hidden_size)) if has_skip else None)

    def arrays(self, length):
        """The operator's parameters for so many samples."""
        if self.options["form"] == "li":
            taps = self.family.taps({"log_poles": self.log_poles, "residues": self.residues}, length)
        else:
            taps = self.h[:, 0]
        found = {"short_weight": self.short_filter_weight[:, 0], "filter": taps}
        return found if self.D is None else {**found, "skip": self.D}

    def forward(self, x):
        return self.operator(x=x, **self.arrays(self.operator.length_of(x)))


class Evo2Layer(nn.Module):
    """A HyenaCascade between its projections, as one call: [batch, seqlen, hidden_size] in and out."""

    def __init__(self, hidden_size, form="li", **cascade):
        super().__init__()
        _inputs.expect_whole(hidden_size=hidden_size)
        self.projections = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.filter, self.out_filter_dense = HyenaCascade(hidden_size, form, **cascade), nn.Linear(hidden_size, hidden_size)
        self.operator = Operator("evo2_cascade", hidden_size, **self.filter.options)

    def forward(self, x):
        return self.operator(x=x, in_weight=self.projections.weight, out_weight=self.out_filter_dense.weight,
                             out_bias=self.out_filter_dense.bias, **self.filter.arrays(self.operator.length_of(x)))
