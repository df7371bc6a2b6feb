"""The state machine as a table, and the page that draws it."""

from pathlib import Path

import pytest

from streambank.bank.events import TransferAction, TransferState
from streambank.bank.payments import states
from streambank.bank.payments.states import FAILED, FINAL, IGNORED, MOVES, STATES, Happening, Step

PAGE = Path(__file__).parents[3] / "docs" / "guides" / "payments.md"
RESERVE, POST, VOID = TransferAction.RESERVE, TransferAction.POST, TransferAction.VOID

WAY = {
    #  everything that may happen on the way, in short: what comes first, and where it leads
    Step.SCREENING: "accepted:reserving/reserve refused:rejected cancelled:cancelled erased:rejected "
    "timed_out:rejected",
    Step.RESERVING: "reserved:waiting reserve_rejected:rejected cancelled:cancelling/void erased:abandoning/void "
    "timed_out:abandoning/void",
    Step.WAITING: "payee_found:posting/post cancelled:cancelling/void erased:abandoning/void timed_out:expiring/void",
    Step.POSTING: "posted:posted post_rejected:rejected timed_out:posting/post",
    Step.CANCELLING: "voided:cancelled void_too_late:posted timed_out:cancelling/void",
    Step.EXPIRING: "voided:expired void_too_late:posted timed_out:expiring/void",
    Step.ABANDONING: "voided:rejected void_too_late:posted timed_out:abandoning/void",
    Step.POSTED: "refunded:refunded",
}


def test_every_pair_is_decided_once() -> None:
    pairs = {(step, happening) for step in Step for happening in Happening}
    assert MOVES.keys() | IGNORED.keys() == pairs
    assert MOVES.keys() & IGNORED.keys() == set()
    assert all(IGNORED.values())


@pytest.mark.parametrize("step", Step)
def test_what_follows(step: Step) -> None:
    told = {}
    for part in WAY.get(step, "").split():
        name, _, rest = part.partition(":")
        to, _, action = rest.partition("/")
        told[Happening[name.upper()]] = (Step(to), TransferAction(action) if action else None)
    for happening in Happening:
        move = states.move(step, happening)
        assert (None if move is None else (move.next, move.action)) == told.get(happening), happening


def test_every_wait_has_a_time_out_and_leads_to_an_end() -> None:
    for step in Step:
        assert (states.move(step, Happening.TIMED_OUT) is None) == (step in FINAL)
    # From everywhere a final step can be reached.
    ends = set(FINAL)
    while more := {step for (step, _), to in MOVES.items() if to.next in ends} - ends:
        ends |= more
    assert ends == set(Step)


def test_only_the_ledgers_word_ends_what_the_ledger_was_asked_for() -> None:
    of_ledger = {h for h in Happening if h.value.startswith("ledger")}
    for (step, happening), to in MOVES.items():
        if to.next in FINAL and step not in (Step.SCREENING, Step.POSTED):
            assert happening in of_ledger


def test_money_is_asked_for_in_order() -> None:
    asked = {(step, to.action) for (step, _), to in MOVES.items() if to.action is not None}
    assert {step for step, action in asked if action is RESERVE} == {Step.SCREENING}
    # No posting before the reservation is known; no void once a posting was asked for.
    assert {step for step, action in asked if action is POST} == {Step.WAITING, Step.POSTING}
    assert Step.POSTING not in {step for step, action in asked if action is VOID}


def test_states_seen_from_outside() -> None:
    assert set(STATES.values()) == set(TransferState)
    assert set(STATES) == set(Step)
    final = {STATES[step] for step in FINAL}
    assert final == {TransferState(name) for name in ("posted", "refunded", "cancelled", "expired", "rejected")}
    assert FAILED < FINAL


def test_what_fails_says_why_unless_another_says_it() -> None:
    told_by_others = {Happening.RESERVE_REJECTED, Happening.POST_REJECTED, Happening.VOIDED}
    for (_, happening), to in MOVES.items():
        if to.next in FAILED and happening not in told_by_others:
            assert to.reason is not None
        if to.action is VOID and happening is not Happening.TIMED_OUT:
            assert to.reason is not None


def test_the_page_draws_what_the_code_does() -> None:
    assert f"```mermaid\n{states.as_mermaid()}```" in PAGE.read_text()


def test_the_drawing_has_every_move() -> None:
    drawn = states.as_mermaid()
    for (step, _), to in MOVES.items():
        assert f"{step.value} --> {to.next.value}:" in drawn
    assert drawn.count(" / VOID") == len([to for to in MOVES.values() if to.action is VOID])
