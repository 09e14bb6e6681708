#!/usr/bin/env bash
# tests/spec/ says what the shared documents say, where those exist: see scripts/README.md.
# Usage: check_spec.sh [DIR of the documents [DIR of the tables]]
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
if [ ! -e "$shared/interface.md" ]; then
    echo 'skipped: no shared documents here'
    exit 0
fi
exec python3 -B scripts/check_spec.py "$shared" "${2:-tests/spec}"
