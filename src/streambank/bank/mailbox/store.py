"""The mailbox's messages, in a SQLite file of their own. Another process may read it at any time."""

import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, false, func, insert, select, update

from streambank.bank.mailbox.message import Envelope, Json, ParsedMessage, names, rfc3339
from streambank.bank.mailbox.models import DATABASE, MESSAGE
from streambank.clock import Clock, system_clock, to_datetime
from streambank.ids import RandomBytes, uuid7
from streambank.service.database import Database

MESSAGES_MAX = 100_000
"""How many messages are kept; the oldest go first. At 10 kB each that is a gigabyte."""

PAGE_MESSAGES_MAX = 1_000

_PRUNE_EVERY = 500
_INSERT = insert(MESSAGE)
_TERM = re.compile(r'(?:(?P<field>[a-z-]+):)?(?:"(?P<phrase>[^"]*)"|(?P<word>\S+))', re.IGNORECASE)
_FIELDS = {"subject": "Subject", "from": "From", "to": "To", "cc": "Cc", "bcc": "Bcc", "message-id": "MessageID"}


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message in a list. ``received_at`` is in ms since the epoch; ``sender`` and ``recipients`` are addresses."""

    id: str
    received_at: int
    is_read: bool
    sender: str
    recipients: str
    subject: str
    snippet: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A whole message: its summary as Mailpit has it, and its bytes."""

    summary: Json
    mail_from: str
    received_at: int
    raw: bytes


class MailboxStore:
    """Messages, newest first. May be shared by threads."""

    def __init__(self, database: Database, clock: Clock, random_bytes: RandomBytes, messages_max: int) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes
        self._messages_max = messages_max
        self._added = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = False,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
        messages_max: int = MESSAGES_MAX,
    ) -> "MailboxStore":
        """Open the file: to look into it, or with ``create`` to make and migrate it as its one writer.

        Raises:
            DatabaseMissingError: without ``create``, there is no such file.
            DatabaseVersionError: a newer streambank wrote it.
        """
        return cls(Database.open(path, DATABASE, create=create), clock, random_bytes, messages_max)

    def add(self, arrivals: Sequence[tuple[Envelope, bytes]]) -> list[str]:
        """Store messages durably, in one transaction; their ids."""
        now = self._clock()
        rows = [self._row(envelope, raw, now) for envelope, raw in arrivals]
        with self._database.begin() as connection:
            connection.execute(_INSERT, rows)
            self._added += len(rows)
            if self._added >= min(_PRUNE_EVERY, self._messages_max):
                self._added = 0
                self._prune(connection)
        return [row["id"] for row in rows]

    def messages(self, start: int = 0, limit: int = 50, query: str = "") -> list[MessageSummary]:
        """A page of messages, newest first; ``query`` as in :meth:`summaries`."""
        return [
            MessageSummary(
                id=found["ID"],
                received_at=received_at,
                is_read=found["Read"],
                sender=found["From"]["Address"],
                recipients=names([*found["To"], *found["Cc"], *found["Bcc"]]),
                subject=found["Subject"],
                snippet=found["Snippet"],
                size=found["Size"],
            )
            for received_at, found in self._page(start, limit, query)
        ]

    def summaries(self, start: int = 0, limit: int = 50, query: str = "") -> list[Json]:
        """A page of messages in Mailpit's shape, newest first.

        ``query`` holds words and "phrases" that must all occur in subject, people or text; ``subject:``, ``from:``,
        ``to:``, ``cc:``, ``bcc:``, ``message-id:``, ``is:read`` and ``is:unread`` narrow it; ``-`` or ``!`` before a
        term excludes it.
        """
        return [found for _, found in self._page(start, limit, query)]

    def count(self, query: str = "", *, unread: bool = False) -> int:
        """How many messages match."""
        condition = _matches(query)
        if unread:
            condition &= MESSAGE.c.is_read == false()
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(MESSAGE).where(condition)) or 0

    def get(self, message_id: str) -> StoredMessage | None:
        """One message, None if there is none; ``latest`` is the newest."""
        chosen = select(MESSAGE).order_by(MESSAGE.c.number.desc()).limit(1)
        if message_id != "latest":
            chosen = chosen.where(MESSAGE.c.id == message_id)
        with self._database.read() as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            return None
        stored = json.loads(row.summary)
        return StoredMessage(_summary(row, stored), stored["ReturnPath"], row.received_at, row.raw)

    def set_read(self, is_read: bool, ids: Collection[str] | None = None, query: str = "") -> None:
        """Mark messages read or unread: those with these ids, or else all that match."""
        condition = _matches(query) if ids is None else MESSAGE.c.id.in_(ids)
        with self._database.begin() as connection:
            connection.execute(update(MESSAGE).where(condition).values(is_read=is_read))

    def delete(self, ids: Collection[str] | None = None, query: str = "") -> int:
        """Delete messages: those with these ids, or else all that match. How many."""
        condition = _matches(query) if ids is None else MESSAGE.c.id.in_(ids)
        with self._database.begin() as connection:
            return connection.execute(delete(MESSAGE).where(condition)).rowcount

    def size_bytes(self) -> int:
        """How large the file is, without its write-ahead log."""
        with self._database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._database.close()

    def _page(self, start: int, limit: int, query: str) -> list[tuple[int, Json]]:
        columns = (MESSAGE.c.id, MESSAGE.c.received_at, MESSAGE.c.is_read, MESSAGE.c.summary)
        page = select(*columns).where(_matches(query)).order_by(MESSAGE.c.number.desc())
        with self._database.read() as connection:
            rows = connection.execute(page.offset(max(0, start)).limit(max(0, min(limit, PAGE_MESSAGES_MAX)))).all()
        return [(row.received_at, _summary(row, json.loads(row.summary))) for row in rows]

    def _row(self, envelope: Envelope, raw: bytes, now_ms: int) -> dict[str, Any]:
        message = ParsedMessage(raw)
        summary = message.summary(envelope)
        return {
            "id": uuid7(now_ms, self._random_bytes),
            "received_at": now_ms,
            "is_read": False,
            "size": len(raw),
            "search_text": message.search_text(summary),
            "summary": json.dumps({**summary, "ReturnPath": envelope.mail_from}),
            "raw": raw,
        }

    def _prune(self, connection: Connection) -> None:
        newest = select(MESSAGE.c.number).order_by(MESSAGE.c.number.desc()).offset(self._messages_max).limit(1)
        last_to_go = connection.scalar(newest)
        if last_to_go is not None:
            connection.execute(delete(MESSAGE).where(MESSAGE.c.number <= last_to_go))


def _summary(row: Any, stored: Json) -> Json:
    public = {name: value for name, value in stored.items() if name != "ReturnPath"}
    return {"ID": row.id, **public, "Read": row.is_read, "Created": rfc3339(to_datetime(row.received_at))}


def _matches(query: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = MESSAGE.c.number.is_not(None)
    for excluded, field, text in _terms(query):
        if field == "is" and text in ("read", "unread"):
            term = MESSAGE.c.is_read == (text == "read")
        elif field in _FIELDS:
            term = func.json_extract(MESSAGE.c.summary, f"$.{_FIELDS[field]}").icontains(text, autoescape=True)
        else:
            term = MESSAGE.c.search_text.contains(f"{field}:{text}" if field else text, autoescape=True)
        condition &= ~term if excluded else term
    return condition


def _terms(query: str) -> list[tuple[bool, str, str]]:
    terms = []
    for word in re.findall(r'[-!]?(?:[A-Za-z-]+:)?(?:"[^"]*"|\S+)', query):
        excluded = word[0] in "-!" and len(word) > 1
        match = _TERM.fullmatch(word[1:] if excluded else word)
        if match is None:
            continue
        text = match["phrase"] if match["phrase"] is not None else match["word"]
        terms.append((excluded, (match["field"] or "").lower(), text.casefold()))
    return terms
