"""Letting a group read again from elsewhere; an application of streams forgets its state with that.

What ``kafka-consumer-groups --reset-offsets`` and ``kafka-streams-application-reset`` do. A stream application is one
that has written down its topology. What it keeps is what came of the records before its positions, so that positions
and state go together:

1. Write into the application's topology topic that it is being reset: from then on it does not start.
2. Delete its changelogs and repartition topics.
3. Commit the new positions in what is left: the topics it reads that are not its own.
4. Delete the topology topic.

One that is interrupted is repeated from 1. Output topics are left alone: what the application writes again comes after
what is there. Folders of ``state_dir`` belong to the old state, and are to be removed where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import msgspec

from streambank.log import EventLog, GroupMetadata, OffsetAndMetadata, TopicPartition
from streambank.streams.compatibility import RESET, StoredForm, internal_topics, topology_topic
from streambank.streams.errors import StreamsError


class ResetError(StreamsError):
    """The group cannot be reset; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset does: positions before and after, and the application's own topics, which go."""

    group: str
    before: Mapping[TopicPartition, int]
    after: Mapping[TopicPartition, int]
    deleted: tuple[str, ...]
    is_application: bool


def plan_reset(log: EventLog, group: str, offset_of: Callable[[TopicPartition], int]) -> Reset:
    """What a reset to these offsets does; changes nothing.

    Raises:
        ResetError: nobody has read anything as this group, or it has members.
    """
    found = log.describe_group(group)
    own = internal_topics(log, group)
    is_application = bool(own) or topology_topic(group).name in log.topics()
    if not found.committed and not is_application:
        raise ResetError(f"there is no group {group!r} that has read anything")
    if found.members:
        raise ResetError(f"group {group!r} has {len(found.members)} live members: stop them first")
    before = {at: position.offset for at, position in sorted(found.committed.items())}
    after = {at: offset_of(at) for at in before if at.topic not in own}
    return Reset(group, before, after, tuple(own), is_application)


def apply_reset(log: EventLog, reset: Reset) -> None:
    """Do it: the steps above. Raises FencedError where a member has joined meanwhile."""
    topology = topology_topic(reset.group)
    with closing(log.producer()) as producer:
        if reset.is_application:
            log.create_topics([topology])
            with producer.transaction() as transaction:
                mark = msgspec.json.encode(StoredForm(topology.name, kind="reset"))
                transaction.append(topology.name, mark, key=RESET.encode(), timestamp=0)
            log.delete_topics(reset.deleted)
        with producer.transaction() as transaction:
            positions = {at: OffsetAndMetadata(offset) for at, offset in reset.after.items()}
            transaction.commit_offsets(GroupMetadata(reset.group), positions)
    if reset.is_application:
        log.delete_topics([topology.name])
