#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# gpu_check.sh [--build FOLDER] [--cuda-path FOLDERS]: everything that needs a GPU, in one call of under ten minutes:
# build, operator suite, compute-sanitizer, graphs on a stream of their own, benchmark, baselines. Leaves
# benchmarks/results/GPU-DATE.jsonl. Without a GPU it says so and ends with status 0.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export LC_ALL=C

build=build-gpu
options=()
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift ;;
    --cuda-path) options+=("-Dcuda-path=$2"); shift ;;
    *) sed -n '3,5s/^# //p' "$0"; exit 2 ;;
    esac
    shift
done

failed=0
say() { printf '== %s\n' "$*"; }

# step NAME SECONDS COMMAND...: at most so long.
step() {
    local name=$1 seconds=$2 started=$SECONDS status
    shift 2
    say "$name"
    timeout "$seconds" "$@"
    status=$?
    say "$name: $([ $status -eq 0 ] && echo passed || echo "FAILED ($status)"), $((SECONDS - started)) s"
    [ $status -eq 0 ] || failed=1
}

if ! command -v nvidia-smi >/dev/null || ! gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) ||
    [ -z "$gpu" ]; then
    say "skipped: there is no GPU here"
    exit 0
fi
say "GPU: $gpu"

if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" --buildtype=release -Dcuda=enabled "${options[@]}" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
fi
say "build"
ninja -C "$build" >"$build/ninja.log" 2>&1 || { tail -n 30 "$build/ninja.log"; exit 1; }

export LONGCONV_BACKEND_PATH=$PWD/$build/gpu LONGCONV_TEST_BACKEND=cuda
"$build/tools/longconv" info
if ! "$build/tools/longconv" info | grep -q '^backend  cuda: available'; then
    say "FAILED: nvidia-smi sees a GPU, the library does not"
    exit 1
fi

step "operator suite" 90 "$build/tests/ops/test_ops"
step "gradients" 90 "$build/tests/ops/test_gradients"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        step "compute-sanitizer $tool" 75 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            "$build/tests/ops/test_ops" short
    done
else
    say "compute-sanitizer is not installed: left out"
fi

results=benchmarks/results/$(printf '%s' "$gpu" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')-$(date -u +%Y-%m-%d).jsonl
printf '{"machine": "%s", "date": "%s", "commit": "%s", "driver": "%s"}\n' "$gpu" "$(date -u +%FT%TZ)" \
    "$(git rev-parse --short HEAD 2>/dev/null)" \
    "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)" >"$results"
measure() { "$@" | tee -a "$results"; }
export -f measure
export results
step "benchmark, and graphs" 150 bash -c 'set -o pipefail; measure "$0"' "$build/benchmarks/gpu/gpu_bench"
step "baselines" 60 bash -c 'set -o pipefail; measure python3 benchmarks/gpu/torch_baselines.py'
say "results: $results"
exit $failed
