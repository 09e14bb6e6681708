#!/usr/bin/env bash
# pg_regress over sql/*.sql (the list is the folder) on a throw-away cluster.
set -euo pipefail
cd "$(dirname "$0")/../.."
PG_CONFIG=${PG_CONFIG:-pg_config}
regress=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
mapfile -t tests < <(find sql -name '*.sql' -printf '%f\n' | sed 's/\.sql$//' | sort)
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
export UPKEEP_GUARD_TEST=1
# shellcheck disable=SC2016 # the inner shell expands "$@"
if ! bash tests/pg/with_cluster.sh bash -c 'createdb upkeep_regression && "$@"' regress "$regress" \
    --use-existing --dbname=upkeep_regression --bindir="$("$PG_CONFIG" --bindir)" --inputdir=. \
    --outputdir="$output" "${tests[@]}"; then
    cat "$output/regression.diffs" 2>/dev/null || true
    [ -z "${UPKEEP_KEEP_RESULTS:-}" ] || cp -r "$output/results" "$UPKEEP_KEEP_RESULTS"
    exit 1
fi
