"""``streambank up``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streambank.cli.databases import DatabaseOption
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.notices import USUAL_NOTICES, NoticeOption
from streambank.cli.output import print_starting
from streambank.cli.ports import ApiPortOption, MailPortOption, PortOption
from streambank.cli.smtp import BUILT_IN_MAILBOX, SmtpOption

if TYPE_CHECKING:
    from streambank.cli.platform import Platform


def up(
    *,
    place: PlaceOption = USUAL_PLACE,
    database: DatabaseOption = None,
    api_port: ApiPortOption = 8080,
    port: PortOption = 8025,
    mailbox_smtp_port: MailPortOption = 1025,
    smtp: SmtpOption = BUILT_IN_MAILBOX,
    notices: NoticeOption = USUAL_NOTICES,
) -> None:
    """Run the bank until Ctrl-C: event log, services with their API, live balances, alerts, e-mails, built-in mailbox.

    Other commands (import, tail, lag, balances, alerts...) work beside it from other terminals. On a terminal a status
    is shown; otherwise the process's log goes to stderr as JSON lines.
    """
    import sys

    print_starting()
    from streambank.cli import logs
    from streambank.cli.plain import print_places, run_plain
    from streambank.cli.platform import Platform
    from streambank.cli.restores import Restores

    logs.configure()
    restores = Restores()
    folder = place.folder()
    with Platform(
        folder,
        "up",
        database_url=database,
        smtp=smtp.settings(),
        notices=notices,
        api_port=api_port,
        mailbox_port=port,
        mailbox_smtp_port=mailbox_smtp_port,
        on_restore=restores,
    ) as platform:
        terminal = sys.stdout.isatty()
        print_places(platform, terminal)
        if terminal:
            _run_on_terminal(platform, restores)
        else:
            run_plain(platform)


def _run_on_terminal(platform: Platform, restores: object) -> None:
    import threading

    from rich.live import Live

    from streambank.cli.activity import Activity
    from streambank.cli.lagging import LagView
    from streambank.cli.output import stdout_console
    from streambank.cli.screen import Screen
    from streambank.cli.supervisor import stop_on_signals
    from streambank.cli.watcher import Watcher

    activity = Activity()
    watcher = Watcher(platform.log, activity)
    screen = Screen(activity, title="streambank", balances=False, feed_rows=6)
    lag = LagView(platform.log)
    stop = threading.Event()

    def draw() -> None:
        screen.notice = str(restores)
        screen.lag = lag.groups()
        live.update(screen, refresh=True)

    live = Live(console=stdout_console(), auto_refresh=False, transient=True)
    with stop_on_signals(stop), live:
        platform.run(stop, draw, [watcher])
