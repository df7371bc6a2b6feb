"""recurring payments: what comes again and again between an account and a counterparty.

balance.changed --booked, with a counterparty--> by user, account, counterparty and direction
                --the latest payments--> what recurs among them, where that has changed --> recurring.found

Sealed texts of one user are equal if the texts are, so that nothing has to be opened here.
"""

import msgspec

from streambank.bank.events import (
    RECURRING_FOUND,
    BalanceChanged,
    CreditDebit,
    RecurringFound,
    RecurringPayment,
)
from streambank.bank.recurrence import OCCURRENCES_MAX, Occurrence, find
from streambank.bank.spending import ADJUSTMENT, OPENING
from streambank.bank.topologies.entries import Dated
from streambank.ids import derived_id
from streambank.streams import KStream

TAKEN_BACK_MAX = 40
"""Reversals whose entry has not come yet: an account's entries come in order, so there are hardly any."""


class Pair(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is remembered of an account and a counterparty: the latest payments, and what recurs.

    ``news`` is what the last entry changed of that; None: nothing.
    """

    occurrences: tuple[Occurrence, ...] = ()
    taken_back: tuple[str, ...] = ()
    payments: tuple[RecurringPayment, ...] = ()
    news: RecurringFound | None = None


def add(entries: KStream[str, Dated]) -> KStream[str, RecurringFound]:
    """Add the view; its changes."""
    pairs = entries.filter(has_counterparty).group_by(group_of).aggregate(Pair, after, name="recurring-pair")
    news = pairs.to_stream().flat_map_values(news_of)
    news.to(RECURRING_FOUND)
    return news


def has_counterparty(_account_id: str, dated: Dated) -> bool:
    """Whether the entry is a payment to or from somebody who is named."""
    return dated.change.counterparty is not None and dated.change.kind not in (OPENING, ADJUSTMENT)


def group_of(_account_id: str, dated: Dated) -> str:
    """Names the pair, and which of the two pays: a reversal belongs to what it takes back."""
    change = dated.change
    direction = _direction(change).value
    return derived_id("recurring", change.user_id, change.account_id, direction, change.counterparty or "")


def after(group_id: str, dated: Dated, pair: Pair) -> Pair:
    """The pair after a further entry."""
    change = dated.change
    occurrences, taken_back = _with(pair, change, dated)
    payments = find(group_id, occurrences)
    news = None if payments == pair.payments else _found(group_id, change, payments)
    return Pair(occurrences, taken_back, payments, news)


def news_of(pair: Pair) -> tuple[RecurringFound, ...]:
    """What there is to tell after the last entry."""
    return () if pair.news is None else (pair.news,)


def _with(pair: Pair, change: BalanceChanged, dated: Dated) -> tuple[tuple[Occurrence, ...], tuple[str, ...]]:
    known = {one.entry_id: one for one in pair.occurrences}
    if (reversed_id := change.reverses_entry_id) is not None:
        if known.pop(reversed_id, None) is None:
            return pair.occurrences, (*pair.taken_back, reversed_id)[-TAKEN_BACK_MAX:]
    elif change.entry_id in pair.taken_back:
        return pair.occurrences, tuple(one for one in pair.taken_back if one != change.entry_id)
    else:
        known[change.entry_id] = Occurrence(dated.day, change.amount_minor, change.entry_id)
    latest = sorted(known.values(), key=lambda one: (one.day, one.entry_id))[-OCCURRENCES_MAX:]
    return tuple(latest), pair.taken_back


def _found(group_id: str, change: BalanceChanged, payments: tuple[RecurringPayment, ...]) -> RecurringFound:
    return RecurringFound(
        user_id=change.user_id,
        occurred_at=change.occurred_at,
        recorded_at=change.recorded_at,
        event_id=derived_id(group_id, change.entry_id),
        group_id=group_id,
        account_id=change.account_id,
        counterparty=change.counterparty or "",
        credit_debit=_direction(change),
        currency=change.currency,
        payments=payments,
    )


def _direction(change: BalanceChanged) -> CreditDebit:
    if change.reverses_entry_id is None:
        return change.credit_debit
    return CreditDebit.DEBIT if change.credit_debit is CreditDebit.CREDIT else CreditDebit.CREDIT
