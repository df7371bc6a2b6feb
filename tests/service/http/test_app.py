"""What every application has: problems in one shape, health, and documents."""

from pathlib import Path

import pytest
from tests.service.http.support import bench, problem

from streambank.service.errors import DatabaseUnavailableError

KEYED = {"Idempotency-Key": "a"}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/numbers/", 404, "not-found"),
        ("DELETE", "/v1/numbers", 405, "method-not-allowed"),
        ("GET", "/v1/numbers/x", 422, "invalid-request"),
        ("GET", "/v1/numbers?limit=0", 422, "invalid-request"),
        ("GET", "/v1/numbers?limit=201", 422, "invalid-request"),
        ("GET", "/v1/numbers?cursor=x", 400, "bad-cursor"),
        ("GET", "/v1/numbers?cursor=WyJhIl0", 400, "bad-cursor"),
        ("GET", "/v1/numbers/1?min_position=x", 400, "bad-position"),
        ("GET", "/v1/numbers/1?min_position=elsewhere/0/1", 400, "bad-position"),
    ],
)
async def test_an_address_that_does_not_fit(tmp_path: Path, method: str, path: str, status: int, kind: str) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            answer = await client.request(method, path)
            assert problem(answer) == (status, kind)
            assert status != 405 or answer.headers["Allow"]


async def test_what_may_pass_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseUnavailableError("db.example cannot be reached")

    with bench(tmp_path) as numbers:
        monkeypatch.setattr(numbers.database, "begin", away)
        async with numbers.client() as client:
            answer = await client.post("/v1/numbers", json={"n": 1}, headers=KEYED)
            assert problem(answer) == (503, "unavailable")
            assert (answer.headers["Retry-After"], "db.example" in answer.text) == ("1", False)
            monkeypatch.undo()
            assert (await client.post("/v1/numbers", json={"n": 1}, headers=KEYED)).status_code == 201


async def test_health(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client(None) as client:
            assert (await client.get("/livez")).json() == {"status": "ok"}
            ready = await client.get("/readyz")
            assert ready.json() == {"status": "ok", "checks": {"numbers/database": "ok"}}
            assert (await client.get("/version")).json()["services"] == ["numbers"]
            numbers.failed_checks.append("the database is not there")
            answer = await client.get("/healthz")
            assert problem(answer) == (503, "not-ready")
            assert "numbers/database" in answer.json()["detail"]
            assert (await client.get("/livez")).status_code == 200


async def test_the_documents(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client(None) as client:
            whole, one = (await client.get("/openapi.json")).json(), (await client.get("/openapi/numbers.json")).json()
            assert whole["paths"] == one["paths"]
            names = {"/v1/numbers", "/v1/together", "/v1/in-order", "/v1/open", "/v1/numbers/{number}"}
            assert set(whole["paths"]) == names
            add = whole["paths"]["/v1/numbers"]["post"]
            assert add["security"] == [{"OAuth2": ["transactions:write"]}]
            assert "application/problem+json" in add["responses"]["4XX"]["content"]
            assert [p["name"] for p in add["parameters"]] == ["idempotency-key"]
            change = whole["paths"]["/v1/numbers/{number}"]["put"]
            assert sorted(p["name"] for p in change["parameters"]) == ["if-match", "number"]
            assert "security" not in whole["paths"]["/v1/open"]["post"]


async def test_a_method_that_an_address_does_not_take(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            for method in ("OPTIONS", "DELETE", "TRACE"):
                answer = await client.request(method, "/v1/numbers/1")
                assert problem(answer) == (405, "method-not-allowed")
                assert answer.headers["allow"] == "GET, PUT"
