"""Reads and writes over HTTP: who may, what happens once, and what a request that is refused leaves."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from tests.postgres import Databases
from tests.service.http.support import bench, problem
from tests.service.support import OUTBOX_ID, rows

from streambank.service.http import endpoint, idempotency
from streambank.service.http.answers import Answer, no_content
from streambank.service.http.idempotency import KeyedRequest
from streambank.service.http.problems import Problem
from streambank.service.outbox import OutboxRelay
from streambank.service.tables import IDEMPOTENCY_KEY, OUTBOX

ADD = "/v1/numbers"


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_a_write_says_where_it_is_and_which_version(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            answer = await client.post(ADD, json={"n": 7}, headers=key("a"))
            assert (answer.status_code, answer.json()) == (201, {"id": 1, "n": 7})
            assert answer.headers["Location"] == "/v1/numbers/1"
            assert answer.headers["ETag"] == '"v7"'
            assert answer.headers["X-Log-Position"] == "numbers.outbox/0/1"
            assert "Idempotency-Replayed" not in answer.headers
            assert answer.headers["RateLimit-Policy"] == '"caller";q=60000;w=60'

            again = await client.get("/v1/numbers/1")
            assert (again.status_code, again.json(), again.headers["ETag"]) == (200, {"id": 1, "n": 7}, '"v7"')
            same = await client.get("/v1/numbers/1", headers={"If-None-Match": '"v7"'})
            assert (same.status_code, same.content) == (304, b"")


async def test_what_others_act_by_is_answered_once_it_is_published(tmp_path: Path, any_database: Databases) -> None:
    with (
        bench(tmp_path, any_database) as numbers,
        closing(
            OutboxRelay(numbers.log, numbers.database, service="numbers", outbox_id=OUTBOX_ID, clock=numbers.clock)
        ) as relay,
    ):
        async with numbers.client() as client:
            asked = asyncio.create_task(client.post("/v1/in-order", json={"n": 7}, headers=key("a")))
            while not rows(numbers.database) and not asked.done():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert not asked.done()
            assert await asyncio.to_thread(relay.step) == 1
            answer = await asked
            assert (answer.status_code, answer.headers["X-Log-Position"]) == (201, "numbers.outbox/0/1")


async def test_a_log_that_hangs_holds_nobody_up_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "IN_TIME_S", 0.1)
    goes_on = threading.Event()
    with bench(tmp_path) as numbers:
        monkeypatch.setattr(numbers.positions, "wait_caught_up", goes_on.wait)
        monkeypatch.setattr(numbers.positions, "wait_published", lambda _position: goes_on.wait())
        try:
            async with numbers.client() as client:
                asked = [client.post("/v1/in-order", json={"n": n}, headers=key(str(n))) for n in range(10)]
                assert {answer.status_code for answer in await asyncio.gather(*asked)} == {201}
        finally:
            goes_on.set()


async def test_what_changes_without_its_version_is_always_told(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            await client.post(ADD, json={"n": 99}, headers=key("a"))
            same = await client.get("/v1/numbers/1", headers={"If-None-Match": '"v99"'})
            assert (same.status_code, same.json(), same.headers["ETag"]) == (200, {"id": 1, "n": 99}, '"v99"')


async def test_a_request_that_is_sent_again_is_answered_from_what_was_stored(
    tmp_path: Path, any_database: Databases
) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            first = await client.post(ADD, json={"n": 7}, headers=key("a"))
            for name in ("a", '"a"', " a "):
                again = await client.post(ADD, json={"n": 7}, headers=key(name))
                assert (again.status_code, again.content) == (201, first.content)
                assert (again.headers["Location"], again.headers["ETag"]) == ("/v1/numbers/1", '"v7"')
                assert again.headers["Idempotency-Replayed"] == "true"
            assert rows(numbers.database) == [7]
            # Another request with that key, and another user's with the same key.
            assert problem(await client.post(ADD, json={"n": 8}, headers=key("a"))) == (422, "idempotency-key-reused")
            assert problem(await client.post("/v1/open", json={"n": 7})) == (400, "bad-idempotency-key")
        async with numbers.client(numbers.token("bob")) as client:
            assert (await client.post(ADD, json={"n": 8}, headers=key("a"))).status_code == 201
        assert rows(numbers.database) == [7, 8]


@pytest.mark.parametrize("name", [None, "", '""', "é", "x" * 256, "a\tb"])
async def test_a_write_needs_a_key(tmp_path: Path, any_database: Databases, name: str | None) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            headers = {} if name is None else {b"Idempotency-Key": name.encode()}
            answer = await client.post(ADD, json={"n": 7}, headers=headers)
            assert problem(answer) in {(400, "bad-idempotency-key"), (422, "invalid-request")}
            assert rows(numbers.database) == []


async def test_what_is_refused_leaves_nothing_and_may_be_tried_again_with_its_key(
    tmp_path: Path, any_database: Databases
) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            assert problem(await client.post(ADD, json={"n": 13}, headers=key("a"))) == (409, "unlucky")
            with numbers.database.read() as connection:
                assert connection.execute(select(IDEMPOTENCY_KEY)).all() == []
                assert connection.execute(select(OUTBOX)).all() == []
            # Not done, so the key is free, even for another request.
            assert (await client.post(ADD, json={"n": 14}, headers=key("a"))).status_code == 201


async def test_an_answer_with_a_secret_is_not_kept(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            assert (await client.post(ADD, json={"n": 42}, headers=key("a"))).json()["n"] == 42
            assert problem(await client.post(ADD, json={"n": 42}, headers=key("a"))) == (409, "answer-not-kept")
            assert rows(numbers.database) == [42]
            with numbers.database.read() as connection:
                assert connection.execute(select(IDEMPOTENCY_KEY.c.body)).scalar_one() is None


async def test_the_same_request_while_it_is_being_done(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        entered, go_on = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            entered.set()
            go_on.wait(10)

        held = numbers.commits.submit(hold)
        assert entered.wait(10)
        async with numbers.client() as client:
            first = asyncio.create_task(client.post(ADD, json={"n": 7}, headers=key("a")))
            while not numbers.http.in_flight:
                await asyncio.sleep(0.001)
            assert problem(await client.post(ADD, json={"n": 7}, headers=key("a"))) == (409, "request-in-flight")
            go_on.set()
            assert (await first).status_code == 201
            assert (await client.post(ADD, json={"n": 7}, headers=key("a"))).headers["Idempotency-Replayed"] == "true"
        held.result(10)
        assert rows(numbers.database) == [7]


async def test_keys_are_forgotten_after_a_day(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            await client.post(ADD, json={"n": 7}, headers=key("a"))
        numbers.clock.now_ms += idempotency.KEEP_MS + 1
        async with numbers.client() as client:
            await client.post(ADD, json={"n": 8}, headers=key("b"))
        with numbers.database.read() as connection:
            assert connection.execute(select(IDEMPOTENCY_KEY.c.key)).scalars().all() == ["b"]


async def test_a_request_of_another_process_with_the_same_key(tmp_path: Path, any_database: Databases) -> None:
    request = KeyedRequest("ada", "a", b"f")
    with bench(tmp_path, any_database) as numbers, numbers.database.begin() as connection:

        def twice(connection: Connection) -> Answer:
            # The other process's transaction commits after this one has looked.
            idempotency.once(connection, request, 0, lambda c: no_content())
            return no_content()

        with pytest.raises(Problem, match="still being done"), connection.begin_nested():
            idempotency.once(connection, request, 0, twice)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (None, "unauthenticated"),
        ("nonsense", "invalid-token"),
        ("a.b.c", "invalid-token"),
        ("x" * 5_000, "invalid-token"),
    ],
)
async def test_only_with_a_token(tmp_path: Path, any_database: Databases, token: str | None, kind: str) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client(token) as client:
            for answer in (
                await client.post(ADD, json={"n": 7}, headers=key("a")),
                await client.get("/v1/numbers/1"),
                await client.put("/v1/numbers/x", json={"n": 1}),
            ):
                assert problem(answer) == (401, kind)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert rows(numbers.database) == []


async def test_only_with_the_scope_and_in_time(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        token = numbers.token("ada", "transactions:read")
        async with numbers.client(token) as client:
            answer = await client.post(ADD, json={"n": 7}, headers=key("a"))
            assert problem(answer) == (403, "insufficient-scope")
            assert 'scope="transactions:write"' in answer.headers["WWW-Authenticate"]
            assert problem(await client.get("/v1/numbers/1")) == (404, "not-found")
            numbers.clock.now_ms += 600_000
            assert problem(await client.get("/v1/numbers/1")) == (401, "invalid-token")
        async with numbers.client() as client:
            assert problem(await client.get("/v1/numbers/1")) == (404, "not-found")


async def test_a_change_says_which_version_it_changes(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            await client.post(ADD, json={"n": 7}, headers=key("a"))
            change = {"json": {"n": 8}}
            assert problem(await client.put("/v1/numbers/1", **change)) == (428, "if-match-missing")  # type: ignore[arg-type]
            for tag in ('"v6"', '"other"', "*", 'W/"v7"'):
                answer = await client.put("/v1/numbers/1", json={"n": 8}, headers={"If-Match": tag})
                assert problem(answer) == (412, "version-mismatch")
            assert rows(numbers.database) == [7]
            answer = await client.put("/v1/numbers/1", json={"n": 8}, headers={"If-Match": '"v7"'})
            assert (answer.status_code, answer.headers["ETag"]) == (200, '"v8"')
            assert rows(numbers.database) == [8]


async def test_a_hundred_at_once(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            answers = await asyncio.gather(
                *(client.post(ADD, json={"n": n}, headers=key(str(n))) for n in range(100) if n not in (13, 42))
            )
        assert {answer.status_code for answer in answers} == {201}
        assert sorted(rows(numbers.database)) == [n for n in range(100) if n not in (13, 42)]


async def test_a_key_goes_with_the_query(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        async with numbers.client() as client:
            await client.post(f"{ADD}?a=1", json={"n": 7}, headers=key("a"))
            assert (await client.post(f"{ADD}?a=1", json={"n": 7}, headers=key("a"))).status_code == 201
            assert problem(await client.post(f"{ADD}?a=2", json={"n": 7}, headers=key("a")))[0] == 422
            assert rows(numbers.database) == [7]


async def test_the_description_says_which_headers_are_needed(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
            added, changed = paths["/v1/numbers"]["post"], paths["/v1/numbers/{number}"]["put"]
            needed = [(p["name"], p["required"]) for told in (added, changed) for p in told["parameters"]]
            assert ("idempotency-key", True) in needed
            assert ("if-match", True) in needed
            # Without any, who sent the request comes first, then the header.
            assert problem(await client.post(ADD, content=b"{"))[0] == 400


async def test_requests_that_are_done_together_are_each_done_once(tmp_path: Path, any_database: Databases) -> None:
    with bench(tmp_path, any_database) as numbers:
        entered, go_on = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            entered.set()
            go_on.wait(10)

        bob = {"Authorization": f"Bearer {numbers.token('bob')}"}
        async with numbers.client() as client:
            before = await client.post("/v1/together", json={"n": 1}, headers=key("old"))
            held = numbers.commits.submit(hold)
            assert entered.wait(10)
            waiting = [
                asyncio.create_task(client.post("/v1/together", json=body, headers={**key(name), **more}))
                for body, name, more in (
                    ({"n": 2}, "a", {}),
                    ({"n": 2}, "a", bob),
                    ({"n": 13}, "b", {}),
                    ({"n": 1}, "old", {}),
                    ({"n": 9}, "old", {}),
                )
            ]
            while len(numbers.http.in_flight) < 4:
                await asyncio.sleep(0.001)
            go_on.set()
            held.result(10)
            first, of_bob, unlucky, again, other = await asyncio.gather(*waiting)
            assert (first.status_code, first.headers["Asked-By"]) == (201, "ada")
            assert (of_bob.status_code, of_bob.headers["Asked-By"]) == (201, "bob")
            assert problem(unlucky) == (409, "unlucky")
            assert (again.content, again.headers["Idempotency-Replayed"]) == (before.content, "true")
            assert problem(other) in {(422, "idempotency-key-reused"), (409, "request-in-flight")}
            assert first.headers["X-Log-Position"] == "numbers.outbox/0/3"
            # What was refused may be tried again with its key.
            assert (await client.post("/v1/together", json={"n": 14}, headers=key("b"))).status_code == 201
            answer = await client.post("/v1/together", json={"n": 15}, headers=key("b"))
            assert problem(answer) == (422, "idempotency-key-reused")
        assert sorted(rows(numbers.database)) == [1, 2, 2, 14]
