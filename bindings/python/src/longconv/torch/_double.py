# SPDX-License-Identifier: BSD-3-Clause
"""Gradients of gradients, shared by the operators and by the functions of _functional.

The convolution is linear in the input and in the filter. With C(x, h) the convolution, A(g, h) the gradient by x and
F(g, x) the gradient by h, for one trilinear form T(g, x, h) = <g, C(x, h)>, the derivatives of each are the others:
C by x is A, by h is F; A by g is C, by h is F; F by g is C, by x is A. Each is one call of the C library, so every order
of differentiation is served. Gates, skip, bias, activation and carried state are put around them from elementwise
operations when a second derivative is asked for."""
import math

import torch
from torch.nn import functional

from . import _kernels
from ._kernels import BIAS, BITS, FILTER, FUTURE, POST, PRE, SKIP, STATE, U


# ---- What is kept between forward and backward ----

def save_forward(ctx, tensors, wanted, with_state, words):
    """Keeps of the inputs what the wanted gradients depend on."""
    _, _, _, skip, bias, pre_gate, post_gate, _ = tensors
    ctx.words, ctx.terms = words, _kernels.terms_of(skip, bias, pre_gate, post_gate, with_state)
    ctx.grad_mask = sum(bit for bit, want, tensor in zip(BITS, wanted, tensors) if want and tensor is not None)
    keep = _kernels.needed(ctx.terms, ctx.grad_mask, words[0])
    ctx.save_for_backward(*(tensor if kept else None for tensor, kept in zip(tensors, keep)))


def backward_of_forward(ctx, dy, dstate):
    """Gradients of all eight inputs, None where not wanted."""
    if ctx.grad_mask == 0:
        return [None] * 8
    from ._functional import conv_backward
    return _spread(conv_backward(dy, dstate, *ctx.saved_tensors, ctx.terms, ctx.grad_mask, ctx.words), ctx.grad_mask)


def save_backward(ctx, tensors, terms, grad_mask, words):
    """Keeps the inputs of a backward."""
    ctx.terms, ctx.grad_mask, ctx.words = terms, grad_mask, words
    ctx.save_for_backward(*tensors)


def _spread(gradients, grad_mask):
    """A list of the gradients in the mask as eight entries."""
    following = iter(gradients)
    return [next(following) if grad_mask & bit else None for bit in BITS]


def backward_of_backward(ctx, cotangents):
    """Gradients of (dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state)."""
    tensors = ctx.saved_tensors
    cotangents = _spread(cotangents, ctx.grad_mask)
    if all(cotangent is None for cotangent in cotangents):
        return [None] * len(tensors)
    if ctx.terms == 0 and ctx.words[0] == "none":
        if ctx.grad_mask == U:
            return _of_adjoint(tensors, cotangents[0], ctx.words, ctx.needs_input_grad)
        if ctx.grad_mask & ~(FILTER | FUTURE) == 0:
            return _of_filter_gradient(tensors, cotangents[1], cotangents[2], ctx.words, ctx.needs_input_grad)
    return _of_unfused(tensors, cotangents, ctx)


# ---- C, A and F ----

def _c(x, filter, future, words):
    from ._functional import conv_forward
    return conv_forward(x, filter, future, None, None, None, None, None, False, words)


def _a(g, filter, future, words):
    from ._functional import conv_backward
    return conv_backward(g, None, None, filter, future, None, None, None, None, None, 0, U, words)[0]


def _f(g, x, filter, future, mask, words):
    """The gradients by filter and future; None where not in the mask."""
    from ._functional import conv_backward
    gradients = _spread(conv_backward(g, None, x, filter, future, None, None, None, None, None, 0, mask, words), mask)
    return gradients[1], gradients[2]


def _filters(future):
    return FILTER | (FUTURE if future is not None else 0)


def _of_adjoint(tensors, v, words, wanted):
    g, _, _, filter, future = tensors[:5]
    dg = _c(v, filter, future, words) if wanted[0] else None
    dfilter, dfuture = _f(g, v, filter, future, _filters(future), words) if wanted[3] or wanted[4] else (None, None)
    return dg, None, None, dfilter, dfuture, None, None, None, None, None


def _of_filter_gradient(tensors, w, w_future, words, wanted):
    g, _, x, filter, future = tensors[:5]
    w = torch.zeros_like(filter) if w is None else w
    if future is not None and w_future is None:
        w_future = torch.zeros_like(future)
    dg = _c(x, w, w_future, words) if wanted[0] else None
    dx = _a(g, w, w_future, words) if wanted[2] else None
    return dg, None, dx, None, None, None, None, None, None, None


# ---- With gates, skip, bias, activation and state ----

def _of_unfused(tensors, cotangents, ctx):
    """Computes the gradients again from C, A, F and elementwise operations, and differentiates those."""
    with torch.enable_grad():
        aliases = [tensor if tensor is None or not want else tensor.view_as(tensor)
                   for tensor, want in zip(tensors, ctx.needs_input_grad)]
        results = _spread(_unfused(aliases, ctx.terms, ctx.grad_mask, ctx.words), ctx.grad_mask)
        pairs = [(result, cotangent) for result, cotangent in zip(results, cotangents)
                 if cotangent is not None and result.requires_grad]
        wanted = [i for i, alias in enumerate(aliases) if alias is not None and ctx.needs_input_grad[i]]
        found = [None] * len(wanted)
        if pairs and wanted:
            found = torch.autograd.grad([result for result, _ in pairs], [aliases[i] for i in wanted],
                                        [cotangent for _, cotangent in pairs], allow_unused=True,
                                        create_graph=_again(pairs, aliases))
    gradients = [None] * len(tensors)
    for i, gradient in zip(wanted, found):
        gradients[i] = gradient
    return gradients


def _again(pairs, aliases):
    """Is a third derivative possible? Only if the caller records."""
    return any(cotangent.requires_grad for _, cotangent in pairs) or any(
        alias is not None and alias.requires_grad for alias in aliases)


def _unfused(tensors, terms, grad_mask, words):
    """What the fused backward computes, in the compute dtype."""
    data_dtype, layout = tensors[0].dtype, words[3]
    compute = _kernels.compute_dtype(data_dtype)
    dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state = (
        None if tensor is None else tensor.to(compute) for tensor in tensors)
    time = 2 if layout == "BDL" else 1
    x = u if u is None or pre_gate is None else pre_gate * u
    plain = ("none", *words[1:])
    g = dy if post_gate is None else post_gate * dy
    gradients, dz = {}, g
    if _kernels.needed(terms, grad_mask, words[0])[4]:
        z = _linear(x, filter, future, skip, bias, state, plain)
        if grad_mask & POST:
            gradients[POST] = dy * _activation(words[0], z)
        dz = g * _derivative(words[0], z)
    whole, whole_x = dz, x
    if terms & _kernels.STATE_TERM:
        length = max(filter.shape[-1] - 1, 0)
        whole, whole_x = _extended(dz, dstate, length, time), None if x is None else _pad(x, length, time)
        if grad_mask & STATE:
            part = whole.narrow(time, 0, length)
            gradients[STATE] = part if time == 2 else part.transpose(1, 2)
    if grad_mask & (U | PRE):
        dx = _a(whole, filter, future, plain).narrow(time, 0, dy.shape[time])
        dx = dx if skip is None else dx + _along(skip, layout) * dz
        gradients[U] = dx if pre_gate is None else pre_gate * dx
        gradients[PRE] = dx * u if grad_mask & PRE else None
    if grad_mask & (FILTER | FUTURE):
        gradients[FILTER], gradients[FUTURE] = _f(whole, whole_x, filter, future, grad_mask & (FILTER | FUTURE), plain)
    if grad_mask & SKIP:
        gradients[SKIP] = (dz * x).sum((0, time))
    if grad_mask & BIAS:
        gradients[BIAS] = dz.sum((0, time))
    return [gradients[bit].to(data_dtype if bit & (U | PRE | POST) else compute) for bit in BITS if grad_mask & bit]


def _linear(x, filter, future, skip, bias, state, words):
    """The sum before the activation."""
    layout = words[3]
    z = _c(x, filter, future, words)
    z = z if skip is None else z + _along(skip, layout) * x
    z = z if bias is None else z + _along(bias, layout)
    if state is None:
        return z
    time, length = (2, x.shape[2]) if layout == "BDL" else (1, x.shape[1])
    tail = state if time == 2 else state.transpose(1, 2)
    return z + _pad(tail, length, time).narrow(time, 0, length)


def _along(vector, layout):
    return vector[:, None] if layout == "BDL" else vector


def _pad(tensor, count, time):
    return functional.pad(tensor, (0, count) if time == 2 else (0, 0, 0, count))


def _extended(dz, dstate, length, time):
    """The gradient by the convolution of all samples that the chunk reaches: its own, then the state."""
    if dstate is None:
        return _pad(dz, length, time)
    return torch.cat([dz, dstate if time == 2 else dstate.transpose(1, 2)], time)


_C0, _C1 = math.sqrt(2 / math.pi), 0.044715


def _activation(name, z):
    return {"none": lambda: z, "gelu": lambda: functional.gelu(z),
            "gelu_tanh": lambda: functional.gelu(z, approximate="tanh"), "silu": lambda: functional.silu(z)}[name]()


def _derivative(name, z):
    """The derivative of an activation, from operations that PyTorch differentiates to any order."""
    if name == "none":
        return torch.ones_like(z)
    if name == "gelu":
        return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    if name == "gelu_tanh":
        t = torch.tanh(_C0 * (z + _C1 * z ** 3))
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * _C0 * (1 + 3 * _C1 * z * z)
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))
