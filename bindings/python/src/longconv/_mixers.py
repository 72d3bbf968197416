# SPDX-License-Identifier: BSD-3-Clause
"""Whole sequence-mixing layers of the C library, on NumPy arrays."""
import ctypes as c
from typing import NamedTuple

import numpy

from . import _errors, _options, _plans, _words
from ._arrays import Arrays, tensor_of
from ._native import library, structs

INPUT, PARAMETER, OUTPUT = 0, 1, 2


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
    backward: bool = False
    device: int = _words.CPU
    threads: int = 0


class _MixerPlan:
    """Owns the plan of a mixer, and knows its ports."""

    def __init__(self, problem):
        lib, handle = library.library(), c.c_void_p()
        params = structs.MixerParams(
            struct_size=c.sizeof(structs.MixerParams), mixer=_words.text("mixer", problem.mixer),
            options=problem.options.encode(), dtype=problem.dtype, device=problem.device, backward=problem.backward,
            workspace_owner=1, backend=_words.text("backend", problem.backend),
            **{name: _words.whole(name, getattr(problem, name)) for name in ("batch", "channels", "seqlen")})
        library.check(lib.lcv_mixer_plan_create(library.context(problem.threads), c.byref(params), c.byref(handle)))
        self.handle = handle
        library.own(self, lib.lcv_plan_destroy, handle)
        self.workspace_bytes = _options.describe(lib.lcv_plan_describe, structs.PlanInfo, handle)["workspace_bytes"]
        self.ports = _options.ports_of(lib.lcv_mixer_port, handle, lib.lcv_mixer_port_count(handle))

    def ports_of(self, role):
        """The names of the ports of a role, in order."""
        return [name for name, port in self.ports.items() if port["role"] == role]

    def forward(self, arrays):
        """Executes on arrays by name; those of ports that are not there are absent."""
        self.execute(self._tensors(arrays))

    def backward(self, arrays, gradients):
        """The same with the outputs' gradients in `arrays`; writes those of `gradients`."""
        self.execute(self._tensors(arrays), self._tensors(gradients))

    def initial(self, name, seed):
        """The initial value of a parameter, None for the taps of a long filter."""
        port, lib = self.ports[name], library.library()
        value = numpy.empty(port["shape"], numpy.float64 if port["dtype"] == 1 else numpy.float32)
        tensor, index = tensor_of(value), lib.lcv_mixer_port_find(self.handle, name.encode())
        try:
            library.check(lib.lcv_mixer_initialise(self.handle, index, _words.seed(seed), c.byref(tensor)))
        except _errors.UnsupportedError:
            return None
        return value

    def _tensors(self, arrays):
        return (structs.Tensor * len(self.ports))(*(
            tensor_of(arrays[name]) if arrays.get(name) is not None else structs.Tensor() for name in self.ports))

    def execute(self, tensors, gradients=None, workspace=None, stream=None):
        """Executes on one lcv_tensor for each port, backward with `gradients`; `workspace` None: this thread's memory."""
        lib, kept = library.library(), None
        if workspace is None:
            workspace, kept = _plans.scratch.of(self.workspace_bytes)
        args = structs.MixerArgs(struct_size=c.sizeof(structs.MixerArgs), port_count=len(self.ports), tensors=tensors)
        args.exec.stream, args.exec.workspace, args.exec.workspace_bytes = stream, workspace, self.workspace_bytes
        if gradients is None:
            status = lib.lcv_mixer_forward(self.handle, c.byref(args))
        else:
            args.gradients = gradients
            status = lib.lcv_mixer_backward(self.handle, c.byref(args))
        del kept
        library.check(status)


def plan(mixer, options, dtype, batch, channels, seqlen, backend, backward=False, **where):
    """The plan of a mixer, made when it is not cached. `options`: by name, or their text."""
    if not isinstance(options, (str, dict)):
        raise _errors.InvalidArgumentError(f"options: expected a dictionary, given {options!r}")
    text = options if isinstance(options, str) else _options.text_of(options)
    problem = _Problem(mixer, text, dtype, batch, channels, seqlen, backend, backward, **where)
    return _plans.plans.get(problem, lambda: _MixerPlan(problem))


class Call:
    """The plan and the arrays of one call of a mixer. Arguments that are arrays are the mixer's arrays, others its
    options. `first` is the first input, which says batch, seqlen, and channels unless they are given."""

    def __init__(self, mixer, first, arguments, channels, backend, backward):
        given = {name: value for name, value in arguments.items() if isinstance(value, (numpy.ndarray, list, tuple))}
        options = {name: value for name, value in arguments.items() if name not in given}
        self.taken = Arrays(first)
        first = self.taken.data("x", first)
        if first.ndim != 3:
            raise _errors.InvalidArgumentError(f"x: expected rank 3, given shape {list(first.shape)}")
        time, across = (2, 1) if options.get("layout") == "bdl" else (1, 2)

        def plan_for(count):
            return plan(mixer, options, _words.DTYPES[self.taken.dtype_name], first.shape[0], count, first.shape[time],
                        backend, backward)
        count = first.shape[across] if channels is None else channels
        self.plan = plan_for(count)
        self.input = self.plan.ports_of(INPUT)[0]
        parts = self.plan.ports[self.input]["shape"][across] // max(count, 1)
        if channels is None and parts > 1:  # without its input projection a mixer takes several times its channels
            self.plan = plan_for(count // parts)
        ports = self.plan.ports
        unknown = sorted(set(given) - set(ports))
        if unknown:
            raise _errors.InvalidArgumentError(
                f"{', '.join(unknown)}: no array of this mixer with these options; it has {', '.join(ports)}")
        self.arrays = {self.input: first, **{
            name: self.taken.compute(name, value) if ports[name]["role"] == PARAMETER else self.taken.data(name, value)
            for name, value in given.items()}}

    def forward(self):
        """The output, or a tuple of them."""
        outputs = self.plan.ports_of(OUTPUT)
        self.arrays.update({name: numpy.empty(self.plan.ports[name]["shape"], self.taken.dtype) for name in outputs})
        self.plan.forward(self.arrays)
        found = tuple(self.arrays[name] for name in outputs)
        return found[0] if len(found) == 1 else found

    def backward(self, dy):
        """Gradients by name from those of the output, or of all outputs."""
        outputs, given = self.plan.ports_of(OUTPUT), dy if isinstance(dy, tuple) else (dy,)
        if len(given) != len(outputs):
            raise _errors.InvalidArgumentError(f"dy: expected {len(outputs)} arrays, given {len(given)}")
        arrays = {**self.arrays, **{name: self.taken.data(f"dy of {name}", value) for name, value in zip(outputs, given)}}
        compute = numpy.dtype(self.taken.compute_name)
        found = {name: numpy.empty(port["shape"], compute if port["role"] == PARAMETER else self.taken.dtype)
                 for name, port in self.plan.ports.items() if port["trainable"]}
        self.plan.backward(arrays, found)
        return found


def hyena(x, *, order=2, channels=None, backend="auto", **arguments):
    """A Hyena operator on x [batch, seqlen, channels]. Arguments that are arrays are the operator's arrays (filter,
    skip, in_weight, in_bias, short_weight, short_bias, out_weight, out_bias), others its options (order,
    projections="none", num_blocks, activation, layout="bdl", short_bias=False, ...). docs/operators.md lists both."""
    return Call("hyena", x, {"order": order, **arguments}, channels, backend, False).forward()


def h3(x, *, channels=None, backend="auto", **arguments):
    """An H3 layer on x [batch, seqlen, channels], in the same way: filter, skip, shift_filter, shift_skip, in_weight,
    in_bias, out_weight, out_bias; options head_dim, shift_len, projections, ..."""
    return Call("h3", x, arguments, channels, backend, False).forward()
