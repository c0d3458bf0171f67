"""The gate: concurrent orders never oversell, repeated ones are one order, what is odd is held, a bad one harms no neighbour."""

import asyncio
import functools
import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from malha.intake import reference
from malha.intake.errors import KeyMissing, OrderDiffers, OutOfStock, Overloaded, UnknownChannel
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment, Placed, Result, Submission
from malha.intake.reference import LOOK_AGAIN_SECONDS, Cache
from malha.intake.rules import hash_of, leaves_the_loop
from malha.intake.service import place_orders
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.network import service as network
from malha.network.model import ChannelDraft, ChannelKind, PaymentPolicy, ServiceDraft
from malha.ordering import edits, holds
from malha.ordering.model import HoldKind
from malha.platform.address import Address
from malha.platform.db import Actor, Database
from malha.platform.errors import MalhaError
from malha.platform.flaws import Invalid
from malha.platform.idempotency import InFlight, KeyReused, KeyTooLong
from malha.platform.ids import new_id

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
STATES = ["SP", "RJ", "PE"]


@pytest.fixture
async def retailer(database: Database) -> Database:
    """Three locations, SKUs A, B, C with ten units at each, a kit K of two A and one B; a channel for each policy."""
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO legal_entity (name, cnpj_root) VALUES ('E', '12345678')")
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES (1, 'E', 'E', '12345678000195', 'SP')"
        )
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state, handling_cost, can_pickup) "
            "SELECT 'L' || n, 'L', 'store', 1, s, 100, true FROM unnest(%(states)s::text[]) WITH ORDINALITY AS w(s, n)",
            {"states": STATES},
        )
        await tx.execute(
            "INSERT INTO channel (code, name, kind, payment_policy, shortage_policy) VALUES "
            "('reject', 'R', 'web', 'settled_by_channel', 'reject'), ('hold', 'H', 'web', 'settled_by_channel', 'hold'), "
            "('back', 'B', 'web', 'settled_by_channel', 'backorder'), ('paid', 'P', 'web', 'before_release', 'hold')"
        )
        await tx.execute("INSERT INTO service (code, name, carrier) VALUES ('std', 'Standard', 'C')")
        await tx.execute(
            "INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days) "
            "SELECT 1, f, '*', 30000, 1000 + n * 100, 3 FROM unnest(%(states)s::text[]) WITH ORDINALITY AS w(f, n)",
            {"states": STATES},
        )
        await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'P')")
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, weight_grams, is_kit) "
            "VALUES (1, 'A', 'A', 100, false), (1, 'B', 'B', 100, false), (1, 'C', 'C', 100, false), (1, 'K', 'K', 100, true)"
        )
        await tx.execute("INSERT INTO kit_component (kit_id, component_id, quantity) VALUES (4, 1, 2), (4, 2, 1)")
        goods = [Claim(sku, location, 10) for sku in (1, 2, 3) for location in (1, 2, 3)]
        await inventory.set_on_hand(tx, goods, Reference("test"))
    return database


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    gate = Gate(retailer)
    await gate.open()
    yield gate
    await gate.close()


def an_order(external_id: str | None, *lines: tuple[str, int], channel: str = "reject", **more) -> NewOrder:
    bought = [NewLine(sku, quantity, 1990) for sku, quantity in lines or (("A", 1),)]
    more.setdefault("ship_to", SAO_PAULO)
    return NewOrder(channel=channel, external_id=external_id, lines=bought, **more)


async def outcomes(gate: Gate, orders: list[NewOrder]) -> list[Placed | MalhaError]:
    return list(await asyncio.gather(*(gate.enqueue(order) for order in orders)))


async def assert_stock_adds_up(database: Database) -> None:
    """Balances equal the ledger, claims equal units, nothing is oversold."""
    async with database.snapshot() as tx:
        assert await tx.value("SELECT count(*) FROM balance WHERE allocated + held > on_hand") == 0
        drift = await tx.tuples(
            "SELECT sku_id, location_id FROM (SELECT sku_id, location_id, on_hand, allocated, held FROM balance "
            "UNION ALL SELECT sku_id, location_id, -d_on_hand, -d_allocated, -d_held FROM movement) x "
            "GROUP BY 1, 2 HAVING sum(on_hand) <> 0 OR sum(allocated) <> 0 OR sum(held) <> 0"
        )
        assert drift == []
        claimed = await tx.tuples(
            "SELECT sku_id, location_id FROM (SELECT sku_id, location_id, allocated AS n FROM balance "
            "UNION ALL SELECT sku_id, location_id, -quantity FROM order_unit WHERE state = 'allocated') x "
            "GROUP BY 1, 2 HAVING sum(n) <> 0"
        )
        assert claimed == []


async def test_an_order_is_stored_claimed_explained_and_announced(gate: Gate, retailer: Database) -> None:
    placed = await gate.submit(an_order("1", ("A", 2), ("B", 1), shipping=500, discount=90))
    assert placed.status == "allocated"
    assert placed.total == 3 * 1990 + 500 - 90
    assert {(line.sku, line.quantity, line.location) for line in placed.lines} == {("A", 2, "L1"), ("B", 1, "L1")}
    async with retailer.snapshot() as tx:
        assert await tx.value("SELECT count(*) FROM routing_decision") == 1
        assert await tx.tuples("SELECT type, seq FROM outbox WHERE key LIKE 'order:%%'") == [("order.placed", 1)]
        assert await tx.value("SELECT promised_at IS NOT NULL FROM sales_order")
    await assert_stock_adds_up(retailer)


async def test_an_order_of_a_clock_that_goes_wrong_is_placed_now(gate: Gate, retailer: Database) -> None:
    long_ago, to_come = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=365)
    old, odd = await outcomes(gate, [an_order("old", placed_at=long_ago), an_order("odd", placed_at=to_come)])
    async with retailer.snapshot() as tx:
        placed = dict(await tx.tuples("SELECT id, placed_at FROM sales_order"))
    assert placed[old.id] == long_ago
    assert placed[odd.id] < to_come - timedelta(days=1)


async def test_an_order_too_large_for_the_loop_is_placed_like_any_other(gate: Gate, retailer: Database) -> None:
    async with retailer.transaction() as tx:
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name) SELECT 1, 'X' || n, 'X' FROM generate_series(1, 120) n"
        )
        skus = await tx.values("SELECT id FROM variant WHERE sku LIKE 'X%%' ORDER BY id")
        await inventory.set_on_hand(tx, [Claim(sku, 1 + sku % 3, 5) for sku in skus], Reference("test"))
    large = an_order("1", *((f"X{n}", 2) for n in range(1, 121)))
    small = [an_order(f"s{n}", ("A", 1)) for n in range(5)]
    first, *others = await outcomes(gate, [large, *small])
    assert leaves_the_loop(len(large.lines))
    assert [(line.quantity, line.state) for line in first.lines] == [(2, "allocated")] * 120
    assert {o.status for o in others} == {"allocated"}
    await assert_stock_adds_up(retailer)


async def test_three_hundred_attempts_on_thirty_units_place_exactly_thirty_orders(
    gate: Gate, retailer: Database
) -> None:
    results = await outcomes(gate, [an_order(str(n)) for n in range(300)])
    assert sum(isinstance(r, Placed) for r in results) == 30
    assert {type(r) for r in results} == {Placed, OutOfStock}
    await assert_stock_adds_up(retailer)


async def test_two_processes_on_the_same_stock_do_not_oversell(retailer: Database) -> None:
    async with Database(retailer.url) as second:
        gates = [Gate(retailer, max_batch=7), Gate(second, max_batch=7)]
        orders = [an_order(str(n), ("A", 1), ("B", 2) if n % 2 else ("C", 1)) for n in range(120)]
        results = await asyncio.gather(*(gates[n % 2].enqueue(order) for n, order in enumerate(orders)))
        for gate in gates:
            await gate.close()
    assert {type(r) for r in results} <= {Placed, OutOfStock}
    async with retailer.snapshot() as tx:
        left = await tx.value("SELECT sum(on_hand - allocated) FROM balance WHERE sku_id = 1")
    placed = sum(isinstance(r, Placed) for r in results)
    assert placed + left == 30
    await assert_stock_adds_up(retailer)


async def test_the_same_order_from_two_processes_at_once_is_one_order(retailer: Database) -> None:
    async with Database(retailer.url) as second:
        gates = [Gate(retailer), Gate(second)]
        for n in range(10):
            results = await asyncio.gather(*(gate.enqueue(an_order(f"dup-{n}")) for gate in gates * 3))
            assert len({r.id for r in results if isinstance(r, Placed)}) == 1
            assert sorted(r.result for r in results if isinstance(r, Placed)) == ["accepted"] + ["duplicate"] * 5
    await assert_stock_adds_up(retailer)


async def test_an_order_with_a_hold_that_another_process_is_writing_is_the_one_order(retailer: Database) -> None:
    async with Database(retailer.url, retailer.retailer) as second:
        gate = Gate(second)
        await gate.open()
        order = an_order("held", channel="paid")  # waits for its payment
        known = await Cache(retailer).current()
        first = Submission(order, "held", hash_of(order), new_id(), "system", None)
        async with retailer.transaction() as tx:
            (written,) = await place_orders(tx, [first], known)
            told_again = gate.enqueue(order)
            await asyncio.sleep(0.5)  # it has looked, and waits for what is not committed yet
        again = await told_again
    assert isinstance(written, Placed)
    assert isinstance(again, Placed), again
    assert (again.id, again.number, again.result, again.holds) == (written.id, written.number, "duplicate", ["payment"])
    await assert_stock_adds_up(retailer)


async def test_a_repeated_submission_is_answered_with_the_order_that_exists(gate: Gate) -> None:
    first = await gate.submit(an_order("1", ("A", 1)))
    again = await gate.submit(an_order("1", ("A", 1)))
    assert (again.id, again.number, again.result) == (first.id, first.number, Result.DUPLICATE)
    assert again.lines == first.lines
    kits = await gate.submit(an_order("2", ("K", 7), ("A", 1)))  # five at one place, two at another
    assert sum(line.quantity for line in kits.lines if line.sku == "K") == 7
    assert (await gate.submit(an_order("2", ("K", 7), ("A", 1)))).lines == kits.lines
    with pytest.raises(OrderDiffers):
        await gate.submit(an_order("1", ("A", 2)))


async def test_who_is_limited_to_locations_is_not_told_the_number_of_an_order_that_may_be_of_others(gate: Gate) -> None:
    first = await gate.submit(an_order("1", ("A", 1)))
    with pytest.raises(OrderDiffers, match=f"it is order {first.number}"):
        await gate.submit(an_order("1", ("A", 2)), actor=Actor("key", "1", "ERP"))
    limited = Actor("key", "2", "Franchise", locations=frozenset({1}))
    with pytest.raises(OrderDiffers) as told:
        await gate.submit(an_order("1", ("A", 2)), actor=limited)
    assert str(told.value) == "Channel reject already sent order 1, with other contents."
    assert "number" not in told.value.facts


async def test_an_idempotency_key_takes_the_place_of_an_external_id(gate: Gate) -> None:
    first = await gate.submit(an_order(None), idempotency_key="k1")
    again = await gate.submit(an_order(None), idempotency_key="k1")
    assert (again.id, again.result) == (first.id, Result.DUPLICATE)
    with pytest.raises(KeyReused):
        await gate.submit(an_order(None, ("B", 1)), idempotency_key="k1")
    with pytest.raises(KeyMissing):
        await gate.submit(an_order(None))


async def test_a_key_beside_an_external_id_names_one_request_and_no_other(gate: Gate) -> None:
    first = await gate.submit(an_order("1"), idempotency_key="k1")
    assert (await gate.submit(an_order("1"), idempotency_key="k1")).id == first.id
    with pytest.raises(KeyReused):
        await gate.submit(an_order("2"), idempotency_key="k1")
    two = [gate.enqueue(an_order(n), idempotency_key="k2") for n in ("3", "4")]
    assert sorted(type(outcome).__name__ for outcome in await asyncio.gather(*two)) == ["KeyReused", "Placed"]
    with pytest.raises(KeyTooLong):
        await gate.submit(an_order("5"), idempotency_key="k" * 300)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (lambda: an_order(None), lambda: an_order(None, channel="back")),
        (lambda: an_order(None), lambda: an_order("1")),
        (lambda: an_order("1"), lambda: an_order(None)),
    ],
    ids=["another channel", "with an external id now", "without an external id now"],
)
async def test_a_key_names_one_order_whatever_else_would_tell_two_apart(gate: Gate, first: Any, other: Any) -> None:
    placed = await gate.submit(first(), idempotency_key="k1")
    with pytest.raises(KeyReused):
        await gate.submit(other(), idempotency_key="k1")
    assert (await gate.submit(first(), idempotency_key="k1")).id == placed.id
    at_once = [gate.enqueue(order(), idempotency_key="k2") for order in (first, other)]
    assert sorted(type(outcome).__name__ for outcome in await asyncio.gather(*at_once)) == ["KeyReused", "Placed"]


async def test_the_same_key_in_flight_is_refused_and_may_be_asked_again(gate: Gate) -> None:
    first = gate.enqueue(an_order(None), idempotency_key="k1")
    with pytest.raises(InFlight):
        gate.enqueue(an_order(None), idempotency_key="k1")
    assert isinstance(await first, Placed)
    assert (await gate.submit(an_order(None), idempotency_key="k1")).result is Result.DUPLICATE


async def test_unknown_things_put_an_order_on_hold_and_lose_nothing(gate: Gate, retailer: Database) -> None:
    sku, location, service, address, person, totals = [
        await gate.submit(order)
        for order in (
            an_order("1", ("A", 1), ("NOPE", 3)),
            an_order("2", method="pickup", pickup_location="NOWHERE", ship_to=None),
            an_order("3", service="teleport"),
            an_order("4", ship_to=Address(city="Lisboa", state="XX")),
            an_order("5", customer=Buyer(name="Ana", document="111.111.111-11")),
            an_order("6", total=1),
        )
    ]
    assert sku.holds == ["unknown_sku"]
    assert [(line.sku, line.state) for line in sku.lines] == [("A", "allocated"), ("NOPE", "unplaced")]
    assert location.holds == ["unknown_location"]
    assert service.holds == ["unknown_service"]
    assert address.holds == ["address"]
    assert person.holds == ["customer"]
    assert totals.holds == ["totals"]
    assert {o.status for o in (sku, location, service, address, person, totals)} == {"on_hold"}
    await assert_stock_adds_up(retailer)


async def test_an_address_that_no_parcel_reaches_waits_and_its_goods_are_kept_meanwhile(
    gate: Gate, retailer: Database
) -> None:
    whole = Address(postal_code="01310-100", city="São Paulo", state="SP", street="Rua A", number="1")
    parts: list[tuple[dict[str, str], list[str]]] = [
        ({"postal_code": "", "city": "", "street": " "}, ["street", "postal_code"]),
        ({"street": ""}, ["street"]),
        ({"postal_code": "0131"}, ["postal_code"]),
        ({"postal_code": "00000-000"}, ["postal_code"]),
        ({"postal_code": "", "city": ""}, ["postal_code"]),
        ({"postal_code": ""}, []),  # who knows street and city finds its CEP
        ({"city": "", "number": ""}, []),
    ]
    for n, (said, missing) in enumerate(parts):
        to = msgspec.structs.replace(whole, **said)
        placed = await gate.submit(an_order(f"{n}", ship_to=to))
        assert (placed.holds, placed.lines[0].state) == (["address"] if missing else [], "allocated")
        past = await gate.submit(an_order(f"{n}-past", ship_to=to), release_now=True)
        fetched = await gate.submit(an_order(f"{n}-there", ("C", 1), ship_to=to, method="pickup", pickup_location="L1"))
        assert (past.holds, fetched.holds) == ([], [])
        async with retailer.transaction() as tx:
            detail = await tx.value("SELECT detail FROM order_hold WHERE order_id = %s", (placed.id,))
            assert detail == ({"state": "SP", "missing": missing} if missing else None)
            await edits.change_address(tx, placed.id, whole)
            assert await tx.value("SELECT status FROM sales_order WHERE id = %s", (placed.id,)) == "allocated"
    await assert_stock_adds_up(retailer)


async def test_an_address_without_a_state_says_all_that_it_lacks(gate: Gate, retailer: Database) -> None:
    said: list[tuple[Address | None, list[str]]] = [
        (None, ["street", "postal_code", "state"]),
        (Address(postal_code="01310-100", street="Rua A", state="XX"), ["state"]),
    ]
    for n, (to, missing) in enumerate(said):
        placed = await gate.submit(an_order(f"{n}", ship_to=to))
        assert placed.holds == ["address"]
        async with retailer.snapshot() as tx:
            detail = await tx.value("SELECT detail FROM order_hold WHERE order_id = %s", (placed.id,))
        assert detail == {"state": None if to is None else "XX", "missing": missing}


async def test_a_payment_that_an_order_says_twice_pays_once(gate: Gate, retailer: Database) -> None:
    pix = f"E12345678202612011030{'A' * 11}"
    said = functools.partial(NewPayment, amount=995, state="captured")
    for n, (payments, paid) in enumerate(
        (
            ([said("pix", reference=pix)] * 2, 995),
            ([said("pix", reference=pix), said("prepaid", reference=f" {pix.lower()}")], 995),
            ([said("credit_card", reference="T1", state="pending"), said("credit_card", reference="T1")], 995),
            ([said("credit_card", reference="T1"), said("credit_card", reference="T1", state="authorised")], 995),
            ([said("credit_card", reference="T1"), said("credit_card", reference="T2")], 1990),
            ([said("credit_card", reference="T1"), said("voucher", reference="T1")], 1990),
            ([said("cash"), said("cash")], 1990),
            ([said("cash", reference=" "), said("cash", reference=" ")], 1990),  # a till that leaves it blank
            ([said("credit_card", reference="T1"), said("credit_card", reference=" T1 ")], 995),
        )
    ):
        placed = await gate.submit(an_order(f"{n}", channel="paid", payments=payments))
        assert placed.holds == (["payment"] if paid < 1990 else [])
        async with retailer.transaction() as tx:
            assert await tx.value("SELECT captured FROM order_payment WHERE order_id = %s", (placed.id,)) == paid
        again = await gate.submit(an_order(f"{n}", channel="paid", payments=payments))
        assert (again.id, again.result) == (placed.id, Result.DUPLICATE)


async def test_an_order_beyond_any_amount_is_refused_for_it_would_spoil_every_sum(gate: Gate) -> None:
    def asked(price: int, **more: Any) -> NewOrder:
        return NewOrder(
            channel="back", external_id=f"{price}", lines=[NewLine("A", 2, price)], ship_to=SAO_PAULO, **more
        )

    assert (await gate.submit(asked(5 * 10**11))).total == 10**12
    for order in (asked(5 * 10**11 + 1), asked(5 * 10**11 - 1, shipping=3)):
        with pytest.raises(Invalid) as refused:
            await gate.submit(order)
        assert [flaw.at for flaw in refused.value.flaws] == ["lines"]
    assert (await gate.submit(asked(6 * 10**11, discount=2 * 10**11))).total == 10**12


async def test_a_cep_of_another_state_is_asked_about_and_its_goods_are_kept_meanwhile(
    gate: Gate, retailer: Database
) -> None:
    copacabana = Address(postal_code="22070-011", city="Rio de Janeiro", state="SP", street="Rua A", number="1")
    wrong, right, unknown, none, past, fetched = [
        await gate.submit(order, release_now=past)
        for order, past in (
            (an_order("1", ship_to=copacabana), False),
            (an_order("2", ship_to=Address(postal_code="22070011", state="RJ", street="Rua A")), False),
            (an_order("3", ship_to=Address(postal_code="10000000", state="SP", street="Rua A")), False),
            (an_order("4", ship_to=Address(city="Santos", state="SP", street="Rua A")), False),
            (an_order("5", ship_to=copacabana), True),
            (an_order("6", ship_to=copacabana, method="pickup", pickup_location="L1"), False),
        )
    ]
    assert (wrong.status, wrong.holds) == ("on_hold", ["address_check"])
    assert [(line.state, line.location) for line in wrong.lines] == [("allocated", "L1")]
    assert [each.holds for each in (right, unknown, none, past, fetched)] == [[]] * 5
    async with retailer.transaction() as tx:
        detail = await tx.value("SELECT detail FROM order_hold")
        assert detail == {"state": "SP", "cep_state": "RJ"}
        better = msgspec.structs.replace(copacabana, state="RJ")
        await edits.change_address(tx, wrong.id, better)
        assert await tx.value("SELECT count(*) FROM order_hold WHERE resolved_at IS NULL") == 0
        await edits.change_address(tx, wrong.id, msgspec.structs.replace(better, state="BA"))
        assert await tx.value("SELECT detail FROM order_hold WHERE resolved_at IS NULL") == {
            "state": "BA",
            "cep_state": "RJ",
        }
        await holds.resolve_hold(tx, wrong.id, HoldKind.ADDRESS_CHECK, resolution="asked")
        assert await tx.value("SELECT status FROM sales_order WHERE id = %s", (wrong.id,)) == "allocated"


async def test_a_shortage_ends_as_the_channel_says(gate: Gate, retailer: Database) -> None:
    with pytest.raises(OutOfStock) as refused:
        await gate.submit(an_order("1", ("A", 31)))
    assert refused.value.facts["shortages"] == [{"line": 1, "sku": "A", "asked": 31, "missing": 1}]
    held = await gate.submit(an_order("1", ("A", 31), channel="hold"))
    assert (held.holds, held.status) == (["shortage"], "on_hold")
    assert sum(line.quantity for line in held.lines if line.state == "allocated") == 30
    back = await gate.submit(an_order("1", ("A", 1), channel="back"))
    assert (back.status, back.lines[0].state) == ("backordered", "backordered")
    async with retailer.snapshot() as tx:
        assert await tx.value("SELECT count(*) FROM sales_order") == 2
    await assert_stock_adds_up(retailer)


async def test_a_kit_takes_its_components_from_one_place_and_shares_stock_with_its_parts(
    gate: Gate, retailer: Database
) -> None:
    placed = await gate.submit(an_order("1", ("K", 5)))
    async with retailer.snapshot() as tx:
        units = await tx.tuples("SELECT sku_id, quantity, location_id FROM order_unit ORDER BY sku_id")
        assert units == [(1, 10, 1), (2, 5, 1)]
    assert [(line.sku, line.quantity) for line in placed.lines] == [("K", 5)]
    both = await gate.submit(an_order("2", ("K", 4), ("A", 3)))
    assert {line.location for line in both.lines} == {"L2", "L3"}
    await assert_stock_adds_up(retailer)


async def test_payment_that_is_due_holds_the_order_and_payment_that_is_there_does_not(
    gate: Gate, retailer: Database
) -> None:
    due = await gate.submit(an_order("1", channel="paid", payments=[NewPayment(kind="pix", amount=1990)]))
    assert (due.status, due.holds) == ("awaiting_payment", ["payment"])
    captured = NewPayment(kind="pix", amount=1990, state="captured", reference="e2e-1")
    paid = await gate.submit(an_order("2", channel="paid", payments=[captured]))
    assert (paid.status, paid.holds) == ("allocated", [])
    async with retailer.snapshot() as tx:
        assert await tx.tuples("SELECT state, captured FROM order_payment ORDER BY captured") == [
            ("pending", 0),
            ("paid", 1990),
        ]


async def test_a_cart_that_held_its_units_gets_them(gate: Gate, retailer: Database) -> None:
    everything = [Claim(3, location, 10) for location in (1, 2, 3)]
    async with retailer.transaction() as tx:
        assert await inventory.place_hold(tx, "cart-7", everything, seconds=600) == []
    with pytest.raises(OutOfStock):
        await gate.submit(an_order("1", ("C", 1)))
    placed = await gate.submit(an_order("2", ("C", 30), hold_reference="cart-7"))
    assert placed.status == "allocated"
    await assert_stock_adds_up(retailer)


async def test_units_of_an_expired_hold_are_sold_again(gate: Gate, retailer: Database) -> None:
    async with retailer.transaction() as tx:
        await inventory.place_hold(tx, "cart-7", [Claim(3, location, 10) for location in (1, 2, 3)], seconds=0)
    assert (await gate.submit(an_order("1", ("C", 30)))).status == "allocated"
    await assert_stock_adds_up(retailer)


async def test_stock_read_by_sku_is_the_stock_read_by_balance(gate: Gate, retailer: Database) -> None:
    """Everywhere, in some places, nowhere, and where the network does not look: the same columns either way."""
    async with retailer.transaction() as tx:
        gone = [Claim(2, 1, 0), Claim(2, 3, 4), *(Claim(3, location, 0) for location in (1, 2, 3))]
        await inventory.set_on_hand(tx, gone, Reference("test"))
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state, status) "
            "VALUES ('CLOSED', 'C', 'store', 1, 'SP', 'closed')"
        )
        await inventory.set_on_hand(tx, [Claim(1, 4, 7)], Reference("test"))
    gate.cache.expire()
    reference = await gate.cache.current()
    async with retailer.transaction() as tx:
        by_balance = await (await stock.queue_free_stock(tx, [1, 2, 3])).fetchall()
        by_sku = await (await stock.queue_free_by_sku(tx, [1, 2, 3])).fetchall()
    expected = reference.grid([1, 2, 3], by_balance)
    found = reference.grid_by_sku([1, 2, 3], by_sku)
    assert found == expected
    assert {sku: column[:3] for sku, column in found.items()} == {1: [10, 10, 10], 2: [0, 10, 4], 3: [0, 0, 0]}
    found[3][0] += 1
    assert reference.grid_by_sku([1, 2, 3], by_sku)[3] == expected[3]  # nobody else's list


async def test_one_order_the_database_refuses_does_not_harm_its_neighbours(gate: Gate) -> None:
    orders = [an_order(str(n)) for n in range(20)]
    orders[7] = an_order("bad\0id")
    results = await outcomes(gate, orders)
    assert [n for n, r in enumerate(results) if not isinstance(r, Placed)] == [7]
    assert results[7].status == 422


async def test_a_caller_that_goes_away_does_not_harm_its_neighbours(gate: Gate) -> None:
    futures = [gate.enqueue(an_order(str(n))) for n in range(10)]
    futures[3].cancel()
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert sum(isinstance(r, Placed) for r in results) == 9


async def test_callers_who_come_back_together_are_taken_together_again(retailer: Database) -> None:
    """Half batches would stay half batches for ever; a caller who is alone waits for nobody."""
    buyers, rounds = 12, 6
    batches: list[int] = []

    class Watched(Gate):
        async def _place(self, batch: list[Any]) -> None:
            batches.append(len(batch))
            await super()._place(batch)

    gate = Watched(retailer, gather_s=1.0)
    await gate.open()
    await gate.submit(an_order("alone-1", channel="back"))
    await gate.submit(an_order("alone-2", channel="back"))
    assert batches == [1, 1]

    async def buyer(name: int) -> None:
        for n in range(rounds):
            await gate.submit(an_order(f"{name}-{n}", channel="back"))
            await asyncio.sleep(0.001 * name)

    await asyncio.gather(*[buyer(n) for n in range(buyers)])
    await gate.close()
    assert sum(batches) == 2 + buyers * rounds
    assert len(batches) - 2 <= rounds + 3, batches


async def test_a_full_queue_takes_nothing(retailer: Database) -> None:
    gate = Gate(retailer, max_waiting=3)
    futures = [gate.enqueue(an_order(str(n))) for n in range(3)]
    with pytest.raises(Overloaded):
        gate.enqueue(an_order("4"))
    assert all(isinstance(r, Placed) for r in await asyncio.gather(*futures))
    await gate.close()


async def test_an_unknown_channel_is_refused(gate: Gate) -> None:
    with pytest.raises(UnknownChannel):
        await gate.submit(an_order("1", channel="nowhere"))


async def test_what_was_made_a_moment_ago_is_known(
    gate: Gate, retailer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "REFRESH_SECONDS", 3_600.0)  # nobody would look by himself
    async with retailer.transaction() as tx:
        paid = PaymentPolicy.SETTLED_BY_CHANNEL
        draft = ChannelDraft(code="new", name="New", kind=ChannelKind.WEB, payment_policy=paid)
        await network.create_channel(tx, draft)
    assert (await gate.submit(an_order("1", channel="new"))).status == "allocated"
    async with retailer.transaction() as tx:
        await network.create_service(tx, ServiceDraft(code="fast", name="Fast", carrier="C"))
    assert "unknown_service" not in (await gate.submit(an_order("2", service="fast", channel="hold"))).holds
    with pytest.raises(UnknownChannel):
        await gate.submit(an_order("3", channel="nowhere"))
    found = await outcomes(gate, [an_order("4", channel="nowhere"), an_order("5")])
    assert [type(each) for each in found] == [UnknownChannel, Placed]


async def test_names_that_are_made_up_have_the_database_asked_no_more_often(gate: Gate) -> None:
    looks: list[float] = []
    cache, look = gate.cache, gate.cache._look

    async def noted() -> None:
        looks.append(time.monotonic())
        await look()

    cache._look = noted
    await asyncio.gather(*(cache.anew() for _ in range(50)))
    assert len(looks) == 1  # they share it
    for _ in range(3):
        await cache.anew()
    assert len(looks) == 4
    assert all(later - sooner >= LOOK_AGAIN_SECONDS for sooner, later in itertools.pairwise(looks))


async def test_who_names_what_cannot_be_looked_for_is_answered_all_the_same(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "REFRESH_SECONDS", 3_600.0)  # what is known goes on being known

    async def broken() -> None:
        raise KeyError("a document nobody can read")

    gate.cache._look = broken
    async with asyncio.timeout(60):
        with pytest.raises(UnknownChannel):
            await gate.submit(an_order("1", channel="nowhere"), idempotency_key="k")
        with pytest.raises(UnknownChannel):  # the key is free again
            await gate.submit(an_order("1", channel="nowhere"), idempotency_key="k")


async def test_many_who_name_what_is_not_known_count_as_waiting_and_hold_up_nobody(retailer: Database) -> None:
    gate = Gate(retailer, max_waiting=4, max_batch=2)
    await gate.open()
    go, look = asyncio.Event(), gate.cache._look

    async def later() -> None:
        await go.wait()
        await look()

    gate.cache._look = later
    strange = [gate.enqueue(an_order(f"s{n}", channel="nowhere")) for n in range(3)]
    async with asyncio.timeout(60):
        while gate._aside < 3:
            await asyncio.sleep(0)
        assert isinstance(await gate.submit(an_order("known")), Placed)
        strange.append(gate.enqueue(an_order("s3", channel="nowhere")))
        with pytest.raises(Overloaded):
            gate.enqueue(an_order("s4", channel="nowhere"))
        go.set()
        assert {type(x) for x in await asyncio.gather(*strange)} == {UnknownChannel}
    assert gate.waiting == 0
    await gate.close()


async def test_a_batch_survives_the_loss_of_its_connection(gate: Gate, retailer: Database) -> None:
    async def kill() -> None:
        async with retailer.transaction() as tx:
            await tx.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def buy(n: int) -> Placed | MalhaError:
        return await gate.enqueue(an_order(str(n), ("B", 1)))

    buyers = [asyncio.create_task(buy(n)) for n in range(30)]
    await asyncio.sleep(0.002)
    await kill()
    results = await asyncio.gather(*buyers)
    assert all(isinstance(r, Placed) for r in results)
    async with retailer.snapshot() as tx:
        assert await tx.value("SELECT count(*) FROM sales_order") == 30
    await assert_stock_adds_up(retailer)
