"""Reading one's own writes through another service, which knows of them from the log only."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from tests.service.support import NUMBERS, OUTBOX_ID, ROWS, Number, Ticker, add_row, open_database

from streambank.log import ClosedError, EventLog, OffsetAndMetadata, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.positions import WAIT_S, LogPosition, Positions
from streambank.service.http.problems import Problem
from streambank.service.outbox import Outbox, OutboxRelay, outgoing
from streambank.service.projection import Projection, Received, Subscription


@dataclass
class Pair:
    """A service that writes numbers, and one that keeps them."""

    log: EventLog
    relay: OutboxRelay
    projection: Projection
    writer: Positions
    reader: Positions
    position: LogPosition
    slept: list[float]

    def through(self, *applications: str) -> Positions:
        """The reader's, where stream applications lie between."""
        more = {"service": "reader", "topics": [NUMBERS.name], "through": applications}
        return counting(self.log, self.reader._database, self.slept, **more)


def counting(log: EventLog, database: Database, slept: list[float], **more: Any) -> Positions:
    """Positions for whose holder each look takes a second."""
    return Positions(log, database, sleep=slept.append, monotonic_s=lambda: float(len(slept)), **more)


@contextmanager
def made(log: EventLog, folder: Path) -> Iterator[Pair]:
    """Both services, where the writer has written five numbers."""
    with (
        closing(open_database(folder / "writer.db", log)) as writing,
        closing(open_database(folder / "reader.db", log)) as reading,
    ):
        log.create_topics([NUMBERS.config])
        slept: list[float] = []

        def apply(connection: Connection, received: list[Received[Number]]) -> None:
            connection.execute(insert(ROWS), [{"n": r.value.n} for r in received])

        projection = Projection(
            log,
            reading,
            Outbox(),
            group="reader",
            subscriptions=[Subscription(NUMBERS, apply)],  # type: ignore[arg-type]
        )
        writer = Positions(log, writing, service="writer")
        with writing.begin() as connection:
            Outbox().add(connection, [outgoing(NUMBERS, str(n), Number(n), 0) for n in range(5)])
            position = writer.written(connection)
        relay = OutboxRelay(log, writing, service="writer", outbox_id=OUTBOX_ID, clock=Ticker())
        reader = counting(log, reading, slept, service="reader", topics=[NUMBERS.name])
        yield Pair(log, relay, projection, writer, reader, position, slept)
        projection.close()
        relay.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with closing(EmbeddedLog.open(tmp_path / "log")) as log, made(log, tmp_path) as pair:
        yield pair


def test_a_service_has_its_own_writes_at_once(pair: Pair) -> None:
    assert str(pair.position) == "writer.outbox/0/5"
    pair.writer.wait(LogPosition.parse("writer.outbox/0/5"))


def test_its_own_are_waited_for_until_they_are_published_or_for_a_while(pair: Pair) -> None:
    writer = counting(pair.log, pair.writer._database, pair.slept, service="writer")
    writer.wait_published(pair.position)
    assert len(pair.slept) == WAIT_S
    pair.relay.step()
    writer.wait_published(pair.position)
    assert len(pair.slept) == WAIT_S


def test_catching_up_waits_for_what_the_log_has_now_or_for_a_while(pair: Pair) -> None:
    pair.reader.wait_caught_up()
    assert pair.slept == []
    pair.relay.step()
    pair.reader.wait_caught_up()
    assert len(pair.slept) == WAIT_S
    while pair.projection.step(0):
        pass
    pair.reader.wait_caught_up()
    assert len(pair.slept) == WAIT_S


def test_a_log_that_cannot_be_asked_holds_nobody_up(pair: Pair) -> None:
    pair.log.close()
    pair.writer.wait_published(pair.position)
    pair.reader.wait_caught_up()
    with pytest.raises(ClosedError):
        pair.reader.wait(pair.position)


def test_another_waits_until_they_are_published_and_stored(pair: Pair) -> None:
    with pytest.raises(Problem) as refused:
        pair.reader.wait(pair.position)
    assert (refused.value.status, refused.value.headers) == (425, {"Retry-After": "1"})
    assert len(pair.slept) == WAIT_S
    pair.relay.step()
    with pytest.raises(Problem):
        pair.reader.wait(pair.position)
    pair.slept.clear()
    while pair.projection.step(0):
        pass
    pair.reader.wait(pair.position)
    assert pair.slept == []
    with pytest.raises(Problem):
        pair.reader.wait(LogPosition(pair.position.place, 6))


def test_it_goes_on_as_soon_as_they_are_there(pair: Pair, tmp_path: Path) -> None:
    waited = threading.Event()
    positions = Positions(
        pair.log, pair.reader._database, service="reader", topics=[NUMBERS.name], sleep=lambda _: waited.set()
    )
    waiting = threading.Thread(target=positions.wait, args=(pair.position,))
    waiting.start()
    assert waited.wait(5)
    pair.relay.step()
    while pair.projection.step(0):
        pass
    waiting.join(5)
    assert not waiting.is_alive()


def test_what_goes_through_a_stream_application_is_waited_for_there_too(pair: Pair) -> None:
    pair.relay.step()
    while pair.projection.step(0):
        pass
    positions = pair.through("application")
    with (
        closing(pair.log.consumer("application", [NUMBERS.name])) as consumer,
        closing(pair.log.producer()) as producer,
    ):
        batches = consumer.poll(100, 0) or consumer.poll(100, 0)
        with pytest.raises(Problem, match="not seen"):
            positions.wait(pair.position)
        while batches:
            with producer.transaction() as transaction:
                offsets = {batch.topic_partition: OffsetAndMetadata(batch.next_offset) for batch in batches}
                transaction.commit_offsets(consumer.metadata, offsets)
            batches = consumer.poll(100, 0)
        pair.slept.clear()
        positions.wait(pair.position)
    assert pair.slept == []


def test_a_place_in_a_topic(pair: Pair) -> None:
    pair.relay.step()
    ends = {n: pair.log.watermarks(TopicPartition(NUMBERS.name, n)).high for n in range(2)}
    partition, end = next((n, end) for n, end in ends.items() if end)
    while pair.projection.step(0):
        pass
    pair.reader.wait(LogPosition.parse(f"numbers/{partition}/{end - 1}"))
    with pytest.raises(Problem, match="not seen"):
        pair.reader.wait(LogPosition.parse(f"numbers/{partition}/{end}"))


@pytest.mark.parametrize(
    "text", ["", "numbers", "numbers/0", "numbers/0/x", "numbers/0/-1", "a b/0/1", "n/0/" + "9" * 19]
)
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(Problem, match="TOPIC/PARTITION/OFFSET"):
        LogPosition.parse(text)


def test_a_topic_that_nothing_here_reads(pair: Pair) -> None:
    with pytest.raises(Problem, match="nothing here depends"):
        pair.reader.wait(LogPosition.parse("other/0/1"))


def test_a_service_that_stops_lets_nobody_wait(pair: Pair) -> None:
    pair.reader.close()
    with pytest.raises(Problem, match="not seen"):
        pair.reader.wait(pair.position)
    assert pair.slept == []


def test_rows_of_the_readers_own_do_not_count(pair: Pair) -> None:
    add_row(pair.reader._database, 1)
    with pytest.raises(Problem, match="not seen"):
        pair.reader.wait(pair.position)
