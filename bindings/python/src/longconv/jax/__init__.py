# SPDX-License-Identifier: BSD-3-Clause
"""longconv for JAX: a differentiable long convolution on the CPU, for jit, vmap, grad and shard_map."""
from ._functional import conv
from ._handler import build, route

__all__ = ["conv", "build", "route"]
