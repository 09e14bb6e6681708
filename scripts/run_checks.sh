#!/usr/bin/env bash
# Runs every scripts/check_*.sh, and proves of each that it fails when its rule is violated.
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
    # A check that fails without a word, or because it is not there, has proven nothing.
    [ "$got" = pass ] || [ -s "$scratch/log" ] || got='fail in silence'
    if grep -qE 'No such file|not found|Traceback' "$scratch/log"; then got=broken; fi
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL: expected to %s: %s: %s\n' "$want" "$what" "$got"
        sed 's/^/    /' "$scratch/log"
    fi
}

violate_core() { # $1: a line that breaks a rule
    rm -rf "$scratch/common"
    cp -r common "$scratch/common"
    printf '%s\n' "$1" >>"$scratch/common/src/base/text.cpp"
    expect fail "the core with: $1" bash scripts/check_core_is_pure.sh "$scratch/common"
}

check_core() {
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
}

violate_exports() { # $1: host, $2: C source of a library that breaks a rule, rest: more for the linker
    local host=$1 source=$2
    shift 2
    printf '%s\n' "$source" | cc -x c -shared -fPIC -o "$scratch/bad.so" - "$@"
    expect fail "a $host library with: $source $*" bash scripts/check_exports.sh "$scratch/bad.so" "$host"
}

check_exports() {
    local postgres='void Pg_magic_func(void){} void _PG_init(void){}'
    expect pass 'the module exports one symbol' bash scripts/check_exports.sh "$build/upkeep.so" sqlite
    violate_exports sqlite 'int sqlite3_upkeep_init(void){return 0;} int leaked(void){return 1;}'
    violate_exports sqlite 'int nothing;'
    violate_exports sqlite 'int sqlite3_open(void); int sqlite3_upkeep_init(void){return sqlite3_open();}'
    violate_exports sqlite 'int sqlite3_upkeep_init(void){return 0;}' -Wl,--no-as-needed -lstdc++
    [ -e pg_ext/upkeep.so ] || return 0
    expect pass 'the extension exports its calls only' bash scripts/check_exports.sh pg_ext/upkeep.so postgres
    violate_exports postgres "$postgres void _ZSt4moveIiE(void){}"
    violate_exports postgres "$postgres void leaked(void){}"
    violate_exports postgres "$postgres void upkeep_f(void){}"
    violate_exports postgres "$postgres void __cxa_throw(void); void upkeep_f(void){__cxa_throw();} void pg_finfo_upkeep_f(void){}"
    violate_exports postgres 'void _PG_init(void){}'
}

check_no_locks() {
    [ -e pg_ext/build/host/hooks.o ] || return 0
    expect pass 'capture waits for nobody' bash scripts/check_no_locks.sh \
        pg_ext/build/host/{hook_*,hooks,recorder}.o pg_ext/build/core/capture/*.o
    local call
    for call in LWLockAcquire s_lock pthread_mutex_lock nanosleep; do
        echo "void $call(void); void hook(void) { $call(); }" | cc -x c -c -o "$scratch/waits.o" -
        expect fail "a hook that calls $call" bash scripts/check_no_locks.sh "$scratch/waits.o"
    done
}

check_version() {
    local copy=$scratch/version
    expect pass 'the version is written once' bash scripts/check_version_once.sh
    mkdir "$copy"
    git -C "$copy" init -q
    echo 9.8.7 >"$copy/VERSION"
    echo 'static const char* version = "9.8.7";' >"$copy/again.cpp"
    git -C "$copy" add .
    expect fail 'the version written twice' bash scripts/check_version_once.sh "$copy"
    rm "$copy/again.cpp"
    echo '{"version": "9.8.6", "provides": {}}' >"$copy/META.json"
    expect fail 'META.json with another version' bash scripts/check_version_once.sh "$copy"
}

check_reference() {
    expect pass 'the reference is what the calls print' bash scripts/check_docs_in_sync.sh "$build"
    sed 's/^## version$/## versions/' docs/reference.md >"$scratch/reference.md"
    expect fail 'a reference edited by hand' bash scripts/check_docs_in_sync.sh "$build" "$scratch/reference.md"
}

violate_sql() { # $1: SQL that breaks a rule
    rm -rf "$scratch/parts"
    mkdir "$scratch/parts"
    printf '%s\n' "$1" >"$scratch/parts/00-x.sql"
    expect fail "a part with: $1" bash scripts/check_sql_comments.sh "$scratch/parts"
}

check_sql() {
    local comment="COMMENT ON FUNCTION upkeep.f IS 'x';"
    expect pass 'every SQL object has its comment' bash scripts/check_sql_comments.sh
    violate_sql "CREATE FUNCTION upkeep.f() RETURNS int LANGUAGE c AS 'x', 'y';"
    violate_sql "CREATE OR REPLACE FUNCTION upkeep.f() RETURNS int LANGUAGE c AS 'x', 'y'; $comment"
    violate_sql "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'; COMMENT ON FUNCTION f IS 'x';"
    violate_sql "CREATE FUNCTION upkeep.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; $comment"
}

check_spec() {
    expect pass 'tests/spec agrees with the shared documents' bash scripts/check_spec.sh
    [ -e ../shared/interface.md ] || return 0
    cp -r tests/spec "$scratch/spec"
    sed -i '2d' "$scratch/spec/settings.tsv"
    expect fail 'tests/spec without one setting' bash scripts/check_spec.sh ../shared "$scratch/spec"
}

check_guide_map() {
    expect pass 'every item of the guide has its row' bash scripts/check_guide_map.sh
    grep -v '^| G-TAB-02 ' docs/guide-map.md >"$scratch/map.md"
    expect fail 'a map without one item' bash scripts/check_guide_map.sh "$scratch/map.md"
    # shellcheck disable=SC2016 # those are Markdown's backticks
    sed '/^| G-TAB-02 /s/| [^|]* |$/| `tests\/no_such_test.py` |/' docs/guide-map.md >"$scratch/map.md"
    expect fail 'a map that names no test of ours' bash scripts/check_guide_map.sh "$scratch/map.md"
}

check_upgrades() {
    local upgrades=$scratch/upgrades
    expect pass 'every release can be updated' bash scripts/check_upgrade_paths.sh
    mkdir "$upgrades"
    echo 1.2.0 >"$scratch/VERSION"
    printf '## Unreleased\n## 1.1.0\n## 1.0.0\n' >"$scratch/CHANGELOG.md"
    touch "$upgrades/upkeep--1.0.0.sql" "$upgrades/upkeep--1.0.0--1.1.0.sql" "$upgrades/upkeep--1.1.0--1.2.0.sql"
    upgrades_with() { bash scripts/check_upgrade_paths.sh "$upgrades" "$scratch/CHANGELOG.md" "$scratch/VERSION"; }
    expect pass 'two steps and a base' upgrades_with
    rm "$upgrades/upkeep--1.0.0--1.1.0.sql"
    expect fail 'a missing step' upgrades_with
    mv "$upgrades/upkeep--1.0.0.sql" "$upgrades/upkeep--1.0.0--1.1.0.sql"
    expect fail 'no base of the oldest release' upgrades_with
    touch "$upgrades/upkeep--1.0.0.sql" "$upgrades/upkeep-1.0-1.1.sql"
    expect fail 'a script that the server would not find' upgrades_with
}

check_python() {
    expect pass 'Python reads, with functions of 80 lines at most' bash scripts/check_python.sh
    { echo 'def long():'; for _ in {1..80}; do echo '    pass'; done; } >"$scratch/long.py"
    expect fail 'a function of 81 lines' bash scripts/check_python.sh "$scratch/long.py"
    echo 'def f(:' >"$scratch/broken.py"
    expect fail 'Python that does not read' bash scripts/check_python.sh "$scratch/broken.py"
}

check_documented() {
    expect pass 'every check has its paragraph' bash scripts/check_scripts_documented.sh
    cp -r scripts "$scratch/scripts"
    sed -i 's/^\*\*check_exports.sh\*\*/check_exports.sh/' "$scratch/scripts/README.md"
    expect fail 'a check without a paragraph' bash scripts/check_scripts_documented.sh "$scratch/scripts"
    cp scripts/README.md "$scratch/scripts/README.md"
    touch "$scratch/scripts/check_nothing.sh"
    expect fail 'a check that nobody runs' bash scripts/check_scripts_documented.sh "$scratch/scripts"
}

check_core
check_exports
check_no_locks
check_version
check_reference
check_sql
check_spec
check_guide_map
check_upgrades
check_python
check_documented
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
