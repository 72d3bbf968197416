# SPDX-License-Identifier: BSD-3-Clause
"""Filter families: generators of long filters from a few parameters, and the gradients of those.

    filter = longconv.filters.Filter("implicit_mlp", channels=64, max_len=8192, seed=1)
    y = longconv.conv(u, filter.taps(8192))

`families()` lists them with their options; docs/filters.md has the formulas. A family is also a function here:
`longconv.filters.decay(channels, max_len, modes=4)`."""
import ctypes as c
import functools

import numpy

from . import _errors, _options, _words
from ._arrays import tensor_of
from ._native import library, structs
from ._plans import scratch


def families():
    """{name: {summary, formula, source, options}}."""
    lib = library.library()
    return _options.listing(lib.lcv_filter_family_count, lib.lcv_filter_family_describe, lib.lcv_filter_family_option,
                            structs.FilterFamilyInfo)


class Filter:
    """An instance of a family: its options and the values of its parameters, initialised from `seed`.

    channels   rows of taps, times what the options multiply
    max_len    the most taps that it will be asked for; positional tables measure time in it
    dtype      float32 or float64, of parameters, taps and gradients
    num_threads  that compute; 0: as many as the environment says

    Evaluating is safe from any number of threads; setting parameters must not overlap other use."""

    def __init__(self, family, channels, max_len, *, dtype=numpy.float32, seed=0, num_threads=0, backend="auto",
                 **options):
        self.dtype = numpy.dtype(dtype)
        if self.dtype.name not in ("float32", "float64"):
            raise _errors.InvalidArgumentError(f"dtype: expected float32 or float64, given {self.dtype.name}")
        lib, handle = library.library(), c.c_void_p()
        params = structs.FilterParams(
            struct_size=c.sizeof(structs.FilterParams), family=_words.text("family", family),
            options=_options.text_of(options).encode(), dtype=_words.DTYPES[self.dtype.name],
            channels=_words.whole("channels", channels), max_len=_words.whole("max_len", max_len),
            seed=_words.seed(seed), num_threads=_words.whole("num_threads", num_threads),
            backend=_words.text("backend", backend))
        library.check(lib.lcv_filter_create(library.context(), c.byref(params), c.byref(handle)))
        self._handle, self._library = handle, lib
        library.own(self, lib.lcv_filter_destroy, handle)
        told = _options.describe(lib.lcv_filter_describe, structs.FilterInfo, handle)
        self.family, self.options, self.filters = told["family"], told["options"], told["filters"]
        self.max_len = told["max_len"]
        self.ports = _options.ports_of(lib.lcv_filter_parameter, handle, told["parameter_count"])

    def __repr__(self):
        return f"Filter({self.family!r}, filters={self.filters}, max_len={self.max_len}, options={self.options!r})"

    @property
    def parameters(self):
        """Copies of the parameters, by name. Complex ones have a last axis of 2."""
        values = {name: numpy.empty(port["shape"], self.dtype) for name, port in self.ports.items()}
        for name, value in values.items():
            library.check(self._library.lcv_filter_get(self._handle, name.encode(), c.byref(tensor_of(value))))
        return values

    def set(self, **values):
        """Gives parameters new values."""
        for name, value in values.items():
            array = numpy.ascontiguousarray(value, self.dtype)
            library.check(self._library.lcv_filter_set(self._handle, name.encode(), c.byref(tensor_of(array))))

    def taps(self, seqlen, first=0, count=None, out=None):
        """Taps [first, first + count) of the filters for `seqlen` samples: [filters, count]. `out` takes an array for
        them."""
        count = seqlen - first if count is None else count
        taps = numpy.empty((self.filters, max(count, 0)), self.dtype) if out is None else self._output(out)
        args = structs.FilterArgs(struct_size=c.sizeof(structs.FilterArgs), seqlen=seqlen, first=first,
                                  taps=tensor_of(taps))
        self._execute(self._library.lcv_filter_evaluate, args, count, False)
        return taps

    def _output(self, out):
        if not isinstance(out, numpy.ndarray) or out.dtype != self.dtype or not out.flags.writeable:
            raise _errors.InvalidArgumentError(f"out: expected a writable array of dtype {self.dtype.name}, given "
                                               f"{out.dtype if isinstance(out, numpy.ndarray) else type(out).__name__}")
        return out

    def _execute(self, function, args, count, backward):
        """Runs with this thread's workspace."""
        size = c.c_size_t()
        library.check(self._library.lcv_filter_workspace(self._handle, args.seqlen, count, backward, c.byref(size)))
        args.exec.workspace, kept = scratch.of(size.value)
        args.exec.workspace_bytes = size.value
        status = function(self._handle, c.byref(args))
        del kept
        library.check(status)

    def gradients(self, dtaps, seqlen=None, first=0):
        """Gradients of the trainable parameters, by name, from those of the taps [filters, count]."""
        dtaps = numpy.ascontiguousarray(dtaps, self.dtype)
        found = {name: numpy.empty(port["shape"], self.dtype) for name, port in self.ports.items() if port["trainable"]}
        tensors = (structs.Tensor * len(self.ports))(*(
            tensor_of(found[name]) if name in found else structs.Tensor() for name in self.ports))
        args = structs.FilterGradArgs(
            struct_size=c.sizeof(structs.FilterGradArgs), seqlen=first + dtaps.shape[-1] if seqlen is None else seqlen,
            first=first, dtaps=tensor_of(dtaps), gradient_count=len(self.ports), gradients=tensors)
        self._execute(self._library.lcv_filter_backward, args, dtaps.shape[-1], True)
        return found


def __getattr__(name):
    if not name.startswith("_") and name in families():
        return functools.partial(Filter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}, and there is no filter family of this name")
