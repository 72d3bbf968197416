# SPDX-License-Identifier: BSD-3-Clause
"""The functions that users and other modules of this package call. Each takes the shortest way: the kernel itself when
nothing records or traces, an autograd.Function when a gradient is wanted (of another make below the transforms of
torch.func), the registered operator when something traces (torch.compile, torch.export, fake tensors, subclasses)."""
import torch
from torch.autograd import forward_ad

from .. import _errors, _words
from . import _double, _inputs, _kernels, _ops, _prepared, _transformed, _vmap

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_TENSOR, _TENSOR_OR_NONE = torch.Tensor, (torch.Tensor, type(None))
_length_of_modes = torch._C._len_torch_dispatch_stack
_transforms = torch._C._functorch.peek_interpreter_stack


def _direct(tensors):
    """May the kernel be called on these tensors without the dispatcher?"""
    if torch.compiler.is_compiling():
        return False
    if forward_ad._current_level >= 0:
        _refuse_tangents(tensors)
    if _length_of_modes() or not (tensors[0].is_cpu or tensors[0].is_cuda):
        return False
    for tensor in tensors:
        if tensor is not None and (type(tensor) not in _PLAIN or tensor.is_neg()):
            return False
    return True


def _refuse_tangents(tensors):
    """Forward-mode differentiation would lose them."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return
    for tensor in tensors:
        if tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None:
            _transformed.refuse_forward_mode()


def _records(tensors):
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                return True
    return False


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, filter, future, skip, bias, pre_gate, post_gate, state, with_state, words):
        tensors = (u, filter, future, skip, bias, pre_gate, post_gate, state)
        _double.save_forward(ctx, tensors, ctx.needs_input_grad, with_state, words)
        ctx.set_materialize_grads(False)
        ctx.u_shape, ctx.u_dtype = u.shape, u.dtype
        return _kernels.forward(*tensors, with_state, words)

    @staticmethod
    def backward(ctx, dy, dstate=None):
        if dy is None:
            if dstate is None:
                return (None,) * 10
            dy = dstate.new_zeros(ctx.u_shape, dtype=ctx.u_dtype)
        return (*_double.backward_of_forward(ctx, dy, dstate), None, None)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *arguments):
        *tensors, terms, grad_mask, words = arguments
        _double.save_backward(ctx, tensors, terms, grad_mask, words)
        ctx.set_materialize_grads(False)
        return tuple(_kernels.backward(*arguments))

    @staticmethod
    def backward(ctx, *cotangents):
        return (*_double.backward_of_backward(ctx, cotangents), None, None, None)


# What Function.apply calls once it has looked for transforms of torch.func; conv_forward and conv_backward have looked.
_apply_forward = super(torch.autograd.Function, _Forward).apply
_apply_backward = super(torch.autograd.Function, _Backward).apply


class _MappedForward(torch.autograd.Function):
    """The same for torch.func, whose transforms want what is kept to be said apart; it takes longer to enter."""

    @staticmethod
    def forward(*arguments):
        return conv_forward(*arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, with_state, words = inputs
        _double.save_forward(ctx, tensors, ctx.needs_input_grad, with_state, words)

    @staticmethod
    def backward(ctx, dy, dstate=None):
        return (*_double.backward_of_forward(ctx, dy, dstate), None, None)

    @staticmethod
    def vmap(info, axes, *arguments):
        *tensors, with_state, words = arguments
        return _vmap.forward(conv_forward, info, axes[:8], tensors, with_state, words)


class _MappedBackward(torch.autograd.Function):
    @staticmethod
    def forward(*arguments):
        return tuple(conv_backward(*arguments))

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, terms, grad_mask, words = inputs
        _double.save_backward(ctx, tensors, terms, grad_mask, words)

    @staticmethod
    def backward(ctx, *cotangents):
        return (*_double.backward_of_backward(ctx, cotangents), None, None, None)

    @staticmethod
    def vmap(info, axes, *arguments):
        *tensors, terms, grad_mask, words = arguments
        results, places = _vmap.backward(conv_backward, info, axes[:10], tensors, terms, grad_mask, words)
        return tuple(results), tuple(places)


def conv_forward(*arguments):
    """The convolution of tensors with the right dtypes; arguments as of _kernels.forward."""
    tensors = arguments[:8]
    if not _direct(tensors):
        return _ops.call_forward(*arguments)
    if _transforms() is not None:
        return _MappedForward.apply(*arguments)
    return _apply_forward(*arguments) if _records(tensors) else _kernels.forward(*arguments)


def conv_backward(*arguments):
    """The gradients in the mask; arguments as of _kernels.backward."""
    tensors = arguments[:10]
    if not _direct(tensors):
        return _ops.call_backward(*arguments)
    if _transforms() is not None:
        return _MappedBackward.apply(*arguments)
    return _apply_backward(*arguments) if _records(tensors) else _kernels.backward(*arguments)


def conv(u, filter, *, skip=None, bias=None, pre_gate=None, post_gate=None, activation=None, mode="causal",
         filter_future=None, future_first_lag=1, layout="BDL", state=None, return_state=False, backend="auto"):
    """longconv.conv for tensors, differentiable to any order in all of them.

    The arguments are those of longconv.conv; `filter` may be what `prepare` made, and has no gradient then. Filters,
    skip, bias and state are converted to float32 (float64 for float64 data); under autocast the data is converted to
    autocast's dtype and they are not. The result is contiguous.
    """
    prepared = None
    if isinstance(filter, _prepared.PreparedFilter):
        prepared = filter
        filter, filter_future = _taps_of(prepared, u, filter_future)
    if not (isinstance(u, _TENSOR) and isinstance(filter, _TENSOR) and isinstance(filter_future, _TENSOR_OR_NONE) and
            isinstance(pre_gate, _TENSOR_OR_NONE) and isinstance(post_gate, _TENSOR_OR_NONE)):
        _refuse_types(u=u, filter=filter, filter_future=filter_future, pre_gate=pre_gate, post_gate=post_gate)
    if activation is None:
        activation = "none"
    _check_words(activation, mode, layout)
    device = "cpu" if u.is_cpu else "cuda"
    if torch.is_autocast_enabled(device) and u.device.type == device:
        u, pre_gate, post_gate = (_ops.autocast_data(tensor, device) for tensor in (u, pre_gate, post_gate))
    if filter.dim() == 1:
        filter = filter.unsqueeze(0)
    if filter_future is not None and filter_future.dim() == 1:
        filter_future = filter_future.unsqueeze(0)
    compute = torch.float64 if u.dtype == torch.float64 else torch.float32
    with_state = return_state or state is not None
    words = (activation, mode, future_first_lag, layout, backend)
    tensors = (u, _as("filter", filter, compute), _as("filter_future", filter_future, compute), _as("skip", skip, compute),
               _as("bias", bias, compute), pre_gate, post_gate, _as("state", state, compute))
    if prepared is not None and _direct(tensors) and _transforms() is None and not _records(tensors):
        result = _kernels.forward_prepared(prepared, u, *tensors[3:], with_state, words)
    else:
        result = conv_forward(*tensors, with_state, words)
    return result[0] if with_state and not return_state else result


def _refuse_types(**given):
    """Of these at least one is no tensor where one is needed."""
    for argument, tensor in given.items():
        if tensor is not None or argument in ("u", "filter"):
            _inputs.expect_tensor(argument, tensor)


def _taps_of(prepared, u, filter_future):
    """The taps of a prepared filter that goes with u."""
    if filter_future is not None:
        raise _errors.InvalidArgumentError("filter_future: is part of a prepared filter and cannot be given beside it")
    _inputs.expect_tensor("u", u)
    taps = prepared.taps
    if taps.device != u.device or (taps.dtype == torch.float64) != (u.dtype == torch.float64):
        raise _errors.InvalidArgumentError(
            f"filter: was prepared in {taps.dtype} on {taps.device}, given u of {u.dtype} on {u.device}")
    return taps, prepared.taps_future


def _as(argument, tensor, dtype):
    if tensor is None:
        return None
    if not isinstance(tensor, _TENSOR):
        _inputs.expect_tensor(argument, tensor)
    if tensor.dtype == dtype:
        return tensor
    if tensor.dtype.is_complex:
        raise _errors.InvalidArgumentError(f"{argument}: expected real numbers, given a tensor of dtype {tensor.dtype}")
    return tensor.to(dtype)


def _check_words(activation, mode, layout):
    try:
        if activation in _words.ACTIVATIONS and mode in _words.MODES and layout in _words.LAYOUTS:
            return
    except TypeError:  # what cannot be looked up, such as a list
        pass
    for table, argument, word in ((_words.ACTIVATIONS, "activation", activation), (_words.MODES, "mode", mode),
                                  (_words.LAYOUTS, "layout", layout)):
        _words.number(table, argument, word)
