"""What ``streambank demo`` does: the bank, a source of generated people, and a picture of both."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from streambank.bank.demo import DemoSource
from streambank.bank.events import AlertRaised
from streambank.cli import logs
from streambank.cli.activity import Activity
from streambank.cli.folder import DataFolder, tilde
from streambank.cli.formats import amount, clock_time, milliseconds, money
from streambank.cli.lagging import LagView
from streambank.cli.notices import NoticeOptions
from streambank.cli.output import stdout_console
from streambank.cli.platform import WATCHING_ROLES, Platform
from streambank.cli.restores import Restores
from streambank.cli.screen import Screen
from streambank.cli.supervisor import stop_on_signals
from streambank.cli.watcher import Watcher
from streambank.clock import system_clock

CATCH_UP_LOOK_S = 0.1
EMAILS_PER_HOUR = 1_000_000
"""The demo shows each alert's way to its e-mail; none is to wait for a digest."""

BALANCES_SHOWN = 40
"""How many balances are shown before the first live entry: more than a usual terminal has lines."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for."""

    people: int
    days: int
    rate: float
    seed: int
    duration_s: float | None
    port: int
    data: Path | None


class Phase(Enum):
    """How far the demo is."""

    PAST = "generating the past"
    CATCHING_UP = "working out the balances"
    LIVE = "live"


class StoppedError(Exception):
    """Raised from within the loading of the past, to leave it."""


class DemoRole:
    """Drives the source through the phases: the past, waiting until the balances know it, then live."""

    def __init__(self, source: DemoSource, lag: LagView, on_live: Callable[[], None]) -> None:
        self.name = "demo"
        self.phase = Phase.PAST
        self.fraction = 0.0
        self.live_entries = 0
        self.live_since_s: float | None = None
        self._source = source
        self._lag = lag
        self._on_live = on_live

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""

        def progress(_written: int, fraction: float) -> None:
            self.fraction = fraction
            if stop.is_set():
                raise StoppedError

        try:
            self._source.load_history(progress)
        except StoppedError:
            return
        self.phase = Phase.CATCHING_UP
        self.fraction = 0.0
        most = 1
        while (behind := self._behind()) and not stop.wait(CATCH_UP_LOOK_S):
            most = max(most, behind)
            self.fraction = 1 - behind / most
        if stop.is_set():
            return
        self._on_live()
        self.live_since_s = time.monotonic()
        self.phase = Phase.LIVE
        try:
            self.live_entries = self._source.run(stop)
        finally:
            self._source.close()

    def interrupt(self) -> None:
        """Nothing to do: the source sees the stop event."""

    def _behind(self) -> int:
        """How many records the topologies have still to read; 1 at least until both have joined."""
        behind = dict(self._lag.look())
        return max(
            behind.get("balances", 0) + behind.get("alerts", 0), int(not {"balances", "alerts"} <= behind.keys())
        )


def show(options: DemoOptions) -> None:
    """Run the demo until Ctrl-C, or for its duration."""
    terminal = sys.stdout.isatty()
    with _folder(options.data) as (folder, kept):
        logs.configure(level="info" if terminal else "warning", file=folder.path / logs.LOG_FILE if terminal else None)
        restores = Restores()
        with Platform(
            folder,
            "demo",
            roles=WATCHING_ROLES,
            mailbox_port=options.port,
            notices=NoticeOptions(emails_per_hour=EMAILS_PER_HOUR),
            on_restore=restores,
        ) as platform:
            demo = _Demo(platform, options, restores)
            (demo.run_on_terminal if terminal else demo.run_plain)()
            demo.print_summary(kept)


@contextmanager
def _folder(data: Path | None) -> Iterator[tuple[DataFolder, bool]]:
    """The folder that was named, or a temporary one that goes at the end; and whether it is kept."""
    if data is not None:
        folder = DataFolder(data.expanduser().absolute())
        folder.create()
        yield folder, True
        return
    path = Path(tempfile.mkdtemp(prefix="streambank-demo-"))
    try:
        yield DataFolder(path), False
    finally:
        shutil.rmtree(path, ignore_errors=True)


class _Demo:
    def __init__(self, platform: Platform, options: DemoOptions, restores: Restores) -> None:
        self._platform = platform
        self._options = options
        self._restores = restores
        self._activity = Activity()
        self._watcher = Watcher(platform.log, self._activity)
        source = DemoSource(
            platform.log,
            system_clock,
            seed=options.seed,
            people=options.people,
            days=options.days,
            rate=options.rate,
        )
        self._role = DemoRole(source, LagView(platform.log), self._show_present)
        self._stop = threading.Event()

    def _show_present(self) -> None:
        self._activity.restart_rate()
        self._watcher.show_present(BALANCES_SHOWN)

    def run_on_terminal(self) -> None:
        """A progress bar for the past, then the picture."""
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        console = stdout_console()
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        tasks = {phase: bar.add_task(phase.value, start=False, total=1.0) for phase in (Phase.PAST, Phase.CATCHING_UP)}
        screen = self._screen()
        lag = LagView(self._platform.log)
        live = Live(console=console, screen=True, auto_refresh=False)

        def draw() -> None:
            self._stop_when_over()
            phase = self._role.phase
            if phase is Phase.LIVE:
                if not live.is_started:
                    bar.stop()
                    live.start()
                screen.notice = str(self._restores)
                screen.lag = lag.groups()
                live.update(screen, refresh=True)
            else:
                bar.start_task(tasks[phase])
                bar.update(tasks[phase], completed=self._role.fraction)
                bar.refresh()

        bar.start()
        try:
            with stop_on_signals(self._stop):
                self._platform.run(self._stop, draw, [self._watcher, self._role])
        finally:
            bar.stop()
            live.stop()

    def run_plain(self) -> None:
        """A line for each alert and e-mail."""
        said: set[Phase] = set()

        def tick() -> None:
            self._stop_when_over()
            phase = self._role.phase
            if phase not in said:
                said.add(phase)
                print(phase.value, flush=True)

        self._activity.on_alert = self._print_alert
        self._activity.on_email = self._print_email
        print(f"mailbox  {self._mailbox_hint()}", flush=True)
        with stop_on_signals(self._stop):
            self._platform.run(self._stop, tick, [self._watcher, self._role])

    def print_summary(self, kept: bool) -> None:
        """What happened, where the data is, and what to try next."""
        self._watcher.step()
        totals = self._activity.totals()
        since_s = self._role.live_since_s
        live_s = time.monotonic() - since_s if since_s is not None else 0.0
        print()
        live = self._role.live_entries
        print(f"{totals.events - live:,} entries of the past, and {live:,} live in {clock_time(live_s)}")
        print(f"{totals.alerts:,} alerts, {totals.emails:,} e-mails")
        print(f"from an entry's record to its e-mail: {_latency(totals.p50_ms)} median, {_latency(totals.p99_ms)} p99")
        folder = self._platform.folder.path
        if kept:
            print(f"\nThe data is in {tilde(folder)}. Try:")
            for command in ("balances", "alerts", "tail alert.raised", "mailbox", "up"):
                print(f"  streambank {command} --data {folder}")
        else:
            print("\nThe data was temporary and is gone. To keep it and look into it:")
            print("  streambank demo --data ./demo")
            print("  streambank balances --data ./demo")

    def _screen(self) -> Screen:
        screen = Screen(self._activity, title="streambank demo")
        options, folder = self._options, self._platform.folder
        what = f"{options.people:,} people, {options.rate:g} entries/s, seed {options.seed}"
        screen.footer = (
            f"mailbox {self._platform.mailbox_url}",
            f"Ctrl-C stops   {what}   data {tilde(folder.path)}",
        )
        return screen

    def _mailbox_hint(self) -> str:
        mailbox = self._platform.mailbox
        return mailbox.url if mailbox is not None else "-"

    def _stop_when_over(self) -> None:
        since_s, duration_s = self._role.live_since_s, self._options.duration_s
        if since_s is not None and duration_s is not None and time.monotonic() - since_s >= duration_s:
            self._stop.set()

    def _print_alert(self, alert: AlertRaised) -> None:
        people, threshold = self._activity.people, alert.threshold
        print(
            f"{alert.recorded_at.astimezone():%H:%M:%S}  alert   {people.name(alert.user_id)}, {people.scope(alert)}:"
            f" {money(alert.after_minor, alert.currency)} is {threshold.direction.value}"
            f" {amount(threshold.level_minor, alert.currency)}",
            flush=True,
        )

    def _print_email(self, alert: AlertRaised | None, latency_ms: float) -> None:
        whom = self._activity.people.name(alert.user_id) if alert is not None else "somebody"
        print(f"{'':8}  e-mail  to {whom}, after {milliseconds(latency_ms)}", flush=True)


def _latency(value: float | None) -> str:
    return "none yet" if value is None else milliseconds(value)
