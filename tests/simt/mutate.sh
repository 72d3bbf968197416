# SPDX-License-Identifier: BSD-3-Clause
# mutate.sh: what scripts share that break a line of a kernel and expect a test to fail. They set `root`, read this file,
# and end with `exit $((survivors > 0))`.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
survivors=0

# mutate FILE OLD NEW: a copy of gpu/ in $work/gpu, in whose FILE the first OLD is NEW; both are plain text. A line that is
# no longer found counts as a survivor: then the script's list is out of date.
mutate()
{
    rm -rf "$work/gpu"
    cp -r "$root/gpu" "$work/gpu"
    MUTANT_OLD=$2 MUTANT_NEW=$3 awk '
        !done && (at = index($0, ENVIRON["MUTANT_OLD"])) > 0 {
            $0 = substr($0, 1, at - 1) ENVIRON["MUTANT_NEW"] substr($0, at + length(ENVIRON["MUTANT_OLD"]))
            done = 1
        }
        { print }' "$root/gpu/$1" >"$work/gpu/$1"
    if cmp -s "$root/gpu/$1" "$work/gpu/$1"; then
        echo "NOT FOUND in $1: $2"
        survivors=$((survivors + 1))
        return 1
    fi
}

# expect_failure FILE OLD NEW COMMAND...: of the test of that mutant.
expect_failure()
{
    mutant="$1: $2 -> $3"
    shift 3
    if "$@" >"$work/log" 2>&1; then
        echo "SURVIVED $mutant"
        survivors=$((survivors + 1))
    else
        echo "found    $mutant"
    fi
}
