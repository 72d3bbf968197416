#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check_sources.sh ROOT: licence lines, lengths, and words that do not belong into the sources.
set -u
cd "$1" || exit 1
failed=0
complain() {
    echo "$1"
    failed=1
}

files=$(find . \( -name .git -o -name 'build*' -o -name '.venv*' -o -name demo-out -o -name subprojects \) -prune -o \
    -type f \( -name '*.[ch]' -o -name '*.inc' -o -name '*.sh' -o -name '*.py' -o -name meson.build \
    -o -name meson_options.txt -o -name '*.md' -o -name '*.ini' -o -name '*.cu' -o -name '*.cuh' -o -name dev \) -print)

bad=$(for file in $files; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || echo "$file"
done)
[ -z "$bad" ] || complain "no licence line at the top of:
$bad"

bad=$(echo "$files" | grep -E '\.([ch]|inc|cu|cuh)$' | xargs wc -l | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 }')
[ -z "$bad" ] || complain "more than 600 lines:
$bad"

# Marks of unfinished work, and folders of one developer's machine.
bad=$(echo "$files" | grep -v '/check_sources.sh$' | xargs grep -nE '\b(TODO|FIXME|XXX)\b|/home/' /dev/null)
[ -z "$bad" ] || complain "unfinished or local:
$bad"

bad=$(echo "$files" | xargs grep -nE '[[:space:]]+$' /dev/null)
[ -z "$bad" ] || complain "blanks at the end of a line:
$bad"

# Flags that change what the arithmetic means, or tie a binary to one machine.
bad=$(find . -name meson.build -not -path './build*' -print0 | xargs -0 grep -nE -- '-ffast-math|-march=native|-Ofast' /dev/null)
[ -z "$bad" ] || complain "flags that are not used here:
$bad"

exit $failed
