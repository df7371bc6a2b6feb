"""What each account spent in an hour, once that is final, and what came too late."""

from streambank.streams import LONG, STRING, StreamBuilder, TimeWindowedSerde, TimeWindows, Topic, Windowed
from streambank.streams.testing import TopologyTestDriver

HOUR_MS = 3_600_000
PAYMENTS = Topic(name="payments", key=STRING, value=LONG)
SPENT = Topic(name="spent", key=TimeWindowedSerde(STRING, HOUR_MS), value=LONG)
LATE = Topic(name="late", key=STRING, value=LONG)

builder = StreamBuilder()
hours = builder.stream(PAYMENTS).group_by_key().windowed_by(TimeWindows.tumbling(HOUR_MS, grace_ms=60_000))
spent = hours.reduce(lambda total, amount: total + amount, name="spent-per-hour", emit="final")
spent.to_stream().to(SPENT)
hours.late_records(spent).to(LATE)

with TopologyTestDriver(builder.build()) as driver:
    for amount, at in ((5, 0), (7, HOUR_MS - 1), (1, HOUR_MS + 60_000), (9, 10)):
        driver.pipe(PAYMENTS, "anna", amount, at)
    final, late = driver.read(SPENT), driver.read(LATE)
    print(final, late)
    assert final == [(Windowed("anna", 0, HOUR_MS), 12, HOUR_MS - 1)]
    assert late == [("anna", 9, 10)]
