#!/usr/bin/env bash
# Index advice for 100 report statements on a snowflake schema, in a throw-away cluster. UPKEEP_STAR_FACTS: rows of the
# largest table (a million), UPKEEP_STAR_CASES: which of bench.py's cases (digits, all), UPKEEP_STAR_SHOW=1: the indexes too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/../../tests/pg/with_cluster.sh" -c max_wal_size=4GB bash -c '
    set -euo pipefail
    psql -qX -c "create extension upkeep"
    /usr/bin/python3 -B "$1/bench.py" load
    /usr/bin/python3 -B "$1/bench.py"
' - "$here"
