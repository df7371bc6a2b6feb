"""What ``streambank migrate`` does: move the event log, and what the services' databases say of it."""

from __future__ import annotations

import sys
from collections import defaultdict
from contextlib import ExitStack, closing
from pathlib import Path

from sqlalchemy.engine import URL

from streambank.cli.databases import service_database
from streambank.cli.errors import say
from streambank.cli.folder import DataFolder
from streambank.cli.formats import counted
from streambank.cli.output import Column, Format, print_listing
from streambank.cli.running import RunningLock
from streambank.cli.services import SERVICES
from streambank.log import EventLog, TopicPartition, open_log
from streambank.log.migration import MigratedTopic, Migration, MigrationProgress
from streambank.service.database import Database, Migrations
from streambank.service.errors import DatabaseMissingError
from streambank.service.moving import move_to_log, stored_positions


def migrate(folder: DataFolder, database_url: str | None, target_url: str, output: Format) -> None:
    """Run the command."""
    with ExitStack() as stack:
        source = stack.enter_context(folder.open_log())
        stack.enter_context(RunningLock(folder, "migrate"))
        target = stack.enter_context(closing(open_log(target_url)))
        databases = []
        for service, kind in SERVICES.items():
            database = _open_existing(service_database(folder, database_url, service), kind.histories)
            if database is not None:
                stack.callback(database.close)
                databases.append(database)
        topics = _migrate(source, target, databases)
    _tell(topics, output)


def _open_existing(where: Path | URL, histories: tuple[Migrations, ...]) -> Database | None:
    try:
        Database.open(where, *histories, create=False).close()
    except DatabaseMissingError:
        return None
    return Database.open(where, *histories)


def _migrate(source: EventLog, target: EventLog, databases: list[Database]) -> list[MigratedTopic]:
    positions: dict[TopicPartition, set[int]] = defaultdict(set)
    for database in databases:
        for at, offsets in stored_positions(database).items():
            positions[at] |= offsets
    migration = Migration(source, target, positions)
    topics = _copy(migration)
    groups = migration.commit_positions()
    for database in databases:
        move_to_log(database, source.log_id, target.log_id, migration.translated)
    migration.finish()
    moved = f"{counted(groups, 'group', 'groups')} and {counted(len(databases), 'database', 'databases')}"
    say(f"positions of {moved} moved")
    return topics


def _copy(migration: Migration) -> list[MigratedTopic]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        tasks = {step: bar.add_task(step, total=max(migration.total, 1)) for step in ("copying", "comparing")}

        def show(progress: MigrationProgress) -> None:
            bar.update(tasks[progress.step], completed=progress.done)

        migration.copy(show)
        return migration.verify(show)


def _tell(topics: list[MigratedTopic], output: Format) -> None:
    items = [
        {
            "topic": topic.topic,
            "partitions": topic.partitions,
            "records": topic.records,
            "crc32": f"{topic.checksum:08x}",
        }
        for topic in topics
    ]
    columns = [Column("TOPIC"), Column("PARTITIONS", right=True), Column("RECORDS", right=True), Column("CRC32")]
    rows = [(item["topic"], item["partitions"], f"{item['records']:,}", item["crc32"]) for item in items]
    print_listing(output, items, columns, rows)
