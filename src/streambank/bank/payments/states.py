"""The state machine of a transfer: what happens next is a table, and nothing else decides it.

A :class:`Step` says what is waited for; several steps may be one state to others (:data:`STATES`). Every pair of a step
and a happening is in :data:`MOVES` or, with the reason, in :data:`IGNORED`. Only the ledger's word ends a transfer once
the ledger was asked for something.
"""

from enum import Enum
from typing import NamedTuple

from streambank.bank.events import TransferAction, TransferOutcome, TransferResult, TransferScreened, TransferState
from streambank.bank.events.transfers import Verdict
from streambank.bank.reasons import Reason


class Step(Enum):
    """What a transfer waits for; the last five are final."""

    SCREENING = "screening"
    RESERVING = "reserving"
    WAITING = "waiting"
    POSTING = "posting"
    CANCELLING = "cancelling"
    EXPIRING = "expiring"
    ABANDONING = "abandoning"
    POSTED = "posted"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


STATES: dict[Step, TransferState] = {
    Step.SCREENING: TransferState.REQUESTED,
    Step.RESERVING: TransferState.SCREENED,
    Step.WAITING: TransferState.RESERVED,
    Step.POSTING: TransferState.CONFIRMED,
    Step.CANCELLING: TransferState.CANCELLING,
    Step.EXPIRING: TransferState.CANCELLING,
    Step.ABANDONING: TransferState.CANCELLING,
    Step.POSTED: TransferState.POSTED,
    Step.REFUNDED: TransferState.REFUNDED,
    Step.CANCELLED: TransferState.CANCELLED,
    Step.EXPIRED: TransferState.EXPIRED,
    Step.REJECTED: TransferState.REJECTED,
}
"""How each step looks from outside. What is being voided is ``cancelling``, whatever it ends as."""

FINAL = frozenset({Step.POSTED, Step.REFUNDED, Step.CANCELLED, Step.EXPIRED, Step.REJECTED})

FAILED = frozenset({Step.CANCELLED, Step.EXPIRED, Step.REJECTED})
"""No money moved, and none will: nothing of it counts into a limit."""


class Happening(Enum):
    """What can happen to a transfer. What the ledger says names what it was asked for."""

    ACCEPTED = "screening accepts"
    REFUSED = "screening refuses"
    RESERVED = "ledger: reserved"
    RESERVE_REJECTED = "ledger: cannot reserve"
    PAYEE_FOUND = "payee has an account"
    POSTED = "ledger: posted"
    POST_REJECTED = "ledger: cannot post"
    VOIDED = "ledger: voided"
    VOID_TOO_LATE = "ledger: posted already"
    CANCELLED = "payer cancels"
    ERASED = "payer or payee erased"
    TIMED_OUT = "time is over"
    REFUNDED = "refund is posted"


class Move(NamedTuple):
    """Where to go, what to ask the ledger for, and the reason that goes on record unless the happening brings one."""

    next: Step
    action: TransferAction | None = None
    reason: Reason | None = None


_RESERVE, _POST, _VOID = TransferAction.RESERVE, TransferAction.POST, TransferAction.VOID

MOVES: dict[tuple[Step, Happening], Move] = {
    (Step.SCREENING, Happening.ACCEPTED): Move(Step.RESERVING, _RESERVE),
    (Step.SCREENING, Happening.REFUSED): Move(Step.REJECTED, None, Reason.SUSPICIOUS),
    (Step.SCREENING, Happening.CANCELLED): Move(Step.CANCELLED, None, Reason.CANCELLED),
    (Step.SCREENING, Happening.ERASED): Move(Step.REJECTED, None, Reason.CLOSED_ACCOUNT),
    (Step.SCREENING, Happening.TIMED_OUT): Move(Step.REJECTED, None, Reason.TOO_LATE),
    (Step.RESERVING, Happening.RESERVED): Move(Step.WAITING),
    (Step.RESERVING, Happening.RESERVE_REJECTED): Move(Step.REJECTED),
    (Step.RESERVING, Happening.CANCELLED): Move(Step.CANCELLING, _VOID, Reason.CANCELLED),
    (Step.RESERVING, Happening.ERASED): Move(Step.ABANDONING, _VOID, Reason.CLOSED_ACCOUNT),
    (Step.RESERVING, Happening.TIMED_OUT): Move(Step.ABANDONING, _VOID, Reason.TOO_LATE),
    (Step.WAITING, Happening.PAYEE_FOUND): Move(Step.POSTING, _POST),
    (Step.WAITING, Happening.CANCELLED): Move(Step.CANCELLING, _VOID, Reason.CANCELLED),
    (Step.WAITING, Happening.ERASED): Move(Step.ABANDONING, _VOID, Reason.CLOSED_ACCOUNT),
    (Step.WAITING, Happening.TIMED_OUT): Move(Step.EXPIRING, _VOID, Reason.TOO_LATE),
    (Step.POSTING, Happening.POSTED): Move(Step.POSTED),
    (Step.POSTING, Happening.POST_REJECTED): Move(Step.REJECTED),
    (Step.POSTING, Happening.TIMED_OUT): Move(Step.POSTING, _POST),
    (Step.CANCELLING, Happening.VOIDED): Move(Step.CANCELLED),
    (Step.EXPIRING, Happening.VOIDED): Move(Step.EXPIRED),
    (Step.ABANDONING, Happening.VOIDED): Move(Step.REJECTED),
    **{
        (step, happening): move
        for step in (Step.CANCELLING, Step.EXPIRING, Step.ABANDONING)
        for happening, move in (
            (Happening.VOID_TOO_LATE, Move(Step.POSTED)),
            (Happening.TIMED_OUT, Move(step, _VOID)),
        )
    },
    (Step.POSTED, Happening.REFUNDED): Move(Step.REFUNDED),
}
"""All that moves a transfer. A move to the same step asks once more."""


def _ignored() -> dict[tuple[Step, Happening], str]:
    screening = {Happening.ACCEPTED, Happening.REFUSED}
    reserve = {Happening.RESERVED, Happening.RESERVE_REJECTED}
    post = {Happening.POSTED, Happening.POST_REJECTED}
    void = {Happening.VOIDED, Happening.VOID_TOO_LATE}
    late = "a late or repeated answer: what it answers is behind"
    never = "the ledger was never asked for it"
    unpaid = "there is nothing to refund"
    early = "the money is not held yet: looked at again once it is"
    told: dict[tuple[Step, Happening], str] = {}

    def ignore(step: Step, happenings: set[Happening], reason: str) -> None:
        told.update(((step, happening), reason) for happening in happenings)

    ignore(Step.SCREENING, reserve | post | void, never)
    ignore(Step.SCREENING, {Happening.PAYEE_FOUND}, early)
    ignore(Step.RESERVING, screening, late)
    ignore(Step.RESERVING, post | void, never)
    ignore(Step.RESERVING, {Happening.PAYEE_FOUND}, early)
    ignore(Step.WAITING, screening | reserve, late)
    ignore(Step.WAITING, post | void, never)
    ignore(Step.POSTING, screening | reserve, late)
    ignore(Step.POSTING, void, never)
    ignore(Step.POSTING, {Happening.PAYEE_FOUND}, late)
    ignore(Step.POSTING, {Happening.CANCELLED, Happening.ERASED}, "the ledger was asked to post: its word decides")
    for step in (Step.CANCELLING, Step.EXPIRING, Step.ABANDONING):
        ignore(step, screening | reserve, "the answer to the void decides, which comes after it")
        ignore(step, post, never)
        ignore(step, {Happening.PAYEE_FOUND, Happening.CANCELLED, Happening.ERASED}, "it is being voided already")
    for step in STATES.keys() - FINAL:
        ignore(step, {Happening.REFUNDED}, unpaid)
    for step in FINAL:
        ignore(step, set(Happening), "a final state: nothing changes it")
    del told[Step.POSTED, Happening.REFUNDED]
    return told


IGNORED: dict[tuple[Step, Happening], str] = _ignored()
"""All that changes nothing, and why."""


def move(step: Step, happening: Happening) -> Move | None:
    """What follows; None if nothing does."""
    return MOVES.get((step, happening))


def screened(event: TransferScreened) -> Happening:
    """What an answer of screening means."""
    return Happening.ACCEPTED if event.verdict is Verdict.ACCEPTED else Happening.REFUSED


_OUTCOMES = {
    (_RESERVE, TransferResult.RESERVED): Happening.RESERVED,
    (_RESERVE, TransferResult.REJECTED): Happening.RESERVE_REJECTED,
    (_POST, TransferResult.POSTED): Happening.POSTED,
    (_POST, TransferResult.REJECTED): Happening.POST_REJECTED,
    (_VOID, TransferResult.VOIDED): Happening.VOIDED,
    (_VOID, TransferResult.POSTED): Happening.VOID_TOO_LATE,
}


def answered(event: TransferOutcome) -> Happening | None:
    """What an answer of the ledger means; None if no ledger of ours gives it."""
    return _OUTCOMES.get((event.action, event.result))


def as_mermaid() -> str:
    """The state machine as a diagram of Mermaid: each arrow says what happened, and what the ledger is asked for."""
    lines = ["stateDiagram-v2", "    [*] --> screening: asked for, and a topology screens"]
    lines.append("    [*] --> reserving: asked for, and limits are enough / RESERVE")
    lines.append("    [*] --> rejected: a standing order is over a limit")
    for (step, happening), to in MOVES.items():
        asked = f" / {to.action.name}" if to.action is not None else ""
        lines.append(f"    {step.value} --> {to.next.value}: {happening.value.replace(':', ' -')}{asked}")
    lines += [f"    {step.value} --> [*]" for step in Step if step in FINAL]
    return "\n".join(lines) + "\n"
