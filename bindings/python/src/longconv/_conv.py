# SPDX-License-Identifier: BSD-3-Clause
"""The convolution of NumPy arrays."""
from typing import NamedTuple

import numpy

from . import _errors, _plans, _problem, _words
from ._arrays import Arrays, view
from ._prepared import PreparedFilter


class Request(NamedTuple):
    """A checked call: its problem, its arrays by their names in C, and what was copied."""

    problem: _problem.Problem
    arrays: dict
    prepared: PreparedFilter | None
    notes: list


def request(u, filter, *, skip, bias, pre_gate, post_gate, activation, mode, filter_future, future_first_lag, layout,
            state, return_state, backend):
    """Checks the arguments of `conv`, all but `out`."""
    arrays = Arrays(u)
    prepared = filter if isinstance(filter, PreparedFilter) else None
    if prepared is not None and filter_future is not None:
        raise _errors.InvalidArgumentError("filter_future: is part of a prepared filter and cannot be given beside it")
    taps, future = (prepared.taps, prepared.taps_future) if prepared is not None else (filter, filter_future)
    given = {"u": arrays.data("u", u), "filter": _rows(arrays.compute("filter", taps)),
             "filter_future": _rows(arrays.compute("filter_future", future)),
             "skip": arrays.compute("skip", skip), "bias": arrays.compute("bias", bias),
             "pre_gate": arrays.data("pre_gate", pre_gate), "post_gate": arrays.data("post_gate", post_gate),
             "state_in": arrays.compute("state", state)}
    if given["filter"] is None:
        raise _errors.InvalidArgumentError("filter: is needed, given None")
    terms = sum(bit for name, bit in _words.TERMS.items() if given.get(name) is not None)
    if return_state or state is not None:
        terms |= _words.TERMS["state"]
    problem = _problem.problem(
        given["u"].shape, _words.DTYPES[arrays.dtype_name], given["filter"].shape,
        None if given["filter_future"] is None else given["filter_future"].shape, mode=mode, layout=layout,
        activation=activation, future_first_lag=future_first_lag, terms=terms, backend=backend)
    if prepared is not None:
        del given["filter"], given["filter_future"]
    return Request(problem, {name: array for name, array in given.items() if array is not None}, prepared,
                   arrays.notes)


def _rows(filter):
    """One filter may be given as [taps]: all channels share it."""
    return filter[None] if filter is not None and filter.ndim == 1 else filter


def _output(out, u):
    if out is None:
        return numpy.empty(u.shape, u.dtype)
    if not isinstance(out, numpy.ndarray):
        raise _errors.InvalidArgumentError(f"out: expected a numpy array, given {type(out).__name__}")
    if out.dtype != u.dtype or not out.flags.writeable:
        raise _errors.InvalidArgumentError(
            f"out: expected a writable array of dtype {u.dtype.name}, given "
            f"{out.dtype.name}{'' if out.flags.writeable else ', read-only'}")
    if any(stride < 0 or stride % out.itemsize for stride in out.strides):
        raise _errors.InvalidArgumentError(f"out: expected non-negative strides of whole elements, given {out.strides}")
    return out


def conv(u, filter, *, skip=None, bias=None, pre_gate=None, post_gate=None, activation=None, mode="causal",
         filter_future=None, future_first_lag=1, layout="BDL", state=None, return_state=False, backend="auto", out=None):
    """Long convolution of each row of `u` with a filter, by FFT where that is faster:

        y = post_gate * activation(conv(pre_gate * u, filter) + skip * (pre_gate * u) + bias)

    u                [batch, channels, seqlen], or [batch, seqlen, channels] with layout="BLD"; float32, float64,
                     float16, or bfloat16 of ml_dtypes. Any non-negative strides are served without a copy.
    filter           taps, tap j at lag j: [channels, taps], [taps] or [1, taps] for all channels, [groups, taps], or
                     [batch, channels, taps]; or what `prepare` made. Converted to float32 (float64 for float64 data).
    skip, bias       [channels].
    pre_gate, post_gate  like u.
    activation       None, "gelu", "gelu_tanh" or "silu".
    mode             "causal", "anticausal", "twosided" (with filter_future, whose tap 0 acts at lag
                     -future_first_lag, 0 or 1) or "circular".
    state            [batch, channels, taps - 1]: what earlier samples still contribute (causal mode).
    return_state     also return the state after these samples.
    backend          "auto", or the name of one.
    out              array for the result; may be `u` itself.

    Returns y, or (y, state). Errors are subclasses of LongconvError. The GIL is released while C computes.
    """
    asked = request(u, filter, skip=skip, bias=bias, pre_gate=pre_gate, post_gate=post_gate, activation=activation,
                    mode=mode, filter_future=filter_future, future_first_lag=future_first_lag, layout=layout,
                    state=state, return_state=return_state, backend=backend)
    problem, arrays = asked.problem, asked.arrays
    plan = _plans.plan(problem)  # before anything is allocated: sizes that cannot be are refused here
    arrays["y"] = _output(out, arrays["u"])
    if return_state:
        shape = (problem.batch, problem.channels, max(problem.filter_len - 1, 0))
        arrays["state_out"] = numpy.empty(shape, numpy.float64 if problem.dtype == 1 else numpy.float32)
    _execute(plan, arrays, asked.prepared)
    return (arrays["y"], arrays["state_out"]) if return_state else arrays["y"]


def _execute(plan, arrays, prepared):
    tensors = {name: view(array) for name, array in arrays.items()}
    binding = _plans.bindings.get((plan.problem, *tensors.items()), lambda: _plans.Binding(plan, False, tensors))
    addresses = [array.__array_interface__["data"][0] for array in arrays.values()]
    if prepared is None:
        binding.run(addresses)
    else:
        prepared.run(binding, addresses)
