"""How results are printed: a table for people, JSON for programs. Results go to stdout, messages to stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Format: TypeAlias = Literal["table", "json", "jsonl"]

OutputOption: TypeAlias = Annotated[
    Format,
    Parameter(name=["--output", "-o"], help="table for people, json (one document) or jsonl (one line each)."),
]

UNBOUNDED_COLUMNS = 100_000
"""The width of a table that goes into a pipe: nothing is wrapped or cut there."""


_PLAIN = {"Cc": "\N{REPLACEMENT CHARACTER}", "Cf": "\N{REPLACEMENT CHARACTER}", "Zs": " ", "Zl": " ", "Zp": " "}
"""What stands for characters that steer a terminal, such as ESC and the marks that turn the writing direction."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``elastic`` columns are cut first where the terminal is too narrow."""

    title: str
    right: bool = False
    style: str = ""
    elastic: bool = False


def printable(text: str) -> str:
    """The text without control characters: what came from a file must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(_PLAIN.get(unicodedata.category(char), char) for char in text)


def stdout_console() -> Console:
    """A console on stdout, with colours on a terminal unless NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else UNBOUNDED_COLUMNS)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below a header. Into a pipe: the same columns, without colours, never cut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            style=column.style,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column.elastic else None,
            min_width=None if column.elastic else len(column.title),
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in row))
    _print_trimmed(table)


def print_starting() -> None:
    """On a terminal, show at once that the program starts; what comes next overwrites it."""
    if sys.stdout.isatty():
        sys.stdout.write("starting...\r")
        sys.stdout.flush()


def print_json(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_json_line(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def print_listing(
    output: Format, items: Sequence[dict[str, Any]], columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> None:
    """Print a listing in the format asked for: ``items`` as JSON, or ``rows`` as a table."""
    if output == "json":
        print_json(list(items))
    elif output == "jsonl":
        for item in items:
            print_json_line(item)
    else:
        print_table(columns, rows)


def _print_trimmed(table: Table) -> None:
    console = stdout_console()
    with console.capture() as capture:
        console.print(table)
    lines = (line.rstrip() for line in capture.get().splitlines())
    sys.stdout.write("".join(f"{line}\n" for line in lines))
