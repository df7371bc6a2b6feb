"""``streambank signup`` and ``streambank verify``."""

from __future__ import annotations

from streambank.cli.api import USUAL_SERVER, ApiOption, PasswordStdinOption, ask_password, connected, valid
from streambank.cli.errors import say


def signup(
    email: str,
    /,
    *,
    name: str | None = None,
    locale: str = "en",
    timezone: str = "UTC",
    password_stdin: PasswordStdinOption = False,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Sign up with the bank. A mail with a code follows; `streambank verify CODE` proves that it reached you.

    Parameters
    ----------
    email
        Your e-mail address.
    name
        Your name; what is before the @, if it is left out.
    locale
        How amounts and dates are written to you, such as en or pt-BR.
    timezone
        Where your days begin, such as Europe/Prague.
    """
    from streambank.bank.users.schemas import SignUp

    password = ask_password("Password", password_stdin, twice=True)
    body = valid(
        SignUp,
        email=email,
        password=password,
        name=name or email.partition("@")[0],
        locale=locale,
        timezone=timezone,
    )
    with connected(server) as client:
        client.users.sign_up(body)
    say(
        f"signed up. A mail to {body.email} has a code: `streambank verify CODE`, then `streambank login {body.email}`."
        " With the built-in mailbox, `streambank mailbox show latest` shows it"
    )


def verify(code: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Prove that a mail of the bank reached you, by the code in it.

    Parameters
    ----------
    code
        The code, or the link that it is in.
    """
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(code)
    # People copy the whole link; its query or its fragment has the code.
    found = [value for query in (parts.query, parts.fragment) for value in parse_qs(query).get("token", [])]
    with connected(server) as client:
        client.users.verify(found[0] if found else code)
    say("your e-mail address is verified")
