"""Drafts of costs as people look at them, and what is in force of the parts that one changes."""

import msgspec

from malha.fiscal import tax_cost_reads
from malha.network import reads as network
from malha.platform.db import Tx
from malha.routing import cost_reads
from malha.routing.cost_draft_model import CostDraft, Drafted, Labour, Standing

# Few: people write them. The newest first.
DRAFTS = """
SELECT id, note, content, version, created_at, created_by, changed_at, promoted_at, promoted_by, before, taken_back_at,
       taken_back_by
FROM routing_cost_draft WHERE %(id)s::bigint IS NULL OR id = %(id)s::bigint
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
    places = await network.locations_by_code(tx, [one.location for one in drafted.labour])
    services, rates = [], []
    if drafted.carriage:
        services, rates = await network.services(tx), await network.rates(tx)
    tariff = {service.code: network.service_draft(service, rates).rates for service in services}
    return Standing(
        costs=None if drafted.costs is None else await cost_reads.costs(tx),
        taxes=None if drafted.taxes is None else await tax_cost_reads.tax_costs(tx),
        markdowns=None if drafted.markdowns is None else await cost_reads.markdowns(tx),
        labour=[
            Labour(location=one.location, handling=place.handling_cost, line=place.line_cost)
            for one in drafted.labour
            if (place := places.get(one.location)) is not None
        ],
        tariff={code: brackets for code, brackets in tariff.items() if brackets},
    )
