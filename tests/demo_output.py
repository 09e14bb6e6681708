"""Runs the demo at a small scale and takes its output apart: steps, tables, statements.

Shared by tests/sqlite/test_demo.py and tests/pg/test_demo.py.
"""
import os
import pathlib
import re
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 100
NO_TABLE = {  # word in the title of a step that shows something else -> what has to be there
    "Which indexes": r"\n  1\. on \w+: \d+ %",
    "Metrics": r'\n  upkeep_health_checks\{status="ok"\} \d',
    "on one page": r"\nupkeep report on .*autopr(.|\n)*\n… \d+ more lines",
}


class Output:
    """What one run printed, and what it left in the folder for temporary files."""

    def __init__(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                ["/usr/bin/python3", "-B", "demo/demo.py", "--scale", "5000", *arguments],
                cwd=TOP, env={**os.environ, "TMPDIR": folder}, capture_output=True, text=True)
            self.left = sorted(path.name for path in pathlib.Path(folder).iterdir())
        self.code, self.text, self.errors = run.returncode, run.stdout, run.stderr
        parts = re.split(r"^── (\d+)\. (.*?) ─*$", self.text, flags=re.M)
        self.steps = {title: body for title, body in zip(parts[2::3], parts[3::3])}
        self.numbers = [int(number) for number in parts[1::3]]

    def step(self, word):
        """The text of the only step with this word in its title."""
        (body,) = (body for title, body in self.steps.items() if word in title)
        return body


def tables(text):
    """The tables of a step as lists of lines, without their headers."""
    found, lines = [], text.splitlines()
    for i, line in enumerate(lines):
        if re.fullmatch(r"  [─ -]*[─-]{2}[─ +-]*", line):
            end = next((j for j in range(i + 1, len(lines)) if not lines[j].strip()), len(lines))
            found.append(lines[i + 1:end])
    return found


def statements(text):
    """Each SQL that was shown: indented by four, up to its semicolon."""
    return re.findall(r"(?m)^    ((?:SELECT|SET|CREATE|DROP|ANALYZE)(?:[^;\n]|\n    )*;)$", text)


def check(test, output):
    """What holds in both hosts."""
    test.assertEqual(output.code, 0, output.errors)
    test.assertEqual(output.left, [], "left behind")
    test.assertEqual(output.numbers, list(range(1, len(output.numbers) + 1)))
    for line in output.text.splitlines():
        test.assertLessEqual(len(line), WIDTH, line)
    for title, body in output.steps.items():
        with test.subTest(step=title):
            test.assertTrue(statements(body) or "    psql" in body or "    sqlite3" in body, body)
            special = [pattern for word, pattern in NO_TABLE.items() if word in title]
            if special:
                test.assertRegex(body, special[0])
                continue
            test.assertTrue(tables(body), body)
            for rows in tables(body):
                test.assertTrue(rows and "(no row)" not in rows[0] and "(0 rows)" not in rows[0],
                                body)
