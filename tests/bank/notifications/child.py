"""A process that forks a notifications service for each line it reads: a life costs no imports, and can be killed.

Arguments: the data folder, the SMTP port, the secret, the database's URL, how many times faster than ours its clock
goes, and how many e-mails a user gets in an hour of that. It prints each service's process id, and when it died.
"""

import logging
import os
import sys
import threading
from pathlib import Path

import structlog
from tests.bank.notifications.support import SETTINGS, form_email, notification, request

from streambank.bank.notifications.mailer import SmtpMailer
from streambank.bank.notifications.models import DATABASE
from streambank.bank.notifications.requested import form_requested
from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.clock import Clock, system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.service.backoff import Backoff
from streambank.service.database import Database


def live(folder: Path, port: int, secret: str, database_url: str, clock: Clock, emails_max: int) -> None:
    """Run a service until it is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = NotificationsSettings(
        sender="alerts@streambank.example",
        port=port,
        user="notifications",
        password=secret,
        server_backoff=Backoff(first_ms=20, most_ms=100),
        emails_per_hour_max=emails_max,
    )
    log = EmbeddedLog.open(folder / "log")
    database = Database.open(database_url, *DATABASE)
    NotificationsService(log, database, SmtpMailer(settings), settings, clock=clock).run(threading.Event())


def warm_up(folder: Path, database_url: str) -> None:
    """Load what a service loads when it first needs it, so that a forked one is at work at once."""
    form_email(notification(), SETTINGS, 0)
    form_requested(request(), SETTINGS, 0, 0)
    EmbeddedLog.open(folder / "log").close()
    Database.open(database_url, *DATABASE).close()


def main(folder: str, port: str, secret: str, database_url: str, speed: str, emails_max: str) -> None:
    """Fork a service per line of input, one after another."""
    warm_up(Path(folder), database_url)
    began = system_clock()

    def clock() -> int:
        return began + (system_clock() - began) * int(speed)

    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                live(Path(folder), int(port), secret, database_url, clock, int(emails_max))
            finally:
                os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
