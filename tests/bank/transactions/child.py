"""A process that forks a transactions service for each line it reads: a life costs no imports, and can be killed.

Arguments: the data folder, the database, the accounts. Each thread of a service posts entries to its account through
the group commit, every fourth time as a batch, and prints ACCOUNT ID once an entry is stored; the relay publishes
meanwhile.
"""

import logging
import os
import sys
import threading
from functools import partial
from pathlib import Path

import msgspec
import structlog
from tests.bank.transactions.support import caller, line, transaction

from streambank.bank.transactions.batch import Recorded, decode_line
from streambank.bank.transactions.models import DATABASE
from streambank.bank.transactions.schemas import BookTransaction, NewTransaction, TransactionView
from streambank.bank.transactions.service import TransactionsService
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http.answers import Answer


def live(folder: Path, where: str, accounts: list[str]) -> None:
    """Run a service until it is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    log = EmbeddedLog.open(folder / "log")
    database = Database.open(where, *DATABASE, create=False)
    service = TransactionsService(log, database)
    commits = GroupCommit(database)
    for account in accounts:
        threading.Thread(target=post, args=(service, commits, account), daemon=True).start()
    service.run(threading.Event())


def post(service: TransactionsService, commits: GroupCommit, account: str) -> None:
    """Post for ever: single entries, batches, and holds that are booked."""
    n = 0
    while True:
        n += 1
        if n % 4 == 0:
            lines = [decode_line(msgspec.json.encode(line(account, i, f"{os.getpid()}-{n}-{i}"))) for i in range(1, 6)]
            answers = commits.submit(partial(service.record_lines, caller=caller(), lines=lines)).result()
            ids = [answer.entry_id for answer in answers if isinstance(answer, Recorded)]
        else:
            status = "PDNG" if n % 4 == 1 else "BOOK"
            body = NewTransaction(**transaction(account, n, status=status, counterparty="Shop"))
            ids = [id_of(commits.submit(partial(service.record, caller=caller(), body=body)).result())]
            if status == "PDNG":
                booking = partial(service.book, caller=caller(), entry_id=ids[0], body=BookTransaction())
                ids.append(id_of(commits.submit(booking).result()))
        # One write: lines of other threads must not come between.
        os.write(1, b"".join(f"{account} {entry_id}\n".encode() for entry_id in ids))


def id_of(answer: Answer) -> str:
    """The entry's id."""
    assert isinstance(answer.body, TransactionView)
    return answer.body.id


def main(folder: str, where: str, *accounts: str) -> None:
    """Fork a service per line of input, one after another."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                live(Path(folder), where, list(accounts))
            finally:
                os._exit(1)
        os.write(1, f"pid {pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
