"""How the users service is set up."""

from dataclasses import dataclass, field

from argon2 import Parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from streambank.service.errors import ServiceError


class SettingsError(ServiceError):
    """A setting cannot work as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersSettings:
    """What differs between installations.

    Attributes:
        secure_cookies: whether the session's cookie is sent over TLS only. Without it, it still is where the request
            came over TLS.
        password_parameters: of Argon2id; the default is the second recommendation of RFC 9106.
        hashes_at_once_max: passwords hashed at the same time. Each takes the parameters' memory, 64 MiB by default.

    Raises:
        SettingsError: a value that cannot work.
    """

    secure_cookies: bool = False
    password_parameters: Parameters = field(default_factory=lambda: RFC_9106_LOW_MEMORY)
    hashes_at_once_max: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.hashes_at_once_max <= 64:
            raise SettingsError(f"hashes_at_once_max: {self.hashes_at_once_max} is not from 1 to 64")
