"""From goods that were not found to a count of them, and from a count to the disagreements it settles."""

from malha.fulfillment.model import RejectReason
from malha.inventory.counts.model import Source
from malha.inventory.counts.raising import raise_for
from malha.inventory.sync import drift
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded

# Reasons that say the balance may be wrong.
NOT_FOUND = frozenset({RejectReason.NOT_IN_STOCK, RejectReason.MISMATCH})


async def count_what_was_not_found(tx: Tx, events: list[Recorded]) -> None:
    """A location did not find what its balance says it has: have it counted there."""
    missing: dict[int, set[int]] = {}
    for event in events:
        facts = event.facts()
        if event.type == "fulfillment.rejected":
            skus = {sku for _, sku, _ in facts.get("lines", ()) if facts["reason"] in NOT_FOUND}
        else:
            skus = {sku for _, sku, _, reason in facts["lines"] if reason in NOT_FOUND}
        missing.setdefault(facts["location_id"], set()).update(skus - {0})
    for location_id, skus in sorted(missing.items()):
        if skus:
            await raise_for(tx, location_id, sorted(skus), Source.SHORT_PICK)


async def end_counted_disagreements(tx: Tx, events: list[Recorded]) -> None:
    """A count ended: what sources disagreed about is settled by it, or open again."""
    await drift.end_counted(tx, sorted({UUID(event.id) for event in events}))
