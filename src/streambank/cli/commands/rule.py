"""``streambank rule`` and its sub-commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import App, Parameter

from streambank.cli.api import (
    USUAL_SERVER,
    ApiOption,
    connected,
    currency_of,
    find_account,
    find_category,
    parse_unsigned,
    valid,
)
from streambank.cli.asking import DryRunOption
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.output import Column, Format, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.client import Client, Versioned
    from streambank.bank.transactions.schemas import RuleBody, RulePreview, RuleView

app = App(name="rule", help="Rules that categorise: list, add, preview, apply, remove.", help_format="plaintext")

Texts: TypeAlias = Annotated[list[str] | None, Parameter(negative="")]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule asks of a transaction; all of it has to hold.

    Attributes
    ----------
    contains
        Its counterparty or its text has this in it; as often as wanted.
    with_
        Its counterparty is this.
    account
        It is on this account, or one of these.
    out
        Money goes out.
    in_
        Money comes in.
    min_
        It is at least this, without sign. Needs one --account, for its currency.
    max_
        It is at most this, without sign. Needs one --account, for its currency.
    """

    contains: Texts = None
    with_: Annotated[str | None, Parameter(name="--with")] = None
    account: Texts = None
    out: Annotated[bool, Parameter(negative="")] = False
    in_: Annotated[bool, Parameter(name="--in", negative="")] = False
    min_: Annotated[str | None, Parameter(name="--min")] = None
    max_: Annotated[str | None, Parameter(name="--max")] = None


ConditionsOption: TypeAlias = Annotated[Conditions, Parameter(name="*")]
_NONE = Conditions()


@app.command(name="ls")
def list_rules(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your rules, in the order in which they run."""
    from streambank.cli.entries import Names, item_of

    with connected(server) as client:
        rules = [one.value for one in client.rules.list()]
        names = Names(client)
    columns = [Column("RULE"), Column("IF"), Column("CATEGORY"), Column("TAGS"), Column("RUNS"), Column("ID")]
    rows = [
        (
            rule.name,
            _conditions(rule),
            names.categories.get(rule.category_id or "", ""),
            ", ".join(rule.tags),
            "yes" if rule.enabled else "no",
            rule.id,
        )
        for rule in rules
    ]
    print_listing(output, [item_of(rule) for rule in rules], columns, rows)


@app.command(name="add")
def add_rule(
    name: str,
    /,
    *,
    conditions: ConditionsOption = _NONE,
    category: str | None = None,
    tag: Texts = None,
    position: int = 0,
    stop: Annotated[bool, Parameter(negative="")] = False,
    dry_run: DryRunOption = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Add a rule. It is held against transactions that arrive from now on; `rule apply` holds it against the past.

    Parameters
    ----------
    name
        What you call it.
    category
        The category that it sets: a name, PARENT/NAME or an id.
    tag
        A tag that it adds; as often as wanted.
    position
        Rules run in the order of these numbers.
    stop
        Where it holds, no later rule is looked at.
    """
    with connected(server) as client:
        body = _body(client, name, conditions, category, tag, position, stop)
        if dry_run:
            _print_preview(client, client.rules.preview(body), output)
            return
        added = client.rules.add(body).value
    print(added.id)
    say(f"added; `streambank rule apply '{added.name}'` holds it against the past")


@app.command(name="preview")
def preview_rule(rule: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show what a rule would change of the transactions that are there. Nothing is changed.

    Parameters
    ----------
    rule
        Its name or id.
    """
    from streambank.bank.transactions.schemas import RuleBody

    with connected(server) as client:
        found = _find(client, rule).value
        body = RuleBody.model_validate(found.model_dump(exclude={"id", "version"}))
        _print_preview(client, client.rules.preview(body), output)


@app.command(name="apply")
def apply_rule(rule: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Hold a rule against all transactions that are there. What you categorised yourself stays.

    Parameters
    ----------
    rule
        Its name or id.
    """
    scanned = changed = 0
    with connected(server) as client:
        for step in client.rules.apply(_find(client, rule).value.id):
            scanned, changed = scanned + step.scanned, changed + step.changed
    say(f"{changed:,} of {scanned:,} transactions were changed")


@app.command(name="rm")
def remove_rule(rule: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Delete a rule; what it did stays.

    Parameters
    ----------
    rule
        Its name or id.
    """
    with connected(server) as client:
        client.rules.remove(_find(client, rule))
    say("removed")


def _find(client: Client, text: str) -> Versioned[RuleView]:
    rules = client.rules.list()
    found = [rule for rule in rules if rule.value.id == text] or [
        rule for rule in rules if rule.value.name.casefold() == text.casefold()
    ]
    if len(found) != 1:
        what = f"{len(found)} rules are named {text!r}: give the id" if found else f"there is no rule {text!r}"
        raise CommandError(f"{what}; `streambank rule ls` shows those there are")
    return found[0]


def _body(
    client: Client,
    name: str,
    on: Conditions,
    category: str | None,
    tags: list[str] | None,
    position: int,
    stop: bool,
) -> RuleBody:
    from streambank.bank.events import CreditDebit
    from streambank.bank.transactions.schemas import RuleBody, TextConditionBody

    if on.in_ and on.out:
        raise UsageError("--in and --out exclude each other")
    accounts = [find_account(client, one).value for one in on.account or []]
    bounds: list[int | None] = []
    for text, option in ((on.min_, "--min"), (on.max_, "--max")):
        if text is not None and len(accounts) != 1:
            raise UsageError(f"{option} needs one --account: amounts of several currencies cannot be compared")
        bounds.append(parse_unsigned(text, currency_of(accounts[0]), option) if text is not None else None)
    texts = [valid(TextConditionBody, field="any", op="contains", value=text) for text in on.contains or []]
    if on.with_ is not None:
        texts.append(valid(TextConditionBody, field="counterparty", op="equals", value=on.with_))
    direction = CreditDebit.DEBIT if on.out else CreditDebit.CREDIT if on.in_ else None
    return valid(
        RuleBody,
        name=name,
        position=position,
        texts=texts,
        account_ids=[account.id for account in accounts],
        credit_debit=direction,
        amount_min_minor=bounds[0],
        amount_max_minor=bounds[1],
        category_id=find_category(client, category).value.id if category is not None else None,
        tags=tags,
        stop=stop,
    )


def _conditions(rule: RuleView) -> str:
    said = [f"{text.field} {text.op} {text.value!r}" for text in rule.texts]
    if rule.account_ids:
        said.append(f"on {len(rule.account_ids)} account{'s' if len(rule.account_ids) > 1 else ''}")
    if rule.credit_debit is not None:
        said.append("money out" if rule.credit_debit.value == "DBIT" else "money in")
    if rule.amount_min_minor is not None:
        said.append(f"at least {rule.amount_min_minor} minor units")
    if rule.amount_max_minor is not None:
        said.append(f"at most {rule.amount_max_minor} minor units")
    return " and ".join(said)


def _print_preview(client: Client, seen: RulePreview, output: Format) -> None:
    from streambank.cli.entries import Names, amount_of, item_of
    from streambank.cli.output import print_json, print_json_line

    if output != "table":
        (print_json if output == "json" else print_json_line)(item_of(seen))
        return
    names = Names(client)
    columns = [
        Column("DATE"),
        Column("AMOUNT", right=True),
        Column("WITH"),
        Column("TEXT"),
        Column("NOW"),
        Column("THEN"),
    ]
    rows = [
        (
            change.transaction.booking_date,
            amount_of(change.transaction),
            change.transaction.counterparty or "",
            change.transaction.remittance or "",
            _told(names.category(change.transaction), change.transaction.tags),
            _told(names.categories.get(change.category_id or "", ""), change.tags),
        )
        for change in seen.examples
    ]
    print_listing(output, [], columns, rows)
    latest = "" if seen.complete else "; only the latest were looked at"
    say(f"{seen.would_change:,} would be changed, {seen.matched:,} match, of {seen.scanned:,} transactions{latest}")


def _told(category: str, tags: object) -> str:
    marks = " ".join(f"#{tag}" for tag in tags) if isinstance(tags, list | tuple) else ""
    return f"{category} {marks}".strip()
