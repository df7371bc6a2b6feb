"""A mail server that fails in all the ways mail servers do, and what it took."""

import re
from collections import Counter
from dataclasses import dataclass

from tests.simulation.faults import Life

from streambank.bank.notifications.mailer import (
    HandoverUnknownError,
    MailConfigurationError,
    RecipientDeferredError,
    RecipientRefusedError,
    ServerUnavailableError,
)
from streambank.clock import Clock
from streambank.log.embedded.log import SESSION_TIMEOUT_MS

_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>]+>)\r?$", re.MULTILINE)
HELD_UP_MS = SESSION_TIMEOUT_MS * 2 // 3
"""A sender that is held up for longer may be taken for dead: its last sign of life may be a third of a session old."""

_TOKEN = re.compile(rb"token=([A-Za-z0-9._~-]+)")


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message in somebody's mailbox."""

    recipient: str
    message_id: str
    content: bytes

    @property
    def token(self) -> str | None:
        """What the message's link proves."""
        # A soft line break of quoted-printable may be in the midst of it.
        found = _TOKEN.search(self.content.replace(b"=\r\n", b"").replace(b"=3D", b"="))
        return found[1].decode() if found else None


class MailServer:
    """The server, which outlives whoever talks to it.

    ``ambiguous`` counts, by Message-ID, handovers of which the sender did not get to know or to keep that they were
    done, or was taken for dead before it did: each may be repeated once. ``given_up`` are the messages that it refused,
    or put off: the sender may give up.
    """

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []
        self.ambiguous: Counter[str] = Counter()
        self.given_up: set[str] = set()

    def of(self, recipient: str) -> list[Delivered]:
        """What is in a mailbox, the oldest first."""
        return [one for one in self.delivered if one.recipient == recipient]


class SimMailer:
    """See :class:`streambank.bank.notifications.mailer.Mailer`."""

    def __init__(self, server: MailServer, life: Life, sessions_ms: Clock) -> None:
        self._server = server
        self._life = life
        self._sessions_ms = sessions_ms
        self._unrecorded: str | None = None
        self._began_ms = sessions_ms()

    def connect(self) -> None:
        self._life.point("mail: connect")
        if self._fails("mail server is down", 0.2):
            raise ServerUnavailableError("the server is down")
        if self._fails("mail server refuses us", 0.05):
            raise MailConfigurationError("the password is wrong")

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        self._life.point("mail: send")
        found = _MESSAGE_ID.search(message)
        assert found is not None
        message_id = found[1].decode()
        if self._fails("mail refused", 0.1):
            self._server.given_up.add(message_id)
            raise RecipientRefusedError("550 no such mailbox")
        if self._fails("mail deferred", 0.3):
            self._server.given_up.add(message_id)
            raise RecipientDeferredError("450 come back later")
        if self._fails("mail server is gone", 0.2):
            raise ServerUnavailableError("the connection broke")
        if self._fails("mail lost in handover", 0.1):
            # It may send again, though it was not delivered.
            raise HandoverUnknownError("no reply")
        self._server.delivered.append(Delivered(recipient, message_id, message))
        if self._fails("mail taken without reply", 0.1):
            self._server.ambiguous[message_id] += 1
            raise HandoverUnknownError("no reply")
        self._unrecorded = message_id
        self._life.point("mail: taken")

    def recorded(self) -> None:
        """The sender has committed what it did."""
        if self._unrecorded is not None and self._sessions_ms() - self._began_ms >= HELD_UP_MS:
            self.lost()
        self._unrecorded = None
        # What it sends next it took before this, or with it.
        self._began_ms = self._sessions_ms()

    def lost(self) -> None:
        """The sender has not, and never will."""
        if self._unrecorded is not None:
            self._server.ambiguous[self._unrecorded] += 1
            self._unrecorded = None

    def interrupt(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """There is no connection."""

    def _fails(self, what: str, share: float) -> bool:
        return self._life.faults.strikes(self._life.faults.rates.mail * share, self._life.name, what)
