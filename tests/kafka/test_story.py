"""The story of two people who plan and pay, with the event log on Kafka: two workers share the topologies."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.cli.support import ANY_PORTS, running, wait_until
from tests.cli.test_story import API, MAILBOX, address
from tests.cli.test_story_plans import SERVICES, TOPOLOGIES, Bank, two_people_plan_and_pay
from tests.kafka.cluster import cluster_or_skip
from tests.kafka.torture import SETTINGS


@contextmanager
def two_workers(folder: Path, log: str) -> Iterator[Bank]:
    """The services in one process, and the topologies in two processes of one command."""
    data = folder / "data"
    with ExitStack() as stack:
        workers = stack.enter_context(
            running(folder / "workers", "run", *TOPOLOGIES, "--processes", "2", "--log", log, data=data)
        )
        services = stack.enter_context(
            running(folder / "services", "run", *SERVICES, *ANY_PORTS, "--log", log, data=data)
        )
        wait_until(lambda: len(workers.logged("process started")) == 2, "two workers")
        wait_until(lambda: bool(services.logged("running")), "the services run")
        api, mailbox = address(services, API), address(services, MAILBOX)
        yield Bank(data, dict.fromkeys(SERVICES, api), mailbox, [workers, services])


@pytest.mark.slow
@pytest.mark.alone
def test_two_people_plan_and_pay(tmp_path: Path) -> None:
    with (
        cluster_or_skip(tmp_path / "kafka", settings=SETTINGS) as cluster,
        two_workers(tmp_path, cluster.url) as bank,
    ):
        two_people_plan_and_pay(bank)
