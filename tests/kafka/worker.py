"""A worker of the torture run: one member of the application, in a process of its own, until it is told to stop."""

import signal
import sys

import structlog
from benchmarks import workload

from streambank.log import open_log
from streambank.streams import StreamRunner, StreamsConfig


def main(url: str, run: str, standbys: str = "0") -> None:
    """Run the reference workload's topology as a member of the group ``run``."""
    structlog.configure(processors=[structlog.processors.TimeStamper("iso"), structlog.processors.LogfmtRenderer()])
    log = open_log(url)
    config = StreamsConfig(application_id=run, poll_timeout_s=0.2, num_standby_replicas=int(standbys))
    runner = StreamRunner(workload.topology(run), log, config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    try:
        runner.run()
    finally:
        runner.close()
        log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
