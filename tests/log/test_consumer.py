"""What a poll of the embedded log sees while others write."""

import threading
import time
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


def test_a_poll_that_waits_looks_once_if_all_was_read_and_one_that_does_not_wait_always(
    tmp_path: Path, monkeypatch: Any
) -> None:
    with (
        EmbeddedLog.open(tmp_path / "log") as log,
        EmbeddedLog.open(tmp_path / "log") as other,
        closing(other.producer()) as producer,
    ):
        log.create_topics([TopicConfig(name="later", partitions=1)])
        with closing(log.consumer("group", ["later"])) as consumer:
            assert taken(consumer) == []
            looks = looks_of(consumer, monkeypatch)
            assert consumer.poll(10, 0.01) == []
            assert len(looks) == 1
            with producer.transaction() as transaction:
                for value in (b"0", b"1", b"2"):
                    transaction.append("later", value, timestamp=0)
            # Nobody woke this one yet, or somebody did: a poll that does not wait sees what is there.
            assert [len(batch) for batch in consumer.poll(2, 0)] == [2]
            # What is left needs no wake-up.
            assert taken(consumer) == ["later 2"]
            consumer.seek(LATER, 1)
            assert taken(consumer) == ["later 1", "later 2"]
            consumer.seek(LATER, 1)
            consumer.pause([LATER])
            assert consumer.poll(10, 0.01) == []
            consumer.resume([LATER])
            assert taken(consumer) == ["later 1", "later 2"]


def test_another_processs_commits_wake_only_who_reads_their_topics(tmp_path: Path, monkeypatch: Any) -> None:
    # So that only what is told wakes anybody.
    monkeypatch.setattr("streambank.log.embedded.signals.FALLBACK_INTERVAL_S", 60.0)
    with (
        EmbeddedLog.open(tmp_path / "log") as log,
        EmbeddedLog.open(tmp_path / "log") as other,
        closing(other.producer()) as producer,
    ):
        log.create_topics([TopicConfig(name=name, partitions=1) for name in ("earlier", "later")])
        with closing(log.consumer("group", ["later"])) as consumer:
            assert consumer.poll(10, 0.3) == []
            looks = looks_of(consumer, monkeypatch)

            def write() -> None:
                for topic in ("earlier", "earlier", "later"):
                    time.sleep(0.05)
                    with producer.transaction() as transaction:
                        transaction.append(topic, b"", timestamp=0)

            writing = threading.Thread(target=write)
            writing.start()
            assert taken(consumer) == ["later 0"]
            writing.join()
            assert len(looks) == 1


def looks_of(consumer: Any, monkeypatch: Any) -> list[None]:
    """Grows with each look that the consumer takes at the file from now on."""
    looks: list[None] = []
    look = consumer._look

    def counted(connection: Any) -> Any:
        looks.append(None)
        return look(connection)

    monkeypatch.setattr(consumer, "_look", counted)
    return looks


def taken(consumer: Any) -> list[str]:
    """Topic and offset of each record of one poll."""
    records: list[Record] = [record for batch in consumer.poll(10, 1.0) for record in batch]
    return [f"{record.topic} {record.offset}" for record in records]
