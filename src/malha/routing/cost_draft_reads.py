"""Drafts of costs as people look at them, and what is in force of the parts that one changes."""

import msgspec

from malha.fiscal import tax_cost_reads
from malha.network import reads as network
from malha.platform.db import Tx
from malha.routing import cost_reads
from malha.routing.cost_draft_model import Bracket, CostDraft, Drafted, Labour, Standing, Tax

# Few: people write them. The newest first.
DRAFTS = """
SELECT id, note, content, version, created_at, created_by, changed_at, promoted_at, promoted_by, before, taken_back_at,
       taken_back_by
FROM routing_cost_draft WHERE %(id)s::int IS NULL OR id = %(id)s::int
ORDER BY id DESC LIMIT %(limit)s::int
"""


async def drafts(tx: Tx, limit: int = 200) -> list[CostDraft]:
    """Return the drafts, the newest first."""
    return msgspec.convert(await tx.all(dict, DRAFTS, {"id": None, "limit": limit}), list[CostDraft])


async def draft(tx: Tx, id_: int) -> CostDraft | None:
    """Return one of them."""
    found = await tx.maybe(dict, DRAFTS, {"id": id_, "limit": 1})
    return None if found is None else msgspec.convert(found, CostDraft)


async def standing(tx: Tx, drafted: Drafted) -> Standing:
    """Return what is in force now of the parts that a draft changes."""
    taxes = markdowns = None
    if drafted.taxes is not None:
        rows = [msgspec.convert(row, Tax, from_attributes=True) for row in await tax_cost_reads.tax_costs(tx)]
        taxes = sorted(rows, key=lambda row: (row.from_state, row.to_state, row.ncm))
    if drafted.markdowns is not None:
        markdowns = sorted(await cost_reads.markdowns(tx), key=lambda row: (row.location, row.sku))
    places = await network.locations_by_code(tx, [one.location for one in drafted.labour])
    labour = [
        Labour(location=one.location, handling=place.handling_cost, line=place.line_cost)
        for one in drafted.labour
        if (place := places.get(one.location)) is not None
    ]
    tariff: dict[str, list[Bracket]] = {}
    if drafted.carriage:
        codes = {service.id: service.code for service in await network.services(tx)}
        for rate in await network.rates(tx):
            tariff.setdefault(codes[rate.service_id], []).append(msgspec.convert(rate, Bracket, from_attributes=True))
    return Standing(
        costs=None if drafted.costs is None else await cost_reads.costs(tx),
        taxes=taxes,
        markdowns=markdowns,
        labour=labour,
        tariff={code: _sorted(rates) for code, rates in sorted(tariff.items())},
    )


def _sorted(rates: list[Bracket]) -> list[Bracket]:
    return sorted(rates, key=lambda rate: (rate.from_state, rate.to_state, rate.max_grams))
