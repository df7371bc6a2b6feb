"""Thresholds: what you are alerted of."""

from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, parse, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.personalization.schemas import ThresholdBody, ThresholdList, ThresholdView, WhatIf, WhatIfAnswer


class Thresholds(Part):
    """Your thresholds, on accounts that you opened and on the totals of your accounts.

    The service hears of a new account a moment after it was opened: ``client.fresh.thresholds.list()`` waits for that.
    """

    service = "personalization"

    def list(self) -> "list[Versioned[ThresholdView]]":
        """All of them, by what they are on."""
        return versioned(self._get(ThresholdList, "/v1/thresholds").items)

    def add(self, body: ThresholdBody, *, key: str | None = None) -> Versioned[ThresholdView]:
        """Be alerted when a balance crosses a level."""
        return self._post_versioned(ThresholdView, "/v1/thresholds", body, key)

    def get(self, threshold_id: str) -> Versioned[ThresholdView]:
        """One threshold."""
        return self._get_versioned(ThresholdView, path_of("thresholds", threshold_id))

    def replace(self, threshold: Versioned[ThresholdView], body: ThresholdBody) -> Versioned[ThresholdView]:
        """Change a threshold."""
        return self._change(ThresholdView, "PUT", path_of("thresholds", threshold.value.id), threshold, body)

    def remove(self, threshold: Versioned[ThresholdView]) -> None:
        """Be alerted of it no more."""
        self._send("DELETE", path_of("thresholds", threshold.value.id), version=threshold.version)

    def what_if(self, body: WhatIf) -> WhatIfAnswer:
        """When a threshold would have fired in the past. Nothing is changed."""
        content = body.model_dump_json(exclude_unset=True).encode()
        call = Call(service=self.service, method="POST", path="/v1/thresholds:what-if", body=content, harmless=True)
        return parse(WhatIfAnswer, self._connection.send(call))
