"""Bulk actions: one act on all orders that a list finds, gathered, begun, and how far it is."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from malha.api.orders_actions import TAG, OrdersAsked, wanted_of
from malha.api.work import Work, command, query
from malha.fulfillment import bulk
from malha.fulfillment import bulk_reads as reads
from malha.fulfillment.bulk_model import Act, Wish
from malha.fulfillment.bulk_reads import BulkAction, Refused
from malha.ordering.details import LONGEST, MOST_TAGS
from malha.ordering.model import PromiseReason
from malha.ordering.promises import NOTE_LENGTH
from malha.platform import i18n, paging, refusals
from malha.platform.i18n import current_language
from malha.platform.ids import UUID
from malha.platform.paging import Page

Tags = Annotated[list[Annotated[str, Meta(max_length=LONGEST)]], Meta(max_length=MOST_TAGS)]


class GatherOrders(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An act, and the orders it is for: all that `orders` finds.

    `reason` is of a hold or a cancel; `day`, `because` and `note` are of a promise; `add` and `remove` are tags.
    """

    act: Act
    orders: OrdersAsked = OrdersAsked()
    reason: Annotated[str, Meta(max_length=200)] = ""
    day: date | None = None
    because: PromiseReason | None = None
    note: Annotated[str, Meta(max_length=NOTE_LENGTH)] = ""
    add: Tags = []
    remove: Tags = []


class BulkActionView(msgspec.Struct, frozen=True, kw_only=True):
    """One act on many orders, and how far it is.

    `state`: ready, gathered and waiting to be begun; going; done; or stopped. `left` is how many orders it has not come
    to: they wait for their turn, or were left alone where it was stopped.
    """

    number: int
    act: Act
    state: Literal["ready", "going", "done", "stopped"]
    orders: int
    done: int
    refused: int
    left: int
    person: str
    gathered_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None


class OrderLeft(msgspec.Struct, frozen=True, kw_only=True):
    """An order that refused the act, and why."""

    order_id: UUID
    order: int
    why: str


@command("/bulk-actions", permission="orders:read", status=201, tag=TAG)
async def gather_orders(work: Work, data: GatherOrders) -> BulkActionView:
    """Write down all orders that a list finds, for one act on each; answers the action, which is not begun yet.

    The act needs the permission that it needs for one order. What comes in afterwards is not among them. What the same
    caller gathered before and did not begin is gone. More than 50,000 orders, or a search that finds a thousand, are
    refused: 409.
    """
    wanted = await wanted_of(work, data.orders)
    wish = Wish(
        act=data.act, reason=data.reason.strip(), day=data.day, because=data.because, note=data.note.strip(),
        zone=i18n.current_zone(), add=tuple(data.add), remove=tuple(data.remove),
    )  # fmt: skip
    sought = {k: v for k, v in msgspec.to_builtins(data.orders).items() if v not in ("", None, [])}
    number = await bulk.gather(work.tx, wish, wanted, urlencode(sought, doseq=True))
    work.created(f"/v1/bulk-actions/{number}")
    return await _view(work, number)


@query("/bulk-actions", permission="orders:read", tag=TAG)
async def list_bulk_actions(work: Work, cursor: str | None = None, limit: int | None = None) -> Page[BulkActionView]:
    """List bulk actions that were begun, the newest first; who is limited to locations sees their own."""
    size = paging.bounded(limit)
    before = paging.position(cursor, "bulk-actions", (int,))
    rows = await reads.actions(work.tx, size + 1, before=before[0] if before else None)
    page = paging.page_of(rows, size, "bulk-actions", lambda row: (row.number,))
    return Page([_facts(row) for row in page.items], page.next)


@query("/bulk-actions/{number:int}", permission="orders:read", tag=TAG)
async def get_bulk_action(work: Work, number: int) -> BulkActionView:
    """Return how far a bulk action is."""
    return await _view(work, number)


@query("/bulk-actions/{number:int}/refused", permission="orders:read", tag=TAG)
async def list_orders_left(
    work: Work, number: int, cursor: str | None = None, limit: int | None = None
) -> Page[OrderLeft]:
    """List the orders that refused the act and stayed as they are, with why, the newest first."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "orders-left", (UUID,))
    action = await reads.action(work.tx, number)
    rows = await reads.refused(work.tx, action.id, size + 1, after=after[0] if after else None)
    page = paging.page_of(rows, size, "orders-left", lambda row: (row.order_id,))
    return Page([_left(row) for row in page.items], page.next)


@command("/bulk-actions/{number:int}/begin", permission="orders:read", tag=TAG)
async def begin_bulk_action(work: Work, number: int) -> BulkActionView:
    """Have a worker go through the orders that the caller gathered, one by one.

    Where the act cannot be taken back (all but holds and tags), an order that changed since it was gathered is left.
    """
    await bulk.begin(work.tx, number)
    return await _view(work, number)


@command("/bulk-actions/{number:int}/stop", permission="orders:read", tag=TAG)
async def stop_bulk_action(work: Work, number: int) -> BulkActionView:
    """Stop: what is done stays so, orders that it has not come to are left alone."""
    await bulk.stop(work.tx, number)
    return await _view(work, number)


async def _view(work: Work, number: int) -> BulkActionView:
    return _facts(await reads.action(work.tx, number))


def _facts(action: BulkAction) -> BulkActionView:
    facts: dict[str, Any] = {name: getattr(action, name) for name in BulkActionView.__struct_fields__}
    return BulkActionView(**facts)


def _left(row: Refused) -> OrderLeft:
    return OrderLeft(order_id=row.order_id, order=row.number, why=refusals.said(row.why, current_language()))


handlers = [
    gather_orders,
    list_bulk_actions,
    get_bulk_action,
    list_orders_left,
    begin_bulk_action,
    stop_bulk_action,
]
