#!/usr/bin/env bash
# Every object that the extension script creates has its COMMENT ON, every part plain CREATE and
# every SQL function a pinned search_path: see scripts/README.md. Usage: check_sql_comments.sh [DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - "${1:-pg_ext/sql/parts}" <<'P'
import pathlib, re, sys
bad = []
for part in sorted(pathlib.Path(sys.argv[1]).glob("*.sql")):
    text = re.sub(r"--[^\n]*", "", part.read_text())
    if re.search(r"\bOR\s+REPLACE\b", text, re.I):
        bad.append(f"{part}: says OR REPLACE")
    for kind, name in re.findall(
            r"\bCREATE\s+(FUNCTION|VIEW|TABLE|TYPE|AGGREGATE|PROCEDURE)\s+([\w.\"@]+)", text, re.I):
        if not re.search(rf"\bCOMMENT\s+ON\s+{kind}\s+{re.escape(name)}\b", text, re.I):
            bad.append(f"{part}: {kind} {name} has no COMMENT ON")
        if "." not in name:
            bad.append(f"{part}: {kind} {name} is not schema-qualified")
    for body in re.findall(r"\bCREATE\s+FUNCTION\b.*?;", text, re.I | re.S):
        if re.search(r"\bLANGUAGE\s+(sql|plpgsql)\b", body, re.I) and \
                "SET search_path = pg_catalog, pg_temp" not in body:
            bad.append(f"{part}: {body.split('(')[0].strip()} has no pinned search_path")
print("\n".join(bad), file=sys.stderr) if bad else None
sys.exit(1 if bad else 0)
P
