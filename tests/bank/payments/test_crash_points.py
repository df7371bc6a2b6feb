"""The same story, with a crash at each of its commits in turn: right before the odd ones, right after the even ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection
from tests.bank.payments.conftest import NewDatabases
from tests.bank.payments.judging import heal, judge
from tests.bank.payments.support import Bank, made

from streambank.bank.events import TransferState
from streambank.bank.transactions.service import TransactionsService
from streambank.service.database import Database


class CrashError(Exception):
    """The process is gone."""


class Fuse:
    """Counts write transactions, and lets the process die at one of them."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.count, self.at, self.after = 0, at, after

    def guard(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        begin: Callable[[], object] = database.begin

        @contextmanager
        def guarded() -> Iterator[Connection]:
            self.count += 1
            dies = self.count == self.at
            with begin() as connection:  # type: ignore[attr-defined]
                yield connection
                if dies and not self.after:
                    raise CrashError
            if dies:
                raise CrashError

        monkeypatch.setattr(database, "begin", guarded)


def story(bank: Bank, restart: Callable[[], None]) -> dict[str, str]:
    """Ada pays Bob and Dora, who is not there; Bob gives back; each step is done again until it was done."""
    accounts = {}

    def surely(work: Callable[[], object]) -> None:
        try:
            work()
        except CrashError:
            restart()
            work()

    for user, minor in (("ada", 1_000), ("bob", 100)):
        accounts[bank.ledger.open(user)] = user
        bank.ledger.post(list(accounts)[-1], minor, user)
    ada = next(iter(accounts))
    surely(bank.settle)

    def pay_once(payee: str, minor: int) -> None:
        if all(one.amount.amount_minor != minor for one in bank.transfers()):
            bank.pay(ada, minor, payee)

    surely(lambda: pay_once("bob@example.org", 300))
    surely(lambda: pay_once("dora@example.org", 50))
    surely(bank.settle)
    [to_bob] = [one for one in bank.transfers() if one.amount.amount_minor == 300]
    surely(lambda: bank.transfer(to_bob.id, "bob").refunded_by_id or bank.refund(to_bob.id))
    surely(bank.settle)
    surely(lambda: heal(bank))
    return accounts


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_every_commit(sqlite_databases: NewDatabases, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    at, commits = (0 if after else -1), 2
    while at + 2 <= commits:
        at += 2
        fuse = Fuse(at, after=after)
        with made(None, *sqlite_databases(), "ada", "bob") as bank, monkeypatch.context() as patch:
            fuse.guard(bank.database, patch)
            fuse.guard(bank.ledger.database, patch)

            def restart(bank: Bank = bank) -> None:
                bank.close()
                bank.payments = bank.new_service()
                bank.ledger.service = TransactionsService(bank.log, bank.ledger.database, clock=bank.clock)

            try:
                accounts = story(bank, restart)
            except CrashError:
                # In opening an account, before anything is paid: not of interest here.
                commits = max(commits, fuse.count + 2)
                continue
            ended = judge(bank, accounts, 1_100)
            assert ended == {TransferState.REFUNDED: 1, TransferState.POSTED: 1, TransferState.EXPIRED: 1}, at
            commits = max(commits, fuse.count)
    assert commits > 40
