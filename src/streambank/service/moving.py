"""What a service's database says of its log, when that log moves (:mod:`streambank.log.migration`)."""

from collections.abc import Callable

from sqlalchemy import select, update

from streambank.log import TopicPartition
from streambank.service.database import Database
from streambank.service.errors import WrongLogError
from streambank.service.tables import PROJECTION_POSITION, SERVICE_STATE


def stored_positions(database: Database) -> dict[TopicPartition, set[int]]:
    """The offsets of the log that the database has stored."""
    positions: dict[TopicPartition, set[int]] = {}
    columns = PROJECTION_POSITION.c
    with database.read() as connection:
        for row in connection.execute(select(columns.topic, columns.partition, columns.next_offset)):
            positions.setdefault(TopicPartition(row.topic, row.partition), set()).add(row.next_offset)
    return positions


def move_to_log(
    database: Database, old_log_id: str, new_log_id: str, translated: Callable[[TopicPartition, int], int]
) -> bool:
    """Tie the database to the log that took the place of its own, in one transaction; False where it is tied already.

    Raises:
        WrongLogError: it belongs to a third log.
    """
    columns = PROJECTION_POSITION.c
    with database.begin() as connection:
        log_id = connection.execute(select(SERVICE_STATE.c.log_id)).scalar_one_or_none()
        if log_id in (None, new_log_id):
            return False
        if log_id != old_log_id:
            raise WrongLogError(f"the database {database.name} belongs to the log {log_id}, not to {old_log_id}")
        for row in connection.execute(select(PROJECTION_POSITION)).all():
            offset = translated(TopicPartition(row.topic, row.partition), row.next_offset)
            place = (
                (columns.group_name == row.group_name)
                & (columns.topic == row.topic)
                & (columns.partition == row.partition)
            )
            connection.execute(update(PROJECTION_POSITION).where(place).values(next_offset=offset))
        connection.execute(update(SERVICE_STATE).values(log_id=new_log_id))
    return True
