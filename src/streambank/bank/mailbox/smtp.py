"""The mailbox's SMTP server (RFC 5321), for the loopback only: it takes e-mails and forwards none.

Extensions: PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), SIZE (RFC 1870), AUTH PLAIN (RFC 4954),
enhanced status codes (RFC 2034). A message is answered with 250 only once it is stored.
"""

import asyncio
import base64
import binascii
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from streambank.bank.mailbox.message import Envelope

logger = structlog.get_logger(__name__)

Deliver: TypeAlias = Callable[[Envelope, bytes], Awaitable[None]]
"""Stores a message; returns once it is durable."""

_PATH = re.compile(r"^(?:FROM|TO):\s*<([^<>\s]*)>((?: \S+)*)\s*$", re.IGNORECASE)
_BARE_LINE_BREAK = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_READ_BYTES = 64 * 1024
_AUTH_FAILURES_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpLimits:
    """What one client may ask for.

    Attributes:
        message_bytes_max: announced as SIZE.
        command_bytes_max: RFC 5321 section 4.5.3.1.4 has 512; AUTH (RFC 4954 section 4) needs up to 12,288.
        line_bytes_max: of a message's line with its CRLF (RFC 5321 section 4.5.3.1.6).
        recipients_max: of one message (section 4.5.3.1.8 wants at least 100).
        connections_max: at the same time.
        idle_s: section 4.5.3.2.7 wants at least five minutes.
    """

    message_bytes_max: int = 10 * 1024 * 1024
    command_bytes_max: int = 12_288
    line_bytes_max: int = 1_000
    recipients_max: int = 100
    connections_max: int = 100
    idle_s: float = 300.0


class SmtpServer:
    """Listens on 127.0.0.1. Runs in the asyncio loop that :meth:`start` is called in."""

    def __init__(self, deliver: Deliver, secret: str | None, limits: SmtpLimits) -> None:
        self._deliver = deliver
        self._secret = secret
        self._limits = limits
        self._sessions: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on ``port`` (0: any free one); the real port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_READ_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end all sessions now. A message not yet answered was not promised to be kept."""
        if self._server is not None:
            self._server.close()
        for task in self._sessions:
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._sessions.add(task)
        try:
            if len(self._sessions) > self._limits.connections_max:
                writer.write(b"421 4.3.2 Too many connections, try again later\r\n")
                await writer.drain()
            else:
                await _Session(reader, writer, self._deliver, self._secret, self._limits).run()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client went away or idles, or the server closes: there is nobody to tell.
            pass
        finally:
            self._sessions.discard(task)
            writer.close()


class _Session:
    """One connection: greeting, commands, messages."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deliver: Deliver,
        secret: str | None,
        limits: SmtpLimits,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._deliver = deliver
        self._secret = secret
        self._limits = limits
        self._buffer = bytearray()
        self._greeted = False
        self._username: str | None = None
        self._auth_failures = 0
        self._mail_from: str | None = None
        self._recipients: list[str] = []
        self._open = True
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "QUIT": self._quit,
        }

    async def run(self) -> None:
        """Talk until either side has had enough."""
        self._reply(220, "streambank mailbox ESMTP")
        while self._open:
            line = await self._line()
            if line is None:
                continue
            verb, _, argument = line.partition(" ")
            command = self._commands.get(verb.upper())
            if command is None:
                self._reply(500, "5.5.1 Command not known")
            else:
                await command(argument.strip())
        await self._writer.drain()

    def _reply(self, code: int, *lines: str) -> None:
        for text in lines[:-1]:
            self._writer.write(f"{code}-{text}\r\n".encode())
        self._writer.write(f"{code} {lines[-1]}\r\n".encode())

    async def _fill(self) -> None:
        # Replies to a pipelined group go out together, when there is no more of it to read.
        await self._writer.drain()
        async with asyncio.timeout(self._limits.idle_s):
            chunk = await self._reader.read(_READ_BYTES)
        if not chunk:
            raise ConnectionResetError
        self._buffer += chunk

    async def _line(self) -> str | None:
        """The next command line; None if it was too long or no text, which has been answered then."""
        too_long = False
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > self._limits.command_bytes_max:
                too_long = True
                del self._buffer[:-1]
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if too_long or len(line) > self._limits.command_bytes_max:
            self._reply(500, "5.5.2 Line too long")
            return None
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = "\0"
        if not text.isprintable():
            self._reply(500, "5.5.2 Only text, please")
            return None
        return text

    async def _ehlo(self, name: str) -> None:
        if not name:
            self._reply(501, "5.5.4 EHLO needs a name")
            return
        self._greet()
        auth = ("AUTH PLAIN",) if self._secret is not None else ()
        size = f"SIZE {self._limits.message_bytes_max}"
        self._reply(250, "mailbox", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", *auth, size)

    async def _helo(self, name: str) -> None:
        if not name:
            self._reply(501, "5.5.4 HELO needs a name")
            return
        self._greet()
        self._reply(250, "mailbox")

    def _greet(self) -> None:
        self._greeted = True
        self._forget()

    async def _auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if not self._greeted or self._username is not None or self._mail_from is not None:
            self._reply(503, "5.5.1 Not now")
            return
        if self._secret is None or mechanism.upper() != "PLAIN":
            self._reply(504, "5.5.4 Mechanism not known")
            return
        if not initial:
            self._reply(334, "")
            line = await self._line()
            if line is None:
                return
            initial = line
        if initial == "*":
            self._reply(501, "5.7.0 Authentication cancelled")
            return
        try:
            # RFC 4616: authorization identity, NUL, user, NUL, password.
            _, user, password = base64.b64decode("" if initial == "=" else initial, validate=True).split(b"\0")
        except (binascii.Error, ValueError):
            self._reply(501, "5.5.2 Not the base64 of PLAIN")
            return
        if hmac.compare_digest(password, self._secret.encode()):
            self._username = user.decode("utf-8", "replace")
            self._reply(235, "2.7.0 Welcome")
            return
        self._auth_failures += 1
        self._open = self._auth_failures < _AUTH_FAILURES_MAX
        self._reply(535, "5.7.8 User or password are wrong")
        logger.warning("mailbox: wrong password at the SMTP port")

    async def _mail(self, argument: str) -> None:
        match = _PATH.match(argument) if argument[:5].upper() == "FROM:" else None
        if not self._greeted or self._mail_from is not None:
            self._reply(503, "5.5.1 EHLO, then one MAIL at a time")
        elif self._secret is not None and self._username is None:
            self._reply(530, "5.7.0 Authentication required")
        elif match is None:
            self._reply(501, "5.5.4 Write MAIL FROM:<address>")
        else:
            self._start_message(match[1], match[2].split())

    def _start_message(self, mail_from: str, parameters: list[str]) -> None:
        for parameter in parameters:
            name, _, value = parameter.upper().partition("=")
            if name == "SIZE" and value.isdecimal() and len(value) <= 20:
                if int(value) > self._limits.message_bytes_max:
                    self._reply(552, f"5.3.4 More than {self._limits.message_bytes_max} bytes")
                    return
            elif (name, value) not in {("BODY", "7BIT"), ("BODY", "8BITMIME"), ("SMTPUTF8", "")} and name != "AUTH":
                self._reply(555, "5.5.4 Parameter not known")
                return
        self._mail_from = mail_from
        self._reply(250, "2.1.0 OK")

    async def _rcpt(self, argument: str) -> None:
        match = _PATH.match(argument) if argument[:3].upper() == "TO:" else None
        if self._mail_from is None:
            self._reply(503, "5.5.1 MAIL first")
        elif match is None or not match[1] or match[2]:
            self._reply(501, "5.5.4 Write RCPT TO:<address>")
        elif len(self._recipients) >= self._limits.recipients_max:
            self._reply(452, f"4.5.3 More than {self._limits.recipients_max} recipients")
        else:
            self._recipients.append(match[1])
            self._reply(250, "2.1.5 OK")

    async def _data(self, argument: str) -> None:
        if argument:
            self._reply(501, "5.5.4 DATA takes no argument")
            return
        if self._mail_from is None or not self._recipients:
            self._reply(503, "5.5.1 MAIL and RCPT first")
            return
        self._reply(354, "End with a line that has only a dot")
        content = await self._content()
        envelope = Envelope(self._mail_from, tuple(self._recipients), self._username or "")
        self._forget()
        if content is None:
            self._reply(552, f"5.3.4 More than {self._limits.message_bytes_max} bytes")
        elif _BARE_LINE_BREAK.search(content):
            # Servers that take a bare LF for a line break can be made to see another message's beginning in it.
            self._reply(554, "5.6.0 A CR or LF that is not part of a CRLF (RFC 5321 section 2.3.8)")
        elif max(map(len, content.split(b"\r\n"))) + 2 > self._limits.line_bytes_max:
            self._reply(554, f"5.6.0 A line of more than {self._limits.line_bytes_max} bytes")
        else:
            await self._store(envelope, content)

    async def _store(self, envelope: Envelope, content: bytes) -> None:
        try:
            await self._deliver(envelope, content)
        except Exception as error:
            # Whatever keeps the message from being stored, the client must keep it, and the next one may fare better.
            logger.error("mailbox: a message could not be stored", error=type(error).__name__)
            self._reply(451, "4.3.0 Could not store it, try again later")
            return
        self._reply(250, "2.0.0 Stored")

    async def _content(self) -> bytes | None:
        """A message as it was before dots were stuffed (RFC 5321 section 4.5.2); None if it is too large."""
        # With a line break before it, a dot in the first line is like any other.
        data = bytearray(b"\r\n") + self._buffer
        self._buffer.clear()
        searched, too_large = 0, False
        while (end := data.find(b"\r\n.\r\n", searched)) < 0:
            if len(data) > 2 * self._limits.message_bytes_max:
                # Dots double a message at most; what is beyond that is thrown away but for a part of the end mark.
                too_large = True
                del data[:-4]
            searched = max(0, len(data) - 4)
            await self._fill()
            data += self._buffer
            self._buffer.clear()
        self._buffer += data[end + 5 :]
        content = bytes(data[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
        return None if too_large or len(content) > self._limits.message_bytes_max else content

    async def _rset(self, _: str) -> None:
        self._forget()
        self._reply(250, "2.0.0 OK")

    async def _noop(self, _: str) -> None:
        self._reply(250, "2.0.0 OK")

    async def _vrfy(self, _: str) -> None:
        self._reply(252, "2.1.5 Send it and see")

    async def _quit(self, _: str) -> None:
        self._open = False
        self._reply(221, "2.0.0 Bye")

    def _forget(self) -> None:
        self._mail_from = None
        self._recipients = []
