"""An order for more of a SKU than its channel takes unasked claims nothing until a person has looked at it."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from malha.flows.order_to_cash import try_again
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake import replanning, substituting
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import edits
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.errors import ReplacedUnasked
from malha.ordering.model import HoldKind
from malha.platform.address import Address
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

HOME = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1")


@pytest.fixture
async def world(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 50})
        await a_product(tx, world, "MUG", stock={"DC": 50})
        await tx.execute("UPDATE channel SET most_units = 10, payment_policy = 'settled_by_channel'")
    return world, cup


@pytest.fixture
async def gate(database, world) -> AsyncIterator[Gate]:
    gate = Gate(database)
    await gate.open()
    yield gate
    await gate.close()


def wanting(name: str, *lines: tuple[str, int], channel: str = "web", **more: object) -> NewOrder:
    bought = [NewLine(sku, quantity, 1000) for sku, quantity in lines]
    return NewOrder(channel=channel, external_id=name, lines=bought, ship_to=HOME, **more)


async def claimed(database) -> int:
    async with database.snapshot() as tx:
        return await tx.value("SELECT coalesce(sum(allocated), 0) FROM balance")


async def lift(database, order) -> None:
    async with database.transaction() as tx:
        await order_holds.resolve_hold(tx, order.id, HoldKind.QUANTITY, resolution="It is for a wedding")
    await drain(database, SUBSCRIPTIONS)


@pytest.mark.parametrize("channel", ["web", "till", "mall"])
async def test_an_order_for_too_many_is_kept_and_takes_nothing_whatever_its_channel_does_when_stock_is_short(
    database, gate, channel
) -> None:
    usual = await gate.submit(wanting("1", ("CUP", 10), channel=channel))
    absurd = await gate.submit(wanting("2", ("CUP", 11), ("MUG", 1), channel=channel))
    assert (usual.holds, absurd.holds, absurd.status) == ([], ["quantity"], "on_hold")
    assert await claimed(database) == 10
    async with database.snapshot() as tx:
        detail = await tx.value("SELECT detail FROM order_hold")
    assert detail == {"most": 10, "skus": {"CUP": 11}}
    await lift(database, absurd)
    assert await claimed(database) == 22
    async with database.snapshot() as tx:
        assert await tx.value("SELECT status FROM sales_order WHERE id = %s", (absurd.id,)) == "allocated"


async def test_lines_of_one_sku_count_together_and_of_one_nobody_knows_too(database, gate) -> None:
    parts = await gate.submit(wanting("1", ("CUP", 6), ("CUP", 5)))
    unknown = await gate.submit(wanting("2", ("NOPE", 11), ("CUP", 1)))
    assert parts.holds == ["quantity"]
    assert sorted(unknown.holds) == ["quantity", "unknown_sku"]
    assert await claimed(database) == 0


async def test_what_is_of_the_past_is_taken_as_it_was(gate) -> None:
    assert (await gate.submit(wanting("1", ("CUP", 11)), release_now=True)).holds == []


async def test_nothing_that_happens_meanwhile_gives_it_stock(database, gate, world) -> None:
    network, cup = world
    order = await gate.submit(wanting("1", ("CUP", 11)))
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(cup, network.locations["DC"], 5)], Reference("test"))
        await edits.change_address(tx, order.id, msgspec.structs.replace(HOME, number="2"))
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await try_again(tx, order.id)
        assert await replanning.place_units(tx, order.id)
        assert await substituting.choices(tx, order.id) == []
    async with database.transaction() as tx:
        with pytest.raises(ReplacedUnasked):
            await substituting.replace(tx, order.id, 1, "MUG")
    assert await claimed(database) == 0


async def test_when_there_is_too_little_once_it_may_have_them_it_waits_as_short(database, gate) -> None:
    order = await gate.submit(wanting("1", ("CUP", 60)))
    await lift(database, order)
    async with database.snapshot() as tx:
        holds = (await ordering.open_holds(tx, [order.id]))[order.id]
    assert set(holds) == {HoldKind.SHORTAGE}
    assert await claimed(database) == 50
