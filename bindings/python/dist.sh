#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run by `meson dist`: puts the C library's sources, as they are committed, in the place of the link to them.
set -e
library=$MESON_DIST_ROOT/subprojects/longconv
rm -f "$library"
mkdir -p "$library"
cd "$MESON_SOURCE_ROOT/../.."
git archive HEAD LICENSE meson.build meson_options.txt include lib cpu gpu tools/version.sh | tar -x -C "$library"
