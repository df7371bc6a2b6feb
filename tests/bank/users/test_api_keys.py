"""Making, listing and revoking API keys."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError
from tests.bank.users.support import BOB, HERE, START_MS, World, refusal

from streambank.bank.users import api_keys as api_keys_module
from streambank.bank.users.oauth import Credentials
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import ApiKeyMade, NewApiKey
from streambank.clock import to_datetime
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller

NOW = to_datetime(START_MS)


def make(world: World, caller: Caller, **changes: Any) -> Answer:
    wanted = {"name": "backup", "scope": "transactions:read", "expires_at": NOW + timedelta(days=30), **changes}
    return world.do(lambda c: world.service.api_keys.make(c, caller, NewApiKey(**wanted), HERE))


def test_a_key_is_shown_once(world: World) -> None:
    world.new_user()
    caller = world.caller()
    answer = make(world, caller)
    assert isinstance(answer.body, ApiKeyMade)
    assert (answer.status, answer.location, answer.secret) == (201, f"/v1/api-keys/{answer.body.key_id}", True)
    assert answer.body.secret.startswith("sbk_")
    assert answer.body.secret not in repr(answer.body)
    [listed] = world.do(lambda c: world.service.api_keys.page(c, caller, PageOf(5)))
    assert listed.model_dump() == answer.body.model_dump(exclude={"secret"})


def test_its_scopes_are_among_the_makers(world: World) -> None:
    world.new_user()
    caller = world.caller()
    narrow = Caller(caller.user_id, frozenset({"users:write"}), caller.client_id, "", 0)
    problem = refusal(lambda: make(world, narrow))
    assert (problem.status, problem.errors[0].pointer) == (422, "/scope")
    assert refusal(lambda: make(world, caller, scope="admin")).status == 422


@pytest.mark.parametrize(
    "expires_at",
    [
        NOW,
        NOW - timedelta(days=1),
        NOW + timedelta(days=366, milliseconds=1),
        datetime(9999, 12, 31, tzinfo=NOW.tzinfo),
    ],
)
def test_it_ends_within_a_year(world: World, expires_at: datetime) -> None:
    world.new_user()
    caller = world.caller()
    problem = refusal(lambda: make(world, caller, expires_at=expires_at))
    assert (problem.status, problem.errors[0].pointer) == (422, "/expires_at")
    assert make(world, caller, expires_at=NOW + timedelta(days=366)).status == 201


def test_who_is_not_verified_makes_none(world: World) -> None:
    world.new_user(verified=False)
    caller = world.caller()
    assert refusal(lambda: make(world, caller, scope="users:read")).status == 403


def test_a_key_makes_no_keys(world: World) -> None:
    world.new_user()
    made = make(world, world.caller(), scope="users:write").body
    assert isinstance(made, ApiKeyMade)
    token = world.token(lambda c: world.service.oauth.by_api_key(c, Credentials(made.key_id, made.secret, False), None))
    as_key = world.verifier.verify(token.access_token)
    assert refusal(lambda: make(world, as_key, scope="users:write")).status == 403


def test_a_program_that_somebody_logged_in_with_makes_keys(world: World) -> None:
    world.new_user()
    caller = world.verifier.verify(world.log_in_program().access_token)
    assert make(world, caller).status == 201


def test_there_are_only_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys_module, "API_KEYS_MAX", 2)
    world.new_user()
    caller = world.caller()
    made = make(world, caller)
    make(world, caller)
    assert refusal(lambda: make(world, caller)).status == 409
    assert isinstance(made.body, ApiKeyMade)
    key_id = made.body.key_id
    world.do(lambda c: world.service.api_keys.revoke(c, caller, key_id, HERE))
    assert make(world, caller).status == 201


def test_one_revokes_ones_own_keys_only(world: World) -> None:
    ada = world.new_user()
    world.new_user(BOB)
    caller, bob = world.caller(), world.caller(BOB)
    made = make(world, caller).body
    assert isinstance(made, ApiKeyMade)
    assert world.do(lambda c: world.service.api_keys.page(c, bob, PageOf(5))) == []
    assert refusal(lambda: world.do(lambda c: world.service.api_keys.revoke(c, bob, made.key_id, HERE))).status == 404
    assert world.do(lambda c: world.service.api_keys.revoke(c, caller, made.key_id, HERE)).status == 204
    assert world.do(lambda c: world.service.api_keys.page(c, caller, PageOf(5))) == []
    assert world.history(ada.user_id)[-2:] == ["api-key-made", "api-key-revoked"]


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "a\x00"}, {"scope": ""}, {"scope": "a  b"}, {"expires_at": "2026-01-01T00:00:00"}],
)
def test_what_is_no_key(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewApiKey(**{"name": "a", "scope": "a", "expires_at": NOW, **changes})
    assert msgspec.json.encode(changes)
