"""Statements: what was booked on an account in a period, and the balances before and after it."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, func, literal_column, or_, select

from streambank.bank.transactions import entry_views
from streambank.bank.transactions.models import POSTING
from streambank.bank.transactions.repository import ENTRIES, LedgerAccount
from streambank.bank.transactions.schemas import Statement
from streambank.service.http.cursors import decode_cursor
from streambank.service.http.problems import unprocessable

_BOOKED = and_(
    POSTING.c.account_num == bindparam("account"),
    POSTING.c.status == literal_column("'BOOK'"),
    POSTING.c.entry_id.is_not(None),
)
_SINCE = select(func.coalesce(func.sum(POSTING.c.signed_minor), 0)).where(
    _BOOKED, POSTING.c.booking_date >= bindparam("first_date")
)
_WITHIN = select(
    func.coalesce(func.sum(case((POSTING.c.signed_minor > 0, POSTING.c.signed_minor), else_=0)), 0).label("credits"),
    func.coalesce(func.sum(case((POSTING.c.signed_minor < 0, -POSTING.c.signed_minor), else_=0)), 0).label("debits"),
    func.count().label("entries"),
).where(_BOOKED, POSTING.c.booking_date >= bindparam("first_date"), POSTING.c.booking_date <= bindparam("last_date"))
_ENTRIES = (
    ENTRIES.where(
        _BOOKED,
        POSTING.c.booking_date <= bindparam("last_date"),
        or_(
            POSTING.c.booking_date > bindparam("after_date"),
            and_(POSTING.c.booking_date == bindparam("after_date"), POSTING.c.num > bindparam("after_num")),
        ),
        POSTING.c.booking_date >= bindparam("after_date"),
    )
    .order_by(POSTING.c.booking_date, POSTING.c.num)
    .limit(bindparam("limit_rows"))
)


def statement(
    connection: Connection,
    account: LedgerAccount,
    from_date: date,
    to_date: date,
    after: tuple[str, int] | None,
    limit: int,
) -> tuple[Statement, tuple[str, int] | None]:
    """A page of the statement, oldest entries first, and the place to go on from.

    ``after``: booking date and number of the last entry of the page before. Both dates belong to the period.
    """
    if from_date > to_date:
        raise unprocessable("to", "the period ends before it begins")
    first, last = from_date.isoformat(), to_date.isoformat()
    # Back from the present balance: most statements are of late, so that less is added up than from the beginning.
    since = int(connection.execute(_SINCE, {"account": account.num, "first_date": first}).scalar_one())
    opening = account.booked_minor - since
    sums = connection.execute(_WITHIN, {"account": account.num, "first_date": first, "last_date": last}).one()
    rows = _rows(connection, account, last, after or (first, 0), limit + 1)
    following = (rows[limit - 1].booking_date, rows[limit - 1].num) if len(rows) > limit else None
    made = Statement(
        account_id=account.account_id,
        currency=account.currency.value,
        from_date=from_date,
        to_date=to_date,
        opening_minor=opening,
        closing_minor=opening + int(sums.credits) - int(sums.debits),
        credits_minor=int(sums.credits),
        debits_minor=int(sums.debits),
        entry_count=sums.entries,
        items=entry_views.of_rows(connection, {account.num: account}, rows[:limit]),
        next=None,
    )
    return made, following


def place_of(cursor: str) -> tuple[str, int]:
    """The place that a statement's cursor stands for. Raises a problem for any other cursor."""
    day, num = decode_cursor(cursor, str, int)
    return str(day), int(num)


def _rows(
    connection: Connection, account: LedgerAccount, last: str, after: tuple[str, int], limit: int
) -> list[Row[Any]]:
    values = {
        "account": account.num,
        "last_date": last,
        "after_date": after[0],
        "after_num": after[1],
        "limit_rows": limit,
    }
    return list(connection.execute(_ENTRIES, values))
