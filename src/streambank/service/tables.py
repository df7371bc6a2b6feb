"""The tables that every service's database has beside its own."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

KIT = MetaData()


def plain_text(text: str) -> str:
    """The text with U+FFFD for U+0000, which PostgreSQL has no way to store."""
    return text.replace("\x00", "\ufffd")


class PlainText(TypeDecorator[str]):
    """Text that may come from anywhere: what is stored, and what is looked for, is its :func:`plain_text`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """See :class:`sqlalchemy.types.TypeDecorator`."""
        return plain_text(value) if value is not None else None


BigKey = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit primary key; SQLite's INTEGER is one, and only that name makes it the row's own id."""

SERVICE_STATE = Table(
    "service_state",
    KIT,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("log_id", String(64), nullable=False),
    Column("outbox_id", String(36), nullable=False),
    Column("outbox_last_id", BigInteger, nullable=False),
)
"""One row: the log this database belongs to, the outbox's name, and the last id given to an outgoing record."""

PROJECTION_POSITION = Table(
    "projection_position",
    KIT,
    Column("group_name", String(249), primary_key=True),
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)
"""How far the database holds what the log says: the offset to read next in each partition."""

OUTBOX = Table(
    "outbox",
    KIT,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    Column("record_count", Integer, nullable=False),
    Column("records", LargeBinary, nullable=False),
)
"""Outgoing records, in the order in which they are to be published: those that came together are in one row.

``id`` is that of the last of its ``record_count`` records, whose ids follow on each other. A row all of which is
published is deleted.
"""

IDEMPOTENCY_KEY = Table(
    "idempotency_key",
    KIT,
    Column("scope", String(128), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_key_created_at", "created_at"),
)
"""Requests that were done, with their answers; without a body where the answer holds a secret."""
