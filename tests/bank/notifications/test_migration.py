"""A sent-log of before e-mails were asked for."""

from importlib import import_module
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from streambank.bank.notifications.models import DATABASE, EMAIL, USER_KEY
from streambank.service.database import Database


def test_what_was_sent_and_what_waits_stays(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'n.db'}")
    first = import_module("streambank.bank.notifications.migrations.versions.v0001_email")
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            first.upgrade()
        connection.execute(text("CREATE TABLE notifications_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO notifications_version VALUES ('0001')"))
        for number, state in enumerate(["sent", "pending"], 1):
            connection.execute(
                text(
                    "INSERT INTO email (id, alert_id, user_id, state, attempts, suspected_repeats, received_at, due_at,"
                    " record_partition, record_offset, record_timestamp, record_value)"
                    f" VALUES ({number}, 'alert-{number}', 'u', '{state}', 1, 0, 5, 5, 3, {number}, 5, 'v')"
                )
            )
    engine.dispose()
    database = Database.open(tmp_path / "n.db", *DATABASE)
    with database.read() as connection:
        rows = connection.execute(select(EMAIL).order_by(EMAIL.c.id)).all()
    assert [(row.cause_id, row.state, row.record_topic) for row in rows] == [
        ("alert-1", "sent", "alert.notification"),
        ("alert-2", "pending", "alert.notification"),
    ]
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(insert(USER_KEY).values(user_id="u"))
    database.close()
