#!/usr/bin/env bash
# The version is written in VERSION only: see scripts/README.md. Usage: check_version_once.sh [DIR of a checkout]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
version=$(cat VERSION)
# Allowed: the change log, what says since when a call exists, released upgrade scripts, META.json
# (whose copy is compared here).
hits=$(git grep -nF -- "$version" -- . ':!VERSION' ':!CHANGELOG.md' ':!docs/reference.md' ':!META.json' \
    ':!pg_ext/sql/upgrades' ':!README.md' ':!common/src/*/calls*.cpp' | grep -vE '@ since:|[0-9.]'"${version//./\\.}"'|'"${version//./\\.}"'[0-9.]' || true)
if [ -n "$hits" ]; then
    printf 'the version %s is written again:\n%s\n' "$version" "$hits" >&2
    exit 1
fi
if [ -e META.json ]; then
    python3 - "$version" <<'P'
import json, sys
meta = json.load(open("META.json"))
found = {meta["version"]} | {part["version"] for part in meta["provides"].values()}
sys.exit(0 if found == {sys.argv[1]} else f"META.json says {found}, VERSION says {sys.argv[1]}")
P
fi
