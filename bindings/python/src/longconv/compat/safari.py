# SPDX-License-Identifier: BSD-3-Clause
"""The convolutions of safari (src/ops/fftconv.py, src/models/sequence/hyena.py, standalone_hyena.py).

    from longconv.compat.safari import fftconv_func, fftconv_ref

What differs from the originals:
- Any length, also odd ones and above 8192 (the fused kernel's limits), on CPU and CUDA, u of any real dtype.
- A filter longer than u is causal: taps that reach before the sequence add nothing. The plain original multiplies
  transforms of 2L points, so for L < K its late taps wrap around and bring in the future.
- Rounding is longconv's: sums in float32 (float64 for float64 data or filters).
- Autocast does not change the precision, as in the originals."""
import torch

from . import _rows


def fftconv_ref(u, k, D, dropout_mask, gelu=True, k_rev=None):
    """gelu(k conv u + D u) * dropout_mask, in u's dtype.

    u             [batch, channels, seqlen]; with more axes the channels are the third axis from the right
    k             [channels, taps], k[j] at lag j; one row for each group of consecutive channels is served too
    D             [channels]; with more axes whatever broadcasts against u without its last axis
    dropout_mask  [batch, channels] or None; multiplied in after the GELU, without a factor 1 / (1 - p) of its own
    gelu          the exact (erf) GELU; it is on unless switched off
    k_rev         as k, k_rev[j] at lag -j: lag 0 gets k[0] + k_rev[0], both
    """
    return _rows.fftconv(u, k, D, dropout_mask, gelu, k_rev)


def fftconv(u, k, D):
    """k conv u + D u: the function of the stand-alone file, without GELU."""
    return _rows.fftconv(u, k, D, None, False, None)


def fftconv_func(u, k, D, dropout_mask=None, gelu=True, force_fp16_output=False, output_hbl_layout=False, v=None,
                 head_dim=1, q=None, fftfp16=False, k_rev=None):
    """q * gelu(k conv (v u) + D v u) * dropout_mask: the fused operator.

    u, v, q            [batch, channels, seqlen]; the gates v and q may be None
    k, D               [channels / head_dim, taps] and [channels / head_dim]
    dropout_mask       [batch, channels] or None
    force_fp16_output  float16 comes back, unless u is bfloat16
    output_hbl_layout  the result's memory has the order [channels, batch, seqlen]; its shape stays
    head_dim           above 1, v and q are needed: every channel of u in a head meets every channel of v in it, and the
                       products are summed over u's channels with weights q. The channels come out in the order
                       (head, channel of v); the plain module of H3 has (channel of v, head)
    fftfp16            has no effect: transforms keep float32
    """
    _rows.expect(u.dim() == 3, "u", "[batch, channels, seqlen]", f"shape {tuple(u.shape)}")
    gated = {"k_rev": k_rev, "activation": "gelu" if gelu else None}
    if head_dim == 1:
        y = _rows.convolve(u, k, skip=D, pre_gate=v, post_gate=q, **gated)
    else:
        y = _heads(u, k, D, v, q, head_dim, gated)
    half = force_fp16_output and u.dtype != torch.bfloat16
    y = _rows.masked(y, dropout_mask, torch.float16 if half else u.dtype)
    return y.transpose(0, 1).contiguous().transpose(0, 1) if output_hbl_layout else y


def _heads(u, k, D, v, q, size, words):
    """head_dim^2 convolutions for each head, which share its filter."""
    _rows.expect(v is not None and q is not None, "v, q", f"tensors (head_dim is {size})", "None")
    _rows.expect(u.shape[1] % size == 0, "head_dim", f"a divisor of u's {u.shape[1]} channels", size)
    u, v, q = (_rows.wide(x, k).unflatten(1, (-1, size)) for x in (u, v, q))
    outer = (u[:, :, :, None] * v[:, :, None]).flatten(1, 3)
    y = _rows.convolve(outer, k, skip=D.repeat_interleave(size * size), **words).unflatten(1, (-1, size, size))
    return (q[:, :, :, None] * y).sum(2).flatten(1, 2)


def fftconv_h3_ref(k, ssm_kernel, D, q, v, head_dim=1, ssm_kernel_rev=None):
    """The H3 mixing step: q * (ssm_kernel conv (k v) + D k v), with outer products for head_dim above 1.

    k is the data here and ssm_kernel the filter; else as fftconv_func, channels in the order (head, channel of v)."""
    return fftconv_func(k, ssm_kernel, D, gelu=False, v=v, head_dim=head_dim, q=q, k_rev=ssm_kernel_rev)
