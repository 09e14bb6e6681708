"""The contract of the what-if port, run through SQL: tests/contract/."""
import csv
import json
import pathlib
import unittest

import host

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "contract"


class ContractTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect()
        self.addCleanup(self.db.close)
        self.db.executescript((FOLDER / "what_if_setup.sql").read_text(encoding="utf-8"))

    def what_if(self, statement, indexes):
        return self.rows("SELECT cost_before, cost_after, used_indexes FROM upkeep_what_if(?, ?)", statement,
                         json.dumps(indexes))[0]

    def test_cases(self):
        with open(FOLDER / "what_if_cases.tsv", encoding="utf-8", newline="") as file:
            cases = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        self.assertGreater(len(cases), 10)
        for case in cases:
            with self.subTest(case["name"]):
                indexes = case["indexes"].split("; ")
                before, after, used = self.what_if(case["statement"], indexes)
                self.assertEqual(sorted(json.loads(used)), sorted(case["used"].split()))
                self.assertGreater(after, 0)
                if case["used"]:
                    self.assertLess(after, before)
                else:
                    self.assertEqual(after, before)
                self.assertEqual(self.what_if(case["statement"], [])[:2], (before, before))
                self.assertEqual(self.what_if(case["statement"], indexes + indexes)[1], after)


if __name__ == "__main__":
    unittest.main()
