#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run_grid.sh [--build DIR] [--python PYTHON] [--out FILE] [BENCH-OPTION...]
# Measures benchmarks/grid.txt into benchmarks/results/PROCESSOR-DATE.jsonl, whose first line tells machine,
# compiler, versions and commit. With --python also the comparison with PyTorch, SciPy and JAX, those of them that
# this Python has. What follows goes to `longconv bench`, for instance --min-time 0.2 for a quick look.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

build=build python='' out=''
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    *) break ;;
    esac
done

# The processor's name in small letters, with single dashes.
processor() {
    { sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1 | grep . || uname -m; } |
        tr '[:upper:]' '[:lower:]' | sed -E 's/\((r|tm)\)//g; s/[^a-z0-9]+/-/g; s/^-|-$//g'
}

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
if ! git diff --quiet HEAD 2>/dev/null; then commit+=+changes; fi
out=${out:-benchmarks/results/$(processor)-$(date +%Y-%m-%d).jsonl}
mkdir -p "$(dirname "$out")"

"$build/tools/longconv" bench --json --measure --min-time 1 --file benchmarks/grid.txt "$@" |
    sed -u "1s/^{/{\"date\":\"$(date +%Y-%m-%d)\",\"commit\":\"$commit\",/" | tee "$out.part"
if [ -n "$python" ]; then
    "$python" benchmarks/python/compare.py --build "$build" --seconds 1 --out "$out.part"
fi
mv "$out.part" "$out"
echo "written: $out" >&2
