"""Events as rows: each with its primary key."""

from typing import Any, TypeAlias

import msgspec

from streambank.bank.events import Account, Balance, CashFlowMonth, FxRate, NetWorthDay, RecurringFound, SpendingDay

Row: TypeAlias = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def net_worth_day(event: NetWorthDay) -> tuple[str, Row]:
    """A day's change of a total."""
    return event.figure_id, {
        **_figure(event),
        "day": event.day.isoformat(),
        "change_minor": event.change_minor,
    }


def cash_flow_month(event: CashFlowMonth) -> tuple[str, Row]:
    """A month's flow."""
    return event.figure_id, {
        **_figure(event),
        "month": event.month.isoformat(),
        "in_minor": event.in_minor,
        "out_minor": event.out_minor,
    }


def spending_day(event: SpendingDay) -> tuple[str, Row]:
    """A day's cost in a category."""
    return event.figure_id, {
        **_figure(event),
        "day": event.day.isoformat(),
        "category": event.category,
        "spent_minor": event.spent_minor,
    }


def account(event: Account) -> tuple[str, Row]:
    """An account, under who opened it or has inherited it."""
    return event.account_id, {
        "account_id": event.account_id,
        "user_id": event.user_id,
        "name": event.name,
        "kind": event.kind.value,
        "currency": event.currency.value,
        "is_closed": event.closed_at is not None,
    }


def balance(event: Balance) -> tuple[str, Row]:
    """An account's balance."""
    return event.scope_id, {
        "account_id": event.scope_id,
        "currency": event.currency.value,
        "booked_minor": event.after_minor,
        "changed_at": event.timestamp,
    }


def rate(event: FxRate) -> tuple[str, Row]:
    """A rate."""
    return event.rate_id, {
        "rate_id": event.rate_id,
        "base": event.base.value,
        "quote": event.quote.value,
        "day": event.day.isoformat(),
        "rate_e9": event.rate_e9,
    }


def recurring(event: RecurringFound) -> list[Row]:
    """What recurs in a group: a row for each payment."""
    return [
        {
            "recurring_id": payment.recurring_id,
            "group_id": event.group_id,
            "user_id": event.user_id,
            "account_id": event.account_id,
            "counterparty": event.counterparty,
            "credit_debit": event.credit_debit.value,
            "currency": event.currency.value,
            "next_on": payment.next_on.isoformat(),
            "payment": _encode(payment),
        }
        for payment in event.payments
    ]


def _figure(event: NetWorthDay | CashFlowMonth | SpendingDay) -> Row:
    return {"figure_id": event.figure_id, "user_id": event.user_id, "currency": event.currency.value}
