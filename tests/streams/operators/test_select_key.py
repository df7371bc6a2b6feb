from tests.streams.support import ANY, IN, OUT, stream_topology, through_stream

from streambank.log import partition_for
from streambank.streams import STRING, StreamBuilder, Topic
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
