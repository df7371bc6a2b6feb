from datetime import UTC, datetime, timedelta

import pytest

from streambank.bank.events import (
    TRANSFER_REQUESTED,
    TRANSFER_SCREENED,
    Currency,
    TransferRequested,
    TransferScreened,
    Verdict,
)
from streambank.bank.topologies import screening
from streambank.bank.topologies.screening import BURST_MAX, KNOWN_MIN, REPEATED_MAX, UNUSUAL_TIMES
from streambank.streams.testing import TopologyTestDriver

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def requested(
    number: int, minor: int, *, minutes: int = 0, payee: str | None = "bob", new: bool = False, **more: str
) -> TransferRequested:
    at = NOON + timedelta(minutes=minutes)
    return TransferRequested(
        user_id=more.get("payer", "ada"),
        occurred_at=at,
        recorded_at=at,
        event_id=f"e{number}",
        transfer_id=f"t{number}",
        debtor_account_id="a",
        creditor_user_id=more.get("creditor"),
        payee_ref=payee,
        amount_minor=minor,
        currency=Currency(more.get("currency", "EUR")),
        is_new_payee=new,
        respond_by=at + timedelta(seconds=30),
    )


def screened(*events: TransferRequested) -> list[TransferScreened]:
    with TopologyTestDriver(screening.build()) as driver:
        for event in events:
            driver.pipe(TRANSFER_REQUESTED, event.transfer_id, event)
        found = driver.read(TRANSFER_SCREENED)
    answers = {key: answer for key, answer, _ in found}
    assert [key for key, _, _ in found] == [answer.transfer_id for _, answer, _ in found]
    assert len(found) == len(answers) == len(events)
    return [answers[event.transfer_id] for event in events]


def usual(count: int, minor: int = 1_000) -> list[TransferRequested]:
    """A payment a day, each to somebody else."""
    return [requested(n, minor + n, minutes=1_440 * n, payee=f"p{n}") for n in range(count)]


@pytest.mark.parametrize(
    ("before", "last", "accepted"),
    [
        ([], requested(99, 10**9, new=True), True),
        (usual(KNOWN_MIN - 1), requested(99, 10**9, minutes=10**6, new=True), True),
        (usual(KNOWN_MIN), requested(99, UNUSUAL_TIMES * (1_000 + KNOWN_MIN - 1), minutes=10**6, new=True), False),
        (usual(KNOWN_MIN), requested(99, UNUSUAL_TIMES * (1_000 + KNOWN_MIN - 1) - 1, minutes=10**6, new=True), True),
        # Known payees may get any amount.
        (usual(KNOWN_MIN), requested(99, 10**9, minutes=10**6), True),
        # Another payer, or another currency, has a history of its own.
        (usual(KNOWN_MIN), requested(99, 10**9, minutes=10**6, new=True, payer="bob"), True),
        (usual(KNOWN_MIN), requested(99, 10**9, minutes=10**6, new=True, currency="CZK"), True),
        ([requested(n, n + 1, payee=None, new=True) for n in range(BURST_MAX)], requested(99, 1, new=True), False),
        ([requested(n, n + 1, payee=None, new=True) for n in range(BURST_MAX)], requested(99, 1), True),
        (
            [requested(n, n + 1, payee=None, new=True) for n in range(BURST_MAX)],
            requested(99, 1, minutes=10, new=True),
            True,
        ),
        ([requested(n, 5) for n in range(REPEATED_MAX)], requested(99, 5, minutes=9), False),
        ([requested(n, 5) for n in range(REPEATED_MAX)], requested(99, 6, minutes=9), True),
        ([requested(n, 5) for n in range(REPEATED_MAX)], requested(99, 5, minutes=10), True),
        # Who the payee is makes no difference.
        (
            [requested(n, 5, creditor="bob") for n in range(REPEATED_MAX)],
            requested(99, 5, minutes=9, creditor="cleo"),
            False,
        ),
        (
            [requested(n, 5, payee=f"p{n}", creditor="bob") for n in range(REPEATED_MAX)],
            requested(99, 5, payee="p99", creditor="bob"),
            True,
        ),
        # Without a name for the payee it is not known whether two are the same.
        ([requested(n, 5, payee=None) for n in range(REPEATED_MAX)], requested(99, 5, payee=None), True),
    ],
)
def test_what_is_refused(before: list[TransferRequested], last: TransferRequested, accepted: bool) -> None:
    *earlier, answer = screened(*before, last)
    assert {one.verdict for one in earlier} <= {Verdict.ACCEPTED}
    assert answer.verdict is (Verdict.ACCEPTED if accepted else Verdict.REFUSED)
    assert answer.reason == (None if accepted else "FRAD")


def test_what_was_refused_is_no_measure_of_what_is_usual() -> None:
    huge = [requested(90 + n, 10**9, minutes=10**6 + 60 * n, new=True) for n in range(2)]
    assert [one.verdict for one in screened(*usual(KNOWN_MIN), *huge)][-2:] == [Verdict.REFUSED] * 2


def test_an_answer_is_the_same_whenever_it_is_given() -> None:
    assert screened(requested(1, 5)) == screened(requested(1, 5))
