"""Many rows into one table, as tuples: SQLAlchemy's own handling of parameters costs more than SQLite's insert."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, TableClause

ROWS_AT_ONCE = 50
"""Rows of one statement on SQLite: less work than row by row, and the interpreter's lock is given away and taken again
once for all of them. With more there is little to gain, and the rest, row by row, is longer."""


class BulkInsert:
    """Inserts rows of plain values (numbers, text, bytes, None), in the order of the columns."""

    def __init__(self, table: TableClause) -> None:
        self.columns = tuple(column.name for column in table.columns)
        into = f"INSERT INTO {table.name} ({', '.join(self.columns)}) VALUES "  # noqa: S608 - names of ours
        row = f"({', '.join('?' for _ in self.columns)})"
        self._sqlite = into + row
        self._sqlite_many = into + ", ".join([row] * ROWS_AT_ONCE)
        self._postgresql = into + f"({', '.join('%s' for _ in self.columns)})"

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, in this order."""
        statement, begun = self._postgresql, 0
        if connection.dialect.name == "sqlite":
            statement, begun = self._sqlite, len(rows) - len(rows) % ROWS_AT_ONCE
            for start in range(0, begun, ROWS_AT_ONCE):
                values = chain.from_iterable(rows[start : start + ROWS_AT_ONCE])
                connection.exec_driver_sql(self._sqlite_many, tuple(values))
        if begun < len(rows):
            connection.exec_driver_sql(statement, list(rows[begun:]))
