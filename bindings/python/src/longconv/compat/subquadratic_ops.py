# SPDX-License-Identifier: BSD-3-Clause
"""The FFT convolution of subquadratic_ops (also subquadratic_ops_torch), which is that of cuDNN's front end.

    from longconv.compat.subquadratic_ops import fft_causal_conv1d

Differences and the order of the taps: longconv.compat.cudnn."""
from .cudnn import fft_causal_conv1d

__all__ = ["fft_causal_conv1d"]
