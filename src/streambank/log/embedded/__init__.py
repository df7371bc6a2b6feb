"""The event log on SQLite: one file, no server. Needs nothing but Python."""

from streambank.log.embedded.cleaner import CleaningReport
from streambank.log.embedded.log import EmbeddedLog

__all__ = ["CleaningReport", "EmbeddedLog"]
