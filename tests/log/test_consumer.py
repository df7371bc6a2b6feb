"""What a poll of the embedded log sees while others write."""

from contextlib import closing
from pathlib import Path
from typing import Any

from streambank.log import Record, TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog

EARLIER, LATER = TopicPartition("earlier", 0), TopicPartition("later", 0)


def test_a_poll_fetches_nothing_that_its_lags_do_not_know_of(tmp_path: Path, monkeypatch: Any) -> None:
    """What is committed while a poll is under way comes with the next one, all of it: a join depends on that."""
    with EmbeddedLog.open(tmp_path / "log") as log, closing(log.producer()) as producer:
        log.create_topics([TopicConfig(name=name, partitions=1) for name in ("earlier", "later")])
        with closing(log.consumer("group", ["earlier", "later"])) as consumer:

            def put(topic: str, value: bytes) -> None:
                with producer.transaction() as transaction:
                    transaction.append(topic, value, timestamp=0)

            put("later", b"0")
            assert taken(consumer) == ["later 0"]
            put("later", b"1")
            look = consumer._look

            def look_and_be_late(connection: Any) -> Any:
                found = look(connection)
                monkeypatch.undo()
                put("earlier", b"2")
                put("later", b"3")
                return found

            monkeypatch.setattr(consumer, "_look", look_and_be_late)
            assert taken(consumer) == ["later 1"]
            assert (consumer.current_lag(EARLIER), consumer.current_lag(LATER)) == (0, 0)
            assert sorted(taken(consumer)) == ["earlier 0", "later 2"]


def taken(consumer: Any) -> list[str]:
    """Topic and offset of each record of one poll."""
    records: list[Record] = [record for batch in consumer.poll(10, 1.0) for record in batch]
    return [f"{record.topic} {record.offset}" for record in records]
