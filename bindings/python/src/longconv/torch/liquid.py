# SPDX-License-Identifier: BSD-3-Clause
"""Liquid-S4 in the paper's causal form, on the diagonal model.

Source: Hasani et al., Liquid Structural State-Space Models (2022), section 3."""
import torch
from torch import nn

from .. import _errors
from . import _functional, _inputs
from ._mixer import Operator
from .ssm import S4DKernel


class LiquidS4(nn.Module):
    """S4D whose state also meets products of neighbouring inputs: y = k conv u + sum over p = 2 ... degree of
    k_p conv (u[t] ... u[t-p+1]) + D u, for [batch, d_model, seqlen] ([batch, seqlen, d_model] with layout="BLD").

    kernel   "own": k_p is made of C, A and the p-th power of the discretised B; "scaled": k_p is k times the sum of the
             discretised B to the power p - 1
    Parameters are D and those of S4D's kernel; other arguments go to that. Published weights do not carry over: the
    published code runs the products backwards in time."""

    def __init__(self, d_model, d_state=64, *, degree=2, kernel="own", disc="bilinear", layout="BDL", **options):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, d_state=d_state, degree=degree)
        _functional._check_words(None, "causal", layout)
        if degree < 2 or kernel not in ("own", "scaled"):
            raise _errors.InvalidArgumentError(
                f"expected degree from 2 on and kernel 'own' or 'scaled', given {degree}, {kernel!r}")
        transforms = {"real", "imag", "imag_sign", "dt", "dt_form", "rate"} & set(options)
        if disc not in ("zoh", "bilinear", "exp") or transforms:
            raise _errors.UnsupportedError(f"disc: expected 'zoh', 'bilinear' or 'exp' and no other forms of parameters, "
                                           f"given {disc!r}, {', '.join(sorted(transforms)) or 'none'}")
        self.degree, self.form, self.disc = degree, kernel, disc
        self.D, self.kernel = nn.Parameter(torch.randn(1, d_model)), S4DKernel(d_model, d_state, disc=disc, **options)
        if self.kernel.B.shape[1] != d_model or self.kernel.A_imag is None:
            raise _errors.UnsupportedError("n_ssm, is_real: only one complex model for each channel is served")
        self.operator = Operator("liquid_s4", d_model, degree=degree, kernel=kernel, layout=layout.lower())

    def forward(self, u):
        length, b = self.operator.length_of(u), torch.view_as_complex(self.kernel.B)[0]
        db = b * self._gain()
        liquid = {}
        if self.form == "own":
            # The family multiplies by the gain once more.
            liquid["liquid_filter"] = torch.cat([self._taps(b * db ** (p - 1), length) for p in range(2, self.degree + 1)])
        else:
            total = 2 * db.sum(-1).real
            liquid["liquid_gain"] = torch.cat([total ** (p - 1) for p in range(2, self.degree + 1)])
        return self.operator(x=u, filter=self.kernel(length), skip=self.D[0], **liquid)

    def _gain(self):
        """What B is multiplied by when time is cut into steps."""
        kernel = self.kernel
        a, dt = torch.complex(-kernel.A_real.exp(), -kernel.A_imag), kernel.inv_dt.exp()
        return dt / (1 - a * dt / 2) if self.disc == "bilinear" else (torch.exp(a * dt) - 1) / a

    def _taps(self, b, length):
        kernel = self.kernel
        return kernel.family.taps({"inv_dt": kernel.inv_dt, "a_real": kernel.A_real, "a_imag": kernel.A_imag,
                                   "b": torch.view_as_real(b), "c": kernel.C}, length)
