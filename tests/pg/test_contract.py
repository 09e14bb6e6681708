"""The contract of the what-if port, run through SQL: tests/contract/."""
import csv
import pathlib
import unittest

from host import Asks

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "contract"


class Contract(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, (FOLDER / "what_if_setup.sql").read_text(encoding="utf-8"))

    def test_cases(self):
        with open(FOLDER / "what_if_cases.tsv", encoding="utf-8", newline="") as file:
            cases = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        self.assertGreater(len(cases), 10)
        for case in cases:
            with self.subTest(case["name"]):
                indexes = case["indexes"].split("; ")
                before, after, used = self.rows("SELECT cost_before, cost_after, used_indexes FROM upkeep.what_if(%s, %s)",
                                                case["statement"], indexes)[0]
                self.assertEqual(sorted(used), sorted(case["used"].split()))
                self.assertGreater(after, 0)
                if used:
                    self.assertLess(after, before)
                else:
                    self.assertEqual(after, before)
                without = self.rows("SELECT cost_before, cost_after FROM upkeep.what_if(%s, '{}')", case["statement"])[0]
                self.assertEqual(without, (before, before))
                twice = self.rows("SELECT cost_after FROM upkeep.what_if(%s, %s)", case["statement"], indexes + indexes)[0]
                self.assertEqual(twice, (after,))


if __name__ == "__main__":
    unittest.main()
