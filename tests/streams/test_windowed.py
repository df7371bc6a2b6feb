import pytest

from streambank.streams import STRING, DeserializationError
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
