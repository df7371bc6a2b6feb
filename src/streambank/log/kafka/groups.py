"""A cluster's consumer groups: their members, and their committed positions."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from streambank.log.errors import FencedError, LogError
from streambank.log.interface import GroupDescription, MemberDescription
from streambank.log.kafka.commits import CommitNote, decode_note
from streambank.log.kafka.patience import patiently
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.transaction import KafkaGroupMetadata
from streambank.log.records import OffsetAndMetadata, TopicPartition

CALL_S = 30.0

STABLE_S = 60.0
"""How long committed positions may be uncertain: until the transactions that move them have ended or timed out."""

STABLE_STEP_S = 0.005


class KafkaGroups:
    """For several threads."""

    def __init__(self, settings: KafkaSettings, admin: AdminClient) -> None:
        self._settings, self._admin = settings, admin
        self._mutex = threading.Lock()
        self._memberless: dict[str, KafkaGroupMetadata] = {}
        self._moved: dict[str, frozenset[TopicPartition]] = {}

    def all(self) -> list[GroupDescription]:
        """Every group that has members or committed positions, by name."""
        listed = patiently(lambda: self._admin.list_consumer_groups(request_timeout=CALL_S).result(), "the groups")
        names = sorted(group.group_id for group in listed.valid)
        return [group for group in map(self.describe, names) if group.members or group.committed]

    def describe(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""
        return GroupDescription(group, self.members(group), self.committed(group, stable=False))

    def members(self, group: str) -> tuple[MemberDescription, ...]:
        """The group's members, by their ids; none for an unknown group."""

        def ask() -> Sequence[Any]:
            try:
                found = self._admin.describe_consumer_groups([group], request_timeout=CALL_S)[group].result()
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
            for member in patiently(ask, f"group {group!r}")
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
        found = self._settled(group, partitions, stable)
        if partitions is None and (unseen := self._moved.get(group, frozenset()) - found.keys()):
            # A first position that is being committed just now is told only to who asks for that partition.
            found |= self._settled(group, unseen, stable)
        return found

    def moved(self, group: str, partitions: Collection[TopicPartition]) -> None:
        """Positions were committed from here, which is to be seen from here at once."""
        with self._mutex:
            self._moved[group] = self._moved.get(group, frozenset()) | set(partitions)

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

    def _settled(
        self, group: str, partitions: Collection[TopicPartition] | None, stable: bool
    ) -> dict[TopicPartition, tuple[int, CommitNote]]:
        deadline = time.monotonic() + STABLE_S
        while (found := self._offsets(group, partitions, stable)) is None:
            if time.monotonic() > deadline:
                raise LogError(f"group {group!r}: a transaction that moves its positions is open for {STABLE_S:.0f} s")
            time.sleep(STABLE_STEP_S)
        return {TopicPartition(at.topic, at.partition): (at.offset, _note(at)) for at in found if at.offset >= 0}

    def _offsets(
        self, group: str, partitions: Collection[TopicPartition] | None, stable: bool
    ) -> list[KafkaPartition] | None:
        """What the coordinator says; None while a transaction is about to change it."""
        places = None if partitions is None else [KafkaPartition(*at) for at in sorted(set(partitions))]
        if places == []:
            return []

        def ask() -> list[KafkaPartition] | None:
            request = [ConsumerGroupTopicPartitions(group, places)]
            futures = self._admin.list_consumer_group_offsets(request, require_stable=stable, request_timeout=CALL_S)
            try:
                found: list[KafkaPartition] = futures[group].result().topic_partitions or []
                for at in found:
                    if at.error is not None:
                        raise KafkaException(at.error)
            except KafkaException as exception:
                if exception.args[0].code() == KafkaError.UNSTABLE_OFFSET_COMMIT:
                    return None
                if exception.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise
                return []
            return found

        return patiently(ask, f"group {group!r}")


def _note(at: KafkaPartition) -> CommitNote:
    try:
        return decode_note(at.metadata)
    except UnicodeDecodeError:
        # Other programs keep bytes there that are no text, Kafka Streams for one.
        return CommitNote("", "", "")
