"""The main job on a real bank's data while the whole program is killed with SIGKILL again and again."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from tests.bank import berka

from streambank.bank.events import ACCOUNT_BALANCE, ALERT_NOTIFICATION, ALERT_RAISED, EMAIL_SENT, Origin
from streambank.bank.imports import Importer, ImportProgress
from streambank.clock import system_clock
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog

KILLS = 50
LEVEL = 20_000
CHUNK_ENTRIES = 500
FINISH_S = 120.0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.alone
def test_fifty_kills_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = 20_261_124
    with closing(EmbeddedLog.open(None)) as expected, closing(EmbeddedLog.open(tmp_path / "log")) as log:
        berka.prepare(expected, {LEVEL: (0,)})
        berka.replay(expected)
        berka.process(expected)

        berka.prepare(log, {LEVEL: (0,)})
        kill_while_importing(log, tmp_path, random.Random(seed))
        mails = finish(log, tmp_path, berka.CROSSINGS[LEVEL])
        repeated = compare(log, expected, mails)
    with capsys.disabled():
        print(f"\n{KILLS} kills, seed {seed}: {len(mails)} alerts, each mailed; {repeated} mails came twice")


def compare(log: EventLog, expected: EventLog, mails: Counter[tuple[str, str]]) -> int:
    """Check that nothing is missing and nothing is there twice; returns how many e-mails were sent again."""
    assert alert_ids(log) == alert_ids(expected)
    assert sum(alert_ids(log).values()) == berka.CROSSINGS[LEVEL]
    assert final_balances(log) == final_balances(expected)
    addresses = {one.alert_id: one.email for one in berka.read(expected, ALERT_NOTIFICATION)}
    assert Counter(one.alert_id for one in berka.read(log, ALERT_NOTIFICATION)) == Counter(addresses.keys())
    assert Counter(one.alert_id for one in berka.read(log, EMAIL_SENT)) == Counter(addresses.keys())
    assert mails.keys() == set(addresses.items())
    # Between the server's 250 and its record a kill may repeat a mail, with the same Message-ID: one for each kill.
    repeated = sum(count - 1 for count in mails.values())
    assert repeated <= KILLS
    return repeated


def kill_while_importing(log: EventLog, folder: Path, rng: random.Random) -> None:
    """Let the entries come in, a chunk at a time, over the whole time of the kills."""
    killed = threading.Event()
    kills = 0

    def pace(progress: ImportProgress) -> None:
        # As many chunks as there are kills, so that there is always something in work.
        while not killed.is_set() and progress.imported // CHUNK_ENTRIES > 2 * kills:
            time.sleep(0.01)

    importer = Importer(log, system_clock, chunk_entries=CHUNK_ENTRIES)
    importing = threading.Thread(
        target=importer.run, args=(berka.source(),), kwargs={"origin": Origin.LIVE, "progress": pace}
    )
    importing.start()
    try:
        for _ in range(KILLS):
            process = up(folder)
            time.sleep(rng.uniform(0.6, 2.0))
            assert process.poll() is None, "the program ended by itself"
            process.kill()
            process.wait()
            kills += 1
    finally:
        killed.set()
        importing.join()


def finish(log: EventLog, folder: Path, alerts: int) -> Counter[tuple[str, str]]:
    """Run undisturbed until every alert's e-mail is recorded; returns the mailbox."""
    process = up(folder)
    try:
        deadline = time.monotonic() + FINISH_S
        while len(berka.read(log, EMAIL_SENT)) < alerts:
            assert time.monotonic() < deadline, f"{len(berka.read(log, EMAIL_SENT))} of {alerts} e-mails"
            time.sleep(0.2)
        # Were there one too many, it would come now.
        time.sleep(1.0)
    finally:
        process.terminate()
        process.wait(10)
    return berka.mails(folder / "mailbox.db")


def up(folder: Path) -> "subprocess.Popen[bytes]":
    """The program as a user starts it."""
    command = [sys.executable, "-m", "streambank", "up", "--data", str(folder), "--api-port", "0", "--port", "0"]
    output = (folder / "up.log").open("ab")
    with output:
        return subprocess.Popen([*command, "--mailbox-smtp-port", "0"], stdout=output, stderr=output)


def alert_ids(log: EventLog) -> Counter[str]:
    """How often each alert was raised."""
    return Counter(alert.alert_id for alert in berka.read(log, ALERT_RAISED))


def final_balances(log: EventLog) -> dict[str, tuple[int, int]]:
    """Each account's last balance and number of entries."""
    return {
        balance.scope_id: (balance.after_minor, balance.entry_count) for balance in berka.read(log, ACCOUNT_BALANCE)
    }
