"""Compares what Alluvium wrote with what it was fed.

usage: check.py MODE LEDGER OBJECTS PROJECT TOPIC

MODE is `exact` (every record once, in order) or `complete` (every record at least once). LEDGER is a
directory with one file a partition: line N says what must become of offset N. OBJECTS is a directory that holds
the objects under the names `{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz`, the default, or
`….zst`, and dead letters under `_dead_letters/`.

Prints a summary as JSON; exits with 1 and the first differences on standard error if there are any.
"""

import gzip
import json
import pathlib
import re
import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction

import zstandard

NAME = re.compile(r"-(\d+)-(\d+)-(\d+)\.ndjson\.(gz|zst)$")
CHECKPOINT = "_shard_time"


class Number(str):
    """A JSON number as it was written."""


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=first_wins)


def first_wins(pairs):
    return dict(reversed(pairs))


def text_of(value):
    """A scalar as a text column would hold it."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


def same_number(wanted, found):
    if wanted == found:
        return True
    if Fraction(wanted) == Fraction(found):
        return True
    # A double is written in its shortest form, which need not be its exact value.
    exact = Fraction(float(wanted)) == Fraction(wanted)
    mantissa = re.sub(r"[eE].*", "", wanted).lstrip("-")
    short = mantissa != wanted.lstrip("-") or "." in mantissa
    short = short and len(mantissa.replace(".", "").lstrip("0")) <= 17
    return (exact or short) and float(wanted) == float(found)


def same(wanted, found):
    if isinstance(wanted, (dict, list)) and type(found) is str:
        # What is nested in a container, or in a column of text, is JSON text.
        return parse(found) == wanted
    if isinstance(wanted, list):
        pairs = isinstance(found, list) and len(wanted) == len(found)
        return pairs and all(map(same, wanted, found))
    if isinstance(wanted, dict):
        pairs = isinstance(found, dict) and wanted.keys() == found.keys()
        return pairs and all(same(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, Number) and isinstance(found, Number):
        return same_number(wanted, found)
    if type(wanted) is type(found):
        return wanted == found
    # A value of another type than its column is kept as text, or the other way about.
    return not isinstance(found, (dict, list)) and text_of(wanted) == text_of(found)


def row_of(line):
    """A line in the form of the ledger: misfits back in their place."""
    row = parse(line)
    properties = row["properties"]
    properties.pop(CHECKPOINT)
    for name, raw in properties.pop("_misfit", {}).items():
        # The column may hold a rounded value as well; the misfit is the exact one.
        properties[name] = parse(raw)
    return row


def difference(wanted, found):
    """Why a row is not the wanted one, or None."""
    for name in ("_time", "_user"):
        if wanted[name] != found[name]:
            return f"{name}: wanted {wanted[name]!r}, found {found[name]!r}"
    wanted, found = wanted["properties"], found["properties"]
    for name in wanted.keys() | found.keys():
        if name not in wanted:
            return f"{name}: not wanted, found {found[name]!r}"
        if name not in found:
            return f"{name}: wanted {wanted[name]!r}, not found"
        if not same(wanted[name], found[name]):
            return f"{name}: wanted {wanted[name]!r}, found {found[name]!r}"
    return None


class Partition:
    """One partition's ledger, its files, and what is wrong with them."""

    def __init__(self, mode, ledger, objects, project, topic, number):
        self.mode = mode
        self.ledger = pathlib.Path(ledger, str(number))
        self.objects = pathlib.Path(objects)
        self.project, self.topic, self.number = project, topic, number
        self.problems = []
        self.counts = Counter()

    def problem(self, text):
        self.problems.append(f"partition {self.number}: {text}")

    def files(self, directory):
        """The partition's files of a table, in order of their spans."""
        found = []
        for path in directory.glob(f"{self.topic}-{self.number}-*"):
            match = NAME.search(path.name)
            if not match:
                self.problem(f"unexpected name {path.name}")
                continue
            found.append((int(match[2]), int(match[3]), path))
        found.sort()
        if self.mode == "exact":
            for (_, end, left), (start, _, right) in zip(found, found[1:]):
                if start < end:
                    self.problem(f"{left.name} and {right.name} overlap")
        return found

    def lines(self, directory):
        for start, end, path in self.files(directory):
            unpack = gzip.open if path.suffix == ".gz" else zstandard.open
            with unpack(path, "rt", encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    yield start, end, line
            self.counts["files"] += 1

    def check(self):
        tables, dead = defaultdict(list), []
        with open(self.ledger, encoding="utf-8", newline="\n") as lines:
            for offset, line in enumerate(lines):
                kind, *rest = line.rstrip("\n").split("\t")
                if kind == "row":
                    tables[rest[0]].append((offset, rest[1]))
                else:
                    dead.append((offset, *rest))
        folder = self.objects / self.project
        for table in {path.name for path in folder.glob("*") if path.is_dir()} | tables.keys():
            compare = self.in_order if self.mode == "exact" else self.any_order
            compare(table, tables.get(table, []), self.lines(folder / table))
        self.dead_letters(dead)
        return self.counts, self.problems

    def in_order(self, table, wanted, found):
        wanted = iter(wanted)
        for start, end, line in found:
            offset, expected = next(wanted, (None, None))
            if offset is None:
                return self.problem(f"{table}: more rows than records, first {line[:300]}")
            if not start <= offset < end:
                return self.problem(f"{table}: offset {offset} is not in the span {start}..{end}: row lost or doubled")
            if not self.row(table, offset, expected, line):
                return None
        if (left := next(wanted, None)) is not None:
            self.problem(f"{table}: row of offset {left[0]} and those behind it are missing")
        return None

    def any_order(self, table, wanted, found):
        wanted = {parse(expected)["properties"]["id"]: (offset, expected) for offset, expected in wanted}
        missing = set(wanted)
        for start, end, line in found:
            identity = row_of(line)["properties"].get("id")
            if identity not in wanted:
                return self.problem(f"{table}: a row that was never sent: {line[:300]}")
            offset, expected = wanted[identity]
            if not start <= offset < end:
                return self.problem(f"{table}: offset {offset} is not in the span {start}..{end}")
            self.row(table, offset, expected, line)
            missing.discard(identity)
        if missing:
            self.problem(f"{table}: {len(missing)} rows missing, such as id {min(missing)}")
        return None

    def row(self, table, offset, expected, line):
        self.counts["rows"] += 1
        found, wanted = row_of(line), parse(expected)
        why = difference(wanted, found)
        if why is None and (found["$schema"], found["$table"]) != (self.project, table):
            why = f"names table {found['$schema']}.{found['$table']}"
        if why is not None:
            self.problem(f"{table}: offset {offset}: {why}")
        return why is None or len(self.problems) < 10

    def dead_letters(self, wanted):
        wanted = {offset: rest for offset, *rest in wanted}
        seen = Counter()
        for start, end, line in self.lines(self.objects / "_dead_letters"):
            letter = json.loads(line)
            offset = letter["offset"]
            seen[offset] += 1
            self.counts["dead_letters"] += 1
            fields = ["topic", "partition", "offset", "timestamp", "key", "payload", "reason"]
            if list(letter) != fields or offset not in wanted or not start <= offset < end:
                self.problem(f"unexpected dead letter {line[:300]}")
                continue
            reason, key, payload = wanted[offset]
            found = (letter["topic"], letter["partition"], letter["key"] or "-", letter["payload"])
            if payload == "-":
                good = found == (self.topic, self.number, key, None)
            else:
                good = found == (self.topic, self.number, key, payload)
            if not good or not isinstance(letter["timestamp"], int):
                self.problem(f"dead letter of offset {offset} differs: {line[:300]}")
            word = re.match(r"\w+", letter["reason"])
            if word is None or word[0] != reason:
                self.problem(f"dead letter of offset {offset}: wanted reason {reason}, found {letter['reason']!r}")
        for offset in wanted.keys() - seen.keys():
            self.problem(f"dead letter of offset {offset} is missing")
        if self.mode == "exact" and any(count > 1 for count in seen.values()):
            self.problem("a dead letter was written twice")


def check(arguments):
    return Partition(*arguments).check()


def main():
    if len(sys.argv) != 6 or sys.argv[1] not in ("exact", "complete"):
        sys.exit(__doc__)
    mode, ledger, objects, project, topic = sys.argv[1:]
    numbers = sorted(int(path.name) for path in pathlib.Path(ledger).iterdir())
    totals, problems = Counter(), []
    with ProcessPoolExecutor(2) as pool:
        for counts, found in pool.map(check, [(mode, ledger, objects, project, topic, n) for n in numbers]):
            totals += counts
            problems += found
    print(json.dumps(totals))
    if problems:
        print(f"{len(problems)} differences, the first of them:", *problems[:10], sep="\n", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
