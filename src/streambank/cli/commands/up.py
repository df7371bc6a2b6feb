"""``streambank up``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from streambank.cli.folder import DataOption
from streambank.cli.output import print_starting
from streambank.cli.smtp import BUILT_IN_MAILBOX, SmtpOption

if TYPE_CHECKING:
    from streambank.cli.platform import Platform

PortOption = Annotated[int, Parameter(name="--port", help="The port of the mailbox's page, on 127.0.0.1; 0: any.")]
MailPortOption = Annotated[
    int, Parameter(name="--mailbox-smtp-port", help="The port of the mailbox's SMTP server, on 127.0.0.1; 0: any.")
]


def up(
    *,
    data: DataOption = None,
    port: PortOption = 8025,
    mailbox_smtp_port: MailPortOption = 1025,
    smtp: SmtpOption = BUILT_IN_MAILBOX,
) -> None:
    """Run the bank until Ctrl-C: the event log, live balances, alerts, e-mails and the built-in mailbox.

    Other commands (import, tail, lag, balances, alerts...) work beside it from other terminals. On a terminal a status
    is shown; otherwise the process's log goes to stderr as JSON lines.
    """
    import sys

    print_starting()
    from streambank.cli import logs
    from streambank.cli.folder import data_folder
    from streambank.cli.platform import Platform
    from streambank.cli.restores import Restores

    logs.configure()
    restores = Restores()
    folder = data_folder(data)
    with Platform(
        folder,
        "up",
        smtp=smtp.settings(),
        mailbox_port=port,
        mailbox_smtp_port=mailbox_smtp_port,
        on_restore=restores,
    ) as platform:
        terminal = sys.stdout.isatty()
        _print_places(platform, terminal)
        if terminal:
            _run_on_terminal(platform, restores)
        else:
            _run_plain(platform)


def _print_places(platform: Platform, terminal: bool) -> None:
    from streambank.cli.folder import tilde

    print(f"data     {tilde(platform.folder.path)}")
    if platform.mailbox is None:
        print(f"e-mails  go out through {platform.smtp.host}:{platform.smtp.port} ({platform.smtp.tls})")
    elif terminal:
        print(f"mailbox  {platform.mailbox_url}")
    else:
        # The token is for the user's own terminal, never for a log.
        print(f"mailbox  {platform.mailbox.url} (with its token: streambank mailbox --open-url)")
    print("stop     Ctrl-C", flush=True)


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


def _run_plain(platform: Platform) -> None:
    import threading

    import structlog

    from streambank.bank.events import AlertRaised
    from streambank.cli.activity import Activity
    from streambank.cli.supervisor import stop_on_signals
    from streambank.cli.watcher import Watcher

    logger = structlog.get_logger("streambank")
    activity = Activity()

    def on_alert(alert: AlertRaised) -> None:
        logger.info("alert raised", alert_id=alert.alert_id, user_id=alert.user_id)

    def on_email(alert: AlertRaised | None, latency_ms: float) -> None:
        logger.info("e-mail sent", alert_id=alert.alert_id if alert is not None else None, latency_ms=round(latency_ms))

    activity.on_alert, activity.on_email = on_alert, on_email
    watcher = Watcher(platform.log, activity)
    stop = threading.Event()
    logger.info("running", data=str(platform.folder.path))
    with stop_on_signals(stop):
        platform.run(stop, lambda: None, [watcher])
    logger.info("stopped")
