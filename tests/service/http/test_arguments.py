"""What endpoints take: found as FastAPI finds it, with its words for what is wrong."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.service.http.support import bench, problem

from streambank.errors import InvariantError
from streambank.service.http.moments import Day
from streambank.service.http.routers import Operation

KEYED = {"Idempotency-Key": "a"}


class Part(BaseModel):
    kind: Literal["a", "b"]


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: Annotated[StrictInt, Field(ge=0)]
    day: Day | None = None
    at: datetime | None = None
    parts: list[Part] = []


async def paged(limit: Annotated[int, Query(ge=1)] = 5, q: str | None = None) -> dict[str, Any]:
    return {"limit": limit, "q": q}


def application(route_class: type) -> FastAPI:
    api = APIRouter(route_class=route_class)

    @api.post("/things/{number}")
    async def add(
        number: int,
        body: Thing,
        request: Request,
        page: Annotated[dict[str, Any], Depends(paged)],
        day: Day | None = None,
        last_id: Annotated[str | None, Header(max_length=3)] = None,
        session: Annotated[list[str] | None, Query(max_length=2)] = None,
    ) -> Response:
        taken = [number, body.model_dump(mode="json"), request.method, page, str(day), last_id, session]
        return JSONResponse(taken)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return JSONResponse([[found["type"], found["loc"], found["msg"]] for found in error.errors()], 422)

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse(error.status_code, error.status_code)

    app = FastAPI(exception_handlers={RequestValidationError: invalid, HTTPException: refused})
    app.router.routes.extend(api.routes)
    return app


@pytest.mark.parametrize(
    "body",
    [
        b'{"n": 1}',
        b' {"n": 1, "day": "2026-11-02", "at": "2026-11-02T10:00:00Z", "parts": [{"kind": "a"}]}\n',
        b'\xef\xbb\xbf{"n": 1}',
        '{"n": 1}'.encode("utf-16"),
        b'{"n": "x", "n": 2}',
        b'{"n": 2, "n": "x"}',
        b'{"n": 1.0}',
        b'{"n": "1"}',
        b'{"n": true}',
        b'{"n": NaN}',
        b'{"n": -1, "day": 0, "at": "x", "parts": [{"kind": "c"}, 1], "more": null}',
        b'{"n": 1, "day": "2026-02-30"}',
        b'{"n": 1, "\\ud800": 1}',
        b'{"n": 1',
        b'{"n": 01}',
        b'{"n": ' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
        b"null",
        b"[]",
        b"",
        b"\xff",
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "application/x+json; charset=utf-8", "text/plain", ""])
@pytest.mark.parametrize("place", ["/things/7?q=x&session=1", "/things/x?limit=0&day=1&session=1&session=2&session=3"])
async def test_what_is_taken_and_what_is_wrong_with_it(body: bytes, kind: str, place: str) -> None:
    answers = []
    for route_class in (APIRoute, Operation):
        app = application(route_class)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            headers = {"Last-Id": "abc" if "x" not in place else "abcd"} | ({"Content-Type": kind} if kind else {})
            answer = await client.post(place, content=body, headers=headers)
            answers.append((answer.status_code, answer.content))
    assert answers[0] == answers[1]


async def test_what_no_endpoint_takes_is_refused_at_once() -> None:
    api = APIRouter(route_class=Operation)

    async def takes_a_response(response: Response) -> Response:
        return response

    def blocks() -> Response:
        return Response()

    for function in (takes_a_response, blocks):
        with pytest.raises(InvariantError):
            api.get("/")(function)


async def test_no_json_is_told_to_whoever_sent_it(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client(None) as client:
            headers = {**KEYED, "Content-Type": "application/json"}
            assert problem(await client.post("/v1/numbers", content=b"{", headers=headers))[0] == 400
            for body in (b'{"n": 1}', b'{"n": -1}', b""):
                assert problem(await client.post("/v1/numbers", content=body, headers=headers))[0] == 401


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        pytest.param(b'{"n": 1', 400, [""], id="cut"),
        pytest.param(b"\xff\xfe", 400, [""], id="no UTF-8"),
        pytest.param(b'{"n": -1}', 422, ["/n"], id="too small"),
        pytest.param(b'{"n": 1.5}', 422, ["/n"], id="no integer"),
        pytest.param(b'{"n": 9223372036854775808}', 422, ["/n"], id="beyond 64 bits"),
        pytest.param(b'{"n": 1, "a/b~c": 2}', 422, ["/a~1b~0c"], id="unknown field"),
        pytest.param(b"{}", 422, ["/n"], id="missing field"),
        pytest.param(b"[]", 422, [""], id="no object"),
        pytest.param(b"", 422, [""], id="nothing"),
        pytest.param(b"[" * 100_000, 400, None, id="deep"),
        pytest.param(b'{"n": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, None, id="deep and whole"),
    ],
)
async def test_a_body_that_does_not_fit(tmp_path: Path, body: bytes, status: int, pointers: list[str] | None) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            headers = {**KEYED, "Content-Type": "application/json"}
            answer = await client.post("/v1/numbers", content=body, headers=headers)
            assert problem(answer)[0] == status
            if pointers is not None:
                assert [error["pointer"] for error in answer.json()["errors"]] == pointers
                assert {error["in"] for error in answer.json()["errors"]} == {"body"}
