#!/usr/bin/env bash
# Loads the TPC-H tables into the database that PGHOST … name, without keys or indexes, and freezes
# their statistics. Usage: load.sh GENERATOR SCHEMA.sql [SCALE]
set -euo pipefail
generator=$1
schema=$2
scale=${3:-1}
psql -qX -v ON_ERROR_STOP=1 -f "$schema"
tables=(region nation supplier part customer partsupp orders lineitem)
for table in "${tables[@]}"; do
    psql -qX -v ON_ERROR_STOP=1 -c "alter table $table set (autovacuum_enabled = off)"
    "$generator" "$table" "$scale" | psql -qX -v ON_ERROR_STOP=1 -c "copy $table from stdin"
done
# One worker at a time and a fixed seed do not make ANALYZE's sample repeatable: so it is taken once.
psql -qX -v ON_ERROR_STOP=1 -c 'vacuum (freeze, analyze)'
