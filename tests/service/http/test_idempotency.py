"""Keys of many requests at once: found among all that are kept, and without looking at those."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.postgres import Databases
from tests.service.support import open_database

from streambank.log.embedded import EmbeddedLog
from streambank.service.http import idempotency
from streambank.service.http.answers import Answer, no_content
from streambank.service.http.idempotency import KeyedRequest
from streambank.service.http.problems import Problem
from streambank.service.tables import IDEMPOTENCY_KEY


def request(scope: int, key: int, fingerprint: bytes = b"f") -> KeyedRequest:
    return KeyedRequest(f"user-{scope}", f"key-{key}", fingerprint)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 31, 100])
def test_what_was_done_is_told_from_what_was_not(any_database: Databases, count: int) -> None:
    asked = [request(number % 3, number) for number in range(count)]
    done = asked[::2]
    others = [request(scope, key) for scope in (3, 4) for key in range(count)] + [request(9, 9)]
    with EmbeddedLog.open(None) as log, closing(open_database(any_database("service"), log)) as database:
        with database.begin() as connection:
            idempotency.once_all(connection, done + others, 0, lambda indexes: [no_content() for _ in indexes])
        worked: list[int] = []

        def work(indexes: Sequence[int]) -> list[Answer]:
            worked.extend(indexes)
            return [no_content() for _ in indexes]

        with database.begin() as connection:
            outcomes = idempotency.once_all(connection, asked, 0, work)
            other = idempotency.once_all(connection, [request(0, 0, b"another")], 0, work)
    assert worked == list(range(1, count, 2))
    assert [outcome[1] for outcome in outcomes if not isinstance(outcome, Problem)] == [
        number % 2 == 0 for number in range(count)
    ]
    assert isinstance(other[0], Problem)
    assert other[0].slug == "idempotency-key-reused"


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_a_search_does_not_read_the_whole_table(tmp_path: Path, count: int) -> None:
    statement, wanted = idempotency._search([request(number, number) for number in range(count)])
    rows = [request(n % 8, n)._asdict() for n in range(1_000)]
    more = {"status": 204, "headers": "{}", "body": b"", "created_at": 0}
    with (
        EmbeddedLog.open(None) as log,
        closing(open_database(tmp_path / "service.db", log)) as database,
        database.begin() as connection,
    ):
        connection.execute(insert(IDEMPOTENCY_KEY), [row | more for row in rows])
        compiled = statement.compile(connection)
        values = tuple(wanted[name] for name in compiled.positiontup or ())
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).all()
    assert [step.detail for step in plan if "SCAN" in step.detail] == []
