"""What a retailer set of routing's costs, what was learned of its locations, and both as the planner takes them."""

from collections.abc import Iterable

import msgspec

from malha.catalog.trait_reads import trait
from malha.fiscal import tax_cost_reads
from malha.fiscal.tax_cost_reads import TaxCost
from malha.inventory import age_reads
from malha.network import reads as network
from malha.network.snapshot import NetworkSnapshot
from malha.platform import revisions
from malha.platform.db import Tx
from malha.routing.cost_model import Costs, Markdown, Restriction, Risk
from malha.routing.cost_rules import centavos_of, credit_of
from malha.routing.terms import NO_TERMS, Taxes, TaxRate, Terms

COSTS_REVISION = "routing_costs"
MARKDOWNS_REVISION = "markdowns"
MOST_AGED = 200_000  # SKUs at locations that have a credit by age: those that have lain longest

# One row.
COSTS = "SELECT costs FROM routing_costs"

# One row, and the few drafts.
ASKS_AGES = """
SELECT EXISTS (SELECT FROM routing_costs WHERE costs ->> 'aging' IS NOT NULL)
    OR EXISTS (SELECT FROM routing_cost_draft WHERE content -> 'costs' ->> 'aging' IS NOT NULL)
"""

# Read whole: what is aged is a fraction of a stock.
CREDITS = "SELECT sku_id, location_id, centavos FROM markdown_credit"
MARKDOWNS = """
SELECT v.sku, l.code AS location, m.centavos
FROM markdown_credit m JOIN variant v ON v.id = m.sku_id JOIN location l ON l.id = m.location_id
ORDER BY l.code, v.sku
"""

# The newest version, by primary key, with its rows.
RISKS = """
SELECT r.location_id, l.code AS location, l.name, r.works, r.refused, r.promises, r.broken, r.rejection, r.lateness
FROM routing_risk r JOIN location l ON l.id = r.location_id
WHERE r.version_id = (SELECT max(id) FROM routing_risk_version)
ORDER BY l.name, l.id
"""
NEWEST = "SELECT id FROM routing_risk_version ORDER BY id DESC LIMIT 1"
MADE_WITHIN = """
SELECT made_at > now() - make_interval(secs => %(seconds)s::float8) FROM routing_risk_version ORDER BY id DESC LIMIT 1
"""


async def asks_ages(tx: Tx) -> bool:
    """Return whether somebody set a credit by age, or drafts one."""
    return bool(await tx.value(ASKS_AGES))


async def costs(tx: Tx) -> Costs:
    """Return what is set; without anything, all is off."""
    found = await tx.value(COSTS)
    return Costs() if found is None else msgspec.convert(found, Costs)


async def costs_seen(tx: Tx) -> Costs:
    """Return what is set as the actor may read it: of locations, those they see alone."""
    stated = await costs(tx)
    if tx.actor.locations is None:
        return stated
    seen = await _codes_seen(tx)
    return msgspec.structs.replace(
        stated,
        reach=[one for one in stated.reach if one.location in seen],
        restrictions=[
            msgspec.structs.replace(one, locations=[code for code in one.locations if code in seen])
            for one in stated.restrictions
        ],
    )


async def _codes_seen(tx: Tx) -> set[str]:
    return {place.code for place in await network.locations(tx) if tx.actor.sees(place.id)}


async def version(tx: Tx) -> int:
    """Return the version of the document, for changes; 0: nothing was ever set."""
    return await revisions.current(tx, COSTS_REVISION)


async def markdowns(tx: Tx) -> list[Markdown]:
    """Return the credits for aged stock."""
    return await tx.all(Markdown, MARKDOWNS)


async def markdowns_seen(tx: Tx) -> list[Markdown]:
    """Return the credits for aged stock at the locations that the actor sees."""
    rows = await markdowns(tx)
    if tx.actor.locations is None:
        return rows
    seen = await _codes_seen(tx)
    return [row for row in rows if row.location in seen]


async def markdowns_version(tx: Tx) -> int:
    """Return the version of the table of credits."""
    return await revisions.current(tx, MARKDOWNS_REVISION)


async def risks(tx: Tx) -> list[Risk]:
    """Return what was last learned of each location."""
    return await tx.all(Risk, RISKS)


async def learned_within(tx: Tx, seconds: float) -> bool:
    """Return whether locations were looked at so recently."""
    return bool(await tx.value(MADE_WITHIN, {"seconds": seconds}))


async def terms(tx: Tx, snapshot: NetworkSnapshot) -> Terms:
    """Return all of it as the planner takes it; `NO_TERMS` where nothing is set."""
    made = await terms_of(tx, snapshot, await costs(tx))
    return made if _says_anything(made) else NO_TERMS


async def terms_of(
    tx: Tx,
    snapshot: NetworkSnapshot,
    stated: Costs,
    taxes: Iterable[TaxCost] | None = None,
    credits_: Iterable[tuple[int, int, int]] | None = None,
) -> Terms:
    """Return a document as the planner takes it, with what is learned of locations.

    Args:
        tx: what is not given is read in it.
        snapshot: the network; what a document names that is not there is left out.
        stated: the document.
        taxes: the table of tax costs; None: the one in force.
        credits_: (SKU, location, centavos) of aged stock, by ids; None: those in force.
    """
    rates = {
        (row.from_state, row.to_state, row.ncm): TaxRate(row.basis_points, row.centavos)
        for row in (await tax_cost_reads.tax_costs(tx) if taxes is None else taxes)
        if row.basis_points or row.centavos
    }
    by_sku: dict[int, dict[int, int]] = {}
    if stated.aging is not None:
        for sku, location, days in await age_reads.aged(tx, stated.aging.after_days, MOST_AGED):
            by_sku.setdefault(sku, {})[location] = credit_of(stated.aging, days)
    for sku, location, centavos in await tx.tuples(CREDITS) if credits_ is None else credits_:
        by_sku.setdefault(sku, {})[location] = centavos
    risky: dict[int, tuple[int, int]] = {}
    learned = None
    if stated.reroute_cost or stated.late_penalty:
        learned = await tx.value(NEWEST)
        for risk in await risks(tx):
            both = centavos_of(risk.rejection, stated.reroute_cost), centavos_of(risk.lateness, stated.late_penalty)
            if any(both):
                risky[risk.location_id] = both
    ids = snapshot.location_ids
    channels = snapshot.channel_ids
    return Terms(
        split=stated.split_penalty,
        same_site=stated.same_site,
        homes={one.id: one.site_id or one.id for one in snapshot.locations.values()} if stated.same_site else {},
        splits={
            channels[own.channel]: own.split_penalty
            for own in stated.channels
            if own.split_penalty is not None and own.channel in channels
        },
        cartons=tuple(sorted((carton.max_grams, carton.price) for carton in stated.cartons)),
        risks=risky,
        learned=learned if risky else None,
        taxes=Taxes(rates),
        busy=tuple((step.percent, step.price) for step in stated.capacity),
        credits=by_sku,
        unserved=_unserved(stated.restrictions, ids),
        reach={ids[one.location]: one.max_km for one in stated.reach if one.location in ids},
        reaches={
            channels[own.channel]: own.max_km
            for own in stated.channels
            if own.max_km is not None and own.channel in channels
        },
        spots={
            place.id: (place.latitude, place.longitude)
            for place in snapshot.locations.values()
            if place.latitude is not None and place.longitude is not None
        },
    )


def _says_anything(made: Terms) -> bool:
    return bool(
        made.split or made.splits or made.same_site or made.cartons or made.risks or made.taxes or made.busy
        or made.credits or made.unserved or made.reach or made.reaches
    )  # fmt: skip


def _unserved(restrictions: list[Restriction], ids: dict[str, int]) -> dict[str, frozenset[int]]:
    every = frozenset(ids.values())
    found: dict[str, frozenset[int]] = {}
    for one in restrictions:
        named = frozenset(ids[code] for code in one.locations if code in ids)
        key = trait(one.kind, one.value)
        found[key] = found.get(key, frozenset()) | (every - named if one.only else named)
    return {key: those for key, those in found.items() if those}
