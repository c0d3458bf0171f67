"""Everything at once on real connections: no deadlock, nothing lost, nothing twice."""

import asyncio
import random

import pytest

from malha.doctor import examine
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.intake import replanning
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering.model import CancelWish
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.errors import Busy, MalhaError
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order

PLACES = ("DC", "S1", "S2")
ACTORS, ACTS = 6, 40


class Floor:
    """People, locations and programs who all act on the same orders."""

    def __init__(self, database, world, skus, orders):
        self.database, self.world, self.skus, self.orders = database, world, skus, orders
        self.documents = 0

    async def work(self, tx, rng, *states):
        found = await tx.values(
            "SELECT id FROM fulfillment_order WHERE state = ANY (%(states)s) ORDER BY number", {"states": list(states)}
        )
        return rng.choice(found) if found else None

    async def act(self, rng):
        async with self.database.transaction() as tx:
            order_id, sku = rng.choice(self.orders), rng.choice(self.skus)
            match rng.choice(
                ("cancel", "pay", "refund", "release", "pick", "short", "reject", "leave", "stock", "place")
            ):
                case "cancel":
                    await fulfillment.cancel(tx, order_id, reason="x", wishes=[CancelWish(rng.choice((1, 2)), 1)])
                    await payments.restate(tx, [order_id])
                case "pay" | "refund" as what:
                    kind = FactKind.CAPTURED if what == "pay" else FactKind.REFUNDED
                    fact = Fact(position=1, kind=kind, amount=100, reference=str(rng.randrange(3)))
                    await payments.record_fact(tx, order_id, fact)
                case "release":
                    await fulfillment.release_due(tx, 3)
                case "pick" if work := await self.work(tx, rng, "open", "accepted", "picking"):
                    await fulfillment.confirm_pick(tx, work, rng.choice((None, [Picked(1, 1)])))
                case "short" if work := await self.work(tx, rng, "open", "accepted", "picking"):
                    short = [Short(rng.choice((1, 2)), 1, rng.choice(list(RejectReason)))]
                    await fulfillment.confirm_pick(tx, work, [], short)
                case "reject" if work := await self.work(tx, rng, "open", "accepted", "picked"):
                    await fulfillment.reject(tx, work, rng.choice(list(RejectReason)))
                case "leave" if work := await self.work(tx, rng, "picked"):
                    await fulfillment.pack(tx, work)
                    self.documents += 1
                    issuer = "RJ1" if self.documents % 3 == 0 else "SP1"
                    key = an_access_key(self.world, issuer, number=self.documents)
                    await fiscal.record_document(tx, work, DocumentFacts(access_key=key))
                    await fulfillment.ship(tx, work)
                case "stock":
                    place = self.world.locations[rng.choice(PLACES)]
                    await inventory.receive(tx, [Claim(sku, place, 3)], Reference("receipt"))
                case "place":
                    await replanning.place_units(tx, order_id)


@pytest.mark.parametrize("seed", [1, 2])
async def test_everyone_acting_at_once_leaves_a_world_in_which_everything_agrees(database, seed):
    async with database.transaction() as tx:
        world = await a_network(tx, capacity=40)
        skus = [await a_product(tx, world, f"A{n}", stock=dict.fromkeys(PLACES, 30)) for n in range(3)]
        orders = [
            await an_order(
                tx,
                world,
                [Sold(skus[n % 3], 2, at=PLACES[n % 3]), Sold(skus[(n + 1) % 3], 2, at=PLACES[(n + 1) % 3])],
                channel="mall",
                paid="pending",
            )
            for n in range(20)
        ]
    floor = Floor(database, world, skus, orders)
    done = refused = 0

    async def live(n):
        nonlocal done, refused
        rng = random.Random(f"{seed}-{n}")
        for _ in range(ACTS):
            try:
                await floor.act(rng)
                done += 1
            except Busy:  # somebody waited for a lock longer than its timeout
                raise
            except MalhaError:  # anything else, a deadlock above all, fails the test
                refused += 1

    await asyncio.gather(*[live(n) for n in range(ACTORS)])
    assert done > ACTORS * ACTS / 3, (done, refused)
    await drain(database, SUBSCRIPTIONS)
    await order_to_cash.release_due(database)
    await drain(database, SUBSCRIPTIONS)
    report = await examine(database)
    assert report.healthy, [line for f in report.findings if f.drifts for line in f.lines("en")]
