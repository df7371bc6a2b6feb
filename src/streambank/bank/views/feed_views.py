"""Items of the feed as their reader sees them: one shape for each kind, personal texts opened."""

from typing import Any

import msgspec

from streambank.bank.events import USER_FEED, AlertRaised, Balance, FeedItem, RecurringFound, TransferChanged
from streambank.bank.views.people import Reader
from streambank.bank.views.schemas import FeedKind

_encode = msgspec.json.Encoder().encode


def shown(value: bytes, reader: Reader) -> tuple[FeedKind, bytes]:
    """An item's kind, and what there is to say of it as JSON."""
    item = USER_FEED.value.deserialize(value)
    kind, told = _shown(item, reader)
    at = {"occurred_at": item.occurred_at, "recorded_at": item.recorded_at}
    return kind, _encode({**told, **at})


def _shown(item: FeedItem, reader: Reader) -> tuple[FeedKind, dict[str, Any]]:
    if item.balance is not None:
        return "balance", _balance(item.balance, reader)
    if item.alert is not None:
        return "alert", _alert(item.alert, reader)
    if item.goal is not None:
        return "goal", _plain(item.goal)
    if item.mark is not None:
        entry = item.mark.entry
        told = {**_plain(item.mark), "name": reader.opened(item.mark.name)}
        return "mark", {**told, "entry": {"entry_id": entry.entry_id, "signed_minor": entry.signed_minor}}
    if item.transfer is not None:
        return "transfer", _transfer(item.transfer, reader)
    if item.net_worth is not None:
        return "net-worth", _plain(item.net_worth)
    if item.cash_flow is not None:
        return "cash-flow", {**_plain(item.cash_flow), "month": f"{item.cash_flow.month:%Y-%m}"}
    if item.spending is not None:
        told = _plain(item.spending)
        return "spending", {**told, "category_id": told.pop("category", None)}
    if item.recurring is not None:
        return "recurring", _recurring(item.recurring, reader)
    raise ValueError("an item of the feed with nothing in it")


_HIDDEN = {"event_id", "figure_id", "user_id", "occurred_at", "recorded_at"}


def _plain(event: msgspec.Struct) -> dict[str, Any]:
    """The fields of an event that tell something."""
    fields = msgspec.structs.asdict(event)
    return {name: value for name, value in fields.items() if name not in _HIDDEN}


def _balance(balance: Balance, reader: Reader) -> dict[str, Any]:
    entry = balance.entry
    available = balance.available_after_minor
    return {
        "scope": balance.scope,
        "account_id": entry.account_id,
        "currency": balance.currency,
        "balance_minor": balance.after_minor,
        "available_minor": balance.after_minor if available is None else available,
        "entry": {
            "entry_id": entry.entry_id,
            "signed_minor": entry.signed_minor,
            "counterparty": reader.opened(entry.counterparty),
            "remittance": reader.opened(entry.remittance),
            "kind": entry.kind,
        },
    }


def _alert(alert: AlertRaised, reader: Reader) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "scope": alert.scope,
        "account_id": alert.entry.account_id,
        "account_name": reader.opened(alert.account_name),
        "currency": alert.currency,
        "direction": alert.threshold.direction,
        "level_minor": alert.threshold.level_minor,
        "before_minor": alert.before_minor,
        "after_minor": alert.after_minor,
        "entry_id": alert.entry.entry_id,
    }


def _transfer(transfer: TransferChanged, reader: Reader) -> dict[str, Any]:
    """From the reader's side: the other side's account, and texts for the other side, are not theirs to see."""
    is_payer = transfer.debtor.user_id == reader.user_id
    mine = transfer.debtor if is_payer else transfer.creditor
    return {
        "transfer_id": transfer.transfer_id,
        "state": transfer.state,
        "direction": "out" if is_payer else "in",
        "account_id": mine.account_id,
        "other_name": reader.opened(mine.other_name),
        "remittance": reader.opened(mine.remittance),
        "amount_minor": transfer.amount_minor,
        "currency": transfer.currency,
        "reason": transfer.reason,
        "end_to_end_id": transfer.end_to_end_id,
        "expires_at": transfer.expires_at,
        "refunds_transfer_id": transfer.refunds_transfer_id,
    }


def _recurring(found: RecurringFound, reader: Reader) -> dict[str, Any]:
    return {
        "group_id": found.group_id,
        "account_id": found.account_id,
        "counterparty": reader.opened(found.counterparty),
        "credit_debit": found.credit_debit,
        "currency": found.currency,
        "payments": found.payments,
    }
