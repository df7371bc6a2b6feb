"""Rules: how entries are categorised by themselves."""

from collections.abc import Iterator

from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, parse, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.transactions.schemas import ApplyRule, RuleApplied, RuleBody, RuleList, RulePreview, RuleView


class Rules(Part):
    """Your rules."""

    service = "transactions"

    def list(self) -> "list[Versioned[RuleView]]":
        """All of them, in the order in which they run."""
        return versioned(self._get(RuleList, "/v1/rules").items)

    def add(self, body: RuleBody, *, key: str | None = None) -> Versioned[RuleView]:
        """Add a rule. It is held against entries that arrive from now on."""
        return self._post_versioned(RuleView, "/v1/rules", body, key)

    def preview(self, body: RuleBody) -> RulePreview:
        """What a rule would change of the entries that are there. Nothing is changed."""
        content = body.model_dump_json(exclude_unset=True).encode()
        call = Call(service=self.service, method="POST", path="/v1/rules:preview", body=content, harmless=True)
        return parse(RulePreview, self._connection.send(call))

    def get(self, rule_id: str) -> Versioned[RuleView]:
        """One rule."""
        return self._get_versioned(RuleView, path_of("rules", rule_id))

    def replace(self, rule: Versioned[RuleView], body: RuleBody) -> Versioned[RuleView]:
        """Change a rule."""
        return self._change(RuleView, "PUT", path_of("rules", rule.value.id), rule, body)

    def remove(self, rule: Versioned[RuleView]) -> None:
        """Delete a rule; what it did stays."""
        self._send("DELETE", path_of("rules", rule.value.id), version=rule.version)

    def apply(self, rule_id: str) -> Iterator[RuleApplied]:
        """Apply a rule to all entries of the past, a step for each item that is taken."""
        path, body = f"{path_of('rules', rule_id)}:apply", ApplyRule()
        while True:
            applied = self._post(RuleApplied, path, body, None)
            yield applied
            if applied.next is None:
                return
            body = ApplyRule(cursor=applied.next)
