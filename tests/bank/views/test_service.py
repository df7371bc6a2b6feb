"""The service as a whole: what the topologies find is shown to whom it belongs, and to nobody else."""

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.bank.transactions.support import NOON_MS, records
from tests.bank.views.support import EUR, JPY, TODAY, USD, Bench, caller, categorised, entry

from streambank.bank.events import (
    ACCOUNT,
    BALANCE_CHANGED,
    CASH_FLOW_MONTH,
    NET_WORTH_DAY,
    RECURRING_FOUND,
    SPENDING_DAY,
    CreditDebit,
)
from streambank.bank.views.schemas import Every
from streambank.service.http.cursors import encode_cursor
from streambank.service.http.problems import Problem

ADA, BOB = caller("ada"), caller("bob")


def worth(bench: Bench, first: date, last: date, *, every: Every = Every.DAY, currency: object = None) -> object:
    return bench.body(lambda c: bench.service.net_worth(c, ADA, currency, first, last, every))  # type: ignore[arg-type]


def test_balances_are_those_of_accounts_that_are_yours(bench: Bench) -> None:
    bench.open("giro")
    bench.open("empty")
    bench.open("bobs", "bob")
    bench.book(1_000)
    bench.book(-300)
    bench.book(77, account_id="bobs", user_id="bob")
    body = bench.body(lambda c: bench.service.balances(c, ADA, None))
    assert [(one.account_id, one.name, one.balance_minor) for one in body.accounts] == [
        ("empty", "ada's empty", 0),
        ("giro", "ada's giro", 700),
    ]
    assert [(one.currency, one.amount_minor) for one in body.totals] == [("EUR", 700)]
    assert body.total is None


def test_a_total_in_another_currency_says_what_is_missing_and_is_never_wrong(bench: Bench) -> None:
    bench.open("giro")
    bench.open("yen", currency=JPY)
    bench.book(1_000)
    bench.book(5_000, account_id="yen", currency=JPY)
    body = bench.body(lambda c: bench.service.balances(c, ADA, USD))
    assert (body.total.amount_minor, body.total.missing) == (None, ["EUR", "JPY"])
    bench.rate("EUR/USD", "1.10")
    body = bench.body(lambda c: bench.service.balances(c, ADA, USD))
    assert (body.total.amount_minor, body.total.missing) == (None, ["JPY"])
    bench.rate("EUR/JPY", "160")
    body = bench.body(lambda c: bench.service.balances(c, ADA, USD))
    # 11.00 + 5,000 / 160 * 1.10 = 11.00 + 34.375
    assert (body.total.amount_minor, body.total.missing) == (4_538, [])


def test_net_worth_follows_days_of_the_user_and_late_entries(bench: Bench) -> None:
    bench.know("ada", "America/New_York")
    bench.book(1_000, date(2026, 3, 1))
    bench.book(-100, datetime(2026, 3, 4, 2, 0, tzinfo=UTC))  # Still the 3rd in New York.
    bench.book(50, date(2026, 3, 2))
    body = worth(bench, date(2026, 3, 1), date(2026, 3, 4))
    [series] = body.currencies  # type: ignore[attr-defined]
    assert [point.amount_minor for point in series.points] == [1_000, 1_050, 950, 950]
    assert body.timezone == "America/New_York"  # type: ignore[attr-defined]


def test_net_worth_in_one_currency_uses_the_rates_of_each_day(bench: Bench) -> None:
    bench.book(100_00, date(2026, 3, 1))
    bench.book(100_00, date(2026, 3, 2), account_id="dollars", currency=USD)
    bench.rate("EUR/USD", "1.25", date(2026, 2, 27))
    bench.rate("EUR/USD", "1.00", date(2026, 3, 3))
    body = worth(bench, date(2026, 3, 1), date(2026, 3, 3), currency=EUR)
    assert [point.amount_minor for point in body.total.points] == [100_00, 180_00, 200_00]  # type: ignore[attr-defined]
    body = worth(bench, date(2026, 1, 1), date(2026, 3, 31), every=Every.MONTH)
    assert [str(point.day) for point in body.currencies[0].points] == [  # type: ignore[attr-defined]
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
    ]


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2026, 3, 2), date(2026, 3, 1)), (date(2020, 1, 1), TODAY), (date(1, 1, 1), date(9999, 12, 31))],
    ids=["backwards", "too many", "all of time"],
)
def test_a_range_has_to_make_sense(bench: Bench, first: date, last: date) -> None:
    with pytest.raises(Problem) as raised:
        worth(bench, first, last)
    assert (raised.value.status, raised.value.errors[0].location) == (422, "query")


def test_cash_flow_leaves_out_what_only_moves(bench: Bench) -> None:
    bench.book(5_000, date(2026, 10, 1), kind="OPENING")
    bench.book(3_000, date(2026, 10, 3))
    bench.book(-800, date(2026, 10, 4))
    bench.book(-500, date(2026, 10, 5), kind="INTERNAL_TRANSFER")
    bench.book(500, date(2026, 10, 5), kind="INTERNAL_TRANSFER", account_id="savings")
    bench.book(-100, date(2026, 11, 5))
    body = bench.body(lambda c: bench.service.cash_flow(c, ADA, None, date(2026, 9, 1), None))
    found = [(m.month, [(f.in_minor, f.out_minor, f.net_minor) for f in m.currencies]) for m in body.months]
    assert found == [("2026-09", []), ("2026-10", [(3_000, 800, 2_200)]), ("2026-11", [(0, 100, -100)])]


def test_a_reversal_takes_back_on_the_side_of_what_it_reverses(bench: Bench) -> None:
    wrong = bench.book(-800)
    bench.book(800, reverses_entry_id=wrong)
    body = bench.body(lambda c: bench.service.cash_flow(c, ADA, None, TODAY, None))
    assert [(f.in_minor, f.out_minor) for f in body.months[0].currencies] == [(0, 0)]
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, None))
    assert body.categories == []


def test_spending_beside_what_is_usual(bench: Bench) -> None:
    # Today is 24 November. Entries begin on 1 September: two full months.
    for day, minor in (
        (date(2026, 9, 1), -100),
        (date(2026, 10, 10), -200),
        (date(2026, 10, 30), -101),
        (date(2026, 11, 3), -50),
        (date(2026, 11, 4), 20),
        (TODAY + timedelta(1), -9_999),
    ):
        bench.book(minor, day, category="food")
    bench.book(3_000, date(2026, 11, 1))
    bench.book(-70, date(2026, 11, 2))
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, None))
    assert (body.month, body.until, body.usual_months) == ("2026-11", TODAY, 2)
    food, none = sorted(body.categories, key=lambda one: one.category_id or "~")
    # 401 / 2 = 200.5 is rounded to the even one.
    assert (food.spent_minor, food.usual_minor, food.month_before_minor) == (30, 200, 200)
    assert (none.category_id, none.spent_minor, none.usual_minor) == (None, 70, 0)
    assert [(one.spent_minor, one.usual_minor) for one in body.totals] == [(120, 200)]
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, date(2026, 10, 1)))
    assert (body.until, body.usual_months, body.categories[0].spent_minor) == (date(2026, 10, 31), 1, 301)


def test_spending_follows_another_choice_of_categories(bench: Bench) -> None:
    change = entry(1, -90, TODAY)
    bench.write(BALANCE_CHANGED, "giro", change)
    bench.categorise(categorised(change, {None: -90}, {"food": -60, "fun": -30}))
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, None))
    assert [(one.category_id, one.spent_minor) for one in body.categories] == [("food", 60), ("fun", 30)]


def test_income_in_a_category_lowers_no_total(bench: Bench) -> None:
    bench.book(-90, category="food")
    bench.book(3_000, category="wages")
    bench.book(500, category="wages", account_id="dollars", currency=USD)
    bench.book(20, category="food", kind="REFUND")
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, None))
    assert [(one.currency, one.category_id, one.spent_minor) for one in body.categories] == [
        ("EUR", "food", 70),
        ("EUR", "wages", -3_000),
        ("USD", "wages", -500),
    ]
    assert [(one.currency, one.spent_minor) for one in body.totals] == [("EUR", 70), ("USD", 0)]


def test_what_recurs_is_found_named_and_paged(bench: Bench) -> None:
    for month in (8, 9, 10, 11):
        bench.book(-9_99, date(2026, month, 3), counterparty="Streamflix", settled=False)
        bench.book(3_000_00, date(2026, month, 1), counterparty="Riverbank Mills", settled=False)
    bench.settle()
    items, following = bench.look(lambda c: bench.service.recurring(c, ADA, None, 1))
    assert following is not None
    more, end = bench.look(lambda c: bench.service.recurring(c, ADA, following, 1))
    assert end is None
    found = [(one.counterparty, one.credit_debit, str(one.next_on), one.status) for one in (*items, *more)]
    assert found == [
        ("Riverbank Mills", CreditDebit.CREDIT, "2026-12-01", "active"),
        ("Streamflix", CreditDebit.DEBIT, "2026-12-03", "active"),
    ]
    assert bench.look(lambda c: bench.service.recurring(c, BOB, None, 50)) == ([], None)
    bench.clock.now_ms += 40 * 86_400_000
    assert bench.look(lambda c: bench.service.recurring(c, ADA, None, 1))[0][0].status == "missed"
    bench.clock.now_ms += 40 * 86_400_000
    assert bench.look(lambda c: bench.service.recurring(c, ADA, None, 1))[0][0].status == "ended"


def test_rates_are_those_of_the_day(bench: Bench) -> None:
    bench.rate("EUR/USD", "1.10", date(2026, 3, 1))
    bench.rate("EUR/USD", "1.20", date(2026, 3, 5))
    bench.rate("EUR/JPY", "160", date(2026, 3, 2))
    body = bench.body(lambda c: bench.service.rates(c, ADA, date(2026, 3, 4)))
    assert [(r.base, r.quote, str(r.day), r.rate) for r in body.items] == [
        ("EUR", "JPY", "2026-03-02", "160"),
        ("EUR", "USD", "2026-03-01", "1.1"),
    ]


def test_who_is_erased_leaves_nothing_here_nor_in_the_compacted_topics(bench: Bench) -> None:
    bench.open("giro")
    for month in (8, 9, 10):
        bench.book(-9_99, date(2026, month, 3), counterparty="Streamflix", category="fun")
    # Nothing recurs here any more; what says so names her all the same.
    for month in (8, 9, 10):
        lent = bench.book(-5_00, date(2026, month, 5), counterparty="Lender", category="fun")
    bench.book(5_00, date(2026, 10, 6), counterparty="Lender", category="fun", reverses_entry_id=lent)
    bench.book(1, user_id="bob", account_id="bobs")
    bench.forget("ada")
    # On its way when she was erased.
    for month in (8, 9, 10):
        bench.book(-7_77, date(2026, month, 7), counterparty="Late", category="late")
    with pytest.raises(Problem, match="erased"):
        bench.look(lambda c: bench.service.recurring(c, ADA, None, 50))
    for topic in (NET_WORTH_DAY, CASH_FLOW_MONTH, SPENDING_DAY, RECURRING_FOUND):
        latest = {record.key: record.value for record in records(bench.log, topic.name)}
        hers = [value for key, value in latest.items() if key is not None and not key.startswith(b"bob")]
        assert hers
        assert set(hers) == {None}
    bench.book(-5, TODAY)
    with bench.database.read() as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT user_id FROM net_worth_day").scalars().all() == ["bob"]
        for table in ("account", "recurring_group", "spending_day", "cash_flow_month", "recurring"):
            left = connection.exec_driver_sql(f"SELECT user_id FROM {table}").scalars().all()
            assert "ada" not in left


def test_a_balance_goes_with_its_account_not_with_its_owner(bench: Bench) -> None:
    bench.open("giro")
    bench.book(700)
    # Who shared the account inherits it.
    bench.forget("ada")
    bench.open("giro", "bob")
    body = bench.body(lambda c: bench.service.balances(c, BOB, None))
    assert [(one.account_id, one.balance_minor) for one in body.accounts] == [("giro", 700)]
    bench.write(ACCOUNT, "giro", None)
    with bench.database.read() as connection:
        assert connection.exec_driver_sql("SELECT account_id FROM balance").all() == []


def test_a_database_that_is_new_shows_the_same(bench: Bench, tmp_path: object) -> None:
    bench.book(100, TODAY, category="food")
    assert bench.clock.now_ms == NOON_MS
    before = worth(bench, TODAY, TODAY)
    with bench.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM net_worth_day")
        connection.exec_driver_sql("DELETE FROM projection_position")
    bench.service.close()
    bench.settle()
    assert worth(bench, TODAY, TODAY) == before


@pytest.mark.parametrize("place", [("2026-11-01\0", "r"), ("2026-11-01", "\0"), ("2026-11-01",)])
def test_a_cursor_that_was_made_up_is_refused(bench: Bench, place: tuple[str, ...]) -> None:
    with pytest.raises(Problem) as raised:
        bench.look(lambda c: bench.service.recurring(c, ADA, encode_cursor(*place), 1))
    assert (raised.value.status, raised.value.slug) == (400, "bad-cursor")


def test_texts_of_any_kind_stop_nothing(bench: Bench) -> None:
    bench.book(-5, category="a\0b" * 100, counterparty="\0")
    bench.book(-7, category="a\0b" * 100)
    body = bench.body(lambda c: bench.service.spending(c, ADA, None, None))
    assert [(one.category_id, one.spent_minor) for one in body.categories] == [("a\ufffdb" * 100, 12)]
