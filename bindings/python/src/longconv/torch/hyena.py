# SPDX-License-Identifier: BSD-3-Clause
"""The Hyena operator and its implicit filter. Parameters and buffers have the names of the authors' implementation, whose
checkpoints load (also those of HyenaDNA, without its `bidirectional` and `linear_mixer`).

Source: Poli et al., Hyena Hierarchy: Towards Larger Convolutional Language Models (2023), section 3."""
import math

import torch
from torch import nn
from torch.nn import functional

from .. import _errors
from . import _inputs
from ._functional import conv
from ._step import HyenaSteps

ACTIVATIONS = {"id": lambda x: x, "identity": lambda x: x, "gelu": functional.gelu, "silu": functional.silu,
               "swish": functional.silu, "relu": functional.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class Sin(nn.Module):
    """sin(freq * x) with one frequency for each feature."""

    def __init__(self, features, w=10.0):
        super().__init__()
        self.freq = nn.Parameter(torch.full((1, features), float(w)))

    def forward(self, x):
        return torch.sin(self.freq * x)


class PositionalEmbedding(nn.Module):
    """t in [0, 1] and (emb_dim - 1) / 2 complex exponentials of low frequencies, tabulated in double precision. `z` is
    trained unless its learning rate is 0."""

    def __init__(self, emb_dim, seq_len, lr_pos_emb=1e-5):
        super().__init__()
        if emb_dim < 3 or emb_dim % 2 == 0:
            raise _errors.InvalidArgumentError(f"emb_dim: expected an odd number from 3 on, given {emb_dim}")
        bands = (emb_dim - 1) // 2
        t = torch.linspace(0, 1, seq_len, dtype=torch.float64)
        phase = 2 * math.pi / seq_len * torch.arange(seq_len, dtype=torch.float64)
        frequencies = torch.linspace(1e-4, bands - 1, bands, dtype=torch.float64)
        angles = phase[:, None] * frequencies
        z = torch.cat([t[:, None], torch.cos(angles), -torch.sin(angles)], -1)[None].to(torch.get_default_dtype())
        if lr_pos_emb == 0:
            self.register_buffer("z", z)
        else:
            self.z = nn.Parameter(z)
            self.z._optim = {"lr": lr_pos_emb}
        self.register_buffer("t", t[None, :, None].to(z.dtype))

    def forward(self, length):
        return self.z[:, :length], self.t[:, :length]


class ExponentialModulation(nn.Module):
    """The decay window: each channel decays at a rate of its own, plus a constant."""

    def __init__(self, channels, fast_decay_pct=0.3, slow_decay_pct=1.5, target=1e-2, modulation_lr=0.0, modulate=True,
                 shift=0.0):
        super().__init__()
        self.modulate, self.shift = modulate, shift
        slow, fast = math.log(target) / slow_decay_pct, math.log(target) / fast_decay_pct
        deltas = torch.linspace(slow, fast, channels, dtype=torch.float64)[None, None].to(torch.get_default_dtype())
        if modulation_lr == 0:
            self.register_buffer("deltas", deltas)
        else:
            self.deltas = nn.Parameter(deltas)
            self.deltas._optim = {"lr": modulation_lr}

    def forward(self, t, x):
        return x * (torch.exp(-t * self.deltas.abs()) + self.shift) if self.modulate else x


class HyenaFilter(nn.Module):
    """An implicit filter: a small network with sine activations maps positions to the taps of d_model filters, which a
    window makes decay; `normalized` divides by the sum of magnitudes over the filters at each lag. `order` is the
    network's width. Taps are computed in the parameters' dtype also under autocast.

    `lr`, `wd` and `lr_pos_emb` are kept as the attribute `_optim` of parameters, for optimizers that look at it."""

    def __init__(self, d_model, emb_dim=3, order=16, seq_len=1024, lr=1e-3, lr_pos_emb=1e-5, w=1, wd=0, bias=True,
                 num_inner_mlps=2, normalized=False, **modulation):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, emb_dim=emb_dim, order=order, seq_len=seq_len)
        _inputs.expect_whole(0, num_inner_mlps=num_inner_mlps)
        self.d_model, self.seq_len, self.normalized, self.use_bias = d_model, seq_len, normalized, bias
        self.bias = nn.Parameter(torch.randn(d_model))
        self.pos_emb = PositionalEmbedding(emb_dim, seq_len, lr_pos_emb)
        sine = Sin(order, w)  # one for all layers: they share the frequencies
        layers = [nn.Linear(emb_dim, order), sine]
        for _ in range(num_inner_mlps):
            layers += [nn.Linear(order, order), sine]
        self.implicit_filter = nn.Sequential(*layers, nn.Linear(order, d_model, bias=False))
        self.modulation = ExponentialModulation(d_model, **modulation)
        for parameter in self.implicit_filter.parameters():
            parameter._optim = {"lr": lr, "weight_decay": wd}

    def filter(self, length):
        """Taps of the first `length` lags, [1, length, d_model]."""
        if length > self.seq_len:
            raise _errors.InvalidArgumentError(f"length: expected at most seq_len = {self.seq_len}, given {length}")
        with torch.autocast(self.bias.device.type, enabled=False):
            z, t = self.pos_emb(length)
            taps = self.modulation(t, self.implicit_filter(z))
            return taps / taps.abs().sum(-1, keepdim=True) if self.normalized else taps

    def forward(self, x, length=None, taps=None, bias=None):
        """x [batch, d_model, seqlen] convolved with `taps` [d_model, filter_len] (default: this filter's), plus
        bias * x."""
        seqlen = _inputs.length_of("x", x, self.d_model, "BDL")
        if taps is None:
            taps = self.filter(seqlen if length is None else length)[0].T
        skip = self.bias if bias is None else bias
        return conv(x, taps, skip=skip if self.use_bias else None)


class HyenaOperator(HyenaSteps, nn.Module):
    """Hyena of any order: projections, a short convolution, then order - 1 long convolutions between `order` gates.
    [batch, seqlen, d_model] in and out; seqlen beyond l_max is cut off, as in the authors' implementation.

    filter_order        width of the filter's network; its other arguments go to HyenaFilter
    num_blocks          the sequence is cut into so many blocks, which are convolved each for itself
    short_filter_order  taps of the short convolution
    filter_index        how filters are numbered for order > 2: "channel_major", or "order_major" as in the authors'
                        stand-alone file
    """

    def __init__(self, d_model, l_max, order=2, filter_order=64, num_heads=1, num_blocks=1, dropout=0.0,
                 short_filter_order=3, activation="id", filter_index="channel_major", **filter_args):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, l_max=l_max, order=order, filter_order=filter_order, num_blocks=num_blocks,
                             short_filter_order=short_filter_order)
        if num_heads != 1:
            raise _errors.UnsupportedError(f"num_heads: only 1 is served, given {num_heads}")
        if order < 2 or l_max % num_blocks:
            raise _errors.InvalidArgumentError(
                f"expected order >= 2 and l_max divisible by num_blocks, given {order}, {l_max}, {num_blocks}")
        if activation not in ACTIVATIONS or filter_index not in ("channel_major", "order_major"):
            raise _errors.InvalidArgumentError(
                f"activation: expected one of {', '.join(ACTIVATIONS)}, given {activation!r}; filter_index: expected "
                f"channel_major or order_major, given {filter_index!r}")
        self.d_model, self.l_max, self.order, self.num_blocks = d_model, l_max, order, num_blocks
        self.activation, self.filter_index = activation, filter_index
        width = (order + 1) * d_model
        self.out_proj, self.in_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, width)
        self.short_filter = nn.Conv1d(width, width, short_filter_order, groups=width, padding=short_filter_order - 1)
        self.filter_fn = HyenaFilter((order - 1) * d_model, order=filter_order, seq_len=l_max, **filter_args)
        self.dropout = nn.Dropout(dropout)

    def forward(self, u):
        length = min(_inputs.length_of("u", u, self.d_model), self.l_max)
        projected = self.in_proj(u[:, :length])
        short = conv(projected, self.short_filter.weight[:, 0].flip(-1), bias=self.short_filter.bias, layout="BLD")
        mixed = self._mix(short, *self._filters(length // self.num_blocks))
        return self._finish(mixed)

    def _finish(self, mixed):
        return self.out_proj(ACTIVATIONS[self.activation](mixed))

    def _filters(self, length):
        """Taps [order - 1, d_model, length] and skips [order - 1, d_model] of the long convolutions."""
        taps, skips = self.filter_fn.filter(length)[0], self.filter_fn.bias
        if not self.filter_fn.use_bias:
            skips = torch.zeros_like(skips)
        if self.filter_index == "channel_major":
            return taps.unflatten(1, (self.d_model, -1)).permute(2, 1, 0), skips.unflatten(0, (self.d_model, -1)).T
        return taps.unflatten(1, (-1, self.d_model)).permute(1, 2, 0), skips.unflatten(0, (-1, self.d_model))

    def _mix(self, short, taps, skips):
        """The recurrence of gates and long convolutions on [batch, seqlen, (order + 1) * d_model]. Its parts are views:
        the gates and the skip ride on the convolutions."""
        if self.num_blocks > 1:
            blocks = short.unflatten(1, (self.num_blocks, -1)).flatten(0, 1)
            return self._mix_block(blocks, taps, skips).unflatten(0, (-1, self.num_blocks)).flatten(1, 2)
        return self._mix_block(short, taps, skips)

    def _mix_block(self, short, taps, skips):
        *gates, v = short.split(self.d_model, -1)
        for step in range(self.order - 1):
            gate, last = gates[self.order - 1 - step], step == self.order - 2
            if self.training and self.dropout.p > 0:
                v, gate = self.dropout(v * gate), None
            v = conv(v, taps[step], skip=skips[step], pre_gate=gate, post_gate=gates[0] if last else None, layout="BLD")
        return v
