#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_readme.sh ROOT: the C program in the README is examples/00_hello.c (without its licence line), which the
# tests compile and run.
set -u
cd "$1" || exit 1
shown=$(mktemp) || exit 1
trap 'rm -f "$shown"' EXIT
awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md >"$shown"
tail -n +2 examples/00_hello.c | diff -u "$shown" - || {
    echo "README.md does not show examples/00_hello.c"
    exit 1
}
