# SPDX-License-Identifier: BSD-3-Clause
"""longconv for PyTorch: a differentiable long convolution, and layers made of it."""
import torch  # noqa: F401  first, so that the C library shares its OpenMP runtime

from ._functional import conv
from ._prepared import PreparedFilter, prepare
from .dense import CKConv, FlexConv
from .evo2 import Evo2Layer, HyenaCascade
from .families import FilterFamily
from .gated import GSS, BiGS
from .h3 import H3
from .hyena import HyenaFilter, HyenaOperator
from .layers import LongConv
from .liquid import LiquidS4
from .long_conv import ButterflyConv, LongConvLayer
from .mega import MegaEMA
from .mixers import Mixer
from .monarch import MonarchLinear
from .rwkv import RWKVTimeMix
from .s4_block import S4Block
from .s5 import S5
from .ssm import DSS, S4, S4D

__all__ = ["conv", "prepare", "PreparedFilter", "LongConv", "HyenaFilter", "HyenaOperator", "H3", "FilterFamily", "S4",
           "S4D", "DSS", "S4Block", "S5", "MegaEMA", "GSS", "BiGS", "CKConv", "FlexConv", "LiquidS4", "LongConvLayer",
           "ButterflyConv", "HyenaCascade", "Evo2Layer", "RWKVTimeMix", "MonarchLinear", "Mixer"]
