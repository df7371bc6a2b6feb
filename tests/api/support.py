"""The services behind one address, served over HTTP, and the people who use them.

Ada owns accounts and much else, Bob is another customer, Eve and Fay may look at one of Ada's accounts.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import msgspec
from argon2 import Parameters, Type
from fastapi import FastAPI
from sqlalchemy import MetaData, select
from tests.bank.transactions.support import TODAY, Ticker, line, records, transaction
from tests.postgres import Databases

from streambank.bank.access import LogKeys
from streambank.bank.events import MAIL_REQUESTED, USER_KEY
from streambank.bank.events.personal import unseal
from streambank.bank.payments import endpoints as payments_endpoints
from streambank.bank.payments import models as payments_models
from streambank.bank.payments import service as payments
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.transactions import endpoints as transactions_endpoints
from streambank.bank.transactions import models as transactions_models
from streambank.bank.transactions import service as transactions
from streambank.bank.transactions.verification import check_ledger
from streambank.bank.users import endpoints as users_endpoints
from streambank.bank.users import models as users_models
from streambank.bank.users import service as users
from streambank.bank.users.settings import UsersSettings
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits, RatePolicy
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import LIFETIME_S, TokenVerifier

CHEAP = Parameters(type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "green apples on a hill"
NDJSON = {"Content-Type": "application/x-ndjson"}
ALL_SCOPES = frozenset(
    f"{service}:{what}" for service in ("users", "transactions", "payments") for what in ("read", "write")
)

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
        return self._http.request(method, path, headers=headers, **more)

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
        self.users_database = _opened(databases("users"), users_models.DATABASE, stack)
        self.database = _opened(databases("transactions"), transactions_models.DATABASE, stack)
        settings = UsersSettings(password_parameters=CHEAP)
        self.users = users.UsersService(self.log, self.users_database, settings, clock=self.clock)
        stack.callback(self.users.close)
        self.transactions = transactions.TransactionsService(self.log, self.database, clock=self.clock)
        stack.callback(self.transactions.close)
        self.payments_database = _opened(databases("payments"), payments_models.DATABASE, stack)
        self.payments = payments.PaymentsService(self.log, self.payments_database, clock=self.clock)
        stack.callback(self.payments.close)
        self.app = self._application(stack)
        server = HttpServer(self.app, name="the services")
        server.start()
        stack.callback(server.close)
        self.url = server.url
        self._stack = stack
        self.settle()

    def _application(self, stack: ExitStack) -> FastAPI:
        often = RatePolicy("test", 10_000_000, 1)
        limits = RateLimits(self.clock, caller=often, anonymous=often)
        verifier = TokenVerifier(LogKeys(self.log).find, self.clock)

        def http(name: str, database: Database, *topics: str) -> ServiceHttp:
            commits = GroupCommit(database)
            stack.callback(commits.close)
            positions = Positions(self.log, database, service=name, topics=topics)
            stack.callback(positions.close)
            return ServiceHttp(
                name=name,
                database=database,
                commits=commits,
                clock=self.clock,
                verifier=verifier,
                limits=limits,
                positions=positions,
                token_path=TOKEN_PATH,
                scopes=SCOPES,
            )

        of_users = users_endpoints.router(self.users, http(users.NAME, self.users_database))
        of_transactions = transactions_endpoints.router(
            self.transactions, http(transactions.NAME, self.database, USER_KEY.name)
        )
        received = [topic.name for topic in payments.RECEIVES]
        of_payments = payments_endpoints.router(self.payments, http(payments.NAME, self.payments_database, *received))
        services = [
            HttpService(users.NAME, "users", of_users, {}),
            HttpService(transactions.NAME, "transactions", of_transactions, {}),
            HttpService(payments.NAME, "payments", of_payments, {}),
        ]
        return create_app(services, self.clock)

    def client(self, token: str | None = None) -> Client:
        made = Client(self.url, token)
        self._stack.callback(made.close)
        return made

    def settle(self) -> None:
        """Let the services publish and take what is there. The first step may only join the group."""
        idle = 0
        while idle < 2:
            idle = 0 if self.users.step() + self.transactions.step() + self.payments.step() else idle + 1

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
            for name, database in (
                ("users", self.users_database),
                ("transactions", self.database),
                ("payments", self.payments_database),
            )
            for table, rows in _rows(database).items()
        }
        del found["transactions.ledger_state"]
        return found

    def faults(self) -> list[str]:
        """What is wrong with the ledger."""
        with self.database.read() as connection:
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
    world.bob.ask.done("POST", "/v1/accounts", json={"name": "Bob's", "currency": "EUR"})
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
        **paid,
    }
    world.pending_id, world.private_account_id = pending, private


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


def api_key_body() -> dict[str, Any]:
    return {"name": "a program", "scope": "transactions:read", "expires_at": f"{TODAY.year + 1}-01-01T00:00:00Z"}


def ndjson(lines: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines)


def _opened(where: Any, migrations: Any, stack: ExitStack) -> Database:
    database = Database.open(where, *migrations)
    stack.callback(database.close)
    return database


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
