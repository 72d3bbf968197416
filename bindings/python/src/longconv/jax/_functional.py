# SPDX-License-Identifier: BSD-3-Clause
"""The function that users call: it checks and converts the arguments."""
import jax.numpy as jnp

from .. import _errors, _words
from . import _call, _derivatives


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
    """longconv.conv for JAX arrays on the CPU, differentiable to any order in all of them (reverse mode).

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
    results = _derivatives.conv(words, tensors)
    return results if return_state else results[0]
