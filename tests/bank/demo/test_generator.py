"""The demo's people: the same for the same seed, and believable in numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from streambank.bank.demo import (
    USUAL_CATEGORIES,
    Deed,
    Entry,
    Generator,
    Payment,
    Person,
    Place,
    Purpose,
    budgets,
    savings,
    watches,
)
from streambank.bank.demo.life import usual_month_minor
from streambank.bank.demo.sharing import friends_of
from streambank.bank.events import Direction, Origin
from streambank.bank.transactions.categories import DEFAULTS
from streambank.bank.users.passwords import check_password

START = date(2024, 1, 1)
PEOPLE, DAYS = 60, 366
NOW_MS = 1_750_000_000_000


def clock() -> int:
    return NOW_MS


def generator(seed: int = 7, people: int = PEOPLE) -> Generator:
    return Generator(seed, people=people, start=START, clock=clock)


def history(made: Generator, days: int = DAYS) -> list[Entry]:
    return [entry for one in made.people for entry in made.history(one, days)]


def accounts(entries: list[Entry]) -> dict[tuple[int, Purpose], list[Entry]]:
    found: dict[tuple[int, Purpose], list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.person.number, entry.plan.account.purpose].append(entry)
    return found


def entries_of(deeds: Iterator[Deed]) -> Iterator[Entry]:
    return (deed for deed in deeds if isinstance(deed, Entry))


def local(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.at_ms / 1000, ZoneInfo(entry.person.country.timezone))


@pytest.fixture(scope="module")
def people() -> tuple[Person, ...]:
    return generator().people


@pytest.fixture(scope="module")
def year() -> list[Entry]:
    return history(generator())


def test_the_same_seed_makes_the_same_lives_and_another_seed_others() -> None:
    first, again, other = (history(generator(seed, 8), 40) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert {one.email for one in generator(3, 8).people}.isdisjoint(one.email for one in generator(4, 8).people)


def test_a_person_lives_the_same_life_however_many_others_there_are() -> None:
    alone, first = generator(people=1), generator(people=9)
    assert first.people[0] == alone.people[0]
    history(first, 40)
    one = alone.people[0]
    assert list(generator(people=9).history(one, 40)) == list(alone.history(one, 40))


def test_everyone_can_sign_up(people: tuple[Person, ...]) -> None:
    assert len({one.email for one in people}) == len({one.password for one in people}) == PEOPLE
    assert len({(one.country.locale, one.country.timezone) for one in people}) == 8
    for one in people:
        assert one.email.endswith("@example.org")
        assert one.email.isascii()
        check_password(one.password, email=one.email, name=one.name)
        assert one.password not in repr(one)


def test_entries_come_in_time_order_within_the_days(year: list[Entry], people: tuple[Person, ...]) -> None:
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (START, date(2025, 1, 1)))
    assert all(begin <= local(entry) < end for entry in year)
    for one in people:
        times = [entry.at_ms for entry in year if entry.person is one]
        assert times == sorted(times)
    assert {entry.origin for entry in year} == {Origin.IMPORT}
    assert all(entry.booking_date == local(entry).date() for entry in year)


def test_an_entry_has_one_name_within_its_account(year: list[Entry]) -> None:
    for entries in accounts(year).values():
        assert len({entry.reference for entry in entries}) == len(entries)
        assert all(len(entry.reference) <= 35 for entry in entries)


def test_each_category_is_one_that_new_users_have(year: list[Entry]) -> None:
    usual = {name for parent, children in DEFAULTS for name in (parent, *children)}
    assert set(USUAL_CATEGORIES.values()) <= usual
    assert {entry.plan.category for entry in year} - USUAL_CATEGORIES.keys() == {"cash", "opening balance"}


def test_a_salary_comes_once_a_month_and_on_a_working_day(year: list[Entry]) -> None:
    paid = Counter(
        (entry.person.number, local(entry).month)
        for entry in year
        if entry.plan.kind == "SALARY" and local(entry).weekday() < 5
    )
    assert len(paid) == PEOPLE * 12
    assert set(paid.values()) == {1}


def test_balances_stay_within_believable_bounds_all_year(year: list[Entry]) -> None:
    bounds = {Purpose.CHECKING: (-1.0, 4.0), Purpose.SAVINGS: (0.0, 10.0), Purpose.CARD: (-0.6, 0.2)}
    for (number, purpose), entries in accounts(year).items():
        balance = 0
        for entry in entries:
            balance += entry.plan.signed_minor
            salaries = balance / entry.person.salary_minor
            assert bounds[purpose][0] <= salaries <= bounds[purpose][1], (number, purpose, local(entry))


def test_the_streams_of_a_life_are_all_there(year: list[Entry]) -> None:
    kinds = Counter(entry.plan.kind for entry in year)
    categories = Counter(entry.plan.category for entry in year)
    assert 1.2 < len(year) / PEOPLE / DAYS < 3.0
    assert kinds["STANDING_ORDER"] > PEOPLE * 11
    assert min(kinds[kind] for kind in ("REFUND", "INTEREST", "INTERNAL_TRANSFER", "CASH_WITHDRAWAL")) > PEOPLE
    assert kinds["OVERDRAFT_INTEREST"] > 5
    daily = ("groceries", "restaurants", "fuel", "transport", "online", "subscriptions", "utilities")
    assert min(categories[category] for category in daily) > PEOPLE * 10
    assert categories["travel"] > PEOPLE / 2
    online = Counter(local(entry).month for entry in year if entry.plan.category == "online")
    assert online[12] > 1.15 * sum(online[month] for month in range(2, 12)) / 10


def test_transfers_between_own_accounts_have_both_sides(year: list[Entry]) -> None:
    moved: dict[tuple[int, date], int] = defaultdict(int)
    for entry in year:
        if entry.plan.kind == "INTERNAL_TRANSFER":
            moved[entry.person.number, entry.day] += entry.plan.signed_minor
    assert len(moved) > PEOPLE
    assert set(moved.values()) == {0}


def test_alerts_would_occur_at_a_lively_but_natural_rate(people: tuple[Person, ...], year: list[Entry]) -> None:
    wanted = {one.number: list(watches(one, 7)) for one in people}
    every = [watch for found in wanted.values() for watch in found]
    assert sum(w.account is Purpose.CHECKING and w.direction is Direction.BELOW for w in every) > PEOPLE * 0.7
    assert any(watch.account is None for watch in every)
    assert any(watch.direction is Direction.ABOVE for watch in every)
    crossed: dict[int, set[int]] = defaultdict(set)
    for (number, purpose), entries in accounts(year).items():
        for watch in wanted[number]:
            balance = 0
            for entry in entries if watch.account is purpose else ():
                before, balance = balance, balance + entry.plan.signed_minor
                falls = watch.direction is Direction.BELOW
                if before and (before >= watch.level_minor) is falls and (balance >= watch.level_minor) is not falls:
                    crossed[local(entry).month].add(number)
    watching = sum(any(watch.account is not None for watch in found) for found in wanted.values())
    shares = [len(crossed[month]) / watching for month in range(1, 13)]
    assert min(shares) > 0.1
    assert max(shares) < 0.7


def test_live_entries_go_on_where_the_history_ended_with_the_clocks_time() -> None:
    now = [NOW_MS]
    made = Generator(7, people=12, start=START, clock=lambda: now[0])
    history(made, 50)
    days = []
    for entry in islice(entries_of(made.live()), 500):
        assert (entry.at_ms, entry.origin) == (now[0], Origin.LIVE)
        days.append(entry.day)
        now[0] += 40
    assert days == sorted(days)
    assert days[0] == START + timedelta(days=50)
    with pytest.raises(ValueError, match="people must be at least 1"):
        Generator(7, people=0, start=START, clock=clock)


def test_whoever_goes_on_lives_the_rest_of_the_day_and_repeats_nothing() -> None:
    """A stop after any number of entries, of which the bank knows those up to there.

    day 50    a b c | d e        the same day again: a b c are done
    """
    end = START + timedelta(days=50)
    whole = generator(people=4)
    history(whole, 50)
    lived = list(islice(entries_of(whole.live()), 200))
    for stopped in (1, 7, 40, 139):
        balances: dict[int, dict[Purpose, int]] = {}
        before = generator(people=4)
        for entry in history(before, 50) + lived[:stopped]:
            own = balances.setdefault(entry.person.number, {account.purpose: 0 for account in entry.person.accounts})
            own[entry.plan.account.purpose] += entry.plan.signed_minor
        places = {}
        for one in before.people:
            own_live = [entry for entry in lived[:stopped] if entry.person.number == one.number]
            day = own_live[-1].day if own_live else None
            done = frozenset((e.plan.account.purpose, e.reference) for e in own_live if e.day == day)
            places[one.number] = Place(balances[one.number], day, done)
        again = generator(people=4)
        again.resume(places, end)
        rest = list(islice(entries_of(again.live()), 100))
        named = [(e.person.number, e.plan.account.purpose, e.reference) for e in lived[:stopped] + rest]
        assert len(set(named)) == len(named)
        ahead = {(e.person.number, e.plan.account.purpose, e.reference) for e in lived[stopped : stopped + 50]}
        # What somebody can afford is decided by the day's beginning, so that a few may differ.
        assert len(ahead & set(named)) >= 45


def test_who_stands_far_behind_joins_the_others() -> None:
    end = START + timedelta(days=5)
    made = generator(people=3)
    late = end + timedelta(days=300)
    made.resume({0: Place({}, late), 1: Place({}, end), 2: Place({})}, end)
    first: dict[int, date] = {}
    for entry in islice(entries_of(made.live()), 300):
        first.setdefault(entry.person.number, entry.day)
    assert late <= first[0]
    assert late - timedelta(days=31) <= first[1] < late
    assert late <= first[2]


def test_what_was_not_booked_is_not_counted() -> None:
    made, other = generator(people=1), generator(people=1)
    (one,) = made.people
    entries = list(made.history(one, 20))
    history(other, 20)
    made.take_back(entries)
    # As if nothing was ever there, nobody with nothing in checking goes to the shops.
    spent = [entry for entry in islice(entries_of(made.live()), 5) if entry.plan.kind == "CARD_PAYMENT"]
    usual = [entry for entry in islice(entries_of(other.live()), 5) if entry.plan.kind == "CARD_PAYMENT"]
    assert spent != usual


def test_a_tenth_of_the_bills_of_evenings_out_are_shared_with_friends_who_can_afford_it() -> None:
    made = generator(people=30)
    history(made, 50)
    deeds = list(islice(made.live(), 6_000))
    payments = [deed for deed in deeds if isinstance(deed, Payment)]
    assert 0.005 < len(payments) / len(deeds) < 0.04
    assert 0.15 < sum(payment.is_asked for payment in payments) / len(payments) < 0.5
    bills = {(e.person.number, f"shared/{e.reference}"): e for e in deeds if isinstance(e, Entry)}
    for payment in payments:
        bill = bills[payment.payee.number, payment.reference]
        assert payment.amount_minor == -bill.plan.signed_minor // 2 > 0
        assert payment.what == bill.plan.counterparty
        assert payment.payer in friends_of(payment.payee, made.people)
    assert len({(payment.payee.number, payment.reference) for payment in payments}) == len(payments)
    again = generator(people=30)
    history(again, 50)
    assert list(islice(again.live(), 6_000)) == deeds


def test_friends_are_few_and_have_the_same_currency(people: tuple[Person, ...]) -> None:
    for one in people:
        friends = friends_of(one, people)
        assert len({friend.number for friend in friends} - {one.number}) == 3
        assert {friend.country.currency for friend in friends} == {one.country.currency}
    assert friends_of(people[0], people[:8]) == []


def test_payments_count_on_both_sides_until_they_are_taken_back() -> None:
    made = generator(people=9)
    history(made, 10)
    payment = next(deed for deed in made.live() if isinstance(deed, Payment))
    balances = [made._lives[one.number].balances for one in (payment.payer, payment.payee)]
    before = [held[Purpose.CHECKING] for held in balances]
    made.take_back([payment])
    after = [held[Purpose.CHECKING] for held in balances]
    assert [a - b for a, b in zip(after, before, strict=True)] == [payment.amount_minor, -payment.amount_minor]


def test_budgets_are_about_what_is_spent(people: tuple[Person, ...], year: list[Entry]) -> None:
    planned = [(one, budget) for one in people for budget in budgets(one, 7)]
    assert PEOPLE * 0.8 < len(planned) < PEOPLE * 2.5
    assert len(list(budgets(people[0], 7))) >= 1
    spent: dict[tuple[int, str], int] = defaultdict(int)
    for entry in year:
        spent[entry.person.number, entry.plan.category] -= entry.plan.signed_minor
    ratios = []
    for one, budget in planned:
        ratios.append(sum(spent[one.number, name] for name in budget.categories) / 12 / budget.target_minor)
        usual = sum(usual_month_minor(one, name) for name in budget.categories)
        assert 0.75 < budget.target_minor / usual < 1.35
    # Some are short, and some are not used up.
    assert sum(ratio > 1 for ratio in ratios) > len(ratios) / 10
    assert sum(ratio < 0.9 for ratio in ratios) > len(ratios) / 10


def test_who_has_savings_saves_for_something_that_is_not_there_yet(people: tuple[Person, ...]) -> None:
    saving = 0
    for one in people:
        account = one.account(Purpose.SAVINGS)
        for goal in savings(one, 7):
            assert account is not None
            assert goal.target_minor > account.opening_minor
            assert 180 <= goal.within_days <= 540
            saving += 1
    assert saving > PEOPLE * 0.5
