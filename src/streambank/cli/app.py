"""The ``streambank`` command: its commands, and what happens to their errors."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from cyclopts import App, CycloptsError, Group

from streambank.cli.errors import EXIT_INTERRUPTED, EXIT_USAGE, report, say

_COMMANDS = {
    "Run it": {
        "up": "Run the bank: event log, balances, alerts, e-mails and mailbox, in one process.",
        "run": "Run parts of it: balances, alerts, notifications; in several processes, on several machines.",
        "demo": "See it live: generated people, their payments, alerts and e-mails. Needs no file and no network.",
        "import": "Read a bank's statements in: CSV, or the Berka data set.",
    },
    "Use the bank": {
        "signup": "Sign up with the bank, by e-mail address and password.",
        "verify": "Prove by the code in a mail that your e-mail address is yours.",
        "login": "Log in with the bank, by password or API key.",
        "logout": "Log out.",
        "whoami": "Show who is logged in.",
        "profile": "Your profile: name, time zone, quiet hours, digest, password, address.",
        "account": "Your accounts: list, open, rename, close, share; statements.",
        "tx": "Your transactions: list, search, add, edit, reverse, export.",
        "category": "Your categories: list, add.",
        "rule": "Your rules that categorise: list, add, preview, apply, remove.",
        "imports": "What was imported into your accounts: list, undo.",
        "pay": "Payments: send, list, cancel, refund; ask for money; what repeats; your alias.",
        "api-key": "API keys for programs of yours: list, make, revoke.",
        "export": "Write everything that the bank knows of you into a folder.",
        "erase": "Erase everything that the bank knows of you, for ever.",
    },
    "Look at the bank": {
        "balances": "Every account's balance, and each person's totals.",
        "alerts": "The alerts raised, and when their e-mails went out; set what to be alerted of.",
        "mailbox": "The e-mails caught by the built-in mailbox.",
    },
    "Look at the log": {
        "topics": "The topics, their partitions and offsets.",
        "tail": "The last records of a topic; -f follows it.",
        "lag": "How far each consumer group is behind.",
    },
    "Change the log": {
        "reset": "Let a group read again from elsewhere: a stream application begins anew.",
        "replay": "Write a part of a topic again, into another.",
        "migrate": "Move everything to another event log, such as to Kafka.",
    },
    "About": {
        "schemas": "The event contract: JSON Schemas and AsyncAPI.",
        "version": "The versions of streambank and of what it runs on.",
    },
}
"""By group: each command and its line in the help. They are imported only when they are called."""

_TARGETS = {
    "import": "streambank.cli.commands.import_:import_",
    "alerts": "streambank.cli.commands.alerts:app",
    "mailbox": "streambank.cli.commands.mailbox:app",
    "verify": "streambank.cli.commands.signup:verify",
    "logout": "streambank.cli.commands.login:logout",
    "whoami": "streambank.cli.commands.login:whoami",
    "profile": "streambank.cli.commands.profile:app",
    "account": "streambank.cli.commands.account:app",
    "tx": "streambank.cli.commands.tx:app",
    "category": "streambank.cli.commands.category:app",
    "rule": "streambank.cli.commands.rule:app",
    "imports": "streambank.cli.commands.imports:app",
    "pay": "streambank.cli.commands.pay:app",
    "api-key": "streambank.cli.commands.api_key:app",
    "schemas": "streambank.cli.commands.schemas:app",
}


def build_app() -> App:
    """The command-line parser."""
    app = App(
        name="streambank",
        help="A bank on an event log: live balances, alerts on crossing a threshold, and an e-mail within a second.",
        help_epilogue="Listings take -o table|json|jsonl. Exit codes: 0 done, 1 failed, 2 wrong usage.",
        help_format="plaintext",
        version=_version,
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for title, commands in _COMMANDS.items():
        group = Group.create_ordered(title)
        for name, text in commands.items():
            target = _TARGETS.get(name, f"streambank.cli.commands.{name}:{name}")
            app.command(target, name=name, help=text, group=group)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Nothing it raises comes through."""
    try:
        result = build_app()(list(arguments))
        sys.stdout.flush()
    except CycloptsError as error:
        say(f"streambank: {_one_line(error)}")
        say(f"See: streambank {_chain(error)}--help")
        return EXIT_USAGE
    except BrokenPipeError:
        # Whoever read our output has enough. The interpreter flushes stdout once more at its end: let that go nowhere.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        return report(error, _folder_of(arguments))
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point."""
    code = run(sys.argv[1:])
    # Everything is closed. Without this the interpreter looks through all that is left once more: a third of a second.
    gc.freeze()
    sys.exit(code)


def _version() -> str:
    from importlib.metadata import version

    return version("streambank")


def _one_line(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _chain(error: CycloptsError) -> str:
    return "".join(f"{name} " for name in error.command_chain or ())


def _folder_of(arguments: Sequence[str]) -> Path | None:
    """The data folder that the arguments name, as far as can be told without parsing them."""
    from streambank.cli.folder import HOME_VARIABLE, data_folder

    for option, value in pairwise(arguments):
        if option in ("--data", "-d"):
            return Path(value)
    for argument in arguments:
        if argument.startswith("--data="):
            return Path(argument.removeprefix("--data="))
    named = os.environ.get(HOME_VARIABLE)
    return data_folder(Path(named) if named else None).path
