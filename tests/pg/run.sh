#!/usr/bin/env bash
# Oracles and processes against a real server: every tests/pg/test_*.py (the list is the folder), each
# in a throw-away cluster of its own. A comment `# cluster: NAME=VALUE` in a file's first twenty lines
# gives that cluster a setting; there may be several, one a line.
# UPKEEP_TEST_JOBS files run at a time (default 2).
# Usage: run.sh [FILE …]. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export UPKEEP_GUARD_TEST=1

# $1: a file. Leaves its counts in $logs/NAME.counts: ran, bad, seconds.
run() {
    local file=$1 name settings=() setting start=$SECONDS code counts ran bad
    name=$(basename "$file")
    while IFS= read -r setting; do
        settings+=(-c "$setting")
    done < <(head -n 20 "$file" | sed -n 's/^# cluster: *//p')
    bash tests/pg/with_cluster.sh "${settings[@]}" /usr/bin/python3 -B "$file" >"$logs/$name.log" 2>&1 </dev/null
    code=$?
    counts=$(awk '
        /^Ran [0-9]+ tests? in/ { ran = $2 }
        /^FAILED \(/ { for (i = 2; i <= NF; ++i) if ($i ~ /(failures|errors)=/) {
                           gsub(/[^0-9]/, "", $i); bad += $i } }
        END { print ran + 0, bad + 0 }' "$logs/$name.log")
    ran=${counts% *}
    bad=${counts#* }
    # A program that ends badly without counting its failure is a failure all the same.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1 ran=$((ran + 1)); fi
    if [ "$ran" -eq 0 ]; then bad=1 ran=1; fi
    if [ "$bad" -gt "$ran" ]; then ran=$bad; fi # several subtests of one test
    echo "$ran $bad $((SECONDS - start))" >"$logs/$name.counts"
}

files=("$@")
[ ${#files[@]} -gt 0 ] || files=(tests/pg/test_*.py)
# Staging the extension builds it: once, before several do it at a time.
for part in pg_ext pg_ext/test; do
    if ! make --no-print-directory -C "$part" PG_CONFIG="${PG_CONFIG:-pg_config}" >"$logs/build" 2>&1; then
        cat "$logs/build"
        exit 1
    fi
done
for file in "${files[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "${UPKEEP_TEST_JOBS:-2}" ]; do
        wait -n
    done
    run "$file" &
done
wait

passed=0
failed=0
for file in "${files[@]}"; do
    name=$(basename "$file")
    read -r ran bad seconds <"$logs/$name.counts" || { ran=1 bad=1 seconds=0; }
    [ "$bad" -eq 0 ] || cat "$logs/$name.log"
    echo "$name: $((ran - bad)) passed, $bad failed ($seconds s)" >&2
    passed=$((passed + ran - bad))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
