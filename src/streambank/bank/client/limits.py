"""Payment limits: how much you let go out in transfers of a currency."""

from streambank.bank.client.part import Part, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.personalization.schemas import PaymentLimitBody, PaymentLimitList, PaymentLimitView


class Limits(Part):
    """Your payment limits."""

    service = "personalization"

    def list(self) -> "list[Versioned[PaymentLimitView]]":
        """The currencies that have any."""
        return versioned(self._get(PaymentLimitList, "/v1/payment-limits").items)

    def get(self, currency: str) -> Versioned[PaymentLimitView]:
        """The limits of a currency: none where none were set, which have a version too."""
        return self._get_versioned(PaymentLimitView, path_of("payment-limits", currency))

    def set(self, limit: Versioned[PaymentLimitView], body: PaymentLimitBody) -> Versioned[PaymentLimitView]:
        """Set the limits of a currency, in place of those there are."""
        return self._change(PaymentLimitView, "PUT", path_of("payment-limits", limit.value.currency), limit, body)

    def remove(self, limit: Versioned[PaymentLimitView]) -> None:
        """Let anything go out in a currency."""
        self._send("DELETE", path_of("payment-limits", limit.value.currency), version=limit.version)
