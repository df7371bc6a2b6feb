"""Categories: a tree of two levels for each user, with the usual ones to begin with."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from streambank.bank.transactions.models import CATEGORY, ENTRY_DETAIL, ENTRY_SPLIT
from streambank.bank.transactions.schemas import CategoryBody, CategoryView
from streambank.ids import derived_id
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, not_found, unprocessable

CATEGORIES_MAX = 500
"""Categories of one user: they are read at once, and shown in one list."""

DEFAULTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Income", ("Salary", "Interest and dividends", "Benefits", "Gifts received", "Refunds")),
    ("Housing", ("Rent or mortgage", "Utilities", "Internet and phone", "Furniture and repairs")),
    ("Food", ("Groceries", "Restaurants", "Coffee and snacks")),
    ("Transport", ("Fuel", "Public transport", "Car", "Taxi")),
    ("Health", ("Pharmacy", "Doctors", "Sport")),
    ("Shopping", ("Clothing", "Electronics", "Household goods")),
    ("Leisure", ("Entertainment", "Subscriptions", "Travel", "Hobbies")),
    ("Family", ("Children", "Education", "Pets", "Gifts and donations")),
    ("Finance", ("Fees", "Taxes", "Insurance", "Loan payments", "Savings")),
    ("Transfers", ()),
)

_NUMBERS = select(CATEGORY.c.category_id, CATEGORY.c.num).where(CATEGORY.c.user_id == bindparam("of_user"))
_ADD = insert(CATEGORY).returning(CATEGORY.c.num)
_PARENT = CATEGORY.alias("parent")
_LIST = (
    select(CATEGORY, _PARENT.c.category_id.label("parent_id"))
    .select_from(CATEGORY.outerjoin(_PARENT, _PARENT.c.num == CATEGORY.c.parent_num))
    .where(CATEGORY.c.user_id == bindparam("of_user"))
)


def make_defaults(connection: Connection, user_id: str) -> None:
    """Give a new user the usual categories. Their ids follow from the user's: the same however often they are made."""
    for parent, children in DEFAULTS:
        num = connection.execute(_ADD, _row(user_id, default_id(user_id, parent), parent, None)).scalar_one()
        if children:
            rows = [_row(user_id, default_id(user_id, child), child, num) for child in children]
            connection.execute(insert(CATEGORY), rows)


def default_id(user_id: str, name: str) -> str:
    """The id of one of a user's usual categories."""
    return derived_id("category", user_id, name)


def numbers(connection: Connection, user_id: str) -> dict[str, int]:
    """The numbers of a user's categories by their ids."""
    return {row[0]: row[1] for row in connection.execute(_NUMBERS, {"of_user": user_id})}


def ids(connection: Connection, nums: Sequence[int]) -> dict[int, str]:
    """The ids of categories by their numbers."""
    if not nums:
        return {}
    rows = connection.execute(select(CATEGORY.c.num, CATEGORY.c.category_id).where(CATEGORY.c.num.in_(nums)))
    return {row[0]: row[1] for row in rows}


def with_children(connection: Connection, user_ids: Sequence[str], category_id: str) -> list[int]:
    """The numbers of a category and of those under it, if it is one of the users'; else none."""
    own = select(CATEGORY.c.num).where(CATEGORY.c.category_id == category_id, CATEGORY.c.user_id.in_(user_ids))
    num = connection.scalar(own)
    if num is None:
        return []
    return [num, *connection.scalars(select(CATEGORY.c.num).where(CATEGORY.c.parent_num == num))]


def listed(connection: Connection, user_id: str) -> list[CategoryView]:
    """A user's categories: each of the upper level, and after it those under it, by name."""
    rows = connection.execute(_LIST, {"of_user": user_id}).all()
    names = {row.num: row.name for row in rows}
    rows = sorted(rows, key=lambda row: (names.get(row.parent_num, row.name), row.parent_num is not None, row.name))
    return [_view(row) for row in rows]


def one(connection: Connection, user_id: str, category_id: str) -> CategoryView:
    """One of a user's categories. Raises a problem if it is not there."""
    return _view(_own(connection, user_id, category_id))


def create(connection: Connection, user_id: str, category_id: str, body: CategoryBody) -> CategoryView:
    """Add a category."""
    count = connection.scalar(select(func.count()).select_from(CATEGORY).where(CATEGORY.c.user_id == user_id)) or 0
    if count >= CATEGORIES_MAX:
        raise conflict("too-many-categories", f"a user has {CATEGORIES_MAX} categories at most")
    parent_num = _parent_num(connection, user_id, body.parent_id)
    _refuse_twin(connection, user_id, parent_num, body.name, but=None)
    connection.execute(_ADD, _row(user_id, category_id, body.name, parent_num))
    return one(connection, user_id, category_id)


def replace(
    connection: Connection, user_id: str, category_id: str, body: CategoryBody, expected: int | None
) -> CategoryView:
    """Rename or move a category."""
    row = _own(connection, user_id, category_id)
    check_version(row.version, expected)
    parent_num = _parent_num(connection, user_id, body.parent_id)
    if parent_num is not None and (parent_num == row.num or _has_children(connection, row.num)):
        raise unprocessable(
            "/parent_id", "there are two levels: a category with others under it stays on the upper one"
        )
    _refuse_twin(connection, user_id, parent_num, body.name, but=row.num)
    changed = {"name": body.name, "parent_num": parent_num, "version": row.version + 1}
    connection.execute(update(CATEGORY).where(CATEGORY.c.num == row.num).values(changed))
    return one(connection, user_id, category_id)


def remove(connection: Connection, user_id: str, category_id: str, expected: int | None) -> None:
    """Delete a category; its entries have none then. The caller has checked that no rule names it."""
    row = _own(connection, user_id, category_id)
    check_version(row.version, expected)
    if _has_children(connection, row.num):
        raise conflict("category-in-use", "there are categories under it: move or delete these first")
    for beside in (ENTRY_DETAIL, ENTRY_SPLIT):
        connection.execute(update(beside).where(beside.c.category_num == row.num).values(category_num=None))
    connection.execute(delete(CATEGORY).where(CATEGORY.c.num == row.num))


def forget(connection: Connection, user_id: str) -> None:
    """Delete all of an erased user's categories; the entries that have them are gone, or have another owner.

    Nothing is published of that: sums of categories are kept by user, and those of this one are forgotten too.
    """
    own = select(CATEGORY.c.num).where(CATEGORY.c.user_id == user_id).scalar_subquery()
    for beside in (ENTRY_DETAIL, ENTRY_SPLIT):
        connection.execute(update(beside).where(beside.c.category_num.in_(own)).values(category_num=None))
    is_child = CATEGORY.c.parent_num.is_not(None)
    connection.execute(delete(CATEGORY).where(CATEGORY.c.user_id == user_id, is_child))
    connection.execute(delete(CATEGORY).where(CATEGORY.c.user_id == user_id))


def _row(user_id: str, category_id: str, name: str, parent_num: int | None) -> dict[str, Any]:
    return {"category_id": category_id, "user_id": user_id, "parent_num": parent_num, "name": name, "version": 1}


def _own(connection: Connection, user_id: str, category_id: str) -> Row[Any]:
    statement = _LIST.where(CATEGORY.c.category_id == bindparam("id"))
    row = connection.execute(statement, {"of_user": user_id, "id": category_id}).one_or_none()
    if row is None:
        raise not_found("category")
    return row


def _parent_num(connection: Connection, user_id: str, parent_id: str | None) -> int | None:
    if parent_id is None:
        return None
    parent = select(CATEGORY.c.num, CATEGORY.c.parent_num)
    row = connection.execute(
        parent.where(CATEGORY.c.user_id == user_id, CATEGORY.c.category_id == parent_id)
    ).one_or_none()
    if row is None:
        raise unprocessable("/parent_id", "there is no such category", "unknown-category")
    if row.parent_num is not None:
        raise unprocessable("/parent_id", "there are two levels: this category is on the lower one")
    return int(row.num)


def _has_children(connection: Connection, num: int) -> bool:
    return connection.scalar(select(CATEGORY.c.num).where(CATEGORY.c.parent_num == num).limit(1)) is not None


def _refuse_twin(connection: Connection, user_id: str, parent_num: int | None, name: str, *, but: int | None) -> None:
    twins = select(CATEGORY.c.num).where(
        CATEGORY.c.user_id == user_id, CATEGORY.c.parent_num.is_not_distinct_from(parent_num), CATEGORY.c.name == name
    )
    if any(num != but for num in connection.scalars(twins)):
        raise conflict("category-exists", "there is a category of that name at that place")


def _view(row: Row[Any]) -> CategoryView:
    return CategoryView(id=row.category_id, name=row.name, parent_id=row.parent_id, version=row.version)
