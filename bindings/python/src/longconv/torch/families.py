# SPDX-License-Identifier: BSD-3-Clause
"""Any filter family of the C library as a layer."""
from torch import nn

from ._taps import Family


class FilterFamily(nn.Module):
    """The filters of a family (docs/filters.md) with `options`: `taps = layer(length)` is [filters, length], for
    `longconv.torch.conv` or whatever takes filters. Parameters have the family's names and are drawn from PyTorch's
    generator; those that are not trained are buffers. Differentiable once; the C library computes on the CPU."""

    def __init__(self, family, channels, max_len, *, dtype=None, **options):
        super().__init__()
        self.family = Family(family, channels, max_len, **options)
        for name, value in self.family.initial(dtype).items():
            if self.family.ports[name]["trainable"]:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, length):
        return self.family.taps({name: getattr(self, name) for name in self.family.ports}, length)

    def extra_repr(self):
        return f"{self.family.family!r}, channels={self.family.channels}, max_len={self.family.max_len}, {self.family.options}"
