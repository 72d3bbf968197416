# SPDX-License-Identifier: BSD-3-Clause
"""vmap of a call. The mapped axis is folded into the batch where filters, skip and bias are common to its entries and none of
their gradients is wanted, else into the channels, which multiplies the filters as well (one filter that all channels share
becomes one for each entry: groups)."""
import functools

import jax
import jax.numpy as jnp

from .. import _words
from . import _call

_PARAMETERS = ("filter", "filter_future", "skip", "bias")
_PARAMETER_GRADS = sum(_words.GRADS[name] for name in _PARAMETERS)


def call(words, grad_mask, tensors):
    """_call.run, with a rule for vmap."""
    given = tuple(place for place, tensor in enumerate(tensors) if tensor is not None)
    return _mapped(words, grad_mask, given)(*(tensors[place] for place in given))


def _places(given, values):
    """Values at their places among all inputs, None elsewhere."""
    tensors = [None] * len(_call.INPUTS)
    for place, value in zip(given, values):
        tensors[place] = value
    return tensors


@functools.lru_cache(maxsize=1024)
def _mapped(words, grad_mask, given):
    @jax.custom_batching.custom_vmap
    def run(*present):
        return tuple(_call.run(words, grad_mask, _places(given, present)))

    @run.def_vmap
    def rule(count, mapped, *present):
        names = [_call.INPUTS[place] for place in given]
        channels = bool(grad_mask & _PARAMETER_GRADS) or any(
            is_mapped for name, is_mapped in zip(names, mapped) if name in _PARAMETERS)
        folded = [_fold(name, value, is_mapped, count, channels, words.layout)
                  for name, value, is_mapped in zip(names, present, mapped)]
        shapes = _call.outputs(words, grad_mask, _places(given, folded))
        results = call(words, grad_mask, _places(given, folded))
        apart = tuple(_unfold(name, result, count, channels, words.layout) for name, result in zip(shapes, results))
        return apart, (True,) * len(apart)
    return run


def _axis(name, rank, channels, layout):
    """The axis of an unmapped tensor that the mapped axis goes into."""
    name = name.removeprefix("d").removesuffix("_in").removesuffix("_out")
    if name in _PARAMETERS:
        return 1 if rank == 3 and channels else 0
    if not channels:
        return 0
    return 1 if name == "state" else _words.axes(layout)[0]


def _fold(name, value, is_mapped, count, channels, layout):
    rank = value.ndim - is_mapped
    if name in _PARAMETERS and not channels and rank < 3:
        return value
    whole = value if is_mapped else jnp.broadcast_to(value, (count, *value.shape))
    axis = _axis(name, rank, channels, layout)
    shape = whole.shape[1:]
    return jnp.moveaxis(whole, 0, axis).reshape(*shape[:axis], count * shape[axis], *shape[axis + 1:])


def _unfold(name, result, count, channels, layout):
    axis = _axis(name, result.ndim, channels, layout)
    shape = result.shape
    return jnp.moveaxis(result.reshape(*shape[:axis], count, shape[axis] // count, *shape[axis + 1:]), axis, 0)
