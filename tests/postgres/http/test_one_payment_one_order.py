"""One payment pays one order: what tells it apart, who is refused, what waits for a person, and what may repeat."""

import asyncio
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from test_taking_orders import counter, filled, opened, place, refused, send, with_option
from tests_http import Shop

from malha.doctor import examine
from malha.identity.model import Role
from malha.network import reads as network
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.payments import claims, service
from malha.payments.errors import PaymentElsewhere, PaymentElsewhereUnseen
from malha.payments.model import NewTender
from malha.platform import revisions
from malha.platform.db import Actor
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_network, a_product, an_order

__all__ = ["counter"]

E2E = "E1806523420261130081299aBcDeF012"
ADDRESS = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1000"}


def pix(order_id: UUID, reference: str | None = E2E, **more: Any) -> NewTender:
    said = {"kind": "pix", "amount": 1000, "state": "captured"} | more
    return NewTender(order_id=order_id, position=0, reference=reference, **said)


@pytest.fixture
async def orders(shop: Shop) -> list[UUID]:
    """Three orders of 10,00 that nobody paid yet, each of a channel of its own: two at S1, one at S2."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        shop.world = world
        sku = await a_product(tx, world, "A", stock={"S1": 50, "S2": 50})
        return [
            await an_order(tx, world, [Sold(sku, 1, price=1000, at=at)], channel=channel, paid="pending")
            for channel, at in (("web", "S1"), ("mall", "S1"), ("till", "S2"))
        ]


async def test_the_desk_is_refused_with_the_order_that_has_the_payment(shop: Shop, orders: list[UUID]) -> None:
    desk = await shop.session(Role.MANAGER)
    form = {"kind": "captured", "position": "1", "amount": "10,00", "reference": E2E}
    assert (await shop.http.post("/orders/1/payment", data=form, headers=desk)).status_code == 303
    # However it is typed.
    again = {**form, "reference": f" {E2E.lower()} "}
    answer = await shop.http.post("/orders/2/payment", data=again, headers=desk)
    assert answer.status_code == 409
    assert "is recorded on order 1 already" in answer.text
    assert "bank statement" in answer.text
    told = await shop.http.post("/orders/2/payment", data=form, headers={**desk, "accept-language": "pt-BR"})
    assert "já está registrado no pedido 1" in told.text
    async with shop.database.snapshot() as tx:
        assert await tx.values("SELECT captured FROM order_payment WHERE captured > 0") == [1000]
    # The same order hears the same payment as often as it likes; money that really pays both says so.
    assert (await shop.http.post("/orders/1/payment", data=form, headers=desk)).status_code == 303
    both = {**form, "reference": f"{E2E}-2"}
    assert (await shop.http.post("/orders/2/payment", data=both, headers=desk)).status_code == 303


async def test_a_program_is_refused_and_hears_of_the_other_order_only_if_it_is_its_business(
    shop: Shop, orders: list[UUID]
) -> None:
    key = await shop.key(["orders:read", "payments:record"])
    tender = {"kind": "pix", "amount": 1000, "state": "captured", "reference": E2E}
    paid = await shop.http.post(f"/v1/orders/{orders[0]}/tenders", json=tender, headers=key)
    assert paid.status_code in {200, 201}, paid.text
    fact = {"position": 1, "kind": "captured", "amount": 1000, "reference": E2E}
    for path, body in (("tenders", tender), ("payments", fact)):
        answer = await shop.http.post(f"/v1/orders/{orders[1]}/{path}", json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (409, "payment_on_another_order")
        assert "on order 1 already" in answer.json()["detail"]
        there = await shop.key(["orders:read", "payments:record"], locations=["S2"])
        answer = await shop.http.post(f"/v1/orders/{orders[2]}/{path}", json=body, headers=there)
        assert (answer.status_code, answer.json()["code"]) == (409, "payment_on_another_order")
        assert "on another order already" in answer.json()["detail"]


async def test_of_many_orders_that_one_payment_is_recorded_on_at_once_one_has_it(
    shop: Shop, orders: list[UUID]
) -> None:
    async def record(order_id: UUID) -> None:
        async with shop.database.transaction() as tx:
            await service.add_tender(tx, order_id, pix(order_id))

    done = await asyncio.gather(*map(record, orders), *map(record, orders), return_exceptions=True)
    assert [type(r) for r in done if r is not None] == [PaymentElsewhere] * 4
    async with shop.database.snapshot() as tx:
        assert await tx.values("SELECT captured FROM order_payment WHERE captured > 0") == [1000]


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("pix", None), ("pix", "pix"), ("pix", "comprovante no WhatsApp 12"), ("pix", "30/11/2026"), ("pix", "loja1"),
        ("pix", "PEDIDO-2026-000123"),
        ("card_terminal", "000123456"), ("credit_card", "AUT123456"), ("boleto", "0000000123"), ("cash", "caixa-000001"),
    ],
)  # fmt: skip
async def test_what_tells_no_payment_apart_may_repeat(
    shop: Shop, orders: list[UUID], kind: str, reference: str | None
) -> None:
    async with shop.database.transaction() as tx:
        for order_id in orders:
            await service.add_tender(tx, order_id, pix(order_id, reference, kind=kind))
        assert await tx.values("SELECT captured FROM order_payment") == [1000] * 3


async def test_a_payment_that_nobody_made_yet_is_on_no_order(shop: Shop, orders: list[UUID]) -> None:
    async with shop.database.transaction() as tx:
        await service.add_tender(tx, orders[0], pix(orders[0], state="pending"))
        await service.add_tender(tx, orders[1], pix(orders[1]))
    async with shop.database.transaction() as tx:
        with pytest.raises(PaymentElsewhere):
            await service.add_tender(tx, orders[0], pix(orders[0]))
    somewhere = Actor("person", "1", "Ana", permissions=frozenset(), locations=frozenset({999}))
    async with shop.database.transaction(somewhere) as tx:
        with pytest.raises(PaymentElsewhereUnseen):
            await service.add_tender(tx, orders[0], pix(orders[0]))


async def test_what_a_channel_tells_is_recorded_and_the_order_waits_for_a_person(
    shop: Shop, orders: list[UUID]
) -> None:
    async with shop.database.transaction() as tx:
        await service.add_tender(tx, orders[0], pix(orders[0]), told=True)
        await service.add_tender(tx, orders[1], pix(orders[1]), told=True)
        assert (await service.standing(tx, orders[1])).captured == 1000
        holds = await ordering.open_holds(tx, orders)
    assert [list(holds[o]) for o in orders] == [[], [HoldKind.PAYMENT_ELSEWHERE], []]
    desk = await shop.session(Role.MANAGER)
    page = (await shop.http.get("/orders/2", headers=desk)).text
    assert f"The payment {E2E.upper()} is recorded on order #1 too." in page
    lifted = {"kind": "payment_elsewhere", "reason": "one PIX for both"}
    assert 'id="dlg-resolve-payment_elsewhere"' in page
    assert (await shop.http.post("/orders/2/resolve", data=lifted, headers=desk)).status_code == 303
    async with shop.database.transaction() as tx:
        assert not (await ordering.open_holds(tx, [orders[1]]))[orders[1]]


async def test_a_shop_may_part_one_purchase_into_orders_that_one_payment_pays(shop: Shop, orders: list[UUID]) -> None:
    """It tells so itself, or a program of it records it; by hand it is a slip until somebody says otherwise."""
    assert shop.world is not None
    async with shop.database.transaction() as tx:
        sku = await a_product(tx, shop.world, "B", stock={"S1": 50})
        parts = [await an_order(tx, shop.world, [Sold(sku, 1, price=1000, at="S1")], paid=None) for _ in range(3)]
        await service.add_tender(tx, orders[0], pix(orders[0]), told=True)
        await service.add_tender(tx, parts[0], pix(parts[0]), told=True)
    key = await shop.key(["orders:read", "payments:record"])
    said = {"kind": "pix", "amount": 1000, "state": "captured", "reference": E2E}
    answer = await shop.http.post(f"/v1/orders/{parts[1]}/tenders", json=said, headers=key)
    assert answer.status_code in {200, 201}, answer.text
    desk = Actor("person", "1", "Ana")
    async with shop.database.transaction(desk) as tx:
        with pytest.raises(PaymentElsewhere):
            await service.add_tender(tx, parts[2], pix(parts[2]))
    async with shop.database.transaction() as tx:
        assert [(await service.standing(tx, part)).captured for part in parts] == [1000, 1000, 0]
        holds = await ordering.open_holds(tx, parts)
    assert [list(holds[part]) for part in parts] == [[], [], []]


def order_of(name: str, reference: str, channel: str = "web") -> dict[str, Any]:
    paid = [{"kind": "pix", "amount": 1000, "state": "captured", "reference": reference}]
    lines = [{"sku": "A", "quantity": 1, "unit_price": 1000}]
    return {"channel": channel, "external_id": name, "ship_to": ADDRESS, "lines": lines, "payments": paid}


async def test_orders_that_come_with_one_payment_are_taken_and_those_of_one_channel_wait(
    shop: Shop, orders: list[UUID]
) -> None:
    """Submitted at once, to the gate's batches as to one another."""
    channels = ("web", "mall")
    key = await shop.key(["intake:submit", "orders:read"])
    async with shop.database.transaction() as tx:
        await revisions.bump(tx, network.REVISION)

    async def submit(n: int) -> dict[str, Any]:
        said = order_of(f"X{n}", E2E, channels[n % 2])
        answer = await shop.http.post("/v1/orders", json=said, headers=key)
        assert answer.status_code in {200, 201}, answer.text
        return dict(answer.json())

    placed = await asyncio.gather(*map(submit, range(6)))
    placed += [await submit(6), await submit(7)]
    held = [one["holds"] for one in placed]
    had = held.index([]) % 2  # the channel whose order came first
    assert held[had::2] == [[]] * 4
    assert held[1 - had :: 2] == [["payment_elsewhere"]] * 4
    again = await submit(had)
    assert (again["holds"], again["result"]) == ([], "duplicate")
    other = await shop.http.post("/v1/orders", json=order_of("Y", E2E.replace("E18", "E19")), headers=key)
    assert other.json()["holds"] == []


async def test_an_order_taken_by_hand_is_not_placed_with_a_payment_of_another_one(counter: Shop) -> None:
    paid = {"channel": "mall", "pay": "paid", "paid_with": "pix", "reference": E2E}
    number = await place(counter, await with_option(counter, filled(await opened(counter), **paid)))
    second = await with_option(counter, filled(await opened(counter), **paid))
    assert f"is recorded on order {number} already" in refused(await send(counter, second))["reference"]


async def test_payments_that_were_on_two_orders_before_stay_so_and_the_first_one_has_it(
    shop: Shop, orders: list[UUID]
) -> None:
    script = (files("malha") / "migrations" / "0184_pre_payments.sql").read_text(encoding="utf-8")
    async with shop.database.transaction() as tx:
        for order_id in orders:
            await service.add_tender(tx, order_id, pix(order_id, " " + E2E.lower()), told=True)
            await service.add_tender(tx, order_id, pix(order_id, "pix"))
            await service.add_tender(tx, order_id, pix(order_id, "000123456", kind="card_terminal"))
        kept = await tx.tuples("SELECT reference, order_id FROM payment_claim")
        await tx.execute("DELETE FROM payment_claim")
        await tx.execute("INSERT" + script.partition("INSERT")[2])  # type: ignore[arg-type]
        assert await tx.tuples("SELECT reference, order_id FROM payment_claim") == kept == [(E2E.upper(), orders[0])]


FORGOTTEN = "DELETE FROM payment_claim"
RELEASED = "UPDATE migration SET applied_at = now() - %(ago)s::interval WHERE number = 184"


async def filled_in(shop: Shop) -> int:
    return sum([made async for made in claims.fill(shop.database)])


async def test_a_pix_that_the_former_program_recorded_gets_its_claim(shop: Shop, orders: list[UUID]) -> None:
    async with shop.database.transaction() as tx:
        await service.add_tender(tx, orders[0], pix(orders[0]))
        await service.add_tender(tx, orders[1], pix(orders[1], "nsu 17", kind="card_terminal"))
        await tx.execute(FORGOTTEN)  # as the former program wrote it
    assert await filled_in(shop) == 1
    assert await filled_in(shop) == 0
    async with shop.database.transaction() as tx:
        assert await tx.tuples("SELECT reference, order_id FROM payment_claim") == [(E2E.upper(), orders[0])]
        with pytest.raises(PaymentElsewhere):
            await service.add_tender(tx, orders[2], pix(orders[2]))
        # Long after the upgrade no such program runs, and nothing is looked through.
        await tx.execute(FORGOTTEN)
        await tx.execute(RELEASED, {"ago": timedelta(days=30)})
    assert await filled_in(shop) == 0


async def test_the_claims_of_many_entries_are_filled_step_by_step(
    shop: Shop, orders: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 2)
    said = [f"E18065234202611300812{n:011d}" for n in range(5)]
    async with shop.database.transaction() as tx:
        for reference in said:
            await service.add_tender(tx, orders[0], pix(orders[0], reference, amount=100))
        await tx.execute(FORGOTTEN)
    assert [made async for made in claims.fill(shop.database)] == [2, 2, 1, 0]
    async with shop.database.snapshot() as tx:
        assert sorted(await tx.values("SELECT reference FROM payment_claim")) == said


async def test_the_doctor_names_a_pix_on_orders_of_two_channels_until_somebody_is_asked(
    shop: Shop, orders: list[UUID]
) -> None:
    async with shop.database.transaction() as tx:
        for order_id in orders[:2]:
            await tx.execute(FORGOTTEN)  # the former program looks at none
            await service.add_tender(tx, order_id, pix(order_id))
        await tx.execute(FORGOTTEN)
    assert await filled_in(shop) == 1
    found = next(f for f in (await examine(shop.database)).findings if f.check == "pix_on_two_orders")
    assert (found.total, found.drifts) == (1, False)
    assert found.lines("en") == [f"Order 2: {E2E.upper()} pays order 1 already."]
    assert "já paga o pedido 1" in found.lines("pt-BR")[0]
    async with shop.database.transaction() as tx:
        await order_holds.ensure_holds(tx, {orders[1]: {"reference": E2E}}, HoldKind.PAYMENT_ELSEWHERE)
    assert "pix_on_two_orders" not in {f.check for f in (await examine(shop.database)).findings}
