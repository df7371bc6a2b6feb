"""What is shown on a terminal while the bank runs. Columns have fixed widths, so that nothing jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from streambank.bank.events import Balance, EntryStatus
from streambank.cli.activity import Activity, FeedItem, ShownBalance
from streambank.cli.formats import amount, milliseconds, money, signed
from streambank.cli.output import printable
from streambank.cli.people import People

FRESH_S = 1.0
"""How long a change is highlighted."""


ROOMY = 96
"""From this width on there is room for sums of millions."""

GAP = 2
"""Blanks between columns."""

_BALANCE_RIGHT = frozenset({3, 4})
_FEED_RIGHT = frozenset({3, 5})
"""The columns that are aligned to the right, by number from 0."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is in a column."""

    text: str
    style: str = ""


def line(cells: Sequence[Cell], widths: Sequence[int], right: frozenset[int] = frozenset()) -> Text:
    """The cells side by side, each cut or padded to its width on the terminal."""
    result = Text(no_wrap=True, overflow="crop", end="")
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if number:
            result.append(" " * GAP)
        piece = Text(printable(cell.text), style=cell.style)
        piece.truncate(width, overflow="ellipsis")
        piece.align("right" if number in right else "left", width)
        result.append_text(piece)
    return result


class Slots:
    """Which accounts have a row: each stays in its place until it has been still for longest and another changed."""

    def __init__(self) -> None:
        self._slots: list[str] = []

    def choose(self, balances: Sequence[ShownBalance], count: int) -> list[ShownBalance]:
        """The balances to show in ``count`` rows."""
        known = {shown.balance.scope_id: shown for shown in balances}
        self._slots = [scope_id for scope_id in self._slots if scope_id in known][:count]
        taken = set(self._slots)
        for shown in sorted(balances, key=lambda shown: shown.changed_s):
            scope_id = shown.balance.scope_id
            if scope_id in taken:
                continue
            if len(self._slots) < count:
                self._slots.append(scope_id)
            else:
                stillest = min(range(count), key=lambda at: known[self._slots[at]].changed_s, default=None)
                if stillest is None or known[self._slots[stillest]].changed_s >= shown.changed_s:
                    continue
                taken.discard(self._slots[stillest])
                self._slots[stillest] = scope_id
            taken.add(scope_id)
        return [known[scope_id] for scope_id in self._slots]


class Screen:
    """The whole picture; rendered by rich at the terminal's present size.

    ``balances`` False leaves the balances out, for a status of ``rows`` lines below other output.
    """

    def __init__(self, activity: Activity, *, title: str, balances: bool = True, feed_rows: int | None = None) -> None:
        self.notice = ""
        self.footer: Sequence[str] = ()
        self.lag: Sequence[tuple[str, int]] = ()
        self._activity = activity
        self._title = title
        self._balances = balances
        self._feed_rows = feed_rows
        self._slots = Slots()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines."""
        width = options.max_width
        height = options.height or console.height
        lines = [*self._head(width), Text("")]
        foot = [Text(""), *(self._plain(text, width, "dim") for text in self.footer)]
        left = height - len(lines) - len(foot) - 1
        if self._balances:
            rows = max(1, (left - 2) * 11 // 20)
            lines += [*self._balance_lines(rows, width), Text("")]
            left -= rows + 2
        feed_rows = max(1, left - 1) if self._feed_rows is None else self._feed_rows
        lines += self._feed_lines(feed_rows, width)
        for text in lines:
            text.truncate(width)
        yield Text("\n").join([*lines, *foot])

    def _head(self, width: int) -> list[Text]:
        totals = self._activity.totals()
        first = Text(self._title, style="bold cyan")
        first.append(f"  {totals.events:,} events", style="default")
        first.append(f"  {totals.events_per_s:,.1f}/s", style="default")
        first.append(f"  {totals.alerts:,} alerts  {totals.emails:,} e-mails", style="default")
        second = Text("from record to e-mail: ", style="default")
        second.append(f"median {milliseconds(totals.p50_ms)}", style="bold green" if totals.emails else "dim")
        second.append(f"  p99 {milliseconds(totals.p99_ms)}", style="green" if totals.emails else "dim")
        if self.lag:
            behind = ", ".join(f"{group} {lag:,}" for group, lag in self.lag if lag) or "none"
            second.append(f"   lag: {behind}", style="default")
        lines = [first, second]
        if self.notice:
            lines.append(Text(printable(self.notice), style="yellow"))
        for text in lines:
            text.truncate(width, overflow="ellipsis")
        return lines

    def _balance_lines(self, rows: int, width: int) -> list[Text]:
        widths = _balance_widths(width)
        titles = ("", "PERSON", "ACCOUNT", "BALANCE", "CHANGE", "LAST ENTRY")
        shown = self._slots.choose(self._activity.balances(), rows)
        now_s = self._activity.now_s()
        lines = [line([Cell(title, "bold") for title in titles], widths, _BALANCE_RIGHT)]
        lines += [line(self._balance_cells(item, now_s), widths, _BALANCE_RIGHT) for item in shown]
        return lines + [Text("")] * (rows - len(shown))

    def _balance_cells(self, item: ShownBalance, now_s: float) -> Sequence[Cell]:
        balance, people = item.balance, self._activity.people
        change = balance.after_minor - balance.before_minor
        fresh = now_s - item.changed_s < FRESH_S
        colour = "green" if change >= 0 else "red"
        style = f"bold {colour}" if fresh else ("red" if balance.after_minor < 0 else "default")
        return (
            Cell(("▲" if change >= 0 else "▼") if fresh and change else "", colour),
            Cell(people.name(balance.user_id)),
            Cell(people.account_name(balance.scope_id)),
            Cell(money(balance.after_minor, balance.currency), style),
            Cell(signed(change, balance.currency) if change else "", colour if fresh else "dim"),
            Cell(_entry(balance, people), "dim"),
        )

    def _feed_lines(self, rows: int, width: int) -> list[Text]:
        widths = _feed_widths(width)
        titles = ("ALERT", "PERSON", "ACCOUNT", "BALANCE", "IS", "E-MAIL")
        items = self._activity.feed(rows)
        lines = [line([Cell(title, "bold") for title in titles], widths, _FEED_RIGHT)]
        lines += [line(self._feed_cells(item), widths, _FEED_RIGHT) for item in items]
        return lines + [Text("")] * (rows - len(items))

    def _feed_cells(self, item: FeedItem) -> Sequence[Cell]:
        alert, people = item.alert, self._activity.people
        sent = item.latency_ms is not None
        return (
            Cell(f"{alert.recorded_at.astimezone():%H:%M:%S}", "dim"),
            Cell(people.name(alert.user_id)),
            Cell(people.scope(alert)),
            Cell(money(alert.after_minor, alert.currency), "bold yellow"),
            Cell(f"{alert.threshold.direction.value} {amount(alert.threshold.level_minor, alert.currency)}"),
            Cell(milliseconds(item.latency_ms) if sent else "...", "bold green" if sent else "dim"),
        )

    def _plain(self, text: str, width: int, style: str) -> Text:
        result = Text(printable(text), style=style, no_wrap=True)
        result.truncate(width, overflow="ellipsis")
        return result


def _entry(balance: Balance, people: People) -> str:
    """What the last entry was; one that is pending has changed what is available, not the balance."""
    text = people.counterparty(balance) or balance.entry.kind or ""
    return text if balance.entry.status is EntryStatus.BOOKED else f"{text} (pending)".lstrip()


def _balance_widths(width: int) -> Sequence[int]:
    """Mark, person, account, balance, change, and the last entry with what is left."""
    name = 15 + _more(width)
    fixed = (1, name, name, 18 if width >= ROOMY else 15, 11)
    return (*fixed, max(0, width - sum(fixed) - GAP * len(fixed)))


def _feed_widths(width: int) -> Sequence[int]:
    """Time, person, account, balance, threshold with what is left, and the e-mail."""
    more = _more(width)
    before = (8, 13 + more, 12 + more, 17 if width >= ROOMY else 14)
    return (*before, max(0, width - sum(before) - 7 - GAP * (len(before) + 1)), 7)


def _more(width: int) -> int:
    """What each of two names gets of the width beyond 80 columns."""
    return max(0, width - 80) // 5
