#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# mutants.sh SOURCE_ROOT MODULE_ARCHIVE FAKE_LIBRARY TEST COMPILER ARGUMENT...: breaks one line of the kernels of filters
# at a time, links the module with it, and expects the test of filters to fail. A line that is no longer found fails, too.
set -eu
root=$1
archive=$2
fake=$3
test=$4
shift 4
. "$root/tests/simt/mutate.sh"
compile="$*"

# mutant KERNELS FILE OLD NEW: gpu/KERNELS.cu is FILE or includes it.
mutant()
{
    mutate "$2" "$3" "$4" || return 0
    cp "$work/gpu/$1.cu" "$work/kernels.cpp"
    $compile -fPIC -shared -I"$work/gpu" -I"$root/include" -I"$root/tests/simt" -I"$root/tests/fakecuda/include" \
        "$work/kernels.cpp" -Wl,-u,lcv_backend_entry "$archive" "$fake" "-Wl,-rpath,$(dirname "$fake")" -lm \
        -o "$work/longconv-cuda.so"
    expect_failure "$2" "$3" "$4" env LONGCONV_BACKEND_PATH="$work" LONGCONV_TEST_BACKEND=cuda "$test"
}

mutant gpu_mlp gpu_sums.cuh '__syncthreads();' ''
mutant gpu_mlp gpu_sums.cuh 'threadIdx.x + half' 'threadIdx.x + half - 1'
mutant gpu_mlp gpu_mlp.cu '(sum.a) + row' '(sum.a) + 0 * row'
mutant gpu_mlp_norm gpu_mlp_norm.cu 't * LCV_GPU_STATISTICS + SLOPE' 't * LCV_GPU_STATISTICS + PRODUCT'
mutant gpu_mlp_norm gpu_mlp_norm.cu 'row * strip.pitch + t]' 'row * strip.pitch + t + 1]'
mutant gpu_exponential gpu_exponential.cu '__syncthreads();' ''
mutant gpu_exponential gpu_exponential.cu 'start + lane * LANES) - mode.origin' 'start + lane * LANES)'
mutant gpu_exponential gpu_exponential.cu 'warp + k * WARPS];' 'warp * (STEPS / WARPS) + k];'
mutant gpu_exponential gpu_exponential.cu 'step < steps' 'step < STEPS'
mutant gpu_exponential gpu_exponential.cu 'lane >= left' 'lane < 0'
mutant gpu_exponential gpu_exponential.cu 'row += gridDim.y' 'row += 1 << 20'
mutant gpu_exponential gpu_exponential.cu 'since + static_cast<double>(lane)' 'since'
mutant gpu_exponential gpu_exponential.cu 'p * moments + i' 'p + i'
exit $((survivors > 0))
