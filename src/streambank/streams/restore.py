"""Rebuilds a store from its changelog."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from streambank.log import EventLog, RecordBatch, TopicPartition
from streambank.streams.errors import RestoreError
from streambank.streams.stores import StateStore

logger = structlog.get_logger(__name__)

READ_RECORDS = 20_000


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far the restoring of one store's partition has come. Done when ``offset`` is ``end``."""

    store: str
    changelog: TopicPartition
    start: int
    offset: int
    end: int
    records: int


OnRestore: TypeAlias = Callable[[RestoreProgress], None]

PassOver: TypeAlias = Callable[[int, Exception | None], None]
"""Told of a record that is not loaded: its offset, and why it cannot be decoded; None for a null key."""


def restore(
    store: StateStore,
    log: EventLog,
    changelog: TopicPartition,
    committed: int | None,
    on_progress: OnRestore,
    kept: int | None = None,
) -> int:
    """Load the changelog's records into ``store``: those from the offset ``kept`` on, if what it has is of any use.

    Returns how many there were.

    Where the changelog is the topic that the table is read from (``read_only``), only up to the committed offset: what
    comes after is still to be processed. A record of such a topic that cannot be decoded was dealt with when it was
    processed, and is passed over; in a changelog of the store's own it means that the store cannot be trusted.

    Raises:
        RestoreError: a changelog record cannot be decoded.
    """

    def pass_over(offset: int, error: Exception | None) -> None:
        if error is None:
            return
        if not store.spec.read_only:
            raise RestoreError(
                f"store {store.spec.name!r} cannot be restored: {changelog} offset {offset}: {error}. "
                "Its changelog was written by another version of the program, or by another program"
            ) from error
        logger.warning("record passed over in restore", at=str(changelog), offset=offset)

    start, end = log.watermarks(changelog).low, log.stable_end(changelog)
    if store.spec.read_only:
        end = max(start, min(end, committed if committed is not None else start))
    if kept is not None and start <= kept <= end:
        start = kept
    else:
        store.clear()
    store.reached(start)
    offset, records = start, 0
    on_progress(RestoreProgress(store.spec.name, changelog, start, offset, end, records))
    while offset < end:
        batch = log.read(changelog, offset, READ_RECORDS)
        if batch.next_offset == offset:
            break
        rows = bisect_left(batch.offsets, end)
        load_rows(store, batch, rows, pass_over)
        records += rows
        offset = min(batch.next_offset, end)
        store.reached(offset)
        on_progress(RestoreProgress(store.spec.name, changelog, start, offset, end, records))
    return records


def load_rows(store: StateStore, batch: RecordBatch, rows: int, pass_over: PassOver) -> None:
    """Load the first ``rows`` records of a batch; ``pass_over`` is told of those with a null key, or undecodable."""
    decode_key, decode, load = store.spec.key.deserialize, store.spec.value.deserialize, store.load
    columns = zip(batch.offsets[:rows], batch.keys, batch.values, batch.timestamps, strict=False)
    for offset, key, value, timestamp in columns:
        if key is None:
            pass_over(offset, None)
            continue
        try:
            load(decode_key(key), None if value is None else decode(value), timestamp)
        except Exception as error:
            pass_over(offset, error)
