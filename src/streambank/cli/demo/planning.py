"""The plans of a person of the demo: thresholds, budgets, savings goals and payment limits, set through the API."""

from __future__ import annotations

from datetime import date, timedelta

from streambank.bank.client import ApiError
from streambank.bank.demo import Purpose, Watch, budgets, savings, watches
from streambank.bank.personalization.schemas import (
    COUNT_MAX,
    BudgetBody,
    PaymentLimitBody,
    SavingsGoalBody,
    ThresholdBody,
)
from streambank.cli.demo.customer import Customer


def make_plans(customer: Customer, seed: int, today: date) -> None:
    """Make those that are not there yet. ``today`` is what a savings goal's time is counted from."""
    one, client, currency = customer.person, customer.client, customer.person.country.currency.value
    # Fresh: the service has heard of the accounts then.
    client.fresh.thresholds.list()
    for watch in watches(one, seed):
        _watch(customer, watch)
    known = {budget.value.name for budget in client.budgets.list()}
    for budget in budgets(one, seed):
        ids = [customer.categories[name] for name in budget.categories if name in customer.categories]
        if ids and budget.name not in known:
            body = BudgetBody(name=budget.name, currency=currency, target_minor=budget.target_minor, category_ids=ids)
            client.budgets.add(body)
    known = {goal.value.name for goal in client.goals.list_savings()}
    for goal in savings(one, seed):
        if goal.name not in known:
            client.goals.add_savings(
                SavingsGoalBody(
                    name=goal.name,
                    currency=currency,
                    target_minor=goal.target_minor,
                    account_ids=[customer.accounts[Purpose.SAVINGS]],
                    target_date=today + timedelta(days=goal.within_days),
                )
            )
    # A day's limits are high, and payees are known at once, since the demo's people live a day in a second.
    most_minor = one.salary_minor // 2
    limits = PaymentLimitBody(
        per_transfer_minor=most_minor,
        per_day_minor=most_minor * COUNT_MAX,
        per_day_count=COUNT_MAX,
        new_payee_minor=most_minor,
        new_payee_hours=0,
    )
    client.limits.set(client.limits.get(currency), limits)


def _watch(customer: Customer, watch: Watch) -> None:
    body = ThresholdBody(
        account_id=customer.accounts[watch.account] if watch.account is not None else None,
        currency=customer.person.country.currency.value,
        direction=watch.direction,
        level_minor=watch.level_minor,
        rearm_margin_minor=watch.margin_minor,
    )
    try:
        customer.client.thresholds.add(body)
    except ApiError as error:
        if error.slug != "threshold-exists":
            raise
