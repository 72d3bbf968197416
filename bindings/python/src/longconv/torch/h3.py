# SPDX-License-Identifier: BSD-3-Clause
"""The H3 layer: two state space models, computed as long convolutions, between multiplicative projections. Parameters
have the names of the authors' implementation, whose checkpoints load.

Source: Fu et al., Hungry Hungry Hippos (2023), section 3; the diagonal kernel: Gu et al., S4D (2022)."""
import math

import torch
from torch import nn

from .. import _errors
from . import _inputs
from ._functional import conv
from ._step import H3Steps


class ShiftKernel(nn.Module):
    """Taps of the shift state space model: tap j is the sum over n of B[n] C[n + j], so there are d_state of them."""

    def __init__(self, channels, d_state):
        super().__init__()
        first = torch.zeros(channels, d_state)
        first[:, 0] = 1
        self.B = nn.Parameter(first)
        self.C = nn.Parameter((2 * torch.rand(1, channels, d_state) - 1) / math.sqrt(d_state))

    def forward(self, length):
        states = self.B.shape[-1]
        # The anticausal convolution of C with the taps B is this sum.
        return conv(self.C, self.B, mode="anticausal")[0, :, :min(states, length)]


class DiagKernel(nn.Module):
    """Taps of a diagonal state space model, tap j = 2 Re sum_n B_n C_n s_n pole_n^j, with zero-order hold ("zoh") or
    bilinear discretisation. The poles are computed in double precision; their powers are products of two factors, so that
    [channels, d_state, length] is never in memory."""

    def __init__(self, channels, d_state, disc="bilinear", dt_min=0.001, dt_max=0.1):
        super().__init__()
        if disc not in ("zoh", "bilinear"):
            raise _errors.InvalidArgumentError(f"disc: expected 'zoh' or 'bilinear', given {disc!r}")
        modes = d_state // 2
        self.disc = disc
        self.C = nn.Parameter(torch.randn(1, channels, modes, 2) / math.sqrt(2))
        self.log_dt = nn.Parameter(math.log(dt_min) + torch.rand(channels) * math.log(dt_max / dt_min))
        self.B = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(channels, modes, 1))
        self.inv_A_real = nn.Parameter(torch.full((channels, modes), math.log(0.5)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(modes).repeat(channels, 1).to(self.C.dtype))

    def forward(self, length):
        poles, gains = self._poles()
        step = max(math.isqrt(length), 1)
        near = torch.exp(poles[..., None] * torch.arange(step, device=poles.device))
        far = torch.exp(poles[..., None] * (step * torch.arange(-(-length // step), device=poles.device)))
        kind = torch.complex128 if self.C.dtype == torch.float64 else torch.complex64
        taps = torch.einsum("hn,hnq,hnr->hqr", gains.to(kind), far.to(kind), near.to(kind)).real
        return 2 * taps.flatten(1)[:, :length]

    def _poles(self):
        """Logarithms of the poles, and B C s: [channels, modes]."""
        repeats = self.log_dt.shape[0] // self.B.shape[0]
        a = torch.complex(-torch.exp(self.inv_A_real.double()), self.A_imag.double()).repeat(repeats, 1)
        dt = torch.exp(self.log_dt.double())[:, None]
        gains = torch.view_as_complex(self.B.double()).repeat(repeats, 1) * torch.view_as_complex(self.C[0].double())
        if self.disc == "zoh":
            return a * dt, gains * (torch.exp(a * dt) - 1) / a
        half = a * dt / 2
        return torch.log((1 + half) / (1 - half)), gains * dt / (1 - half)


class _Kernel(nn.Module):
    """Gives a kernel's parameters the names of the checkpoints."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def forward(self, length):
        return self.kernel(length)


class H3(H3Steps, nn.Module):
    """[batch, seqlen, d_model] in and out: q * diag(shift(k) * v), with outer products of head_dim channels.

    l_max         the longest filter; None: as long as the sequence
    output_order  for head_dim > 1: order of the channels before the last projection, "heads_last" as in the authors'
                  plain path, or "heads_first" as in their fused one
    """

    def __init__(self, d_model, d_state=64, l_max=None, head_dim=1, disc="bilinear", dt_min=0.001, dt_max=0.1,
                 output_order="heads_last"):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, d_state=d_state, head_dim=head_dim, l_max=l_max)
        _inputs.expect_steps(dt_min, dt_max)
        if d_model % head_dim or output_order not in ("heads_last", "heads_first"):
            raise _errors.InvalidArgumentError(
                f"expected d_model divisible by head_dim, and output_order heads_last or heads_first; given {d_model}, "
                f"{head_dim}, {output_order!r}")
        self.d_model, self.head_dim, self.l_max, self.output_order = d_model, head_dim, l_max, output_order
        heads = d_model // head_dim
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(d_model, d_model) for _ in range(3))
        self.ssm_k_kernel, self.ssm_k_D = _Kernel(ShiftKernel(d_model, d_state)), nn.Parameter(torch.randn(d_model))
        self.kernel = _Kernel(DiagKernel(heads, d_state, disc, dt_min, dt_max))
        self.D = nn.Parameter(torch.randn(heads))
        self.output_linear = nn.Linear(d_model, d_model)

    def forward(self, u):
        length = _inputs.length_of("u", u, self.d_model)
        length = length if self.l_max is None else min(length, self.l_max)
        q, k, v = self.q_proj(u), self.k_proj(u), self.v_proj(u)
        with torch.autocast(u.device.type, enabled=False):
            shift, diag = self.ssm_k_kernel(length), self.kernel(length)
        k = conv(k, shift, skip=self.ssm_k_D, layout="BLD")
        if self.head_dim == 1:
            mixed = conv(v, diag, skip=self.D, pre_gate=k, post_gate=q, layout="BLD")
        else:
            mixed = self._mix_heads(q, k, v, diag)
        return self.output_linear(mixed)

    def _mix_heads(self, q, k, v, diag):
        """head_dim^2 convolutions for each head; the channels (head, i, j) of a head share its filter."""
        size = self.head_dim
        q, k, v = (x.unflatten(-1, (-1, size)) for x in (q, k, v))
        outer = (k[..., :, None] * v[..., None, :]).flatten(2)
        skip = self.D.repeat_interleave(size * size)
        convolved = conv(outer, diag, skip=skip, layout="BLD").unflatten(-1, (-1, size, size))
        mixed = (q[..., :, None] * convolved).sum(-2)
        return (mixed if self.output_order == "heads_first" else mixed.transpose(-1, -2)).flatten(2)
