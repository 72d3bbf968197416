# SPDX-License-Identifier: BSD-3-Clause
"""The operators as PyTorch's dispatcher knows them: torch.ops.longconv.conv, conv_state and conv_backward, with their
schemas, shapes without data, automatic differentiation, autocast and vmap. They are for tracing (torch.compile,
torch.export, torch.func): `longconv.torch.conv` calls the kernels directly where nothing traces."""
import torch

from . import _double, _kernels, _vmap

_WORDS = "str activation, str mode, int future_first_lag, str layout, str backend"
_PARAMETERS = "Tensor? filter_future, Tensor? skip, Tensor? bias, Tensor? pre_gate, Tensor? post_gate"
SCHEMAS = {
    "conv": f"(Tensor u, Tensor filter, {_PARAMETERS}, {_WORDS}) -> Tensor",
    "conv_state": f"(Tensor u, Tensor filter, {_PARAMETERS}, Tensor? state, {_WORDS}) -> (Tensor, Tensor)",
    "conv_backward": f"(Tensor dy, Tensor? dstate, Tensor? u, Tensor filter, {_PARAMETERS}, Tensor? state, int terms, "
                     f"int grad_mask, {_WORDS}) -> Tensor[]",
}
library = torch.library.Library("longconv", "DEF")
for _name, _schema in SCHEMAS.items():
    library.define(_name + _schema)


def conv(u, filter, future, skip, bias, pre_gate, post_gate, *words):
    return _kernels.forward(u, filter, future, skip, bias, pre_gate, post_gate, None, False, words)


def conv_state(u, filter, future, skip, bias, pre_gate, post_gate, state, *words):
    return _kernels.forward(u, filter, future, skip, bias, pre_gate, post_gate, state, True, words)


def conv_backward(dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state, terms, grad_mask, *words):
    return _kernels.backward(dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state, terms, grad_mask,
                             words)


for _device in ("CPU", "CUDA"):
    for _name, _kernel in (("conv", conv), ("conv_state", conv_state), ("conv_backward", conv_backward)):
        library.impl(_name, _kernel, _device)


# ---- Shapes without data ----

@torch.library.register_fake("longconv::conv", lib=library)
def _(u, filter, *rest):
    return u.new_empty(u.shape)


@torch.library.register_fake("longconv::conv_state", lib=library)
def _(u, filter, *rest):
    channels = u.shape[1] if rest[-2] == "BDL" else u.shape[2]
    length = torch.sym_max(filter.shape[-1] - 1, 0)
    return u.new_empty(u.shape), u.new_empty((u.shape[0], channels, length), dtype=_kernels.compute_dtype(u.dtype))


@torch.library.register_fake("longconv::conv_backward", lib=library)
def _(dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state, terms, grad_mask, *words):
    shapes = _kernels.gradient_shapes(dy, filter, future, grad_mask, words[3])
    return [dy.new_empty(shape, dtype=dtype) for shape, dtype in shapes.values()]


# ---- Differentiation ----

def _save(ctx, inputs, with_state):
    u, filter, future, skip, bias, pre_gate, post_gate = inputs[:7]
    state, words = (inputs[7], inputs[8:]) if with_state else (None, inputs[7:])
    tensors = (u, filter, future, skip, bias, pre_gate, post_gate, state)
    _double.save_forward(ctx, tensors, ctx.needs_input_grad[:7 + with_state], with_state, words)


def _conv_setup(ctx, inputs, output):
    _save(ctx, inputs, False)


def _conv_gradients(ctx, dy):
    return (*_double.backward_of_forward(ctx, dy, None)[:7], *[None] * 5)


def _state_setup(ctx, inputs, output):
    _save(ctx, inputs, True)


def _state_gradients(ctx, dy, dstate):
    return (*_double.backward_of_forward(ctx, dy, dstate), *[None] * 5)


def _backward_setup(ctx, inputs, output):
    _double.save_backward(ctx, inputs[:10], inputs[10], inputs[11], inputs[12:])


def _backward_gradients(ctx, gradients):
    return (*_double.backward_of_backward(ctx, gradients), *[None] * 7)


torch.library.register_autograd("longconv::conv", _conv_gradients, setup_context=_conv_setup, lib=library)
torch.library.register_autograd("longconv::conv_state", _state_gradients, setup_context=_state_setup, lib=library)
torch.library.register_autograd("longconv::conv_backward", _backward_gradients, setup_context=_backward_setup,
                                lib=library)


# ---- vmap ----

def call_forward(*arguments):
    """The operator, with the arguments of _kernels.forward."""
    *tensors, with_state, words = arguments
    if with_state:
        return torch.ops.longconv.conv_state(*tensors, *words)
    return torch.ops.longconv.conv(*tensors[:-1], *words)


def call_backward(*arguments):
    """The operator, with the arguments of _kernels.backward."""
    return torch.ops.longconv.conv_backward(*arguments[:-1], *arguments[-1])


@torch.library.register_vmap("longconv::conv", lib=library)
def _(info, axes, *arguments):
    return _vmap.forward(call_forward, info, (*axes[:7], None), (*arguments[:7], None), False, arguments[7:])


@torch.library.register_vmap("longconv::conv_state", lib=library)
def _(info, axes, *arguments):
    return _vmap.forward(call_forward, info, axes[:8], arguments[:8], True, arguments[8:])


@torch.library.register_vmap("longconv::conv_backward", lib=library)
def _(info, axes, *arguments):
    return _vmap.backward(call_backward, info, axes[:10], arguments[:10], *arguments[10:12], arguments[12:])


# ---- Autocast: data in the lower precision, filters, skip, bias and state in float32 ----

def autocast_data(tensor, device):
    """A data tensor as autocast wants it."""
    if tensor is None or tensor.dtype == torch.float64 or not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.get_autocast_dtype(device))


def autocast_parameter(tensor, data):
    """A parameter in the compute dtype of the data."""
    return None if tensor is None else tensor.to(_kernels.compute_dtype(data.dtype))


def _autocast(operator, device, with_state):
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device.upper()}"))

    def cast(u, filter, future, skip, bias, pre_gate, post_gate, *rest):
        u, pre_gate, post_gate = (autocast_data(tensor, device) for tensor in (u, pre_gate, post_gate))
        parameters = [autocast_parameter(tensor, u) for tensor in (filter, future, skip, bias)]
        if with_state:
            rest = (autocast_parameter(rest[0], u), *rest[1:])
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operator(u, *parameters, pre_gate, post_gate, *rest)
    return cast


for _device in ("cpu", "cuda"):
    for _name in ("conv", "conv_state"):
        _operator = getattr(torch.ops.longconv, _name).default
        library.impl(_name, _autocast(_operator, _device, _name == "conv_state"), f"Autocast{_device.upper()}")
