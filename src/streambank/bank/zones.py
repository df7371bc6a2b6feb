"""Users' time zones."""

from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name, else UTC: the wrong hour beats no answer."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # A name may also be that of a folder in the time zone database ("Europe"): an OSError.
        return ZoneInfo("UTC")
