"""A running application on a log of its own, asked for its state from outside."""

import tempfile
import threading
from pathlib import Path

from streambank.log import open_log
from streambank.streams import LONG, STRING, StreamBuilder, StreamRunner, StreamsConfig, Topic

CLICKS = Topic(name="clicks", key=STRING, value=STRING)
COUNTS = Topic(name="counts", key=STRING, value=LONG, cleanup_policy="compact")

builder = StreamBuilder()
builder.stream(CLICKS).group_by_key().count(name="clicks-per-user").to_stream().to(COUNTS)

with tempfile.TemporaryDirectory() as folder, open_log(Path(folder)) as log:
    runner = StreamRunner(builder.build(), log, StreamsConfig(application_id="click-counter"))
    running = threading.Thread(target=runner.run)
    running.start()
    producer = log.producer()
    with producer.transaction() as transaction:
        for user in ("anna", "ben", "anna"):
            CLICKS.write(transaction, user, "home", 0)
    counts = runner.query("clicks-per-user", min_position=transaction.end_offsets)
    found = counts.all()
    print(found)
    assert found == [("anna", 2), ("ben", 1)]
    runner.stop()
    running.join()
    runner.close()
    producer.close()
