"""The tables of an embedded log, and the numbers that say a file is one."""

from pathlib import Path

APPLICATION_ID = 0x53424C47
"""In the SQLite header ("SBLG"): this file is a streambank log."""

FORMAT_VERSION = 1
"""In the SQLite header (``user_version``): raised with every change of the tables or of the payload."""

PAGE_BYTES = 8192
"""Larger pages make bulk faster and single commits slower; this is the middle of what was measured."""

FILE_NAME = "log.db"

OFFSET_BITS = 43
"""A batch's row id is ``partition_id << OFFSET_BITS | last_offset``: one B-tree, no index beside it."""

PARTITION_ID_MAX = (1 << 63 - OFFSET_BITS) - 1

TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE topics (
    topic_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    cleanup_policy TEXT NOT NULL,
    retention_ms INTEGER NOT NULL,
    delete_retention_ms INTEGER NOT NULL,
    first_partition_id INTEGER NOT NULL
);

-- low, high: the watermarks. clean_end: compaction has been through everything before this offset.
-- tombstones_since: when the oldest tombstone before clean_end was written, null for none.
CREATE TABLE partitions (
    partition_id INTEGER PRIMARY KEY,
    low INTEGER NOT NULL DEFAULT 0,
    high INTEGER NOT NULL DEFAULT 0,
    total_bytes INTEGER NOT NULL DEFAULT 0,
    dirty_bytes INTEGER NOT NULL DEFAULT 0,
    clean_end INTEGER NOT NULL DEFAULT 0,
    tombstones_since INTEGER
);

-- The payload stands last, so that a scan of the other columns does not read its overflow pages.
CREATE TABLE batches (
    batch_id INTEGER PRIMARY KEY,
    base_offset INTEGER NOT NULL,
    records INTEGER NOT NULL,
    min_timestamp INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL
);

CREATE TABLE producers (
    transactional_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE groups (
    group_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL DEFAULT 0
);

-- deadline_ms is on the monotonic clock that all processes of a machine share.
CREATE TABLE members (
    group_id INTEGER NOT NULL,
    member_id TEXT NOT NULL,
    process_id TEXT NOT NULL,
    topics TEXT NOT NULL,
    deadline_ms INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
) WITHOUT ROWID;

-- since: the generation in which this member got the partition.
CREATE TABLE assignments (
    group_id INTEGER NOT NULL,
    member_id TEXT NOT NULL,
    partition_id INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id, partition_id)
) WITHOUT ROWID;

CREATE TABLE committed_offsets (
    group_id INTEGER NOT NULL,
    partition_id INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (group_id, partition_id)
) WITHOUT ROWID;
"""


def batch_id(partition_id: int, offset: int) -> int:
    """The row id of the batch whose last offset is ``offset``; as a lower bound: of the first batch that reaches it."""
    return partition_id << OFFSET_BITS | offset


def last_offset(row_id: int) -> int:
    """The offset part of a batch's row id."""
    return row_id & (1 << OFFSET_BITS) - 1


def log_file(folder: Path) -> Path:
    """The database of the log in ``folder``."""
    return folder / FILE_NAME
