"""Two people's story over HTTP alone, with real processes: plans, a payment between them, and what they are told.

Ada earns, spends by a budget, pays Bob and is overdrawn; Bob saves. In one process and with every part in its own; on
SQLite and on PostgreSQL.
"""

import base64
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.support import START_S, Process, running, up, wait_until
from tests.cli.test_story import API, MAILBOX, PASSWORD, address, database

__all__ = ["database"]
"""The fixture is the other story's."""

QUIET_S = 2.0
"""How long to wait for e-mails that should not come: many times what those take that should."""

ALL_START_S = 4 * START_S
"""Nine processes that start at the same time are in one another's way."""

TOPOLOGIES = ("balances", "alerts", "goals", "screening")
SERVICES = ("users", "transactions", "payments", "personalization", "notifications")
PATHS = {
    "users": ("users", "sessions"),
    "transactions": ("accounts", "categories", "transactions"),
    "payments": ("transfers",),
    "personalization": ("thresholds", "budgets", "savings-goals"),
}
"""Which service answers at which address."""


@dataclass
class Bank:
    """Where the parts of the running bank are. ``apis`` are the services' addresses, by name."""

    data: Path
    apis: dict[str, str]
    mailbox: str
    processes: list[Process]

    def url(self, path: str) -> str:
        first = re.split(r"[/?:]", path)[0]
        name = next(name for name, paths in PATHS.items() if first in paths)
        return f"{self.apis[name]}/v1/{path}"


@contextmanager
def together(folder: Path, where: tuple[str, ...]) -> Iterator[Bank]:
    with up(folder / "data", *where) as process:
        api = address(process, API)
        yield Bank(folder / "data", dict.fromkeys(SERVICES, api), address(process, MAILBOX), [process])


@contextmanager
def apart(folder: Path, where: tuple[str, ...]) -> Iterator[Bank]:
    data = folder / "data"
    options: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(SERVICES, ("--api-port", "0")),
        **dict.fromkeys(TOPOLOGIES, ()),
        "notifications": ("--api-port", "0", "--port", "0", "--mailbox-smtp-port", "0"),
    }
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(folder / name, "run", name, *more, *where, data=data))
            for name, more in options.items()
        }
        for name, process in processes.items():
            wait_until(lambda p=process: bool(p.logged("running")), f"{name} runs", ALL_START_S)  # type: ignore[misc]
        apis = {name: address(processes[name], API) for name in SERVICES}
        yield Bank(data, apis, address(processes["notifications"], MAILBOX), list(processes.values()))


class Person:
    """Somebody who uses the bank, over HTTP and by reading e-mails."""

    keys = count()

    def __init__(self, bank: Bank, client: httpx.Client, name: str) -> None:
        self.email = f"{name.lower()}@example.org"
        self.account = ""
        self._bank = bank
        self._client = client
        self._token = ""
        body = {"email": self.email, "password": PASSWORD, "name": name}
        self.ask("POST", "users", json=body, expect=202)
        code = re.search(r"^\s*([A-Za-z0-9_-]{20,})\s*$", self._text("Confirm your e-mail"), re.MULTILINE)
        assert code is not None
        self.ask("POST", "users/verify", json={"token": code[1]}, expect=204)
        del body["name"]
        self._token = self.ask("POST", "sessions", json=body, expect=201)["access_token"]

    def ask(self, method: str, path: str, *, expect: int, **more: Any) -> Any:
        """What is answered. A service that has not heard yet of what another did says so, and is asked again."""
        headers = {"Idempotency-Key": f"plans-{next(self.keys)}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        answers: list[httpx.Response] = []

        def answered() -> bool:
            answers[:] = [self._client.request(method, self._bank.url(path), headers=headers, **more)]
            return answers[0].status_code != 503

        wait_until(answered, f"{method} {path} is answered")
        assert answers[0].status_code == expect, f"{method} {path}: {answers[0].status_code} {answers[0].text}"
        return answers[0].json() if answers[0].content else None

    def open_account(self, **more: Any) -> None:
        body = {"name": "Everyday", "currency": "EUR", **more}
        self.account = self.ask("POST", "accounts", json=body, expect=201)["id"]

    def book(self, signed_minor: int, **more: Any) -> None:
        body = {
            "account_id": self.account,
            "credit_debit": "CRDT" if signed_minor > 0 else "DBIT",
            "amount": {"amount_minor": abs(signed_minor), "currency": "EUR"},
            **more,
        }
        self.ask("POST", "transactions", json=body, expect=201)

    def booked_minor(self) -> int:
        found = self.ask("GET", f"accounts/{self.account}/balance", expect=200)
        return int(found["booked_minor"])

    def subjects(self) -> list[str]:
        """Of all e-mails that have come."""
        return [mail["Subject"] for mail in self._mails()]

    def _mails(self) -> list[dict[str, Any]]:
        listed = self._ask_mailbox("messages?limit=1000")["messages"]
        return [mail for mail in listed if any(to["Address"] == self.email for to in mail["To"])]

    def _text(self, subject: str) -> str:
        found: list[str] = []

        def arrived() -> bool:
            found[:] = [mail["ID"] for mail in self._mails() if subject in mail["Subject"]]
            return bool(found)

        wait_until(arrived, f"an e-mail about {subject!r}")
        return str(self._ask_mailbox(f"message/{found[0]}")["Text"])

    def _ask_mailbox(self, path: str) -> Any:
        secret = (self._bank.data / "mailbox.secret").read_text().strip()
        headers = {"Authorization": "Basic " + base64.b64encode(f"x:{secret}".encode()).decode()}
        return self._client.get(f"{self._bank.mailbox}/api/v1/{path}", headers=headers).json()


@pytest.mark.slow
@pytest.mark.parametrize("arranged", [together, apart])
def test_two_people_plan_and_pay(tmp_path: Path, arranged: Any, database: tuple[str, ...]) -> None:
    with arranged(tmp_path, database) as bank:
        two_people_plan_and_pay(bank)


def two_people_plan_and_pay(bank: Bank) -> None:
    """The story."""
    with httpx.Client(timeout=30) as client:
        ada, bob = Person(bank, client, "Ada"), Person(bank, client, "Bob")
        food = _make_plans(ada, bob)
        ada.book(1_000_00, counterparty="Employer")
        ada.book(-210_00, counterparty="Market", category_id=food)
        _until(ada, "50 % of the budget is spent")
        _pays(ada, bob, 300_00)
        _until(ada, "You paid")
        _until(bob, "You received")
        _until(bob, "50 % is saved")
        ada.book(-600_00, counterparty="Landlord")
        _until(ada, "fell below")
        time.sleep(QUIET_S)
        _each_once(ada, "50 % of the budget is spent", "You paid", "fell below")
        _each_once(bob, "You received", "50 % is saved")
        assert (ada.booked_minor(), bob.booked_minor()) == (-110_00, 300_00)
        assert ada.booked_minor() + bob.booked_minor() == 1_000_00 - 210_00 - 600_00
        for process in bank.processes:
            assert not process.logged("request failed"), process.stderr


def _make_plans(ada: Person, bob: Person) -> str:
    """Ada wants to know when she is overdrawn, and has a budget for food; Bob saves. The category of food."""
    ada.open_account(overdraft_limit_minor=500_00)
    bob.open_account()
    below = {"account_id": ada.account, "direction": "below", "level_minor": 0}
    ada.ask("POST", "thresholds", json=below, expect=201)
    food: str = ada.ask("POST", "categories", json={"name": "Feasts"}, expect=201)["id"]
    budget = {"name": "Feasts", "currency": "EUR", "target_minor": 400_00, "category_ids": [food]}
    ada.ask("POST", "budgets", json=budget, expect=201)
    goal = {"name": "A bicycle", "currency": "EUR", "target_minor": 500_00, "account_ids": [bob.account]}
    bob.ask("POST", "savings-goals", json=goal, expect=201)
    return food


def _pays(payer: Person, payee: Person, amount_minor: int) -> None:
    body = {
        "debtor_account_id": payer.account,
        "amount": {"amount_minor": amount_minor, "currency": "EUR"},
        "payee": payee.email,
        "remittance": "For the concert",
    }
    transfer = payer.ask("POST", "transfers", json=body, expect=201)["id"]
    wait_until(_is_posted(payer, transfer), "the transfer is posted")


def _is_posted(payer: Person, transfer: str) -> Callable[[], bool]:
    return lambda: payer.ask("GET", f"transfers/{transfer}", expect=200)["state"] == "posted"


def _until(person: Person, subject: str) -> None:
    wait_until(lambda: any(subject in told for told in person.subjects()), f"{person.email}: {subject}")


def _each_once(person: Person, *subjects: str) -> None:
    told = person.subjects()
    for subject in subjects:
        assert sum(subject in one for one in told) == 1, f"{subject!r} once among {told}"
