"""The inbox: what you were told."""

from collections.abc import Iterator

from streambank.bank.client.part import Part, pages, parse, path_of
from streambank.bank.notifications.schemas import NoticeView, UnreadCount
from streambank.service.http.page import Page


class Inbox(Part):
    """What you were told, whatever it is about."""

    service = "notifications"

    def list(self, *, unread: bool = False, page_items: int | None = None) -> Iterator[NoticeView]:
        """Notices, the latest first, in your language; with ``unread`` only those that you have not read."""
        return pages(
            lambda cursor, limit: self._get(
                Page[NoticeView],
                "/v1/inbox",
                {"unread": "true" if unread else None, "cursor": cursor, "limit": limit},
            ),
            page_items,
        )

    def unread_count(self) -> int:
        """How many you have not read."""
        return self._get(UnreadCount, "/v1/inbox/unread-count").unread

    def read(self, notice_id: str) -> NoticeView:
        """Say that you have read a notice; the notice."""
        return parse(NoticeView, self._send("POST", f"{path_of('inbox', notice_id)}:read"))

    def read_all(self) -> None:
        """Say that you have read everything that is there."""
        self._send("POST", "/v1/inbox:read-all")
