"""The figures: the same from the same entries, in whatever order, however often the program is killed.

1 Mar          2 Mar          3 Mar
+1000          -300  (late)   +50 -50 (reversed)
1000           700            700             what there is at the end of each day
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.bank.transactions.support import NOON, records
from tests.bank.views.support import EUR, USD, categorised, entry

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    ALERT_RAISED,
    BALANCE_CHANGED,
    CASH_FLOW_MONTH,
    ENTRY_CATEGORISED,
    GOAL_PROGRESS,
    NET_WORTH_DAY,
    RECURRING_FOUND,
    SPENDING_DAY,
    TOPICS,
    TRANSFER_STATUS,
    USER_FEED,
    USER_PROFILE,
    BalanceChanged,
    EntryStatus,
    GoalKind,
    GoalProgress,
    TransferChanged,
    TransferParty,
    TransferState,
    UserProfile,
)
from streambank.bank.events.personal import is_sealed
from streambank.bank.topologies import figures
from streambank.bank.topologies.balances import account_balance
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig, Topic
from streambank.streams.operators.source import Source
from streambank.streams.testing import TopologyTestDriver

FIRST = date(2026, 3, 1)


@pytest.fixture
def driver() -> Iterator[TopologyTestDriver]:
    with TopologyTestDriver(figures.build()) as driver:
        yield driver


def book(driver: TopologyTestDriver, *changes: BalanceChanged) -> None:
    for change in changes:
        driver.pipe(BALANCE_CHANGED, change.account_id, change)


def latest(driver: TopologyTestDriver, topic: Topic[str, Any]) -> dict[str, Any]:
    return {key: value for key, value, _ in driver.read(topic)}


def worth(driver: TopologyTestDriver) -> dict[str, int]:
    return {key: value.change_minor for key, value in latest(driver, NET_WORTH_DAY).items()}


def flow(driver: TopologyTestDriver) -> dict[str, tuple[int, int]]:
    return {key: (value.in_minor, value.out_minor) for key, value in latest(driver, CASH_FLOW_MONTH).items()}


def spent(driver: TopologyTestDriver) -> dict[str, int]:
    return {key: value.spent_minor for key, value in latest(driver, SPENDING_DAY).items()}


def test_days_months_and_categories_add_up(driver: TopologyTestDriver) -> None:
    book(
        driver,
        entry(1, 1_000, FIRST, category="wages"),
        entry(2, -300, FIRST, category="food"),
        entry(3, 20, FIRST, category="food"),
        entry(4, -7, FIRST + timedelta(31)),
        entry(1, -5, FIRST, account_id="dollars", currency=USD),
        entry(1, 11, FIRST, account_id="bobs", user_id="bob"),
    )
    assert worth(driver) == {
        "ada:EUR:2026-03-01": 720,
        "ada:EUR:2026-04-01": -7,
        "ada:USD:2026-03-01": -5,
        "bob:EUR:2026-03-01": 11,
    }
    assert flow(driver) == {
        "ada:EUR:2026-03": (1_020, 300),
        "ada:EUR:2026-04": (0, 7),
        "ada:USD:2026-03": (0, 5),
        "bob:EUR:2026-03": (11, 0),
    }
    assert spent(driver) == {
        "ada:EUR:2026-03-01:wages": -1_000,
        "ada:EUR:2026-03-01:food": 280,
        "ada:EUR:2026-03-01:*": 300,
        "ada:EUR:2026-04-01:": 7,
        "ada:EUR:2026-04-01:*": 7,
        "ada:USD:2026-03-01:": 5,
        "ada:USD:2026-03-01:*": 5,
    }


@pytest.mark.parametrize("kind", ["OPENING", "ADJUSTMENT", "INTERNAL_TRANSFER"])
def test_what_only_moves_is_no_income_and_no_spending(driver: TopologyTestDriver, kind: str) -> None:
    change = entry(1, -300, FIRST, kind=kind)
    book(driver, change)
    driver.pipe(ENTRY_CATEGORISED, "giro", categorised(change, {None: -300}, {"food": -300}))
    assert (worth(driver), flow(driver), spent(driver)) == ({"ada:EUR:2026-03-01": -300}, {}, {})


def test_without_a_category_only_a_refund_lowers_what_was_spent(driver: TopologyTestDriver) -> None:
    book(driver, entry(1, -300, FIRST), entry(2, 2_000, FIRST), entry(3, 40, FIRST, kind="REFUND"))
    assert spent(driver) == {"ada:EUR:2026-03-01:": 260, "ada:EUR:2026-03-01:*": 260}


def test_another_choice_of_categories_leaves_what_was_spent_in_all(driver: TopologyTestDriver) -> None:
    wages, food = entry(1, 3_000, FIRST), entry(2, -300, FIRST)
    book(driver, wages, food)
    driver.pipe(ENTRY_CATEGORISED, "giro", categorised(wages, {None: 3_000}, {"wages": 3_000}))
    driver.pipe(ENTRY_CATEGORISED, "giro", categorised(food, {None: -300}, {"food": -200, "fun": -100}))
    assert {key[len("ada:EUR:2026-03-01:") :]: minor for key, minor in spent(driver).items()} == {
        "": 0,
        "*": 300,
        "wages": -3_000,
        "food": 200,
        "fun": 100,
    }
    told = [item.value.spending for item in driver.read(USER_FEED) if item.value.spending is not None]
    assert {day.category for day in told} == {None, "wages", "food", "fun"}


def test_what_is_pending_does_not_count(driver: TopologyTestDriver) -> None:
    book(driver, entry(1, -300, FIRST, status=EntryStatus.PENDING))
    assert (worth(driver), flow(driver), spent(driver)) == ({}, {}, {})


@pytest.mark.parametrize("minor", [-300, 300])
@pytest.mark.parametrize("category", [None, "food"])
def test_a_reversal_takes_back_all(driver: TopologyTestDriver, minor: int, category: str | None) -> None:
    first = entry(1, minor, FIRST, category=category)
    back = entry(2, -minor, FIRST, category=category, reverses_entry_id=first.entry_id)
    book(driver, first, back)
    # The reversal is given another category, and then the entry too.
    driver.pipe(ENTRY_CATEGORISED, "giro", categorised(back, {category: -minor}, {"fun": -minor}))
    driver.pipe(ENTRY_CATEGORISED, "giro", categorised(first, {category: minor}, {"fun": minor}))
    assert set(worth(driver).values()) == {0}
    assert set(flow(driver).values()) == {(0, 0)}
    assert set(spent(driver).values()) <= {0}


def test_the_day_is_that_of_the_user(driver: TopologyTestDriver) -> None:
    profile = UserProfile(
        user_id="ada",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="p",
        email="",
        name="",
        timezone="Pacific/Auckland",
    )
    driver.pipe(USER_PROFILE, "ada", profile)
    evening = datetime(2026, 3, 31, 20, tzinfo=UTC)
    book(driver, entry(1, -5, evening))
    assert list(worth(driver)) == ["ada:EUR:2026-04-01"]
    assert list(flow(driver)) == ["ada:EUR:2026-04"]
    # Who moves has the days after that in the new zone.
    driver.pipe(USER_PROFILE, "ada", replace(profile, timezone="UTC"))
    book(driver, entry(2, -5, evening))
    assert worth(driver) == {"ada:EUR:2026-03-31": -5}


def test_what_recurs_is_told_when_it_changes_and_stays_sealed(driver: TopologyTestDriver) -> None:
    bills = [entry(n, -999, date(2026, n, 1), counterparty="Streamflix") for n in range(1, 6)]
    book(driver, bills[0], bills[1])
    assert driver.read(RECURRING_FOUND) == []
    book(driver, bills[2])
    driver.crash()
    ((key, found, _),) = driver.read(RECURRING_FOUND)
    assert (key, is_sealed(found.counterparty), found.payments[0].count) == (found.group_id, True, 3)
    back = entry(9, 999, date(2026, 3, 2), counterparty="Streamflix", reverses_entry_id=bills[2].entry_id)
    book(driver, back)
    assert driver.read(RECURRING_FOUND)[0].value.payments == ()
    book(driver, entry(10, -4_200, date(2026, 3, 3), counterparty="Streamflix"))
    assert driver.read(RECURRING_FOUND) == []


def test_the_feed_has_what_a_page_shows_under_its_reader(driver: TopologyTestDriver) -> None:
    change = entry(1, -5, FIRST)
    driver.pipe(ACCOUNT_BALANCE, "giro", account_balance("giro", change, None))
    book(driver, change)
    goal = GoalProgress(
        user_id="ada",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="g",
        goal_id="goal",
        kind=GoalKind.BUDGET,
        currency=EUR,
        target_minor=1,
        amount_minor=1,
    )
    driver.pipe(GOAL_PROGRESS, "goal", goal)
    driver.pipe(GOAL_PROGRESS, "goal", None)
    transfer = TransferChanged(
        user_id="ada",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="t",
        transfer_id="t",
        state=TransferState.POSTED,
        debtor=TransferParty(user_id="ada"),
        creditor=TransferParty(user_id="bob"),
        amount_minor=5,
        currency=EUR,
    )
    driver.pipe(TRANSFER_STATUS, "t", transfer)
    driver.pipe(TRANSFER_STATUS, "t", replace(transfer, creditor=TransferParty(), event_id="t2"))
    told = [(key, what(item)) for key, item, _ in driver.read(USER_FEED)]
    assert sorted(told) == sorted(
        [
            *(("ada", kind) for kind in ("balance", "net_worth", "cash_flow", "spending", "goal", "transfer")),
            ("bob", "transfer"),
            ("ada", "transfer"),
        ]
    )


def what(item: Any) -> str:
    [kind] = [name for name in item.__struct_fields__[4:] if getattr(item, name) is not None]
    return str(kind)


def test_what_is_compacted_is_only_read_as_a_table() -> None:
    for sub in figures.build().sub_topologies:
        sources = [node.operator for node in sub.nodes if isinstance(node.operator, Source)]
        assert [source.topic.name for source in sources if source.topic.cleanup_policy == "compact"] == []
    assert ALERT_RAISED.name in {topic.name for topic in figures.build().source_topics}


_COUNTERPARTIES = ("Streamflix", "Landlord", None)


@st.composite
def histories(draw: st.DrawFn) -> list[BalanceChanged]:
    """Entries of two accounts, some of them reversed."""
    told = draw(
        st.lists(
            st.tuples(
                st.integers(0, 120),
                st.sampled_from([-999, -1_299, -70_000, 200_000]),
                st.sampled_from(["giro", "savings"]),
                st.sampled_from(_COUNTERPARTIES),
                st.sampled_from([None, "food", "fun"]),
                st.sampled_from([None, None, "INTERNAL_TRANSFER"]),
                st.booleans(),
            ),
            min_size=1,
            max_size=12,
        )
    )
    changes = []
    for number, (day, minor, account, counterparty, category, kind, is_reversed) in enumerate(told, start=1):
        same: dict[str, Any] = {
            "account_id": account,
            "counterparty": counterparty,
            "category": category,
            "kind": kind,
        }
        first = entry(number, minor, FIRST + timedelta(day), **same)
        changes.append(first)
        if is_reversed:
            back = {**same, "reverses_entry_id": first.entry_id}
            changes.append(entry(1_000 + number, -minor, FIRST + timedelta(day + 3), **back))
    return changes


def figures_of(changes: Iterable[BalanceChanged], crash_after: int) -> list[Any]:
    with TopologyTestDriver(figures.build()) as driver:
        for number, change in enumerate(changes):
            driver.write(BALANCE_CHANGED, change.account_id, change)
            if number == crash_after:
                driver.run()
                driver.crash()
        driver.run()
        found = [worth(driver), flow(driver), spent(driver)]
        recurring = {key: value.payments for key, value in latest(driver, RECURRING_FOUND).items() if value.payments}
        return [*found, recurring]


@settings(max_examples=40, deadline=None)
@given(histories(), st.randoms(use_true_random=False), st.integers(0, 24))
def test_any_order_gives_the_same_figures(changes: list[BalanceChanged], random: Random, crash_after: int) -> None:
    expected = figures_of(changes, 99)
    assert figures_of(random.sample(changes, len(changes)), crash_after) == expected
    assert sum(expected[0].values()) == sum(change.signed_minor for change in changes)
    counted = [change for change in changes if change.kind is None]
    flows = expected[1].values()
    assert sum(came - went for came, went in flows) == sum(change.signed_minor for change in counted)


def test_it_runs_on_the_embedded_log_and_begins_anew_from_its_topics() -> None:
    with closing(EmbeddedLog.open(None)) as log:
        log.create_topics([topic.config for topic in TOPICS])
        for number in (1, 2):
            with closing(log.producer()) as producer, producer.transaction() as transaction:
                BALANCE_CHANGED.write(transaction, "giro", entry(number, 100, FIRST), number)
            config = StreamsConfig(application_id="figures")
            with closing(StreamRunner(figures.build(), log, config)) as runner:
                while runner.step():
                    pass
        found = [NET_WORTH_DAY.value.deserialize(r.value or b"").change_minor for r in records(log, NET_WORTH_DAY.name)]
    assert found == [100, 200]
