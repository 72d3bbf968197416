# SPDX-License-Identifier: BSD-3-Clause
"""The compiled handler (handler.c): found or compiled, loaded, and made known to XLA, once in a process.

It depends on the version of jaxlib that is installed, so it is compiled where it is used: once, into the user's cache, in a
file named after everything that went into it."""
import ctypes as c
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import threading
import warnings

import jax

from .. import _errors
from .._native import library

TARGET = "longconv_conv"
_SOURCE = pathlib.Path(__file__).with_name("handler.c")
# After the context, in the order of `services` in handler.c.
_SERVICES = ("lcv_conv_plan_create", "lcv_plan_destroy", "lcv_plan_describe", "lcv_conv_forward", "lcv_conv_backward",
             "lcv_context_message", "lcv_tensor_compact")

_lock = threading.Lock()
_route = None
_loaded = None


def _headers():
    """Folder of longconv's headers: in the package, or in the repository that it runs from."""
    for folder in list(pathlib.Path(__file__).parents)[1:6:4]:
        if (folder / "include" / "longconv" / "conv.h").is_file():
            return folder / "include"
    raise _errors.NoDeviceError("longconv's headers are not in the package")


def _cache_file():
    """Named after the machine and the text of all that is compiled."""
    digest = hashlib.sha256(platform.machine().encode())
    api = pathlib.Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    for file in (_SOURCE, api, *sorted((_headers() / "longconv").glob("*.h"))):
        digest.update(file.read_bytes())
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "longconv"
    return folder / f"jax-{digest.hexdigest()[:24]}.so"


def _compile(file):
    """Compiles into `file`, which appears whole or not at all."""
    compiler = os.environ.get("CC", "cc").split()
    if not compiler or shutil.which(compiler[0]) is None:
        raise _errors.NoDeviceError(f"there is no C compiler {' '.join(compiler) or '(CC is empty)'!r}")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = pathlib.Path(folder) / file.name
        command = [*compiler, "-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{_headers()}", "-isystem",
                   jax.ffi.include_dir(), str(_SOURCE), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise _errors.BackendFailedError(f"{' '.join(command)}: {done.stderr.strip()}")
        os.replace(made, file)


def build():
    """The file of the handler, compiled when it is not there. LONGCONV_JAX_HANDLER names another one."""
    named = os.environ.get("LONGCONV_JAX_HANDLER")
    if named:
        return pathlib.Path(named)
    file = _cache_file()
    if not file.exists():
        _compile(file)
    return file


def _register(file):
    handler, lib = c.CDLL(str(file)), library.library()
    table = (c.c_void_p * (1 + len(_SERVICES)))(
        library.context(), *(c.cast(getattr(lib, name), c.c_void_p).value for name in _SERVICES))
    handler.longconv_jax_bind.restype = None
    handler.longconv_jax_bind(table)

    def capsule(name):
        return jax.ffi.pycapsule(c.c_void_p(c.addressof(c.c_char.in_dll(handler, name))))
    jax.ffi.register_ffi_type("longconv_plan", {"type_id": capsule("longconv_jax_type_id"),
                                                "type_info": capsule("longconv_jax_type_info")}, platform="cpu")
    jax.ffi.register_ffi_target(TARGET, {"instantiate": capsule("longconv_jax_instantiate"),
                                         "execute": capsule("longconv_jax_execute")}, platform="cpu")
    return handler


def _choose():
    global _loaded
    wanted = os.environ.get("LONGCONV_JAX_ROUTE", "auto")
    if wanted not in ("auto", "handler", "callback"):
        raise _errors.InvalidArgumentError(
            f"LONGCONV_JAX_ROUTE: expected auto, handler or callback, given {wanted!r}")
    if wanted == "callback":
        return "callback"
    try:
        _loaded = _register(build())
        return "handler"
    except (_errors.LongconvError, OSError) as failure:
        if wanted == "handler":
            raise
        warnings.warn(f"longconv.jax: the handler for XLA could not be built, so each call goes through Python "
                      f"(jax.pure_callback), which is slower: {failure}", RuntimeWarning, stacklevel=2)
        return "callback"


def route():
    """How calls are run: "handler", or "callback" where the handler cannot be built (a warning says why)."""
    global _route
    if _route is None:
        with _lock:
            _route = _route or _choose()
    return _route
