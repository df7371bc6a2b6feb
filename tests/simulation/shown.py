"""What people see at the end, held against the model: their goals, their net worth and their cash flow."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.simulation.bank import Bank
from tests.simulation.goals import Fact, Progress, day_of, left, period_of
from tests.simulation.model import Books
from tests.simulation.processes import Personalization, Views
from tests.simulation.verdict import require

from streambank.bank.personalization.goals import BUDGETS, SAVINGS
from streambank.bank.views.schemas import Every
from streambank.clock import to_datetime
from streambank.service.http.caller import Caller


class Shown:
    """Looks once all is quiet; ``now_ms`` is the time then."""

    def __init__(self, bank: Bank, books: Books, now_ms: int) -> None:
        self._bank = bank
        self._books = books
        self._now = to_datetime(now_ms)

    def goals(self, progress: Mapping[str, Progress]) -> None:
        """Goals are shown where they are today: ``progress`` is what was told of them last."""
        for goal_id, told in progress.items():
            seen = self._goal(goal_id)
            amount, carried = told.amount, told.carried
            goal = self._books.plans.goals[goal_id]
            if told.start is not None:
                first, _ = period_of(goal, day_of(self._now, self._books.zones[goal.user]))
                if first > told.start:
                    amount, carried = 0, carried + left(goal, told, first)
            right = (seen["amount_minor"], seen.get("carried_minor", 0)) == (amount, carried)
            require(right, f"{goal} is at {told}, and shown as {seen}")

    def _goal(self, goal_id: str) -> Any:
        goal = self._books.plans.goals[goal_id]
        caller, kind = _caller(goal.user), SAVINGS if goal.accounts else BUDGETS
        return self._read(Personalization, lambda s, c: s.get_goal(c, caller, kind, goal_id))["progress"]

    def figures(self, facts: Mapping[str, Sequence[Fact]]) -> None:
        """Each who is still there sees what they have, and what came and went in each month; facts are by user."""
        for user in sorted({account.user for account in self._books.accounts.values()} - self._books.erased):
            self._worth(user)
            self._flow(user, facts.get(user, ()))

    def _worth(self, user: str) -> None:
        caller = _caller(user)
        seen = self._read(Views, lambda s, c: s.net_worth(c, caller, None, None, None, Every.DAY))
        found = {series["currency"]: series["points"][-1]["amount_minor"] for series in seen["currencies"]}
        moved = {a.currency for a in self._books.of(user) if a.entries}
        expected = {currency: self._books.total(user, currency) for currency in moved}
        require(found == expected, f"{user} has {expected}, and sees {found}")
        seen = self._read(Views, lambda s, c: s.balances(c, caller, None))
        balances = {account["account_id"]: account["balance_minor"] for account in seen["accounts"]}
        booked = {account.account_id: account.booked for account in self._books.of(user)}
        require(balances == booked, f"the accounts of {user} hold {booked}, and are shown as {balances}")

    def _flow(self, user: str, facts: Sequence[Fact]) -> None:
        zone, expected = self._books.zones[user], defaultdict[tuple[str, str], tuple[int, int]](lambda: (0, 0))
        for fact in facts:
            if fact.came_in or fact.went_out:
                month = f"{fact.day(zone):%Y-%m}", fact.currency
                came, went = expected[month]
                expected[month] = came + fact.came_in, went + fact.went_out
        caller = _caller(user)
        seen = self._read(Views, lambda s, c: s.cash_flow(c, caller, None, None, None))
        found = {
            (month["month"], flow["currency"]): (flow["in_minor"], flow["out_minor"])
            for month in seen["months"]
            for flow in month["currencies"]
        }
        require(found == expected, f"to {user} came, and from them went {dict(expected)}; they see {found}")

    def _read(self, kind: Any, work: Any) -> Any:
        answer = self._bank.read(kind, work)
        require(answer.problem is None, f"nothing is shown: {answer.problem}")
        return answer.body


def _caller(user: str) -> Caller:
    return Caller(user, frozenset(), "session:s", "t", 0)
