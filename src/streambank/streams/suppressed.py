"""suppress: which updates of a table are held back, for how long, and how many of them at most."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streambank.streams.errors import TopologyError


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """How much one task may hold back, and what happens when it is more.

    Kafka Streams counts alike: a key is one record however many updates it has had, and its bytes are those of the key,
    of the values that are kept for it, and about a hundred more. To count bytes costs another serialisation per update.
    """

    records_max: int | None
    bytes_max: int | None
    emits_early: bool
    """Whether a full buffer emits what is oldest; otherwise the program stops."""

    @classmethod
    def unbounded(cls) -> BufferConfig:
        """As much as memory holds."""
        return cls(None, None, emits_early=False)

    @classmethod
    def max_records(cls, count: int) -> BufferConfig:
        """Up to ``count`` keys; emits early when full, unless told to shut down."""
        return cls(_positive("max_records", count), None, emits_early=True)

    @classmethod
    def max_bytes(cls, size: int) -> BufferConfig:
        """Up to ``size`` bytes; emits early when full, unless told to shut down."""
        return cls(None, _positive("max_bytes", size), emits_early=True)

    def with_max_records(self, count: int) -> BufferConfig:
        """Also no more than ``count`` keys."""
        return replace(self, records_max=_positive("with_max_records", count))

    def with_max_bytes(self, size: int) -> BufferConfig:
        """Also no more than ``size`` bytes."""
        return replace(self, bytes_max=_positive("with_max_bytes", size))

    def emit_early_when_full(self) -> BufferConfig:
        """When full, emit the oldest before their time."""
        return replace(self, emits_early=True)

    def shut_down_when_full(self) -> BufferConfig:
        """When full, stop with :class:`~streambank.streams.errors.BufferFullError` before anything is committed."""
        return replace(self, emits_early=False)


UNBOUNDED = BufferConfig.unbounded()


@dataclass(frozen=True, slots=True)
class Suppressed:
    """When a table's updates go on: made by :meth:`until_time_limit` or :meth:`until_window_closes`.

    ``wait_ms`` is None where windows tell it.
    """

    wait_ms: int | None
    buffer: BufferConfig

    @classmethod
    def until_time_limit(cls, wait_ms: int, buffer: BufferConfig = UNBOUNDED) -> Suppressed:
        """Emit a key's latest update ``wait_ms`` after the first one that was held back; later ones do not renew that.

        Raises:
            TopologyError: ``wait_ms`` is negative.
        """
        if wait_ms < 0:
            raise TopologyError(f"until_time_limit: wait_ms must not be negative, but is {wait_ms}")
        return cls(wait_ms, buffer)

    @classmethod
    def until_window_closes(cls, buffer: BufferConfig = UNBOUNDED) -> Suppressed:
        """Emit one result for each window, once no record can change it any more; deleted results never.

        Raises:
            TopologyError: ``buffer`` emits early, so that a result would not be final.
        """
        if buffer.emits_early:
            raise TopologyError(
                "until_window_closes: a final result cannot be emitted early: add .shut_down_when_full() to the buffer"
            )
        return cls(None, buffer)


def _positive(setting: str, number: int) -> int:
    if number < 1:
        raise TopologyError(f"{setting} must be at least 1, but is {number}")
    return number
