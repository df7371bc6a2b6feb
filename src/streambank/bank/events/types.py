"""What happened: every event type of the bank. Events are facts; a correction is another event.

``occurred_at`` is event time. ``recorded_at`` is when the fact entered the log; an event that follows from another
keeps the other's ``recorded_at``, so that it tells how long the way took. Names follow ISO 20022 where it has one.
"""

from datetime import date, datetime
from enum import Enum
from typing import Annotated

import msgspec
from iso4217 import Currency

from streambank.bank.events.money import Amount, Minor
from streambank.clock import to_millis


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What all events have."""

    user_id: str
    occurred_at: datetime
    recorded_at: datetime

    @property
    def timestamp(self) -> int:
        """Event time in milliseconds since the epoch."""
        return to_millis(self.occurred_at)


class CreditDebit(Enum):
    """ISO 20022 CreditDebitIndicator: whether money came in or went out."""

    CREDIT = "CRDT"
    DEBIT = "DBIT"


class Origin(Enum):
    """How an entry came in. Only what happens live raises alerts; history that is read in later does not."""

    LIVE = "live"
    IMPORT = "import"


class EntryStatus(Enum):
    """ISO 20022 EntryStatus: whether an entry counts into the balance, or is only expected to."""

    BOOKED = "BOOK"
    PENDING = "PDNG"


class AccountKind(Enum):
    """What an account is. Liabilities are accounts too: their balance is negative while something is owed."""

    CHECKING = "checking"
    SAVINGS = "savings"
    CASH = "cash"
    CREDIT_CARD = "credit-card"
    LOAN = "loan"
    INVESTMENT = "investment"
    OTHER = "other"


class Role(Enum):
    """What somebody may do with an account: an owner everything, a viewer only look."""

    OWNER = "owner"
    VIEWER = "viewer"


class Digest(Enum):
    """How alerts are gathered before they are sent."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"


class MailKind(Enum):
    """What an e-mail that a service asks for is about."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    EMAIL_CHANGED = "email-changed"
    ALREADY_REGISTERED = "already-registered"


class Scope(Enum):
    """What a balance or a threshold is about: one account, or the total of a user's accounts in one currency."""

    ACCOUNT = "account"
    TOTAL = "total"


class Direction(Enum):
    """Which crossing a threshold watches for."""

    BELOW = "below"
    ABOVE = "above"


class AccountMember(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody who may see or use an account."""

    user_id: str
    role: Role


class Account(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An account was opened, changed or closed. Topic ``account``, key ``account_id``, compacted.

    ``user_id`` is who opened it; ``members`` are all others. ``name`` is personal: see :mod:`.personal`.
    """

    event_id: str
    account_id: str
    name: str
    currency: Currency
    number_last4: str | None = None
    kind: AccountKind = AccountKind.CHECKING
    overdraft_limit_minor: Amount | None = None
    members: tuple[AccountMember, ...] = ()
    closed_at: datetime | None = None


class BalanceChanged(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One entry in an account's ledger. Topic ``balance.changed``, key ``account_id``.

    ``account_seq`` counts an account's entries from 1 without gaps. ``balance_after_minor`` is what the source claims
    the balance to be after this entry; it is for checks only.

    A pending entry is expected, and counts into what is available only. It ends by another pending entry of the
    opposite sign whose ``reverses_entry_id`` names it, beside the booked entry if it was booked. A booked entry that is
    corrected is reversed in the same way. ``transaction_id`` is shared by the entries of one double entry.
    ``held_minor``, of a booked debit, is how much was held for it by the pending one that ended beside it just before.

    ``counterparty``, ``counterparty_account`` and ``remittance`` are personal: see :mod:`.personal`.
    """

    entry_id: str
    account_id: str
    account_seq: int
    credit_debit: CreditDebit
    amount_minor: Amount
    currency: Currency
    booking_date: date
    value_date: date | None = None
    kind: str | None = None
    category: str | None = None
    counterparty: str | None = None
    counterparty_account: str | None = None
    end_to_end_id: str | None = None
    remittance: str | None = None
    balance_after_minor: Minor | None = None
    origin: Origin = Origin.LIVE
    status: EntryStatus = EntryStatus.BOOKED
    transaction_id: str | None = None
    reverses_entry_id: str | None = None
    held_minor: Amount = 0

    @property
    def signed_minor(self) -> int:
        """The amount as it changes the balance: negative for a debit."""
        return self.amount_minor if self.credit_debit is CreditDebit.CREDIT else -self.amount_minor

    @property
    def total_id(self) -> str:
        """Names the total that this entry counts into: see :func:`total_id`."""
        return total_id(self.user_id, self.currency)

    @property
    def summary(self) -> "EntrySummary":
        """What a balance and an alert tell of this entry."""
        return EntrySummary(
            entry_id=self.entry_id,
            account_id=self.account_id,
            signed_minor=self.signed_minor,
            occurred_at=self.occurred_at,
            kind=self.kind,
            counterparty=self.counterparty,
            remittance=self.remittance,
            origin=self.origin,
            status=self.status,
        )


class CategoryPart(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much of an entry counts into a category; None: into none."""

    category: str | None
    signed_minor: Minor


class EntryCategorised(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A booked entry counts into other categories than before. Topic ``entry.categorised``, key ``account_id``.

    Both ``before`` and ``after`` add up to the entry. ``occurred_at``, ``booking_date``, ``kind`` and
    ``reverses_entry_id`` are the entry's.
    """

    event_id: str
    entry_id: str
    account_id: str
    currency: Currency
    booking_date: date
    before: tuple[CategoryPart, ...]
    after: tuple[CategoryPart, ...]
    origin: Origin = Origin.LIVE
    kind: str | None = None
    reverses_entry_id: str | None = None


class EntrySummary(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a balance and an alert tell of the entry that led to them."""

    entry_id: str
    account_id: str
    signed_minor: Minor
    occurred_at: datetime
    kind: str | None = None
    counterparty: str | None = None
    remittance: str | None = None
    origin: Origin = Origin.LIVE
    status: EntryStatus = EntryStatus.BOOKED


class Balance(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A balance after an entry. Topics ``account.balance`` and ``user.balance``, key ``scope_id``: every one is kept.

    ``scope_id`` is the account's id, or for a total that of :func:`total_id`. Only booked entries count, also into
    ``entry_count``. What is available is that less the debits that are pending; None: as the balance. What was held for
    a booked entry counts as held until the entry, so that what is available before and after it is what it changed.
    """

    scope: Scope
    scope_id: str
    currency: Currency
    before_minor: Minor
    after_minor: Minor
    entry_count: int
    entry: EntrySummary
    available_before_minor: Minor | None = None
    available_after_minor: Minor | None = None


class Threshold(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A level to watch. After an alert it is armed again only once the balance is back by ``rearm_margin_minor``.

    No alert follows another within ``cooldown_s`` of event time. ``on_available``: what is available is watched, not
    the balance.
    """

    threshold_id: str
    direction: Direction
    level_minor: Minor
    rearm_margin_minor: Amount = 0
    cooldown_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    on_available: bool = False


class AccountThresholds(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """All thresholds on one account or total. Topic ``account.thresholds``, key ``scope_id``, compacted."""

    event_id: str
    scope: Scope
    scope_id: str
    currency: Currency
    thresholds: tuple[Threshold, ...]


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When not to disturb, in minutes after midnight in the user's time zone; may pass midnight."""

    from_minute: Annotated[int, msgspec.Meta(ge=0, lt=1440)]
    to_minute: Annotated[int, msgspec.Meta(ge=0, lt=1440)]


class UserProfile(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Who a user is and how to reach them. Topic ``user.profile``, key ``user_id``, compacted.

    A tombstone: the user was erased. ``email`` and ``name`` are personal: see :mod:`.personal`.
    """

    event_id: str
    email: str
    name: str
    locale: str = "en"
    timezone: str = "UTC"
    email_verified: bool = True
    quiet_hours: QuietHours | None = None
    digest: Digest = Digest.NONE


class UserKey(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The key of a user's personal data. Topic ``user.key``, key ``user_id``, compacted; a tombstone: erased."""

    event_id: str
    key: bytes


class UserClicked(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A user did something on a page. Topic ``user.clicked``, key ``user_id``."""

    event_id: str
    session_id: str
    page: str
    element: str


class SigningKey(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A public key that access tokens are checked with, as a JSON Web Key (RFC 7517). Topic ``auth.key``, key ``kid``.

    A tombstone: tokens signed with it are no longer good.
    """

    event_id: str
    kid: str
    jwk: dict[str, str]
    occurred_at: datetime
    recorded_at: datetime


class MailRequested(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A service wants a user to get an e-mail. Topic ``mail.requested``, key ``user_id``.

    ``email``, ``name`` and ``token`` (what proves that the mail arrived: part of its link) are personal.
    """

    event_id: str
    kind: MailKind
    email: str
    name: str
    locale: str = "en"
    timezone: str = "UTC"
    token: str | None = None
    expires_at: datetime | None = None


class AlertRaised(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A balance crossed a threshold. Topic ``alert.raised``, key ``user_id``.

    ``alert_id`` derives from threshold, scope and entry: however often the entry is processed, the alert is the same.
    ``before_minor`` and ``after_minor`` are of what the threshold watches: the balance, or what is available.
    ``account_name`` and ``account_number_last4`` are those of the account that it is about; a total has none.
    """

    alert_id: str
    scope: Scope
    scope_id: str
    currency: Currency
    threshold: Threshold
    before_minor: Minor
    after_minor: Minor
    entry: EntrySummary
    account_name: str | None = None
    account_number_last4: str | None = None


class AlertNotification(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An alert with its addressee. Topic ``alert.notification``, key ``user_id``."""

    alert: AlertRaised
    email: str
    name: str
    locale: str
    timezone: str

    @property
    def alert_id(self) -> str:
        """The alert's id."""
        return self.alert.alert_id


class EmailSent(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An alert's e-mail was accepted by the mail server. Topic ``email.sent``, key ``alert_id``.

    ``attempt`` counts from 1. ``sent_at - recorded_at`` is the time from the entry's record to the server's 250.
    """

    alert_id: str
    message_id: str
    attempt: int
    sent_at: datetime


def total_id(user_id: str, currency: Currency) -> str:
    """Names the total of a user's accounts in one currency."""
    return f"{user_id}:{currency.value}"
