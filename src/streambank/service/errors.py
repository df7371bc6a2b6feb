"""What can go wrong in the pieces that services are made of."""

from streambank.errors import StreambankError


class ServiceError(StreambankError):
    """Base of the services' errors."""


class DatabaseVersionError(ServiceError):
    """The database was written by a newer streambank, or is not this service's."""


class DatabaseMissingError(ServiceError):
    """There is no such database yet."""


class WrongLogError(ServiceError):
    """The database belongs to another log: its positions and its outbox mean nothing here."""


class StaleDatabaseError(ServiceError):
    """The database is older than what was already published from it: a backup was restored under a living log."""


class PositionFencedError(ServiceError):
    """Another process moved a stored position on: this one's transaction was rolled back."""


class OverloadedError(ServiceError):
    """More was asked for than can be done in time: to be asked again later."""


class DatabaseUrlError(ServiceError):
    """The URL does not lead to a database that can be used."""


class DatabaseUnavailableError(ServiceError):
    """The database cannot be reached, or the connection broke; the next transaction connects anew.

    Where a commit raises this, nobody knows whether it came to be.
    """


class DatabaseBusyError(ServiceError):
    """The database was held by another for too long; nothing of the transaction was stored."""
