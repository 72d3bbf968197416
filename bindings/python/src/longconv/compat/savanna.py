# SPDX-License-Identifier: BSD-3-Clause
"""The convolution of savanna, the training code of Evo 2 (savanna/ops/fftconv.py).

    from longconv.compat.savanna import fftconv_func

Precision, lengths and filters longer than the data: as said in longconv.compat.safari. savanna's operator repeats
its grouped filters for every channel; here k may keep one row for each group of consecutive channels, [groups, taps].
Its branch through FlashFFTConv leaves the term D u out; this function has it."""
import torch.nn.functional as F

from . import _rows


def fftconv_func(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False):
    """gelu(k conv u + D u) * dropout_mask, in u's dtype; arguments as of longconv.compat.safari.fftconv_ref.

    bidirectional=True is kept as published, for models trained with it, and is no two-sided convolution: k is
    [1, 2 channels, taps], and to the convolution with its first half is added (k2 conv u)[-t mod 2L], where k2 is the
    second: the end of that convolution, reversed in time. k_rev then has no effect.
    """
    if not bidirectional:
        return _rows.fftconv(u, k, D, dropout_mask, gelu, k_rev)
    _rows.expect(k.dim() == 3 and k.shape[1] % 2 == 0, "k", "[1, 2 channels, taps] (bidirectional)",
                 f"shape {tuple(k.shape)}")
    x = _rows.wide(u, k)
    past, tail = (half.unsqueeze(1) if u.dim() > 3 else half for half in k.chunk(2, 1))
    y = _rows.convolve(x, past, skip=D) + _rows.reversed_tail(x, tail)
    return _rows.masked(F.gelu(y) if gelu else y, dropout_mask, u.dtype)
