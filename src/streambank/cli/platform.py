"""Everything in one process: the embedded log, the topologies, the notifications service and the mailbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from streambank.bank.events import TOPICS
from streambank.bank.mailbox import MailboxServer, read_or_create_secret
from streambank.bank.notifications import DATABASE, NotificationsService, NotificationsSettings, SmtpMailer
from streambank.bank.topologies import alerts, balances
from streambank.cli.folder import DataFolder
from streambank.cli.roles import FunctionRole, TopologyRole
from streambank.cli.running import RunningLock
from streambank.cli.supervisor import Role, supervise
from streambank.log import open_log
from streambank.service.database import Database
from streambank.streams import OnRestore

SENDER = "alerts@streambank.example"


class Platform:
    """The running bank. Made whole or not at all; a context manager that closes it."""

    def __init__(
        self,
        folder: DataFolder,
        command: str,
        *,
        smtp: NotificationsSettings | None,
        mailbox_port: int,
        mailbox_smtp_port: int,
        on_restore: OnRestore | None = None,
    ) -> None:
        """Take the folder and open everything; with ``smtp`` e-mails go there, else to the built-in mailbox.

        Raises:
            CommandError: another process runs on the folder.
            StreambankError: a port is taken, or a file cannot be used.
        """
        folder.create()
        self.folder = folder
        with ExitStack() as stack:
            lock = stack.enter_context(RunningLock(folder, command))
            self.log = open_log(folder.log)
            stack.callback(self.log.close)
            self.log.create_topics(topic.config for topic in TOPICS)
            self.mailbox: MailboxServer | None = None
            if smtp is None:
                secret = read_or_create_secret(folder.mailbox_secret)
                self.mailbox = MailboxServer(
                    folder.mailbox, secret=secret, http_port=mailbox_port, smtp_port=mailbox_smtp_port
                )
                stack.callback(self.mailbox.close)
                self.mailbox.start()
                lock.tell_mailbox(self.mailbox.login_url)
                smtp = NotificationsSettings(
                    sender=SENDER, port=self.mailbox.smtp_port, user="streambank", password=secret
                )
            self.smtp = smtp
            database = Database.open(folder.notifications, *DATABASE)
            stack.callback(database.close)
            service = NotificationsService(self.log, database, SmtpMailer(smtp), smtp)
            self._roles: list[Role] = [
                TopologyRole("balances", balances.build, self.log, on_restore=on_restore),
                TopologyRole("alerts", alerts.build, self.log, on_restore=on_restore),
                FunctionRole("notifications", service.run),
            ]
            self._resources = stack.pop_all()

    @property
    def mailbox_url(self) -> str | None:
        """The mailbox's page, with the token that lets one in; None where e-mails go to a real server."""
        return self.mailbox.login_url if self.mailbox is not None else None

    def run(self, stop: threading.Event, tick: Callable[[], None], more: Sequence[Role] = ()) -> None:
        """Run until ``stop`` is set. Raises what :func:`supervise` raises."""
        supervise(stop, [*self._roles, *more], tick)

    def close(self) -> None:
        """Close everything, in the opposite order. A thread that was left behind ends with the process."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
