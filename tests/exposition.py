"""A reader of Prometheus' text format 0.0.4, written from its description and not from our writer:
refuses whatever is not in the format, families that are torn apart and histograms that do not add up."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SUFFIXES = ("_bucket", "_sum", "_count")


class Parsed:
    def __init__(self):
        self.types, self.helps, self.samples = {}, {}, {}

    def family_of(self, name):
        for suffix in SUFFIXES:
            if name.endswith(suffix) and self.types.get(name[:-len(suffix)]) == "histogram":
                return name[:-len(suffix)]
        return name

    def type_of(self, name):
        return self.types[self.family_of(name)]

    def value(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))))


def read_labels(text):
    """The labels at the start of `text` (after the brace), and what follows the closing one."""
    labels = {}
    while not text.startswith("}"):
        name = NAME.match(text).group()
        assert text[len(name):].startswith('="'), text
        text, value = text[len(name) + 2:], ""
        while not text.startswith('"'):
            if text.startswith("\\"):
                value += {"\\": "\\", '"': '"', "n": "\n"}[text[1]]
                text = text[2:]
            else:
                value, text = value + text[0], text[1:]
        assert name not in labels, name
        labels[name] = value
        text = text[1:]
        assert text[0] in ",}", text
        text = text.removeprefix(",")
    return labels, text[1:]


def number(text):
    return {"NaN": float("nan"), "+Inf": float("inf"), "-Inf": float("-inf")}.get(text) or float(text)


def parse(text):
    parsed, finished, current = Parsed(), set(), None
    assert text == "" or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            known = {"HELP": parsed.helps, "TYPE": parsed.types}[word]
            assert NAME.fullmatch(name) and name not in known, line
            known[name] = rest
            family = name
        else:
            name = NAME.match(line).group()
            rest, labels = line[len(name):], {}
            if rest.startswith("{"):
                labels, rest = read_labels(rest[1:])
            assert re.fullmatch(r" \S+", rest), line
            key = (name, tuple(sorted(labels.items())))
            assert key not in parsed.samples, f"twice: {line}"
            parsed.samples[key] = number(rest[1:])
            family = parsed.family_of(name)
            assert family in parsed.types and family in parsed.helps, line
        if family != current:
            assert family not in finished, f"torn apart: {family}"
            finished.add(family)
            current = family
    check_histograms(parsed)
    for name, kind in parsed.types.items():
        assert kind != "counter" or name.endswith("_total"), name
    return parsed


def check_histograms(parsed):
    series = {}
    for (name, labels), value in parsed.samples.items():
        if name.endswith("_bucket") and parsed.type_of(name) == "histogram":
            bound = number(dict(labels)["le"])
            rest = tuple(label for label in labels if label[0] != "le")
            series.setdefault((name[:-len("_bucket")], rest), []).append((bound, value))
    for (name, labels), buckets in series.items():
        values = [value for _, value in sorted(buckets)]
        assert values == sorted(values), f"not cumulative: {name} {labels}"
        assert sorted(buckets)[-1][0] == float("inf"), name
        assert parsed.samples[(name + "_count", labels)] == values[-1], name
        assert (name + "_sum", labels) in parsed.samples, name
