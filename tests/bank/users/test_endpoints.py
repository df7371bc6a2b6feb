"""The users service over HTTP: each endpoint's success, and each of its refusals."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from tests.bank.users.support import ADA, BOB, NEW_PASSWORD, PASSWORD, START_MS, World
from tests.bank.users.web import OWN_PAGE, Web, web
from tests.service.http.support import problem

from streambank.bank.events import USER_CLICKED, USER_PROFILE, MailKind
from streambank.bank.scopes import SCOPES
from streambank.bank.users.repository import signing_keys
from streambank.bank.users.signing import sign_access_token, signing_key
from streambank.clock import to_datetime
from streambank.service.http.cursors import encode_cursor
from streambank.service.tables import IDEMPOTENCY_KEY

SIGN_UP = {"email": ADA, "password": PASSWORD, "name": "Ada Lovelace", "timezone": "Europe/London"}
LOG_IN = {"email": ADA, "password": PASSWORD}
NO_ID = "018f0000-0000-7000-8000-000000000001"
IN_A_DAY = (to_datetime(START_MS) + timedelta(days=1)).isoformat()
NEW_KEY = {"name": "backup", "scope": "transactions:read", "expires_at": IN_A_DAY}


@pytest.fixture
def bank(world: World) -> Iterator[Web]:
    with web(world) as bank:
        yield bank


async def erase(client: httpx.AsyncClient, password: str, version: str) -> httpx.Response:
    return await client.request("DELETE", "/v1/users/me", json={"password": password}, headers={"If-Match": version})


# The way of a user, from the first to the last.


async def test_from_signing_up_to_being_forgotten(bank: Web) -> None:
    world = bank.world
    async with bank.client() as nobody:
        assert (await nobody.post("/v1/users", json=SIGN_UP)).status_code == 202
        [mail] = world.mails()
        assert (await nobody.post("/v1/users/verify", json={"token": mail.token})).status_code == 204
        logged_in = await nobody.post("/v1/sessions", json=LOG_IN)
        assert logged_in.status_code == 201
        assert logged_in.headers["Location"] == f"/v1/sessions/{logged_in.json()['session']['session_id']}"
        assert nobody.cookies["streambank_session"].startswith("sbs_")
        traded = await nobody.post("/v1/oauth/token", data={"grant_type": "session"}, headers=OWN_PAGE)
        assert traded.json()["scope"] == " ".join(sorted(SCOPES))

    async with bank.client(traded.json()["access_token"]) as ada:
        me = await ada.get("/v1/users/me")
        assert (me.json()["email"], me.json()["email_verified"], me.json()["timezone"]) == (
            ADA,
            True,
            "Europe/London",
        )
        changed = await ada.patch("/v1/users/me", json={"name": "Ada King"}, headers={"If-Match": me.headers["ETag"]})
        assert (changed.status_code, changed.json()["name"], changed.headers["ETag"]) == (200, "Ada King", '"v3"')
        assert changed.headers["X-Log-Position"].startswith("users.outbox/0/")
        same = await ada.patch("/v1/users/me", json={}, headers={"If-Match": '"v3"'})
        assert (same.json(), same.headers["ETag"]) == (changed.json(), '"v3"')
        wanted = {"quiet_hours": {"from_minute": 1320, "to_minute": 420}, "digest": "daily"}
        preferences = await ada.put("/v1/users/me/preferences", json=wanted, headers={"If-Match": '"v3"'})
        assert (preferences.status_code, preferences.json()) == (200, wanted)
        assert (await ada.get("/v1/users/me/preferences")).json() == wanted
        export = await ada.get("/v1/users/me/export")
        assert export.headers["Content-Disposition"] == 'attachment; filename="streambank-users.json"'
        assert export.json()["preferences"] == wanted
        assert len(export.json()["sessions"]) == 1
        assert (await erase(ada, PASSWORD, '"v4"')).status_code == 204
        assert problem(await ada.get("/v1/users/me")) == (401, "invalid-token")
    assert list(world.latest(USER_PROFILE).values()) == [None]


# Who may: every endpoint that needs a token, as nobody, with too small a scope, and as somebody erased.

MINE: list[tuple[str, str, str, Any]] = [
    ("GET", "/v1/users/me", "users:read", None),
    ("PATCH", "/v1/users/me", "users:write", {"name": "Eve"}),
    ("DELETE", "/v1/users/me", "users:write", {"password": PASSWORD}),
    ("PUT", "/v1/users/me/password", "users:write", {"password": PASSWORD, "new_password": NEW_PASSWORD}),
    ("PUT", "/v1/users/me/email", "users:write", {"email": BOB, "password": PASSWORD}),
    ("GET", "/v1/users/me/preferences", "users:read", None),
    ("PUT", "/v1/users/me/preferences", "users:write", {}),
    ("GET", "/v1/users/me/export", "users:read", None),
    ("GET", "/v1/sessions", "users:read", None),
    ("DELETE", f"/v1/sessions/{NO_ID}", "users:write", None),
    ("GET", "/v1/api-keys", "users:read", None),
    ("POST", "/v1/api-keys", "users:write", NEW_KEY),
    ("DELETE", f"/v1/api-keys/{NO_ID}", "users:write", None),
    ("POST", "/v1/clicks", "users:write", {"clicks": [{"page": "/", "element": "x"}]}),
]
WITH_VERSION = [call for call in MINE if call[0] in ("PATCH", "PUT") or call[:2] == ("DELETE", "/v1/users/me")]
ids = [f"{method} {path}" for method, path, _, _ in MINE]


def token_for(world: World, scope: str) -> str:
    """An access token for ada that this service signed, of that scope only."""
    key = signing_key(world.do(signing_keys), world.clock())
    assert key is not None
    return sign_access_token(
        key,
        user_id=world.person().user_id,
        scopes=frozenset(scope.split()),
        client_id="session:x",
        token_id="t",
        now_ms=world.clock(),
    )


@pytest.mark.parametrize(("method", "path", "scope", "body"), MINE, ids=ids)
async def test_who_may_not(bank: Web, method: str, path: str, scope: str, body: Any) -> None:
    world = bank.world
    world.new_user()
    headers = {"If-Match": '"v2"', "Idempotency-Key": "a"}
    other = "users:write transactions:read" if scope == "users:read" else "users:read transactions:write"
    good = token_for(world, scope)
    async with bank.client() as client:
        assert problem(await client.request(method, path, json=body, headers=headers)) == (401, "unauthenticated")
        small = {**headers, "Authorization": f"Bearer {token_for(world, other)}"}
        assert problem(await client.request(method, path, json=body, headers=small)) == (403, "insufficient-scope")
        proven = world.proven()
        world.do(lambda c: world.service.privacy.erase(c, proven, None))
        erased = {**headers, "Authorization": f"Bearer {good}"}
        assert problem(await client.request(method, path, json=body, headers=erased)) == (401, "invalid-token")
        world.pass_ms(700_000)
        assert (await client.request(method, path, json=body, headers=erased)).status_code == 401


def test_the_list_of_endpoints_that_need_a_token_is_whole(bank: Web) -> None:
    open_to_all = {
        ("POST", "/v1/users"),
        ("POST", "/v1/users/verify"),
        ("POST", "/v1/users/verification-mails"),
        ("POST", "/v1/password-resets"),
        ("POST", "/v1/password-resets/confirm"),
        ("POST", "/v1/sessions"),
        ("DELETE", "/v1/sessions/current"),
        ("POST", "/v1/oauth/token"),
        ("POST", "/v1/oauth/revoke"),
        ("GET", "/.well-known/jwks.json"),
    }
    listed = {(m, p.replace(NO_ID, "{session_id}" if "sessions" in p else "{key_id}")) for m, p, _, _ in MINE}
    document = bank.app.openapi()
    made = {(m.upper(), path) for path, operations in document["paths"].items() for m in operations}
    assert made == listed | open_to_all


@pytest.mark.parametrize(("method", "path", "scope", "body"), WITH_VERSION)
async def test_a_change_names_the_version_that_it_changes(
    bank: Web, method: str, path: str, scope: str, body: Any
) -> None:
    ada = bank.world.new_user()
    async with bank.logged_in() as client:
        assert problem(await client.request(method, path, json=body)) == (428, "if-match-missing")
        stale = await client.request(method, path, json=body, headers={"If-Match": '"v99"'})
        assert problem(stale) == (412, "version-mismatch")
        assert stale.headers["ETag"] == '"v2"'
    assert bank.world.person() == ada


BODIES = [
    ("POST", "/v1/users", SIGN_UP),
    ("POST", "/v1/users/verify", {"token": "x"}),
    ("POST", "/v1/users/verification-mails", {"email": ADA}),
    ("POST", "/v1/password-resets", {"email": ADA}),
    ("POST", "/v1/password-resets/confirm", {"token": "x", "password": NEW_PASSWORD}),
    ("POST", "/v1/sessions", LOG_IN),
    *((method, path, body) for method, path, _, body in MINE if body is not None),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{m} {p}" for m, p, _ in BODIES])
async def test_bodies_that_cannot_be(bank: Web, method: str, path: str, body: dict[str, Any]) -> None:
    ada = bank.world.new_user()
    headers = {"If-Match": '"v2"', "Idempotency-Key": "a"}
    async with bank.logged_in() as client:

        async def send(content: bytes) -> httpx.Response:
            more = {**headers, "Content-Type": "application/json"}
            return await client.request(method, path, content=content, headers=more)

        assert problem(await send(b"{")) == (400, "malformed-json")
        assert problem(await send(b"[]")) == (422, "invalid-request")
        unknown = await send(json.dumps({**body, "is_admin": True}).encode())
        assert problem(unknown) == (422, "invalid-request")
        assert unknown.json()["errors"][0]["pointer"] == "/is_admin"
        for name in body:
            wrong = await send(json.dumps({**body, name: {"no": "such"}}).encode())
            assert problem(wrong) == (422, "invalid-request")
            assert wrong.json()["errors"][0]["pointer"].startswith(f"/{name}")
            assert PASSWORD not in wrong.text
    assert bank.world.person() == ada


# Signing up and addresses.


async def test_signing_up_says_nothing_of_who_is_known(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        known = await client.post("/v1/users", json=SIGN_UP)
        new = await client.post("/v1/users", json={**SIGN_UP, "email": BOB})
        assert (known.status_code, known.content) == (new.status_code, new.content) == (202, b"")
        ask = [await client.post("/v1/password-resets", json={"email": e}) for e in (ADA, BOB, "eve@example.org")]
        ask += [await client.post("/v1/users/verification-mails", json={"email": e}) for e in (ADA, "eve@example.org")]
        assert {(answer.status_code, answer.content) for answer in ask} == {(202, b"")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("name", "a\x00b"),
        ("locale", "klingon"),
        ("timezone", "Mars/Olympus"),
        ("password", "short"),
        ("password", "p" * 300),
    ],
)
async def test_a_sign_up_that_is_refused_names_the_field(bank: Web, field: str, value: str) -> None:
    async with bank.client() as client:
        refused = await client.post("/v1/users", json={**SIGN_UP, field: value})
        assert problem(refused)[0] == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{field}"]
        assert value not in refused.text
    assert bank.world.mails() == []


async def test_a_forgotten_password_is_replaced(bank: Web) -> None:
    world = bank.world
    world.new_user()
    async with bank.client() as client:
        await client.post("/v1/password-resets", json={"email": ADA})
        token = world.mails()[-1].token
        weak = await client.post("/v1/password-resets/confirm", json={"token": token, "password": "short"})
        assert problem(weak) == (422, "weak-password")
        confirm = {"token": token, "password": NEW_PASSWORD}
        assert (await client.post("/v1/password-resets/confirm", json=confirm)).status_code == 204
        assert problem(await client.post("/v1/password-resets/confirm", json=confirm)) == (422, "bad-token")
        assert problem(await client.post("/v1/sessions", json=LOG_IN)) == (401, "log-in-refused")
        assert (await client.post("/v1/sessions", json={**LOG_IN, "password": NEW_PASSWORD})).status_code == 201


async def test_a_password_is_changed(bank: Web) -> None:
    world = bank.world
    world.new_user()
    async with bank.logged_in() as client:

        async def change(old: str, new: str) -> httpx.Response:
            body = {"password": old, "new_password": new}
            return await client.put("/v1/users/me/password", json=body, headers={"If-Match": '"v2"'})

        assert problem(await change("wrong password", NEW_PASSWORD)) == (403, "wrong-password")
        assert problem(await change(PASSWORD, "short")) == (422, "weak-password")
        changed = await change(PASSWORD, NEW_PASSWORD)
        assert (changed.status_code, changed.headers["ETag"]) == (204, '"v3"')
    assert world.mails()[-1].kind is MailKind.PASSWORD_CHANGED


async def test_an_address_is_changed(bank: Web) -> None:
    world = bank.world
    world.new_user()
    async with bank.logged_in() as client:
        body = {"email": BOB, "password": PASSWORD}
        wrong = {**body, "password": "wrong password"}
        version = {"If-Match": '"v2"'}
        assert problem(await client.put("/v1/users/me/email", json=wrong, headers=version)) == (403, "wrong-password")
        assert (await client.put("/v1/users/me/email", json=body, headers=version)).status_code == 202
        assert (await client.get("/v1/users/me")).json()["email"] == ADA
        await client.post("/v1/users/verify", json={"token": world.mails()[-1].token})
        assert (await client.get("/v1/users/me")).json()["email"] == BOB


async def test_erasure_forgets_what_was_answered_too(bank: Web) -> None:
    world = bank.world
    world.new_user()

    def stored() -> int:
        return world.do(lambda c: c.scalar(select(func.count()).select_from(IDEMPOTENCY_KEY)) or 0)

    async with bank.logged_in() as client:
        await client.post("/v1/api-keys", json=NEW_KEY, headers={"Idempotency-Key": "a"})
        assert stored() == 1
        assert (await erase(client, PASSWORD, '"v2"')).status_code == 204
    assert stored() == 0


async def test_erasure_asks_for_the_password(bank: Web) -> None:
    ada = bank.world.new_user()
    async with bank.logged_in() as client:
        assert problem(await erase(client, "wrong password", '"v2"')) == (403, "wrong-password")
        assert problem(await client.request("DELETE", "/v1/users/me", headers={"If-Match": '"v2"'}))[0] == 422
    assert bank.world.person() == ada


# Sessions.


async def test_a_log_in_is_refused_always_alike_and_then_made_to_wait(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        bodies = [{**LOG_IN, "password": "wrong password"}, {**LOG_IN, "email": BOB}, {**LOG_IN, "email": "none"}]
        answers = [await client.post("/v1/sessions", json=body) for body in bodies]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        assert problem(answers[0]) == (401, "log-in-refused")
        for _ in range(4):
            await client.post("/v1/sessions", json=bodies[0])
        waiting = await client.post("/v1/sessions", json=LOG_IN)
        assert problem(waiting) == (429, "too-many-attempts")
        assert waiting.headers["Retry-After"] == "1"


async def test_the_cookie_is_for_tls_only_where_the_request_came_over_it(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client(tls=True) as client:
        answer = await client.post("/v1/sessions", json=LOG_IN)
        assert answer.headers["Set-Cookie"].startswith("__Host-streambank_session=")
        assert answer.headers["Set-Cookie"].endswith("HttpOnly; SameSite=Lax; Secure")
        assert (await client.delete("/v1/sessions/current", headers=OWN_PAGE)).status_code == 204
        assert "__Host-streambank_session" not in client.cookies


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_another_sites_page_can_do_nothing_with_the_cookie(bank: Web, site: str) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        foreign = {"Sec-Fetch-Site": site, "Origin": "http://localhost:9999"}
        assert problem(await client.post("/v1/sessions", json=LOG_IN, headers=foreign)) == (403, "forbidden")
        await client.post("/v1/sessions", json=LOG_IN)
        for headers in (foreign, {"Origin": "http://localhost:9999"}, {}):
            trade = await client.post("/v1/oauth/token", data={"grant_type": "session"}, headers=headers)
            assert problem(trade) == (403, "forbidden")
            assert problem(await client.delete("/v1/sessions/current", headers=headers)) == (403, "forbidden")
        own = {"Origin": "http://localhost"}
        assert (await client.post("/v1/oauth/token", data={"grant_type": "session"}, headers=own)).status_code == 200


async def test_a_cookie_alone_opens_nothing_else(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        await client.post("/v1/sessions", json=LOG_IN)
        assert problem(await client.get("/v1/users/me", headers=OWN_PAGE)) == (401, "unauthenticated")


async def test_logging_out(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        nobody = await client.delete("/v1/sessions/current", headers=OWN_PAGE)
        assert problem(nobody) == (401, "not-logged-in")
        await client.post("/v1/sessions", json=LOG_IN)
        cookie = client.cookies["streambank_session"]
        assert (await client.delete("/v1/sessions/current", headers=OWN_PAGE)).status_code == 204
        assert "streambank_session" not in client.cookies
        client.cookies.set("streambank_session", cookie)
        trade = await client.post("/v1/oauth/token", data={"grant_type": "session"}, headers=OWN_PAGE)
        assert problem(trade) == (401, "not-logged-in")


async def test_sessions_are_listed_in_pages_and_ended(bank: Web) -> None:
    world = bank.world
    world.new_user()
    for _ in range(4):
        world.log_in()
    async with bank.logged_in() as client:
        first = await client.get("/v1/sessions", params={"limit": 2})
        assert len(first.json()["items"]) == 2
        assert first.headers["Link"].endswith('>; rel="next"')
        second = await client.get("/v1/sessions", params={"limit": 2, "cursor": first.json()["next"]})
        third = await client.get("/v1/sessions", params={"limit": 2, "cursor": second.json()["next"]})
        assert third.json()["next"] is None
        found = [s["session_id"] for page in (first, second, third) for s in page.json()["items"]]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 5
        assert set(first.json()["items"][0]) == {
            "session_id",
            "address",
            "user_agent",
            "created_at",
            "last_used_at",
            "expires_at",
        }
        assert (await client.delete(f"/v1/sessions/{found[-1]}")).status_code == 204
        assert problem(await client.delete(f"/v1/sessions/{found[-1]}")) == (404, "not-found")
        assert problem(await client.delete("/v1/sessions/no-id"))[0] == 422
        for cursor in ("x", encode_cursor("\0"), encode_cursor(7)):
            assert problem(await client.get("/v1/sessions", params={"cursor": cursor})) == (400, "bad-cursor")
        assert problem(await client.get("/v1/sessions", params={"limit": 201}))[0] == 422


# API keys.


async def test_an_api_key_is_made_used_and_revoked(bank: Web) -> None:
    bank.world.new_user()
    key = {"Idempotency-Key": "one"}
    async with bank.logged_in() as client, bank.client() as program:
        assert problem(await client.post("/v1/api-keys", json=NEW_KEY)) == (400, "bad-idempotency-key")
        made = await client.post("/v1/api-keys", json=NEW_KEY, headers=key)
        assert made.status_code == 201
        assert problem(await client.post("/v1/api-keys", json=NEW_KEY, headers=key)) == (409, "answer-not-kept")
        form = {"grant_type": "client_credentials"}
        basic = httpx.BasicAuth(made.json()["key_id"], made.json()["secret"])
        token = await program.post("/v1/oauth/token", data=form, auth=basic)
        assert (token.status_code, token.json()["scope"]) == (200, "transactions:read")
        assert (token.headers["Cache-Control"], "refresh_token" in token.json()) == ("no-store", False)
        in_form = {**form, "client_id": made.json()["key_id"], "client_secret": made.json()["secret"]}
        assert (await program.post("/v1/oauth/token", data=in_form)).status_code == 200
        [listed] = (await client.get("/v1/api-keys")).json()["items"]
        assert "secret" not in listed
        assert listed["last_used_at"] is not None
        assert (await client.delete(f"/v1/api-keys/{listed['key_id']}")).status_code == 204
        assert problem(await client.delete(f"/v1/api-keys/{listed['key_id']}")) == (404, "not-found")
        refused = await program.post("/v1/oauth/token", data=form, auth=basic)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="streambank"'


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [({"scope": "admin"}, "/scope"), ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"), ({"name": ""}, "/name")],
)
async def test_an_api_key_that_cannot_be(bank: Web, changes: dict[str, str], pointer: str) -> None:
    bank.world.new_user()
    async with bank.logged_in() as client:
        refused = await client.post("/v1/api-keys", json={**NEW_KEY, **changes}, headers={"Idempotency-Key": "a"})
        assert problem(refused)[0] == 422
        assert refused.json()["errors"][0]["pointer"] == pointer
        assert (await client.get("/v1/api-keys")).json() == {"items": [], "next": None}


async def test_somebody_elses_keys_and_sessions_are_not_there(bank: Web) -> None:
    world = bank.world
    world.new_user()
    world.new_user(BOB)
    session_id = world.log_in()[0].session.session_id
    async with bank.logged_in() as ada, bank.logged_in(BOB) as bob:
        made = await ada.post("/v1/api-keys", json=NEW_KEY, headers={"Idempotency-Key": "a"})
        assert problem(await bob.delete(f"/v1/api-keys/{made.json()['key_id']}")) == (404, "not-found")
        assert problem(await bob.delete(f"/v1/sessions/{session_id}")) == (404, "not-found")
        assert (await bob.get("/v1/api-keys")).json()["items"] == []


# OAuth.


async def test_a_program_logs_in_refreshes_and_logs_out(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:

        async def refresh(token: str) -> httpx.Response:
            form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "streambank-cli"}
            return await client.post("/v1/oauth/token", data=form)

        form = {"grant_type": "password", "username": ADA, "password": PASSWORD, "scope": "users:read"}
        first = (await client.post("/v1/oauth/token", data=form)).json()
        assert (first["token_type"], first["expires_in"], first["scope"]) == ("Bearer", 600, "users:read")
        async with bank.client(first["access_token"]) as ada:
            assert (await ada.get("/v1/users/me")).status_code == 200
        second = (await refresh(first["refresh_token"])).json()
        revoked = await client.post("/v1/oauth/revoke", data={"token": second["refresh_token"]})
        assert (revoked.status_code, revoked.content) == (200, b"")
        after = await refresh(second["refresh_token"])
        assert (after.status_code, after.json()["error"]) == (400, "invalid_grant")


async def test_a_refresh_token_that_comes_again_ends_the_grant_and_that_is_stored(bank: Web) -> None:
    bank.world.new_user()
    first = bank.world.log_in_program()
    async with bank.client() as client:
        form = {"grant_type": "refresh_token", "refresh_token": first.refresh_token}
        second = (await client.post("/v1/oauth/token", data=form)).json()["refresh_token"]
        for token in (first.refresh_token, second):
            answer = await client.post("/v1/oauth/token", data={**form, "refresh_token": token})
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": ADA, "password": "wrong password"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": BOB, "password": PASSWORD}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": ADA, "password": PASSWORD, "scope": "admin"}, 400, "invalid_scope"),
        ({"grant_type": "password", "username": ADA, "password": PASSWORD, "client_id": "e"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ],
)
async def test_oauth_refuses_in_its_own_form(bank: Web, form: dict[str, str], status: int, error: str) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        answer = await client.post("/v1/oauth/token", data=form)
        if not form:
            answer = await client.post(
                "/v1/oauth/token", content=b"", headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_json_is_no_form(bank: Web) -> None:
    async with bank.client() as client:
        for path in ("/v1/oauth/token", "/v1/oauth/revoke"):
            answer = await client.post(path, json={"grant_type": "password", "token": "x"})
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_too_many_passwords_are_made_to_wait_at_oauth_too(bank: Web) -> None:
    bank.world.new_user()
    async with bank.client() as client:
        form = {"grant_type": "password", "username": ADA, "password": "wrong password"}
        for _ in range(5):
            await client.post("/v1/oauth/token", data=form)
        assert problem(await client.post("/v1/oauth/token", data=form)) == (429, "too-many-attempts")


async def test_an_access_token_cannot_be_revoked(bank: Web) -> None:
    bank.world.new_user()
    token = bank.world.log_in()[0].access_token
    async with bank.client() as client:
        answer = await client.post("/v1/oauth/revoke", data={"token": token})
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")


async def test_the_key_set_checks_tokens(bank: Web) -> None:
    async with bank.client() as client:
        answer = await client.get("/.well-known/jwks.json")
        [key] = answer.json()["keys"]
        assert key == bank.world.service.keys.public_key(key["kid"])
        assert answer.headers["Cache-Control"] == "public, max-age=900"


# Clicks.


async def test_clicks_are_taken(bank: Web) -> None:
    bank.world.new_user()
    async with bank.logged_in() as client:
        assert (await client.post("/v1/clicks", json={"clicks": [{"page": "/", "element": "x"}]})).status_code == 202
        assert problem(await client.post("/v1/clicks", json={"clicks": []}))[0] == 422
        many = {"clicks": [{"page": "/", "element": "x"}] * 101}
        assert problem(await client.post("/v1/clicks", json=many))[0] == 422
        late = {"clicks": [{"page": "/", "element": "x", "occurred_at": "2020-01-01T00:00:00Z"}]}
        refused = await client.post("/v1/clicks", json=late)
        assert refused.json()["errors"][0]["pointer"] == "/clicks/0/occurred_at"
    assert len(bank.world.records(USER_CLICKED)) == 1
