"""One process of a service that projects numbers into rows and publishes each again, to be killed.

Arguments: the log's folder, and the database's URL. It prints "ready" once its database is open.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, insert
from tests.service.support import NUMBERS, OUT, ROWS, Number, open_database

from streambank.clock import system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.service.outbox import Outbox, OutboxRelay, outgoing
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import run_workers


def apply(connection: Connection, received: Sequence[Received[Number]]) -> None:
    """Store each number, and publish it."""
    connection.execute(insert(ROWS), [{"n": item.value.n} for item in received])
    Outbox().add(connection, [outgoing(OUT, "k", item.value, item.record.timestamp) for item in received])


def main(log_folder: str, database_url: str) -> None:
    """Work until killed."""
    log = EmbeddedLog.open(Path(log_folder))
    log.create_topics([OUT.config])
    database = open_database(database_url, log)
    outbox_id = database.bind_log(log.log_id, "of no use: there is one already")
    relay = OutboxRelay(log, database, service="numbers", outbox_id=outbox_id, clock=system_clock)
    subscription = Subscription(NUMBERS, apply)
    projection = Projection(log, database, Outbox(), group="numbers", subscriptions=[subscription])
    print("ready", flush=True)
    run_workers(threading.Event(), [projection, relay])


if __name__ == "__main__":
    main(*sys.argv[1:])
