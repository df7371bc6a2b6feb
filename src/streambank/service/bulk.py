"""Many rows into one table, as tuples: SQLAlchemy's own handling of parameters costs more than SQLite's insert."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, count, islice
from typing import Any

from sqlalchemy import Connection, TableClause

ROWS_AT_ONCE = 500
"""Rows of one statement on SQLite: less work than row by row, and the interpreter's lock is given away and taken again
once for all of them. A chunk of a batch is as many."""

_STEPS = (ROWS_AT_ONCE, 100, 10)
"""What is left goes in smaller steps, and the last few rows one by one: few statements, which stay prepared."""

STATEMENTS_MAX = 256
"""Statements kept as text: a table has few, one for each step and for the columns whose values differ."""


class BulkInsert:
    """Inserts rows of plain values (integers, text, bytes, None), in the order of the columns."""

    def __init__(self, table: TableClause) -> None:
        self.columns = tuple(column.name for column in table.columns)
        self._into = f"INSERT INTO {table.name} ({', '.join(self.columns)}) VALUES "  # noqa: S608 - names of ours

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, in this order."""
        done, mark = 0, "%s"
        if connection.dialect.name == "sqlite":
            done, mark = self._insert_many(connection, rows), "?"
        if done < len(rows):
            statement = f"{self._into}({', '.join([mark] * len(self.columns))})"
            connection.exec_driver_sql(statement, list(rows[done:]))

    def _insert_many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert all rows but the last few; how many they were."""
        steps = _steps(len(rows))
        if not steps:
            return 0
        columns = list(zip(*rows, strict=True))
        # What is the same in all rows is bound once. To bind None takes Python's module several times as long as text.
        is_same = tuple(column[0] == column[-1] and column.count(column[0]) == len(column) for column in columns)
        same = [column[0] for column, same in zip(columns, is_same, strict=True) if same]
        left = zip(*(column for column, same in zip(columns, is_same, strict=True) if not same), strict=True)
        for step in steps:
            values = tuple(chain(same, chain.from_iterable(islice(left, step))))
            connection.exec_driver_sql(_statement(self._into, is_same, step), values)
        return sum(steps)


def _steps(rows: int) -> list[int]:
    taken: list[int] = []
    for step in _STEPS:
        times, rows = divmod(rows, step)
        taken += [step] * times
    return taken


@lru_cache(maxsize=STATEMENTS_MAX)
def _statement(into: str, is_same: Sequence[bool], rows: int) -> str:
    """Inserts so many rows of numbered parameters: first those that all rows share, then each row's own."""
    numbers = count(1)
    shared = [next(numbers) if same else None for same in is_same]
    return into + ", ".join(_row(shared, numbers) for _ in range(rows))


def _row(shared: Sequence[int | None], numbers: Iterator[int]) -> str:
    return f"({', '.join(f'?{number or next(numbers)}' for number in shared)})"
