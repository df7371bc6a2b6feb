"""Payments: transfers, standing orders, requests for money, and how one is paid."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from streambank.bank.client.part import Part, pages, parse, path_of
from streambank.bank.client.versioned import Versioned
from streambank.bank.events import RequestState, TransferState
from streambank.bank.payments.schemas import (
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
from streambank.service.http.page import Page

Side: TypeAlias = Literal["incoming", "outgoing"]


class Payments(Part):
    """Payments by you and to you."""

    service = "payments"

    def pay(self, body: NewTransfer, *, key: str | None = None) -> Versioned[TransferView]:
        """Pay a person, or move money between accounts of your own. What becomes of it, :meth:`get` tells."""
        return self._post_versioned(TransferView, "/v1/transfers", body, key)

    def list(
        self, *, state: TransferState | None = None, direction: Side | None = None, page_items: int | None = None
    ) -> Iterator[Versioned[TransferView]]:
        """Transfers by you and to you, the latest first."""
        query = {"state": None if state is None else state.value, "direction": direction}
        found = pages(
            lambda cursor, limit: self._get(
                Page[TransferView], "/v1/transfers", {**query, "cursor": cursor, "limit": limit}
            ),
            page_items,
        )
        return (Versioned(item, item.version) for item in found)

    def get(self, transfer_id: str) -> Versioned[TransferView]:
        """One transfer."""
        return self._get_versioned(TransferView, path_of("transfers", transfer_id))

    def cancel(self, transfer_id: str, *, key: str | None = None) -> Versioned[TransferView]:
        """Take a transfer back that is not confirmed yet."""
        return self._post_versioned(TransferView, f"{path_of('transfers', transfer_id)}:cancel", None, key)

    def refund(
        self, transfer_id: str, body: RefundTransfer | None = None, *, key: str | None = None
    ) -> Versioned[TransferView]:
        """Give back what you were paid; the transfer that does it."""
        path = f"{path_of('transfers', transfer_id)}:refund"
        return self._post_versioned(TransferView, path, body or RefundTransfer(), key)

    def schedule(self, body: NewOrder, *, key: str | None = None) -> Versioned[OrderView]:
        """Let a transfer come by itself."""
        return self._post_versioned(OrderView, "/v1/standing-orders", body, key)

    def orders(self) -> Iterator[Versioned[OrderView]]:
        """Your standing orders, those that have ended too, the oldest first."""
        found = pages(
            lambda cursor, limit: self._get(Page[OrderView], "/v1/standing-orders", {"cursor": cursor, "limit": limit})
        )
        return (Versioned(item, item.version) for item in found)

    def order(self, order_id: str) -> Versioned[OrderView]:
        """One standing order."""
        return self._get_versioned(OrderView, path_of("standing-orders", order_id))

    def change_order(self, order: Versioned[OrderView], body: ChangeOrder) -> Versioned[OrderView]:
        """Change a standing order; what is not set in ``body`` stays, None takes away."""
        return self._change(OrderView, "PATCH", path_of("standing-orders", order.value.id), order, body)

    def end_order(self, order: Versioned[OrderView]) -> None:
        """End a standing order; what it has paid stays."""
        self._send("DELETE", path_of("standing-orders", order.value.id), version=order.version)

    def ask(self, body: NewRequest, *, key: str | None = None) -> Versioned[RequestView]:
        """Ask somebody for money."""
        return self._post_versioned(RequestView, "/v1/payment-requests", body, key)

    def requests(
        self, *, state: RequestState | None = None, direction: Side | None = None
    ) -> Iterator[Versioned[RequestView]]:
        """Requests by you and to you, the latest first."""
        query = {"state": None if state is None else state.value, "direction": direction}
        found = pages(
            lambda cursor, limit: self._get(
                Page[RequestView], "/v1/payment-requests", {**query, "cursor": cursor, "limit": limit}
            )
        )
        return (Versioned(item, item.version) for item in found)

    def request(self, request_id: str) -> Versioned[RequestView]:
        """One request."""
        return self._get_versioned(RequestView, path_of("payment-requests", request_id))

    def pay_request(self, request_id: str, body: PayRequest, *, key: str | None = None) -> Versioned[TransferView]:
        """Pay what you are asked for; the transfer that does it."""
        return self._post_versioned(TransferView, f"{path_of('payment-requests', request_id)}:pay", body, key)

    def decline_request(self, request_id: str, *, key: str | None = None) -> Versioned[RequestView]:
        """Decline to pay."""
        return self._post_versioned(RequestView, f"{path_of('payment-requests', request_id)}:decline", None, key)

    def cancel_request(self, request_id: str, *, key: str | None = None) -> Versioned[RequestView]:
        """Ask no longer."""
        return self._post_versioned(RequestView, f"{path_of('payment-requests', request_id)}:cancel", None, key)

    def alias(self) -> str | None:
        """Your alias."""
        return self._get(AliasView, "/v1/payments/alias").alias

    def set_alias(self, alias: str) -> str | None:
        """Take an alias; as it was taken down."""
        return parse(AliasView, self._send("PUT", "/v1/payments/alias", body=AliasBody(alias=alias))).alias

    def remove_alias(self) -> None:
        """Give your alias up."""
        self._send("DELETE", "/v1/payments/alias")

    def receiving_accounts(self) -> "list[ReceivingView]":
        """Where you are paid to, by currency."""
        return self._get(ReceivingList, "/v1/payments/receiving-accounts").items

    def receive_on(self, currency: str, account_id: str) -> ReceivingView:
        """Choose where you are paid to in a currency."""
        path, body = path_of("payments", "receiving-accounts", currency), ReceivingBody(account_id=account_id)
        return parse(ReceivingView, self._send("PUT", path, body=body))

    def receive_on_the_first(self, currency: str) -> None:
        """Be paid to the first checking account that you opened again."""
        self._send("DELETE", path_of("payments", "receiving-accounts", currency))
