"""What is sent to webhooks: one row for each message and webhook, until it is delivered or given up.

Methods work within the caller's transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, literal_column, select, update

from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.models import DELIVERY, WEBHOOK, DeliveryState
from streambank.bank.notifications.notices import Notice
from streambank.ids import derived_id
from streambank.service.tables import plain_text

logger = structlog.get_logger(__name__)

RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each failure, as the Standard Webhooks specification suggests: over three days in all."""

LEASE_MS = 60_000
"""How long a claim holds, should its process die: several times what a delivery may take."""

DISABLE_AFTER_MS = 5 * 86_400_000
"""A webhook that took nothing for so long has nobody who looks after it: a long weekend is shorter."""

KEEP_MS = 30 * 86_400_000
"""How long a delivery is listed."""

PRUNED_AT_ONCE_MAX = 1_000

PENDING_MAX = 1_000
"""How many messages wait for one webhook: more is no outage but one that nobody reads, and each claim passes them."""

OF_USER_MAX = 2
"""Messages of one user on their way at the same time."""

TOO_MANY = "too many messages wait for the webhook already"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as deliveries need it. ``secrets`` all sign."""

    webhook_id: str
    user_id: str
    url: str
    secrets: tuple[bytes, ...]
    failing_since: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is being sent. ``attempt`` counts from 1; ``notice_id`` None: a test."""

    num: int
    message_id: str
    notice_id: str | None
    attempt: int
    created_at: int
    hook: Hook


def enqueue(connection: Connection, notices: Sequence[Notice], now_ms: int) -> bool:
    """Put notices into line for the webhooks that want them; whether there are any.

    For whom ``PENDING_MAX`` wait already, they are listed as given up.
    """
    users = {plain_text(notice.user_id) for notice in notices}
    hooks = connection.execute(_HOOKS, {"users": list(users)}).all() if users else ()
    rows = [
        row(hook.webhook_id, notice.notice_id, now_ms)
        for hook in hooks
        for notice in notices
        if plain_text(notice.user_id) == hook.user_id and wants(hook.categories, notice.facts.category)
    ]
    if not rows:
        return False
    waiting = pending(connection, [hook.webhook_id for hook in hooks])
    for each in rows:
        webhook_id = str(each["webhook_id"])
        waiting[webhook_id] = waiting.get(webhook_id, 0) + 1
        if waiting[webhook_id] > PENDING_MAX:
            each |= {"state": DeliveryState.FAILED, "settled_at": now_ms, "last_error": TOO_MANY}
    for webhook_id in [webhook_id for webhook_id, count in waiting.items() if count > PENDING_MAX]:
        count = waiting[webhook_id] - PENDING_MAX
        logger.warning("messages are not sent: too many wait for the webhook", webhook_id=webhook_id, count=count)
    connection.execute(insert(DELIVERY), rows)
    return True


def pending(connection: Connection, webhook_ids: Collection[str]) -> dict[str, int]:
    """How many messages wait for each of these webhooks."""
    rows = connection.execute(_COUNT_PENDING, {"hooks": list(webhook_ids)})
    return {row.webhook_id: row.waiting for row in rows}


def is_ping_pending(connection: Connection, webhook_id: str) -> bool:
    """Whether a test of the webhook is still to be sent."""
    pings = select(DELIVERY.c.num).where(
        DELIVERY.c.webhook_id == webhook_id, _IS_PENDING, DELIVERY.c.notice_id.is_(None)
    )
    return connection.execute(pings.limit(1)).first() is not None


def wants(categories: str, category: Category) -> bool:
    """Whether a webhook for those categories is for that one. That a webhook failed is told to none."""
    return category is not Category.WEBHOOKS and (not categories or category in categories.split(","))


def row(webhook_id: str, notice_id: str | None, now_ms: int, test_id: str = "") -> dict[str, object]:
    """A delivery that is due now."""
    return {
        "message_id": f"msg_{derived_id('delivery', webhook_id, notice_id or test_id)}",
        "webhook_id": webhook_id,
        "notice_id": notice_id,
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "due_at": now_ms,
        "claimed_until": 0,
        "created_at": now_ms,
        "settled_at": None,
        "last_error": None,
    }


def is_due(connection: Connection, now_ms: int) -> bool:
    """Whether :func:`claim` would find something."""
    return connection.execute(_DUE, {"now_ms": now_ms, "most": 1}).first() is not None


def claim(connection: Connection, now_ms: int, limit: int) -> list[Delivery]:
    """Take due deliveries for this process: of each webhook the one that has been due longest, and none whose webhook
    is busy, so that one slow server holds up nobody but itself; nor one user's several anybody else's."""
    found = connection.execute(_DUE, {"now_ms": now_ms, "most": limit}).all()
    if found:
        connection.execute(_CLAIM, {"nums": [row.num for row in found], "until": now_ms + LEASE_MS})
    return [
        Delivery(row.num, row.message_id, row.notice_id, row.attempts + 1, row.created_at, _hook(row, now_ms))
        for row in found
    ]


def next_due_at(connection: Connection, now_ms: int) -> int | None:
    """When the next delivery becomes due that is not yet; None if none does."""
    due_at: int | None = connection.scalar(_NEXT_DUE, {"now_ms": now_ms})
    return due_at


def delivered(connection: Connection, delivery: Delivery, status: int, now_ms: int) -> None:
    """The webhook took it."""
    _settle(connection, delivery, DeliveryState.DELIVERED, now_ms, status, None)
    if delivery.notice_id is not None:
        failing = (WEBHOOK.c.webhook_id == delivery.hook.webhook_id) & WEBHOOK.c.failing_since.is_not(None)
        connection.execute(update(WEBHOOK).where(failing).values(failing_since=None))


def given_up(connection: Connection, delivery: Delivery, status: int | None, reason: str, now_ms: int) -> None:
    """It is not sent again. Where nothing else waits, the next failure begins another row of them."""
    _settle(connection, delivery, DeliveryState.FAILED, now_ms, status, reason)
    hook_id = delivery.hook.webhook_id
    if delivery.notice_id is not None and not pending(connection, [hook_id]):
        connection.execute(update(WEBHOOK).where(WEBHOOK.c.webhook_id == hook_id).values(failing_since=None))


def put_back(connection: Connection, delivery: Delivery, now_ms: int) -> None:
    """It is due again at once, and that it was on its way counts for nothing."""
    connection.execute(update(DELIVERY).where(_is(delivery)).values(due_at=now_ms, claimed_until=0))


def hook_now(connection: Connection, webhook_id: str, now_ms: int) -> Hook | None:
    """The webhook as it is now; None: it was removed."""
    row = connection.execute(select(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id)).one_or_none()
    return _hook(row, now_ms) if row is not None else None


def failed(connection: Connection, delivery: Delivery, status: int | None, reason: str, now_ms: int) -> None:
    """It is sent again later, unless that was the last time. A test is sent once, and proves nothing."""
    if delivery.notice_id is not None:
        is_hook = WEBHOOK.c.webhook_id == delivery.hook.webhook_id
        connection.execute(
            update(WEBHOOK).where(is_hook, WEBHOOK.c.failing_since.is_(None)).values(failing_since=now_ms)
        )
    if delivery.attempt > len(RETRY_AFTER_S) or delivery.notice_id is None:
        given_up(connection, delivery, status, reason, now_ms)
        return
    due_at = now_ms + RETRY_AFTER_S[delivery.attempt - 1] * 1000
    values = {"attempts": delivery.attempt, "due_at": due_at, "claimed_until": 0, "last_status": status}
    connection.execute(update(DELIVERY).where(_is(delivery)).values(**values, last_error=reason))


def disable(connection: Connection, webhook_id: str, reason: str, now_ms: int) -> bool:
    """Send nothing to a webhook any more; False if that was so before."""
    is_on = (WEBHOOK.c.webhook_id == webhook_id) & WEBHOOK.c.disabled_reason.is_(None)
    values = {"disabled_reason": reason, "version": WEBHOOK.c.version + 1}
    if connection.execute(update(WEBHOOK).where(is_on).values(values)).rowcount == 0:
        return False
    waiting = (DELIVERY.c.webhook_id == webhook_id) & (DELIVERY.c.state == DeliveryState.PENDING)
    stopped = {"state": DeliveryState.FAILED, "last_error": "the webhook was switched off", "settled_at": now_ms}
    connection.execute(update(DELIVERY).where(waiting).values(stopped))
    return True


def page(connection: Connection, webhook_id: str, before: int | None, limit: int) -> list[Row[Any]]:
    """A webhook's deliveries, the latest first, from before ``before`` on; one more than ``limit`` where there are."""
    own = select(DELIVERY).where(DELIVERY.c.webhook_id == webhook_id)
    if before is not None:
        own = own.where(DELIVERY.c.num < before)
    return list(connection.execute(own.order_by(DELIVERY.c.num.desc()).limit(limit + 1)))


def prune(connection: Connection, now_ms: int) -> int:
    """Delete deliveries that are too old; how many."""
    old = select(DELIVERY.c.num).where(DELIVERY.c.created_at < now_ms - KEEP_MS).limit(PRUNED_AT_ONCE_MAX)
    return connection.execute(delete(DELIVERY).where(DELIVERY.c.num.in_(old.scalar_subquery()))).rowcount


def forget_webhooks(connection: Connection, user_ids: Collection[str]) -> None:
    """Delete erased users' webhooks, and what was sent to them."""
    own = WEBHOOK.c.user_id.in_([plain_text(user_id) for user_id in user_ids])
    hooks = select(WEBHOOK.c.webhook_id).where(own).scalar_subquery()
    connection.execute(delete(DELIVERY).where(DELIVERY.c.webhook_id.in_(hooks)))
    connection.execute(delete(WEBHOOK).where(own))


def _settle(
    connection: Connection, delivery: Delivery, state: DeliveryState, now_ms: int, status: int | None, error: str | None
) -> None:
    values = {"state": state, "attempts": delivery.attempt, "settled_at": now_ms, "claimed_until": 0}
    connection.execute(update(DELIVERY).where(_is(delivery)).values(**values, last_status=status, last_error=error))


def _is(delivery: Delivery) -> Any:
    return (DELIVERY.c.num == delivery.num) & (DELIVERY.c.state == DeliveryState.PENDING)


def _hook(row: Row[Any], now_ms: int) -> Hook:
    secrets = [bytes(row.secret)]
    if row.old_secret is not None and row.old_secret_until > now_ms:
        secrets.append(bytes(row.old_secret))
    return Hook(row.webhook_id, row.user_id, row.url, tuple(secrets), row.failing_since)


_HOOKS = select(WEBHOOK.c.webhook_id, WEBHOOK.c.user_id, WEBHOOK.c.categories).where(
    WEBHOOK.c.user_id.in_(bindparam("users", expanding=True)), WEBHOOK.c.disabled_reason.is_(None)
)
_BUSY = DELIVERY.alias("busy")
_FIRST = DELIVERY.alias("first")
# Word for word the condition of the partial indexes: SQLite uses them for no other way of saying it.
_IS_PENDING, _BUSY_PENDING, _FIRST_PENDING = (
    table.c.state == literal_column("'pending'") for table in (DELIVERY, _BUSY, _FIRST)
)
_OF_BUSY = select(_BUSY.c.webhook_id).where(_BUSY_PENDING, _BUSY.c.claimed_until > bindparam("now_ms"))
# Once through all that waits: to ask of each message whether another goes before it takes the square of that.
_FIRST_OF_EACH = (
    select(func.min(_FIRST.c.num))
    .where(_FIRST_PENDING, _FIRST.c.due_at <= bindparam("now_ms"), _FIRST.c.webhook_id.not_in(_OF_BUSY))
    .group_by(_FIRST.c.webhook_id)
)
_RANKED = (
    select(
        DELIVERY.c.num,
        func.row_number()
        .over(partition_by=WEBHOOK.c.user_id, order_by=(DELIVERY.c.due_at, DELIVERY.c.num))
        .label("place"),
    )
    .select_from(DELIVERY.join(WEBHOOK, WEBHOOK.c.webhook_id == DELIVERY.c.webhook_id))
    .where(DELIVERY.c.num.in_(_FIRST_OF_EACH))
    .subquery("ranked")
)
_ON_THEIR_WAY = (
    select(WEBHOOK.c.user_id, func.count().label("count"))
    .select_from(_BUSY.join(WEBHOOK, WEBHOOK.c.webhook_id == _BUSY.c.webhook_id))
    .where(_BUSY_PENDING, _BUSY.c.claimed_until > bindparam("now_ms"))
    .group_by(WEBHOOK.c.user_id)
    .subquery("on_their_way")
)
_DUE = (
    select(
        DELIVERY.c.num,
        DELIVERY.c.message_id,
        DELIVERY.c.notice_id,
        DELIVERY.c.attempts,
        DELIVERY.c.created_at,
        *(column for column in WEBHOOK.c if column.name != "created_at"),
    )
    .select_from(
        DELIVERY.join(WEBHOOK, WEBHOOK.c.webhook_id == DELIVERY.c.webhook_id)
        .join(_RANKED, _RANKED.c.num == DELIVERY.c.num)
        .outerjoin(_ON_THEIR_WAY, _ON_THEIR_WAY.c.user_id == WEBHOOK.c.user_id)
    )
    .where(_RANKED.c.place + func.coalesce(_ON_THEIR_WAY.c.count, 0) <= OF_USER_MAX)
    .order_by(DELIVERY.c.due_at, DELIVERY.c.num)
    .limit(bindparam("most"))
)
_CLAIM = (
    update(DELIVERY)
    .where(DELIVERY.c.num.in_(bindparam("nums", expanding=True)))
    .values(claimed_until=bindparam("until"))
)
_COUNT_PENDING = (
    select(DELIVERY.c.webhook_id, func.count().label("waiting"))
    .where(_IS_PENDING, DELIVERY.c.webhook_id.in_(bindparam("hooks", expanding=True)))
    .group_by(DELIVERY.c.webhook_id)
)
_NEXT_DUE = select(func.min(DELIVERY.c.due_at)).where(_IS_PENDING, DELIVERY.c.due_at > bindparam("now_ms"))
