"""Many pieces of work at once end as step by step: the same states, events, stock, documents."""

import pytest

from malha.doctor import examine
from malha.fiscal.model import DocumentFacts
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service
from malha.fulfillment.batch import Errand, Step, carry_out
from malha.fulfillment.errors import DocumentRequired, OrderStopped, WorkNotFound, WrongState
from malha.fulfillment.model import Tracking
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order


async def test_work_is_taken_as_far_as_each_errand_says_and_everything_agrees(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 90, "S1": 90})
        plate = await a_product(tx, world, "PLATE", stock={"DC": 90})
        kit = await a_product(tx, world, "SET", components={cup: 2, plate: 1})
        # Two locations, a kit, and two pieces of work for one order.
        orders = [await an_order(tx, world, [Sold(cup, 2, at="S1"), Sold(kit, 1)]) for _ in Step]
        pickup = await an_order(tx, world, [Sold(cup, 1, at="S1")], method="pickup")
        made = (await service.release(tx, [*orders, pickup])).work
        assert len(made) == 13
        until = dict(zip(orders, Step, strict=True)) | {pickup: Step.ARRIVED}
        errands = [
            Errand(
                work_id=work.id,
                until=until[work.order_id],
                document=DocumentFacts(access_key=an_access_key(world, number=n)),
                weight_grams=500,
                tracking=Tracking(tracking_code=f"BR{n}"),
                received_by="Ana",
            )
            for n, work in enumerate(made, 1)
        ]
        await carry_out(tx, errands)
        statuses = [(await ordering.lock_order(tx, order_id)).status for order_id in [*orders, pickup]]
        assert statuses == ["picking", "picking", "packed", "invoiced", "shipped", "delivered", "delivered"]
        states = await tx.tuples("SELECT state, count(*) FROM fulfillment_order GROUP BY state ORDER BY state")
        assert states == [("accepted", 2), ("closed", 5), ("packed", 4), ("picked", 2)]
        types = await tx.values("SELECT type FROM outbox WHERE key = %(k)s ORDER BY seq", {"k": f"order:{orders[-1]}"})
        assert types == [
            "order.placed", *["fulfillment.released"] * 2, *["fulfillment.accepted"] * 2, *["fulfillment.picked"] * 2,
            *["fulfillment.packed"] * 2, *["fiscal.document_recorded"] * 2, *["fulfillment.shipped"] * 2,
            *["shipment.delivered"] * 2,
        ]  # fmt: skip
        references = "SELECT count(DISTINCT ref_id) FROM movement WHERE reason IN ('ship', 'hand_over')"
        assert await tx.value(references) == 3
    await drain(database, SUBSCRIPTIONS)
    report = await examine(database)
    assert report.healthy, [f.lines("en") for f in report.findings]


async def test_a_batch_is_refused_as_a_whole_and_says_why(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        orders = [await an_order(tx, world, 1) for _ in range(3)]
        works = [w.id for w in (await service.release(tx, orders)).work]
        held = orders[2]

    async def refused(error, *errands):
        with pytest.raises(error):
            async with database.transaction() as tx:
                await carry_out(tx, errands)

    good = Errand(work_id=works[0], until=Step.PICKED)
    await refused(WorkNotFound, good, Errand(work_id=new_id(), until=Step.PICKED))
    await refused(DocumentRequired, good, Errand(work_id=works[1], until=Step.LEFT))
    async with database.transaction() as tx:
        await holds.place_hold(tx, held, HoldKind.FRAUD)
        mine = await tx.value("SELECT id FROM fulfillment_order WHERE order_id = %(id)s", {"id": held})
    document = DocumentFacts(access_key=an_access_key(world))
    await refused(OrderStopped, good, Errand(work_id=mine, until=Step.LEFT, document=document))
    async with database.transaction() as tx:
        assert set(await tx.values("SELECT state FROM fulfillment_order")) == {"open"}
        await carry_out(tx, [good])
    await refused(WrongState, good)
