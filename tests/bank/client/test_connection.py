"""Tokens, retries, keys and errors, against a server that does as it is told."""

import logging
import traceback
from collections.abc import Callable

import httpx
import pytest
from tests.bank.client.support import ACCOUNT, LIFETIME_S, SECRET_PARTS, FakeServer, account, problem

from streambank.bank.client import (
    AnswerError,
    ApiError,
    ApiKey,
    Client,
    ClientError,
    NotLoggedInError,
    Password,
    RefreshToken,
    UnreachableError,
)
from streambank.bank.transactions.schemas import ChangeAccount, OpenAccount
from streambank.bank.users.schemas import SignUp

NEW = OpenAccount(name="Everyday", currency="EUR")
PERSON = SignUp(email="ada@example.org", password="correct horse battery", name="Ada")


def open_one(client: Client) -> object:
    return client.accounts.open(NEW)


def get_one(client: Client) -> object:
    return client.accounts.get("a-1")


def change_one(client: Client) -> object:
    from streambank.bank.client import Versioned
    from streambank.bank.transactions.schemas import AccountView

    return client.accounts.change(Versioned(AccountView.model_validate(ACCOUNT), 7), ChangeAccount(name="Other"))


def test_a_token_is_got_once_and_renewed_before_it_runs_out() -> None:
    server = FakeServer(answers=[account(), account(), account()])
    with server.client() as client:
        client.accounts.get("a-1")
        server.now_ms += (LIFETIME_S - 31) * 1000
        client.accounts.get("a-1")
        assert len(server.forms) == 1
        server.now_ms += 1_000
        client.accounts.get("a-1")
    assert [form["refresh_token"] for form in server.forms] == ["sbr_0", "sbr_1"]
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer access-1"] * 2 + ["Bearer access-2"]


def test_a_refused_token_is_renewed_once() -> None:
    server = FakeServer(answers=[problem(401, "unauthenticated"), account()])
    with server.client() as client:
        assert client.accounts.get("a-1").value.id == "a-1"
    assert len(server.forms) == 2
    server = FakeServer(answers=[problem(401, "unauthenticated"), problem(401, "unauthenticated")])
    with server.client() as client, pytest.raises(ApiError, match="because") as failed:
        client.accounts.get("a-1")
    assert (failed.value.status, len(server.forms)) == (401, 2)


def test_a_token_from_before_the_address_was_verified_is_renewed() -> None:
    server = FakeServer(answers=[problem(403, "insufficient-scope"), account()])
    with server.client() as client:
        client.accounts.get("a-1")
    assert len(server.forms) == 2
    server = FakeServer(answers=[problem(403, "forbidden")])
    with server.client() as client, pytest.raises(ApiError):
        client.accounts.get("a-1")
    assert len(server.forms) == 1


def test_the_first_token_comes_of_a_password_and_the_next_of_what_it_gave() -> None:
    server = FakeServer(answers=[account(), account()])
    credentials = Password("ada@example.org", "correct horse")
    with server.client(credentials) as client:
        client.accounts.get("a-1")
        server.now_ms += LIFETIME_S * 1000
        client.accounts.get("a-1")
    assert server.forms[0]["username"] == "ada@example.org"
    assert server.forms[1]["refresh_token"] == "sbr_1"
    assert (credentials.password, credentials.refresh_token) == (None, "sbr_2")


def test_an_api_key_is_shown_each_time() -> None:
    server = FakeServer(answers=[account()])
    with server.client(ApiKey("key-1", "sbk_secret")) as client:
        client.accounts.get("a-1")
    assert server.forms == [{"grant_type": "client_credentials", "client_id": "key-1", "client_secret": "sbk_secret"}]


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client"])
def test_refused_credentials_are_no_log_in(error: str) -> None:
    refusal = httpx.Response(400, json={"error": error, "error_description": "the token was used already: log in"})
    server = FakeServer(token_answers=[refusal])
    with server.client() as client, pytest.raises(NotLoggedInError, match="used already: log in"):
        client.accounts.get("a-1")


def test_without_credentials_nothing_is_sent_that_needs_them() -> None:
    nobody = Client("http://localhost:8080", transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    with nobody as client, pytest.raises(NotLoggedInError):
        client.accounts.get("a-1")


@pytest.mark.parametrize(
    "passing",
    [
        problem(409, "request-in-flight", Retry_After="1"),
        problem(425, "not-there-yet", Retry_After="1"),
        problem(429, "too-many-requests", Retry_After="1"),
        problem(503, "overloaded", Retry_After="1"),
        httpx.Response(503, text="a proxy is sorry", headers={"Retry-After": "1"}),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("cut"),
    ],
    ids=lambda p: f"{getattr(p, 'status_code', type(p).__name__)}",
)
def test_what_passes_is_tried_again_under_the_same_key(passing: httpx.Response | Exception) -> None:
    server = FakeServer(answers=[passing, passing, account()])
    with server.client() as client:
        assert open_one(client) is not None
    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert (len(server.requests), len(keys)) == (3, 1)
    assert server.slept_s == ([1.0, 1.0] if isinstance(passing, httpx.Response) else [0.1, 0.2])
    assert len({request.content for request in server.requests}) == 1


def test_two_calls_have_two_keys_and_a_given_one_is_kept() -> None:
    server = FakeServer(answers=[account(), account(), account()])
    with server.client() as client:
        client.accounts.open(NEW)
        client.accounts.open(NEW)
        client.accounts.open(NEW, key="mine")
    first, second, given = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second
    assert first[14] == "7"
    assert given == "mine"


def test_patience_has_an_end() -> None:
    server = FakeServer(answers=[problem(503, "overloaded", "busy")] * 4)
    with server.client() as client, pytest.raises(ApiError, match="busy"):
        open_one(client)
    assert server.slept_s == [0.1, 0.2, 0.4]
    server = FakeServer(answers=[problem(429, "too-many-requests", "wait 60 s", Retry_After="60")])
    with server.client() as client, pytest.raises(ApiError, match="wait 60 s"):
        open_one(client)
    assert server.slept_s == []


@pytest.mark.parametrize("slug", ["external-id-taken", "answer-not-kept"])
def test_another_conflict_is_an_error_at_once(slug: str) -> None:
    server = FakeServer(answers=[problem(409, slug)])
    with server.client() as client, pytest.raises(ApiError) as failed:
        open_one(client)
    assert (failed.value.slug, server.slept_s) == (slug, [])


def test_a_change_is_not_sent_again_when_nobody_knows_if_it_was_done() -> None:
    server = FakeServer(answers=[httpx.ReadError("reset")])
    with server.client() as client, pytest.raises(UnreachableError, match="it may have been done or not"):
        change_one(client)
    server = FakeServer(answers=[httpx.ConnectError("refused"), account(8)])
    with server.client() as client:
        change_one(client)
    assert [request.headers["if-match"] for request in server.requests] == ['"v7"', '"v7"']


def test_a_refresh_token_is_never_sent_twice() -> None:
    server = FakeServer(token_answers=[httpx.ReadTimeout("late")])
    with server.client() as client, pytest.raises(UnreachableError, match="broke"):
        client.accounts.get("a-1")
    assert len(server.forms) == 1


def test_who_is_not_there_is_named_with_what_to_do() -> None:
    server = FakeServer(answers=[httpx.ConnectError("refused")] * 4)
    with server.client() as client, pytest.raises(UnreachableError) as failed:
        client.users.sign_up(PERSON)
    assert "http://localhost:8080" in str(failed.value)
    assert "`streambank up`" in str(failed.value)


def test_a_problem_tells_its_fields_and_its_incident() -> None:
    body = {
        "type": "/problems/invalid-request",
        "title": "Invalid request",
        "status": 422,
        "detail": "not valid: /name",
        "incident": "i-1",
        "errors": [{"pointer": "/name", "in": "body", "detail": "too long"}],
    }
    server = FakeServer(answers=[httpx.Response(422, json=body)])
    with server.client() as client, pytest.raises(ApiError) as failed:
        open_one(client)
    error = failed.value
    assert (error.status, error.slug, error.detail, error.incident) == (
        422,
        "invalid-request",
        "not valid: /name",
        "i-1",
    )
    assert [(e.pointer, e.detail, e.location) for e in error.errors] == [("/name", "too long", "body")]
    assert str(error) == "not valid: /name; name: too long (incident i-1)"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(200, text="<html>", headers={"ETag": '"v1"'}), AnswerError),
        (httpx.Response(200, json={"id": "a-1"}, headers={"ETag": '"v1"'}), AnswerError),
        (httpx.Response(200, json=ACCOUNT), AnswerError),
        (httpx.Response(404, text="<html>not here</html>"), ApiError),
        (httpx.Response(302, headers={"Location": "http://evil.example"}), ApiError),
    ],
    ids=["html", "wrong body", "no etag", "html 404", "redirect"],
)
def test_another_program_at_the_address_is_an_error(answer: httpx.Response, error: type[ClientError]) -> None:
    server = FakeServer(answers=[answer])
    with server.client() as client, pytest.raises(error):
        get_one(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "ftp://localhost", "http://", "http://ada:secret@localhost", "http://a?b=c", "http://[::1"],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ClientError, match="must look like http") as failed:
        Client(url)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a?b", "a b", "x" * 65])
def test_what_is_no_id_leads_nowhere(bad: str) -> None:
    server = FakeServer()
    with server.client() as client, pytest.raises(ClientError, match="is no id"):
        client.accounts.get(bad)
    assert server.requests == []


def test_reads_wait_for_writes_to_other_services_when_asked() -> None:
    signed_up = httpx.Response(202, headers={"X-Log-Position": "users.outbox/0/12"})
    listing = httpx.Response(200, json={"items": []})
    server = FakeServer(answers=[signed_up, account(8), listing, listing, listing])
    with server.client() as client:
        client.users.sign_up(PERSON)
        client.accounts.open(NEW)
        assert client.accounts.list() == []
        assert client.fresh.accounts.list() == []
        list(client.fresh.users.api_keys())
    queries = [request.url.params.get("min_position") for request in server.requests[2:]]
    assert queries == [None, "users.outbox/0/12", "transactions.outbox/0/8"]


def failures() -> list[Callable[[Client], object]]:
    return [open_one, get_one, lambda client: client.users.sign_up(PERSON), lambda client: client.log_in()]


@pytest.mark.parametrize("answer", [problem(400, "bad"), httpx.ReadError("reset"), httpx.Response(200, text="?")])
@pytest.mark.parametrize("act", failures())
def test_no_secret_is_in_a_repr_an_error_or_a_log(
    answer: httpx.Response | Exception, act: Callable[[Client], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = Password("ada@example.org", "correct horse")
    server = FakeServer(answers=[answer] * 4)
    with server.client(credentials) as client:
        client.log_in()
        told = [repr(client), repr(credentials), repr(RefreshToken("sbr_1")), repr(ApiKey("k", "sbr_1"))]
        try:
            told.append(repr(act(client)))
        except ClientError as error:
            told += [str(error), repr(error), "".join(traceback.format_exception(error))]
    told += [record.getMessage() for record in caplog.records]
    assert not [text for text in told if any(part in text for part in SECRET_PARTS)]
