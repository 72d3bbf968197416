#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# compile.sh NVCC OBJECT ARGUMENT...: compiles one CUDA source. What the assembler says of registers, stack and spills
# goes to OBJECT.usage, everything else to stderr.
set -u
nvcc=$1
object=$2
shift 2
"$nvcc" --resource-usage -o "$object" -c "$@" 2>"$object.usage"
status=$?
grep -Ev '^ptxas info|^ *[0-9]+ bytes stack frame|^$' "$object.usage" >&2
exit $status
