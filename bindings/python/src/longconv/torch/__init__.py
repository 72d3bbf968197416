# SPDX-License-Identifier: BSD-3-Clause
"""longconv for PyTorch: a differentiable long convolution, and layers made of it."""
import torch  # noqa: F401  first, so that the C library shares its OpenMP runtime

from ._functional import conv
from ._prepared import PreparedFilter, prepare
from .families import FilterFamily
from .gated import GSS, BiGS
from .h3 import H3
from .hyena import HyenaFilter, HyenaOperator
from .layers import LongConv
from .mega import MegaEMA
from .mixers import Mixer
from .ssm import DSS, S4D

__all__ = ["conv", "prepare", "PreparedFilter", "LongConv", "HyenaFilter", "HyenaOperator", "H3", "FilterFamily", "S4D",
           "DSS", "MegaEMA", "GSS", "BiGS", "Mixer"]
