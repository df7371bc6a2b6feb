"""The mailbox's password: random, made once, readable by its owner only."""

import base64
import os
from pathlib import Path

from streambank.errors import StreambankError
from streambank.ids import RandomBytes


def read_or_create_secret(path: Path, random_bytes: RandomBytes = os.urandom) -> str:
    """The secret in the file, which is made with mode 0600 where it does not exist: 192 random bits.

    Raises:
        StreambankError: the file is readable by others, or cannot be read or made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written under another name and linked: who finds the file finds it whole, and two that start at once agree.
        made = path.with_name(f"{path.name}.{os.getpid()}")
        if not path.exists():
            with open(os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(base64.urlsafe_b64encode(random_bytes(24)))
            try:
                os.link(made, path)
            except FileExistsError:
                pass
            finally:
                made.unlink()
        if path.stat().st_mode & 0o077:
            raise StreambankError(f"{path} holds a password but others may read it: run chmod 600 on it")
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StreambankError(f"cannot use the secret in {path}: {error}") from error
    if len(secret) < 16:
        raise StreambankError(f"the secret in {path} is too short: delete the file, and a new one is made")
    return secret
