"""Alembic runs this for each history of migrations; :mod:`streambank.service.database` hands over the connection."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():
    context.run_migrations()
