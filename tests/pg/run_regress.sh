#!/usr/bin/env bash
# pg_regress over sql/*.sql (the list is the folder) on a throw-away cluster.
set -euo pipefail
cd "$(dirname "$0")/../.."
PG_CONFIG=${PG_CONFIG:-pg_config}
pgxs=$("$PG_CONFIG" --pgxs)
regress=$(dirname "$pgxs")/../test/regress/pg_regress
mapfile -t tests < <(find sql -name '*.sql' -printf '%f\n' | sed 's/\.sql$//' | sort)
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
if ! bash tests/pg/with_cluster.sh "$regress" --use-existing --dbname=upkeep_regression \
    --bindir="$("$PG_CONFIG" --bindir)" --inputdir=. --outputdir="$output" "${tests[@]}"; then
    cat "$output/regression.diffs" 2>/dev/null || true
    exit 1
fi
