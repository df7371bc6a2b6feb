"""Export, erasure, and clicks."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from tests.bank.users.support import (
    ADA,
    BOB,
    HERE,
    PASSWORD,
    START_MS,
    World,
    raw_log_text,
    refusal,
)

from streambank.bank.events import USER_CLICKED, USER_KEY, USER_PROFILE
from streambank.bank.users import repository
from streambank.bank.users.models import METADATA
from streambank.bank.users.oauth import Credentials, OAuthRefusedError
from streambank.bank.users.privacy import CLICK_AGE_MS_MAX
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import ClickIn, Clicks, Export, NewApiKey
from streambank.clock import to_datetime


def export(world: World, caller: Any) -> Export:
    body = world.do(lambda c: world.service.privacy.export(c, caller)).body
    assert isinstance(body, Export)
    return body


def make_key(world: World, caller: Any) -> Any:
    body = NewApiKey(name="backup", scope="users:read", expires_at=to_datetime(world.clock()) + timedelta(days=1))
    return world.do(lambda c: world.service.api_keys.make(c, caller, body, HERE)).body


def row_counts(world: World) -> dict[str, int]:
    tables = METADATA.sorted_tables
    return world.do(lambda c: {t.name: c.scalar(select(func.count()).select_from(t)) or 0 for t in tables})


def test_an_export_has_everything_but_secrets(world: World) -> None:
    ada = world.new_user()
    _, cookie = world.log_in()
    program = world.log_in_program()
    caller = world.caller()
    key = make_key(world, caller)
    body = export(world, caller)
    assert (body.profile.email, body.profile.name, body.preferences.digest.value) == (ADA, "Ada Lovelace", "none")
    assert len(body.sessions) == 2
    assert [p.client_id for p in body.programs] == ["streambank-cli"]
    assert [k.key_id for k in body.api_keys] == [key.key_id]
    assert [event.kind for event in body.security_history] == [
        "api-key-made",
        "logged-in",
        "logged-in",
        "logged-in",
        "email-verified",
        "signed-up",
    ]
    text = body.model_dump_json()
    for secret in (cookie, program.refresh_token, key.secret, ada.password_hash, ada.personal_key.hex(), "argon2"):
        assert secret is not None
        assert secret not in text


def test_every_table_about_people_is_in_the_export_or_said_not_to_be() -> None:
    exported = {"person", "page_session", "token_grant", "api_key", "security_event"}
    # Hashes of what was mailed or handed out: nothing in them is about the person beyond what the above says.
    secrets_only = {"mail_token", "refresh_token"}
    of_nobody = {"attempts", "signing_key"}
    assert {table.name for table in METADATA.sorted_tables} == exported | secrets_only | of_nobody


def test_an_export_is_of_the_caller_only(world: World) -> None:
    world.new_user()
    world.new_user(BOB, name="Bob")
    text = export(world, world.caller()).model_dump_json()
    assert BOB not in text
    assert "Bob" not in text


def erase(world: World, email: str = ADA, version: int | None = None) -> None:
    proven = world.proven(email)
    world.do(lambda c: world.service.privacy.erase(c, proven, version))


def test_erasure_leaves_nothing_in_the_database_and_tombstones_in_the_log(world: World) -> None:
    empty = row_counts(world)
    ada = world.new_user()
    world.log_in()
    world.log_in_program()
    make_key(world, world.caller())
    world.ask_for_reset()
    refusal(lambda: world.proven(ADA, "wrong password"))
    before = row_counts(world)
    assert all(before[table] for table in before)
    erase(world, version=ada.version)
    after = row_counts(world)
    # The addresses from which somebody logged in are counted for an hour, under a hash.
    assert {**after, "attempts": 0} == {**empty, "attempts": 0}
    assert after["attempts"] == 1
    assert world.latest(USER_PROFILE) == {ada.user_id: None}
    assert world.latest(USER_KEY) == {ada.user_id: None}


def test_the_key_goes_last(world: World) -> None:
    world.new_user()
    world.service.step()
    erase(world)
    with world.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT records FROM outbox ORDER BY id").scalars()
        waiting = [record for row in rows for record in msgspec.msgpack.decode(row)]
    assert [(topic, value) for topic, _, value, *_ in waiting] == [("user.profile", None), ("user.key", None)]


def test_what_was_published_cannot_be_read_without_the_key(world: World) -> None:
    world.new_user()
    world.ask_for_reset()
    erase(world)
    assert {(mail.email, mail.name, mail.token) for mail in world.mails()} == {(None, None, None)}
    assert b"Lovelace" not in raw_log_text(world)


def test_nothing_of_somebody_erased_works_any_longer(world: World) -> None:
    ada = world.new_user()
    _, cookie = world.log_in()
    program = world.log_in_program()
    caller = world.caller()
    key = make_key(world, caller)
    world.ask_for_reset()
    erase(world)
    assert refusal(world.proven).status == 401
    assert refusal(lambda: world.do(lambda c: world.service.sessions.by_token(c, cookie))).status == 401
    with pytest.raises(OAuthRefusedError):
        world.refresh(program.refresh_token)
    with pytest.raises(OAuthRefusedError):
        world.do(lambda c: world.service.oauth.by_api_key(c, Credentials(key.key_id, key.secret, False), None))
    for work in (
        lambda c: world.service.accounts.profile(c, caller),
        lambda c: world.service.privacy.export(c, caller),
        lambda c: world.service.sessions.page(c, caller, PageOf(5)),
        lambda c: world.service.api_keys.page(c, caller, PageOf(5)),
        lambda c: world.service.privacy.take_clicks(c, caller, Clicks(clicks=[ClickIn(page="p", element="e")])),
    ):
        problem = refusal(lambda work=work: world.do(work))  # type: ignore[misc]
        assert (problem.status, problem.slug) == (401, "invalid-token")
    assert world.new_user().user_id != ada.user_id


def test_erasure_needs_the_password_and_the_version(world: World) -> None:
    ada = world.new_user()
    assert refusal(lambda: world.service.authenticator.confirm(ada.user_id, "wrong password", HERE)).status == 403
    assert refusal(lambda: erase(world, version=ada.version + 1)).status == 412
    assert world.person() == ada


def test_others_stay(world: World) -> None:
    world.new_user()
    bob = world.new_user(BOB)
    _, cookie = world.log_in(BOB)
    erase(world)
    assert world.person(BOB) == bob
    assert world.do(lambda c: world.service.sessions.by_token(c, cookie)).user_id == bob.user_id
    assert world.do(lambda c: repository.security_events(c, bob.user_id, PageOf(5)))


def test_clicks_are_published_with_their_session(world: World) -> None:
    ada = world.new_user()
    logged_in, _ = world.log_in()
    caller = world.verifier.verify(logged_in.access_token)
    earlier = to_datetime(START_MS - 1_500)
    body = Clicks(
        clicks=[ClickIn(page="/accounts", element="open", occurred_at=earlier), ClickIn(page="/", element="x")]
    )
    assert world.do(lambda c: world.service.privacy.take_clicks(c, caller, body)).status == 202
    clicks = [USER_CLICKED.value.deserialize(record.value or b"") for record in world.records(USER_CLICKED)]
    assert [(c.user_id, c.session_id, c.page, c.occurred_at) for c in clicks] == [
        (ada.user_id, logged_in.session.session_id, "/accounts", earlier),
        (ada.user_id, logged_in.session.session_id, "/", to_datetime(START_MS)),
    ]
    assert len({c.event_id for c in clicks}) == 2


@pytest.mark.parametrize("off_ms", [-CLICK_AGE_MS_MAX - 1, 60_001])
def test_clicks_of_another_time_are_refused_and_none_is_published(world: World, off_ms: int) -> None:
    world.new_user()
    caller = world.caller()
    body = Clicks(
        clicks=[
            ClickIn(page="/", element="x"),
            ClickIn(page="/", element="x", occurred_at=to_datetime(START_MS + off_ms)),
        ]
    )
    problem = refusal(lambda: world.do(lambda c: world.service.privacy.take_clicks(c, caller, body)))
    assert problem.errors[0].pointer == "/clicks/1/occurred_at"
    assert world.records(USER_CLICKED) == []


def test_the_password_is_asked_for_by_the_same_throttle(world: World) -> None:
    world.new_user()
    for _ in range(5):
        refusal(lambda: world.proven(ADA, "wrong password"))
    assert refusal(lambda: world.proven(ADA, PASSWORD)).status == 429
