#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_headers.sh INCLUDE_FOLDER LANGUAGE STANDARD COMPILER... -- HEADER...
# Compiles each header alone, twice in a row (for its guard), and uses every ..._INIT macro that it defines.
set -u
include=$1 language=$2 standard=$3
shift 3
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
shift

failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for header; do
    {
        echo "#include <longconv/$header>"
        echo "#include <longconv/$header>"
        # LCV_CONV_PARAMS_INIT initialises a lcv_conv_params.
        sed -n 's/^#define LCV_\([A-Z_]*\)_INIT .*/\1/p' "$include/longconv/$header" | while read -r name; do
            type=lcv_$(echo "$name" | tr 'A-Z' 'a-z')
            echo "extern $type from_$name; $type from_$name = LCV_${name}_INIT;"
        done
        echo "extern int not_empty; int not_empty = 1;"
    } >"$work/alone.source"
    # shellcheck disable=SC2086 # the compiler may be several words, as in "ccache gcc"
    $compiler -x "$language" "-std=$standard" -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror \
        -I "$include" -c "$work/alone.source" -o "$work/alone.o" || {
        echo "longconv/$header does not compile alone as $standard"
        failed=1
    }
done
exit $failed
