"""The notifications service: each alert becomes one e-mail, and what was sent to whom is on record."""

from streambank.bank.notifications.email import unsubscribe_token
from streambank.bank.notifications.mailer import Mailer, SmtpMailer
from streambank.bank.notifications.models import DATABASE
from streambank.bank.notifications.service import GROUP, NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings, SettingsError

__all__ = [
    "DATABASE",
    "GROUP",
    "Mailer",
    "NotificationsService",
    "NotificationsSettings",
    "SettingsError",
    "SmtpMailer",
    "unsubscribe_token",
]
