"""Signing up, logging in and out, and what is kept of it."""

import io
import json
import stat
import threading
from pathlib import Path

import pytest
from tests.bank.client.bank import PASSWORD
from tests.cli.conftest import Person
from tests.cli.support import streambank

from streambank.bank.client import Client
from streambank.cli.credentials import CredentialsFile, Login, StoredCredentials
from streambank.cli.errors import CommandError

LINE = f"{PASSWORD}\n"


def kept(person: Person) -> str:
    return (person.data / "credentials.json").read_text()


def test_from_nobody_to_somebody(stranger: Person) -> None:
    person = stranger
    said = person("signup", person.email, "--name", "Ann Lee", "--password-stdin", text=LINE)
    assert (said.code, said.stdout) == (0, "")
    assert "streambank verify CODE" in said.stderr
    said = person("login", person.email, "--password-stdin", text=LINE)
    assert said.code == 0
    assert "not verified yet" in said.stderr
    refused = person("account", "ls")
    assert refused.code == 1
    assert "streambank verify CODE" in refused.stderr
    person.done("verify", f"http://127.0.0.1/verify?token={person.bank.mailed_token(person.email)}")
    assert person.done("account", "ls").split() == ["ACCOUNT", "KIND", "BALANCE", "AVAILABLE", "YOU", "ARE", "ID"]
    assert json.loads(person.done("whoami", "-o", "json"))["email_verified"] is True
    assert "Ann Lee" in person.done("whoami")


def test_what_is_kept_is_a_token_for_its_owner_only(ann: Person) -> None:
    path = ann.data / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in kept(ann)
    logins = json.loads(kept(ann))
    assert list(logins) == [ann.bank.url]
    assert logins[ann.bank.url]["email"] == ann.email
    assert logins[ann.bank.url]["token"].startswith("sbr_")
    path.chmod(0o644)
    refused = ann("whoami")
    assert refused.code == 1
    assert "chmod 600" in refused.stderr


def test_each_command_trades_the_token_for_the_next(ann: Person) -> None:
    before = kept(ann)
    ann.done("whoami")
    assert kept(ann) != before


def test_commands_at_once_do_not_use_a_token_twice(ann: Person) -> None:
    failures: list[BaseException] = []

    def look() -> None:
        try:
            credentials = StoredCredentials(CredentialsFile(ann.data / "credentials.json"), ann.bank.url)
            with Client(ann.bank.url, credentials) as client:
                client.users.profile()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    ann.done("whoami")


def test_a_wrong_password_changes_nothing(ann: Person) -> None:
    before = kept(ann)
    refused = ann("login", "--password-stdin", text="wrong password\n")
    assert refused.code == 1
    assert "password" in refused.stderr
    assert kept(ann) == before


def test_a_new_log_in_ends_the_one_before(ann: Person) -> None:
    before = json.loads(kept(ann))[ann.bank.url]["token"]
    ann.done("login", "--password-stdin", text=LINE)
    file = CredentialsFile(ann.data / "credentials.json")
    now = file.find(ann.bank.url)
    file.put(ann.bank.url, Login(before, ann.email))
    assert "Log in with `streambank login`" in ann("whoami").stderr
    assert now is not None
    file.put(ann.bank.url, now)
    ann.done("whoami")


def test_logging_out_takes_the_token_back(ann: Person) -> None:
    login = CredentialsFile(ann.data / "credentials.json").find(ann.bank.url)
    ann.done("logout")
    refused = ann("whoami")
    assert refused.code == 1
    assert f"nobody is logged in at {ann.bank.url}. Log in with `streambank login`" in refused.stderr
    assert login is not None
    CredentialsFile(ann.data / "credentials.json").put(ann.bank.url, login)
    assert ann("whoami").code == 1
    assert ann("logout").code == 0
    assert ann("logout").code == 0


def test_an_api_key_is_made_used_and_revoked(ann: Person, tmp_path: Path) -> None:
    made = json.loads(ann.done("api-key", "new", "script", "-o", "json"))
    other = Person(ann.email, tmp_path / "other", ann.bank, ann.call, ann.monkeypatch)
    other.done("login", "--api-key-id", made["key_id"], text=f"{made['secret']}\n")
    assert "Everyday" in other.done("account", "ls")
    refused = other("account", "open", "More", "--currency", "EUR")
    assert refused.code == 1
    assert "transactions:write" in refused.stderr
    assert made["key_id"] in ann.done("api-key", "ls")
    assert made["secret"] not in ann.done("api-key", "ls", "-o", "json")
    ann.done("api-key", "rm", made["key_id"])
    assert other("account", "ls").code == 1


@pytest.mark.parametrize(
    ("arguments", "text", "expected"),
    [
        (("signup", "nobody", "--password-stdin"), LINE, "e-mail address is malformed"),
        (("signup", "a@example.org", "--password-stdin"), "\n", "nothing was given"),
        (("signup", "a@example.org", "--timezone", "Mars", "--password-stdin"), LINE, "no time zone"),
        (("signup", "a@example.org"), "", "--password-stdin"),
        (("login",), "", "streambank login EMAIL"),
    ],
)
def test_wrong_usage(stranger: Person, arguments: tuple[str, ...], text: str, expected: str) -> None:
    found = stranger(*arguments, text=text)
    assert (found.code, found.stdout) == (2, "")
    assert expected in found.stderr
    assert PASSWORD not in found.stderr


def test_a_weak_password_is_refused_by_the_bank(stranger: Person) -> None:
    found = stranger("signup", stranger.email, "--password-stdin", text="short\n")
    assert found.code == 1
    assert "password" in found.stderr


def test_a_bank_that_is_not_there(stranger: Person) -> None:
    monkeypatch = stranger.monkeypatch
    monkeypatch.setattr("sys.stdin", io.StringIO(LINE))
    signup = ("signup", "a@b.example", "--password-stdin", "--data", str(stranger.data), "--server")
    found = stranger.call(*signup, "http://127.0.0.1:9")
    assert found.code == 1
    assert "no streambank answers at http://127.0.0.1:9. Start it with `streambank up`" in found.stderr
    monkeypatch.setattr("sys.stdin", io.StringIO(LINE))
    found = stranger.call(*signup, "nowhere")
    assert found.code == 1
    assert "must look like http://" in found.stderr


def test_the_server_may_come_from_the_environment(ann: Person) -> None:
    done = streambank("whoami", data=ann.data, env={"STREAMBANK_SERVER": f"{ann.bank.url}/"})
    assert done.returncode == 0, done.stderr
    assert ann.email in done.stdout


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.touch(0o600)
    path.write_text("?")
    with pytest.raises(CommandError, match="delete it, and log in again"):
        CredentialsFile(path).find("http://localhost")


def test_a_log_in_tells_no_secret() -> None:
    assert "sbr_" not in repr(Login("sbr_secret", "a@example.org"))
