"""Many rows into one table, as tuples: SQLAlchemy's own handling of parameters costs more than SQLite's insert."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table


class BulkInsert:
    """Inserts rows of plain values (numbers, text, bytes, None), in the order of the columns."""

    def __init__(self, table: Table) -> None:
        self.columns = tuple(column.name for column in table.columns)
        into = f"INSERT INTO {table.name} ({', '.join(self.columns)}) VALUES "  # noqa: S608 - names of ours
        self._sqlite = into + f"({', '.join('?' for _ in self.columns)})"
        self._postgresql = into + f"({', '.join('%s' for _ in self.columns)})"

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, in this order."""
        if rows:
            is_sqlite = connection.dialect.name == "sqlite"
            connection.exec_driver_sql(self._sqlite if is_sqlite else self._postgresql, list(rows))
