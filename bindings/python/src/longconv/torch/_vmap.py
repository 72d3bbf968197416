# SPDX-License-Identifier: BSD-3-Clause
"""How torch.func.vmap goes into a call. The mapped axis is folded into the batch where all filters, skips and biases are common to
its entries and none of their gradients is wanted, else into the channels, which multiplies the filters as well (one filter
that all channels share becomes one for each entry: groups)."""
from . import _kernels, _transformed
from ._kernels import BIAS, FILTER, FUTURE, SKIP

_PARAMETER_GRADS = FILTER | FUTURE | SKIP | BIAS


def _front(tensor, axis, count):
    """The tensor with the mapped axis first, expanded where it has none."""
    if tensor is None:
        return None
    return tensor.movedim(axis, 0) if axis is not None else tensor.expand(count, *tensor.shape)


class _Fold:
    """How the mapped axis of `count` entries is put into the tensors, and taken out of results.

    channels: fold into the channels, else into the batch. `layout` says which axis of data they are."""

    def __init__(self, count, channels, layout):
        self.count, self.channels = count, channels
        self.data_axis = (1 if layout == "BDL" else 2) if channels else 0
        self.state_axis = 1 if channels else 0

    def _merge(self, tensor, mapped, axis):
        tensor = _front(tensor, mapped, self.count)
        return None if tensor is None else tensor.movedim(0, axis).flatten(axis, axis + 1)

    def data(self, tensor, mapped):
        return self._merge(tensor, mapped, self.data_axis)

    def state(self, tensor, mapped):
        return self._merge(tensor, mapped, self.state_axis)

    def parameter(self, tensor, mapped):
        """A filter, skip or bias."""
        if tensor is None or (not self.channels and mapped is None and tensor.dim() < 3):
            return tensor
        per_sample = tensor.dim() - (mapped is not None) == 3
        return self._merge(tensor, mapped, 1 if per_sample and self.channels else 0)

    def apart(self, tensor, axis):
        """A result with the mapped axis first."""
        shape = tensor.shape[axis]
        return tensor.unflatten(axis, (self.count, shape // self.count)).movedim(axis, 0)


def _mapped(tensors, axes):
    return [axis if tensor is not None else None for tensor, axis in zip(tensors, axes)]


def _fold(info, tensors, axes, layout, always_channels=False):
    """The fold for (u, filter, future, skip, bias, pre_gate, post_gate, state) and those tensors folded."""
    _transformed.expect_entries(info)
    axes = _mapped(tensors, axes)
    fold = _Fold(info.batch_size, always_channels or any(axis is not None for axis in axes[1:5]), layout)
    how = [fold.data, *[fold.parameter] * 4, fold.data, fold.data, fold.state]
    return fold, [put(tensor, axis) for put, tensor, axis in zip(how, tensors, axes)]


def forward(call, info, axes, tensors, with_state, words):
    """vmap of `call`, conv_forward or the like: results and their axes."""
    fold, folded = _fold(info, tensors, axes, words[3])
    results = call(*folded, with_state, words)
    if not with_state:
        return fold.apart(results, fold.data_axis), 0
    return (fold.apart(results[0], fold.data_axis), fold.apart(results[1], fold.state_axis)), (0, 0)


def backward(call, info, axes, tensors, terms, grad_mask, words):
    """vmap of `call`, conv_backward or the like."""
    fold, folded = _fold(info, tensors[2:], axes[2:], words[3], always_channels=bool(grad_mask & _PARAMETER_GRADS))
    dy, dstate = fold.data(tensors[0], axes[0]), fold.state(tensors[1], axes[1])
    gradients = call(dy, dstate, *folded, terms, grad_mask, words)
    names = [name for name, bit in zip(_kernels.INPUTS, _kernels.BITS) if grad_mask & bit]
    results = [_gradient_apart(fold, name, gradient) for name, gradient in zip(names, gradients)]
    return results, [0] * len(results)


def _gradient_apart(fold, name, gradient):
    if name in ("u", "pre_gate", "post_gate"):
        return fold.apart(gradient, fold.data_axis)
    if name == "state":
        return fold.apart(gradient, fold.state_axis)
    return fold.apart(gradient, 1 if gradient.dim() == 3 else 0)
