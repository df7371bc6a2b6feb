"""Payment limits: how much a user lets go out in transfers of a currency. The payments service holds to them."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from streambank.bank.events import MoneyError, PaymentLimit, parse_currency
from streambank.bank.personalization import events, repository
from streambank.bank.personalization.context import Context
from streambank.bank.personalization.models import PAYMENT_LIMIT
from streambank.bank.personalization.schemas import PaymentLimitBody, PaymentLimitView
from streambank.service.http.answers import check_version
from streambank.service.http.problems import not_found

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PaymentLimit).decode


def listed(connection: Connection, user_id: str) -> list[PaymentLimitView]:
    """The currencies that a user has limits of."""
    rows = connection.execute(_of(user_id).order_by(PAYMENT_LIMIT.c.currency)).all()
    return [_view(row.currency, row) for row in rows if row.definition is not None]


def one(connection: Connection, user_id: str, code: str) -> PaymentLimitView:
    """The limits of a currency; none, of version 0, where nothing was ever said of it."""
    return _view(_known(code), _row(connection, user_id, code))


def put(
    connection: Connection,
    context: Context,
    user_id: str,
    code: str,
    body: PaymentLimitBody | None,
    expected: int | None,
) -> PaymentLimitView:
    """Set the limits of a currency, or take them away (None)."""
    repository.person(connection, user_id)
    row = _row(connection, user_id, _known(code))
    version = 0 if row is None else int(row.version)
    check_version(version, expected)
    definition = (
        None if body is None else _encode(msgspec.convert({**body.model_dump(), "currency": code}, PaymentLimit))
    )
    values = {"definition": definition, "version": version + 1}
    if row is None:
        connection.execute(insert(PAYMENT_LIMIT), {"user_id": user_id, "currency": code, **values})
    else:
        place = (PAYMENT_LIMIT.c.user_id == user_id) & (PAYMENT_LIMIT.c.currency == code)
        connection.execute(update(PAYMENT_LIMIT).where(place).values(values))
    _publish(connection, context, user_id)
    return one(connection, user_id, code)


def erase(connection: Connection, user_id: str) -> None:
    """Forget all of an erased user's limits."""
    connection.execute(delete(PAYMENT_LIMIT).where(PAYMENT_LIMIT.c.user_id == user_id))


def _publish(connection: Connection, context: Context, user_id: str) -> None:
    rows = connection.execute(_of(user_id).order_by(PAYMENT_LIMIT.c.currency))
    limits = [_decode(row.definition) for row in rows if row.definition is not None]
    record = events.limits_changed(user_id, limits, event_id=context.new_id(), now_ms=context.clock())
    context.outbox.add(connection, [record])


def _known(code: str) -> str:
    try:
        return str(parse_currency(code).value)
    except MoneyError:
        raise not_found("currency") from None


def _of(user_id: str) -> Any:
    return select(PAYMENT_LIMIT).where(PAYMENT_LIMIT.c.user_id == user_id)


def _row(connection: Connection, user_id: str, code: str) -> Row[Any] | None:
    found: Row[Any] | None = connection.execute(_of(user_id).where(PAYMENT_LIMIT.c.currency == code)).one_or_none()
    return found


def _view(code: str, row: Row[Any] | None) -> PaymentLimitView:
    limit = _decode(row.definition) if row is not None and row.definition is not None else None
    told = {} if limit is None else msgspec.structs.asdict(limit)
    return PaymentLimitView(**{**told, "currency": code, "version": 0 if row is None else row.version})
