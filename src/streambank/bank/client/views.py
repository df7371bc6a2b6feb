"""What you want to see of your money: balances, net worth, cash flow, spending, what recurs; and as it happens."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import msgspec

from streambank.bank.client.connection import Call
from streambank.bank.client.errors import AnswerError
from streambank.bank.client.part import Part, pages
from streambank.bank.views.schemas import (
    Balances,
    CashFlow,
    Every,
    NetWorth,
    RateList,
    RecurringView,
    Spending,
)
from streambank.service.http.page import Page


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something that happened. ``id`` names its place in the stream, for :meth:`Views.stream`."""

    kind: str
    id: str | None
    data: dict[str, Any]


class Views(Part):
    """Your figures. ``currency`` asks for a sum of all currencies in that one."""

    service = "views"

    def balances(self, *, currency: str | None = None) -> Balances:
        """Your accounts and their totals."""
        return self._get(Balances, "/v1/views/balances", {"currency": currency})

    def net_worth(
        self,
        *,
        currency: str | None = None,
        from_date: date | None = None,
        to_date: date | None = None,
        every: Every = Every.DAY,
    ) -> NetWorth:
        """What you had at the end of each day, week or month; of the last 30 days unless you say otherwise."""
        query = {"currency": currency, "from": _text(from_date), "to": _text(to_date), "every": every.value}
        return self._get(NetWorth, "/v1/views/net-worth", query)

    def cash_flow(
        self, *, currency: str | None = None, from_month: date | None = None, to_month: date | None = None
    ) -> CashFlow:
        """What came in and went out in each month; of the last 12 unless you say otherwise."""
        query = {"currency": currency, "from": _month(from_month), "to": _month(to_month)}
        return self._get(CashFlow, "/v1/views/cash-flow", query)

    def spending(self, *, month: date | None = None, currency: str | None = None) -> Spending:
        """What you spent in a month, this one unless you say otherwise, beside what is usual."""
        return self._get(Spending, "/v1/views/spending", {"month": _month(month), "currency": currency})

    def recurring(self, *, page_items: int | None = None) -> Iterator[RecurringView]:
        """Payments that come again and again, the one that is expected next first."""

        def page(cursor: str | None, limit: int) -> Page[RecurringView]:
            return self._get(Page[RecurringView], "/v1/views/recurring", {"cursor": cursor, "limit": limit})

        return pages(page, page_items)

    def rates(self, *, day: date | None = None) -> RateList:
        """The exchange rates that hold on a day, today unless you say otherwise."""
        return self._get(RateList, "/v1/rates", {"day": _text(day)})

    def stream(self, *, last_id: str | None = None) -> Iterator[FeedEvent]:
        """What happens to your money from now on, or from behind the event of that id; for ever.

        When the connection breaks or the access token runs out, it is made anew, and goes on where it was: nothing is
        lost or repeated. An event of the kind ``reset`` says that something is lost after all. It ends when the user is
        erased.

        Raises:
            ApiError, NotLoggedInError, UnreachableError: it cannot be made anew.
        """
        place = last_id
        while True:
            headers = {} if place is None else {"Last-Event-ID": place}
            call = Call(service=self.service, method="GET", path="/v1/stream", headers=headers)
            # Where the connection breaks, what came before is whole: an event counts once its blank line is there.
            with suppress(httpx.TransportError), closing(self._connection.send(call, stream=True)) as response:
                for event in events(response.iter_lines()):
                    if event.kind == "end":
                        if event.data.get("reason") == "erased":
                            return
                        break
                    place = event.id or place
                    yield event
            self._connection.pause()


def events(lines: Iterable[str]) -> Iterator[FeedEvent]:
    """The events of a stream, as the HTML standard has them (section 9.2.6), each with JSON as its data.

    Raises:
        AnswerError: what is there is something else.
    """
    told: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in told:
                yield FeedEvent(told.get("event", "message"), told.get("id"), _data(told["data"]))
            told = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            told[name] = value.removeprefix(" ")


def _data(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise AnswerError("/v1/stream: an event is not what this version of streambank expects") from None


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _month(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y-%m}"
