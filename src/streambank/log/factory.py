"""Opening an event log by its address."""

import re
from pathlib import Path

from streambank.clock import Clock, system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.log.errors import LogError
from streambank.log.interface import EventLog

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)


def open_log(url_or_path: str | Path, *, clock: Clock = system_clock) -> EventLog:
    """Open the event log at a folder's path, at ``embedded:PATH``, or at ``kafka://HOST:PORT[,HOST:PORT]``.

    ``embedded:`` alone is a private log in memory. An address of Kafka may carry settings, and name a file of them:
    see :meth:`streambank.log.kafka.KafkaSettings.from_url`.

    Raises:
        LogError: the address has another scheme, or no broker answers.
        StorageVersionError: see :meth:`EmbeddedLog.open`.
    """
    if isinstance(url_or_path, Path):
        return EmbeddedLog.open(url_or_path, clock=clock)
    match = _SCHEME.fullmatch(url_or_path)
    if match is None:
        if not url_or_path:
            raise LogError("the event log's address is empty; give a folder, or 'embedded:PATH'")
        return EmbeddedLog.open(Path(url_or_path), clock=clock)
    scheme, rest = match.groups()
    if scheme == "kafka":
        return _open_kafka(rest, clock)
    if scheme != "embedded":
        raise LogError(
            f"there is no event log for {scheme!r} addresses; give a folder, 'embedded:PATH' or 'kafka://HOST:PORT'"
        )
    return EmbeddedLog.open(Path(rest) if rest else None, clock=clock)


def _open_kafka(rest: str, clock: Clock) -> EventLog:
    try:
        from streambank.log.kafka import KafkaLog, KafkaSettings
    except ModuleNotFoundError as error:
        if error.name != "confluent_kafka":
            raise
        raise LogError("an event log on Kafka needs confluent-kafka: pip install 'streambank[kafka]'") from error
    return KafkaLog(KafkaSettings.from_url(rest), clock=clock)
