"""Setting what routing compares besides freight and handling, and keeping what is learned of locations.

Orders planned from then on follow a change within a second: the network's revision moves with it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from malha.catalog import reads as catalog
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.routing import cost_reads as reads
from malha.routing import cost_writes as writes
from malha.routing.cost_model import Costs, Markdown
from malha.routing.cost_rules import MOST, Learned, flaws_of

KEPT_DAYS = 30
MOST_MARKDOWNS = 100_000
_encode = msgspec.json.Encoder().encode


async def set_costs(tx: Tx, stated: Costs, version: int | None) -> int:
    """Replace the document; return its new version.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: something in it is not possible.
        Conflict: it is not at `version` any more; None does not ask.
    """
    refuse_limited(tx)
    known = await network.snapshot(tx)
    refuse(list(flaws_of(stated, known.location_ids, known.channel_ids)))
    after = await _turn(tx, reads.COSTS_REVISION, N_("Routing costs"), version)
    before = await reads.costs(tx)
    await tx.execute(writes.SET_COSTS, {"costs": _encode(stated).decode()})
    await audit.record(tx, action="change", entity="routing_costs", entity_id="all", before=before, after=stated)
    await revisions.bump(tx, network.REVISION)
    return after


async def set_markdowns(tx: Tx, rows: Sequence[Markdown], version: int | None) -> int:
    """Replace the table of credits for aged stock; return its new version.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a row is not possible: a SKU or location is unknown, named twice, or the amount out of range.
        Conflict: it is not at `version` any more; None does not ask.
    """
    refuse_limited(tx)
    refuse(await flaws_of_markdowns(tx, rows))
    after = await _turn(tx, reads.MARKDOWNS_REVISION, N_("Credits for aged stock"), version)
    was = len(await reads.markdowns(tx))
    await tx.execute(writes.CLEAR_CREDITS)
    await tx.values(
        writes.ADD_CREDITS,
        {
            "skus": [row.sku for row in rows],
            "locations": [row.location for row in rows],
            "centavos": [row.centavos for row in rows],
        },
    )
    await audit.record(
        tx, action="change", entity="markdowns", entity_id="all", before={"rows": was}, after={"rows": len(rows)}
    )
    await revisions.bump(tx, network.REVISION)
    return after


async def flaws_of_markdowns(tx: Tx, rows: Sequence[Markdown]) -> list[Flaw]:
    """Return what is wrong with a table of credits for aged stock. `at` is `rows/n/field`."""
    flaws: list[Flaw] = []
    if len(rows) > MOST_MARKDOWNS:
        says, mend = N_("The table has {count} rows."), N_("Use at most {most}.")
        return [Flaw("rows", says, mend, {"count": len(rows), "most": MOST_MARKDOWNS})]
    seen: set[tuple[str, str]] = set()
    for n, row in enumerate(rows):
        if not 1 <= row.centavos <= MOST:
            says, mend = N_("{value} is out of range."), N_("Use a whole number from {least} to {most}.")
            facts = {"value": row.centavos, "least": 1, "most": MOST}
            flaws.append(Flaw(f"rows/{n}/centavos", says, mend, facts))
        if (row.sku, row.location) in seen:
            says, mend = N_("{sku} at {location} is there twice."), N_("Leave one row.")
            flaws.append(Flaw(f"rows/{n}", says, mend, {"sku": row.sku, "location": row.location}))
        seen.add((row.sku, row.location))
    return flaws + await _unknown(tx, rows)


async def _unknown(tx: Tx, rows: Sequence[Markdown]) -> list[Flaw]:
    skus = {card.sku for card in await catalog.by_skus(tx, sorted({row.sku for row in rows}))}
    places = await network.locations_by_code(tx, sorted({row.location for row in rows}))
    flaws = []
    for n, row in enumerate(rows):
        if row.sku not in skus:
            flaws.append(Flaw(f"rows/{n}/sku", N_("There is no SKU {value}."), facts={"value": row.sku}))
        if row.location not in places:
            says = N_("There is no location {value}.")
            flaws.append(Flaw(f"rows/{n}/location", says, facts={"value": row.location}))
    return flaws


async def _turn(tx: Tx, name: str, what: str, version: int | None) -> int:
    """Take the turn of one writer, if nobody was faster; return the version that this makes."""
    before = await revisions.current(tx, name)
    after = await revisions.bump(tx, name)  # locks until the commit
    if version is not None and (version != before or after != before + 1):
        raise Conflict(what=Word(what), key="")
    return after


async def keep_risks(tx: Tx, learned: Mapping[int, Learned]) -> int:
    """Store a version of what was learned of locations; return its number. Planning follows where its cost is set."""
    ids = sorted(learned)
    lived = [learned[id_].lived for id_ in ids]
    version = int(
        await tx.value(
            writes.INSERT_VERSION,
            {name: sum(getattr(one, name) for one in lived) for name in ("works", "refused", "promises", "broken")},
        )
    )
    await tx.execute(
        writes.INSERT_RISKS,
        {
            "version": version,
            "locations": ids,
            "works": [one.works for one in lived],
            "refused": [one.refused for one in lived],
            "promises": [one.promises for one in lived],
            "broken": [one.broken for one in lived],
            "rejections": [learned[id_].rejection for id_ in ids],
            "latenesses": [learned[id_].lateness for id_ in ids],
        },
    )
    await tx.execute(writes.DROP_OLD, {"days": KEPT_DAYS})
    stated = await reads.costs(tx)
    if stated.reroute_cost or stated.late_penalty:
        await revisions.bump(tx, network.REVISION)
    return version
