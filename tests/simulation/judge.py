"""Reads what the bank publishes, and holds it against the model: while things fail, and once all is quiet."""

from collections import Counter, defaultdict
from typing import Any

from tests.simulation.crossings import Level, Watched
from tests.simulation.goal_judge import GoalJudge
from tests.simulation.goals import Fact
from tests.simulation.mail import MailServer
from tests.simulation.model import Books
from tests.simulation.processes import MAIL_SETTINGS, Machine
from tests.simulation.reader import Read, Reader
from tests.simulation.verdict import require

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    ALERT_NOTIFICATION,
    ALERT_RAISED,
    BALANCE_CHANGED,
    EMAIL_SENT,
    MAIL_REQUESTED,
    TRANSFER_OUTCOME,
    TRANSFER_STATUS,
    USER_BALANCE,
    USER_PROFILE,
    Balance,
    BalanceChanged,
    Direction,
    EntryStatus,
    TransferChanged,
    TransferOutcome,
    TransferResult,
    TransferState,
)
from streambank.bank.notifications.message import message_id_of
from streambank.bank.topologies.alerts import UNADDRESSED
from streambank.log import TopicPartition
from streambank.streams.topic import Topic

ALERTS = "alerts"
"""The topology that raises them."""

FINAL = {
    TransferState.POSTED,
    TransferState.REJECTED,
    TransferState.EXPIRED,
    TransferState.CANCELLED,
    TransferState.REFUNDED,
}


class Judge:
    """Follows the log of a run."""

    def __init__(self, machine: Machine, books: Books) -> None:
        self._machine = machine
        self._books = books
        self._reader = Reader(machine)
        self.begin_again()

    def begin_again(self) -> None:
        """Judge anew: the log is back where it was some time ago."""
        self._reader.begin_again()
        self._watched: defaultdict[str, Watched] = defaultdict(Watched)
        self.facts: defaultdict[str, list[Fact]] = defaultdict(list)
        self.goals = GoalJudge(self._reader, self._books, self.facts)
        self._seq: Counter[str] = Counter()
        self._booked: defaultdict[str, list[BalanceChanged]] = defaultdict(list)
        self._entry_ids: set[str] = set()
        self._unexplained: dict[str, BalanceChanged] = {}
        self._account_of: dict[str, str] = {}
        self._posted: dict[str, tuple[str, str]] = {}
        self._states: dict[str, TransferState] = {}
        self._balances: dict[str, list[Balance]] = defaultdict(list)
        self._alerts: dict[str, Any] = {}
        self._notifications: dict[str, Any] = {}
        self._reachable: set[str] = set()
        self._may_be_unaddressed: set[str] = set()
        self._unaddressed: set[str] = set()
        self._requests: dict[str, Any] = {}
        self._sent: set[str] = set()

    def observe(self) -> None:
        """Read on, and judge what is new."""
        self._reader.look()
        for read in self._reader.new(ACCOUNT_THRESHOLDS):
            self._thresholds(read)
        for change in self._new(BALANCE_CHANGED):
            self._entry(change)
        self._explain()
        self.goals.observe()
        for read in self._reader.new(ACCOUNT_BALANCE):
            self._account_balance(read)
        for read in self._reader.new(USER_BALANCE):
            self._balance(read)
        for alert in self._new(ALERT_RAISED):
            self._alert(alert)
        self._settle_alerts()
        for profile in self._new(USER_PROFILE):
            if profile.email_verified:
                self._reachable.add(profile.user_id)
        for alert in self._new(UNADDRESSED):
            self._unaddressed.add(alert.alert_id)
        for item in self._new(ALERT_NOTIFICATION):
            # An alert may be handed on twice only where the simulator repeats it.
            self._notifications[item.alert_id] = item
            require(item.alert_id in self._alerts, f"nobody raised the alert {item.alert_id}")
        for outcome in self._new(TRANSFER_OUTCOME):
            self._outcome(outcome)
        self._post()
        for transfer in self._new(TRANSFER_STATUS):
            self._status(transfer)
        for request in self._new(MAIL_REQUESTED):
            self._requests[request.event_id] = request
        for sent in self._new(EMAIL_SENT):
            require(sent.alert_id not in self._sent, f"two EMAIL_SENT of the alert {sent.alert_id}")
            self._sent.add(sent.alert_id)
        self._mails()

    def _new(self, topic: Topic[Any, Any]) -> list[Any]:
        return [read.value for read in self._reader.new(topic) if read.value is not None]

    def _entry(self, change: BalanceChanged) -> None:
        # Somebody may be paid into an account that they do not know of yet.
        known = change.account_id in self._books.accounts or change.user_id in self._books.opening
        require(known, f"nobody's entry: {change}")
        self._seq[change.account_id] += 1
        require(change.account_seq == self._seq[change.account_id], f"a gap or a repeat in account_seq: {change}")
        require(change.entry_id not in self._entry_ids, f"an entry is there twice: {change}")
        self._entry_ids.add(change.entry_id)
        if change.status is EntryStatus.BOOKED:
            self._booked[change.account_id].append(change)
            self._account_of[change.entry_id] = change.account_id
            self._unexplained[change.entry_id] = change
            self.facts[change.user_id].append(fact_of(change))
        elif change.reverses_entry_id is not None:
            holds = self._books.accounts[change.account_id].holds
            ended = [tag for tag, hold in holds.items() if hold.entry_id == change.reverses_entry_id]
            for tag in ended:
                hold = holds[tag]
                asked = any(move.hold == tag for move in self._books.in_doubt.values())
                due = hold.expires_ms is not None and hold.expires_ms <= self._books.latest_ms
                require(asked or due, f"{hold} ended before its time")
                if not asked:
                    del holds[tag]

    def _explain(self) -> None:
        """Each booked entry is an answer's, or that of a request whose answer has not come."""
        for entry_id, change in list(self._unexplained.items()):
            account = self._books.accounts.get(change.account_id)
            if account is None:
                require(change.user_id in self._books.opening, f"an entry of no account: {change}")
                continue
            known = next((e for e in account.entries.values() if e.entry_id == entry_id), None)
            if known is not None:
                found = (change.signed_minor, change.category, change.kind)
                require(
                    found == (known.signed, known.category, known.kind), f"{change} is not what was answered: {known}"
                )
                del self._unexplained[entry_id]
                continue
            asked = self._books.explains(account, change.signed_minor)
            require(asked, f"an entry that nobody asked for: {change}")

    def _outcome(self, outcome: TransferOutcome) -> None:
        if outcome.result is not TransferResult.POSTED:
            return
        entries = (outcome.debtor_entry_id or "", outcome.creditor_entry_id or "")
        before = self._posted.setdefault(outcome.transfer_id, entries)
        require(before == entries, f"a transfer is posted twice: {before}, {outcome}")

    def _post(self) -> None:
        """Let the model know of transfers of which both sides have come."""
        for transfer_id, (debit, credit) in self._posted.items():
            transfer = self._books.transfers.get(transfer_id)
            if transfer is None or transfer.posted or not {debit, credit} <= self._account_of.keys():
                continue
            payer, payee = self._account_of[debit], self._account_of[credit]
            if payee not in self._books.accounts:
                continue
            right = payer == transfer.payer and transfer.reaches(self._books.accounts[payee])
            require(right and transfer.may_post, f"{transfer} went from {payer} to {payee}")
            self._books.post(transfer, (payer, debit), (payee, credit))

    def _status(self, changed: TransferChanged) -> None:
        state, before = changed.state, self._states.get(changed.transfer_id)
        if before in FINAL and before is not state:
            require(
                before is TransferState.POSTED and state is TransferState.REFUNDED, f"{changed} comes after {before}"
            )
        self._states[changed.transfer_id] = state
        is_posted = changed.transfer_id in self._posted
        require(state is not TransferState.POSTED or is_posted, f"the ledger did not post {changed}")
        transfer = self._books.transfers.get(changed.transfer_id)
        if transfer is not None and state in FINAL and state is not TransferState.POSTED:
            require(not is_posted, f"the ledger has posted {changed}")
            transfer.may_post = False

    def _account_balance(self, read: Read) -> None:
        balance: Balance = read.value
        self._balance(read)
        if balance.entry.status is EntryStatus.PENDING:
            return
        place = balance.entry_count - 1
        booked = self._booked[balance.scope_id]
        require(
            place < len(booked) and booked[place].entry_id == balance.entry.entry_id,
            f"a balance that does not follow the ledger's order: {balance}",
        )

    def _balance(self, read: Read) -> None:
        balance: Balance = read.value
        known = self._balances[balance.scope_id]
        if balance.entry.status is EntryStatus.PENDING:
            # It changes what is available, and no balance.
            last = (known[-1].after_minor, known[-1].entry_count) if known else (0, 0)
            right = balance.before_minor == balance.after_minor and (balance.after_minor, balance.entry_count) == last
            require(right, f"{balance} is more than a hold: before it {last}")
            return
        before = known[-1].after_minor if known else 0
        right = (
            balance.entry_count == len(known) + 1
            and balance.before_minor == before
            and balance.after_minor == before + balance.entry.signed_minor
        )
        require(right, f"{balance} does not follow {known[-1] if known else 'nothing'}")
        known.append(balance)
        self._watched[balance.scope_id].entry(balance.entry.entry_id, balance.entry.signed_minor, read)

    def _thresholds(self, read: Read) -> None:
        """Thresholds are set as somebody wants them, or end with their user."""
        scope_id, plans = read.key, self._books.plans
        if read.value is None:
            owners = {one.user for one in plans.thresholds.values() if one.scope_id == scope_id}
            require(owners <= self._books.erased, f"the thresholds of {scope_id} end, and their user was not erased")
            self._watched[scope_id].define((), read)
            return
        levels = tuple(
            Level(one.threshold_id, one.direction is Direction.BELOW, one.level_minor, one.rearm_margin_minor)
            for one in read.value.thresholds
        )
        if self._reader.is_new(read):
            right = plans.may_be_set(scope_id, read.value.user_id, set(levels))
            require(right, f"nobody has set that on {scope_id}: {levels}")
        self._watched[scope_id].define(levels, read)

    def _alert(self, alert: Any) -> None:
        require(alert.alert_id not in self._alerts, f"an alert is raised twice: {alert}")
        self._alerts[alert.alert_id] = alert
        right = self._watched[alert.scope_id].alert(alert.threshold.threshold_id, alert.entry.entry_id)
        require(right, f"an alert of what is no crossing: {alert}")
        if alert.user_id not in self._reachable:
            # The users service has not published yet, or not long ago, that the address is verified.
            self._may_be_unaddressed.add(alert.alert_id)

    def _mails(self) -> None:
        mail = self._machine.mail
        counts = Counter(one.message_id for one in mail.delivered)
        for message_id, count in counts.items():
            most = 1 + mail.ambiguous[message_id]
            require(count <= most, f"{message_id} was delivered {count} times, at most {most} are excused")

    # When all is quiet.

    def conclude(self, dead_letters: dict[str, list[Any]]) -> None:
        """Everything has converged: the ledger's events, balances, alerts and e-mails are those of the model."""
        require(not self._unexplained, f"entries without an answer: {self._unexplained}")
        for transfer_id, transfer in self._books.transfers.items():
            state = self._states.get(transfer_id)
            require(state in FINAL, f"{transfer} ends as {state}")
            require(transfer.posted == (state is TransferState.POSTED), f"{transfer} ends as {state}")
            transfer.may_hold = False
        self._conclude_balances()
        self._conclude_alerts()
        self._conclude_mails(self._machine.mail)
        for topic, letters in dead_letters.items():
            require(topic == "notifications.dlq" or not letters, f"{topic} has {letters[:3]}")

    def _conclude_balances(self) -> None:
        for account in self._books.accounts.values():
            events = {change.entry_id: change.signed_minor for change in self._booked[account.account_id]}
            answered = {entry.entry_id: entry.signed for entry in account.entries.values()}
            require(events == answered, f"the events of {account.account_id} are {events}, the answers {answered}")
            balances = self._balances[account.account_id]
            last = balances[-1].after_minor if balances else 0
            require(last == account.booked, f"ACCOUNT_BALANCE ends at {last}: {account}")
            total = f"{account.user}:{account.currency}"
            sums = self._balances[total][-1].after_minor if self._balances[total] else 0
            expected = self._books.total(account.user, account.currency)
            require(sums == expected, f"USER_BALANCE of {total} ends at {sums}, not at {expected}")

    def check_set(self, user: str, scope_id: str) -> None:
        """A user was answered: what they set on an account or a total is what was published last."""
        wanted = {one.level for one in self._books.plans.thresholds.values() if one.scope_id == scope_id}
        found = set(self._watched[scope_id].levels)
        require(found == wanted, f"{user} has set {wanted} on {scope_id}, and {found} are published")

    def _settle_alerts(self) -> None:
        """Once the topology has read everything, no crossing is without its alert."""
        log = self._machine.log
        read_to = {at: position.offset for at, position in log.committed(ALERTS).items()}
        for topic in (ACCOUNT_THRESHOLDS, ACCOUNT_BALANCE, USER_BALANCE):
            for partition in range(topic.partitions):
                read_to.setdefault(TopicPartition(topic.name, partition), 0)
        if all(log.watermarks(at).high <= offset for at, offset in read_to.items()):
            self._all_alerted()

    def _all_alerted(self) -> None:
        for scope_id, watched in self._watched.items():
            missing = watched.missing()
            require(watched.settle(), f"crossings without an alert on {scope_id}: {missing}")

    def _conclude_alerts(self) -> None:
        for user, scope_id in {(one.user, one.scope_id) for one in self._books.plans.thresholds.values()}:
            if user not in self._books.erased:
                self.check_set(user, scope_id)
        self._all_alerted()
        for alert in self._alerts.values():
            told, kept = alert.alert_id in self._notifications, alert.alert_id in self._unaddressed
            require(told != kept, f"an alert goes to its user, or is kept as unaddressed, and not both: {alert}")
            excused = alert.user_id in self._books.erased or alert.alert_id in self._may_be_unaddressed
            require(told or excused, f"an alert that nobody is told of: {alert}")

    def _conclude_mails(self, mail: MailServer) -> None:
        delivered = {one.message_id for one in mail.delivered}
        now_ms = self._machine.clock.wall()
        for cause_id, user_id, expires_ms in self._causes():
            message_id = message_id_of(cause_id, MAIL_SETTINGS)
            excused = message_id in mail.given_up or user_id in self._books.erased or expires_ms < now_ms
            require(message_id in delivered or excused, f"the e-mail of {cause_id} was never delivered")
        for alert_id in self._notifications:
            if message_id_of(alert_id, MAIL_SETTINGS) in delivered and alert_id not in self._sent:
                user_id = self._notifications[alert_id].user_id
                excused = user_id in self._books.erased or message_id_of(alert_id, MAIL_SETTINGS) in mail.given_up
                require(excused, f"an e-mail was delivered, and no EMAIL_SENT says so: {alert_id}")

    def _causes(self) -> list[tuple[str, str, float]]:
        alerts = [(item.alert_id, item.user_id, float("inf")) for item in self._notifications.values()]
        requests = [
            (
                item.event_id,
                item.user_id,
                item.expires_at.timestamp() * 1000 if item.expires_at is not None else float("inf"),
            )
            for item in self._requests.values()
        ]
        return alerts + requests

    def summary(self) -> str:
        """What was judged."""
        entries = sum(map(len, self._booked.values()))
        mails = len(self._machine.mail.delivered)
        return f"{entries} entries, {len(self._alerts)} alerts, {mails} e-mails"


def fact_of(change: BalanceChanged) -> Fact:
    """What the model needs of a booked entry."""
    return Fact(
        entry_id=change.entry_id,
        account_id=change.account_id,
        user=change.user_id,
        currency=change.currency.value,
        signed=change.signed_minor,
        category=change.category,
        kind=change.kind,
        is_reversal=change.reverses_entry_id is not None,
        occurred_at=change.occurred_at,
        recorded_at=change.recorded_at,
    )
