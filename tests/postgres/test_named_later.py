"""Orders that name a service or a location nobody knows, and parcels that travel on the channel's own label."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from linked_world import CODE, linked

from malha.channels.connecting import service as connections
from malha.flows import order_to_cash
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, Result
from malha.network import reads as network_reads
from malha.network import service as network
from malha.network.model import RateDraft, ServiceDraft
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.address import Address
from malha.platform.db import Database
from malha.testing.builders import a_network, a_product

HIDDEN = Address(postal_code="01310-100", city="São Paulo", state="SP")  # all that a marketplace tells of a buyer
RATES = [RateDraft(from_state="*", to_state="*", max_grams=30_000, price=0, lead_days=2)]
ME2 = ServiceDraft(code="me2", name="ME2", carrier="Mercado Envios", channel_label=True, rates=RATES)
LIFTED = "SELECT kind, resolution FROM order_hold WHERE order_id = %s AND resolved_at IS NOT NULL ORDER BY kind"


@pytest.fixture
async def gate(database: Database) -> AsyncIterator[Gate]:
    """A gate before a retailer with five units of A at a distribution centre."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 5})
    gate = Gate(database)
    await gate.open()
    yield gate
    await gate.close()


def an_order(key: str, **more: object) -> NewOrder:
    said = {"ship_to": HIDDEN, **more}
    return NewOrder(channel="mall", external_id=key, lines=[NewLine("A", 1, 1000)], **said)  # type: ignore[arg-type]


async def holds_of(database: Database, order_id: object) -> set[str]:
    async with database.snapshot() as tx:
        statement = "SELECT kind FROM order_hold WHERE order_id = %s AND resolved_at IS NULL"
        return set(await tx.values(statement, (order_id,)))


async def units_of(database: Database, order_id: object) -> list[tuple[str, str | None]]:
    async with database.snapshot() as tx:
        statement = (
            "SELECT u.state, l.code FROM order_unit u LEFT JOIN location l ON l.id = u.location_id WHERE order_id = %s"
        )
        return await tx.tuples(statement, (order_id,))


async def test_a_parcel_on_the_channels_label_needs_no_street(gate: Gate, database: Database) -> None:
    async with database.transaction() as tx:
        await network.create_service(tx, ME2)
    ours = await gate.submit(an_order("1", service="standard"))
    theirs = await gate.submit(an_order("2", service="me2"))
    other_state = await gate.submit(an_order("3", service="me2", ship_to=msgspec.structs.replace(HIDDEN, state="RJ")))
    nowhere = await gate.submit(an_order("4", service="me2", ship_to=Address(city="São Paulo")))
    assert (ours.holds, theirs.holds, other_state.holds, nowhere.holds) == (["address"], [], [], ["address"])
    assert [(line.state, line.location) for line in theirs.lines] == [("allocated", "DC")]
    async with database.transaction() as tx:
        assert await tx.value("SELECT detail FROM order_hold WHERE order_id = %s", (nowhere.id,)) == {
            "state": "",
            "missing": ["state"],
        }
    assert await order_to_cash.watch_names(database) == 0  # what is held still needs a person


async def test_on_the_channels_label_a_cep_alone_says_which_state_it_goes_to(gate: Gate, database: Database) -> None:
    async with database.transaction() as tx:
        await network.create_service(tx, ME2)
    only_cep = Address(postal_code="01310-100")
    theirs = await gate.submit(an_order("1", service="me2", ship_to=only_cep))
    again = await gate.submit(an_order("1", service="me2", ship_to=only_cep))
    ours = await gate.submit(an_order("2", service="standard", ship_to=only_cep))  # that address a person completes
    assert (theirs.holds, ours.holds) == ([], ["address"])
    assert (again.id, again.result) == (theirs.id, Result.DUPLICATE)
    assert [(line.state, line.location) for line in theirs.lines] == [("allocated", "DC")]
    async with database.snapshot() as tx:
        said = await tx.value("SELECT ship_to ->> 'state' FROM sales_order WHERE id = %s", (theirs.id,))
    assert said == "SP"


async def test_what_a_channel_labels_carries_nothing_that_others_sold(gate: Gate, database: Database) -> None:
    async with database.transaction() as tx:
        await network.create_service(tx, ME2)  # it costs nothing, and is the fastest
    whole = Address(street="Rua A", number="1", postal_code="01310-100", city="São Paulo", state="SP")
    theirs = await gate.submit(an_order("1", service="me2"))
    ours = await gate.submit(an_order("2", ship_to=whole))
    async with database.snapshot() as tx:
        cost = dict(await tx.tuples("SELECT order_id, cost FROM routing_decision"))
        offered = [service.code for service in (await network_reads.snapshot(tx)).offered_services()]
    assert cost[theirs.id] < cost[ours.id]  # whatever else it costs, its carriage is not free
    assert offered == ["standard"]


async def test_an_order_goes_on_by_itself_once_its_service_is_registered(gate: Gate, database: Database) -> None:
    late = await gate.submit(an_order("1", service="me2"))
    other = await gate.submit(an_order("2", service="me3"))
    assert set(late.holds) == {"unknown_service", "address"}
    assert await units_of(database, late.id) == [("unplaced", None)]
    assert await order_to_cash.watch_names(database) == 0
    async with database.transaction() as tx:
        await network.create_service(tx, ME2)
    assert await order_to_cash.watch_names(database) == 1
    assert await order_to_cash.watch_names(database) == 1  # now that its service is known, so is who gives its label
    assert await order_to_cash.watch_names(database) == 0
    assert await holds_of(database, late.id) == set()
    assert await units_of(database, late.id) == [("allocated", "DC")]
    async with database.transaction() as tx:
        assert await tx.tuples(LIFTED, (late.id,)) == [
            ("address", "The channel gives the label."),
            ("unknown_service", "The delivery service is known."),
        ]
        assert (await ordering.lock_order(tx, late.id)).service_id is not None
    assert await holds_of(database, other.id) == {"unknown_service", "address"}


async def test_an_order_goes_on_by_itself_once_its_pickup_location_is_registered(
    gate: Gate, database: Database
) -> None:
    late = await gate.submit(an_order("1", method="pickup", pickup_location="S9", ship_to=None))
    assert late.holds == ["unknown_location"]
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET code = 'S9' WHERE code = 'S2'")
        sku, place = (
            await tx.value("SELECT min(id) FROM variant"),
            await tx.value("SELECT id FROM location WHERE code = 'S9'"),
        )
        await tx.execute("INSERT INTO balance (sku_id, location_id, on_hand) VALUES (%s, %s, 3)", (sku, place))
    assert await order_to_cash.watch_names(database) == 1
    assert await holds_of(database, late.id) == set()
    assert await units_of(database, late.id) == [("allocated", "S9")]


async def test_a_hold_for_an_address_that_a_person_placed_stays(gate: Gate, database: Database) -> None:
    async with database.transaction() as tx:
        await network.create_service(tx, ME2)
    placed = await gate.submit(an_order("1", service="me2"))
    async with database.transaction() as tx:
        await holds.place_hold(tx, placed.id, HoldKind.ADDRESS, note="the customer moves")
    assert await order_to_cash.watch_names(database) == 0
    assert await holds_of(database, placed.id) == {"address"}


async def test_what_a_connection_sells_on_the_channels_label_is_not_held(database: Database, tmp_path: Path) -> None:
    hidden = {"postal_code": "01310100", "city": "São Paulo", "state": "SP"}
    paid = [{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}]
    async with linked(database, tmp_path) as shop:
        async with database.transaction() as tx:
            await network.create_service(tx, ME2)
        for id_, method in (("1001", "xd_drop_off"), ("1002", "custom")):
            await shop.receive(
                shop.peer.webhook(shop.peer.sell(id_, ship_to=hidden, payments=paid, shipping_method=method))
            )
        await shop.handle()
        async with database.transaction() as tx:
            await connections.put_method(tx, CODE, "shipping", "xd_drop_off", "me2")
            await connections.put_method(tx, CODE, "shipping", "custom", "standard")
        await shop.handle()
        held = "SELECT o.external_id FROM order_hold h JOIN sales_order o ON o.id = h.order_id WHERE h.kind = 'address'"
        assert await shop.values("SELECT external_id FROM sales_order ORDER BY 1") == ["1001", "1002"]
        assert await shop.values(held) == ["1002"]
