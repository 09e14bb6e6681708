#!/usr/bin/env bash
# Runs effect.py in a throw-away cluster. Usage: effect.sh   (after `make pg`)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${UPKEEP_PGDATA:-}" ]; then
    exec bash "$here/../../tests/pg/with_cluster.sh" -c autovacuum=off -c shared_buffers=3GB -c max_wal_size=8GB \
        -c 'shared_preload_libraries=upkeep_preload' bash "$here/effect.sh"
fi
PYTHONPATH=$here/../../tests/pg exec /usr/bin/python3 -B "$here/effect.py"
