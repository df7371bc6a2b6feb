"""The commands that look at a log, in each format."""

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Call
from tests.cli.support import streambank

from streambank.bank.events import ALERT_RAISED, EMAIL_SENT, EmailSent
from streambank.cli.reading import values
from streambank.log import TopicConfig, open_log


def rows(table: str) -> list[list[str]]:
    """The cells of a table: they are at least two blanks apart."""
    return [re.split(r" {2,}", line.strip()) for line in table.splitlines()]


def test_topics_as_table(call: Call, bank: Path) -> None:
    found = call("topics", "--data", str(bank))
    assert found.code == 0
    head, *body = rows(found.stdout)
    assert head == ["TOPIC", "PARTITIONS", "RECORDS", "POLICY"]
    by_name = {row[0]: row[1:] for row in body}
    assert by_name["balance.changed"] == ["4", "8", "delete: kept for ever"]
    assert by_name["account"] == ["4", "≤ 2", "compact: the last record of each key stays"]
    assert not any(line.endswith(" ") for line in found.stdout.splitlines())


def test_one_topic_as_json(call: Call, bank: Path) -> None:
    partitions = json.loads(call("topics", "balance.changed", "-o", "json", "--data", str(bank)).stdout)
    assert [partition["partition"] for partition in partitions] == [0, 1, 2, 3]
    assert sum(partition["records_at_most"] for partition in partitions) == 8
    assert {p["first_timestamp"] for p in partitions} - {None} <= {
        "2026-01-02T00:00:00.000Z",
        "2026-03-01T00:00:00.000Z",
    }


def test_balances_as_table(call: Call, bank: Path) -> None:
    head, *body = rows(call("balances", "--data", str(bank)).stdout)
    assert head == ["PERSON", "ACCOUNT", "BALANCE", "ENTRIES", "LAST ENTRY"]
    assert [row[:4] for row in body] == [
        ["Ann Lee", "Everyday", "29.50 EUR", "6"],
        ["Ann Lee", "all accounts", "29.50 EUR", "6"],
        ["Bob Ray", "Reise", "-10,000 JPY", "2"],
        ["Bob Ray", "all accounts", "-10,000 JPY", "2"],
    ]


def test_balances_of_one_person(call: Call, bank: Path) -> None:
    found = json.loads(call("balances", "--user", "BOB@", "-o", "json", "--data", str(bank)).stdout)
    assert [(b["account"], b["balance"], b["balance_minor"]) for b in found["accounts"]] == [
        ("Reise", "-10000", -10000)
    ]
    assert [b["currency"] for b in found["totals"]] == ["JPY"]
    lines = call("balances", "--user", "Ann Lee", "-o", "jsonl", "--data", str(bank)).stdout.splitlines()
    assert [json.loads(line)["scope"] for line in lines] == ["account", "total"]


def test_nobody_of_that_name(call: Call, bank: Path) -> None:
    found = call("balances", "--user", "zoe", "--data", str(bank))
    assert (found.code, found.stdout) == (1, "")
    assert "'zoe'" in found.stderr


def test_alerts_newest_first_and_whether_their_e_mail_went_out(call: Call, bank: Path) -> None:
    log = open_log(bank / "log")
    if not list(values(log, EMAIL_SENT)):
        alert = next(alert for alert in values(log, ALERT_RAISED) if alert.after_minor == 2950)
        sent_at = alert.recorded_at.replace(microsecond=alert.recorded_at.microsecond // 1000 * 1000)
        email = EmailSent(
            user_id=alert.user_id,
            occurred_at=alert.occurred_at,
            recorded_at=sent_at,
            alert_id=alert.alert_id,
            message_id="<a@b>",
            attempt=1,
            sent_at=sent_at,
        )
        producer = log.producer()
        with producer.transaction() as transaction:
            EMAIL_SENT.write(transaction, email.alert_id, email, email.timestamp)
    log.close()
    head, *body = rows(call("alerts", "--data", str(bank)).stdout)
    assert head == ["RAISED", "PERSON", "ABOUT", "BALANCE", "THRESHOLD", "E-MAIL"]
    assert [row[1:5] for row in body] == [
        ["Bob Ray", "Reise", "-10,000 JPY", "below 0 JPY"],
        ["Ann Lee", "Everyday", "29.50 EUR", "below 100.00 EUR"],
        ["Ann Lee", "Everyday", "49.50 EUR", "below 100.00 EUR"],
    ]
    assert [row[5].split(" ")[0] for row in body] == ["not", "sent", "not"]
    limited = call("alerts", "-n", "1", "--data", str(bank))
    assert len(limited.stdout.splitlines()) == 2
    assert limited.stderr == "2 older ones are not shown; -n 0 shows all\n"


def test_thresholds_are_listed(call: Call, bank: Path) -> None:
    found = json.loads(call("alerts", "thresholds", "-o", "json", "--data", str(bank)).stdout)
    assert [(t["user"], t["direction"], t["level"]) for t in found] == [
        ("Ann Lee", "below", "100.00"),
        ("Bob Ray", "below", "0"),
    ]


def test_lag_of_groups_and_of_one(call: Call, bank: Path) -> None:
    groups = json.loads(call("lag", "-o", "json", "--data", str(bank)).stdout)
    assert [(g["group"], g["members"], g["lag"]) for g in groups] == [("alerts", 0, 0), ("balances", 0, 0)]
    table = rows(call("lag", "balances", "--data", str(bank)).stdout)
    assert table[0] == ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"]
    assert table[-1] == ["total", "0"]
    assert sum(int(row[2]) for row in table[1:-1] if row[0] == "balance.changed") == 8


def test_lag_above_the_limit_is_exit_code_1(call: Call, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.create_topics([TopicConfig(name="numbers", partitions=1)])
    producer = log.producer()
    with producer.transaction() as transaction:
        for number in range(5):
            transaction.append("numbers", b"%d" % number, timestamp=number)
    consumer = log.consumer("readers", ["numbers"])
    failed = call("lag", "--fail-above", "4", "--data", str(tmp_path))
    assert failed.code == 1
    assert failed.stderr == "streambank: group readers is 5 records behind, more than 4\n"
    assert call("lag", "readers", "--fail-above", "5", "--data", str(tmp_path)).code == 0
    consumer.close()
    log.close()


@pytest.mark.parametrize("command", [("topics",), ("lag",), ("balances",), ("alerts",), ("tail", "x"), ("mailbox",)])
def test_a_folder_without_data_is_named_with_what_to_do(call: Call, tmp_path: Path, command: tuple[str, ...]) -> None:
    found = call(*command, "--data", str(tmp_path / "nothing"))
    assert (found.code, found.stdout) == (1, "")
    assert str(tmp_path / "nothing") in found.stderr
    assert "streambank" in found.stderr
    assert not (tmp_path / "nothing").exists()


def test_set_replace_add_and_remove_a_threshold(call: Call, tmp_path: Path) -> None:
    statement = tmp_path / "s.csv"
    statement.write_text("Date,Text,Amount\n2026-03-01,Pay,2500.00\n")
    data = ("--data", str(tmp_path))
    options = ("--email", "a@example.org", "--name", "Ann", "--currency", "EUR", "--account", "Main", "--yes")
    assert call("import", str(statement), *options, *data).code == 0

    def levels() -> list[tuple[str, str, str, str]]:
        found = json.loads(call("alerts", "thresholds", "-o", "json", *data).stdout)
        return [(t["scope"], t["direction"], t["level"], t["margin"]) for t in found]

    assert call("alerts", "set", "--account", "main", "--below", "100", "--margin", "20", *data).code == 0
    assert call("alerts", "set", "--account", "main", "--below", "1,200.50", "--above", "5000", *data).code == 0
    assert levels() == [("account", "below", "1200.50", "0.00"), ("account", "above", "5000.00", "0.00")]
    assert call("alerts", "set", "--account", "main", "--below", "-50", "--add", *data).code == 0
    said = call("alerts", "set", "--user", "ann", "--below", "10", *data)
    assert said.stderr == "Ann, all EUR accounts: an alert when the balance is below 10.00 EUR\n"
    assert levels()[2:] == [("account", "below", "-50.00", "0.00"), ("total", "below", "10.00", "0.00")]
    listed = json.loads(call("alerts", "thresholds", "-o", "json", *data).stdout)
    assert call("alerts", "remove", listed[0]["threshold_id"], *data).code == 0
    assert len(levels()) == 3
    assert call("alerts", "remove", "no-such", *data).code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--below", "1"), 2, "--account"),
        (("--account", "Reise"), 2, "--below"),
        (("--account", "Reise", "--below", "ten"), 2, "'ten' is not an amount"),
        (("--account", "Reise", "--below", "1.5"), 1, "more decimals than JPY"),
        (("--account", "Reise", "--below", "1", "--margin", "-1"), 2, "margin"),
        (("--account", "Nothing", "--below", "1"), 1, "there is no account 'Nothing'"),
    ],
)
def test_a_threshold_that_cannot_be_set(
    call: Call, bank: Path, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    found = call("alerts", "set", *arguments, "--data", str(bank))
    assert found.code == code, found.stderr
    assert expected in found.stderr


def test_control_characters_of_a_file_do_not_reach_the_terminal(call: Call, tmp_path: Path) -> None:
    statement = tmp_path / "s.csv"
    statement.write_text("Date,Text,Amount\n2026-03-01,Pay,2500.00\n")
    options = ("--email", "a@example.org", "--name", "A\x1b[31mnn", "--currency", "EUR", "--account", "Main", "--yes")
    assert call("import", str(statement), *options, "--live", "--alert-below", "1", "--data", str(tmp_path)).code == 0
    shown = call("tail", "user.profile", "--data", str(tmp_path)).stdout
    listed = call("alerts", "thresholds", "--data", str(tmp_path)).stdout
    assert "nn" in shown
    assert "nn" in listed
    assert "\x1b" not in shown + listed


def test_the_environment_names_the_folder(bank: Path) -> None:
    assert "Ann Lee" in streambank("balances", data=bank).stdout
