"""From POST /v1/transactions to the e-mail's 250 from the built-in mailbox, through a real bank.

``python -m benchmarks.post_to_email [--rate N] [--seconds N] [--database URL]`` starts the bank, once as ``streambank
up`` in one process and once shared out among several, and posts at a fixed rate, over HTTP on 127.0.0.1: all share the
machine. One post in four takes its account below a threshold, and has to become an e-mail.

A post's time begins when it is due, whether or not it could be sent then; it ends with EmailSent.sent_at, which is
taken once the mail server has answered. Both are of this machine's clock.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec

from benchmarks.api import Connection, User, connected, serving, sign_up
from streambank.bank.events import ACCOUNT, ACCOUNT_THRESHOLDS, ALERT_RAISED, EMAIL_SENT, Direction
from streambank.bank.imports.thresholds import thresholds_for
from streambank.bank.reading import batches, latest
from streambank.log import EventLog, open_log

API, MAILBOX = ("--api-port", "0"), ("--port", "0", "--mailbox-smtp-port", "0")

TOGETHER = (("up", *API, *MAILBOX),)
APART = (
    ("run", "users", "transactions", *API),
    ("run", "balances", "alerts"),
    ("run", "goals", "figures", "screening", "views", "personalization", "payments", *API),
    ("run", "notifications", *API, *MAILBOX),
)
"""Commands that share a data folder. What an e-mail waits for is in three processes, the rest of the bank in one."""

MEMBERS = ("balances", "alerts", "notifications")
"""Groups that have somebody once the bank is ready."""

USERS = 36
"""As many as may sign up within a minute from one address, and enough that nobody gets more e-mails than a person is
sent one by one."""

LEVEL_MINOR = 100_00
STEPS_MINOR = (-50_00, 50_00, 1, 1)
"""What is posted to each account in turn: the first goes below the level, the second back above it."""

ALERTS_MIN = 0.9
"""Of the posts that go below, so many must have raised an alert: two that overtake one another do not."""

CONNECTIONS = 16
WARM_UP_S = 3.0
ARRIVE_S = 30.0
"""How long the last e-mails may take before they count as lost."""


def watch(log: EventLog) -> None:
    """Set a threshold on every account."""
    accounts = latest(log, ACCOUNT).values()
    producer = log.producer()
    with producer.transaction() as transaction:
        for item in thresholds_for(accounts, Direction.BELOW, LEVEL_MINOR, 0, datetime.now(UTC)):
            ACCOUNT_THRESHOLDS.write(transaction, item.scope_id, item, item.timestamp)
    producer.close()


class Load:
    """Posts at a fixed rate, each to the next account."""

    def __init__(self, port: int, users: list[User]) -> None:
        self._port = port
        self._users = users
        self._numbers = count()
        self._turns = self._all_turns()

    async def opened(self) -> None:
        """Take every account to just above the level."""
        async with connected(self._port) as connection:
            for user in self._users:
                await self._post(connection, user, LEVEL_MINOR + 1)

    async def run(self, rate: float, seconds: float) -> dict[str, float]:
        """Post for so long; by the id of each entry, when it was due, by the machine's clock."""
        due_at_s: dict[str, float] = {}
        begun_s = time.time() + 0.1
        due = iter([begun_s + n / rate for n in range(round(rate * seconds))])

        async def work() -> None:
            async with connected(self._port) as connection:
                for due_s in due:
                    user, step_minor = next(self._turns)
                    await asyncio.sleep(max(0.0, due_s - time.time()))
                    due_at_s[await self._post(connection, user, step_minor)] = due_s

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(work())
        return due_at_s

    def _all_turns(self) -> Iterator[tuple[User, int]]:
        # Some users begin later with their steps than others, so that crossings are spread evenly.
        for turn in count():
            for number, user in enumerate(self._users):
                step = turn - number % len(STEPS_MINOR)
                yield user, STEPS_MINOR[step % len(STEPS_MINOR)] if step >= 0 else 1

    async def _post(self, connection: Connection, user: User, signed_minor: int) -> str:
        body = {
            "account_id": user.account,
            "credit_debit": "CRDT" if signed_minor > 0 else "DBIT",
            "amount": {"amount_minor": abs(signed_minor), "currency": "EUR"},
            "counterparty": "Shop",
            "force": True,
        }
        key = f"post-{next(self._numbers)}"
        status, answer = await connection.ask("POST", "/v1/transactions", user, msgspec.json.encode(body), key)
        if status != 201:
            raise SystemExit(f"a transaction: {status} {answer.decode()}")
        return str(msgspec.json.decode(answer)["id"])


def raised(log: EventLog) -> dict[str, str]:
    """The ids of all alerts, and of the entries that raised them."""
    values = (value for batch in batches(log, ALERT_RAISED.name) for value in batch.values)
    alerts = (ALERT_RAISED.value.deserialize(value or b"") for value in values)
    return {alert.alert_id: alert.entry.entry_id for alert in alerts}


def sent(log: EventLog) -> dict[str, float]:
    """When the mail server took the e-mail of each alert, by the machine's clock."""
    values = (value for batch in batches(log, EMAIL_SENT.name) for value in batch.values)
    events = (EMAIL_SENT.value.deserialize(value or b"") for value in values)
    return {event.alert_id: event.sent_at.timestamp() for event in events}


@contextmanager
def bank(commands: Sequence[Sequence[str]], data: Path, database: str | None) -> Iterator[int]:
    """The running bank; the port that posts go to, which the first of the commands opens."""
    more = ["--data", str(data), *(["--database", database] if database else [])]
    others = []
    with ExitStack() as running:
        port, _ = running.enter_context(serving(data, database, commands[0]))
        for command in commands[1:]:
            arguments = [sys.executable, "-m", "streambank", *command, *more]
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            others.append(running.enter_context(process))
            running.callback(process.terminate)
        with closing(open_log(data / "log")) as log:
            while not all(log.describe_group(name).members for name in MEMBERS):
                if ended := [process.args for process in others if process.poll() is not None]:
                    raise SystemExit(f"{ended} ended before the bank was ready")
                time.sleep(0.1)
        yield port


def measure(
    commands: Sequence[Sequence[str]], data: Path, database: str | None, rate: float, seconds: float
) -> list[float]:
    """How long each e-mail took, in ms, in ascending order. Exits where one is missing."""
    with bank(commands, data, database) as port:
        load = Load(port, sign_up(port, data, USERS))
        log = open_log(data / "log")
        try:
            asyncio.run(load.opened())
            watch(log)
            # The thresholds have to be known before the first crossing.
            time.sleep(1.0)
            asyncio.run(load.run(rate, WARM_UP_S))
            due_at_s = asyncio.run(load.run(rate, seconds))
            deadline = time.monotonic() + ARRIVE_S
            while True:
                alerts = {alert: entry for alert, entry in raised(log).items() if entry in due_at_s}
                taken_at_s = sent(log)
                is_enough = len(alerts) >= ALERTS_MIN * len(due_at_s) / len(STEPS_MINOR)
                if is_enough and alerts.keys() <= taken_at_s.keys():
                    return sorted(1000 * (taken_at_s[alert] - due_at_s[entry]) for alert, entry in alerts.items())
                if time.monotonic() >= deadline:
                    raise SystemExit(f"{len(due_at_s)} posts, {len(alerts)} alerts, {len(taken_at_s)} e-mails in all")
                time.sleep(0.5)
        finally:
            log.close()


def main(rate: float = 100.0, seconds: float = 20.0, database: str | None = None) -> None:
    """Print the distributions."""
    for commands in (TOGETHER, APART):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            data.mkdir()
            found = measure(commands, data, database, rate, seconds)
        quantiles = statistics.quantiles(found, n=100)
        print(f"POST to the mailbox's 250 at {rate:.0f} requests/s, processes: {len(commands)}, e-mails: {len(found)}")
        print(f"  median {quantiles[49]:.1f} ms  p99 {quantiles[98]:.1f} ms  max {found[-1]:.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--database", default=None)
    options = parser.parse_args()
    main(options.rate, options.seconds, options.database)
