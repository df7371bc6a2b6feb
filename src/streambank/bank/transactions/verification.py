"""Whether the ledger is whole: every sum is added up again from the postings."""

from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, case, cast, func, literal_column, or_, select

from streambank.bank.transactions.models import ACCOUNT, BALANCE, ENTRY_SPLIT, HOLD, JOURNAL, POSTING, JournalKind

FAULTS_MAX = 100
"""Faults told of each kind: after so many the reader knows."""

_BOOKED = POSTING.c.status == literal_column("'BOOK'")
_PENDING = POSTING.c.status == literal_column("'PDNG'")
_ENDS = POSTING.c.reverses_num.is_not(None)


def check_ledger(connection: Connection) -> list[str]:
    """What is wrong with the ledger; nothing if it is whole. Reads all of it: about 6 s a million entries."""
    faults: list[str] = []
    for text, statement in _CHECKS:
        faults.extend(f"{text}: {tuple(row)}" for row in connection.execute(statement.limit(FAULTS_MAX)))
    return faults


def _unbalanced() -> Select[Any]:
    return (
        select(POSTING.c.journal_num, POSTING.c.currency, POSTING.c.status, func.sum(POSTING.c.signed_minor))
        .group_by(POSTING.c.journal_num, POSTING.c.currency, POSTING.c.status)
        .having(or_(func.sum(POSTING.c.signed_minor) != 0, func.count() < 2))
    )


def _wrong_balances() -> Select[Any]:
    signed = POSTING.c.signed_minor
    # What ends a pending entry has the opposite sign, and takes it away on the side where it was added.
    debit = or_(and_(signed < 0, ~_ENDS), and_(signed > 0, _ENDS))
    sums = (
        select(
            POSTING.c.account_num,
            _sum(case((_BOOKED, signed), else_=0)).label("booked"),
            _sum(case((and_(_PENDING, debit), -signed), else_=0)).label("debits"),
            _sum(case((and_(_PENDING, ~debit), signed), else_=0)).label("credits"),
            func.count().label("postings"),
            func.min(POSTING.c.account_seq).label("first_seq"),
            func.max(POSTING.c.account_seq).label("last_seq"),
            func.count(POSTING.c.account_seq.distinct()).label("seqs"),
        )
        .group_by(POSTING.c.account_num)
        .subquery()
    )
    b, s = BALANCE.c, sums.c
    differs = or_(
        b.booked_minor != func.coalesce(s.booked, 0),
        b.pending_debits_minor != func.coalesce(s.debits, 0),
        b.pending_credits_minor != func.coalesce(s.credits, 0),
        b.last_seq != func.coalesce(s.postings, 0),
        b.last_seq != func.coalesce(s.last_seq, 0),
        b.last_seq != func.coalesce(s.seqs, 0),
        func.coalesce(s.first_seq, 1) != 1,
        b.pending_debits_minor < 0,
        b.pending_credits_minor < 0,
    )
    return (
        select(ACCOUNT.c.account_id, b.booked_minor, s.booked, b.pending_debits_minor, s.debits, b.last_seq, s.last_seq)
        .select_from(ACCOUNT.outerjoin(BALANCE, b.account_num == ACCOUNT.c.num))
        .outerjoin(sums, s.account_num == ACCOUNT.c.num)
        .where(or_(b.account_num.is_(None), differs))
    )


def _out_of_order() -> Select[Any]:
    later = POSTING.alias("later")
    return (
        select(POSTING.c.account_num, POSTING.c.account_seq)
        .join(
            later, and_(later.c.account_num == POSTING.c.account_num, later.c.account_seq == POSTING.c.account_seq + 1)
        )
        .where(later.c.num < POSTING.c.num, POSTING.c.entry_id.is_not(None), later.c.entry_id.is_not(None))
    )


def _wrong_reversals() -> Select[Any]:
    of = POSTING.alias("reversed")
    return (
        select(POSTING.c.num, of.c.num)
        .join(of, of.c.num == POSTING.c.reverses_num)
        .where(
            or_(
                of.c.signed_minor != -POSTING.c.signed_minor,
                of.c.account_num != POSTING.c.account_num,
                of.c.status != POSTING.c.status,
                of.c.reverses_num.is_not(None),
            )
        )
    )


def _wrong_holds() -> Select[Any]:
    ending = POSTING.alias("ending")
    is_open = and_(_PENDING, ~_ENDS, ending.c.num.is_(None))
    return (
        select(POSTING.c.num)
        .select_from(
            POSTING.join(ACCOUNT, ACCOUNT.c.num == POSTING.c.account_num)
            .outerjoin(ending, ending.c.reverses_num == POSTING.c.num)
            .outerjoin(HOLD, HOLD.c.posting_num == POSTING.c.num)
        )
        .where(POSTING.c.entry_id.is_not(None), ACCOUNT.c.owner_id.is_not(None))
        .where(is_open != HOLD.c.posting_num.is_not(None))
    )


def _wrong_splits() -> Select[Any]:
    return (
        select(POSTING.c.num, POSTING.c.signed_minor, _sum(ENTRY_SPLIT.c.amount_minor))
        .join(ENTRY_SPLIT, ENTRY_SPLIT.c.posting_num == POSTING.c.num)
        .group_by(POSTING.c.num, POSTING.c.signed_minor)
        .having(_sum(ENTRY_SPLIT.c.amount_minor) != func.abs(POSTING.c.signed_minor))
    )


def _one_sided_transfers() -> Select[Any]:
    # Both sides are users' own entries: an account on the other side that nobody sees has no part in it.
    return (
        select(POSTING.c.journal_num, func.count(), func.count(POSTING.c.entry_id))
        .join(JOURNAL, JOURNAL.c.num == POSTING.c.journal_num)
        .where(JOURNAL.c.kind == JournalKind.TRANSFER.value, _BOOKED)
        .group_by(POSTING.c.journal_num)
        .having(or_(func.count() != 2, func.count(POSTING.c.entry_id) != 2))
    )


def _sum(column: Any) -> Any:
    return cast(func.sum(column), BigInteger)


_CHECKS: tuple[tuple[str, Select[Any]], ...] = (
    ("the postings of a journal transaction do not sum to zero (journal, currency, status, sum)", _unbalanced()),
    (
        "a balance is not the sum of its postings (account, booked, sum, pending debits, sum, last seq, highest)",
        _wrong_balances(),
    ),
    ("entries of an account are not numbered in the order of the ledger (account, seq)", _out_of_order()),
    (
        "a journal transaction has no posting (journal)",
        select(JOURNAL.c.num).outerjoin(POSTING, POSTING.c.journal_num == JOURNAL.c.num).where(POSTING.c.num.is_(None)),
    ),
    (
        "a posting is in another currency than its account (posting)",
        select(POSTING.c.num)
        .join(ACCOUNT, ACCOUNT.c.num == POSTING.c.account_num)
        .where(ACCOUNT.c.currency != POSTING.c.currency),
    ),
    ("a reversal is not the opposite of what it reverses (reversal, reversed)", _wrong_reversals()),
    ("a pending entry and its hold disagree (posting)", _wrong_holds()),
    ("a transfer was not booked on two accounts of users (journal, postings, entries)", _one_sided_transfers()),
    ("the parts of an entry do not sum to it (posting, amount, sum)", _wrong_splits()),
)
