"""Rules that categorise: what they ask of an entry, and what they do to it. Plain text, no patterns."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec

from streambank.bank.events import CreditDebit
from streambank.bank.events.money import INT64_MAX
from streambank.bank.transactions.entries import TAGS_MAX
from streambank.bank.transactions.folding import fold

CONDITIONS_MAX = 20
RULES_MAX = 500
"""Rules of one user. Each entry is held against each of them when it arrives: a millisecond at most."""

AmountMinor = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


class TextCondition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a text contains, or is, another; case and accents do not count. ``any``: one of both texts."""

    field: Literal["counterparty", "remittance", "any"]
    op: Literal["contains", "equals"]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=140)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """If all conditions hold, the category is set and the tags are added. ``stop``: then no later rule is looked at.

    Amounts are without sign, in minor units, and both bounds belong to the range. No ``account_ids``: any account.
    """

    name: str
    enabled: bool = True
    texts: tuple[TextCondition, ...] = ()
    account_ids: tuple[str, ...] = ()
    credit_debit: CreditDebit | None = None
    amount_min_minor: AmountMinor | None = None
    amount_max_minor: AmountMinor | None = None
    category_id: str | None = None
    tags: tuple[str, ...] = ()
    stop: bool = False


class Facts(NamedTuple):
    """What rules look at. Texts are folded: see :func:`streambank.bank.transactions.folding.fold`."""

    account_id: str
    credit_debit: CreditDebit
    amount_minor: int
    counterparty: str
    remittance: str


def facts(
    account_id: str, credit_debit: CreditDebit, amount_minor: int, counterparty: str | None, remittance: str | None
) -> Facts:
    """The facts of an entry."""
    return Facts(account_id, credit_debit, amount_minor, fold(counterparty or ""), fold(remittance or ""))


class Outcome(NamedTuple):
    """What rules do to an entry: its category (None: left as it is) and the tags to add."""

    category_num: int | None
    tags: tuple[str, ...]


NOTHING = Outcome(None, ())


class _Compiled(NamedTuple):
    rule: Rule
    texts: tuple[tuple[str, bool, str], ...]
    accounts: frozenset[str]
    category_num: int | None


class RuleBook:
    """A user's rules in their order, ready to be held against entries."""

    def __init__(self, rules: Sequence[Rule], category_nums: Mapping[str, int]) -> None:
        """``category_nums``: the user's categories by id; a rule whose category is gone sets none."""
        self._compiled = [
            _Compiled(
                rule,
                tuple((t.field, t.op == "equals", fold(t.value)) for t in rule.texts),
                frozenset(rule.account_ids),
                category_nums.get(rule.category_id) if rule.category_id is not None else None,
            )
            for rule in rules
            if rule.enabled
        ]

    def __bool__(self) -> bool:
        return bool(self._compiled)

    def apply(self, entry: Facts) -> Outcome:
        """What the rules do: a later rule's category takes the place of an earlier one's, tags add up."""
        category_num: int | None = None
        tags: list[str] = []
        for compiled in self._compiled:
            if not _matches(compiled, entry):
                continue
            if compiled.category_num is not None:
                category_num = compiled.category_num
            tags.extend(tag for tag in compiled.rule.tags if tag not in tags)
            if compiled.rule.stop:
                break
        return Outcome(category_num, tuple(tags[:TAGS_MAX]))


def _matches(compiled: _Compiled, entry: Facts) -> bool:
    rule = compiled.rule
    if compiled.accounts and entry.account_id not in compiled.accounts:
        return False
    if rule.credit_debit is not None and rule.credit_debit is not entry.credit_debit:
        return False
    if rule.amount_min_minor is not None and entry.amount_minor < rule.amount_min_minor:
        return False
    if rule.amount_max_minor is not None and entry.amount_minor > rule.amount_max_minor:
        return False
    return all(_text_holds(text, entry) for text in compiled.texts)


def _text_holds(condition: tuple[str, bool, str], entry: Facts) -> bool:
    field, whole, value = condition
    if field == "counterparty":
        texts: tuple[str, ...] = (entry.counterparty,)
    elif field == "remittance":
        texts = (entry.remittance,)
    else:
        texts = (entry.counterparty, entry.remittance)
    return any(value == text if whole else value in text for text in texts)
