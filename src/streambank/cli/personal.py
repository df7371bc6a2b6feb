"""Personal data for a person's eyes: what is sealed in the log is opened with the keys that are in it too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streambank.log import EventLog

ERASED = "(erased)"
UNREADABLE = "(unreadable)"
"""Sealed with another key than its user's, or damaged."""


@dataclass(slots=True)
class Keys:
    """What users' personal data is sealed with, by user id. Who is sealed and has none was erased."""

    by_user: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, log: EventLog) -> Keys:
        """Those that are in the log now."""
        from streambank.bank.events import USER_KEY
        from streambank.cli.reading import latest

        return cls({user_id: value.key for user_id, value in latest(log, USER_KEY).items()})

    def unsealed(self, user_id: str, text: str) -> str:
        """What the text says. One that is not sealed is its own answer."""
        from streambank.bank.events.personal import SealError, unseal

        try:
            opened = unseal(self.by_user.get(user_id), user_id, text)
        except SealError:
            return UNREADABLE
        return ERASED if opened is None else opened

    def unsealed_in(self, value: Any, user_id: str | None = None) -> Any:
        """A decoded JSON value with every text opened that is sealed for the user of the object around it."""
        if isinstance(value, dict):
            owner = value.get("user_id", user_id)
            return {name: self.unsealed_in(item, owner) for name, item in value.items()}
        if isinstance(value, list):
            return [self.unsealed_in(item, user_id) for item in value]
        return self.unsealed(user_id, value) if isinstance(value, str) and isinstance(user_id, str) else value
