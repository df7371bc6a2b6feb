"""How users are to be reached: their profiles as the users service publishes them, and what became of their e-mails.

Methods work within the caller's transaction; texts are sealed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from streambank.bank.events import Digest, QuietHours, UserProfile
from streambank.bank.notifications.facts import MUTABLE, Category, Facts
from streambank.bank.notifications.models import RECIPIENT
from streambank.bank.notifications.scheduling import Window, Wishes
from streambank.service.tables import plain_text

REFUSALS_MAX = 3
"""How often an address refuses e-mails for good before it is left alone: once may be a server's bad day, and senders
that go on are taken for spammers."""

REFUSAL_FORGOTTEN_MS = 30 * 86_400_000
"""After so long without another, earlier refusals count no more. That a server takes an e-mail says nothing: ours may
be a relay, and the refusal comes back as a report."""

_NO_WISHES, _NO_EMAILS = Wishes(), Window()


@dataclass(frozen=True, slots=True)
class Recipient:
    """A user as far as is known. ``email`` None: the profile has not come; ``muted``: what they want no e-mails of."""

    user_id: str
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    is_verified: bool = False
    wishes: Wishes = _NO_WISHES
    address_since: int | None = None
    window: Window = _NO_EMAILS
    refusals: int = 0
    refused_at: int | None = None
    suppressed_at: int | None = None
    muted: frozenset[Category] = frozenset()
    version: int = 0

    def no_email(self, facts: Facts) -> str | None:
        """Why they get no e-mail of a notice with those facts; None: they do.

        That a profile has not come, or says that its address is not verified, is no reason: it is waited for.
        """
        if facts.category in self.muted:
            return f"the user wants no e-mails of {facts.category}"
        if self.suppressed_at is not None and not facts.is_critical:
            return "the address refused too many e-mails"
        return None


def find(connection: Connection, user_ids: Collection[str]) -> dict[str, Recipient]:
    """Those of them who are known, by id."""
    rows = connection.execute(_FIND, {"users": [plain_text(user_id) for user_id in user_ids]})
    return {row.user_id: recipient(row) for row in rows}


def one(connection: Connection, user_id: str) -> Recipient:
    """One of them, as far as is known."""
    user_id = plain_text(user_id)
    return find(connection, [user_id]).get(user_id) or Recipient(user_id)


def recipient(row: Row[Any]) -> Recipient:
    """A row of the table."""
    quiet = None if row.quiet_from is None else QuietHours(from_minute=row.quiet_from, to_minute=row.quiet_to)
    return Recipient(
        user_id=row.user_id,
        email=row.email,
        name=row.name,
        locale=row.locale or "en",
        is_verified=bool(row.is_verified),
        wishes=Wishes(row.timezone or "UTC", quiet, Digest(row.digest or Digest.NONE.value)),
        address_since=row.address_since,
        window=Window(row.window_started_at, row.window_count),
        refusals=row.refusals,
        refused_at=row.refused_at,
        suppressed_at=row.suppressed_at,
        muted=frozenset(Category(name) for name in row.muted.split(",") if name),
        version=row.version,
    )


def keep_profiles(connection: Connection, profiles: Iterable[UserProfile]) -> None:
    """Remember profiles, the last of each user. Another address has refused nothing yet."""
    latest = {plain_text(profile.user_id): profile for profile in profiles}
    known = find(connection, latest)
    for user_id, profile in latest.items():
        before = known.get(user_id) or _added(connection, user_id)
        after = replace(
            before,
            email=plain_text(profile.email),
            name=plain_text(profile.name),
            locale=plain_text(profile.locale),
            is_verified=profile.email_verified,
            wishes=Wishes(plain_text(profile.timezone), profile.quiet_hours, profile.digest),
        )
        # Equal addresses of one user are sealed alike.
        if after.email != before.email:
            after = replace(after, address_since=profile.timestamp, refusals=0, refused_at=None, suppressed_at=None)
        if after != before:
            _store(connection, after)


def refused(connection: Connection, user_id: str, now_ms: int) -> bool:
    """The address refused an e-mail for good; whether that was once too often."""
    found = find(connection, [user_id]).get(plain_text(user_id))
    if found is None or found.suppressed_at is not None:
        return False
    is_recent = found.refused_at is not None and now_ms - found.refused_at < REFUSAL_FORGOTTEN_MS
    refusals = found.refusals + 1 if is_recent else 1
    suppressed_at = now_ms if refusals >= REFUSALS_MAX else None
    _store(connection, replace(found, refusals=refusals, refused_at=now_ms, suppressed_at=suppressed_at))
    return suppressed_at is not None


def count_emails(connection: Connection, windows: Mapping[str, Window]) -> None:
    """Store how many e-mails users got in this hour."""
    if windows:
        rows = [{"of_user": u, "started": w.started_at, "counted": w.count} for u, w in windows.items()]
        connection.execute(_COUNT, rows)


def mute(connection: Connection, user_id: str, muted: Iterable[Category]) -> Recipient:
    """Send a user no e-mails of just these categories; how they are reached from now on."""
    user_id = plain_text(user_id)
    before = find(connection, [user_id]).get(user_id) or _added(connection, user_id)
    wanted = frozenset(muted) & frozenset(MUTABLE)
    if wanted == before.muted and before.version:
        return before
    after = replace(before, muted=wanted, version=before.version + 1)
    _store(connection, after)
    return after


def forget(connection: Connection, user_ids: Collection[str]) -> None:
    """Delete what is known of erased users."""
    connection.execute(delete(RECIPIENT).where(RECIPIENT.c.user_id.in_([plain_text(u) for u in user_ids])))


def _added(connection: Connection, user_id: str) -> Recipient:
    new = Recipient(user_id)
    connection.execute(insert(RECIPIENT), {"user_id": user_id, **_columns(new)})
    return new


def _store(connection: Connection, known: Recipient) -> None:
    connection.execute(update(RECIPIENT).where(RECIPIENT.c.user_id == known.user_id).values(_columns(known)))


def _columns(known: Recipient) -> dict[str, object]:
    quiet, has_profile = known.wishes.quiet_hours, known.email is not None
    return {
        "email": known.email,
        "name": known.name,
        "locale": known.locale if has_profile else None,
        "timezone": known.wishes.timezone if has_profile else None,
        "is_verified": known.is_verified if has_profile else None,
        "quiet_from": quiet.from_minute if quiet is not None else None,
        "quiet_to": quiet.to_minute if quiet is not None else None,
        "digest": known.wishes.digest.value if has_profile else None,
        "address_since": known.address_since,
        "window_started_at": known.window.started_at,
        "window_count": known.window.count,
        "refusals": known.refusals,
        "refused_at": known.refused_at,
        "suppressed_at": known.suppressed_at,
        "muted": ",".join(sorted(known.muted)),
        "version": known.version,
    }


# Built once: to build them costs more than to execute them, and each alert passes through these.
_FIND = select(RECIPIENT).where(RECIPIENT.c.user_id.in_(bindparam("users", expanding=True)))
_COUNT = (
    update(RECIPIENT)
    .where(RECIPIENT.c.user_id == bindparam("of_user"))
    .values(window_started_at=bindparam("started"), window_count=bindparam("counted"))
)
