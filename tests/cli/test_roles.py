"""A topology as a role: it stops whenever it is told to, whatever it is at."""

import threading
import time

import pytest

from streambank.bank.events import TOPICS
from streambank.bank.topologies import balances
from streambank.cli.platform import TOPOLOGIES
from streambank.cli.roles import TopologyRole
from streambank.log import open_log


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_stop_before_its_tables_are_read_is_no_failure(name: str) -> None:
    log, stop = open_log("embedded:"), threading.Event()
    log.create_topics(topic.config for topic in TOPICS)
    stop.set()
    TopologyRole(name, TOPOLOGIES[name], log).run(stop)
    assert log.groups() == []
    log.close()


def test_a_topology_stops_at_once_while_it_waits_for_records() -> None:
    log = open_log("embedded:")
    role = TopologyRole("balances", balances.build, log)
    stop = threading.Event()
    thread = threading.Thread(target=role.run, args=(stop,))
    thread.start()
    while not log.groups():
        time.sleep(0.01)
    stop.set()
    role.interrupt()
    thread.join(5)
    assert not thread.is_alive()
    assert log.groups() == []
    log.close()
