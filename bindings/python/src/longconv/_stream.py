# SPDX-License-Identifier: BSD-3-Clause
"""Streams: the convolution, or a whole layer, one token at a time."""
import contextlib
import ctypes as c
import threading

import numpy

from . import _conv, _errors, _mixers, _options, _problem, _words, filters
from ._arrays import Arrays, tensor_of, view
from ._native import library, structs

MODES = {"auto": 0, "direct": 1, "relaxed": 2, "smooth": 3, "modal": 4}
_MOST_CALLS = 16  # argument structs that a stream keeps


def address_and_view(array):
    """What _execute wants of an array."""
    return array.__array_interface__["data"][0], view(array)


class _Call:
    """One args struct for arrays of certain strides, in which only addresses change."""

    def __init__(self, args, tensors, key):
        self.args, self.tensors, self.pointer = args, tensors, c.c_void_p(c.addressof(args))
        for name, (dtype, shape, strides, device, device_index) in key:
            tensor = tensors[name]
            tensor.dtype, tensor.rank, tensor.device, tensor.device_index = dtype, len(shape), device, device_index
            tensor.shape[:len(shape)], tensor.strides[:len(shape)] = shape, strides


class _Stream:
    """What streams of both kinds can do. One call at a time runs on a stream; the GIL is released while C computes."""

    _prefix = _info = None

    def _take(self, handle):
        lib = library.library()
        self._handle, self._lock, self._calls = handle, threading.Lock(), {}
        self._functions = {verb: getattr(lib, self._prefix + verb) for verb in (
            "create_like", "destroy", "describe", "position", "step", "push", "prefill", "work", "reset", "mark",
            "rollback", "release", "fork", "detach", "save", "load")}
        self._end = library.own(self, self._functions["destroy"], handle)
        return self

    def _new(self, handle):
        """A stream of the same problem around another handle."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other._take(handle)

    def _check(self, verb, *arguments):
        with self._lock:
            library.check(self._functions[verb](self._handle, *arguments))

    def _execute(self, verb, given):
        """Runs on {name: (address, view)}."""
        key = tuple((name, viewed) for name, (_, viewed) in given.items())
        with self._lock:
            call = self._calls.get(key)
            if call is None:
                if len(self._calls) == _MOST_CALLS:
                    self._calls.clear()
                call = self._calls[key] = _Call(*self._args(), key)
            for name, (address, _) in given.items():
                call.tensors[name].data = address
            library.check(self._functions[verb](self._handle, call.pointer))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Gives the memory back now; the stream cannot be used any more."""
        with self._lock:
            self._end()

    @property
    def position(self):
        """Tokens seen so far."""
        return self._functions["position"](self._handle)

    def info(self):
        """Backend, position, limit, bytes of state, of what is shared with forks and likes, and of scratch memory."""
        with self._lock:
            found = _options.describe(self._functions["describe"], self._info, self._handle)
        if "mode" in found:
            found["mode"] = next(name for name, number in MODES.items() if number == found["mode"])
        return found

    def work(self, *others):
        """Does now, for this stream and others of its kind, what their next steps would begin with. Optional."""
        strange = [type(stream).__name__ for stream in others if not isinstance(stream, type(self))]
        if strange:
            raise _errors.InvalidArgumentError(f"others: expected a {type(self).__name__}, given {', '.join(strange)}")
        streams = list({id(stream): stream for stream in (self, *others)}.values())
        with contextlib.ExitStack() as held:
            for stream in sorted(streams, key=id):  # in one order, so that no two calls wait for each other
                held.enter_context(stream._lock)
            for stream in streams:
                if not stream._handle.value:
                    raise _errors.InvalidArgumentError(f"{'stream' if stream is self else 'others'}: is closed")
            handles = (c.c_void_p * len(streams))(*(stream._handle.value for stream in streams))
            library.check(self._functions["work"](handles, len(streams), None))

    def reset(self):
        """Back to position 0."""
        self._check("reset")

    def mark(self, reserve):
        """Remembers the position; up to `reserve` tokens may follow. Marks nest."""
        self._check("mark", _words.whole("reserve", reserve))

    def rollback(self):
        """Back to the last mark, which stays."""
        self._check("rollback")

    def release(self):
        """Forgets the last mark and keeps what followed it."""
        self._check("release")

    def fork(self, reserve):
        """Another stream at this position, sharing the past. Each of the two may see `reserve` more tokens until the
        other is closed or detached."""
        child = c.c_void_p()
        self._check("fork", _words.whole("reserve", reserve), c.byref(child))
        return self._new(child)

    def detach(self):
        """Copies what is shared with forks, and is free of them and of marks."""
        self._check("detach")

    def like(self):
        """Another stream of the same problem at position 0, sharing the prepared filters."""
        other = c.c_void_p()
        self._check("create_like", c.byref(other))
        return self._new(other)

    def save(self):
        """The state as bytes."""
        size = c.c_size_t()
        self._check("save", None, 0, c.byref(size))
        snapshot = bytearray(size.value)
        self._check("save", (c.c_char * size.value).from_buffer(snapshot), size, c.byref(size))
        return bytes(snapshot)

    def load(self, snapshot):
        """Takes the state over from what `save` of a stream of the same problem gave. Every byte is checked first."""
        try:
            data = numpy.frombuffer(snapshot, numpy.uint8)
        except (TypeError, ValueError) as error:
            raise _errors.InvalidArgumentError(f"snapshot: expected bytes, given {type(snapshot).__name__}: {error}") from None
        self._check("load", data.ctypes.data, data.size)

    def _run(self, verb, inputs, result, out):
        """Runs on {name: array}; returns the array `result`."""
        arrays = Arrays(next(iter(inputs.values())))
        if arrays.dtype_name != self._dtype:
            raise _errors.InvalidArgumentError(
                f"{next(iter(inputs))}: expected the stream's dtype {self._dtype}, given {arrays.dtype_name}")
        given = {name: arrays.data(name, array) for name, array in inputs.items() if array is not None}
        if out is not False:
            given[result] = self._output(next(iter(given.values())), out)
        self._execute(verb, {name: address_and_view(array) for name, array in given.items()})
        return given.get(result)


class Stream(_Stream):
    """The causal long convolution, one token at a time, exactly:

        y[t] = post_gate[t] * activation(sum_j filter[j] x[t - j] + skip * x[t] + bias),  x = pre_gate * u

    filter      as of `conv`; or a `filters.Filter`, of which `filter_len` taps are made (default: its max_len), or whose
                exponentials are streamed where it is a sum of those and the filter's end is not seen
    channels    needed where `filter` does not say: one filter for all, groups
    batch       sequences at once
    max_len     tokens that it may see; 0: any number. A bound saves memory
    generate_len  0, or: at most so many tokens follow a prompt, which then costs one convolution and leaves memory for
                these tokens alone (results depend on this number in their last bits)
    mode        "auto", "relaxed" (least mean time), "smooth" (bounded longest step), "direct" or "modal"; docs/streaming.md
    modes       poles and residues, complex [filters, order]: then `filter` is None
    order, tolerance  "modal" with taps: exponentials of a fit, and its largest error
    pre_gate, post_gate  are there gates in each call?
    dtype       of the tokens (default: float64 for float64 filters, else float32)

    Results do not depend on how tokens come in calls. A context manager; `close` gives the memory back."""

    _prefix, _info = "lcv_stream_", structs.StreamInfo

    def __init__(self, filter, *, channels=None, batch=1, max_len=0, mode="auto", skip=None, bias=None, pre_gate=False,
                 post_gate=False, activation=None, layout="BDL", filter_len=None, modes=None, order=0, tolerance=0.0,
                 dtype=None, threads=0, backend="auto", generate_len=0):
        family = filter if isinstance(filter, filters.Filter) else None
        self._dtype = _dtype_name(_default_dtype(filter) if dtype is None else dtype)
        compute = _words.COMPUTE[self._dtype]
        self._layout, self._batch = layout, batch
        arrays = {name: numpy.ascontiguousarray(value, compute)
                  for name, value in (("skip", skip), ("bias", bias)) if value is not None}
        shape = _filter_shape(filter, family, channels, filter_len, modes)
        batch, threads = _words.whole("batch", batch), _words.whole("threads", threads)
        self._channels = _words.whole("channels", shape[-2] if channels is None else channels)
        terms = {"skip": skip is not None, "bias": bias is not None, "pre_gate": pre_gate, "post_gate": post_gate}
        problem = _problem.problem(
            (batch, self._channels, 0) if layout == "BDL" else (batch, 0, self._channels), _words.DTYPES[self._dtype],
            shape, None, mode="causal", layout=layout, activation=activation, future_first_lag=1,
            terms=sum(_words.TERMS[name] for name, there in terms.items() if there), backend=backend)
        self._names = ["u", *(name for name, there in terms.items() if there and name.endswith("gate"))]
        if modes is not None:
            arrays["poles"], arrays["residues"] = (_pairs(values) for values in modes)
            order = arrays["poles"].shape[-1] // 2
        elif family is None:
            arrays["filter"] = numpy.ascontiguousarray(filter, compute).reshape(shape)
        self._create(problem, arrays, family, dict(
            max_len=_words.whole("max_len", max_len), generate_len=_words.whole("generate_len", generate_len),
            order=_words.whole("order", order), tolerance=_words.real("tolerance", tolerance), num_threads=threads,
            mode=_words.number(MODES, "mode", mode)))

    def _create(self, problem, arrays, family, own):
        fields = {name: getattr(problem, name) for name in problem._fields if hasattr(structs.StreamParams, name)}
        params = structs.StreamParams(struct_size=c.sizeof(structs.StreamParams),
                                      **{**fields, "backend": problem.backend.encode(), **own})
        given = structs.StreamFilter(struct_size=c.sizeof(structs.StreamFilter),
                                     family=None if family is None else family._handle,
                                     **{name: tensor_of(array) for name, array in arrays.items()})
        lib, handle = library.library(), c.c_void_p()
        library.check(lib.lcv_stream_create(library.context(), c.byref(params), c.byref(given), c.byref(handle)))
        self._take(handle)

    def _args(self):
        args = structs.StreamArgs(struct_size=c.sizeof(structs.StreamArgs))
        return args, {name: getattr(args, name) for name in ("u", "pre_gate", "post_gate", "y")}

    def _output(self, u, out):
        return _conv._output(out, u)

    def step(self, u, pre_gate=None, post_gate=None, out=None):
        """One token: [batch, channels] to the same."""
        return self._run("step", {"u": u, "pre_gate": pre_gate, "post_gate": post_gate}, "y", out)

    def push(self, u, pre_gate=None, post_gate=None, out=None):
        """Any number of tokens, [batch, channels, tokens] (layout "BLD": [batch, tokens, channels]): the same results."""
        return self._run("push", {"u": u, "pre_gate": pre_gate, "post_gate": post_gate}, "y", out)

    def prefill(self, u, pre_gate=None, post_gate=None, out=None):
        """A prompt, at position 0, by one FFT convolution. out=False: its results are not wanted."""
        return self._run("prefill", {"u": u, "pre_gate": pre_gate, "post_gate": post_gate}, "y", out)


class MixerStream(_Stream):
    """A whole layer one token at a time: a mixer of those that look at the past only (`mixers()` lists all), with arrays
    and options as of `hyena`, `h3` and `ops`, inputs and result aside. In all calls x is the first input and others go by
    their names, as k=, v= of "rwkv4_wkv".

    filter_len of the options, else max_len, says how many taps the long filters have. A filter may be a `filters.Filter`.
    threads are those of prompts. Everything else is as of `Stream`."""

    _prefix, _info = "lcv_mixer_stream_", structs.MixerStreamInfo

    def __init__(self, mixer, channels, *, batch=1, max_len=0, mode="auto", order=0, tolerance=0.0, dtype="float32",
                 threads=0, backend="auto", options=None, generate_len=0, **arrays):
        options, max_len = {} if options is None else options, _words.whole("max_len", max_len)
        threads = _words.whole("threads", threads)
        self._dtype = _dtype_name(dtype)
        plan = _mixers.plan(mixer, options, _words.DTYPES[self._dtype], batch, channels, max(max_len, 1), backend)
        self._ports, self._output_shape = list(plan.ports), plan.ports["y"]
        self._inputs = plan.ports_of(_mixers.INPUT)
        self._bdl = self._output_shape["axes"] == "batch, channels, seqlen"
        self._create(plan, _values(plan, arrays, _words.COMPUTE[self._dtype]), dict(
            mode=_words.number(MODES, "mode", mode), max_len=max_len, order=_words.whole("order", order),
            tolerance=_words.real("tolerance", tolerance), num_threads=threads,
            generate_len=_words.whole("generate_len", generate_len)))

    def _create(self, plan, values, own):
        lib, handle, count = library.library(), c.c_void_p(), len(plan.ports)
        params = structs.MixerStreamParams(struct_size=c.sizeof(structs.MixerStreamParams), **own)
        of_family = {name: value for name, value in values.items() if isinstance(value, filters.Filter)}
        tensors = (structs.Tensor * count)(*(
            tensor_of(values[name]) if name in values and name not in of_family else structs.Tensor()
            for name in plan.ports))
        families = (c.c_void_p * count)(*(of_family[name]._handle.value if name in of_family else None
                                          for name in plan.ports))
        setup = structs.MixerStreamSetup(struct_size=c.sizeof(structs.MixerStreamSetup), port_count=count,
                                         tensors=tensors, families=families)
        library.check(lib.lcv_mixer_stream_create(plan.handle, c.byref(params), c.byref(setup), c.byref(handle)))
        self._take(handle)

    def _args(self):
        tensors = (structs.Tensor * len(self._ports))()
        args = structs.MixerStreamArgs(struct_size=c.sizeof(structs.MixerStreamArgs), port_count=len(self._ports),
                                       tensors=tensors)
        return args, {name: tensors[index] for index, name in enumerate(self._ports)}

    def output_shape(self, x_shape):
        """The shape of the result for x of this shape, which must have 2 or 3 axes."""
        shape = list(x_shape)
        shape[1 if self._bdl or len(shape) == 2 else 2] = self._output_shape["shape"][1 if self._bdl else 2]
        return tuple(shape)

    def _output(self, x, out):
        if x.ndim not in (2, 3):
            raise _errors.InvalidArgumentError(f"x: expected rank 2 or 3, given shape {list(x.shape)}")
        return numpy.empty(self.output_shape(x.shape), x.dtype) if out is None else _conv._output(out, x)

    def _take_in(self, verb, x, others, out):
        given = dict(zip(self._inputs, [x])) | others
        if set(given) != set(self._inputs):
            raise _errors.InvalidArgumentError(
                f"expected the inputs {', '.join(self._inputs)}, given {', '.join(given)}")
        return self._run(verb, given, "y", out)

    def step(self, x, out=None, **others):
        """One token: [batch, channels] to the same."""
        return self._take_in("step", x, others, out)

    def push(self, x, out=None, **others):
        """Any number of tokens, in the axes of the layer: the same results."""
        return self._take_in("push", x, others, out)

    def prefill(self, x, out=None, **others):
        """A prompt, at position 0."""
        return self._take_in("prefill", x, others, out)


def _dtype_name(dtype):
    """NumPy knows bfloat16 by name only where ml_dtypes is."""
    name = dtype if isinstance(dtype, str) and dtype in _words.DTYPES else numpy.dtype(dtype).name
    if name not in _words.DTYPES:
        raise _errors.InvalidArgumentError(f"dtype: expected {', '.join(_words.DTYPES)}, given {name}")
    return name


def _default_dtype(filter):
    dtype = getattr(filter, "dtype", None)
    return dtype if dtype is not None and dtype == numpy.float64 else numpy.float32


def _filter_shape(filter, family, channels, filter_len, modes):
    """Shape of the taps, whether they are there or not."""
    if modes is not None:
        if filter is not None or not isinstance(modes, (tuple, list)) or len(modes) != 2 or not numpy.shape(modes[0]):
            raise _errors.InvalidArgumentError("modes: expected (poles, residues), and filter=None beside it")
        rows = numpy.shape(modes[0])[0]
        return rows, 1 if filter_len is None else filter_len
    if family is not None:
        return family.filters, family.max_len if filter_len is None else filter_len
    if filter is None or filter_len is not None:
        raise _errors.InvalidArgumentError(
            "filter: is needed without modes" if filter is None else "filter_len: belongs to a family or to modes")
    shape = numpy.shape(filter)
    if not shape:
        raise _errors.InvalidArgumentError(f"filter: expected taps or a filters.Filter, given {filter!r}")
    if channels is None and len(shape) == 1:
        raise _errors.InvalidArgumentError("channels: is needed with one filter for all channels")
    return (1, *shape) if len(shape) == 1 else shape


def _pairs(values):
    """Complex numbers as real and imaginary parts side by side."""
    values = numpy.ascontiguousarray(values, numpy.complex128)
    if values.ndim != 2:
        raise _errors.InvalidArgumentError(f"modes: expected [filters, order], given shape {list(values.shape)}")
    return values.view(numpy.float64)


def _values(plan, arrays, compute):
    """The parameters of a layer, converted; what is no parameter of it is an error."""
    parameters = {name for name, port in plan.ports.items() if port["role"] == _mixers.PARAMETER}
    unknown = sorted(set(arrays) - parameters)
    if unknown:
        raise _errors.InvalidArgumentError(
            f"{', '.join(unknown)}: no parameter of this layer with these options; it has {', '.join(sorted(parameters))}")
    return {name: value if isinstance(value, filters.Filter) else numpy.ascontiguousarray(value, compute)
            for name, value in arrays.items()}
