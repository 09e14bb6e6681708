#!/usr/bin/env bash
# Index advice on TPC-H (scale UPKEEP_TPCH_SCALE, default 1) in a throw-away cluster, against a greedy advisor.
# UPKEEP_TPCH names the folder with schema.sql and the queries q*.sql. Usage: run.sh [--alone] [--plain] [--show]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${UPKEEP_TPCH:?name the folder with schema.sql and q*.sql}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -std=c++20 -O2 -o "$work/generate" "$here/generate.cpp"
bash "$here/../../tests/pg/with_cluster.sh" -c max_wal_size=4GB bash -c '
    set -euo pipefail
    here=$1 work=$2; shift 2
    bash "$here/load.sh" "$work/generate" "$UPKEEP_TPCH/schema.sql" "${UPKEEP_TPCH_SCALE:-1}"
    psql -qX -c "create extension upkeep"
    /usr/bin/python3 -B "$here/bench.py" "$@"
' - "$here" "$work" "$@"
