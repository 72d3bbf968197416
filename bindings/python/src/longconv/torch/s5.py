# SPDX-License-Identifier: BSD-3-Clause
"""S5: one state space model for all channels. Parameters have the names of the authors' implementation.

Source: Smith et al., Simplified State Space Layers for Sequence Modeling (2023)."""
import torch
from torch import nn

from ._mixer import Operator


class S5(nn.Module):
    """[batch, seqlen, d_model] in and out, by a scan.

    d_state        complex states; with conj_sym each stands for a pair
    bidirectional  a second scan from the end; C has twice the columns. C1 and C2 of a checkpoint are put side by side
    blocks         HiPPO-LegS matrices that the initial eigenvalues come from
    step_rescale   factor of the time steps"""

    def __init__(self, d_model, d_state=32, *, discretization="zoh", conj_sym=True, bidirectional=False, clip_eigs=False,
                 blocks=1, dt_min=0.001, dt_max=0.1, step_rescale=1.0):
        super().__init__()
        self.operator = Operator("s5", d_model, states=d_state, discretisation=discretization, conjugate=conj_sym,
                                 twosided=bidirectional, clip=clip_eigs, rate=step_rescale, blocks=blocks, dt_min=dt_min,
                                 dt_max=dt_max)
        value = self.operator.initial()
        self.Lambda_re, self.Lambda_im = (nn.Parameter(part.clone()) for part in value["eigenvalues"].unbind(-1))
        self.B = nn.Parameter(value["b"].unflatten(0, (-1, 2)).transpose(1, 2).contiguous())
        self.C, self.D = nn.Parameter(value["c"].unflatten(1, (-1, 2))), nn.Parameter(value["skip"])
        self.log_step = nn.Parameter(value["log_step"][:, None])

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, *rest):
        parts = {prefix + name: state_dict.pop(prefix + name, None) for name in ("C1", "C2")}
        absent = [name for name, part in parts.items() if part is None]
        if not absent:
            state_dict[prefix + "C"] = torch.cat(list(parts.values()), 1)
        elif len(absent) == 1:  # this one is what is missing, not C, which keeps its values
            missing_keys.extend(absent)
            state_dict[prefix + "C"] = self.C.detach()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *rest)

    def forward(self, x):
        self.operator.length_of(x)
        return self.operator(x=x, eigenvalues=torch.stack([self.Lambda_re, self.Lambda_im], -1),
                             log_step=self.log_step[:, 0], b=self.B.transpose(1, 2).flatten(0, 1), c=self.C.flatten(1),
                             skip=self.D)
