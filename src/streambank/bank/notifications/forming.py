"""From a row of the sent-log to the e-mail: decodes what it was sent for, opens what is sealed, and forms it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streambank.bank.addresses import AddressError
from streambank.bank.events import AlertNotification, MailRequested
from streambank.bank.notifications.email import form_digest, form_notice
from streambank.bank.notifications.errors import KeyMissingError, NotWantedError, UnformableError
from streambank.bank.notifications.inbox import DIGEST
from streambank.bank.notifications.message import FormedEmail
from streambank.bank.notifications.notices import SOURCES, Notice, notices_of
from streambank.bank.notifications.repository import Claim
from streambank.bank.notifications.requested import form_requested
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.unsealing import addressee_of, addressee_of_alert, unsealed_request
from streambank.errors import check
from streambank.service.tables import plain_text

logger = structlog.get_logger(__name__)

_DECODE: dict[str, Callable[[bytes], Any]] = {topic.name: topic.value.deserialize for topic in SOURCES}


@dataclass(frozen=True, slots=True)
class Formed:
    """An e-mail, and the notices that it tells of; none where a service asked for it."""

    email: FormedEmail
    notices: Sequence[Notice] = ()


def form(claim: Claim, settings: NotificationsSettings, now_ms: int) -> Formed:
    """The e-mail of a claim. It is dated by when its cause came in, so that a repeat is the same to the byte.

    Raises:
        AddressError: the recipient's address is malformed.
        KeyMissingError: it is sealed and the key has not come, or the profile with the address has not, or
            that address is not verified. That of an alert is: only then are there any.
        NotWantedError: it is not to be sent any more.
        UnformableError: it cannot be sent for another reason.
    """
    check(claim.record.value is not None, "an e-mail that is not settled keeps what it was sent for")
    try:
        if claim.record.topic == DIGEST:
            return _digest(claim, settings)
        event = _DECODE[claim.record.topic](claim.record.value or b"")
        if isinstance(event, MailRequested):
            request = unsealed_request(event, claim.key)
            return Formed(form_requested(request, settings, claim.received_at, now_ms))
        return _notice(claim, event, settings)
    except (AddressError, KeyMissingError, NotWantedError, UnformableError):
        raise
    except Exception as error:
        # Whatever is odd about one e-mail, it must not stop the others; the dead letter keeps it for whoever looks.
        # The text of what was raised may hold what is personal.
        logger.error("an e-mail could not be formed", cause_id=claim.cause_id, error=type(error).__name__)
        raise UnformableError(f"the e-mail could not be formed: {type(error).__name__}") from error


def _notice(claim: Claim, event: object, settings: NotificationsSettings) -> Formed:
    [notice] = [notice for notice in notices_of(event) if plain_text(notice.cause_id) == claim.cause_id]
    if (reason := claim.recipient.no_email(notice.facts)) is not None:
        raise NotWantedError(reason)
    if isinstance(event, AlertNotification):
        to = addressee_of_alert(event, claim.key)
    else:
        to = addressee_of(notice.user_id, claim.recipient, notice.cause_id, claim.key)
    return Formed(form_notice(notice, to, settings, claim.received_at, claim.key), (notice,))


def _digest(claim: Claim, settings: NotificationsSettings) -> Formed:
    to = addressee_of(claim.user_id, claim.recipient, claim.cause_id, claim.key)
    wanted = [notice for notice in claim.notices if claim.recipient.no_email(notice.facts) is None]
    if not wanted:
        raise NotWantedError("the user wants none of the notices in it any more")
    return Formed(form_digest(claim.cause_id, wanted, to, settings, claim.received_at, claim.key), wanted)
