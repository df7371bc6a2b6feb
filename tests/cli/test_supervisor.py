"""Roles run together, stop together, and one's failure ends all."""

import subprocess
import sys
import threading
import time

import pytest

from streambank.cli import supervisor
from streambank.cli.errors import EXIT_INTERRUPTED, RoleCrashedError, RoleFailedError
from streambank.cli.roles import FunctionRole
from streambank.cli.supervisor import supervise
from streambank.errors import StreambankError


class Waiting:
    """A role that sleeps until it is interrupted."""

    name = "waiting"

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.ended = False

    def run(self, stop: threading.Event) -> None:
        self.woken.wait(10)
        self.ended = stop.is_set()

    def interrupt(self) -> None:
        self.woken.set()


def test_a_stop_interrupts_and_waits_for_every_role() -> None:
    stop, roles, ticks = threading.Event(), [Waiting(), Waiting()], []

    def tick() -> None:
        ticks.append(1)
        stop.set()

    assert supervise(stop, roles, tick)
    assert ticks == [1]
    assert all(role.ended for role in roles)


@pytest.mark.parametrize(
    ("error", "expected"), [(StreambankError("no space"), RoleFailedError), (KeyError("x"), RoleCrashedError)]
)
def test_a_role_that_fails_is_named_and_ends_the_others(error: Exception, expected: type[Exception]) -> None:
    def fail(_stop: threading.Event) -> None:
        raise error

    other = Waiting()
    with pytest.raises(expected, match="broken stopped, and everything with it") as raised:
        supervise(threading.Event(), [other, FunctionRole("broken", fail)], lambda: None)
    assert raised.value.__cause__ is error
    assert other.ended


def test_a_role_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 0.05)
    stop, held = threading.Event(), threading.Event()

    def hold(_stop: threading.Event) -> None:
        held.wait(10)

    stop.set()
    began = time.monotonic()
    assert not supervise(stop, [FunctionRole("held", hold)], lambda: None)
    assert time.monotonic() - began < 5
    held.set()


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = (
        "import os, signal, threading, time; from streambank.cli.supervisor import stop_on_signals;"
        "stop = threading.Event()\n"
        "with stop_on_signals(stop):\n"
        "    os.kill(os.getpid(), signal.SIGINT); assert stop.wait(5)\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(20)\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
    assert done.returncode == EXIT_INTERRUPTED
    assert time.monotonic() - began < 15
