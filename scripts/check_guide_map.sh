#!/usr/bin/env bash
# Every item of the guide and every promised call has its row in docs/guide-map.md: see
# scripts/README.md. Usage: check_guide_map.sh [MAP [DIR of guide_items.tsv and calls.tsv]]
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - "${1:-docs/guide-map.md}" "${2:-tests/spec}" <<'P'
import collections, csv, pathlib, re, sys
bad = []
spec = pathlib.Path(sys.argv[2])

def read(name):
    with open(spec / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))

def tests(where, cell, absent):  # a cell is `later`, a dash where the host lacks the call, or tests that exist
    named = re.findall(r"`([^`]+)`", cell)
    if (cell == "–") != absent:
        bad.append(f"{where}: a dash belongs where the host lacks the call, and only there")
    elif not absent and cell != "later" and not named:
        bad.append(f"{where}: neither a test nor `later`: {cell!r}")
    for name in named:
        if not pathlib.Path(name.split(":")[0]).is_file():
            bad.append(f"{where}: no such test: {name}")

items = {row["id"]: row for row in read("guide_items.tsv")}
hosts = collections.OrderedDict((row["name"], row["hosts"]) for row in read("calls.tsv"))
found_items, found_calls, in_calls = [], [], False
for line in pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    in_calls = line == "## Calls" if line.startswith("## ") else in_calls
    cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| ") else [""]
    if re.fullmatch(r"G-[A-Z]+-\d+", cells[0]) and len(cells) == 6:
        found_items.append(cells[0])
        item = items.get(cells[0])
        if item is None:
            bad.append(f"{cells[0]}: not in guide_items.tsv")
            continue
        note = ", ".join(item["corrections"].split())
        wanted = [item["kind"], item["text"], f"corrections {note}" if note else "–"]
        if [cells[1], cells[2], cells[4]] != wanted:
            bad.append(f"{cells[0]}: says {[cells[1], cells[2], cells[4]]}, guide_items.tsv {wanted}")
        calls = re.findall(r"`([^`]+)`", cells[3])
        bad += [f"{cells[0]}: no promised call: {call}" for call in calls if call not in hosts]
        if not calls:
            bad.append(f"{cells[0]}: no call")
        tests(cells[0], cells[5], False)
    elif in_calls and re.fullmatch(r"`[\w-]+`", cells[0]) and len(cells) == 5:
        name = cells[0].strip("`")
        found_calls.append(name)
        for host, pair in (("pg", cells[1:3]), ("sl", cells[3:5])):
            for cell in pair:
                tests(f"call {name}", cell, hosts.get(name, host) not in ("both", host))
    elif line.startswith("| ") and cells[0] not in ("item", "call", "---"):
        bad.append(f"not a row of this page's form: {line}")
for what, wanted, found in (("item", list(items), found_items), ("call", list(hosts), found_calls)):
    bad += [f"{what} {name}: no row in the map" for name in wanted if name not in found]
    bad += [f"{what} {name}: not promised" for name in found if name not in wanted]
    if sorted(found) == sorted(wanted) and found != wanted:
        bad.append(f"{what}s: not in the order of the list")
    bad += [f"{what} {name}: {times} rows" for name, times in collections.Counter(found).items() if times > 1]
print("\n".join(bad), file=sys.stderr, end="\n" if bad else "")
sys.exit(1 if bad else 0)
P
