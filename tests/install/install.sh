#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# install.sh WAY SOURCE BUILD PREFIX LIBDIR KIND FFTW COMPILER...
# WAY: shared      what this build folder installs, used through pkg-config
#      subproject  static, from a Meson project that has this one as a subproject, and from there installed and
#                  used through pkg-config --static
#      dist        the archive of `meson dist` holds what a user needs
set -eu -o pipefail
way=$1 source=$2 build=$3 prefix=$4 libdir=$5 kind=$6 fftw=$7
shift 7
compiler=("$@")
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "skipped: $*"; exit 77; }

# compile_and_run ROOT FLAG...: builds the example against what is installed below ROOT, and runs it.
compile_and_run() {
    local root=$1 flags
    shift
    export PKG_CONFIG_PATH=$root$libdir/pkgconfig
    flags=$(pkg-config "$@" "--define-variable=prefix=$root$prefix" --cflags --libs longconv)
    echo "pkg-config $*: $flags"
    # shellcheck disable=SC2086 # flags are several words
    "${compiler[@]}" -std=c11 "$source/examples/00_hello.c" $flags -o "$work/hello"
    LD_LIBRARY_PATH=$root$libdir "$work/hello" | tee "$work/output"
    grep -qx '1 12 23 34' "$work/output"
}

case $way in
shared)
    [ "$kind" = shared ] || skip "this build is $kind"
    DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet
    compile_and_run "$work/root"
    cmp "$source/include/longconv/conv.h" "$work/root$prefix/include/longconv/conv.h"
    version=$(PKG_CONFIG_PATH=$work/root$libdir/pkgconfig pkg-config --modversion longconv)
    test -e "$work/root$libdir/liblongconv.so.$version"
    test "$version" = "$(sh "$source/tools/version.sh")"
    ;;
subproject)
    mkdir -p "$work/outside/subprojects"
    cp "$source/tests/install/outside/meson.build" "$work/outside"
    cp "$source/examples/00_hello.c" "$work/outside/hello.c"
    ln -s "$source" "$work/outside/subprojects/longconv"
    if [ "$fftw" = nofftw ]; then feature=disabled; else feature=auto; fi
    cd "$work/outside"
    CC="${compiler[*]}" meson setup "$work/build" --prefix "$prefix" -Doptimization=1 -Ddefault_library=static \
        "-Dlongconv:fftw=$feature" -Dlongconv:tests=disabled -Dlongconv:tools=disabled -Dlongconv:benchmarks=disabled
    meson test -C "$work/build" --print-errorlogs
    DESTDIR=$work/root meson install -C "$work/build" --no-rebuild --quiet
    test -e "$work/root$libdir/liblongconv.a"
    compile_and_run "$work/root" --static
    ;;
dist)
    command -v git >/dev/null || skip "git is not installed"
    [ -d "$source/.git" ] || skip "this is no git checkout"
    changes=$(git -C "$source" status --porcelain) || skip "git does not read this checkout"
    [ -z "$changes" ] || skip "the checkout has changes that are not committed"
    meson dist -C "$build" --no-tests --formats gztar
    tar -tzf "$build"/meson-dist/longconv-*.tar.gz >"$work/list"
    for file in README.md LICENSE dev meson.build include/longconv/longconv.h examples/data/lambda_virus.fa; do
        grep -q "^longconv-[0-9.]*/$file\$" "$work/list" || { echo "$file is not in the archive"; exit 1; }
    done
    ;;
*)
    echo "no such way: $way"
    exit 2
    ;;
esac
