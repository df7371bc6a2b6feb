"""Orders with the payments that come within an hour, or without."""

from streambank.streams import STRING, JoinWindows, StreamBuilder, Topic
from streambank.streams.testing import TopologyTestDriver

ORDERS, PAYMENTS = Topic(name="orders", key=STRING, value=STRING), Topic(name="payments", key=STRING, value=STRING)
SETTLED = Topic(name="settled", key=STRING, value=STRING)


def settled(order: str, payment: str | None) -> str:
    return f"{order}: {payment or 'not paid'}"


builder = StreamBuilder()
hour = JoinWindows(before_ms=0, after_ms=3_600_000)
builder.stream(ORDERS).left_join(builder.stream(PAYMENTS), settled, windows=hour, name="settled").to(SETTLED)

with TopologyTestDriver(builder.build()) as driver:
    driver.pipe(ORDERS, "1", "book", 0)
    driver.pipe(PAYMENTS, "1", "card", 1_000)
    driver.pipe(ORDERS, "1", "lamp", 2_000_000)
    driver.pipe(ORDERS, "1", "pen", 9_000_000)
    values = [row.value for row in driver.read(SETTLED)]
    print(values)
    assert values == ["book: card", "lamp: not paid"]
