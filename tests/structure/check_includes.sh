#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_includes.sh ROOT: who may include what (docs/architecture.md).
set -u
cd "$1" || exit 1
failed=0
complain() {
    echo "$1"
    failed=1
}

sources() { find "$@" -name '*.[ch]' -o -name '*.inc' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null; }

# Prints "file header" for every include of the named kind, QUOTED or ANGLED, below the folders.
includes() {
    case $1 in
    QUOTED) pattern='s/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' ;;
    *) pattern='s/^[[:space:]]*#[[:space:]]*include[[:space:]]*<\([^>]*\)>.*/\1/p' ;;
    esac
    shift
    sources "$@" | while read -r file; do
        sed -n "$pattern" "$file" | while read -r header; do echo "$file $header"; done
    done
}

# 1. Each layer includes with quotes only what lies in its own folder, so cpu/ and gpu/ never see lib/ or each
#    other, lib/ never sees them, and tools and examples see public headers only.
for layer in lib cpu gpu tools examples; do
    [ -d $layer ] || continue
    bad=$(includes QUOTED $layer | while read -r file header; do
        path=$(realpath -m --relative-to=. "$(dirname "$file")/$header")
        case $path in $layer/*) [ -e "$path" ] && continue ;; esac
        # A filter family is a part of the core, wherever it lies.
        case $file in examples/filter_family/*) [ -e "lib/$header" ] && continue ;; esac
        case $header in ../*) ;; *) [ -e "$layer/$header" ] && continue ;; esac
        echo "$file includes \"$header\", which is not in $layer/"
    done)
    [ -z "$bad" ] || complain "$bad"
done

# 2. Public headers include the C library and each other.
bad=$(includes QUOTED include; includes ANGLED include | grep -Ev \
    ' (longconv/[a-z0-9_]+\.h|stddef\.h|stdint\.h|string\.h|math\.h|float\.h|limits\.h)$')
[ -z "$bad" ] || complain "public headers include: $bad"

# 3. FFTW is seen by its engine only, CUDA by the CUDA backend only. The tools may measure against FFTW.
bad=$(includes ANGLED include lib cpu gpu examples | grep ' fftw' | grep -v '^cpu/cpu_fftw')
[ -z "$bad" ] || complain "only cpu/cpu_fftw.* includes fftw3.h: $bad"
bad=$(includes ANGLED include lib cpu tools examples | grep -E ' (cuda|cufft|nvrtc|cub/|nccl)')
[ -z "$bad" ] || complain "only gpu/ includes CUDA headers: $bad"
bad=$(includes ANGLED gpu 2>/dev/null | grep -E ' cufft' | grep -v '^gpu/gpu_fft')
[ -z "$bad" ] || complain "only gpu/gpu_fft.* includes cufft.h: $bad"

bad=$(includes ANGLED include lib cpu tools examples | grep ' cblas' | grep -v '^cpu/cpu_blas')
[ -z "$bad" ] || complain "only cpu/cpu_blas.* includes cblas.h: $bad"

# 4. The core does not name a backend's library anywhere.
bad=$(sources lib | xargs grep -nE 'fftwf?_|cuda[A-Z]|cufft' /dev/null)
[ -z "$bad" ] || complain "lib/ names a library of a backend: $bad"

exit $failed
