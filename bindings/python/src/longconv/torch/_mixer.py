# SPDX-License-Identifier: BSD-3-Clause
"""The mixers of the C library on PyTorch tensors: the operators torch.ops.longconv.mixer and mixer_backward, one pair for
all of them. `arrays` are a mixer's inputs and parameters, `results` its outputs, both in the order of its ports."""
import contextlib

import torch

from .. import _errors, _mixers, _options, _plans
from .._native import structs
from . import _functional, _inputs, _kernels, _transformed
from ._ops import autocast_data, autocast_parameter, library

_WORDS = "str mixer, str options, int channels, str backend"
SCHEMAS = {
    "mixer": f"(Tensor[] arrays, {_WORDS}) -> Tensor[]",
    "mixer_backward": f"(Tensor[] dresults, Tensor[] arrays, int wanted, {_WORDS}) -> Tensor[]",
}
for _name, _schema in SCHEMAS.items():
    library.define(_name + _schema)


def _time_axis(options):
    return 2 if "layout=bdl" in options.split() else 1


def _plan(arrays, backward, mixer, options, channels, backend):
    """The plan for tensors of these shapes."""
    if not arrays:
        raise _errors.InvalidArgumentError(f"arrays: expected the inputs and parameters of {mixer}, given none")
    first = arrays[0]
    _inputs.expect_tensor(f"first input of {mixer}", first, rank=3)
    dtype, shape, _, device, _ = _kernels._view("first input", first)
    return _mixers.plan(mixer, options, dtype, shape[0], channels, shape[_time_axis(options)], backend,
                        backward, device=device, threads=_kernels.threads())


def _names(plan):
    """Of the arrays and of the results."""
    results = plan.ports_of(_mixers.OUTPUT)
    return [name for name in plan.ports if name not in results], results


class _Binding:
    """The executions of a plan on tensors of certain shapes and strides: lists of lcv_tensor in which only addresses
    change. given: the arrays, and in backward the results' gradients; made: {port: (shape, dtype)} of what comes out."""

    def __init__(self, plan, given, made, backward):
        self.plan, self.made, self.backward, self.free = plan, list(made.values()), backward, []
        device, index = next((view[3], view[4]) for view in given.values())
        self.views = {**given, **({} if backward else self._new(made, device, index))}
        self.gradients = self._new(made, device, index) if backward else {}
        places = {name: place for place, name in enumerate(plan.ports)}
        self.given_places, self.made_places = [places[name] for name in given], [places[name] for name in made]

    @staticmethod
    def _new(made, device, index):
        return {name: (_kernels._DTYPES[dtype], shape, _kernels._contiguous(shape), device, index)
                for name, (shape, dtype) in made.items()}

    def _lists(self):
        def filled(views):
            return (structs.Tensor * len(self.plan.ports))(*(
                structs.tensor(0, *views[name]) if name in views else structs.Tensor() for name in self.plan.ports))
        return filled(self.views), filled(self.gradients) if self.backward else None

    def run(self, given, made, **resources):
        try:
            lists = self.free.pop()
        except IndexError:
            lists = self._lists()
        tensors, gradients = lists
        for place, tensor in zip(self.given_places, given):
            tensors[place].data = tensor.data_ptr()
        for place, tensor in zip(self.made_places, made):
            (gradients if self.backward else tensors)[place].data = tensor.data_ptr()
        self.plan.execute(tensors, gradients, **resources)
        self.free.append(lists)


def _views(names, tensors, device):
    if len(names) != len(tensors):
        raise _errors.InvalidArgumentError(f"expected the arrays {', '.join(names)}, given {len(tensors)}")
    for name, tensor in zip(names, tensors):
        if tensor.device != device:
            raise _errors.InvalidArgumentError(f"{name}: expected a tensor on {device}, given {tensor.device}")
    return {name: _kernels._view(name, tensor) for name, tensor in zip(names, tensors)}


def _dtype(port, data):
    return _kernels.compute_dtype(data.dtype) if port["role"] == _mixers.PARAMETER else data.dtype


def _bind(arrays, dresults, wanted, words):
    """dresults: the gradients of the results, None: forward."""
    plan, first = _plan(arrays, dresults is not None, *words), arrays[0]
    names, results = _names(plan)
    given = _views(names, arrays, first.device)
    if dresults is None:
        made = results
    else:
        given.update(_views(results, dresults, first.device))
        made = [name for bit, name in enumerate(names) if wanted >> bit & 1]
    return _Binding(plan, given, {name: (plan.ports[name]["shape"], _dtype(plan.ports[name], first)) for name in made},
                    dresults is not None)


def _run(arrays, dresults, wanted, words):
    given = [*arrays, *(dresults or ())]
    key = ("mixer", wanted, dresults is None, words, _kernels.threads(),
           *((tensor.dtype, tensor.shape, tensor.stride(), tensor.get_device()) for tensor in given))
    with _kernels.device_of(given[0]) if given else contextlib.nullcontext():
        binding = _plans.bindings.get(key, lambda: _bind(arrays, dresults, wanted, words))
        made = _kernels._results(_new, binding, given[0])
        resources, kept = _kernels.resources(binding.plan, given[0])
        binding.run(given, made, **resources)
        del kept
    return made


def _new(binding, like):
    return [torch.empty(shape, dtype=dtype, device=like.device) for shape, dtype in binding.made]


def _mixer(arrays, *words):
    return _run(arrays, None, 0, words)


def _mixer_backward(dresults, arrays, wanted, *words):
    return _run(arrays, dresults, wanted, words)


for _device in ("CPU", "CUDA"):
    library.impl("mixer", _mixer, _device)
    library.impl("mixer_backward", _mixer_backward, _device)


# ---- Shapes without data ----

PROBE_LEN = 64


def _ports(mixer, options, channels, backend, seqlen=PROBE_LEN):
    """The ports, from a plan for one sequence."""
    length = seqlen if isinstance(seqlen, int) else seqlen.node.hint or PROBE_LEN
    return _mixers.plan(mixer, options, 0, 1, channels, length, backend)


@torch.library.register_fake("longconv::mixer", lib=library)
def _(arrays, mixer, options, channels, backend):
    first = arrays[0]
    seqlen = first.shape[_time_axis(options)]
    ports = _ports(mixer, options, channels, backend, seqlen).ports
    sizes = {"batch": first.shape[0], "seqlen": seqlen}
    return [first.new_empty([sizes.get(axis, size) for axis, size in zip(port["axes"].split(", "), port["shape"])])
            for port in ports.values() if port["role"] == _mixers.OUTPUT]


@torch.library.register_fake("longconv::mixer_backward", lib=library)
def _(dresults, arrays, wanted, mixer, options, channels, backend):
    plan = _ports(mixer, options, channels, backend, arrays[0].shape[_time_axis(options)])
    return [array.new_empty(array.shape, dtype=_dtype(plan.ports[name], arrays[0]))
            for bit, (name, array) in enumerate(zip(_names(plan)[0], arrays)) if wanted >> bit & 1]


# ---- Differentiation, once ----

def _setup(ctx, inputs, output):
    arrays, *ctx.words = inputs
    ctx.save_for_backward(*arrays)


def _gradients(ctx, dresults):
    return (_transformed.gradients(PAIR, dresults, ctx.saved_tensors, ctx.words, ctx.needs_input_grad[0]), *[None] * 4)


def _refuse(ctx, *_):
    _transformed.refuse_again("mixer")


torch.library.register_autograd("longconv::mixer", _gradients, setup_context=_setup, lib=library)
torch.library.register_autograd("longconv::mixer_backward", _refuse, lib=library)


def mixer(arrays, *words):
    """The results of a mixer."""
    _functional._refuse_tangents(arrays)
    if _transformed.is_active():
        return _transformed.forward(PAIR, arrays, words)
    return torch.ops.longconv.mixer(arrays, *words)


def mixer_backward(dresults, arrays, wanted, *words):
    """The gradients of the arrays whose bits are set."""
    if _transformed.is_active():
        return _transformed.backward(PAIR, dresults, arrays, wanted, words)
    return torch.ops.longconv.mixer_backward(dresults, arrays, wanted, *words)


PAIR = _transformed.Pair("mixer", mixer, mixer_backward)


@torch.library.register_vmap("longconv::mixer", lib=library)
def _(info, axes, arrays, *words):
    return _transformed.mapped(mixer, info, [arrays], axes[:1], words)


@torch.library.register_vmap("longconv::mixer_backward", lib=library)
def _(info, axes, dresults, arrays, *words):
    return _transformed.mapped(mixer_backward, info, [dresults, arrays], axes[:2], words)


class Operator:
    """A mixer with options, without values. `seqlen` is the length that `ports` are told for."""

    def __init__(self, mixer, channels, *, seqlen=PROBE_LEN, backend="auto", **options):
        self.mixer, self.channels, self.backend, self.options = mixer, channels, backend, _options.text_of(options)
        self._seqlen, self.time_axis = seqlen, _time_axis(self.options)
        plan = self._plan(0)
        self.ports, (self.names, self.results) = plan.ports, _names(plan)
        self.inputs = plan.ports_of(_mixers.INPUT)

    def _plan(self, dtype):
        return _mixers.plan(self.mixer, self.options, dtype, 1, self.channels, self._seqlen, self.backend)

    def length_of(self, tensor):
        """Samples of the first input, whose shape is checked."""
        name = self.inputs[0]
        across = self.ports[name]["shape"][3 - self.time_axis]
        return _inputs.length_of(name, tensor, across, "BDL" if self.time_axis == 2 else "BLD")

    def initial(self, dtype=None):
        """Initial values by name, drawn with a seed of PyTorch's generator; None for the taps of long filters."""
        dtype = dtype or torch.get_default_dtype()
        if dtype not in _kernels._DTYPES:
            raise _errors.InvalidArgumentError(
                f"dtype: expected one of {', '.join(map(str, _kernels._DTYPES))}, given {dtype}")
        plan, seed = self._plan(_kernels._DTYPES[dtype]), int(torch.randint(1 << 62, (), device="cpu"))
        values = {name: plan.initial(name, seed) for name in plan.ports_of(_mixers.PARAMETER)}
        return {name: None if value is None else torch.from_numpy(value).to(torch.get_default_device(), dtype)
                for name, value in values.items()}

    def __call__(self, **arrays):
        """The result (a tuple, if there are several) for all arrays by name, differentiable once. Parameters are
        converted to the compute dtype; under autocast inputs go to autocast's."""
        if arrays.keys() != set(self.names):
            raise _errors.InvalidArgumentError(
                f"{self.mixer}: expected the arrays {', '.join(self.names)}, given {', '.join(arrays)}")
        first = arrays[self.inputs[0]]
        device = "cpu" if first.is_cpu else "cuda"
        if torch.is_autocast_enabled(device) and first.device.type == device:
            arrays.update({name: autocast_data(arrays[name], device) for name in self.inputs})
            first = arrays[self.inputs[0]]
        given = [arrays[name] if name in self.inputs else autocast_parameter(arrays[name], first) for name in self.names]
        results = mixer(given, self.mixer, self.options, self.channels, self.backend)
        return results[0] if len(self.results) == 1 else tuple(results)
