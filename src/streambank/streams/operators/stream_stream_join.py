"""stream-stream join: the records of two streams with the same key whose times are close (KStreamKStreamJoin)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext
from streambank.streams.stores.join_buffer import JoinBuffer


@dataclass(frozen=True, slots=True)
class JoinSide:
    """What one side of the join keeps."""

    buffer: StoreSpec
    """Its records, for those of the other side that may come."""
    unmatched: StoreSpec | None
    """Those that have met nobody yet; None where they are not wanted, as in an inner join."""
    reach_ms: int
    """How much later than one of its records the other side's may be to meet it."""


@dataclass(frozen=True, slots=True)
class StreamStreamJoin(Stateless):
    """Records of one side (``own``), joined with what the ``other`` side holds: ``joiner(left, right)``.

    A result has the higher of the two times. Where ``own`` keeps the unmatched, a record that met nobody is joined with
    None once the stream time of both sides together is past its reach and the grace, with its own time; this happens
    while a record is processed that has the stream time, before that one's own joins, in the order of time, the right
    side first, then the keys' bytes. A record that could not meet anybody in time is joined with None at once, and so
    is one with a null key (KIP-962). Null values, and null keys otherwise, are counted as dropped. A record too late to
    be kept is still joined with what is there.
    """

    own: JoinSide
    other: JoinSide
    other_node: str
    is_left: bool
    grace_ms: int
    joiner: Callable[[Any, Any], Any]
    kind: str = "stream-stream-join"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Its own side's."""
        return (self.own.buffer,) if self.own.unmatched is None else (self.own.buffer, self.own.unmatched)

    @property
    def reads(self) -> tuple[str, ...]:
        """The other side."""
        return (self.other_node,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined records."""
        own: JoinBuffer = context.store(self.own.buffer.name)
        other: JoinBuffer = context.store(self.other.buffer.name)
        own_unmatched, other_unmatched = self._unmatched(context, self.own), self._unmatched(context, self.other)
        # One of them keeps the time of both sides.
        clock = own_unmatched if self.is_left else other_unmatched
        drop, joined = context.drop, self._joined()
        before_ms, after_ms = self.other.reach_ms, self.own.reach_ms
        retention_ms = before_ms + after_ms + self.grace_ms
        emit_unmatched = self._emitter(own_unmatched, other_unmatched, forward)

        def idle(stream_time: int) -> None:
            # Either side sends those of both; the other one then finds the time where it is.
            if clock is not None and stream_time > clock.observed_time:
                clock.observed_time = stream_time
                emit_unmatched(stream_time, None)

        context.on_advance(idle)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if clock is not None and timestamp > clock.observed_time:
                clock.observed_time = timestamp
            if key is None or value is None:
                if key is None and value is not None and own_unmatched is not None:
                    forward(key, joined(value, None), timestamp, headers)
                else:
                    drop("null key" if key is None else "null value")
                return
            if clock is not None and timestamp == clock.observed_time:
                emit_unmatched(timestamp, headers)
            matches = other.fetch(key, max(0, timestamp - before_ms), timestamp + after_ms)
            for other_time, _, other_value in matches:
                if other_unmatched is not None:
                    other_unmatched.remove(key, other_time)
                forward(key, joined(value, other_value), max(timestamp, other_time), headers)
            if own_unmatched is not None and not matches:
                if clock is not None and timestamp + after_ms < clock.observed_time:
                    forward(key, joined(value, None), timestamp, headers)
                else:
                    own_unmatched.put(key, value, timestamp)
            if timestamp > own.observed_time:
                own.observed_time = timestamp
            limit = own.observed_time - retention_ms + 1
            if timestamp < limit:
                drop("late")
            else:
                own.put(key, value, timestamp)
            own.take_before(limit)

        return process

    def _unmatched(self, context: TaskContext, side: JoinSide) -> JoinBuffer | None:
        store: JoinBuffer | None = context.store(side.unmatched.name) if side.unmatched is not None else None
        return store

    def _joined(self) -> Callable[[Any, Any], Any]:
        joiner = self.joiner
        return joiner if self.is_left else lambda this, that: joiner(that, this)

    def _emitter(
        self, own: JoinBuffer | None, other: JoinBuffer | None, forward: Process
    ) -> Callable[[int, bytes | None], None]:
        """Sends those that can meet nobody any more, of both sides."""
        joiner, grace_ms = self.joiner, self.grace_ms
        left, right = (own, other) if self.is_left else (other, own)
        left_side, right_side = (self.own, self.other) if self.is_left else (self.other, self.own)

        def emit(stream_time: int, headers: bytes | None) -> None:
            due: list[tuple[int, bool, bytes, Any, Any]] = []
            for store, side in ((right, right_side), (left, left_side)):
                if store is None:
                    continue
                serialize, is_left = store.spec.key.serialize_key, store is left  # type: ignore[attr-defined]
                taken = store.take_before(stream_time - side.reach_ms - grace_ms)
                due += [(at, is_left, serialize(key), key, value) for at, key, value in taken]
            due.sort(key=lambda each: each[:3])
            for at, is_left, _, key, value in due:
                forward(key, joiner(value, None) if is_left else joiner(None, value), at, headers)

        return emit
