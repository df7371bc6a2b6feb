"""What can go wrong with an event log."""

from streambank.errors import StreambankError


class LogError(StreambankError):
    """Base of the log's errors."""


class TopicMismatchError(LogError):
    """A topic exists with another partition count or cleanup policy than asked for."""


class UnknownTopicError(LogError):
    """The topic, or that partition of it, does not exist."""


class OffsetOutOfRangeError(LogError):
    """The offset lies before the first record kept (retention removed it) or beyond the end."""


class FencedError(LogError):
    """The writer lost its place: its partitions went to another member, or a newer producer has its transactional id.

    Nothing of the transaction was written. The owner of a fenced member drops its state and goes on from the
    committed offsets of what it is assigned now.
    """


class TransactionAbortedError(LogError):
    """The log gave the transaction up for a reason that may pass, such as brokers that went away for long.

    Nothing of it was written. It may be done again; a stream processor starts over from the committed offsets.
    """


class RecordTooLargeError(LogError):
    """A record is larger than the log takes."""


class InvalidRecordError(LogError):
    """A record that its topic cannot take: without a key in a compacted topic (Kafka's INVALID_RECORD)."""


class StorageFullError(LogError):
    """No space is left. Nothing of the transaction was written; it may be tried again once there is space."""


class StorageVersionError(LogError):
    """The data folder was written by another version of streambank, or is not a log at all."""


class StorageCorruptError(LogError):
    """Stored data does not read back as it was written: the disk or another program changed it."""


class ClosedError(LogError):
    """The log, producer or consumer is closed."""
