"""Shared memory is fixed at start, and what ARCHITECTURE.md computes: its formula is read from there."""
# cluster: shared_preload_libraries=upkeep_preload
import pathlib
import re
import unittest

from host import Asks, connect
from server import Server

FORMULA = re.search(r"^bytes = ((?:.|\n)+?)^```", (pathlib.Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(
    encoding="utf-8"), re.MULTILINE)[1]
ROUNDING = 64 * 16  # each part begins at a multiple of 64 bytes


def power(number):
    """The power of two that is not below it, as the formula's p()."""
    return 1 << max(6, (number - 1).bit_length())


def documented(settings):
    text = FORMULA.replace("×", "*").replace(",", "").replace("\n", " ")
    return eval(text, {"p": power, **settings})  # pylint: disable=eval-used


class MemoryFormula(Asks):
    def allocated(self):
        return self.value("SELECT size::bigint FROM pg_shmem_allocations WHERE name = 'upkeep capture'")

    def test_it_is_what_the_documentation_computes(self):
        server = Server()
        for statements, text_mb, slow in ((5000, 16, 1000), (100, 1, 10), (777, 3, 33), (20000, 64, 2000)):
            with self.subTest(statements=statements):
                self.db.close()
                server.restart(f"-c upkeep.max_statements={statements}", f"-c upkeep.text_memory={text_mb}MB",
                               f"-c upkeep.max_slow_statements={slow}")
                type(self).db = connect(self.database)
                wanted = documented({"max_statements": statements, "text_memory": text_mb << 20,
                                     "max_slow_statements": slow})
                self.assertAlmostEqual(self.allocated(), wanted, delta=ROUNDING)

    def test_it_does_not_grow(self):
        before = self.allocated()
        with self.db.cursor() as cursor:
            for number in range(600):
                cursor.execute(f"SELECT 1{' + 1' * number} /* {'x' * 2000} */")
        self.assertEqual(self.allocated(), before)


if __name__ == "__main__":
    unittest.main()
