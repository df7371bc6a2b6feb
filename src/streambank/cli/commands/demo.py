"""``streambank demo``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from streambank.cli.errors import UsageError
from streambank.cli.folder import DataOption
from streambank.cli.output import print_starting
from streambank.cli.ports import ApiPortOption, PortOption


def demo(
    *,
    people: int = 30,
    days: int = 90,
    rate: float = 60.0,
    seed: int = 1,
    duration: Annotated[str | None, Parameter(name="--duration")] = None,
    api_port: ApiPortOption = 0,
    port: PortOption = 0,
    data: DataOption = None,
) -> None:
    """See it live: the whole bank, and generated people who use it through its API.

    Needs no file and no network. People sign up, answer the mail and open accounts; their past is booked, and then
    entries go on live until Ctrl-C. Each alert is shown with how long it took from the entry's record in the log to
    the mail server's answer. One of the people, with their password, is shown too: log in as them from another
    terminal. Without --data a temporary folder is used and removed at the end; with it, the demo goes on where it was.

    Parameters
    ----------
    people
        How many people there are.
    days
        How many past days to generate.
    rate
        Live entries per second, for all people together.
    seed
        The same seed makes the same people, with the same lives.
    duration
        Stop by itself after this long once it is live, such as 30s or 5m.
    """
    from streambank.cli.formats import parse_duration

    if people < 1 or days < 1 or rate <= 0:
        raise UsageError("--people and --days must be at least 1, and --rate more than 0")
    duration_s = parse_duration(duration, "--duration") / 1000 if duration is not None else None
    print_starting()
    # Imported only now: it takes most of a second.
    from streambank.cli.demo.showing import DemoOptions, show

    show(
        DemoOptions(
            people=people,
            days=days,
            rate=rate,
            seed=seed,
            duration_s=duration_s,
            api_port=api_port,
            port=port,
            data=data,
        )
    )
