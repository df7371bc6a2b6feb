"""Users, transactions and payments as they are, over HTTP on a free port, on a log in memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from argon2 import Parameters, Type

from streambank.bank.access import LogKeys
from streambank.bank.client import Client, Password
from streambank.bank.events import MAIL_REQUESTED, TOPICS, USER_KEY
from streambank.bank.events.personal import unseal
from streambank.bank.payments import service as payments
from streambank.bank.payments.endpoints import router as payments_router
from streambank.bank.payments.models import DATABASE as PAYMENTS_DATABASE
from streambank.bank.reading import latest
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.transactions.endpoints import router as transactions_router
from streambank.bank.transactions.models import DATABASE as TRANSACTIONS_DATABASE
from streambank.bank.transactions.service import TransactionsService
from streambank.bank.users.endpoints import router as users_router
from streambank.bank.users.models import DATABASE as USERS_DATABASE
from streambank.bank.users.schemas import SignUp
from streambank.bank.users.service import UsersService
from streambank.bank.users.settings import UsersSettings
from streambank.clock import system_clock
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits, RatePolicy
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import TokenVerifier

PASSWORD = "green apples on a hill"
CHEAP = Parameters(type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=8, parallelism=1)
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
    clock = system_clock
    limits = RatePolicy("test", 1_000_000, 60)
    with ExitStack() as stack:
        log = stack.enter_context(EmbeddedLog.open(None))
        log.create_topics(topic.config for topic in TOPICS)
        users_database = Database.open(folder / "users.db", *USERS_DATABASE)
        stack.callback(users_database.close)
        transactions_database = Database.open(folder / "transactions.db", *TRANSACTIONS_DATABASE)
        stack.callback(transactions_database.close)
        payments_database = Database.open(folder / "payments.db", *PAYMENTS_DATABASE)
        stack.callback(payments_database.close)
        people = UsersService(log, users_database, UsersSettings(password_parameters=CHEAP))
        ledger = TransactionsService(log, transactions_database)
        paying = payments.PaymentsService(log, payments_database)

        def http(name: str, database: Database, topics: list[str]) -> ServiceHttp:
            commits = GroupCommit(database)
            stack.callback(commits.close)
            return ServiceHttp(
                name=name,
                database=database,
                commits=commits,
                clock=clock,
                verifier=TokenVerifier(LogKeys(log).find, clock),
                limits=RateLimits(clock, caller=limits, anonymous=limits),
                positions=Positions(log, database, service=name, topics=topics),
                token_path=TOKEN_PATH,
                scopes=SCOPES,
            )

        routers = {
            "users": users_router(people, http("users", users_database, [])),
            "transactions": transactions_router(ledger, http("transactions", transactions_database, [USER_KEY.name])),
            "payments": payments_router(
                paying, http("payments", payments_database, [topic.name for topic in payments.RECEIVES])
            ),
        }
        stop = threading.Event()
        for service in (people, ledger, paying):
            thread = threading.Thread(target=service.run, args=(stop,))
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        app = create_app([HttpService(name, name, router, {}) for name, router in routers.items()], clock)
        server = HttpServer(app, name="bank")
        server.start()
        stack.callback(server.close)
        yield Bank(log, server.url)
