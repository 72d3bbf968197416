#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# gpu_check.sh [OPTION...]: everything that needs a GPU, in one call of under ten minutes: build for this GPU alone,
# short operator suite, streams and graphs, benchmark, baselines, compute-sanitizer, filters, mixers, operators,
# containment, gradients. What matters most comes first, and no step runs past the end. Leaves
# benchmarks/results/GPU-DATE.jsonl, with a line for each step. Without a GPU it says so and ends with status 0.
#   --build FOLDER       the build folder (build-gpu)
#   --cuda-path FOLDERS  where nvcc, the CUDA runtime and cuFFT are, separated by ':'
#   --prefix FOLDER      cmocka and cJSON that were brought along: FOLDER/lib/pkgconfig has their .pc files
#   --seconds N          for all of it (570)
#   --trial FOLDER       a rehearsal on the simulated device of this build folder, with tiny problems
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export LC_ALL=C

build=build-gpu
total=570
trial=''
options=()
while [ $# -gt 0 ]; do
    if [ $# -lt 2 ]; then sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2; fi
    case $1 in
    --build) build=$2 ;;
    --cuda-path) options+=("-Dcuda-path=$2") ;;
    --prefix)
        export PKG_CONFIG_PATH=$2/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
        export LD_LIBRARY_PATH=$2/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
    --seconds) total=$2 ;;
    --trial) trial=$2 ;;
    *) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift 2
done

failed=0
say() { printf '== %s\n' "$*"; }

# step NAME SECONDS COMMAND...: at most so long, and not beyond the end of all.
step() {
    local name=$1 seconds=$2 started=$SECONDS status
    shift 2
    if [ "$seconds" -gt $((total - SECONDS)) ]; then seconds=$((total - SECONDS)); fi
    if [ "$seconds" -lt 5 ]; then
        say "$name: left out, no time"
        return
    fi
    say "$name"
    timeout "$seconds" "$@"
    status=$?
    say "$name: $([ $status -eq 0 ] && echo passed || echo "FAILED ($status)"), $((SECONDS - started)) s"
    printf '{"step": "%s", "status": %d, "seconds": %d}\n' "$name" "$status" $((SECONDS - started)) >>"$results"
    [ $status -eq 0 ] || failed=1
}

# What the tests and the benchmark need, and nothing else.
build_for_gpu() {
    local arch
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
    if [ ! -f "$build/build.ninja" ]; then
        meson setup "$build" --buildtype=release -Dfftw=disabled -Dcuda=enabled "-Dcuda-arch=$arch" \
            ${options[@]+"${options[@]}"} >"$build.log" 2>&1 || { cat "$build.log"; return 1; }
    fi
    ninja -C "$build" gpu/longconv-cuda.so tools/longconv benchmarks/gpu/gpu_bench tests/ops/test_ops \
        tests/ops/test_gradients tests/properties/test_containment tests/fakecuda/test_device_on_gpu \
        tests/fakecuda/test_filters_on_gpu tests/fakecuda/test_mixers_on_gpu >"$build/ninja.log" 2>&1 || { tail -n 30 "$build/ninja.log"; return 1; }
}

if [ -n "$trial" ]; then
    gpu=simulated
    build=$trial
    export LONGCONV_BACKEND_PATH=$PWD/$build/tests/fakecuda/longconv-cuda.so
    bench=("$build/tests/fakecuda/gpu_bench_on_fake" --scale 256)
    device=("$build/tests/fakecuda/test_cuda_device" real)
    filters=$build/tests/fakecuda/test_device_filters
    mixers=$build/tests/fakecuda/test_device_mixers
    results=$build/gpu-trial.jsonl
elif ! command -v nvidia-smi >/dev/null ||
    ! gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || [ -z "$gpu" ]; then
    say "skipped: there is no GPU here"
    exit 0
else
    say "GPU: $gpu; build"
    build_for_gpu || exit 1
    say "build: $SECONDS s so far"
    export LONGCONV_BACKEND_PATH=$PWD/$build/gpu
    bench=("$build/benchmarks/gpu/gpu_bench")
    device=("$build/tests/fakecuda/test_device_on_gpu" real)
    filters=$build/tests/fakecuda/test_filters_on_gpu
    mixers=$build/tests/fakecuda/test_mixers_on_gpu
    results=benchmarks/results/$(printf '%s' "$gpu" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')-$(date -u +%Y-%m-%d).jsonl
fi

export LONGCONV_TEST_BACKEND=cuda
"$build/tools/longconv" info
if ! "$build/tools/longconv" info | grep -q '^backend  cuda: available'; then
    say "FAILED: nvidia-smi sees a GPU, the library does not"
    exit 1
fi

mkdir -p "$(dirname "$results")"
printf '{"machine": "%s", "date": "%s", "commit": "%s", "driver": "%s"}\n' "$gpu" "$(date -u +%FT%TZ)" \
    "$(git rev-parse --short HEAD 2>/dev/null)" \
    "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)" >"$results"
export results
measure() { "$@" | tee -a "$results"; }
export -f measure

step "operator suite, short" 60 "$build/tests/ops/test_ops" short
step "streams, graphs and bits" 20 "${device[@]}"
step "benchmark" 180 bash -c 'set -o pipefail; measure "$@"' measure "${bench[@]}"
if [ -z "$trial" ]; then
    step "baselines" 60 bash -c 'set -o pipefail; measure python3 benchmarks/gpu/torch_baselines.py'
fi
if [ -z "$trial" ] && command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        step "compute-sanitizer $tool" 60 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            "$build/tests/ops/test_ops" short
    done
else
    say "compute-sanitizer: left out"
fi
step "filters" 45 "$filters"
step "mixers" 60 "$mixers"
step "operator suite" 90 "$build/tests/ops/test_ops"
if [ -z "$trial" ]; then
    step "containment" 45 "$build/tests/properties/test_containment" # minutes where a CPU plays the GPU
fi
step "gradients" 90 "$build/tests/ops/test_gradients"
say "results: $results"
exit $failed
