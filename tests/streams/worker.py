"""A process that runs the workload on a log's folder until it is killed.

``python -m tests.streams.worker FOLDER [STATE_DIR]``, with its stores in memory or on disk.
"""

import sys
import time
from pathlib import Path

from tests.streams import workload

from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig
from streambank.streams.stores import disk


def config(state_dir: Path | None) -> StreamsConfig:
    return StreamsConfig(
        application_id="app", poll_records=10, store="rocksdb" if state_dir else "memory", state_dir=state_dir
    )


def main(folder: Path, state_dir: Path | None = None) -> None:
    disk.SAVE_ENTRIES = 20
    # The pause makes the work long enough to be killed in the middle of it.
    topology = workload.build(seen=lambda _key, _value: time.sleep(0.0005))
    with EmbeddedLog.open(folder, synchronous="OFF", background_cleaning=False) as log:
        runner = StreamRunner(topology, log, config(state_dir))
        runner.step()
        print("running", flush=True)
        runner.run()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
