"""When a suppressed table sends its updates, and how much it may hold back until then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from streambank.streams.errors import StreamsError

WhenFull: TypeAlias = Literal["emit", "shut-down"]


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """How many updates, or bytes of them, are held back, and what happens beyond that."""

    records_max: int | None = None
    bytes_max: int | None = None
    when_full: WhenFull = "shut-down"

    def __post_init__(self) -> None:
        if any(limit is not None and limit < 1 for limit in (self.records_max, self.bytes_max)):
            raise StreamsError("a buffer of less than one record or byte holds nothing: leave out the suppress()")

    @classmethod
    def unbounded(cls) -> BufferConfig:
        """As much as there is memory for."""
        return cls()

    @classmethod
    def max_records(cls, count: int) -> BufferConfig:
        """That many keys' updates."""
        return cls(records_max=count)

    @classmethod
    def max_bytes(cls, size_bytes: int) -> BufferConfig:
        """Updates of that many bytes, keys included."""
        return cls(bytes_max=size_bytes)

    def emit_early_when_full(self) -> BufferConfig:
        """Send the oldest ahead of its time."""
        return replace(self, when_full="emit")

    def shut_down_when_full(self) -> BufferConfig:
        """Stop the application before anything wrong is sent."""
        return replace(self, when_full="shut-down")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Made by :meth:`until_time_limit` and :meth:`until_window_closes`. ``wait_ms`` None: until windows close."""

    wait_ms: int | None
    buffer: BufferConfig

    @classmethod
    def until_time_limit(cls, wait_ms: int, buffer: BufferConfig | None = None) -> Suppressed:
        """Send a key's last update once ``wait_ms`` of stream time have passed since its first one that was held."""
        if wait_ms < 0:
            raise StreamsError(f"wait_ms must not be negative, but is {wait_ms}")
        return cls(wait_ms, buffer or BufferConfig().emit_early_when_full())

    @classmethod
    def until_window_closes(cls, buffer: BufferConfig | None = None) -> Suppressed:
        """Send the final result of each window, once.

        Raises:
            StreamsError: the buffer would send early when it is full, which is no final result.
        """
        buffer = buffer or BufferConfig.unbounded()
        if buffer.when_full == "emit" and (buffer.records_max is not None or buffer.bytes_max is not None):
            raise StreamsError("final results cannot be sent early: use shut_down_when_full(), or an unbounded buffer")
        return cls(None, buffer)
