#!/usr/bin/env bash
# The SQLite module in Debian's python3, in the sqlite3 shell and in a C program.
# Usage: run.sh BUILD_DIR. Ends with `N passed, N failed`. With UPKEEP_UNDER_ASAN=1 the build is an
# instrumented one: python3 and the shell get the runtime preloaded, without its leak check (they
# leak by themselves); the C program is checked for leaks too.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "${1:-build}" && pwd)
export UPKEEP_BUILD=$build
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

preload=()
if [ "${UPKEEP_UNDER_ASAN:-0}" = 1 ]; then
    preload=(env "LD_PRELOAD=$(gcc -print-file-name=libasan.so)"
        "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0")
fi

# $1: name, rest: a command that ends with `N passed, N failed` or with unittest's summary
run() {
    local name=$1 code counts
    shift
    "$@" >"$log" 2>&1 </dev/null
    code=$?
    counts=$(awk '
        /^Ran [0-9]+ tests? in/ { ran = $2 }
        /^FAILED \(/ { for (i = 2; i <= NF; ++i) if ($i ~ /(failures|errors)=/) {
                           gsub(/[^0-9]/, "", $i); bad += $i } }
        /^[0-9]+ passed, [0-9]+ failed/ { ran += $1 + $3; bad += $3 }
        END { print ran + 0, bad + 0 }' "$log")
    local ran=${counts% *} bad=${counts#* }
    # A program that ends badly without counting its failure is a failure all the same.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1 ran=$((ran + 1)); fi
    if [ "$ran" -eq 0 ]; then bad=1 ran=1; fi
    [ "$bad" -eq 0 ] || cat "$log"
    grep -oE 'measured: .*' "$log" >&2
    echo "$name: $((ran - bad)) passed, $bad failed" >&2
    passed=$((passed + ran - bad))
    failed=$((failed + bad))
}

for file in tests/sqlite/test_*.py; do
    run "$(basename "$file")" "${preload[@]}" /usr/bin/python3 -B "$file"
done
for file in tests/sqlite/*_test.sh; do
    run "$(basename "$file")" "${preload[@]}" bash "$file" "$build"
done
run load_test.c "$build/upkeep_load_test" "$build"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
