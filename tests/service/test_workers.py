import threading
import time

import pytest
from tests.service.support import CrashError

from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError
from streambank.service.workers import run_workers


class Waiting:
    def __init__(self, *, fails: bool = False, deaf: bool = False) -> None:
        self.name = "waiting"
        self._fails, self._deaf = fails, deaf
        self._wake = threading.Event()
        self.ended = False

    def run(self, stop: threading.Event) -> None:
        if self._fails:
            raise CrashError
        self._wake.wait(10)
        self.ended = stop.is_set()

    def interrupt(self) -> None:
        if not self._deaf:
            self._wake.set()

    def release(self) -> None:
        self._wake.set()


def run_for(seconds: float, *workers: Waiting) -> float:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    run_workers(stop, workers)
    return seconds


@pytest.mark.alone
def test_all_end_when_stopped() -> None:
    workers = [Waiting(), Waiting()]
    started = time.monotonic()
    run_for(0.1, *workers)
    assert time.monotonic() - started < 0.4
    assert [w.ended for w in workers] == [True, True]


def test_a_failure_ends_all_and_is_raised() -> None:
    other = Waiting()
    with pytest.raises(CrashError):
        run_workers(threading.Event(), [other, Waiting(fails=True)])
    assert other.ended


@pytest.mark.alone
def test_a_thread_that_does_not_hear_is_left_behind() -> None:
    deaf = Waiting(deaf=True)
    started = time.monotonic()
    run_for(0.0, deaf, Waiting())
    assert time.monotonic() - started < 0.6
    deaf.release()


def test_an_outage_of_the_database_is_outlived() -> None:
    class Unlucky(Waiting):
        lives = 0

        def run(self, stop: threading.Event) -> None:
            self.lives += 1
            if self.lives < 3:
                raise [DatabaseUnavailableError("gone"), DatabaseBusyError("held")][self.lives - 1]
            stopped.set()

    stopped, unlucky, other = threading.Event(), Unlucky(), Waiting()
    run_workers(stopped, [unlucky, other], random=lambda: 0.0)
    assert (unlucky.lives, other.ended) == (3, True)
