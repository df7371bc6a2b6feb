"""Large payments apart from the others."""

from streambank.streams import LONG, STRING, StreamBuilder, Topic
from streambank.streams.testing import TopologyTestDriver

PAYMENTS = Topic(name="payments", key=STRING, value=LONG)
LARGE, USUAL = Topic(name="large", key=STRING, value=LONG), Topic(name="usual", key=STRING, value=LONG)

builder = StreamBuilder()
payments = builder.stream(PAYMENTS).filter_not(lambda _account, amount: amount == 0)
branches = payments.split({"large": lambda _account, amount: amount >= 1_000}, default="usual")
branches["large"].to(LARGE)
branches["usual"].to(USUAL)

with TopologyTestDriver(builder.build()) as driver:
    for amount in (5, 0, 2_000):
        driver.pipe(PAYMENTS, "anna", amount)
    large, usual = driver.read(LARGE), driver.read(USUAL)
    print(large, usual)
    assert ([row.value for row in large], [row.value for row in usual]) == ([2_000], [5])
