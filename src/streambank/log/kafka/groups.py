"""A cluster's consumer groups: their members, and their committed positions."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import FencedError
from streambank.log.interface import GroupDescription, MemberDescription
from streambank.log.kafka.admin import GroupAdmin
from streambank.log.kafka.commits import CommitNote, decode_note
from streambank.log.kafka.patience import patiently
from streambank.log.kafka.positions import Positions
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.topics import KafkaTopics
from streambank.log.kafka.transaction import KafkaGroupMetadata
from streambank.log.records import OffsetAndMetadata, TopicPartition

CALL_S = 30.0


class KafkaGroups:
    """For several threads."""

    def __init__(self, settings: KafkaSettings, topics: KafkaTopics) -> None:
        self._settings, self._topics, self._admin = settings, topics, GroupAdmin(settings)
        self._positions = Positions(settings)
        self._mutex = threading.Lock()
        self._memberless: dict[str, KafkaGroupMetadata] = {}

    def all(self) -> list[GroupDescription]:
        """Every group that has members or committed positions, by name."""
        listed = patiently(
            lambda: self._admin.client.list_consumer_groups(request_timeout=CALL_S).result(), "the groups"
        )
        names = sorted(group.group_id for group in listed.valid)
        return [group for group in map(self.describe, names) if group.members or group.committed]

    def describe(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""
        return GroupDescription(group, self.members(group), self.committed(group, stable=False))

    def members(self, group: str) -> tuple[MemberDescription, ...]:
        """The group's members, by their ids; none for an unknown group."""

        def ask() -> Sequence[Any]:
            try:
                found = self._admin.client.describe_consumer_groups([group], request_timeout=CALL_S)[group].result()
            except KafkaException as exception:
                if exception.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise
                return []
            return list(found.members)

        members = [
            MemberDescription(
                member.member_id,
                frozenset(TopicPartition(at.topic, at.partition) for at in member.assignment.topic_partitions),
            )
            for member in patiently(ask, f"group {group!r}", refresh=self._admin.renew)
        ]
        return tuple(sorted(members, key=lambda member: member.member_id))

    def committed(
        self, group: str, partitions: Collection[TopicPartition] | None = None, *, stable: bool = True
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; ``stable`` waits for transactions that are about to move them."""
        notes = self.notes(group, partitions, stable=stable)
        return {at: OffsetAndMetadata(offset, note.metadata) for at, (offset, note) in notes.items()}

    def notes(
        self, group: str, partitions: Collection[TopicPartition] | None = None, *, stable: bool
    ) -> dict[TopicPartition, tuple[int, CommitNote]]:
        """The committed positions, and who committed each."""
        # A first position that is being committed just now is told only to who asks for that partition.
        asked = self._topics.every_partition() if partitions is None else partitions
        found = self._positions.committed(group, asked, stable=stable)
        return {TopicPartition(at.topic, at.partition): (at.offset, _note(at)) for at in found}

    def memberless(self, group: str) -> KafkaGroupMetadata:
        """The place of a writer that is no member. Raises FencedError while the group has some."""
        if self.members(group):
            raise FencedError(f"group {group!r} has members: only a member may commit its positions")
        with self._mutex:
            found = self._memberless.get(group)
            if found is None:
                # Not subscribed, so that it joins nothing.
                consumer = Consumer(self._settings.member(group))
                found = self._memberless[group] = KafkaGroupMetadata(group, place=consumer.consumer_group_metadata())
                consumer.close()
        return found

    def close(self) -> None:
        """Close the clients."""
        self._positions.close()
        self._admin.renew()


def _note(at: KafkaPartition) -> CommitNote:
    try:
        return decode_note(at.metadata)
    except UnicodeDecodeError:
        # Other programs keep bytes there that are no text, Kafka Streams for one.
        return CommitNote("", "", "")
