"""Use cases of OAuth 2: access tokens for programs (RFC 6749), and taking tokens back (RFC 7009). None commits.

A refresh token is good once. One that comes a second time was copied, and nobody can tell which of the two is the
thief: the whole grant ends, and both have to log in. That refusal is an answer and not an exception, since what it
changes must stay.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from sqlalchemy import Connection

from streambank.bank.users import repository
from streambank.bank.users.authentication import Authenticator, Proven
from streambank.bank.users.context import Client, Context, SecurityKind
from streambank.bank.users.keys import Keys
from streambank.bank.users.people import Person, person_by_id
from streambank.bank.users.schemas import OAuthError, TokenAnswer
from streambank.bank.users.scopes import (
    VERIFIED_SCOPES,
    ScopeError,
    chosen_scopes,
    join_scope,
    parse_scope,
    scopes_of_user,
)
from streambank.bank.users.sessions import Sessions, client_id
from streambank.bank.users.tokens import GRANT_MS, Prefix, is_token, new_token, token_hash
from streambank.service.errors import ServiceError
from streambank.service.http.answers import Answer

CLI = "streambank-cli"
PROGRAMS = frozenset({CLI})
"""The programs that may take a password: our own. They have no secret, since whoever has the program would have it."""

FORM_BYTES_MAX = 16 * 1024

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
VALUE_PATTERN = r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*"
_VALUE = re.compile(VALUE_PATTERN)


class OAuthRefusedError(ServiceError):
    """A refusal in OAuth's own form (RFC 6749 section 5.2)."""

    def __init__(self, error: str, description: str, *, challenged: bool = False) -> None:
        """``challenged``: the client named itself in the Authorization header, and is told so."""
        super().__init__(description)
        self.error = error
        self.description = description
        self._challenged = challenged

    def answer(self) -> Answer:
        """400; 401 where it is about who the client is."""
        headers = dict(_NO_STORE)
        if self._challenged:
            headers["WWW-Authenticate"] = 'Basic realm="streambank"'
        status = 401 if self.error == "invalid_client" else 400
        return Answer(status, OAuthError(error=self.error, error_description=self.description), headers=headers)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says of itself. ``from_header``: by HTTP Basic, not in the form."""

    client_id: str | None
    secret: str | None
    from_header: bool


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """The parameters of a request; those without a value are left out, as RFC 6749 section 3.2 wants it.

    Raises:
        OAuthRefusedError: it is no form, is too large, or has a parameter twice.
    """
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthRefusedError("invalid_request", "send the parameters as application/x-www-form-urlencoded")
    if len(body) > FORM_BYTES_MAX:
        raise OAuthRefusedError("invalid_request", f"the form has more than {FORM_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(body.decode(), errors="strict", max_num_fields=32)
    except ValueError:
        raise OAuthRefusedError(
            "invalid_request", "the form cannot be read: it is not UTF-8, or has too many parts"
        ) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthRefusedError("invalid_request", "a parameter is given twice")
    if not all(_VALUE.fullmatch(value) for value in form.values()):
        raise OAuthRefusedError("invalid_request", "a parameter has control characters")
    return form


def credentials(form: Mapping[str, str], authorization: str | None) -> Credentials:
    """Who the client says it is.

    Raises:
        OAuthRefusedError: it says so twice, or in a way that cannot be read.
    """
    if authorization is None or not authorization.lower().startswith("basic "):
        return Credentials(form.get("client_id"), form.get("client_secret"), False)
    if "client_secret" in form:
        raise OAuthRefusedError("invalid_request", "give the client's secret in the header or in the form, not in both")
    try:
        name, colon, secret = base64.b64decode(authorization[6:].strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name, colon, secret = "", "", ""
    if not colon:
        raise OAuthRefusedError("invalid_client", "the Authorization header cannot be read", challenged=True)
    return Credentials(unquote_plus(name), unquote_plus(secret), True)


def parameter(form: Mapping[str, str], name: str) -> str:
    """A parameter that has to be there. Raises OAuthRefusedError."""
    if name not in form:
        raise OAuthRefusedError("invalid_request", f"the parameter {name} is missing")
    return form[name]


def program(client: Credentials) -> str:
    """Which of our own programs it is; the command line, where it does not say.

    Raises:
        OAuthRefusedError: it is none of ours.
    """
    if client.client_id not in (None, *PROGRAMS):
        raise OAuthRefusedError(
            "invalid_client", "no program of that client_id may use this", challenged=client.from_header
        )
    return client.client_id or CLI


class OAuth:
    """What programs do."""

    def __init__(self, context: Context, authenticator: Authenticator, keys: Keys, sessions: Sessions) -> None:
        self._context = context
        self._authenticator = authenticator
        self._keys = keys
        self._sessions = sessions

    def by_password(
        self, connection: Connection, proven: Proven, program_id: str, scope: str | None, client: Client
    ) -> Answer:
        """A program of ours logs somebody in. Raises OAuthRefusedError."""
        now = self._context.clock()
        person = self._authenticator.still(connection, proven)
        scopes = _chosen(scope, scopes_of_user(person.is_verified))
        row = {
            "grant_id": self._context.new_id(),
            "user_id": person.user_id,
            "client_id": program_id,
            # What was not asked for in particular grows with what the person may do, once their address is verified.
            "scope": join_scope(scopes if scope else VERIFIED_SCOPES),
            "created_at": now,
            "expires_at": now + GRANT_MS,
        }
        repository.add_grant(connection, row)
        failed = f", after {proven.failed_attempts} failed attempts" if proven.failed_attempts else ""
        self._context.record(
            connection, person.user_id, SecurityKind.LOGGED_IN, client.address, f"{program_id}{failed}"
        )
        return self._refreshable(connection, str(row["grant_id"]), person, scopes, program_id)

    def by_refresh_token(
        self, connection: Connection, token: str, program_id: str, scope: str | None, client: Client
    ) -> Answer:
        """A program goes on; it gets another refresh token for the one it used up. Raises OAuthRefusedError."""
        now = self._context.clock()
        hashed = token_hash(token)
        grant = repository.grant_of(connection, hashed) if is_token(token, Prefix.REFRESH) else None
        person = person_by_id(connection, grant.user_id) if grant is not None else None
        if grant is None or person is None or grant.expires_at <= now or grant.client_id != program_id:
            raise _bad_grant()
        granted = parse_scope(grant.scope) & scopes_of_user(person.is_verified)
        scopes = _chosen(scope, granted)
        if not repository.use_refresh_token(connection, hashed, now):
            repository.revoke_grant(connection, grant.grant_id)
            self._context.record(connection, person.user_id, SecurityKind.TOKEN_REUSED, client.address, program_id)
            return _bad_grant().answer()
        return self._refreshable(connection, grant.grant_id, person, scopes, program_id)

    def by_api_key(self, connection: Connection, key: Credentials, scope: str | None) -> Answer:
        """Somebody's own program shows its key. Raises OAuthRefusedError."""
        now = self._context.clock()
        secret = key.secret or ""
        row = repository.api_key_by_secret(connection, token_hash(secret)) if is_token(secret, Prefix.API_KEY) else None
        person = person_by_id(connection, row.user_id) if row is not None else None
        if row is None or person is None or row.key_id != key.client_id or row.expires_at <= now:
            raise OAuthRefusedError(
                "invalid_client", "the API key is unknown, revoked or has run out", challenged=key.from_header
            )
        scopes = _chosen(scope, parse_scope(row.scope) & scopes_of_user(person.is_verified))
        repository.touch_api_key(connection, row.key_id, now)
        return _granted(self._keys.issue(connection, person.user_id, scopes, row.key_id))

    def by_session(self, connection: Connection, cookie: str | None, scope: str | None) -> Answer:
        """A page trades its cookie for an access token. Raises OAuthRefusedError, or Problem 401."""
        session = self._sessions.by_token(connection, cookie)
        person = self._context.person(connection, session.user_id)
        scopes = _chosen(scope, scopes_of_user(person.is_verified))
        return _granted(self._keys.issue(connection, person.user_id, scopes, client_id(session.session_id)))

    def revoke(self, connection: Connection, token: str, client: Client) -> Answer:
        """200, whether there was such a token or not: it is none now. Whoever holds a token may take it back.

        Raises:
            OAuthRefusedError: access tokens cannot be taken back; they end within minutes.
        """
        if token.count(".") == 2:
            raise OAuthRefusedError(
                "unsupported_token_type", "access tokens end by themselves; revoke the refresh token"
            )
        user_id = None
        if is_token(token, Prefix.REFRESH):
            grant = repository.grant_of(connection, token_hash(token))
            if grant is not None:
                user_id = grant.user_id
                repository.revoke_grant(connection, grant.grant_id)
        elif is_token(token, Prefix.API_KEY):
            row = repository.api_key_by_secret(connection, token_hash(token))
            if row is not None:
                user_id = row.user_id
                repository.delete_api_key(connection, user_id, row.key_id)
        if user_id is not None:
            self._context.record(connection, user_id, SecurityKind.TOKEN_REVOKED, client.address)
        return Answer(200, headers=_NO_STORE)

    def _refreshable(
        self, connection: Connection, grant_id: str, person: Person, scopes: frozenset[str], program_id: str
    ) -> Answer:
        refresh = new_token(Prefix.REFRESH, self._context.random_bytes)
        repository.add_refresh_token(connection, token_hash(refresh), grant_id)
        issued = self._keys.issue(connection, person.user_id, scopes, program_id)
        return _granted(issued.model_copy(update={"refresh_token": refresh}))


def _granted(token: TokenAnswer) -> Answer:
    return Answer(200, token, headers=_NO_STORE)


def _chosen(wanted: str | None, allowed: frozenset[str]) -> frozenset[str]:
    try:
        return chosen_scopes(wanted, allowed)
    except ScopeError as error:
        raise OAuthRefusedError("invalid_scope", str(error)) from None


def _bad_grant() -> OAuthRefusedError:
    return OAuthRefusedError(
        "invalid_grant", "the refresh token was used already, has run out or was taken back: log in"
    )
