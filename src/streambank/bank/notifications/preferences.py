"""Of what users get e-mails: as they say, by a link in an e-mail, and by their mail server's reports."""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from streambank.bank.notifications import recipients, repository
from streambank.bank.notifications.bounces import parse_report
from streambank.bank.notifications.context import Context
from streambank.bank.notifications.facts import MUTABLE, Category
from streambank.bank.notifications.links import marked_by, unsubscribed_by
from streambank.bank.notifications.recipients import Recipient
from streambank.bank.notifications.schemas import ChangeSettings, EmailSettings, QuietHoursView, SettingsView
from streambank.clock import to_datetime
from streambank.service.http.answers import Answer, check_version, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reported:
    """Which e-mail did not arrive, by its cause, and whether its address is no good, for good."""

    cause_id: str
    is_permanent: bool


class Preferences:
    """The use cases."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, connection: Connection, caller: Caller) -> Answer:
        """How the caller is told."""
        found = self._context.recipient(connection, caller.user_id)
        return ok(view(found), version=found.version)

    def change(self, connection: Connection, caller: Caller, body: ChangeSettings, expected: int | None) -> Answer:
        """Of what the caller wants e-mails."""
        check_version(self._context.recipient(connection, caller.user_id).version, expected)
        wanted = body.email.model_dump()
        changed = recipients.mute(connection, caller.user_id, [each for each in MUTABLE if not wanted[each]])
        return ok(view(changed), version=changed.version)

    def link(self, connection: Connection, token: str) -> tuple[Recipient, Category]:
        """Whose e-mails the link in an e-mail ends, and of what.

        Raises:
            Problem: 400, the link is none of ours.
        """
        found = unsubscribed_by(self._context.link_key, token)
        if found is None:
            raise Problem(400, "bad-token", "this link is not one that we sent: follow the one in the e-mail itself")
        user_id, category = found
        return recipients.one(connection, user_id), category

    def unsubscribe(self, connection: Connection, token: str) -> tuple[Recipient, Category]:
        """End them; for who was erased there is nothing to end. Raises what :meth:`link` raises."""
        known, category = self.link(connection, token)
        if not repository.erased_among(connection, [known.user_id]):
            known = recipients.mute(connection, known.user_id, known.muted | {category})
            logger.info("unsubscribed by a link", user_id=known.user_id, category=category.value)
        return known, category

    def reported(self, raw: bytes) -> Reported:
        """What a mail server's report says. It may take a moment, and needs no database.

        Raises:
            Problem: 422, it is no report, or not about an e-mail of ours.
        """
        bounce = parse_report(raw)
        cause_id = marked_by(self._context.link_key, bounce.mark) if bounce is not None else None
        if bounce is None or cause_id is None:
            raise Problem(422, "not-a-report", "this is no report (RFC 3464) about an e-mail that was sent from here")
        return Reported(cause_id, bounce.is_permanent)

    def bounced(self, connection: Connection, reported: Reported) -> Answer:
        """An e-mail did not arrive. What a report is about counts once."""
        now = self._context.clock()
        if reported.is_permanent and (found := repository.bounced(connection, reported.cause_id, now)) is not None:
            user_id, sent_at = found
            known = recipients.find(connection, [user_id]).get(user_id)
            # One that was sent to the address before says nothing of this one.
            is_present = known is not None and (known.address_since is None or known.address_since <= sent_at)
            if is_present and recipients.refused(connection, user_id, now):
                logger.warning("an address is left alone: too many e-mails bounced", user_id=user_id)
        return no_content()


def view(known: Recipient) -> SettingsView:
    """How a user is told, as they see it."""
    quiet = known.wishes.quiet_hours
    return SettingsView(
        email=EmailSettings(**{each.value: each not in known.muted for each in MUTABLE}),
        refusals=known.refusals,
        email_stopped_at=to_datetime(known.suppressed_at) if known.suppressed_at is not None else None,
        email_verified=known.is_verified,
        timezone=known.wishes.timezone,
        quiet_hours=QuietHoursView(from_minute=quiet.from_minute, to_minute=quiet.to_minute) if quiet else None,
        digest=known.wishes.digest,
        version=known.version,
    )
