"""figures: what people want to see of their money, and the feed that tells their pages of it.

balance.changed, entry.categorised --x user.profile (time zone)--> net worth, cash flow, spending, recurring payments
                                                               \\--> the feed, with balances, alerts, goals, transfers

An entry belongs to the day that it was where its user lived when it was processed. Who moves to another zone has the
days after that in the new one, and the days before it as they were.
"""

from streambank.bank.events import BALANCE_CHANGED, ENTRY_CATEGORISED, USER_PROFILE
from streambank.bank.topologies import cash_flow, feed, net_worth, recurring, spending
from streambank.bank.topologies.entries import is_booked, owner_of, with_day, with_day_of_change
from streambank.streams import StreamBuilder, Topology


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    profiles = builder.global_table(USER_PROFILE)
    booked = builder.stream(BALANCE_CHANGED).filter(is_booked)
    entries = booked.left_join(profiles, owner_of, with_day)
    changes = builder.stream(ENTRY_CATEGORISED).left_join(profiles, owner_of, with_day_of_change)
    feed.add(
        builder,
        net_worth.add(entries).map_values(feed.of_net_worth),
        cash_flow.add(entries).map_values(feed.of_cash_flow),
        spending.add(entries, changes).map_values(feed.of_spending),
        recurring.add(entries).map_values(feed.of_recurring),
    )
    return builder.build()
