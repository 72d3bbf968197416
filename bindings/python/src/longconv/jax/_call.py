# SPDX-License-Identifier: BSD-3-Clause
"""One call of the C library inside a JAX program: its problem, the shapes of its results, and the two ways to run it.

A call is (words, grad_mask, tensors): the tensors in the order of INPUTS, None where absent; grad_mask 0 is forward."""
import ctypes as c
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy

from .. import _errors, _plans, _problem, _words
from .._arrays import view
from .._native import library, structs
from . import _handler

INPUTS = ("u", "filter", "filter_future", "skip", "bias", "pre_gate", "post_gate", "state_in", "dy", "dstate_out")
GRADIENTS = tuple(_words.GRADS)  # the first eight, as users name them


class Words(NamedTuple):
    """What a call says besides its tensors."""

    activation: str | None
    mode: str
    future_first_lag: int
    layout: str
    backend: str
    with_state: bool


def compute_dtype(dtype):
    """Of filters, skip, bias and state that go with data of `dtype`."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def state_shape(u, filter, layout):
    return u.shape[0], u.shape[_words.axes(layout)[0]], max(filter.shape[-1] - 1, 0)


def _terms(words, tensors):
    bits = (_words.TERMS[name] for name, tensor in zip(INPUTS[3:7], tensors[3:7]) if tensor is not None)
    return sum(bits) + (_words.TERMS["state"] if words.with_state else 0)


def problem(words, grad_mask, tensors):
    """The problem of a call; errors name the argument."""
    u, filter, future = tensors[:3]
    return _problem.problem(u.shape, _words.DTYPES[u.dtype.name], filter.shape, None if future is None else future.shape,
                            mode=words.mode, layout=words.layout, activation=words.activation,
                            future_first_lag=words.future_first_lag, terms=_terms(words, tensors), backend=words.backend,
                            grad_mask=grad_mask)


def outputs(words, grad_mask, tensors):
    """{name in the args struct: shape and dtype} of the results."""
    if grad_mask:
        given = zip(GRADIENTS, tensors)
        return {"dstate_in" if name == "state" else f"d{name}": jax.ShapeDtypeStruct(tensor.shape, tensor.dtype)
                for name, tensor in given if grad_mask & _words.GRADS[name]}
    u, filter = tensors[:2]
    results = {"y": jax.ShapeDtypeStruct(u.shape, u.dtype)}
    if words.with_state:
        results["state_out"] = jax.ShapeDtypeStruct(state_shape(u, filter, words.layout), compute_dtype(u.dtype))
    return results


def _workspace_bytes(found):
    """Of the plan; the question makes none, and refuses what no plan can be made for."""
    params, info = found.params(), structs.PlanInfo(struct_size=c.sizeof(structs.PlanInfo))
    library.check(library.library().lcv_conv_query(library.context(), c.byref(params), c.byref(info)))
    return info.workspace_bytes


def run(words, grad_mask, tensors):
    """The results, a list."""
    found, results = problem(words, grad_mask, tensors), outputs(words, grad_mask, tensors)
    for shape in results.values():
        if math.prod(shape.shape) * shape.dtype.itemsize >= 2 ** 63:
            raise _errors.TooLargeError(f"u: results of shape {shape.shape} do not fit 64-bit sizes")
    workspace_bytes = _workspace_bytes(found)
    given = {name: tensor for name, tensor in zip(INPUTS, tensors) if tensor is not None}
    if _handler.route() == "callback":
        return _callback(found, bool(grad_mask), given, results)
    return _foreign(found, given, results, workspace_bytes)


def _foreign(found, given, results, workspace_bytes):
    """Through the handler in C. The numbers are in the order that handler.c reads them in."""
    inputs = sum(1 << place for place, name in enumerate(INPUTS) if name in given)
    numbers = [found.dtype, found.mode, found.layout, found.filter_form, found.activation, found.batch, found.channels,
               found.seqlen, found.filter_len, found.filter_future_len, found.future_first_lag, found.filter_groups,
               found.terms, found.grad_mask, inputs]
    workspace = jax.ShapeDtypeStruct((workspace_bytes,), jnp.uint8)
    call = jax.ffi.ffi_call(_handler.TARGET, [*results.values(), workspace])
    return call(*given.values(), problem=numpy.array(numbers, numpy.int64), backend=found.backend)[:-1]


def _callback(found, backward, given, results):
    """Through Python."""
    names = [*given, *results]

    def execute(*values):
        arrays = [numpy.ascontiguousarray(value) for value in values]
        made = [numpy.empty(shape.shape, shape.dtype) for shape in results.values()]
        tensors = {name: view(array) for name, array in zip(names, (*arrays, *made))}
        binding = _plans.bindings.get((found, *tensors.items()),
                                      lambda: _plans.Binding(_plans.plan(found), backward, tensors))
        binding.run([array.__array_interface__["data"][0] for array in (*arrays, *made)])
        return made
    return jax.pure_callback(execute, list(results.values()), *given.values())
