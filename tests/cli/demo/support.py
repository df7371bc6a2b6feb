"""The whole bank in this process, as the demo runs it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bank.users.support import CHEAP

from streambank.bank.users.settings import UsersSettings
from streambank.cli.demo.mail import BuiltInMailbox
from streambank.cli.folder import DataFolder
from streambank.cli.platform import Platform
from streambank.cli.services import ServicesSettings
from streambank.log import EventLog
from streambank.service.http.rate_limits import RatePolicy

SETTINGS = ServicesSettings(
    users=UsersSettings(password_parameters=CHEAP), anonymous=RatePolicy("anonymous", 1_000_000, 60)
)


@dataclass(frozen=True)
class Bank:
    """A running bank."""

    url: str
    log: EventLog
    find_code: BuiltInMailbox


@contextmanager
def running_platform(folder: Path) -> Iterator[Bank]:
    """All of its parts, on free ports, in threads."""
    with Platform(DataFolder(folder), "test", services=SETTINGS) as platform:
        stop, failures = threading.Event(), []

        def run() -> None:
            try:
                platform.run(stop, lambda: None)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert platform.services is not None
        find_code = BuiltInMailbox(platform.folder.mailbox)
        try:
            yield Bank(platform.services.server.url, platform.log, find_code)
        finally:
            find_code.close()
            stop.set()
            thread.join()
    assert failures == []
