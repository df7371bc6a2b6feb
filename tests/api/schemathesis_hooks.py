"""What schemathesis has to know of requests and answers that no schema can say."""

from itertools import count
from typing import Any

import msgspec
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData, Failure, ServerError
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import AllowHeaderMismatch, RejectedPositiveData

RULES = {
    "invalid-field": "depends on another field, on the clock, or on a list such as ISO 4217's",
    "bad-cursor": "a cursor is opaque; one that was made up is none",
    "bad-position": "a position of a topic that this service does not read",
    "bad-token": "a token that was made up",
    "unknown-category": "there is no such category",
    "unknown-account": "there is no such account of the caller's",
    "currency-mismatch": "the account is in another currency",
    "account-closed": "the account is closed",
    "unknown-payee": "nobody has that alias",
    "limit-exceeded": "a payment limit of the user's or of the service's",
    "not-a-report": "a report has the signed mark of an e-mail that was sent",
    "weak-password": "too short or well known; a log-in takes any",
}
"""Types of problems that a request of the right form may be answered with, with 400 or 422, and why."""

OAUTH_REFUSALS = {"invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope"}
"""RFC 6749 section 5.2: which parameters are needed depends on the grant, and made-up credentials are refused."""

_UNSAID = (
    # Names of CLDR, of the IANA's time zones and of people: checks of our own.
    "Value error, ",
    # They are in the schema; schemathesis compares with them as floating point numbers.
    f"Input should be less than or equal to {2**63 - 1}",
    f"Input should be greater than or equal to {-(2**63)}",
)

_numbers = count()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """A key stands for one request; and an integer is written as one, for a fraction of zero is refused with money."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "idempotency-key" in case.headers:
        case.headers["idempotency-key"] = f"fuzz-{next(_numbers)}"
    case.body = _integers(case.body)


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: Response
) -> bool:
    """Keep all but the refusals that the rules of the bank explain: a schema knows the form of a request only."""
    match failure:
        case RejectedPositiveData():
            return not _explained(response)
        case ServerError():
            # The services do not listen to each other here. In life the same request is done a moment later.
            told = msgspec.json.decode(response.content)
            return response.status_code != 503 or told["type"] != "/problems/account-not-known-yet"
        case AcceptedNegativeData():
            # A batch is answered line by line. And a parameter without a value counts as left out in OAuth.
            return case.operation.label not in ("POST /v1/transactions:batch", "POST /v1/oauth/revoke")
        case AllowHeaderMismatch():
            # An entry could have the id "export".
            return "PATCH" not in failure.undocumented_methods or "/transactions/export" not in case.path
    return True


def _explained(response: Response) -> bool:
    told = msgspec.json.decode(response.content)
    if told.get("error") in OAUTH_REFUSALS:
        return True
    if told["type"] == "/problems/invalid-request":
        return all(error["detail"].startswith(_UNSAID) for error in told["errors"])
    return told["type"].removeprefix("/problems/") in RULES


def _integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_integers(part) for part in value]
    return {name: _integers(part) for name, part in value.items()} if isinstance(value, dict) else value


_LINES = st.lists(
    st.fixed_dictionaries(
        {
            "credit_debit": st.sampled_from(["CRDT", "DBIT"]),
            "amount": st.fixed_dictionaries(
                {"amount_minor": st.integers(-1, 2**64), "currency": st.sampled_from(["EUR", "JPY", "XXX", "nope"])}
            ),
            "booking_date": st.dates().map(str),
            "external_id": st.text(max_size=130),
        },
        optional={"account_id": st.text(max_size=70), "tags": st.lists(st.text()), "notes": st.text(), "x": st.none()},
    ).map(msgspec.json.encode)
    | st.binary(max_size=50),
    min_size=1,
    max_size=20,
)

schemathesis.openapi.media_type("application/x-ndjson", _LINES.map(b"\n".join))
schemathesis.openapi.media_type("message/rfc822", st.binary(max_size=500))
