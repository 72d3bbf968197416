# SPDX-License-Identifier: BSD-3-Clause
"""Any mixer of the C library as a layer."""
import torch
from torch import nn

from .. import _errors
from . import _inputs
from ._mixer import PROBE_LEN, Operator


class Mixer(nn.Module):
    """A sequence-mixing layer by name (docs/operators.md) with `options`, one call of the C library forward and one
    backward: `layer(x)` for its inputs in order. Parameters have the mixer's names and its initial values.

    filters   {name: module} for taps of long filters: `module(count)` gives them, a `FilterFamily` for example. Those that
              have no module are parameters of this layer, as many as `seqlen` asks for
    seqlen    the length of the sequences, where the shapes of parameters depend on it

    Differentiable once."""

    def __init__(self, mixer, channels, *, filters=None, seqlen=PROBE_LEN, dtype=None, backend="auto", **options):
        super().__init__()
        _inputs.expect_whole(channels=channels, seqlen=seqlen)
        self.operator = Operator(mixer, channels, seqlen=seqlen, backend=backend, **options)
        self.filters = nn.ModuleDict(filters or {})
        longer = Operator(mixer, channels, seqlen=2 * seqlen, backend=backend, **options).ports
        self.counts = {}  # taps of filters whose number does not depend on the sequences
        for name, value in self.operator.initial(dtype).items():
            shape = self.operator.ports[name]["shape"]
            if name in self.filters and value is None:
                self.counts[name] = shape[-1] if shape == longer[name]["shape"] else None
            else:
                self.register_parameter(name, nn.Parameter(
                    torch.randn(shape, dtype=dtype) * shape[-1] ** -0.5 if value is None else value))
        unknown = sorted(set(self.filters) - set(self.counts))
        if unknown:
            raise _errors.InvalidArgumentError(f"filters: {', '.join(unknown)}: no long filter of {mixer}")

    def forward(self, *inputs):
        operator = self.operator
        if len(inputs) != len(operator.inputs):
            raise _errors.InvalidArgumentError(f"expected the inputs {', '.join(operator.inputs)}, given {len(inputs)}")
        length = operator.length_of(inputs[0])
        taps = {name: self.filters[name](count or length) for name, count in self.counts.items()}
        return operator(**dict(zip(operator.inputs, inputs)), **taps,
                        **{name: value for name, value in self.named_parameters(recurse=False)})

    def extra_repr(self):
        return f"{self.operator.mixer!r}, channels={self.operator.channels}, {self.operator.options}"
