"""What the API takes and gives. Money is minor units and a currency; what is not known here is refused."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from streambank.bank.events import AccountKind, CreditDebit, EntryStatus, Origin, Role
from streambank.bank.events.money import INT64_MAX
from streambank.bank.transactions.entries import (
    COUNTERPARTY_CHARACTERS_MAX,
    NOTES_CHARACTERS_MAX,
    REMITTANCE_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
)
from streambank.bank.transactions.rules import CONDITIONS_MAX
from streambank.service.http.moments import Day, Moment

SPLITS_MAX = 50
"""Parts of one entry: a long receipt has as many lines."""

_EDGE = r"[^\s\x00\x1c-\x1f\x85\ufeff]"
TAG_PATTERN = rf"^{_EDGE}([^\x00]*{_EDGE})?$"
"""No blanks around it: what is one in JavaScript, Rust or Python, whose \\s are not the same."""

NO_NUL = r"^[^\x00]*$"
ID_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"

AmountMinor = Annotated[StrictInt, Field(gt=0, le=INT64_MAX)]
LimitMinor = Annotated[StrictInt, Field(ge=0, le=INT64_MAX)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_NUL)]
Party = Annotated[str, StringConstraints(min_length=1, max_length=COUNTERPARTY_CHARACTERS_MAX, pattern=NO_NUL)]
Remittance = Annotated[str, StringConstraints(min_length=1, max_length=REMITTANCE_CHARACTERS_MAX, pattern=NO_NUL)]
Notes = Annotated[str, StringConstraints(min_length=1, max_length=NOTES_CHARACTERS_MAX, pattern=NO_NUL)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=35, pattern=NO_NUL)]
TagText = Annotated[str, StringConstraints(min_length=1, max_length=TAG_CHARACTERS_MAX, pattern=TAG_PATTERN)]
Tags = Annotated[list[TagText], Field(max_length=TAGS_MAX)]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Money(Body):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: AmountMinor
    currency: CurrencyCode


class OpenAccount(Body):
    """An account to open. Without ``overdraft_limit`` it is 0, or none for kinds that are owed on."""

    name: Name
    currency: CurrencyCode
    kind: AccountKind = AccountKind.CHECKING
    number_last4: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4}$")] | None = None
    overdraft_limit_minor: LimitMinor | None = None


class ChangeAccount(Body):
    """What to change of an account. ``overdraft_limit_minor`` null: no limit, nothing is refused."""

    name: Name | None = None
    number_last4: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4}$")] | None = None
    overdraft_limit_minor: LimitMinor | None = None


class BalanceView(BaseModel):
    """An account's balance. ``available_minor`` = booked - pending debits + overdraft limit (nothing without one)."""

    account_id: str
    currency: str
    booked_minor: int
    pending_debits_minor: int
    pending_credits_minor: int
    available_minor: int
    last_seq: int


class AccountView(BaseModel):
    """An account as one of its members sees it."""

    id: str
    name: str
    kind: AccountKind
    currency: str
    number_last4: str | None
    overdraft_limit_minor: int | None
    role: Role
    opened_at: datetime
    closed_at: datetime | None
    balance: BalanceView
    version: int


class AccountList(BaseModel):
    """A user's accounts, in the order in which they were opened."""

    items: list[AccountView]


class MemberBody(Body):
    """What a member may do."""

    role: Role


class MemberView(BaseModel):
    """Somebody who may use or see an account. ``opened_it``: who cannot be removed."""

    user_id: str
    role: Role
    since: datetime
    opened_it: bool


class MemberList(BaseModel):
    """An account's members."""

    items: list[MemberView]


class NewTransaction(Body):
    """An entry to record. ``force``: it is a fact, the overdraft limit does not hold it up."""

    account_id: Id
    credit_debit: CreditDebit
    amount: Money
    booking_date: Day | None = None
    status: EntryStatus = EntryStatus.BOOKED
    external_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_NUL)] | None = None
    value_date: Day | None = None
    occurred_at: Moment | None = None
    expires_at: Moment | None = None
    kind: Code | None = None
    counterparty: Party | None = None
    counterparty_account: Party | None = None
    end_to_end_id: Code | None = None
    remittance: Remittance | None = None
    notes: Notes | None = None
    category_id: Id | None = None
    tags: Tags = []
    force: StrictBool = False


class SplitBody(Body):
    """A part of an entry, with the entry's sign."""

    amount_minor: AmountMinor
    category_id: Id | None = None
    note: Party | None = None


class ChangeTransaction(Body):
    """What to change beside an entry; what is left out stays, null takes away."""

    notes: Notes | None = None
    category_id: Id | None = None
    tags: Tags | None = None
    splits: Annotated[list[SplitBody], Field(max_length=SPLITS_MAX)] | None = None


class BookTransaction(Body):
    """How a pending entry was booked. Without an amount: as it was expected."""

    amount_minor: AmountMinor | None = None
    booking_date: Day | None = None
    force: StrictBool = False


class ReverseTransaction(Body):
    """Why an entry is taken back, for its notes."""

    notes: Notes | None = None
    force: StrictBool = False


class MoneyView(BaseModel):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


class SplitView(BaseModel):
    """A part of an entry."""

    amount_minor: int
    category_id: str | None
    note: str | None


EntryState = Literal["booked", "pending", "ended"]


class TransactionView(BaseModel):
    """An entry. ``ended``: a pending entry that was booked, voided or has expired, or the entry that ended it."""

    id: str
    transaction_id: str
    account_id: str
    account_seq: int
    state: EntryState
    credit_debit: CreditDebit
    amount: MoneyView
    booking_date: date
    value_date: date | None
    occurred_at: datetime
    recorded_at: datetime
    expires_at: datetime | None
    origin: Origin
    kind: str | None
    counterparty: str | None
    counterparty_account: str | None
    end_to_end_id: str | None
    remittance: str | None
    notes: str | None
    category_id: str | None
    tags: Sequence[str]
    splits: list[SplitView]
    reverses_id: str | None
    reversed_by_id: str | None
    version: int


class Statement(BaseModel):
    """An account's booked entries of a period by booking date, and the balances before and after it."""

    account_id: str
    currency: str
    from_date: date
    to_date: date
    opening_minor: int
    closing_minor: int
    credits_minor: int
    debits_minor: int
    entry_count: int
    items: list[TransactionView]
    next: str | None


class CategoryBody(Body):
    """A category; ``parent_id`` puts it under another one."""

    name: Name
    parent_id: Id | None = None


class CategoryView(BaseModel):
    """A category."""

    id: str
    name: str
    parent_id: str | None
    version: int


class CategoryList(BaseModel):
    """All categories of a user."""

    items: list[CategoryView]


class TagView(BaseModel):
    """A tag, and how many entries have it."""

    tag: str
    count: int


class TagList(BaseModel):
    """All tags in use."""

    items: list[TagView]


class TextConditionBody(Body):
    """Whether a text contains, or is, another; case and accents do not count."""

    field: Literal["counterparty", "remittance", "any"]
    op: Literal["contains", "equals"]
    value: Party


class RuleBody(Body):
    """If all conditions hold, the category is set and the tags are added. ``position``: rules run in this order."""

    name: Name
    position: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 0
    enabled: StrictBool = True
    texts: Annotated[list[TextConditionBody], Field(max_length=CONDITIONS_MAX)] = []
    account_ids: Annotated[list[Id], Field(max_length=CONDITIONS_MAX)] = []
    credit_debit: CreditDebit | None = None
    amount_min_minor: LimitMinor | None = None
    amount_max_minor: LimitMinor | None = None
    category_id: Id | None = None
    tags: Tags = []
    stop: StrictBool = False


class RuleView(RuleBody):
    """A rule."""

    id: str
    version: int


class RuleList(BaseModel):
    """A user's rules in their order."""

    items: list[RuleView]


class RuleChange(BaseModel):
    """An entry that a rule would change, and to what."""

    transaction: TransactionView
    category_id: str | None
    tags: Sequence[str]


class RulePreview(BaseModel):
    """What a rule would change in the past. ``complete``: all entries were looked at, not only the latest."""

    scanned: int
    matched: int
    would_change: int
    complete: bool
    examples: list[RuleChange]


class ApplyRule(Body):
    """Where to go on: ``next`` of the step before."""

    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None


class RuleApplied(BaseModel):
    """One step of applying a rule to the past; the next one goes on from ``next``, until it is null."""

    scanned: int
    changed: int
    next: str | None


class ImportView(BaseModel):
    """A file that was read in. ``differing``: lines with a known identity that tell something else; not booked.

    After it was undone: how many entries were ``reversed``, and how many were ``kept`` since they had been corrected.
    """

    id: str
    account_id: str
    created_at: datetime
    undone_at: datetime | None
    booked: int
    duplicates: int
    differing: int
    reversed: int
    kept: int
    version: int
