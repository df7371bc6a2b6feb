"""The payments service over HTTP."""

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from streambank.bank.events import RequestState, TransferState
from streambank.bank.payments.schemas import (
    CURRENCY_PATTERN,
    ID_PATTERN,
    AliasBody,
    AliasView,
    ChangeOrder,
    NewOrder,
    NewRequest,
    NewTransfer,
    OrderView,
    PayRequest,
    ReceivingBody,
    ReceivingList,
    ReceivingView,
    RefundTransfer,
    RequestView,
    TransferView,
)
from streambank.bank.payments.service import PaymentsService
from streambank.service.http.cursors import CursorParameter, LimitParameter, page_answer
from streambank.service.http.endpoint import Read, ServiceHttp, Write
from streambank.service.http.page import Page
from streambank.service.http.paths import register_ids
from streambank.service.http.routers import api_router, joined

READ, WRITE = "payments:read", "payments:write"

PAGE_ITEMS = 50

Id: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN)]
CurrencyPath: TypeAlias = Annotated[str, Path(pattern=CURRENCY_PATTERN)]
DirectionParameter: TypeAlias = Annotated[
    Literal["incoming", "outgoing"] | None, Query(description="Those to you, or those by you.")
]


def router(service: PaymentsService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    register_ids()
    return joined([part(service, http) for part in (_transfers, _orders, _requests, _settings)])


def _transfers(service: PaymentsService, http: ServiceHttp) -> APIRouter:
    api = api_router("transfers")
    reads, writes = Depends(http.read(READ)), Depends(http.write(WRITE))

    @api.post("/transfers", status_code=201, response_model=TransferView)
    async def create_transfer(body: NewTransfer, write: Annotated[Write, writes]) -> Response:
        """Pay a person by their e-mail address or alias, or move money between accounts of your own.

        An address that nobody has yet is paid once its owner has signed up, up to `expires_at`; until then the money is
        held. The answer does not tell whether that is so.
        """
        return await write(lambda c: service.create_transfer(c, write.caller, body))

    @api.get("/transfers", response_model=Page[TransferView])
    async def list_transfers(
        request: Request,
        read: Annotated[Read, reads],
        state: TransferState | None = None,
        direction: DirectionParameter = None,
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Transfers by you and to you, the latest first."""
        incoming = _incoming(direction)
        return await read(
            lambda c: page_answer(*service.list_transfers(c, read.caller, state, incoming, cursor, limit), request)
        )

    @api.get("/transfers/{transfer_id:id}", response_model=TransferView)
    async def get_transfer(transfer_id: Id, read: Annotated[Read, reads]) -> Response:
        """One transfer."""
        return await read(lambda c: service.get_transfer(c, read.caller, transfer_id))

    @api.post("/transfers/{transfer_id:id}:cancel", response_model=TransferView)
    async def cancel_transfer(transfer_id: Id, write: Annotated[Write, writes]) -> Response:
        """Take a transfer back that is not confirmed yet. It is cancelled once the money is free again."""
        return await write(lambda c: service.cancel_transfer(c, write.caller, transfer_id))

    @api.post("/transfers/{transfer_id:id}:refund", status_code=201, response_model=TransferView)
    async def refund_transfer(transfer_id: Id, body: RefundTransfer, write: Annotated[Write, writes]) -> Response:
        """Give all of a transfer back that you were paid by, once; the answer is the transfer that does it."""
        return await write(lambda c: service.refund_transfer(c, write.caller, transfer_id, body))

    return api


def _orders(service: PaymentsService, http: ServiceHttp) -> APIRouter:
    api = api_router("standing-orders")
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE)), _changes(http)

    @api.post("/standing-orders", status_code=201, response_model=OrderView)
    async def create_standing_order(body: NewOrder, write: Annotated[Write, writes]) -> Response:
        """Let a transfer come by itself: once on a day, every week, or every month.

        What a limit or missing funds stop is on record as rejected, and the next time is tried again. After a downtime
        what was missed is made up for, but for what is more than a week late.
        """
        return await write(lambda c: service.create_order(c, write.caller, body))

    @api.get("/standing-orders", response_model=Page[OrderView])
    async def list_standing_orders(
        request: Request,
        read: Annotated[Read, reads],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Your standing orders, those that have ended too, the oldest first."""
        return await read(lambda c: page_answer(*service.list_orders(c, read.caller, cursor, limit), request))

    @api.get("/standing-orders/{order_id:id}", response_model=OrderView)
    async def get_standing_order(order_id: Id, read: Annotated[Read, reads]) -> Response:
        """One standing order."""
        return await read(lambda c: service.get_order(c, read.caller, order_id))

    @api.patch("/standing-orders/{order_id:id}", response_model=OrderView)
    async def change_standing_order(order_id: Id, body: ChangeOrder, write: Annotated[Write, changes]) -> Response:
        """Change the amount, the text or the end of a standing order, from its next time on."""
        return await write(lambda c: service.change_order(c, write.caller, order_id, body, write.expected_version))

    @api.delete("/standing-orders/{order_id:id}", status_code=204)
    async def end_standing_order(order_id: Id, write: Annotated[Write, changes]) -> Response:
        """End a standing order; what it has paid stays."""
        return await write(lambda c: service.end_order(c, write.caller, order_id, write.expected_version))

    return api


def _requests(service: PaymentsService, http: ServiceHttp) -> APIRouter:
    api = api_router("payment-requests")
    reads, writes = Depends(http.read(READ)), Depends(http.write(WRITE))

    @api.post("/payment-requests", status_code=201, response_model=RequestView)
    async def create_payment_request(body: NewRequest, write: Annotated[Write, writes]) -> Response:
        """Ask somebody for money, by their e-mail address or alias."""
        return await write(lambda c: service.create_request(c, write.caller, body))

    @api.get("/payment-requests", response_model=Page[RequestView])
    async def list_payment_requests(
        request: Request,
        read: Annotated[Read, reads],
        state: RequestState | None = None,
        direction: DirectionParameter = None,
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Requests by you and to you, the latest first."""
        incoming = _incoming(direction)
        return await read(
            lambda c: page_answer(*service.list_requests(c, read.caller, state, incoming, cursor, limit), request)
        )

    @api.get("/payment-requests/{request_id:id}", response_model=RequestView)
    async def get_payment_request(request_id: Id, read: Annotated[Read, reads]) -> Response:
        """One request."""
        return await read(lambda c: service.get_request(c, read.caller, request_id))

    @api.post("/payment-requests/{request_id:id}:pay", status_code=201, response_model=TransferView)
    async def pay_payment_request(request_id: Id, body: PayRequest, write: Annotated[Write, writes]) -> Response:
        """Pay what you are asked for; the answer is the transfer. If that fails, the request is open again."""
        return await write(lambda c: service.pay_request(c, write.caller, request_id, body))

    @api.post("/payment-requests/{request_id:id}:decline", response_model=RequestView)
    async def decline_payment_request(request_id: Id, write: Annotated[Write, writes]) -> Response:
        """Decline to pay."""
        return await write(lambda c: service.decline_request(c, write.caller, request_id))

    @api.post("/payment-requests/{request_id:id}:cancel", response_model=RequestView)
    async def cancel_payment_request(request_id: Id, write: Annotated[Write, writes]) -> Response:
        """Ask no longer."""
        return await write(lambda c: service.cancel_request(c, write.caller, request_id))

    return api


def _settings(service: PaymentsService, http: ServiceHttp) -> APIRouter:
    api = api_router("payments")
    reads, sets = Depends(http.read(READ)), Depends(http.write(WRITE, idempotent=False))

    @api.get("/payments/alias", response_model=AliasView)
    async def get_alias(read: Annotated[Read, reads]) -> Response:
        """Your alias."""
        return await read(lambda c: service.get_alias(c, read.caller))

    @api.put("/payments/alias", response_model=AliasView)
    async def set_alias(body: AliasBody, write: Annotated[Write, sets]) -> Response:
        """Take an alias: 3 to 30 letters and digits, with single dots, dashes or underscores between them."""
        return await write(lambda c: service.set_alias(c, write.caller, body))

    @api.delete("/payments/alias", status_code=204)
    async def remove_alias(write: Annotated[Write, sets]) -> Response:
        """Give your alias up; somebody else may take it then."""
        return await write(lambda c: service.remove_alias(c, write.caller))

    @api.get("/payments/receiving-accounts", response_model=ReceivingList)
    async def list_receiving_accounts(read: Annotated[Read, reads]) -> Response:
        """Where you are paid to, by currency."""
        return await read(lambda c: service.list_receiving(c, read.caller))

    @api.put("/payments/receiving-accounts/{currency}", response_model=ReceivingView)
    async def set_receiving_account(
        currency: CurrencyPath, body: ReceivingBody, write: Annotated[Write, sets]
    ) -> Response:
        """Choose where you are paid to in a currency."""
        return await write(lambda c: service.set_receiving(c, write.caller, currency, body))

    @api.delete("/payments/receiving-accounts/{currency}", status_code=204)
    async def reset_receiving_account(currency: CurrencyPath, write: Annotated[Write, sets]) -> Response:
        """Be paid to the first checking account that you opened again."""
        return await write(lambda c: service.reset_receiving(c, write.caller, currency))

    return api


def _incoming(direction: str | None) -> bool | None:
    return None if direction is None else direction == "incoming"


def _changes(http: ServiceHttp) -> Any:
    """A change of what is there: If-Match says which version, so that it does no harm when it is sent twice."""
    return Depends(http.write(WRITE, if_match=True, idempotent=False))
