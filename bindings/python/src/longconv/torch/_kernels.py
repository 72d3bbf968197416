# SPDX-License-Identifier: BSD-3-Clause
"""Runs the C library on PyTorch tensors: no autograd here.

A call names its tensors in the order of INPUTS and its words as a tuple WORDS; what is absent is None."""
import contextlib
import functools
import os

import torch

from .. import _errors, _plans, _problem, _words
from .._native import structs

INPUTS = ("u", "filter", "filter_future", "skip", "bias", "pre_gate", "post_gate", "state")  # also of the gradients
WORDS = ("activation", "mode", "future_first_lag", "layout", "backend")
_DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
_DEVICES = {"cpu": _words.CPU, "cuda": _words.CUDA}
BITS = tuple(_words.GRADS[name] for name in INPUTS)
_entries = _plans.bindings.entries  # looked up without a call

U, FILTER, FUTURE = _words.GRADS["u"], _words.GRADS["filter"], _words.GRADS["filter_future"]
SKIP, BIAS, PRE, POST = (_words.GRADS[name] for name in ("skip", "bias", "pre_gate", "post_gate"))
STATE = _words.GRADS["state"]


def compute_dtype(dtype):
    """Of filters, skip, bias and state that go with data of `dtype`."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def threads():
    """PyTorch's setting, unless the environment has one for this library."""
    return 0 if _environment_decides else torch.get_num_threads()


_environment_decides = "LONGCONV_NUM_THREADS" in os.environ


def _key(kind, tensors, words):
    """Everything but addresses."""
    key = [kind, words, threads()]
    for tensor in tensors:
        if tensor is None:
            key.append(None)
        else:
            key += tensor.dtype, tensor.shape, tensor.stride(), tensor.get_device()
    return tuple(key)


def _view(name, tensor):
    if tensor.dtype not in _DTYPES:
        raise _errors.InvalidArgumentError(
            f"{name}: expected dtype float32, float64, float16 or bfloat16, given {tensor.dtype}")
    if tensor.device.type not in _DEVICES:
        raise _errors.InvalidArgumentError(f"{name}: expected a tensor on the CPU or on CUDA, given {tensor.device}")
    if tensor.layout != torch.strided:
        raise _errors.InvalidArgumentError(f"{name}: expected a dense tensor, given layout {tensor.layout}")
    return (_DTYPES[tensor.dtype], tuple(tensor.shape), tensor.stride(), _DEVICES[tensor.device.type],
            max(tensor.get_device(), 0))


def tensor_of(tensor):
    """An lcv_tensor of a tensor, which must outlive it."""
    dtype, shape, strides, device, index = _view("filter", tensor)
    return structs.tensor(tensor.data_ptr(), dtype, shape, strides, device, index)


def problem(data, filter, future, terms, grad_mask, words, shape=None):
    """The problem of tensors: `data` is u or has its shape, or `shape` is given."""
    word = dict(zip(WORDS, words))
    dtype, of_data, _, device, index = _view("u", data)
    return _problem.problem(of_data if shape is None else shape, dtype, tuple(filter.shape), None if future is None else tuple(future.shape),
                            terms=terms, grad_mask=grad_mask, device=device, device_index=index, threads=threads(),
                            **word)


def _bind(key, backward, problem_found, data, inputs, outputs):
    """Makes the binding of a key. inputs: {name in the args struct: tensor or None}; outputs: {name: (shape, dtype)}."""
    views = {}
    for name, tensor in inputs.items():
        if tensor is None:
            continue
        views[name] = _view(name, tensor)
        if tensor.device != data.device:
            raise _errors.InvalidArgumentError(f"{name}: expected a tensor on {data.device}, given {tensor.device}")
    _, _, _, device, index = _view("u", data)
    for name, (shape, dtype) in outputs.items():
        views[name] = _DTYPES[dtype], tuple(shape), _contiguous(shape), device, index
    with device_of(data):
        return _plans.bindings.get(key, lambda: _plans.Binding(_plans.plan(problem_found), backward, views))


def _contiguous(shape):
    strides, distance = [], 1
    for size in reversed(shape):
        strides.insert(0, distance)
        distance *= max(size, 1)
    return tuple(strides)


def device_of(tensor):
    """The guard within which C works on a tensor."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()


def resources(plan, tensor):
    """What an execution on the device of a tensor gets besides its tensors, and what must live until it is enqueued."""
    if not tensor.is_cuda:
        return {}, None
    workspace = torch.empty(plan.workspace_bytes, dtype=torch.uint8, device=tensor.device)
    stream = torch.cuda.current_stream(tensor.device).cuda_stream
    return {"workspace": workspace.data_ptr(), "stream": stream}, workspace


def _run(binding, data, tensors, prepared=None):
    addresses = [tensor.data_ptr() for tensor in tensors if tensor is not None]
    if prepared is None and not data.is_cuda:
        binding.run(addresses)
        return
    run = binding.run if prepared is None else functools.partial(prepared.run, binding)
    with device_of(data):
        given, kept = resources(binding.plan, data)
        run(addresses, **given)
        del kept


def terms_of(skip, bias, pre_gate, post_gate, with_state):
    """Bits of the terms that are given."""
    return (SKIP_TERM * (skip is not None) | BIAS_TERM * (bias is not None) | PRE_TERM * (pre_gate is not None) |
            POST_TERM * (post_gate is not None) | STATE_TERM * with_state)


SKIP_TERM, BIAS_TERM, PRE_TERM, POST_TERM, STATE_TERM = _words.TERMS.values()


def state_shape(data, filter, layout):
    """Of the carried state."""
    return data.shape[0], data.shape[1 if layout == "BDL" else 2], max(filter.shape[-1] - 1, 0)


def _like(tensor):
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _results(make, *arguments):
    """New tensors; where there is no memory for them, this package's own error."""
    try:
        return make(*arguments)
    except RuntimeError as failure:
        raise _errors.OutOfMemoryError(f"no memory for a result: {failure}") from failure


def _forward_results(u, filter, with_state, layout):
    if not with_state:
        return (_like(u),)
    return _like(u), torch.empty(state_shape(u, filter, layout), dtype=compute_dtype(u.dtype), device=u.device)


def forward(u, filter, future, skip, bias, pre_gate, post_gate, state, with_state, words):
    """y, or (y, state_out) with_state."""
    inputs = (u, filter, future, skip, bias, pre_gate, post_gate, state)
    key = _key(with_state, inputs, words)
    binding = _entries.get(key) or _first_forward(key, inputs, filter, future, with_state, words)
    results = _results(_forward_results, u, filter, with_state, words[3])
    _run(binding, u, (*inputs, *results))
    return results if with_state else results[0]


def forward_prepared(prepared, u, skip, bias, pre_gate, post_gate, state, with_state, words):
    """The same with a prepared filter."""
    filter, future = prepared.taps, prepared.taps_future
    inputs = (u, None, None, skip, bias, pre_gate, post_gate, state)
    key = _key((with_state, filter.shape, None if future is None else future.shape), inputs, words)
    binding = _entries.get(key) or _first_forward(key, inputs, filter, future, with_state, words)
    results = _results(_forward_results, u, filter, with_state, words[3])
    _run(binding, u, (*inputs, *results), prepared)
    return results if with_state else results[0]


def _first_forward(key, inputs, filter, future, with_state, words):
    u, _, _, skip, bias, pre_gate, post_gate, _ = inputs
    terms = terms_of(skip, bias, pre_gate, post_gate, with_state)
    found = problem(u, filter, future, terms, 0, words)
    outputs = {"y": (u.shape, u.dtype)}
    if with_state:
        outputs["state_out"] = state_shape(u, filter, words[3]), compute_dtype(u.dtype)
    return _bind(key, False, found, u, dict(zip((*INPUTS[:-1], "state_in"), inputs)), outputs)


def gradient_shapes(dy, filter, future, grad_mask, layout):
    """{name: (shape, dtype)} of the gradients in grad_mask, in the order of INPUTS."""
    compute, channels = compute_dtype(dy.dtype), dy.shape[1 if layout == "BDL" else 2]
    data, vector = (dy.shape, dy.dtype), ((channels,), compute)
    every = {"u": data, "filter": (filter.shape, compute),
             "filter_future": None if future is None else (future.shape, compute), "skip": vector, "bias": vector,
             "pre_gate": data, "post_gate": data}
    if grad_mask & STATE:
        every["state"] = state_shape(dy, filter, layout), compute
    return {name: every[name] for name, bit in zip(INPUTS, BITS) if grad_mask & bit}


def backward(dy, dstate, u, filter, future, skip, bias, pre_gate, post_gate, state, terms, grad_mask, words):
    """The gradients in grad_mask, in the order of INPUTS. Inputs that they do not depend on may be None; `filter` and
    `future` are always given, for their shapes."""
    inputs = (u, filter, future, skip, bias, pre_gate, post_gate, state, dy, dstate)
    key = _key((terms, grad_mask), inputs, words)
    binding = _entries.get(key) or _first_backward(key, inputs, terms, grad_mask, words)
    gradients = _results(_gradients, dy, filter, future, grad_mask, words[3])
    _run(binding, dy, (*inputs, *gradients))
    return gradients


def _gradients(dy, filter, future, grad_mask, layout):
    """The same as new tensors; where they are like one that is there, in the cheapest way."""
    prototypes = (dy, filter, future, None, None, dy, dy, None)
    if not grad_mask & (SKIP | BIAS | STATE):
        return [_like(prototype) for prototype, bit in zip(prototypes, BITS) if grad_mask & bit]
    shapes = gradient_shapes(dy, filter, future, grad_mask, layout).values()
    return [torch.empty(shape, dtype=dtype, device=dy.device) for shape, dtype in shapes]


def _first_backward(key, inputs, terms, grad_mask, words):
    filter, future, dy = inputs[1], inputs[2], inputs[8]
    shapes = gradient_shapes(dy, filter, future, grad_mask, words[3])
    found = problem(dy, filter, future, terms, grad_mask, words)
    names = (*INPUTS[:-1], "state_in", "dy", "dstate_out")
    outputs = {f"d{name}" if name != "state" else "dstate_in": shape for name, shape in shapes.items()}
    return _bind(key, True, found, dy, dict(zip(names, inputs)), outputs)


@functools.lru_cache(maxsize=1024)
def needed(terms, grad_mask, activation):
    """Which inputs backward depends on, in the order of INPUTS; the filters count always, for their shapes."""
    with_z = bool(grad_mask & POST) or (bool(grad_mask & ~POST) and activation != "none")
    with_dx = bool(grad_mask & (U | PRE))
    with_x = with_z or bool(grad_mask & (FILTER | FUTURE | SKIP | PRE))
    with_pre = with_z or bool(grad_mask & (FILTER | FUTURE | SKIP | U))
    return (with_x, True, True, with_dx or with_z, with_z, with_pre, bool(grad_mask & ~POST), with_z)
