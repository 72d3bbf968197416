# SPDX-License-Identifier: BSD-3-Clause
"""The FFT convolution of cuDNN's Python front end (cudnn.ops.fft_causal_conv1d).

    from longconv.compat.cudnn import fft_causal_conv1d

What differs from the original: CPU tensors as well, any lengths (nothing is padded to powers of two), x and weight may
differ in dtype, the result is contiguous, and it is differentiable to any order."""
from . import _rows


def fft_causal_conv1d(x, weight):
    """y[t] = sum_j weight[j] x[t - j], in x's dtype.

    x       [batch, dim, seqlen]
    weight  [dim, taps]; weight[:, 0] is on the current sample. causal_conv1d of the same packages, and torch's Conv1d,
            store the oldest sample's weight first: for their weights pass weight.flip(-1).
    """
    _rows.expect(x.dim() == 3, "x", "[batch, dim, seqlen]", f"shape {tuple(x.shape)}")
    _rows.expect(weight.dim() == 2 and weight.shape[0] == x.shape[1], "weight", f"[{x.shape[1]}, taps]",
                 f"shape {tuple(weight.shape)}")
    return _rows.plain(x, weight)
