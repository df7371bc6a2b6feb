"""The mailbox's table."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from streambank.service.database import Migrations

DATABASE = Migrations("streambank.bank.mailbox:migrations/versions", "mailbox_version")

METADATA = MetaData()

MESSAGE = Table(
    "message",
    METADATA,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("received_at", BigInteger, nullable=False),
    Column("is_read", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
    Column("summary", Text, nullable=False),
    Column("search_text", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
"""``number`` is the order of arrival. ``summary`` is JSON, made once; ``search_text`` is case-folded."""

UNREAD = Index("message_unread", MESSAGE.c.is_read)
