# SPDX-License-Identifier: BSD-3-Clause
"""The convolution of vortex, the inference code of Evo 2 (vortex/model/engine.py).

    from longconv.compat.vortex import fftconv_func

Precision, lengths and filters longer than the data: as said in longconv.compat.safari."""
import torch

from . import _rows


def fftconv_func(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False, print_activations=False,
                 layer_idx=None, **kwargs):
    """k conv u + D u, in u's dtype.

    u  [batch, channels, seqlen], or more axes, the last but one being the channels
    k  [channels, taps], [channels, 1, taps] or [1, channels, taps], k[j] at lag j; k_rev likewise, at lag -j
    D  [channels]

    Accepted and without effect, as in the original: gelu (although it is on by default), dropout_mask, layer_idx and
    unknown keywords, `groups` among them. print_activations has none either (the original writes to its log).

    bidirectional=True is kept as published and is no two-sided convolution: to k conv u, with all taps, it adds
    (k2 conv u)[-t mod 2L], where k2 is the second half of the taps; the number of taps must be even. k_rev then has no
    effect.
    """
    k = _squeeze(k)
    if not bidirectional:
        return _convolve(u, k, D, None if k_rev is None else _squeeze(k_rev)).to(u.dtype)
    _rows.expect(k.shape[-1] % 2 == 0, "k", "an even number of taps (bidirectional)", k.shape[-1])
    x = _rows.wide(u, k)
    return (_convolve(x, k, D, None) + _rows.reversed_tail(x, k[..., k.shape[-1] // 2:])).to(u.dtype)


def _convolve(u, k, D, k_rev):
    return _rows.convolve(u.double() if k.dtype == torch.float64 else u, k, skip=D, k_rev=k_rev)


def _squeeze(k):
    """Without leading axes of size 1."""
    return k.reshape(*(size for size in k.shape[:-1] if size != 1), k.shape[-1])
