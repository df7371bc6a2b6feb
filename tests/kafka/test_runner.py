"""Members of a stream application on Kafka: how they come, go, and come back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.kafka.cluster import KafkaCluster

from streambank.log import EventLog, FencedError, LogError, TopicPartition, open_log
from streambank.streams import (
    STRING,
    ProcessingError,
    RestoreProgress,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    Topic,
    Topology,
)

WAIT_S = 30.0
SESSION_S = 45.0
"""The broker's default, which a member that leaves does not wait for."""


class Names:
    """An application with names of its own."""

    def __init__(self, name: str) -> None:
        self.application = name
        self.orders = Topic(name=f"{name}-orders", key=STRING, value=STRING, partitions=4)
        self.prices = Topic(name=f"{name}-prices", key=STRING, value=STRING, partitions=4)
        self.out = Topic(name=f"{name}-out", key=STRING, value=STRING, partitions=4)

    def joining(self) -> Topology:
        builder = StreamBuilder()
        prices = builder.table(self.prices)
        builder.stream(self.orders).join(prices, lambda order, price: f"{order} {price}").to(self.out)
        return builder.build()

    def counting(self) -> Topology:
        builder = StreamBuilder()
        builder.stream(self.orders).group_by_key().count(name="counts")
        return builder.build()

    def failing(self) -> Topology:
        builder = StreamBuilder()
        builder.stream(self.orders).map_values(lambda value: value[99], value=STRING).to(self.out)
        return builder.build()

    def config(self, **settings: Any) -> StreamsConfig:
        return StreamsConfig(application_id=self.application, poll_timeout_s=0.1, **settings)


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Names:
    return Names(request.node.name.replace("[", "-").replace("]", "").removeprefix("test_")[:60])


@pytest.fixture(params=["consumer", "classic"])
def log(request: pytest.FixtureRequest, kafka: KafkaCluster, names: Names) -> Iterator[EventLog]:
    with closing(open_log(f"{kafka.url}?group.protocol={request.param}")) as log:
        log.create_topics([names.orders.config, names.prices.config, names.out.config])
        yield log


class Running:
    """A member in a thread of its own."""

    def __init__(self, topology: Topology, log: EventLog, config: StreamsConfig) -> None:
        self.failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(topology, log, config), daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    def _run(self, topology: Topology, log: EventLog, config: StreamsConfig) -> None:
        try:
            with closing(StreamRunner(topology, log, config)) as self.runner:
                self._ready.set()
                self.runner.run()
        except Exception as error:
            self.failure = error
            self._ready.set()

    @property
    def orders(self) -> set[int]:
        return {at.partition for at in self.runner.assignment if at.topic.endswith("-orders")}

    def stop(self) -> None:
        self.runner.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def ended(self) -> bool:
        return not self._thread.is_alive()


def wait_for(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, "not in time"
        time.sleep(0.02)
    return time.monotonic() - began


def put(log: EventLog, topic: Topic[str, str], count: int) -> None:
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        for number in range(count):
            topic.write(transaction, f"key-{number}", f"{number}", 1)


def test_members_share_what_joins_need_and_leave_at_once(log: EventLog, names: Names) -> None:
    put(log, names.prices, 40)
    one, other = (Running(names.joining(), log, names.config()) for _ in range(2))
    wait_for(lambda: bool(one.orders and other.orders) and one.orders | other.orders == {0, 1, 2, 3})
    for member in (one, other):
        by_topic = [
            {at.partition for at in member.runner.assignment if at.topic == t.name}
            for t in (names.orders, names.prices)
        ]
        assert by_topic[0] == by_topic[1], "partition n of both, or there is nothing to join"
    put(log, names.orders, 40)

    def written() -> int:
        return sum(len(log.read(TopicPartition(names.out.name, number), 0)) for number in range(4))

    wait_for(lambda: written() == 40)
    other.stop()
    assert wait_for(lambda: one.orders == {0, 1, 2, 3}) < SESSION_S / 3
    one.stop()
    assert log.describe_group(names.application).members == ()
    assert (one.failure, other.failure) == (None, None)


def test_a_fatal_error_ends_the_member_with_its_reason(log: EventLog, names: Names) -> None:
    put(log, names.orders, 1)
    member = Running(names.failing(), log, names.config())
    wait_for(member.ended)
    assert isinstance(member.failure, ProcessingError)
    assert isinstance(member.failure.__cause__, IndexError)
    assert log.describe_group(names.application).members == ()


def test_what_is_on_disk_is_not_read_again(log: EventLog, names: Names, tmp_path: Path) -> None:
    config = names.config(store="rocksdb", state_dir=tmp_path)
    restored: list[int] = []

    def run(count: int) -> dict[str, int]:
        put(log, names.orders, count)

        def note(progress: RestoreProgress) -> None:
            if progress.offset == progress.end:
                restored.append(progress.records)

        with closing(StreamRunner(names.counting(), log, config, on_restore=note)) as runner:
            found: dict[str, int] = {}

            def done() -> bool:
                runner.step(0.1)
                found.update({key: s[0] for store in runner.stores("counts") for key, s in store.items()})
                return len(runner.stores("counts")) == 4 and sum(found.values()) == total

            wait_for(done)
            return found

    total = 30
    assert run(30) == {f"key-{number}": 1 for number in range(30)}
    restored.clear()
    total = 35
    assert run(5) == {f"key-{number}": 2 if number < 5 else 1 for number in range(30)}
    assert sum(restored) == 0, "the folder had all of it"


def test_a_static_member_that_comes_back_finds_its_partitions(kafka: KafkaCluster, names: Names) -> None:
    with closing(open_log(kafka.url)) as log:
        log.create_topics([names.orders.config])
        one = Running(names.counting(), log, names.config(group_instance_id="one"))
        other = Running(names.counting(), log, names.config(group_instance_id="other"))
        wait_for(lambda: bool(one.orders and other.orders) and one.orders | other.orders == {0, 1, 2, 3})
        mine, others = one.orders, other.orders
        one.stop()
        assert other.orders == others, "nothing is moved while it is away"
        one = Running(names.counting(), log, names.config(group_instance_id="one"))
        wait_for(lambda: one.orders == mine)
        assert other.orders == others
        other.stop()
        one.stop()


def test_a_name_of_a_static_member_that_is_taken(kafka: KafkaCluster, names: Names) -> None:
    with closing(open_log(kafka.url)) as log:
        log.create_topics([names.orders.config])
        one = Running(names.counting(), log, names.config(group_instance_id="one"))
        wait_for(lambda: one.orders == {0, 1, 2, 3})
        second = Running(names.counting(), log, names.config(group_instance_id="one"))
        wait_for(lambda: one.ended() or second.ended())
        loser, winner = (one, second) if one.ended() else (second, one)
        assert isinstance(loser.failure, FencedError | LogError)
        assert not winner.ended()
        winner.stop()
