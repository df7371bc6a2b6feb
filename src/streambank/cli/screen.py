"""What is shown on a terminal while the bank runs. Columns have fixed widths, so that nothing jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from streambank.cli.activity import Activity, FeedItem, ShownBalance
from streambank.cli.formats import amount, milliseconds, money, signed
from streambank.cli.output import printable

FRESH_S = 1.0
"""How long a change is highlighted."""

WIDTH_MIN = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line: cut or padded to its width."""

    text: str
    width: int
    style: str = ""
    align: Literal["left", "right"] = "left"


def line(cells: Sequence[Cell], width: int) -> Text:
    """The cells side by side, two blanks apart, cut to the terminal's width."""
    result = Text(no_wrap=True, overflow="crop", end="")
    for number, cell in enumerate(cells):
        if number:
            result.append("  ")
        piece = Text(printable(cell.text), style=cell.style)
        piece.truncate(cell.width, overflow="ellipsis")
        piece.align(cell.align, cell.width)
        result.append_text(piece)
    result.truncate(width)
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
        width = max(options.max_width, WIDTH_MIN)
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
        person, account = _shares(width, 80, (15, 15))
        rest = max(0, width - person - account - 2 * 5 - 15 - 11 - 1)
        shown = self._slots.choose(self._activity.balances(), rows)
        head = [
            Cell("", 1),
            Cell("PERSON", person, "bold"),
            Cell("ACCOUNT", account, "bold"),
            Cell("BALANCE", 15, "bold", "right"),
            Cell("CHANGE", 11, "bold", "right"),
            Cell("LAST ENTRY", rest, "bold"),
        ]
        lines = [line(head, width)]
        now_s = self._activity.now_s()
        for item in shown:
            lines.append(line(self._balance_cells(item, person, account, rest, now_s), width))
        return lines + [Text("")] * (rows - len(shown))

    def _balance_cells(self, item: ShownBalance, person: int, account: int, rest: int, now_s: float) -> Sequence[Cell]:
        balance, people = item.balance, self._activity.people
        change = balance.after_minor - balance.before_minor
        fresh = now_s - item.changed_s < FRESH_S
        colour = "green" if change >= 0 else "red"
        style = f"bold {colour}" if fresh else ("red" if balance.after_minor < 0 else "default")
        return (
            Cell(("▲" if change >= 0 else "▼") if fresh else "", 1, colour),
            Cell(people.name(balance.user_id), person),
            Cell(people.account_name(balance.scope_id), account),
            Cell(money(balance.after_minor, balance.currency), 15, style, "right"),
            Cell(signed(change, balance.currency), 11, colour if fresh else "dim", "right"),
            Cell(balance.entry.counterparty or balance.entry.kind or "", rest, "dim"),
        )

    def _feed_lines(self, rows: int, width: int) -> list[Text]:
        person, about = _shares(width, 80, (13, 12))
        level = max(0, width - 8 - person - about - 14 - 7 - 2 * 5)
        head = [
            Cell("ALERT", 8, "bold"),
            Cell("PERSON", person, "bold"),
            Cell("ACCOUNT", about, "bold"),
            Cell("BALANCE", 14, "bold", "right"),
            Cell("IS", level, "bold"),
            Cell("E-MAIL", 7, "bold", "right"),
        ]
        lines = [line(head, width)]
        items = self._activity.feed(rows)
        lines += [line(self._feed_cells(item, person, about, level), width) for item in items]
        return lines + [Text("")] * (rows - len(items))

    def _feed_cells(self, item: FeedItem, person: int, about: int, level: int) -> Sequence[Cell]:
        alert, people = item.alert, self._activity.people
        sent = item.latency_ms is not None
        return (
            Cell(f"{alert.recorded_at.astimezone():%H:%M:%S}", 8, "dim"),
            Cell(people.name(alert.user_id), person),
            Cell(people.scope(alert), about),
            Cell(money(alert.after_minor, alert.currency), 14, "bold yellow", "right"),
            Cell(f"{alert.threshold.direction.value} {amount(alert.threshold.level_minor, alert.currency)}", level),
            Cell(milliseconds(item.latency_ms) if sent else "...", 7, "bold green" if sent else "dim", "right"),
        )

    def _plain(self, text: str, width: int, style: str) -> Text:
        result = Text(printable(text), style=style, no_wrap=True)
        result.truncate(width, overflow="ellipsis")
        return result


def _shares(width: int, narrow: int, least: tuple[int, int]) -> tuple[int, int]:
    """Two columns' widths: ``least`` at a ``narrow`` terminal, and half of what a wider one has more."""
    more = max(0, width - narrow) // 4
    return least[0] + more, least[1] + more
