"""How a CSV file is written: delimiter, quotes, where the header is. And its records, one by one, however damaged."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streambank.bank.imports.amounts import looks_like_money
from streambank.bank.imports.columns import recognise
from streambank.bank.imports.dates import looks_like_date
from streambank.bank.imports.files import Line

DELIMITERS = (";", ",", "\t", "|")
DELIMITER_NAMES = {";": "semicolon", ",": "comma", "\t": "tab", "|": "vertical bar"}
RECORD_LINES_MAX = 50
HEADER_SEARCH_RECORDS = 60

_UNDECODED = re.compile("[\udc80-\udcff\ufffd\x00]")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The delimiter, and the quote character or None."""

    delimiter: str
    quote: str | None


class Record(NamedTuple):
    """A row: the line it begins on, its fields, and what is wrong with it, if anything."""

    line: int
    fields: list[str]
    problem: str | None
    ended: bool


class Guess(NamedTuple):
    """Something detected: the value, how sure, and why."""

    value: str
    sure: bool
    why: str


def records(lines: Iterable[Line], dialect: Dialect) -> Iterator[Record]:
    """The rows of the lines. Blank lines are passed over.

    A quoted field may span lines, at most ``RECORD_LINES_MAX``: a quote that is never closed costs the row that it
    is in and no other.
    """
    waiting: list[Line] = []
    pending: list[Line] = []
    source = iter(lines)
    while True:
        line = waiting.pop() if waiting else next(source, None)
        if line is None:
            if not pending:
                return
            record, pending = _unclosed(pending, waiting)
            yield record
            continue
        if not pending and not line.text.strip():
            continue
        pending.append(line)
        record_or_open = _parse(pending, dialect)
        if record_or_open is not None:
            pending = []
            yield record_or_open
        elif len(pending) >= RECORD_LINES_MAX:
            record, pending = _unclosed(pending, waiting)
            yield record


def _unclosed(pending: list[Line], waiting: list[Line]) -> tuple[Record, list[Line]]:
    first = pending[0]
    waiting.extend(reversed(pending[1:]))
    return Record(first.number, [first.text], "a quote is opened and not closed", first.ended), []


def _parse(pending: Sequence[Line], dialect: Dialect) -> Record | None:
    first, last = pending[0], pending[-1]
    text = first.text if len(pending) == 1 else "\n".join(line.text for line in pending)
    if dialect.quote is None:
        fields = text.split(dialect.delimiter)
    else:
        try:
            reader = csv.reader(pending_text(text), delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
            fields = next(reader)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                return None
            return Record(first.number, [text], f"not a row of CSV: {error}", last.ended)
    problem = None
    if not text.isascii() or "\0" in text:
        found = _UNDECODED.search(text)
        problem = "has bytes that are not text in this encoding" if found else None
    return Record(first.number, fields, problem, last.ended)


def pending_text(text: str) -> list[str]:
    """The text as the lines that the csv module wants."""
    return text.splitlines(keepends=True) if "\n" in text else [text]


def detect_dialect(lines: Sequence[Line], delimiter: str | None = None) -> tuple[Dialect, Guess]:
    """The dialect of a sample of lines: the delimiter that splits most of them into equally many fields."""
    sample = [line for line in lines if line.text.strip()]
    named = _named_delimiter(sample)
    if delimiter is None and named is not None:
        delimiter, guess = named, Guess(named, True, "the file's first line says so")
    elif delimiter is not None:
        guess = Guess(delimiter, True, "as you said")
    else:
        scored = [(_regularity(sample, candidate), candidate) for candidate in DELIMITERS]
        scored.sort(key=lambda item: item[0], reverse=True)
        (share, columns), delimiter = scored[0]
        runner_up = scored[1][0]
        sure = (
            share > 0.8
            and columns > 1
            and runner_up < (share, columns)
            and not (runner_up[1] > 1 and runner_up[0] > 0.9)
        )
        guess = Guess(delimiter, sure, f"it splits {share:.0%} of the first lines into {columns} columns")
    return Dialect(delimiter, _quote(sample, delimiter)), guess


def _named_delimiter(sample: Sequence[Line]) -> str | None:
    match = re.fullmatch(r"sep=(.)", sample[0].text.strip("\r\n ")) if sample else None
    return match[1] if match else None


def _regularity(sample: Sequence[Line], delimiter: str) -> tuple[float, int]:
    widths = Counter(
        len(record.fields) for record in records(sample, Dialect(delimiter, '"')) if record.problem is None
    )
    total = sum(widths.values())
    if not total:
        return 0.0, 0
    columns, rows = max(
        ((width, count) for width, count in widths.items() if width > 1), key=lambda item: item[1], default=(1, 0)
    )
    return rows / total, columns


def _quote(sample: Sequence[Line], delimiter: str) -> str | None:
    text = "\n".join(line.text for line in sample)
    edge = re.escape(delimiter)
    for quote in ('"', "'"):
        opened = len(re.findall(rf"(?:^|{edge}){quote}", text, re.MULTILINE))
        closed = len(re.findall(rf"{quote}(?:$|{edge})", text, re.MULTILINE))
        if opened and closed and (quote == '"' or opened == closed):
            return quote
    # No quote in the sample does not mean none later; a double quote at a field's start is never data in practice.
    return '"'


def find_header(sample: Sequence[Record]) -> int | None:
    """Which of the first records is the header, or None where the file has none.

    Banks put the account's number and the period above the table: the header is the record with the most known
    column names; failing that, a first record without any date or amount above records that have them.
    """
    best, best_score = None, 1
    for position, record in enumerate(sample[:HEADER_SEARCH_RECORDS]):
        if any(looks_like_date(cell) for cell in record.fields):
            continue
        score = sum(1 for cell in record.fields if recognise(cell))
        if score > best_score:
            best, best_score = position, score
    if best is not None:
        return best
    if len(sample) > 1 and not _has_values(sample[0]) and _has_values(sample[1]):
        return 0
    return None


def _has_values(record: Record) -> bool:
    return any(looks_like_date(cell) or looks_like_money(cell) for cell in record.fields)
