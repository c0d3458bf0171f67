"""Holds of carts and payments as a person looks after them: which there are, what each keeps, letting them go."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.inventory import hold_reads, service
from malha.inventory.errors import HoldNotFound
from malha.inventory.hold_reads import Held, HeldLine, Wanted
from malha.platform import paging
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "stock"
MOST = 200
Code = Annotated[str, Meta(max_length=80)]


class StockHold(msgspec.Struct, frozen=True, kw_only=True):
    """Units that are kept for a cart or a payment, and until when."""

    reference: str
    channel: str | None
    units: int
    created_at: datetime
    expires_at: datetime
    lines: list[HeldLine]


class ReleaseHolds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which holds are to go, and why."""

    references: Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(min_length=1, max_length=MOST)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class HoldsReleased(msgspec.Struct, frozen=True, kw_only=True):
    """The holds that went. Those that were over already, or that the caller does not see, are not among them."""

    released: list[str]


def _shown(held: Held) -> StockHold:
    return msgspec.convert(held, StockHold, from_attributes=True)


@query("/holds", permission="stock:read", tag=TAG)
async def list_stock_holds(
    work: Work,
    q: Code = "",
    sku: Code = "",
    location: Code = "",
    channel: Code = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[StockHold]:
    """List the holds of carts and payments that last, those that end soonest first.

    `q`: part of a reference or of a SKU. `sku`, `location` and `channel` are exact codes. What Malha keeps for
    transfers and for suspected stock is not among them.
    """
    limit = paging.bounded(limit)
    after = paging.position(cursor, "holds", (datetime, UUID))
    wanted = Wanted(text=q.strip(), sku=sku, location=location, channel=channel, scope=work.actor.scope)
    rows = await hold_reads.holds(work.tx, wanted, after=after and (after[0], after[1]), limit=limit + 1)
    page = paging.page_of(rows, limit, "holds", lambda held: (held.expires_at, held.id))
    return Page([_shown(held) for held in page.items], page.next)


@query("/holds/{reference:str}", permission="stock:read", tag=TAG)
async def get_stock_hold(work: Work, reference: str) -> StockHold:
    """Return a hold of a cart or a payment that was neither used nor released.

    One whose time is over stands here, too, as long as nobody needed its units: an order still gets them.
    """
    held = await hold_reads.hold(work.tx, reference, work.actor.scope)
    if held is None:
        raise HoldNotFound(reference=reference)
    return _shown(held)


@command("/holds:release", permission="stock:write", tag=TAG)
async def release_stock_holds(work: Work, data: ReleaseHolds) -> HoldsReleased:
    """Let holds go before their time, because a person says so: noted in the audit trail with the reason.

    A payment or an order that comes for one afterwards claims what is free then.
    """
    return HoldsReleased(released=await service.release_by_hand(work.tx, data.references, data.reason))


handlers = [list_stock_holds, get_stock_hold, release_stock_holds]
