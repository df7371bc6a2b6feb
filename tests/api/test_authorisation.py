"""Every operation of the API as somebody who may not: 401, 403 or 404, nothing of Ada's is told, and nothing changes.

The operations come from the API's own description. That the requests would be done if Ada sent them is tested too, so
that none is refused for another reason.
"""

from uuid import UUID

import httpx
import pytest
from tests.api.operations import Call, Operation, calls, operations
from tests.api.support import ALL_SCOPES, SECRETS, Client, World

from streambank.service.http import tokens

ANYBODY = {
    "sign_up": "who signs up is not known yet",
    "verify_email": "the token in the mail proves who it is",
    "send_verification_mail": "mails go to the address only, and the answer tells nothing",
    "ask_for_password_reset": "who forgot the password cannot log in",
    "reset_password": "the token in the mail proves who it is",
    "log_in": "that is how to become somebody",
    "log_out": "ends the session of the cookie that is sent, and no other",
    "get_token": "that is how programs become somebody",
    "revoke_token": "who has a token may give it up (RFC 7009)",
    "get_public_keys": "they are public",
}
"""What nobody needs to be logged in for, and why."""

FILTERED_BY_CATEGORY = {"list_transactions"}
"""Lists of what is one's own, where a category that nothing of it has leaves nothing."""

NOWHERE = str(UUID(int=7))


def walk(world: World) -> list[Call]:
    """A call, or several, of each operation that somebody has to be logged in for."""
    return [call for operation in needing_somebody(world) for call in calls(world, operation)]


def needing_somebody(world: World) -> list[Operation]:
    return [o for o in operations(world.api.app.openapi()) if o.scope is not None]


def refused(world: World, client: Client, allowed: set[int], wanted: list[Call]) -> None:
    """Each call is answered with one of those, as a problem, and leaves everything as it was."""
    before = world.api.rows()
    answers = [(call, ask(client, call)) for call in wanted]
    assert answers
    wrong = [
        f"{call}: {a.status_code} {a.text}"
        for call, a in answers
        if a.status_code not in allowed or a.headers["content-type"] != "application/problem+json"
    ]
    assert wrong == []
    assert [str(call) for call, answer in answers if telling(answer)] == []
    assert world.api.rows() == before


def ask(client: Client, call: Call) -> httpx.Response:
    return client(call.operation.method, call.path, **call.more)


def telling(answer: httpx.Response) -> list[str]:
    """What of Ada's an answer tells."""
    return [secret for secret in SECRETS if secret in answer.text]


def test_what_anybody_may_do_is_known(still_world: World) -> None:
    open_to_all = {o.operation_id for o in operations(still_world.api.app.openapi()) if o.scope is None}
    assert open_to_all == ANYBODY.keys()


def test_as_no_one(still_world: World) -> None:
    refused(still_world, still_world.api.client(), {401}, walk(still_world))


def test_with_an_expired_token(any_world: World) -> None:
    wanted = walk(any_world)
    any_world.api.outlive_tokens()
    refused(any_world, any_world.ada.ask, {401}, wanted)


@pytest.mark.parametrize("kid", ["the right one", "another"])
def test_with_a_token_that_another_key_signed(still_world: World, kid: str) -> None:
    published = still_world.api.client().done("GET", "/.well-known/jwks.json")["keys"][0]["kid"]
    forged = tokens.issue(
        tokens.new_signing_key(published if kid == "the right one" else "another"),
        user_id=still_world.ada.user_id,
        scopes=ALL_SCOPES,
        client_id="test",
        token_id="t",
        now_ms=still_world.api.clock(),
    )
    refused(still_world, still_world.api.client(forged), {401}, walk(still_world))


def test_with_too_small_a_scope(still_world: World) -> None:
    for scope in sorted(ALL_SCOPES):
        others = still_world.api.scoped_token(still_world.ada, ALL_SCOPES - {scope})
        wanted = [call for call in walk(still_world) if call.operation.scope == scope]
        refused(still_world, still_world.api.client(others), {403}, wanted)


def test_a_user_who_is_not_verified_sees_no_money(world: World) -> None:
    body = {"email": "new@example.org", "password": "twelve paper lanterns", "name": "New"}
    world.api.client().done("POST", "/v1/users", json=body)
    del body["name"]
    token = world.api.client().done("POST", "/v1/sessions", json=body)["access_token"]
    wanted = [call for call in walk(world) if (call.operation.scope or "").startswith(("transactions:", "payments:"))]
    refused(world, world.api.client(token), {403}, wanted)


def test_as_the_wrong_user(still_world: World) -> None:
    hers = [call for call in walk(still_world) if call.names_ada and not in_body_only(still_world, call)]
    filtered = [
        call
        for call in hers
        if call.operation.operation_id in FILTERED_BY_CATEGORY and "category_id" in call.more["params"]
    ]
    refused(still_world, still_world.bob.ask, {403, 404}, [call for call in hers if call not in filtered])
    assert [ask(still_world.bob.ask, call).json()["items"] for call in filtered] == [[]]


def test_ids_of_others_in_a_body_are_as_good_as_made_up(still_world: World) -> None:
    before = still_world.api.rows()
    hers = [call for call in walk(still_world) if in_body_only(still_world, call)]
    assert {"record_transaction", "record_batch", "create_rule"} <= {call.operation.operation_id for call in hers}
    for call in hers:
        answer = ask(still_world.bob.ask, call)
        text = made_up(still_world, answer.text)
        assert not telling(answer)
        assert answer.text == text, f"{call} tells of an id that is Ada's"
        call.more = made_up_in(still_world, call.more)
        elsewhere = ask(still_world.bob.ask, call)
        assert (answer.status_code, text) == (elsewhere.status_code, elsewhere.text), str(call)
        assert answer.status_code in {200, 403, 404, 422}
    assert still_world.api.rows() == before


def test_lists_hold_nothing_of_others(still_world: World) -> None:
    own = [call for call in walk(still_world) if call.operation.method == "GET" and not call.names_ada]
    hers = (*still_world.hers, still_world.ada.user_id, still_world.ada.email)
    before = still_world.api.rows()
    for call in own:
        answer = ask(still_world.bob.ask, call)
        assert answer.status_code == 200
        assert telling(answer) + [one for one in hers if one in answer.text] == [], str(call)
    assert {"list_transactions", "export_transactions", "export_user"} <= {c.operation.operation_id for c in own}
    assert still_world.api.rows() == before


def test_a_viewer_changes_nothing(still_world: World) -> None:
    wanted = [
        call
        for call in walk(still_world)
        if call.operation.writes and call.names_ada and not (in_body_only(still_world, call) and is_of_eve(call))
    ]
    before = still_world.api.rows()
    for call in wanted:
        answer = ask(still_world.eve.ask, call)
        allowed = {403, 404, 200} if call.operation.operation_id == "record_batch" else {403, 404}
        assert answer.status_code in allowed, f"{call}: {answer.status_code} {answer.text}"
        assert '"created"' not in answer.text
    assert still_world.api.rows() == before


def test_a_viewer_sees_the_account_and_no_other(still_world: World) -> None:
    shared, private = still_world.ids["account_id"], still_world.private_account_id
    listed = still_world.eve.ask.done("GET", "/v1/accounts")["items"]
    assert [account["id"] for account in listed] == [shared]
    for path in (f"/v1/accounts/{private}", f"/v1/accounts/{private}/balance", f"/v1/accounts/{private}/members"):
        assert still_world.eve.ask("GET", path).status_code == 404
    for path in ("/v1/transactions", "/v1/transactions/export", "/v1/imports", "/v1/tags"):
        answer = still_world.eve.ask("GET", path)
        assert answer.status_code == 200
        assert private not in answer.text


def test_ada_herself_is_answered(any_world: World) -> None:
    """The control: none of these requests was refused for another reason."""
    refusals = []
    for operation in needing_somebody(any_world):
        for call in calls(any_world, operation):
            answer = ask(any_world.ada.ask, call)
            # What is there may be in the way; she may do it all the same.
            if not answer.is_success and answer.status_code != 409:
                refusals.append(f"{call}: {answer.status_code} {answer.text}")
    assert refusals == []


def in_body_only(world: World, call: Call) -> bool:
    """Whether the ids of what is Ada's are in the body, and the address names nothing of hers."""
    address = call.path + repr(call.more.get("params"))
    return call.names_ada and not any(her_id in address for her_id in world.hers)


def is_of_eve(call: Call) -> bool:
    """Whether what the call makes would be Eve's own, in whatever terms it names what is Ada's."""
    return call.operation.operation_id in {"create_rule", "create_category"}


def made_up(world: World, text: str) -> str:
    for her_id in world.hers:
        text = text.replace(her_id, NOWHERE)
    return text


def made_up_in(world: World, more: dict[str, object]) -> dict[str, object]:
    changed = dict(more)
    if isinstance(changed.get("content"), bytes):
        changed["content"] = made_up(world, changed["content"].decode()).encode()  # type: ignore[attr-defined]
    if "json" in changed:
        changed["json"] = httpx.Response(
            200, text=made_up(world, httpx.Request("POST", "http://x", json=changed["json"]).content.decode())
        ).json()
    return changed
