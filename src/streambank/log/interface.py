"""The event log's interface. Implementations: :mod:`streambank.log.embedded` and :mod:`streambank.log.kafka`.

The contracts below are tested by one suite, ``tests/log/conformance.py``, that every implementation passes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition, Watermarks
from streambank.log.topics import TopicConfig

StartPosition: TypeAlias = Literal["earliest", "latest"]


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Who commits offsets for a group: what fences a member that lost its place (KIP-447).

    ``member_id`` is empty for a writer that uses the group's offsets without being a member; such a commit is refused
    while the group has members.
    """

    group: str
    member_id: str = ""
    generation: int = -1


@dataclass(frozen=True, slots=True)
class MemberDescription:
    """One live member of a group, and what it is assigned."""

    member_id: str
    assignment: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A consumer group: its live members (none: empty group) and its committed positions."""

    group: str
    members: tuple[MemberDescription, ...]
    committed: Mapping[TopicPartition, OffsetAndMetadata]


class Transaction(Protocol):
    """Appends and offset commits that become visible together, or not at all."""

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        timestamp: int,
        key: bytes | None = None,
        headers: bytes | None = None,
        partition: int | None = None,
    ) -> None:
        """Add one record. ``timestamp`` is event time in ms; ``headers`` are encoded (:func:`encode_headers`).

        Without ``partition`` the key decides (Kafka's murmur2, so that every log places a key alike); without a key
        too, the record goes to the partitions in turn.

        Raises:
            UnknownTopicError: no such topic or partition.
            RecordTooLargeError: key, value and headers together exceed the log's limit.
        """

    def append_columns(
        self,
        topic_partition: TopicPartition,
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[bytes | None] | None = None,
    ) -> None:
        """Add many records to one partition at once. The columns are equally long and are not changed afterwards."""

    def commit_offsets(self, member: GroupMetadata, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Let the transaction also commit the group's positions. Checked when the transaction commits.

        Raises (on commit):
            FencedError: the member no longer owns one of the partitions, or the group has members and this is none.
        """

    @property
    def end_offsets(self) -> Mapping[TopicPartition, int]:
        """After the commit: for each partition written to, the offset after the transaction's last record."""

    @property
    def decided(self) -> bool:
        """After the block: whether the commit has succeeded or failed."""

    def wait(self) -> None:
        """After the block: wait until the commit is decided. Raises what :meth:`Producer.transaction` says."""


class Producer(Protocol):
    """Writes records. One transaction at a time; not for several threads at once."""

    def transaction(self, *, durable: bool = True, wait: bool = True) -> AbstractContextManager[Transaction]:
        """A transaction that commits when the block ends and aborts when it raises.

        Unless ``wait``, the block may end before the commit is decided, and something else can be done meanwhile; then
        :meth:`Transaction.wait` raises what the block would have raised, and comes before the next transaction.

        Once the block has ended without an error, a crash of the process keeps the transaction, and unless ``durable``
        is False a crash of the machine does too. One that is not durable is for what follows from the log itself and
        would come out again: where the machine loses it, it loses everything that was written after it as well, up to
        the next durable transaction or :meth:`EventLog.flush`, which save what came before them.

        Raises (on commit):
            FencedError: see :meth:`Transaction.commit_offsets`; or a newer producer took this transactional id.
            StorageFullError: no space; nothing was written.
        """

    def close(self) -> None:
        """Release the producer. An open transaction is aborted."""


class RebalanceListener(Protocol):
    """Told, from within :meth:`Consumer.poll` and :meth:`Consumer.close`, what the member gains and loses."""

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """New partitions. Positions stand at the committed offsets; :meth:`Consumer.seek` may move them."""

    def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions that are going to another member, or that :meth:`Consumer.close` gives back.

        Where the log can, it still takes a commit for them here; the embedded log has moved them already, so that a
        commit is fenced.
        """

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions that were taken away unasked (the session timed out). Nothing may be committed for them."""


class Consumer(Protocol):
    """A member of a consumer group. Used by one thread; only :meth:`wakeup` may be called from others.

    The topics' partitions are shared out with Kafka's range assignor: partition n of every topic with the same
    partition count goes to the same member. Positions start at the group's committed offsets, else as ``start`` says.
    A dead member's partitions move to the others: at once where its process has ended, after the session time-out
    where it only hangs.
    """

    @property
    def metadata(self) -> GroupMetadata:
        """What to pass to :meth:`Transaction.commit_offsets` for the records polled so far."""

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this member reads now."""

    def poll(self, max_records: int, timeout_s: float) -> list[RecordBatch]:
        """Read on from the positions, waiting up to ``timeout_s`` where there is nothing (0: do not wait).

        Returns as soon as there is anything; batches are whole, so that there may be somewhat more than
        ``max_records`` records. Only committed records, in offset order within a partition; partitions take turns.
        Keeps the membership alive: a member that does not poll within the session time-out loses its partitions.
        """

    def position(self, topic_partition: TopicPartition) -> int:
        """The offset that the next poll reads from."""

    def current_lag(self, topic_partition: TopicPartition) -> int:
        """How many offsets the position is behind the partition's end, as the last poll saw it (KIP-695).

        Asks nobody: 0 before the first poll that looked at the partition.
        """

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Read on from ``offset``; records already fetched are dropped."""

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leave these partitions out of :meth:`poll` until :meth:`resume`."""

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions again."""

    def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; a partition without one is left out."""

    def wakeup(self) -> None:
        """Let a waiting :meth:`poll`, or else the next one, return at once. May be called from any thread."""

    def close(self) -> None:
        """Leave the group; the others get the partitions at once."""


class EventLog(Protocol):
    """Topics of records, and the groups that read them. May be shared by threads."""

    @property
    def log_id(self) -> str:
        """Names this log for ever, so that whoever stores its offsets can refuse another log's."""

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist.

        Raises:
            TopicMismatchError: one exists with another partition count or cleanup policy; none is created then.
        """

    def delete_topics(self, names: Collection[str]) -> None:
        """Delete topics with their records and every group's positions in them.

        Members that read one lose it; who uses it otherwise meets UnknownTopicError.

        Raises:
            UnknownTopicError: one does not exist; none is deleted then.
        """

    def topics(self) -> dict[str, TopicConfig]:
        """Every topic by name."""

    def watermarks(self, topic_partition: TopicPartition) -> Watermarks:
        """The partition's first and next offset. Raises UnknownTopicError."""

    def stable_end(self, topic_partition: TopicPartition) -> int:
        """The partition's next offset, once every transaction has ended that had begun to commit before the call.

        The high watermark may lie before a transaction of another process whose commit has been decided. Who has to
        have everything, as in a restore, reads up to here. Raises UnknownTopicError.
        """

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int = 10_000) -> RecordBatch:
        """Committed records from ``offset`` on, without a group; an empty batch at the end.

        Batches are whole: there may be somewhat more than ``max_records``. An offset whose record was compacted away
        continues with the next one kept.

        Raises:
            UnknownTopicError: no such partition.
            OffsetOutOfRangeError: before the first offset kept by retention, or beyond the end.
        """

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int:
        """The offset of the first record whose timestamp is at or after ``timestamp``; the end if there is none."""

    def wait(self, positions: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        """Wait until one of the partitions has a record at or beyond its position: True; False after ``timeout_s``."""

    def flush(self) -> None:
        """Make everything durable that could be read before the call.

        To be called before what was read has an effect outside of the log, such as rows in a database.
        """

    def producer(self, transactional_id: str | None = None) -> Producer:
        """A producer. With a ``transactional_id``, every earlier producer of that id is fenced from now on."""

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        *,
        listener: RebalanceListener | None = None,
        start: StartPosition = "earliest",
        instance_id: str | None = None,
    ) -> Consumer:
        """Join a group.

        With an ``instance_id`` the member is static where the log knows that (KIP-345): one that goes without a word
        and comes back within the session time-out finds its partitions, and nothing is moved meanwhile.

        Raises UnknownTopicError.
        """

    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; empty for an unknown group."""

    def describe_group(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""

    def groups(self) -> list[GroupDescription]:
        """Every group that has members or committed positions, by name."""

    def close(self) -> None:
        """Close the log and everything opened from it. Idempotent."""
