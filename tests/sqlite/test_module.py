"""The product's module: what it registers, base calls, settings, bad input."""
import csv
import json
import subprocess
import tempfile
import unittest

import host


def described_calls():
    """name -> rows of upkeep_reference --tsv that SQLite has."""
    text = subprocess.run([str(host.BUILD / "upkeep_reference"), "--tsv"], check=True,
                          capture_output=True, text=True).stdout
    calls = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["hosts"] in ("both", "sl"):
            calls.setdefault(row["name"], []).append(row)
    return calls


class RegistrationTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect()
        self.addCleanup(self.db.close)

    def test_every_described_call_is_there_and_no_other(self):
        calls = described_calls()
        self.assertIn("what_if", calls)
        wanted = {"upkeep_" + name for name in calls}
        modules = {name for (name,) in self.rows("SELECT name FROM pragma_module_list")
                   if name.startswith("upkeep_")}
        functions = {name for (name,) in self.rows("SELECT name FROM pragma_function_list")
                     if name.startswith("upkeep_")}
        self.assertEqual(modules | functions, wanted)
        self.assertEqual(functions, {"upkeep_" + name for name, rows in calls.items()
                                     if rows[0]["kind"] in ("scalar", "aggregate")})

    def test_columns_and_parameters_are_as_described(self):
        for name, rows in described_calls().items():
            if rows[0]["kind"] in ("scalar", "aggregate"):
                continue
            found = self.rows(f"SELECT name, type, hidden FROM pragma_table_xinfo('upkeep_{name}')")
            wanted = [(row["item"], row["sl_type"], 0) for row in rows if row["role"] == "column"]
            for row in rows:
                if row["role"] == "param":
                    suffix = "_ms" if row["pg_type"] == "interval" else ""
                    wanted.append((row["item"].removesuffix("_ms") + suffix, row["sl_type"], 1))
            self.assertEqual(found, wanted, name)

    def test_function_flags(self):
        flags = dict(self.rows("SELECT name, flags FROM pragma_function_list"
                               " WHERE name LIKE 'upkeep_%'"))
        innocuous, direct_only, deterministic = 0x200000, 0x80000, 0x800
        self.assertTrue(flags["upkeep_version"] & innocuous)
        self.assertTrue(flags["upkeep_version"] & deterministic)
        self.assertTrue(flags["upkeep_set"] & direct_only)
        self.assertFalse(flags["upkeep_set"] & innocuous)


class BaseCallsTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect()
        self.addCleanup(self.db.close)

    def test_version_is_the_file_version(self):
        version = (host.pathlib.Path(__file__).parents[2] / "VERSION").read_text().split()[0]
        self.assertEqual(self.value("SELECT upkeep_version()"), version)

    def test_capabilities(self):
        rows = {row[0]: row[1:] for row in self.rows("SELECT * FROM upkeep_capabilities")}
        for feature in ("index_advice", "what_if", "workflow_schema"):
            self.assertEqual(rows[feature][:2], (1, "loaded"))
        available, _, reason, how = rows["captured_workload"]
        self.assertEqual(available, 0)
        self.assertTrue(reason and how)

    def test_capabilities_of_a_read_only_database(self):
        with tempfile.NamedTemporaryFile(suffix=".db") as file:
            host.connect(database=file.name).execute("CREATE TABLE t(x)").connection.close()
            self.db = host.connect(database=f"file:{file.name}?mode=ro", uri=True)
            self.addCleanup(self.db.close)
            self.assertEqual(self.value("SELECT available FROM upkeep_capabilities"
                                        " WHERE feature = 'workflow_schema'"), 0)

    def test_settings(self):
        name, value, _, scope, description = self.rows(
            "SELECT * FROM upkeep_settings WHERE name = 'workflow_profile'")[0]
        self.assertEqual((name, value, scope), ("workflow_profile", "corrected", "process"))
        self.assertTrue(description)

    def test_a_setting_is_seen_by_other_connections(self):
        other = host.connect()
        self.addCleanup(other.close)
        self.addCleanup(self.value, "SELECT upkeep_set('workflow_profile', 'corrected')")
        self.assertEqual(self.value("SELECT upkeep_set('workflow_profile', 'guide')"), "guide")
        self.assertEqual(other.execute(
            "SELECT value FROM upkeep_settings WHERE name = 'workflow_profile'").fetchone(), ("guide",))

    def test_bad_settings_change_nothing(self):
        before = self.rows("SELECT * FROM upkeep_settings")
        self.refuses("unknown setting \"nope\" (hint: settings: ", "SELECT upkeep_set('nope', 1)")
        self.refuses("allowed: corrected, guide", "SELECT upkeep_set('workflow_profile', 'x')")
        self.refuses("allowed: corrected, guide", "SELECT upkeep_set('workflow_profile', 7)")
        self.refuses("value must not be null", "SELECT upkeep_set('workflow_profile', NULL)")
        self.refuses("name must not be null", "SELECT upkeep_set(NULL, 'guide')")
        self.refuses("name is not valid UTF-8", "SELECT upkeep_set(CAST(x'ff' AS TEXT), 'guide')")
        self.refuses("wrong number of arguments", "SELECT upkeep_set('workflow_profile')")
        self.assertEqual(self.rows("SELECT * FROM upkeep_settings"), before)

    def test_a_long_argument_does_not_push_the_hint_out(self):
        for letter in ("x", "é", "日"):
            for extra in range(3):
                self.refuses("… (hint: ", "SELECT * FROM upkeep_install_workflow_schema(?)",
                             "y" * extra + letter * 5000)

    def test_set_is_direct_only(self):
        self.db.execute("CREATE VIEW v AS SELECT upkeep_set('workflow_profile', 'guide') AS x")
        self.refuses("unsafe use", "SELECT * FROM v")


class AdvisorArgumentsTest(host.Asks, unittest.TestCase):
    """What the adapter and fn_advisor refuse before the advisor is asked."""

    def setUp(self):
        self.db = host.connect()
        self.addCleanup(self.db.close)
        self.db.execute("CREATE TABLE t(a INTEGER, b TEXT)")
        self.schema = self.rows("SELECT * FROM sqlite_schema")

    def tearDown(self):
        self.assertEqual(self.rows("SELECT * FROM sqlite_schema"), self.schema)

    def test_no_workload(self):
        for sql in ("SELECT * FROM upkeep_advise_indexes", "SELECT * FROM upkeep_advise_indexes(NULL)"):
            self.refuses("nothing has been captured (hint: pass the statements", sql)

    def test_bad_arguments(self):
        advise = "SELECT * FROM upkeep_advise_indexes('SELECT 1 FROM t WHERE a = 1'"
        for arguments, wanted in (
                (", '[\"x\"]'", "element 1 of weights must be a number"),
                (", '[1, null]'", "weights must not contain null elements"),
                (", '[1, 2]'", "weights has 2 elements, workload has 1"),
                (", '[0]'", "weight"),
                (", NULL, '1000'", "budget_bytes must be an integer"),
                (", NULL, 0", "budget_bytes must be above 0"),
                (", NULL, -5", "budget_bytes must be above 0"),
                (", NULL, NULL, 0", "max_columns must be between 1 and 8"),
                (", NULL, NULL, 99", "max_columns must be between 1 and 8"),
                (", NULL, NULL, 3000000000", "max_columns must be an integer of 32 bits"),
                (", NULL, NULL, NULL", "max_columns must not be null"),
                (", NULL, NULL, 3, '30 s'", "time_limit_ms must be an integer"),
                (", NULL, NULL, 3, 1000, 'x'", "min_saving_ratio must be a number"),
                (", NULL, NULL, 3, 1000, 0, 'nosuch'", "unknown kind of index \"nosuch\"")):
            self.refuses(wanted, advise + arguments + ")")

    def test_bad_workloads(self):
        for workload, wanted in (
                ("'[]'", "workload is empty"), ("''", "statement is empty"),
                ("' ; -- nothing'", "there is no statement in the text (hint: "),
                ("'[\"SELECT 1\", null]'", "workload must not contain null elements"),
                ("'[\"SELECT 1\"'", "workload must be a JSON array"),
                ("42", "workload must be text or a JSON array"),
                ("x'00'", "workload must not be a blob"),
                ("CAST(x'ff' AS TEXT)", "workload is not valid UTF-8")):
            self.refuses(wanted, f"SELECT * FROM upkeep_advise_indexes({workload})")

    def test_what_if_arguments(self):
        self.refuses("upkeep_what_if needs the argument statement", "SELECT * FROM upkeep_what_if")
        self.refuses("upkeep_what_if needs the argument indexes",
                     "SELECT * FROM upkeep_what_if('SELECT 1')")
        self.refuses("statement must not be null", "SELECT * FROM upkeep_what_if(NULL, '[]')")
        self.refuses("indexes must not be null", "SELECT * FROM upkeep_what_if('SELECT 1', NULL)")
        self.refuses("indexes must not contain null elements",
                     "SELECT * FROM upkeep_what_if('SELECT 1', ?)", json.dumps([None]))


if __name__ == "__main__":
    unittest.main()
