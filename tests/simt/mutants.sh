#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# mutants.sh SOURCE_ROOT COMMON_LIBRARY COMPILER ARGUMENT...: breaks one line of the kernels at a time and expects
# the tests of kernels to fail. A line that is no longer found fails, too: then the list below is out of date.
set -eu
root=$1
common=$2
shift 2
. "$root/tests/simt/mutate.sh"

# mutant ENGINE SIZE FILE OLD NEW
mutant()
{
    mutate "$3" "$4" "$5" || return 0
    case $1 in
    mend) cp "$work/gpu/gpu_mend.cu" "$work/kernels.cpp" ;;
    *) cp "$work/gpu/ring_$1.cu" "$work/kernels.cpp" ;;
    esac
    $compile -I"$work/gpu" -I"$root/include" -I"$root/tests/simt" "$work/kernels.cpp" \
        "$root/tests/simt/test_$1.cpp" "$common" -lm -o "$work/test"
    expect_failure "$3" "$4" "$5" "$work/test" cases "$2"
}

compile="$*"
mutant block 1024 ring_block.cuh '+ k * padded(step)];' '+ k * step];'
mutant block 1024 ring_block.cuh 'constants.load(table, Shape<N>::R0, node)' \
    'constants.load(table, Shape<N>::R0, node / 2)'
mutant block 1024 ring_block.cuh '__ldg(factor + v * (N / LEAVES) + i)' '__ldg(factor + v * (N / LEAVES) + (i ^ 1))'
mutant block 1024 ring_block.cuh 'sign * both.y' 'both.y'
mutant block 1024 ring_math.cuh 'times_i_if(node % 2,' 'times_i_if(false,'
mutant block 1024 ring_rows.cuh 't < span.end)' 't <= span.end)'
mutant block 1024 ring_block.cu 'blockIdx.x / p.chunk.rows * (N / 2)' '0 * (N / 2)'
mutant split 32768 ring_split.cu 'return 1 + 4 * reversed - columns' 'return 4 * reversed - columns'
mutant split 32768 ring_split.cu 't + p.n < end' 't + p.n + 1 < end'
mutant mend 0 gpu_direct.cuh 'at >= w.begin && at' 'at > w.begin && at'
mutant mend 0 gpu_direct.cuh 'if (!__syncthreads_or(alive))' 'if (!alive)'
mutant mend 0 gpu_mend.cu '-sign * taps.first_lag' 'sign * taps.first_lag'
mutant mend 0 gpu_mend.cu 'first_row = filter * chunk.rows' 'first_row = filter'
mutant mend 0 gpu_mend.cu 'is_used ? ' 'false ? '
exit $((survivors > 0))
