from typing import Any

import pytest
from tests.streams.support import ANY

from streambank.log.partitioner import partition_for
from streambank.streams import LONG, STRING, DeserializationError, SessionWindows, StreamBuilder, TimeWindows, Topic
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import SessionWindowedSerde, TimeWindowedSerde, Windowed


def test_a_windowed_key_is_written_as_kafka_writes_it() -> None:
    serde = TimeWindowedSerde(STRING, 10)
    assert serde.serialize(Windowed("a", 258, 268)) == b"a\0\0\0\0\0\0\x01\x02"
    assert serde.deserialize(b"a\0\0\0\0\0\0\x01\x02") == Windowed("a", 258, 268)


def test_a_sessions_key_has_its_end_before_its_start() -> None:
    serde = SessionWindowedSerde(STRING)
    assert serde.serialize(Windowed("a", 1, 2)) == b"a\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01"
    assert serde.deserialize(serde.serialize(Windowed("", 1, 2))) == Windowed("", 1, 2)


@pytest.mark.parametrize("serde", [TimeWindowedSerde(STRING, 10), SessionWindowedSerde(STRING)])
def test_bytes_that_are_too_few_are_refused(serde: TimeWindowedSerde[str] | SessionWindowedSerde[str]) -> None:
    with pytest.raises(DeserializationError, match="in all"):
        serde.deserialize(b"short")


@pytest.mark.parametrize("windows", [TimeWindows.tumbling(10), SessionWindows(10)])
def test_all_windows_of_a_key_go_to_the_keys_own_partition(windows: Any) -> None:
    source = Topic(name="in", key=STRING, value=ANY, partitions=4)
    key = SessionWindowedSerde(STRING) if isinstance(windows, SessionWindows) else TimeWindowedSerde(STRING, 10)
    counts: Topic[Any, int] = Topic(name="counts", key=key, value=LONG, partitions=4)
    builder = StreamBuilder()
    builder.stream(source).group_by_key().windowed_by(windows).count(name="n").to_stream().to(counts)
    with TopologyTestDriver(builder.build()) as driver:
        for at in range(0, 200, 20):
            for key_ in "abcdef":
                driver.write(source, key_, 1, at)
        driver.run()
        places = {
            (key.deserialize(record.key or b"").key, record.partition) for record in driver.read_records("counts")
        }
    assert places == {(key_, partition_for(key_.encode(), 4)) for key_ in "abcdef"}
