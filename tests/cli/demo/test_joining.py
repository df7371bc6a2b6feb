"""Where somebody stands, read from their newest entries."""

from datetime import UTC, date, datetime

import pytest

from streambank.bank.demo import Place, Purpose
from streambank.bank.events import CreditDebit, Origin
from streambank.bank.transactions.schemas import MoneyView, TransactionView
from streambank.cli.demo.joining import ENTRIES_LOOKED_AT, place_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = date(2026, 3, 1)
PURPOSES = {"a": Purpose.CHECKING, "b": Purpose.SAVINGS}
BALANCES = {Purpose.CHECKING: 5, Purpose.SAVINGS: 7}


def entry(account_id: str, reference: str | None) -> TransactionView:
    return TransactionView(
        id="e", transaction_id="t", account_id=account_id, account_seq=1, state="booked",
        credit_debit=CreditDebit.DEBIT, amount=MoneyView(amount_minor=1, currency="EUR"), booking_date=END,
        value_date=None, occurred_at=NOW, recorded_at=NOW, expires_at=None, origin=Origin.LIVE, kind=None,
        counterparty=None, counterparty_account=None, end_to_end_id=reference, remittance=None, notes=None,
        category_id=None, tags=[], splits=[], reverses_id=None, reversed_by_id=None, version=1,
    )  # fmt: skip


CHECKING, SAVINGS = Purpose.CHECKING, Purpose.SAVINGS


@pytest.mark.parametrize(
    ("newest_first", "day", "done"),
    [
        # Only the history: it may have to be completed first.
        ([], None, []),
        ([("a", "2026-02-28/rent"), ("a", "2026-02-27/cash")], None, []),
        # The first live day, and a later one.
        ([("a", "2026-03-01/rent"), ("a", "2026-02-28/cash")], date(2026, 3, 1), [(CHECKING, "2026-03-01/rent")]),
        (
            [("b", "2026-04-02/saving-in"), ("a", "2026-04-02/saving-out"), ("a", "2026-04-01/cash")],
            date(2026, 4, 2),
            [(SAVINGS, "2026-04-02/saving-in"), (CHECKING, "2026-04-02/saving-out")],
        ),
        # What was recorded by hand, or on another account, is none of the demo's.
        (
            [
                ("a", None),
                ("a", "a note"),
                ("a", "2026-99-99/x"),
                ("c", "2026-09-01/rent"),
                ("a", "2026-03-05/rent"),
                ("a", "2026-03-04/x"),
            ],
            date(2026, 3, 5),
            [(CHECKING, "2026-03-05/rent")],
        ),
    ],
)
def test_places(newest_first: list[tuple[str, str | None]], day: date | None, done: list[tuple[Purpose, str]]) -> None:
    entries = [entry(account_id, reference) for account_id, reference in newest_first]
    expected = Place({}) if day is None else Place(BALANCES, day, frozenset(done))
    assert place_of(BALANCES, PURPOSES, entries, END) == expected


def test_it_does_not_look_back_for_ever() -> None:
    taken = []

    def by_hand() -> object:
        while True:
            taken.append(1)
            yield entry("a", None)

    assert place_of(BALANCES, PURPOSES, by_hand(), END) == Place({})  # type: ignore[arg-type]
    assert len(taken) == ENTRIES_LOOKED_AT + 1
