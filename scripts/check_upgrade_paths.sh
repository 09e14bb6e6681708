#!/usr/bin/env bash
# Every released version can be updated to this one: see scripts/README.md.
# Usage: check_upgrade_paths.sh [DIR of upgrade scripts [CHANGELOG [VERSION file]]]
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - "${1:-pg_ext/sql/upgrades}" "${2:-CHANGELOG.md}" "${3:-VERSION}" <<'P'
import pathlib, re, sys
folder, changelog, version = map(pathlib.Path, sys.argv[1:])
current = version.read_text().strip()
released = re.findall(r"^## v?(\d+\.\d+\.\d+)", changelog.read_text(), re.M)
bad, steps, bases = [], {}, {current}  # the script of the current version is made from sql/parts
for script in sorted(folder.glob("*")) if folder.is_dir() else []:
    step = re.fullmatch(r"upkeep--(\d+\.\d+\.\d+)(?:--(\d+\.\d+\.\d+|next))?\.sql", script.name)
    if step is None:
        bad.append(f"{script}: neither upkeep--A.sql nor upkeep--A--B.sql")
    elif step[2] is None:
        bases.add(step[1])
    else:
        steps.setdefault(step[1], set()).add(step[2])
known = set(released) | {current, "next"}
for start, ends in steps.items():
    bad += [f"{folder}: a step {start} to {end} of versions that CHANGELOG.md does not list"
            for end in ends if start not in known or end not in known]

def reached(start):
    seen, todo = {start}, [start]
    while todo:
        for end in steps.get(todo.pop(), ()):
            if end not in seen:
                seen.add(end)
                todo.append(end)
    return seen

bad += [f"no path of upgrade scripts from {old} to {current}" for old in released
        if current not in reached(old)]
if released and released[-1] not in bases:
    bad.append(f"no upkeep--{released[-1]}.sql: the oldest release cannot be installed to test from")
print("\n".join(bad), file=sys.stderr, end="\n" if bad else "")
sys.exit(1 if bad else 0)
P
