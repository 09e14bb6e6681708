#!/usr/bin/env bash
# Runs every scripts/check_*.sh, and proves of the guarding ones that they fail when violated.
# Usage: run_checks.sh BUILD_DIR. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
passed=0
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

expect() { # $1: pass|fail, $2: what it shows, rest: command
    local want=$1 what=$2 got=pass
    shift 2
    "$@" >"$scratch/log" 2>&1 || got=fail
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'expected to %s: %s\n' "$want" "$what"
        sed 's/^/    /' "$scratch/log"
    fi
}

violate_core() { # $1: a line that breaks a rule
    rm -rf "$scratch/common"
    cp -r common "$scratch/common"
    printf '%s\n' "$1" >>"$scratch/common/src/base/text.cpp"
    expect fail "the core with: $1" bash scripts/check_core_is_pure.sh "$scratch/common"
}

expect pass 'the core is pure' bash scripts/check_core_is_pure.sh
violate_core '#include <sqlite3ext.h>'
violate_core '#include "postgres.h"'
violate_core 'void F() { try { G(); } catch (...) { } }'
violate_core '#include <thread>'
violate_core 'void F() { printf("x"); }'
violate_core 'int counter = 0;'
violate_core 'static int counter = 0;'
violate_core 'static thread_local int counter;'
violate_core 'auto now = std::chrono::steady_clock::now();'

expect pass 'the module exports one symbol' bash scripts/check_exports.sh "$build/upkeep.so"
printf 'int sqlite3_upkeep_init(void){return 0;}\nint leaked(void){return 1;}\n' >"$scratch/leak.c"
cc -shared -fPIC -o "$scratch/upkeep.so" "$scratch/leak.c"
expect fail 'a module that exports more' bash scripts/check_exports.sh "$scratch/upkeep.so"
if [ -e pg_ext/upkeep.so ]; then
    expect pass 'the extension exports its functions only' bash scripts/check_exports.sh pg_ext/upkeep.so
fi

expect pass 'the version is written once' bash scripts/check_version_once.sh
expect pass 'the reference is what the calls print' bash scripts/check_docs_in_sync.sh "$build"
expect pass 'every SQL object has its comment' bash scripts/check_sql_comments.sh
mkdir -p "$scratch/parts"
echo "CREATE FUNCTION upkeep.f() RETURNS int LANGUAGE c AS 'x', 'y';" >"$scratch/parts/00-x.sql"
expect fail 'an SQL object without a comment' bash scripts/check_sql_comments.sh "$scratch/parts"
expect pass 'tests/spec agrees with the shared documents' bash scripts/check_spec.sh
expect pass 'every item of the guide has its row' bash scripts/check_guide_map.sh

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
