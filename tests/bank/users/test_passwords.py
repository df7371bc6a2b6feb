"""Which passwords are good enough; hashing, its parameters, and its bounds."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY
from tests.bank.users.support import CHEAP

from streambank.bank.users.passwords import WAITING_MAX, PasswordError, Passwords, check_password
from streambank.bank.users.settings import SettingsError, UsersSettings
from streambank.service.http.problems import Problem


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP, os.urandom, at_once_max=2)
    yield passwords
    passwords.close()


@pytest.mark.parametrize(
    "password", ["green apples on a hill", "kV9$x2mQ!7pz", "пароль из пяти слов тут", "ada and eleven otters swim"]
)
def test_good_passwords(password: str) -> None:
    check_password(password, email="ada@example.org", name="Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012",
        "qwertyuiopasdf",
        "password1234",
        "ada@example.org",
        "ADA@EXAMPLE.ORG!",
        "Ada Lovelace1",
        "streambank123",
        "x" * 300 + "abcdefgh",
    ],
)
def test_passwords_that_are_guessed_first(password: str) -> None:
    with pytest.raises(PasswordError) as refused:
        check_password(password, email="ada@example.org", name="Ada Lovelace")
    assert password not in str(refused.value)


def test_a_hash_fits_its_password_only(passwords: Passwords) -> None:
    hashed = passwords.hash("green apples")
    assert passwords.matches(hashed, "green apples")
    assert not passwords.matches(hashed, "Green apples")
    assert hashed != passwords.hash("green apples")
    assert "green" not in hashed


def test_a_password_is_the_same_however_it_is_composed(passwords: Passwords) -> None:
    assert passwords.matches(passwords.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_nobody_has_a_password(passwords: Passwords) -> None:
    assert not passwords.matches(None, "green apples")
    assert not passwords.matches("no hash at all", "green apples")


def test_nobodys_hash_is_computed_against_like_any_other(passwords: Passwords) -> None:
    assert extract_parameters(passwords._nobody) == extract_parameters(passwords.hash("green apples")) == CHEAP
    with pytest.raises(VerifyMismatchError):
        PasswordHasher.from_parameters(CHEAP).verify(passwords._nobody, "green apples")


def test_the_default_is_the_second_recommendation_of_rfc_9106() -> None:
    passwords = Passwords(UsersSettings().password_parameters, os.urandom, at_once_max=1)
    parameters = extract_parameters(passwords.hash("green apples"))
    passwords.close()
    assert parameters == RFC_9106_LOW_MEMORY
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (64 * 1024, 3, 4)


def test_hashes_of_other_parameters_are_outdated(passwords: Passwords) -> None:
    hashed = passwords.hash("green apples")
    assert not passwords.is_outdated(hashed)
    dearer = Passwords(UsersSettings().password_parameters, os.urandom, at_once_max=1)
    assert dearer.is_outdated(hashed)
    assert dearer.matches(hashed, "green apples")
    dearer.close()


def test_only_so_many_hash_at_once_and_only_so_many_wait(passwords: Passwords) -> None:
    running, most, lock, go_on = 0, 0, threading.Lock(), threading.Event()

    def work() -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(10)
        with lock:
            running -= 1
        return True

    async def crowd() -> list[bool | BaseException]:
        tasks = [asyncio.ensure_future(passwords.run(work)) for _ in range(WAITING_MAX + 4)]
        await asyncio.sleep(0)
        while not any(task.done() for task in tasks):
            await asyncio.sleep(0.001)
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(crowd())
    refused = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    assert [problem.status for problem in refused] == [503, 503]
    assert outcomes.count(True) == WAITING_MAX + 2
    assert most == 2
    assert asyncio.run(passwords.run(lambda: 5)) == 5


def test_a_failure_makes_room_again(passwords: Passwords) -> None:
    def fail() -> None:
        raise Problem(401, "no", "no")

    for _ in range(WAITING_MAX + 10):
        with pytest.raises(Problem, match="no"):
            asyncio.run(passwords.run(fail))


@pytest.mark.parametrize("count", [0, 65])
def test_a_bound_that_cannot_work_is_refused(count: int) -> None:
    with pytest.raises(SettingsError, match="hashes_at_once_max"):
        UsersSettings(hashes_at_once_max=count)
