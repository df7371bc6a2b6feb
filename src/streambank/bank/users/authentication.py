"""Is that the password? The one part of the service that commits by itself, for two reasons.

An attempt must stay counted when its request is refused, and Argon2 must not run while a transaction is open:

1. In a transaction of its own, count the attempt for the account and for the address; refuse if either has to wait.
2. Hash, outside of any transaction. An unknown address takes as long as a wrong password, and is counted alike.
3. On success, in a transaction of its own, take the counts back, and store a new hash where parameters have changed.

What follows a success happens in the request's transaction, which looks again whether the password is still that one.
"""

import math
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from streambank.bank.addresses import AddressError, address_key
from streambank.bank.users import repository
from streambank.bank.users.addresses import parse_address
from streambank.bank.users.context import Client, Context
from streambank.bank.users.people import Person, person_by_email, person_by_id, store_new_hash
from streambank.bank.users.throttle import (
    ACCOUNT_LOG_INS,
    ADDRESS_LOG_INS,
    Attempts,
    ThrottlePolicy,
    counted,
    network,
    subject,
    wait_ms,
)
from streambank.service.http.problems import Problem, conflict


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody who gave their password. ``failed_attempts``: how often somebody else, or they, got it wrong before."""

    person: Person
    failed_attempts: int


class Authenticator:
    """Checks passwords. Blocks for as long as a hash takes: call it by way of :meth:`Passwords.run`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def log_in(self, email: str, password: str, client: Client) -> Proven:
        """Who has that address and that password.

        Raises:
            Problem: 401, always the same whatever was wrong; 429, too many attempts.
        """
        try:
            written = parse_address(email)
        except AddressError:
            written = None
        account = address_key(email.strip() if written is None else written)
        with self._context.database.begin() as connection:
            failed_before = self._count(connection, account, client)
            person = person_by_email(connection, written) if written is not None else None
        proven = self._prove(person, account, password, client, failed_before)
        if proven is None:
            raise Problem(401, "log-in-refused", "no account has that address and that password")
        return proven

    def confirm(self, user_id: str, password: str, client: Client) -> Proven:
        """Somebody who is logged in gives the password once more.

        Raises:
            Problem: 403, it is not that password; 429, too many attempts.
        """
        with self._context.database.begin() as connection:
            person = self._context.person(connection, user_id)
            account = address_key(person.email)
            failed_before = self._count(connection, account, client)
        proven = self._prove(person, account, password, client, failed_before)
        if proven is None:
            raise Problem(403, "wrong-password", "that is not the password of this account")
        return proven

    def still(self, connection: Connection, proven: Proven) -> Person:
        """The person as they are now, in the transaction that acts on the proof.

        Raises:
            Problem: 409, the password was changed since, or the account is gone.
        """
        person = person_by_id(connection, proven.person.user_id)
        if person is None or person.password_hash != proven.person.password_hash:
            raise conflict(
                "changed-meanwhile", "the password was changed at the same time from elsewhere: log in again"
            )
        return person

    def _prove(
        self, person: Person | None, account: str, password: str, client: Client, failed_before: int
    ) -> Proven | None:
        passwords = self._context.passwords
        right = passwords.matches(person.password_hash if person is not None else None, password)
        if person is None or not right:
            return None
        new_hash = passwords.hash(password) if passwords.is_outdated(person.password_hash) else None
        with self._context.database.begin() as connection:
            repository.store_attempts(connection, subject(ACCOUNT_LOG_INS, account), None)
            self._give_back(connection, client)
            if new_hash is not None:
                store_new_hash(connection, person, new_hash)
        return Proven(person if new_hash is None else replace(person, password_hash=new_hash), failed_before)

    def _count(self, connection: Connection, account: str, client: Client) -> int:
        now = self._context.clock()
        failed_before = 0
        for policy, about in ((ACCOUNT_LOG_INS, account), (ADDRESS_LOG_INS, network(client.address))):
            made = repository.attempts(connection, subject(policy, about))
            _refuse_early(policy, made, now)
            after = counted(policy, made, now)
            repository.store_attempts(connection, subject(policy, about), after)
            failed_before = max(failed_before, after.count - 1 if policy is ACCOUNT_LOG_INS else 0)
        return failed_before

    def _give_back(self, connection: Connection, client: Client) -> None:
        about = subject(ADDRESS_LOG_INS, network(client.address))
        made = repository.attempts(connection, about)
        if made is not None:
            repository.store_attempts(
                connection, about, replace(made, count=made.count - 1) if made.count > 1 else None
            )


def _refuse_early(policy: ThrottlePolicy, made: Attempts | None, now_ms: int) -> None:
    wait_s = math.ceil(wait_ms(policy, made, now_ms) / 1000)
    if wait_s:
        detail = f"too many attempts: the next one is looked at in {wait_s} s"
        raise Problem(429, "too-many-attempts", detail, headers={"Retry-After": str(wait_s)})
