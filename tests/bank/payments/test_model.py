"""Random lives of both services, that crash, are late, and hear everything twice; then all heals and is judged."""

from contextlib import ExitStack, suppress
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.bank.payments.conftest import NewDatabases
from tests.bank.payments.judging import heal, judge, rows
from tests.bank.payments.support import SETTINGS, Bank, made
from tests.bank.transactions.support import caller, records

from streambank.bank.events import TRANSFER_INSTRUCTED, TRANSFER_OUTCOME, TRANSFER_SCREENED, Verdict
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.states import FINAL, Step
from streambank.bank.transactions.service import TransactionsService
from streambank.service.http.problems import Problem

USERS = ("ada", "bob", "cleo")
LATER = "dora"
"""Signs up in the course of things, or does not."""

WHO = st.sampled_from(USERS)
PAYEES = st.sampled_from((*USERS, LATER, "nobody"))
NUMBER = st.integers(0, 999)


class Lives(RuleBasedStateMachine):
    """Ada may overdraw, Bob may not, and Cleo has no limit at all; each has two accounts."""

    new_databases: ClassVar[NewDatabases]
    screening: ClassVar[str]
    ended: ClassVar[set[str]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        databases = type(self).new_databases()
        self.bank: Bank = self.stack.enter_context(made(None, *databases, *USERS, screening=type(self).screening))
        self.accounts: dict[str, str] = {}
        self.total = 0

    @initialize()
    def open(self) -> None:
        for user, limit in zip(USERS, (300, 0, None), strict=True):
            for _ in range(2):
                account = self.bank.open(user, 500, overdraft_limit_minor=limit)
                self.accounts[account] = user
                self.total += 500
        self.bank.settle()

    def account(self, user: str, number: int) -> str:
        mine = [account for account, owner in self.accounts.items() if owner == user]
        return mine[number % len(mine)]

    @rule(user=WHO, number=NUMBER, payee=PAYEES, minor=st.integers(1, 700))
    def pay(self, user: str, number: int, payee: str, minor: int) -> None:
        with suppress(Problem):
            self.bank.pay(self.account(user, number), minor, f"{payee}@example.org", user)

    @rule(user=WHO, number=NUMBER, payee=st.sampled_from((LATER, "nobody")), minor=st.integers(1, 50))
    def pay_who_has_no_account(self, user: str, number: int, payee: str, minor: int) -> None:
        self.pay(user, number, payee, minor)

    @rule(user=WHO, minor=st.integers(1, 700))
    def move(self, user: str, minor: int) -> None:
        first, second = self.account(user, 0), self.account(user, 1)
        self.bank.pay(first, minor, None, user, creditor_account_id=second)

    @rule(number=NUMBER)
    def cancel(self, number: int) -> None:
        everything = rows(self.bank)
        if found := [row for row in everything if Step(row.step) not in FINAL] or everything:
            row = found[number % len(found)]
            with suppress(Problem):
                self.bank.cancel(row.transfer_id, row.debtor_user_id)

    @rule(user=WHO, number=NUMBER, payee=WHO)
    def refund(self, user: str, number: int, payee: str) -> None:
        """Where there is nothing that can be given back, something is paid first: else few lives would come to it."""
        if not self.posted():
            self.bank.settle()
        if not self.posted():
            self.pay(user, number, payee, 1)
            self.bank.settle()
        if posted := self.posted():
            row = posted[number % len(posted)]
            with suppress(Problem):
                self.bank.refund(row.transfer_id, row.creditor_user_id)

    def posted(self) -> list[AnyRow]:
        """What may be given back."""
        return [row for row in rows(self.bank) if row.step == Step.POSTED.value and row.payee_kind == "address"]

    @rule(number=NUMBER, verdict=st.sampled_from([Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.REFUSED]))
    def screen(self, number: int, verdict: Verdict) -> None:
        waiting = [row for row in rows(self.bank) if row.step == Step.SCREENING.value]
        if waiting:
            row = waiting[number % len(waiting)]
            self.bank.publish(TRANSFER_SCREENED, row.transfer_id, self.bank.verdict(row.transfer_id, verdict))

    @rule(user=WHO, number=NUMBER, minor=st.integers(-300, 300).filter(bool))
    def live(self, user: str, number: int, minor: int) -> None:
        """Money comes and goes beside the transfers."""
        with suppress(Problem):
            self.bank.ledger.post(self.account(user, number), minor, user)
            self.total += minor

    @rule(user=WHO, number=NUMBER)
    def close(self, user: str, number: int) -> None:
        account = self.account(user, number)
        with suppress(Problem):
            self.bank.ledger.do(lambda c: self.bank.ledger.service.close_account(c, caller(user), account, None))

    @rule(turns=st.integers(1, 3))
    def ledger_works(self, turns: int) -> None:
        for _ in range(turns):
            self.bank.ledger.service.step()

    @rule(turns=st.integers(1, 3))
    def payments_work(self, turns: int) -> None:
        for _ in range(turns):
            self.bank.payments.step()

    @rule()
    def payments_work_and_nothing_leaves(self) -> None:
        self.bank.payments.projection.step(0)
        self.bank.payments.do_due()

    @rule()
    def all_work(self) -> None:
        self.bank.settle()

    @rule(ms=st.sampled_from([1, 30_000, 120_000, 3_600_000, SETTINGS.payee_wait_ms]))
    def wait(self, ms: int) -> None:
        self.bank.clock.now_ms += ms

    @rule(topic=st.sampled_from([TRANSFER_INSTRUCTED, TRANSFER_OUTCOME, TRANSFER_SCREENED]), number=NUMBER)
    def hear_again(self, topic: object, number: int) -> None:
        """A record from any time in the past comes once more."""
        name = topic.name  # type: ignore[attr-defined]
        if found := records(self.bank.log, name):
            record = found[number % len(found)]
            producer = self.bank.log.producer()
            with producer.transaction() as transaction:
                transaction.append(name, record.value, timestamp=record.timestamp, key=record.key)
            producer.close()

    @rule()
    def restart(self) -> None:
        self.bank.payments.close()
        self.bank.payments = self.bank.new_service()
        self.bank.ledger.service.close()
        self.bank.ledger.service = TransactionsService(self.bank.log, self.bank.ledger.database, clock=self.bank.clock)

    @rule()
    def sign_up(self) -> None:
        if LATER not in self.accounts.values():
            self.bank.know(LATER)
            self.accounts[self.bank.ledger.open(LATER)] = LATER

    @invariant()
    def nobody_overdraws_and_nothing_is_lost(self) -> None:
        booked = 0
        for account, user in self.accounts.items():
            view = self.bank.ledger.account(account, user)
            booked += view.balance.booked_minor
            if view.overdraft_limit_minor is not None:
                assert view.balance.available_minor >= 0, "available has the limit in it"
        assert booked == self.total

    def teardown(self) -> None:
        try:
            if self.accounts:
                heal(self.bank)
                type(self).ended |= {state.value for state in judge(self.bank, self.accounts, self.total)}
        finally:
            self.stack.close()


def run(new_databases: NewDatabases, screening: str, examples: int) -> set[str]:
    """Live many lives; the states that transfers ended in."""
    Lives.new_databases, Lives.screening, Lives.ended = staticmethod(new_databases), screening, set()
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Lives.ended


def test_random_lives(new_databases: NewDatabases) -> None:
    assert run(new_databases, "limits", 15) == {"posted", "refunded", "rejected", "cancelled", "expired"}


def test_random_lives_with_screening(sqlite_databases: NewDatabases) -> None:
    assert {"posted", "rejected"} <= run(sqlite_databases, "topic", 8)
