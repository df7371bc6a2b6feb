"""What can go wrong in stream processing."""

from streambank.errors import StreambankError


class StreamsError(StreambankError):
    """Base of the errors of stream processing."""


class TopologyError(StreamsError):
    """The topology cannot work. Raised when it is built; the text names the operator and the fix."""


class DeserializationError(StreamsError, ValueError):
    """Bytes that are not a value of the topic's type."""


class SerializationError(StreamsError, ValueError):
    """A topic's serde refuses a key or a value; the text names the topic and what the refused were."""


class RecordDroppedError(StreamsError):
    """Never raised: stands in a dead letter for the reason why an operator dropped the record."""


class ProcessingError(StreamsError):
    """An operator's function raised while it processed a record; the text names record and operator."""


class BufferFullError(StreamsError):
    """A suppression holds more than it may, and must not emit early. No error policy passes over it: results go missing
    otherwise."""


class StoreError(StreamsError):
    """A store on disk cannot be used. Never taken for the failure of a record: the application stops."""


class QueryError(StreamsError):
    """A store cannot be queried: there is none of that name, or what is asked for is not at this member."""


class NotHereError(QueryError):
    """What is queried is at another member, or moving."""


class QueryTimeoutError(QueryError, TimeoutError):
    """A query was not answered in time."""


class RestoreError(StreamsError):
    """A store could not be rebuilt from its changelog."""
