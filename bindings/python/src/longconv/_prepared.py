# SPDX-License-Identifier: BSD-3-Clause
"""Filters transformed once, for many calls."""
import ctypes as c
import threading

import numpy

from . import _errors, _plans, _problem, _words
from ._arrays import Arrays, tensor_of
from ._native import library, structs


class Spectrum:
    """Owns an lcv_spectrum, prepared for a plan and all plans with its key. `taps` and `future` are lcv_tensors, the
    resources those of an execution of the plan."""

    def __init__(self, plan, taps, future, resources):
        lib, handle = library.library(), c.c_void_p()
        library.check(lib.lcv_spectrum_create(plan.handle, None, 0, c.byref(handle)))
        self.handle = handle
        library.own(self, lib.lcv_spectrum_destroy, handle)
        library.check(lib.lcv_spectrum_prepare(handle, plan.handle, c.byref(taps),
                                               None if future is None else c.byref(future), c.byref(resources)))


class PreparedFilter:
    """What `prepare` returns: give it to `conv` in place of the filter. It serves every problem with these taps; where
    another transform is needed than those made so far, it makes and keeps that as well. The taps are a private copy."""

    def __init__(self, taps, future):
        self.taps, self.taps_future = taps, future
        self._lock, self._spectra, self._of_problem = threading.Lock(), [], {}

    def run(self, binding, addresses, **resources):
        """Executes a binding with the spectrum that fits its plan."""
        known = self._of_problem.get(binding.plan.problem)
        if known is not None:
            return binding.run(addresses, spectrum=known.handle.value, **resources)
        with self._lock:
            spectra = list(self._spectra)
        for spectrum in spectra:
            try:
                binding.run(addresses, spectrum=spectrum.handle.value, **resources)
            except _errors.IncompatibleError:
                continue
            self._of_problem[binding.plan.problem] = spectrum
            return None
        return binding.run(addresses, spectrum=self.prepare(binding.plan, **resources).handle.value, **resources)

    def prepare(self, plan, workspace=None, stream=0):
        """Makes the spectrum for a plan."""
        kept = None
        if workspace is None:
            workspace, kept = _plans.scratch.of(plan.workspace_bytes)
        resources = structs.Exec(stream=stream, workspace=workspace, workspace_bytes=plan.workspace_bytes)
        future = None if self.taps_future is None else self._tensor(self.taps_future)
        spectrum = Spectrum(plan, self._tensor(self.taps), future, resources)
        del kept
        with self._lock:
            self._spectra.append(spectrum)
            self._of_problem[plan.problem] = spectrum
        return spectrum

    def __reduce__(self):
        """A copy transforms again, where it is used."""
        return type(self), (self.taps, self.taps_future)

    _tensor = staticmethod(tensor_of)


def prepare(filter, u_shape, *, dtype=numpy.float32, mode="causal", filter_future=None, future_first_lag=1, layout="BDL",
            backend="auto"):
    """Transforms a filter once, for many calls of `conv`: `conv(u, prepare(filter, u.shape))`.

    u_shape is the shape of the data it is for, dtype the data's. It may be used with any other shape too; it is then
    transformed again where that needs another transform, which is kept. The other arguments are those of `conv`.
    """
    arrays = Arrays(numpy.empty(0, dtype))
    if filter is None:
        raise _errors.InvalidArgumentError("filter: is needed, given None")
    taps, future = (_private(arrays.compute(name, array))
                    for name, array in (("filter", filter), ("filter_future", filter_future)))
    problem = _problem.problem(
        tuple(u_shape), _words.DTYPES[arrays.dtype_name], taps.shape, None if future is None else future.shape, mode=mode,
        layout=layout, activation=None, future_first_lag=future_first_lag, terms=0, backend=backend)
    prepared = PreparedFilter(taps, future)
    prepared.prepare(_plans.plan(problem))
    return prepared


def _private(array):
    """A copy that nobody else can change."""
    if array is None:
        return None
    array = numpy.array(array[None] if array.ndim == 1 else array, order="C")
    array.flags.writeable = False
    return array
