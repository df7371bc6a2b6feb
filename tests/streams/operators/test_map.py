import pytest
from tests.streams.support import ANY, IN, OUT, Row, stream_topology, through_stream

from streambank.streams.testing import TopologyTestDriver


@pytest.mark.parametrize(
    ("row", "mapped"),
    [
        (("a", 1, 10), (1, "a", 10)),
        ((None, 1, 20), (1, None, 20)),
        (("a", None, 30), (None, "a", 30)),
        ((None, None, 40), (None, None, 40)),
    ],
    ids=["both", "null key", "null value", "both null"],
)
def test_map_replaces_key_and_value_and_keeps_the_time(row: Row, mapped: Row) -> None:
    assert through_stream(lambda s: s.map(lambda key, value: (value, key), key=ANY, value=ANY), [row]) == [mapped]


def test_headers_pass_through() -> None:
    topology = stream_topology(lambda s: s.map(lambda key, value: (value, key), key=ANY, value=ANY))
    with TopologyTestDriver(topology) as driver:
        driver.pipe(IN, "a", 1, headers=(("trace", b"7"), ("trace", None)))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"7"), ("trace", None))]
