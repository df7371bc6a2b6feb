"""Rows that are inserted many at once."""

from contextlib import closing

import pytest
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text, select
from tests.postgres import Databases

from streambank.service.bulk import ROWS_AT_ONCE, BulkInsert
from streambank.service.database import KIT_MIGRATIONS, Database
from streambank.service.tables import BigKey

WIDE = Table(
    "wide",
    MetaData(),
    Column("id", BigKey, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary),
    Column("timestamp", BigInteger, nullable=False),
)


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3])
def test_every_row_is_inserted_as_it_is(any_database: Databases, count: int) -> None:
    rows = [(n, f"topic {n}", None if n % 2 else b"k", b"v" * n, None, n * 1_000_000_000_000) for n in range(count)]
    with closing(Database.open(any_database("a"), KIT_MIGRATIONS)) as database:
        with database.begin() as connection:
            WIDE.metadata.create_all(connection)
            BulkInsert(WIDE)(connection, rows)
        with database.read() as connection:
            assert [tuple(row) for row in connection.execute(select(WIDE).order_by(WIDE.c.id))] == rows


def test_values_that_are_the_same_in_most_rows(any_database: Databases) -> None:
    count = ROWS_AT_ONCE + 10
    rows: list[tuple[object, ...]] = [(n, "same", b"k", None, b"h", 7) for n in range(count)]
    rows[1] = (1, "another", None, b"v", None, 8)
    rows[ROWS_AT_ONCE] = (ROWS_AT_ONCE, "same", b"", None, b"h", 7)
    with closing(Database.open(any_database("a"), KIT_MIGRATIONS)) as database:
        with database.begin() as connection:
            WIDE.metadata.create_all(connection)
            BulkInsert(WIDE)(connection, rows)
            BulkInsert(WIDE)(connection, [(count + n, "same", None, None, None, 0) for n in range(count)])
        with database.read() as connection:
            found = [tuple(row) for row in connection.execute(select(WIDE).order_by(WIDE.c.id))]
    assert found == [*rows, *((count + n, "same", None, None, None, 0) for n in range(count))]
