"""What users do with their inboxes."""

from sqlalchemy import Connection
from starlette.requests import Request

from streambank.bank.notifications import inbox
from streambank.bank.notifications.context import Context
from streambank.bank.notifications.inbox import Kept
from streambank.bank.notifications.schemas import NoticeView, UnreadCount
from streambank.bank.notifications.telling import Reader, tell_somehow
from streambank.bank.notifications.webhook_payloads import about, type_of
from streambank.clock import to_datetime
from streambank.service.http.answers import Answer, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import decode_cursor, encode_cursor, page_answer
from streambank.service.http.problems import not_found


class Inboxes:
    """Reading them, in the reader's language and formats of now."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(
        self, connection: Connection, caller: Caller, cursor: str | None, limit: int, request: Request, *, unread: bool
    ) -> Answer:
        """The caller's notices, the latest first."""
        reader = self._context.reader(connection, caller.user_id)
        before = int(decode_cursor(cursor, int)[0]) if cursor is not None else None
        found = inbox.page(connection, caller.user_id, before, limit, unread=unread)
        items, is_more = found[:limit], len(found) > limit
        following = encode_cursor(items[-1].num) if is_more else None
        return page_answer([view(kept, reader) for kept in items], following, request)

    def unread(self, connection: Connection, caller: Caller) -> Answer:
        """How many the caller has not read."""
        return ok(UnreadCount(unread=inbox.unread_count(connection, caller.user_id)))

    def read(self, connection: Connection, caller: Caller, notice_id: str) -> Answer:
        """The caller has read a notice; once more does no harm."""
        reader = self._context.reader(connection, caller.user_id)
        inbox.read(connection, caller.user_id, notice_id, self._context.clock())
        kept = inbox.get(connection, caller.user_id, notice_id)
        if kept is None:
            raise not_found("notice")
        return ok(view(kept, reader))

    def read_all(self, connection: Connection, caller: Caller) -> Answer:
        """The caller has read all that is there."""
        self._context.key(connection, caller.user_id)
        inbox.read(connection, caller.user_id, None, self._context.clock())
        return no_content()


def view(kept: Kept, reader: Reader) -> NoticeView:
    """A notice as its reader sees it."""
    telling = tell_somehow(kept.facts, kept.occurred_at, reader)
    return NoticeView(
        id=kept.notice_id,
        type=type_of(kept.facts),
        category=kept.facts.category.value,
        critical=kept.facts.is_critical,
        title=telling.title,
        text=telling.text,
        about=about(kept.facts),
        occurred_at=to_datetime(kept.occurred_at),
        received_at=to_datetime(kept.received_at),
        read_at=to_datetime(kept.read_at) if kept.read_at is not None else None,
    )
