#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# find_cuda.sh [FOLDERS]: finds what the CUDA backend is built with and prints it, one "name=path" a line:
#   nvcc, runtime (folder of cuda_runtime_api.h), cudart, cufft_include (folder of cufft.h), cufft
# or "missing=what there is not". FOLDERS, separated by ':', are searched first: a CUDA Toolkit, or the folder of
# one of its parts, with bin, include, lib or lib64 below it. Then: where nvcc is, /usr/local/cuda, /usr, and the
# packages of python3.
set -u

missing() { echo "missing=$1"; exit 0; }

# first NAME... < folders: the first file that exists.
first() {
    while read -r folder; do
        for name in "$@"; do
            if [ -e "$folder/$name" ]; then
                echo "$folder/$name"
                return 0
            fi
        done
    done
    return 1
}

given() { echo "${1:-}" | tr ':' '\n' | grep .; }

nvcc=$(given "${1:-}" | first bin/nvcc) || nvcc=$(command -v nvcc) || nvcc=$(echo /usr/local/cuda | first bin/nvcc) ||
    missing "nvcc"
home=$("$nvcc" --dryrun -E -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')

# The packages of python3 that carry parts of CUDA.
packages() {
    command -v python3 >/dev/null || return 0
    python3 -c '
import site, sys, glob
for folder in site.getsitepackages() + [site.getusersitepackages()] + sys.path:
    for part in glob.glob(folder + "/nvidia/cu13") + glob.glob(folder + "/nvidia/cufft"):
        print(part)' 2>/dev/null
}

folders=$(given "${1:-}"; echo "$home"; echo /usr/local/cuda; echo /usr; packages)
find_file() { echo "$folders" | first "$@"; }

header=$(find_file include/cuda_runtime_api.h) || missing "cuda_runtime_api.h"
cudart=$(find_file lib64/libcudart_static.a lib/libcudart_static.a lib/x86_64-linux-gnu/libcudart_static.a \
    lib64/libcudart.so lib/libcudart.so lib/libcudart.so.13 lib/libcudart.so.12) || missing "the CUDA runtime library"
fft_header=$(find_file include/cufft.h) || missing "cufft.h"
cufft=$(find_file lib64/libcufft.so lib/libcufft.so lib/x86_64-linux-gnu/libcufft.so lib/libcufft.so.12 \
    lib/libcufft.so.11) || missing "the cuFFT library"
echo "nvcc=$nvcc"
echo "runtime=$(dirname "$header")"
echo "cudart=$cudart"
echo "cufft_include=$(dirname "$fft_header")"
echo "cufft=$cufft"
