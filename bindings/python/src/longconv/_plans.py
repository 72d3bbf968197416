# SPDX-License-Identifier: BSD-3-Clause
"""Plans, the arguments of their executions, and the two bounded caches that hold them.

A *plan* belongs to a problem. A *binding* belongs to a plan and the strides of the arrays: it holds argument structs in
which only addresses change from call to call, so that a call costs little. Dropping either from its cache destroys it
when the last call that uses it ends. The locks guard insertion alone; a hit takes none. A child of fork starts with
fresh locks and may use everything that was made before."""
import ctypes as c
import os
import threading

import numpy

from . import _errors
from ._native import library, structs

MAX_PLANS = 256
MAX_BINDINGS = 1024
MAX_KEPT_SCRATCH = 64 << 20  # bytes of workspace that a thread keeps from call to call


class Cache:
    """A bounded table: the oldest entry goes when a new one needs its place."""

    def __init__(self, limit):
        self.limit, self.entries, self.lock, self.misses = limit, {}, threading.Lock(), 0

    def get(self, key, make):
        entry = self.entries.get(key)
        return entry if entry is not None else self._insert(key, make())

    def _insert(self, key, entry):
        with self.lock:
            entry = self.entries.setdefault(key, entry)
            self.misses += 1
            while len(self.entries) > self.limit:
                del self.entries[next(iter(self.entries))]
        return entry

    def clear(self):
        with self.lock:
            self.entries.clear()


class Plan:
    """Owns an lcv_plan."""

    def __init__(self, problem):
        self.problem = problem
        lib, handle = library.library(), c.c_void_p()
        params = problem.params()
        library.check(lib.lcv_conv_plan_create(library.context(problem.threads), c.byref(params), c.byref(handle)))
        self.handle = handle
        library.own(self, lib.lcv_plan_destroy, handle)
        info = structs.PlanInfo(struct_size=c.sizeof(structs.PlanInfo))
        library.check(lib.lcv_plan_describe(handle, c.byref(info)))
        self.workspace_bytes, self.info = info.workspace_bytes, info


class Scratch(threading.local):
    """This thread's workspace on the CPU."""

    memory, address, size = None, 0, 0

    def of(self, size):
        """Address of `size` bytes, and what keeps them alive."""
        if size <= self.size:
            return self.address, None
        memory = numpy.empty(max(size, 4096), numpy.uint8)
        address = memory.ctypes.data
        if size <= MAX_KEPT_SCRATCH:
            self.memory, self.address, self.size = memory, address, memory.size
        return address, memory


scratch = Scratch()
_WORD = c.sizeof(c.c_size_t)


class Call:
    """One args struct, as words of memory."""

    def __init__(self, binding):
        struct = binding.struct
        self.args = struct(struct_size=c.sizeof(struct))
        for name, (dtype, shape, strides, device, device_index) in binding.tensors.items():
            tensor = getattr(self.args, name)
            tensor.dtype, tensor.rank, tensor.device, tensor.device_index = dtype, len(shape), device, device_index
            tensor.shape[:len(shape)], tensor.strides[:len(shape)] = shape, strides
        self.args.exec.workspace_bytes = binding.plan.workspace_bytes
        self.words = (c.c_size_t * (c.sizeof(struct) // _WORD)).from_buffer(self.args)
        self.pointer = c.c_void_p(c.addressof(self.args))


class Binding:
    """The executions of a plan on arrays of certain strides.

    tensors: {name in the args struct: (dtype, shape, strides in elements, device, device_index)}, in the order in which
    `run` gets the addresses."""

    def __init__(self, plan, backward, tensors):
        lib = library.library()
        self.plan, self.tensors, self.free = plan, tensors, []
        self.struct = structs.ConvGradArgs if backward else structs.ConvArgs
        self.execute = lib.lcv_conv_backward if backward else lib.lcv_conv_forward
        self.handle = plan.handle
        self.slots = [getattr(self.struct, name).offset // _WORD for name in tensors]
        execution = self.struct.exec.offset
        self.stream_slot = (execution + structs.Exec.stream.offset) // _WORD
        self.workspace_slot = (execution + structs.Exec.workspace.offset) // _WORD
        self.spectrum_slot = self.struct.spectrum.offset // _WORD

    def run(self, addresses, workspace=None, stream=0, spectrum=0):
        """Executes; `workspace` None: this thread's scratch memory."""
        try:
            call = self.free.pop()
        except IndexError:
            call = Call(self)
        kept = None
        if workspace is None:
            workspace, kept = scratch.of(self.plan.workspace_bytes)
        words = call.words
        for slot, address in zip(self.slots, addresses):
            words[slot] = address
        words[self.workspace_slot], words[self.stream_slot], words[self.spectrum_slot] = workspace, stream, spectrum
        status = self.execute(self.handle, call.pointer)
        self.free.append(call)
        del kept
        if status:
            library.check(status)


plans = Cache(MAX_PLANS)
bindings = Cache(MAX_BINDINGS)


def plan(problem):
    """The plan of a problem, made when it is not cached."""
    return plans.get(problem, lambda: Plan(problem))


def clear_cache():
    """Forgets all plans, and this thread's workspace. Prepared filters keep what they need."""
    bindings.clear()
    plans.clear()
    scratch.memory, scratch.address, scratch.size = None, 0, 0


def cache_info():
    """How many plans and bindings are kept, at most, and were made since the start."""
    return {name: {"kept": len(cache.entries), "limit": cache.limit, "made": cache.misses}
            for name, cache in (("plans", plans), ("bindings", bindings))}


def set_cache_limit(max_plans):
    """Keeps at most `max_plans` plans, and four times as many bindings."""
    if max_plans < 1:
        raise _errors.InvalidArgumentError(f"max_plans: expected at least 1, given {max_plans}")
    for cache, limit in ((plans, max_plans), (bindings, 4 * max_plans)):
        with cache.lock:
            cache.limit = limit
            while len(cache.entries) > limit:
                del cache.entries[next(iter(cache.entries))]


def _after_fork_in_child():
    for cache in (plans, bindings):
        cache.lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
