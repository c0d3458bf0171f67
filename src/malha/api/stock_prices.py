"""Prices of stock: what last units are worth to later orders, how the runs that make them went, a run now."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.platform import paging
from malha.platform.paging import Page
from malha.routing import price_state
from malha.routing.price_state import Going, Price, Run, Wanted, Why

TAG = "routing"
Code = Annotated[str, Meta(max_length=80)]


class StockPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit of a SKU at a location is worth to later orders, in centavos, and what that rests on.

    `before`: in the run before; null: it had none. `free` units were there; a week is expected to ask for `shipped`
    units of the SKU in orders that are sent, from wherever, and for `fetched` units by customers at the location.
    """

    sku: str
    name: str
    location: str
    location_name: str
    price: int
    before: int | None
    free: int | None
    shipped: float | None
    fetched: float | None


class PriceRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the prices of stock, and what came of it.

    `why`: `used`: its prices are in force; `withdrawn`: no longer; `few_baskets`, `nothing_at_risk`, `no_saving`: they
    are not used, and why; `failed`. `method`: `programme`, `closed_form` where the programme found nothing in time,
    `none` where the run failed; `problem` says why. `saving` is a share of the cost of past orders, `seconds` how long
    it took, `at_risk` how many SKUs may run out at a location.
    """

    version: int
    made_at: datetime
    why: Why
    method: str
    problem: str
    baskets: int
    at_risk: int | None
    prices: int
    skus: int
    saving: float
    bound_gap: float | None
    seconds: float


class PricingState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether stock is priced, and the last runs, the newest first.

    `going`: `on`; `asked`: a run waits for the worker since `since`; `running` since then; `off`: a person turned
    prices off; `off_by_setting`.
    """

    going: Going
    since: datetime | None
    runs: list[PriceRun]


class PricingWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether stock shall be priced."""

    on: bool


def _run(run: Run) -> PriceRun:
    return msgspec.convert(run, PriceRun, from_attributes=True)


async def _state(work: Work) -> PricingState:
    found = await price_state.state(work.tx, by_setting=work.services.settings.stock_prices)
    return PricingState(going=found.going, since=found.since, runs=[_run(run) for run in found.runs])


@query("/stock-prices", permission="network:read", tag=TAG)
async def list_stock_prices(
    work: Work, q: Code = "", location: Code = "", cursor: str | None = None, limit: int | None = None
) -> Page[StockPrice]:
    """List the prices of the last run, the highest first, whether they are in force or not.

    `q`: part of a SKU or of a product's name. `location`: its code.
    """
    limit = paging.bounded(limit)
    after = paging.position(cursor, "stock-prices", (int, int, int, int))
    version = after[0] if after else await price_state.newest(work.tx)
    rows = await price_state.listed(
        work.tx,
        version,
        Wanted(text=q.strip(), location=location),
        after=(after[1], after[2], after[3]) if after else None,
        limit=limit + 1,
    )
    page = paging.page_of(rows, limit, "stock-prices", lambda p: (version, p.price, p.sku_id, p.location_id))
    return Page([_price(price) for price in page.items], page.next)


def _price(price: Price) -> StockPrice:
    return msgspec.convert(price, StockPrice, from_attributes=True)


@query("/stock-prices/status", permission="network:read", tag=TAG)
async def show_stock_pricing(work: Work) -> PricingState:
    """Return whether stock is priced, when that was last done, how long it took and what came of it."""
    return await _state(work)


@command("/stock-prices:run", permission="network:write", everywhere=True, status=202, tag=TAG)
async def price_stock_now(work: Work) -> PricingState:
    """Have the worker price stock now, not only every ten minutes. Who asks twice gets one run."""
    await price_state.run_now(work.tx, by_setting=work.services.settings.stock_prices)
    return await _state(work)


@command("/stock-prices:turn", permission="network:write", tag=TAG)
async def turn_stock_pricing(work: Work, data: PricingWish) -> PricingState:
    """Have stock priced, or not. Off counts at once; on, within ten minutes."""
    await price_state.turn(work.tx, on=data.on)
    return await _state(work)


handlers = [list_stock_prices, show_stock_pricing, price_stock_now, turn_stock_pricing]
