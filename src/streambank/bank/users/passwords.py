"""Passwords: which are good enough, and their hashes (Argon2id, RFC 9106).

A hash takes a tenth of a second and 64 MiB on purpose. They are therefore made by a few threads of their own, never
within a transaction, and when too many wait the next one is refused.
"""

import asyncio
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from streambank.errors import StreambankError
from streambank.ids import RandomBytes
from streambank.service.http.problems import Problem

T = TypeVar("T")

PASSWORD_CHARS_MIN = 12
"""NIST SP 800-63B wants 15 where a password is all there is; most people then repeat one. Guessing is throttled, and
what is guessed first is refused."""

PASSWORD_CHARS_MAX = 256
"""Longer than any sentence that people remember; more would only be a way to keep the service busy."""

DISTINCT_CHARS_MIN = 5

WAITING_MAX = 32
"""Hashes that may wait for a thread: some seconds' worth. Who waits longer has gone away."""

_RUNS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "01234567890123456789", "98765432109876543210")


class PasswordError(StreambankError):
    """A password that is too easy to guess. The text does not repeat it."""


def check_password(password: str, *, email: str, name: str) -> None:
    """Refuse what a guesser tries first.

    Raises:
        PasswordError: it is too short or too long, has hardly any characters, or is made of the address, the name or a
            row of the keyboard.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise PasswordError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters; take a sentence")
    folded = normalized(password).casefold()
    if len(set(folded)) < DISTINCT_CHARS_MIN:
        raise PasswordError("the password repeats the same few characters; take a sentence")
    known = [email.casefold(), email.casefold().partition("@")[0], name.casefold(), "password", "streambank", *_RUNS]
    left = folded
    for word in known:
        if len(word) >= 4:
            left = left.replace(word, "")
    if any(folded in run for run in _RUNS) or len(left) < PASSWORD_CHARS_MIN // 2:
        raise PasswordError("the password is made of your address, your name or common words; take a sentence")


def normalized(password: str) -> str:
    """The password as it is hashed: the same, however a keyboard composes its characters (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def _hash_of_nothing(parameters: Parameters, random_bytes: RandomBytes) -> str:
    """A hash, in argon2's text form, that no password is known to have. Made up: to compute one takes a while."""
    settings = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    digest, salt = (
        b64encode(random_bytes(count)).decode().rstrip("=") for count in (parameters.hash_len, parameters.salt_len)
    )
    return f"$argon2{parameters.type.name.lower()}$v={parameters.version}${settings}${salt}${digest}"


class Passwords:
    """Makes and checks hashes. For many threads; the caller closes it."""

    def __init__(self, parameters: Parameters, random_bytes: RandomBytes, *, at_once_max: int) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._random_bytes = random_bytes
        self._salt_bytes = parameters.salt_len
        self._executor = ThreadPoolExecutor(at_once_max, thread_name_prefix="passwords")
        self._room = threading.BoundedSemaphore(at_once_max + WAITING_MAX)
        # To check against where there is no such account takes as long.
        self._nobody = _hash_of_nothing(parameters, random_bytes)

    def hash(self, password: str) -> str:
        """The hash to store, with its salt and its parameters in it."""
        return self._hasher.hash(normalized(password), salt=self._random_bytes(self._salt_bytes))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is that password. False without a hash, after the same time."""
        try:
            right = self._hasher.verify(password_hash or self._nobody, normalized(password))
        except (VerificationError, InvalidHashError):
            return False
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work``, which hashes, in a thread kept for that.

        Raises:
            Problem: 503, too many wait already.
        """
        if not self._room.acquire(blocking=False):
            raise Problem(503, "busy", "too many are logging in: try again in a second", headers={"Retry-After": "1"})
        future = self._executor.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the threads, once they are done. Idempotent."""
        self._executor.shutdown(cancel_futures=True)
