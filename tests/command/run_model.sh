#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run_model.sh LONGCONV INPUT: `longconv run --model hyena` checks its outputs, gives the same ones again from the
# weights that it saved, in both forms, and refuses what does not fit.
set -u
longconv=$1
input=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

complain() {
    echo "$1"
    failed=1
}

# run NAME OPTION...: writes NAME.npy; the check must have passed.
run() {
    name=$1
    shift
    "$longconv" run --model hyena --input "$input" --channels 4 --check 16 --output "$folder/$name.npy" "$@" \
        >"$folder/$name.txt" 2>&1 || complain "$name: $(cat "$folder/$name.txt")"
    grep -q 'PASS' "$folder/$name.txt" || complain "$name: no outputs were checked"
}

same() { cmp -s "$folder/$1.npy" "$folder/$2.npy"; }

refused() {
    word=$1
    shift
    "$longconv" run --model hyena --input "$input" --channels 4 "$@" >"$folder/refused.txt" 2>&1 &&
        complain "taken: $*"
    grep -q -- "$word" "$folder/refused.txt" || complain "no '$word' in: $(cat "$folder/refused.txt")"
}

run first --save-weights "$folder/w.safetensors"
run file --seed 2 --weights "$folder/w.safetensors" --save-weights "$folder/npy"
run folder --seed 3 --weights "$folder/npy"
run other --seed 2
run third --order 3
run modal --filter modal --filter-options 'modes=4'
same first file || complain "another output with weights from a file"
same first folder || complain "another output with weights from a folder"
same first other && complain "the seed makes no difference"

refused 'in_weight: expected shape' --weights "$folder/w.safetensors" --channels 8
refused 'safetensors' --weights "$input"
refused 'no.such' --weights "$folder/no.such.safetensors"
refused 'family' --filter nothing
refused 'hyaena' --model hyaena
refused '--order' --order 1
"$longconv" run --input "$input" --weights "$folder/npy" >/dev/null 2>&1 && complain "weights without an operator"
exit $failed
