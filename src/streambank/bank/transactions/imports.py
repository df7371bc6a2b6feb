"""Files that are read in: what they tell is recorded once, however many of them tell it, and can be undone."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from streambank.bank.events import EntryStatus, Origin
from streambank.bank.transactions import repository, settling
from streambank.bank.transactions.batch import Line, Recorded, record
from streambank.bank.transactions.ledger import Books, Ledger
from streambank.bank.transactions.models import ACCOUNT, ACCOUNT_MEMBER, EXTERNAL_ID, IMPORT, IMPORT_ENTRY, POSTING
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.schemas import ImportView
from streambank.clock import to_datetime
from streambank.service.http.answers import check_version
from streambank.service.http.problems import FieldProblem, Problem, conflict, not_found, unprocessable

PROBLEMS_MAX = 100
"""Broken lines that are told of at once."""

_TAKEN = "external-id-taken"
_CHUNK = 500

_OPEN = select(IMPORT).where(IMPORT.c.import_id == bindparam("import"))
_ADD = insert(IMPORT).returning(IMPORT.c.num)
_ADD_ENTRY = insert(IMPORT_ENTRY)
_NUMS = select(POSTING.c.num).where(POSTING.c.entry_id.in_(bindparam("ids", expanding=True)))
_COUNT = (
    update(IMPORT)
    .where(IMPORT.c.num == bindparam("import_num"))
    .values(
        booked=IMPORT.c.booked + bindparam("new"),
        duplicates=IMPORT.c.duplicates + bindparam("repeated"),
        differing=IMPORT.c.differing + bindparam("other"),
        version=IMPORT.c.version + 1,
    )
)
_LIST = (
    select(IMPORT, ACCOUNT.c.account_id)
    .join(ACCOUNT, ACCOUNT.c.num == IMPORT.c.account_num)
    .join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_num == IMPORT.c.account_num)
    .where(ACCOUNT_MEMBER.c.user_id == bindparam("of_user"))
)


def import_lines(
    connection: Connection, ledger: Ledger, caller_id: str, account_id: str, lines: Sequence[Line], import_id: str
) -> ImportView:
    """Record entries of a file, as part of the import of that id: all of them, or none.

    Further lines of the same file may follow in another call. A line whose external id is known already is a
    duplicate, of this file or of one that overlaps with it; if it tells something else it is counted as differing.

    Raises:
        Problem: 422 with each line that cannot be recorded, and why.
    """
    books = ledger.books(connection, caller_id, 2 * len(lines))
    account = books.account(account_id)
    books.check_open(account)
    num = _open(connection, account.num, caller_id, import_id, books.now_ms)
    answers = record(books, [_of_account(line, account_id) for line in lines], origin=Origin.IMPORT)
    _refuse_broken(answers)
    books.close()
    created = [a.entry_id for a in answers if isinstance(a, Recorded) and a.result == "created"]
    for start in range(0, len(created), _CHUNK):
        nums = connection.scalars(_NUMS, {"ids": created[start : start + _CHUNK]})
        connection.execute(_ADD_ENTRY, [{"import_num": num, "posting_num": posting} for posting in nums])
    repeated = sum(isinstance(a, Recorded) and a.result == "duplicate" for a in answers)
    other = len(answers) - len(created) - repeated
    connection.execute(_COUNT, {"import_num": num, "new": len(created), "repeated": repeated, "other": other})
    return one(connection, caller_id, import_id)


def undo(connection: Connection, ledger: Ledger, caller_id: str, import_id: str, expected: int | None) -> ImportView:
    """Reverse what an import booked, but for what was corrected since; its lines may be imported anew.

    Pending entries that have not ended are voided. All in one transaction: it takes some 0.15 ms an entry.
    """
    repository.lock(connection)
    row = _one(connection, caller_id, import_id)
    check_version(row.version, expected)
    if row.undone_at is not None:
        raise conflict("import-undone", "the import was undone already")
    entries = connection.execute(
        repository.ENTRIES.join_from(POSTING, IMPORT_ENTRY, IMPORT_ENTRY.c.posting_num == POSTING.c.num)
        .where(IMPORT_ENTRY.c.import_num == row.num)
        .order_by(POSTING.c.num.desc())
    ).all()
    books = ledger.books(connection, caller_id, 2 * len(entries))
    account = books.account(row.account_id)
    books.check_open(account)
    beside = settling.Beside(connection, entries)
    taken_back = [entry.num for entry in entries if _take_back(books, account, entry, beside)]
    books.close()
    for start in range(0, len(taken_back), _CHUNK):
        chunk = taken_back[start : start + _CHUNK]
        connection.execute(delete(EXTERNAL_ID).where(EXTERNAL_ID.c.posting_num.in_(chunk)))
    values = {"reversed": len(taken_back), "kept": len(entries) - len(taken_back), "undone_at": books.now_ms}
    connection.execute(update(IMPORT).where(IMPORT.c.num == row.num).values(**values, version=row.version + 1))
    return _view(_one(connection, caller_id, import_id))


def listed(
    connection: Connection, user_id: str, before_num: int | None, limit: int
) -> tuple[list[ImportView], int | None]:
    """Imports into the user's accounts, the latest first, and the number to go on from."""
    statement = _LIST.order_by(IMPORT.c.num.desc()).limit(limit + 1)
    if before_num is not None:
        statement = statement.where(IMPORT.c.num < before_num)
    rows = connection.execute(statement, {"of_user": user_id}).all()
    return [_view(row) for row in rows[:limit]], rows[limit - 1].num if len(rows) > limit else None


def one(connection: Connection, user_id: str, import_id: str) -> ImportView:
    """An import into one of the user's accounts. Raises a problem for any other."""
    return _view(_one(connection, user_id, import_id))


def _of_account(line: Line, account_id: str) -> Line:
    if isinstance(line, Problem) or line.account_id == account_id:
        return line
    if line.account_id:
        return unprocessable("/account_id", "the line is of another account than the import")
    return msgspec.structs.replace(line, account_id=account_id)


def _refuse_broken(answers: Sequence[Recorded | Problem]) -> None:
    """Raise a problem that names the broken lines, from 0: the file as a whole is not what it should be."""
    broken = [(i, a) for i, a in enumerate(answers) if isinstance(a, Problem) and a.slug != _TAKEN]
    if not broken:
        return
    errors = [
        FieldProblem(f"/{i}{problem.errors[0].pointer if problem.errors else ''}", problem.detail)
        for i, problem in broken[:PROBLEMS_MAX]
    ]
    first, problem = broken[0]
    raise Problem(
        422,
        "broken-lines",
        f"{len(broken)} of {len(answers)} lines cannot be imported, so none was; "
        f"the first is number {first + 1}: {problem.detail}",
        errors=errors,
    )


def _take_back(books: Books, account: LedgerAccount, entry: Row[Any], beside: settling.Beside) -> bool:
    if entry.reversed_by_id is not None:
        return False
    if entry.status == EntryStatus.PENDING.value:
        settling.void_row(books, account, entry, beside)
    else:
        settling.take_back(books, account, entry, beside, origin=Origin.IMPORT)
    return True


def _open(connection: Connection, account_num: int, user_id: str, import_id: str, now_ms: int) -> int:
    row = connection.execute(_OPEN, {"import": import_id}).one_or_none()
    if row is not None:
        if row.account_num != account_num:
            raise conflict("import-id-taken", "the id is that of another import")
        if row.undone_at is not None:
            raise conflict("import-undone", "the import was undone: import the file anew, under another id")
        return int(row.num)
    counts = dict.fromkeys(("booked", "duplicates", "differing", "reversed", "kept"), 0)
    about = {"import_id": import_id, "account_num": account_num, "user_id": user_id, "created_at": now_ms}
    return int(connection.execute(_ADD, {**about, **counts, "version": 1}).scalar_one())


def _one(connection: Connection, user_id: str, import_id: str) -> Row[Any]:
    statement = _LIST.where(IMPORT.c.import_id == bindparam("import"))
    row = connection.execute(statement, {"of_user": user_id, "import": import_id}).one_or_none()
    if row is None:
        raise not_found("import")
    return row


def _view(row: Row[Any]) -> ImportView:
    return ImportView(
        id=row.import_id,
        account_id=row.account_id,
        created_at=to_datetime(row.created_at),
        undone_at=None if row.undone_at is None else to_datetime(row.undone_at),
        booked=row.booked,
        duplicates=row.duplicates,
        differing=row.differing,
        reversed=row.reversed,
        kept=row.kept,
        version=row.version,
    )
