"""Kafka Streams, in Java, and streambank read, join and restore each other's topics, exactly once.

Both have the same two topologies: one writes tables and a stream, the other joins them. Whoever does which, what comes
out is the same, record by record: partition, key, value, timestamp and headers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import pytest
from tests.kafka.cluster import KafkaCluster
from tests.kafka.java.programs import running
from tests.kafka.test_conformance import empty

from streambank.log import EventLog, Record, TopicPartition, encode_headers, open_log
from streambank.log.headers import Headers
from streambank.streams import LONG, STRING, StreamBuilder, StreamRunner, StreamsConfig, Topic, Topology

pytestmark = pytest.mark.slow

Program: TypeAlias = Literal["java", "streambank"]
PROGRAMS: tuple[Program, ...] = ("java", "streambank")

PARTITIONS = 5

START = int(time.time()) * 1000 - 3_600_000
"""Timestamps count from here, in ms: lately, since the marks of transactions have the present time, and where that is a
week later they begin new segments, so that the brokers would soon compact what tests have yet to read."""

WAIT_S = 60.0
LOOK_EVERY_S = 0.05

ACCOUNTS = ("a", "anna", "zoë", "口座-7", "🦊", "with space", "x" * 300, "")
CLOSED = ("closed", "ended")
"""Accounts that have only the first three of the changes, after which their total is nothing."""

ALL = (*ACCOUNTS, *CLOSED)


class Step(NamedTuple):
    """What each account has a record of, or what comes of that; some ms later than that of the account before."""

    name: str
    value: int | None
    timestamp: int


#  t        100   150   200   250   300   350   400 (390)  450 (120)  600   650
#  change  +150        -100         -50        +500  +1               +7
#  total    150          50          -          500  501             508         "-" is a tombstone
#  large    150           -                     500  501             508
#  payment         p1          p2          p3               p4  p5          p6
#
# The change of 390 and the payment of 120 come late: a total is as of its latest change, and a payment is joined with
# the row of the moment that it comes in, as of its own time.
CHANGES = [
    Step("c1", 150, 100),
    Step("c2", -100, 200),
    Step("c3", -50, 300),
    Step("c4", 500, 400),
    Step("c5", 1, 390),
    Step("c6", 7, 600),
]
PAYMENTS = {"p1": 150, "p2": 250, "p3": 350, "p4": 450, "p5": 120, "p6": 650}

TOTALS = [
    Step("c1", 150, 100),
    Step("c2", 50, 200),
    Step("c3", None, 300),
    Step("c4", 500, 400),
    Step("c5", 501, 400),
    Step("c6", 508, 600),
]
LARGE = [TOTALS[0], Step("c2", None, 200), *TOTALS[3:]]
JOINED = [Step("p1", 150, 150), Step("p2", 50, 250), Step("p4", 501, 450), Step("p5", 501, 120), Step("p6", 508, 650)]
LEFT_JOINED = [JOINED[0], Step("p2", None, 250), Step("p3", None, 350), *JOINED[2:]]

TOTALS_OF_CLOSED, LARGE_OF_CLOSED = TOTALS[:3], LARGE[:2]
JOINED_OF_CLOSED = JOINED[:2]
LEFT_JOINED_OF_CLOSED = [
    JOINED[0],
    *(Step(payment, None, PAYMENTS[payment]) for payment in ("p2", "p3", "p4", "p5", "p6")),
]


class Row(NamedTuple):
    """A record as it is compared."""

    key: str
    value: bytes | None
    timestamp: int
    headers: Headers


def headers_of(step: str) -> Headers:
    """Headers of every kind that Kafka has."""
    return (("step", step.encode()), ("step", b"again"), ("empty", b""), ("none", None), ("schlüssel", b"\x00\xff"))


def rows(account: str, steps: Sequence[Step], encode: Callable[[Step], bytes | None]) -> list[Row]:
    later = ALL.index(account)
    return [Row(account, encode(step), step.timestamp + later, headers_of(step.name)) for step in steps]


def of_table(step: Step) -> bytes | None:
    return None if step.value is None else LONG.serialize(step.value)


def of_join(step: Step) -> bytes:
    return joiner(step.name, step.value).encode()


def of_all(
    open_steps: Sequence[Step], closed_steps: Sequence[Step], encode: Callable[[Step], bytes | None]
) -> dict[str, list[Row]]:
    """What is to be in a topic, by account."""
    of_open = {account: rows(account, open_steps, encode) for account in ACCOUNTS}
    return of_open | {account: rows(account, closed_steps, encode) for account in CLOSED}


class Written(NamedTuple):
    """What one program makes of the changes and the payments: two tables, and a stream."""

    totals: Topic[str, int]
    large: Topic[str, int]
    by_account: Topic[str, str]


def text(name: str, partitions: int = PARTITIONS) -> Topic[str, str]:
    return Topic(name=name, key=STRING, value=STRING, partitions=partitions)


def table(name: str) -> Topic[str, int]:
    return Topic(name=name, key=STRING, value=LONG, partitions=PARTITIONS, cleanup_policy="compact")


def writing(
    changes: Topic[str, int],
    payments: Topic[str, str],
    totals: Topic[str, int],
    large: Topic[str, int],
    by_account: Topic[str, str],
) -> Topology:
    """``StreamsApplication.write``; the topic of the totals is also what they are restored from."""
    builder = StreamBuilder()
    sums = (
        builder.stream(changes)
        .group_by_key()
        .aggregate(lambda: 0, lambda _account, change, total: total + change or None, name="sums", value=LONG)
    )
    sums.to_stream().to(totals)
    sums.filter(lambda _account, total: total > 100).to_stream().to(large)
    builder.stream(payments).map(lambda payment, account: (account, payment), key=STRING, value=STRING).to(by_account)
    return builder.build()


def joiner(payment: str, total: int | None) -> str:
    return f"{payment} {'-' if total is None else total}"


def joining(
    totals: Topic[str, int],
    large: Topic[str, int],
    by_account: Topic[str, str],
    joined: Topic[str, str],
    left_joined: Topic[str, str],
) -> Topology:
    """``StreamsApplication.join``."""
    builder = StreamBuilder()
    payments = builder.stream(by_account)
    payments.join(builder.table(totals), joiner).to(joined)
    payments.left_join(builder.table(large), joiner).to(left_joined)
    return builder.build()


def records(log: EventLog, at: TopicPartition) -> list[Record]:
    """Everything that is committed in a partition."""
    found: list[Record] = []
    offset, end = 0, log.stable_end(at)
    while offset < end:
        batch = log.read(at, offset)
        found += batch
        offset = batch.next_offset
    return found


def contents(log: EventLog, topic: Topic[Any, Any]) -> list[list[Row]]:
    """A topic's records, by partition."""
    return [
        [
            Row((record.key or b"").decode(), record.value, record.timestamp - START, record.headers)
            for record in records(log, TopicPartition(topic.name, number))
        ]
        for number in range(topic.partitions)
    ]


def by_key(partitions: list[list[Row]]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {account: [] for account in ALL}
    for row in chain.from_iterable(partitions):
        found[row.key].append(row)
    return found


def keys(partitions: list[list[Row]]) -> list[set[str]]:
    return [{row.key for row in partition} for partition in partitions]


def write(log: EventLog, topic: Topic[str, Any], written: Sequence[tuple[str, Any, int, str]]) -> None:
    """Write keys and values, with their timestamps and the steps that their headers tell of."""
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        for key, value, timestamp, step in written:
            transaction.append(
                topic.name,
                topic.value.serialize(value),
                key=key.encode(),
                timestamp=START + timestamp,
                headers=encode_headers(headers_of(step)),
            )


@dataclass
class Bench:
    """Runs programs, one after another, each until it has come to the end of its inputs."""

    kafka: KafkaCluster
    log: EventLog
    folder: Path

    @property
    def name(self) -> str:
        """Begins the names of all topics and groups."""
        return self.folder.name

    def written(self, tables_by: Program, stream_by: Program) -> Written:
        """The topics of one program, or those of one with the stream of the other."""
        return Written(
            table(f"{self.name}-{tables_by}-totals"),
            table(f"{self.name}-{tables_by}-large"),
            text(f"{self.name}-{stream_by}-by-account"),
        )

    def write(self, by: Program, changes: Topic[str, int], payments: Topic[str, str]) -> None:
        """Let a program write its tables and its stream."""
        topics = (changes, payments, *self.written(by, by))
        self._run(by, f"{self.name}-{by}", "write", topics, inputs=2)

    def join(self, by: Program, name: str, written: Written) -> tuple[Topic[str, str], Topic[str, str]]:
        """Let a program join them; the topics of the inner and of the left join."""
        application = f"{self.name}-{name}-{by}"
        joined, left_joined = text(f"{application}-joined"), text(f"{application}-left-joined")
        self._run(by, application, "join", (*written, joined, left_joined), inputs=3)
        return joined, left_joined

    def _run(
        self,
        by: Program,
        application: str,
        what: Literal["write", "join"],
        topics: Sequence[Topic[Any, Any]],
        inputs: int,
    ) -> None:
        self.log.create_topics([topic.config for topic in topics])
        places = [TopicPartition(topic.name, number) for topic in topics[:inputs] for number in range(topic.partitions)]
        ends = {at: found[-1].offset + 1 for at in places if (found := records(self.log, at))}
        program = self._java if by == "java" else self._streambank
        with program(application, what, topics) as work:
            deadline = time.monotonic() + WAIT_S
            while not self._at(application, ends):
                assert time.monotonic() < deadline, f"{application} did not come to the end of its inputs"
                work()

    def _at(self, application: str, ends: dict[TopicPartition, int]) -> bool:
        # Which asks for the members first: for offsets alone, librdkafka crashes where the coordinator is not ready
        # (https://github.com/confluentinc/librdkafka/issues/5040).
        committed = self.log.describe_group(application).committed
        return all(at in committed and committed[at].offset >= end for at, end in ends.items())

    @contextmanager
    def _java(self, application: str, what: str, topics: Sequence[Topic[Any, Any]]) -> Iterator[Callable[[], object]]:
        state, names = str(self.folder / application), [topic.name for topic in topics]

        def work() -> None:
            assert process.poll() is None, f"{application} ended: it has told why"
            time.sleep(LOOK_EVERY_S)

        with running("StreamsApplication", self.kafka.bootstrap, application, state, what, *names) as process:
            yield work

    @contextmanager
    def _streambank(
        self, application: str, what: str, topics: Sequence[Topic[Any, Any]]
    ) -> Iterator[Callable[[], object]]:
        topology = (writing if what == "write" else joining)(*topics)
        with closing(StreamRunner(topology, self.log, StreamsConfig(application_id=application))) as runner:
            yield lambda: runner.step(LOOK_EVERY_S)


@pytest.fixture(scope="module")
def bench(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """After both programs have written their tables and their streams."""
    with closing(open_log(kafka.url)) as log:
        bench = Bench(kafka, log, tmp_path_factory.mktemp("interop"))
        changes = Topic(name=f"{bench.name}-changes", key=STRING, value=LONG, partitions=PARTITIONS)
        # From one partition, so that the order of payments is the same however it is read.
        payments = text(f"{bench.name}-payments", partitions=1)
        log.create_topics([changes.config, payments.config])
        for number, (name, amount, timestamp) in enumerate(CHANGES):
            having = ALL if number < 3 else ACCOUNTS
            write(log, changes, [(account, amount, timestamp + later, name) for later, account in enumerate(having)])
        for name, timestamp in PAYMENTS.items():
            write(log, payments, [(name, account, timestamp + later, name) for later, account in enumerate(ALL)])
        for program in PROGRAMS:
            bench.write(program, changes, payments)
        yield bench
        empty(kafka)


def test_kafka_streams_writes_what_the_timeline_says(bench: Bench) -> None:
    totals, large, by_account = (contents(bench.log, topic) for topic in bench.written("java", "java"))
    assert by_key(totals) == of_all(TOTALS, TOTALS_OF_CLOSED, of_table)
    assert by_key(large) == of_all(LARGE, LARGE_OF_CLOSED, of_table)
    payments = [Step(name, None, timestamp) for name, timestamp in PAYMENTS.items()]
    assert by_key(by_account) == of_all(payments, payments, lambda step: step.name.encode())
    assert sum(map(bool, totals)) > 1, "all accounts are in one partition"


@pytest.mark.parametrize("which", ["totals", "large", "by_account"])
def test_streambank_writes_the_same(bench: Bench, which: str) -> None:
    one, other = (contents(bench.log, getattr(bench.written(program, program), which)) for program in PROGRAMS)
    assert other == one


@pytest.mark.parametrize("by", PROGRAMS)
@pytest.mark.parametrize("stream_by", PROGRAMS)
@pytest.mark.parametrize("tables_by", PROGRAMS)
def test_a_stream_joins_tables_whoever_wrote_them(
    bench: Bench, tables_by: Program, stream_by: Program, by: Program
) -> None:
    written = bench.written(tables_by, stream_by)
    joined, left_joined = (contents(bench.log, topic) for topic in bench.join(by, f"{tables_by}-{stream_by}", written))
    assert by_key(joined) == of_all(JOINED, JOINED_OF_CLOSED, of_join)
    assert by_key(left_joined) == of_all(LEFT_JOINED, LEFT_JOINED_OF_CLOSED, of_join)
    assert keys(joined) == keys(left_joined) == keys(contents(bench.log, written.by_account))


@pytest.mark.parametrize(("tables_by", "by"), [("streambank", "java"), ("java", "streambank")])
def test_a_program_that_starts_again_restores_the_tables_of_the_other(
    bench: Bench, tables_by: Program, by: Program
) -> None:
    payments = text(f"{bench.name}-{by}-late-payments")
    written = bench.written(tables_by, tables_by)._replace(by_account=payments)
    bench.log.create_topics([payments.config])
    steps = [Step("p7", 508, 1_000), Step("p8", 508, 1_100)]
    for name, _, timestamp in steps:
        write(bench.log, payments, [(account, name, timestamp + later, name) for later, account in enumerate(ALL)])
        joined, left_joined = bench.join(by, "late", written)
    nothing = [step._replace(value=None) for step in steps]
    assert by_key(contents(bench.log, joined)) == of_all(steps, [], of_join)
    assert by_key(contents(bench.log, left_joined)) == of_all(steps, nothing, of_join)
