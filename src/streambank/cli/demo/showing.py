"""What ``streambank demo`` does: the whole bank, generated people who use it, and a picture of both."""

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

from argon2 import Parameters, Type

from streambank.bank.events import BALANCE_CHANGED, AlertRaised
from streambank.bank.users.settings import UsersSettings
from streambank.cli import logs
from streambank.cli.activity import Activity
from streambank.cli.demo.errors import StoppedError
from streambank.cli.demo.mail import BuiltInMailbox
from streambank.cli.demo.source import DemoSource
from streambank.cli.folder import DataFolder, tilde
from streambank.cli.formats import amount, clock_time, milliseconds, money
from streambank.cli.lagging import LagView
from streambank.cli.notices import NoticeOptions
from streambank.cli.output import stdout_console
from streambank.cli.platform import Platform
from streambank.cli.restores import Restores
from streambank.cli.screen import Screen
from streambank.cli.services import ServicesSettings
from streambank.cli.supervisor import stop_on_signals
from streambank.cli.watcher import Watcher
from streambank.clock import system_clock
from streambank.log import EventLog, TopicPartition
from streambank.service.http.rate_limits import RatePolicy

EMAILS_PER_HOUR = 1_000_000
"""The demo shows each alert's way to its e-mail; none is to wait for a digest."""

DEMO_SERVICES = ServicesSettings(
    # OWASP's least for Argon2id: as safe against guessing as a bank needs that is on this machine only, in a quarter of
    # the time. Everybody signs up at once, and one who logs in under `streambank up` gets a hash as others have it.
    users=UsersSettings(
        password_parameters=Parameters(
            type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=19 * 1024, parallelism=1
        )
    ),
    # All the people are at one address, this machine's. Log-ins are throttled all the same.
    anonymous=RatePolicy("anonymous", 60_000, 60),
)
CATCH_UP_LOOK_S = 0.1
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
    api_port: int
    port: int
    data: Path | None


class Phase(Enum):
    """How far the demo is."""

    JOINING = "people sign up"
    PAST = "generating the past"
    CATCHING_UP = "working out the balances"
    LIVE = "live"


class DemoRole:
    """Drives the source through the phases: joining, the past, waiting until the balances know it, then live."""

    def __init__(self, source: DemoSource, log: EventLog, on_live: Callable[[], None]) -> None:
        self.name = "demo"
        self.phase = Phase.JOINING
        self.fraction = 0.0
        self.past_entries = 0
        self.live_since_s: float | None = None
        self._source = source
        self._log = log
        self._lag = LagView(log)
        self._on_live = on_live

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        try:
            self._run(stop)
        except StoppedError:
            return
        finally:
            self._source.close()

    def interrupt(self) -> None:
        """Nothing to do: the source sees the stop event."""

    def _run(self, stop: threading.Event) -> None:
        self._source.join(stop, self._progress)
        self._enter(Phase.PAST)
        before = entries_in(self._log)
        self.past_entries = self._source.load_history(stop, self._progress)
        self._enter(Phase.CATCHING_UP)
        most = 1
        while behind := self._behind(before + self.past_entries):
            most = max(most, behind)
            self.fraction = 1 - behind / most
            if stop.wait(CATCH_UP_LOOK_S):
                return
        self._on_live()
        self.live_since_s = time.monotonic()
        self._enter(Phase.LIVE)
        self._source.run(stop)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.fraction = phase, 0.0

    def _progress(self, fraction: float) -> None:
        self.fraction = fraction

    def _behind(self, booked: int) -> int:
        """How many records are still to be published or read; 1 at least until both topologies have joined."""
        behind = dict(self._lag.look())
        return max(0, booked - entries_in(self._log)) + max(
            behind.get("balances", 0) + behind.get("alerts", 0), int(not {"balances", "alerts"} <= behind.keys())
        )


def entries_in(log: EventLog) -> int:
    """How many entries were ever published to the log."""
    partitions = range(log.topics()[BALANCE_CHANGED.name].partitions)
    return sum(log.watermarks(TopicPartition(BALANCE_CHANGED.name, partition)).high for partition in partitions)


def show(options: DemoOptions) -> None:
    """Run the demo until Ctrl-C, or for its duration."""
    terminal = sys.stdout.isatty()
    with _folder(options.data) as (folder, kept):
        logs.configure(level="info" if terminal else "warning", file=folder.path / logs.LOG_FILE if terminal else None)
        restores = Restores()
        with Platform(
            folder,
            "demo",
            api_port=options.api_port,
            mailbox_port=options.port,
            notices=NoticeOptions(emails_per_hour=EMAILS_PER_HOUR),
            services=DEMO_SERVICES,
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
        assert platform.services is not None
        self._url = platform.services.server.url
        self._source = DemoSource(
            self._url,
            platform.log,
            platform.folder.path,
            BuiltInMailbox(platform.folder.mailbox),
            system_clock,
            seed=options.seed,
            people=options.people,
            days=options.days,
            rate=options.rate,
        )
        self._role = DemoRole(self._source, platform.log, self._show_present)
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
        tasks = {phase: bar.add_task(phase.value, start=False, total=1.0) for phase in Phase if phase is not Phase.LIVE}
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
        for line in self._places(self._mailbox_hint()):
            print(line, flush=True)
        with stop_on_signals(self._stop):
            self._platform.run(self._stop, tick, [self._watcher, self._role])

    def print_summary(self, kept: bool) -> None:
        """What happened, where the data is, and what to try next."""
        self._watcher.step()
        totals = self._activity.totals()
        since_s = self._role.live_since_s
        live_s = time.monotonic() - since_s if since_s is not None else 0.0
        print()
        source = self._source
        print(
            f"{self._role.past_entries:,} entries of the past, and {source.live_entries:,} live in {clock_time(live_s)}"
        )
        print(f"{source.payments:,} payments between people")
        for count, what in ((source.let_go, "let go, as the bank was busy"), (source.refused, "refused by the bank")):
            if count:
                print(f"{count:,} entries and payments were {what}")
        print(f"{totals.alerts:,} alerts, {totals.emails:,} e-mails")
        print(f"from an entry's record to its e-mail: {_latency(totals.p50_ms)} median, {_latency(totals.p99_ms)} p99")
        folder = self._platform.folder.path
        if kept:
            print(f"\nThe data is in {tilde(folder)}. Try:")
            for command in ("balances", "alerts", "tail alert.raised", "mailbox", "up"):
                print(f"  streambank {command} --data {folder}")
            one = source.people[0]
            print(f"With `up` running, {one.name} may log in; the password is {one.password}")
            print(f"  streambank login {one.email} --data {folder}")
        else:
            print("\nThe data was temporary and is gone. To keep it and look into it:")
            print("  streambank demo --data ./demo")
            print("  streambank balances --data ./demo")

    def _places(self, mailbox: str) -> tuple[str, ...]:
        """Where to look, and as whom."""
        one = self._source.people[0]
        return (
            f"api      {self._url}/docs",
            f"mailbox  {mailbox}",
            f"log in   streambank login {one.email} --server {self._url}",
            f"         {one.name}'s password is {one.password}",
        )

    def _screen(self) -> Screen:
        screen = Screen(self._activity, title="streambank demo")
        options, folder = self._options, self._platform.folder
        what = f"{options.people:,} people, {options.rate:g} entries/s, seed {options.seed}"
        screen.footer = (
            *self._places(self._platform.mailbox_url or "-"),
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
