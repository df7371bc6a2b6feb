"""The reference workload: balances, a threshold for each account, an alert with an address on a downward crossing."""

import msgspec

from streambank.streams import STRING, JsonSerde, StreamBuilder, Topic
from streambank.streams.testing import TopologyTestDriver


class Change(msgspec.Struct, frozen=True):
    user: str
    amount: int


class Balance(msgspec.Struct, frozen=True):
    user: str = ""
    before: int = 0
    after: int = 0


class Threshold(msgspec.Struct, frozen=True):
    below: int


class Alert(msgspec.Struct, frozen=True):
    user: str
    text: str


class Mail(msgspec.Struct, frozen=True):
    to: str
    text: str


CHANGES = Topic(name="changes", key=STRING, value=JsonSerde(Change))
BALANCES = Topic(name="balances", key=STRING, value=JsonSerde(Balance), cleanup_policy="compact")
THRESHOLDS = Topic(name="thresholds", key=STRING, value=JsonSerde(Threshold), cleanup_policy="compact")
ADDRESSES = Topic(name="addresses", key=STRING, value=STRING, cleanup_policy="compact")
MAILS = Topic(name="mails", key=STRING, value=JsonSerde(Mail))


def apply(_account: str, change: Change, balance: Balance) -> Balance:
    return Balance(change.user, balance.after, balance.after + change.amount)


def crossings(balance: Balance, threshold: Threshold) -> list[Alert]:
    if balance.before >= threshold.below > balance.after:
        return [Alert(balance.user, f"below {threshold.below}: now {balance.after}")]
    return []


def each(alerts: list[Alert]) -> list[Alert]:
    return alerts


def by_user(_account: str, alert: Alert) -> str:
    return alert.user


def mail(alert: Alert, address: str) -> Mail:
    return Mail(address, alert.text)


builder = StreamBuilder()
balances = builder.stream(CHANGES).group_by_key().aggregate(Balance, apply, name="balance")
balances.to_stream().to(BALANCES)
alerts = balances.to_stream().join(builder.table(THRESHOLDS), crossings).flat_map_values(each)
alerts.select_key(by_user).join(builder.table(ADDRESSES), mail, name="address").to(MAILS)

with TopologyTestDriver(builder.build(strict=True)) as driver:
    driver.pipe(ADDRESSES, "anna", "anna@example.org")
    driver.pipe(THRESHOLDS, "giro", Threshold(100))
    for amount in (150, -80, -10):
        driver.pipe(CHANGES, "giro", Change("anna", amount))
        driver.crash()
    mails = [row.value for row in driver.read(MAILS)]
    print(mails)
    assert mails == [Mail("anna@example.org", "below 100: now 70")]
