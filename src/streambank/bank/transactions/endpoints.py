"""The transactions service over HTTP."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from streambank.bank.events.money import INT64_MAX
from streambank.bank.transactions import batch
from streambank.bank.transactions.batch import CHUNK_LINES, Line, Recorded
from streambank.bank.transactions.listing import State, Wanted
from streambank.bank.transactions.schemas import (
    ID_PATTERN,
    AccountList,
    AccountView,
    ApplyRule,
    BalanceView,
    BookTransaction,
    CategoryBody,
    CategoryList,
    CategoryView,
    ChangeAccount,
    ChangeTransaction,
    ImportView,
    MemberBody,
    MemberList,
    MemberView,
    NewTransaction,
    OpenAccount,
    ReverseTransaction,
    RuleApplied,
    RuleBody,
    RuleList,
    RulePreview,
    RuleView,
    Statement,
    TagList,
    TransactionView,
)
from streambank.bank.transactions.service import ExportPage, TransactionsService
from streambank.service.http.answers import Answer, created, no_content
from streambank.service.http.cursors import CursorParameter, LimitParameter, page_answer
from streambank.service.http.endpoint import Read, ServiceHttp, Together, Write
from streambank.service.http.moments import Day
from streambank.service.http.page import Page
from streambank.service.http.paths import register_ids
from streambank.service.http.problems import Problem
from streambank.service.http.routers import api_router, joined

READ, WRITE = "transactions:read", "transactions:write"

NDJSON = "application/x-ndjson"

PAGE_ITEMS = 50
EXPORT_ITEMS = 500
"""Entries that an export reads at a time: some ten milliseconds."""

Id: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN)]
IdParameter: TypeAlias = Annotated[str | None, Query(pattern=ID_PATTERN)]
MinorParameter: TypeAlias = Annotated[int | None, Query(ge=0, le=INT64_MAX)]
TextParameter: TypeAlias = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

_NDJSON_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {"schema": {"type": "string", "description": "One entry a line, as JSON, with its external_id."}}
        },
    }
}


def router(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    register_ids()
    parts = (_accounts, _members, _batches, _entries, _settling, _categories, _rules, _imports)
    return joined([part(service, http) for part in parts])


def _accounts(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("accounts")
    # In order, for other services are asked for a new account at once.
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE, in_order=True)), _changes(http)

    @api.get("/accounts", response_model=AccountList)
    async def list_accounts(read: Annotated[Read, reads]) -> Response:
        """The accounts that you own or may see, in the order in which they were opened."""
        return await read(lambda c: service.list_accounts(c, read.caller))

    @api.post("/accounts", status_code=201, response_model=AccountView)
    async def open_account(body: OpenAccount, write: Annotated[Write, writes]) -> Response:
        """Open an account."""
        return await write(lambda c: service.open_account(c, write.caller, body))

    @api.get("/accounts/{account_id:id}", response_model=AccountView)
    async def get_account(account_id: Id, read: Annotated[Read, reads]) -> Response:
        """One account with its balance."""
        return await read(lambda c: service.get_account(c, read.caller, account_id))

    @api.patch("/accounts/{account_id:id}", response_model=AccountView)
    async def change_account(account_id: Id, body: ChangeAccount, write: Annotated[Write, changes]) -> Response:
        """Rename an account, or set its overdraft limit."""
        return await write(lambda c: service.change_account(c, write.caller, account_id, body, write.expected_version))

    @api.delete("/accounts/{account_id:id}", response_model=AccountView)
    async def close_account(account_id: Id, write: Annotated[Write, changes]) -> Response:
        """Close an account that is empty. Its entries stay."""
        return await write(lambda c: service.close_account(c, write.caller, account_id, write.expected_version))

    @api.post("/accounts/{account_id:id}:reopen", response_model=AccountView)
    async def reopen_account(account_id: Id, write: Annotated[Write, writes]) -> Response:
        """Open a closed account again."""
        return await write(lambda c: service.reopen_account(c, write.caller, account_id))

    @api.get("/accounts/{account_id:id}/balance", response_model=BalanceView)
    async def get_balance(account_id: Id, read: Annotated[Read, reads]) -> Response:
        """An account's balance: booked, pending and available."""
        return await read(lambda c: service.get_balance(c, read.caller, account_id))

    @api.get("/accounts/{account_id:id}/statements", response_model=Statement)
    async def get_statement(
        account_id: Id,
        read: Annotated[Read, reads],
        from_date: Annotated[Day, Query(alias="from")],
        to_date: Annotated[Day, Query(alias="to")],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """What was booked in a period, both days included, with the balances before and after it."""
        return await read(
            lambda c: service.get_statement(c, read.caller, account_id, from_date, to_date, cursor, limit)
        )

    return api


def _members(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("accounts")
    reads, changes = Depends(http.read(READ)), _changes(http)

    @api.get("/accounts/{account_id:id}/members", response_model=MemberList)
    async def list_members(account_id: Id, read: Annotated[Read, reads]) -> Response:
        """Who may use or see an account. The ETag is the account's."""
        return await read(lambda c: service.list_members(c, read.caller, account_id))

    @api.put("/accounts/{account_id:id}/members/{member_id:id}", response_model=MemberView)
    async def set_member(account_id: Id, member_id: Id, body: MemberBody, write: Annotated[Write, changes]) -> Response:
        """Share an account with another user, or give them another role. If-Match names the account's version."""
        return await write(
            lambda c: service.set_member(c, write.caller, account_id, member_id, body, write.expected_version)
        )

    @api.delete("/accounts/{account_id:id}/members/{member_id:id}", status_code=204)
    async def remove_member(account_id: Id, member_id: Id, write: Annotated[Write, changes]) -> Response:
        """End a member's share; anybody may end their own. If-Match names the account's version."""
        return await write(
            lambda c: service.remove_member(c, write.caller, account_id, member_id, write.expected_version)
        )

    return api


def _batches(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("transactions")
    reads, sends = Depends(http.read(READ)), Depends(http.write(WRITE, idempotent=False))

    @api.post(
        "/transactions:batch",
        response_class=Response,
        responses={200: {"content": {NDJSON: {}}, "description": "One answer a line, in the order of the lines."}},
        openapi_extra=_NDJSON_BODY,
    )
    async def record_batch(request: Request, write: Annotated[Write, sends]) -> Response:
        """Record facts in bulk, as NDJSON: at most 10,000 lines or 8 MB. A broken line stops none of the others.

        Each line names its entry by an `external_id`, unique in its account: sent again it is a `duplicate`.
        """
        lines = await run_in_threadpool(batch.decode_lines, await request.body())
        answers: dict[int, list[Recorded | Problem]] = {}
        response = Response()
        for start in range(0, len(lines), CHUNK_LINES):
            chunk = lines[start : start + CHUNK_LINES]
            response = await write(partial(_record_chunk, service, write, chunk, answers, start))
        body = await run_in_threadpool(_answer_lines, [answer for part in answers.values() for answer in part])
        kept = {name: value for name, value in response.headers.items() if name != "content-length"}
        return Response(body, 200, kept, NDJSON)

    @api.get(
        "/transactions/export",
        response_class=Response,
        responses={200: {"content": {NDJSON: {}}, "description": "One entry a line, oldest first."}},
    )
    async def export_transactions(read: Annotated[Read, reads]) -> Response:
        """Every entry of your accounts as NDJSON, in the order in which they were recorded."""

        return StreamingResponse(_exported(service, read), media_type=NDJSON)

    return api


def _entries(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("transactions")
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE)), _changes(http)

    records: Together[NewTransaction] = Together(http, service.record_all)

    @api.get("/transactions", response_model=Page[TransactionView])
    async def list_transactions(
        request: Request,
        read: Annotated[Read, reads],
        wanted: Annotated[Wanted, Depends(_wanted)],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Entries, the latest recorded first. `q`: words of counterparty, remittance or notes, all of them.

        A category stands for those under it too. `state` current: booked, or pending and not ended.
        """
        return await read(
            lambda c: page_answer(*service.list_transactions(c, read.caller, wanted, cursor, limit), request)
        )

    @api.post(
        "/transactions",
        status_code=201,
        response_model=TransactionView,
        responses={200: {"model": TransactionView, "description": "It was recorded before, by its `external_id`."}},
    )
    async def record_transaction(body: NewTransaction, write: Annotated[Write, writes]) -> Response:
        """Record an entry. One that would pass the overdraft limit is refused, unless `force` says that it is a fact.

        With an `external_id` that the account has already, the answer is 200 and that entry.
        """
        return await write.together(records, body)

    @api.get("/transactions/{entry_id:id}", response_model=TransactionView)
    async def get_transaction(entry_id: Id, read: Annotated[Read, reads]) -> Response:
        """One entry."""
        return await read(lambda c: service.get_transaction(c, read.caller, entry_id))

    @api.patch("/transactions/{entry_id:id}", response_model=TransactionView)
    async def change_transaction(entry_id: Id, body: ChangeTransaction, write: Annotated[Write, changes]) -> Response:
        """Change notes, tags, category or parts of an entry. What happened cannot be changed, only reversed."""
        return await write(
            lambda c: service.change_transaction(c, write.caller, entry_id, body, write.expected_version)
        )

    @api.get("/tags", response_model=TagList)
    async def list_tags(read: Annotated[Read, reads]) -> Response:
        """All tags in use in your accounts."""
        return await read(lambda c: service.list_tags(c, read.caller))

    return api


async def _wanted(
    q: TextParameter = None,
    account_id: IdParameter = None,
    category_id: IdParameter = None,
    tag: TextParameter = None,
    amount_min_minor: MinorParameter = None,
    amount_max_minor: MinorParameter = None,
    from_date: Annotated[Day | None, Query(alias="from")] = None,
    to_date: Annotated[Day | None, Query(alias="to")] = None,
    state: State = "current",
) -> Wanted:
    return Wanted(
        account_id=account_id,
        words=q,
        category_id=category_id,
        tag=tag,
        amount_min_minor=amount_min_minor,
        amount_max_minor=amount_max_minor,
        from_date=from_date,
        to_date=to_date,
        state=state,
    )


def _settling(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("transactions")
    writes = Depends(http.write(WRITE))

    @api.post("/transactions/{entry_id:id}:reverse", status_code=201, response_model=TransactionView)
    async def reverse_transaction(entry_id: Id, body: ReverseTransaction, write: Annotated[Write, writes]) -> Response:
        """Take back a booked entry, once, by an entry of the opposite sign."""
        return await write(lambda c: service.reverse(c, write.caller, entry_id, body))

    @api.post("/transactions/{entry_id:id}:book", status_code=201, response_model=TransactionView)
    async def book_transaction(entry_id: Id, body: BookTransaction, write: Annotated[Write, writes]) -> Response:
        """Settle a pending entry: the answer is the booked one. The amount may be another than was expected."""
        return await write(lambda c: service.book(c, write.caller, entry_id, body))

    @api.post("/transactions/{entry_id:id}:void", status_code=201, response_model=TransactionView)
    async def void_transaction(entry_id: Id, write: Annotated[Write, writes]) -> Response:
        """End a pending entry that does not come after all: the answer is the entry that ends it."""
        return await write(lambda c: service.void(c, write.caller, entry_id))

    return api


def _categories(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("categories")
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE)), _changes(http)

    @api.get("/categories", response_model=CategoryList)
    async def list_categories(read: Annotated[Read, reads], account_id: IdParameter = None) -> Response:
        """Your categories, or those of an account that is shared with you."""
        return await read(lambda c: service.list_categories(c, read.caller, account_id))

    @api.post("/categories", status_code=201, response_model=CategoryView)
    async def create_category(body: CategoryBody, write: Annotated[Write, writes]) -> Response:
        """Add a category, on the upper level or under one that is there."""
        return await write(lambda c: service.create_category(c, write.caller, body))

    @api.get("/categories/{category_id:id}", response_model=CategoryView)
    async def get_category(category_id: Id, read: Annotated[Read, reads]) -> Response:
        """One category."""
        return await read(lambda c: service.get_category(c, read.caller, category_id))

    @api.put("/categories/{category_id:id}", response_model=CategoryView)
    async def replace_category(category_id: Id, body: CategoryBody, write: Annotated[Write, changes]) -> Response:
        """Rename or move a category."""
        return await write(
            lambda c: service.replace_category(c, write.caller, category_id, body, write.expected_version)
        )

    @api.delete("/categories/{category_id:id}", status_code=204)
    async def remove_category(category_id: Id, write: Annotated[Write, changes]) -> Response:
        """Delete a category; its entries have none then."""
        return await write(lambda c: service.remove_category(c, write.caller, category_id, write.expected_version))

    return api


def _rules(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("rules")
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE)), _changes(http)

    @api.get("/rules", response_model=RuleList)
    async def list_rules(read: Annotated[Read, reads]) -> Response:
        """Your rules in the order in which they run."""
        return await read(lambda c: service.list_rules(c, read.caller))

    @api.post("/rules", status_code=201, response_model=RuleView)
    async def create_rule(body: RuleBody, write: Annotated[Write, writes]) -> Response:
        """Add a rule. It is held against entries that arrive from now on."""
        return await write(lambda c: service.create_rule(c, write.caller, body))

    @api.post("/rules:preview", response_model=RulePreview)
    async def preview_rule(body: RuleBody, read: Annotated[Read, reads]) -> Response:
        """What a rule would change of the latest 10,000 entries. Nothing is changed."""
        return await read(lambda c: service.preview_rule(c, read.caller, body))

    @api.get("/rules/{rule_id:id}", response_model=RuleView)
    async def get_rule(rule_id: Id, read: Annotated[Read, reads]) -> Response:
        """One rule."""
        return await read(lambda c: service.get_rule(c, read.caller, rule_id))

    @api.put("/rules/{rule_id:id}", response_model=RuleView)
    async def replace_rule(rule_id: Id, body: RuleBody, write: Annotated[Write, changes]) -> Response:
        """Change a rule."""
        return await write(lambda c: service.replace_rule(c, write.caller, rule_id, body, write.expected_version))

    @api.delete("/rules/{rule_id:id}", status_code=204)
    async def remove_rule(rule_id: Id, write: Annotated[Write, changes]) -> Response:
        """Delete a rule; what it did stays."""
        return await write(lambda c: service.remove_rule(c, write.caller, rule_id, write.expected_version))

    @api.post("/rules/{rule_id:id}:apply", response_model=RuleApplied)
    async def apply_rule(rule_id: Id, body: ApplyRule, write: Annotated[Write, writes]) -> Response:
        """Apply a rule to 1,000 entries of the past; go on with `next` until it is null."""
        return await write(lambda c: service.apply_rule(c, write.caller, rule_id, body))

    return api


def _imports(service: TransactionsService, http: ServiceHttp) -> APIRouter:
    api = api_router("imports")
    reads, writes, changes = Depends(http.read(READ)), Depends(http.write(WRITE)), _changes(http)

    @api.post(
        "/accounts/{account_id:id}/imports",
        status_code=201,
        response_model=ImportView,
        openapi_extra=_NDJSON_BODY,
    )
    async def import_entries(
        account_id: Id, request: Request, write: Annotated[Write, writes], import_id: IdParameter = None
    ) -> Response:
        """Import the entries of a file, as NDJSON: all of them or none. `import_id`: the rest of a file that was begun.

        Entries that an overlapping file brought already are counted, and not booked again.
        """
        lines: list[Line] = await run_in_threadpool(batch.decode_lines, await request.body())
        name = import_id or service.new_import_id()

        def work(connection: Connection) -> Answer:
            view = service.import_lines(connection, write.caller, account_id, lines, name)
            return created(view, f"/v1/imports/{view.id}", version=view.version)

        return await write(work)

    @api.get("/imports", response_model=Page[ImportView])
    async def list_imports(
        request: Request,
        read: Annotated[Read, reads],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Imports into your accounts, the latest first."""
        return await read(lambda c: page_answer(*service.list_imports(c, read.caller, cursor, limit), request))

    @api.get("/imports/{import_id:id}", response_model=ImportView)
    async def get_import(import_id: Id, read: Annotated[Read, reads]) -> Response:
        """One import."""
        return await read(lambda c: service.get_import(c, read.caller, import_id))

    @api.delete("/imports/{import_id:id}", response_model=ImportView)
    async def undo_import(import_id: Id, write: Annotated[Write, changes]) -> Response:
        """Reverse what an import booked, but for what was corrected since."""
        return await write(lambda c: service.undo_import(c, write.caller, import_id, write.expected_version))

    return api


async def _exported(service: TransactionsService, read: Read) -> AsyncIterator[bytes]:
    pages: list[ExportPage] = []

    def work(connection: Connection) -> Answer:
        begun = pages[-1] if pages else None
        pages[:] = [service.export(connection, read.caller, begun, EXPORT_ITEMS)]
        return no_content()

    while not pages or not pages[-1].is_last:
        await read(work)
        yield b"".join(item.model_dump_json().encode() + b"\n" for item in pages[-1].items)


def _changes(http: ServiceHttp) -> Any:
    """A change of what is there: If-Match says which version, so that it does no harm when it is sent twice."""
    return Depends(http.write(WRITE, if_match=True, idempotent=False))


def _record_chunk(
    service: TransactionsService,
    write: Write,
    chunk: list[Line],
    answers: dict[int, list[Recorded | Problem]],
    start: int,
    connection: Connection,
) -> Answer:
    # Assigned, not added: the work is done again if the transaction that it was in first could not be stored.
    answers[start] = service.record_lines(connection, write.caller, chunk)
    return no_content()


def _answer_lines(answers: list[Recorded | Problem]) -> bytes:
    return b"".join(_encode(_answer(i, answer)) + b"\n" for i, answer in enumerate(answers, start=1))


_encode = msgspec.json.Encoder().encode


def _answer(line: int, answer: Recorded | Problem) -> dict[str, object]:
    if isinstance(answer, Problem):
        return {"line": line, "status": "problem", "problem": answer.members()}
    return {"line": line, "status": answer.result, "id": answer.entry_id}
