"""Opens what is personal in the events that e-mails are made of, at the moment that one is made of it."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec
import structlog

from streambank.bank.events import AlertNotification, MailRequested
from streambank.bank.events.personal import SealError, unseal
from streambank.bank.notifications.errors import KeyMissingError, UnformableError
from streambank.bank.notifications.repository import KEY_MISSING

logger = structlog.get_logger(__name__)

_Open: TypeAlias = Callable[[str, str | None], str | None]


def unsealed_alert(notification: AlertNotification, key: bytes | None) -> AlertNotification:
    """The alert with its personal data readable.

    A name or a note that cannot be read is left out, with a warning: the alert without it is better than none.

    Raises:
        KeyMissingError: something is sealed, and ``key`` is None.
        UnformableError: the address cannot be read.
    """
    replace, alert, entry = msgspec.structs.replace, notification.alert, notification.alert.entry
    open_ = _opener(notification.user_id, notification.alert_id, key)
    return replace(
        notification,
        email=_required(notification.user_id, key, "address", notification.email),
        name=open_("name", notification.name) or "",
        alert=replace(
            alert,
            account_name=open_("account_name", alert.account_name),
            entry=replace(
                entry,
                counterparty=open_("counterparty", entry.counterparty),
                remittance=open_("remittance", entry.remittance),
            ),
        ),
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
        name=_opener(user_id, request.event_id, key)("name", request.name) or "",
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


def _opener(user_id: str, cause_id: str, key: bytes | None) -> _Open:
    def opened(field: str, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            return _required(user_id, key, field, text)
        except UnformableError:
            logger.warning("left out of an e-mail: sealed with another key, or damaged", cause_id=cause_id, field=field)
            return None

    return opened
