# SPDX-License-Identifier: BSD-3-Clause
"""NumPy arrays as the C library wants them: dtype, strides in elements, and as few copies as possible."""
import numpy

from . import _errors, _words
from ._native import structs


class Arrays:
    """Takes the arguments of one call. `notes` says which of them were copied, and why."""

    def __init__(self, u):
        self.notes = []
        u = numpy.asarray(u)
        if u.dtype.name not in _words.DTYPES:
            raise _errors.InvalidArgumentError(
                f"u: expected dtype {', '.join(_words.DTYPES)}, given {u.dtype.name}")
        self.dtype_name, self.dtype = u.dtype.name, u.dtype.newbyteorder("=")
        self.compute_name = _words.COMPUTE[u.dtype.name]

    def data(self, name, array):
        """An array of u's dtype, or None."""
        if array is None:
            return None
        array = numpy.asarray(array)
        if array.dtype.name != self.dtype_name:
            raise _errors.InvalidArgumentError(
                f"{name}: expected u's dtype {self.dtype_name}, given {array.dtype.name}")
        return self._served(name, self._native(name, array, self.dtype))

    def compute(self, name, array):
        """An array of the compute dtype, converted where it has another, or None."""
        if array is None:
            return None
        array = numpy.asarray(array)
        if array.dtype.kind not in "fiub" and array.dtype.name not in _words.DTYPES:
            raise _errors.InvalidArgumentError(f"{name}: expected real numbers, given dtype {array.dtype.name}")
        return self._served(name, self._native(name, array, numpy.dtype(self.compute_name)))

    def _native(self, name, array, dtype):
        if array.dtype == dtype:
            return array
        why = f"from {array.dtype.name} to {dtype.name}" if array.dtype.name != dtype.name else "to native byte order"
        self.notes.append(f"{name} was copied: converted {why}")
        return array.astype(dtype)

    def _served(self, name, array):
        if all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides) or array.size == 0:
            return array
        why = "negative strides" if min(array.strides) < 0 else "strides that are no whole elements"
        self.notes.append(f"{name} was copied: it has {why}")
        return numpy.ascontiguousarray(array)


def view(array):
    """What a Binding says of an array: dtype, shape, strides in elements, device, device_index."""
    strides = tuple(stride // array.itemsize for stride in array.strides) if array.size else (1,) * array.ndim
    return _words.DTYPES[array.dtype.name], array.shape, strides, _words.CPU, 0


def tensor_of(array):
    """An lcv_tensor of an array, which must outlive it."""
    return structs.tensor(array.__array_interface__["data"][0], *view(array))
