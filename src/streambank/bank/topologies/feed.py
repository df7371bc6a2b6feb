"""feed: all that a user's page shows, in one stream, so that one offset says how far a page is.

account.balance, user.balance, alert.raised, goal.progress, goal.marked, transfer.status, and the views --> user.feed
"""

from collections.abc import Iterator

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    ALERT_RAISED,
    GOAL_MARKED,
    GOAL_PROGRESS,
    TRANSFER_STATUS,
    USER_BALANCE,
    USER_FEED,
    AlertRaised,
    Balance,
    CashFlowMonth,
    FeedItem,
    GoalMarked,
    GoalProgress,
    NetWorthDay,
    RecurringFound,
    SpendingDay,
    TransferChanged,
)
from streambank.bank.events.types import Event
from streambank.clock import to_millis
from streambank.ids import derived_id
from streambank.streams import KStream, ProcessorContext, Record, StreamBuilder


def add(builder: StreamBuilder, *views: KStream[str, FeedItem]) -> None:
    """Add the feed; ``views`` are what it has of them."""
    items = builder.stream(ACCOUNT_BALANCE).map_values(of_balance)
    items = items.merge(builder.stream(USER_BALANCE).map_values(of_balance))
    items = items.merge(builder.stream(ALERT_RAISED).map_values(of_alert))
    goals = builder.table(GOAL_PROGRESS).to_stream().filter(is_there)
    items = items.merge(goals.map_values(of_progress))
    items = items.merge(builder.stream(GOAL_MARKED).map_values(of_mark))
    items = items.merge(builder.stream(TRANSFER_STATUS).flat_map_values(of_transfer))
    for view in views:
        items = items.merge(view)
    items.process(to_reader, name="feed").to(USER_FEED)


def to_reader(record: Record[str, FeedItem], context: ProcessorContext[str, FeedItem]) -> None:
    """Send it to its reader, as of when it was recorded: the feed keeps the latest news, however old their entries."""
    context.forward(record.value.user_id, record.value, timestamp=to_millis(record.value.recorded_at))


def is_there(_goal_id: str, goal: GoalProgress | None) -> bool:
    """Whether there is something to tell: of a goal that is gone there is not."""
    return goal is not None


def of_balance(balance: Balance) -> FeedItem:
    """A balance after an entry."""
    return _item(balance, f"{balance.scope_id}/{balance.entry.entry_id}", balance=balance)


def of_alert(alert: AlertRaised) -> FeedItem:
    """An alert."""
    return _item(alert, alert.alert_id, alert=alert)


def of_progress(goal: GoalProgress) -> FeedItem:
    """How far a goal is."""
    return _item(goal, goal.event_id, goal=goal)


def of_mark(mark: GoalMarked) -> FeedItem:
    """A goal came to one of its marks."""
    return _item(mark, mark.mark_id, mark=mark)


def of_transfer(transfer: TransferChanged) -> Iterator[FeedItem]:
    """A transfer came to another state: for each of its sides."""
    sides = (transfer.debtor.user_id, transfer.creditor.user_id)
    for user_id in dict.fromkeys(user_id for user_id in sides if user_id is not None):
        yield _item(transfer, transfer.event_id, user_id=user_id, transfer=transfer)


def of_net_worth(day: NetWorthDay) -> FeedItem:
    """A day's change of the net worth."""
    return _item(day, day.event_id, net_worth=day)


def of_cash_flow(month: CashFlowMonth) -> FeedItem:
    """A month's cash flow."""
    return _item(month, month.event_id, cash_flow=month)


def of_spending(day: SpendingDay) -> FeedItem:
    """A day's spending in a category."""
    return _item(day, day.event_id, spending=day)


def of_recurring(found: RecurringFound) -> FeedItem:
    """What recurs."""
    return _item(found, found.event_id, recurring=found)


def _item(event: Event, id_: str, *, user_id: str | None = None, **what: object) -> FeedItem:
    reader = user_id if user_id is not None else event.user_id
    (kind,) = what
    return FeedItem(
        user_id=reader,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        event_id=derived_id("feed", reader, kind, id_),
        **what,  # type: ignore[arg-type]
    )
