"""What users plan, and which changes of a plan leave what was counted for it as it is."""

from typing import TypeAlias

from msgspec.structs import replace

from streambank.bank.events import Budget, SavingsGoal, SpendingGoal

Plan: TypeAlias = Budget | SpendingGoal | SavingsGoal


def counts_alike(before: Plan, after: Plan) -> bool:
    """Whether both count the same from the same day on: they differ in name, target, marks, and when these are due.

    Of a spending goal with another end, what was counted stays; what lies between the two ends comes or goes.
    """
    free: dict[str, object] = {"name": "", "target_minor": 0, "marks": (), "again_after_refund": False}
    if isinstance(before, SavingsGoal) and isinstance(after, SavingsGoal):
        free["target_date"] = None
    elif isinstance(before, SpendingGoal) and isinstance(after, SpendingGoal):
        free["ends_on"] = before.ends_on
    return replace(before, **free) == replace(after, **free)
