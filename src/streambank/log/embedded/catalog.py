"""The topics of a log, and the numbers its tables know partitions by."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from streambank.log.embedded.database import Database
from streambank.log.embedded.schema import PARTITION_ID_MAX, batch_id
from streambank.log.errors import LogError, TopicMismatchError, UnknownTopicError
from streambank.log.records import TopicPartition, Watermarks
from streambank.log.topics import TopicConfig

_LAST_DELETED = "last_deleted_partition_id"
"""In ``meta``: the highest number of a partition that was deleted, since none is used again."""


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic and the id of its partition 0; the others follow it."""

    config: TopicConfig
    first_partition_id: int


class Catalog:
    """The topics, kept in memory.

    What is known stays true but for topics that another process deletes: a partition's number is never used again, so
    that whoever still uses one finds nothing there (:meth:`watermarks`), and asks anew the next time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._topics: dict[str, StoredTopic] = {}
        self._partitions: dict[int, TopicPartition] = {}
        self.reload()

    def reload(self) -> dict[str, StoredTopic]:
        """Every topic, as of now."""
        with self._database.read() as connection:
            topics = dict(_rows(connection))
        self._partitions |= {
            topic.first_partition_id + number: TopicPartition(name, number)
            for name, topic in topics.items()
            for number in range(topic.config.partitions)
        }
        self._topics = topics
        return topics

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

    def watermarks(self, connection: sqlite3.Connection, partition_id: int) -> Watermarks:
        """A partition's watermarks. Raises UnknownTopicError if it was deleted meanwhile."""
        found = connection.execute(
            "SELECT low, high FROM partitions WHERE partition_id = ?", (partition_id,)
        ).fetchone()
        if found is None:
            raise self.deleted(partition_id)
        return Watermarks(*found)

    def ends(self, connection: sqlite3.Connection, partition_ids: Collection[int]) -> dict[int, int]:
        """The next offset of each partition. Raises UnknownTopicError if one was deleted meanwhile."""
        # In one row: each row that is fetched lets the other threads run first.
        (found,) = connection.execute(
            "SELECT json_group_array(json_array(partition_id, high)) FROM partitions"
            " WHERE partition_id IN (SELECT value FROM json_each(?))",
            (json.dumps([*partition_ids]),),
        ).fetchone()
        ends: dict[int, int] = dict(json.loads(found))
        for partition_id in partition_ids:
            if partition_id not in ends:
                raise self.deleted(partition_id)
        return ends

    def partition_counts(self, connection: sqlite3.Connection) -> dict[str, int]:
        """Every topic's number of partitions, within a transaction."""
        return dict(connection.execute("SELECT name, partitions FROM topics").fetchall())

    def deleted(self, partition_id: int) -> UnknownTopicError:
        """What to raise where a partition that was known is not there any more."""
        topic_partition = self._partitions[partition_id]
        self._topics.pop(topic_partition.topic, None)
        return UnknownTopicError(f"{topic_partition} was deleted")

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

    def delete(self, names: Collection[str]) -> None:
        """Delete topics with their records and every group's positions in them. Raises UnknownTopicError; none then."""
        with self._database.write() as connection:
            topics = dict(_rows(connection))
            for name in names:
                if name not in topics:
                    raise UnknownTopicError(f"there is no topic {name!r}")
            for name in names:
                _delete(connection, name, topics[name])
        self.reload()


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
    (last,) = connection.execute(
        "SELECT max((SELECT coalesce(max(partition_id), 0) FROM partitions),"
        " (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = ?))",
        (_LAST_DELETED,),
    ).fetchone()
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


def _delete(connection: sqlite3.Connection, name: str, topic: StoredTopic) -> None:
    first, end = topic.first_partition_id, topic.first_partition_id + topic.config.partitions
    connection.execute("DELETE FROM topics WHERE name = ?", (name,))
    # So that members notice that they do not have them any more.
    connection.execute(
        "UPDATE groups SET generation = generation + 1 WHERE group_id IN"
        " (SELECT group_id FROM assignments WHERE partition_id >= ? AND partition_id < ?)",
        (first, end),
    )
    for table in ("partitions", "assignments", "committed_offsets"):
        connection.execute(f"DELETE FROM {table} WHERE partition_id >= ? AND partition_id < ?", (first, end))  # noqa: S608
    connection.execute(
        "DELETE FROM batches WHERE batch_id >= ? AND batch_id < ?", (batch_id(first, 0), batch_id(end, 0))
    )
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE"
        " SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        (_LAST_DELETED, end - 1),
    )
