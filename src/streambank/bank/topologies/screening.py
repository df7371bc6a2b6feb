"""screening: look at each transfer beside what its payer did before, and say whether it may go on.

transfer.requested --by payer and currency--> history --> transfer.screened

Refused (FRAD), for a person to look into, is what taken-over accounts do:

- ``unusual``: to a new payee goes :data:`UNUSUAL_TIMES` as much as the most that ever went out.
- ``burst``: more than :data:`BURST_MAX` new payees within :data:`WINDOW_MS`.
- ``repeated``: the same amount to the same payee more than :data:`REPEATED_MAX` times within :data:`WINDOW_MS`.

No rule looks at who the payee is: to the payer the answer is the same whether or not an address has an account.
"""

import msgspec

from streambank.bank.events import TRANSFER_REQUESTED, TRANSFER_SCREENED, TransferRequested, TransferScreened, Verdict
from streambank.bank.reasons import Reason
from streambank.ids import derived_id
from streambank.streams import StreamBuilder, Topology

KNOWN_MIN = 5
"""Transfers after which it is known what a payer usually does."""

UNUSUAL_TIMES = 10

WINDOW_MS = 600_000
"""Ten minutes: as long as it takes to empty an account by hand."""

BURST_MAX = 5
REPEATED_MAX = 3

RECENT_MAX = 50
"""Transfers that are remembered one by one; more within the window are a burst by then."""


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    requested = builder.stream(TRANSFER_REQUESTED).group_by(payer_and_currency)
    histories = requested.aggregate(History, after, name="history")
    answers = histories.to_stream().flat_map_values(answers_of)
    answers.select_key(by_transfer).to(TRANSFER_SCREENED)
    return builder.build()


class Seen(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A transfer of late."""

    at_ms: int
    amount_minor: int
    payee_ref: str | None
    is_new_payee: bool


class History(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a payer did in one currency. ``most_minor`` and ``count`` are of what was accepted."""

    most_minor: int = 0
    count: int = 0
    recent: tuple[Seen, ...] = ()
    answer: TransferScreened | None = None


def payer_and_currency(_transfer_id: str, request: TransferRequested) -> str:
    """Whose history it is held against."""
    return f"{request.user_id}:{request.currency.value}"


def after(_payer: str, request: TransferRequested, history: History) -> History:
    """The history with one more transfer, and the answer to it."""
    seen = Seen(request.timestamp, request.amount_minor, request.payee_ref, request.is_new_payee)
    recent = (*(one for one in history.recent if one.at_ms > seen.at_ms - WINDOW_MS), seen)[-RECENT_MAX:]
    refused = suspicion(history, seen, recent) is not None
    answer = TransferScreened(
        user_id=request.user_id,
        occurred_at=request.occurred_at,
        recorded_at=request.recorded_at,
        event_id=derived_id("screened", request.transfer_id),
        transfer_id=request.transfer_id,
        verdict=Verdict.REFUSED if refused else Verdict.ACCEPTED,
        reason=Reason.SUSPICIOUS.value if refused else None,
    )
    if refused:
        return History(history.most_minor, history.count, recent, answer)
    return History(max(history.most_minor, seen.amount_minor), history.count + 1, recent, answer)


def suspicion(history: History, seen: Seen, recent: tuple[Seen, ...]) -> str | None:
    """The rule that a transfer breaks; None: it looks like any other. ``recent`` has it as its last."""
    unusual_minor = UNUSUAL_TIMES * history.most_minor
    if seen.is_new_payee and history.count >= KNOWN_MIN and seen.amount_minor >= unusual_minor:
        return "unusual"
    if seen.is_new_payee and sum(one.is_new_payee for one in recent) > BURST_MAX:
        return "burst"
    same = [one for one in recent if (one.payee_ref, one.amount_minor) == (seen.payee_ref, seen.amount_minor)]
    if seen.payee_ref is not None and len(same) > REPEATED_MAX:
        return "repeated"
    return None


def answers_of(history: History) -> tuple[TransferScreened, ...]:
    """The answer to the last transfer."""
    return () if history.answer is None else (history.answer,)


def by_transfer(_payer: str, answer: TransferScreened) -> str:
    """What is answered about."""
    return answer.transfer_id
