# SPDX-License-Identifier: BSD-3-Clause
"""State space models as layers: S4, S4D and DSS. Parameters have the names of the authors' implementations, whose
checkpoints load.

Sources: Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces (2022); Gu et al., On the Parameterization and Initialization of Diagonal State Space Models (2022); Gupta et al.,
Diagonal State Spaces are as Effective as Structured State Spaces (2022)."""
import torch
from torch import nn

from .. import _errors
from . import _functional, _inputs
from ._functional import conv
from ._taps import Family

LONGEST = 1 << 40  # these filters depend on no longest length


class S4DKernel(nn.Module):
    """Taps [channels * d_model, length] of S4D: tap l is 2 Re sum_n B_n C_n s_n pole_n^l."""

    def __init__(self, d_model, d_state=64, channels=1, n_ssm=None, disc="zoh", init="lin", dt_min=0.001, dt_max=0.1,
                 is_real=False, **options):
        super().__init__()
        copies, modes = d_model if n_ssm is None else n_ssm, d_state if is_real else d_state // 2
        self.family = Family("diag_ssm", d_model, LONGEST, modes=modes, outputs=channels, n_ssm=copies, discretisation=disc,
                             init="real" if is_real else init, dt_min=dt_min, dt_max=dt_max, is_real=is_real, **options)
        value = self.family.initial()
        self.inv_dt = nn.Parameter(value["inv_dt"].reshape(d_model, 1))
        self.A_real = nn.Parameter(value["a_real"])
        self.A_imag = None if is_real else nn.Parameter(value["a_imag"])
        self.B, self.C = nn.Parameter(value["b"][None]), nn.Parameter(value["c"].unflatten(0, (channels, d_model)))

    def forward(self, length):
        return self.family.taps({"inv_dt": self.inv_dt, "a_real": self.A_real, "a_imag": self.A_imag, "b": self.B,
                                 "c": self.C}, length)


DSS_VERSIONS = {
    "softmax": {"discretisation": "softmax", "real": "identity"},
    "exp": {"discretisation": "exp"},
    "exp-re-im": {"discretisation": "exp", "imag": "exp"},
    "exp-no-scale": {"discretisation": "unscaled"},
    "clip": {"discretisation": "exp", "real": "clip"},
    "clip-no-scale": {"discretisation": "unscaled", "real": "clip"},
}


class DSSKernel(nn.Module):
    """Taps [channels * d_model, length] of DSS. In version "softmax" they depend on the length. The poles are the complex
    parameter Lambda, in versions of exp the logarithms of their parts as far as those are exponentials."""

    def __init__(self, d_model, d_state=64, channels=1, version="softmax", dt_min=0.001, dt_max=0.1, sep_dt_re_im=True,
                 **options):
        super().__init__()
        if version not in DSS_VERSIONS:
            raise _errors.InvalidArgumentError(f"version: expected one of {', '.join(DSS_VERSIONS)}, given {version!r}")
        self.family = Family("diag_ssm", d_model, LONGEST, **{
            "modes": d_state, "outputs": channels, "n_ssm": 1, "conjugate": 0, "with_b": 0, "imag_sign": "plus",
            "dt_form": "split" if sep_dt_re_im else "tied", "init": "legs", "std": 1, "dt_min": dt_min, "dt_max": dt_max,
            **DSS_VERSIONS[version], **options})
        value = self.family.initial()
        self.log_dt, self.W = nn.Parameter(value["inv_dt"]), nn.Parameter(value["c"].unflatten(0, (channels, d_model)))
        real, imag = value["a_real"][0], value["a_imag"][0]
        self.of_imag = "Lambda_log_im" if version == "exp-re-im" else "Lambda_im"
        if "exp" in version:
            self.Lambda_log_neg_re = nn.Parameter(real)
            self.register_parameter(self.of_imag, nn.Parameter(imag))
        else:
            self.Lambda = nn.Parameter(torch.stack([real, imag], -1))

    def forward(self, length):
        real, imag = ((self.Lambda_log_neg_re, getattr(self, self.of_imag)) if hasattr(self, self.of_imag) else
                      self.Lambda.unbind(-1))
        return self.family.taps({"inv_dt": self.log_dt, "a_real": real, "a_imag": imag, "c": self.W}, length)


class S4Kernel(nn.Module):
    """Taps [channels * d_model, length] of S4, whose A is diagonal minus P P^*. `init`: a HiPPO matrix; those of legt and lmu
    have rank 2.

    The buffer `l_kernel` is the authors': 0, C is what it says; above, C is C (I - M^l_kernel), which their code turns it
    into when it is first used. Taps are then those of this length, cut off."""

    def __init__(self, d_model, d_state=64, channels=1, n_ssm=None, init="legs", rank=1, dt_min=0.001, dt_max=0.1,
                 **options):
        super().__init__()
        copies = d_model if n_ssm is None else n_ssm
        self.d_model, self.options = d_model, {"modes": d_state // 2, "outputs": channels, "n_ssm": copies, "init": init,
                                               "rank": rank, "dt_min": dt_min, "dt_max": dt_max, **options}
        self.register_buffer("l_kernel", torch.tensor(0))
        self._set_family()
        value = self.family.initial()
        self.inv_dt = nn.Parameter(value["inv_dt"].reshape(d_model, 1))
        self.A_real, self.A_imag = nn.Parameter(value["a_real"]), nn.Parameter(value["a_imag"])
        self.P, self.B = nn.Parameter(value["p"].unflatten(0, (rank, copies))), nn.Parameter(value["b"][None])
        self.C = nn.Parameter(value["c"].unflatten(0, (channels, d_model)))

    def _set_family(self, length=0):
        words = {"c_form": "truncated", "kernel_len": length} if length else {}
        self.family = Family("s4_dplr", self.d_model, length or LONGEST, **self.options, **words)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        super()._load_from_state_dict(state_dict, prefix, *rest)
        length = state_dict.get(prefix + "l_kernel")
        if length is not None and not length.is_meta:
            self._set_family(int(length))

    def forward(self, length):
        return self.family.taps({"inv_dt": self.inv_dt, "a_real": self.A_real, "a_imag": self.A_imag, "p": self.P,
                                 "b": self.B, "c": self.C}, length)


class _Convolution(nn.Module):
    """y = conv(u, kernel) + D u for [batch, d_model, seqlen], or [batch, seqlen, d_model] with layout="BLD".

    channels        outputs of each input channel: channel c * d_model + h of the result is output c of channel h
    bidirectional   kernels for the past and for the future, which begins one step ahead
    l_max           the longest filter; None: as long as the sequence
    Other arguments go to the kernel. float32 and float64; under autocast filters stay in the parameters' precision."""

    kernel_class = None

    def __init__(self, d_model, d_state=64, *, channels=1, bidirectional=False, l_max=None, activation=None, layout="BDL",
                 **kernel):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, d_state=d_state, channels=channels, l_max=l_max)
        _functional._check_words(activation, "causal", layout)
        self.d_model, self.channels, self.bidirectional, self.l_max = d_model, channels, bidirectional, l_max
        self.activation, self.layout = activation, layout
        self.D = nn.Parameter(torch.randn(channels, d_model))
        self.kernel = self.kernel_class(d_model, d_state, channels=channels * (2 if bidirectional else 1), **kernel)

    def taps(self, length):
        """Those of a sequence of so many samples: no more than l_max."""
        return self.kernel(length if self.l_max is None else min(length, self.l_max))

    def forward(self, u):
        taps = self.taps(_inputs.length_of("u", u, self.d_model, self.layout))
        taps = taps.unflatten(0, (-1, self.channels, self.d_model))
        words = {"activation": self.activation, "layout": self.layout}
        if self.bidirectional:
            words["mode"] = "twosided"
        parts = [conv(u, taps[0, c], skip=self.D[c], filter_future=taps[1, c] if self.bidirectional else None, **words)
                 for c in range(self.channels)]
        return parts[0] if self.channels == 1 else torch.cat(parts, 1 if self.layout == "BDL" else 2)

    def extra_repr(self):
        return f"{self.d_model}, channels={self.channels}, bidirectional={self.bidirectional}, layout={self.layout!r}"


class S4(_Convolution):
    __doc__ = "A state space model of S4 with its skip: " + _Convolution.__doc__
    kernel_class = S4Kernel


class S4D(_Convolution):
    __doc__ = "A diagonal state space model with its skip: " + _Convolution.__doc__
    kernel_class = S4DKernel


class DSS(_Convolution):
    __doc__ = "A diagonal state space of DSS with its skip: " + _Convolution.__doc__
    kernel_class = DSSKernel
