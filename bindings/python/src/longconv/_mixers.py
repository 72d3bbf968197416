# SPDX-License-Identifier: BSD-3-Clause
"""Whole sequence-mixing layers of the C library, on NumPy arrays."""
import ctypes as c
from typing import NamedTuple

import numpy

from . import _errors, _options, _plans, _words
from ._arrays import Arrays, tensor_of
from ._native import library, structs

_INPUT, PARAMETER, _OUTPUT = 0, 1, 2


def mixers():
    """{name: {summary, formula, source, options}} of the layers that the C library has."""
    lib = library.library()
    return _options.listing(lib.lcv_mixer_count, lib.lcv_mixer_describe, lib.lcv_mixer_option, structs.MixerInfo)


class _Problem(NamedTuple):
    """The key of a mixer's plan."""

    mixer: str
    options: str
    dtype: int
    batch: int
    channels: int
    seqlen: int
    backend: str


class _MixerPlan:
    """Owns the plan of a mixer, and knows its ports."""

    def __init__(self, problem):
        lib, handle = library.library(), c.c_void_p()
        params = structs.MixerParams(
            struct_size=c.sizeof(structs.MixerParams), mixer=problem.mixer.encode(), options=problem.options.encode(),
            dtype=problem.dtype, batch=problem.batch, channels=problem.channels, seqlen=problem.seqlen,
            workspace_owner=1, backend=problem.backend.encode())
        library.check(lib.lcv_mixer_plan_create(library.context(), c.byref(params), c.byref(handle)))
        self.handle = handle
        library.own(self, lib.lcv_plan_destroy, handle)
        self.workspace_bytes = _options.describe(lib.lcv_plan_describe, structs.PlanInfo, handle)["workspace_bytes"]
        self.ports = _options.ports_of(lib.lcv_mixer_port, handle, lib.lcv_mixer_port_count(handle))

    def forward(self, arrays):
        """Executes on one array for each port, None where it is absent."""
        tensors = (structs.Tensor * len(arrays))(*(
            structs.Tensor() if array is None else tensor_of(array) for array in arrays))
        workspace, kept = _plans.scratch.of(self.workspace_bytes)
        args = structs.MixerArgs(struct_size=c.sizeof(structs.MixerArgs), port_count=len(arrays), tensors=tensors)
        args.exec.workspace, args.exec.workspace_bytes = workspace, self.workspace_bytes
        status = library.library().lcv_mixer_forward(self.handle, c.byref(args))
        del kept
        library.check(status)


def plan(mixer, options, dtype, batch, channels, seqlen, backend):
    """The plan of a mixer, made when it is not cached."""
    problem = _Problem(mixer, _options.text_of(options), dtype, batch, channels, seqlen, backend)
    return _plans.plans.get(problem, lambda: _MixerPlan(problem))


def _mix(mixer, parts, x, arguments, channels, backend):
    """The result of a mixer. `parts`: how many times the channels x has without an input projection."""
    given = {name: value for name, value in arguments.items() if isinstance(value, (numpy.ndarray, list, tuple))}
    options = {name: value for name, value in arguments.items() if name not in given}
    arrays = Arrays(x)
    x = arrays.data("x", x)
    if x.ndim != 3:
        raise _errors.InvalidArgumentError(f"x: expected rank 3, given shape {list(x.shape)}")
    time, across = (2, 1) if options.get("layout") == "bdl" else (1, 2)
    if channels is None:
        channels = x.shape[across] // (1 if options.get("projections", "both") in ("both", "in") else parts)
    found = plan(mixer, options, _words.DTYPES[arrays.dtype_name], x.shape[0], channels, x.shape[time], backend)
    unknown = sorted(set(given) - set(found.ports))
    if unknown:
        raise _errors.InvalidArgumentError(
            f"{', '.join(unknown)}: no array of this mixer with these options; it has {', '.join(found.ports)}")
    values = {"x": x, **{name: arrays.data(name, value) if found.ports[name]["role"] == _INPUT else
                         arrays.compute(name, value) for name, value in given.items()}}
    result = next(name for name, port in found.ports.items() if port["role"] == _OUTPUT)
    values[result] = numpy.empty(found.ports[result]["shape"], arrays.dtype)
    found.forward([values.get(name) for name in found.ports])
    return values[result]


def hyena(x, *, order=2, channels=None, backend="auto", **arguments):
    """A Hyena operator on x [batch, seqlen, channels]. Arguments that are arrays are the operator's arrays (filter,
    skip, in_weight, in_bias, short_weight, short_bias, out_weight, out_bias), others its options (order,
    projections="none", num_blocks, activation, layout="bdl", short_bias=False, ...). docs/operators.md lists both."""
    return _mix("hyena", order + 1, x, {"order": order, **arguments}, channels, backend)


def h3(x, *, channels=None, backend="auto", **arguments):
    """An H3 layer on x [batch, seqlen, channels], in the same way: filter, skip, shift_filter, shift_skip, in_weight,
    in_bias, out_weight, out_bias; options head_dim, shift_len, projections, ..."""
    return _mix("h3", 3, x, arguments, channels, backend)
