"""The AutoPR scenario in a database: tables, rows, statistics, and its workload."""
import csv
import pathlib

from host import run_script

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "scenarios" / "autopr"


def build(connection, scale, keys_only=True):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM upkeep.install_workflow_schema()")
    run_script(connection, FOLDER / "generate.postgres.sql", scale=scale)
    if keys_only:
        run_script(connection, FOLDER / "keys_only.postgres.sql")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def workload():
    """Rows of workload.tsv: name, kind, weight, source, postgres, sqlite."""
    with open(FOLDER / "workload.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
