"""Goals: what is to be saved, and what may be spent once."""

from streambank.bank.client.part import Part, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.personalization.schemas import (
    SavingsGoalBody,
    SavingsGoalList,
    SavingsGoalView,
    SpendingGoalBody,
    SpendingGoalList,
    SpendingGoalView,
)


class Goals(Part):
    """Your goals, of both kinds, and how far they are."""

    service = "personalization"

    def list_savings(self) -> list[Versioned[SavingsGoalView]]:
        """All savings goals, in the order in which they were made."""
        return versioned(self._get(SavingsGoalList, "/v1/savings-goals").items)

    def add_savings(self, body: SavingsGoalBody, *, key: str | None = None) -> Versioned[SavingsGoalView]:
        """Add a savings goal, on accounts that you opened."""
        return self._post_versioned(SavingsGoalView, "/v1/savings-goals", body, key)

    def get_savings(self, goal_id: str) -> Versioned[SavingsGoalView]:
        """One savings goal."""
        return self._get_versioned(SavingsGoalView, path_of("savings-goals", goal_id))

    def replace_savings(self, goal: Versioned[SavingsGoalView], body: SavingsGoalBody) -> Versioned[SavingsGoalView]:
        """Change a savings goal."""
        return self._change(SavingsGoalView, "PUT", path_of("savings-goals", goal.value.id), goal, body)

    def remove_savings(self, goal: Versioned[SavingsGoalView]) -> None:
        """Give a savings goal up."""
        self._send("DELETE", path_of("savings-goals", goal.value.id), version=goal.version)

    def list_spending(self) -> list[Versioned[SpendingGoalView]]:
        """All spending goals, in the order in which they were made."""
        return versioned(self._get(SpendingGoalList, "/v1/spending-goals").items)

    def add_spending(self, body: SpendingGoalBody, *, key: str | None = None) -> Versioned[SpendingGoalView]:
        """Add a spending goal."""
        return self._post_versioned(SpendingGoalView, "/v1/spending-goals", body, key)

    def get_spending(self, goal_id: str) -> Versioned[SpendingGoalView]:
        """One spending goal."""
        return self._get_versioned(SpendingGoalView, path_of("spending-goals", goal_id))

    def replace_spending(
        self, goal: Versioned[SpendingGoalView], body: SpendingGoalBody
    ) -> Versioned[SpendingGoalView]:
        """Change a spending goal."""
        return self._change(SpendingGoalView, "PUT", path_of("spending-goals", goal.value.id), goal, body)

    def remove_spending(self, goal: Versioned[SpendingGoalView]) -> None:
        """Give a spending goal up."""
        self._send("DELETE", path_of("spending-goals", goal.value.id), version=goal.version)
