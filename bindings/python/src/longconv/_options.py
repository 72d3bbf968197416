# SPDX-License-Identifier: BSD-3-Clause
"""What filter families and mixers have in common: options as text, and lists of described things."""
import ctypes as c

from ._native import library, structs

_TYPES = ("integer", "real", "boolean", "choice")


def text_of(options):
    """Options as the C library reads them: NAME=VALUE, separated by blanks."""
    return " ".join(f"{name}={int(value) if isinstance(value, bool) else value}" for name, value in options.items())


def of_text(text):
    """The options that text_of, or the C library, has written: {name: text}."""
    return dict(part.split("=", 1) for part in text.split())


def describe(function, struct, *indices):
    """What a describing function says, with texts as str."""
    found = struct(struct_size=c.sizeof(struct))
    library.check(function(*indices, c.byref(found)))
    fields = ((name, getattr(found, name)) for name, _ in struct._fields_ if name != "struct_size")
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in fields}


def options_of(function, owner, count):
    """{name: {type, default, least, most, choices, help}} of a family or mixer."""
    found = {}
    for index in range(count):
        option = describe(function, structs.OptionInfo, owner, index)
        found[option["name"]] = {"type": _TYPES[option["type"]], "default": option["default_text"],
                                 "least": option["least"], "most": option["most"],
                                 "choices": option["choices"].split(), "help": option["help"]}
    return found


def listing(count, describe_one, option_of, struct):
    """{name: {summary, formula, source, options}} of all families or mixers."""
    found = {}
    for index in range(count()):
        told = describe(describe_one, struct, index)
        found[told["name"]] = {key: told[key] for key in ("summary", "formula", "source")}
        found[told["name"]]["options"] = options_of(option_of, index, told["option_count"])
    return found


def ports_of(function, handle, count):
    """{name: description} of the arrays of a filter or a plan, in order."""
    ports = {}
    for index in range(count):
        port = describe(function, structs.PortInfo, handle, index)
        ports[port["name"]] = {**port, "shape": tuple(port["shape"][:port["rank"]])}
    return ports
