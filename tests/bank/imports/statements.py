"""What the tests of the statement readers share."""

import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bank.imports.support import OWNER, booked, clock, csv_file, memory_log, read

from streambank.bank.imports import CsvOverrides, ImportedEntry, Importer, ImportFileError, Source, open_statement
from streambank.bank.imports.entries import Tally

SAMPLES = Path(__file__).parent / "samples"
GERMAN, SWISS = "DE89370400440532013000", "CH9300762011623852957"

Row = tuple[str, str, int, str | None, str | None]


def sample(name: str, **given: str) -> Source:
    return open_statement(SAMPLES / name, OWNER, CsvOverrides(**given))  # type: ignore[arg-type]


def opened(folder: Path, content: str | bytes, name: str = "bank.txt", **given: object) -> Source:
    return open_statement(csv_file(folder, content, name), OWNER, CsvOverrides(**given))  # type: ignore[arg-type]


def rows(source: Source) -> list[Row]:
    """Last four of the number or name, day, minor units, counterparty and text of every entry."""
    found, _ = read(source)
    return [
        (
            source.accounts[e.account_id].number_last4 or source.accounts[e.account_id].name,
            e.booking_date.isoformat(),
            e.signed_minor,
            e.counterparty or e.kind,
            e.remittance,
        )
        for e in found
    ]


def reasons(source: Source) -> list[tuple[int, str]]:
    _, tally = read(source)
    return [(reject.line, reject.reason) for reject in tally.rejects]


def imported(*sources: Source) -> tuple[list[int], list[int]]:
    """Imports the sources one after the other. How many of each were new, and the amounts that the log has then."""
    with memory_log() as log:
        counts = [Importer(log, clock).run(source).imported for source in sources]
        return counts, sorted(e.signed_minor for entries in booked(log).values() for e in entries)


def entries_or_none(content: bytes, name: str, **given: object) -> tuple[Source, list[ImportedEntry]] | None:
    """The source and its entries; None where the file is refused. Anything else that is raised is a fault."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = opened(Path(folder), content, name, **given)
            found = list(source.entries(Tally()))
        except ImportFileError:
            return None
    assert {entry.account_id for entry in found} <= set(source.accounts)
    return source, found


def mutated(content: bytes, seed: int, *, once: bool = False) -> bytes:
    """The content with a few bytes or pieces changed, removed, doubled or swapped; ``once`` with one short piece."""
    chance = random.Random(seed)
    data = bytearray(content)
    pieces: list[Callable[[int, int], None]] = [
        lambda at, _: data.__setitem__(at, chance.randrange(256)),
        lambda at, end: data.__delitem__(slice(at, end)),
        lambda at, end: data.__setitem__(slice(at, at), data[at:end]),
        lambda at, end: data.__setitem__(slice(at, end), bytes(reversed(data[at:end]))),
        lambda at, _: data.__delitem__(slice(at, None)),
    ]
    for _ in range(1 if once else chance.randint(1, 4)):
        if not data:
            break
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.choice((1, 2, 7, 40) if once else (1, 2, 7, 40, 200, 900)))
        chance.choices(pieces, (6, 6, 3, 2, 0 if once else 1))[0](at, end)
    return bytes(data)


def wrong_accounts(content: bytes, name: str, whose: Mapping[str, str], original: Source, **given: object) -> list[str]:
    """The texts of entries that are in another account of the original than theirs. ``whose`` has it by text."""
    if (found := entries_or_none(content, name, **given)) is None:
        return []
    known = {one.account_id: one.number_last4 or one.name for one in original.accounts.values()}
    texts = [(text, known.get(e.account_id)) for e in found[1] for text in (e.remittance, e.counterparty) if text]
    return [text for text, account in texts if text in whose and account not in (None, whose[text])]
