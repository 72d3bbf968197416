# SPDX-License-Identifier: BSD-3-Clause
"""The convolutions of HyenaDNA (src/models/sequence/hyena.py, src/ops/fftconv.py).

    from longconv.compat.hyenadna import fftconv_func, fftconv_ref

fftconv_func is safari's; what differs from the originals is said in longconv.compat.safari."""
import torch.nn.functional as F

from . import _rows
from .safari import fftconv_func

__all__ = ["fftconv_func", "fftconv_ref"]


def fftconv_ref(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False):
    """gelu(k conv u + D u) * dropout_mask, in u's dtype; arguments as of longconv.compat.safari.fftconv_ref.

    bidirectional=True is kept as published, for models trained with it, and is no two-sided convolution: u is delayed
    by L // 2 and convolved with period 2L, so y[t] = sum_j k[j] u[(t - L//2 - j) mod 2L] + D u[t], and lags from -L//2
    to L//2 - 1 get no weight. For new models: longconv.torch.conv(..., mode="twosided", filter_future=...).
    """
    if not bidirectional:
        return _rows.fftconv(u, k, D, dropout_mask, gelu, k_rev)
    length, x = u.shape[-1], _rows.wide(u, k)
    if k_rev is not None:
        k = _pad(k, 2 * length) + _pad(k_rev, 2 * length).flip(-1).roll(1, -1)
    if u.dim() > 3:
        k = k.unsqueeze(1)
    y = _rows.periodic(x, k, before=length // 2)[..., :length] + x * D.unsqueeze(-1)
    return _rows.masked(F.gelu(y) if gelu else y, dropout_mask, u.dtype)


def _pad(rows, length):
    """The first `length` taps, with zeros behind where there are fewer."""
    return F.pad(rows[..., :length], (0, max(length - rows.shape[-1], 0)))
