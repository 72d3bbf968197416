# SPDX-License-Identifier: BSD-3-Clause
"""Finds and loads the C library, once, and keeps one context for each number of threads."""
import ctypes as c
import os
import pathlib
import threading
import weakref

from .. import _errors
from . import structs

_STATUS, _HANDLE, _POINTER = c.c_int, c.c_void_p, c.c_void_p

# Name in C: result, arguments.
_FUNCTIONS = {
    "lcv_version": (c.c_int32, []),
    "lcv_version_text": (c.c_char_p, []),
    "lcv_context_create": (_STATUS, [_POINTER, _POINTER]),
    "lcv_context_params_init": (None, [_POINTER, c.c_size_t]),
    "lcv_context_message": (c.c_char_p, [_HANDLE]),
    "lcv_backend_count": (c.c_int32, [_HANDLE]),
    "lcv_backend_describe": (_STATUS, [_HANDLE, c.c_int32, _POINTER]),
    "lcv_conv_params_init": (None, [_POINTER, c.c_size_t]),
    "lcv_conv_plan_create": (_STATUS, [_HANDLE, _POINTER, _POINTER]),
    "lcv_conv_query": (_STATUS, [_HANDLE, _POINTER, _POINTER]),
    "lcv_plan_describe": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_plan_destroy": (None, [_POINTER]),
    "lcv_spectrum_create": (_STATUS, [_HANDLE, _POINTER, c.c_size_t, _POINTER]),
    "lcv_spectrum_prepare": (_STATUS, [_HANDLE, _HANDLE, _POINTER, _POINTER, _POINTER]),
    "lcv_spectrum_destroy": (None, [_POINTER]),
    "lcv_conv_forward": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_conv_backward": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_filter_family_count": (c.c_int32, []),
    "lcv_filter_family_describe": (_STATUS, [c.c_int32, _POINTER]),
    "lcv_filter_family_option": (_STATUS, [c.c_int32, c.c_int32, _POINTER]),
    "lcv_filter_create": (_STATUS, [_HANDLE, _POINTER, _POINTER]),
    "lcv_filter_destroy": (None, [_POINTER]),
    "lcv_filter_describe": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_filter_parameter": (_STATUS, [_HANDLE, c.c_int32, _POINTER]),
    "lcv_filter_set": (_STATUS, [_HANDLE, c.c_char_p, _POINTER]),
    "lcv_filter_get": (_STATUS, [_HANDLE, c.c_char_p, _POINTER]),
    "lcv_filter_workspace": (_STATUS, [_HANDLE, c.c_int64, c.c_int64, c.c_int32, _POINTER]),
    "lcv_filter_evaluate": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_filter_backward": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_mixer_count": (c.c_int32, []),
    "lcv_mixer_describe": (_STATUS, [c.c_int32, _POINTER]),
    "lcv_mixer_option": (_STATUS, [c.c_int32, c.c_int32, _POINTER]),
    "lcv_mixer_plan_create": (_STATUS, [_HANDLE, _POINTER, _POINTER]),
    "lcv_mixer_port_count": (c.c_int32, [_HANDLE]),
    "lcv_mixer_port": (_STATUS, [_HANDLE, c.c_int32, _POINTER]),
    "lcv_mixer_port_find": (c.c_int32, [_HANDLE, c.c_char_p]),
    "lcv_mixer_initialise": (_STATUS, [_HANDLE, c.c_int32, c.c_uint64, _POINTER]),
    "lcv_mixer_forward": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_mixer_backward": (_STATUS, [_HANDLE, _POINTER]),
    "lcv_stream_create": (_STATUS, [_HANDLE, _POINTER, _POINTER, _POINTER]),
    "lcv_mixer_stream_create": (_STATUS, [_HANDLE, _POINTER, _POINTER, _POINTER]),
    **{prefix + verb: signature for prefix in ("lcv_stream_", "lcv_mixer_stream_") for verb, signature in {
        "create_like": (_STATUS, [_HANDLE, _POINTER]), "destroy": (None, [_POINTER]),
        "describe": (_STATUS, [_HANDLE, _POINTER]), "position": (c.c_int64, [_HANDLE]),
        "step": (_STATUS, [_HANDLE, _POINTER]), "push": (_STATUS, [_HANDLE, _POINTER]),
        "prefill": (_STATUS, [_HANDLE, _POINTER]), "work": (_STATUS, [_POINTER, c.c_int64, _POINTER]),
        "reset": (_STATUS, [_HANDLE]), "mark": (_STATUS, [_HANDLE, c.c_int64]), "rollback": (_STATUS, [_HANDLE]),
        "release": (_STATUS, [_HANDLE]), "fork": (_STATUS, [_HANDLE, c.c_int64, _POINTER]),
        "detach": (_STATUS, [_HANDLE]), "save": (_STATUS, [_HANDLE, _POINTER, c.c_size_t, _POINTER]),
        "load": (_STATUS, [_HANDLE, _POINTER, c.c_size_t])}.items()},
}
_INTERFACE = (0, 1)  # major and minor version of the headers that structs.py follows

_lock = threading.Lock()
_library = None
_contexts = {}


def path():
    """The file of the C library: LONGCONV_LIBRARY, or the one in this package."""
    return pathlib.Path(os.environ.get("LONGCONV_LIBRARY") or
                        pathlib.Path(__file__).parent.parent / "liblongconv.so")


def _load():
    try:
        loaded = c.CDLL(str(path()))
    except OSError as failure:
        raise _errors.NoDeviceError(f"the C library cannot be loaded: {failure}") from failure
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    version = loaded.lcv_version()
    if (version >> 16, version >> 8 & 255) != _INTERFACE:
        raise _errors.VersionMismatchError(
            f"{path()} has version {loaded.lcv_version_text().decode()}, expected {_INTERFACE[0]}.{_INTERFACE[1]}")
    return loaded


def library():
    """The loaded library."""
    global _library
    if _library is None:
        with _lock:
            _library = _library or _load()
    return _library


def context(threads=0):
    """Handle of the context whose executions use up to `threads` threads; 0: as many as the environment says."""
    return _contexts.get(threads) or _new_context(threads)


def _new_context(threads):
    lib = library()
    with _lock:
        if threads not in _contexts:
            params, handle = structs.ContextParams(), c.c_void_p()
            lib.lcv_context_params_init(c.byref(params), c.sizeof(params))
            params.num_threads = threads
            status = lib.lcv_context_create(c.byref(params), c.byref(handle))
            if status:
                raise _errors.error(status, lib.lcv_context_message(None).decode())
            _contexts[threads] = handle.value
        return _contexts[threads]


def check(status):
    """Raises the exception of a status that is not 0, with the message of this thread's last failure."""
    if status:
        raise _errors.error(status, library().lcv_context_message(None).decode(errors="replace"))


def _destroy(function, handle):
    function(c.byref(handle))


def own(owner, function, handle):
    """Destroys the C object `handle` when `owner` goes, or when what is returned is called. At the end of the process
    nothing is destroyed: other threads may still be computing."""
    end = weakref.finalize(owner, _destroy, function, handle)
    end.atexit = False
    return end


def _after_fork_in_child():
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
