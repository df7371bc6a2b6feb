"""Files: overlapping ones are counted, an import can be undone."""

from collections.abc import Sequence

import pytest
from tests.bank.transactions.support import Bench, caller, new_entry, signed

from streambank.bank.events import Origin
from streambank.bank.transactions.batch import Line, decode_line
from streambank.bank.transactions.entries import NewEntry
from streambank.bank.transactions.schemas import ImportView
from streambank.service.http.problems import Problem


def read_in(bench: Bench, account: str, name: str, *entries: NewEntry, user: str = "ada") -> ImportView:
    return bench.do(lambda c: bench.service.import_batch(c, caller(user), account, entries, name))


def undo(bench: Bench, name: str, user: str = "ada") -> ImportView:
    answer = bench.do(lambda c: bench.service.undo_import(c, caller(user), name, None))
    assert isinstance(answer.body, ImportView)
    return answer.body


def entries(*numbers: int, of: Sequence[str] = ()) -> list[NewEntry]:
    return [new_entry(100 + n, f"row-{n}", booking_date="2026-10-01", tags=list(of)) for n in numbers]


def counts(view: ImportView) -> tuple[int, int, int]:
    return view.booked, view.duplicates, view.differing


def test_overlapping_files(bench: Bench) -> None:
    account = bench.open()
    assert counts(read_in(bench, account, "october", *entries(1, 2, 3))) == (3, 0, 0)
    assert counts(read_in(bench, account, "autumn", *entries(2, 3, 4))) == (1, 2, 0)
    changed = new_entry(999, "row-1", booking_date="2026-10-01")
    assert counts(read_in(bench, account, "again", changed, *entries(4, 5))) == (1, 1, 1)
    assert bench.balance(account).booked_minor == 515
    bench.settle()
    assert {event.origin for event in bench.published()} == {Origin.IMPORT}
    assert len(bench.published()) == 5


def test_a_file_in_parts(bench: Bench) -> None:
    account = bench.open()
    read_in(bench, account, "large", *entries(1, 2))
    assert counts(read_in(bench, account, "large", *entries(2, 3))) == (3, 1, 0)
    assert undo(bench, "large").reversed == 3


def test_undo(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    bench.post(account, 1_000)
    held = new_entry(-40, "held", status="PDNG")
    settled = new_entry(-50, "settled", status="PDNG")
    read_in(bench, account, "october", *entries(1, 2, 3), held, settled)
    listed = {e.amount.amount_minor: e for e in _all(bench)}
    bench.reverse(listed[102].id)
    bench.book(listed[50].id)
    assert bench.balance(account).booked_minor == 1_000 + 101 + 103 - 50

    view = undo(bench, "october")
    assert (view.reversed, view.kept, view.undone_at is not None) == (3, 2, True)
    found = bench.balance(account)
    assert (found.booked_minor, found.pending_debits_minor) == (1_000 - 50, 0)
    with pytest.raises(Problem) as refused:
        undo(bench, "october")
    assert refused.value.slug == "import-undone"
    with pytest.raises(Problem) as refused:
        read_in(bench, account, "october", *entries(9))
    assert refused.value.slug == "import-undone"
    # What was taken back may come again; what was corrected stays known.
    assert counts(read_in(bench, account, "anew", *entries(1, 2, 3), held, settled)) == (3, 2, 0)
    assert bench.faults() == []
    bench.settle()
    reversing = [e for e in bench.published() if e.reverses_entry_id is not None]
    assert sorted(signed(e) for e in reversing if e.origin is Origin.IMPORT) == [-103, -101, 40, 50]


def test_all_or_nothing(bench: Bench) -> None:
    account, other = bench.open(), bench.open()
    lines: list[Line] = [
        *entries(1),
        decode_line(b'{"credit_debit":"CRDT"}'),
        new_entry(5, "x", account_id=other),
        new_entry(5, "y", currency="USD"),
        *entries(2),
    ]
    with pytest.raises(Problem) as refused:
        bench.do(lambda c: bench.service.import_lines(c, caller(), account, lines, "i"))
    assert (refused.value.status, refused.value.slug) == (422, "broken-lines")
    assert [e.pointer for e in refused.value.errors] == ["/1/amount", "/2/account_id", "/3/amount/currency"]
    assert bench.balance(account).last_seq == 0
    with pytest.raises(Problem, match="no such import"):
        bench.look(lambda c: bench.service.get_import(c, caller(), "i"))


def test_one_broken_line_in_ten_thousand(bench: Bench) -> None:
    account = bench.open()
    lines: list[Line] = list(entries(*range(9_999)))
    lines.insert(7_777, decode_line(b"?"))
    with pytest.raises(Problem) as refused:
        bench.do(lambda c: bench.service.import_lines(c, caller(), account, lines, "i"))
    assert [e.pointer for e in refused.value.errors] == ["/7777"]
    assert "number 7778" in refused.value.detail
    assert bench.balance(account).last_seq == 0


def test_who_sees_and_undoes(bench: Bench) -> None:
    account, others = bench.open(), bench.open("bob")
    for n in range(5):
        read_in(bench, account, f"i{n}", *entries(n))
    page, following = bench.look(lambda c: bench.service.list_imports(c, caller(), None, 3))
    rest, end = bench.look(lambda c: bench.service.list_imports(c, caller(), following, 3))
    assert [view.id for view in [*page, *rest]] == ["i4", "i3", "i2", "i1", "i0"]
    assert end is None
    assert bench.look(lambda c: bench.service.list_imports(c, caller("bob"), None, 3)) == ([], None)
    with pytest.raises(Problem) as refused:
        undo(bench, "i1", "bob")
    assert refused.value.status == 404
    with pytest.raises(Problem) as refused:
        read_in(bench, others, "i1", *entries(1), user="bob")
    assert refused.value.slug == "import-id-taken"
    answer = bench.look(lambda c: bench.service.get_import(c, caller(), "i1"))
    with pytest.raises(Problem) as refused:
        bench.do(lambda c: bench.service.undo_import(c, caller(), "i1", (answer.version or 0) + 1))
    assert refused.value.status == 412


def _all(bench: Bench):  # type: ignore[no-untyped-def]
    from streambank.bank.transactions.listing import Wanted

    return bench.look(lambda c: bench.service.list_transactions(c, caller(), Wanted(), None, 50))[0]
