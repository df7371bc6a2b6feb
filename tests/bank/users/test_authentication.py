"""Passwords asked for: the right one, wrong ones, too many of them, and those that nobody has."""

from dataclasses import replace

import pytest
from argon2 import extract_parameters
from tests.bank.users.support import ADA, BOB, CHEAP, ELSEWHERE, HERE, NEW_PASSWORD, PASSWORD, World, refusal

from streambank.bank.users.authentication import Authenticator
from streambank.bank.users.passwords import Passwords


def test_the_right_password_proves_who_somebody_is(world: World) -> None:
    ada = world.new_user()
    assert world.proven(" ADA@Example.org ").person == ada


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param(ADA, "wrong password", id="wrong password"),
        pytest.param(BOB, PASSWORD, id="unknown address"),
        pytest.param("no address", PASSWORD, id="malformed address"),
        pytest.param("a\x00b@example.org", PASSWORD, id="what no database takes"),
        pytest.param("", PASSWORD, id="nothing"),
    ],
)
def test_every_refusal_is_the_same(world: World, email: str, password: str) -> None:
    world.new_user()
    problem = refusal(lambda: world.proven(email, password))
    assert (problem.status, problem.slug, problem.detail) == (
        401,
        "log-in-refused",
        "no account has that address and that password",
    )


def test_an_unknown_address_is_hashed_for_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.new_user()
    verified: list[str | None] = []
    matches = Passwords.matches

    def watch(self: Passwords, password_hash: str | None, password: str) -> bool:
        verified.append(password_hash)
        return matches(self, password_hash, password)

    monkeypatch.setattr(Passwords, "matches", watch)
    for email in (ADA, BOB, "no address"):
        refusal(lambda email=email: world.proven(email, "wrong password"))  # type: ignore[misc]
    assert verified == [world.person().password_hash, None, None]


@pytest.mark.parametrize("email", [ADA, BOB, "no address"])
def test_after_some_failures_one_has_to_wait_whether_there_is_an_account_or_not(world: World, email: str) -> None:
    world.new_user()
    outcomes = []
    for _ in range(7):
        problem = refusal(lambda: world.proven(email, "wrong password"))
        outcomes.append((problem.status, problem.headers.get("Retry-After")))
        if problem.status == 429:
            world.pass_ms(1_000)
    assert outcomes == [(401, None)] * 5 + [(429, "1"), (401, None)]
    assert refusal(lambda: world.proven(email, "wrong password")).headers["Retry-After"] == "2"


def test_a_wait_holds_for_the_right_password_too_and_success_ends_it(world: World) -> None:
    world.new_user()
    for _ in range(5):
        refusal(lambda: world.proven(ADA, "wrong password"))
    assert refusal(lambda: world.proven(ADA, PASSWORD)).status == 429
    world.pass_ms(1_000)
    assert world.proven(ADA, PASSWORD).failed_attempts == 5
    assert world.proven(ADA, PASSWORD).failed_attempts == 0
    assert refusal(lambda: world.proven(ADA, "wrong password")).status == 401


def test_an_address_that_tries_many_accounts_has_to_wait_and_others_need_not(world: World) -> None:
    world.new_user()
    for number in range(30):
        refusal(lambda number=number: world.proven(f"user{number}@example.org", "wrong password"))  # type: ignore[misc]
    assert refusal(lambda: world.proven(ADA, PASSWORD)).status == 429
    assert world.proven(ADA, PASSWORD, ELSEWHERE).person.email == ADA


def test_many_who_log_in_from_one_address_need_not_wait(world: World) -> None:
    world.new_user()
    for _ in range(100):
        world.proven(ADA, PASSWORD)


def test_an_attempt_that_is_made_to_wait_is_not_counted(world: World) -> None:
    world.new_user()
    for _ in range(5):
        refusal(lambda: world.proven(ADA, "wrong password"))
    for _ in range(50):
        assert refusal(lambda: world.proven(ADA, PASSWORD)).headers["Retry-After"] == "1"
    world.pass_ms(1_000)
    assert world.proven(ADA, PASSWORD).failed_attempts == 5


def test_a_hash_is_made_anew_when_the_parameters_have_changed(world: World) -> None:
    world.new_user()
    old = world.person().password_hash
    world.proven()
    assert world.person().password_hash == old

    dearer = Passwords(replace(CHEAP, time_cost=2), world.random_bytes, at_once_max=1)
    context = replace(world.context, passwords=dearer)
    proven = Authenticator(context).log_in(ADA, PASSWORD, HERE)
    new = world.person()
    assert extract_parameters(new.password_hash).time_cost == 2
    assert (proven.person, new.version) == (new, 2)
    assert world.do(lambda c: Authenticator(context).still(c, proven)) == new
    Authenticator(context).log_in(ADA, PASSWORD, HERE)
    assert world.person().password_hash == new.password_hash
    dearer.close()


def test_somebody_logged_in_confirms_with_the_password(world: World) -> None:
    ada = world.new_user()
    assert world.service.authenticator.confirm(ada.user_id, PASSWORD, HERE).person == ada
    assert refusal(lambda: world.service.authenticator.confirm(ada.user_id, NEW_PASSWORD, HERE)).status == 403
    assert refusal(lambda: world.service.authenticator.confirm("nobody", PASSWORD, HERE)).status == 401


def test_confirming_is_throttled_with_log_ins(world: World) -> None:
    ada = world.new_user()
    for _ in range(5):
        refusal(lambda: world.service.authenticator.confirm(ada.user_id, "wrong password", HERE))
    assert refusal(lambda: world.proven()).status == 429


def test_a_proof_is_worth_nothing_once_the_password_is_another(world: World) -> None:
    world.new_user()
    proven = world.proven()
    world.ask_for_reset()
    world.reset_password(NEW_PASSWORD)
    assert refusal(lambda: world.do(lambda c: world.service.authenticator.still(c, proven))).status == 409
