"""Prices of stock as people look at them: the last runs, what came of them, each price with what it rests on."""

from datetime import datetime
from enum import StrEnum

import msgspec

from malha.network.service import refuse_limited
from malha.platform import audit, jobs, revisions
from malha.platform.db import Tx
from malha.platform.text import literal
from malha.routing import price_writes, pricing_wishes
from malha.routing.errors import PricesOff
from malha.routing.price_process import price_now
from malha.routing.prices import LEAST_BASKETS, LEAST_SAVING, OLDEST_S, REVISION, withdraw

RUNS = 12
Place = tuple[int, int, int]  # where a page goes on: price, SKU and location of the last row before

# The newest by primary key; prices of a version by the leading column of theirs.
LAST_RUNS = """
SELECT r.id AS version, r.made_at, r.method, r.baskets, r.bound_gap, r.saving, r.seconds,
       r.in_force AND r.made_at > now() - make_interval(secs => %(oldest)s::float8) AS in_force, r.at_risk,
       r.problem, p.prices, p.skus
FROM (SELECT * FROM stock_price_version ORDER BY id DESC LIMIT %(limit)s::int) r
CROSS JOIN LATERAL (SELECT count(*)::int AS prices, count(DISTINCT sku_id)::int AS skus
                    FROM stock_price WHERE version_id = r.id) p
ORDER BY r.id DESC
"""

# Those of one version and, of the one before that came to prices, the same pair: all by primary key. A version has as
# many rows as there are pairs at risk.
_OF_VERSION = """
FROM stock_price p
JOIN variant v ON v.id = p.sku_id JOIN product d ON d.id = v.product_id JOIN location n ON n.id = p.location_id
WHERE p.version_id = %(version)s::int
  AND (%(location)s::text IS NULL OR n.code = %(location)s::text)
  AND (%(pattern)s::text IS NULL OR v.sku ILIKE %(pattern)s::text OR d.name ILIKE %(pattern)s::text)
"""
PRICES = (
    """
SELECT p.sku_id, p.location_id, v.sku, d.name, n.code AS location, n.name AS location_name, p.price, b.price AS before,
       p.free, p.shipped, p.fetched
FROM (SELECT p.* """
    + _OF_VERSION
    + """
        AND (%(price)s::bigint IS NULL
             OR (-p.price, p.sku_id, p.location_id) > (-%(price)s::bigint, %(sku_id)s::int, %(location_id)s::int))
      ORDER BY p.price DESC, p.sku_id, p.location_id LIMIT %(limit)s::int) p
JOIN variant v ON v.id = p.sku_id JOIN product d ON d.id = v.product_id JOIN location n ON n.id = p.location_id
LEFT JOIN stock_price b ON b.version_id = %(earlier)s::int AND b.sku_id = p.sku_id AND b.location_id = p.location_id
ORDER BY p.price DESC, p.sku_id, p.location_id
"""
)
COUNT = "SELECT count(*)::int, coalesce(max(p.price), 0)::bigint " + _OF_VERSION
NEWEST = "SELECT max(id) FROM stock_price_version"
EARLIER = "SELECT max(id) FROM stock_price_version WHERE id < %(version)s::int AND method <> 'none'"


class Why(StrEnum):
    """What came of a run."""

    USED = "used"  # its prices are in force
    WITHDRAWN = "withdrawn"  # they were good, and later ones, a person or their age took them out of force
    FEW_BASKETS = "few_baskets"
    NOTHING_AT_RISK = "nothing_at_risk"
    NO_SAVING = "no_saving"
    FAILED = "failed"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `saving`: a share of cost, on past baskets the prices were not made from; `bound_gap` one of the bound.

    `method`: `programme`, `closed_form` (without a solver, where the programme had no solution in time) or `none`.
    `at_risk` SKUs may run out somewhere; null of runs that did not count them. `problem`: why there is no programme.
    """

    version: int
    made_at: datetime
    method: str
    baskets: int
    bound_gap: float | None
    saving: float
    seconds: float
    in_force: bool
    at_risk: int | None
    problem: str
    prices: int
    skus: int

    @property
    def why(self) -> Why:
        """Return what came of it."""
        if self.in_force:
            return Why.USED
        if self.method == "none":
            return Why.FAILED
        if self.baskets < LEAST_BASKETS:
            return Why.FEW_BASKETS
        if not self.prices:
            return Why.NOTHING_AT_RISK
        return Why.NO_SAVING if self.saving < LEAST_SAVING else Why.WITHDRAWN


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What the last units of a SKU at a location are worth to later orders, centavos; `before`: in the run before.

    It rests on the units that were free, and on those that a week is expected to ask for: `shipped` of the SKU in
    orders that are sent, from wherever, and `fetched` by customers there. Null of runs that did not keep these.
    """

    sku_id: int
    location_id: int
    sku: str
    name: str
    location: str
    location_name: str
    price: int
    before: int | None
    free: int | None
    shipped: float | None
    fetched: float | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which prices are wanted; `text` is part of a SKU or of a product's name, `location` a code."""

    text: str = ""
    location: str = ""


class Going(StrEnum):
    """Whether prices are worked out."""

    ON = "on"
    ASKED = "asked"  # a person asked for a run; the worker has not begun
    RUNNING = "running"
    OFF = "off"  # a person turned them off
    OFF_BY_SETTING = "off_by_setting"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Whether prices are worked out, since when the run under way goes on, and the last runs, the newest first."""

    going: Going
    since: datetime | None
    runs: list[Run]

    @property
    def last(self) -> Run | None:
        """Return the newest run."""
        return self.runs[0] if self.runs else None


async def state(tx: Tx, *, by_setting: bool) -> State:
    """Return how prices of stock stand; `by_setting`: whether the setting lets them.

    Raises:
        SharedByAll: the actor is limited to some locations; what is expected is told of all.
    """
    refuse_limited(tx)
    wish = await pricing_wishes.wish(tx)
    runs = await tx.all(Run, LAST_RUNS, {"limit": RUNS, "oldest": OLDEST_S})
    since = None
    if not by_setting:
        going = Going.OFF_BY_SETTING
    elif not wish.wanted:
        going = Going.OFF
    elif wish.began_at is not None:
        going, since = Going.RUNNING, wish.began_at
    elif wish.asked_at is not None:
        going, since = Going.ASKED, wish.asked_at
    else:
        going = Going.ON
    return State(going=going, since=since, runs=runs)


async def newest(tx: Tx) -> int:
    """Return the version of the newest run; 0 before there is one."""
    return int(await tx.value(NEWEST) or 0)


def _params(version: int, wanted: Wanted) -> dict[str, object]:
    return {
        "version": version,
        "location": wanted.location or None,
        "pattern": f"%{literal(wanted.text)}%" if wanted.text else None,
    }


async def listed(tx: Tx, version: int, wanted: Wanted, *, after: Place | None = None, limit: int) -> list[Price]:
    """Return prices of a version, the highest first.

    Raises:
        SharedByAll: as above.
    """
    refuse_limited(tx)
    price, sku, location = after or (None, None, None)
    earlier = await tx.value(EARLIER, {"version": version})
    place = {"price": price, "sku_id": sku, "location_id": location, "limit": limit, "earlier": earlier}
    return await tx.all(Price, PRICES, _params(version, wanted) | place)


async def counted(tx: Tx, version: int, wanted: Wanted) -> tuple[int, int]:
    """Return how many prices of a version are wanted, and the highest of them."""
    ((count, most),) = await tx.tuples(COUNT, _params(version, wanted))
    return count, most


async def run_now(tx: Tx, *, by_setting: bool) -> bool:
    """Have prices worked out by the worker as soon as this commits; False where that is asked for already.

    Raises:
        SharedByAll: the actor is limited to some locations.
        PricesOff: the setting, or a person, turned them off.
    """
    refuse_limited(tx)
    if not await tx.value(price_writes.LOCK_WISH) or not by_setting:
        raise PricesOff
    if (await pricing_wishes.wish(tx)).asked_at is not None:
        return False
    await tx.execute(price_writes.ASK)
    await jobs.defer(tx, price_now, lock=f"stock-prices-{tx.retailer}")
    await audit.record(tx, action="start", entity="stock_pricing", entity_id="all")
    return True


async def turn(tx: Tx, *, on: bool) -> bool:
    """Have stock priced, or not; return whether that is another wish than before.

    Off counts within a second. On, the worker prices at its next look, within ten minutes.

    Raises:
        SharedByAll: the actor is limited to some locations.
    """
    refuse_limited(tx)
    before = bool(await tx.value(price_writes.LOCK_WISH))
    if not on:
        await withdraw(tx)
    if before == on:
        return False
    await tx.execute(price_writes.SAY, {"wanted": on})
    await revisions.bump(tx, REVISION)
    await audit.record(
        tx, action="change", entity="stock_pricing", entity_id="all", before={"wanted": before}, after={"wanted": on}
    )
    return True
