"""What a database's failures mean for whoever runs the program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError, DatabaseUrlError, ServiceError

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE: Final = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "25P03", "25P04")
_BUSY: Final = ("55P03", "57014", "40001", "40P01")
_FORBIDDEN: Final = "42501"


@contextmanager
def clear_failures(name: str) -> Iterator[None]:
    """Say of the database of that name what is wrong with it; errors that are the caller's own pass unchanged.

    Raises:
        DatabaseUnavailableError: it cannot be reached, or the connection broke.
        DatabaseBusyError: it was waited for, for longer than is of use.
        DatabaseUrlError: its user may not do what is needed.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        meaning = _meaning(error, name)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: DBAPIError | PoolTimeoutError, name: str) -> ServiceError | None:
    if isinstance(error, PoolTimeoutError):
        return DatabaseBusyError(f"the database {name} has no free connection: too many requests at once. Try again")
    what = " ".join(str(error.orig).split())
    code = getattr(error.orig, "sqlstate", None)
    if (code is not None and code.startswith(_BUSY)) or what == "database is locked":
        return DatabaseBusyError(
            f"the database {name} is held by another process or does too much at once: {what}. The transaction was "
            "rolled back; try again, and look for who keeps a transaction open"
        )
    driver = type(error.orig).__module__.partition(".")[0]
    broken = error.connection_invalidated or (isinstance(error, OperationalError) and driver == "psycopg" and not code)
    if broken or (code is not None and code.startswith(_UNAVAILABLE)):
        return DatabaseUnavailableError(
            f"the database {name} cannot be reached: {what}. See that its server runs, and that the database's URL has "
            "the right host, port, database, user and password. What was not committed is rolled back"
        )
    if code == _FORBIDDEN:
        return DatabaseUrlError(
            f"the database {name} does not let its user do what is needed: {what}. Let the user create a schema in the "
            "database, or make the schema and let the user own it"
        )
    return None
