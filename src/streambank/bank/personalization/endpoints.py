"""The personalization service over HTTP."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from streambank.bank.personalization.goals import BUDGETS, SAVINGS, SPENDING
from streambank.bank.personalization.schemas import (
    CURRENCY_PATTERN,
    ID_PATTERN,
    BudgetBody,
    BudgetList,
    BudgetView,
    PaymentLimitBody,
    PaymentLimitList,
    PaymentLimitView,
    SavingsGoalBody,
    SavingsGoalList,
    SavingsGoalView,
    SpendingGoalBody,
    SpendingGoalList,
    SpendingGoalView,
    ThresholdBody,
    ThresholdList,
    ThresholdView,
    WhatIf,
    WhatIfAnswer,
)
from streambank.bank.personalization.service import PersonalizationService
from streambank.bank.personalization.what_if import Question
from streambank.service.http.answers import Answer, no_content, ok
from streambank.service.http.endpoint import Read, ServiceHttp, Write
from streambank.service.http.paths import register_ids
from streambank.service.http.routers import api_router, joined

READ, WRITE = "personalization:read", "personalization:write"

Id: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN)]
CurrencyPath: TypeAlias = Annotated[str, Path(pattern=CURRENCY_PATTERN)]


def router(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    register_ids()
    return joined([part(service, http) for part in (_thresholds, _budgets, _savings_goals, _spending_goals, _limits)])


def _thresholds(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    api = api_router("thresholds")
    reads, writes, changes = Depends(http.read(READ)), _creates(http), _changes(http)

    @api.get("/thresholds", response_model=ThresholdList)
    async def list_thresholds(read: Annotated[Read, reads]) -> Response:
        """What you are alerted of."""
        return await read(lambda c: service.list_thresholds(c, read.caller))

    @api.post("/thresholds", status_code=201, response_model=ThresholdView)
    async def create_threshold(body: ThresholdBody, write: Annotated[Write, writes]) -> Response:
        """Be alerted when a balance crosses a level; never for what was so before.

        On an account that you opened, or on the total of your accounts in a currency.
        """
        return await write(lambda c: service.create_threshold(c, write.caller, body))

    @api.post("/thresholds:what-if", response_model=WhatIfAnswer)
    async def try_threshold(body: WhatIf, read: Annotated[Read, Depends(http.read(READ, in_order=True))]) -> Response:
        """When a threshold would have fired in the past. Imported history counts too, though it raises no live alerts.

        Nothing is changed.
        """
        questions: list[Question] = []

        def ask(connection: Connection) -> Answer:
            questions.append(service.question(connection, read.caller, body))
            return no_content()

        await read(ask)
        answer = await run_in_threadpool(service.what_if, questions[-1])
        return await read(lambda _connection: ok(answer))

    @api.get("/thresholds/{threshold_id:id}", response_model=ThresholdView)
    async def get_threshold(threshold_id: Id, read: Annotated[Read, reads]) -> Response:
        """One threshold."""
        return await read(lambda c: service.get_threshold(c, read.caller, threshold_id))

    @api.put("/thresholds/{threshold_id:id}", response_model=ThresholdView)
    async def replace_threshold(threshold_id: Id, body: ThresholdBody, write: Annotated[Write, changes]) -> Response:
        """Change a threshold. It starts anew then, from the side that the balance is on."""
        return await write(
            lambda c: service.replace_threshold(c, write.caller, threshold_id, body, write.expected_version)
        )

    @api.delete("/thresholds/{threshold_id:id}", status_code=204)
    async def remove_threshold(threshold_id: Id, write: Annotated[Write, changes]) -> Response:
        """Be alerted of it no more."""
        return await write(lambda c: service.remove_threshold(c, write.caller, threshold_id, write.expected_version))

    return api


def _budgets(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    api = api_router("budgets")
    reads, writes, changes = Depends(http.read(READ)), _creates(http), _changes(http)

    @api.get("/budgets", response_model=BudgetList)
    async def list_budgets(read: Annotated[Read, reads]) -> Response:
        """Your budgets, and how they stand."""
        return await read(lambda c: service.list_goals(c, read.caller, BUDGETS))

    @api.post("/budgets", status_code=201, response_model=BudgetView)
    async def create_budget(body: BudgetBody, write: Annotated[Write, writes]) -> Response:
        """Plan how much may be spent in each week, month or year."""
        return await write(lambda c: service.create_goal(c, write.caller, BUDGETS, body))

    @api.get("/budgets/{budget_id:id}", response_model=BudgetView)
    async def get_budget(budget_id: Id, read: Annotated[Read, reads]) -> Response:
        """One budget."""
        return await read(lambda c: service.get_goal(c, read.caller, BUDGETS, budget_id))

    @api.put("/budgets/{budget_id:id}", response_model=BudgetView)
    async def replace_budget(budget_id: Id, body: BudgetBody, write: Annotated[Write, changes]) -> Response:
        """Change a budget. Without `starts_on` it goes on from where it began."""
        return await write(
            lambda c: service.replace_goal(c, write.caller, BUDGETS, budget_id, body, write.expected_version)
        )

    @api.delete("/budgets/{budget_id:id}", status_code=204)
    async def remove_budget(budget_id: Id, write: Annotated[Write, changes]) -> Response:
        """Give a budget up."""
        return await write(lambda c: service.remove_goal(c, write.caller, BUDGETS, budget_id, write.expected_version))

    return api


def _savings_goals(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    api = api_router("goals")
    reads, writes, changes = Depends(http.read(READ)), _creates(http), _changes(http)

    @api.get("/savings-goals", response_model=SavingsGoalList)
    async def list_savings_goals(read: Annotated[Read, reads]) -> Response:
        """Your savings goals, and how far they are."""
        return await read(lambda c: service.list_goals(c, read.caller, SAVINGS))

    @api.post("/savings-goals", status_code=201, response_model=SavingsGoalView)
    async def create_savings_goal(body: SavingsGoalBody, write: Annotated[Write, writes]) -> Response:
        """Plan how much is to be on accounts that you opened, and by when if it matters."""
        return await write(lambda c: service.create_goal(c, write.caller, SAVINGS, body))

    @api.get("/savings-goals/{savings_goal_id:id}", response_model=SavingsGoalView)
    async def get_savings_goal(savings_goal_id: Id, read: Annotated[Read, reads]) -> Response:
        """One savings goal."""
        return await read(lambda c: service.get_goal(c, read.caller, SAVINGS, savings_goal_id))

    @api.put("/savings-goals/{savings_goal_id:id}", response_model=SavingsGoalView)
    async def replace_savings_goal(
        savings_goal_id: Id, body: SavingsGoalBody, write: Annotated[Write, changes]
    ) -> Response:
        """Change a savings goal. Without `starts_on` it goes on from where it began."""
        return await write(
            lambda c: service.replace_goal(c, write.caller, SAVINGS, savings_goal_id, body, write.expected_version)
        )

    @api.delete("/savings-goals/{savings_goal_id:id}", status_code=204)
    async def remove_savings_goal(savings_goal_id: Id, write: Annotated[Write, changes]) -> Response:
        """Give a savings goal up."""
        return await write(
            lambda c: service.remove_goal(c, write.caller, SAVINGS, savings_goal_id, write.expected_version)
        )

    return api


def _spending_goals(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    api = api_router("goals")
    reads, writes, changes = Depends(http.read(READ)), _creates(http), _changes(http)

    @api.get("/spending-goals", response_model=SpendingGoalList)
    async def list_spending_goals(read: Annotated[Read, reads]) -> Response:
        """Your spending goals, and how they stand."""
        return await read(lambda c: service.list_goals(c, read.caller, SPENDING))

    @api.post("/spending-goals", status_code=201, response_model=SpendingGoalView)
    async def create_spending_goal(body: SpendingGoalBody, write: Annotated[Write, writes]) -> Response:
        """Plan how much may be spent once, until some day: on a holiday, a new kitchen."""
        return await write(lambda c: service.create_goal(c, write.caller, SPENDING, body))

    @api.get("/spending-goals/{spending_goal_id:id}", response_model=SpendingGoalView)
    async def get_spending_goal(spending_goal_id: Id, read: Annotated[Read, reads]) -> Response:
        """One spending goal."""
        return await read(lambda c: service.get_goal(c, read.caller, SPENDING, spending_goal_id))

    @api.put("/spending-goals/{spending_goal_id:id}", response_model=SpendingGoalView)
    async def replace_spending_goal(
        spending_goal_id: Id, body: SpendingGoalBody, write: Annotated[Write, changes]
    ) -> Response:
        """Change a spending goal. Without `starts_on` it goes on from where it began."""
        return await write(
            lambda c: service.replace_goal(c, write.caller, SPENDING, spending_goal_id, body, write.expected_version)
        )

    @api.delete("/spending-goals/{spending_goal_id:id}", status_code=204)
    async def remove_spending_goal(spending_goal_id: Id, write: Annotated[Write, changes]) -> Response:
        """Give a spending goal up."""
        return await write(
            lambda c: service.remove_goal(c, write.caller, SPENDING, spending_goal_id, write.expected_version)
        )

    return api


def _limits(service: PersonalizationService, http: ServiceHttp) -> APIRouter:
    api = api_router("payment limits")
    reads, changes = Depends(http.read(READ)), _changes(http)

    @api.get("/payment-limits", response_model=PaymentLimitList)
    async def list_payment_limits(read: Annotated[Read, reads]) -> Response:
        """The currencies in which you let no more than so much go out, and how much."""
        return await read(lambda c: service.list_limits(c, read.caller))

    @api.get("/payment-limits/{currency:id}", response_model=PaymentLimitView)
    async def get_payment_limit(currency: CurrencyPath, read: Annotated[Read, reads]) -> Response:
        """The limits of one currency. Without any there is an ETag too, to set the first with."""
        return await read(lambda c: service.get_limit(c, read.caller, currency))

    @api.put("/payment-limits/{currency:id}", response_model=PaymentLimitView)
    async def set_payment_limit(
        currency: CurrencyPath, body: PaymentLimitBody, write: Annotated[Write, changes]
    ) -> Response:
        """Set the limits of a currency, in place of those there are."""
        return await write(lambda c: service.put_limit(c, write.caller, currency, body, write.expected_version))

    @api.delete("/payment-limits/{currency:id}", status_code=204)
    async def remove_payment_limit(currency: CurrencyPath, write: Annotated[Write, changes]) -> Response:
        """Let anything go out."""
        return await write(lambda c: service.remove_limit(c, write.caller, currency, write.expected_version))

    return api


def _creates(http: ServiceHttp) -> Any:
    """The account that is referred to may be new, and what happens once this is answered is held against it."""
    return Depends(http.write(WRITE, in_order=True))


def _changes(http: ServiceHttp) -> Any:
    """A change of what is there, in order too: If-Match says which version, so that twice does no harm."""
    return Depends(http.write(WRITE, if_match=True, idempotent=False, in_order=True))
