"""What every application has: problems in one shape, health, documents, and headers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from tests.service.http.support import bench, problem

from streambank.service.errors import DatabaseUnavailableError
from streambank.service.http.app import BODY_BYTES_MAX

KEYED = {"Idempotency-Key": "a"}


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


async def test_a_body_that_is_too_large(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:

            async def chunks() -> AsyncIterator[bytes]:
                for _ in range(9):
                    yield b" " * (1024 * 1024)

            for content in (b" " * (BODY_BYTES_MAX + 1), chunks()):
                headers = {**KEYED, "Content-Type": "application/json"}
                answer = await client.post("/v1/numbers", content=content, headers=headers)
                assert problem(answer) == (413, "body-too-large")
            assert (await client.post("/v1/numbers", content=b'{"n": 1}', headers=headers)).status_code == 201


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


async def test_a_failure_tells_an_incident_and_nothing_else(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers, structlog.testing.capture_logs() as logs:
        async with numbers.client() as client:
            answer = await client.post("/v1/numbers", json={"n": 500}, headers=KEYED)
        assert problem(answer) == (500, "internal-error")
        assert "0x500" not in answer.text
        (entry,) = [entry for entry in logs if entry["event"] == "request failed"]
        assert entry["incident"] == answer.json()["incident"]
        assert entry["error"] == "RuntimeError"
        assert "in add" in entry["where"]
        assert "0x500" not in str(entry).replace('RuntimeError("a secret: 0x500")', "")


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


async def test_only_for_names_of_this_machine(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            answer = await client.get("/livez", headers={"Host": "evil.example"})
            assert answer.status_code == 400
            assert (await client.get("/livez", headers={"Host": "127.0.0.1:8080"})).status_code == 200


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


async def test_every_answer_has_safe_headers(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            for path in ("/livez", "/nowhere", "/openapi.json"):
                headers = (await client.get(path)).headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert headers["Cache-Control"] == "no-store"


async def test_a_method_that_an_address_does_not_take(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            for method in ("OPTIONS", "DELETE", "TRACE"):
                answer = await client.request(method, "/v1/numbers/1")
                assert problem(answer) == (405, "method-not-allowed")
                assert answer.headers["allow"] == "GET, PUT"
