#!/usr/bin/env bash
# pgTAP over tests/pgtap/*.sql (the list is the folder), each file in a database of its own so that
# none sees another's objects. Files named *_preloaded.sql run in a server that preloads the library,
# the others in one that does not. Extensions pgtap and upkeep are there when a file begins.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# $1: preloaded or plain, rest: files
run() {
    local cluster=(bash tests/pg/with_cluster.sh)
    [ "$1" = plain ] || cluster+=(-c 'shared_preload_libraries=upkeep_preload')
    shift
    [ $# -gt 0 ] || return 0
    # shellcheck disable=SC2016 # the inner shell expands
    "${cluster[@]}" bash -c '
        psql -qX -v ON_ERROR_STOP=1 -d template1 -c "CREATE EXTENSION pgtap" -c "CREATE EXTENSION upkeep" || exit 1
        failed=0
        for file; do
            name=$(basename "$file" .sql)
            createdb "$name" || exit 1
            pg_prove --failures -d "$name" "$file" || failed=1
        done
        exit "$failed"' pgtap "$@"
}

shopt -s nullglob
plain=()
preloaded=()
for file in tests/pgtap/*.sql; do
    case $file in
        *_preloaded.sql) preloaded+=("$file") ;;
        *) plain+=("$file") ;;
    esac
done
failed=0
run plain "${plain[@]}" || failed=1
run preloaded "${preloaded[@]}" || failed=1
exit "$failed"
