"""Locks between threads and processes."""

import threading
import time
from pathlib import Path

import pytest

from streambank.log.embedded.locks import FairLock, FileLock, ProcessLock, Turn, process_is_alive


def test_the_fair_lock_goes_round_in_order() -> None:
    lock = FairLock()
    mine = lock.acquire()
    order: list[int] = []

    def take(number: int) -> None:
        turn = lock.acquire()
        order.append(number)
        lock.release(turn)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        while len(lock._queue) <= number:
            time.sleep(0.001)
    lock.release(mine)
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_the_fair_lock_lets_one_in_at_a_time() -> None:
    lock = FairLock()
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            turn = lock.acquire()
            inside += 1
            most = max(most, inside)
            time.sleep(0)
            inside -= 1
            lock.release(turn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


@pytest.mark.parametrize("handed_over", [False, True])
def test_an_interrupted_wait_leaves_the_fair_lock_usable(handed_over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FairLock()
    theirs: list[Turn] = []
    holder = threading.Thread(target=lambda: theirs.append(lock.acquire()))
    holder.start()
    holder.join()
    # A thread that has ended may leave its number to another one.
    theirs[0].thread = -1

    class Interrupted:
        calls = 0

        def acquire(self) -> None:
            self.calls += 1
            if self.calls == 2:
                if handed_over:
                    lock.release(theirs[0])
                raise KeyboardInterrupt

        def release(self) -> None:
            pass

    with monkeypatch.context() as patch:
        patch.setattr("streambank.log.embedded.locks.threading.Lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire()
    if not handed_over:
        lock.release(theirs[0])
    turn = lock.acquire()
    assert lock.holds(turn)
    assert not lock._queue
    lock.release(turn)


def test_an_interrupted_holder_takes_its_lock_over() -> None:
    lock = FairLock()
    forgotten = lock.acquire()
    turn = lock.acquire()
    lock.release(forgotten)
    assert lock.holds(turn)
    lock.release(turn)
    assert not lock.holds(turn)


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
