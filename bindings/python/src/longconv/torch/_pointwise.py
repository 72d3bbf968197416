# SPDX-License-Identifier: BSD-3-Clause
"""The projection behind a convolution layer, whose weight checkpoints hold in two shapes."""
from torch import nn


class Pointwise(nn.Linear):
    """A Linear that also loads the weight of a Conv1d with one tap."""

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        weight = state_dict.get(prefix + "weight")
        if weight is not None and weight.dim() == 3 and weight.shape[2] == 1:
            state_dict[prefix + "weight"] = weight[..., 0]
        super()._load_from_state_dict(state_dict, prefix, *rest)
