"""alerts: notice when a balance crosses what its owner configured, join in the owner's address, and send it on.

account.balance, user.balance --x account.thresholds--> crossings, once each, armed again with a margin
                              --x account--> alert.raised (with the account's name)
                              --x user.profile--> alert.notification (with the address)
                                                  alerts.unaddressed (nobody to send it to)
"""

import msgspec

from streambank.bank.crossing import Watch, Watched
from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    ALERT_NOTIFICATION,
    ALERT_RAISED,
    USER_BALANCE,
    USER_PROFILE,
    Account,
    AccountThresholds,
    AlertNotification,
    AlertRaised,
    Balance,
    UserProfile,
)
from streambank.streams import STRING, JsonSerde, StreamBuilder, Topic, Topology

UNADDRESSED = Topic(name="alerts.unaddressed", key=STRING, value=JsonSerde(AlertRaised), headers=ALERT_RAISED.headers)
"""Alerts whose user has no profile, or an address that is not verified: kept here, and nowhere lost."""


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    balances = builder.stream(ACCOUNT_BALANCE).merge(builder.stream(USER_BALANCE))

    watched = balances.join(builder.table(ACCOUNT_THRESHOLDS), with_thresholds)
    watches = watched.group_by_key().aggregate(Watch, Watch.after, name="watch")
    crossings = watches.to_stream().flat_map_values(Watch.alerts)
    crossings.left_join(builder.table(ACCOUNT), with_account).select_key(by_user).to(ALERT_RAISED)

    addressed = builder.stream(ALERT_RAISED).left_join(builder.table(USER_PROFILE), with_address)
    branches = addressed.split({"addressed": has_address}, default="unaddressed")
    branches["addressed"].map_values(notification).to(ALERT_NOTIFICATION)
    branches["unaddressed"].map_values(alert_of).to(UNADDRESSED)
    return builder.build()


class Addressed(msgspec.Struct, frozen=True):
    """An alert with its user's profile, if there is one."""

    alert: AlertRaised
    profile: UserProfile | None


def with_thresholds(balance: Balance, thresholds: AccountThresholds) -> Watched:
    """A balance beside what its owner configured for it."""
    return Watched(balance, thresholds)


def by_user(_scope_id: str, alert: AlertRaised) -> str:
    """Whose alert it is."""
    return alert.user_id


def with_account(alert: AlertRaised, account: Account | None) -> AlertRaised:
    """The alert with the account's name; a total has none."""
    if account is None:
        return alert
    return msgspec.structs.replace(alert, account_name=account.name, account_number_last4=account.number_last4)


def with_address(alert: AlertRaised, profile: UserProfile | None) -> Addressed:
    """The alert with its user's profile."""
    return Addressed(alert, profile)


def has_address(_user_id: str, addressed: Addressed) -> bool:
    """Whether the user can be reached: what was typed in at sign-up may be somebody else's address until verified."""
    return addressed.profile is not None and addressed.profile.email_verified


def notification(addressed: Addressed) -> AlertNotification:
    """What the notifications service sends."""
    alert, profile = addressed.alert, addressed.profile
    assert profile is not None
    return AlertNotification(
        user_id=alert.user_id,
        occurred_at=alert.occurred_at,
        recorded_at=alert.recorded_at,
        alert=alert,
        email=profile.email,
        name=profile.name,
        locale=profile.locale,
        timezone=profile.timezone,
    )


def alert_of(addressed: Addressed) -> AlertRaised:
    """The alert alone."""
    return addressed.alert
