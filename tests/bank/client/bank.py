"""The bank as it is, over HTTP on a free port, on a log in memory; payments are not screened."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import all_services, answering

from streambank.bank.client import Client, Password
from streambank.bank.events import MAIL_REQUESTED, TOPICS, USER_KEY
from streambank.bank.events.personal import unseal
from streambank.bank.reading import latest
from streambank.bank.users.schemas import SignUp
from streambank.cli.platform import TOPOLOGIES
from streambank.cli.roles import TopologyRole
from streambank.clock import system_clock
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.http.server import HttpServer

PASSWORD = "green apples on a hill"
MAIL_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Bank:
    """A running bank."""

    log: EventLog
    url: str

    def client(self, email: str | None = None) -> Client:
        return Client(self.url, Password(email, PASSWORD) if email is not None else None)

    def sign_up(self, email: str, name: str) -> None:
        """Sign somebody up and answer the mail."""
        with self.client() as client:
            client.users.sign_up(SignUp(email=email, password=PASSWORD, name=name))
            client.users.verify(self.mailed_token(email))

    def mailed_token(self, email: str) -> str:
        """What is in the mail to an address, once it was asked for."""
        deadline = time.monotonic() + MAIL_TIMEOUT_S
        while time.monotonic() < deadline:
            keys = latest(self.log, USER_KEY)
            mails = sorted(latest(self.log, MAIL_REQUESTED).values(), key=lambda mail: mail.event_id, reverse=True)
            for mail in mails:
                key = keys[mail.user_id].key if mail.user_id in keys else None
                if key is not None and mail.token and unseal(key, mail.user_id, mail.email) == email:
                    return unseal(key, mail.user_id, mail.token) or ""
            time.sleep(0.01)
        raise AssertionError(f"no mail to {email}")


@contextmanager
def running_bank(folder: Path) -> Iterator[Bank]:
    with ExitStack() as stack:
        log = stack.enter_context(EmbeddedLog.open(None))
        log.create_topics(topic.config for topic in TOPICS)
        made = all_services(log, lambda name: folder / f"{name}.db", stack, clock=system_clock)
        stop = threading.Event()
        topologies = [TopologyRole(name, build, log) for name, build in TOPOLOGIES.items() if name != "screening"]
        for worker in (*(service for service, _ in made.values()), *topologies):
            thread = threading.Thread(target=worker.run, args=(stop,))
            thread.start()
            stack.callback(thread.join)
        for topology in topologies:
            stack.callback(topology.interrupt)
        stack.callback(stop.set)
        server = HttpServer(answering(log, made, stack, clock=system_clock), name="bank")
        server.start()
        stack.callback(server.close)
        yield Bank(log, server.url)
