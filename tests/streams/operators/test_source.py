import pytest
from tests.streams.support import IN, OUT, OUT2, Row, through_stream, topic

from streambank.streams import StreamBuilder, TopologyError
from streambank.streams.testing import TopologyTestDriver


@pytest.mark.parametrize("row", [("a", 1, 10), (None, 1, 10), ("a", None, 10), (None, None, 0)])
def test_records_enter_as_they_are(row: Row) -> None:
    assert through_stream(lambda stream: stream, [row]) == [row]


def test_a_topic_asked_for_twice_is_one_source_whose_children_run_in_the_order_they_were_added() -> None:
    seen: list[tuple[str, int]] = []

    def note(name: str) -> object:
        return lambda _key, value: seen.append((name, value))

    builder = StreamBuilder()
    for name in ("first", "second", "third"):
        action = note(name)
        assert callable(action)
        builder.stream(IN).peek(action)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1)
        driver.pipe(IN, "a", 2)
    assert seen == [(name, value) for value in (1, 2) for name in ("first", "second", "third")]


def test_two_children_give_outputs_in_the_order_of_the_inputs() -> None:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.map_values(lambda value: value + 1, value=IN.value).to(OUT)
    stream.to(OUT)
    stream.to(OUT2)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1, 10)
        driver.pipe(IN, "b", 3, 20)
        assert driver.read(OUT) == [("a", 2, 10), ("a", 1, 10), ("b", 4, 20), ("b", 3, 20)]
        assert driver.read(OUT2) == [("a", 1, 10), ("b", 3, 20)]


def test_the_same_topic_with_other_settings_is_refused() -> None:
    builder = StreamBuilder()
    builder.stream(topic("in", partitions=1))
    with pytest.raises(TopologyError, match=r"'in' is declared twice.*one Topic object"):
        builder.stream(topic("in", partitions=2))
