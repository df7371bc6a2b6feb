"""The views service over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import date
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, Query
from iso4217 import Currency
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from streambank.bank.events import MoneyError, parse_currency
from streambank.bank.views.feed_views import shown
from streambank.bank.views.live import Item, Listener, LiveFeed
from streambank.bank.views.people import Reader
from streambank.bank.views.schemas import Balances, CashFlow, Every, NetWorth, RateList, RecurringView, Spending
from streambank.bank.views.service import ViewsService
from streambank.clock import Clock
from streambank.log import OffsetOutOfRangeError
from streambank.service.http.cursors import CursorParameter, LimitParameter, page_answer
from streambank.service.http.endpoint import Read, ServiceHttp
from streambank.service.http.event_stream import HEARTBEAT, MEDIA_TYPE, EventStream, event
from streambank.service.http.moments import Day
from streambank.service.http.page import Page
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.http.routers import api_router, joined

READ = "views:read"

PAGE_ITEMS = 50

HEARTBEAT_S = 15.0
"""What closes connections that nobody uses waits for half a minute, at the least."""

LAST_ID_CHARS_MAX = 512

MONTH_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])$"

CurrencyParameter: TypeAlias = Annotated[
    str | None,
    Query(pattern="^[A-Z]{3}$", description="An ISO 4217 code: everything is added up in it too, by the rates."),
]
MonthParameter: TypeAlias = Annotated[str | None, Query(pattern=MONTH_PATTERN, description="YYYY-MM.")]


def router(service: ViewsService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    return joined([_views(service, http), _stream(service, http)])


def _views(service: ViewsService, http: ServiceHttp) -> APIRouter:
    api = api_router("views")
    reads = Depends(http.read(READ))

    @api.get("/views/balances", response_model=Balances)
    async def view_balances(read: Annotated[Read, reads], currency: CurrencyParameter = None) -> Response:
        """The accounts that you own with what is booked on them, and their totals."""
        wanted = _currency(currency)
        return await read(lambda c: service.balances(c, read.caller, wanted))

    @api.get("/views/net-worth", response_model=NetWorth)
    async def view_net_worth(
        read: Annotated[Read, reads],
        currency: CurrencyParameter = None,
        from_date: Annotated[Day | None, Query(alias="from")] = None,
        to_date: Annotated[Day | None, Query(alias="to")] = None,
        every: Every = Every.DAY,
    ) -> Response:
        """What you had at the end of each day, week or month; of the last 30 days unless you say otherwise."""
        wanted = _currency(currency)
        return await read(lambda c: service.net_worth(c, read.caller, wanted, from_date, to_date, every))

    @api.get("/views/cash-flow", response_model=CashFlow)
    async def view_cash_flow(
        read: Annotated[Read, reads],
        currency: CurrencyParameter = None,
        from_month: Annotated[MonthParameter, Query(alias="from")] = None,
        to_month: Annotated[MonthParameter, Query(alias="to")] = None,
    ) -> Response:
        """What came in and went out in each month; of the last 12 unless you say otherwise."""
        wanted, first, last = _currency(currency), _month(from_month, "from"), _month(to_month, "to")
        return await read(lambda c: service.cash_flow(c, read.caller, wanted, first, last))

    @api.get("/views/spending", response_model=Spending)
    async def view_spending(
        read: Annotated[Read, reads], month: MonthParameter = None, currency: CurrencyParameter = None
    ) -> Response:
        """What you spent in a month by category, beside what is usual; in this month unless you say otherwise."""
        wanted, of = _currency(currency), _month(month, "month")
        return await read(lambda c: service.spending(c, read.caller, wanted, of))

    @api.get("/views/recurring", response_model=Page[RecurringView])
    async def view_recurring(
        request: Request,
        read: Annotated[Read, reads],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Payments that come again and again, the one that is expected next first."""
        return await read(lambda c: page_answer(*service.recurring(c, read.caller, cursor, limit), request))

    @api.get("/rates", response_model=RateList)
    async def list_rates(read: Annotated[Read, reads], day: Day | None = None) -> Response:
        """The exchange rates that hold on a day; today unless you say otherwise."""
        return await read(lambda c: service.rates(c, read.caller, day))

    return api


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "Events as they happen."}
}


def _stream(service: ViewsService, http: ServiceHttp) -> APIRouter:
    api = api_router("stream")

    @api.get("/stream", response_class=Response, responses=_EVENTS)
    async def follow(
        read: Annotated[Read, Depends(http.read(READ))],
        last_event_id: Annotated[str | None, Header(max_length=LAST_ID_CHARS_MAX)] = None,
    ) -> Response:
        """What happens to your money, as it happens: Server-Sent Events, until your access token runs out.

        `balance`, `alert`, `goal`, `mark`, `transfer`, `net-worth`, `cash-flow`, `spending`, `recurring`: what is new.
        `ready`: from here on nothing is missing. `reset`: something is, so load everything anew. `end`: why it ends.
        Come back with the last id in `Last-Event-ID`, as browsers do, and nothing is lost or repeated.
        """
        loop = asyncio.get_running_loop()

        def known() -> Reader:
            with http.database.read() as connection:
                return service.reader(connection, read.caller)

        def begin() -> tuple[Reader, Listener]:
            # In this order: of who is erased in between, the stream is ended.
            listener = service.live.listen(read.caller.user_id, loop, last_event_id)
            try:
                return known(), listener
            except BaseException:
                service.live.leave(listener)
                raise

        reader, listener = await run_in_threadpool(begin)
        chunks = _chunks(service.live, listener, reader, known, http.clock, read.caller.expires_at * 1000)
        return EventStream(chunks, on_close=lambda: service.live.leave(listener))

    return api


async def _chunks(
    live: LiveFeed, listener: Listener, reader: Reader, known: Callable[[], Reader], clock: Clock, expires_ms: int
) -> AsyncGenerator[bytes, None]:
    """What was missed, ``ready``, and what comes; at any time the end. Another process may be the one that erases."""
    time_s = asyncio.get_running_loop().time
    offset, complete, is_ready, known_s = listener.since, listener.is_complete, False, time_s()
    while listener.ended is None and (left_s := (expires_ms - clock()) / 1000) > 0:
        if complete and offset < listener.start:
            try:
                items, offset = await run_in_threadpool(live.missed, listener, offset)
            except OffsetOutOfRangeError:
                complete = False
            else:
                yield _events(live, items, reader)
        elif not is_ready:
            is_ready = True
            place = max(listener.start, listener.since) - 1
            yield event("ready" if complete else "reset", b"{}", live.id_of(place))
        else:
            items = await listener.next(min(HEARTBEAT_S, left_s))
            yield _events(live, items, reader) or HEARTBEAT
        if time_s() - known_s >= HEARTBEAT_S:
            try:
                reader, known_s = await run_in_threadpool(known), time_s()
            except Problem:
                listener.end("erased")
    why = listener.ended or "token-expired"
    yield event("end", f'{{"reason":"{why}"}}'.encode())


def _events(live: LiveFeed, items: Sequence[Item], reader: Reader) -> bytes:
    parts = []
    for item in items:
        kind, data = shown(item.value, reader)
        parts.append(event(kind, data, live.id_of(item.offset)))
    return b"".join(parts)


def _currency(code: str | None) -> Currency | None:
    if code is None:
        return None
    try:
        return parse_currency(code)
    except MoneyError as error:
        raise _invalid("currency", str(error)) from None


def _month(text: str | None, parameter: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise _invalid(parameter, f"{text} is not a month") from None


def _invalid(parameter: str, detail: str) -> Problem:
    return Problem(422, "invalid-field", detail, errors=[FieldProblem(parameter, detail, "query")])
