"""Input that cannot be right: each is answered with a problem that names the field or the line, and changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.support import NDJSON, World, ndjson, told
from tests.bank.transactions.support import line

from streambank.bank.imports import ImportFileError, open_statement
from streambank.bank.imports.entries import ImportedUser

JSON = {"Content-Type": "application/json"}
SAMPLES = Path(__file__).parents[1] / "bank" / "imports" / "samples"
LINES = 10_000


def amount(minor: Any, currency: str = "EUR") -> dict[str, Any]:
    return {"amount": {"amount_minor": minor, "currency": currency}}


FIELDS: list[tuple[dict[str, Any], str]] = [
    (amount(0), "/amount/amount_minor"),
    (amount(-1), "/amount/amount_minor"),
    (amount(2**63), "/amount/amount_minor"),
    (amount(10**400), "/amount/amount_minor"),
    (amount(1.234, "JPY"), "/amount/amount_minor"),
    (amount(1.0, "JPY"), "/amount/amount_minor"),
    (amount("1"), "/amount/amount_minor"),
    (amount(True), "/amount/amount_minor"),
    (amount(None), "/amount/amount_minor"),
    (amount(1, "ZZZ"), "/amount/currency"),
    (amount(1, "eur"), "/amount/currency"),
    (amount(1, "USD"), "/amount/currency"),
    ({"booking_date": "0000-01-01"}, "/booking_date"),
    ({"booking_date": "0001-01-01"}, "/booking_date"),
    ({"booking_date": "10000-01-01"}, "/booking_date"),
    ({"booking_date": "9999-12-31"}, "/booking_date"),
    ({"booking_date": "2026-02-30"}, "/booking_date"),
    ({"booking_date": 0}, "/booking_date"),
    ({"booking_date": "0"}, "/booking_date"),
    ({"value_date": "10000-01-01"}, "/value_date"),
    ({"occurred_at": 0}, "/occurred_at"),
    ({"occurred_at": "2026-11-24T10:00:00"}, "/occurred_at"),
    ({"counterparty": "a\0b"}, "/counterparty"),
    ({"notes": "\0"}, "/notes"),
    ({"tags": ["a\0b"]}, "/tags/0"),
    ({"tags": ["a\x1c"]}, "/tags/0"),
    ({"tags": ["\x85a"]}, "/tags/0"),
    ({"category_id": "a\0b"}, "/category_id"),
    ({"external_id": "a\0"}, "/external_id"),
    ({"unheard_of": 1}, "/unheard_of"),
    ({"amount": {"amount_minor": 1}}, "/amount/currency"),
    ({"amount": {**amount(1)["amount"], "more": 1}}, "/amount/more"),
]

OTHERS: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/v1/accounts", {"name": "a\0b", "currency": "EUR"}, "/name"),
    ("POST", "/v1/accounts", {"name": "a", "currency": "ZZZ"}, "/currency"),
    (
        "POST",
        "/v1/accounts",
        {"name": "a", "currency": "EUR", "overdraft_limit_minor": 2**63},
        "/overdraft_limit_minor",
    ),
    ("POST", "/v1/categories", {"name": "\0"}, "/name"),
    ("POST", "/v1/thresholds", {"direction": "below", "level_minor": 1, "currency": "ZZZ"}, "/currency"),
    ("POST", "/v1/thresholds", {"direction": "below", "level_minor": 2**63, "currency": "EUR"}, "/level_minor"),
    ("POST", "/v1/thresholds:what-if", {"direction": "below", "level_minor": 1}, "/currency"),
    ("POST", "/v1/budgets", {"name": "a\0b", "currency": "EUR", "target_minor": 1}, "/name"),
    ("POST", "/v1/budgets", {"name": "a", "currency": "EUR", "target_minor": 1, "marks": [2, 1]}, "/marks/1"),
    ("POST", "/v1/rules", {"name": "a", "tags": ["\0"], "credit_debit": "CRDT"}, "/tags/0"),
    ("POST", "/v1/users", {"email": "x@example.org", "password": "p" * 20, "name": "a\0b"}, "/name"),
    ("POST", "/v1/users", {"email": "x\0@example.org", "password": "p" * 20, "name": "a"}, "/email"),
    ("POST", "/v1/clicks", {"clicks": [{"page": "a\0", "element": "b"}]}, "/clicks/0/page"),
    ("POST", "/v1/clicks", {"clicks": [{"page": "a", "element": "b", "occurred_at": 1}]}, "/clicks/0/occurred_at"),
    ("POST", "/v1/api-keys", {"name": "\0", "scope": "users:read", "expires_at": "2026-12-01T00:00:00Z"}, "/name"),
    ("POST", "/v1/api-keys", {"name": "a", "scope": "users:read", "expires_at": "9999-12-31T23:59:59Z"}, "/expires_at"),
]

BODIES = {
    "invalid UTF-8": b'{"name": "\xff\xfe", "currency": "EUR"}',
    "half a character": b'{"name": "\\ud800", "currency": "EUR"}',
    "cut off": b'{"name": "a"',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"name":' * 100_000,
    "deep but whole": b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a huge number": b'{"name": "a", "currency": "EUR", "overdraft_limit_minor": ' + b"9" * 100_000 + b"}",
    "not a number": b'{"name": "a", "currency": "EUR", "overdraft_limit_minor": NaN}',
    "a key twice, once broken": b'{"name": "a", "name": 1, "currency": "EUR"}',
    "10 MB": b'{"name": "' + b"a" * 10_000_000 + b'"}',
    "nothing": b"",
}


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    members: dict[str, Any] = answer.json()
    assert 400 <= answer.status_code < 500, members
    return members


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in problem(answer)["errors"]]


def test_a_field_is_named(still_world: World) -> None:
    before = still_world.api.rows()
    account = still_world.ids["account_id"]
    for change, pointer in FIELDS:
        answer = still_world.ada.ask("POST", "/v1/transactions", json={**told(account, 5), **change})
        assert (answer.status_code, pointers(answer)) == (422, [pointer]), change
    for method, path, body, pointer in OTHERS:
        answer = still_world.ada.ask(method, path, json=body)
        assert (answer.status_code, pointers(answer)) == (422, [pointer]), (path, body)
    assert still_world.api.rows() == before


def test_a_field_of_a_line_is_named(still_world: World) -> None:
    before = still_world.api.rows()
    account = still_world.ids["account_id"]
    for change, pointer in FIELDS:
        bad = {**line(account, 5, "bad"), **change}
        answer = still_world.ada.ask("POST", "/v1/transactions:batch", content=ndjson([bad]), headers=NDJSON)
        told_of = json.loads(answer.content)["problem"]
        assert [error["pointer"] for error in told_of.get("errors", [])] == [pointer], change
        answer = still_world.ada.ask("POST", f"/v1/accounts/{account}/imports", content=ndjson([bad]), headers=NDJSON)
        assert pointers(answer) == [f"/0{pointer}"], change
    assert still_world.api.rows() == before


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_cannot_be_read(still_world: World, body: bytes) -> None:
    before = still_world.api.rows()
    account = still_world.ids["account_id"]
    assert problem(still_world.ada.ask("POST", "/v1/accounts", content=body, headers=JSON))["detail"]
    assert problem(still_world.ada.ask("POST", f"/v1/accounts/{account}/imports", content=body, headers=NDJSON))
    answer = still_world.ada.ask("POST", "/v1/transactions:batch", content=body, headers=NDJSON)
    if answer.status_code == 200:
        assert json.loads(answer.content)["problem"]["status"] in (400, 422)
    else:
        problem(answer)
    assert still_world.api.rows() == before


def test_a_body_of_unknown_length_is_cut_off(still_world: World) -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(10_000):
            yield b"a" * 1_000

    before = still_world.api.rows()
    answer = still_world.ada.ask("POST", "/v1/accounts", content=endless(), headers=JSON)
    assert (answer.status_code, problem(answer)["type"]) == (413, "/problems/body-too-large")
    assert still_world.api.rows() == before


def test_paths_and_queries(still_world: World) -> None:
    before = still_world.api.rows()
    for path in (
        "/v1/transactions/a%00b",
        "/v1/transactions/%ff%fe",
        "/v1/accounts/..%2f..",
        f"/v1/accounts/{'a' * 65}",
        "/v1/transactions?q=%00",
        "/v1/transactions?q=%ff",
        "/v1/transactions?tag=a%00",
        "/v1/transactions?limit=0",
        "/v1/transactions?limit=201",
        "/v1/transactions?from=0",
        "/v1/transactions?from=0000-01-01",
        "/v1/transactions?amount_min_minor=9223372036854775808",
        "/v1/transactions?cursor=x",
        "/v1/sessions?cursor=AA",
        "/v1/accounts?min_position=x",
    ):
        answer = still_world.ada.ask("GET", path)
        if answer.status_code != 200:
            problem(answer)
        # A byte that is no UTF-8 is a character that nothing has.
        assert answer.status_code != 200 or (path.endswith("q=%ff") and answer.json()["items"] == []), path
    assert still_world.api.rows() == before


def test_a_closed_account_takes_nothing(any_world: World) -> None:
    ask = any_world.ada.ask
    closed = ask.done("POST", "/v1/accounts", json={"name": "Closed", "currency": "EUR"})["id"]
    ask.done("DELETE", f"/v1/accounts/{closed}", headers={"If-Match": '"v1"'})
    before = any_world.api.rows()
    answer = ask("POST", "/v1/transactions", json=told(closed, 5))
    assert (answer.status_code, problem(answer)["type"]) == (409, "/problems/account-closed")
    answer = ask("POST", f"/v1/accounts/{closed}/imports", content=ndjson([line("", 5, "1")]), headers=NDJSON)
    assert (answer.status_code, problem(answer)["type"]) == (409, "/problems/account-closed")
    batched = ask("POST", "/v1/transactions:batch", content=ndjson([line(closed, 5, "1")]), headers=NDJSON)
    assert json.loads(batched.content)["problem"]["type"] == "/problems/account-closed"
    assert any_world.api.rows() == before


def test_an_import_with_one_broken_line_in_ten_thousand(any_world: World) -> None:
    account = any_world.ids["account_id"]
    lines = [json.dumps(line("", n, f"big-{n}")).encode() for n in range(1, LINES + 1)]
    lines[6_788] = lines[6_788].replace(b'"EUR"', b'"EURO"')
    before = any_world.api.rows()
    answer = any_world.ada.ask("POST", f"/v1/accounts/{account}/imports", content=ndjson(lines), headers=NDJSON)
    assert (answer.status_code, pointers(answer)) == (422, ["/6788/amount/currency"])
    assert "the first is number 6789" in problem(answer)["detail"]
    assert any_world.api.rows() == before


def test_a_batch_with_one_broken_line_does_the_others(any_world: World) -> None:
    account = any_world.ids["account_id"]
    lines: list[Any] = [line(account, n, f"batch-{n}") for n in range(1, 1_000)]
    lines.insert(567, b'{"amount": \xff')
    answer = any_world.ada.ask("POST", "/v1/transactions:batch", content=ndjson(lines), headers=NDJSON)
    answers = [json.loads(one) for one in answer.content.splitlines()]
    assert [a["line"] for a in answers if a["status"] == "problem"] == [568]
    assert sum(a["status"] == "created" for a in answers) == 999
    assert any_world.api.faults() == []


def test_a_statement_of_another_account(still_world: World) -> None:
    account, other = still_world.ids["account_id"], still_world.private_account_id
    before = still_world.api.rows()
    lines = [line("", 1, "mine"), line(other, 2, "other")]
    answer = still_world.ada.ask("POST", f"/v1/accounts/{account}/imports", content=ndjson(lines), headers=NDJSON)
    assert (answer.status_code, pointers(answer)) == (422, ["/1/account_id"])
    import_id = still_world.ids["import_id"]
    answer = still_world.ada.ask(
        "POST",
        f"/v1/accounts/{other}/imports",
        params={"import_id": import_id},
        content=ndjson([line("", 1, "x")]),
        headers=NDJSON,
    )
    assert (answer.status_code, problem(answer)["type"]) == (409, "/problems/import-id-taken")
    assert still_world.api.rows() == before


def bomb() -> str:
    """A billion characters in ten entities (the "billion laughs")."""
    entities = ['<!ENTITY e0 "lol">', *(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))]
    return f"<!DOCTYPE x [{''.join(entities)}]>"


ATTACKS = {
    "a file": '<!DOCTYPE x [<!ENTITY e9 SYSTEM "file://{secret}">]>',
    "a server": '<!DOCTYPE x [<!ENTITY e9 SYSTEM "http://127.0.0.1:1/">]>',
    "an outer document type": '<!DOCTYPE x SYSTEM "file://{secret}">',
    "a parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file://{secret}"> %p;]>',
    "a bomb": bomb(),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize(("sample", "root", "text"), [("v08.xml", "<ns2:Document", "CHF"), ("xml.ofx", "<OFX>", "JPY")])
def test_entities_in_xml_are_refused(tmp_path: Path, sample: str, root: str, text: str, attack: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret of the machine")
    told_text = (SAMPLES / sample).read_text()
    assert told_text.count(root) == 1
    told_text = told_text.replace(f">{text}<", ">&e9;<", 1)
    assert "&e9;" in told_text
    file = tmp_path / sample
    file.write_text(told_text.replace(root, attack.replace("{secret}", str(secret)) + root))
    owner = ImportedUser(user_id="ada", email="ada@example.org", name="Ada")
    with pytest.raises(ImportFileError) as refused:
        open_statement(file, owner)
    assert sample in str(refused.value)
    assert "line " in str(refused.value)
    assert "secret of" not in str(refused.value)
