"""suppress: fewer updates of a table: one in a while, or only final results (KTableSuppressProcessor)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.errors import StreamsError
from streambank.streams.operators.base import Process, Stateless, Stored, StoreSpec, TaskContext, View
from streambank.streams.stores.suppression import Held, SuppressionStore
from streambank.streams.suppressed import BufferConfig


@dataclass(frozen=True, slots=True)
class Suppress(Stateless):
    """Holds each key's last update until ``turn_of(key, timestamp) + wait_ms`` is reached by its stream time.

    The turn is that of the first update held. ``strict``: stream time must be beyond it, as sessions need. The stream
    time is that of the updates that get here. ``final``: deletes are not sent. Where the buffer is full, the oldest
    goes early or the application stops, as ``buffer`` says.
    """

    parent: str
    turn_of: Callable[[Any, int], int]
    wait_ms: int
    strict: bool
    final: bool
    buffer: BufferConfig
    store: StoreSpec
    kind: str = "suppress"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The updates that are held."""
        return (self.store,)

    @property
    def wants_old(self) -> bool:
        """Whoever reads this table sees what was sent last, which is what the first update held has replaced."""
        return True

    @property
    def view_of(self) -> tuple[str, ...]:
        """The table before."""
        return (self.parent,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Hold the update, then send those whose turn has come."""
        store: SuppressionStore = context.store(self.store.name)
        turn_of, wait_ms, strict, final = self.turn_of, self.wait_ms, self.strict, self.final
        check_full = self._check_full

        def send() -> None:
            first = store.first()
            if first is None:
                return
            key, held, timestamp = first
            store.remove(key)
            if held.value is not None or not final:
                forward(key, held.value, timestamp, held.headers, held.prior)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if timestamp > store.observed_time:
                store.observed_time = timestamp
            stored = store.get(key)
            turn, prior = (turn_of(key, timestamp), old) if stored is None else (stored[0].time, stored[0].prior)
            store.put(key, Held(turn, value, prior, headers), timestamp)
            due = store.observed_time - wait_ms
            while (first := store.first()) is not None and (first[1].time < due if strict else first[1].time <= due):
                send()
            while check_full(store):
                send()

        return process

    def _check_full(self, store: SuppressionStore) -> bool:
        """Whether the oldest has to go. Raises StreamsError where that is not allowed."""
        buffer = self.buffer
        records, size = len(store), store.size_bytes
        if not (
            (buffer.records_max is not None and records > buffer.records_max)
            or (buffer.bytes_max is not None and size > buffer.bytes_max)
        ):
            return False
        if buffer.when_full == "shut-down":
            raise StreamsError(
                f"suppress {self.store.name!r} would hold {records} updates of {size} bytes, more than its buffer may: "
                "give it a larger one, shorter windows or grace, or for time limits emit_early_when_full()"
            )
        return True

    def view(self, context: TaskContext) -> View:
        """What was sent last."""
        store: SuppressionStore = context.store(self.store.name)
        parent = context.view(self.parent)

        def view(key: Any) -> Stored | None:
            stored = store.get(key)
            if stored is None:
                return parent(key)
            held, timestamp = stored
            return None if held.prior is None else (held.prior, timestamp)

        return view
