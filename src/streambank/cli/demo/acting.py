"""What a person of the demo does at one moment, through the API: entries, payments, requests for money and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec
import structlog

from streambank.bank.client import ApiError, LineResult, NotLoggedInError
from streambank.bank.demo import Deed, Entry, Payment, Purpose
from streambank.bank.events import CreditDebit
from streambank.bank.payments import schemas as payments
from streambank.bank.transactions.entries import Money, NewEntry
from streambank.cli.demo.crew import check_stop
from streambank.cli.demo.customer import Customer
from streambank.clock import to_datetime

logger = structlog.get_logger(__name__)

REQUEST_LINES = 1_000
"""Entries in one request: less than a tenth of a second of the bank's work, since a stop waits for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for money that waits for its payer."""

    payment: Payment
    request_id: str


@dataclass(slots=True)
class Outcome:
    """What came of it: entries that were booked, payments that were taken on, what was refused, and what was asked for.

    ``has_left``: the person may not use the bank any more.
    """

    entries: int = 0
    payments: int = 0
    refused: list[Deed] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    has_left: bool = False


def act(customer: Customer, deeds: Sequence[Deed], asked: Sequence[Asked]) -> Outcome:
    """Do what a person does, one request after another: all entries in one, and each payment.

    Raises:
        ClientError: the bank cannot be reached, or fails.
    """
    outcome = Outcome()
    left: list[Deed] = [*deeds, *(one.payment for one in asked)]
    try:
        entries = [deed for deed in deeds if isinstance(deed, Entry)]
        for entry, result in record(customer, entries, threading.Event()):
            left.remove(entry)
            outcome.entries += result.status == "created"
            if is_refused(result):
                outcome.refused.append(entry)
        for deed in deeds:
            if isinstance(deed, Payment):
                _settle(customer, deed, None, outcome)
                left.remove(deed)
        for one in asked:
            _settle(customer, one.payment, one.request_id, outcome)
            left.remove(one.payment)
    except (ApiError, NotLoggedInError) as error:
        if isinstance(error, ApiError) and not _is_final(error):
            raise
        number = customer.person.number
        logger.warning("may not use the bank any more, and is left out", person=number, problem=str(error))
        outcome.has_left = True
        outcome.refused += left
    return outcome


def record(customer: Customer, entries: Iterable[Entry], stop: threading.Event) -> Iterator[tuple[Entry, LineResult]]:
    """Have entries booked: each with what became of it, a request after the other as they are taken.

    Raises:
        StoppedError: ``stop`` was set.
        ClientError: the bank refuses all of a request, or cannot be reached.
    """
    entries = iter(entries)
    while chunk := list(islice(_until(entries, stop), REQUEST_LINES)):
        lines = [_line(customer, entry) for entry in chunk]
        yield from zip(chunk, customer.client.transactions.record_all(lines), strict=True)


def _until(entries: Iterable[Entry], stop: threading.Event) -> Iterator[Entry]:
    for entry in entries:
        check_stop(stop)
        yield entry


def is_refused(result: LineResult) -> bool:
    """Whether the bank does not have the entry. One that it has with other words was booked by an earlier run."""
    return result.problem is not None and result.problem.as_error(0).slug != "external-id-taken"


def _settle(customer: Customer, payment: Payment, request_id: str | None, outcome: Outcome) -> None:
    """Pay, or ask for the money if one has to, or pay who asked. One that is refused is no more than that."""
    client, account_id = customer.client, customer.accounts[Purpose.CHECKING]
    amount = payments.Money(amount_minor=payment.amount_minor, currency=payment.payer.country.currency.value)
    try:
        if request_id is not None:
            client.payments.pay_request(request_id, payments.PayRequest(debtor_account_id=account_id))
        elif payment.is_asked:
            body = payments.NewRequest(payer=payment.payer.email, amount=amount, remittance=payment.what)
            outcome.asked.append(Asked(payment, client.payments.ask(body).value.id))
            return
        else:
            client.payments.pay(
                payments.NewTransfer(
                    debtor_account_id=account_id,
                    amount=amount,
                    payee=payment.payee.email,
                    remittance=payment.what,
                    end_to_end_id=payment.reference,
                )
            )
    except ApiError as error:
        if error.status not in (404, 409, 422):
            raise
        logger.info("a payment was refused", person=customer.person.number, problem=error.slug)
        outcome.refused.append(payment)
    else:
        outcome.payments += 1


def _is_final(error: ApiError) -> bool:
    """Whether it is this person who is refused, and not the bank that is busy or fails."""
    return 400 <= error.status < 500 and error.status not in (408, 429)


_encode = msgspec.json.Encoder().encode


def _line(customer: Customer, entry: Entry) -> bytes:
    plan = entry.plan
    return _encode(
        NewEntry(
            account_id=customer.accounts[plan.account.purpose],
            credit_debit=CreditDebit.CREDIT if plan.signed_minor >= 0 else CreditDebit.DEBIT,
            amount=Money(abs(plan.signed_minor), entry.person.country.currency),
            booking_date=entry.booking_date,
            origin=entry.origin,
            external_id=entry.reference,
            occurred_at=to_datetime(entry.at_ms),
            kind=plan.kind,
            counterparty=plan.counterparty,
            end_to_end_id=entry.reference,
            remittance=plan.remittance,
            category_id=customer.categories.get(plan.category),
        )
    )
