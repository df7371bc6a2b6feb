"""Use cases of personal API keys. None commits."""

from sqlalchemy import Connection

from streambank.bank.users import repository
from streambank.bank.users.accounts import session_of
from streambank.bank.users.context import Client, Context, SecurityKind
from streambank.bank.users.oauth import PROGRAMS
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import ApiKeyMade, ApiKeyView, NewApiKey
from streambank.bank.users.scopes import ScopeError, chosen_scopes, join_scope
from streambank.bank.users.tokens import API_KEY_MS_MAX, DAY_MS, Prefix, new_token, token_hash
from streambank.bank.users.views import api_key_view
from streambank.clock import to_datetime, to_millis
from streambank.service.http.answers import Answer, created, no_content
from streambank.service.http.caller import Caller
from streambank.service.http.problems import conflict, forbidden, not_found, unprocessable

API_KEYS_MAX = 50
"""Of one person: a key for each program of theirs, not for each run of one."""


class ApiKeys:
    """What people do with their keys."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def make(self, connection: Connection, caller: Caller, body: NewApiKey, client: Client) -> Answer:
        """201: a key, with its secret this once. Its scopes are among the caller's.

        Raises:
            Problem: 403, the address is not verified, or the caller is a key itself: one that leaked could live on in
                others; 409, there are enough; 422, too large a scope, or an end that is past or too far off.
        """
        now = self._context.clock()
        person = self._context.person(connection, caller.user_id)
        if not person.is_verified:
            raise forbidden("verify your e-mail address before you make an API key")
        if session_of(caller) is None and caller.client_id not in PROGRAMS:
            raise forbidden("an API key cannot make others: log in")
        try:
            scopes = chosen_scopes(body.scope, caller.scopes)
        except ScopeError as error:
            raise unprocessable("/scope", str(error)) from None
        expires_at = to_millis(body.expires_at)
        if not now < expires_at <= now + API_KEY_MS_MAX:
            raise unprocessable("/expires_at", f"from now on and within {API_KEY_MS_MAX // DAY_MS} days")
        if repository.count_api_keys(connection, person.user_id) >= API_KEYS_MAX:
            raise conflict("too-many-api-keys", f"there are {API_KEYS_MAX} API keys already: revoke one first")
        secret = new_token(Prefix.API_KEY, self._context.random_bytes)
        row = {
            "key_id": self._context.new_id(),
            "secret_hash": token_hash(secret),
            "user_id": person.user_id,
            "name": body.name,
            "scope": join_scope(scopes),
            "created_at": now,
            "expires_at": expires_at,
        }
        repository.add_api_key(connection, row)
        self._context.record(connection, person.user_id, SecurityKind.API_KEY_MADE, client.address, body.name)
        made = ApiKeyMade(
            key_id=str(row["key_id"]),
            name=body.name,
            scope=join_scope(scopes),
            created_at=to_datetime(now),
            expires_at=to_datetime(expires_at),
            last_used_at=None,
            secret=secret,
        )
        return created(made, f"/v1/api-keys/{made.key_id}", secret=True)

    def page(self, connection: Connection, caller: Caller, page: PageOf) -> list[ApiKeyView]:
        """The caller's keys, newest first."""
        self._context.person(connection, caller.user_id)
        return [api_key_view(row) for row in repository.api_keys(connection, caller.user_id, page)]

    def revoke(self, connection: Connection, caller: Caller, key_id: str, client: Client) -> Answer:
        """204: the key gets no access token any more. Raises Problem 404."""
        self._context.person(connection, caller.user_id)
        if not repository.delete_api_key(connection, caller.user_id, key_id):
            raise not_found("API key")
        self._context.record(connection, caller.user_id, SecurityKind.API_KEY_REVOKED, client.address, key_id)
        return no_content()
