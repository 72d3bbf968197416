#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Prints the version that the public header declares.
header=$(dirname "$0")/../include/longconv/common.h
awk '/^#define LCV_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", separator, $3; separator = "." }' "$header"
