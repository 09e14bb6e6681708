#!/usr/bin/env bash
# The registered calls against both hosts' catalogs and tests/spec/calls.tsv. Usage: run.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
make --no-print-directory -C "$build" upkeep_reference upkeep_sqlite | grep -E 'error|warning' || true
exec bash tests/pg/with_cluster.sh /usr/bin/python3 tests/parity/parity.py "$build"
