"""The bank's topics: the contract that services and topologies share, and all that they share."""

from typing import Any, TypeVar

import msgspec

from streambank.bank.events.cloudevents import binary_mode_headers
from streambank.bank.events.types import (
    Account,
    AccountThresholds,
    AlertNotification,
    AlertRaised,
    Balance,
    BalanceChanged,
    EmailSent,
    MailRequested,
    SigningKey,
    UserClicked,
    UserKey,
    UserProfile,
)
from streambank.log import CleanupPolicy
from streambank.streams.serde import STRING, JsonSerde
from streambank.streams.topic import Topic

E = TypeVar("E", bound=msgspec.Struct)


def _topic(
    event: type[E],
    name: str,
    *,
    key: str,
    id: str = "event_id",  # noqa: A002
    source: str,
    cleanup_policy: CleanupPolicy = "delete",
) -> Topic[str, E]:
    return Topic(
        name=name,
        key=STRING,
        value=JsonSerde(event),
        cleanup_policy=cleanup_policy,
        headers=binary_mode_headers(type=f"bank.{name}.v1", source=source, id=id, subject=key),
    )


# Only what is read as a table is compacted. Balances are read one by one, and again at a replay: a balance that
# compaction took away before the alerts saw it would be a crossing that nobody hears of.
ACCOUNT = _topic(Account, "account", key="account_id", source="/services/transactions", cleanup_policy="compact")
BALANCE_CHANGED = _topic(
    BalanceChanged, "balance.changed", key="account_id", id="entry_id", source="/services/transactions"
)
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
EMAIL_SENT = _topic(EmailSent, "email.sent", key="alert_id", id="alert_id", source="/services/notifications")

TOPICS: tuple[Topic[str, Any], ...] = (
    ACCOUNT,
    BALANCE_CHANGED,
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
    EMAIL_SENT,
)
"""Every topic of the contract, in the order in which facts flow through them."""
