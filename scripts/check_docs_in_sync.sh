#!/usr/bin/env bash
# docs/reference.md is what the registered calls print: see scripts/README.md.
# Usage: check_docs_in_sync.sh BUILD_DIR [PAGE]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
page=${2:-docs/reference.md}
if ! diff -u "$page" <("$build/upkeep_reference"); then
    echo "$page is not what the calls print: run make docs" >&2
    exit 1
fi
