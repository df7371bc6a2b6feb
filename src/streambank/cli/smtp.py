"""The options that say which SMTP server e-mails go through."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter

from streambank.cli.errors import UsageError

if TYPE_CHECKING:
    from streambank.bank.notifications.settings import NotificationsSettings

PASSWORD_VARIABLE = "STREAMBANK_SMTP_PASSWORD"  # noqa: S105  the variable's name, not a password


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """Where e-mails go. Without --smtp-host: into the built-in mailbox.

    Attributes
    ----------
    smtp_host
        A real SMTP server to send e-mails through.
    smtp_port
        Its port: usually 587 with starttls, 465 with tls.
    smtp_tls
        starttls, tls from the first byte, or none.
    smtp_user
        The user to log in as; the password comes from the environment variable STREAMBANK_SMTP_PASSWORD, or from
        --smtp-password-file.
    smtp_password_file
        A file with the password.
    mail_from
        The address that e-mails come from; needed with --smtp-host.
    """

    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_tls: Literal["none", "starttls", "tls"] = "starttls"
    smtp_user: str | None = None
    smtp_password_file: Path | None = None
    mail_from: str | None = None

    def settings(self) -> NotificationsSettings | None:
        """The settings of the server; None for the built-in mailbox. Raises UsageError, SettingsError."""
        from streambank.bank.notifications.settings import NotificationsSettings

        if self.smtp_host is None:
            if self.smtp_user or self.smtp_password_file or self.mail_from:
                raise UsageError("--smtp-user, --smtp-password-file and --mail-from go with --smtp-host")
            return None
        if self.mail_from is None:
            raise UsageError("--smtp-host needs --mail-from, the address that e-mails come from")
        return NotificationsSettings(
            sender=self.mail_from,
            host=self.smtp_host,
            port=self.smtp_port,
            tls=self.smtp_tls,
            user=self.smtp_user,
            password=self._password() if self.smtp_user is not None else None,
        )

    def _password(self) -> str:
        if self.smtp_password_file is not None:
            try:
                return self.smtp_password_file.read_text("utf-8").strip()
            except OSError as error:
                raise UsageError(f"--smtp-password-file: {self.smtp_password_file}: {error.strerror}") from error
        password = os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise UsageError(f"--smtp-user needs a password: set {PASSWORD_VARIABLE}, or give --smtp-password-file")
        return password


SmtpOption: TypeAlias = Annotated[SmtpOptions, Parameter(name="*")]

BUILT_IN_MAILBOX = SmtpOptions()
