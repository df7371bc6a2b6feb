"""What is sealed in the log: opened where a person reads it, and (erased) once there is no key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.cli.conftest import Call
from tests.cli.test_listings import rows
from tests.cli.test_screen import alert, balance, picture

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    ALERT_RAISED,
    TOPICS,
    USER_KEY,
    USER_PROFILE,
    Account,
    AccountThresholds,
    Currency,
    Scope,
    UserKey,
    UserProfile,
)
from streambank.bank.events.personal import seal
from streambank.cli.activity import Activity
from streambank.cli.personal import ERASED, UNREADABLE, Keys
from streambank.cli.screen import Screen
from streambank.cli.watcher import Watcher
from streambank.log import EventLog, Transaction, open_log

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = {f"u{number}": bytes([number]) * 64 for number in range(4)}
NAMES = {"u0": "Ada Lovelace", "u1": "Bob Ray", "u2": "Cyd Moe", "u3": "Dan Poe"}
"""u0 is sealed, u1 is not, u2 is sealed and erased, u3's address is not verified."""


@contextmanager
def writing(log: EventLog) -> Iterator[Transaction]:
    producer = log.producer()
    with producer.transaction() as transaction:
        yield transaction
    producer.close()


def sealed(user: str, text: str) -> str:
    return text if user == "u1" else seal(KEYS[user], user, text)


def write_person(transaction: Transaction, user: str) -> None:
    number = int(user[1:])
    common: dict[str, Any] = {"user_id": user, "occurred_at": NOON, "recorded_at": NOON, "event_id": "e"}
    if user != "u1":
        USER_KEY.write(transaction, user, UserKey(**common, key=KEYS[user]), 0)
    profile = UserProfile(
        **common,
        email=sealed(user, f"{NAMES[user][:3].lower()}@example.org"),
        name=sealed(user, NAMES[user]),
        email_verified=user != "u3",
    )
    USER_PROFILE.write(transaction, user, profile, 0)
    name = sealed(user, f"Purse of {NAMES[user][:3]}")
    account = Account(**common, account_id=f"a{number}", name=name, currency=Currency("EUR"))
    ACCOUNT.write(transaction, f"a{number}", account, 0)


def write_facts(transaction: Transaction, user: str) -> None:
    number = int(user[1:])
    changed = balance(number)
    entry = replace(changed.entry, counterparty=sealed(user, "Café 東京"))
    ACCOUNT_BALANCE.write(transaction, changed.scope_id, replace(changed, entry=entry), number)
    raised = replace(alert(number), account_name=sealed(user, f"Purse of {NAMES[user][:3]}"), entry=entry)
    ALERT_RAISED.write(transaction, user, raised, number)
    thresholds = AccountThresholds(
        user_id=user, occurred_at=NOON, recorded_at=NOON, event_id="t", scope=Scope.ACCOUNT, scope_id=f"a{number}",
        currency=Currency("EUR"), thresholds=(raised.threshold,),
    )  # fmt: skip
    ACCOUNT_THRESHOLDS.write(transaction, f"a{number}", thresholds, 0)


def erase(transaction: Transaction, user: str) -> None:
    USER_PROFILE.write(transaction, user, None, 1)
    USER_KEY.write(transaction, user, None, 1)
    ACCOUNT.write(transaction, f"a{user[1:]}", None, 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people with an account, a balance and an alert each. Tests only read it."""
    folder = tmp_path_factory.mktemp("sealed")
    log = open_log(folder / "log")
    log.create_topics(topic.config for topic in TOPICS)
    with writing(log) as transaction:
        for user in KEYS:
            write_person(transaction, user)
            write_facts(transaction, user)
        erase(transaction, "u2")
    log.close()
    return folder


def test_balances(call: Call, data: Path) -> None:
    _, *body = rows(call("balances", "--data", str(data)).stdout)
    assert [row[:2] for row in body] == [
        [ERASED, ERASED],
        ["Ada Lovelace", "Purse of Ada"],
        ["Bob Ray", "Purse of Bob"],
        ["Dan Poe", "Purse of Dan"],
    ]
    found = json.loads(call("balances", "-o", "json", "--data", str(data)).stdout)["accounts"]
    assert {(item["user_id"], item["user"], item["account"]) for item in found} == {
        ("u0", "Ada Lovelace", "Purse of Ada"),
        ("u1", "Bob Ray", "Purse of Bob"),
        ("u2", ERASED, ERASED),
        ("u3", "Dan Poe", "Purse of Dan"),
    }


@pytest.mark.parametrize(
    ("text", "users"),
    [("ada", ["u0"]), ("ADA@EXAMPLE", ["u0"]), ("bob", ["u1"]), ("example.org", ["u0", "u1", "u3"]), ("u2", ["u2"])],
)
def test_people_are_found_by_what_is_sealed(call: Call, data: Path, text: str, users: list[str]) -> None:
    found = json.loads(call("balances", "--user", text, "-o", "json", "--data", str(data)).stdout)["accounts"]
    assert sorted(item["user_id"] for item in found) == users


def test_who_was_erased_is_not_found_by_name(call: Call, data: Path) -> None:
    assert call("balances", "--user", "cyd", "--data", str(data)).code == 1


def test_alerts_and_why_there_is_no_e_mail(call: Call, data: Path) -> None:
    _, *body = rows(call("alerts", "--data", str(data)).stdout)
    assert sorted((row[1], row[2], row[5]) for row in body) == [
        (ERASED, ERASED, "nobody to send it to: erased"),
        ("Ada Lovelace", "Purse of Ada", "not sent yet"),
        ("Bob Ray", "Purse of Bob", "not sent yet"),
        ("Dan Poe", "Purse of Dan", "not sent: the address is not verified"),
    ]


def test_thresholds(call: Call, data: Path) -> None:
    _, *body = rows(call("alerts", "thresholds", "--data", str(data)).stdout)
    assert sorted(row[:2] for row in body) == [
        [ERASED, ERASED],
        ["Ada Lovelace", "Purse of Ada"],
        ["Bob Ray", "Purse of Bob"],
        ["Dan Poe", "Purse of Dan"],
    ]


def test_a_threshold_is_set_on_an_account_by_its_sealed_name(call: Call, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.create_topics(topic.config for topic in TOPICS)
    with writing(log) as transaction:
        write_person(transaction, "u0")
    log.close()
    done = call("alerts", "set", "--account", "purse of ada", "--below", "5", "--data", str(tmp_path))
    assert done.stderr == "Ada Lovelace, Purse of Ada: an alert when the balance is below 5.00 EUR\n"


def test_tail_shows_records_as_they_are(call: Call, data: Path) -> None:
    lines = call("tail", "account.balance", "-o", "jsonl", "--data", str(data)).stdout.splitlines()
    counterparties = {item["key"]: item["value"]["entry"]["counterparty"] for item in map(json.loads, lines)}
    assert counterparties == {f"a{user[1:]}": sealed(user, "Café 東京") for user in KEYS}


@pytest.mark.parametrize("topic", ["account.balance", "alert.raised"])
def test_tail_unseals_when_asked_to(call: Call, data: Path, topic: str) -> None:
    shown = call("tail", topic, "--unseal", "-o", "jsonl", "--data", str(data)).stdout
    found = {item["value"]["user_id"]: item["value"] for item in map(json.loads, shown.splitlines())}
    assert {user: value["entry"]["counterparty"] for user, value in found.items()} == {
        **dict.fromkeys(["u0", "u1", "u3"], "Café 東京"),
        "u2": ERASED,
    }
    if topic == "alert.raised":
        assert found["u0"]["account_name"] == "Purse of Ada"
    table = call("tail", topic, "--unseal", "--data", str(data)).stdout
    assert table.count("Café 東京") == 3
    assert "sealed:" not in table


def test_what_is_sealed_with_another_key_is_unreadable() -> None:
    keys = Keys(KEYS)
    assert keys.unsealed("u0", seal(KEYS["u1"], "u0", "Ada")) == UNREADABLE
    assert keys.unsealed("u0", "sealed:1:!") == UNREADABLE
    assert keys.unsealed("nobody", seal(KEYS["u1"], "nobody", "Ada")) == ERASED
    assert keys.unsealed_in(["sealed:1:!", 5, None, {"user_id": 7, "name": "sealed:1:!"}]) == [
        *("sealed:1:!", 5, None),
        {"user_id": 7, "name": "sealed:1:!"},
    ]


def test_the_screen_follows_keys_and_erasures(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.create_topics(topic.config for topic in TOPICS)
    with writing(log) as transaction:
        write_person(transaction, "u0")
    activity = Activity(lambda: 0.0)
    watcher = Watcher(log, activity)
    with writing(log) as transaction:
        write_person(transaction, "u2")
        for user in ("u0", "u2"):
            write_facts(transaction, user)
    watcher.step()
    shown = screen_text(activity)
    for wanted in ("Ada Lovelace", "Purse of Ada", "Cyd Moe", "Purse of Cyd", "Café"):
        assert wanted in shown
    with writing(log) as transaction:
        erase(transaction, "u2")
    watcher.step()
    shown = screen_text(activity)
    assert "Ada Lovelace" in shown
    assert "Cyd" not in shown
    assert ERASED in shown
    assert "sealed:" not in shown
    log.close()


def screen_text(activity: Activity) -> str:
    return "\n".join(picture(Screen(activity, title="t"), 140, 30))
