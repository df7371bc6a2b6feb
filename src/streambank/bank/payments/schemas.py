"""What the API takes and gives. Money is minor units and a currency; what is not known here is refused."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from streambank.bank.events import RequestState, TransferState
from streambank.bank.events.money import INT64_MAX
from streambank.bank.payments.payees import ALIAS_CHARACTERS_MAX, PAYEE_CHARACTERS_MAX
from streambank.bank.payments.schedule import Every
from streambank.service.http.moments import Day, Moment

NO_NUL = r"^[^\x00]*$"
ID_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

REMITTANCE_CHARACTERS_MAX = 140
"""ISO 20022's line of unstructured remittance information."""

OCCURRENCES_MAX = 10_000

AmountMinor = Annotated[StrictInt, Field(gt=0, le=INT64_MAX)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
CurrencyCode = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Payee = Annotated[str, StringConstraints(min_length=3, max_length=PAYEE_CHARACTERS_MAX, pattern=NO_NUL)]
Remittance = Annotated[str, StringConstraints(min_length=1, max_length=REMITTANCE_CHARACTERS_MAX, pattern=NO_NUL)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=35, pattern=NO_NUL)]
DayOfMonth = Annotated[StrictInt, Field(ge=1, le=31)]
Count = Annotated[StrictInt, Field(ge=1, le=OCCURRENCES_MAX)]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Money(Body):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: AmountMinor
    currency: CurrencyCode


class NewTransfer(Body):
    """Whom to pay, from which account. Either ``payee``, an e-mail address or an alias, or an account of your own."""

    debtor_account_id: Id
    amount: Money
    payee: Payee | None = None
    creditor_account_id: Id | None = None
    remittance: Remittance | None = None
    end_to_end_id: Code | None = None


class RefundTransfer(Body):
    """Why a transfer is given back, for its payer to read."""

    remittance: Remittance | None = None


class MoneyView(BaseModel):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


class ReasonView(BaseModel):
    """Why it came to nothing: a code of ISO 20022's ExternalStatusReason1Code, and what it means."""

    code: str
    text: str


Direction = Literal["outgoing", "incoming", "own"]


class TransferView(BaseModel):
    """A transfer as one of its sides sees it. ``own``: between two accounts of yours.

    ``account_id`` and ``entry_id`` are yours; of another's side nothing is told but the name: ``counterparty`` is what
    the payer wrote until the payee is paid. ``refunded_by_id``: the transfer that gives it back, done or on its way.
    """

    id: str
    direction: Direction
    state: TransferState
    amount: MoneyView
    account_id: str | None
    other_account_id: str | None
    counterparty: str | None
    remittance: str | None
    end_to_end_id: str | None
    reason: ReasonView | None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime
    transaction_id: str | None
    entry_id: str | None
    refunds_id: str | None
    refunded_by_id: str | None
    standing_order_id: str | None
    request_id: str | None
    version: int


class NewOrder(Body):
    """A transfer that comes by itself, at the beginning of each of its days in your time zone.

    ``day``: the day of the month of monthly ones, that of ``starts_on`` by default; in a month without it, the last.
    It ends after the day ``until``, or after ``count`` times.
    """

    debtor_account_id: Id
    amount: Money
    payee: Payee | None = None
    creditor_account_id: Id | None = None
    remittance: Remittance | None = None
    every: Every
    starts_on: Day
    day: DayOfMonth | None = None
    until: Day | None = None
    count: Count | None = None


class ChangeOrder(Body):
    """What to change of a standing order from its next time on; what is left out stays, null takes away."""

    amount_minor: AmountMinor | None = None
    remittance: Remittance | None = None
    until: Day | None = None
    count: Count | None = None


class OrderView(BaseModel):
    """A standing order. ``next_on`` null: it has ended. ``made``: how many transfers it has made."""

    id: str
    debtor_account_id: str
    creditor_account_id: str | None
    payee: str | None
    amount: MoneyView
    remittance: str | None
    every: Every
    starts_on: date
    day: int | None
    until: date | None
    count: int | None
    made: int
    next_on: date | None
    created_at: datetime
    version: int


class NewRequest(Body):
    """Whom to ask for money: an e-mail address or an alias. Without ``expires_at`` it is open for two weeks."""

    payer: Payee
    amount: Money
    creditor_account_id: Id | None = None
    remittance: Remittance | None = None
    expires_at: Moment | None = None


class PayRequest(Body):
    """From which account a request is paid."""

    debtor_account_id: Id


class RequestView(BaseModel):
    """A request for money. ``direction``: you ask (``outgoing``), or are asked (``incoming``).

    ``counterparty``: whom you ask as you wrote it, or the name of who asks you. ``transfer_id``: what pays it, done or
    on its way; only its payer sees it before it is paid.
    """

    id: str
    direction: Literal["outgoing", "incoming"]
    state: RequestState
    amount: MoneyView
    counterparty: str | None
    remittance: str | None
    transfer_id: str | None
    created_at: datetime
    expires_at: datetime
    version: int


class AliasBody(Body):
    """A name that others may pay you by, such as ``ada`` or ``@ada``."""

    alias: Annotated[str, StringConstraints(min_length=3, max_length=ALIAS_CHARACTERS_MAX + 1, pattern=NO_NUL)]


class AliasView(BaseModel):
    """Your alias; null: none."""

    alias: str | None


class ReceivingBody(Body):
    """The account that you want to be paid to."""

    account_id: Id


class ReceivingView(BaseModel):
    """Where you are paid to in a currency. ``chosen``: by you; else it is the first checking account you opened.

    ``account_id`` null: nowhere, payments wait until there is an account.
    """

    currency: str
    account_id: str | None
    chosen: bool


class ReceivingList(BaseModel):
    """Where you are paid to, by currency."""

    items: list[ReceivingView]
