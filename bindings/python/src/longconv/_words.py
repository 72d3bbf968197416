# SPDX-License-Identifier: BSD-3-Clause
"""The words of the Python interface and their numbers in C."""
import ctypes
import operator

from . import _errors

DTYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
COMPUTE = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}
MODES = {"causal": 0, "anticausal": 1, "twosided": 2, "circular": 3}
LAYOUTS = {"BDL": 0, "BLD": 1}
ACTIVATIONS = {None: 0, "none": 0, "gelu": 1, "gelu_tanh": 2, "silu": 3}
CPU, CUDA = 0, 1
PER_CHANNEL, SHARED, GROUPED, PER_SAMPLE = range(4)

# Bits of `terms` and of `grad_mask`, by the name of the argument.
TERMS = {"skip": 1 << 0, "bias": 1 << 1, "pre_gate": 1 << 2, "post_gate": 1 << 3, "state": 1 << 4}
GRADS = {"u": 1 << 0, "filter": 1 << 1, "filter_future": 1 << 2, "skip": 1 << 3, "bias": 1 << 4,
         "pre_gate": 1 << 5, "post_gate": 1 << 6, "state": 1 << 7}


def number(table, argument, word):
    """The number of a word, or an error that lists the words."""
    try:
        return table[word]
    except (KeyError, TypeError):
        expected = ", ".join(repr(known) for known in table)
        raise _errors.InvalidArgumentError(f"{argument}: expected one of {expected}, given {word!r}") from None


def text(argument, value):
    """A name as C reads it."""
    if not isinstance(value, str):
        raise _errors.InvalidArgumentError(f"{argument}: expected a name, given {value!r}")
    return value.encode()


def whole(argument, value, least=-2 ** 63):
    """A number of 64 bits, from `least` on: C takes it as int64, or as uint64 where that is 0."""
    try:
        found = operator.index(value)
    except TypeError:
        raise _errors.InvalidArgumentError(f"{argument}: expected a whole number, given {value!r}") from None
    if not least <= found < least + 2 ** 64:
        raise _errors.InvalidArgumentError(f"{argument}: expected a number of 64 bits from {least} on, given {found}")
    return found


def seed(value):
    """What C draws from: uint64."""
    return whole("seed", value, 0)


def real(argument, value):
    """A number that C takes as double."""
    try:
        return ctypes.c_double(value).value  # float would take texts, too
    except (TypeError, ValueError, OverflowError):
        raise _errors.InvalidArgumentError(f"{argument}: expected a number, given {value!r}") from None


def axes(layout):
    """Positions of channels and of time in a data tensor."""
    return (1, 2) if number(LAYOUTS, "layout", layout) == 0 else (2, 1)
