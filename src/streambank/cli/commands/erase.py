"""``streambank erase``."""

from __future__ import annotations

from streambank.cli.api import USUAL_SERVER, ApiOption, PasswordStdinOption, ask_password, connected
from streambank.cli.asking import YesOption, confirmed
from streambank.cli.errors import EXIT_USAGE, say


def erase(
    *,
    yes: YesOption = False,
    password_stdin: PasswordStdinOption = False,
    server: ApiOption = USUAL_SERVER,
) -> int:
    """Erase everything that the bank knows of you, for ever. `streambank export` first keeps a copy.

    Asks back, and for the password.
    """
    with connected(server) as client:
        profile = client.users.profile()
        question = f"Erase {profile.value.email}, all accounts and all transactions, for ever?"
        if not confirmed(question, yes=yes, dry_run=False):
            return EXIT_USAGE
        client.users.erase(profile, ask_password("Password", password_stdin))
    server.credentials().remove(server.url)
    say("erased")
    return 0
