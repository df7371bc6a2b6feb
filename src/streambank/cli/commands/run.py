"""``streambank run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

from cyclopts import Parameter

from streambank.cli.databases import DatabaseOption
from streambank.cli.errors import UsageError
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.notices import USUAL_NOTICES, NoticeOption
from streambank.cli.ports import ApiPortOption, MailPortOption, PortOption
from streambank.cli.smtp import BUILT_IN_MAILBOX, SmtpOption

if TYPE_CHECKING:
    import threading

    from streambank.cli.folder import DataFolder

RoleName: TypeAlias = Literal[
    "users",
    "transactions",
    "personalization",
    "payments",
    "views",
    "notifications",
    "balances",
    "alerts",
    "goals",
    "figures",
    "screening",
]


def run(
    roles: Annotated[list[RoleName], Parameter(negative="")],
    /,
    *,
    processes: Annotated[int, Parameter(name=["--processes", "-p"])] = 1,
    threads: Annotated[int, Parameter(name=["--threads", "-t"])] = 1,
    place: PlaceOption = USUAL_PLACE,
    database: DatabaseOption = None,
    api_port: ApiPortOption = 8080,
    port: PortOption = 8025,
    mailbox_smtp_port: MailPortOption = 1025,
    smtp: SmtpOption = BUILT_IN_MAILBOX,
    notices: NoticeOption = USUAL_NOTICES,
) -> None:
    """Run parts of the bank until Ctrl-C: each in as many processes, on as many machines, as there is work.

    All that run on the same event log share its partitions out, and take over from one that dies. The process's own
    log goes to stderr.

    Parameters
    ----------
    roles
        users, transactions, personalization, payments, views and notifications are services with an API, each with a
        database of its own; notifications sends the e-mails, too. The others are stream topologies.
    processes
        How many processes; one that dies is started again. Only for topologies.
    threads
        How many threads each process has for each topology.
    """
    if not roles:
        raise UsageError(f"name what to run: {', '.join(get_args(RoleName))}")
    if processes < 1 or threads < 1:
        raise UsageError("--processes and --threads must be at least 1")
    if processes > 1:
        _check_topologies(roles)
        _run_processes(place.folder(), roles, processes, threads)
        return
    from streambank.cli import logs
    from streambank.cli.plain import print_places, run_plain
    from streambank.cli.platform import Platform

    logs.configure()
    with Platform(
        place.folder(),
        f"run {' '.join(roles)}",
        roles=roles,
        threads=threads,
        database_url=database,
        smtp=smtp.settings(),
        notices=notices,
        api_port=api_port,
        mailbox_port=port,
        mailbox_smtp_port=mailbox_smtp_port,
    ) as platform:
        print_places(platform, sys.stdout.isatty())
        run_plain(platform)


def _check_topologies(roles: list[RoleName]) -> None:
    """Only the work of topologies is shared out among processes."""
    from streambank.cli.platform import TOPOLOGIES

    if alone := sorted(set(roles) - TOPOLOGIES.keys()):
        raise UsageError(f"--processes is for {', '.join(sorted(TOPOLOGIES))}: run {', '.join(alone)} by itself")


def _run_processes(folder: DataFolder, roles: list[RoleName], count: int, threads: int) -> None:
    import threading

    from streambank.cli import logs
    from streambank.cli.processes import run_processes
    from streambank.cli.supervisor import stop_on_signals

    logs.configure()
    stop = threading.Event()
    with stop_on_signals(stop):
        run_processes(stop, run_topologies, (folder, roles, threads), count=count, names="-".join(roles))


def run_topologies(stop: threading.Event, folder: DataFolder, roles: list[RoleName], threads: int) -> None:
    """What one of several processes does."""
    from streambank.cli.platform import Platform

    with Platform(folder, "run", roles=roles, threads=threads) as platform:
        platform.run(stop, lambda: None)
