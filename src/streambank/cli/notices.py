"""The options that say how users are told what there is to tell them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

if TYPE_CHECKING:
    from streambank.bank.notifications.settings import NotificationsSettings


@dataclass(frozen=True, slots=True)
class NoticeOptions:
    """How users are told.

    Attributes
    ----------
    public_url
        Where people's browsers find the bank, such as https://bank.example: links in e-mails lead there. By default
        where this process answers.
    emails_per_hour
        How many e-mails a user gets in an hour, critical ones apart; what there is beyond that comes in one.
    local_webhooks
        Let webhooks lead to this machine, and there by http. For development only.
    """

    public_url: str | None = None
    emails_per_hour: int = 20
    local_webhooks: Annotated[bool, Parameter(negative="")] = False

    def settings(self, mail: NotificationsSettings, api_url: str, *, has_pages: bool) -> NotificationsSettings:
        """The settings of a process that answers at ``api_url``; it may have the pages for browsers, too.

        Raises:
            SettingsError: a value that cannot work.
        """
        mail = replace(mail, emails_per_hour_max=self.emails_per_hour, local_webhooks=self.local_webhooks)
        if self.public_url is not None:
            return replace(mail, public_url=self.public_url)
        if has_pages:
            return replace(mail, public_url=api_url)
        return replace(mail, unsubscribe_url=f"{api_url}/unsubscribe")


NoticeOption: TypeAlias = Annotated[NoticeOptions, Parameter(name="*")]

USUAL_NOTICES = NoticeOptions()
