# SPDX-License-Identifier: BSD-3-Clause
"""What the library is, and what it would do with a call."""
import ctypes as c
from dataclasses import dataclass

from . import _conv, _plans
from ._native import library, structs


def _text(value):
    return value.decode(errors="replace") if value is not None else ""


def info():
    """The library as a dictionary: version, file, backends (with their licences, and why one is not available), and
    what the plan cache holds."""
    lib, context = library.library(), library.context()
    backends = []
    for index in range(lib.lcv_backend_count(context)):
        found = structs.BackendInfo(struct_size=c.sizeof(structs.BackendInfo))
        library.check(lib.lcv_backend_describe(context, index, c.byref(found)))
        backends.append({"name": _text(found.name), "description": _text(found.description),
                         "engines": _text(found.engines).split(), "available": bool(found.available),
                         "reason": _text(found.reason), "origin": _text(found.origin),
                         "device": "cuda" if found.device else "cpu", "concurrent": bool(found.concurrent)})
    return {"version": _text(lib.lcv_version_text()), "library": str(library.path()), "backends": backends,
            "cache": _plans.cache_info()}


@dataclass(frozen=True)
class Explanation:
    """How a call would be computed."""

    backend: str
    engine: str
    fft_size: int
    threads: int
    workspace_bytes: int
    spectrum_bytes: int
    why: str
    copies: tuple

    def __str__(self):
        size = f", transforms of {self.fft_size} points" if self.fft_size else ""
        lines = [f"backend {self.backend}, engine {self.engine}{size}, up to {self.threads} thread(s)",
                 f"workspace {self.workspace_bytes} bytes; a prepared filter takes {self.spectrum_bytes} bytes", self.why]
        return "\n".join(lines + list(self.copies or ("no array is copied",)))


def explain(u, filter, *, skip=None, bias=None, pre_gate=None, post_gate=None, activation=None, mode="causal",
            filter_future=None, future_first_lag=1, layout="BDL", state=None, return_state=False, backend="auto"):
    """How `conv` with these arguments would be computed: backend, engine, transform size, why, and what is copied.
    Computes nothing."""
    asked = _conv.request(u, filter, skip=skip, bias=bias, pre_gate=pre_gate, post_gate=post_gate, activation=activation,
                          mode=mode, filter_future=filter_future, future_first_lag=future_first_lag, layout=layout,
                          state=state, return_state=return_state, backend=backend)
    return explain_problem(asked.problem, tuple(asked.notes))


def explain_problem(problem, copies=()):
    """The same of a problem."""
    found, params = structs.PlanInfo(struct_size=c.sizeof(structs.PlanInfo)), problem.params()
    library.check(library.library().lcv_conv_query(library.context(problem.threads), c.byref(params), c.byref(found)))
    return Explanation(_text(found.backend), _text(found.engine), found.fft_size, found.threads, found.workspace_bytes,
                       found.spectrum_bytes, _text(found.explanation), copies)
