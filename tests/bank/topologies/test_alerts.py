from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace
from tests.bank.topologies.samples import EUR, MOMENT, end, entry, hold, thresholds

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    ALERT_NOTIFICATION,
    ALERT_RAISED,
    BALANCE_CHANGED,
    TOPICS,
    USER_BALANCE,
    USER_PROFILE,
    Account,
    Balance,
    BalanceChanged,
    Direction,
    Scope,
    Threshold,
    UserProfile,
)
from streambank.bank.events.personal import seal
from streambank.bank.topologies import alerts, balances
from streambank.bank.topologies.alerts import UNADDRESSED
from streambank.bank.topologies.balances import account_balance, user_balance
from streambank.log import EventLog, RecordBatch, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig, Topology
from streambank.streams.operators.source import Source
from streambank.streams.testing import TopologyTestDriver

SEALED = seal(bytes(range(64)), "anna", "what names Anna")
BELOW_100 = Threshold(threshold_id="low", direction=Direction.BELOW, level_minor=100)
BELOW_100_BOOKED = replace(BELOW_100, threshold_id="low-booked")
ANNA = UserProfile(
    user_id="anna", occurred_at=MOMENT, recorded_at=MOMENT, event_id="p", email="anna@example.org", name="Anna"
)
GIRO = Account(
    user_id="anna",
    occurred_at=MOMENT,
    recorded_at=MOMENT,
    event_id="a",
    account_id="giro",
    name="Giro",
    currency=EUR,
    number_last4="1234",
)


class Bank:
    """A driver of the alerts topology, and the balances that it is fed with."""

    def __init__(self) -> None:
        self.driver = TopologyTestDriver(alerts.build())
        self._balances: dict[str, Balance] = {}

    def book(self, change: BalanceChanged) -> None:
        """Let the entry change account and total, and the topology see both."""
        account, total = change.account_id, change.total_id
        self._balances[account] = account_balance(account, change, self._balances.get(account))
        self._balances[total] = user_balance(total, change, self._balances.get(total))
        self.driver.pipe(ACCOUNT_BALANCE, account, self._balances[account])
        self.driver.pipe(USER_BALANCE, total, self._balances[total])


@pytest.fixture
def bank() -> Iterator[Bank]:
    bank = Bank()
    yield bank
    bank.driver.close()


def test_a_crossing_reaches_its_owner_with_address_and_account_name(bank: Bank) -> None:
    bank.driver.pipe(ACCOUNT, "giro", GIRO)
    bank.driver.pipe(USER_PROFILE, "anna", ANNA)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    bank.driver.crash()
    bank.book(entry(2, -60, account_id="giro"))
    bank.driver.crash()
    bank.book(entry(3, -10, account_id="giro"))
    ((user, notification, _),) = bank.driver.read(ALERT_NOTIFICATION)
    assert (user, notification.email) == ("anna", "anna@example.org")
    alert = notification.alert
    assert (alert.account_name, alert.account_number_last4) == ("Giro", "1234")
    assert (alert.before_minor, alert.after_minor, alert.entry.entry_id) == (150, 90, "giro/2")


def test_a_total_crosses_though_no_account_does(bank: Bank) -> None:
    total = Threshold(threshold_id="total", direction=Direction.BELOW, level_minor=500)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "anna:EUR", thresholds(total, scope=Scope.TOTAL, scope_id="anna:EUR"))
    bank.book(entry(1, 300, account_id="giro"))
    bank.book(entry(1, 300, account_id="savings"))
    bank.book(entry(2, -150, account_id="giro"))
    ((_, alert, _),) = bank.driver.read(ALERT_RAISED)
    assert (alert.scope, alert.scope_id) == (Scope.TOTAL, "anna:EUR")
    assert (alert.before_minor, alert.after_minor) == (600, 450)


def test_a_hold_crosses_on_what_is_available_of_account_and_total(bank: Bank) -> None:
    available = replace(BELOW_100, on_available=True)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "account", thresholds(available, BELOW_100_BOOKED))
    total = thresholds(available, BELOW_100_BOOKED, scope=Scope.TOTAL, scope_id="anna:EUR")
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "anna:EUR", total)
    held = hold(2, 60)
    bank.book(entry(1, 150))
    bank.book(held)
    bank.driver.crash()
    raised = {alert.scope: alert for _, alert, _ in bank.driver.read(ALERT_RAISED)}
    assert {scope: (a.before_minor, a.after_minor, a.entry.entry_id) for scope, a in raised.items()} == {
        Scope.ACCOUNT: (150, 90, "account/2"),
        Scope.TOTAL: (150, 90, "account/2"),
    }
    bank.book(end(held, 3))
    bank.book(replace(entry(4, -60), held_minor=60))
    booked = [alert.threshold.threshold_id for _, alert, _ in bank.driver.read(ALERT_RAISED)]
    assert booked == [BELOW_100_BOOKED.threshold_id] * 2


@pytest.mark.parametrize(
    ("profile", "notified"),
    [
        (None, []),
        (ANNA, ["anna@example.org"]),
        (replace(ANNA, email_verified=False), []),
        (replace(ANNA, email=SEALED, name=SEALED), [SEALED]),
        (replace(ANNA, email=SEALED, email_verified=False), []),
    ],
    ids=["no profile", "verified", "not verified", "sealed", "sealed, not verified"],
)
def test_who_is_notified_of_an_alert(bank: Bank, profile: UserProfile | None, notified: list[str]) -> None:
    if profile is not None:
        bank.driver.pipe(USER_PROFILE, "anna", profile)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    bank.book(entry(2, -60, account_id="giro"))
    ((_, raised, _),) = bank.driver.read(ALERT_RAISED)
    assert [notification.email for _, notification, _ in bank.driver.read(ALERT_NOTIFICATION)] == notified
    assert [alert for _, alert, _ in bank.driver.read(UNADDRESSED)] == ([] if notified else [raised])


def test_an_erased_user_is_not_notified(bank: Bank) -> None:
    bank.driver.pipe(USER_PROFILE, "anna", ANNA)
    bank.driver.pipe(USER_PROFILE, "anna", None)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    bank.book(entry(2, -60, account_id="giro"))
    assert bank.driver.read(ALERT_NOTIFICATION) == []
    assert len(bank.driver.read(UNADDRESSED)) == 1


def test_what_is_sealed_passes_through_unchanged(bank: Bank) -> None:
    bank.driver.pipe(ACCOUNT, "giro", replace(GIRO, name=SEALED))
    bank.driver.pipe(USER_PROFILE, "anna", replace(ANNA, name=SEALED))
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    bank.book(replace(entry(2, -60, account_id="giro"), counterparty=SEALED, remittance=SEALED))
    ((_, notification, _),) = bank.driver.read(ALERT_NOTIFICATION)
    alert = notification.alert
    assert [notification.name, alert.account_name, alert.entry.counterparty, alert.entry.remittance] == [SEALED] * 4


def test_removed_thresholds_raise_nothing(bank: Bank) -> None:
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", None)
    bank.book(entry(2, -60, account_id="giro"))
    assert bank.driver.read(ALERT_RAISED) == []


def test_only_the_newest_thresholds_count(bank: Bank) -> None:
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(BELOW_100, scope_id="giro"))
    bank.book(entry(1, 150, account_id="giro"))
    lower = Threshold(threshold_id="lower", direction=Direction.BELOW, level_minor=50)
    bank.driver.pipe(ACCOUNT_THRESHOLDS, "giro", thresholds(lower, scope_id="giro"))
    bank.book(entry(2, -60, account_id="giro"))
    bank.book(entry(3, -60, account_id="giro"))
    assert [alert.threshold.threshold_id for _, alert, _ in bank.driver.read(ALERT_RAISED)] == ["lower"]


def test_alerts_that_start_late_miss_no_crossing_even_though_the_log_was_cleaned() -> None:
    with closing(EmbeddedLog.open(None)) as log:
        log.create_topics([topic.config for topic in TOPICS])
        with closing(log.producer()) as producer:
            with producer.transaction() as transaction:
                ACCOUNT_THRESHOLDS.write(transaction, "giro", thresholds(BELOW_100, scope_id="giro"), 0)
            for number, amount in enumerate([150, -60, 60, -60, 60], 1):
                with producer.transaction() as transaction:
                    BALANCE_CHANGED.write(transaction, "giro", entry(number, amount, account_id="giro"), number)
                run(log, "balances", balances.build())
        assert log.clean(min_dirty_ratio=0).records_compacted
        run(log, "alerts", alerts.build())
        raised = [record for batch in batches(log, ALERT_RAISED.name) for record in batch.values]
    assert len(raised) == 2


@pytest.mark.parametrize("build", [balances.build, alerts.build])
def test_what_is_compacted_is_only_read_as_a_table(build: Callable[[], Topology]) -> None:
    for sub in build().sub_topologies:
        sources = [node.operator for node in sub.nodes if isinstance(node.operator, Source)]
        assert [source.topic.name for source in sources if source.topic.cleanup_policy == "compact"] == []


def run(log: EventLog, application_id: str, topology: Topology) -> None:
    with closing(StreamRunner(topology, log, StreamsConfig(application_id=application_id))) as runner:
        while runner.step():
            pass


def batches(log: EventLog, topic: str) -> list[RecordBatch]:
    return [log.read(TopicPartition(topic, number), 0, 100) for number in range(log.topics()[topic].partitions)]
