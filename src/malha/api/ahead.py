"""Selling ahead of the goods: what may be, the supply it is promised from, and who waits for it."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.catalog.errors import UnknownProduct
from malha.catalog.model import Product
from malha.inventory.ahead import policies, reads
from malha.inventory.ahead.model import ClaimState, Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.ahead.reads import PolicyRow, SupplyRow
from malha.network import reads as network
from malha.network import retailer
from malha.ordering import waiting_reads
from malha.ordering.waiting_reads import WaitingRow, WaitingWanted
from malha.platform import paging
from malha.platform.clock import now
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.paging import Page

TAG = "selling ahead"
Code = Annotated[str, Meta(min_length=1, max_length=80)]


class AheadPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be sold ahead: of the product, or with `sku` of one of its SKUs; with `channel` on that one only.

    `cap`: units that may wait at a time. `horizon_days`: supply that is farther away is not promised from.
    `handling_days`: business days from the goods being there to their hand-over. `version`: of the policy that is
    changed; none states a new one.
    """

    mode: Mode
    sku: Code | None = None
    channel: Code | None = None
    release_on: date | None = None
    cap: Annotated[int, Meta(ge=1, le=policies.MOST_UNITS)] | None = None
    horizon_days: Annotated[int, Meta(ge=1, le=policies.MOST_DAYS)] | None = None
    handling_days: Annotated[int, Meta(ge=0, le=policies.MOST_HANDLING)] = 1
    version: int | None = None


class RemovedPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version of the policy that is taken away."""

    version: int


async def _product(work: Work, code: str) -> Product:
    found = await catalog.product_by_code(work.tx, code)
    if found is None:
        raise UnknownProduct(key=code)
    return found


@query("/products/{code:str}/ahead", permission="catalog:read", tag=TAG)
async def list_ahead_policies(work: Work, code: str) -> list[PolicyRow]:
    """List what may be sold ahead of a product and its SKUs; of those that fit a sale the most particular counts."""
    return await reads.of_product(work.tx, (await _product(work, code)).id)


@command("/products/{code:str}/ahead", permission="catalog:write", tag=TAG)
async def put_ahead_policy(work: Work, code: str, data: AheadPolicy) -> PolicyRow:
    """State or change what may be sold ahead. Orders that come from now on follow it; who waits goes on waiting."""
    product = await _product(work, code)
    skus = {v.sku: v.id for v in product.variants}
    channels = {c.code: c.id for c in await network.channels(work.tx)} if data.channel else {}
    flaws = []
    if data.sku is not None and data.sku not in skus:
        flaws.append(Flaw("sku", N_("There is no SKU {sku}."), facts={"sku": data.sku}))
    if data.channel is not None and data.channel not in channels:
        flaws.append(Flaw("channel", N_("There is no {value}."), facts={"value": data.channel}))
    refuse(flaws)
    draft = PolicyDraft(
        product_id=product.id,
        sku_id=skus[data.sku] if data.sku else None,
        channel_id=channels[data.channel] if data.channel else None,
        mode=data.mode,
        release_on=data.release_on,
        cap=data.cap,
        horizon_days=data.horizon_days,
        handling_days=data.handling_days,
    )
    return await policies.put(work.tx, draft, data.version)


@command("/products/{code:str}/ahead/{policy_id:int}/remove", permission="catalog:write", tag=TAG)
async def remove_ahead_policy(work: Work, code: str, policy_id: int, data: RemovedPolicy) -> None:
    """Take a policy away: what is less particular counts from now on, and who waits goes on waiting."""
    await policies.remove(work.tx, (await _product(work, code)).id, policy_id, data.version)


@query("/supply", permission="stock:read", tag=TAG)
async def list_supply(work: Work, sku: Annotated[list[str], Meta(min_length=1, max_length=200)]) -> list[SupplyRow]:
    """List the supply of SKUs that may be promised from: what is expected, by day, and how much of it is promised."""
    cards = [card.id for card in await catalog.by_skus(work.tx, sku)]
    places = [place.id for place in await network.locations(work.tx) if work.actor.sees(place.id)]
    return await reads.supply_of(work.tx, cards, places)


@query("/supply-claims", permission="orders:read", tag=TAG)
async def list_supply_claims(
    work: Work,
    q: Annotated[str, Meta(max_length=80)] = "",
    claim: ClaimState | None = None,
    late: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[WaitingRow]:
    """List who waits for supply, the first in the queue first. `q`: an order's number, or a SKU.

    `late`: whose supply should have come before today. `claim` is `waiting`, `lost` (its supply will not come, and no
    other covers it) or `arrived` (its goods are there and allocated to it).
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "supply-claims", (datetime, int))
    scope = work.actor.fixed_scope
    today = await retailer.day_of(work.tx, now())
    wanted = WaitingWanted(
        today=today, state=claim.value if claim else None, late=late, text=q.replace("\x00", ""), scope=scope
    )
    rows = await waiting_reads.waiting(work.tx, wanted, after=(after[0], after[1]) if after else None, limit=size + 1)
    return paging.page_of(rows, size, "supply-claims", lambda row: (row.since, row.id))


handlers = [
    list_ahead_policies,
    put_ahead_policy,
    remove_ahead_policy,
    list_supply,
    list_supply_claims,
]
