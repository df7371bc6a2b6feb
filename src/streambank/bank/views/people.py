"""Who is known, and how they are forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Column, Connection

from streambank.bank.days import local_day
from streambank.bank.events import CASH_FLOW_MONTH, NET_WORTH_DAY, RECURRING_FOUND, SPENDING_DAY
from streambank.bank.events.personal import SealError, unseal
from streambank.bank.views import models, repository
from streambank.clock import to_datetime
from streambank.service.http.problems import Problem
from streambank.service.outbox import Outbox, OutgoingRecord

_PUBLISHED: tuple[tuple[str, Column[str]], ...] = (
    (NET_WORTH_DAY.name, models.NET_WORTH_DAY.c.figure_id),
    (CASH_FLOW_MONTH.name, models.CASH_FLOW_MONTH.c.figure_id),
    (SPENDING_DAY.name, models.SPENDING_DAY.c.figure_id),
    (RECURRING_FOUND.name, models.RECURRING_GROUP.c.group_id),
)
"""The compacted topics that have records of a user, and where their keys are found."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who looks at what is theirs. Without a key, which may arrive later than a token, texts stay closed."""

    user_id: str
    timezone: str
    key: bytes | None
    now_ms: int

    @property
    def today(self) -> date:
        """The day that it is where they live."""
        return local_day(to_datetime(self.now_ms), self.timezone)

    def opened(self, text: str | None) -> str | None:
        """A text as it was written; None where it cannot be read."""
        if text is None:
            return None
        try:
            return unseal(self.key, self.user_id, text)
        except SealError:
            return None


def reader(connection: Connection, user_id: str, now_ms: int) -> Reader:
    """Somebody as they are known. Raises a problem where they were erased."""
    row = repository.person(connection, user_id)
    if row is None:
        return Reader(user_id, "UTC", None, now_ms)
    if row.erased_at is not None:
        raise Problem(403, "user-erased", "the user was erased")
    return Reader(user_id, row.timezone or "UTC", None if row.key is None else bytes(row.key), now_ms)


def erase(connection: Connection, outbox: Outbox, user_id: str, now_ms: int) -> None:
    """Delete all that is known of somebody, and take their figures out of the compacted topics."""
    for topic, column in _PUBLISHED:
        take_back(connection, outbox, topic, repository.keys_of(connection, column, user_id), now_ms)
    repository.erase(connection, user_id, now_ms)


def take_back(connection: Connection, outbox: Outbox, topic: str, keys: Iterable[str], now_ms: int) -> None:
    """Take figures of somebody who was erased out of a topic, if it is one of figures.

    Entries that were on their way make some after the erasure, too.
    """
    if any(topic == one for one, _ in _PUBLISHED):
        outbox.add(connection, [OutgoingRecord(topic, key.encode(), None, None, now_ms) for key in keys])
