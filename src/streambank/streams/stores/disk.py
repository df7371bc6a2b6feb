"""Key-value stores in RocksDB: state that is larger than memory, and a restart that reads only what it lacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import structlog

from streambank.clock import Clock
from streambank.log import EventLog, TopicPartition
from streambank.streams.errors import StoreError
from streambank.streams.stores.base import LogUpdate, StateStore, Stored, StoreSpec

if TYPE_CHECKING:
    from rocksdict import Rdict

logger = structlog.get_logger(__name__)

SAVE_ENTRIES = 20_000
"""So many changed entries are kept in memory, and are what a start after a crash reads again, about."""

LOCK_WAIT_S = 5.0
"""How long to wait for another member that had the partition before and has not closed the store yet: well below the
time after which the one that waits would lose its place in the group."""

LOCK_RETRY_S = 0.02

_LOCKED = ("lock hold by current process", "While lock file")
_META = b"a"
_ENTRY = b"e"
_WRITE_BUFFER_BYTES = 16 << 20
_BLOOM_BITS = 10


class _DamagedError(StoreError):
    """RocksDB cannot read what is in the folder."""


class _Meta(msgspec.Struct, frozen=True):
    """What the entries in the file are: the changelog of that log before ``offset``, as of ``saved_at`` (ms)."""

    log_id: str
    changelog: str
    offset: int
    saved_at: int


@dataclass(frozen=True, slots=True)
class DiskStores:
    """Where the stores of an application are, by store and partition; makes them."""

    folder: Path
    log: EventLog
    clock: Clock

    def create(self, spec: StoreSpec, log_update: LogUpdate | None, changelog: TopicPartition) -> DiskStore:
        """The store of a partition, not opened yet; ``changelog`` by its name in the log."""
        return DiskStore(spec, log_update, self, changelog)


class DiskStore(StateStore):
    """As :class:`~streambank.streams.stores.key_value.KeyValueStore`, with the entries in a folder.

    What the transaction in work has put, and what was committed lately, is in memory. From time to time the latter is
    written in one batch together with the changelog's offset that it corresponds to, after the log up to there is
    durable: the file is never ahead of the log, and a start reads from that offset on. What was kept is not trusted,
    and loaded anew, where it is of another log or changelog, beyond its end, or so old that tombstones written since
    may have been compacted away.

    Attributes:
        get: the value and timestamp of a key, None where there is none.
        put: set a key's value and timestamp; a value of None deletes the key. The last argument is not needed.
    """

    def __init__(
        self, spec: StoreSpec, log_update: LogUpdate | None, place: DiskStores, changelog: TopicPartition
    ) -> None:
        super().__init__(spec)
        self.folder = place.folder / f"{quote(spec.name, safe='')}-{changelog.partition}"
        self._place, self._changelog = place, changelog
        self._database: Rdict | None = None
        self._pending: dict[Any, Stored | None] = {}
        self._committed: dict[Any, Stored | None] = {}
        self._unsaved = 0
        self._offset: int | None = None
        self.get = self._getter()
        self.put = self._putter(log_update)

    @property
    def recording(self) -> bool:
        """Always: what is put stays in memory until it is committed."""
        return True

    def record(self, on: bool) -> None:
        """Nothing to switch."""

    def open(self) -> int | None:
        """Open the folder, making it if need be; the changelog's offset that it has kept, None where it is of no use.

        Raises:
            StoreError: the folder cannot be used, or another member has it open for too long.
        """
        try:
            self._database = self._open()
        except _DamagedError as error:
            logger.warning("store on disk is damaged: loading it again", store=self.spec.name, error=str(error))
            self.clear()
        self._offset = self._kept_offset()
        return self._offset

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._committed[key] = None if value is None else (value, timestamp)
        self._unsaved += 1

    def clear(self) -> None:
        """Forget every entry, and the folder with them."""
        import rocksdict

        self._pending.clear()
        self._committed.clear()
        self._unsaved, self._offset = 0, None
        with self._failing("cleared"):
            if self._database is not None:
                self._database.close()
            rocksdict.Rdict.destroy(str(self.folder), _options())
        self._database = self._open()

    def committed(self) -> None:
        """What was put is final."""
        super().committed()
        self._committed.update(self._pending)
        self._unsaved += len(self._pending)
        self._pending.clear()

    def rollback(self) -> None:
        """Undo what was put since the last commit."""
        super().rollback()
        self._pending.clear()

    def reached(self, offset: int) -> None:
        """What was committed or loaded is that of the changelog before ``offset``; save it if it has become much.

        Raises:
            StoreError: it cannot be written.
        """
        self._offset = offset
        if self._unsaved >= SAVE_ENTRIES:
            self._save()

    def close(self, *, save: bool) -> None:
        """Release the folder. ``save``: with all that was committed, so that a start has nothing to read."""
        if self._database is None:
            return
        try:
            if save and self._offset is not None:
                self._save()
        except StoreError as error:
            logger.warning("store on disk is not saved: the next start reads more", error=str(error))
        finally:
            self._database.close()
            self._database = None

    def range(self, first: Any = None, last: Any = None) -> Iterator[tuple[Any, Stored]]:
        """The present entries from key ``first`` to ``last``, both included, in the order of the keys' bytes.

        What is put after the call does not show. The entries of the range, as bytes, have to fit into memory.
        """
        serialize, deserialize = self.spec.key.serialize, self.spec.key.deserialize
        low = _ENTRY + (b"" if first is None else serialize(first))
        high = None if last is None else _ENTRY + serialize(last)
        found: dict[bytes, bytes | Stored | None] = {}
        with self._failing("read"):
            for key, data in self._opened.items(from_key=low):
                if high is not None and key > high:  # type: ignore[operator]
                    break
                found[key] = data  # type: ignore[index]
        for key, stored in (self._committed | self._pending).items():
            encoded = _ENTRY + serialize(key)
            if low <= encoded and (high is None or encoded <= high):
                found[encoded] = stored
        return (
            (deserialize(key[1:]), self._decoded(stored) if isinstance(stored, bytes) else stored)
            for key, stored in sorted(found.items(), key=_key_of)
            if stored is not None
        )

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every entry, as :meth:`range`."""
        return self.range()

    def __len__(self) -> int:
        """How many entries there are; goes through them all."""
        serialize, database = self.spec.key.serialize, self._opened
        with self._failing("read"):
            count = sum(1 for _ in database.keys(from_key=_ENTRY))
            for key, stored in (self._committed | self._pending).items():
                count += (stored is not None) - (_ENTRY + serialize(key) in database)
        return count

    @property
    def _opened(self) -> Rdict:
        if self._database is None:
            raise StoreError(f"store {self.spec.name!r} on disk is not open")
        return self._database

    def _getter(self) -> Callable[[Any], Stored | None]:
        pending, committed, serialize = self._pending, self._committed, self.spec.key.serialize

        def get(key: Any) -> Stored | None:
            if key in pending:
                return pending[key]
            if key in committed:
                return committed[key]
            encoded = _ENTRY + serialize(key)
            try:
                data: bytes | None = self._opened.get(encoded)
            except Exception as error:
                raise self._error("cannot be read", error) from error
            return None if data is None else self._decoded(data)

        return get

    def _putter(self, log_update: LogUpdate | None) -> Callable[[Any, Any, int, Stored | None], None]:
        pending = self._pending

        def put(key: Any, value: Any, timestamp: int, stored: Stored | None) -> None:
            pending[key] = None if value is None else (value, timestamp)
            if log_update is not None:
                log_update(key, value, timestamp, None)

        return put

    def _decoded(self, data: bytes) -> Stored:
        try:
            return self.spec.value.deserialize(data[8:]), int.from_bytes(data[:8], "big", signed=True)
        except Exception as error:
            raise StoreError(
                f"store {self.spec.name!r} has an entry that cannot be decoded: {error}. It was written by another "
                f"version of the program; without {self.folder} it is loaded again from its changelog"
            ) from error

    def _save(self) -> None:
        from rocksdict import WriteBatch

        serialize_key, serialize = self.spec.key.serialize, self.spec.value.serialize
        # Before the file: where the machine loses the log's end, it must not have what came of it.
        self._place.log.flush()
        batch = WriteBatch(raw_mode=True)
        for key, stored in self._committed.items():
            encoded = _ENTRY + serialize_key(key)
            if stored is None:
                batch.delete(encoded)
            else:
                batch.put(encoded, stored[1].to_bytes(8, "big", signed=True) + serialize(stored[0]))
        offset, now = self._offset or 0, self._place.clock()
        batch.put(_META, msgspec.json.encode(_Meta(self._place.log.log_id, str(self._changelog), offset, now)))
        with self._failing("written"):
            self._opened.write(batch)
        self._committed.clear()
        self._unsaved = 0

    def _kept_offset(self) -> int | None:
        with self._failing("read"):
            data: bytes | None = self._opened.get(_META)
        try:
            meta = msgspec.json.decode(data or b"", type=_Meta)
        except msgspec.DecodeError:
            return None
        if (meta.log_id, meta.changelog) != (self._place.log.log_id, str(self._changelog)):
            return None
        topic = self._place.log.topics()[self._changelog.topic]
        # Half of it, so that no tombstone goes while the changelog is read.
        too_old = self._place.clock() - meta.saved_at > topic.delete_retention_ms // 2
        return None if too_old and topic.cleanup_policy == "compact" else meta.offset

    def _open(self) -> Rdict:
        import rocksdict

        # Real time: this is how long a thread sleeps, not what anything is decided by.
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                return rocksdict.Rdict(str(self.folder), _options())
            except Exception as error:  # RocksDB's errors have no class of their own
                if not any(text in str(error) for text in _LOCKED):
                    raise self._error("cannot be opened", error, _DamagedError) from error
                if time.monotonic() > deadline:
                    raise self._error("is in use by another member", error) from error
            time.sleep(LOCK_RETRY_S)

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._error(f"cannot be {what}", error) from error

    def _error(self, what: str, error: Exception, kind: type[StoreError] = StoreError) -> StoreError:
        return kind(f"store {self.spec.name!r} in {self.folder} {what}: {error}")


def _key_of(entry: tuple[bytes, object]) -> bytes:
    return entry[0]


def _options() -> Any:
    from rocksdict import BlockBasedOptions, Options

    options, blocks = Options(raw_mode=True), BlockBasedOptions()
    blocks.set_bloom_filter(_BLOOM_BITS, False)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(1)
    return options
