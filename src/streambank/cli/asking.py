"""Asking before something is changed."""

from __future__ import annotations

import sys
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from streambank.cli.errors import say

YesOption: TypeAlias = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do it without a question.")]
DryRunOption: TypeAlias = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Show what would be done, and change nothing.")
]


def confirmed(question: str, *, yes: bool, dry_run: bool) -> bool:
    """Whether to go on: as the options say, else as the user answers, who is asked on a terminal only."""
    if yes or dry_run:
        return not dry_run
    if not sys.stdin.isatty():
        say("streambank: nothing was changed. To do this, run it again with --yes; to only look, with --dry-run")
        return False
    print(f"\n{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() in ("y", "yes"):
        return True
    say("nothing was changed")
    return False
