# SPDX-License-Identifier: BSD-3-Clause
"""The convolutions of the H3 repository (src/ops/fftconv.py), which are safari's.

    from longconv.compat.h3 import fftconv_func, fftconv_ref, fftconv_h3_ref

Differences and quirks: longconv.compat.safari."""
from .safari import fftconv_func, fftconv_h3_ref, fftconv_ref

__all__ = ["fftconv_func", "fftconv_ref", "fftconv_h3_ref"]
