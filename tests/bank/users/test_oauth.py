"""Tokens for programs: forms, grants, refreshing, and taking tokens back."""

import base64
from datetime import timedelta

import pytest
from tests.bank.users.support import ADA, HERE, NEW_PASSWORD, PASSWORD, START_MS, World, refusal

from streambank.bank.users.oauth import (
    FORM_BYTES_MAX,
    Credentials,
    OAuthRefusedError,
    credentials,
    parse_form,
    program,
)
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import ApiKeyMade, NewApiKey, OAuthError, PasswordChange, TokenAnswer
from streambank.bank.users.tokens import DAY_MS, GRANT_MS
from streambank.clock import to_datetime

FORM = "application/x-www-form-urlencoded"


def make_key(world: World, scope: str = "transactions:read", days: int = 30) -> ApiKeyMade:
    body = NewApiKey(name="backup", scope=scope, expires_at=to_datetime(world.clock()) + timedelta(days=days))
    caller = world.caller()
    made = world.do(lambda c: world.service.api_keys.make(c, caller, body, HERE)).body
    assert isinstance(made, ApiKeyMade)
    return made


def refreshed(world: World, token: str | None, scope: str | None = None) -> TokenAnswer:
    body = world.refresh(token, scope).body
    assert isinstance(body, TokenAnswer)
    return body


def refused(world: World, **request: str | None) -> str:
    """How refreshing or an API key is refused, whether by an exception or by an answer that stays."""
    try:
        if "key_id" in request:
            key = Credentials(request["key_id"], request.get("secret"), False)
            answer = world.do(lambda c: world.service.oauth.by_api_key(c, key, request.get("scope")))
        else:
            answer = world.refresh(request["token"], request.get("scope"), request.get("client_id") or "streambank-cli")
    except OAuthRefusedError as error:
        return error.error
    assert isinstance(answer.body, OAuthError), answer
    return answer.body.error


# Forms.


def test_a_form_is_read() -> None:
    body = b"grant_type=password&username=a%40b.c&password=gr%C3%BCn+e&scope="
    assert parse_form(f"{FORM}; charset=utf-8", body) == {
        "grant_type": "password",
        "username": "a@b.c",
        "password": "grün e",
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b"{}", id="json"),
        pytest.param("", b"a=b", id="no type"),
        pytest.param(FORM, b"a=b&a=c", id="twice"),
        pytest.param(FORM, b"a=\xff", id="no utf-8"),
        pytest.param(FORM, b"a=%ff", id="no utf-8 when unquoted"),
        pytest.param(FORM, b"a=%00", id="nul"),
        pytest.param(FORM, b"a=" + b"b" * FORM_BYTES_MAX, id="too large"),
        pytest.param(FORM, b"&".join(b"a%d=b" % n for n in range(40)), id="too many"),
    ],
)
def test_what_is_no_form(content_type: str, body: bytes) -> None:
    with pytest.raises(OAuthRefusedError) as error:
        parse_form(content_type, body)
    assert error.value.error == "invalid_request"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_client_says_who_it_is_in_the_form_or_in_the_header() -> None:
    assert credentials({"client_id": "a", "client_secret": "b"}, None) == Credentials("a", "b", False)
    assert credentials({}, basic("a%3Ab:c+d")) == Credentials("a:b", "c d", True)
    assert credentials({}, "Bearer x") == Credentials(None, None, False)


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", basic("no colon"), "Basic /w=="])
def test_a_header_that_cannot_be_read(header: str) -> None:
    if header == "Basic":
        assert credentials({}, header) == Credentials(None, None, False)
        return
    with pytest.raises(OAuthRefusedError) as error:
        credentials({}, header)
    answer = error.value.answer()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="streambank"')


def test_a_secret_is_not_given_twice() -> None:
    with pytest.raises(OAuthRefusedError, match="not in both"):
        credentials({"client_secret": "b"}, basic("a:b"))


def test_only_our_own_programs_may_take_a_password() -> None:
    assert program(Credentials(None, None, False)) == program(Credentials("streambank-cli", None, False))
    with pytest.raises(OAuthRefusedError) as error:
        program(Credentials("evil", None, False))
    assert error.value.answer().status == 401


# Passwords and refreshing.


def test_a_program_logs_in_and_goes_on(world: World) -> None:
    ada = world.new_user()
    first = world.log_in_program()
    caller = world.verifier.verify(first.access_token)
    assert (caller.user_id, caller.client_id) == (ada.user_id, "streambank-cli")
    assert (first.token_type, first.expires_in) == ("Bearer", 600)
    second = refreshed(world, first.refresh_token)
    assert second.refresh_token not in (None, first.refresh_token)
    assert second.access_token != first.access_token
    assert world.verifier.verify(second.access_token).scopes == caller.scopes


def test_tokens_are_not_to_be_cached(world: World) -> None:
    world.new_user()
    answer = world.refresh(world.log_in_program().refresh_token)
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


def test_a_refresh_token_that_comes_again_ends_the_grant_for_good(world: World) -> None:
    ada = world.new_user()
    first = world.log_in_program()
    other = world.log_in_program()
    second = refreshed(world, first.refresh_token)
    assert refused(world, token=first.refresh_token) == "invalid_grant"
    assert refused(world, token=second.refresh_token) == "invalid_grant"
    assert world.history(ada.user_id)[-1] == "token-reused"
    assert world.refresh(other.refresh_token).status == 200


def test_a_grant_runs_out_however_often_it_is_refreshed(world: World) -> None:
    world.new_user()
    token = world.log_in_program().refresh_token
    for _ in range(GRANT_MS // (10 * DAY_MS) - 1):
        world.pass_ms(10 * DAY_MS)
        token = refreshed(world, token).refresh_token
    world.pass_ms(10 * DAY_MS)
    assert refused(world, token=token) == "invalid_grant"


@pytest.mark.parametrize("token", [None, "", "x", "sbr_" + "a" * 43, "sbs_" + "a" * 43])
def test_what_is_no_refresh_token(world: World, token: str | None) -> None:
    assert refused(world, token=token) == "invalid_grant"


def test_a_refresh_token_is_its_programs_own(world: World) -> None:
    world.new_user()
    token = world.log_in_program().refresh_token
    assert refused(world, token=token, client_id="other") == "invalid_grant"
    assert world.refresh(token).status == 200


def test_scopes_are_narrowed_and_never_widened(world: World) -> None:
    world.new_user()
    first = world.log_in_program(scope="transactions:read users:read")
    assert first.scope == "transactions:read users:read"
    narrow = refreshed(world, first.refresh_token, "users:read")
    assert narrow.scope == "users:read"
    assert refused(world, token=narrow.refresh_token, scope="users:write") == "invalid_scope"
    wide = refreshed(world, narrow.refresh_token)
    assert wide.scope == "transactions:read users:read"


def test_who_is_not_verified_cannot_have_more_until_they_are(world: World) -> None:
    world.sign_up()
    token = world.mails()[0].token or ""
    with pytest.raises(OAuthRefusedError, match="users:read users:write") as error:
        world.log_in_program(scope="transactions:read")
    assert error.value.error == "invalid_scope"
    program_token = world.log_in_program()
    assert program_token.scope == "users:read users:write"
    world.verify(token)
    after = refreshed(world, program_token.refresh_token)
    assert "transactions:write" in after.scope


# API keys and cookies.


def test_an_api_key_gets_an_access_token_of_its_own_scopes(world: World) -> None:
    ada = world.new_user()
    key = make_key(world)
    shown = Credentials(key.key_id, key.secret, False)
    token = world.token(lambda c: world.service.oauth.by_api_key(c, shown, None))
    caller = world.verifier.verify(token.access_token)
    assert (caller.user_id, caller.client_id) == (ada.user_id, key.key_id)
    assert caller.scopes == {"transactions:read"}
    assert token.refresh_token is None
    assert "refresh_token" not in token.model_dump_json()
    listed = world.do(lambda c: world.service.api_keys.page(c, caller, PageOf(5)))
    assert listed[0].last_used_at == to_datetime(START_MS)


def test_an_api_key_that_is_not_good(world: World) -> None:
    world.new_user()
    key = make_key(world)
    other = make_key(world)
    assert refused(world, key_id=other.key_id, secret=key.secret) == "invalid_client"
    assert refused(world, key_id=key.key_id, secret=None) == "invalid_client"
    assert refused(world, key_id=key.key_id, secret="sbk_" + "a" * 43) == "invalid_client"
    assert refused(world, key_id=key.key_id, secret=key.secret, scope="transactions:write") == "invalid_scope"
    world.pass_ms(30 * DAY_MS)
    assert refused(world, key_id=key.key_id, secret=key.secret) == "invalid_client"


def test_a_reset_revokes_api_keys(world: World) -> None:
    world.new_user()
    key = make_key(world)
    world.ask_for_reset()
    world.reset_password()
    assert refused(world, key_id=key.key_id, secret=key.secret) == "invalid_client"


def test_a_changed_password_does_not(world: World) -> None:
    world.new_user()
    key = make_key(world)
    caller = world.caller()
    body = PasswordChange(password=PASSWORD, new_password=NEW_PASSWORD)
    proven, password_hash = world.service.accounts.hash_for_change(caller, body, HERE)
    world.do(lambda c: world.service.accounts.change_password(c, caller, proven, password_hash, HERE, None))
    shown = Credentials(key.key_id, key.secret, False)
    assert world.token(lambda c: world.service.oauth.by_api_key(c, shown, None)).scope == "transactions:read"


def test_a_page_trades_its_cookie_for_an_access_token(world: World) -> None:
    world.new_user()
    logged_in, cookie = world.log_in()
    token = world.token(lambda c: world.service.oauth.by_session(c, cookie, "users:read"))
    caller = world.verifier.verify(token.access_token)
    assert caller.client_id == f"session:{logged_in.session.session_id}"
    assert caller.scopes == {"users:read"}
    assert token.refresh_token is None
    assert refusal(lambda: world.do(lambda c: world.service.oauth.by_session(c, None, None))).status == 401


# Taking tokens back.


def test_a_refresh_token_is_taken_back_with_all_of_its_grant(world: World) -> None:
    ada = world.new_user()
    first = world.log_in_program()
    second = refreshed(world, first.refresh_token)
    answer = world.do(lambda c: world.service.oauth.revoke(c, first.refresh_token or "", HERE))
    assert (answer.status, answer.body) == (200, None)
    assert refused(world, token=second.refresh_token) == "invalid_grant"
    assert world.history(ada.user_id)[-1] == "token-revoked"


def test_an_api_key_is_taken_back_by_who_holds_it(world: World) -> None:
    world.new_user()
    key = make_key(world)
    world.do(lambda c: world.service.oauth.revoke(c, key.secret, HERE))
    assert refused(world, key_id=key.key_id, secret=key.secret) == "invalid_client"


@pytest.mark.parametrize("token", ["x", "sbr_" + "a" * 43, "sbk_" + "a" * 43])
def test_taking_back_what_there_is_not_is_no_error(world: World, token: str) -> None:
    assert world.do(lambda c: world.service.oauth.revoke(c, token, HERE)).status == 200


def test_an_access_token_cannot_be_taken_back(world: World) -> None:
    world.new_user()
    token = world.log_in_program().access_token
    with pytest.raises(OAuthRefusedError) as error:
        world.do(lambda c: world.service.oauth.revoke(c, token, HERE))
    assert error.value.error == "unsupported_token_type"


def test_failed_attempts_are_on_record_with_the_log_in_that_follows(world: World) -> None:
    ada = world.new_user()
    for _ in range(2):
        refusal(lambda: world.proven(ADA, "wrong password"))
    world.log_in_program(password=PASSWORD)
    caller = world.caller()
    export = world.do(lambda c: world.service.privacy.export(c, caller)).body
    details = [event.detail for event in export.security_history]  # type: ignore[union-attr]
    assert "streambank-cli, after 2 failed attempts" in details
    assert ada.user_id == caller.user_id
