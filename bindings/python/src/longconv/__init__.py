# SPDX-License-Identifier: BSD-3-Clause
"""Long convolutions by FFT, forward and backward: NumPy here, PyTorch in `longconv.torch`, JAX in
`longconv.jax`.

    import longconv, numpy as np
    u = np.random.randn(2, 64, 8192).astype(np.float32)      # batch, channels, seqlen
    y = longconv.conv(u, filter)                             # filter [channels, taps]: y[t] = sum_j filter[j] u[t - j]
"""
from . import filters, ops
from ._conv import conv
from ._describe import Explanation, explain, info
from ._errors import (BackendFailedError, BusyError, DeviceLostError, IncompatibleError, InternalError,
                      InvalidArgumentError, LongconvError, NoDeviceError, OutOfMemoryError, TooLargeError,
                      UnsupportedError, VersionMismatchError, WorkspaceTooSmallError)
from ._mixers import h3, hyena, mixers
from ._plans import cache_info, clear_cache, set_cache_limit
from ._prepared import PreparedFilter, prepare
from ._stream import MixerStream, Stream

__all__ = [
    "conv", "filters", "ops", "hyena", "h3", "mixers", "prepare", "PreparedFilter", "Stream", "MixerStream", "info", "explain",
    "Explanation", "cache_info", "clear_cache", "set_cache_limit", "LongconvError", "InvalidArgumentError", "UnsupportedError",
    "OutOfMemoryError", "TooLargeError", "WorkspaceTooSmallError", "BusyError", "IncompatibleError", "NoDeviceError",
    "DeviceLostError", "BackendFailedError", "VersionMismatchError", "InternalError",
]
