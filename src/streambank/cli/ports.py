"""The options that say which ports of 127.0.0.1 the bank listens on."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

ApiPortOption: TypeAlias = Annotated[
    int, Parameter(name="--api-port", help="The port of the services' API, on 127.0.0.1; 0: any.")
]
PortOption: TypeAlias = Annotated[
    int, Parameter(name="--port", help="The port of the mailbox's page, on 127.0.0.1; 0: any.")
]
MailPortOption: TypeAlias = Annotated[
    int, Parameter(name="--mailbox-smtp-port", help="The port of the mailbox's SMTP server, on 127.0.0.1; 0: any.")
]
