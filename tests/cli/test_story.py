"""A person's story over HTTP alone, with real processes: from sign-up to erasure.

In one process and with every service in its own; on SQLite and on PostgreSQL.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import URL
from tests.cli.support import Process, running, streambank, up, wait_until

EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"
COUNTERPARTY = "Quentin's Quince Quarter"

API = re.compile(r"^api +(http://127\.0\.0\.1:\d+)/docs$", re.MULTILINE)
MAILBOX = re.compile(r"^mailbox +(http://127\.0\.0\.1:\d+)/", re.MULTILINE)


@dataclass
class Bank:
    """Where the parts of the running bank are."""

    data: Path
    users: str
    transactions: str
    mailbox: str
    processes: list[Process]


def address(process: Process, pattern: re.Pattern[str]) -> str:
    wait_until(lambda: pattern.search(process.stdout) is not None, f"{pattern.pattern} in the output")
    found = pattern.search(process.stdout)
    assert found is not None
    return found[1]


@contextmanager
def together(folder: Path, database: tuple[str, ...]) -> Iterator[Bank]:
    with up(folder / "data", *database) as process:
        api = address(process, API)
        yield Bank(folder / "data", api, api, address(process, MAILBOX), [process])


@contextmanager
def apart(folder: Path, database: tuple[str, ...]) -> Iterator[Bank]:
    data = folder / "data"
    parts = {
        "users": ("--api-port", "0"),
        "transactions": ("--api-port", "0"),
        "balances": (),
        "alerts": (),
        "notifications": ("--api-port", "0", "--port", "0", "--mailbox-smtp-port", "0"),
    }
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(folder / name, "run", name, *options, *database, data=data))
            for name, options in parts.items()
        }
        for name, process in processes.items():
            wait_until(lambda p=process: bool(p.logged("running")), f"{name} runs")  # type: ignore[misc]
        yield Bank(
            data,
            address(processes["users"], API),
            address(processes["transactions"], API),
            address(processes["notifications"], MAILBOX),
            list(processes.values()),
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> tuple[str, ...]:
    if request.param == "sqlite":
        return ()
    url: URL = request.getfixturevalue("postgres_url")
    return ("--database", url.set(drivername="postgresql").render_as_string(hide_password=False))


class Person:
    """Somebody who uses the bank, over HTTP and by reading e-mails."""

    def __init__(self, bank: Bank, client: httpx.Client) -> None:
        self.bank = bank
        self._client = client
        self._keys = count()
        self._read: set[str] = set()
        self.token = ""

    def ask(self, method: str, url: str, *, expect: int, **more: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"story-{next(self._keys)}", **more.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = self._client.request(method, url, headers=headers, **more)
        assert answer.status_code == expect, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer

    def mail(self, subject: str) -> str:
        """The text of the next e-mail whose subject holds ``subject``."""
        secret = (self.bank.data / "mailbox.secret").read_text().strip()
        headers = {"Authorization": "Basic " + base64.b64encode(f"x:{secret}".encode()).decode()}
        found: list[str] = []

        def arrived() -> bool:
            listed = self._client.get(f"{self.bank.mailbox}/api/v1/messages", headers=headers).json()["messages"]
            found[:] = [m["ID"] for m in listed if subject in m["Subject"] and m["ID"] not in self._read]
            return bool(found)

        wait_until(arrived, f"an e-mail about {subject!r}")
        self._read.add(found[-1])
        text = self._client.get(f"{self.bank.mailbox}/api/v1/message/{found[-1]}", headers=headers).json()["Text"]
        return str(text)

    def log_in(self, *, expect: int = 201) -> None:
        self.token = ""
        answer = self.ask(
            "POST", f"{self.bank.users}/v1/sessions", json={"email": EMAIL, "password": PASSWORD}, expect=expect
        )
        if expect == 201:
            self.token = answer.json()["access_token"]


def entry(number: int, signed_minor: int, counterparty: str, day: int) -> dict[str, Any]:
    return {
        "external_id": f"bank-{number}",
        "credit_debit": "CRDT" if signed_minor > 0 else "DBIT",
        "amount": {"amount_minor": abs(signed_minor), "currency": "EUR"},
        "booking_date": f"2026-11-{day:02d}",
        "counterparty": counterparty,
    }


@pytest.mark.parametrize("arranged", [together, apart])
def test_from_sign_up_to_erasure(tmp_path: Path, arranged: Any, database: tuple[str, ...]) -> None:
    with arranged(tmp_path, database) as bank, httpx.Client(timeout=30) as client:
        ada = Person(bank, client)
        _signs_up(ada)
        account = _opens_an_account_and_imports_a_statement(ada)
        _sees_live_balances(ada, account)
        _categorises_by_rule(ada)
        _corrects_an_entry(ada, account)
        _takes_everything_along(ada)
        _is_erased(ada)
        for process in bank.processes:
            output = process.stdout + process.stderr
            assert EMAIL not in output
            assert PASSWORD not in output
            assert COUNTERPARTY not in output
            assert not process.logged("request failed"), process.stderr


def _signs_up(ada: Person) -> None:
    users = f"{ada.bank.users}/v1/users"
    ada.ask("POST", users, json={"email": EMAIL, "password": PASSWORD, "name": "Ada King"}, expect=202)
    code = re.search(r"^\s*([A-Za-z0-9_-]{20,})\s*$", ada.mail("e-mail address"), re.MULTILINE)
    assert code is not None
    # Before the address is known to be hers she may look after herself, and no more.
    ada.log_in()
    ada.ask("GET", f"{ada.bank.transactions}/v1/accounts", expect=403)
    ada.ask("POST", f"{users}/verify", json={"token": code[1]}, expect=204)
    ada.log_in()
    assert ada.ask("GET", f"{users}/me", expect=200).json()["email_verified"] is True


def _opens_an_account_and_imports_a_statement(ada: Person) -> str:
    api = f"{ada.bank.transactions}/v1"
    opened: list[httpx.Response] = []

    def open_account() -> bool:
        body = {"name": "Everyday", "currency": "EUR", "overdraft_limit_minor": 0}
        # The service may not have heard of her yet: it says so, and to ask again.
        key = {"Idempotency-Key": "open", "Authorization": f"Bearer {ada.token}"}
        opened[:] = [httpx.post(f"{api}/accounts", json=body, headers=key)]
        assert opened[0].status_code in {201, 503}, opened[0].text
        return opened[0].status_code == 201

    wait_until(open_account, "the account is open")
    account: str = opened[0].json()["id"]
    lines = [
        entry(1, 1500_00, "Employer", 1),
        entry(2, -1200_00, "Landlord", 2),
        entry(3, -25_50, COUNTERPARTY, 3),
        entry(4, -12_25, COUNTERPARTY, 4),
    ]
    content = "\n".join(json.dumps(line) for line in lines)
    imports = f"{api}/accounts/{account}/imports"
    first = ada.ask("POST", imports, content=content, expect=201).json()
    assert (first["booked"], first["duplicates"]) == (4, 0)
    again = ada.ask("POST", imports, content=content, expect=201).json()
    assert (again["booked"], again["duplicates"]) == (0, 4)
    return account


def _sees_live_balances(ada: Person, account: str) -> None:
    balance = ada.ask("GET", f"{ada.bank.transactions}/v1/accounts/{account}/balance", expect=200).json()
    assert (balance["booked_minor"], balance["available_minor"]) == (262_25, 262_25)

    def computed() -> bool:
        listed = json.loads(streambank("balances", "-o", "json", data=ada.bank.data).stdout)["accounts"]
        return any(row["balance"] == "262.25" and row["account"] == "Everyday" for row in listed)

    wait_until(computed, "the topology has the same balance")


def _categorises_by_rule(ada: Person) -> None:
    api = f"{ada.bank.transactions}/v1"
    category = ada.ask("POST", f"{api}/categories", json={"name": "Fruit"}, expect=201).json()["id"]
    rule = {
        "name": "Fruit",
        "texts": [{"field": "counterparty", "op": "contains", "value": "quince"}],
        "category_id": category,
        "tags": ["healthy"],
    }
    assert ada.ask("POST", f"{api}/rules:preview", json=rule, expect=200).json()["would_change"] == 2
    made = ada.ask("POST", f"{api}/rules", json=rule, expect=201).json()
    assert ada.ask("POST", f"{api}/rules/{made['id']}:apply", json={}, expect=200).json()["changed"] == 2
    found = ada.ask("GET", f"{api}/transactions?category_id={category}", expect=200).json()["items"]
    assert [(item["amount"]["amount_minor"], item["tags"]) for item in found] == [
        (12_25, ["healthy"]),
        (25_50, ["healthy"]),
    ]


def _corrects_an_entry(ada: Person, account: str) -> None:
    api = f"{ada.bank.transactions}/v1"
    wrong = ada.ask("GET", f"{api}/transactions?account_id={account}&limit=1", expect=200).json()["items"][0]
    reversed_ = ada.ask("POST", f"{api}/transactions/{wrong['id']}:reverse", json={}, expect=201).json()
    assert reversed_["reverses_id"] == wrong["id"]
    balance = ada.ask("GET", f"{api}/accounts/{account}/balance", expect=200).json()
    assert balance["booked_minor"] == 274_50
    ada.ask("POST", f"{api}/transactions/{wrong['id']}:reverse", json={}, expect=409)
    too_much = {"account_id": account, **entry(9, -274_51, "Too much", 5)}
    assert "insufficient-funds" in ada.ask("POST", f"{api}/transactions", json=too_much, expect=409).text


def _takes_everything_along(ada: Person) -> None:
    exported = ada.ask("GET", f"{ada.bank.users}/v1/users/me/export", expect=200).json()
    assert exported["profile"]["email"] == EMAIL
    assert PASSWORD not in json.dumps(exported)
    lines = ada.ask("GET", f"{ada.bank.transactions}/v1/transactions/export", expect=200).text.splitlines()
    assert sum(COUNTERPARTY in line for line in lines) >= 2


def _is_erased(ada: Person) -> None:
    me = f"{ada.bank.users}/v1/users/me"
    tag = ada.ask("GET", me, expect=200).headers["ETag"]
    ada.ask("DELETE", me, json={"password": PASSWORD}, headers={"If-Match": tag}, expect=204)
    ada.ask("GET", me, expect=401)

    def forgotten() -> bool:
        answer = httpx.get(f"{ada.bank.transactions}/v1/accounts", headers={"Authorization": f"Bearer {ada.token}"})
        return answer.status_code in {401, 403} or answer.json()["items"] == []

    wait_until(forgotten, "the transactions service has forgotten her accounts")
    ada.log_in(expect=401)
    # What is left in the log is sealed, and the key is gone.
    tailed = streambank("tail", "balance.changed", "-o", "jsonl", "--unseal", data=ada.bank.data).stdout
    assert tailed
    assert COUNTERPARTY not in tailed
