"""``streambank demo``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from streambank.cli.errors import UsageError
from streambank.cli.folder import DataOption
from streambank.cli.output import print_starting


def demo(
    *,
    people: int = 30,
    days: int = 90,
    rate: float = 60.0,
    seed: int = 1,
    duration: Annotated[str | None, Parameter(name="--duration")] = None,
    port: Annotated[int, Parameter(name="--port")] = 0,
    data: DataOption = None,
) -> None:
    """See it live: generated people and their payments, balances, alerts, and an e-mail for each alert.

    Needs no file and no network. First the past is generated, then payments go on live until Ctrl-C; each alert is
    shown with how long it took from the entry's record in the log to the mail server's answer. Without --data a
    temporary folder is used and removed at the end.

    Parameters
    ----------
    people
        How many people there are.
    days
        How many past days to generate.
    rate
        Live entries per second, for all people together.
    seed
        The same seed makes the same people and payments.
    duration
        Stop by itself after this long once it is live, such as 30s or 5m.
    port
        The port of the mailbox's page, on 127.0.0.1; 0: any.
    """
    from streambank.cli.formats import parse_duration

    if people < 1 or days < 1 or rate <= 0:
        raise UsageError("--people and --days must be at least 1, and --rate more than 0")
    duration_s = parse_duration(duration, "--duration") / 1000 if duration is not None else None
    print_starting()
    # Imported only now: it takes most of a second.
    from streambank.cli.showing import DemoOptions, show

    show(DemoOptions(people=people, days=days, rate=rate, seed=seed, duration_s=duration_s, port=port, data=data))
