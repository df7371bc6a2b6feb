"""Whom the service knows: keys, profiles and limits from the log, and what is left when somebody is erased."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import msgspec
import structlog
from iso4217 import Currency
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from streambank.bank.addresses import address_key
from streambank.bank.events import USER_PROFILE, PaymentLimit, UserKey, UserLimits, UserProfile
from streambank.bank.events.personal import SealError, seal, unseal
from streambank.bank.payments.models import PERSON, RECEIVING_ACCOUNT
from streambank.bank.payments.payees import Handle
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.zones import zone_of
from streambank.service.http.problems import Problem

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known, with the key of their personal data.

    ``limits`` are those that they have set; ``zone_changed_ms``: when they last moved to another time zone.
    """

    user_id: str
    key: bytes
    name: str | None
    timezone: ZoneInfo
    alias: str | None
    limits: tuple[PaymentLimit, ...]
    zone_changed_ms: int | None = None

    def sealed(self, text: str | None) -> str | None:
        """A text that only who has this user's key can read; None stays None."""
        return None if text is None else seal(self.key, self.user_id, text)

    def limit(self, currency: Currency, settings: PaymentsSettings) -> PaymentLimit:
        """The limits that hold for them: each their own in the currency, if they have set it, or else the service's."""
        default = settings.default_limit(currency)
        own = next((limit for limit in self.limits if limit.currency is currency), None)
        if own is None:
            return default
        told = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(default, **told)


_PERSON = select(PERSON).where(PERSON.c.user_id == bindparam("of_user"))


def known(connection: Connection, user_id: str | None) -> Person | None:
    """A user; None where they are not known, or were erased."""
    row = connection.execute(_PERSON, {"of_user": user_id}).one_or_none()
    return None if row is None or row.key is None else _person(row)


def known_among(connection: Connection, user_ids: Iterable[str | None]) -> dict[str, Person]:
    """Those of the users who are known, by their ids. For a page of rows, so at most some hundreds."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    found = select(PERSON).where(PERSON.c.user_id.in_(sorted(wanted)), PERSON.c.key.is_not(None))
    return {row.user_id: _person(row) for row in connection.execute(found)}


def _person(row: AnyRow) -> Person:
    return Person(
        user_id=row.user_id,
        key=bytes(row.key),
        name=row.name,
        timezone=zone_of(row.timezone or "UTC"),
        alias=row.alias,
        limits=() if row.limits is None else _LIMITS.decode(bytes(row.limits)),
        zone_changed_ms=row.zone_changed_at,
    )


def caller(connection: Connection, user_id: str) -> Person:
    """Who asks. Raises a problem while their key has not arrived yet, and when they were erased."""
    person = known(connection, user_id)
    if person is None:
        erased_at = connection.scalar(select(PERSON.c.erased_at).where(PERSON.c.user_id == user_id))
        if erased_at is not None:
            raise Problem(403, "user-erased", "the user was erased")
        raise Problem(
            503, "user-not-known-yet", "the user was created a moment ago: try again", headers={"Retry-After": "1"}
        )
    return person


def find(connection: Connection, handle: Handle) -> str | None:
    """Who has that alias, or has verified that address; the one who is known for longest, should there be two."""
    if handle.kind == "alias":
        condition = PERSON.c.alias_key == handle.key
    else:
        condition = (PERSON.c.address_key == handle.key) & PERSON.c.verified
    found = select(PERSON.c.user_id).where(condition, PERSON.c.key.is_not(None)).order_by(PERSON.c.user_id).limit(1)
    user_id: str | None = connection.scalar(found)
    return user_id


def verified_address_key(connection: Connection, user_id: str) -> str | None:
    """The key of the address that a user has verified."""
    key: str | None = connection.scalar(
        select(PERSON.c.address_key).where(PERSON.c.user_id == user_id, PERSON.c.verified)
    )
    return key


def learn_key(connection: Connection, user: UserKey, now_ms: int) -> bool:
    """A user's key has arrived. Who was erased stays so. Whether anything is new."""
    row = _made(connection, user.user_id)
    if row.erased_at is not None or (row.key is not None and bytes(row.key) == user.key):
        return False
    _set(connection, user.user_id, key=user.key)
    return _open_profile(connection, user.user_id, now_ms)


def learn_profile(connection: Connection, profile: UserProfile, now_ms: int) -> bool:
    """A user's profile has arrived; it may have to wait for the key. Whether the user can be read now."""
    if _made(connection, profile.user_id).erased_at is not None:
        return False
    _set(connection, profile.user_id, profile=USER_PROFILE.value.serialize(profile))
    return _open_profile(connection, profile.user_id, now_ms)


def forget_profile(connection: Connection, user_id: str) -> None:
    """A profile's tombstone."""
    _set(connection, user_id, **_NO_PROFILE)


def learn_limits(connection: Connection, limits: UserLimits) -> None:
    """A user's payment limits have arrived."""
    if _made(connection, limits.user_id).erased_at is None:
        _set(connection, limits.user_id, limits=msgspec.json.encode(limits.limits))


def forget_limits(connection: Connection, user_id: str) -> None:
    """The tombstone of a user's limits."""
    _set(connection, user_id, limits=None)


def forget(connection: Connection, user_id: str, now_ms: int) -> bool:
    """Delete what is known of a user but their id; False: that was done before."""
    if _made(connection, user_id).erased_at is not None:
        return False
    _set(connection, user_id, key=None, erased_at=now_ms, limits=None, alias=None, alias_key=None, **_NO_PROFILE)
    connection.execute(delete(RECEIVING_ACCOUNT).where(RECEIVING_ACCOUNT.c.user_id == user_id))
    return True


def set_alias(connection: Connection, user_id: str, alias: str | None, key: str | None) -> None:
    """Give a user an alias, or take it from them. The caller has seen that nobody else has it."""
    _set(connection, user_id, alias=alias, alias_key=key)


_LIMITS = msgspec.json.Decoder(tuple[PaymentLimit, ...])
_NO_PROFILE = {"profile": None, "address_key": None, "verified": False, "name": None, "timezone": None}


def _made(connection: Connection, user_id: str) -> AnyRow:
    row = connection.execute(_PERSON, {"of_user": user_id}).one_or_none()
    if row is None:
        connection.execute(insert(PERSON), {"user_id": user_id, "verified": False})
        row = connection.execute(_PERSON, {"of_user": user_id}).one()
    return row


def _set(connection: Connection, user_id: str, **values: object) -> None:
    connection.execute(update(PERSON).where(PERSON.c.user_id == user_id).values(**values))


def _open_profile(connection: Connection, user_id: str, now_ms: int) -> bool:
    row = connection.execute(_PERSON, {"of_user": user_id}).one()
    if row.key is None or row.profile is None:
        return False
    profile = USER_PROFILE.value.deserialize(bytes(row.profile))
    try:
        address = unseal(bytes(row.key), user_id, profile.email)
        name = unseal(bytes(row.key), user_id, profile.name)
    except SealError:
        # The key of another life of this profile: the one that fits is on its way.
        logger.warning("a profile cannot be opened with the user's key", user_id=user_id)
        return False
    has_moved = row.timezone is not None and row.timezone != profile.timezone
    _set(
        connection,
        user_id,
        address_key=None if address is None else address_key(address),
        verified=profile.email_verified,
        name=name,
        timezone=profile.timezone,
        zone_changed_at=now_ms if has_moved else row.zone_changed_at,
    )
    return True
