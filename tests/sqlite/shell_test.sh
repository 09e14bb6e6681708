#!/usr/bin/env bash
# The module in the sqlite3 shell. Usage: shell_test.sh BUILD_DIR. Ends with `N passed, N failed`.
set -uo pipefail
build=$(cd "${1:-build}" && pwd)
passed=0
failed=0

# $1: what, $2: extended regular expression that the output (both streams) must match, rest: input
expect() {
    local what=$1 pattern=$2 output
    shift 2
    output=$(printf '%s\n' "$@" | sqlite3 -batch -list :memory: 2>&1)
    if grep -qE -- "$pattern" <<<"$output"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        printf 'shell_test: %s: wanted %s, found:\n%s\n' "$what" "$pattern" "$output"
    fi
}

expect "loads with suffix" '^[0-9]+\.[0-9]+' ".load $build/upkeep.so" 'SELECT upkeep_version();'
expect "loads without suffix" '^[0-9]+\.[0-9]+' ".load $build/upkeep" 'SELECT upkeep_version();'
expect "loads by load_extension, twice" '^twice [0-9]+\.[0-9]+' \
    "SELECT load_extension('$build/upkeep');" "SELECT load_extension('$build/upkeep');" \
    "SELECT 'twice ' || upkeep_version();"
expect "rows" '^what_if\|1\|loaded\|' ".load $build/upkeep" 'SELECT * FROM upkeep_capabilities;'
expect "errors have a hint" 'unknown setting "x" \(hint: settings: ' \
    ".load $build/upkeep" "SELECT upkeep_set('x', 1);"
expect "the session goes on after an error" '^after 1' \
    ".load $build/upkeep" "SELECT upkeep_set('x', 1);" "SELECT 'after ' || 1;"
expect "errors at prepare have the text" 'needs the argument indexes' \
    ".load $build/upkeep" "SELECT * FROM upkeep_what_if('SELECT 1');"

# A million rows: the advice is run as printed, and the planner then names its index.
advice=$(mktemp)
trap 'rm -f "$advice"' EXIT
expect "the proposal is used once it is created" 'SEARCH orders USING INDEX idx_orders_customer ' \
    ".load $build/upkeep" 'CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, note TEXT);' \
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)' \
    "INSERT INTO orders SELECT i, i * 7919 % 50021, 'note ' || i % 977 FROM n;" ".once $advice" \
    "SELECT create_sql || ';' FROM upkeep_advise_indexes('SELECT * FROM orders WHERE customer = 5');" \
    ".read $advice" 'EXPLAIN QUERY PLAN SELECT * FROM orders WHERE customer = 5;'
expect "advice in a box" '^│ 1 +│ t +│ a = …; used by 1 statement +│$' ".load $build/upkeep" \
    'CREATE TABLE t(a, b);' 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)' \
    'INSERT INTO t SELECT i % 500, i FROM n;' '.mode box' \
    "SELECT rank, table_name, reason FROM upkeep_advise_indexes('SELECT * FROM t WHERE a = 1');"

exported=$(nm -D --defined-only "$build/upkeep.so" | awk '{print $3}')
if [ "$exported" = sqlite3_upkeep_init ]; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    printf 'shell_test: exported symbols: %s\n' "$exported"
fi
# Its own needs only: a sanitizer's runtime may bring libstdc++ along.
if ! readelf -d "$build/upkeep.so" | grep NEEDED | grep -qE 'libsqlite3|libstdc\+\+'; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo 'shell_test: the module links to libsqlite3 or libstdc++'
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
