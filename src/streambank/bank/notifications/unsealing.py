"""Opens what is personal in the facts that texts are made of, at the moment that one is made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import structlog

from streambank.bank.events import AlertNotification, MailRequested
from streambank.bank.events.personal import SealError, unseal
from streambank.bank.notifications.errors import KeyMissingError, UnformableError
from streambank.bank.notifications.recipients import Recipient
from streambank.bank.notifications.repository import KEY_MISSING, PROFILE_MISSING, UNVERIFIED

logger = structlog.get_logger(__name__)

Open: TypeAlias = Callable[[str, str | None], str]
"""The readable text of a field of that name; empty where there is none, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom an e-mail goes to, readable."""

    user_id: str
    email: str
    name: str
    locale: str
    timezone: str


def opener(user_id: str, cause_id: str, key: bytes | None) -> Open:
    """Opens the fields of one notice. What cannot be read is left out, with a warning: a text without it beats none.

    What it returns raises KeyMissingError where something is sealed and ``key`` is None.
    """

    def opened(field: str, text: str | None) -> str:
        if text is None:
            return ""
        try:
            return _required(user_id, key, field, text)
        except UnformableError:
            logger.warning("left out of a notice: sealed with another key, or damaged", cause_id=cause_id, field=field)
            return ""

    return opened


def addressee_of_alert(notification: AlertNotification, key: bytes | None) -> Addressee:
    """Whom an alert goes to, as it says itself.

    Raises:
        KeyMissingError: something is sealed, and ``key`` is None.
        UnformableError: the address cannot be read.
    """
    user_id = notification.user_id
    return Addressee(
        user_id,
        _required(user_id, key, "address", notification.email),
        opener(user_id, notification.alert_id, key)("name", notification.name),
        notification.locale,
        notification.timezone,
    )


def addressee_of(user_id: str, recipient: Recipient, cause_id: str, key: bytes | None) -> Addressee:
    """Whom another notice goes to, as their profile says.

    Raises:
        KeyMissingError: there is no profile yet, no key for it, or its address is not verified.
        UnformableError: the address cannot be read.
    """
    if recipient.email is None:
        raise KeyMissingError(PROFILE_MISSING)
    if not recipient.is_verified:
        raise KeyMissingError(UNVERIFIED)
    return Addressee(
        user_id,
        _required(user_id, key, "address", recipient.email),
        opener(user_id, cause_id, key)("name", recipient.name),
        recipient.locale,
        recipient.wishes.timezone,
    )


def unsealed_request(request: MailRequested, key: bytes | None) -> MailRequested:
    """The request with its personal data readable; a name that cannot be read is left out, with a warning.

    Raises:
        KeyMissingError: something is sealed, and ``key`` is None.
        UnformableError: the address or the token cannot be read.
    """
    user_id, token = request.user_id, request.token
    return msgspec.structs.replace(
        request,
        email=_required(user_id, key, "address", request.email),
        name=opener(user_id, request.event_id, key)("name", request.name),
        token=None if token is None else _required(user_id, key, "token", token),
    )


def _required(user_id: str, key: bytes | None, what: str, text: str) -> str:
    try:
        opened = unseal(key, user_id, text)
    except SealError as error:
        raise UnformableError(f"the {what} cannot be read: it is sealed with another key, or damaged") from error
    if opened is None:
        raise KeyMissingError(KEY_MISSING)
    return opened
