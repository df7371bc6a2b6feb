"""What carries transfers through their states: a happening, the table of :mod:`.states`, and what is published of it.

Each move is one change of one row and its outgoing events, in the caller's database transaction:

1. Look the pair of step and happening up. What the table ignores changes nothing.
2. Change the row: step, reason, and when to look again.
3. Ask the ledger, if the move says so. An instruction that is asked for again is the same to the ledger.
4. Tell the new state.
5. Go on with what follows from it: a payee who has an account is paid, a refund ends what it refunds.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from sqlalchemy import Connection

from streambank.bank.events import TransferAction, TransferOutcome, TransferScreened
from streambank.bank.payments import accounts, events, people, repository, states
from streambank.bank.payments.events import Sides
from streambank.bank.payments.payees import Handle
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.payments.states import FAILED, FINAL, STATES, Happening, Step
from streambank.bank.reasons import Reason
from streambank.clock import Clock
from streambank.errors import InvariantError
from streambank.ids import RandomBytes, uuid7
from streambank.service.outbox import Outbox

logger = structlog.get_logger(__name__)

DUE_MAX = 100
"""Transfers looked at in one transaction: some ten milliseconds in which nobody else writes."""

Ended: TypeAlias = Callable[[Connection, AnyRow], None]
"""Told of each transfer that has come to a final state, within the transaction."""


@dataclass(slots=True)
class Saga:
    """What moves of transfers share. ``ignored`` counts what came for transfers that are not known."""

    outbox: Outbox
    settings: PaymentsSettings
    clock: Clock
    random_bytes: RandomBytes = os.urandom
    ended: list[Ended] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def new_id(self) -> str:
        """An id for something that is new now."""
        return uuid7(self.clock(), self.random_bytes)

    def begin(self, connection: Connection, values: dict[str, object]) -> AnyRow:
        """Start a transfer at the step that ``values`` name: screening, reserving, or rejected."""
        now_ms = self.clock()
        step = Step(values["step"])
        times = {"created_at": now_ms, "changed_at": now_ms, "due_at": self._due_at(step, now_ms, 0, now_ms)}
        wait = {"expires_at": now_ms + self.settings.payee_wait_ms, "version": 1, "attempts": 0}
        row = repository.add(connection, {**values, **times, **wait})
        if step is Step.SCREENING:
            self.outbox.add(connection, [events.transfer_requested(row, self.new_id(), now_ms)])
        self._say(connection, row, TransferAction.RESERVE if step is Step.RESERVING else None, is_new_state=True)
        if step in FINAL:
            self._end(connection, row)
        return row

    def advance(
        self, connection: Connection, row: AnyRow, happening: Happening, reason: str | None = None, **more: object
    ) -> AnyRow:
        """Let it happen to a transfer; the row as it is then. ``reason``: why, if somebody else says so."""
        step = Step(row.step)
        move = states.move(step, happening)
        if move is None:
            logger.debug("ignored", transfer_id=row.transfer_id, step=step.value, happening=happening.name)
            return row
        now_ms = self.clock()
        again = move.next is step
        attempts = row.attempts + 1 if again else 0
        due_ms = self._due_at(move.next, now_ms, attempts, row.expires_at)
        told = reason if reason is not None else move.reason.value if move.reason is not None else row.reason
        values = {"step": move.next.value, "attempts": attempts, "due_at": due_ms, **more}
        values["reason"] = None if move.next is Step.POSTED else told
        if not again:
            values["changed_at"] = now_ms
        if move.next is Step.WAITING:
            values["reserved_at"] = now_ms
        row = repository.change(connection, row, values)
        self._say(connection, row, move.action, is_new_state=STATES[move.next] is not STATES[step])
        if move.next is Step.WAITING:
            return self.try_payee(connection, row)
        if move.next in FINAL:
            self._end(connection, row)
        return row

    def try_payee(self, connection: Connection, row: AnyRow) -> AnyRow:
        """Pay a payee who has an account by now; else note who they are, if that is known, and wait on."""
        user_id, account_id = _payee(connection, row)
        if account_id is not None:
            more = {"creditor_user_id": user_id, "creditor_account_id": account_id}
            return self.advance(connection, row, Happening.PAYEE_FOUND, **more)
        return repository.wait_on(connection, row, user_id or row.creditor_user_id)

    def screened(self, connection: Connection, answers: Sequence[TransferScreened]) -> None:
        """Screening has answered."""
        for answer in answers:
            row = self._known(connection, answer.transfer_id, "screening")
            if row is not None:
                self.advance(connection, row, states.screened(answer), _known_code(answer.reason))

    def answered(self, connection: Connection, answers: Sequence[TransferOutcome]) -> None:
        """The ledger has answered."""
        for answer in answers:
            row, happening = self._known(connection, answer.transfer_id, "ledger"), states.answered(answer)
            if row is None:
                continue
            if happening is None:
                self._ignore("an answer that no ledger gives", answer.transfer_id, "ledger")
                continue
            more: dict[str, object] = {}
            if answer.transaction_id is not None:
                more["transaction_id"] = answer.transaction_id
                more["debtor_entry_id"] = answer.debtor_entry_id
                more["creditor_entry_id"] = answer.creditor_entry_id
            self.advance(connection, row, happening, _known_code(answer.reason), **more)

    def look_at_due(self, connection: Connection) -> int:
        """Go on with transfers whose wait is over, at most :data:`DUE_MAX`; how many."""
        now_ms = self.clock()
        rows = repository.due(connection, now_ms, DUE_MAX)
        for found in rows:
            # Again: one that was moved before may have moved this one too.
            row = repository.transfer(connection, found.transfer_id)
            if row is None or row.due_at is None or row.due_at > now_ms:
                continue
            if row.step == Step.WAITING.value:
                row = self.try_payee(connection, row)
                if row.step != Step.WAITING.value or row.expires_at > now_ms:
                    continue
            self.advance(connection, row, Happening.TIMED_OUT)
        return len(rows)

    def _known(self, connection: Connection, transfer_id: str, source: str) -> AnyRow | None:
        row = repository.transfer(connection, transfer_id)
        if row is None:
            self._ignore("an answer about a transfer that is not known", transfer_id, source)
        return row

    def _ignore(self, what: str, transfer_id: str, source: str) -> None:
        self.ignored[source] += 1
        logger.warning(what, transfer_id=transfer_id, source=source, ignored_count=self.ignored[source])

    def _due_at(self, step: Step, now_ms: int, attempts: int, expires_ms: int) -> int | None:
        if step in FINAL:
            return None
        if step is Step.SCREENING:
            return now_ms + self.settings.screening_wait_ms
        if step is Step.RESERVING:
            return now_ms + self.settings.ledger_wait_ms
        if step is Step.WAITING:
            return expires_ms
        return now_ms + self.settings.repeat.delay_ms(attempts + 1, self._random_fraction)

    def _random_fraction(self) -> float:
        return int.from_bytes(self.random_bytes(4), "big") / 2**32

    def _say(self, connection: Connection, row: AnyRow, action: TransferAction | None, *, is_new_state: bool) -> None:
        """Ask the ledger for an action, if there is one, and tell a state that is new."""
        sides = Sides.of(connection, row.debtor_user_id, row.creditor_user_id)
        told = []
        if action is not None:
            margin_ms = self.settings.hold_margin_ms
            told.append(events.instruction(row, sides, action, self.new_id(), self.clock(), margin_ms))
        if is_new_state:
            told.append(events.transfer_changed(row, sides, self.new_id(), self.clock()))
        self.outbox.add(connection, told)

    def _end(self, connection: Connection, row: AnyRow) -> None:
        step = Step(row.step)
        if row.refunds_id is not None and step is not Step.REFUNDED:
            of = repository.transfer(connection, row.refunds_id)
            if of is None:
                raise InvariantError(f"refund {row.transfer_id} refunds nothing")
            if step is Step.POSTED:
                self.advance(connection, of, Happening.REFUNDED)
            elif of.refunded_by_id == row.transfer_id and step in FAILED:
                repository.change(connection, of, {"refunded_by_id": None})
        for told in self.ended:
            told(connection, row)


def _payee(connection: Connection, row: AnyRow) -> tuple[str | None, str | None]:
    """Who is paid and to which account; None for what is not known yet."""
    if row.creditor_account_id is not None:
        return row.creditor_user_id, row.creditor_account_id
    user_id = row.creditor_user_id
    if row.payee_kind == "address":
        # Anew each time: it may have come to be somebody else's.
        user_id = people.find(connection, Handle("address", row.payee_text or "", row.payee_key or ""))
    if user_id is None:
        return None, None
    found = accounts.receiving(connection, user_id, row.currency, other_than=row.debtor_account_id)
    return user_id, found


_CODES = {reason.value for reason in Reason}


def _known_code(code: str | None) -> str | None:
    """The code of a reason; one that is longer or unknown is told as unexplained."""
    return code if code is None or code in _CODES else Reason.UNEXPLAINED.value
