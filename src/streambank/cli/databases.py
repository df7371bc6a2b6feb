"""Where the services' databases are: files in the data folder, or schemas of one PostgreSQL database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from streambank.cli.errors import UsageError
from streambank.cli.folder import DataFolder

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DATABASE_VARIABLE = "STREAMBANK_DATABASE"

DatabaseOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--database",
        env_var=DATABASE_VARIABLE,
        show_default=False,
        help="The services' database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Without it: files in the data"
        " folder.",
    ),
]


def service_database(folder: DataFolder, url: str | None, service: str) -> Path | URL:
    """Where the service's database is: its file in the folder, or its schema of the database at ``url``.

    Raises:
        UsageError: the URL is not one of PostgreSQL, or names a schema itself.
        DatabaseUrlError: it cannot be read.
    """
    if not url:
        return folder.database(service)
    # Here, since commands that only look at the log need no SQLAlchemy.
    from streambank.service.database import database_url
    from streambank.service.postgres import with_schema

    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        raise UsageError("--database is for PostgreSQL; on SQLite each service has a file in the data folder (--data)")
    if "schema" in parsed.query:
        raise UsageError("--database may not name a schema: each service has one of its own, of its own name")
    return with_schema(parsed, service)
