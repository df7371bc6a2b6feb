"""Consumer groups: members, what they are assigned, and the positions they commit.

Every change of a group's members computes the assignment anew in the same SQL transaction and raises the group's
generation. Each assignment remembers the generation since which its member has had the partition without a break: a
commit holds only for partitions that the member has had since a generation it knows of.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from streambank.clock import Clock
from streambank.ids import RandomBytes, uuid7
from streambank.log.embedded.catalog import Catalog
from streambank.log.embedded.database import Database
from streambank.log.embedded.locks import process_is_alive
from streambank.log.errors import FencedError
from streambank.log.interface import GroupDescription, GroupMetadata, MemberDescription
from streambank.log.range_assign import range_assign
from streambank.log.records import OffsetAndMetadata, TopicPartition


@dataclass(frozen=True, slots=True)
class Liveness:
    """How a process shows that it is alive, and how it tells that others are not.

    ``processes`` is the folder of the process locks, None where no other process can be. ``monotonic_ms`` is a clock
    that all processes of the machine share and that neither the user nor a suspended machine makes jump.
    """

    process_id: str
    processes: Path | None
    monotonic_ms: Clock
    session_timeout_ms: int

    def deadline(self) -> int:
        """Until when a member that shows up now counts as alive."""
        return self.monotonic_ms() + self.session_timeout_ms

    def is_dead(self, process_id: str, deadline_ms: int) -> bool:
        """Whether a member of that process has ended or hangs."""
        if deadline_ms < self.monotonic_ms():
            return True
        if process_id == self.process_id or self.processes is None:
            return False
        return not process_is_alive(self.processes, process_id)


class Membership(NamedTuple):
    """What a member learns at a rebalance. ``since`` has the generation in which it got each partition."""

    generation: int
    since: Mapping[TopicPartition, int]
    committed: Mapping[TopicPartition, OffsetAndMetadata]


class Groups:
    """The groups of one log."""

    def __init__(
        self, database: Database, catalog: Catalog, liveness: Liveness, clock: Clock, random_bytes: RandomBytes
    ) -> None:
        self.liveness = liveness
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._random_bytes = random_bytes

    def join(self, group: str, topics: Collection[str]) -> tuple[int, str]:
        """Add a member: the group's number and the member's id. Ids ascend in the order of joining."""
        for topic in topics:
            self._catalog.topic(topic)
        with self._database.write() as connection:
            group_id = ensure_group(connection, group)
            # Within the write transaction, so that a later member never has the smaller time stamp.
            member_id = self._new_member_id(connection, group_id)
            connection.execute(
                "INSERT INTO members (group_id, member_id, process_id, topics, deadline_ms) VALUES (?, ?, ?, ?, ?)",
                (
                    group_id,
                    member_id,
                    self.liveness.process_id,
                    json.dumps(sorted(topics)),
                    self.liveness.deadline(),
                ),
            )
            self._delete(connection, group_id, self._dead(connection, group_id, spared=member_id))
            self._reassign(connection, group_id)
        return group_id, member_id

    def leave(self, group_id: int, member_id: str) -> None:
        """Remove a member; without effect where it is gone already."""
        with self._database.write() as connection:
            if self._delete(connection, group_id, [member_id]):
                self._reassign(connection, group_id)

    def keep_alive(self, group_id: int, member_id: str) -> None:
        """Prolong a member's session; without effect where it was expelled."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE members SET deadline_ms = ? WHERE group_id = ? AND member_id = ?",
                (self.liveness.deadline(), group_id, member_id),
            )

    def expel_dead(self, group_id: int, spared: str) -> bool:
        """Remove the members that have ended or hang, except ``spared``: whether there were any."""
        with self._database.read() as connection:
            if not self._dead(connection, group_id, spared):
                return False
        with self._database.write() as connection:
            dead = self._dead(connection, group_id, spared)
            if self._delete(connection, group_id, dead):
                self._reassign(connection, group_id)
            return bool(dead)

    def membership(self, group_id: int, member_id: str) -> Membership | None:
        """The member's place in the group as of now; None where it was expelled."""
        with self._database.snapshot() as connection:
            known = connection.execute(
                "SELECT 1 FROM members WHERE group_id = ? AND member_id = ?", (group_id, member_id)
            ).fetchone()
            (generation,) = connection.execute(
                "SELECT generation FROM groups WHERE group_id = ?", (group_id,)
            ).fetchone()
            since = connection.execute(
                "SELECT partition_id, since FROM assignments WHERE group_id = ? AND member_id = ?",
                (group_id, member_id),
            ).fetchall()
            committed = connection.execute(
                "SELECT partition_id, next_offset, metadata FROM committed_offsets WHERE group_id = ?", (group_id,)
            ).fetchall()
        if known is None:
            return None
        name = self._catalog.topic_partition
        return Membership(
            generation,
            {name(partition_id): generation for partition_id, generation in since},
            {name(partition_id): OffsetAndMetadata(offset, text) for partition_id, offset, text in committed},
        )

    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; empty for an unknown group."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT partition_id, next_offset, metadata FROM committed_offsets JOIN groups USING (group_id)"
                " WHERE name = ? ORDER BY partition_id",
                (group,),
            ).fetchall()
        name = self._catalog.topic_partition
        return {name(partition_id): OffsetAndMetadata(offset, text) for partition_id, offset, text in rows}

    def describe_one(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""
        with self._database.read() as connection:
            found = connection.execute("SELECT group_id FROM groups WHERE name = ?", (group,)).fetchone()
        return GroupDescription(group, self._members(found[0]) if found else (), self.committed(group))

    def describe(self) -> list[GroupDescription]:
        """Every group that has live members or committed positions, by name."""
        with self._database.read() as connection:
            groups = connection.execute("SELECT group_id, name FROM groups ORDER BY name").fetchall()
        described = [GroupDescription(name, self._members(group_id), self.committed(name)) for group_id, name in groups]
        return [group for group in described if group.members or group.committed]

    def _members(self, group_id: int) -> tuple[MemberDescription, ...]:
        with self._database.snapshot() as connection:
            members = connection.execute(
                "SELECT member_id, process_id, deadline_ms FROM members WHERE group_id = ? ORDER BY member_id",
                (group_id,),
            ).fetchall()
            assigned = connection.execute(
                "SELECT member_id, partition_id FROM assignments WHERE group_id = ?", (group_id,)
            ).fetchall()
        parts: dict[str, set[TopicPartition]] = {}
        for member_id, partition_id in assigned:
            parts.setdefault(member_id, set()).add(self._catalog.topic_partition(partition_id))
        return tuple(
            MemberDescription(member_id, frozenset(parts.get(member_id, ())))
            for member_id, process_id, deadline_ms in members
            if not self.liveness.is_dead(process_id, deadline_ms)
        )

    def check_commit(self, connection: sqlite3.Connection, member: GroupMetadata, ids: set[int]) -> int:
        """The number of the group of which ``member`` may commit positions in these partitions.

        Within a write transaction, in which the group is made if need be. Raises FencedError.
        """
        # In one row: each row that is fetched lets the other threads run first, while this one holds the lock.
        found = connection.execute(
            "SELECT group_id, (SELECT json_group_array(partition_id) FROM assignments AS a"
            "  WHERE a.group_id = groups.group_id AND member_id = ?2 AND since <= ?3)"
            " FROM groups WHERE name = ?1",
            (member.group, member.member_id, member.generation),
        ).fetchone()
        group_id, owned = found or (ensure_group(connection, member.group), "[]")
        if not member.member_id:
            self._check_no_members(connection, group_id, member.group)
        elif missing := ids.difference(json.loads(owned)):
            lost = ", ".join(str(self._catalog.topic_partition(partition_id)) for partition_id in sorted(missing))
            raise FencedError(
                f"member {member.member_id} of group {member.group!r} no longer owns {lost} (its generation:"
                f" {member.generation}); nothing was written. Drop the state of these partitions and poll again"
            )
        return int(group_id)

    def _check_no_members(self, connection: sqlite3.Connection, group_id: int, group: str) -> None:
        rows = connection.execute("SELECT process_id, deadline_ms FROM members WHERE group_id = ?", (group_id,))
        alive = sum(not self.liveness.is_dead(process_id, deadline_ms) for process_id, deadline_ms in rows.fetchall())
        if alive:
            raise FencedError(
                f"group {group!r} has {alive} live member(s), so that only they may commit its positions;"
                " nothing was written. Stop them first, or use another group"
            )

    def _new_member_id(self, connection: sqlite3.Connection, group_id: int) -> str:
        (latest,) = connection.execute("SELECT max(member_id) FROM members WHERE group_id = ?", (group_id,)).fetchone()
        now = self._clock()
        member_id = uuid7(now, self._random_bytes)
        while latest is not None and member_id <= latest:
            now = max(now, int(latest[:13].replace("-", ""), 16)) + 1
            member_id = uuid7(now, self._random_bytes)
        return member_id

    def _dead(self, connection: sqlite3.Connection, group_id: int, spared: str) -> list[str]:
        rows = connection.execute(
            "SELECT member_id, process_id, deadline_ms FROM members WHERE group_id = ?", (group_id,)
        ).fetchall()
        return [
            member_id
            for member_id, process_id, deadline_ms in rows
            if member_id != spared and self.liveness.is_dead(process_id, deadline_ms)
        ]

    def _delete(self, connection: sqlite3.Connection, group_id: int, member_ids: Collection[str]) -> bool:
        deleted = 0
        for member_id in member_ids:
            deleted += connection.execute(
                "DELETE FROM members WHERE group_id = ? AND member_id = ?", (group_id, member_id)
            ).rowcount
        return deleted > 0

    def _reassign(self, connection: sqlite3.Connection, group_id: int) -> None:
        (generation,) = connection.execute(
            "UPDATE groups SET generation = generation + 1 WHERE group_id = ? RETURNING generation", (group_id,)
        ).fetchone()
        members = connection.execute("SELECT member_id, topics FROM members WHERE group_id = ?", (group_id,)).fetchall()
        subscriptions = {member_id: set(json.loads(topics)) for member_id, topics in members}
        wanted = set().union(*subscriptions.values())
        # A member may subscribe to a topic that was deleted since.
        counts = {name: count for name, count in self._catalog.partition_counts(connection).items() if name in wanted}
        before = {
            (member_id, partition_id): since
            for member_id, partition_id, since in connection.execute(
                "SELECT member_id, partition_id, since FROM assignments WHERE group_id = ?", (group_id,)
            )
        }
        rows = []
        for member_id, partitions in range_assign(subscriptions, counts).items():
            for topic_partition in partitions:
                partition_id = self._catalog.partition_id(topic_partition)
                rows.append((group_id, member_id, partition_id, before.get((member_id, partition_id), generation)))
        connection.execute("DELETE FROM assignments WHERE group_id = ?", (group_id,))
        connection.executemany(
            "INSERT INTO assignments (group_id, member_id, partition_id, since) VALUES (?, ?, ?, ?)", rows
        )


def ensure_group(connection: sqlite3.Connection, group: str) -> int:
    """The group's number; it is made if need be. Within a write transaction."""
    found = connection.execute("SELECT group_id FROM groups WHERE name = ?", (group,)).fetchone()
    if found is None:
        found = connection.execute("INSERT INTO groups (name) VALUES (?) RETURNING group_id", (group,)).fetchone()
    return int(found[0])
