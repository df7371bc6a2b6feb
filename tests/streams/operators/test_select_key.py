from collections.abc import Callable
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, stream_topology, through_stream

from streambank.log import partition_for
from streambank.streams import STRING, KStream, StreamBuilder, Topic
from streambank.streams.testing import TopologyTestDriver


def test_select_key_replaces_the_key_and_nothing_else() -> None:
    rows = [("a", 1, 10), (None, 2, 20), ("c", None, 5)]
    rekeyed = through_stream(lambda s: s.select_key(lambda key, value: [key, value], key=ANY), rows)
    assert rekeyed == [(["a", 1], 1, 10), ([None, 2], 2, 20), (["c", None], None, 5)]


def test_headers_pass_through() -> None:
    with TopologyTestDriver(stream_topology(lambda s: s.select_key(lambda _key, value: value, key=ANY))) as driver:
        driver.pipe(IN, "a", 1, headers=(("trace", b"7"),))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"7"),)]


def test_a_record_is_written_where_its_new_key_belongs() -> None:
    words = Topic(name="words", key=STRING, value=STRING, partitions=4)
    initials = Topic(name="initials", key=STRING, value=STRING, partitions=3)
    builder = StreamBuilder()
    builder.stream(words).select_key(lambda _key, word: word[0], key=STRING).to(initials)
    with TopologyTestDriver(builder.build()) as driver:
        for word in ("ant", "bee", "asp", "cow", "boa", "dog"):
            driver.pipe(words, word, word)
        places = {(record.key, record.partition) for record in driver.read_records("initials")}
    assert places == {(initial, partition_for(initial, 3)) for initial in (b"a", b"b", b"c", b"d")}


@pytest.mark.parametrize(
    "then",
    [
        lambda stream: stream.filter(lambda _key, _value: True),
        lambda stream: stream.map_values(lambda value: value, value=ANY),
        lambda stream: stream.flat_map_values(lambda value: [value], value=ANY),
        lambda stream: stream.peek(lambda _key, _value: None),
        lambda stream: stream.split({"all": lambda _key, _value: True})["all"],
    ],
    ids=["filter", "map_values", "flat_map_values", "peek", "split"],
)
def test_what_follows_does_not_forget_that_the_key_changed(
    then: Callable[[KStream[Any, Any]], KStream[Any, Any]],
) -> None:
    builder = StreamBuilder()
    then(builder.stream(IN).select_key(lambda _key, value: value, key=ANY)).group_by_key().count(name="n")
    assert builder.build().internal == {"n-repartition"}


def test_a_repartitioned_stream_is_not_repartitioned_again() -> None:
    builder = StreamBuilder()
    rekeyed = builder.stream(IN).select_key(lambda _key, value: value, key=ANY).repartition(name="once")
    rekeyed.map_values(lambda value: value, value=ANY).group_by_key().count(name="n")
    assert builder.build().internal == {"once-repartition"}
