"""The demo on running services: people once, history once, live entries at a rate, and going on after a stop."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from tests.bank.client.bank import PASSWORD
from tests.cli.demo.support import Bank, running_platform
from tests.cli.support import stops_in_time, wait_until

from streambank.bank.client import Client, Password
from streambank.bank.client.batch import requests
from streambank.bank.demo import USUAL_CATEGORIES, Deed, budgets, person, watches
from streambank.bank.events import (
    BALANCE_CHANGED,
    MAIL_REQUESTED,
    USER_PROFILE,
    AccountKind,
    BalanceChanged,
    EntryStatus,
    Origin,
    RequestState,
    TransferState,
)
from streambank.bank.payments.schemas import RequestView, TransferView
from streambank.bank.reading import latest
from streambank.bank.transactions.schemas import ChangeAccount, TransactionView
from streambank.bank.users.schemas import PasswordChange, SignUp
from streambank.cli.demo.acting import Asked, Outcome, act
from streambank.cli.demo.customer import Customer
from streambank.cli.demo.errors import DemoError, StoppedError
from streambank.cli.demo.mail import FindCode
from streambank.cli.demo.source import DemoSource
from streambank.cli.reading import values
from streambank.clock import Clock, system_clock

pytestmark = pytest.mark.alone

DAY_MS = 86_400_000
NOW_MS = system_clock()
PEOPLE, DAYS = 3, 10

STOP_S = 0.5
"""How long what is under way may hold up a stop."""

MIDST_S = 0.1
"""When it is in the midst of it again, once it goes on: two ticks."""

_SEEDS = count(100)


@dataclass
class Time:
    """A clock that is set by hand."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """Each test has people of its own, by another seed."""
    with running_platform(tmp_path_factory.mktemp("bank")) as running:
        yield running


@dataclass
class Town:
    """Demos of one seed on one folder."""

    bank: Bank
    folder: Path
    clock: Clock
    seed: int = field(default_factory=lambda: next(_SEEDS))
    sources: list[DemoSource] = field(default_factory=list)
    find_code: FindCode | None = None

    def demo(self, *, people: int = PEOPLE, days: int = DAYS, rate: float = 100, joined: bool = True) -> DemoSource:
        source = DemoSource(
            self.bank.url, self.bank.log, self.folder, self.find_code or self.bank.find_code, self.clock,
            seed=self.seed, people=people, days=days, rate=rate,
        )  # fmt: skip
        self.sources.append(source)
        if joined:
            source.join(threading.Event())
        return source

    def lived(self, *, people: int = PEOPLE, rate: float = 100) -> DemoSource:
        source = self.demo(people=people, rate=rate)
        source.load_history(threading.Event())
        return source

    def client(self, number: int) -> Client:
        one = person(self.seed, number)
        return Client(self.bank.url, Password(one.email, one.password))

    def entries(self, number: int) -> list[TransactionView]:
        with self.client(number) as client:
            return list(client.transactions.export())

    def told(self, people: int = PEOPLE) -> list[set[tuple[str | None, int, str]]]:
        return [{(e.end_to_end_id, e.amount.amount_minor, e.occurred_at.isoformat()) for e in self.entries(number)
                 if e.origin is Origin.IMPORT} for number in range(people)]  # fmt: skip

    def live(self, people: int = PEOPLE) -> list[TransactionView]:
        """What the demo had booked; payments' entries are the ledger's own."""
        return [
            entry
            for number in range(people)
            for entry in self.entries(number)
            if entry.origin is Origin.LIVE and (entry.end_to_end_id or "").startswith("2")
        ]


@pytest.fixture
def town(bank: Bank, tmp_path: Path) -> Iterator[Town]:
    made = Town(bank, tmp_path, Time())
    yield made
    for source in made.sources:
        source.close()


def assert_sound(town: Town, people: int = PEOPLE) -> None:
    """Every entry is in the log, once and in order, and they add up to what the bank says."""
    held: dict[str, tuple[int, int]] = {}
    for number in range(people):
        with town.client(number) as client:
            held |= {
                a.value.id: (a.value.balance.last_seq, a.value.balance.booked_minor) for a in client.accounts.list()
            }
    accounts: dict[str, list[BalanceChanged]] = defaultdict(list)

    def all_published() -> bool:
        accounts.clear()
        for entry in values(town.bank.log, BALANCE_CHANGED):
            accounts[entry.account_id].append(entry)
        return all(len(accounts[account_id]) >= last_seq for account_id, (last_seq, _) in held.items())

    wait_until(all_published, "everything is published", 10)
    for account_id, (last_seq, booked_minor) in held.items():
        entries = accounts[account_id]
        assert [entry.account_seq for entry in entries] == list(range(1, len(entries) + 1))
        # Payments may have gone on meanwhile.
        booked = [entry for entry in entries[:last_seq] if entry.status is EntryStatus.BOOKED]
        assert sum(entry.signed_minor for entry in booked) == booked_minor


def play(demo: DemoSource, until: Callable[[], bool], timeout_s: float = 20) -> None:
    """Run the demo until the condition holds. It stops in time, then or once it has gone on for a while."""
    tries = count()

    def attempt() -> float:
        midst_s = time.monotonic() + MIDST_S
        return play_once(demo, (lambda: time.monotonic() >= midst_s) if next(tries) else until, timeout_s)

    stops_in_time(attempt, STOP_S)


def play_once(demo: DemoSource, until: Callable[[], bool], timeout_s: float) -> float:
    """Run the demo until the condition holds; how many seconds it took to stop."""
    stop, failures = threading.Event(), []

    def run() -> None:
        try:
            demo.run(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + timeout_s
    while not until() and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    met = until()
    stop.set()
    asked = time.monotonic()
    thread.join(5)
    took_s = time.monotonic() - asked
    assert not thread.is_alive()
    if failures:
        raise failures[0]
    assert met
    return took_s


def test_people_become_customers_with_their_accounts(town: Town) -> None:
    town.demo()
    for number in range(PEOPLE):
        one = person(town.seed, number)
        with town.client(number) as client:
            profile, accounts = client.users.profile().value, client.accounts.list()
        assert (profile.name, profile.email, profile.email_verified) == (one.name, one.email, True)
        assert (profile.locale, profile.timezone) == (one.country.locale.replace("_", "-"), one.country.timezone)
        assert [(a.value.name, a.value.overdraft_limit_minor, a.value.currency) for a in accounts] == [
            (account.name, account.overdraft_limit_minor, one.country.currency.value) for account in one.accounts
        ]


def test_the_history_ends_today_and_is_booked_once(town: Town) -> None:
    assert isinstance(town.clock, Time)
    progress: list[float] = []
    demo = town.demo()
    written = demo.load_history(threading.Event(), progress.append)
    entries = [entry for number in range(PEOPLE) for entry in town.entries(number)]
    assert written == len(entries) > 20
    today = NOW_MS // DAY_MS * DAY_MS
    assert all(today - DAYS * DAY_MS <= entry.occurred_at.timestamp() * 1000 < today for entry in entries)
    assert {entry.origin for entry in entries} == {Origin.IMPORT}
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    names = {entry.category_id for entry in entries}
    assert len(names) > 5
    town.clock.now_ms += 3 * DAY_MS
    assert town.demo(days=99).load_history(threading.Event()) == 0
    assert_sound(town)


def test_people_make_their_plans(town: Town) -> None:
    town.demo(people=8)
    kinds: Counter[str] = Counter()
    for number in range(8):
        one = person(town.seed, number)
        with town.client(number) as client:
            accounts = {account.value.id: account.value for account in client.accounts.list()}
            watched, planned = client.thresholds.list(), client.budgets.list()
            saved, limits = client.goals.list_savings(), client.limits.list()
            names = {category.value.id: category.value.name for category in client.categories.list()}
        assert [(w.value.level_minor, w.value.direction) for w in watched if w.value.account_id is None] == [
            (wanted.level_minor, wanted.direction) for wanted in watches(one, town.seed) if wanted.account is None
        ]
        assert len(watched) == len(list(watches(one, town.seed)))
        assert [limit.value.per_transfer_minor for limit in limits] == [one.salary_minor // 2]
        assert [(b.value.name, b.value.target_minor, {names[i] for i in b.value.category_ids}) for b in planned] == [
            (wanted.name, wanted.target_minor, {USUAL_CATEGORIES[c] for c in wanted.categories})
            for wanted in budgets(one, town.seed)
        ]
        assert [accounts[i].kind for goal in saved for i in goal.value.account_ids] == [AccountKind.SAVINGS] * len(
            saved
        )
        kinds.update(thresholds=len(watched), budgets=len(planned), savings=len(saved))
    assert min(kinds[kind] for kind in ("thresholds", "budgets", "savings")) >= 3


def test_nothing_is_done_twice_and_plans_that_were_given_up_stay_so(town: Town) -> None:
    town.demo()
    town.demo()
    with town.client(0) as client:
        # Nothing was booked yet, so plans may have been interrupted.
        assert len(client.thresholds.list()) == len(list(watches(person(town.seed, 0), town.seed)))
        assert len(client.budgets.list()) == len(list(budgets(person(town.seed, 0), town.seed)))
    town.lived()
    mails, profiles = latest(town.bank.log, MAIL_REQUESTED).keys(), latest(town.bank.log, USER_PROFILE).keys()
    with town.client(0) as client:
        accounts = [account.value.id for account in client.accounts.list()]
        client.accounts.change(client.accounts.list()[0], ChangeAccount(name="My account"))
        for threshold in client.thresholds.list():
            client.thresholds.remove(threshold)
    town.lived()
    assert latest(town.bank.log, MAIL_REQUESTED).keys() == mails
    assert latest(town.bank.log, USER_PROFILE).keys() == profiles
    with town.client(0) as client:
        assert [account.value.id for account in client.accounts.list()] == accounts
        assert client.thresholds.list() == []


def test_more_people_join_with_their_own_history(town: Town) -> None:
    assert isinstance(town.clock, Time)
    town.lived(people=2)
    town.clock.now_ms += DAY_MS
    assert town.lived(people=4)
    assert all(town.told(4))
    assert_sound(town, 4)
    today = NOW_MS // DAY_MS * DAY_MS
    assert max(entry.occurred_at.timestamp() * 1000 for entry in town.entries(3)) < today


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 2, 4])
def test_an_interrupted_history_is_completed_by_the_next_start(
    town: Town, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(town.clock, Time)
    monkeypatch.setattr("streambank.bank.client.transactions.requests", lambda lines: requests(lines, 7))
    monkeypatch.setattr("streambank.cli.demo.source.PROGRESS_ENTRIES", 7)
    told: list[float] = []

    def kill(share: float) -> None:
        told.append(share)
        if len(told) >= after:
            raise _Killed

    with pytest.raises(_Killed):
        town.demo().load_history(threading.Event(), kill)
    town.sources[-1].close()
    town.clock.now_ms += DAY_MS
    assert town.demo().load_history(threading.Event()) > 0
    (tmp_path / "other").mkdir()
    with running_platform(tmp_path / "other") as bank:
        other = Town(bank, tmp_path / "other", Time(), seed=town.seed)
        other.lived().close()
        assert other.told() == town.told()
    assert_sound(town)


def test_a_sign_up_whose_mail_was_not_answered_goes_on(town: Town) -> None:
    one = person(town.seed, 0)
    with Client(town.bank.url) as client:
        client.users.sign_up(SignUp(email=one.email, password=one.password, name=one.name))
    wait_until(lambda: town.bank.find_code(one.email) is not None, "a mail", 10)
    town.demo()
    with town.client(0) as client:
        assert client.users.profile().value.email_verified
        assert len(client.accounts.list()) == len(one.accounts)


def test_somebody_who_chose_another_password_is_left_out(town: Town) -> None:
    town.lived()
    with town.client(1) as client:
        profile = client.users.profile()
        client.users.change_password(
            profile, PasswordChange(password=person(town.seed, 1).password, new_password=PASSWORD)
        )
    town.clock = system_clock
    again = town.lived(rate=500)
    play(again, lambda: again.live_entries > 20 and again.refused > 0)
    assert town.live(1)
    assert_sound(town, 1)


def test_nobody_left_is_the_end(town: Town) -> None:
    town.demo(people=1)
    with town.client(0) as client:
        client.users.change_password(
            client.users.profile(), PasswordChange(password=person(town.seed, 0).password, new_password=PASSWORD)
        )
    with pytest.raises(DemoError, match=r"nobody can log in .*--data"):
        town.demo(people=1)


def test_somebody_who_is_forgotten_meanwhile_leaves_and_the_others_go_on(town: Town) -> None:
    town.clock = system_clock
    demo = town.lived(rate=500)
    with town.client(1) as client:
        client.users.erase(client.users.profile(), person(town.seed, 1).password)
    play(demo, lambda: demo.live_entries > 100)
    assert demo.refused > 0
    assert_sound(town, 1)


def test_live_entries_come_at_the_rate_and_are_live(town: Town) -> None:
    town.clock = system_clock
    demo = town.lived(rate=50)
    begun_ms = system_clock()
    play(demo, lambda: system_clock() - begun_ms > 1_500)
    lasted_s = (system_clock() - begun_ms) / 1000
    live = town.live()
    assert demo.live_entries == len(live)
    assert demo.live_entries + demo.let_go + demo.refused <= 50 * lasted_s
    assert len(live) > 10
    assert all(begun_ms <= entry.occurred_at.timestamp() * 1000 <= system_clock() for entry in live)
    assert_sound(town)


def jump(clock: Clock, passed_ms: int, demo: DemoSource, deeds: int) -> None:
    """Let so much time pass in the midst of a run, and let it run until so much was done."""
    assert isinstance(clock, Time)
    jumped = [False]

    def until() -> bool:
        if not jumped[0]:
            time.sleep(0.2)
            clock.now_ms += passed_ms
            jumped[0] = True
        return done(demo) >= deeds

    play(demo, until)


def done(demo: DemoSource) -> int:
    return demo.live_entries + demo.payments + demo.refused


def test_a_stall_is_not_made_up_for_in_one_burst_and_is_counted(town: Town) -> None:
    demo = town.lived(rate=100)
    jump(town.clock, 3_600_000, demo, 50)
    assert done(demo) == 50
    assert demo.let_go == 360_000 - 50


def test_a_tick_is_one_batch_of_each_person(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = town.lived(rate=1_000)
    sent: list[tuple[int, int]] = []

    def noted(customer: Customer, deeds: Sequence[Deed], asked: Sequence[Asked]) -> Outcome:
        if deeds:
            sent.append((customer.person.number, len(deeds)))
        return act(customer, deeds, asked)

    monkeypatch.setattr("streambank.cli.demo.source.act", noted)
    jump(town.clock, 100, demo, 100)
    # Nothing more is due: the clock stands still.
    assert sorted(number for number, _ in sent) == [0, 1, 2]
    assert sum(deeds for _, deeds in sent) == 100


def test_people_pay_each_other_and_ask_for_money(town: Town) -> None:
    town.clock = system_clock
    # The first and the ninth live in the same country, others have the same currency.
    demo = town.lived(people=9, rate=400)
    play(demo, lambda: demo.payments >= 10 and bool(asked(town, 9)), 60)

    def states() -> list[TransferState]:
        return [t.state for t in transfers(town, 9)]

    final = {TransferState.POSTED, TransferState.REJECTED}
    wait_until(lambda: set(states()) <= final, "all are final", 30)
    assert states().count(TransferState.POSTED) > 5
    assert demo.payments == len(states())
    for transfer in transfers(town, 9):
        assert transfer.remittance
        assert transfer.counterparty
    # Who is asked pays, unless the demo was stopped in between.
    paid = [request.state for request in asked(town, 9)]
    assert paid.count(RequestState.PAID) >= len(paid) - 9
    assert_sound(town, 9)


def transfers(town: Town, people: int) -> list[TransferView]:
    found = []
    for number in range(people):
        with town.client(number) as client:
            found += [transfer.value for transfer in client.payments.list(direction="outgoing")]
    return found


def asked(town: Town, people: int) -> list[RequestView]:
    found = []
    for number in range(people):
        with town.client(number) as client:
            found += [request.value for request in client.payments.requests(direction="outgoing")]
    return found


@pytest.mark.parametrize("entries", [1, 25, 80])
def test_a_restart_goes_on_without_gap_or_double(town: Town, entries: int) -> None:
    town.clock = system_clock
    for _ in range(3):
        demo = town.lived(rate=500)
        play(demo, lambda: demo.live_entries >= entries)  # noqa: B023
        demo.close()
        assert_sound(town)
    for number in range(PEOPLE):
        own = [entry for entry in town.entries(number) if (entry.end_to_end_id or "").startswith("2")]
        named = [(entry.account_id, entry.end_to_end_id) for entry in own]
        assert len(set(named)) == len(named)
    live = town.live()
    days = {(entry.end_to_end_id or "")[:10] for entry in live}
    # Three people have some six entries a day: a restart lives the rest of a day and does not jump to another.
    assert len(days) <= len(live) / 3 + 3


def test_it_stops_in_the_midst_of_everything(town: Town) -> None:
    stop = threading.Event()
    stop.set()
    demo = town.demo(joined=False)
    with pytest.raises(StoppedError):
        demo.join(stop)
    demo.join(threading.Event())
    with pytest.raises(StoppedError):
        demo.load_history(stop)
    demo.load_history(threading.Event())
    demo.run(stop)
    assert demo.live_entries == 0


def test_a_mail_that_never_comes_is_told(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.cli.demo.joining.MAIL_LOOKS_MAX", 3)
    town.find_code = lambda _email: None
    with pytest.raises(DemoError, match="no e-mail to verify an address"):
        town.demo(people=1)


@pytest.mark.parametrize(("people", "days", "rate"), [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.0)])
def test_settings_are_checked(town: Town, people: int, days: int, rate: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        town.demo(people=people, days=days, rate=rate)
