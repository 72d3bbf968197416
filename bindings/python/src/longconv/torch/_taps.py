# SPDX-License-Identifier: BSD-3-Clause
"""Filter families of the C library on PyTorch tensors: the operators torch.ops.longconv.taps and taps_backward.

An instance in C holds values of its parameters. Instances are kept, one for each description, and get the values of a
call's tensors before they compute, one call at a time."""
import threading

import torch

from .. import _errors, _options, _plans, _words, filters
from . import _functional, _kernels, _transformed
from ._ops import library

_WORDS = "str family, str options, int channels, int max_len, int filters, SymInt seqlen"
SCHEMAS = {
    "taps": f"(Tensor[] parameters, {_WORDS}) -> Tensor",
    "taps_backward": f"(Tensor dtaps, Tensor[] parameters, {_WORDS}) -> Tensor[]",
}
for _name, _schema in SCHEMAS.items():
    library.define(_name + _schema)


class _Instance:
    """A Filter and the lock of its values."""

    def __init__(self, *arguments, **words):
        self.filter, self.lock = filters.Filter(*arguments, **words), threading.Lock()

    def set(self, parameters):
        self.filter.set(**{name: parameter.detach().cpu().numpy()
                           for name, parameter in zip(self.filter.ports, parameters)})


_instances = _plans.Cache(256)


def _instance(parameters, family, options, channels, max_len):
    dtype = str(parameters[0].dtype).split(".")[1]
    key = (family, options, channels, max_len, dtype, _kernels.threads())
    return _instances.get(key, lambda: _Instance(family, channels, max_len, dtype=dtype, num_threads=_kernels.threads(),
                                                 **_options.of_text(options)))


def _taps(parameters, family, options, channels, max_len, filters, seqlen):
    instance = _instance(parameters, family, options, channels, max_len)
    with instance.lock:
        instance.set(parameters)
        return torch.from_numpy(instance.filter.taps(seqlen)).to(parameters[0].device)


def _taps_backward(dtaps, parameters, family, options, channels, max_len, filters, seqlen):
    instance = _instance(parameters, family, options, channels, max_len)
    with instance.lock:
        instance.set(parameters)
        found = instance.filter.gradients(dtaps.cpu().numpy(), seqlen)
    return [torch.from_numpy(found[name]).to(parameter.device) if name in found else torch.zeros_like(parameter)
            for name, parameter in zip(instance.filter.ports, parameters)]


for _device in ("CPU", "CUDA"):
    library.impl("taps", _taps, _device)
    library.impl("taps_backward", _taps_backward, _device)


@torch.library.register_fake("longconv::taps", lib=library)
def _(parameters, family, options, channels, max_len, filters, seqlen):
    return parameters[0].new_empty((filters, seqlen))


@torch.library.register_fake("longconv::taps_backward", lib=library)
def _(dtaps, parameters, *words):
    return [torch.empty_like(parameter, memory_format=torch.contiguous_format) for parameter in parameters]


def _setup(ctx, inputs, output):
    parameters, *ctx.words = inputs
    ctx.save_for_backward(*parameters)


def _gradients(ctx, dtaps):
    return (_transformed.gradients(PAIR, [dtaps], ctx.saved_tensors, ctx.words, ctx.needs_input_grad[0]), *[None] * 6)


def _refuse(ctx, *_):
    _transformed.refuse_again("filter family")


torch.library.register_autograd("longconv::taps", _gradients, setup_context=_setup, lib=library)
torch.library.register_autograd("longconv::taps_backward", _refuse, lib=library)


def taps(parameters, *words):
    """[taps] of values of a family's parameters."""
    _functional._refuse_tangents(parameters)
    if _transformed.is_active():
        return _transformed.forward(PAIR, parameters, words)
    return [torch.ops.longconv.taps(parameters, *words)]


def taps_backward(dtaps, parameters, wanted, *words):
    """The gradients of the parameters whose bits are set, from [gradient of the taps]."""
    if _transformed.is_active():
        return _transformed.backward(PAIR, dtaps, parameters, wanted, words)
    found = torch.ops.longconv.taps_backward(dtaps[0], parameters, *words)
    return [gradient for bit, gradient in enumerate(found) if wanted >> bit & 1]


PAIR = _transformed.Pair("filter family", taps, taps_backward)


@torch.library.register_vmap("longconv::taps", lib=library)
def _(info, axes, parameters, *words):
    (found,), _ = _transformed.mapped(taps, info, [parameters], axes[:1], words)
    return found, 0


@torch.library.register_vmap("longconv::taps_backward", lib=library)
def _(info, axes, dtaps, parameters, *words):
    wanted = (1 << len(parameters)) - 1
    return _transformed.mapped(taps_backward, info, [[dtaps], parameters], [[axes[0]], axes[1]], (wanted, *words))


class Family:
    """A filter family with options, without values."""

    def __init__(self, family, channels, max_len, **options):
        made = filters.Filter(family, channels, max_len, **options)
        self.family, self.channels, self.max_len, self.filters = made.family, channels, max_len, made.filters
        self.options, self.ports = made.options, made.ports

    def initial(self, dtype=None):
        """Initial values by name, drawn with a seed of PyTorch's generator."""
        dtype = dtype or torch.get_default_dtype()
        seed = int(torch.randint(1 << 62, (), device="cpu"))
        compute = str(_kernels.compute_dtype(dtype)).removeprefix("torch.")
        made = filters.Filter(self.family, self.channels, self.max_len, dtype=compute, seed=seed,
                              **_options.of_text(self.options))
        return {name: torch.from_numpy(value).to(torch.get_default_device(), dtype)
                for name, value in made.parameters.items()}

    def taps(self, values, length):
        """Taps [filters, length] of values by name, differentiable once in them. Their shapes may differ from those in C
        where the numbers lie in the same order."""
        if not isinstance(length, (int, torch.SymInt)):
            length = _words.whole("length", length)
        if length > self.max_len:
            raise _errors.InvalidArgumentError(f"length: expected at most {self.max_len}, given {length}")
        parameters = [values[name].reshape(port["shape"]) for name, port in self.ports.items()]
        parameters = [value.to(_kernels.compute_dtype(value.dtype)) for value in parameters]
        return taps(parameters, self.family, self.options, self.channels, self.max_len, self.filters, length)[0]
