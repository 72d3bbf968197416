#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_spills.sh FOLDER: reads what the assembler said of each kernel (gpu/compile.sh leaves it in *.usage) and fails
# when one of them spills registers, or when there is nothing to read. Prints the most that each kernel needs.
set -u
files=$(find "$1" -name '*.usage')
[ -n "$files" ] || { echo "no .usage file below $1"; exit 1; }
cat $files | awk '
    /Compiling entry function/ { split($0, part, "\047"); name = part[2]; arch = part[4]; kernels++ }
    /bytes stack frame/ && name != "" {
        stack = $1; spill = $5 + $9
        if (spill > 0) { printf "%s for %s spills %d bytes\n", name, arch, spill; failed = 1 }
        if (stack > most_stack[name]) most_stack[name] = stack
    }
    /Used [0-9]+ registers/ && name != "" {
        for (i = 1; i < NF; i++) if ($i == "Used" && $(i + 1) > registers[name]) registers[name] = $(i + 1)
    }
    END {
        for (name in registers) printf "%4d registers, %3d bytes of stack  %s\n", registers[name], most_stack[name], name
        if (kernels == 0) { print "no kernel was compiled"; failed = 1 }
        exit failed
    }'
