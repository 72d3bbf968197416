#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# stream.sh LONGCONV INPUT: `longconv stream` without a bound and as JSON, and what it refuses by name.
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

# refused WORD OPTION...: a status other than 0, and a message with the word.
refused() {
    word=$1
    shift
    "$longconv" stream "$@" >"$folder/refused.txt" 2>&1 && complain "taken: $*"
    grep -q -- "$word" "$folder/refused.txt" || complain "no '$word' in: $(cat "$folder/refused.txt")"
}

"$longconv" stream --input "$input" --channels 2 --tokens 700 --unbounded >"$folder/text.txt" 2>&1 ||
    complain "unbounded: $(cat "$folder/text.txt")"
grep -q 'PASS' "$folder/text.txt" || complain "no outputs were checked"
"$longconv" stream --input "$input" --channels 2 --tokens 700 --json >"$folder/json.txt" 2>/dev/null ||
    complain "json: $(cat "$folder/json.txt")"
for name in tokens_per_second offline_difference state_bytes slowest_ms; do
    grep -q "\"$name\"" "$folder/json.txt" || complain "no $name in: $(cat "$folder/json.txt")"
done

: >"$folder/empty.txt"
refused '--input is missing'
refused '--input' --input "$folder/no.such.file"
refused '--input' --input "$folder/empty.txt"
refused '--mode: expected' --input "$input" --mode modal
refused '--tokens' --input "$input" --tokens 0
refused '--channels' --input "$input" --channels -3
refused '--threads' --input "$input" --threads none
refused 'not an option' --input "$input" more
refused 'nowhere' --input "$input" --channels 2 --tokens 50 --backend nowhere
exit $failed
