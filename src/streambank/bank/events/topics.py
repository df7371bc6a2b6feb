"""The bank's topics: the contract that services and topologies share, and all that they share."""

from typing import Any, TypeVar

import msgspec

from streambank.bank.events.cloudevents import binary_mode_headers
from streambank.bank.events.goals import GoalMarked, GoalProgress, UserGoals, UserLimits
from streambank.bank.events.transfers import (
    PaymentRequested,
    TransferChanged,
    TransferInstruction,
    TransferOutcome,
    TransferRequested,
    TransferScreened,
)
from streambank.bank.events.types import (
    Account,
    AccountThresholds,
    AlertNotification,
    AlertRaised,
    Balance,
    BalanceChanged,
    EmailSent,
    EntryCategorised,
    MailRequested,
    SigningKey,
    UserClicked,
    UserKey,
    UserProfile,
)
from streambank.bank.events.views import (
    CashFlowMonth,
    FeedItem,
    FxRate,
    NetWorthDay,
    RecurringFound,
    SpendingDay,
)
from streambank.log import CleanupPolicy
from streambank.streams.serde import STRING, JsonSerde
from streambank.streams.topic import Topic

E = TypeVar("E", bound=msgspec.Struct)

FEED_RETENTION_MS = 7 * 86_400_000
"""A page that was away for longer than a week loads everything anew; nothing else reads the feed."""


def _topic(
    event: type[E],
    name: str,
    *,
    key: str,
    id: str = "event_id",  # noqa: A002
    source: str,
    cleanup_policy: CleanupPolicy = "delete",
    retention_ms: int = -1,
) -> Topic[str, E]:
    return Topic(
        name=name,
        key=STRING,
        value=JsonSerde(event),
        cleanup_policy=cleanup_policy,
        retention_ms=retention_ms,
        headers=binary_mode_headers(type=f"bank.{name}.v1", source=source, id=id, subject=key),
    )


# Only what is read as a table is compacted. Balances are read one by one, and again at a replay: a balance that
# compaction took away before the alerts saw it would be a crossing that nobody hears of.
ACCOUNT = _topic(Account, "account", key="account_id", source="/services/transactions", cleanup_policy="compact")
BALANCE_CHANGED = _topic(
    BalanceChanged, "balance.changed", key="account_id", id="entry_id", source="/services/transactions"
)
ENTRY_CATEGORISED = _topic(EntryCategorised, "entry.categorised", key="account_id", source="/services/transactions")
ACCOUNT_BALANCE = _topic(
    Balance,
    "account.balance",
    key="scope_id",
    id="entry.entry_id",
    source="/topologies/balances/account",
)
USER_BALANCE = _topic(
    Balance,
    "user.balance",
    key="scope_id",
    id="entry.entry_id",
    source="/topologies/balances/user",
)
ACCOUNT_THRESHOLDS = _topic(
    AccountThresholds,
    "account.thresholds",
    key="scope_id",
    source="/services/personalization",
    cleanup_policy="compact",
)
USER_PROFILE = _topic(UserProfile, "user.profile", key="user_id", source="/services/users", cleanup_policy="compact")
USER_KEY = _topic(UserKey, "user.key", key="user_id", source="/services/users", cleanup_policy="compact")
USER_CLICKED = _topic(UserClicked, "user.clicked", key="user_id", source="/services/users")
AUTH_KEY = _topic(SigningKey, "auth.key", key="kid", source="/services/users", cleanup_policy="compact")
MAIL_REQUESTED = _topic(MailRequested, "mail.requested", key="user_id", source="/services/users")
ALERT_RAISED = _topic(AlertRaised, "alert.raised", key="user_id", id="alert_id", source="/topologies/alerts")
ALERT_NOTIFICATION = _topic(
    AlertNotification, "alert.notification", key="user_id", id="alert_id", source="/topologies/alerts"
)
USER_GOALS = _topic(
    UserGoals, "user.goals", key="user_id", source="/services/personalization", cleanup_policy="compact"
)
USER_LIMITS = _topic(
    UserLimits, "user.limits", key="user_id", source="/services/personalization", cleanup_policy="compact"
)
GOAL_PROGRESS = _topic(
    GoalProgress, "goal.progress", key="goal_id", source="/topologies/goals", cleanup_policy="compact"
)
GOAL_MARKED = _topic(GoalMarked, "goal.marked", key="user_id", id="mark_id", source="/topologies/goals")
TRANSFER_REQUESTED = _topic(TransferRequested, "transfer.requested", key="transfer_id", source="/services/payments")
TRANSFER_SCREENED = _topic(TransferScreened, "transfer.screened", key="transfer_id", source="/topologies/screening")
TRANSFER_INSTRUCTED = _topic(TransferInstruction, "transfer.instructed", key="transfer_id", source="/services/payments")
TRANSFER_OUTCOME = _topic(TransferOutcome, "transfer.outcome", key="transfer_id", source="/services/transactions")
TRANSFER_STATUS = _topic(TransferChanged, "transfer.status", key="transfer_id", source="/services/payments")
PAYMENT_REQUEST = _topic(PaymentRequested, "payment.request", key="request_id", source="/services/payments")
NET_WORTH_DAY = _topic(
    NetWorthDay, "net.worth.day", key="figure_id", source="/topologies/figures/net-worth", cleanup_policy="compact"
)
CASH_FLOW_MONTH = _topic(
    CashFlowMonth, "cash.flow.month", key="figure_id", source="/topologies/figures/cash-flow", cleanup_policy="compact"
)
SPENDING_DAY = _topic(
    SpendingDay, "spending.day", key="figure_id", source="/topologies/figures/spending", cleanup_policy="compact"
)
RECURRING_FOUND = _topic(
    RecurringFound, "recurring.found", key="group_id", source="/topologies/figures/recurring", cleanup_policy="compact"
)
FX_RATE = _topic(FxRate, "fx.rate", key="rate_id", source="/services/views", cleanup_policy="compact")
USER_FEED = _topic(
    FeedItem, "user.feed", key="user_id", source="/topologies/figures/feed", retention_ms=FEED_RETENTION_MS
)
EMAIL_SENT = _topic(EmailSent, "email.sent", key="alert_id", id="alert_id", source="/services/notifications")

TOPICS: tuple[Topic[str, Any], ...] = (
    ACCOUNT,
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    ACCOUNT_BALANCE,
    USER_BALANCE,
    ACCOUNT_THRESHOLDS,
    USER_PROFILE,
    USER_KEY,
    USER_CLICKED,
    AUTH_KEY,
    MAIL_REQUESTED,
    ALERT_RAISED,
    ALERT_NOTIFICATION,
    USER_GOALS,
    USER_LIMITS,
    GOAL_PROGRESS,
    GOAL_MARKED,
    TRANSFER_REQUESTED,
    TRANSFER_SCREENED,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    TRANSFER_STATUS,
    PAYMENT_REQUEST,
    FX_RATE,
    NET_WORTH_DAY,
    CASH_FLOW_MONTH,
    SPENDING_DAY,
    RECURRING_FOUND,
    USER_FEED,
    EMAIL_SENT,
)
"""Every topic of the contract, in the order in which facts flow through them."""
