"""What becomes of notices as they come in: each goes to its inbox and to webhooks, and its e-mail goes now, or waits.

All of it within the projection's transaction: a notice and what follows from it are stored together, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from streambank.bank.events import ALERT_NOTIFICATION, MAIL_REQUESTED
from streambank.bank.notifications import deliveries, inbox, recipients, repository
from streambank.bank.notifications.inbox import DIGEST
from streambank.bank.notifications.notices import Notice
from streambank.bank.notifications.recipients import Recipient
from streambank.bank.notifications.repository import Cause
from streambank.bank.notifications.scheduling import Window, Wishes, held_until
from streambank.ids import derived_id
from streambank.log import Record
from streambank.log.partitioner import partition_for
from streambank.service.tables import plain_text

GATHERED_USERS_MAX = 50
"""Whose digests are made in one transaction, which others wait for."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A notice and the record that it follows from."""

    notice: Notice
    record: Record


@dataclass(frozen=True, slots=True)
class Plan:
    """Which e-mails go now, which notices wait for a digest and until when, and how many e-mails each user got."""

    now: list[Arrived]
    held: dict[str, int]
    windows: dict[str, Window]


def take(
    connection: Connection, arrived: Sequence[Arrived], asked: Sequence[Cause], emails_max: int, now_ms: int
) -> bool:
    """Store what came in, ``asked`` being the e-mails that services ask for; whether there is something for a webhook.

    What came before is left alone, and of an erased user nothing is kept but that it came.
    """
    users = {each.notice.user_id for each in arrived} | {each.user_id for each in asked}
    if not users:
        return False
    known = recipients.find(connection, users)
    # Of an erased user no profile is kept.
    erased = repository.erased_among(connection, {user_id for user_id in users if not _has_profile(user_id, known)})
    by_id = {each.notice.notice_id: each for each in arrived if plain_text(each.notice.user_id) not in erased}
    before = inbox.known_among(connection, by_id) if by_id else set()
    new = [each for notice_id, each in by_id.items() if notice_id not in before]
    made = plan([each for each in new if not _is_mailed_otherwise(each)], known, emails_max, now_ms)
    inbox.add(connection, [each.notice for each in new], made.held, now_ms)
    is_for_webhooks = deliveries.enqueue(connection, [each.notice for each in new], now_ms)
    recipients.count_emails(connection, made.windows)
    of_erased = [each for each in arrived if plain_text(each.notice.user_id) in erased]
    emails = [Cause(each.notice.cause_id, each.notice.user_id, each.record) for each in [*made.now, *of_erased]]
    repository.add(connection, [*asked, *emails], now_ms, erased)
    return is_for_webhooks


def plan(arrived: Sequence[Arrived], known: dict[str, Recipient], emails_max: int, now_ms: int) -> Plan:
    """When each is e-mailed. Of a user whose profile has not come: at once, since nobody has wished otherwise. Pure."""
    made = Plan([], {}, {})
    for each in arrived:
        notice = each.notice
        critical, user_id = notice.facts.is_critical, plain_text(notice.user_id)
        found = known.get(user_id)
        if found is not None and found.no_email(notice.facts) is not None:
            continue
        wishes = found.wishes if found is not None else Wishes()
        window = made.windows.get(user_id) or (found.window if found is not None else Window())
        due_at = held_until(now_ms, wishes, window, emails_max, critical=critical) if found is not None else None
        if due_at is not None:
            made.held[notice.notice_id] = due_at
            continue
        made.now.append(each)
        if found is not None and not critical:
            made.windows[user_id] = window.counted(now_ms)
    return made


def gather(connection: Connection, now_ms: int) -> int:
    """Make an e-mail for each user whose digest is due, of all that waits; how many."""
    users = inbox.held_users(connection, now_ms, GATHERED_USERS_MAX)
    known = recipients.find(connection, users)
    digests = []
    for user_id in users:
        user = known.get(user_id) or Recipient(user_id)
        notices = [each for each in inbox.take_held(connection, user_id) if user.no_email(each.facts) is None]
        if notices:
            digests.append(_digest(user_id, notices, now_ms))
    repository.add(connection, digests, now_ms, repository.erased_among(connection, users))
    return len(digests)


def _digest(user_id: str, notices: Sequence[Notice], now_ms: int) -> Cause:
    # Each notice is gathered once, so that the last one's id names the digest.
    cause_id = derived_id("digest", user_id, notices[-1].notice_id)
    partition = partition_for(user_id.encode(), ALERT_NOTIFICATION.config.partitions)
    return Cause(cause_id, user_id, Record(DIGEST, partition, 0, now_ms, user_id.encode(), inbox.listing(notices), ()))


def _has_profile(user_id: str, known: Mapping[str, Recipient]) -> bool:
    found = known.get(plain_text(user_id))
    return found is not None and found.email is not None


def _is_mailed_otherwise(each: Arrived) -> bool:
    """Whether a service asked for its e-mail, which goes whatever the user wishes."""
    return each.record.topic == MAIL_REQUESTED.name


def tell(connection: Connection, notice: Notice, emails_max: int, now_ms: int) -> None:
    """Tell a user something that follows from no record: in their inbox, and by a digest, which is due when an e-mail
    of it would go."""
    if inbox.known_among(connection, [notice.notice_id]):
        return
    known = recipients.one(connection, notice.user_id)
    due_at = held_until(now_ms, known.wishes, known.window, emails_max, critical=False)
    inbox.add(connection, [notice], {notice.notice_id: due_at if due_at is not None else now_ms}, now_ms)
