"""The service over HTTP, within the test."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import URL
from tests.bank.transactions.support import Bench, line, made, transaction
from tests.service.http.support import problem

from streambank.bank.events import USER_KEY
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.transactions.categories import default_id
from streambank.bank.transactions.endpoints import router
from streambank.bank.transactions.service import NAME
from streambank.service.group_commit import GroupCommit
from streambank.service.http import tokens
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits
from streambank.service.http.tokens import TokenVerifier

KEY = tokens.new_signing_key("kid-1")
READ, WRITE = "transactions:read", "transactions:write"
NDJSON = {"Content-Type": "application/x-ndjson"}


def find_key(kid: str) -> Mapping[str, str] | None:
    return KEY.as_dict(private=False) if kid == "kid-1" else None  # type: ignore[return-value]


class Client(httpx.AsyncClient):
    """Gives each request an Idempotency-Key of its own."""

    numbers = count()

    async def request(self, *args: Any, **kwargs: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"key-{next(self.numbers)}", **(kwargs.pop("headers", None) or {})}
        return await super().request(*args, headers=headers, **kwargs)


@dataclass
class Web:
    """The service with its application."""

    bench: Bench
    app: FastAPI

    def token(self, user_id: str, *scopes: str, now_ms: int | None = None) -> str:
        return tokens.issue(
            KEY,
            user_id=user_id,
            scopes=frozenset(scopes or (READ, WRITE)),
            client_id="test",
            token_id="t",
            now_ms=self.bench.clock() if now_ms is None else now_ms,
        )

    @asynccontextmanager
    async def client(self, user_id: str = "ada", token: str | None = None) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token or self.token(user_id)}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with Client(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client


@pytest.fixture
def web(tmp_path: Path, where: Path | URL) -> Iterator[Web]:
    stepping = threading.Lock()

    def step() -> None:
        with stepping:
            bench.settle()

    with made(tmp_path, where, "ada", "bob") as bench:
        commits = GroupCommit(bench.database)
        http = ServiceHttp(
            name=NAME,
            database=bench.database,
            commits=commits,
            clock=bench.clock,
            verifier=TokenVerifier(find_key, bench.clock),
            limits=RateLimits(bench.clock),
            positions=Positions(
                bench.log,
                bench.database,
                service=NAME,
                topics=[USER_KEY.name],
                sleep=lambda _s: step(),
            ),
            token_path=TOKEN_PATH,
            scopes=SCOPES,
        )
        service = HttpService(NAME, router(bench.service, http), {})
        yield Web(bench, create_app([service], bench.clock))
        commits.close()


async def open_account(client: Client, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/accounts", json={"name": "Checking", "currency": "EUR", **body})
    assert response.status_code == 201, response.text
    opened: dict[str, Any] = response.json()
    return opened


async def test_accounts(web: Web) -> None:
    async with web.client() as ada, web.client("bob") as bob:
        account = await open_account(ada, overdraft_limit_minor=500)
        at = f"/v1/accounts/{account['id']}"
        shown = await ada.get(at)
        assert (shown.json(), shown.headers["etag"]) == (account, '"v1"')
        # Its balance is in it, which changes without a new version.
        assert (await ada.get(at, headers={"If-None-Match": '"v1"'})).status_code == 200
        assert problem(await ada.patch(at, json={"name": "x"})) == (428, "if-match-missing")
        renamed = await ada.patch(at, json={"name": "Household"}, headers={"If-Match": '"v1"'})
        assert (renamed.json()["name"], renamed.headers["etag"]) == ("Household", '"v2"')
        assert problem(await ada.patch(at, json={"name": "x"}, headers={"If-Match": '"v1"'}))[0] == 412
        assert problem(await bob.get(at)) == (404, "not-found")
        shared = await ada.put(f"{at}/members/bob", json={"role": "viewer"}, headers={"If-Match": '"v2"'})
        assert (shared.status_code, shared.headers["etag"]) == (200, '"v3"')
        assert [a["role"] for a in (await bob.get("/v1/accounts")).json()["items"]] == ["viewer"]
        assert problem(await bob.delete(at, headers={"If-Match": '"v3"'})) == (403, "forbidden")
        assert len((await bob.get(f"{at}/members")).json()["items"]) == 2
        gone = await ada.delete(f"{at}/members/bob", headers={"If-Match": '"v3"'})
        assert (gone.status_code, gone.content) == (204, b"")
        closed = await ada.delete(at, headers={"If-Match": '"v4"'})
        assert closed.json()["closed_at"] is not None
        assert problem(await ada.post("/v1/transactions", json=transaction(account["id"], 5))) == (
            409,
            "account-closed",
        )
        assert (await ada.post(f"{at}:reopen")).json()["closed_at"] is None
        assert (await ada.get(f"{at}/balance")).json()["available_minor"] == 500


async def test_entries(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        key = {"Idempotency-Key": "once"}
        first = await ada.post("/v1/transactions", json=transaction(account, 100, counterparty="Café"), headers=key)
        again = await ada.post("/v1/transactions", json=transaction(account, 100, counterparty="Café"), headers=key)
        assert first.status_code == 201
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert re.fullmatch(r"transactions\.outbox/0/\d+", first.headers["x-log-position"])
        at = first.headers["location"]
        assert (await ada.get(at)).json() == first.json()
        assert problem(await ada.post("/v1/transactions", json=transaction(account, -101))) == (
            409,
            "insufficient-funds",
        )
        edited = await ada.patch(at, json={"notes": "n", "tags": ["t"]}, headers={"If-Match": '"v1"'})
        assert (edited.json()["notes"], edited.headers["etag"]) == ("n", '"v2"')
        hold = (await ada.post("/v1/transactions", json=transaction(account, -40, status="PDNG"))).json()
        booked = await ada.post(f"/v1/transactions/{hold['id']}:book", json={"amount_minor": 45})
        assert (booked.status_code, booked.json()["amount"]["amount_minor"]) == (201, 45)
        other = (await ada.post("/v1/transactions", json=transaction(account, -1, status="PDNG"))).json()
        assert (await ada.post(f"/v1/transactions/{other['id']}:void")).status_code == 201
        back = await ada.post(f"/v1/transactions/{booked.json()['id']}:reverse", json={"notes": "wrong"})
        assert back.json()["reverses_id"] == booked.json()["id"]
        page = await ada.get("/v1/transactions", params={"limit": 2})
        assert len(page.json()["items"]) == 2
        assert 'rel="next"' in page.headers["link"]
        rest = await ada.get("/v1/transactions", params={"limit": 2, "cursor": page.json()["next"]})
        assert [item["id"] for item in rest.json()["items"]] == [first.json()["id"]]
        assert len((await ada.get("/v1/transactions", params={"q": "cafe"})).json()["items"]) == 1
        statement = await ada.get(
            f"/v1/accounts/{account}/statements", params={"from": "2026-11-01", "to": "2026-11-30"}
        )
        assert (statement.json()["closing_minor"], statement.json()["entry_count"]) == (100, 3)
        assert (await ada.get("/v1/tags")).json()["items"] == [{"tag": "t", "count": 1}]
        exported = (await ada.get("/v1/transactions/export")).content.splitlines()
        assert [msgspec.json.decode(told)["account_seq"] for told in exported] == list(range(1, 8))
        assert web.bench.faults() == []


async def test_a_batch(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        lines = [msgspec.json.encode(line(account, n, str(n))) for n in range(1, 1_201)]
        lines.insert(600, b"{broken")
        for expected in ("created", "duplicate"):
            response = await ada.post("/v1/transactions:batch", content=b"\n".join(lines), headers=NDJSON)
            assert response.headers["content-type"].startswith("application/x-ndjson")
            assert response.headers["x-log-position"].startswith("transactions.outbox/0/")
            answers = [msgspec.json.decode(told) for told in response.content.splitlines()]
            assert [a["line"] for a in answers] == list(range(1, 1_202))
            assert answers.pop(600)["problem"]["type"] == "/problems/malformed-line"
            assert {a["status"] for a in answers} == {expected}
        assert (await ada.get(f"/v1/accounts/{account}/balance")).json()["booked_minor"] == 1_200 * 1_201 // 2
        assert problem(await ada.post("/v1/transactions:batch", content=b"", headers=NDJSON)) == (422, "empty-batch")


async def test_an_import(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        body = b"\n".join(msgspec.json.encode(line("", n, str(n))) for n in range(1, 4))
        read_in = await ada.post(f"/v1/accounts/{account}/imports", content=body, headers=NDJSON)
        assert (read_in.status_code, read_in.json()["booked"]) == (201, 3)
        again = await ada.post(f"/v1/accounts/{account}/imports", content=body, headers=NDJSON)
        assert again.json()["duplicates"] == 3
        broken = await ada.post(f"/v1/accounts/{account}/imports", content=body + b"\n{", headers=NDJSON)
        assert problem(broken) == (422, "broken-lines")
        assert broken.json()["errors"][0]["pointer"] == "/3"
        at = read_in.headers["location"]
        version = (await ada.get(at)).headers["etag"]
        assert (await ada.delete(at, headers={"If-Match": version})).json()["reversed"] == 3
        assert len((await ada.get("/v1/imports", params={"limit": 1})).json()["items"]) == 1
        assert (await ada.get(f"/v1/accounts/{account}/balance")).json()["booked_minor"] == 0


async def test_categories_and_rules(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        pets = await ada.post("/v1/categories", json={"name": "Animals", "parent_id": default_id("ada", "Family")})
        at = pets.headers["location"]
        assert (await ada.get(at)).json() == pets.json()
        put = await ada.put(at, json={"name": "Beasts"}, headers={"If-Match": '"v1"'})
        assert put.json()["parent_id"] is None
        body = {
            "name": "vet",
            "texts": [{"field": "any", "op": "contains", "value": "vet"}],
            "category_id": pets.json()["id"],
        }
        await ada.post("/v1/transactions", json=transaction(account, 5, counterparty="Vet"))
        assert (await ada.post("/v1/rules:preview", json=body)).json()["would_change"] == 1
        rule = await ada.post("/v1/rules", json=body)
        assert (await ada.get(rule.headers["location"])).json() == rule.json()
        applied = await ada.post(f"{rule.headers['location']}:apply", json={})
        assert applied.json() == {"scanned": 1, "changed": 1, "next": None}
        put = await ada.put(rule.headers["location"], json={**body, "position": 3}, headers={"If-Match": '"v1"'})
        assert put.json()["position"] == 3
        assert problem(await ada.delete(at, headers={"If-Match": '"v2"'})) == (409, "category-in-use")
        assert (await ada.delete(rule.headers["location"], headers={"If-Match": '"v2"'})).status_code == 204
        assert (await ada.delete(at, headers={"If-Match": '"v2"'})).status_code == 204
        assert (await ada.get("/v1/rules")).json() == {"items": []}
        assert len((await ada.get("/v1/categories")).json()["items"]) > 30


BAD: list[tuple[dict[str, Any], str]] = [
    ({"amount": {"amount_minor": 0, "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": -1, "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": 2**63, "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": 1.234, "currency": "JPY"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": 1.0, "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": "1", "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": True, "currency": "EUR"}}, "/amount/amount_minor"),
    ({"amount": {"amount_minor": 1, "currency": "ZZZ"}}, "/amount/currency"),
    ({"amount": {"amount_minor": 1, "currency": "XAU"}}, "/amount/currency"),
    ({"amount": {"amount_minor": 1}}, "/amount/currency"),
    ({"booking_date": "0000-01-01"}, "/booking_date"),
    ({"booking_date": "0001-01-01"}, "/booking_date"),
    ({"booking_date": "2026-02-30"}, "/booking_date"),
    ({"credit_debit": "credit"}, "/credit_debit"),
    ({"counterparty": "a\x00b"}, "/counterparty"),
    ({"counterparty": ""}, "/counterparty"),
    ({"remittance": "x" * 1_001}, "/remittance"),
    ({"tags": [" a"]}, "/tags/0"),
    ({"occurred_at": "2026-11-24T10:00:00"}, "/occurred_at"),
    ({"more": 1}, "/more"),
]


async def test_bad_input_is_named_and_changes_nothing(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        for body, pointer in BAD:
            response = await ada.post("/v1/transactions", json={**transaction(account, 5), **body})
            assert problem(response)[0] == 422, body
            assert [error["pointer"] for error in response.json()["errors"]] == [pointer], body
        for content in (b"\xff\xfe", b'{"a":', b"[" * 100_000, b'{"amount":' * 50_000, b'{"counterparty":"\xff"}'):
            response = await ada.post("/v1/transactions", content=content, headers={"Content-Type": "application/json"})
            assert 400 <= problem(response)[0] < 500
        for at in ("/v1/transactions", "/v1/transactions:batch", f"/v1/accounts/{account}/imports"):
            response = await ada.post(at, content=b"x" * 10_000_000, headers=NDJSON)
            assert problem(response)[0] in (413, 422)
        for path in ("/v1/transactions/a%00b", "/v1/transactions?q=%00", "/v1/transactions?cursor=x"):
            assert 400 <= problem(await ada.get(path))[0] < 500
        assert (await ada.get(f"/v1/accounts/{account}/balance")).json()["last_seq"] == 0


def every_endpoint(web: Web, ids: dict[str, str]) -> list[tuple[str, str]]:
    document = web.app.openapi()["paths"]
    found = [(method.upper(), path) for path, methods in document.items() for method in methods]
    return [(method, re.sub(r"{(\w+)}", lambda m: ids[m[1]], path)) for method, path in found]


async def test_authorisation_of_every_endpoint(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada))["id"]
        entry = (await ada.post("/v1/transactions", json=transaction(account, 5))).json()["id"]
        rule = {"name": "r", "credit_debit": "CRDT", "tags": ["x"]}
        body = msgspec.json.encode(line("", 1, "1"))
        ids = {
            "account_id": account,
            "member_id": "bob",
            "entry_id": entry,
            "rule_id": (await ada.post("/v1/rules", json=rule)).json()["id"],
            "category_id": default_id("ada", "Food"),
            "import_id": (await ada.post(f"/v1/accounts/{account}/imports", content=body)).json()["id"],
        }
    endpoints = every_endpoint(web, ids)
    assert len(endpoints) > 30
    expired = web.token("ada", now_ms=web.bench.clock() - 3_600_000)
    callers = {
        "nobody": ("wrong", {401}),
        "expired": (expired, {401}),
        "small scope": (web.token("ada", "users:read"), {403}),
        "stranger": (web.token("bob"), {404}),
    }
    own = {"/v1/accounts", "/v1/transactions", "/v1/transactions/export", "/v1/tags", "/v1/categories", "/v1/rules"}
    own |= {"/v1/imports", "/v1/rules:preview", "/v1/transactions:batch"}
    for name, (token, statuses) in callers.items():
        async with web.client(token=token) as client:
            for method, path in endpoints:
                if name == "stranger" and path in own:
                    continue
                content = body if path.endswith("/imports") else msgspec.json.encode(_body(method, path, account))
                headers = {"If-Match": '"v1"', "Content-Type": "application/json"}
                response = await client.request(method, path, content=content, headers=headers, params=_params(path))
                assert problem(response)[0] in statuses, (name, method, path, response.text)


def _body(method: str, path: str, account: str) -> dict[str, Any]:
    """A body that the endpoint takes, so that it is not refused for that."""
    if path.endswith("/members/bob"):
        return {"role": "viewer"}
    if "/categories/" in path:
        return {"name": "x"}
    if path.startswith("/v1/rules/") and method == "PUT":
        return {"name": "r", "credit_debit": "CRDT", "tags": ["x"]}
    return {}


def _params(path: str) -> dict[str, str]:
    return {"from": "2026-01-01", "to": "2026-01-02"} if path.endswith("/statements") else {}


async def test_eight_clients_at_once(web: Web) -> None:
    async with web.client() as ada:
        account = (await open_account(ada, overdraft_limit_minor=0))["id"]
        await ada.post("/v1/transactions", json=transaction(account, 100))

        async def spend(n: int) -> list[int]:
            async with web.client() as client:
                bodies = [transaction(account, -3, counterparty=f"client {n}") for _ in range(10)]
                return [(await client.post("/v1/transactions", json=body)).status_code for body in bodies]

        statuses = [status for found in await asyncio.gather(*map(spend, range(8))) for status in found]
        # 100 is enough for 33 of 80.
        assert (statuses.count(201), statuses.count(409)) == (33, 47)
        assert (await ada.get(f"/v1/accounts/{account}/balance")).json()["booked_minor"] == 1
    web.bench.settle()
    assert [event.account_seq for event in web.bench.published()] == list(range(1, 35))
    assert web.bench.faults() == []


async def test_a_new_user_is_asked_to_wait(web: Web) -> None:
    async with web.client("zoe") as zoe:
        response = await zoe.post("/v1/accounts", json={"name": "Checking", "currency": "EUR"})
        assert problem(response) == (503, "user-not-known-yet")
        assert response.headers["retry-after"] == "1"
