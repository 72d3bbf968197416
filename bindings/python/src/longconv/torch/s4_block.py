# SPDX-License-Identifier: BSD-3-Clause
"""The block around a state space model: convolution, activation and projection in one call. Parameters have the names of
the authors' S4Block, whose checkpoints load.

Source: Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces (2022)."""
from torch import nn

from .. import _errors
from . import _functional, _inputs
from ._mixer import Operator
from ._pointwise import Pointwise
from .ssm import DSS, S4, S4D

MODELS = {"s4": S4, "s4d": S4D, "dss": DSS}


class S4Block(nn.Module):
    """[batch, d_model, seqlen] in and out ([batch, seqlen, d_model] with layout="BLD"): a state space model ("s4", "s4d" or
    "dss") with its skip, an activation, and a projection to twice the width whose second half gates the first. final_act
    None: a plain projection. hyper_act, an activation or "none": twice as many channels are convolved, and the first half is
    multiplied by this activation of the second before `activation`. Other arguments go to the kernel."""

    def __init__(self, d_model, d_state=64, *, model="s4", channels=1, bidirectional=False, activation="gelu",
                 hyper_act=None, final_act="glu", layout="BDL", **kernel):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, channels=channels)
        _functional._check_words(activation, "causal", layout)
        if model not in MODELS or final_act not in ("glu", None):
            raise _errors.InvalidArgumentError(f"expected a model of {', '.join(MODELS)} and final_act 'glu' or None, "
                                               f"given {model!r}, {final_act!r}")
        convolved = channels if hyper_act is None else 2 * channels
        self.layer = MODELS[model](d_model, d_state, channels=convolved, bidirectional=bidirectional, **kernel)
        self.output_linear = nn.Sequential(Pointwise(channels * d_model, (2 if final_act else 1) * d_model))
        self.bidirectional = bidirectional
        self.operator = Operator("s4_layer", d_model, outputs=channels, twosided=bidirectional, glu=final_act is not None,
                                 activation=activation or "none", layout=layout.lower(),
                                 hyper="off" if hyper_act is None else hyper_act)

    def forward(self, x):
        length, linear = self.operator.length_of(x), self.output_linear[0]
        taps = self.layer.taps(length)
        taps = nn.functional.pad(taps, (0, length - taps.shape[1]))
        if self.bidirectional:
            past, future = taps.chunk(2)
            filters = {"filter": past, "filter_future": future}
        else:
            filters = {"filter": taps}
        return self.operator(x=x, skip=self.layer.D.flatten(), out_weight=linear.weight, out_bias=linear.bias, **filters)
