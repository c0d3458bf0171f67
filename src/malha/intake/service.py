"""Taking orders: many submissions, one transaction, a handful of set-based statements.

`place_orders` reads what it needs in one round trip, plans every order against one snapshot of stock (routing is pure
and works on the batch's own running balance), claims stock by conditional update and writes everything in a second one.
If the update refuses a balance that moved meanwhile, or a natural key appeared meanwhile, `Moved` is raised: the caller
rolls back and calls again with `lock=True`, which reads the balances under their locks, so the second attempt cannot be
refused.

Nothing is dropped: what cannot be understood (unknown SKU, location, service) or covered is an order on hold, a
backorder or an explicit refusal, as the channel's policy says. Retrying a submission returns the order that exists.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncCursor

from malha.intake import allotting as allot
from malha.intake import rules
from malha.intake.allotting import Allotting
from malha.intake.answering import answer_existing, answer_repeats, first_of_each_key, refuse_reused_keys
from malha.intake.batch import Batch, Moved
from malha.intake.covering import Covering, behind
from malha.intake.model import Outcome, Submission
from malha.intake.planning import payments_said, plan_one
from malha.intake.reference import Reference
from malha.intake.slotting import slotting_of
from malha.intake.writing import keep_trail, write
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.ordering import placing
from malha.payments import service as payments
from malha.platform.db import Tx


async def place_orders(
    tx: Tx, submissions: Sequence[Submission], reference: Reference, *, lock: bool = False, hold: str | None = None
) -> list[Outcome]:
    """Place a batch; return, in order, each order or the refusal it met. Refused orders leave nothing behind.

    `hold` is a stock hold to release first, under the same locks, so that its units are never free for anybody else; it
    asks for `lock`.

    Raises:
        Moved: see the module's docstring.
    """
    outcomes: list[Outcome | None] = [None] * len(submissions)
    fresh = first_of_each_key(submissions, reference, outcomes)
    fresh = await refuse_reused_keys(tx, fresh, outcomes)
    paying = _identities_of(fresh)
    skus = await reference.cards(tx, {line.sku for _, s in fresh for line in s.order.lines})
    sku_ids = sorted({part for card in skus.values() for part in card.stocked})
    await reference.learn_kinds(tx, [part for card in skus.values() for part in (card.id, *card.stocked)])
    instant = datetime.now(UTC)
    allotting = _allotting(fresh, reference, skus, instant) if reference.allotments.watched else None
    covering = _covering(fresh, reference, skus, instant)
    slotting = slotting_of(fresh, reference, instant)
    await slotting.ask(tx, lock=lock)
    if lock:
        await covering.ask(tx, lock=True)
        await _make_way(tx, allotting, sku_ids, hold)
    async with tx.pipeline():
        found = await placing.find_by_keys(
            tx, [reference.channels[s.order.channel].id for _, s in fresh], [s.external_id for _, s in fresh]
        )
        asked = None if allotting is None or lock else await allot.ask(tx, allotting)
        await covering.ask(tx)
        balances = await _ask_stock(tx, sku_ids, lock=lock)
        # Whose cart held the units has them before who waits.
        waiting = await ahead.queue_ahead_of(tx, sku_ids) if reference.sells_ahead and hold is None else None
    # Answers are read when the round trip is over: asking for one in it would be another.
    existing = {(row[0], row[1]): row[2:] for row in await found.fetchall()}
    if allotting is not None and asked is not None:
        allotting.stand(await asked.answer())
    await covering.answer()
    rows = await balances.fetchall()
    first = await waiting.fetchall() if waiting is not None else []
    free = _free_of(reference, sku_ids, rows, first, locked=lock)
    if existing:
        fresh = await answer_existing(tx, fresh, reference, existing, outcomes)
    batch = Batch(free, allotting, covering, slotting)
    batch.paid_for = await payments.claimed_by(tx, paying)

    def plan() -> None:
        for position, submission in fresh:
            refusal = plan_one(batch, position, submission, reference, skus, instant)
            if refusal is not None:
                outcomes[position] = refusal

    if rules.leaves_the_loop(max((len(s.order.lines) for _, s in fresh), default=0)):
        await asyncio.to_thread(plan)
    else:
        plan()
    await slotting.explain(tx, fresh, outcomes)
    if batch.placed:
        await write(tx, batch, outcomes, reference.allotments.revision)
        await keep_trail(tx, fresh, outcomes)
    answer_repeats(submissions, outcomes)
    return [outcome for outcome in outcomes if outcome is not None]


async def _ask_stock(tx: Tx, sku_ids: Sequence[int], *, lock: bool) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for free stock: balance by balance under locks, else by SKU."""
    return await (stock.queue_free_stock(tx, sku_ids, lock=True) if lock else stock.queue_free_by_sku(tx, sku_ids))


def _free_of(
    reference: Reference,
    sku_ids: Sequence[int],
    rows: Sequence[tuple[Any, ...]],
    waiting: Sequence[tuple[int, int, int]],
    *,
    locked: bool,
) -> dict[int, list[int]]:
    """Return free units by SKU in the network's order of locations, without those that go to who waits there.

    `rows` are the answer to `_ask_stock`.

    Raises:
        Moved: expired holds are in the way.
    """
    if locked:
        return reference.grid(sku_ids, behind(rows, waiting))
    if any(locations is None for _, locations, _ in rows):
        raise Moved
    if not waiting:
        return reference.grid_by_sku(sku_ids, rows)
    balances = [(sku, *at) for sku, locations, units in rows for at in zip(locations, units, strict=True)]
    return reference.grid(sku_ids, behind(balances, waiting))


async def _make_way(tx: Tx, allotting: Allotting | None, sku_ids: Sequence[int], hold: str | None) -> None:
    """Lock what fences and caps have left, and let the order's own hold and expired ones go."""
    await inventory.make_way(tx, sku_ids, hold, counters=None if allotting is None else allotting.counters)
    if allotting is not None:  # after holds gave units back to fences
        await allot.lock(tx, allotting)


def _allotting(
    fresh: Sequence[tuple[int, Submission]], reference: Reference, skus: dict[str, Any], instant: datetime
) -> Allotting | None:
    """Return what fences and caps mean for a batch; None when they touch none of its orders."""
    found: Allotting | None = None
    for _, submission in fresh:
        order = submission.order
        channel = reference.channels[order.channel]
        if channel.id not in reference.allotments.watched:
            continue
        stocked = [part for line in order.lines if line.sku in skus for part in skus[line.sku].stocked]
        if touches(reference.allotments, channel.id, stocked):
            found = found or Allotting(reference, instant)
            found.add(Taker(channel.id, order.customer_group), stocked)
    return found


def _covering(
    fresh: Sequence[tuple[int, Submission]], reference: Reference, skus: dict[str, Any], instant: datetime
) -> Covering:
    """Return what of a batch may be sold ahead of the goods, by the channels that sell it."""
    covering = Covering(reference.network, reference.day_of(instant))
    if reference.sells_ahead:
        for _, submission in fresh:
            channel = reference.channels[submission.order.channel]
            for line in submission.order.lines:
                if line.sku in skus:
                    covering.add(skus[line.sku], channel.id)
    return covering


def _identities_of(fresh: Sequence[tuple[int, Submission]]) -> list[str]:
    """Return the payments of a batch that are told apart from those of all other orders."""
    return payments.identities_of(said for _, s in fresh if not s.release_now for said in payments_said(s))
