"""Locks between threads and processes."""

import threading
import time
from pathlib import Path

import pytest

from streambank.log.embedded.locks import FairLock, FileLock, ProcessLock, process_is_alive


def test_the_fair_lock_goes_round_in_order() -> None:
    lock = FairLock()
    lock.acquire()
    order: list[int] = []

    def take(number: int) -> None:
        lock.acquire()
        order.append(number)
        lock.release()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        while len(lock._queue) <= number:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_the_fair_lock_lets_one_in_at_a_time() -> None:
    lock = FairLock()
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            lock.acquire()
            inside += 1
            most = max(most, inside)
            time.sleep(0)
            inside -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


@pytest.mark.parametrize("handed_over", [False, True])
def test_an_interrupted_wait_leaves_the_fair_lock_usable(handed_over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FairLock()
    lock.acquire()

    class Turn:
        def __init__(self) -> None:
            self.calls = 0

        def acquire(self) -> None:
            self.calls += 1
            if self.calls == 2:
                if handed_over:
                    lock.release()
                raise KeyboardInterrupt

        def release(self) -> None:
            pass

    real = threading.Lock
    monkeypatch.setattr("streambank.log.embedded.locks.threading.Lock", Turn)
    with pytest.raises(KeyboardInterrupt):
        lock.acquire()
    monkeypatch.setattr("streambank.log.embedded.locks.threading.Lock", real)
    if not handed_over:
        lock.release()
    lock.acquire()
    lock.release()


def test_file_locks_exclude_each_other(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with one.held():
        assert not two.try_acquire()
    assert two.try_acquire()
    assert not one.try_acquire()
    two.close()
    assert one.try_acquire()
    one.close()
    one.close()


def test_process_locks_show_who_lives(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path, "a")
    assert process_is_alive(tmp_path, "a")
    assert not process_is_alive(tmp_path, "b")
    lock._file.close()
    assert not process_is_alive(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []
