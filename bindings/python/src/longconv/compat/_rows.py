# SPDX-License-Identifier: BSD-3-Clause
"""What the modules beside this one share: longconv.torch.conv for any number of leading axes, with filters that
broadcast against them, and the convolutions of period 2L that some originals compute."""
import math

import torch
import torch.nn.functional as F

from .. import _errors
from ..torch import conv


def expect(condition, argument, expected, given):
    if not condition:
        raise _errors.InvalidArgumentError(f"{argument}: expected {expected}, given {given}")


def plain(u, k, **arguments):
    """longconv.torch.conv in u's own precision: the originals' transforms do not follow autocast."""
    device = u.device.type
    if not torch.is_autocast_enabled(device):
        return conv(u, k, **arguments)
    with torch.autocast(device, enabled=False):
        return conv(u, k, **arguments)


def convolve(u, k, *, skip=None, k_rev=None, **words):
    """u [..., seqlen] with k [..., taps]: the leading axes broadcast, those of skip [...] too. k_rev[j] acts at lag -j.
    For u with three axes, k [groups, taps] may have one row for each group of consecutive channels."""
    if k_rev is not None:
        words.update(mode="twosided", future_first_lag=0)
    if u.dim() == 3 and all(rows is None or _per_channel(rows, u.shape[1]) for rows in (k, k_rev)) and (
            skip is None or skip.shape == (u.shape[1],)):
        return plain(u, k, skip=skip, filter_future=k_rev, **words)
    return _broadcast(u, k, skip, k_rev, words)


def _per_channel(rows, channels):
    return rows.dim() == 2 and rows.shape[0] > 0 and channels % rows.shape[0] == 0


def _broadcast(u, k, skip, k_rev, words):
    """Leading axes along which a filter or the skip varies become channels, the others batch."""
    lead, of_rows = _leading_axes(u, k, skip, k_rev)
    varying = [a for a in range(len(lead)) if any(len(s) >= len(lead) - a and s[a - len(lead)] != 1 for s in of_rows)]
    still = [a for a in range(len(lead)) if a not in varying]
    order, batch, channels = still + varying, [lead[a] for a in still], [lead[a] for a in varying]
    length = u.shape[-1]
    x = u.expand([*lead, length]).permute([*order, len(lead)]).reshape([math.prod(batch), math.prod(channels), length])
    k, k_rev = (None if rows is None else _as_rows(rows, lead, still, order, channels) for rows in (k, k_rev))
    if skip is not None:
        skip = _as_rows(skip.unsqueeze(-1), lead, still, order, channels)[:, 0]
    y = plain(x, k, skip=skip, filter_future=k_rev, **words).reshape([*batch, *channels, length])
    return y.permute([*(order.index(a) for a in range(len(lead))), len(lead)])


def _leading_axes(u, k, skip, k_rev):
    """Those of the result, and those of each of the filters and the skip."""
    of_rows = [rows.shape[:-1] for rows in (k, k_rev) if rows is not None] + ([] if skip is None else [skip.shape])
    try:
        return list(torch.broadcast_shapes(u.shape[:-1], *of_rows)), of_rows
    except RuntimeError:
        raise _errors.InvalidArgumentError(
            f"u, k, D: expected leading axes that broadcast, given {tuple(u.shape[:-1])} and "
            f"{', '.join(str(tuple(shape)) for shape in of_rows)}") from None


def _as_rows(tensor, lead, still, order, channels):
    """[channels, last axis] of a tensor that has size 1 along the axes `still`."""
    last = tensor.shape[-1]
    full = tensor.reshape([1] * (len(lead) + 1 - tensor.dim()) + list(tensor.shape))
    full = full.permute([*order, len(lead)]).reshape([*(full.shape[a] for a in order[len(still):]), last])
    return full.expand([*channels, last]).reshape([math.prod(channels), last])


def wide(u, k):
    """u in the precision in which the originals work, k's, but not below float32."""
    return u.to(torch.promote_types(torch.promote_types(u.dtype, k.dtype), torch.float32))


def fftconv(u, k, D, dropout_mask, gelu, k_rev):
    """gelu(k conv u + k_rev conv u + D u) times the mask [batch, channels], in u's dtype."""
    if u.dim() > 3:
        k, k_rev = k.unsqueeze(1), None if k_rev is None else k_rev.unsqueeze(1)
    x = u.to(torch.float64) if k.dtype == torch.float64 else u
    return masked(convolve(x, k, skip=D, k_rev=k_rev, activation="gelu" if gelu else None), dropout_mask, u.dtype)


def masked(y, dropout_mask, dtype):
    return (y if dropout_mask is None else y * dropout_mask.unsqueeze(-1)).to(dtype)


def periodic(u, k, before=0):
    """u, `before` samples late and zero up to 2L samples, convolved with k with period 2L: what a product of transforms
    of 2L points computes. Taps from 2L on are dropped."""
    length = u.shape[-1]
    return convolve(F.pad(u, (before, length - before)), k[..., :2 * length], mode="circular")


def reversed_tail(u, k):
    """y[t] = (k conv u)[-t mod 2L] for t < L: the product of the conjugated transforms of u and k."""
    return periodic(u, k).flip(-1).roll(1, -1)[..., :u.shape[-1]]
