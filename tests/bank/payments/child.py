"""A process that forks one service for each line it reads, to be killed: a life costs no imports.

Arguments: the data folder, the ledger's database, that of payments, and the accounts, Ada's first. A line is ``ledger``
or ``payments``. The payments service pays, cancels and refunds in threads, and prints ``transfer ID`` once one is
stored.
"""

import logging
import os
import random
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
from tests.bank.payments.support import SETTINGS, caller

from streambank.bank.payments.models import DATABASE as PAYMENTS_DATABASE
from streambank.bank.payments.schemas import Money, NewTransfer, RefundTransfer, TransferView
from streambank.bank.payments.service import PaymentsService
from streambank.bank.transactions.models import DATABASE as LEDGER_DATABASE
from streambank.bank.transactions.service import TransactionsService
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http.answers import Answer
from streambank.service.http.problems import Problem

PAYEES = ("bob@example.org", "bob@example.org", "dora@example.org")


def live(which: str, folder: Path, ledger: str, payments: str, accounts: list[str]) -> None:
    """Run a service until it is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    log = EmbeddedLog.open(folder / "log")
    if which == "ledger":
        database = Database.open(ledger, *LEDGER_DATABASE, create=False)
        TransactionsService(log, database).run(threading.Event())
        return
    database = Database.open(payments, *PAYMENTS_DATABASE, create=False)
    service = PaymentsService(log, database, SETTINGS)
    commits = GroupCommit(database)
    for _ in range(3):
        threading.Thread(target=pay, args=(service, commits, accounts), daemon=True).start()
    service.run(threading.Event())


def pay(service: PaymentsService, commits: GroupCommit, accounts: list[str]) -> None:
    """Pay for ever; some is cancelled, and some of what was paid is given back."""
    chance = random.Random(os.getpid() + threading.get_ident())
    made: list[str] = []
    while True:
        with suppress(Problem):
            body = NewTransfer(
                debtor_account_id=accounts[0],
                amount=Money(amount_minor=chance.randint(1, 200), currency="EUR"),
                payee=chance.choice(PAYEES),
            )
            answer: Answer = commits.submit(partial(service.create_transfer, caller=caller(), body=body)).result()
            assert isinstance(answer.body, TransferView)
            made.append(answer.body.id)
            os.write(1, f"transfer {answer.body.id}\n".encode())
            one = chance.choice(made)
            if chance.random() < 0.3:
                commits.submit(partial(service.cancel_transfer, caller=caller(), transfer_id=one)).result()
            elif chance.random() < 0.5:
                back = partial(service.refund_transfer, caller=caller("bob"), transfer_id=one, body=RefundTransfer())
                commits.submit(back).result()


def main(folder: str, ledger: str, payments: str, *accounts: str) -> None:
    """Fork a service per line of input; each is answered with its process id."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                live(line.strip(), Path(folder), ledger, payments, list(accounts))
            finally:
                os._exit(1)
        os.write(1, f"pid {pid}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
