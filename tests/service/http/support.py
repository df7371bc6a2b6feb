"""A small service to try the HTTP kit on: numbers that can be added, read and changed."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select, update
from starlette.requests import Request
from starlette.responses import Response
from tests.postgres import Databases
from tests.service.support import OUT, ROWS, Number, Ticker, open_database

from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http import tokens
from streambank.service.http.answers import Answer, check_version, created, no_content, ok
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import CursorParameter, LimitParameter, decode_cursor, encode_cursor, page_answer
from streambank.service.http.endpoint import Read, ServiceHttp, Together, Write
from streambank.service.http.page import Page
from streambank.service.http.positions import Positions
from streambank.service.http.problems import Problem, conflict, not_found
from streambank.service.http.rate_limits import RateLimits
from streambank.service.http.routers import api_router
from streambank.service.http.tokens import TokenVerifier
from streambank.service.outbox import Outbox, outgoing

KEY = tokens.new_signing_key("kid-1")


def find_key(kid: str) -> Mapping[str, str] | None:
    return KEY.as_dict(private=False) if kid == "kid-1" else None  # type: ignore[return-value]


class NewNumber(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: Annotated[int, Field(ge=0, le=1_000_000)]


class NumberView(BaseModel):
    id: int
    n: int


def router(http: ServiceHttp) -> APIRouter:  # noqa: C901 - one function an endpoint
    api = api_router("numbers")
    outbox = Outbox()

    def add(connection: Connection, n: int) -> int:
        if n == 13:
            raise conflict("unlucky", "13 is not taken")
        if n == 500:
            raise RuntimeError("a secret: 0x500")
        number: int = connection.execute(insert(ROWS).values(n=n).returning(ROWS.c.id)).scalar_one()
        outbox.add(connection, [outgoing(OUT, str(number), Number(n), 0)])
        return number

    @api.post("/numbers", status_code=201, response_model=NumberView)
    async def add_number(
        body: NewNumber, write: Annotated[Write, Depends(http.write("transactions:write"))]
    ) -> Response:
        def work(connection: Connection) -> Answer:
            number = add(connection, body.n)
            secret = body.n == 42
            return created(NumberView(id=number, n=body.n), f"/v1/numbers/{number}", version=body.n, secret=secret)

        return await write(work)

    def add_all(connection: Connection, asked: Sequence[tuple[Caller, NewNumber]]) -> list[Answer | Problem]:
        answers: list[Answer | Problem] = []
        for caller, body in asked:
            try:
                number = add(connection, body.n)
                told = NumberView(id=number, n=body.n)
                answers.append(Answer(201, told, None, f"/v1/numbers/{number}", {"Asked-By": caller.user_id}))
            except Problem as problem:
                answers.append(problem)
        return answers

    together: Together[NewNumber] = Together(http, add_all)

    @api.post("/together", status_code=201, response_model=NumberView)
    async def add_together(
        body: NewNumber, write: Annotated[Write, Depends(http.write("transactions:write"))]
    ) -> Response:
        return await write.together(together, body)

    @api.post("/in-order", status_code=201, response_model=NumberView)
    async def add_in_order(
        body: NewNumber, write: Annotated[Write, Depends(http.write("transactions:write", in_order=True))]
    ) -> Response:
        def work(connection: Connection) -> Answer:
            number = add(connection, body.n)
            return created(NumberView(id=number, n=body.n), f"/v1/numbers/{number}")

        return await write(work)

    @api.post("/open", status_code=204)
    async def add_openly(body: NewNumber, write: Annotated[Write, Depends(http.write(None))]) -> Response:
        def work(connection: Connection) -> Answer:
            add(connection, body.n)
            return no_content()

        return await write(work)

    @api.put("/numbers/{number}", response_model=NumberView)
    async def set_number(
        number: int,
        body: NewNumber,
        write: Annotated[Write, Depends(http.write("transactions:write", if_match=True, idempotent=False))],
    ) -> Response:
        def work(connection: Connection) -> Answer:
            check_version(found(connection, number), write.expected_version)
            connection.execute(update(ROWS).where(ROWS.c.id == number).values(n=body.n))
            return ok(NumberView(id=number, n=body.n), version=body.n)

        return await write(work)

    @api.get("/numbers/{number}", response_model=NumberView)
    async def number(number: int, read: Annotated[Read, Depends(http.read("transactions:read"))]) -> Response:
        def work(connection: Connection) -> Answer:
            n = found(connection, number)
            return ok(NumberView(id=number, n=n), version=n, volatile=n == 99)

        return await read(work)

    @api.get("/numbers", response_model=Page[NumberView])
    async def numbers(
        request: Request,
        read: Annotated[Read, Depends(http.read("transactions:read"))],
        limit: LimitParameter = 2,
        cursor: CursorParameter = None,
    ) -> Response:
        def work(connection: Connection) -> Answer:
            after = decode_cursor(cursor, int)[0] if cursor is not None else 0
            query = select(ROWS).where(ROWS.c.id > after).order_by(ROWS.c.id).limit(limit + 1)
            rows = connection.execute(query).all()
            more = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
            return page_answer([NumberView(id=r.id, n=r.n) for r in rows[:limit]], more, request)

        return await read(work)

    def found(connection: Connection, number: int) -> int:
        n = connection.execute(select(ROWS.c.n).where(ROWS.c.id == number)).scalar_one_or_none()
        if n is None:
            raise not_found("number")
        return int(n)

    return api


@dataclass
class Bench:
    """The service, running within the test."""

    log: EmbeddedLog
    database: Database
    commits: GroupCommit
    positions: Positions
    clock: Ticker
    http: ServiceHttp
    app: FastAPI
    failed_checks: list[str] = field(default_factory=list)

    def token(self, user_id: str = "ada", *scopes: str, now_ms: int | None = None) -> str:
        return tokens.issue(
            KEY,
            user_id=user_id,
            scopes=frozenset(scopes or ("transactions:read", "transactions:write")),
            client_id="test",
            token_id="t",
            now_ms=self.clock() if now_ms is None else now_ms,
        )

    @asynccontextmanager
    async def client(self, token: str | None = "") -> AsyncIterator[httpx.AsyncClient]:
        """A client that is logged in as ada; with None as nobody."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token()}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client


@contextmanager
def bench(path: Path, databases: Databases | None = None, *, limits: RateLimits | None = None) -> Iterator[Bench]:
    clock = Ticker()
    where = databases("numbers") if databases is not None else path / "numbers.db"
    with EmbeddedLog.open(path / "log") as log:
        log.create_topics([OUT.config])
        database = open_database(where, log)
        commits = GroupCommit(database)
        failed: list[str] = []
        verifier = TokenVerifier(find_key, clock)
        positions = Positions(log, database, service="numbers", topics=[OUT.name])
        http = ServiceHttp(
            name="numbers",
            database=database,
            commits=commits,
            clock=clock,
            verifier=verifier,
            limits=limits or RateLimits(clock),
            positions=positions,
            token_path="/token",
            scopes={"transactions:read": "See", "transactions:write": "Change"},
        )
        checks = {"database": lambda: failed[0] if failed else None}
        app = create_app([HttpService("numbers", router(http), checks)], clock)
        try:
            yield Bench(log, database, commits, positions, clock, http, app, failed)
        finally:
            commits.close()
            database.close()


def problem(response: httpx.Response) -> tuple[int, str]:
    """The status and the kind of a problem, which must have the right form."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert found["status"] == response.status_code
    assert found["title"]
    assert found["detail"]
    return response.status_code, found["type"].removeprefix("/problems/")
