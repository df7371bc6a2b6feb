"""What simulated people do: sign up, open accounts, move money, plan, look at it, and ask to be forgotten.

A person does one thing at a time. Who gets no answer asks again, in the same words and with the same key, until one
comes; only then the model learns what became of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import Connection
from tests.simulation.bank import Answered, Bank, NoAnswerError
from tests.simulation.chance import HOUR_MS
from tests.simulation.judge import Judge
from tests.simulation.mail import MailServer
from tests.simulation.model import AccountModel, Books, Move, Transfer
from tests.simulation.planning import Planner
from tests.simulation.processes import Machine, Payments, ServiceProcess, Transactions, Users

from streambank.bank.events import CreditDebit, EntryStatus
from streambank.bank.payments.schemas import Money as PaymentMoney
from streambank.bank.payments.schemas import NewTransfer
from streambank.bank.transactions.schemas import (
    BookTransaction,
    CategoryBody,
    Money,
    NewTransaction,
    OpenAccount,
    ReverseTransaction,
)
from streambank.bank.users.context import Client
from streambank.bank.users.schemas import ByEmail, MailedToken, SignUp
from streambank.clock import to_datetime
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem

HOME = Client("203.0.113.7", "Browser/1")
PASSWORD = "green apples on a hill"
SCOPES = frozenset({"transactions:read", "transactions:write", "payments:read", "payments:write"})
ZONES = ("UTC", "America/New_York", "Asia/Tokyo")
ACCOUNTS_MAX = 3
CATEGORIES_MAX = 3
PLANNING = 0.12
"""Of all that somebody does."""

MAIL_AGAIN_MS = 2 * HOUR_MS
"""When somebody gives up waiting for a mail, and asks for another."""

REFUSALS = {
    "book": {"insufficient-funds"},
    "reserve": {"insufficient-funds"},
    "post": {"insufficient-funds", "entry-ended"},
    "void": {"entry-ended"},
    "reverse": {"insufficient-funds"},
}

Work = Callable[[Any, Connection], Answer]
"""What a service is asked to do in its database's transaction."""

PAYMENT_REFUSALS = {"limit-exceeded", "account-not-known-yet", "not-found"}
"""A limit of payments; or the payments service, if it was away for long, has not heard of an account yet."""


class WrongAnswerError(AssertionError):
    """The bank said something that is not so."""


@dataclass(slots=True)
class Pending:
    """A request without an answer so far, and whom to tell what it is."""

    key: str
    service: type[ServiceProcess[Any]]
    work: Work
    settle: Callable[[Answered], None]


class Person:
    """Somebody, with what they know and what they wait for."""

    def __init__(self, number: int, machine: Machine, bank: Bank, books: Books, judge: Judge) -> None:
        self.name = f"person-{number}"
        self.email = f"{self.name}@example.org"
        self.user_id = ""
        self.pending: Pending | None = None
        self.others: list[Person] = []
        self._machine = machine
        self._bank = bank
        self._books = books
        self._random: Random = machine.chance.of(self.name)
        self._zone = self._random.choice(ZONES)
        self._requests = 0
        self._mail_due_ms = -1
        self._is_leaving = self._is_gone = False
        self._planner = Planner(self, books, judge, self._random)

    @property
    def mail(self) -> MailServer:
        return self._machine.mail

    @property
    def is_erased(self) -> bool:
        """Whether they may have been."""
        return self.user_id in self._books.erased

    @property
    def can_be_paid(self) -> bool:
        return bool(self.user_id) and not self.is_erased

    @property
    def is_waiting(self) -> bool:
        """Whether they are owed an answer."""
        return self.pending is not None or (self._is_leaving and not self._is_gone)

    def act(self, *, quietly: bool = False) -> None:
        """Do one thing. ``quietly``: begin nothing that changes anything."""
        try:
            if self._is_gone:
                return
            if self._is_leaving:
                self._leave()
            elif not self.user_id:
                self._join()
            elif self.pending is not None:
                self._ask(self.pending)
            else:
                self._do_something(quietly)
        except NoAnswerError:
            self._note("no answer")

    def look_everywhere(self) -> None:
        """Look at every account, if they are still there. Raises NoAnswerError."""
        if self.is_erased:
            return
        for account in self._books.of(self.user_id):
            self._look(account)

    # Signing up.

    def _join(self) -> None:
        now_ms = self._machine.clock.monotonic()
        tokens = [mail.token for mail in self.mail.of(self.email) if mail.token is not None]
        try:
            if tokens:
                self._verify(tokens[-1])
            elif self._mail_due_ms < 0:
                self._mail_due_ms = now_ms + MAIL_AGAIN_MS
                body = SignUp(email=self.email, password=PASSWORD, name=self.name, timezone=self._zone)
                self._on_users(
                    lambda accounts, c: accounts.sign_up(c, body, accounts.hash_of_new(body), HOME),
                )
                self._note("signed up")
            elif now_ms >= self._mail_due_ms:
                # The answer may have been lost before the account was made, or the mail afterwards.
                self._mail_due_ms = -1 if self._random.random() < 0.5 else now_ms + MAIL_AGAIN_MS
                self._on_users(lambda accounts, c: accounts.mail_verification(c, ByEmail(email=self.email)))
        except Problem as problem:
            self._note(f"{problem.slug}")

    def _verify(self, token: str) -> None:
        try:
            self._on_users(lambda accounts, c: accounts.verify(c, MailedToken(token=token), HOME))
        except Problem:
            # Used before, by a request whose answer was lost; or too old.
            self._mail_due_ms = min(self._mail_due_ms, self._machine.clock.monotonic() + MAIL_AGAIN_MS)
        proven = self._bank.users(
            lambda process: process.service.authenticator.log_in(self.email, PASSWORD, HOME)  # type: ignore[union-attr]
        )
        if proven.person.is_verified:
            self.user_id = proven.person.user_id
            self._books.zones[self.user_id] = self._zone
            self._note("verified")
        elif self._machine.clock.monotonic() >= self._mail_due_ms:
            self._mail_due_ms = self._machine.clock.monotonic() + MAIL_AGAIN_MS
            self._on_users(lambda accounts, c: accounts.mail_verification(c, ByEmail(email=self.email)))

    def _on_users(self, work: Callable[[Any, Connection], Answer]) -> None:
        def ask(process: Users) -> None:
            assert process.service is not None
            assert process.database is not None
            with process.database.begin() as connection:
                work(process.service.accounts, connection)

        self._bank.users(ask)

    def leave(self) -> None:
        """Ask to be forgotten, as soon as nothing else is open."""
        self._is_leaving = self.pending is None and bool(self.user_id)

    def _leave(self) -> None:
        def ask(process: Users) -> None:
            assert process.service is not None
            assert process.database is not None
            proven = process.service.authenticator.confirm(self.user_id, PASSWORD, HOME)
            with process.database.begin() as connection:
                process.service.privacy.erase(connection, proven, None)

        # From the first try on: whether it was done is not known if the answer is lost.
        self._books.erased.add(self.user_id)
        try:
            self._bank.users(ask)
        except Problem as problem:
            if problem.status != 401:
                self._note("cannot leave", problem.slug)
                return
        self._is_gone = True
        self._note("was erased")

    # Money.

    def _do_something(self, quietly: bool) -> None:
        accounts = self._books.of(self.user_id)
        if accounts and (quietly or self._random.random() < 0.1):
            self._look(self._random.choice(accounts))
        elif quietly:
            return
        elif not accounts or (len(accounts) < ACCOUNTS_MAX and self._random.random() < 0.05):
            self._open()
        elif self._random.random() < PLANNING:
            self._planner.act(self._random.choice(accounts))
        elif self._random.random() < 0.03 and len(self._books.categories.get(self.user_id, [])) < CATEGORIES_MAX:
            self._name_category()
        else:
            self._move(self._random.choice(accounts))

    def _open(self) -> None:
        currency = self._random.choice(("EUR", "EUR", "CZK", "JPY"))
        limit = self._random.choice((0, 0, 500_00, None))
        body = OpenAccount(name="Everyday", currency=currency, overdraft_limit_minor=limit)

        self._books.opening.add(self.user_id)

        def settle(answer: Answered) -> None:
            self._books.opening.remove(self.user_id)
            self.expect(answer, "an account", set())
            account = AccountModel(answer.body["id"], self.user_id, currency, limit)
            self._books.accounts[account.account_id] = account

        self.begin("asks", "open", lambda s, c: s.open_account(c, self.caller(), body), settle)

    def _name_category(self) -> None:
        body = CategoryBody(name=f"Category {self._requests}")

        def settle(answer: Answered) -> None:
            self.expect(answer, f"{body}", set())
            self._books.categories.setdefault(self.user_id, []).append(answer.body["id"])

        self.begin("asks", "name a category", lambda s, c: s.create_category(c, self.caller(), body), settle)

    def _move(self, account: AccountModel) -> None:
        """Book, reserve, or do something about what was booked or reserved before."""
        choice = self._random.random()
        cancellable = [key for key, t in self._books.transfers.items() if t.may_post and t.payer == account.account_id]
        reversible = [tag for tag, entry in account.entries.items() if entry.can_be_reversed][-5:]
        if choice < 0.25 and account.holds:
            self._end_hold(account, self._random.choice(list(account.holds)))
        elif choice < 0.32 and reversible:
            self._reverse(account, self._random.choice(reversible))
        elif choice < 0.35 and cancellable:
            self._cancel(self._random.choice(cancellable))
        elif choice < 0.5 and not self._books.is_crowded():
            self._pay(account)
        else:
            self._record(account)

    def _record(self, account: AccountModel) -> None:
        reserve = self._random.random() < 0.2
        amount = self._random.choice((1, 99, 1_000, 10_00, 120_00, 500_00, self._random.randrange(1, 900_00)))
        signed = amount if self._random.random() < 0.5 else -amount
        forced = self._random.random() < 0.15
        expires_ms = None
        if reserve and self._random.random() < 0.7:
            expires_ms = self._machine.clock.wall() + self._random.randrange(1_000, 72 * HOUR_MS)
        category = self._random.choice([None, *self._books.categories.get(self.user_id, [])])
        tag = self._tag()
        body = NewTransaction(
            account_id=account.account_id,
            credit_debit=CreditDebit.CREDIT if signed > 0 else CreditDebit.DEBIT,
            amount=Money(amount_minor=amount, currency=account.currency),
            status=EntryStatus.PENDING if reserve else EntryStatus.BOOKED,
            expires_at=None if expires_ms is None else to_datetime(expires_ms),
            end_to_end_id=tag,
            counterparty="The shop around the corner",
            category_id=category,
            force=forced,
        )
        move = Move(
            tag,
            account.account_id,
            signed,
            "reserve" if reserve else "book",
            asked=not forced,
            expires_ms=expires_ms,
            category=category,
        )
        self._begin_move(move, lambda s, c: s.record(c, self.caller(), body))

    def _end_hold(self, account: AccountModel, tag: str) -> None:
        hold = account.holds[tag]
        if self._random.random() < 0.4:
            move = Move(self._tag(), account.account_id, -hold.signed, "void", hold=tag)
            self._begin_move(move, lambda s, c: s.void(c, self.caller(), hold.entry_id))
            return
        amount = max(1, abs(hold.signed) * self._random.choice((1, 1, 2)) // self._random.choice((1, 1, 2)))
        forced = self._random.random() < 0.2
        signed = amount if hold.signed > 0 else -amount
        move = Move(self._tag(), account.account_id, signed, "post", asked=not forced, hold=tag, category=hold.category)
        body = BookTransaction(amount_minor=amount, force=forced)
        self._begin_move(move, lambda s, c: s.book(c, self.caller(), hold.entry_id, body))

    def _reverse(self, account: AccountModel, tag: str) -> None:
        entry = account.entries[tag]
        forced = self._random.random() < 0.5
        move = Move(
            self._tag(),
            account.account_id,
            -entry.signed,
            "reverse",
            asked=not forced,
            reverses=tag,
            category=entry.category,
        )
        body = ReverseTransaction(force=forced)
        self._begin_move(move, lambda s, c: s.reverse(c, self.caller(), entry.entry_id, body))

    def _pay(self, account: AccountModel) -> None:
        """Pay somebody else, or move money between accounts of one's own."""
        payee_account = None
        mine = [a for a in self._books.of(self.user_id) if a is not account and a.currency == account.currency]
        # Who has no account in the currency yet may open one, or the money comes back.
        others = [other for other in self.others if other.can_be_paid]
        if mine and self._random.random() < 0.3:
            payee_account = self._random.choice(mine).account_id
        elif not others:
            return
        payee = self if payee_account else self._random.choice(others)
        amount = self._random.choice((1, 5_00, 50_00, self._random.randrange(1, 400_00)))
        tag = self._tag()
        body = NewTransfer(
            debtor_account_id=account.account_id,
            amount=PaymentMoney(amount_minor=amount, currency=account.currency),
            payee=None if payee_account else payee.email,
            creditor_account_id=payee_account,
            remittance="With thanks",
        )
        transfer = Transfer(account.account_id, payee.user_id, amount, account.currency, payee_account)
        self._books.transfers[tag] = transfer

        def settle(answer: Answered) -> None:
            del self._books.transfers[tag]
            if answer.problem is None:
                self._books.transfers[answer.body["id"]] = transfer
            self.expect(answer, f"{body}", PAYMENT_REFUSALS)

        self.begin("asks", f"pay {amount}", lambda s, c: s.create_transfer(c, self.caller(), body), settle, Payments)

    def _cancel(self, transfer_id: str) -> None:
        """Take a transfer back. If it is too late for that, the bank says so."""

        def settle(answer: Answered) -> None:
            self.expect(answer, f"cancelling {transfer_id}", {"transfer-not-cancellable"})

        self.begin("asks", "cancel", lambda s, c: s.cancel_transfer(c, self.caller(), transfer_id), settle, Payments)

    def _begin_move(self, move: Move, work: Work) -> None:
        account = self._books.accounts[move.account]
        self._books.in_doubt[move.tag] = move

        def settle(answer: Answered) -> None:
            expected = self._books.expected(move, self._now())
            if answer.problem is None:
                right = expected != "refused"
            else:
                right = expected != "done" and answer.problem in REFUSALS[move.kind]
            if not right:
                raise WrongAnswerError(f"{move}: {answer}, but {expected} was expected of {account}")
            del self._books.in_doubt[move.tag]
            if answer.problem is None:
                account.apply(move, answer.body["id"])

        self.begin("asks", f"{move.kind} {move.signed}", work, settle)

    def _look(self, account: AccountModel) -> None:
        """Look at a balance: it is what the answers so far make it."""
        answer = self._bank.read(Transactions, lambda s, c: s.get_balance(c, self.caller(), account.account_id))
        if answer.problem is not None:
            raise WrongAnswerError(f"{self.name} cannot see {account.account_id}: {answer.problem}")
        seen, now_ms = answer.body, self._now()
        pending = self._books.in_doubt.values()
        if not any(move.account == account.account_id for move in pending):
            least, most = account.reserved(now_ms)
            most += self._books.outgoing(account.account_id)
            if not least <= seen["pending_debits_minor"] <= most:
                raise WrongAnswerError(f"{seen}: {least} to {most} are set aside in {account}")
        if seen["booked_minor"] not in self._books.may_have(account.account_id):
            raise WrongAnswerError(f"{seen} is not the balance of {account}")
        if seen["available_minor"] != seen["booked_minor"] - seen["pending_debits_minor"] + (account.limit or 0):
            raise WrongAnswerError(f"{seen} does not add up: the limit is {account.limit}")
        self._note("looked")

    # Asking.

    def begin(
        self,
        what: str,
        detail: str,
        work: Work,
        settle: Callable[[Answered], None],
        service: type[ServiceProcess[Any]] = Transactions,
    ) -> None:
        """Ask for something, until there is an answer."""
        self._requests += 1
        self._note(what, detail)
        self.pending = Pending(f"{self.name}-{self._requests}", service, work, settle)
        self._ask(self.pending)

    def expect(self, answer: Answered, what: str, problems: set[str]) -> None:
        """Raise WrongAnswerError, unless it was done or the problem is one of those that can be."""
        if answer.problem is not None and answer.problem not in problems:
            raise WrongAnswerError(f"{self.name} wants {what}: {answer.problem}")

    def _ask(self, pending: Pending) -> None:
        answer = self._bank.write(pending.service, self.user_id, pending.key, pending.work)
        if answer.problem == "user-not-known-yet":
            return
        self._note("refused" if answer.problem else "done", answer.problem or "")
        pending.settle(answer)
        self.pending = None

    def _tag(self) -> str:
        return f"{self.name}-{self._requests + 1}"

    def caller(self) -> Caller:
        """Who they are to a service."""
        return Caller(self.user_id, SCOPES, "session:s", "t", 0)

    def _now(self) -> int:
        return self._books.see_time(self._machine.clock.wall())

    def _note(self, what: str, detail: str = "") -> None:
        self._machine.trace.add(self._machine.clock.monotonic(), self.name, what, detail)
