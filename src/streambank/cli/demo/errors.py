"""What the demo can end with."""

from streambank.cli.errors import CommandError


class DemoError(CommandError):
    """The demo cannot go on."""


class StoppedError(Exception):
    """Raised from within what the demo does, to leave it: it was asked to stop."""
