"""A store of versions: what each key's value was at any time within the history retention (KIP-889)."""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from streambank.errors import check
from streambank.streams.errors import DeserializationError
from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

DELETED: Final = object()
"""A version that says that the key has no value. In the changelog, None says that the version itself is gone."""

_ABSENT: Final = object()


class VersionKey(NamedTuple):
    """A version's key in the changelog: compaction keeps every version, since each has a key of its own."""

    key: Any
    valid_from: int


class Version(NamedTuple):
    """A value, None where the key was deleted, and when it held: ``valid_to`` is exclusive, None for the latest."""

    value: Any
    valid_from: int
    valid_to: int | None


def versioned_store(name: str, key: Serde[Any], value: Serde[Any], history_retention_ms: int) -> StoreSpec:
    """The spec of a versioned store with an internal changelog."""
    return StoreSpec(
        name, _VersionKeySerde(key), _VersionSerde(value), kind="versioned", retention_ms=history_retention_ms
    )


class VersionedStore(UndoStore):
    """Every version of each key, from its own timestamp to that of the next one.

    ``observed_time`` is the highest timestamp put. What was valid at or after ``observed_time - retention_ms`` can be
    read; an older version is deleted, from the changelog by a tombstone, unless it is its key's latest: that one never
    expires. A put that is older than the retention is refused; any other takes its place in the history, and one with
    the timestamp of an existing version replaces that.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        check(spec.retention_ms is not None, f"versioned store {spec.name} has no history retention")
        self._retention_ms = spec.retention_ms or 0
        # By key: when its versions begin, ascending, and their values.
        self._histories: dict[Any, tuple[list[int], list[Any]]] = {}
        self._count = 0
        # Whose versions begin at a time: once that has left the retention, those before them have expired.
        self._begins: list[int] = []
        self._beginning: dict[int, list[Any]] = {}

    def get(self, key: Any, as_of: int | None = None) -> Stored | None:
        """The key's latest value, or the one that was valid at ``as_of``, and since when; None where there is none."""
        history = self._histories.get(key)
        if history is None:
            return None
        begins, values = history
        if as_of is None or as_of >= begins[-1]:
            at = -1
        elif as_of < self.observed_time - self._retention_ms or as_of < begins[0]:
            return None
        else:
            at = bisect_right(begins, as_of) - 1
        value = values[at]
        return None if value is None else (value, begins[at])

    def is_latest(self, key: Any, timestamp: int) -> bool:
        """Whether the key has no version, deletes included, that is newer than ``timestamp``."""
        history = self._histories.get(key)
        return history is None or history[0][-1] <= timestamp

    def versions(self, key: Any) -> list[Version]:
        """The key's history as far as it is kept, oldest first."""
        begins, values = self._histories.get(key, ([], []))
        return [Version(*version) for version in zip(values, begins, [*begins[1:], None], strict=False)]

    def put(self, key: Any, value: Any, timestamp: int) -> bool:
        """Set the value from ``timestamp`` to the next version; None deletes. False: too old, nothing was put."""
        if timestamp < self.observed_time - self._retention_ms:
            return False
        if timestamp > self.observed_time:
            self.observed_time = timestamp
        self._change(key, timestamp, value)
        horizon = self.observed_time - self._retention_ms
        while self._begins and self._begins[0] <= horizon:
            for begun in self._beginning.pop(heappop(self._begins)):
                self._expire(begun, horizon)
        return True

    def rollback(self) -> None:
        """Undo what was put since the last commit."""
        changed = {change[0] for change in self._undo}
        super().rollback()
        for key in changed:
            # What ended them may have left the schedule meanwhile.
            for begin in self._histories.get(key, ([],))[0]:
                self._schedule(key, begin)

    def _take_back(self, change: tuple[Any, int, Any]) -> None:
        self._replace(*change)

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set a version, or take one away."""
        value = _ABSENT if value is None else None if value is DELETED else value
        self._replace(key.key, key.valid_from, value)

    def clear(self) -> None:
        """Forget every version, to be loaded again."""
        super().clear()
        for content in (self._histories, self._begins, self._beginning):
            content.clear()
        self._count = 0

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every version by key and beginning; None where the key was deleted."""
        for key, (begins, values) in self._histories.items():
            for begin, value in zip(begins, values, strict=True):
                yield VersionKey(key, begin), (value, begin)

    def __len__(self) -> int:
        return self._count

    def _change(self, key: Any, begin: int, value: Any) -> None:
        """Put a version, or take it away, so that it can be undone and is in the changelog."""
        before = self._replace(key, begin, value)
        if self._recording:
            self._undo.append((key, begin, before))
        logged = None if value is _ABSENT else DELETED if value is None else value
        self._log_update(VersionKey(key, begin), logged, begin, None)

    def _replace(self, key: Any, begin: int, value: Any) -> Any:
        """Put the version in its place, or take it away; returns what was there: the only way histories change."""
        begins, values = self._histories.setdefault(key, ([], []))
        at = bisect_left(begins, begin)
        exists = at < len(begins) and begins[at] == begin
        before = values[at] if exists else _ABSENT
        if value is _ABSENT:
            if exists:
                del begins[at], values[at]
                self._count -= 1
            if not begins:
                del self._histories[key]
        elif exists:
            values[at] = value
        else:
            begins.insert(at, begin)
            values.insert(at, value)
            self._count += 1
            self._schedule(key, begin)
        return before

    def _schedule(self, key: Any, begin: int) -> None:
        if begin not in self._beginning:
            self._beginning[begin] = []
            heappush(self._begins, begin)
        self._beginning[begin].append(key)

    def _expire(self, key: Any, horizon: int) -> None:
        """Delete what ended before the horizon: all before the version that is valid there, and a delete itself."""
        begins, values = self._histories.get(key, ([], []))
        kept = bisect_right(begins, horizon) - 1
        if kept >= 0 and values[kept] is None:
            kept += 1
        for begin in begins[:kept] if kept > 0 else ():
            self._change(key, begin, _ABSENT)


class _VersionKeySerde:
    """The key's bytes and when the version begins."""

    def __init__(self, key: Serde[Any]) -> None:
        self._serialize, self._deserialize = key.serialize, key.deserialize
        self.fingerprint = {"version-key": fingerprint(key)}

    def serialize(self, value: VersionKey, /) -> bytes:
        return self._serialize(value.key) + struct.pack(">q", value.valid_from)

    def deserialize(self, data: bytes, /) -> VersionKey:
        if len(data) < 8:
            raise DeserializationError(f"a version's key ends with 8 bytes of its beginning, but has {len(data)}")
        return VersionKey(self._deserialize(data[:-8]), int.from_bytes(data[-8:], "big", signed=True))


class _VersionSerde:
    """A one and the value's bytes, or a zero for a delete."""

    def __init__(self, value: Serde[Any]) -> None:
        self._serialize, self._deserialize = value.serialize, value.deserialize
        self.fingerprint = {"version": fingerprint(value)}

    def serialize(self, value: Any, /) -> bytes:
        return b"\0" if value is DELETED else b"\1" + self._serialize(value)

    def deserialize(self, data: bytes, /) -> Any:
        if data == b"\0":
            return DELETED
        if data[:1] != b"\1":
            raise DeserializationError("a version begins with a byte that is 1, or is a single 0")
        return self._deserialize(data[1:])
