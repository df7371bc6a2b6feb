"""cash flow: what comes in and goes out in each month, by user and currency.

balance.changed --booked, income or expense--> by user, currency and the user's month --sums--> cash.flow.month
"""

from streambank.bank.days import month_of
from streambank.bank.events import CASH_FLOW_MONTH, CashFlowMonth
from streambank.bank.events.money import within_int64
from streambank.bank.topologies.entries import Dated, Part, flow
from streambank.ids import derived_id
from streambank.streams import KStream


def add(entries: KStream[str, Dated]) -> KStream[str, CashFlowMonth]:
    """Add the view; its changes."""
    months = entries.flat_map_values(flow).group_by(month_id).aggregate(no_flow, after, name="cash-flow-month")
    months.to_stream().to(CASH_FLOW_MONTH)
    return months.to_stream()


def month_id(_account_id: str, part: Part) -> str:
    """The figure that an entry belongs to."""
    return f"{part.user_id}:{part.currency.value}:{part.day:%Y-%m}"


def no_flow() -> None:
    """What a month has before its first entry."""


def after(figure_id: str, part: Part, month: CashFlowMonth | None) -> CashFlowMonth:
    """The month with a further entry."""
    return CashFlowMonth(
        user_id=part.user_id,
        occurred_at=part.occurred_at,
        recorded_at=part.recorded_at,
        event_id=derived_id(figure_id, part.event_id),
        figure_id=figure_id,
        currency=part.currency,
        month=month_of(part.day),
        in_minor=within_int64((month.in_minor if month is not None else 0) + part.in_minor),
        out_minor=within_int64((month.out_minor if month is not None else 0) + part.out_minor),
    )
