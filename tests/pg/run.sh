#!/usr/bin/env bash
# Oracles and processes against a real server: every tests/pg/test_*.py (the list is the folder), each
# in a throw-away cluster of its own. A comment `# cluster: NAME=VALUE` in a file's first twenty lines
# gives that cluster a setting; there may be several, one a line.
# Usage: run.sh [FILE …]. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export UPKEEP_GUARD_TEST=1

files=("$@")
[ ${#files[@]} -gt 0 ] || files=(tests/pg/test_*.py)
for file in "${files[@]}"; do
    settings=()
    while IFS= read -r setting; do
        settings+=(-c "$setting")
    done < <(head -n 20 "$file" | sed -n 's/^# cluster: *//p')
    start=$SECONDS
    bash tests/pg/with_cluster.sh "${settings[@]}" /usr/bin/python3 -B "$file" >"$log" 2>&1 </dev/null
    code=$?
    counts=$(awk '
        /^Ran [0-9]+ tests? in/ { ran = $2 }
        /^FAILED \(/ { for (i = 2; i <= NF; ++i) if ($i ~ /(failures|errors)=/) {
                           gsub(/[^0-9]/, "", $i); bad += $i } }
        END { print ran + 0, bad + 0 }' "$log")
    ran=${counts% *}
    bad=${counts#* }
    # A program that ends badly without counting its failure is a failure all the same.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1 ran=$((ran + 1)); fi
    if [ "$ran" -eq 0 ]; then bad=1 ran=1; fi
    if [ "$bad" -gt "$ran" ]; then ran=$bad; fi  # several subtests of one test
    [ "$bad" -eq 0 ] || cat "$log"
    echo "$(basename "$file"): $((ran - bad)) passed, $bad failed ($((SECONDS - start)) s)" >&2
    passed=$((passed + ran - bad))
    failed=$((failed + bad))
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
