# SPDX-License-Identifier: BSD-3-Clause
"""The module of FlashFFTConv (flashfftconv/conv.py).

    from longconv.compat.flashfftconv import FlashFFTConv

What differs from the original:
- seqlen may be any positive number, not only powers of two from 256 to 4194304; u any real dtype, on CPU and CUDA.
- Sums are in float32; the original's are in float16 or bfloat16.
- One gate alone is served. Gradients are there in evaluation mode as well.
- There are no tables, so nothing in state_dict; keys of the original's tables in a checkpoint are passed over."""
import torch
import torch.nn.functional as F

from . import _rows


class FlashFFTConv(torch.nn.Module):
    """postgate * (k conv (pregate * u)), with period seqlen.

    seqlen            size of the transform, NOT the length of the data: the convolution is causal if
                      len(u) + len(k) - 1 <= seqlen, so for seqlen twice the length; with seqlen equal to the length of
                      u it is circular, and in between the end of the product wraps onto the start of y
    dtype             torch.float16 or torch.bfloat16, kept as an attribute: the data's own dtype counts, and comes back
    use_32_butterfly  has no effect
    """

    def __init__(self, seqlen, dtype=torch.float16, use_32_butterfly=True):
        super().__init__()
        _rows.expect(isinstance(seqlen, int) and seqlen > 0, "seqlen", "a positive integer", repr(seqlen))
        _rows.expect(isinstance(dtype, torch.dtype) and dtype.is_floating_point, "dtype", "a real dtype", repr(dtype))
        self.seqlen, self.dtype, self.use_32_butterfly = seqlen, dtype, use_32_butterfly

    def forward(self, u, k, pregate=None, postgate=None):
        """u and gates [batch, channels, length], k [channels, taps]; length at most seqlen, taps from seqlen on are
        dropped, as in the original."""
        _rows.expect(u.dim() == 3 and u.shape[-1] <= self.seqlen, "u",
                     f"[batch, channels, length up to seqlen, {self.seqlen}]", f"shape {tuple(u.shape)}")
        _rows.expect(k.dim() == 2, "k", "[channels, taps]", f"shape {tuple(k.shape)}")
        k, length = k[:, :self.seqlen], u.shape[-1]
        if length + k.shape[-1] - 1 <= self.seqlen:
            return _rows.plain(u, k, pre_gate=pregate, post_gate=postgate)
        missing = self.seqlen - length
        u, pregate, postgate = (None if x is None else F.pad(x, (0, missing)) for x in (u, pregate, postgate))
        return _rows.plain(u, k, pre_gate=pregate, post_gate=postgate, mode="circular")[..., :length]

    def _load_from_state_dict(self, *arguments):
        """Checkpoints of the original hold its tables here; there is nothing to load, and they are not unexpected."""

    def extra_repr(self):
        return f"{self.seqlen}, dtype={self.dtype}"
