"""The demo's people: the same for the same seed, and believable in numbers."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from streambank.bank.demo import DemoEvent, Generator, Person, Purpose
from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_THRESHOLDS,
    BALANCE_CHANGED,
    USER_PROFILE,
    BalanceChanged,
    Direction,
    Origin,
    Scope,
)

START = date(2024, 1, 1)
PEOPLE, DAYS = 60, 366
NOW_MS = 1_750_000_000_000


def clock() -> int:
    return NOW_MS


def generator(seed: int = 7, people: int = PEOPLE) -> Generator:
    return Generator(seed, people=people, start=START, clock=clock)


def entries(events: list[DemoEvent]) -> list[BalanceChanged]:
    return [event.value for event in events if event.topic is BALANCE_CHANGED]


@pytest.fixture(scope="module")
def people() -> tuple[Person, ...]:
    return generator().people


@pytest.fixture(scope="module")
def year() -> list[DemoEvent]:
    return list(generator().history(DAYS))


def test_the_same_seed_makes_the_same_events_and_another_seed_others() -> None:
    first, again, other = (list(generator(seed, 8).history(40)) for seed in (3, 3, 4))
    assert first == again
    assert {event.key for event in first}.isdisjoint(event.key for event in other)


def test_a_person_lives_the_same_life_however_many_others_there_are() -> None:
    alone, first = list(generator(people=1).history(40)), generator(people=9)
    users = {first.people[0].user_id}
    assert [event for event in first.history(40) if event.value.user_id in users] == alone


def test_everything_serialises_under_its_key_and_comes_in_time_order(year: list[DemoEvent]) -> None:
    for event in year:
        assert event.topic.value.deserialize(event.topic.value.serialize(event.value)) == event.value
    assert [event.timestamp for event in year] == sorted(event.timestamp for event in year)
    assert all(event.value.timestamp == event.timestamp for event in year)
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (START, date(2025, 1, 1)))
    assert all(begin <= event.value.occurred_at < end for event in year)


def test_profiles_accounts_and_thresholds_come_before_entries(
    people: tuple[Person, ...], year: list[DemoEvent]
) -> None:
    first = next(place for place, event in enumerate(year) if event.topic is BALANCE_CHANGED)
    topics = Counter(event.topic.name for event in year)
    assert Counter(event.topic.name for event in year[:first]) == {
        name: count for name, count in topics.items() if name != BALANCE_CHANGED.name
    }
    assert topics[USER_PROFILE.name] == len(people) == PEOPLE
    assert topics[ACCOUNT.name] == sum(len(person.accounts) for person in people)
    profiles = [event.value for event in year if event.topic is USER_PROFILE]
    assert len({profile.email for profile in profiles}) == PEOPLE
    assert all(profile.email.endswith("@example.org") and profile.email.isascii() for profile in profiles)
    assert len({(profile.locale, profile.timezone) for profile in profiles}) == 8


def test_numbers_are_gapless_ids_unique_and_balances_add_up(year: list[DemoEvent]) -> None:
    accounts: dict[str, list[BalanceChanged]] = defaultdict(list)
    for entry in entries(year):
        accounts[entry.account_id].append(entry)
    for booked in accounts.values():
        total = 0
        for number, entry in enumerate(booked, start=1):
            total += entry.signed_minor
            assert (entry.account_seq, entry.balance_after_minor, entry.origin) == (number, total, Origin.IMPORT)
    ids = [entry.entry_id for entry in entries(year)]
    assert len(set(ids)) == len(ids)


def test_a_salary_comes_once_a_month_and_on_a_working_day(people: tuple[Person, ...], year: list[DemoEvent]) -> None:
    zones = {person.user_id: ZoneInfo(person.country.timezone) for person in people}
    paid = Counter(
        (entry.user_id, local.month)
        for entry in entries(year)
        if entry.kind == "SALARY" and (local := entry.occurred_at.astimezone(zones[entry.user_id])).weekday() < 5
    )
    assert len(paid) == PEOPLE * 12
    assert set(paid.values()) == {1}


def test_balances_stay_within_believable_bounds_all_year(people: tuple[Person, ...], year: list[DemoEvent]) -> None:
    owners = {account.account_id: (person, account.purpose) for person in people for account in person.accounts}
    bounds = {Purpose.CHECKING: (-1.0, 4.0), Purpose.SAVINGS: (0.0, 10.0), Purpose.CARD: (-0.6, 0.2)}
    for entry in entries(year):
        person, purpose = owners[entry.account_id]
        assert entry.balance_after_minor is not None
        salaries = entry.balance_after_minor / person.salary_minor
        assert bounds[purpose][0] <= salaries <= bounds[purpose][1], (person.number, purpose, entry.occurred_at)


def test_the_streams_of_a_life_are_all_there(year: list[DemoEvent]) -> None:
    booked = entries(year)
    kinds = Counter(entry.kind for entry in booked)
    categories = Counter(entry.category for entry in booked)
    assert 1.2 < len(booked) / PEOPLE / DAYS < 3.0
    assert kinds["STANDING_ORDER"] > PEOPLE * 11
    assert min(kinds[kind] for kind in ("REFUND", "INTEREST", "INTERNAL_TRANSFER", "CASH_WITHDRAWAL")) > PEOPLE
    assert kinds["OVERDRAFT_INTEREST"] > 5
    daily = ("groceries", "restaurants", "fuel", "transport", "online", "subscriptions", "utilities")
    assert min(categories[category] for category in daily) > PEOPLE * 10
    assert categories["travel"] > PEOPLE / 2
    online = Counter(entry.occurred_at.month for entry in booked if entry.category == "online")
    assert online[12] > 1.15 * sum(online[month] for month in range(2, 12)) / 10


def test_transfers_between_own_accounts_have_both_sides(year: list[DemoEvent]) -> None:
    moved: dict[tuple[str, datetime], int] = defaultdict(int)
    for entry in entries(year):
        if entry.kind == "INTERNAL_TRANSFER":
            moved[entry.user_id, entry.occurred_at.replace(hour=0, minute=0, second=0)] += entry.signed_minor
    assert len(moved) > PEOPLE
    # A transfer at five in the morning in Tokyo is one of the evening before in UTC, both sides alike.
    assert set(moved.values()) == {0}


def test_alerts_would_occur_at_a_lively_but_natural_rate(year: list[DemoEvent]) -> None:
    rules = {event.key: event.value for event in year if event.topic is ACCOUNT_THRESHOLDS}
    below = [rule for rule in rules.values() if rule.thresholds[0].direction is Direction.BELOW]
    assert len([rule for rule in below if rule.scope is Scope.ACCOUNT]) > PEOPLE * 0.7
    assert any(rule.scope is Scope.TOTAL for rule in below)
    assert any(t.direction is Direction.ABOVE for rule in rules.values() for t in rule.thresholds)
    crossed: dict[int, set[str]] = defaultdict(set)
    accounts: dict[str, list[BalanceChanged]] = defaultdict(list)
    for entry in entries(year):
        accounts[entry.account_id].append(entry)
    for account_id, booked in accounts.items():
        for threshold in rules[account_id].thresholds if account_id in rules else ():
            for before, after in pairwise(booked):
                assert before.balance_after_minor is not None
                assert after.balance_after_minor is not None
                above, falls = (
                    before.balance_after_minor >= threshold.level_minor,
                    threshold.direction is Direction.BELOW,
                )
                if above is falls and (after.balance_after_minor >= threshold.level_minor) is not falls:
                    crossed[after.occurred_at.month].add(account_id)
    watched = sum(rule.scope is Scope.ACCOUNT for rule in rules.values())
    shares = [len(crossed[month]) / watched for month in range(1, 13)]
    assert min(shares) > 0.1
    assert max(shares) < 0.7


def test_live_entries_go_on_where_the_history_ended_with_the_clocks_time() -> None:
    now = [NOW_MS]
    made = Generator(7, people=12, start=START, clock=lambda: now[0])
    before = entries(list(made.history(50)))
    last = {entry.account_id: (entry.account_seq, entry.balance_after_minor) for entry in before}
    for event in islice(made.live(), 500):
        entry = event.value
        seq, balance = last.get(entry.account_id, (0, 0))
        assert (entry.account_seq, entry.balance_after_minor) == (seq + 1, balance + entry.signed_minor)
        assert (event.timestamp, entry.origin) == (now[0], Origin.LIVE)
        last[entry.account_id] = (entry.account_seq, entry.balance_after_minor)
        now[0] += 40
    with pytest.raises(ValueError, match="people must be at least 1"):
        Generator(7, people=0, start=START, clock=clock)
