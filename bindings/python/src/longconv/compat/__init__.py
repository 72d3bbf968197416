# SPDX-License-Identifier: BSD-3-Clause
"""The long convolution of other projects, under their names and signatures: one module for each origin, to be imported
instead of the original. longconv computes; what the originals do beyond the formula is in the docstrings.

    safari, h3         fftconv_func, fftconv_ref, fftconv_h3_ref (safari also fftconv of the stand-alone file)
    hyenadna           fftconv_func, fftconv_ref
    flashfftconv       FlashFFTConv
    vortex, savanna    fftconv_func
    cudnn              fft_causal_conv1d
    subquadratic_ops   fft_causal_conv1d

The modules need PyTorch. Inputs and outputs are its tensors, differentiable to any order."""
