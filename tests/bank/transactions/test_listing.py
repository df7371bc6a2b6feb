"""Finding entries: by words, by what they are, page by page."""

from datetime import date
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from tests.bank.transactions.support import Bench, caller

from streambank.bank.events import Role
from streambank.bank.transactions.categories import default_id
from streambank.bank.transactions.folding import fold
from streambank.bank.transactions.listing import Wanted
from streambank.bank.transactions.schemas import MemberBody, TransactionView
from streambank.bank.transactions.words import WORDS_MAX, words_of
from streambank.service.http.problems import Problem


def found(bench: Bench, user: str = "ada", limit: int = 50, **wanted: Any) -> list[int]:
    """The amounts of what is found."""
    items, _ = bench.look(lambda c: bench.service.list_transactions(c, caller(user), Wanted(**wanted), None, limit))
    return [item.amount.amount_minor for item in items]


@pytest.fixture
def ledger(bench: Bench) -> Bench:
    """Entries whose amounts name them."""
    first = bench.open(overdraft_limit_minor=None)
    second = bench.open(overdraft_limit_minor=None)
    food, groceries = default_id("ada", "Food"), default_id("ada", "Groceries")
    bench.post(first, 1, counterparty="Café Slavia", booking_date="2026-10-01", tags=["treat"])
    bench.post(second, -2, counterparty="Tesco", remittance="Card payment", category_id=groceries)
    bench.post(first, 3, counterparty="TESCO Praha", booking_date="2026-10-15", category_id=food)
    bench.post(second, 4, remittance="tesco-refund 4711", tags=["treat", "back"], booking_date="2026-10-31")
    bench.post(first, -5, counterparty="Shell", notes="with the café", status="PDNG")
    parted = bench.post(first, 6, counterparty="Mall")
    bench.edit(parted.id, splits=[{"amount_minor": 2}, {"amount_minor": 4, "category_id": groceries}])
    bench.void(bench.post(first, -7, counterparty="Tesco voided", status="PDNG").id)
    bench.post(bench.open("bob"), 8, "bob", counterparty="Tesco")
    return bench


FINDING: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 5, 4, 3, 2, 1]),
    ({"state": "all"}, [7, 7, 6, 5, 4, 3, 2, 1]),
    ({"state": "booked"}, [6, 4, 3, 2, 1]),
    ({"state": "pending"}, [5]),
    ({"words": "tesco"}, [4, 3, 2]),
    ({"words": "TESCO praha"}, [3]),
    ({"words": "cafe"}, [5, 1]),
    ({"words": "café", "state": "booked"}, [1]),
    ({"words": "4711"}, [4]),
    ({"words": "tes"}, []),
    ({"words": "voided"}, []),
    ({"words": "voided", "state": "all"}, [7, 7]),
    ({"words": 'tesco" OR "shell'}, []),
    ({"tag": "treat"}, [4, 1]),
    ({"tag": "treat", "words": "tesco"}, [4]),
    ({"category_id": default_id("ada", "Groceries")}, [6, 2]),
    ({"category_id": default_id("ada", "Food")}, [6, 3, 2]),
    ({"category_id": default_id("bob", "Food")}, []),
    ({"amount_min_minor": 3, "amount_max_minor": 5}, [5, 4, 3]),
    ({"from_date": date(2026, 10, 15), "to_date": date(2026, 10, 31)}, [4, 3]),
    ({"from_date": date(2026, 12, 1)}, []),
]


@pytest.mark.parametrize(("wanted", "amounts"), FINDING, ids=[str(n) for n in range(len(FINDING))])
def test_finding(ledger: Bench, wanted: dict[str, Any], amounts: list[int]) -> None:
    assert found(ledger, **wanted) == amounts


def test_one_account(ledger: Bench) -> None:
    [first, second] = [
        view.id
        for view in ledger.look(lambda c: ledger.service.list_accounts(c, caller())).body.items  # type: ignore[union-attr]
    ]
    assert found(ledger, account_id=first) == [6, 5, 3, 1]
    assert found(ledger, account_id=second, words="tesco") == [4, 2]
    for account in (first, "nothing"):
        with pytest.raises(Problem) as refused:
            found(ledger, "bob", account_id=account)
        assert refused.value.status == 404


def test_a_shared_account_is_searched_too(ledger: Bench) -> None:
    account = ledger.open(name="Shared")
    ledger.post(account, 9, counterparty="Tesco", category_id=default_id("ada", "Food"))
    viewer = MemberBody(role=Role.VIEWER)
    ledger.do(lambda c: ledger.service.set_member(c, caller(), account, "bob", viewer, None))
    assert found(ledger, "bob", words="tesco") == [9, 8]
    assert found(ledger, "bob") == [9, 8]
    assert found(ledger, "bob", category_id=default_id("ada", "Food")) == [9]


def page_of(bench: Bench, wanted: Wanted, cursor: str | None) -> tuple[list[TransactionView], str | None]:
    return bench.look(lambda c: bench.service.list_transactions(c, caller(), wanted, cursor, 2))


@pytest.mark.parametrize("wanted", [{}, {"words": "tesco"}, {"state": "all"}])
def test_pages(ledger: Bench, wanted: dict[str, Any]) -> None:
    whole = found(ledger, **wanted)
    paged: list[int] = []
    cursor: str | None = None
    while True:
        items, cursor = page_of(ledger, Wanted(**wanted), cursor)
        assert len(items) <= 2
        paged += [item.amount.amount_minor for item in items]
        if cursor is None:
            break
        # What is recorded meanwhile does not move the pages.
        ledger.post(ledger.open(), 10, counterparty="Tesco")
    assert paged == whole


def test_new_notes_are_found_and_old_ones_not(ledger: Bench) -> None:
    [entry] = ledger.look(lambda c: ledger.service.list_transactions(c, caller(), Wanted(words="shell"), None, 5))[0]
    ledger.edit(entry.id, notes="for the boat")
    assert found(ledger, words="boat") == [5]
    assert found(ledger, words="cafe") == [1]
    ledger.edit(entry.id, notes=None)
    assert found(ledger, words="boat") == []
    assert found(ledger, words="shell") == [5]


@pytest.mark.parametrize("words", ["", "  ", "...", "a b c d e f g h i"])
def test_words_that_are_none_or_too_many(bench: Bench, words: str) -> None:
    with pytest.raises(Problem) as refused:
        found(bench, words=words)
    assert refused.value.status == 422


def test_the_index_tells_nothing(ledger: Bench) -> None:
    if ledger.look(lambda c: c.dialect.name) != "sqlite":
        pytest.skip("PostgreSQL keeps the same hashes, in a table")
    with ledger.database.begin() as connection:
        connection.execute(text("CREATE VIRTUAL TABLE terms USING fts5vocab(entry_words, 'row')"))
        terms = connection.execute(text("SELECT term FROM terms")).scalars().all()
        connection.execute(text("DROP TABLE terms"))
    assert terms
    assert all(len(term) == 16 and int(term, 16) >= 0 for term in terms)


def test_tags(ledger: Bench) -> None:
    listed = ledger.look(lambda c: ledger.service.list_tags(c, caller())).body.items  # type: ignore[union-attr]
    assert [(view.tag, view.count) for view in listed] == [("back", 1), ("treat", 2)]


def test_export(ledger: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ledger.look(lambda c: ledger.service.export(c, caller(), None, 3))
    exported = list(page.items)
    while not page.is_last:
        ledger.post(ledger.open(), 11)
        page = ledger.look(partial(ledger.service.export, caller=caller(), before=page, limit=3))
        exported += page.items
    assert [item.amount.amount_minor for item in exported] == [1, 2, 3, 4, 5, 6, 7, 7]
    nothing = ledger.look(lambda c: ledger.service.export(c, caller("cleo"), None, 3))
    assert (nothing.items, nothing.is_last) == ([], True)


def test_words() -> None:
    assert fold("Příliš ŽLUŤOUČKÝ Straße İ") == "prilis zlutoucky strasse i"
    assert words_of(["Tesco-Praha, a.s.", None, "tesco 4711_x"]) == ["tesco", "praha", "a", "s", "4711", "x"]
    assert len(words_of([" ".join(map(str, range(200)))])) == WORDS_MAX
