# SPDX-License-Identifier: BSD-3-Clause
"""The convolution and its gradients as functions that JAX differentiates, any number of times (reverse mode).

The convolution is linear in the input and in the filter. With C(x, h) the convolution, A(g, h) the gradient by x and
F(g, x) the gradient by h, all for one trilinear form <g, C(x, h)>, the derivatives of each are the others. A first
derivative is one call of the C library. For a second one the gradients are written as C, A, F and elementwise operations,
which JAX differentiates."""
import dataclasses
import functools

import jax
import jax.numpy as jnp

from .. import _words
from . import _call, _fold

_BITS = tuple(_words.GRADS.values())
_U, _FILTERS = _words.GRADS["u"], _words.GRADS["filter"] | _words.GRADS["filter_future"]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def conv(words, tensors):
    """(y,) or (y, state_out) of the first eight tensors of _call.INPUTS."""
    return _fold.call(words, 0, (*tensors, None, None))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def gradients(words, wanted, tensors):
    """The gradients of the first eight of ten tensors, None where not in the mask `wanted`."""
    results = iter(_fold.call(words, wanted, tensors) if wanted else ())
    return tuple(next(results) if wanted & bit else None for bit in _BITS)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Perturbed:
    """Which tensors the loss is differentiated in."""

    flags: tuple


def _apart(primals):
    """What JAX says of the tensors: which are differentiated in, and their values."""
    return (_Perturbed(tuple(primal is not None and primal.perturbed for primal in primals)),
            tuple(None if primal is None else primal.value for primal in primals))


def _dense(cotangent):
    """Results that the loss does not depend on have cotangents without values."""
    if isinstance(cotangent, jax.custom_derivatives.SymbolicZero):
        return jnp.zeros(cotangent.shape, cotangent.dtype)
    return cotangent


def _conv_forward(words, primals):
    perturbed, tensors = _apart(primals)
    return conv(words, tensors), (perturbed, tensors)


def _conv_backward(words, kept, cotangents):
    (perturbed, tensors), (dy, dstate) = kept, (*cotangents, None)[:2]
    wanted = sum(bit for bit, want in zip(_BITS, perturbed.flags) if want)
    return (gradients(words, wanted, (*tensors, _dense(dy), _dense(dstate))),)


def _gradients_forward(words, wanted, primals):
    perturbed, tensors = _apart(primals)
    return gradients(words, wanted, tensors), (perturbed, tensors)


def _gradients_backward(words, wanted, kept, cotangents):
    perturbed, tensors = kept
    cotangents = tuple(_dense(cotangent) for cotangent in cotangents)
    if _is_trilinear(words, tensors) and wanted == _U:
        return (_of_adjoint(words, perturbed.flags, tensors, cotangents[0]),)
    if _is_trilinear(words, tensors) and not wanted & ~_FILTERS:
        return (_of_filter_gradient(words, perturbed.flags, tensors, cotangents[1:3]),)
    places = [place for place, want in enumerate(perturbed.flags) if want]

    def function(*some):
        return _composed(words, wanted, _replaced(tensors, places, some))
    _, pull = jax.vjp(function, *(tensors[place] for place in places))
    return (_replaced([None] * len(tensors), places, pull(cotangents)),)


conv.defvjp(_conv_forward, _conv_backward, symbolic_zeros=True)
gradients.defvjp(_gradients_forward, _gradients_backward, symbolic_zeros=True)


def _replaced(values, places, some):
    values = list(values)
    for place, value in zip(places, some):
        values[place] = value
    return tuple(values)


# ---- C, A and F ----

def _is_trilinear(words, tensors):
    """Has the call neither skip, bias, gates, activation nor state?"""
    return words.activation in (None, "none") and not words.with_state and all(
        tensor is None for tensor in tensors[3:8])


def _c(words, x, filter, future):
    return conv(words, (x, filter, future, *[None] * 5))[0]


def _af(words, wanted, g, x, filter, future):
    """The gradients in the mask; x counts only for those of filters, which count only for that of x."""
    return gradients(words, wanted, (x, filter, future, *[None] * 5, g, None))[:3]


def _of_adjoint(words, flags, tensors, v):
    """Cotangents of the ten tensors of A, from that of its result."""
    _, filter, future, *_, g, _ = tensors
    dg = _c(words, v, filter, future) if flags[8] else None
    wanted = sum(bit for bit, want in zip(_BITS[1:3], flags[1:3]) if want)
    _, dfilter, dfuture = _af(words, wanted, g, v, filter, future)
    return (None, dfilter, dfuture, *[None] * 5, dg, None)


def _of_filter_gradient(words, flags, tensors, cotangents):
    """Cotangents of the ten tensors of F, from those of its results; a gradient that is not computed has none."""
    x, filter, future, *_, g, _ = tensors
    w, w_future = (jnp.zeros_like(like) if cotangent is None and like is not None else cotangent
                   for cotangent, like in zip(cotangents, (filter, future)))
    dx = _af(words, _U, g, x, w, w_future)[0] if flags[0] else None
    dg = _c(words, x, w, w_future) if flags[8] else None
    return (dx, *[None] * 7, dg, None)


# ---- Gradients of whole calls from C, A and F ----

def _composed(words, wanted, tensors):
    """What `gradients` computes, in a form that can be differentiated."""
    *primals, dy, dstate = tensors
    if _is_trilinear(words, tensors):
        x, filter, future = primals[:3]
        found = [_af(words, part, dy, x, filter, future) if part else [None] * 3 for part in (wanted & _U, wanted & _FILTERS)]
        return (found[0][0], *found[1][1:], *[None] * 5)
    places = [place for place, bit in enumerate(_BITS) if wanted & bit]

    def function(*some):
        return _unfused(words, _replaced(primals, places, some))
    _, pull = jax.vjp(function, *(primals[place] for place in places))
    return _replaced([None] * len(_BITS), places, pull((dy, dstate) if words.with_state else (dy,)))


def _unfused(words, tensors):
    """What `conv` computes, from C and elementwise operations."""
    data_dtype = tensors[0].dtype
    compute = _call.compute_dtype(data_dtype)
    u, filter, future, skip, bias, pre_gate, post_gate, state = (
        None if tensor is None else tensor.astype(compute) for tensor in tensors)
    plain = words._replace(activation=None, with_state=False)
    x = u if pre_gate is None else pre_gate * u
    z, results = (_with_state(plain, x, filter, state) if words.with_state else
                  (_c(plain, x, filter, future), ()))
    z = z if skip is None else z + _along(skip, words.layout) * x
    z = z if bias is None else z + _along(bias, words.layout)
    y = _ACTIVATIONS[words.activation](z)
    y = y if post_gate is None else post_gate * y
    return (y.astype(data_dtype), *results)


def _with_state(words, x, filter, state):
    """The convolution of a chunk and (the outgoing state,): what all samples that the chunk reaches get from it."""
    time = _words.axes(words.layout)[1]
    length, count = x.shape[time], max(filter.shape[-1] - 1, 0)
    whole = _c(words, _pad(x, count, time), filter, None)
    if state is not None:
        whole = whole + _pad(state if time == 2 else state.swapaxes(1, 2), length, time)
    z, tail = jnp.split(whole, [length], time)
    return z, (tail if time == 2 else tail.swapaxes(1, 2),)


def _pad(array, count, time):
    return jnp.pad(array, [(0, count if axis == time else 0) for axis in range(array.ndim)])


def _along(vector, layout):
    return vector[:, None] if layout == "BDL" else vector


_ACTIVATIONS = {
    None: lambda z: z,
    "none": lambda z: z,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "silu": jax.nn.silu,
}
