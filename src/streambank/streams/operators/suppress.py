"""suppress: holds a table's updates back, so that only the last of several goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.errors import BufferFullError
from streambank.streams.operators.base import Process, Stateless, Stored, StoreSpec, TaskContext, View
from streambank.streams.stores.base import NO_TIME
from streambank.streams.stores.suppression import NEVER, Held, SuppressionStore
from streambank.streams.suppressed import BufferConfig


@dataclass(frozen=True, slots=True)
class Suppress(Stateless):
    """Emits a key's latest update once stream time is ``wait_ms`` past the time of its first (KTableSuppressProcessor).

    The time is the first held update's timestamp; with ``final_results`` it is the end of the key's window, and deletes
    are left out. Several that are due go in the order of time, then of the keys' bytes, each with the timestamp and
    headers of its latest update, and with what was last emitted as its old value. Stream time is that of the updates
    that come here: where nothing comes, nothing is emitted.
    """

    parent: str
    store: StoreSpec
    wait_ms: int
    buffer: BufferConfig
    final_results: bool
    kind: str = "suppress"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The updates held back."""
        return (self.store,)

    @property
    def view_of(self) -> tuple[str, ...]:
        """The parent."""
        return (self.parent,)

    @property
    def wants_old(self) -> bool:
        """What the parent had before the first held update is what was last emitted."""
        return True

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Hold the update, and forward those that are due."""
        store: SuppressionStore = context.store(self.store.name)
        get, put, pop = store.get, store.put, store.pop
        wait_ms, final_results, enforce_limits = self.wait_ms, self.final_results, self._limiter(store)

        def emit() -> None:
            key, held = pop()
            if held.value is not None or not final_results:
                forward(key, held.value, held.timestamp, held.headers, held.prior)

        def emit_due() -> None:
            due = store.observed_time - wait_ms
            while store.first_time <= due:
                emit()

        def idle(stream_time: int) -> None:
            if stream_time > store.observed_time:
                store.observed_time = stream_time
                emit_due()

        context.on_advance(idle)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if timestamp > store.observed_time:
                store.observed_time = timestamp
            held = get(key)
            if held is None:
                put(key, Held(key.end if final_results else timestamp, timestamp, headers, old, value))
            else:
                put(key, Held(held.time, timestamp, headers, held.prior, value))
            emit_due()
            if enforce_limits is not None:
                enforce_limits(emit)

        return process

    def view(self, context: TaskContext) -> View:
        """What was last emitted: while an update is held the value before it, whose timestamp is not known."""
        held_of, parent = context.store(self.store.name).get, context.view(self.parent)

        def view(key: Any) -> Stored | None:
            held = held_of(key)
            if held is None:
                return parent(key)
            return None if held.prior is None else (held.prior, NO_TIME)

        return view

    def _limiter(self, store: SuppressionStore) -> Callable[[Callable[[], None]], None] | None:
        """Emits while more is held than the limits allow, or raises BufferFullError. None where there are no limits."""
        buffer, name = self.buffer, self.store.name
        if buffer.records_max is None and buffer.bytes_max is None:
            return None
        if buffer.bytes_max is not None:
            store.count_bytes()
        records_max = NEVER if buffer.records_max is None else buffer.records_max
        bytes_max = NEVER if buffer.bytes_max is None else buffer.bytes_max

        def enforce(emit: Callable[[], None]) -> None:
            while len(store) > records_max or store.bytes > bytes_max:
                if not buffer.emits_early:
                    raise BufferFullError(_full(name, buffer, store))
                emit()

        return enforce


def _full(name: str, buffer: BufferConfig, store: SuppressionStore) -> str:
    limits = []
    if buffer.records_max is not None:
        limits.append(f"{len(store)} records, of which {buffer.records_max} are allowed")
    if buffer.bytes_max is not None:
        limits.append(f"{store.bytes} bytes, of which {buffer.bytes_max} are allowed")
    return (
        f"suppress {name!r} holds {' and '.join(limits)}, and may not emit early. Nothing of this transaction was "
        "written; give it a larger buffer, or a shorter wait or grace, and start again"
    )
