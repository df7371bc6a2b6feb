"""What all use cases of the notifications service are given, and the steps that they share."""

from dataclasses import dataclass

from sqlalchemy import Connection

from streambank.bank.notifications import recipients, repository
from streambank.bank.notifications.recipients import Recipient
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.telling import Reader
from streambank.bank.notifications.unsealing import opener
from streambank.clock import Clock
from streambank.ids import RandomBytes
from streambank.service.http.problems import Problem


@dataclass(frozen=True, slots=True)
class Context:
    """Where use cases get what they need."""

    settings: NotificationsSettings
    clock: Clock
    random_bytes: RandomBytes
    link_key: bytes

    def key(self, connection: Connection, user_id: str) -> bytes:
        """The key of a user who is known.

        Raises:
            Problem: 503, it has not come yet; 403, the user was erased.
        """
        if repository.erased_among(connection, [user_id]):
            raise Problem(403, "user-erased", "the user was erased")
        key = repository.key_of(connection, user_id)
        if key is None:
            detail = "the user was created a moment ago: try again"
            raise Problem(503, "user-not-known-yet", detail, headers={"Retry-After": "1"})
        return key

    def recipient(self, connection: Connection, user_id: str) -> Recipient:
        """How a user who is known is reached. Raises what :meth:`key` raises."""
        self.key(connection, user_id)
        return recipients.one(connection, user_id)

    def reader(self, connection: Connection, user_id: str) -> Reader:
        """For whom notices are put into words. Raises what :meth:`key` raises."""
        key = self.key(connection, user_id)
        found = recipients.one(connection, user_id)
        return Reader(found.locale, found.wishes.timezone, opener(user_id, "in the inbox", key))
