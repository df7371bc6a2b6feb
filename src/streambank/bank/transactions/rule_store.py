"""Where rules are kept."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from streambank.bank.transactions import categories
from streambank.bank.transactions.models import ACCOUNT, ACCOUNT_MEMBER, PERSON, RULE
from streambank.bank.transactions.rules import RULES_MAX, Rule, RuleBook
from streambank.bank.transactions.schemas import RuleBody, RuleView
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, not_found, unprocessable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Rule).decode


def rule_book(connection: Connection, user_id: str) -> RuleBook:
    """A user's rules, compiled."""
    rules = [_decode(row.definition) for row in _rows(connection, user_id)]
    return RuleBook(rules, categories.numbers(connection, user_id))


def listed(connection: Connection, user_id: str) -> list[RuleView]:
    """A user's rules in their order."""
    return [_view(row) for row in _rows(connection, user_id)]


def one(connection: Connection, user_id: str, rule_id: str) -> RuleView:
    """A rule. Raises a problem if it is not there."""
    return _view(_own(connection, user_id, rule_id))


def rule_of(connection: Connection, user_id: str, body: RuleBody) -> Rule:
    """The rule that a request tells of. Raises a problem that names what is wrong with it."""
    bounds = (body.amount_min_minor, body.amount_max_minor)
    if not (body.texts or body.account_ids or body.credit_debit) and bounds == (None, None):
        raise unprocessable("/texts", "a rule without a condition would match everything")
    if body.category_id is None and not body.tags:
        raise unprocessable("/category_id", "a rule sets a category or adds tags")
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise unprocessable("/amount_max_minor", "it is below amount_min_minor: nothing would match")
    if body.category_id is not None and body.category_id not in categories.numbers(connection, user_id):
        raise unprocessable("/category_id", "there is no such category", "unknown-category")
    own = select(ACCOUNT.c.account_id).join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_num == ACCOUNT.c.num)
    known = set(connection.scalars(own.where(ACCOUNT_MEMBER.c.user_id == user_id)))
    for i, account_id in enumerate(body.account_ids):
        if account_id not in known:
            raise unprocessable(f"/account_ids/{i}", "there is no such account")
    fields = body.model_dump(mode="json", exclude={"position", "id", "version"})
    return msgspec.convert(fields, Rule)


def create(connection: Connection, user_id: str, rule_id: str, tag: str, body: RuleBody) -> RuleView:
    """Add a rule; ``tag`` is new, and tells that the rules have changed."""
    count = connection.scalar(select(func.count()).select_from(RULE).where(RULE.c.user_id == user_id)) or 0
    if count >= RULES_MAX:
        raise conflict("too-many-rules", f"a user has {RULES_MAX} rules at most")
    definition = _encode(rule_of(connection, user_id, body))
    row = {"rule_id": rule_id, "user_id": user_id, "position": body.position, "definition": definition, "version": 1}
    connection.execute(insert(RULE), row)
    _tell(connection, user_id, tag)
    return one(connection, user_id, rule_id)


def replace(
    connection: Connection, user_id: str, rule_id: str, tag: str, body: RuleBody, expected: int | None
) -> RuleView:
    """Change a rule."""
    row = _own(connection, user_id, rule_id)
    check_version(row.version, expected)
    definition = _encode(rule_of(connection, user_id, body))
    values = {"position": body.position, "definition": definition, "version": row.version + 1}
    connection.execute(update(RULE).where(RULE.c.rule_id == rule_id).values(values))
    _tell(connection, user_id, tag)
    return one(connection, user_id, rule_id)


def remove(connection: Connection, user_id: str, rule_id: str, tag: str, expected: int | None) -> None:
    """Delete a rule; what it did stays."""
    row = _own(connection, user_id, rule_id)
    check_version(row.version, expected)
    connection.execute(delete(RULE).where(RULE.c.rule_id == rule_id))
    left = connection.scalar(select(RULE.c.rule_id).where(RULE.c.user_id == user_id).limit(1))
    _tell(connection, user_id, None if left is None else tag)


def forget(connection: Connection, user_id: str) -> None:
    """Delete all of an erased user's rules."""
    connection.execute(delete(RULE).where(RULE.c.user_id == user_id))
    _tell(connection, user_id, None)


def names_category(connection: Connection, user_id: str, category_id: str) -> bool:
    """Whether one of the user's rules sets the category."""
    return any(_decode(row.definition).category_id == category_id for row in _rows(connection, user_id))


def _tell(connection: Connection, user_id: str, tag: str | None) -> None:
    connection.execute(update(PERSON).where(PERSON.c.user_id == user_id).values(rules_tag=tag))


def _rows(connection: Connection, user_id: str) -> list[Row[Any]]:
    own = select(RULE).where(RULE.c.user_id == user_id).order_by(RULE.c.position, RULE.c.rule_id)
    return list(connection.execute(own))


def _own(connection: Connection, user_id: str, rule_id: str) -> Row[Any]:
    row = connection.execute(select(RULE).where(RULE.c.user_id == user_id, RULE.c.rule_id == rule_id)).one_or_none()
    if row is None:
        raise not_found("rule")
    return row


def _view(row: Row[Any]) -> RuleView:
    definition = msgspec.json.decode(row.definition)
    return RuleView(id=row.rule_id, version=row.version, position=row.position, **definition)
