"""foreign-key join: rows of a table with the rows of another that they refer to (KIP-213).

left  --Subscribe-->  <name>-subscription  --Subscriptions (reads right)-->  <name>-response  --Resolve (reads left)-->
right --ForeignUpdates (reads the subscriptions)-->                          <name>-response

The tables are spread by their own keys. A left row subscribes, at the task that has the right row it refers to, with a
hash of its value; the answer comes back with that hash to the partition that the row is in (KIP-775), and counts only
if the left row is still the same: whatever overtakes whatever on the way, the last word is right.

Kafka Streams drops every answer that does not count. In an inner join, where a row without a match sends nothing, that
can leave a result behind whose end was in such an answer. Two things are added that are seen only then: an end told by
the row's present foreign key counts for any value of the row; and while the answer to a row's end is under way, its
next subscription wants an answer in any case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext
from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.subscription import Reference, Subscriber, SubscriptionStore

V = TypeVar("V")

Answer = Literal["always", "if there", "delete", "none"]
"""What a subscription wants: the right value or None, the value if there is one, the end of it told or not."""


class Subscription(NamedTuple):
    """A left row refers to a foreign key, or no longer does. ``hash`` is that of the row's value, None for none."""

    key: bytes
    partition: int
    hash: bytes | None
    answer: Answer


class SubscriptionSerde:
    """MessagePack."""

    def __init__(self) -> None:
        self.serialize = msgspec.msgpack.Encoder().encode
        self.deserialize = msgspec.msgpack.Decoder(Subscription).decode


class Response(NamedTuple, Generic[V]):
    """The value of the right row ``foreign_key``, None for none, for a left row with that hash in that partition."""

    partition: int
    hash: bytes | None
    foreign_key: Any
    value: V | None


class ResponseSerde(Generic[V]):
    """MessagePack around the bytes of foreign key and value."""

    def __init__(self, foreign_key: Serde[Any], value: Serde[V]) -> None:
        self._serialize_key, self._deserialize_key = foreign_key.serialize, foreign_key.deserialize
        self._serialize, self._deserialize = value.serialize, value.deserialize
        self.fingerprint = {"foreign-key": fingerprint(foreign_key), "response": fingerprint(value)}
        self._decode = msgspec.msgpack.Decoder(tuple[int, bytes | None, bytes, bytes | None]).decode

    def serialize(self, response: Response[V], /) -> bytes:
        """The bytes of a response."""
        partition, digest, foreign_key, value = response
        data = None if value is None else self._serialize(value)
        return msgspec.msgpack.encode((partition, digest, self._serialize_key(foreign_key), data))

    def deserialize(self, data: bytes, /) -> Response[V]:
        """The response of such bytes."""
        partition, digest, foreign_key, value = self._decode(data)
        return Response(
            partition, digest, self._deserialize_key(foreign_key), None if value is None else self._deserialize(value)
        )


def hash_of(value: Any, serialize: Callable[[Any], bytes]) -> bytes | None:
    """A hash of a left value's bytes. Kafka Streams takes Murmur3; BLAKE2 is what the standard library has."""
    return None if value is None else blake2b(serialize(value), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Subscribe(Stateless):
    """Tells the right side which foreign key a left row refers to: one :class:`Subscription` for each that changes."""

    extractor: Callable[[Any, Any], Any]
    serialize_key: Callable[[Any], bytes]
    serialize: Callable[[Any], bytes]
    unanswered: StoreSpec | None
    """The keys of rows whose result may stand until an answer tells their end; None for a left join."""
    kind: str = "foreign-key-subscribe"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """What is unanswered."""
        return () if self.unanswered is None else (self.unanswered,)

    @property
    def wants_old(self) -> bool:
        """The subscription before has to end."""
        return True

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward subscriptions under their foreign keys."""
        extractor, left_join, drop = self.extractor, self.unanswered is None, context.drop
        serialize_key, serialize, partition = self.serialize_key, self.serialize, context.partition
        unanswered: Any = None if self.unanswered is None else context.store(self.unanswered.name)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            before = None if old is None else extractor(key, old)
            after = None if value is None else extractor(key, value)
            if value is not None and after is None and not left_join:
                drop("null foreign key")
            row, digest = serialize_key(key), hash_of(value, serialize)
            moved = before is not None and before != after
            if moved:
                # A left join tells of the end itself where there is no new foreign key: see MissingForeignKey.
                answer: Answer = "none" if after is not None or left_join else "delete"
                if answer == "delete":
                    unanswered.put(key, b"", timestamp, unanswered.get(key))
                forward(before, Subscription(row, partition, digest, answer), timestamp, headers)
            if after is not None:
                answer = "always" if left_join or moved or unanswered.get(key) is not None else "if there"
                forward(after, Subscription(row, partition, digest, answer), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class MissingForeignKey(Stateless):
    """In a left join, what becomes of a left row that refers to nothing, or is deleted: the other side is not asked."""

    extractor: Callable[[Any, Any], Any]
    joiner: Callable[[Any, Any], Any]
    kind: str = "foreign-key-missing"

    @property
    def wants_old(self) -> bool:
        """Only what was there can be deleted."""
        return True

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the left row alone."""
        extractor, joiner = self.extractor, self.joiner

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if value is None:
                if old is not None:
                    forward(key, None, timestamp, headers)
            elif extractor(key, value) is None:
                forward(key, joiner(value, None), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class Subscriptions(Stateless):
    """Keeps who refers to a foreign key, and answers with what the right table has for it."""

    right: str
    store: StoreSpec
    kind: str = "foreign-key-subscriptions"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """A :class:`Subscriber` for each left row that refers to a right one."""
        return (self.store,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The right table."""
        return (self.right,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward a :class:`Response` under the bytes of the left row's key."""
        store: SubscriptionStore = context.store(self.store.name)
        right_of = context.view(self.right)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            row, partition, digest, answer = value
            ends = answer in ("none", "delete")
            store.put(Reference(key, row), None if ends else Subscriber(digest, partition), timestamp)
            found = right_of(key)
            if answer == "none" or (found is None and answer == "if there"):
                return
            # The end of a row also has the right row's timestamp if that is higher (SubscriptionJoinProcessorSupplier).
            right, right_timestamp = found if found is not None else (None, timestamp)
            response = Response(partition, digest, key, None if ends else right)
            forward(row, response, max(timestamp, right_timestamp), headers)

        return process


@dataclass(frozen=True, slots=True)
class ForeignUpdates(Stateless):
    """Tells every left row that refers to a right row of that one's update."""

    subscriptions: str
    """The node of :class:`Subscriptions`, which has a store of the same name."""
    kind: str = "foreign-key-updates"

    @property
    def reads(self) -> tuple[str, ...]:
        """The subscriptions."""
        return (self.subscriptions,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward a :class:`Response` for each subscription."""
        store: SubscriptionStore = context.store(self.subscriptions)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            for row, ((digest, partition), subscribed_at) in store.of(key):
                forward(row, Response(partition, digest, key, value), max(timestamp, subscribed_at), headers)

        return process


@dataclass(frozen=True, slots=True)
class ResolveLeft(Stateless):
    """Joins a response with the left row, if that is still the one which it is for (ResponseJoinProcessorSupplier)."""

    left: str
    deserialize_key: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    joiner: Callable[[Any, Any], Any]
    kind: str = "foreign-key-resolve"

    @property
    def reads(self) -> tuple[str, ...]:
        """The left table."""
        return (self.left,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined row, or its end."""
        left_of, joiner = context.view(self.left), self.joiner
        deserialize_key, serialize = self.deserialize_key, self.serialize

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            left_key = deserialize_key(key)
            stored = left_of(left_key)
            row = stored[0] if stored is not None else None
            if hash_of(row, serialize) == value.hash:
                forward(left_key, None if row is None else joiner(row, value.value), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class ResolveInner(Stateless):
    """As :class:`ResolveLeft`; a left row without a right one has no result."""

    left: str
    subscribe: str
    unanswered: str
    extractor: Callable[[Any, Any], Any]
    deserialize_key: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    joiner: Callable[[Any, Any], Any]
    kind: str = "foreign-key-resolve"

    @property
    def reads(self) -> tuple[str, ...]:
        """The left table, and what is unanswered of it."""
        return (self.left, self.subscribe)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined row, or its end."""
        left_of, unanswered, joiner = context.view(self.left), context.store(self.unanswered), self.joiner
        deserialize_key, serialize, extractor = self.deserialize_key, self.serialize, self.extractor

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            left_key = deserialize_key(key)
            stored, waiting = left_of(left_key), unanswered.get(left_key)
            row = stored[0] if stored is not None else None
            joins = row is not None and value.value is not None
            if hash_of(row, serialize) != value.hash:
                joins = False
                foreign_key = None if row is None else extractor(left_key, row)
                if foreign_key is None:
                    ends = waiting is not None
                else:
                    # Answers from one foreign key arrive in order, so that those to the present row come after this.
                    ends = value.value is None and foreign_key == value.foreign_key
                if not ends:
                    return
            if waiting is not None:
                unanswered.put(left_key, None, timestamp, waiting)
            forward(left_key, joiner(row, value.value) if joins else None, timestamp, headers)

        return process
