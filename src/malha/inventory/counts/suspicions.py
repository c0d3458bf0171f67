"""Stock that is probably not there: found by facts, held back from being sold, counted, and lifted.

What is free of it is kept back by a stock hold, so that every way of selling sees less at once and no other quantity of
the balance is touched; safety stock adds to it by itself. Goods that come in later are not held back.
"""

from collections.abc import AsyncGenerator, Sequence

import msgspec

from malha.inventory import service as stock
from malha.inventory.counts import reads, rules, writes
from malha.inventory.counts.events import StockSuspected, SuspicionLifted
from malha.inventory.counts.model import Habits, PhantomRule, Source, Suspicion
from malha.inventory.counts.raising import raise_for
from malha.inventory.model import Claim
from malha.platform import outbox
from malha.platform.db import Database, Tx
from malha.platform.ids import new_id

KEPT_BACK_S = 30 * 24 * 3600.0
RULE = PhantomRule()


def hold_of(sku_id: int, location_id: int) -> str:
    """Return the reference of the hold of a suspicion; no cart or order can have it."""
    return f"suspicion {sku_id} {location_id}"


async def find(tx: Tx, location_id: int, rule: PhantomRule = RULE) -> list[Suspicion]:
    """Return what is suspected at a location and was not before, the most suspicious first."""
    habits = await reads.habits(tx, location_id, rule.days)
    found = [s for h in habits if (s := rules.suspect(h, rule)) is not None]
    return sorted(found, key=lambda s: (-s.score, s.habits.sku_id))[: rule.most]


async def keep_back(tx: Tx, found: Sequence[Suspicion]) -> int:
    """Hold back what is suspected and have it counted; return how many suspicions are new. Safe to repeat."""
    new: dict[int, list[int]] = {}
    if found:  # all balances at once: one by one, with what expired holds give back between, they are in no order
        await stock.make_way(tx, sorted({s.habits.sku_id for s in found}))
        await stock.lock_balances(tx, [(s.habits.sku_id, s.habits.location_id) for s in found])
    for suspicion in sorted(found, key=lambda s: (s.habits.sku_id, s.habits.location_id)):
        habits = suspicion.habits
        kept = await _hold(tx, habits)
        id_ = new_id()
        row = {
            "id": id_,
            "sku_id": habits.sku_id,
            "location_id": habits.location_id,
            "kept_back": kept,
            "score": suspicion.score,
            "why": msgspec.json.encode(_why(suspicion)).decode(),
        }
        if not await tx.values(writes.INSERT_SUSPICION, row):
            continue
        new.setdefault(habits.location_id, []).append(habits.sku_id)
        await outbox.add(
            tx,
            StockSuspected(
                id=id_,
                seq=1,
                sku_id=habits.sku_id,
                location_id=habits.location_id,
                kept_back=kept,
                score=suspicion.score,
            ),
        )
    for location_id, skus in sorted(new.items()):
        await raise_for(tx, location_id, skus, Source.SUSPICION)
    return sum(len(skus) for skus in new.values())


async def _hold(tx: Tx, habits: Habits) -> int:
    """Hold what is free; return how much that is. What somebody sells in this moment is not free any more."""
    reference = hold_of(habits.sku_id, habits.location_id)
    if await reads.is_suspected(tx, habits.sku_id, habits.location_id) or habits.free <= 0:
        return 0
    wanted = habits.free
    for _ in range(3):
        claim = Claim(habits.sku_id, habits.location_id, wanted)
        short = await stock.place_hold(tx, reference, [claim], seconds=KEPT_BACK_S, locked=True)
        if not short:
            return wanted
        wanted = short[0].free
        if wanted <= 0:
            break
    return 0


def _why(suspicion: Suspicion) -> dict[str, float | int | None]:
    habits = suspicion.habits
    return {
        "short_picks": habits.short_picks,
        "sales": habits.sales,
        "observed_days": round(habits.observed, 1),
        "silent_days": round(habits.silence, 1),
        "improbable": suspicion.improbable,
        "on_hand": habits.on_hand,
    }


async def lift(tx: Tx, places: Sequence[int], skus: Sequence[int], reason: str) -> int:
    """End suspicions of SKUs at some locations: what was held back is free again. Their balances stay locked.

    Returns:
        How many there were.
    """
    params = {"places": list(places), "skus": list(skus), "actor": tx.actor.label, "reason": reason}
    lifted = await tx.tuples(writes.LIFT_SUSPICIONS, params)
    references = [hold_of(sku, place) for _, sku, place in lifted]
    await stock.release_holds(tx, references, [Claim(sku, place, 0) for sku in skus for place in places])
    events = [
        SuspicionLifted(id=id_, seq=2, sku_id=sku, location_id=place, reason=reason) for id_, sku, place in lifted
    ]
    await outbox.add_all(tx, events)
    return len(lifted)


async def look_everywhere(db: Database) -> AsyncGenerator[int, None]:
    """Look at every location that sells, each in a transaction of its own; yield how many suspicions each adds."""
    async with db.transaction() as tx:
        places = await reads.selling_places(tx)
    for location_id in places:
        async with db.transaction() as tx:
            new = await keep_back(tx, await find(tx, location_id))
        yield new
