import pytest
from tests.streams.support import ANY, IN, OUT, Row, stream_topology, through_stream

from streambank.streams.testing import TopologyTestDriver


def spread(key: str | None, value: int) -> list[tuple[str | None, int]]:
    return [(key and key * (n + 1), n) for n in range(value)]


@pytest.mark.parametrize(
    ("row", "mapped"),
    [
        (("a", 0, 10), []),
        (("a", 1, 20), [("a", 0, 20)]),
        (("a", 3, 30), [("a", 0, 30), ("aa", 1, 30), ("aaa", 2, 30)]),
        ((None, 2, 40), [(None, 0, 40), (None, 1, 40)]),
    ],
    ids=["none", "one", "several in order", "null key"],
)
def test_flat_map_gives_any_number_of_records(row: Row, mapped: list[Row]) -> None:
    assert through_stream(lambda s: s.flat_map(spread, key=ANY, value=ANY), [row]) == mapped


def test_each_record_has_the_headers_of_the_one_it_came_from() -> None:
    with TopologyTestDriver(stream_topology(lambda s: s.flat_map(spread, key=ANY, value=ANY))) as driver:
        driver.pipe(IN, "a", 2, headers=(("trace", b"7"),))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"7"),)] * 2
