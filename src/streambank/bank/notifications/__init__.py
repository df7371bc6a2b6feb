"""The notifications service: what users are told, once, by inbox, e-mail and webhook."""

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
]
