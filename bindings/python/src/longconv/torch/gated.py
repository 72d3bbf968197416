# SPDX-License-Identifier: BSD-3-Clause
"""Layers that gate a state space model: GSS and BiGS, whole, with normalisation and residual. Parameters have the names of
the implementations that their papers' readers use, whose checkpoints load.

Sources: Mehta et al., Long Range Language Modeling via Gated State Spaces (2022), names of gated-state-spaces-pytorch;
Wang et al., Pretraining Without Attention (2022)."""
import torch
from torch import nn
from torch.nn import functional

from . import _inputs
from ._functional import conv
from ._taps import Family
from .ssm import LONGEST


class _GssConvolution(nn.Module):
    """Layer norm, convolution and skip of GSS: all channels share the poles, the step is 1."""

    def __init__(self, channels, kernel_n):
        super().__init__()
        self.family = Family("diag_ssm", channels, LONGEST, modes=kernel_n, n_ssm=1, conjugate=0, with_b=0, real="exp",
                             imag="exp", imag_sign="plus")
        self.norm = nn.LayerNorm(channels)
        self.Lambda_real, self.Lambda_imag = (nn.Parameter(torch.randn(kernel_n)) for _ in range(2))
        self.C_real, self.C_imag = (nn.Parameter(torch.randn(channels, kernel_n)) for _ in range(2))
        self.param_D = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        values = {"inv_dt": torch.zeros_like(self.param_D), "a_real": self.Lambda_real, "a_imag": self.Lambda_imag,
                  "c": torch.stack([self.C_real, self.C_imag], -1)}
        return conv(self.norm(x), self.family.taps(values, x.shape[1]), skip=self.param_D, layout="BLD")


class GSS(nn.Module):
    """x + (conv(v) W_gate * u) W_out with u, v = gelu(x W), for x [batch, seqlen, dim]."""

    def __init__(self, dim, dim_expansion_factor=4, dss_kernel_N=512, dss_kernel_H=256):
        super().__init__()
        _inputs.expect_whole(dim=dim, dss_kernel_N=dss_kernel_N, dss_kernel_H=dss_kernel_H)
        wide = int(dim * dim_expansion_factor)
        self.norm = nn.LayerNorm(dim)
        self.to_u = nn.Sequential(nn.Linear(dim, wide, bias=False), nn.GELU())
        self.to_v = nn.Sequential(nn.Linear(dim, dss_kernel_H, bias=False), nn.GELU())
        self.dss = _GssConvolution(dss_kernel_H, dss_kernel_N)
        self.to_gate, self.to_out = nn.Linear(dss_kernel_H, wide, bias=False), nn.Linear(wide, dim)

    def forward(self, x):
        _inputs.length_of("x", x, self.to_out.out_features)
        normed = self.norm(x)
        gate = self.to_gate(self.dss(self.to_v(normed)))
        return self.to_out(gate * self.to_u(normed)) + x


class _BigsKernel(nn.Module):
    """One filter for all channels."""

    def __init__(self, modes):
        super().__init__()
        self.family = Family("diag_ssm", 1, LONGEST, modes=modes, n_ssm=1, conjugate=0, with_b=0, real="identity",
                             imag_sign="plus")
        self.A_re = nn.Parameter(torch.full((modes,), -0.5))
        self.A_im = nn.Parameter(torch.pi * torch.arange(modes, dtype=torch.get_default_dtype()))
        self.C = nn.Parameter(torch.randn(modes, 2) * 0.5 ** 0.5)
        self.log_step = nn.Parameter(torch.log(torch.tensor(0.01)) + torch.rand(1) * torch.log(torch.tensor(100.0)))

    def forward(self, length):
        return self.family.taps({"inv_dt": self.log_step, "a_real": self.A_re.clamp(max=-1e-4), "a_imag": self.A_im,
                                 "c": self.C}, length)


class _BigsConvolution(nn.Module):
    def __init__(self, modes):
        super().__init__()
        self.D, self.kernel = nn.Parameter(torch.randn(1)), _BigsKernel(modes)

    def forward(self, x, mode):
        return conv(x, self.kernel(x.shape[1]), skip=self.D.expand(x.shape[2]), mode=mode, layout="BLD")


class BiGS(nn.Module):
    """A bidirectional gated state space layer on [batch, seqlen, hidden]: one convolution of the past, one of the future,
    their product, and a gate. `intermediate`: width of the gate, by default three times hidden."""

    def __init__(self, hidden, intermediate=None, d_state=64, layer_norm_eps=1e-12):
        super().__init__()
        _inputs.expect_whole(hidden=hidden, intermediate=intermediate, d_state=d_state)
        wide = 3 * hidden if intermediate is None else intermediate
        self.LayerNorm = nn.LayerNorm(hidden, eps=layer_norm_eps)
        self.dv, self.du_forward, self.du_backward = nn.Linear(hidden, wide), nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.fs4, self.bs4 = _BigsConvolution(d_state), _BigsConvolution(d_state)
        self.duc_forward, self.duc_backward = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.dol, self.do = nn.Linear(hidden, wide), nn.Linear(wide, hidden)

    def forward(self, x):
        _inputs.length_of("x", x, self.do.out_features)
        normed = self.LayerNorm(x)
        v = functional.gelu(self.dv(normed))
        past = self.duc_forward(self.fs4(functional.gelu(self.du_forward(normed)), "causal"))
        # The authors flip the sequence twice around a causal convolution.
        future = self.duc_backward(self.bs4(functional.gelu(self.du_backward(normed)), "anticausal"))
        return self.do(functional.gelu(self.dol(past * future)) * v) + x
