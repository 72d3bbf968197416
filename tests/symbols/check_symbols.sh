#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_symbols.sh shared|static NM LIBRARY PREFIX
# Every symbol that LIBRARY defines for others begins with PREFIX (a regular expression), and it calls nothing
# that ends the process, prints to stdout or changes locale, signals or the rounding mode.
set -u
kind=$1 nm=$2 library=$3 prefix=$4
case $kind in
shared) table=$("$nm" -D "$library") || exit 1 ;;
*) table=$("$nm" "$library") || exit 1 ;;
esac
failed=0

# Lines are "address type name" or "type name"; capital types are global. A is the version node of a library.
defined=$(echo "$table" | awk 'NF >= 2 && $(NF-1) ~ /^[BCDGRSTVWiu]$/ { sub(/@.*/, "", $NF); print $NF }')
[ -n "$defined" ] || { echo "$library defines no symbol"; failed=1; }
foreign=$(echo "$defined" | grep -Ev "^$prefix" | grep -Ev '^(_init|_fini|__x86\.get_pc_thunk.*)$')
if [ -n "$foreign" ]; then
    echo "symbols that do not begin with $prefix:"
    echo "$foreign"
    failed=1
fi

forbidden='abort|exit|_exit|_Exit|quick_exit|printf|__printf_chk|vprintf|puts|putchar|system|setlocale'
forbidden="$forbidden|strtod|strtof|atof|signal|sigaction|raise|fesetround|feenableexcept|setenv|putenv|srand|rand"
calls=$(echo "$table" | awk 'NF >= 2 && $(NF-1) == "U" { sub(/@.*/, "", $NF); print $NF }' | sort -u |
    grep -Ex "$forbidden")
if [ -n "$calls" ]; then
    echo "functions that the library must not call:"
    echo "$calls"
    failed=1
fi
exit $failed
