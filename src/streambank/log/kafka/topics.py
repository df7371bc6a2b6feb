"""A cluster's topics: their settings, and where their partitions begin and end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any, cast

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from streambank.log.errors import LogError, TopicMismatchError, UnknownTopicError
from streambank.log.interface import StartPosition
from streambank.log.kafka.errors import REFUSED, translate, translated
from streambank.log.kafka.patience import patiently
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.records import TopicPartition
from streambank.log.topics import MAX_COMPACTION_LAG_MS, CleanupPolicy, TopicConfig

CALL_S = 30.0
"""A shorter one would find a dead leader sooner, but librdkafka 2.16 ended the process when admin requests ran out."""

OFFSETS_S = 5.0
"""One attempt: what waits for a leader that has died is not sent to the next one. A member asks before it begins with
new partitions, so that each second counts; a leader answers within milliseconds."""

OPEN_S = 10.0
"""How long opening waits for a cluster that starts."""

OPEN_STEP_S = 2.0
"""How soon it looks whether waiting is of any use."""

SPREAD_S = 10.0
"""How long it may take until every broker knows of a topic that was created."""

SPREAD_STEP_S = 0.02

_SPECS = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest()}  # type: ignore[no-untyped-call]

_FOR_EVER = str(2**63 - 1)


class KafkaTopics:
    """For several threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._unreachable: KafkaError | None = None
        client: dict[str, Any] = {**settings.admin(), "error_cb": self._note_error}
        self.admin = AdminClient(client)
        self._mutex = threading.Lock()
        self._known: dict[str, TopicConfig] = {}
        self._partitions: dict[str, int] = {}

    def cluster_id(self) -> str:
        """The cluster's id. Raises LogError where no broker answers, or where they let nobody in without more."""
        deadline = time.monotonic() + OPEN_S
        while True:
            try:
                return str(self.admin.list_topics(timeout=OPEN_STEP_S).cluster_id)
            except KafkaException as exception:
                # What it raises says only that nobody answered; why, the client has told meanwhile.
                self.admin.poll(0)
                why = self._unreachable
                if time.monotonic() < deadline and (why is None or why.code() not in REFUSED):
                    continue
                raise translate(exception.args[0], f"Kafka at {self._settings.bootstrap}", why) from exception

    def _note_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._unreachable = error

    def all(self) -> dict[str, TopicConfig]:
        """Every topic but Kafka's own."""
        counts = self._counts()
        names = sorted(name for name in counts if not name.startswith("__"))
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]

        def ask() -> dict[str, TopicConfig]:
            found = self.admin.describe_configs(resources, request_timeout=CALL_S) if resources else {}
            entries = {of.name: _unless_gone(future) for of, future in found.items()}
            return {name: _config(name, counts[name], of) for name, of in entries.items() if of is not None}

        topics = patiently(ask, "settings of the topics")
        with self._mutex:
            self._known.update(topics)
        return {name: topics[name] for name in names if name in topics}

    def every_partition(self) -> list[TopicPartition]:
        """All partitions of all topics but Kafka's own."""
        return [
            TopicPartition(name, number)
            for name, count in self._counts().items()
            if not name.startswith("__")
            for number in range(count)
        ]

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has. Raises UnknownTopicError."""
        count = self._partitions.get(topic)
        if count is None:
            count = self._counts(topic).get(topic)
            if count is None:
                raise UnknownTopicError(f"there is no topic {topic!r}")
        return count

    def compacted(self, topic: str) -> bool:
        """Whether only the last record of each key is sure to stay."""
        config = self._known.get(topic)
        if config is None:
            config = self.all().get(topic)
            if config is None:
                raise UnknownTopicError(f"there is no topic {topic!r}")
        return config.compacted

    def check(self, topic_partition: TopicPartition) -> None:
        """Raise UnknownTopicError if there is no such partition."""
        if not 0 <= topic_partition.partition < self.partitions(topic_partition.topic):
            raise UnknownTopicError(f"there is no partition {topic_partition}")

    def create(self, configs: Iterable[TopicConfig]) -> None:
        """Create those that do not exist; none, where one exists with other settings. Raises TopicMismatchError."""
        wanted = {config.name: config for config in configs}
        existing = self.all()
        for name, config in wanted.items():
            if name in existing:
                _check_same(config, existing[name])
        missing = [config for name, config in wanted.items() if name not in existing]
        if not missing:
            return
        futures = self.admin.create_topics([_new_topic(config) for config in missing], request_timeout=CALL_S)
        raced = False
        for name, future in futures.items():
            with translated(f"creating topic {name!r}"):
                try:
                    future.result()
                except KafkaException as exception:
                    if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
                    raced = True
        self._wait(lambda: self._counts().keys() >= wanted.keys(), f"topics {', '.join(wanted)}")
        if raced:
            self.create(wanted.values())
        with self._mutex:
            self._known.update((config.name, config) for config in missing)

    def delete(self, names: Collection[str]) -> None:
        """Delete topics. Raises UnknownTopicError; none is deleted then."""
        for name in names:
            if name not in self._counts():
                raise UnknownTopicError(f"there is no topic {name!r}")
        for name, future in self.admin.delete_topics(list(names), request_timeout=CALL_S).items():
            with translated(f"deleting topic {name!r}"):
                future.result()
            with self._mutex:
                self._known.pop(name, None)
                self._partitions.pop(name, None)
        self._wait(lambda: not self._counts().keys() & set(names), f"the end of topics {', '.join(names)}")

    def offsets(
        self, partitions: Collection[TopicPartition], which: StartPosition, *, uncommitted: bool = False
    ) -> dict[TopicPartition, int]:
        """First or next offsets, as of now; with ``uncommitted``, those beyond transactions that are open too."""
        if not partitions:
            return {}
        level = IsolationLevel.READ_UNCOMMITTED if uncommitted else IsolationLevel.READ_COMMITTED
        wanted = {KafkaPartition(*at): _SPECS[which] for at in partitions}

        def ask() -> dict[TopicPartition, int]:
            found = self.admin.list_offsets(wanted, isolation_level=level, request_timeout=OFFSETS_S)
            offsets = {TopicPartition(at.topic, at.partition): future.result().offset for at, future in found.items()}
            if min(offsets.values()) < 0:
                # What librdkafka says of a partition whose leader it has just lost.
                raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
            return offsets

        # The client keeps to the leader that it knows until it is made to look.
        doing = f"offsets of {', '.join(map(str, partitions))}"
        return patiently(ask, doing, refresh=lambda: self.admin.list_topics(timeout=OFFSETS_S))

    def _counts(self, topic: str | None = None) -> dict[str, int]:
        found = patiently(
            lambda: self.admin.list_topics(topic, timeout=CALL_S).topics, f"Kafka at {self._settings.bootstrap}"
        )
        counts = {name: len(of.partitions) for name, of in found.items() if of.error is None and of.partitions}
        with self._mutex:
            self._partitions.update(counts)
        return counts

    @staticmethod
    def _wait(ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SPREAD_S
        while not ready():
            if time.monotonic() > deadline:
                raise LogError(f"the brokers do not tell of {what} after {SPREAD_S:.0f} s")
            time.sleep(SPREAD_STEP_S)


def _new_topic(config: TopicConfig) -> NewTopic:
    compaction = {"max.compaction.lag.ms": str(MAX_COMPACTION_LAG_MS)} if config.compacted else {}
    return NewTopic(
        config.name,
        config.partitions,
        config={
            "cleanup.policy": config.cleanup_policy,
            "retention.ms": str(config.retention_ms),
            "delete.retention.ms": str(config.delete_retention_ms),
            # The time of an event is what its source says, however late or early; brokers refuse that by default.
            "message.timestamp.type": "CreateTime",
            "message.timestamp.before.max.ms": _FOR_EVER,
            "message.timestamp.after.max.ms": _FOR_EVER,
            **compaction,
        },
    )


def _unless_gone(future: Future[dict[str, Any]]) -> dict[str, Any] | None:
    """A topic's settings; None where it was deleted since it was listed."""
    try:
        return future.result()
    except KafkaException as exception:
        if exception.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
        return None


def _config(name: str, partitions: int, settings: dict[str, Any]) -> TopicConfig:
    policies = {part.strip() for part in settings["cleanup.policy"].value.split(",")}
    return TopicConfig(
        name=name,
        partitions=partitions,
        cleanup_policy=cast(CleanupPolicy, ",".join(sorted(policies))),
        retention_ms=int(settings["retention.ms"].value),
        delete_retention_ms=int(settings["delete.retention.ms"].value),
    )


def _check_same(wanted: TopicConfig, found: TopicConfig) -> None:
    for what, asked, has in (
        ("partitions", wanted.partitions, found.partitions),
        ("the cleanup policy", wanted.cleanup_policy, found.cleanup_policy),
    ):
        if asked != has:
            raise TopicMismatchError(f"topic {wanted.name!r} exists with {what} {has}, not {asked}")
