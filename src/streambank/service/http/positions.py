"""Read your own writes, between services that only meet in the log.

A write answers with ``X-Log-Position``: the place of its last event, ``TOPIC/PARTITION/OFFSET``. While an event is
still in its service's outbox, that is where it stands: ``<service>.outbox/0/<id>``. A read that is asked with that
``min_position`` waits until this service holds everything up to there:

1. Until the outbox is published up to the id, which its relay commits to the log as ``<service>-outbox``.
2. Where this service reads what stream applications make of the events: until each of these has processed what its
   topics held, and then what its internal topics held, since records go through those at most once.
3. Then the ends of the topics that this service reads are noted: the events, or what was made of them, lie before them.
4. Until this service's projections have stored up to those ends.

Where the order between services matters to people, nobody has to ask for it. That an account was opened, or a budget
planned, is answered once its events are in the log; and what refers to accounts is begun once the service holds what
the log had when it was asked. So whoever opened an account may plan a budget on it, and whoever planned one may spend,
and each service hears of it in that order.
"""

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, select

from streambank.log import EventLog, LogError, TopicPartition
from streambank.service.database import Database
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.outbox import outbox_group, outbox_topic
from streambank.service.tables import PROJECTION_POSITION, SERVICE_STATE

HEADER = "X-Log-Position"

WAIT_S = 2.0
"""Longer than anything here takes when all is well; a client that is told to come back has more patience than we."""

_LOOK_S = 0.01

_PASSES = 2
"""Through a stream application: from its sources to its internal topics, and from those to what it writes."""

_OUTBOX = outbox_topic("")

PATTERN = "([A-Za-z0-9._-]{1,249})/([0-9]{1,5})/([0-9]{1,18})"

_POSITION = re.compile(PATTERN)


class LogPosition(NamedTuple):
    """A place in the log, or in an outbox."""

    place: TopicPartition
    offset: int

    def __str__(self) -> str:
        return f"{self.place.topic}/{self.place.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LogPosition":
        """The position that ``text`` names.

        Raises:
            Problem: 400.
        """
        found = _POSITION.fullmatch(text)
        if found is None:
            detail = "a position is TOPIC/PARTITION/OFFSET, as a write gave it in X-Log-Position"
            raise Problem(400, "bad-position", detail, errors=[FieldProblem("min_position", detail, "query")])
        return cls(TopicPartition(found[1], int(found[2])), int(found[3]))


class Positions:
    """What a service holds of the log, and waiting until it is enough. May be shared by threads."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        *,
        service: str,
        topics: Collection[str] = (),
        through: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``topics``: those that the service's projections read. ``through``: the stream applications, by their groups
        and in the order of their work, that make those topics of other services' events."""
        self._log = log
        self._database = database
        self._own = TopicPartition(outbox_topic(service), 0)
        self._topics = tuple(topics)
        self._through = tuple(through)
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._stopping = threading.Event()
        # From where to where partitions are known to have no records.
        self._empty: dict[TopicPartition, tuple[int, int]] = {}

    def written(self, connection: Connection) -> LogPosition:
        """Where the service's last event stands, within the transaction that made it."""
        return LogPosition(self._own, connection.execute(_LAST_ID).scalar_one())

    def wait_published(self, written: LogPosition) -> None:
        """Return once the service's own events up to there are in the log. Blocks.

        After ``WAIT_S``, or where the log cannot be asked, anyhow: they will be there.
        """
        with suppress(Problem, LogError):
            self._until(self._monotonic_s() + WAIT_S, lambda: self._is_published(written))

    def wait_caught_up(self) -> None:
        """Return once the service holds all that its topics have now. Blocks.

        After ``WAIT_S``, or where the log cannot be asked, anyhow.
        """
        with suppress(Problem, LogError):
            ends = self._ends()
            self._until(self._monotonic_s() + WAIT_S, lambda: self._holds(ends))

    def wait(self, wanted: LogPosition) -> None:
        """Return once the service holds everything up to the position; at once for its own writes. Blocks.

        Raises:
            Problem: 425, after ``WAIT_S``; 400, where this service never reads that topic.
        """
        if wanted.place == self._own:
            return
        until_s = self._monotonic_s() + WAIT_S
        if wanted.place.topic.endswith(_OUTBOX):
            self._until(until_s, lambda: self._is_published(wanted))
            for group in self._through:
                for _ in range(_PASSES):
                    self._until_processed(until_s, group)
            ends = self._ends()
        elif wanted.place.topic in self._topics:
            ends = {wanted.place: wanted.offset + 1}
        else:
            detail = f"nothing here depends on the topic {wanted.place.topic}"
            raise Problem(400, "bad-position", detail, errors=[FieldProblem("min_position", detail, "query")])
        self._until(until_s, lambda: self._holds(ends))

    def close(self) -> None:
        """Let nobody wait any more."""
        self._stopping.set()

    def _until(self, until_s: float, reached: Callable[[], bool]) -> None:
        while not reached():
            if self._stopping.is_set() or self._monotonic_s() >= until_s:
                raise Problem(
                    425,
                    "not-there-yet",
                    "this service has not seen that change yet: ask again in a while",
                    headers={"Retry-After": "1"},
                )
            self._sleep(_LOOK_S)

    def _until_processed(self, until_s: float, group: str) -> None:
        described = self._log.describe_group(group)
        places = {place for member in described.members for place in member.assignment} | described.committed.keys()
        ends = {place: marks.high for place in places if (marks := self._log.watermarks(place)).high > marks.low}

        def reached() -> bool:
            committed = self._log.committed(group)
            return all(at in committed and self._is_past(at, committed[at].offset, end) for at, end in ends.items())

        self._until(until_s, reached)

    def _is_published(self, wanted: LogPosition) -> bool:
        service = wanted.place.topic.removesuffix(_OUTBOX)
        kept = self._log.committed(outbox_group(service)).get(wanted.place)
        return kept is not None and int(kept.metadata.rpartition(" ")[2] or 0) >= wanted.offset

    def _ends(self) -> dict[TopicPartition, int]:
        configs = self._log.topics()
        places = (TopicPartition(name, n) for name in self._topics for n in range(configs[name].partitions))
        return {at: self._log.watermarks(at).high for at in places}

    def _holds(self, ends: dict[TopicPartition, int]) -> bool:
        columns = PROJECTION_POSITION.c
        stored: dict[TopicPartition, int] = {}
        with self._database.read() as connection:
            for row in connection.execute(select(columns.topic, columns.partition, columns.next_offset)):
                at = TopicPartition(row.topic, row.partition)
                stored[at] = min(row.next_offset, stored.get(at, row.next_offset))
        return all(self._is_past(at, stored.get(at, 0), end) for at, end in ends.items())

    def _is_past(self, at: TopicPartition, offset: int, end: int) -> bool:
        """Whether whoever has come to ``offset`` has all records before ``end``: marks of transactions are none."""
        empty_from, empty_to = self._empty.get(at, (offset, offset))
        if end <= (empty_to if offset == empty_from else offset):
            return True
        low, high = self._log.watermarks(at)
        if high < end or len(batch := self._log.read(at, max(offset, low), 1)):
            return False
        # To look for records takes a while where there are none.
        self._empty[at] = offset, batch.next_offset
        return batch.next_offset >= end


_LAST_ID = select(SERVICE_STATE.c.outbox_last_id)
