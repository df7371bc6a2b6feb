"""The service over HTTP, within the test."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.bank.personalization.support import BUDGET, HOLIDAY, SAVING, Bench, account, made, told, write
from tests.postgres import Databases
from tests.service.http.support import problem

from streambank.bank.events import ACCOUNT, GOAL_PROGRESS
from streambank.bank.personalization.endpoints import READ, WRITE, router
from streambank.bank.personalization.service import NAME, RECEIVES
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.log import TopicPartition, partition_for
from streambank.service.group_commit import GroupCommit
from streambank.service.http import tokens
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits
from streambank.service.http.tokens import TokenVerifier

KEY = tokens.new_signing_key("kid-1")
THRESHOLD = {"account_id": "everyday", "direction": "below", "level_minor": 100}


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

    @asynccontextmanager
    async def client(self, user_id: str = "ada", *scopes: str) -> AsyncIterator[Client]:
        token = tokens.issue(
            KEY,
            user_id=user_id,
            scopes=frozenset(scopes or (READ, WRITE)),
            client_id="test",
            token_id="t",
            now_ms=self.bench.clock(),
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}"}
        async with Client(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client


@pytest.fixture
def web(tmp_path: Path, any_database: Databases) -> Iterator[Web]:
    stepping = threading.Lock()

    def step() -> None:
        with stepping:
            bench.settle()

    with made(tmp_path, any_database("personalization")) as bench:
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
                topics=[topic.name for topic in RECEIVES],
                sleep=lambda _s: step(),
            ),
            token_path=TOKEN_PATH,
            scopes=SCOPES,
        )
        service = HttpService(NAME, router(bench.service, http), {})
        yield Web(bench, create_app([service], bench.clock))
        commits.close()


async def done(answer: Any, status: int = 200) -> Any:
    response = await answer
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def test_thresholds(web: Web) -> None:
    async with web.client() as ada, web.client("cleo") as cleo:
        first = await ada.post("/v1/thresholds", json=THRESHOLD, headers={"Idempotency-Key": "once"})
        again = await ada.post("/v1/thresholds", json=THRESHOLD, headers={"Idempotency-Key": "once"})
        assert (first.status_code, first.headers["etag"]) == (201, '"v1"')
        assert re.fullmatch(r"personalization\.outbox/0/\d+", first.headers["x-log-position"])
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        at = first.headers["location"]
        assert await done(ada.get(at)) == first.json()
        assert await done(ada.get("/v1/thresholds")) == {"items": [first.json()]}
        assert problem(await cleo.get(at)) == (404, "not-found")
        changed = {**THRESHOLD, "level_minor": 200}
        assert problem(await ada.put(at, json=changed)) == (428, "if-match-missing")
        told_ = await ada.put(at, json=changed, headers={"If-Match": '"v1"'})
        assert (told_.json()["level_minor"], told_.headers["etag"]) == (200, '"v2"')
        assert problem(await cleo.delete(at, headers={"If-Match": '"v2"'})) == (404, "not-found")
        assert problem(await ada.delete(at, headers={"If-Match": '"v1"'})) == (412, "version-mismatch")
        await done(ada.delete(at, headers={"If-Match": '"v2"'}), 204)
        assert await done(ada.get("/v1/thresholds")) == {"items": []}


async def test_what_if(web: Web) -> None:
    async with web.client("ada", READ) as ada:
        answer = await done(ada.post("/v1/thresholds:what-if", json={**THRESHOLD, "from_time": "2026-01-01T00:00:00Z"}))
        assert (answer["count"], answer["fired"], answer["from_time"]) == (0, [], "2026-01-01T00:00:00Z")
        assert problem(await ada.post("/v1/thresholds", json=THRESHOLD)) == (403, "insufficient-scope")


@pytest.mark.parametrize(
    ("path", "body"), [("budgets", BUDGET), ("savings-goals", SAVING), ("spending-goals", HOLIDAY)]
)
async def test_goals(web: Web, path: str, body: dict[str, Any]) -> None:
    async with web.client() as ada, web.client("cleo") as cleo:
        made_ = await done(ada.post(f"/v1/{path}", json=body), 201)
        at = f"/v1/{path}/{made_['id']}"
        assert await done(ada.get(f"/v1/{path}")) == {"items": [made_]}
        assert await done(cleo.get(f"/v1/{path}")) == {"items": []}
        assert problem(await cleo.get(at)) == (404, "not-found")
        changed = await done(ada.put(at, json={**body, "name": "Other"}, headers={"If-Match": '"v1"'}))
        assert (changed["name"], changed["version"], changed["starts_on"]) == ("Other", 2, made_["starts_on"])
        # How far it is changes without a version.
        write(web.bench.log, GOAL_PROGRESS, made_["id"], told(made_["id"], 10_000, period_start=date(2026, 11, 1)))
        web.bench.settle()
        fresh = await ada.get(at, headers={"If-None-Match": '"v2"'})
        assert (fresh.status_code, fresh.headers["etag"]) == (200, '"v2"')
        assert fresh.json()["progress"]["amount_minor"] == 10_000
        await done(ada.delete(at, headers={"If-Match": '"v2"'}), 204)
        assert problem(await ada.get(at)) == (404, "not-found")


async def test_limits(web: Web) -> None:
    async with web.client() as ada:
        none = await ada.get("/v1/payment-limits/EUR")
        assert (none.json()["per_day_minor"], none.headers["etag"]) == (None, '"v0"')
        put = await ada.put("/v1/payment-limits/EUR", json={"per_day_minor": 5}, headers={"If-Match": '"v0"'})
        assert (put.json()["per_day_minor"], put.headers["etag"]) == (5, '"v1"')
        assert await done(ada.get("/v1/payment-limits")) == {"items": [put.json()]}
        assert problem(await ada.put("/v1/payment-limits/EUR", json={}, headers={"If-Match": '"v0"'}))[0] == 412
        gone = await ada.delete("/v1/payment-limits/EUR", headers={"If-Match": '"v1"'})
        assert (gone.status_code, gone.headers["etag"]) == (204, '"v2"')
        assert await done(ada.get("/v1/payment-limits")) == {"items": []}
        assert problem(await ada.get("/v1/payment-limits/ZZZ")) == (404, "not-found")
        assert (await ada.get("/v1/payment-limits/euro")).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("thresholds", {**THRESHOLD, "direction": "sideways"}, "/direction"),
        ("thresholds", {**THRESHOLD, "level_minor": 1.5}, "/level_minor"),
        ("thresholds", {**THRESHOLD, "level_minor": 2**63}, "/level_minor"),
        ("thresholds", {**THRESHOLD, "rearm_margin_minor": -1}, "/rearm_margin_minor"),
        ("thresholds", {**THRESHOLD, "cooldown_s": -1}, "/cooldown_s"),
        ("thresholds", {**THRESHOLD, "cooldown_s": 10**9}, "/cooldown_s"),
        ("thresholds", {**THRESHOLD, "more": 1}, "/more"),
        ("thresholds", {**THRESHOLD, "account_id": "a\x00b"}, "/account_id"),
        ("budgets", {**BUDGET, "name": "\x00"}, "/name"),
        ("budgets", {**BUDGET, "target_minor": 0}, "/target_minor"),
        ("budgets", {**BUDGET, "marks": [0]}, "/marks/0"),
        ("budgets", {**BUDGET, "marks": list(range(1, 12))}, "/marks"),
        ("budgets", {**BUDGET, "period": "day"}, "/period"),
        ("budgets", {**BUDGET, "starts_on": 0}, "/starts_on"),
        ("savings-goals", {**SAVING, "account_ids": []}, "/account_ids"),
        ("savings-goals", {**SAVING, "account_ids": ["everyday", "nowhere"]}, "/account_ids/1"),
        ("spending-goals", {**HOLIDAY, "ends_on": "2026-02-30"}, "/ends_on"),
        ("spending-goals", {**HOLIDAY, "ends_on": "2026-11-23"}, "/ends_on"),
    ],
)
async def test_a_field_is_named(web: Web, path: str, body: dict[str, Any], pointer: str) -> None:
    async with web.client() as ada:
        answer = await ada.post(f"/v1/{path}", json=body)
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


async def test_of_many_that_change_one_thing_at_once_one_does(web: Web) -> None:
    async with web.client() as ada:
        made_ = await done(ada.post("/v1/budgets", json=BUDGET), 201)
        at = f"/v1/budgets/{made_['id']}"
        changes = [ada.put(at, json={**BUDGET, "target_minor": n}, headers={"If-Match": '"v1"'}) for n in range(1, 9)]
        answers = await asyncio.gather(*changes)
        assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
        [won] = [answer.json() for answer in answers if answer.status_code == 200]
        assert await done(ada.get(at)) == won


async def test_what_another_service_wrote_is_known_to_whatever_is_asked_next(web: Web) -> None:
    before = web.bench.rows()["account"]
    async with web.client() as ada:
        write(web.bench.log, ACCOUNT, "opened", account("opened"))
        await done(ada.post("/v1/thresholds:what-if", json={**THRESHOLD, "account_id": "opened"}))
        write(web.bench.log, ACCOUNT, "new", account("new"))
        await done(ada.post("/v1/thresholds", json={**THRESHOLD, "account_id": "new"}), 201)
        assert web.bench.levels_published("new") == [[100]]
        write(web.bench.log, ACCOUNT, "newer", account("newer"))
        place = TopicPartition(ACCOUNT.name, partition_for(b"newer", ACCOUNT.partitions))
        position = f"{place.topic}/{place.partition}/{web.bench.log.watermarks(place).high - 1}"
        await done(ada.get(f"/v1/thresholds?min_position={position}"))
        assert web.bench.rows()["account"] == before + 3
