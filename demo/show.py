"""How the demo prints: headings, tables of at most 100 columns, SQL that can be copied, progress."""
import datetime
import sys
import textwrap

WIDTH = 100

sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character still sees the rest


def say(text=""):
    print(text, flush=True)


def heading(number, text):
    say()
    say(f"── {number}. {text} ".ljust(WIDTH, "─"))


def note(text, indent="  "):
    say(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent))


def sql(text, indent="    "):
    """SQL exactly as it can be run, on lines of its own."""
    say()
    say(textwrap.indent(textwrap.dedent(text).strip(), indent))


def broken(ddl):
    """A long CREATE or DROP INDEX on several lines, still one statement."""
    if len(ddl) + 6 <= WIDTH:
        return ddl
    head, on, rest = ddl.partition(" ON ")
    if len(head) + 6 > WIDTH:
        head = head.replace(" EXISTS ", " EXISTS\n    ", 1)
    if len(rest) + 12 > WIDTH:
        rest = rest.replace(" INCLUDE ", "\n    INCLUDE ", 1).replace(" WHERE ", "\n    WHERE ", 1)
    return head + (f"\n   {on}{rest}" if on else "")


def value(cell):
    """A cell as a person reads it: numbers rounded, times to the second."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3f}" if abs(cell) < 1 else f"{cell:.1f}"
    if isinstance(cell, datetime.datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, list):
        return "{" + ",".join(map(str, cell)) + "}"
    return cell


def _lines(text, width, lines):
    """`text` in at most `lines` lines; what does not fit ends in an ellipsis."""
    if lines == 1 or len(text) <= width:
        return [text if len(text) <= width else text[: width - 1] + "…"]
    return textwrap.wrap(text, width, max_lines=lines, placeholder=" …")


def table(headers, rows, lines=1):
    """Rows as columns; numbers right-aligned; the last column has `lines` lines, the rest is cut."""
    cells = [["" if value is None else " ".join(str(value).split()) for value in row] for row in rows]
    widths = [max([len(head)] + [len(row[i]) for row in cells]) for i, head in enumerate(headers)]
    room = max(WIDTH - 2 - sum(width + 2 for width in widths[:-1]), len(headers[-1]))
    wrapped = [_lines(row[-1], room, lines) for row in cells]
    widths[-1] = min(widths[-1], room)
    numeric = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(headers))]

    def line(values):
        return "  ".join(value.rjust(width) if right else value.ljust(width)
                         for value, width, right in zip(values, widths, numeric)).rstrip()

    say("  " + line(headers))
    say("  " + "  ".join("─" * width for width in widths))
    for row, last in zip(cells, wrapped):
        say("  " + line(row[:-1] + last[:1]))
        for more in last[1:]:
            say("  " + line([""] * (len(row) - 1) + [more]))
    if not cells:
        say("  (no row)")


def _is_number(text):
    return text == "" or text.rstrip("×%").strip().replace(",", "").replace(".", "", 1).isdigit()


def text(page, lines, indent="  "):
    """The head of a page of text, each line cut where the page ends."""
    found = page.splitlines()
    for line in found[:lines]:
        line = indent + line
        say((line if len(line) <= WIDTH else line[: WIDTH - 1] + "…").rstrip())
    if len(found) > lines:
        say(f"{indent}… {len(found) - lines} more lines")


def size(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000


def times(ratio):
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


class Progress:
    """What is being done: a counter on a terminal, one line elsewhere."""

    def __init__(self, what, total):
        self.what, self.total, self.done = what, total, 0
        self.live = sys.stdout.isatty()
        if not self.live:
            say(f"  {what} …")

    def step(self):
        self.done += 1
        if self.live:
            end = "\n" if self.done == self.total else ""
            print(f"\r  {self.what}: {self.done}/{self.total}{end}", end="", flush=True)
