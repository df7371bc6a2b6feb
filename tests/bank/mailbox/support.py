"""A client that speaks SMTP by hand."""

import base64
import socket

SECRET = "the secret of the test"


class RawClient:
    """Sends bytes as they are, reads whole replies."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._stream = self.socket.makefile("rb")

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> str:
        """The next reply's last line; empty once the server has closed."""
        while True:
            line = self._stream.readline().decode().rstrip("\r\n")
            if line[3:4] != "-":
                return line

    def ask(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def log_in(self) -> None:
        assert self.reply().startswith("220")
        assert self.ask("EHLO test").startswith("250")
        assert self.ask(auth_plain(SECRET)).startswith("235")

    def start_message(self) -> None:
        assert self.ask("MAIL FROM:<a@x.org>").startswith("250")
        assert self.ask("RCPT TO:<b@y.org>").startswith("250")
        assert self.ask("DATA").startswith("354")


def auth_plain(password: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(b"\0user\0" + password.encode()).decode()
