"""From a row of the sent-log to the e-mail: decodes what it was sent for, opens what is sealed, and forms it."""

import structlog

from streambank.bank.addresses import AddressError
from streambank.bank.events import ALERT_NOTIFICATION, MAIL_REQUESTED
from streambank.bank.notifications.email import form_email
from streambank.bank.notifications.errors import KeyMissingError, UnformableError
from streambank.bank.notifications.message import FormedEmail
from streambank.bank.notifications.repository import Claim
from streambank.bank.notifications.requested import form_requested
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.unsealing import unsealed_alert, unsealed_request
from streambank.errors import check

logger = structlog.get_logger(__name__)


def form(claim: Claim, settings: NotificationsSettings, now_ms: int) -> FormedEmail:
    """The e-mail of a claim. It is dated by when its cause came in, so that a repeat is the same to the byte.

    Raises:
        AddressError: the recipient's address is malformed.
        KeyMissingError: it is sealed, and the key has not come.
        UnformableError: it cannot be sent for another reason.
    """
    check(claim.record.value is not None, "an e-mail that is not settled keeps what it was sent for")
    raw = claim.record.value or b""
    try:
        if claim.record.topic == MAIL_REQUESTED.name:
            request = unsealed_request(MAIL_REQUESTED.value.deserialize(raw), claim.key)
            return form_requested(request, settings, claim.received_at, now_ms)
        notification = unsealed_alert(ALERT_NOTIFICATION.value.deserialize(raw), claim.key)
        return form_email(notification, settings, claim.received_at)
    except (AddressError, KeyMissingError, UnformableError):
        raise
    except Exception as error:
        # Whatever is odd about one e-mail, it must not stop the others; the dead letter keeps it for whoever looks.
        # The text of what was raised may hold what is personal.
        logger.error("an e-mail could not be formed", cause_id=claim.cause_id, error=type(error).__name__)
        raise UnformableError(f"the e-mail could not be formed: {type(error).__name__}") from error
