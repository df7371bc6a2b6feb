"""A process that runs the workload on a log's folder until it is killed: ``python -m tests.streams.worker FOLDER``."""

import sys
import time
from pathlib import Path

from tests.streams import workload

from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig

CONFIG = StreamsConfig(application_id="app", poll_records=10)


def main(folder: Path) -> None:
    # The pause makes the work long enough to be killed in the middle of it.
    topology = workload.build(seen=lambda _key, _value: time.sleep(0.0005))
    with EmbeddedLog.open(folder, synchronous="OFF", background_cleaning=False) as log:
        runner = StreamRunner(topology, log, CONFIG)
        runner.step()
        print("running", flush=True)
        runner.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
