"""Routes are found by an index as they would be one after the other, and dependencies say what they need."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

from streambank.service.http.paths import register_ids
from streambank.service.http.routers import Dependency, Operation, RouteIndex, api_router


async def nothing(_: Request) -> Response:
    return PlainTextResponse("")


def route(path: str, *methods: str) -> Route:
    return Route(path, nothing, methods=list(methods))


register_ids()
ROUTES = [
    route("/", "GET"),
    route("/livez", "GET"),
    route("/v1/accounts", "POST"),
    route("/v1/accounts/mine", "GET"),
    route("/v1/accounts/{account_id:id}", "GET"),
    route("/v1/accounts/{account_id:id}", "PATCH"),
    route("/v1/accounts/{account_id:id}:reopen", "POST"),
    route("/v1/transactions:batch", "POST"),
    route("/v1/transactions/{entry_id:id}", "GET"),
]


def in_order(scope: dict[str, Any]) -> tuple[Match, Route | None]:
    """What a router does that asks one after the other."""
    partial: tuple[Match, Route | None] = (Match.NONE, None)
    for one in ROUTES:
        match, _ = one.matches(scope)
        if match is Match.FULL:
            return match, one
        if match is Match.PARTIAL and partial[1] is None:
            partial = (match, one)
    return partial


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/livez/",
        "/v1",
        "/v1/",
        "/v1/accounts",
        "/v1/accounts/",
        "/v1/accounts/mine",
        "/v1/accounts/7",
        "/v1/accounts/7:reopen",
        "/v1/accounts:reopen",
        "/v1/transactions:batch",
        "/v1/transactions/7",
        "/accounts/7",
        "/v2/accounts/7",
        "//v1/accounts",
        "/v1/accountsx",
        "/nowhere",
    ],
)
def test_the_index_finds_what_a_search_would(method: str, path: str) -> None:
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    match, more = RouteIndex(ROUTES).matches(scope)
    expected = in_order(scope)
    assert (match, more.get("streambank.route")) == expected


def test_an_operation_documents_what_its_dependencies_need() -> None:
    parameter = {"name": "x-tone", "in": "header", "required": False, "schema": {"type": "string"}}

    async def tone(request: Request) -> str:
        return request.headers.get("x-tone", "none")

    needs = Dependency(tone, [parameter], {"Key": ["read"]}, {"Key": {"type": "http"}})
    counts = Dependency(tone, [{**parameter, "name": "x-count"}])
    api = api_router("tests")

    @api.get("/things/{thing}", openapi_extra={"x-more": 1, "parameters": [{**parameter, "name": "x-own"}]})
    async def get_thing(
        thing: str, heard: Annotated[str, Depends(needs)], count: Annotated[str, Depends(counts)]
    ) -> str:
        return f"{thing} {heard} {count}"

    (made,) = api.routes
    assert isinstance(made, Operation)
    assert made.security_schemes == {"Key": {"type": "http"}}
    app = FastAPI()
    app.router.routes.extend(api.routes)
    operation = app.openapi()["paths"]["/v1/things/{thing}"]["get"]
    assert {found["name"] for found in operation["parameters"]} == {"thing", "x-own", "x-tone", "x-count"}
    assert operation["security"] == [{"Key": ["read"]}]
    assert operation["x-more"] == 1
