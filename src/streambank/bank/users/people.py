"""A person as the service knows them, and the queries about them. Each works within the caller's transaction."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from streambank.bank.addresses import address_key
from streambank.bank.users.models import PERSON
from streambank.service.http import idempotency
from streambank.service.http.problems import conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who signed up. Times are ms since the epoch; ``version`` counts changes."""

    user_id: str
    email: str
    email_verified_at: int | None
    name: str
    locale: str
    timezone: str
    quiet_from_minute: int | None = None
    quiet_to_minute: int | None = None
    digest: str = "none"
    password_hash: str = field(repr=False)
    password_changed_at: int
    personal_key: bytes = field(repr=False)
    version: int = 1
    created_at: int
    updated_at: int

    @property
    def is_verified(self) -> bool:
        """Whether it is known that they read what is sent to their address."""
        return self.email_verified_at is not None


def add_person(connection: Connection, person: Person) -> bool:
    """Store somebody new; False, and nothing stored, where the address is taken."""
    try:
        # A savepoint: on PostgreSQL two that sign up at once are both past the look whether the address is known.
        with connection.begin_nested():
            connection.execute(insert(PERSON).values(**asdict(person), email_key=address_key(person.email)))
    except IntegrityError:
        return False
    return True


def person_by_id(connection: Connection, user_id: str) -> Person | None:
    """The person with that id."""
    return _person(connection.execute(select(PERSON).where(PERSON.c.user_id == user_id)).one_or_none())


def person_by_email(connection: Connection, email: str) -> Person | None:
    """The person with that address, however it is written."""
    by_email = select(PERSON).where(PERSON.c.email_key == address_key(email))
    return _person(connection.execute(by_email).one_or_none())


def change_person(connection: Connection, person: Person, now_ms: int, **changes: Any) -> Person:
    """Store changes of ``person``; the person as they are then.

    Raises:
        Problem: 409, where another process changed them meanwhile.
    """
    values = {**changes, "version": person.version + 1, "updated_at": now_ms}
    more = {"email_key": address_key(changes["email"])} if "email" in changes else {}
    unchanged = (PERSON.c.user_id == person.user_id) & (PERSON.c.version == person.version)
    changed = connection.execute(update(PERSON).where(unchanged).values(**values, **more).returning(PERSON))
    after = _person(changed.one_or_none())
    if after is None:
        raise conflict("changed-meanwhile", "it was changed at the same time from elsewhere: try again")
    return after


def store_new_hash(connection: Connection, person: Person, password_hash: str) -> None:
    """Store another hash of the same password: that is no change anybody sees."""
    same = (PERSON.c.user_id == person.user_id) & (PERSON.c.password_hash == person.password_hash)
    connection.execute(update(PERSON).where(same).values(password_hash=password_hash))


def delete_person(connection: Connection, user_id: str) -> None:
    """Delete a person, and with them all that the database holds of theirs: their answered requests too."""
    connection.execute(delete(PERSON).where(PERSON.c.user_id == user_id))
    idempotency.forget(connection, user_id)


_FIELDS = tuple(field.name for field in fields(Person))


def _person(row: Row[Any] | None) -> Person | None:
    return None if row is None else Person(**{name: getattr(row, name) for name in _FIELDS})
