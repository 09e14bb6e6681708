#!/usr/bin/env bash
# Every check has its paragraph, and run_checks.sh runs it: see scripts/README.md.
# Usage: check_scripts_documented.sh [DIR of scripts]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts=${1:-scripts}
bad=0
for path in "$scripts"/check_*.sh; do
    name=$(basename "$path")
    grep -qF "**$name**" "$scripts/README.md" || {
        echo "$scripts/README.md has no paragraph on $name" >&2
        bad=1
    }
    grep -qF "scripts/$name" "$scripts/run_checks.sh" || {
        echo "$scripts/run_checks.sh does not run $name" >&2
        bad=1
    }
done
while read -r name; do
    [ -e "$scripts/$name" ] || {
        echo "$scripts/README.md describes $name, which is not there" >&2
        bad=1
    }
done < <(sed -n 's/^\*\*\([a-z_]*\.sh\)\*\*.*/\1/p' "$scripts/README.md")
[ "$bad" -eq 0 ]
