"""The promised workflow schema (tests/spec/schema*.tsv) for the tests of both hosts."""
import csv
import pathlib

SPEC = pathlib.Path(__file__).resolve().parents[1] / "spec"
PROFILES = ("corrected", "guide")
HEAD = "9a1b2c3d4e5f"


def _read(name):
    with open(SPEC / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def promised(profile, host, object_type):
    """[(table, name, definition)] in the order of the list."""
    rows = [(row["table"], row["name"], row["definition"]) for row in _read("schema.tsv")
            if (row["profile"], row["host"], row["object_type"]) == (profile, host, object_type)]
    assert rows, (profile, host, object_type)
    return rows


def fates(profile, host):
    """[(index of the guide, action)] that the call reports beside what it creates."""
    return [(row["index"], row["action"]) for row in _read("schema_fates.tsv")
            if row["profile"] == profile and row["hosts"] in ("both", host)]


def result_rows(profile, host, action):
    """What the call returns, as a sorted list, where everything is `action`."""
    rows = [("table", name, action) for _, name, _ in promised(profile, host, "table")]
    rows += [("index", name, action) for _, name, _ in promised(profile, host, "index")]
    return sorted(rows + [("index", name, fate) for name, fate in fates(profile, host)])
