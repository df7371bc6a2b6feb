"""Many rows into one table, as tuples: SQLAlchemy's own handling of parameters costs more than SQLite's insert."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, TableClause

ROWS_AT_ONCE = 500
"""Rows of one statement on SQLite: less work than row by row, and the interpreter's lock is given away and taken again
once for all of them. A chunk of a batch is as many."""

_STEPS = (ROWS_AT_ONCE, 100, 10)
"""What is left goes in smaller steps, and the last few rows one by one: few statements, which stay prepared."""

STATEMENTS_MAX = 256
"""Statements kept as text: a table has few, one for each step and for the columns that its rows fill."""


class BulkInsert:
    """Inserts rows of plain values (numbers, text, bytes, None) in the order of the columns, which have no defaults."""

    def __init__(self, table: TableClause) -> None:
        self.columns = tuple(column.name for column in table.columns)
        self._table = table.name

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, in this order."""
        if not rows:
            return
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(_statement(self._table, self.columns, 1, "%s"), list(rows))
            return
        # What is NULL in all rows is left out: to bind None takes Python's module several times as long as a number.
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        names, filled = zip(*(column for column in columns if _is_filled(column[1])), strict=True)
        left = zip(*filled, strict=True)
        for size in _sizes(len(rows)):
            values = tuple(chain.from_iterable(islice(left, size)))
            connection.exec_driver_sql(_statement(self._table, names, size, "?"), values)
        if last := list(left):
            connection.exec_driver_sql(_statement(self._table, names, 1, "?"), last)


def _is_filled(values: Sequence[Any]) -> bool:
    return values[0] is not None or values.count(None) < len(values)


def _sizes(count: int) -> Iterator[int]:
    """The steps in which so many rows are inserted, but for the last few."""
    for step in _STEPS:
        times, count = divmod(count, step)
        yield from (step,) * times


@lru_cache(maxsize=STATEMENTS_MAX)
def _statement(table: str, columns: Sequence[str], rows: int, mark: str) -> str:
    row = f"({', '.join([mark] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - names of ours
