"""The SMTP client (RFC 5321), on the standard library's: one connection, kept open, interruptible by other threads."""

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol, TypeVar

from streambank.bank.notifications.settings import NotificationsSettings
from streambank.errors import StreambankError, check

_AUTHENTICATION = {530, 534, 535, 538}
"""RFC 4954 section 6: the server wants (another) authentication, whatever command it says so at."""

_LINE_END = re.compile(r"[\r\n]")
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)
_POLICY_CODE = re.compile(rb"5\.7\.\d{1,3}\b")
_ENHANCED_CODE = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")


T = TypeVar("T")


class _Command(NamedTuple):
    """A command, the name of its stage in messages, and the replies that let the next one follow."""

    stage: str
    text: str
    ok: tuple[int, ...]


class MailError(StreambankError):
    """The e-mail was not handed over. The text is fit for logs; ``reply`` is the server's, which may hold addresses."""

    def __init__(self, text: str, reply: str = "") -> None:
        super().__init__(text)
        self.reply = reply


class RecipientDeferredError(MailError):
    """The server does not take this e-mail now (4xx); it may later. Others are not concerned."""


class RecipientRefusedError(MailError):
    """The server will never take this e-mail (5xx for its recipient, its size or its content).

    ``is_about_address``: it is the recipient that it refuses, and not for a policy (RFC 3463: 5.7.x), which is as often
    about the sender.
    """

    def __init__(self, text: str, reply: str = "", *, is_about_address: bool = False) -> None:
        super().__init__(text, reply)
        self.is_about_address = is_about_address


class ServerUnavailableError(MailError):
    """The server cannot be reached or takes nothing now. The e-mail was certainly not handed over."""


class HandoverUnknownError(ServerUnavailableError):
    """The connection was lost between the end of the message and the reply: the server may have it, or not."""


class MailConfigurationError(MailError):
    """The server refuses this sender: password, TLS or address are wrong. Nothing goes out until that is set right."""


class Mailer(Protocol):
    """Hands e-mails to a mail server. Used by one thread; only :meth:`interrupt` may be called from others."""

    def connect(self) -> None:
        """Make sure of a connection. Raises ServerUnavailableError or MailConfigurationError."""

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Hand over one message; returns once the server has taken it on (its 250).

        Raises:
            MailError: see the subclasses. Whatever was raised, the next call starts afresh.
        """

    def interrupt(self) -> None:
        """End what :meth:`send` waits for, and let every later call fail with ServerUnavailableError."""

    def close(self) -> None:
        """Say goodbye. Idempotent."""


class SmtpMailer:
    """A :class:`Mailer` for an SMTP server."""

    def __init__(self, settings: NotificationsSettings, ssl_context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._ssl_context = ssl_context or (ssl.create_default_context() if settings.tls != "none" else None)
        self._smtp: smtplib.SMTP | None = None
        self._interrupted = threading.Event()

    def connect(self) -> None:
        """See :class:`Mailer`."""
        if self._interrupted.is_set():
            raise ServerUnavailableError("stopping")
        if self._smtp is not None:
            return
        settings = self._settings
        try:
            self._open()
        except smtplib.SMTPAuthenticationError as error:
            self._drop()
            text = _text("authentication", error.smtp_code, error.smtp_error)
            kind = ServerUnavailableError if 400 <= error.smtp_code < 500 else MailConfigurationError
            raise kind(f"{text}: check user and password of {settings.host}:{settings.port}") from error
        except smtplib.SMTPNotSupportedError as error:
            self._drop()
            raise MailConfigurationError(f"{settings.host}:{settings.port}: {error}; check tls and user") from error
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise MailConfigurationError(
                f"the certificate of {settings.host}:{settings.port} is not trusted: {error.verify_message}"
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise ServerUnavailableError(
                f"cannot use the mail server {settings.host}:{settings.port}: {_describe(error)}"
            ) from error
        if self._interrupted.is_set():
            self._drop()
            raise ServerUnavailableError("stopping")

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """See :class:`Mailer`."""
        reused = self._smtp is not None
        self.connect()
        try:
            self._begin(sender, recipient, message)
        except ServerUnavailableError:
            if not reused or self._interrupted.is_set():
                raise
            # A server may close a connection that was idle or had its fill of messages; a new one tells whether that
            # was all. Nothing of this message has been handed over.
            self.connect()
            self._begin(sender, recipient, message)
        self._hand_over(message)

    def interrupt(self) -> None:
        """See :class:`Mailer`."""
        self._interrupted.set()
        smtp = self._smtp
        sock = getattr(smtp, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See :class:`Mailer`."""
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None and not self._interrupted.is_set():
            # A server that does not even answer QUIT is not waited for.
            smtp.sock.settimeout(1.0)
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
        self._drop()

    def _open(self) -> None:
        settings, context = self._settings, self._ssl_context
        name, timeout_s = settings.message_id_host, settings.connect_timeout_s
        if settings.tls == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(local_hostname=name, timeout=timeout_s, context=context)
        else:
            smtp = smtplib.SMTP(local_hostname=name, timeout=timeout_s)
        # The constructor would connect before another thread can get at the socket. Without the constructor the class
        # does not learn the host's name, which it checks the certificate against.
        smtp._host = settings.host  # type: ignore[attr-defined]
        self._smtp = smtp
        code, reply = smtp.connect(settings.host, settings.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, reply)
        check(smtp.sock is not None, "a connected client has a socket")
        smtp.sock.settimeout(settings.reply_timeout_s)  # type: ignore[union-attr]
        # Each command is one small packet that waits for its reply: Nagle's algorithm would only delay it.
        smtp.sock.setsockopt(  # type: ignore[union-attr]
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        smtp.ehlo_or_helo_if_needed()
        if settings.tls == "starttls":
            smtp.starttls(context=context)
            smtp.ehlo()
        if settings.user is not None and settings.password is not None:
            smtp.login(settings.user, settings.password)

    def _begin(self, sender: str, recipient: str, message: bytes) -> None:
        """Everything before the message: one round trip where the server takes commands in a row, else one for each."""
        smtp = self._connected()
        options = ""
        if smtp.has_extn("size"):
            options += f" SIZE={len(message)}"
        if not recipient.isascii() or not sender.isascii():
            if not smtp.has_extn("smtputf8"):
                raise RecipientRefusedError("the address is not ASCII, and the server has no SMTPUTF8 (RFC 6531)")
            smtp.command_encoding = "utf-8"
            options += " SMTPUTF8 BODY=8BITMIME"
        commands = [
            _Command("MAIL", f"MAIL FROM:<{sender}>{options}", (250,)),
            _Command("RCPT", f"RCPT TO:<{recipient}>", (250, 251)),
            _Command("DATA", "DATA", (354,)),
        ]
        if smtp.has_extn("pipelining"):
            self._pipeline(commands)
            return
        for command in commands:
            code, reply = self._exchange(command.stage, lambda text=command.text: smtp.docmd(text))  # type: ignore[misc]
            if code not in command.ok:
                raise self._refused(command.stage, code, reply)

    def _pipeline(self, commands: Sequence["_Command"]) -> None:
        """Send the commands in one go and take their replies in order (RFC 2920)."""
        smtp = self._connected()
        check(not any(_LINE_END.search(each.text) for each in commands), "a line's end within an SMTP command")
        self._exchange(commands[0].stage, lambda: smtp.send("".join(f"{each.text}\r\n" for each in commands)))
        refused: tuple[str, int, bytes] | None = None
        for command in commands:
            code, reply = self._exchange(command.stage, smtp.getreply)
            if code in command.ok:
                continue
            refused = refused or (command.stage, code, reply)
            if code == 421:
                break
        if refused is None:
            return
        if code == 354:
            # Section 3.1: a server may ask for the message all the same. An empty one ends that.
            self._exchange("DATA", lambda: smtp.docmd("."))
        raise self._refused(*refused)

    def _hand_over(self, message: bytes) -> None:
        smtp = self._connected()
        end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
        try:
            # If this fails, the end of the message, which comes last, was not sent.
            smtp.send(_LINE_START_DOT.sub(b"..", message) + end)
        except (OSError, smtplib.SMTPException) as error:
            raise self._lost("DATA", error) from error
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(self._settings.accepted_timeout_s)
            code, reply = smtp.getreply()
            if smtp.sock is not None:
                smtp.sock.settimeout(self._settings.reply_timeout_s)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise HandoverUnknownError(f"no reply to the message: {_describe(error)}") from error
        if code != 250:
            raise self._refused("end of message", code, reply)

    def _exchange(self, stage: str, talk: Callable[[], T]) -> T:
        try:
            return talk()
        except UnicodeEncodeError as error:
            raise RecipientRefusedError("the address is not ASCII") from error
        except (OSError, smtplib.SMTPException) as error:
            raise self._lost(stage, error) from error

    def _refused(self, stage: str, code: int, reply: bytes) -> MailError:
        text, said = _text(stage, code, reply), reply.decode("utf-8", "replace")
        if code == 421 or code < 400 or (stage == "MAIL" and code < 500):
            # RFC 5321 section 3.8: after 421 the server closes the connection. A reply outside the protocol is as bad.
            self._drop()
            return ServerUnavailableError(text, said)
        self._reset()
        if code in _AUTHENTICATION or (stage == "MAIL" and code != 552):
            return MailConfigurationError(f"{text}: the server refuses this sender; check user, tls and sender", said)
        if code < 500:
            return RecipientDeferredError(text, said)
        is_about_address = stage == "RCPT" and _POLICY_CODE.match(reply) is None
        return RecipientRefusedError(text, said, is_about_address=is_about_address)

    def _reset(self) -> None:
        try:
            code, _ = self._connected().rset()
        except (OSError, smtplib.SMTPException):
            code = 0
        if code != 250:
            self._drop()

    def _lost(self, stage: str, error: Exception) -> ServerUnavailableError:
        self._drop()
        return ServerUnavailableError(f"connection lost at {stage}: {_describe(error)}")

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is None:
            raise ServerUnavailableError("not connected")
        return self._smtp

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()


def _text(stage: str, code: int, reply: bytes | str) -> str:
    said = reply if isinstance(reply, bytes) else reply.encode()
    enhanced = _ENHANCED_CODE.match(said)
    return f"the mail server answered {code}{f' {enhanced[0].decode()}' if enhanced else ''} at {stage}"


def _describe(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _text("connection", error.smtp_code, error.smtp_error)
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
