"""Use cases of page sessions: a random token in a cookie, known here by its hash. None commits."""

from typing import Any

from sqlalchemy import Connection, Row

from streambank.bank.users import repository
from streambank.bank.users.authentication import Authenticator, Proven
from streambank.bank.users.context import Client, Context, SecurityKind
from streambank.bank.users.cookies import cookie_header, cookie_name, removal_header
from streambank.bank.users.keys import Keys
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import LoggedIn, SessionView
from streambank.bank.users.scopes import scopes_of_user
from streambank.bank.users.tokens import SESSION_IDLE_MS, SESSION_MS, Prefix, is_token, new_token, token_hash
from streambank.bank.users.views import session_view
from streambank.service.http.answers import Answer, no_content
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem, not_found

SESSIONS_MAX = 100
"""Of one person: more than anybody has browsers, and a list that is read at a glance."""

TOUCH_MS = 60_000
"""A session's last use is known to the minute, so that a page that asks often does not write as often."""

USER_AGENT_CHARS_MAX = 200


class Sessions:
    """What people do with their page sessions."""

    def __init__(self, context: Context, authenticator: Authenticator, keys: Keys) -> None:
        self._context = context
        self._authenticator = authenticator
        self._keys = keys

    def log_in(self, connection: Connection, proven: Proven, client: Client, *, secure: bool) -> Answer:
        """201: a session, its cookie (``secure``: for TLS only), and an access token."""
        now = self._context.clock()
        person = self._authenticator.still(connection, proven)
        token = new_token(Prefix.SESSION, self._context.random_bytes)
        row = {
            "session_id": self._context.new_id(),
            "token_hash": token_hash(token),
            "user_id": person.user_id,
            "address": client.address,
            "user_agent": _printable(client.user_agent),
            "created_at": now,
            "last_used_at": now,
            "expires_at": now + SESSION_MS,
        }
        repository.add_session(connection, row, SESSIONS_MAX)
        failed = f"after {proven.failed_attempts} failed attempts" if proven.failed_attempts else None
        self._context.record(connection, person.user_id, SecurityKind.LOGGED_IN, client.address, failed)
        session = self.by_token(connection, token)
        issued = self._keys.issue(
            connection, person.user_id, scopes_of_user(person.is_verified), client_id(session.session_id)
        )
        body = LoggedIn(session=session_view(session), **issued.model_dump(exclude={"refresh_token"}))
        headers = {"Set-Cookie": cookie_header(token, SESSION_MS // 1000, secure=secure)}
        return Answer(201, body, location=f"/v1/sessions/{session.session_id}", headers=headers)

    def by_token(self, connection: Connection, token: str | None) -> Row[Any]:
        """The session that a cookie stands for; notes that it was used.

        Raises:
            Problem: 401, it ended, or there never was one.
        """
        now = self._context.clock()
        session = None
        if token is not None and is_token(token, Prefix.SESSION):
            session = repository.session_by_token(connection, token_hash(token), now, SESSION_IDLE_MS)
        if session is None:
            headers = {"WWW-Authenticate": f'Cookie cookie-name="{cookie_name(secure=False)}"'}
            raise Problem(401, "not-logged-in", "there is no session, or it has ended: log in", headers=headers)
        if now - session.last_used_at >= TOUCH_MS:
            repository.touch_session(connection, session.session_id, now)
        return session

    def page(self, connection: Connection, caller: Caller, page: PageOf) -> list[SessionView]:
        """The caller's sessions, newest first."""
        self._context.person(connection, caller.user_id)
        rows = repository.sessions(connection, caller.user_id, self._context.clock(), SESSION_IDLE_MS, page)
        return [session_view(row) for row in rows]

    def end(self, connection: Connection, caller: Caller, session_id: str, client: Client) -> Answer:
        """204: that session of the caller's has ended. Raises Problem 404."""
        self._context.person(connection, caller.user_id)
        if not repository.end_session(connection, caller.user_id, session_id):
            raise not_found("session")
        self._context.record(connection, caller.user_id, SecurityKind.LOGGED_OUT, client.address)
        return no_content()

    def end_current(self, connection: Connection, token: str | None, client: Client, *, secure: bool) -> Answer:
        """204: the cookie's session has ended, and the cookie is gone. Raises Problem 401."""
        session = self.by_token(connection, token)
        repository.end_session(connection, session.user_id, session.session_id)
        self._context.record(connection, session.user_id, SecurityKind.LOGGED_OUT, client.address)
        return Answer(204, headers={"Set-Cookie": removal_header(secure=secure)})


def client_id(session_id: str) -> str:
    """The ``client_id`` of access tokens that come from a page session."""
    return f"session:{session_id}"


def _printable(text: str) -> str:
    return "".join(char for char in text[:USER_AGENT_CHARS_MAX] if char.isprintable())
