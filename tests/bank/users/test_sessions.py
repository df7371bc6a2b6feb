"""Sessions of pages: how they begin, go on and end."""

import pytest
from tests.bank.users.support import ADA, BOB, ELSEWHERE, HERE, World, refusal

from streambank.bank.scopes import SCOPES
from streambank.bank.users import sessions as sessions_module
from streambank.bank.users.context import Client
from streambank.bank.users.repository import PageOf
from streambank.bank.users.tokens import DAY_MS, SESSION_IDLE_MS, SESSION_MS, token_hash
from streambank.service.http.problems import Problem


def is_alive(world: World, cookie: str) -> bool:
    try:
        world.do(lambda c: world.service.sessions.by_token(c, cookie))
    except Problem as problem:
        if problem.status != 401:
            raise
        return False
    return True


def test_a_log_in_answers_with_a_cookie_and_an_access_token(world: World) -> None:
    ada = world.new_user()
    proven = world.proven()
    answer = world.do(lambda c: world.service.sessions.log_in(c, proven, HERE, secure=True))
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-streambank_session=sbs_")
    assert cookie.endswith("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure")
    logged_in, _ = world.log_in()
    caller = world.verifier.verify(logged_in.access_token)
    assert (caller.user_id, caller.client_id) == (ada.user_id, f"session:{logged_in.session.session_id}")
    assert caller.scopes == SCOPES.keys()
    assert logged_in.scope.split() == sorted(caller.scopes)
    assert answer.status == 201
    assert (answer.location or "").startswith("/v1/sessions/")


def test_who_is_not_verified_has_small_scopes(world: World) -> None:
    world.new_user(verified=False)
    assert world.caller().scopes == {"users:read", "users:write"}


def test_a_session_ends_when_it_is_idle(world: World) -> None:
    world.new_user()
    _, cookie = world.log_in()
    world.pass_ms(SESSION_IDLE_MS - 1)
    assert is_alive(world, cookie)
    world.pass_ms(SESSION_IDLE_MS - 1)
    assert is_alive(world, cookie)
    world.pass_ms(SESSION_IDLE_MS)
    assert not is_alive(world, cookie)


def test_a_session_ends_after_a_month_however_busy(world: World) -> None:
    world.new_user()
    _, cookie = world.log_in()
    for _ in range(29):
        world.pass_ms(DAY_MS)
        assert is_alive(world, cookie)
    world.pass_ms(SESSION_MS - 29 * DAY_MS)
    assert not is_alive(world, cookie)


@pytest.mark.parametrize("cookie", [None, "", "x", "sbs_" + "a" * 43, "sbr_" + "a" * 43])
def test_what_is_no_session(world: World, cookie: str | None) -> None:
    assert refusal(lambda: world.do(lambda c: world.service.sessions.by_token(c, cookie))).slug == "not-logged-in"


def test_the_cookie_is_not_in_the_database(world: World) -> None:
    world.new_user()
    _, cookie = world.log_in()
    session = world.do(lambda c: world.service.sessions.by_token(c, cookie))
    assert session.token_hash == token_hash(cookie)


def test_sessions_are_listed_newest_first_and_in_pages(world: World) -> None:
    world.new_user()
    world.new_user(BOB)
    made = []
    for client in (HERE, ELSEWHERE, HERE):
        world.pass_ms(1)
        made.append(world.log_in(client=client)[0].session.session_id)
    world.pass_ms(1)
    world.log_in(BOB)
    caller = world.verifier.verify(world.log_in()[0].access_token)
    listed = world.do(lambda c: world.service.sessions.page(c, caller, PageOf(10)))
    assert [s.session_id for s in listed[1:]] == made[::-1]
    assert {s.address for s in listed} == {HERE.address, ELSEWHERE.address}
    page = world.do(lambda c: world.service.sessions.page(c, caller, PageOf(2, before=listed[1].session_id)))
    assert page == listed[2:4]


def test_one_ends_ones_own_sessions_only(world: World) -> None:
    world.new_user()
    world.new_user(BOB)
    logged_in, cookie = world.log_in()
    session_id = logged_in.session.session_id
    ada, bob = world.caller(ADA), world.caller(BOB)
    assert refusal(lambda: world.do(lambda c: world.service.sessions.end(c, bob, session_id, HERE))).status == 404
    assert is_alive(world, cookie)
    assert world.do(lambda c: world.service.sessions.end(c, ada, session_id, HERE)).status == 204
    assert not is_alive(world, cookie)
    assert refusal(lambda: world.do(lambda c: world.service.sessions.end(c, ada, session_id, HERE))).status == 404


def test_logging_out_ends_the_session_and_takes_the_cookie_away(world: World) -> None:
    ada = world.new_user()
    _, cookie = world.log_in()
    answer = world.do(lambda c: world.service.sessions.end_current(c, cookie, HERE, secure=False))
    assert (answer.status, "Max-Age=0" in answer.headers["Set-Cookie"]) == (204, True)
    assert not is_alive(world, cookie)
    assert (
        refusal(lambda: world.do(lambda c: world.service.sessions.end_current(c, cookie, HERE, secure=False))).status
        == 401
    )
    assert world.history(ada.user_id)[-2:] == ["logged-in", "logged-out"]


def test_the_oldest_session_ends_where_there_are_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "SESSIONS_MAX", 2)
    world.new_user()
    cookies = []
    for _ in range(3):
        world.pass_ms(1)
        cookies.append(world.log_in()[1])
    assert [is_alive(world, cookie) for cookie in cookies] == [False, True, True]


def test_what_a_browser_says_of_itself_is_cut_and_cleaned(world: World) -> None:
    world.new_user()
    logged_in, _ = world.log_in(client=Client("192.0.2.1", "Odd\x00\x1b[1m" + "x" * 500))
    assert logged_in.session.user_agent.startswith("Odd[1mxx")
    assert len(logged_in.session.user_agent) < 200
