# SPDX-License-Identifier: BSD-3-Clause
"""Whole sequence-mixing layers: every mixer of the C library as a function on NumPy arrays.

    parameters = longconv.ops.long_conv.initial(channels=64, seqlen=4096, seed=1)
    taps = longconv.filters.explicit(64, 4096, squash=0.003).taps(4096)
    y = longconv.ops.long_conv(x, filter=taps, **parameters)                  # x [batch, seqlen, channels]
    gradients = longconv.ops.long_conv.gradients(dy, x, filter=taps, **parameters)

`names()` lists them; docs/operators.md has the formulas, arrays and options of each."""
import functools

import numpy

from . import _errors, _mixers, _words


def names():
    """The mixers that the C library has."""
    return list(_mixers.mixers())


class Mixer:
    """One mixer, by name. In all calls, arguments that are arrays are the mixer's arrays, by their names, and others
    its options; `channels` is needed only where the first input does not tell it."""

    def __init__(self, name):
        told = _mixers.mixers()
        if name not in told:
            raise _errors.InvalidArgumentError(f"name: expected one of {', '.join(told)}, given {name!r}")
        self.name, self.__doc__ = name, f"{told[name]['summary']}: {told[name]['formula']}"
        self.options = told[name]["options"]

    def __repr__(self):
        return f"<longconv.ops.{self.name}: {self.__doc__}>"

    def __call__(self, x, *, channels=None, backend="auto", **arguments):
        """The output (a tuple, if there are several) for x, the first input: [batch, seqlen, channels], or
        [batch, channels, seqlen] with layout="bdl"."""
        return _mixers.Call(self.name, x, arguments, channels, backend, False).forward()

    def gradients(self, dy, x, *, channels=None, backend="auto", **arguments):
        """Gradients of all inputs and parameters, by name, from dy, that of the output."""
        return _mixers.Call(self.name, x, arguments, channels, backend, True).backward(dy)

    def initial(self, *, channels, seqlen, seed=0, dtype=numpy.float32, **options):
        """Initial values of the parameters, by name, but for the taps of long filters, which a filter family makes."""
        plan = self._plan(channels, seqlen, dtype, options)
        values = {name: plan.initial(name, seed) for name in plan.ports_of(_mixers.PARAMETER)}
        return {name: value for name, value in values.items() if value is not None}

    def arrays(self, *, channels, seqlen, batch=1, dtype=numpy.float32, **options):
        """{name: description} of the mixer's arrays with these options."""
        return dict(self._plan(channels, seqlen, dtype, options, batch).ports)

    def _plan(self, channels, seqlen, dtype, options, batch=1):
        name = numpy.dtype(dtype).name
        if name not in _words.DTYPES:
            raise _errors.InvalidArgumentError(f"dtype: expected {', '.join(_words.DTYPES)}, given {name}")
        return _mixers.plan(self.name, options, _words.DTYPES[name], batch, channels, seqlen, "auto")


@functools.lru_cache(maxsize=None)
def _mixer(name):
    return Mixer(name)


def __getattr__(name):
    if not name.startswith("_") and name in _mixers.mixers():
        return _mixer(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}, and there is no mixer of this name")


def __dir__():
    return [*globals(), *names()]
