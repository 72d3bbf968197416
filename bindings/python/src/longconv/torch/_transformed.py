# SPDX-License-Identifier: BSD-3-Clause
"""Operators on lists of tensors below the transforms of torch.func, which operators of the dispatcher do not serve by
themselves: gradients, and vmap with one call for each entry."""
from typing import Callable, NamedTuple

import torch

from .. import _errors


class Pair(NamedTuple):
    """forward(arrays, *words) and backward(dresults, arrays, wanted, *words), both to lists. The bits of `wanted` say which
    arrays get a gradient; those of `name` have none of their own."""

    name: str
    forward: Callable
    backward: Callable


def is_active():
    """Is a transform of torch.func around this call?"""
    return not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack() is not None


def gradients(pair, dresults, arrays, words, needed):
    """One for each array, None where it is not needed."""
    wanted = sum(1 << bit for bit, needs in enumerate(needed) if needs)
    found = iter(pair.backward(list(dresults), list(arrays), wanted, *words))
    return [next(found) if needs else None for needs in needed]


def refuse_again(name):
    """What a gradient of gradients is answered with."""
    raise _errors.UnsupportedError(f"the gradients of a {name} cannot be differentiated again")


def expect_entries(info):
    if info.batch_size == 0:
        raise _errors.UnsupportedError("vmap over no entries is not served")


def refuse_forward_mode():
    raise _errors.UnsupportedError("forward-mode differentiation is not served; use reverse mode")


class _Forward(torch.autograd.Function):
    """All tensors come last."""

    @staticmethod
    def forward(pair, words, *arrays):
        return tuple(pair.forward(list(arrays), *words))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.pair, ctx.words, *arrays = inputs
        ctx.save_for_backward(*arrays)

    @staticmethod
    def backward(ctx, *dresults):
        return (None, None, *gradients(ctx.pair, dresults, ctx.saved_tensors, ctx.words, ctx.needs_input_grad[2:]))

    @staticmethod
    def jvp(ctx, *_):
        refuse_forward_mode()

    @staticmethod
    def vmap(info, axes, pair, words, *arrays):
        results, places = mapped(pair.forward, info, [arrays], [axes[2:]], words)
        return tuple(results), tuple(places)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(pair, words, count, *tensors):
        return tuple(pair.backward(list(tensors[:count]), list(tensors[count:]), *words))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name = inputs[0].name

    @staticmethod
    def backward(ctx, *_):
        refuse_again(ctx.name)

    @staticmethod
    def jvp(ctx, *_):
        refuse_forward_mode()

    @staticmethod
    def vmap(info, axes, pair, words, count, *tensors):
        lists, places = ((given[:count], given[count:]) for given in (tensors, axes[3:]))
        results, places = mapped(pair.backward, info, lists, places, words)
        return tuple(results), tuple(places)


def forward(pair, arrays, words):
    return list(_Forward.apply(pair, words, *arrays))


def backward(pair, dresults, arrays, wanted, words):
    return list(_Backward.apply(pair, (wanted, *words), len(dresults), *dresults, *arrays))


def mapped(call, info, lists, axes, words):
    """vmap, one call for each entry: `lists` of tensors with their axes; results get the mapped axis in front."""
    expect_entries(info)
    calls = [call(*([tensor if axis is None else tensor.select(axis, entry) for tensor, axis in zip(tensors, places)]
                    for tensors, places in zip(lists, axes)), *words) for entry in range(info.batch_size)]
    results = [torch.stack(parts) for parts in zip(*calls)]
    return results, [0] * len(results)
