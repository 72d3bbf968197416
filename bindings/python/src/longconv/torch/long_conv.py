# SPDX-License-Identifier: BSD-3-Clause
"""The long convolution layer, and its form with learned transforms. Parameters have the names of the authors' LongConv,
whose checkpoints load.

Source: Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023)."""
import functools

import torch
from torch import nn

from .. import _errors, _words
from . import _functional, _inputs
from ._mixer import Operator
from ._pointwise import Pointwise
from ._taps import Family


class LongConvKernel(nn.Module):
    """Taps [rows, length]: the parameter `kernel` [channels, d_model, l_max], smoothed in time or in frequency if wanted,
    moved towards 0 by `lam`. weight_init: "random", or "double_exp", whose taps fall off."""

    def __init__(self, d_model, l_max, channels=1, lam=0.1, weight_init="random", use_ma_smoothing=False, ma_window_len=7,
                 smooth_freq=False):
        super().__init__()
        if weight_init not in ("random", "double_exp"):
            raise _errors.InvalidArgumentError(f"weight_init: expected 'random' or 'double_exp', given {weight_init!r}")
        window = {"smooth_freq" if smooth_freq else "smooth": ma_window_len} if use_ma_smoothing else {}
        self.family = Family("explicit", channels * d_model, l_max, squash=lam, **window)
        kernel = torch.randn(channels, d_model, l_max)
        if weight_init == "double_exp":
            rate = max(d_model // 2, 1) ** (torch.arange(d_model) / d_model)
            kernel = 0.02 * kernel * torch.exp(-rate[:, None] * torch.arange(l_max) / l_max)
        else:
            kernel = 0.002 * kernel
        self.kernel = nn.Parameter(kernel)

    def forward(self, length):
        return self.family.taps({"taps": self.kernel}, length)


class _Layer(nn.Module):
    """The parameters of both layers."""

    def __init__(self, d_model, l_max, channels, rows, postact, kernel):
        super().__init__()
        _inputs.expect_whole(d_model=d_model, l_max=l_max, channels=channels)
        if postact not in ("glu", None):
            raise _errors.InvalidArgumentError(f"postact: expected 'glu' or None, given {postact!r}")
        self.d_model, self.l_max, self.channels, self.postact = d_model, l_max, channels, postact
        self.D, self.kernel = nn.Parameter(torch.randn(channels, d_model)), LongConvKernel(d_model, l_max, rows, **kernel)
        self.output_linear = nn.Sequential(Pointwise(channels * d_model, 2 * d_model)) if postact else nn.Identity()


class LongConvLayer(_Layer):
    """[batch, d_model, seqlen] in and out ([batch, seqlen, d_model] with layout="BLD"): convolution with its skip,
    activation, projection and gate in one call. postact None: no projection, and channels * d_model come out.

    channels        filters of each channel
    bidirectional   as many for the future, which begins one step ahead
    Other arguments go to LongConvKernel. Sequences up to l_max."""

    def __init__(self, d_model, l_max=1024, channels=1, bidirectional=False, activation="gelu", postact="glu",
                 layout="BDL", **kernel):
        super().__init__(d_model, l_max, channels, channels * (2 if bidirectional else 1), postact, kernel)
        _functional._check_words(activation, "causal", layout)
        self.bidirectional = bidirectional
        self.operator = Operator("long_conv", d_model, outputs=channels, twosided=bidirectional,
                                 activation=activation or "none", projection=postact is not None, layout=layout.lower())

    def forward(self, x):
        arrays = {"filter": self.kernel(self.operator.length_of(x)), "skip": self.D.flatten()}
        if self.bidirectional:
            arrays["filter"], arrays["filter_future"] = arrays["filter"].chunk(2)
        if self.postact:
            linear = self.output_linear[0]
            arrays.update(out_weight=linear.weight, out_bias=linear.bias)
        return self.operator(x=x, **arrays)


class BlockFFT(nn.Module):
    """The learned matrices of a transform, mat_2 to mat_16, each [rows, s, s, 2]; one row is for all channels. They start as
    those of the Fourier transform; with learn_additive they are what is added to those."""

    _SIZES = (2, 4, 8, 16)

    def __init__(self, rows=1, learn_additive=False):
        super().__init__()
        _inputs.expect_whole(rows=rows)
        self.learn_additive = learn_additive
        for size in self._SIZES:
            exact = self._exact(size)
            start = 0.01 * torch.randn(rows, size, size, 2) if learn_additive else exact.repeat(rows, 1, 1, 1)
            self.register_parameter(f"mat_{size}", nn.Parameter(start))

    @staticmethod
    def _exact(size):
        steps = torch.arange(size, dtype=torch.float64)
        angle = -2 * torch.pi * torch.outer(steps, steps).remainder(size) / size
        return torch.stack([angle.cos(), angle.sin()], -1).to(torch.get_default_dtype())

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        for index in range(len(self._SIZES)):
            state_dict.pop(f"{prefix}dft_matrices.{index}", None)  # the same tensors under a second name
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def numbers(self, points, channels):
        """Of a transform of `points`, a power of two: that of 16 points, and that of what 16 does not divide."""
        last = 1 << (points.bit_length() - 1) % 4
        sizes = [size for size in (16 if points >= 16 else 1, last) if size > 1]
        matrices = [getattr(self, f"mat_{size}") for size in sizes]
        if self.learn_additive:
            matrices = [matrix + self._exact(size).to(matrix) for size, matrix in zip(sizes, matrices)]
        return torch.cat([matrix.flatten(1).expand(channels, -1) for matrix in matrices], 1)


ACTIVATIONS = {None: nn.Identity, "none": nn.Identity, "gelu": nn.GELU, "silu": nn.SiLU,
               "gelu_tanh": functools.partial(nn.GELU, approximate="tanh")}


class ButterflyConv(_Layer):
    """The long convolution layer whose two forward transforms are learned, by matrices of at most 16 points (FlashButterfly);
    [batch, d_model, seqlen] in and out. Then it is linear, but no convolution any more. Sequences up to l_max."""

    def __init__(self, d_model, l_max=1024, channels=1, activation="gelu", postact="glu", fft_rows=1, learn_additive=False,
                 **kernel):
        super().__init__(d_model, l_max, channels, channels, postact, kernel)
        self.block_fft_u, self.block_fft_k = (BlockFFT(fft_rows, learn_additive) for _ in range(2))
        self.activation = _words.number(ACTIVATIONS, "activation", activation)()
        self.operator = Operator("butterfly", d_model, layout="bdl")

    def forward(self, x):
        length = _inputs.length_of("x", x, self.d_model, "BDL")
        points = 2
        while points < 2 * length:  # compiled for any length, this holds for all with as many points
            points *= 2
        matrices = {"x_matrices": self.block_fft_u.numbers(points, self.d_model),
                    "filter_matrices": self.block_fft_k.numbers(points, self.d_model)}
        taps = self.kernel(length).unflatten(0, (self.channels, self.d_model))
        z = torch.cat([self.operator(x=x, filter=one, skip=skip, **matrices) for one, skip in zip(taps, self.D)], 1)
        z = self.activation(z)
        return nn.functional.glu(self.output_linear(z.transpose(1, 2)), -1).transpose(1, 2) if self.postact else z
