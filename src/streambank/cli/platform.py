"""One process of the bank, or all of it: topologies, services and the mailbox, on one event log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streambank.bank.events import TOPICS
from streambank.bank.mailbox import MailboxServer, read_or_create_secret
from streambank.bank.topologies import alerts, balances, figures, goals, screening
from streambank.cli.folder import DataFolder
from streambank.cli.notices import USUAL_NOTICES, NoticeOptions
from streambank.cli.roles import TopologyRole
from streambank.cli.running import RunningLock
from streambank.cli.supervisor import GRACE_S, Role, supervise
from streambank.errors import check
from streambank.log import open_log
from streambank.streams import OnRestore

if TYPE_CHECKING:
    from streambank.bank.notifications.settings import NotificationsSettings
    from streambank.cli.services import Services, ServicesSettings

SENDER = "alerts@streambank.example"

TOPOLOGIES = {
    "balances": balances.build,
    "alerts": alerts.build,
    "goals": goals.build,
    "screening": screening.build,
    "figures": figures.build,
}
NOTIFICATIONS = "notifications"
SERVICES = ("users", "transactions", "personalization", "payments", "views", NOTIFICATIONS)
"""Those that answer over HTTP: :data:`streambank.cli.services.SERVICES`, which takes long to import."""

ROLES = (*SERVICES, *TOPOLOGIES)

COMMIT_INTERVALS_MS = {"goals": 50, "figures": 200}
"""What nobody waits for lets records gather, and leaves the log to what somebody does. Each topic on the way adds as
much again: a mark is told within a fifth of a second."""

KAFKA_GRACE_S = 5.0
"""How long stopping waits on Kafka: a member tells the brokers that it leaves, or else its partitions lie idle for the
rest of its session."""


class Platform:
    """The running bank. Made whole or not at all; a context manager that closes it."""

    def __init__(
        self,
        folder: DataFolder,
        command: str,
        *,
        roles: Sequence[str] = ROLES,
        threads: int = 1,
        database_url: str | None = None,
        smtp: NotificationsSettings | None = None,
        notices: NoticeOptions = USUAL_NOTICES,
        mailbox_port: int = 0,
        mailbox_smtp_port: int = 0,
        api_port: int = 0,
        services: ServicesSettings | None = None,
        on_restore: OnRestore | None = None,
    ) -> None:
        """Open what the ``roles`` need; with ``smtp`` e-mails go there, else to the built-in mailbox.

        Topologies run in so many ``threads`` each. The services' API is on ``api_port``, and ``services`` says how they
        are set up, but for their e-mails. Notifications take the folder for themselves: the mailbox is there, and
        without a ``database_url`` the database.

        Raises:
            CommandError: another process has taken the folder.
            StreambankError: a port is taken, or a file or a database cannot be used.
        """
        folder.create()
        self.folder, self.smtp, self._notices, self._database_url = folder, smtp, notices, database_url
        self.mailbox: MailboxServer | None = None
        self.services: Services | None = None
        self._grace_s = GRACE_S if folder.log_url is None else KAFKA_GRACE_S
        with ExitStack() as stack:
            lock = stack.enter_context(RunningLock(folder, command)) if NOTIFICATIONS in roles else None
            self.log = open_log(folder.log)
            stack.callback(self.log.close)
            self.log.create_topics(topic.config for topic in TOPICS)
            self._roles: list[Role] = [
                TopologyRole(
                    name, build, self.log, on_restore=on_restore, commit_interval_ms=COMMIT_INTERVALS_MS.get(name, 0)
                )
                for name, build in TOPOLOGIES.items()
                if name in roles
                for _ in range(threads)
            ]
            if lock is not None:
                self.smtp = smtp or self._start_mailbox(stack, lock, mailbox_port, mailbox_smtp_port)
            if names := [name for name in SERVICES if name in roles]:
                self.services = self._start_services(stack, names, api_port, services)
                self._roles += self.services.roles
            self._resources = stack.pop_all()

    def _start_services(
        self, stack: ExitStack, names: Sequence[str], port: int, settings: ServicesSettings | None
    ) -> Services:
        # Here, since FastAPI takes a third of a second to import and topologies do not need it.
        from streambank.cli.services import Services, ServicesSettings

        def mail(api_url: str) -> NotificationsSettings:
            check(self.smtp is not None, "whoever sends e-mails knows where to")
            return self._notices.settings(self.smtp, api_url, has_pages="users" in names)  # type: ignore[arg-type]

        settings = replace(settings or ServicesSettings(), mail=mail)
        grace_s = self._grace_s / 2
        return Services(
            names, self.log, self.folder, self._database_url, stack, port=port, grace_s=grace_s, settings=settings
        )

    def _start_mailbox(
        self, stack: ExitStack, lock: RunningLock, http_port: int, smtp_port: int
    ) -> NotificationsSettings:
        """Start the built-in mailbox; how to send e-mails to it."""
        from streambank.bank.notifications.settings import NotificationsSettings

        secret = read_or_create_secret(self.folder.mailbox_secret)
        self.mailbox = MailboxServer(self.folder.mailbox, secret=secret, http_port=http_port, smtp_port=smtp_port)
        stack.callback(self.mailbox.close)
        self.mailbox.start()
        lock.tell_mailbox(self.mailbox.login_url)
        return NotificationsSettings(sender=SENDER, port=self.mailbox.smtp_port, user="streambank", password=secret)

    @property
    def mailbox_url(self) -> str | None:
        """The mailbox's page, with the token that lets one in; None where e-mails go to a real server."""
        return self.mailbox.login_url if self.mailbox is not None else None

    def run(self, stop: threading.Event, tick: Callable[[], None], more: Sequence[Role] = ()) -> None:
        """Run until ``stop`` is set. Raises what :func:`supervise` raises."""
        supervise(stop, [*self._roles, *more], tick, grace_s=self._grace_s)

    def close(self) -> None:
        """Close everything, in the opposite order. A thread that was left behind ends with the process."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
