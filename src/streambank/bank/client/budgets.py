"""Budgets: how much may be spent in each week, month or year."""

from streambank.bank.client.part import Part, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.personalization.schemas import BudgetBody, BudgetList, BudgetView


class Budgets(Part):
    """Your budgets, and how they stand."""

    service = "personalization"

    def list(self) -> "list[Versioned[BudgetView]]":
        """All of them, in the order in which they were made."""
        return versioned(self._get(BudgetList, "/v1/budgets").items)

    def add(self, body: BudgetBody, *, key: str | None = None) -> Versioned[BudgetView]:
        """Add a budget. A category stands for itself only: name those under it too."""
        return self._post_versioned(BudgetView, "/v1/budgets", body, key)

    def get(self, budget_id: str) -> Versioned[BudgetView]:
        """One budget."""
        return self._get_versioned(BudgetView, path_of("budgets", budget_id))

    def replace(self, budget: Versioned[BudgetView], body: BudgetBody) -> Versioned[BudgetView]:
        """Change a budget."""
        return self._change(BudgetView, "PUT", path_of("budgets", budget.value.id), budget, body)

    def remove(self, budget: Versioned[BudgetView]) -> None:
        """Give a budget up."""
        self._send("DELETE", path_of("budgets", budget.value.id), version=budget.version)
