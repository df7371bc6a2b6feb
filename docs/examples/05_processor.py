"""A reminder for orders that nobody has paid for, looked for once a minute by the wall clock."""

from streambank.streams import (
    LONG,
    STRING,
    Processor,
    ProcessorContext,
    Punctuation,
    Record,
    StoreSpec,
    StreamBuilder,
    Topic,
)
from streambank.streams.testing import TopologyTestDriver

ORDERS, REMINDERS = Topic(name="orders", key=STRING, value=STRING), Topic(name="reminders", key=STRING, value=STRING)


class Remind(Processor[str, str, str, str]):
    schedules = (Punctuation(interval_ms=60_000, kind="wall-clock"),)

    def process(self, record: Record[str, str], context: ProcessorContext[str, str]) -> None:
        if record.value == "placed":
            context.store("waiting").put(record.key, record.timestamp)
        else:
            context.store("waiting").delete(record.key)

    def punctuate(self, timestamp: int, context: ProcessorContext[str, str]) -> None:
        for order, _placed_at in list(context.store("waiting").items()):
            context.store("waiting").delete(order)
            context.forward(order, "please pay")


builder = StreamBuilder()
waiting = StoreSpec("waiting", STRING, LONG)
builder.stream(ORDERS).process_values(Remind, name="remind", stores=[waiting]).to(REMINDERS)

with TopologyTestDriver(builder.build()) as driver:
    driver.pipe(ORDERS, "one", "placed")
    driver.pipe(ORDERS, "two", "placed")
    driver.pipe(ORDERS, "two", "paid")
    driver.advance_wall_clock(60_000)
    reminded = [(row.key, row.value) for row in driver.read(REMINDERS)]
    print(reminded)
    assert reminded == [("one", "please pay")]
