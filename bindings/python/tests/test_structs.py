# SPDX-License-Identifier: BSD-3-Clause
"""The structs of ctypes are those of the headers: a C program prints sizes and offsets."""
import ctypes
import os
import pathlib
import shutil
import subprocess

import pytest

from longconv._native.structs import STRUCTS

HEADERS = pathlib.Path(os.environ.get("LONGCONV_INCLUDE") or pathlib.Path(__file__).parents[3] / "include")


def program():
    """Prints a line for each struct: its name, its size, the offset of each field."""
    lines = ["#include <longconv/longconv.h>", "#include <stdio.h>", "int main(void) {"]
    for name, struct in STRUCTS.items():
        offsets = [f"(int)offsetof({name}, {field})" for field, _ in struct._fields_]
        numbers = ", ".join([f"(int)sizeof({name})", *offsets])
        lines.append(f'printf("{name}{" %d" * (len(offsets) + 1)}\\n", {numbers});')
    return "\n".join([*lines, "return 0;", "}", ""])


@pytest.mark.compiler
def test_structs_are_those_of_the_headers(tmp_path):
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None or not (HEADERS / "longconv").is_dir():
        pytest.skip("needs a C compiler and the headers")
    source, binary = tmp_path / "offsets.c", tmp_path / "offsets"
    source.write_text(program())
    subprocess.run([compiler, "-std=c11", "-Wall", "-Werror", f"-I{HEADERS}", source, "-o", binary], check=True)
    printed = subprocess.run([binary], check=True, capture_output=True, text=True).stdout.split("\n")
    seen = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in printed if line}
    for name, struct in STRUCTS.items():
        assert seen[name] == [ctypes.sizeof(struct)] + [getattr(struct, field).offset for field, _ in struct._fields_], name
