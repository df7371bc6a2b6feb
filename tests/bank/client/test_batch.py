"""Lines into requests, and answers into results."""

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.bank.client.support import ACCOUNT, FakeServer, problem

from streambank.bank.client import AnswerError, ApiError
from streambank.bank.client.batch import CHUNK_BYTES_MAX, CHUNK_LINES, IMPORT_LINES, line_of, requests
from streambank.bank.events import CreditDebit
from streambank.bank.transactions.schemas import Money, NewTransaction

ENTRY = NewTransaction(
    account_id="a-1", credit_debit=CreditDebit.DEBIT, amount=Money(amount_minor=450, currency="EUR"), external_id="x-1"
)
IMPORT = {
    "id": "i-1",
    "account_id": "a-1",
    "created_at": "2026-01-01T00:00:00Z",
    "undone_at": None,
    "booked": 1,
    "duplicates": 0,
    "differing": 0,
    "reversed": 0,
    "kept": 0,
    "version": 1,
}


def results(request: httpx.Request) -> httpx.Response:
    """As the service answers: each line with its number within the request."""
    lines = [
        json.dumps({"line": n, "status": "created", "id": json.loads(line)["id"]})
        for n, line in enumerate(request.content.splitlines(), start=1)
    ]
    return httpx.Response(200, text="\n".join(lines) + "\n")


def test_lines_go_out_by_the_thousands_as_results_are_taken() -> None:
    server = FakeServer(answers=[results, results, results])
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        for n in range(2 * CHUNK_LINES + 1):
            taken += 1
            yield b'{"id":"e-%d"}' % n

    with server.client() as client:
        found = client.transactions.record_all(lines())
        first = next(found)
        assert (first.line, first.id, taken) == (1, "e-0", CHUNK_LINES + 1)
        rest = list(found)
    assert [len(request.content.splitlines()) for request in server.requests] == [CHUNK_LINES, CHUNK_LINES, 1]
    assert [(r.line, r.id) for r in rest] == [(n + 1, f"e-{n}") for n in range(1, 2 * CHUNK_LINES + 1)]


def test_a_request_has_no_more_bytes_than_a_server_takes() -> None:
    line = b"x" * (CHUNK_BYTES_MAX // 2)
    assert [count for _, count in requests([line, b"y", line, line])] == [2, 1, 1]


def test_a_line_stays_one_line() -> None:
    assert line_of(b'{\n"a":\r\n1}') == b'{ "a":  1}\n'
    assert json.loads(line_of(ENTRY)) == {
        "account_id": "a-1",
        "credit_debit": "DBIT",
        "amount": {"amount_minor": 450, "currency": "EUR"},
        "external_id": "x-1",
    }


def test_a_refused_line_says_why() -> None:
    told = {"type": "/problems/invalid-field", "status": 422, "detail": "no such currency", "errors": []}
    answer = {"line": 1, "status": "problem", "problem": told}
    server = FakeServer(answers=[httpx.Response(200, text=json.dumps(answer))])
    with server.client() as client:
        [result] = client.transactions.record_all([ENTRY])
    assert (result.status, result.id) == ("problem", None)
    assert result.error is not None
    assert (result.error.slug, result.error.detail) == ("invalid-field", "no such currency")


def test_a_batch_whose_answer_was_lost_is_sent_again() -> None:
    server = FakeServer(answers=[httpx.ReadError("reset"), results])
    with server.client() as client:
        assert len(list(client.transactions.record_all([b'{"id":"e-1"}']))) == 1
    assert len({request.content for request in server.requests}) == 1


@pytest.mark.parametrize("text", ["", "{}\n{}", "?"])
def test_answers_that_do_not_belong_to_the_lines_are_an_error(text: str) -> None:
    server = FakeServer(answers=[httpx.Response(200, text=text)])
    with server.client() as client, pytest.raises(AnswerError):
        list(client.transactions.record_all([ENTRY]))


def test_the_rest_of_an_import_names_it() -> None:
    answer = httpx.Response(201, json=IMPORT, headers={"ETag": '"v1"'})
    server = FakeServer(answers=[answer, problem(503, "overloaded"), answer])
    with server.client() as client:
        views = list(client.imports.send("a-1", [b"{}"] * (IMPORT_LINES + 1)))
    assert len(views) == 2
    assert [r.url.params.get("import_id") for r in server.requests] == [None, "i-1", "i-1"]
    first, second, again = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second == again


def test_an_import_is_refused_with_its_lines_named() -> None:
    body = {"type": "/problems/broken", "detail": "no", "errors": [{"pointer": "/2/amount", "detail": "is 0"}]}
    server = FakeServer(answers=[httpx.Response(422, json=body)])
    with server.client() as client, pytest.raises(ApiError) as failed:
        list(client.imports.send("a-1", [b"{}"]))
    assert failed.value.errors[0].pointer == "/2/amount"


def test_lists_come_page_by_page() -> None:
    def page(item: str, following: str | None) -> httpx.Response:
        return httpx.Response(200, json={"items": [{**IMPORT, "id": item}], "next": following})

    server = FakeServer(answers=[page("i-2", "there"), page("i-1", None)])
    with server.client() as client:
        found = client.imports.list(page_items=1)
        assert next(found).value.id == "i-2"
        assert len(server.requests) == 1
        assert [one.value.id for one in found] == ["i-1"]
    assert [dict(r.url.params) for r in server.requests] == [{"limit": "1"}, {"limit": "1", "cursor": "there"}]


def test_list_items_carry_their_versions() -> None:
    server = FakeServer(answers=[httpx.Response(200, json={"items": [ACCOUNT]})])
    with server.client() as client:
        [found] = client.accounts.list()
    assert (found.version, found.etag) == (7, '"v7"')
