"""The rows of the figures: storing, finding and forgetting them. Each works within the caller's transaction."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from iso4217 import Currency
from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from streambank.bank.rates import RATE_DIGITS
from streambank.bank.views.conversion import PIVOT, Pair, Rates
from streambank.bank.views.models import (
    ACCOUNT,
    BALANCE,
    CASH_FLOW_MONTH,
    NET_WORTH_DAY,
    PERSON,
    RATE,
    RECURRING,
    RECURRING_GROUP,
    SPENDING_DAY,
)

OF_A_USER = (ACCOUNT, NET_WORTH_DAY, CASH_FLOW_MONTH, SPENDING_DAY, RECURRING, RECURRING_GROUP)
"""Every table with rows of somebody."""

_PERSON = select(PERSON).where(PERSON.c.user_id == bindparam("of_user"))


def person(connection: Connection, user_id: str) -> Row[Any] | None:
    """Somebody, if anything is known of them."""
    return connection.execute(_PERSON, {"of_user": user_id}).one_or_none()


def set_person(connection: Connection, user_id: str, **values: object) -> None:
    """Remember something of somebody who was not erased."""
    known = person(connection, user_id)
    if known is None:
        connection.execute(insert(PERSON).values(user_id=user_id, **values))
    elif known.erased_at is None:
        connection.execute(update(PERSON).where(PERSON.c.user_id == user_id).values(**values))


def erased(connection: Connection, user_ids: Collection[str]) -> set[str]:
    """Those of them that were erased."""
    gone = select(PERSON.c.user_id).where(PERSON.c.user_id.in_(user_ids), PERSON.c.erased_at.is_not(None))
    return set(connection.scalars(gone))


def erase(connection: Connection, user_id: str, now_ms: int) -> None:
    """Delete all rows of somebody, and remember that they were erased."""
    for table in OF_A_USER:
        connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(delete(PERSON).where(PERSON.c.user_id == user_id))
    connection.execute(insert(PERSON).values(user_id=user_id, erased_at=now_ms))


def keys_of(connection: Connection, column: Column[Any], user_id: str) -> list[str]:
    """The distinct values of a column in the rows of somebody."""
    found = select(column).where(column.table.c.user_id == user_id).distinct().order_by(column)
    return list(connection.scalars(found))


def put(connection: Connection, table: Table, rows: Mapping[str, Mapping[str, object]]) -> None:
    """Store rows by their primary keys, in the place of those that are there."""
    if rows:
        remove(connection, table, rows.keys())
        connection.execute(insert(table), [dict(row) for row in rows.values()])


def remove(connection: Connection, table: Table, keys: Collection[str]) -> None:
    """Delete the rows of these primary keys."""
    (key,) = table.primary_key.columns
    if keys:
        connection.execute(delete(table).where(key == bindparam("gone")), [{"gone": one} for one in keys])


def put_recurring(
    connection: Connection, owners: Mapping[str, str], groups: Mapping[str, Sequence[Mapping[str, object]]]
) -> None:
    """Store whose each group is and what recurs in it, in the place of what did."""
    remove_recurring(connection, owners.keys())
    if owners:
        found = [{"group_id": group_id, "user_id": user_id} for group_id, user_id in owners.items()]
        connection.execute(insert(RECURRING_GROUP), found)
    rows = [dict(row) for group in groups.values() for row in group]
    if rows:
        connection.execute(insert(RECURRING), rows)


def remove_recurring(connection: Connection, group_ids: Collection[str]) -> None:
    """Delete groups, and what recurs in them."""
    gone = [{"gone": group_id} for group_id in group_ids]
    if gone:
        for table in (RECURRING, RECURRING_GROUP):
            connection.execute(delete(table).where(table.c.group_id == bindparam("gone")), gone)


def accounts(connection: Connection, user_id: str) -> Sequence[Row[Any]]:
    """Somebody's accounts with their balances; those without an entry have none."""
    found = (
        select(ACCOUNT, BALANCE.c.booked_minor, BALANCE.c.changed_at)
        .outerjoin(BALANCE, BALANCE.c.account_id == ACCOUNT.c.account_id)
        .where(ACCOUNT.c.user_id == user_id)
        .order_by(ACCOUNT.c.account_id)
    )
    return connection.execute(found).all()


def worth_before(connection: Connection, user_id: str, day: date) -> dict[Currency, int]:
    """Somebody's totals at the beginning of a day."""
    c = NET_WORTH_DAY.c
    sums = (
        select(c.currency, func.sum(c.change_minor))
        .where(c.user_id == user_id, c.day < day.isoformat())
        .group_by(c.currency)
    )
    return {Currency(row[0]): int(row[1]) for row in connection.execute(sums)}


def worth_changes(connection: Connection, user_id: str, first: date, last: date) -> list[tuple[Currency, date, int]]:
    """What each day added, in the order of days."""
    c = NET_WORTH_DAY.c
    found = (
        select(c.currency, c.day, c.change_minor)
        .where(c.user_id == user_id, c.day.between(first.isoformat(), last.isoformat()))
        .order_by(c.day)
    )
    return [
        (Currency(row.currency), date.fromisoformat(row.day), row.change_minor) for row in connection.execute(found)
    ]


def first_day(connection: Connection, user_id: str) -> date | None:
    """The day of somebody's first entry."""
    found = connection.scalar(select(func.min(NET_WORTH_DAY.c.day)).where(NET_WORTH_DAY.c.user_id == user_id))
    return None if found is None else date.fromisoformat(found)


def flows(connection: Connection, user_id: str, first: date, last: date) -> list[tuple[Currency, date, int, int]]:
    """What came in and went out in each month between two first days of months."""
    c = CASH_FLOW_MONTH.c
    found = (
        select(c.currency, c.month, c.in_minor, c.out_minor)
        .where(c.user_id == user_id, c.month.between(first.isoformat(), last.isoformat()))
        .order_by(c.month, c.currency)
    )
    return [
        (Currency(row.currency), date.fromisoformat(row.month), row.in_minor, row.out_minor)
        for row in connection.execute(found)
    ]


def spent(
    connection: Connection, user_id: str, first: date, last: date
) -> Iterator[tuple[Currency, date, str | None, int]]:
    """What each day cost in each category."""
    c = SPENDING_DAY.c
    found = select(c.currency, c.day, c.category, c.spent_minor).where(
        c.user_id == user_id, c.day.between(first.isoformat(), last.isoformat())
    )
    for row in connection.execute(found):
        yield Currency(row.currency), date.fromisoformat(row.day), row.category, row.spent_minor


def recurring(connection: Connection, user_id: str, after: tuple[str, str] | None, limit: int) -> Sequence[Row[Any]]:
    """What recurs, the next one first, from behind a place in that order on."""
    c = RECURRING.c
    found = select(RECURRING).where(c.user_id == user_id).order_by(c.next_on, c.recurring_id).limit(limit)
    if after is not None:
        next_on, recurring_id = after
        found = found.where(or_(c.next_on > next_on, and_(c.next_on == next_on, c.recurring_id > recurring_id)))
    return connection.execute(found).all()


def latest_rates(connection: Connection, day: date) -> Sequence[Row[Any]]:
    """The rate of each pair that holds on a day."""
    return connection.execute(_held(day).order_by(RATE.c.base, RATE.c.quote)).all()


def rates(connection: Connection, currencies: Collection[Currency], first: date, last: date) -> Rates:
    """All that it takes to convert between these currencies on any of the days."""
    codes = sorted({str(currency.value) for currency in {*currencies, PIVOT}})
    if len(codes) == 1:
        return Rates({})
    c = RATE.c
    among = and_(c.base.in_(codes), c.quote.in_(codes))
    later = select(c.base, c.quote, c.day, c.rate_e9).where(among, c.day > first.isoformat(), c.day <= last.isoformat())
    known: dict[Pair, list[tuple[date, Fraction]]] = {}
    # From the rate on that holds on the first day.
    found: CompoundSelect[Any] = union_all(_held(first, among), later)
    for row in connection.execute(found):
        pair = Currency(row.base), Currency(row.quote)
        known.setdefault(pair, []).append((date.fromisoformat(row.day), Fraction(row.rate_e9, 10**RATE_DIGITS)))
    return Rates(known)


def _held(day: date, *among: ColumnElement[bool]) -> Select[Any]:
    """The rates that hold on a day: of each pair the latest until then."""
    c = RATE.c
    newest = (
        select(c.base, c.quote, func.max(c.day).label("day"))
        .where(c.day <= day.isoformat(), *among)
        .group_by(c.base, c.quote)
        .subquery()
    )
    latest = and_(c.base == newest.c.base, c.quote == newest.c.quote, c.day == newest.c.day)
    return select(c.base, c.quote, c.day, c.rate_e9).join(newest, latest)
