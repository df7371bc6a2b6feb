"""All services behind one address, served over HTTP, and the people who use them.

Ada owns accounts and much else, Bob is another customer, Eve and Fay may look at one of Ada's accounts.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import msgspec
from sqlalchemy import MetaData, select
from tests.bank.transactions.support import TODAY, Ticker, line, records, transaction
from tests.postgres import Databases
from tests.services import all_services, answering

from streambank.bank.events import (
    MAIL_REQUESTED,
    TOPICS,
    TRANSFER_STATUS,
    USER_KEY,
    Currency,
    TransferChanged,
    TransferParty,
    TransferState,
)
from streambank.bank.events.personal import seal, unseal
from streambank.bank.scopes import SCOPES
from streambank.bank.topologies import balances, figures, goals
from streambank.bank.transactions.verification import check_ledger
from streambank.clock import to_datetime
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import LIFETIME_S
from streambank.streams import StreamRunner, StreamsConfig

PASSWORD = "green apples on a hill"
NDJSON = {"Content-Type": "application/x-ndjson"}
ALL_SCOPES = frozenset(SCOPES)

STREAM = "/v1/stream"

Rows = dict[str, list[str]]


class Client:
    """Asks as somebody; each request has an Idempotency-Key of its own."""

    numbers = count()

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self.token = token
        self._http = httpx.Client(base_url=base_url, timeout=30)

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"key-{next(self.numbers)}"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        headers.update(more.pop("headers", None) or {})
        if path == STREAM:
            return self._beginning(method, path, headers=headers, **more)
        return self._http.request(method, path, headers=headers, **more)

    def _beginning(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer of what never ends, up to its first event."""
        with self._http.stream(method, path, **more) as answer:
            is_stream = answer.headers["content-type"].startswith("text/event-stream")
            content = next(answer.iter_bytes()) if is_stream else answer.read()
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    def done(self, method: str, path: str, **more: Any) -> Any:
        """What a request is answered with that has to succeed."""
        response = self(method, path, **more)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def close(self) -> None:
        self._http.close()


@dataclass
class Person:
    """Somebody who is logged in."""

    user_id: str
    email: str
    ask: Client
    token: str
    session_id: str


class Api:
    """The services and their server."""

    def __init__(self, databases: Databases, stack: ExitStack) -> None:
        self.clock = Ticker()
        self.log = stack.enter_context(EmbeddedLog.open(None, clock=self.clock, background_cleaning=False))
        self.log.create_topics(topic.config for topic in TOPICS)
        self.made = all_services(self.log, databases, stack, clock=self.clock)
        self.services: list[Any] = [service for service, _ in self.made.values()]
        self._working = threading.Lock()
        self.app = answering(self.log, self.made, stack, clock=self.clock, sleep=self._meanwhile)
        server = HttpServer(self.app, name="the services")
        server.start()
        stack.callback(server.close)
        self.url = server.url
        self._stack = stack
        self.settle()

    def client(self, token: str | None = None) -> Client:
        made = Client(self.url, token)
        self._stack.callback(made.close)
        return made

    def settle(self) -> None:
        """Let the services publish and take what is there. The first step may only join the group."""
        idle = 0
        while idle < 2:
            idle = 0 if self._step() else idle + 1

    def _step(self) -> int:
        with self._working:
            return sum(service.step() for service in self.services)

    def _meanwhile(self, seconds: float) -> None:
        """While a request waits for the services, they work."""
        if not self._step():
            time.sleep(seconds)

    def run_topologies(self) -> None:
        """Let the topologies do what there is to do, once."""
        for name, build in (("balances", balances.build), ("goals", goals.build), ("figures", figures.build)):
            with closing(StreamRunner(build(), self.log, StreamsConfig(application_id=name))) as runner:
                while runner.step():
                    pass

    def mailed_token(self, email: str) -> str:
        """The token in the only mail to that address."""
        self.settle()
        keys = {r.key: USER_KEY.value.deserialize(r.value) for r in records(self.log, USER_KEY.name) if r.value}
        for record in records(self.log, MAIL_REQUESTED.name):
            mail = MAIL_REQUESTED.value.deserialize(record.value or b"")
            key = keys[USER_KEY.key.serialize(mail.user_id)].key
            if unseal(key, mail.user_id, mail.email) == email:
                token = unseal(key, mail.user_id, mail.token or "")
                assert token is not None
                return token
        raise AssertionError(f"no mail to {email}")

    def sign_up(self, name: str) -> Person:
        """Somebody new, with a verified address."""
        email = f"{name.lower()}@example.org"
        ask = self.client()
        ask.done("POST", "/v1/users", json={"email": email, "password": PASSWORD, "name": name})
        ask.done("POST", "/v1/users/verify", json={"token": self.mailed_token(email)})
        person = Person("", email, ask, "", "")
        self.log_in(person)
        self.settle()
        return person

    def log_in(self, person: Person) -> None:
        body = {"email": person.email, "password": PASSWORD}
        answer = self.client().done("POST", "/v1/sessions", json=body)
        person.token = person.ask.token = answer["access_token"]
        person.session_id = answer["session"]["session_id"]
        person.user_id = person.ask.done("GET", "/v1/users/me")["user_id"]

    def scoped_token(self, person: Person, scopes: frozenset[str]) -> str:
        """A token with just those scopes, as a program gets it."""
        form = {
            "grant_type": "password",
            "client_id": "streambank-cli",
            "username": person.email,
            "password": PASSWORD,
            "scope": " ".join(sorted(scopes)),
        }
        return str(self.client().done("POST", "/v1/oauth/token", data=form)["access_token"])

    def outlive_tokens(self) -> None:
        """Move on until every access token has run out."""
        self.clock.now_ms += LIFETIME_S * 1000

    def rows(self) -> Rows:
        """Everything in all databases, but how many numbers were set aside for postings: not all need be used."""
        found = {
            f"{name}.{table}": rows
            for name, (_, database) in self.made.items()
            for table, rows in _rows(database).items()
        }
        del found["transactions.ledger_state"]
        return found

    def faults(self) -> list[str]:
        """What is wrong with the ledger."""
        _, database = self.made["transactions"]
        with database.read() as connection:
            return check_ledger(connection)


@dataclass
class World:
    """The API and all who use it. ``ids`` are of what is Ada's, by the names of path parameters."""

    api: Api
    ada: Person
    bob: Person
    eve: Person
    fay: Person
    ids: dict[str, str] = field(default_factory=dict)
    pending_id: str = ""
    private_account_id: str = ""
    refundable_id: str = ""
    asked_id: str = ""

    @property
    def hers(self) -> tuple[str, ...]:
        """All ids of what is Ada's."""
        return (*self.ids.values(), self.pending_id, self.private_account_id, self.refundable_id, self.asked_id)


SECRETS = (
    "Ada's household",
    "Ada's nest egg",
    "Quentin's Quince Quarter",
    "ada's note",
    "ada-tag",
    "Ada's category",
    "Ada's plan",
    "ada's debt",
)
"""Texts that nobody but those with a share in Ada's accounts may see."""


@contextmanager
def world_of(databases: Databases) -> Iterator[World]:
    """A whole world on such databases."""
    with ExitStack() as stack:
        api = Api(databases, stack)
        world = World(api, api.sign_up("Ada"), api.sign_up("Bob"), api.sign_up("Eve"), api.sign_up("Fay"))
        _live(world)
        api.settle()
        api.run_topologies()
        api.settle()
        yield world


def _live(world: World) -> None:
    """What Ada does before anything else happens. Bob has an account too."""
    done = world.ada.ask.done
    opened = {"name": "Ada's household", "currency": "EUR", "overdraft_limit_minor": 100_000}
    account = done("POST", "/v1/accounts", json=opened)["id"]
    private = done("POST", "/v1/accounts", json={"name": "Ada's nest egg", "currency": "EUR"})["id"]
    for version, member in enumerate((world.eve, world.fay), start=1):
        done(
            "PUT",
            f"/v1/accounts/{account}/members/{member.user_id}",
            json={"role": "viewer"},
            headers={"If-Match": f'"v{version}"'},
        )
    category = done("POST", "/v1/categories", json={"name": "Ada's category"})["id"]
    rule = done("POST", "/v1/rules", json=rule_body(category))["id"]
    entry = done("POST", "/v1/transactions", json=told(account, 500))["id"]
    pending = done("POST", "/v1/transactions", json=told(account, -200, status="PDNG"))["id"]
    done("POST", "/v1/transactions", json=told(private, 900))
    lines = ndjson(line("", n, f"file-{n}", counterparty="Quentin's Quince Quarter") for n in range(1, 4))
    read_in = done("POST", f"/v1/accounts/{account}/imports", content=lines, headers=NDJSON)["id"]
    key = done("POST", "/v1/api-keys", json=api_key_body())["key_id"]
    webhook = done("POST", "/v1/webhooks", json={"url": "https://hooks.example.org/ada"})["id"]
    notice = _told_of_a_payment(world)
    world.bob.ask.done("POST", "/v1/accounts", json={"name": "Bob's", "currency": "EUR"})
    world.api.settle()
    threshold = done("POST", "/v1/thresholds", json=threshold_body(account))["id"]
    budget = done("POST", "/v1/budgets", json=budget_body())["id"]
    saving = done("POST", "/v1/savings-goals", json=savings_body(private))["id"]
    spending = done("POST", "/v1/spending-goals", json=spending_body())["id"]
    paid = _pay(world, private)
    world.ids = {
        "account_id": account,
        "member_id": world.fay.user_id,
        "entry_id": entry,
        "category_id": category,
        "rule_id": rule,
        "import_id": read_in,
        "session_id": world.ada.session_id,
        "key_id": key,
        "threshold_id": threshold,
        "budget_id": budget,
        "savings_goal_id": saving,
        "spending_goal_id": spending,
        "webhook_id": webhook,
        "notice_id": notice,
        **paid,
    }
    world.pending_id, world.private_account_id = pending, private


def _told_of_a_payment(world: World) -> str:
    """Ada hears of a payment of hers; the notice's id."""
    payer, now = world.ada.user_id, to_datetime(world.api.clock())
    keys = {r.key: USER_KEY.value.deserialize(r.value) for r in records(world.api.log, USER_KEY.name) if r.value}
    name = seal(keys[USER_KEY.key.serialize(payer)].key, payer, "Quentin's Quince Quarter")
    paid = TransferChanged(
        user_id=payer,
        occurred_at=now,
        recorded_at=now,
        event_id="paid",
        transfer_id="paid",
        state=TransferState.POSTED,
        debtor=TransferParty(user_id=payer, other_name=name),
        creditor=TransferParty(),
        amount_minor=900,
        currency=Currency("EUR"),
    )
    producer = world.api.log.producer()
    with producer.transaction() as transaction:
        TRANSFER_STATUS.write(transaction, paid.transfer_id, paid, paid.timestamp)
    producer.close()
    world.api.settle()
    found: str = world.ada.ask.done("GET", "/v1/inbox")["items"][0]["id"]
    return found


def _pay(world: World, account_id: str) -> dict[str, str]:
    """Ada pays an address that nobody has, has a standing order and a request; the ids. She was paid by Fay too."""
    world.api.settle()
    done = world.ada.ask.done
    done("PUT", "/v1/payments/alias", json={"alias": "adas-alias"})
    transfer = done("POST", "/v1/transfers", json=transfer_body(account_id))["id"]
    order = {**transfer_body(account_id), "every": "month", "starts_on": f"{TODAY.year + 1}-01-31"}
    request = {"payer": "nobody@example.org", "amount": EUR_5, "remittance": "ada's debt"}
    fays = world.fay.ask.done("POST", "/v1/accounts", json={"name": "Fay's", "currency": "EUR"})["id"]
    world.fay.ask.done("POST", "/v1/transactions", json=transaction(fays, 900))
    world.api.settle()
    by_fay = {**transfer_body(fays), "payee": world.ada.email}
    refundable = world.fay.ask.done("POST", "/v1/transfers", json=by_fay)["id"]
    asked = world.fay.ask.done("POST", "/v1/payment-requests", json={**request, "payer": world.ada.email})["id"]
    ids = {
        "transfer_id": transfer,
        "order_id": done("POST", "/v1/standing-orders", json=order)["id"],
        "request_id": done("POST", "/v1/payment-requests", json=request)["id"],
    }
    world.refundable_id, world.asked_id = refundable, asked
    return ids


EUR_5 = {"amount_minor": 5, "currency": "EUR"}


def transfer_body(account_id: str) -> dict[str, Any]:
    return {
        "debtor_account_id": account_id,
        "amount": EUR_5,
        "payee": "nobody@example.org",
        "remittance": "ada's debt",
    }


def told(account_id: str, signed_minor: int, **more: Any) -> dict[str, Any]:
    """An entry of Ada's, with all that can be told of one."""
    return {
        **{k: v for k, v in line(account_id, signed_minor, "").items() if k != "external_id"},
        "counterparty": "Quentin's Quince Quarter",
        "notes": "ada's note",
        "tags": ["ada-tag"],
        **more,
    }


def rule_body(category_id: str) -> dict[str, Any]:
    text = {"field": "counterparty", "op": "contains", "value": "quince"}
    return {"name": "Quinces", "texts": [text], "category_id": category_id}


def threshold_body(account_id: str) -> dict[str, Any]:
    return {"account_id": account_id, "direction": "below", "level_minor": 100}


def budget_body() -> dict[str, Any]:
    return {"name": "Ada's plan: food", "currency": "EUR", "target_minor": 40_000}


def savings_body(account_id: str) -> dict[str, Any]:
    return {"name": "Ada's plan: a bike", "currency": "EUR", "target_minor": 90_000, "account_ids": [account_id]}


def spending_body() -> dict[str, Any]:
    return {"name": "Ada's plan: Rome", "currency": "EUR", "target_minor": 70_000, "ends_on": f"{TODAY.year + 1}-05-01"}


def api_key_body() -> dict[str, Any]:
    return {"name": "a program", "scope": "transactions:read", "expires_at": f"{TODAY.year + 1}-01-01T00:00:00Z"}


def ndjson(lines: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines)


def _rows(database: Database) -> Rows:
    metadata = MetaData()
    with database.read() as connection:
        metadata.reflect(connection)
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            # An index that can only be searched; the tables under it are here too.
            if name != "entry_words"
        }
