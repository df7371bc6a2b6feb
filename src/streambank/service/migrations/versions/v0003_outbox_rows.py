"""Outgoing records that came together are in one row of the outbox; those that wait keep their ids."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

ROWS_AT_ONCE = 500


def upgrade() -> None:
    """Move what waits into the new table, a row for each record as before."""
    op.rename_table("outbox", "outbox_before")
    outbox = op.create_table(
        "outbox",
        sa.Column("id", _BIG_KEY, primary_key=True, autoincrement=False),
        sa.Column("record_count", sa.Integer, nullable=False),
        sa.Column("records", sa.LargeBinary, nullable=False),
    )
    before = sa.table("outbox_before", *map(sa.column, ("id", "topic", "key", "value", "headers", "timestamp")))
    connection, position = op.get_bind(), 0
    next_rows = sa.select(before).where(before.c.id > sa.bindparam("position")).order_by(before.c.id)
    while rows := connection.execute(next_rows.limit(ROWS_AT_ONCE), {"position": position}).all():
        moved = [{"id": row[0], "record_count": 1, "records": msgspec.msgpack.encode([tuple(row[1:])])} for row in rows]
        connection.execute(sa.insert(outbox), moved)
        position = rows[-1].id
    op.drop_table("outbox_before")
