"""Every operation of the API's description, filled in so that it would do something to what is Ada's.

A path parameter, a required query parameter or a body that is not known here fails, so that whoever adds an endpoint
says what to call it with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.api.support import EUR_5, NDJSON, PASSWORD, World, api_key_body, ndjson, rule_body, told, transfer_body
from tests.bank.transactions.support import TODAY, line


class Operation(NamedTuple):
    """An operation as the description tells of it. ``scope`` None: nobody has to be logged in."""

    operation_id: str
    method: str
    path: str
    scope: str | None
    parameters: list[dict[str, Any]]
    has_body: bool

    @property
    def writes(self) -> bool:
        return self.scope is not None and self.scope.endswith(":write")

    def names(self, location: str, *, required: bool | None = None) -> list[str]:
        return [
            p["name"]
            for p in self.parameters
            if p["in"] == location and (required is None or p.get("required", False) is required)
        ]


@dataclass
class Call:
    """A request that is ready to be sent. ``names_ada``: it has an id in it of what is Ada's."""

    operation: Operation
    path: str
    names_ada: bool
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operation.method} {self.path} {self.more.get('params', '')}"


def operations(document: dict[str, Any]) -> list[Operation]:
    """All of them, in an order in which one can be done after the other: what takes away comes last, and the user
    at the very end."""
    found = [
        Operation(
            told["operationId"],
            method.upper(),
            path,
            _scope(told),
            told.get("parameters", []),
            "requestBody" in told,
        )
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    order = ("GET", "POST", "PATCH", "PUT", "DELETE")
    return sorted(found, key=lambda o: (o.operation_id == "erase_user", order.index(o.method), -o.path.count("/")))


def calls(world: World, operation: Operation) -> Iterator[Call]:
    """The operation with what is Ada's; once more with each id that its query may have."""
    ids = {**_ids(world, operation), **OF_NOBODY}
    path = operation.path
    for name in operation.names("path"):
        assert name in ids, f"{operation.operation_id}: say in World.ids what to put for {{{name}}}"
        path = path.replace(f"{{{name}}}", ids[name])
    params = {}
    for name in operation.names("query", required=True):
        assert name in QUERY, f"{operation.operation_id}: say in QUERY what to ask for as {name}"
        params[name] = QUERY[name]
    more: dict[str, Any] = {"headers": {}}
    if operation.has_body:
        bodies = _bodies(world)
        assert operation.operation_id in bodies, f"{operation.operation_id}: say in _bodies what to send"
        more.update(bodies[operation.operation_id])
    if "if-match" in operation.names("header"):
        more["headers"] = {**more["headers"], "If-Match": _version(world, path)}
    named = [path, repr(more)]
    yield Call(operation, path, _names_ada(world, named), {**more, "params": params})
    for name in operation.names("query"):
        if name in ids:
            asked = {**params, name: ids[name]}
            yield Call(operation, path, True, {**more, "params": asked})


QUERY = {"from": "2026-11-01", "to": "2026-11-30"}


OF_NOBODY = {"currency": "EUR"}
"""Path parameters that are no ids."""


def _ids(world: World, operation: Operation) -> dict[str, str]:
    if operation.operation_id in ("book_transaction", "void_transaction"):
        return {**world.ids, "entry_id": world.pending_id}
    if operation.operation_id == "refund_transfer":
        return {**world.ids, "transfer_id": world.refundable_id}
    if operation.operation_id in ("pay_payment_request", "decline_payment_request"):
        return {**world.ids, "request_id": world.asked_id}
    return world.ids


def _bodies(world: World) -> dict[str, dict[str, Any]]:
    account, category = world.ids["account_id"], world.ids["category_id"]
    entry = told(account, 70, category_id=category)
    split = {"amount_minor": 500, "category_id": category}
    return {
        "change_profile": {"json": {"name": "Adele"}},
        "set_preferences": {"json": {"digest": "daily"}},
        "report_clicks": {"json": {"clicks": [{"page": "start", "element": "a button"}]}},
        "change_password": {"json": {"password": PASSWORD, "new_password": PASSWORD}},
        "change_email": {"json": {"email": "adele@example.org", "password": PASSWORD}},
        "erase_user": {"json": {"password": PASSWORD}},
        "make_api_key": {"json": api_key_body()},
        "open_account": {"json": {"name": "Another", "currency": "EUR"}},
        "change_account": {"json": {"name": "Renamed"}},
        "set_member": {"json": {"role": "owner"}},
        "record_batch": {"content": ndjson([line(account, 5, "batched", category_id=category)]), "headers": NDJSON},
        "record_transaction": {"json": entry},
        "change_transaction": {"json": {"notes": "changed", "splits": [split]}},
        "reverse_transaction": {"json": {"notes": "no"}},
        "book_transaction": {"json": {"amount_minor": 210}},
        "create_category": {"json": {"name": "Under it", "parent_id": category}},
        "replace_category": {"json": {"name": "Renamed"}},
        "create_rule": {"json": {**rule_body(category), "account_ids": [account]}},
        "preview_rule": {"json": {**rule_body(category), "account_ids": [account]}},
        "replace_rule": {"json": {**rule_body(category), "account_ids": [account]}},
        "apply_rule": {"json": {}},
        "create_transfer": {"json": transfer_body(account)},
        "refund_transfer": {"json": {"remittance": "back"}},
        "create_standing_order": {
            "json": {**transfer_body(account), "every": "week", "starts_on": f"{TODAY.year + 1}-01-01"}
        },
        "change_standing_order": {"json": {"amount_minor": 7}},
        "create_payment_request": {
            "json": {"payer": "nobody@example.org", "amount": EUR_5, "creditor_account_id": account}
        },
        "pay_payment_request": {"json": {"debtor_account_id": world.private_account_id}},
        "set_alias": {"json": {"alias": "adas-other-alias"}},
        "set_receiving_account": {"json": {"account_id": account}},
        "import_entries": {"content": ndjson([line("", 5, "imported", category_id=category)]), "headers": NDJSON},
    }


def _names_ada(world: World, texts: list[str]) -> bool:
    return any(her_id in text for her_id in world.hers for text in texts)


def _version(world: World, path: str) -> str:
    """The ETag of what is at the path; or of what it is a part of."""
    while path:
        etag = world.ada.ask("GET", path).headers.get("etag")
        if etag is not None:
            return str(etag)
        path = path.rpartition("/")[0]
    raise AssertionError("nothing there has a version")


def _scope(told: dict[str, Any]) -> str | None:
    scopes = [scope for need in told.get("security", []) for names in need.values() for scope in names]
    assert len(scopes) <= 1, f"{told['operationId']} asks for several scopes"
    return scopes[0] if scopes else None
