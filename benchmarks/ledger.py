"""The ledger by itself, without HTTP: batches, single entries that share commits, and reads of a large ledger.

``python -m benchmarks.ledger [ENTRIES] [URL]``: fills a ledger with so many entries in batches of 1,000 (as the batch
route does), posts single entries from 8 threads through the group commit, and then measures what users look at. The
users have 2 accounts and 2,000 entries each, but for one with an account that has a tenth of all entries. Without a URL
the database is a file of SQLite. The relay into the log is measured by itself, between the batches.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random

import msgspec
from sqlalchemy import Connection

from streambank.bank.events import USER_KEY, AccountKind, CreditDebit, UserKey
from streambank.bank.transactions.batch import CHUNK_LINES, decode_lines
from streambank.bank.transactions.listing import Wanted
from streambank.bank.transactions.models import DATABASE
from streambank.bank.transactions.schemas import AccountView, Money, NewTransaction, OpenAccount
from streambank.bank.transactions.service import TransactionsService
from streambank.clock import system_clock, to_datetime
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller

THREADS = 8
ENTRIES_PER_USER = 2_000
SINGLES = 4_000
READS = 200

_SHOPS = [
    f"{name} {place}"
    for name in (
        "Tesco",
        "Billa",
        "Shell",
        "Albert Heijn",
        "Café Slavia",
        "České dráhy",
        "Zalando",
        "Lidl",
        "IKEA",
        "DM",
    )
    for place in ("Praha", "Brno", "Wien", "Berlin", "Online", "Ostrava", "Linz", "Graz", "Plzeň", "Amsterdam")
]
_WORDS = ("card", "payment", "invoice", "order", "subscription", "rent", "refund", "ticket", "fuel", "groceries")


class Filler:
    """A service, its users, and lines of batches about them."""

    def __init__(self, service: TransactionsService, database: Database) -> None:
        self.service = service
        self.database = database
        self.chance = Random(20261129)
        self.count = 0

    def open_accounts(self, user_id: str, count: int) -> list[str]:
        body = OpenAccount(name="Checking", currency="EUR", kind=AccountKind.CHECKING)
        with self.database.begin() as connection:
            views = [self.service.open_account(connection, caller(user_id), body).body for _ in range(count)]
        return [view.id for view in views if isinstance(view, AccountView)]

    def lines(self, accounts: list[str], count: int) -> bytes:
        return b"\n".join(msgspec.json.encode(self.line(self.chance.choice(accounts))) for _ in range(count))

    def line(self, account_id: str) -> dict[str, object]:
        self.count += 1
        chance = self.chance
        day = date(2026, 1, 1) + timedelta(days=self.count % 330)
        return {
            "account_id": account_id,
            "external_id": f"bank-{self.count:09d}",
            "credit_debit": "CRDT" if chance.random() < 0.5 else "DBIT",
            "amount": {"amount_minor": chance.randint(1, 500_00), "currency": "EUR"},
            "booking_date": day.isoformat(),
            "counterparty": chance.choice(_SHOPS),
            "counterparty_account": f"CZ65080000001920001453{chance.randint(10, 99)}",
            "remittance": f"{chance.choice(_WORDS)} {chance.choice(_WORDS)} {self.count}",
        }


def caller(user_id: str) -> Caller:
    return Caller(user_id, frozenset(), "benchmark", "t", 0)


def know(log: EmbeddedLog, service: TransactionsService, user_ids: list[str]) -> None:
    now = to_datetime(system_clock())
    producer = log.producer()
    with producer.transaction() as transaction:
        for user_id in user_ids:
            key = UserKey(user_id=user_id, occurred_at=now, recorded_at=now, event_id="k", key=os.urandom(64))
            USER_KEY.write(transaction, user_id, key, system_clock())
    producer.close()
    while not service.projection.step(1.0):
        pass
    while service.projection.step(0):
        pass


def fill(filler: Filler, entries: int) -> str:
    """Batches until there are so many entries; the account with a tenth of all."""
    users = max(1, entries * 9 // 10 // ENTRIES_PER_USER)
    big = filler.open_accounts("user-0", 1)
    accounts = {f"user-{n}": filler.open_accounts(f"user-{n}", 2) for n in range(1, users + 1)}
    taken_s, decode_s, relay_s, told, made = 0.0, 0.0, 0.0, time.perf_counter(), 0
    names = list(accounts)
    while made < entries:
        user_id = "user-0" if filler.chance.random() < 0.1 else names[made // CHUNK_LINES % len(names)]
        body = filler.lines(big if user_id == "user-0" else accounts[user_id], CHUNK_LINES)
        begun = time.perf_counter()
        lines = decode_lines(body)
        decoded = time.perf_counter()
        with filler.database.begin() as connection:
            answers = filler.service.record_lines(connection, caller(user_id), lines)
        done = time.perf_counter()
        taken_s, decode_s, made = taken_s + done - begun, decode_s + decoded - begun, made + len(answers)
        if made % (20 * CHUNK_LINES) == 0:
            relay_s += drain(filler)
        if done - told > 20:
            told = done
            print(f"  {made:,} entries, {made / taken_s:,.0f}/s", flush=True)
    print(f"batches of {CHUNK_LINES}: {made / taken_s:,.0f} entries/s, {decode_s / made * 1e6:.1f} us of it decoding")
    relay_s += drain(filler)
    print(f"outbox into the log: {filler.service.relay.published_count / relay_s:,.0f} records/s")
    return big[0]


def post_singles(filler: Filler) -> None:
    """Single entries from several threads, sharing commits."""
    accounts = filler.open_accounts("user-1", THREADS)
    commits = GroupCommit(filler.database)

    def record(connection: Connection, body: NewTransaction) -> Answer:
        return filler.service.record(connection, caller("user-1"), body)

    def post(account_id: str) -> None:
        for n in range(SINGLES // THREADS):
            body = NewTransaction(
                account_id=account_id,
                credit_debit=CreditDebit.CREDIT,
                amount=Money(amount_minor=n + 1, currency="EUR"),
                counterparty="Tesco Praha",
                remittance=f"card payment {n}",
            )
            commits.submit(partial(record, body=body)).result()

    threads = [threading.Thread(target=post, args=(account,)) for account in accounts]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"single entries, {THREADS} threads: {SINGLES / (time.perf_counter() - begun):,.0f}/s")
    commits.close()


def drain(filler: Filler) -> float:
    """Publish what the outbox holds; the seconds that it took."""
    begun = time.perf_counter()
    while filler.service.relay.step():
        pass
    return time.perf_counter() - begun


def read(filler: Filler, big: str) -> None:
    """What users look at."""
    service, chance = filler.service, Random(1)
    user_ids = [f"user-{chance.randint(1, 20)}" for _ in range(READS)]

    def listing(user_id: str, wanted: Wanted) -> Callable[[Connection], object]:
        return lambda c: service.list_transactions(c, caller(user_id), wanted, None, 50)

    def show(name: str, works: list[Callable[[Connection], object]]) -> None:
        taken_ms = []
        for work in works:
            begun = time.perf_counter()
            with filler.database.read() as connection:
                work(connection)
            taken_ms.append((time.perf_counter() - begun) * 1000)
        p99 = statistics.quantiles(taken_ms, n=100)[98]
        print(f"{name:44} median {statistics.median(taken_ms):6.2f} ms  p99 {p99:6.2f} ms")

    show("balance", [lambda c: service.get_balance(c, caller("user-0"), big) for _ in range(READS)])
    show("latest 50 of a user", [listing(user_id, Wanted()) for user_id in user_ids])
    show("latest 50 of the large account", [listing("user-0", Wanted(account_id=big)) for _ in range(READS)])
    show("search, 2 words", [listing(u, Wanted(words=f"tesco {chance.choice(_WORDS)}")) for u in user_ids])
    show("search in the large account, 1 word", [listing("user-0", Wanted(words="payment")) for _ in range(READS)])
    show(
        "search in the large account, 3 words",
        [listing("user-0", Wanted(words="cafe wien fuel")) for _ in range(READS)],
    )
    last_month = (date(2026, 11, 1), date(2026, 11, 30))
    show(
        "statement of a month of the large account",
        [lambda c: service.get_statement(c, caller("user-0"), big, *last_month, None, 50) for _ in range(20)],
    )


def main(entries: int = 100_000, where: str | None = None) -> None:
    """Fill, post, relay, read; print the rates and times."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedLog.open(Path(folder) / "log") as log:
        database = Database.open(where or Path(folder) / "transactions.db", *DATABASE)
        service = TransactionsService(log, database)
        know(log, service, [f"user-{n}" for n in range(max(20, entries // ENTRIES_PER_USER + 1))])
        filler = Filler(service, database)
        big = fill(filler, entries)
        post_singles(filler)
        read(filler, big)
        service.close()
        database.close()


if __name__ == "__main__":
    main(*(int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]))  # type: ignore[arg-type]
