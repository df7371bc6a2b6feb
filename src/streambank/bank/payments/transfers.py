"""Transfers as people ask for them: made, listed, cancelled and refunded."""

from collections.abc import Sequence
from dataclasses import dataclass

from iso4217 import Currency
from sqlalchemy import Connection

from streambank.bank.events import MoneyError, TransferState, parse_currency
from streambank.bank.payments import accounts, limits, people, repository, states
from streambank.bank.payments.events import Sides, payee_name
from streambank.bank.payments.payees import PayeeError, parse_handle
from streambank.bank.payments.people import Person
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.saga import Saga
from streambank.bank.payments.schedule import begins_ms
from streambank.bank.payments.schemas import (
    Direction,
    Money,
    MoneyView,
    NewOrder,
    NewTransfer,
    ReasonView,
    TransferView,
)
from streambank.bank.payments.states import STATES, Happening, Step
from streambank.bank.reasons import Reason, text_of
from streambank.clock import to_datetime
from streambank.service.http.problems import conflict, forbidden, not_found, unprocessable


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom a transfer is for.

    ``kind``: ``address``, ``alias``, ``own`` (an account of the payer's alone), ``shared`` (an account of the payer's
    that somebody else may pay from, too) or ``known``. ``key`` names them wherever they are counted; ``user_id`` is
    None for an address that nobody has yet.
    """

    kind: str
    text: str | None
    key: str
    user_id: str | None = None
    account_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A transfer that somebody wants, with everything about it checked but the limits."""

    transfer_id: str
    debtor_account_id: str
    payee: Payee
    amount_minor: int
    currency: Currency
    remittance: str | None = None
    end_to_end_id: str | None = None
    refunds_id: str | None = None
    order_id: str | None = None
    request_id: str | None = None

    @property
    def is_limited(self) -> bool:
        """Whether it is screened and counts: what stays with the payer, or goes back, is neither."""
        return self.payee.kind != "own" and self.refunds_id is None


def currency_of(amount: Money) -> Currency:
    """The currency of an amount. Raises a problem about it."""
    try:
        return parse_currency(amount.currency)
    except MoneyError as error:
        raise unprocessable("/amount/currency", str(error)) from None


def find_payee(connection: Connection, user_id: str, text: str, pointer: str = "/payee") -> Payee:
    """Whom a user means by an address or an alias.

    That an address has an account is not told; that an alias does not exist is, since it is made to be given out.
    """
    try:
        handle = parse_handle(text)
    except PayeeError as error:
        raise unprocessable(pointer, str(error)) from None
    found = people.find(connection, handle)
    if found is None and handle.kind == "alias":
        raise unprocessable(pointer, "nobody has this alias", "unknown-payee")
    if found == user_id:
        raise unprocessable(pointer, "that is yourself: name the account of yours that is to receive instead")
    # An alias may be changed as often as one likes: what counts is whose it is.
    key = found if handle.kind == "alias" and found is not None else handle.key
    return Payee(handle.kind, handle.text, key, found)


def payee_of(connection: Connection, saga: Saga, user_id: str, body: NewTransfer | NewOrder) -> Payee:
    """The payee of a request's body: either another person, or another account of the caller's."""
    account_id = body.creditor_account_id
    if (body.payee is None) == (account_id is None):
        raise unprocessable("/payee", "either payee or creditor_account_id says where it goes, and not both")
    if account_id is None:
        return find_payee(connection, user_id, str(body.payee))
    accounts.owned(connection, user_id, account_id, body.amount.currency, "/creditor_account_id", saga.clock())
    if account_id == body.debtor_account_id:
        raise unprocessable("/creditor_account_id", "the account that pays cannot be paid")
    return account_payee(connection, user_id, account_id)


def account_payee(connection: Connection, user_id: str, account_id: str) -> Payee:
    """An account of the payer's. One that others may pay from is as limited as they are, and its opener is paid."""
    opener_id, owners = accounts.owners(connection, account_id)
    if owners == {user_id}:
        return Payee("own", None, user_id, user_id, account_id)
    # To who is no owner any more the ledger says no.
    return Payee("shared", None, account_id, opener_id if user_id in owners else user_id, account_id)


def create(connection: Connection, saga: Saga, user_id: str, body: NewTransfer) -> AnyRow:
    """Make a transfer that a person asks for. A limit that it would pass refuses it."""
    payer = people.caller(connection, user_id)
    currency = currency_of(body.amount)
    accounts.owned(connection, user_id, body.debtor_account_id, currency.value, "/amount/currency", saga.clock())
    wish = Wish(
        transfer_id=saga.new_id(),
        debtor_account_id=body.debtor_account_id,
        payee=payee_of(connection, saga, user_id, body),
        amount_minor=body.amount.amount_minor,
        currency=currency,
        remittance=body.remittance,
        end_to_end_id=body.end_to_end_id,
    )
    return start(connection, saga, payer, wish)


def start(connection: Connection, saga: Saga, payer: Person, wish: Wish) -> AnyRow:
    """Start a transfer within its payer's limits. Nobody else starts one before this transaction ends.

    Raises:
        Problem: 422, ``limit-exceeded``, with the name of the limit.
    """
    over, is_new = check_limits(connection, saga, payer, wish)
    if over is not None:
        raise unprocessable("/amount/amount_minor", f"{over.limit} limit: {over.detail}", "limit-exceeded")
    return begin(connection, saga, payer, wish, is_new_payee=is_new)


def check_limits(connection: Connection, saga: Saga, payer: Person, wish: Wish) -> tuple[limits.Exceeded | None, bool]:
    """The limit that the transfer would pass, if there is one; and whether its payee is new."""
    if not wish.is_limited:
        return None, False
    now_ms, currency = saga.clock(), wish.currency
    limit = payer.limit(currency, saga.settings)
    day_start_ms = begins_ms(to_datetime(now_ms).astimezone(payer.timezone).date(), payer.timezone)
    from_ms = limits.counts_from_ms(day_start_ms, payer.zone_changed_ms, now_ms)
    used = repository.used(connection, payer.user_id, currency.value, from_ms, wish.payee.key)
    return limits.exceeded(limit, wish.amount_minor, used, now_ms), limits.is_new_payee(limit, used, now_ms)


def begin(
    connection: Connection,
    saga: Saga,
    payer: Person,
    wish: Wish,
    *,
    is_new_payee: bool = False,
    rejected: Reason | None = None,
) -> AnyRow:
    """Put a transfer on record and ask the first question, or none where it is rejected from the start."""
    screens = saga.settings.screening == "topic" and wish.is_limited
    step = Step.REJECTED if rejected is not None else Step.SCREENING if screens else Step.RESERVING
    payee = wish.payee
    values: dict[str, object] = {
        "transfer_id": wish.transfer_id,
        "step": step.value,
        "debtor_user_id": payer.user_id,
        "debtor_account_id": wish.debtor_account_id,
        "creditor_user_id": payee.user_id,
        "creditor_account_id": payee.account_id,
        "payee_kind": payee.kind,
        "payee_text": payee.text,
        "payee_key": payee.key,
        "amount_minor": wish.amount_minor,
        "currency": wish.currency.value,
        "remittance": wish.remittance,
        "end_to_end_id": wish.end_to_end_id,
        "limited": wish.is_limited,
        "is_new_payee": is_new_payee,
        "reason": None if rejected is None else rejected.value,
        "refunds_id": wish.refunds_id,
        "order_id": wish.order_id,
        "request_id": wish.request_id,
    }
    return saga.begin(connection, values)


def one(connection: Connection, user_id: str, transfer_id: str) -> AnyRow:
    """A transfer that the user may see. Raises a problem for any other."""
    row = repository.transfer(connection, transfer_id)
    if row is None or not (
        row.debtor_user_id == user_id or (row.creditor_user_id == user_id and row.reserved_at is not None)
    ):
        raise not_found("transfer")
    return row


def cancel(connection: Connection, saga: Saga, user_id: str, transfer_id: str) -> AnyRow:
    """Take a transfer back, as long as the ledger was not asked to post it."""
    row = one(connection, user_id, transfer_id)
    if row.debtor_user_id != user_id:
        raise forbidden("only who pays can cancel: refund what you have got")
    if states.move(Step(row.step), Happening.CANCELLED) is None:
        state = STATES[Step(row.step)].value
        raise conflict("transfer-not-cancellable", f"the transfer is {state}: it cannot be cancelled any more")
    return saga.advance(connection, row, Happening.CANCELLED)


def refund(connection: Connection, saga: Saga, user_id: str, transfer_id: str, remittance: str | None) -> AnyRow:
    """Give back all of a transfer that was got, by another from the account that got it. Once."""
    payer = people.caller(connection, user_id)
    row = one(connection, user_id, transfer_id)
    if row.creditor_user_id != user_id or row.debtor_user_id == user_id:
        raise forbidden("only who was paid by another can refund")
    if row.refunds_id is not None:
        raise conflict("transfer-is-refund", "a refund is not refunded: pay anew")
    if row.refunded_by_id is not None:
        raise conflict("already-refunded", f"the transfer is refunded by {row.refunded_by_id}")
    if row.step != Step.POSTED.value:
        raise conflict(
            "transfer-not-posted", f"the transfer is {STATES[Step(row.step)].value}: there is nothing to refund"
        )
    debtor = people.known(connection, row.debtor_user_id)
    if debtor is None:
        raise conflict("payer-gone", "the payer has left the bank")
    # Back to where it came from, or else to where the payer is paid to.
    is_there = accounts.is_payable(connection, row.debtor_user_id, row.debtor_account_id)
    back_to = row.debtor_account_id if is_there else None
    wish = Wish(
        transfer_id=saga.new_id(),
        debtor_account_id=row.creditor_account_id,
        payee=Payee("known", debtor.name, row.debtor_user_id, row.debtor_user_id, back_to),
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        remittance=remittance,
        end_to_end_id=row.end_to_end_id,
        refunds_id=row.transfer_id,
    )
    repository.change(connection, row, {"refunded_by_id": wish.transfer_id})
    return begin(connection, saga, payer, wish)


def steps_of(state: TransferState | None) -> list[str] | None:
    """The steps that are a state; None for all."""
    return None if state is None else [step.value for step, of in STATES.items() if of is state]


def view(connection: Connection, row: AnyRow, user_id: str) -> TransferView:
    """A transfer as one of its sides sees it."""
    return views(connection, [row], user_id)[0]


def views(connection: Connection, rows: Sequence[AnyRow], user_id: str) -> list[TransferView]:
    """Transfers as one of their sides sees them."""
    folk = people.known_among(connection, (one for row in rows for one in (row.debtor_user_id, row.creditor_user_id)))
    return [_view(row, user_id, Sides(folk.get(row.debtor_user_id), folk.get(row.creditor_user_id))) for row in rows]


def _view(row: AnyRow, user_id: str, sides: Sides) -> TransferView:
    pays = row.debtor_user_id == user_id
    direction: Direction = "own" if row.debtor_user_id == row.creditor_user_id else "outgoing" if pays else "incoming"
    payer_name = None if sides.debtor is None else sides.debtor.name
    return TransferView(
        id=row.transfer_id,
        direction=direction,
        state=STATES[Step(row.step)],
        amount=MoneyView(amount_minor=row.amount_minor, currency=row.currency),
        account_id=row.debtor_account_id if pays else row.creditor_account_id,
        other_account_id=row.creditor_account_id if pays and row.payee_kind in ("own", "shared") else None,
        counterparty=payee_name(row, sides.creditor) if pays else payer_name,
        remittance=row.remittance,
        end_to_end_id=row.end_to_end_id,
        reason=None if row.reason is None else ReasonView(code=row.reason, text=text_of(row.reason)),
        created_at=to_datetime(row.created_at),
        changed_at=to_datetime(row.changed_at),
        expires_at=to_datetime(row.expires_at),
        transaction_id=row.transaction_id,
        entry_id=row.debtor_entry_id if pays else row.creditor_entry_id,
        refunds_id=row.refunds_id,
        refunded_by_id=row.refunded_by_id,
        standing_order_id=row.order_id if pays else None,
        request_id=row.request_id,
        version=row.version,
    )
