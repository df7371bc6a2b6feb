from tests.streams.support import OUT, TABLE, through_table

from streambank.streams import StreamBuilder
from streambank.streams.testing import TopologyTestDriver


def test_updates_come_as_records_and_deletes_as_tombstones() -> None:
    rows = [("a", 1, 10), ("a", None, 20), ("b", 0, 5)]
    assert through_table(lambda table: table, rows) == rows


def test_a_streams_operators_follow_and_see_the_tombstones() -> None:
    builder = StreamBuilder()
    builder.table(TABLE).to_stream().filter_not(lambda _key, value: value is None).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(TABLE, "a", 1, 10, headers=(("trace", b"7"),))
        driver.pipe(TABLE, "a", None, 20)
        records = driver.read_records(OUT.name)
        assert [(record.value, record.headers) for record in records] == [(b"1", (("trace", b"7"),))]
