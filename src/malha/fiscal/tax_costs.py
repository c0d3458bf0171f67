"""Stating what selling costs in tax, for routing to compare."""

from collections.abc import Iterator, Sequence

from malha.fiscal import tax_cost_reads as reads
from malha.fiscal import tax_cost_writes as writes
from malha.fiscal.tax_cost_reads import TaxCost
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.network.tariff import ANY
from malha.platform import audit, revisions
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word

MOST_ROWS = 20_000
MOST_CENTAVOS = 100_000_000


def flaws_of(rows: Sequence[TaxCost]) -> Iterator[Flaw]:
    """Yield what is wrong with a table. `at` is `rows/n/field`."""
    if len(rows) > MOST_ROWS:
        says, mend = N_("The table has {count} rows."), N_("Use at most {most}.")
        yield Flaw("rows", says, mend, {"count": len(rows), "most": MOST_ROWS})
        return
    seen: set[tuple[str, str, str]] = set()
    for n, row in enumerate(rows):
        for field, state in (("from_state", row.from_state), ("to_state", row.to_state)):
            if state != ANY and state not in STATES:
                says, mend = N_("{value} is no Brazilian state."), N_("Use the two letters of the state, or *.")
                yield Flaw(f"rows/{n}/{field}", says, mend, {"value": state})
        if len(row.ncm) > 8 or not (row.ncm == "" or (row.ncm.isascii() and row.ncm.isdigit())):
            says, mend = N_("{value} is no beginning of an NCM code."), N_("Use up to eight digits, or none.")
            yield Flaw(f"rows/{n}/ncm", says, mend, {"value": row.ncm})
        for field, amount, most in (
            ("basis_points", row.basis_points, 10_000),
            ("centavos", row.centavos, MOST_CENTAVOS),
        ):
            if not 0 <= amount <= most:
                says, mend = N_("{value} is out of range."), N_("Use a whole number from {least} to {most}.")
                yield Flaw(f"rows/{n}/{field}", says, mend, {"value": amount, "least": 0, "most": most})
        key = row.from_state, row.to_state, row.ncm
        if key in seen:
            says = N_("The states {origin} and {target} with the NCM {ncm} are there twice.")
            mend = N_("Leave one of the rows.")
            yield Flaw(f"rows/{n}", says, mend, {"origin": key[0], "target": key[1], "ncm": key[2] or "-"})
        seen.add(key)


async def replace(tx: Tx, rows: Sequence[TaxCost], version: int | None) -> int:
    """Replace the table of tax costs; return its new version. Orders planned from then on follow it.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a row is not possible.
        Conflict: the table is not at `version` any more; None does not ask.
    """
    refuse_limited(tx)
    refuse(list(flaws_of(rows)))
    before = await reads.version(tx)
    after = await revisions.bump(tx, reads.REVISION)  # locks: what follows is one writer's
    if version is not None and (version != before or after not in {before + 1, 1}):
        raise Conflict(what=Word(N_("Tax costs")), key="")
    was = len(await reads.tax_costs(tx))
    await tx.execute(writes.CLEAR_TAX_COSTS)
    await tx.execute(
        writes.ADD_TAX_COSTS,
        {
            "origins": [row.from_state for row in rows],
            "targets": [row.to_state for row in rows],
            "ncms": [row.ncm for row in rows],
            "points": [row.basis_points for row in rows],
            "centavos": [row.centavos for row in rows],
        },
    )
    await audit.record(
        tx, action="change", entity="tax_costs", entity_id="all", before={"rows": was}, after={"rows": len(rows)}
    )
    await revisions.bump(tx, network.REVISION)
    return after
