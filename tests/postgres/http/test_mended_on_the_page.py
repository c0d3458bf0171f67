"""What keeps an order is mended on its page, each hold beside what it says, and whatever the channel told of its money."""

import re

import pytest
from test_one_payment_one_order import E2E
from tests_http import Shop

from malha.identity.model import Role
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.payments import service as payments
from malha.payments.model import NewTender
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_network, a_product, an_order


async def order_of(shop: Shop, *, paid: str | None, holds: list[HoldKind], known: bool = True) -> UUID:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 50})
        sold = Sold(sku, 1, price=1000, at="S1") if known else Sold(None, 1, price=1000)
        return await an_order(tx, world, [sold], paid=paid, holds=holds)


@pytest.mark.parametrize("told", [None, "captured"])
async def test_money_that_no_channel_told_of_is_recorded_as_another_payment(shop: Shop, told: str | None) -> None:
    order = await order_of(shop, paid=None, holds=[HoldKind.PAYMENT])
    if told:  # a part of it; what is left comes by other means
        async with shop.database.transaction() as tx:
            tender = NewTender(order_id=order, position=0, kind="voucher", amount=400, state=told, reference="V-1")
            await payments.add_tender(tx, order, tender)
    desk = await shop.session(Role.MANAGER)
    page = (await shop.http.get("/orders/1", headers=desk)).text
    assert 'data-open="dlg-payment"' in page
    dialog = page.split('id="dlg-payment"')[1].split("</dialog>")[0]
    assert '<option value="another" selected>Another payment</option>' in dialog
    left = "6.00" if told else "10.00"
    assert f'value="{left}"' in dialog
    form = {"position": "another", "means": "pix", "kind": "captured", "amount": left, "reference": E2E}
    for _again in range(2):  # once, however often it is sent
        answer = await shop.http.post("/orders/1/payment", data=form, headers=desk)
        assert answer.status_code == 303, answer.text
    async with shop.database.snapshot() as tx:
        assert await tx.values("SELECT captured FROM order_payment") == [1000]
        assert await tx.values("SELECT count(*) FROM tender WHERE kind = 'pix'") == [1]
        assert await tx.values("SELECT kind FROM order_hold WHERE resolved_at IS NULL") == []
    page = (await shop.http.get("/orders/1", headers=desk)).text
    assert 'value="another"' not in page  # nothing is owed any more


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"means": "barter"}, "Choose how it was paid."),
        ({"kind": "declined"}, "Another payment is recorded once it is authorised or captured."),
        ({"amount": "much"}, "Write the amount like 1.126,40."),
        ({"reference": ""}, "Write the reference"),
    ],
)
async def test_another_payment_says_what_is_wrong_with_it(shop: Shop, wrong: dict[str, str], says: str) -> None:
    await order_of(shop, paid=None, holds=[HoldKind.PAYMENT])
    desk = await shop.session(Role.MANAGER)
    form = {"position": "another", "means": "pix", "kind": "captured", "amount": "10,00", "reference": E2E} | wrong
    in_place = {**desk, "HX-Request": "true", "X-Slot": "#slot-payment"}
    answer = await shop.http.post("/orders/1/payment", data=form, headers=in_place)
    assert answer.status_code == 422
    assert says in answer.text
    assert f'data-at="{next(iter(wrong))}"' in answer.text
    async with shop.database.snapshot() as tx:
        assert await tx.values("SELECT count(*) FROM tender") == [0]


async def test_what_mends_a_hold_stands_beside_it_though_another_one_comes_first(shop: Shop) -> None:
    await order_of(shop, paid="pending", holds=[HoldKind.PAYMENT, HoldKind.UNKNOWN_SKU, HoldKind.ADDRESS], known=False)
    page = (await shop.http.get("/orders/1", headers=await shop.session(Role.OWNER))).text
    first = re.search(r'class="m-btn m-btn-primary" type="button" data-open="([\w-]+)"', page)
    holds = page.split('<div class="m-holds">')[1].split('<div class="m-g-order">')[0]
    beside = re.findall(r'data-open="(dlg-(?:map|address|payment))"', holds)
    assert first
    assert len(beside) == 2
    assert {first[1], *beside} == {"dlg-map", "dlg-address", "dlg-payment"}


async def test_the_other_order_that_a_payment_is_on_is_a_click_away(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 50})
        made = [
            await an_order(tx, world, [Sold(sku, 1, price=1000, at="S1")], channel=channel, paid=None)
            for channel in ("web", "mall")
        ]
        for order in made:
            tender = NewTender(order_id=order, position=0, kind="pix", amount=1000, state="captured", reference=E2E)
            await payments.add_tender(tx, order, tender, told=True)
    page = (await shop.http.get("/orders/2", headers=await shop.session(Role.OWNER))).text
    assert 'href="/orders/1">Open #1</a>' in page


async def test_holds_that_begin_with_an_acronym_keep_it_within_a_sentence(shop: Shop) -> None:
    await order_of(shop, paid="captured", holds=[HoldKind.MANUAL, HoldKind.ADDRESS_CHECK, HoldKind.UNKNOWN_SKU])
    owner = await shop.session(Role.OWNER)
    page = (await shop.http.get("/orders/1", headers={**owner, "accept-language": "pt-BR"})).text
    assert "CEP de outro estado" in page.split('class="m-answers"')[1].split("</dl>")[0]
    assert "SKU desconhecido" in page.split('class="m-answers"')[1].split("</dl>")[0]


async def test_a_hold_for_an_address_says_what_is_missing_and_that_correcting_it_is_enough(shop: Shop) -> None:
    order = await order_of(shop, paid="captured", holds=[HoldKind.ADDRESS])
    owner = await shop.session(Role.OWNER)
    page = (await shop.http.get("/orders/1", headers=owner)).text
    assert "Missing, or no such thing" not in page  # a person placed it, and says why
    async with shop.database.transaction() as tx:
        detail = {"state": "SP", "missing": ["street", "postal_code"]}
        await ordering.lock_order(tx, order)
        await order_holds.restate_hold(tx, order, HoldKind.ADDRESS, detail)
    page = (await shop.http.get("/orders/1", headers=owner)).text
    holds = page.split('<div class="m-holds">')[1].split('<div class="m-g-order">')[0]
    assert "Missing, or no such thing: street, CEP." in holds
    assert "Correct the address; the order then goes on by itself." in holds
    page = (await shop.http.get("/orders/1", headers={**owner, "accept-language": "pt-BR"})).text
    assert "Falta ou não existe: rua, CEP." in page.split('<div class="m-holds">')[1]
