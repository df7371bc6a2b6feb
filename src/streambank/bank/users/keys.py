"""Issuing access tokens, and keeping the keys that sign them in rotation. Nothing here commits."""

from collections.abc import Mapping

from sqlalchemy import Connection

from streambank.bank.users import repository
from streambank.bank.users.context import Context
from streambank.bank.users.events import signing_key_record, signing_key_tombstone
from streambank.bank.users.schemas import PublicKeys, TokenAnswer
from streambank.bank.users.scopes import join_scope
from streambank.bank.users.signing import KeyPair, due_rotation, new_key_pair, sign_access_token, signing_key
from streambank.errors import InvariantError
from streambank.service.http.answers import Answer, ok
from streambank.service.http.tokens import LIFETIME_S

KEY_SET_AGE_S = 900
"""How long a key set may be kept by who fetched it: a new key is published an hour before it signs."""


class Keys:
    """The keys of this installation."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rotate(self, connection: Connection) -> None:
        """Make the key that is due, withdraw those that are over, and publish both."""
        now = self._context.clock()
        due = due_rotation(repository.signing_keys(connection), now)
        if due.new_signs_from is not None:
            key = new_key_pair(now, due.new_signs_from, self._context.random_bytes)
            repository.add_signing_key(connection, key)
            self._context.publish(connection, [signing_key_record(key, self._context.new_id(), now)])
        for past in due.withdrawn:
            if repository.delete_signing_key(connection, past.kid):
                self._context.publish(connection, [signing_key_tombstone(past.kid, now)])

    def issue(self, connection: Connection, user_id: str, scopes: frozenset[str], client_id: str) -> TokenAnswer:
        """An access token for somebody, to be used by ``client_id``."""
        now = self._context.clock()
        token = sign_access_token(
            self._current(connection, now),
            user_id=user_id,
            scopes=scopes,
            client_id=client_id,
            token_id=self._context.new_id(),
            now_ms=now,
        )
        return TokenAnswer(access_token=token, expires_in=LIFETIME_S, scope=join_scope(scopes))

    def public_keys(self, connection: Connection) -> Answer:
        """200: the key set."""
        keys = [key.public_jwk() for key in repository.signing_keys(connection)]
        answer = ok(PublicKeys(keys=keys))
        return Answer(answer.status, answer.body, headers={"Cache-Control": f"public, max-age={KEY_SET_AGE_S}"})

    def public_key(self, kid: str) -> Mapping[str, str] | None:
        """The public half of one key; looks into the database."""
        with self._context.database.read() as connection:
            return next((k.public_jwk() for k in repository.signing_keys(connection) if k.kid == kid), None)

    def _current(self, connection: Connection, now_ms: int) -> KeyPair:
        key = signing_key(repository.signing_keys(connection), now_ms)
        if key is None:
            raise InvariantError("there is no key to sign access tokens with: the service makes one when it starts")
        return key
