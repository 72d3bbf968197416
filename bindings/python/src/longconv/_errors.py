# SPDX-License-Identifier: BSD-3-Clause
"""One exception class for each status of the C library. The text is the C library's own message: it names the
argument, what was expected and what was given. Each class is also the built-in exception that comes nearest."""


class LongconvError(Exception):
    """Base of all errors of this package; `status` is the C library's number."""

    status = 0


class InvalidArgumentError(LongconvError, ValueError):
    """An argument is wrong."""

    status = -1


class UnsupportedError(LongconvError, NotImplementedError):
    """No backend that may be used serves this problem."""

    status = -2


class OutOfMemoryError(LongconvError, MemoryError):
    """An allocation failed."""

    status = -3


class TooLargeError(LongconvError, OverflowError):
    """A size or a product of sizes does not fit its type."""

    status = -4


class WorkspaceTooSmallError(LongconvError, RuntimeError):
    """The workspace, or the allowed maximum, is below what is needed."""

    status = -5


class BusyError(LongconvError, RuntimeError):
    """The workspace that a plan owns is in use by another call."""

    status = -6


class IncompatibleError(LongconvError, RuntimeError):
    """A prepared filter was made for another kind of plan."""

    status = -7


class NoDeviceError(LongconvError, RuntimeError):
    """A backend was named that is not available."""

    status = -8


class DeviceLostError(LongconvError, RuntimeError):
    """The device failed for good."""

    status = -9


class BackendFailedError(LongconvError, RuntimeError):
    """A library below (FFT, driver) reported a failure."""

    status = -10


class VersionMismatchError(LongconvError, RuntimeError):
    """The C library has another version of the interface than this package was made for."""

    status = -11


class InternalError(LongconvError, RuntimeError):
    """A bug in the library."""

    status = -12


CLASSES = {cls.status: cls for cls in LongconvError.__subclasses__()}


def error(status, message):
    """The exception for a status."""
    return CLASSES.get(status, InternalError)(message or f"status {status}")
