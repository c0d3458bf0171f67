"""Goods that no location has: the orders that lack them, what may be done, and doing it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.orders_actions import OrderState, open_order, state_of
from malha.api.work import Work, command, query
from malha.fulfillment import short_reads, shortfalls
from malha.fulfillment.short_model import ReroutePolicy, ShortOrder, Suggestion, Taken, Way
from malha.fulfillment.suggesting import suggest
from malha.platform import paging
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "orders"
Code = Annotated[str, Meta(max_length=80)]


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """An order that lacks goods, and what may be done about it now, what helps the customer soonest first."""

    order: ShortOrder
    suggestions: list[Suggestion]


class TakeWay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be done. `line` is the one that lacks units; none for `split` and `retry`. `sku`: what stands in."""

    way: Way
    line: Annotated[int, Meta(ge=0, le=32_767)] = 0
    sku: Code = ""
    origin: Code = ""
    destination: Code = ""


class WayTaken(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands, what was done, and how many units still lack."""

    order: OrderState
    taken: Taken


class ChangeReroutes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many decisions an order gets by itself, the first included; `version` is the one that was read."""

    most_decisions: Annotated[int, Meta(ge=1, le=shortfalls.MOST)]
    version: int = 0


@query("/shortages", permission="orders:read", tag=TAG)
async def list_shortages(
    work: Work,
    q: Annotated[str, Meta(max_length=80)] = "",
    decide: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[Shortage]:
    """List orders with units that neither a location nor supply has, the oldest first, with what may be done.

    `q`: an order's number, or part of a SKU or name. `decide`: only those that are asked nowhere else by themselves.
    They leave the list by themselves when stock comes.
    """
    limit = paging.bounded(limit)
    least = (await short_reads.policy(work.tx)).most_decisions if decide else None
    after = paging.position(cursor, "shortages", (datetime, UUID))
    scope = work.actor.scope
    rows = await short_reads.short_orders(
        work.tx, text=q.strip(), least=least, scope=scope, after=after and (after[0], after[1]), limit=limit + 1
    )
    ways = await suggest(work.tx, rows)
    items = [Shortage(order=row, suggestions=ways[row.order_id]) for row in shortfalls.seen_by(work.actor, rows)]
    return paging.page_of(items, limit, "shortages", lambda item: (item.order.placed_at, item.order.order_id))


@command("/orders/{order_id:uuid}/shortage", permission="orders:write", versioned="optional", tag=TAG)
async def end_shortage(work: Work, order_id: UUID, data: TakeWay) -> WayTaken:
    """Do one of the things that are suggested about units that no location has. All of it or nothing.

    `retry` asks every location again, `substitute` puts another SKU in their place, `wait` promises them from goods on
    order, `transfer` has another location send them to one that serves the order, `split` lets what has a place go
    first, `cancel` takes them off the order. Cancelling, transfers and splits need the rights for that too.
    """
    await open_order(work, order_id)
    done = await shortfalls.take(
        work.tx, order_id, data.way, data.line, sku=data.sku, origin=data.origin, destination=data.destination
    )
    return WayTaken(order=await state_of(work, order_id), taken=done)


@query("/reroute-policy", permission="orders:read", tag=TAG)
async def get_reroute_policy(work: Work) -> ReroutePolicy:
    """Return how many decisions an order gets by itself before a person decides."""
    return await short_reads.policy(work.tx)


@command("/reroute-policy", method="PUT", permission="settings:manage", tag=TAG)
async def put_reroute_policy(work: Work, data: ChangeReroutes) -> ReroutePolicy:
    """State how many decisions an order gets by itself before a person decides; counts from the next rejection on."""
    return await shortfalls.change_policy(work.tx, data.most_decisions, data.version)


handlers = [list_shortages, end_shortage, get_reroute_policy, put_reroute_policy]
