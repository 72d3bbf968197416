# SPDX-License-Identifier: BSD-3-Clause
"""The function that users call, and its derivative."""
import dataclasses
import functools

import jax
import jax.numpy as jnp

from .. import _errors, _words
from . import _call, _fold


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(words, tensors):
    """(y,) or (y, state_out)."""
    return _fold.call(words, 0, (*tensors, None, None))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Wanted:
    """Of which tensors a gradient is wanted: bits of _words.GRADS."""

    mask: int


def _conv_forward(words, primals):
    """Also tells which tensors the loss is differentiated in; the gradients of the others are not computed."""
    wanted = sum(bit for bit, primal in zip(_words.GRADS.values(), primals) if primal is not None and primal.perturbed)
    tensors = tuple(None if primal is None else primal.value for primal in primals)
    return _conv(words, tensors), (_Wanted(wanted), tensors)


def _conv_backward(words, kept, cotangents):
    (wanted, tensors), (dy, dstate) = kept, (*cotangents, None)[:2]
    return (_gradients(words, wanted.mask, (*tensors, _dense(dy), _dense(dstate))),)


def _dense(cotangent):
    """Results that the loss does not depend on have cotangents without values."""
    if isinstance(cotangent, jax.custom_derivatives.SymbolicZero):
        return jnp.zeros(cotangent.shape, cotangent.dtype)
    return cotangent


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gradients(words, wanted, tensors):
    """The gradients of the first eight tensors, None where none is wanted."""
    results = iter(_fold.call(words, wanted, tensors) if wanted else ())
    return tuple(next(results) if wanted & bit else None for bit in _words.GRADS.values())


def _refuse_second(*_):
    raise _errors.UnsupportedError("longconv.jax.conv: second derivatives are not served")


_conv.defvjp(_conv_forward, _conv_backward, symbolic_zeros=True)
_gradients.defvjp(_refuse_second, _refuse_second)


def _array(name, value, dtype=None):
    """The argument as an array: of `dtype` exactly (data), or converted to it (compute)."""
    if value is None:
        return None
    value = jnp.asarray(value)
    if value.dtype.name not in _words.DTYPES and not jnp.issubdtype(value.dtype, jnp.integer):
        raise _errors.InvalidArgumentError(f"{name}: expected real numbers, given dtype {value.dtype}")
    return value if dtype is None else value.astype(dtype)


def _data(name, value, u):
    value = _array(name, value)
    if value is not None and (value.dtype != u.dtype or value.shape != u.shape):
        raise _errors.InvalidArgumentError(
            f"{name}: expected u's dtype and shape, {u.dtype} {u.shape}, given {value.dtype} {value.shape}")
    return value


def _shaped(name, value, dtype, shape):
    value = _array(name, value, dtype)
    if value is not None and value.shape != shape:
        raise _errors.InvalidArgumentError(f"{name}: expected shape {shape}, given {value.shape}")
    return value


def _taps(name, value, dtype):
    value = _array(name, value, dtype)
    return value[None] if value is not None and value.ndim == 1 else value


def conv(u, filter, *, skip=None, bias=None, pre_gate=None, post_gate=None, activation=None, mode="causal",
         filter_future=None, future_first_lag=1, layout="BDL", state=None, return_state=False, backend="auto"):
    """longconv.conv for JAX arrays on the CPU, differentiable once in all of them (reverse mode).

    The arguments are those of longconv.conv, without `out`. Filters, skip, bias and state are converted to float32
    (float64 for float64 data). Works under jit, vmap, grad and shard_map.
    """
    u = _array("u", u)
    if u.dtype.name not in _words.DTYPES:
        raise _errors.InvalidArgumentError(f"u: expected dtype {', '.join(_words.DTYPES)}, given {u.dtype}")
    if u.ndim != 3:
        raise _errors.InvalidArgumentError(f"u: expected rank 3, given shape {u.shape}")
    compute = _call.compute_dtype(u.dtype)
    filter = _taps("filter", filter, compute)
    if filter is None:
        raise _errors.InvalidArgumentError("filter: is needed, given None")
    words = _call.Words(activation, mode, future_first_lag, layout, backend, return_state or state is not None)
    per_channel = (u.shape[_words.axes(layout)[0]],)
    tensors = (u, filter, _taps("filter_future", filter_future, compute),
               _shaped("skip", skip, compute, per_channel), _shaped("bias", bias, compute, per_channel),
               _data("pre_gate", pre_gate, u), _data("post_gate", post_gate, u),
               _shaped("state", state, compute, _call.state_shape(u, filter, layout)))
    results = _conv(words, tensors)
    return results if return_state else results[0]
