"""The topics of a log, and the numbers its tables know partitions by."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from streambank.log.embedded.database import Database
from streambank.log.embedded.schema import PARTITION_ID_MAX
from streambank.log.errors import LogError, TopicMismatchError, UnknownTopicError
from streambank.log.records import TopicPartition
from streambank.log.topics import TopicConfig


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic and the id of its partition 0; the others follow it."""

    config: TopicConfig
    first_partition_id: int


class Catalog:
    """The topics, kept in memory: they are only ever added, so that what is known stays true."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._topics: dict[str, StoredTopic] = {}
        self._partitions: dict[int, TopicPartition] = {}
        self.reload()

    def reload(self) -> dict[str, StoredTopic]:
        """Every topic, those that other processes made included."""
        with self._database.read() as connection:
            self._load(connection)
        return dict(self._topics)

    def topic(self, name: str) -> StoredTopic:
        """One topic. Raises UnknownTopicError."""
        found = self._topics.get(name) or self.reload().get(name)
        if found is None:
            raise UnknownTopicError(f"there is no topic {name!r}; create it with create_topics()")
        return found

    def partition_id(self, topic_partition: TopicPartition) -> int:
        """The id of a partition. Raises UnknownTopicError."""
        name, number = topic_partition
        found = self.topic(name)
        if not 0 <= number < found.config.partitions:
            raise UnknownTopicError(f"topic {name!r} has partitions 0 to {found.config.partitions - 1}, not {number}")
        return found.first_partition_id + number

    def topic_partition(self, partition_id: int) -> TopicPartition:
        """The partition with that id."""
        found = self._partitions.get(partition_id)
        if found is None:
            self.reload()
            found = self._partitions[partition_id]
        return found

    def create(self, configs: Iterable[TopicConfig]) -> bool:
        """Create the topics that do not exist, all or none: whether there were any. Raises TopicMismatchError."""
        wanted = list(configs)
        known = self.reload()
        if all(config.name in known for config in wanted):
            for config in wanted:
                _check_same(known[config.name].config, config)
            return False
        with self._database.write() as connection:
            existing = {name: topic.config for name, topic in _rows(connection)}
            for config in wanted:
                if config.name in existing:
                    _check_same(existing[config.name], config)
                else:
                    existing[config.name] = config
                    _insert(connection, config)
        self.reload()
        return True

    def _load(self, connection: sqlite3.Connection) -> None:
        for name, topic in _rows(connection):
            if name not in self._topics:
                for number in range(topic.config.partitions):
                    self._partitions[topic.first_partition_id + number] = TopicPartition(name, number)
                self._topics[name] = topic


def _rows(connection: sqlite3.Connection) -> list[tuple[str, StoredTopic]]:
    rows = connection.execute(
        "SELECT name, partitions, cleanup_policy, retention_ms, delete_retention_ms, first_partition_id FROM topics"
    ).fetchall()
    return [
        (
            name,
            StoredTopic(
                TopicConfig(
                    name=name,
                    partitions=partitions,
                    cleanup_policy=policy,
                    retention_ms=retention_ms,
                    delete_retention_ms=delete_retention_ms,
                ),
                first,
            ),
        )
        for name, partitions, policy, retention_ms, delete_retention_ms, first in rows
    ]


def _check_same(existing: TopicConfig, wanted: TopicConfig) -> None:
    if existing.partitions != wanted.partitions:
        raise TopicMismatchError(
            f"topic {wanted.name!r} exists with {existing.partitions} partitions, not {wanted.partitions};"
            " use that number or another name"
        )
    if existing.cleanup_policy != wanted.cleanup_policy:
        raise TopicMismatchError(
            f"topic {wanted.name!r} exists with cleanup policy {existing.cleanup_policy!r},"
            f" not {wanted.cleanup_policy!r}; use that policy or another name"
        )


def _insert(connection: sqlite3.Connection, config: TopicConfig) -> None:
    (last,) = connection.execute("SELECT coalesce(max(partition_id), 0) FROM partitions").fetchone()
    first = last + 1
    if last + config.partitions > PARTITION_ID_MAX:
        raise LogError(f"topic {config.name!r} would exceed the log's {PARTITION_ID_MAX:,} partitions")
    connection.execute(
        "INSERT INTO topics (name, partitions, cleanup_policy, retention_ms, delete_retention_ms, first_partition_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            config.name,
            config.partitions,
            config.cleanup_policy,
            config.retention_ms,
            config.delete_retention_ms,
            first,
        ),
    )
    connection.executemany(
        "INSERT INTO partitions (partition_id) VALUES (?)",
        [(partition_id,) for partition_id in range(first, first + config.partitions)],
    )
