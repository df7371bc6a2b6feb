"""Running without a screen: where everything is, and what happens as lines of the process's own log."""

from __future__ import annotations

import threading

import structlog

from streambank.bank.events import AlertRaised
from streambank.cli.activity import Activity
from streambank.cli.folder import tilde
from streambank.cli.platform import Platform
from streambank.cli.supervisor import stop_on_signals
from streambank.cli.watcher import Watcher

logger = structlog.get_logger("streambank")


def print_places(platform: Platform, terminal: bool) -> None:
    """Where everything is. ``terminal``: only its user sees it."""
    print(f"data     {tilde(platform.folder.path)}")
    if platform.folder.log_url is not None:
        print(f"log      {platform.folder}")
    if platform.services is not None:
        print(f"api      {platform.services.server.url}/docs")
    if platform.mailbox is None:
        if platform.smtp is not None:
            print(f"e-mails  go out through {platform.smtp.host}:{platform.smtp.port} ({platform.smtp.tls})")
    elif terminal:
        print(f"mailbox  {platform.mailbox_url}")
    else:
        # The token is for the user's own terminal, never for a log.
        print(f"mailbox  {platform.mailbox.url} (with its token: streambank mailbox --open-url)")
    print("stop     Ctrl-C", flush=True)


def run_plain(platform: Platform) -> None:
    """Run until a signal, and tell of alerts and e-mails in the process's own log."""
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
