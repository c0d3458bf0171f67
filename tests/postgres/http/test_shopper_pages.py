"""The shopper's pages over HTTP: who may see an order, what of it is shown, what can be asked, and who is kept out."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests_http import HOST, Shop, open_shop

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as work
from malha.fulfillment.errors import OrderStopped
from malha.fulfillment.model import Parcel, Tracking
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.ordering import edits
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.ordering.rules import Buyer
from malha.ordering.tracking import tracking_path
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.db import SYSTEM
from malha.platform.ids import UUID, new_id
from malha.platform.signing import keys_of
from malha.platform.subscribers import drain
from malha.shopper.meter import Meter
from malha.testing.builders import Sold, World, a_network, a_product, an_access_key, an_order

EMAIL = "maria@exemplo.com.br"
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": HOST}


class Case:
    """One order and its link."""

    def __init__(self, shop: Shop, world: World, order_id: UUID, number: int) -> None:
        self.shop, self.world, self.order_id, self.number = shop, world, order_id, number
        self.link = tracking_path(keys_of(shop.app.state.services.settings), order_id, at=datetime.now(UTC))

    async def page(self, language: str = "en", path: str = "") -> str:
        answer = await self.shop.http.get(self.link + path, headers={"accept-language": language})
        assert answer.status_code == 200, answer.text[:500]
        return words(answer.text)

    async def cancel(self, **chosen: str) -> Any:
        return await self.shop.http.post(
            f"{self.link}/cancel", data={name.replace("_", "-"): n for name, n in chosen.items()}, headers=FORM
        )

    async def work(self) -> list[UUID]:
        async with self.shop.database.transaction(SYSTEM) as tx:
            return [w.id for w in await work.release_order(tx, self.order_id)]

    async def status(self) -> str:
        async with self.shop.database.transaction() as tx:
            return (await ordering.lock_order(tx, self.order_id)).status

    async def told(self) -> None:
        await drain(self.shop.database, SUBSCRIPTIONS)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<body")[2])).replace("&#39;", "'")


async def a_case(shop: Shop, lines: Any = 2, **options: Any) -> Case:
    async with shop.database.transaction() as tx:
        await tx.execute("ALTER TABLE sales_order ALTER COLUMN number RESTART WITH 104641")
        world = await a_network(tx, policy=options.pop("policy", "required"))
        if isinstance(lines, dict):
            sku = await a_product(tx, world, "MUG", stock={"DC": 9, "S1": 9})
            lines = [Sold(sku, quantity, at=place) for place, quantity in lines.items()]
        order_id = await an_order(tx, world, lines, **options)
        number = await tx.value(
            "UPDATE sales_order SET buyer_email = %(e)s::text WHERE id = %(id)s::uuid RETURNING number",
            {"e": EMAIL, "id": order_id},
        )
    return Case(shop, world, order_id, number)


# --- who may see ---


async def test_whoever_has_the_link_sees_the_order_and_nobody_else_can_make_one_up(shop: Shop) -> None:
    case = await a_case(shop)
    assert f"Order {case.number}" in await case.page()
    for token in ("x", case.link.removeprefix("/track/")[:-2] + "AA", "A" * 90):
        answer = await shop.http.get(f"/track/{token}")
        assert answer.status_code == 404
        assert str(case.number) not in answer.text
    gone = tracking_path(keys_of(shop.app.state.services.settings), case.order_id, at=datetime(2020, 1, 1, tzinfo=UTC))
    assert (await shop.http.get(gone)).status_code == 410
    nobody = tracking_path(keys_of(shop.app.state.services.settings), new_id(), at=datetime.now(UTC))
    assert (await shop.http.get(nobody)).status_code == 404


async def test_number_and_e_mail_together_lead_to_the_link(shop: Shop) -> None:
    case = await a_case(shop)
    async with shop.database.transaction() as tx:
        external = await tx.value("SELECT external_id FROM sales_order WHERE id = %(id)s::uuid", {"id": case.order_id})
    for number in (str(case.number), f" #{case.number}", external):
        answer = await shop.http.post("/track", data={"number": number, "email": f" {EMAIL.upper()} "}, headers=FORM)
        assert answer.status_code == 303
        assert (
            f"Order {case.number}"
            in (await shop.http.get(answer.headers["location"], headers={"accept-language": "en"})).text
        )


async def test_a_wrong_e_mail_an_unknown_number_and_an_order_without_e_mail_get_the_same_answer(shop: Shop) -> None:
    case = await a_case(shop)
    async with shop.database.transaction() as tx:
        mute = await an_order(tx, case.world, 1)
        silent = (await ordering.lock_order(tx, mute)).number
    asked = [(case.number, "other@exemplo.com.br"), (999_999, EMAIL), (silent, EMAIL), (silent, ""), ("\x00", "\x00")]
    answers = [await shop.http.post("/track", data={"number": n, "email": e}, headers=FORM) for n, e in asked]
    assert {a.status_code for a in answers} == {404}
    bare = {re.sub(r'value="[^"]*"', "", a.text) for a in answers}
    assert len(bare) == 1


async def test_a_link_that_went_to_a_mistyped_address_leads_a_stranger_nowhere_once_it_is_corrected(shop: Shop) -> None:
    case = await a_case(shop)
    keys = keys_of(shop.app.state.services.settings)

    async def corrected(**buyer: Any) -> None:
        async with shop.database.transaction(SYSTEM) as tx:
            await edits.change_buyer(tx, case.order_id, Buyer(**buyer))

    await corrected(name="Maria", email="stranger@exemplo.com.br", phone="+5511987654321")
    mailed, texted = (
        tracking_path(keys, case.order_id, at=datetime.now(UTC), to=to)
        for to in ("stranger@exemplo.com.br", "+5511987654321")
    )
    assert [(await shop.http.get(link)).status_code for link in (mailed, texted)] == [200, 200]
    await corrected(name="Maria", email=EMAIL, phone="+5511987654321")
    for path in ("", "/cancel"):
        assert (await shop.http.get(mailed + path)).status_code == 410
    assert (await shop.http.post(f"{mailed}/cancel", data={"line-1": "1"}, headers=FORM)).status_code == 410
    assert (await shop.http.get(texted)).status_code == 200  # what went to the right telephone is as good as ever
    await corrected(name="Maria da Silva", email=EMAIL.upper(), phone=None)
    answer = await shop.http.post("/track", data={"number": case.number, "email": EMAIL}, headers=FORM)
    assert (await shop.http.get(answer.headers["location"])).status_code == 200
    assert (await shop.http.get(texted)).status_code == 410


async def test_guessing_has_to_wait_for_a_known_order_as_for_an_unknown_one(shop: Shop) -> None:
    case = await a_case(shop)
    for number in (case.number, 999_999):
        guess = {"number": number, "email": "a@b.co"}
        # Each failure beyond the first ones doubles the wait: however slow this machine is, one of these comes too soon.
        statuses = [(await shop.http.post("/track", data=guess, headers=FORM)).status_code for _ in range(12)]
        assert statuses[0] == 404
        assert 429 in statuses
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE login_attempt SET blocked_until = now() + interval '1 hour'")
    answer = await shop.http.post("/track", data={"number": case.number, "email": EMAIL}, headers=FORM)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_who_asks_for_one_customers_orders_from_ever_new_addresses_of_a_network_has_to_wait(
    shop: Shop, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8",))
        statuses = []
        for n in range(24):
            guess = {"number": 104_641 + n, "email": EMAIL}
            there = {"x-forwarded-for": f"2001:db8:1:2::{n:x}"}
            statuses.append((await behind.http.post("/track", data=guess, headers=FORM | there)).status_code)
    assert statuses[0] == 404
    assert 429 in statuses


async def test_one_order_is_guessed_at_however_its_number_is_written(shop: Shop, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8",))
        statuses = []
        for n in range(12):
            guess = {"number": "#" * (n % 2) + "0" * n + "104641", "email": f"guess{n}@exemplo.com.br"}
            there = {"x-forwarded-for": f"203.0.113.{n}"}
            statuses.append((await behind.http.post("/track", data=guess, headers=FORM | there)).status_code)
    assert statuses[0] == 404
    assert 429 in statuses


async def test_a_network_that_asks_for_more_pages_than_people_do_is_told_to_wait(shop: Shop) -> None:
    shop.app.state.shopper.meter = Meter(burst=3, per_minute=1)
    answers = [await shop.http.get("/track") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


# --- what is shown ---


async def test_a_shop_without_a_name_is_shown_by_a_drawing_not_by_a_question_mark(shop: Shop) -> None:
    page = (await shop.http.get("/track")).text
    assert '<span class="m-shop-mark" aria-hidden="true"><svg' in page


async def test_a_page_is_private_and_holds_no_more_than_a_buyer_needs(shop: Shop) -> None:
    case = await a_case(shop)
    answer = await shop.http.get(case.link)
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-robots-tag"].startswith("noindex")
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    for secret in ("Avenida Paulista", "01310100", "01310-100", "52998224725", "Maria da Silva", EMAIL):
        assert secret not in answer.text, secret
    assert "01310-•••" in answer.text
    assert "São Paulo" in answer.text


async def test_a_parcel_is_followed_from_order_to_door(shop: Shop) -> None:
    case = await a_case(shop, shipping=1500)
    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE sales_order SET promised_at = now() + interval '3 days' WHERE id = %(id)s::uuid",
            {"id": case.order_id},
        )
    assert "Arrives by" in await case.page()
    assert "you can cancel it yourself" in await case.page()
    [job] = await case.work()
    assert "We are preparing your order." in await case.page()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        [parcel] = await work.pack(tx, job, [Parcel()])
        await fiscal.record_document(tx, job, DocumentFacts(access_key=an_access_key(case.world)))
    await case.told()
    page = await case.page()
    assert "Your order is packed and about to leave." in page
    assert an_access_key(case.world)[:4] in page
    assert "Invoice issued" in page
    async with shop.database.transaction() as tx:
        tracking = Tracking(tracking_code="OY418220917BR", tracking_url="https://carrier.example/OY418220917BR")
        await work.ship(tx, job, [tracking])
    html = (await shop.http.get(case.link)).text
    assert '<a class="m-push" href="https://carrier.example/OY418220917BR" rel="noreferrer noopener">' in html
    assert "Correios" in words(html)
    assert "can no longer be cancelled" in await case.page()
    async with shop.database.transaction() as tx:
        await work.send_out(tx, parcel)
    await case.told()
    assert "Arrives today It is out for delivery." in await case.page()
    async with shop.database.transaction() as tx:
        await work.deliver(tx, parcel, received_by="Elisa Couto Prado")
    await case.told()
    page = await case.page()
    assert "Delivered on" in page
    assert "Elisa P." in page
    assert "Couto" not in page


async def test_several_parcels_are_told_apart(shop: Shop) -> None:
    case = await a_case(shop, {"DC": 2, "S1": 1}, policy="not_required")
    first, _second = await case.work()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, first)
        await work.pack(tx, first, [Parcel()])
        await work.ship(tx, first, [Tracking(tracking_code="BR1")])
    page = await case.page()
    assert "Part of it is on its way, we are preparing the rest" in page
    assert "Parcel 1 of 2 On its way" in page
    assert "Parcel 2 of 2 Being prepared" in page


async def test_a_broken_promise_is_said_first(shop: Shop) -> None:
    case = await a_case(shop)
    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE sales_order SET promised_at = now() - interval '2 days' WHERE id = %(id)s::uuid",
            {"id": case.order_id},
        )
    assert "Your order is late It was promised for" in await case.page()


async def test_who_waits_for_goods_is_told_the_same_in_every_place(shop: Shop) -> None:
    case = await a_case(shop)
    searched, made = "We are looking for", "We are waiting for the goods to arrive"
    for state, told, not_told in (("unplaced", searched, made), ("backordered", made, searched)):
        async with shop.database.transaction() as tx:
            asked = {"id": case.order_id, "state": state}
            await tx.execute("UPDATE order_unit SET state = %(state)s::text WHERE order_id = %(id)s::uuid", asked)
        page = await case.page()
        assert told in page
        assert not_told not in page


async def test_what_stops_an_order_is_said_without_its_inner_reasons(shop: Shop) -> None:
    case = await a_case(shop, holds=[HoldKind.FRAUD])
    page = await case.page()
    assert "We are checking your order" in page
    assert "raud" not in page
    unpaid = await a_case_more(case, paid="pending", holds=[HoldKind.PAYMENT])
    assert "We wait for the payment" in await unpaid.page()


async def a_case_more(case: Case, **options: Any) -> Case:
    async with case.shop.database.transaction() as tx:
        order_id = await an_order(tx, case.world, 1, **options)
        number = (await ordering.lock_order(tx, order_id)).number
    return Case(case.shop, case.world, order_id, number)


async def test_an_address_of_another_kind_than_a_web_page_becomes_no_link(shop: Shop) -> None:
    case = await a_case(shop, 1, policy="not_required")
    [job] = await case.work()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        await work.pack(tx, job, [Parcel()])
        await work.ship(tx, job, [Tracking(tracking_code="BR1")])
        await tx.execute("UPDATE shipment SET tracking_url = 'javascript:alert(1)'")
    assert "javascript:" not in (await shop.http.get(case.link)).text


# --- pickup ---


async def test_the_pickup_code_shows_when_the_goods_are_there_and_opens_the_hand_over(shop: Shop) -> None:
    sold = {"S1": 1}
    case = await a_case(shop, sold, method="pickup", policy="not_required")
    page = await case.page()
    assert "Where to collect S1" in page
    assert "Every day open all day" in page
    assert "Show this at the counter" not in page
    [job] = await case.work()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        await work.pack(tx, job, [Parcel()])
        await work.make_ready(tx, job)
        code = await work.pickup_code(tx, job)
    html = (await shop.http.get(case.link)).text
    assert '<svg aria-hidden="true" focusable="false" viewBox' in html
    assert f"{code[:3]} {code[3:]}" in html
    async with shop.database.transaction() as tx:
        assert (await work.hand_over(tx, job, code=f"{code[:3]} {code[3:]}", received_by="Maria")).done
    page = await case.page()
    assert code[:3] not in page
    assert "Collected on" in page


async def test_no_code_is_shown_while_a_hold_keeps_the_goods_or_after_too_many_wrong_ones(shop: Shop) -> None:
    case = await a_case(shop, {"S1": 1}, method="pickup", policy="not_required")
    [job] = await case.work()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        await work.pack(tx, job, [Parcel()])
        await work.make_ready(tx, job)
        code = await work.pickup_code(tx, job)
        await order_holds.place_hold(tx, case.order_id, HoldKind.FRAUD)
    assert f"{code[:3]} {code[3:]}" not in await case.page()
    async with shop.database.transaction() as tx:
        await order_holds.resolve_hold(tx, case.order_id, HoldKind.FRAUD)
    assert f"{code[:3]} {code[3:]}" in await case.page()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(5):
        async with shop.database.transaction() as tx:
            assert not (await work.hand_over(tx, job, code=wrong, received_by="Maria")).done
    assert "Ask at the counter for a new one" in await case.page()


# --- cancelling ---


async def test_what_nobody_works_on_is_cancelled_at_once_in_the_shoppers_name(shop: Shop) -> None:
    case = await a_case(shop)
    answer = await case.cancel(line_1="1", line_2="1", reason="by_mistake")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{case.link}?done=cancelled")
    assert await case.status() == "cancelled"
    await case.told()
    assert "Order cancelled Nothing will be delivered." in await case.page()
    async with shop.database.transaction() as tx:
        [(actor, after)] = await tx.tuples(
            "SELECT actor_kind || ':' || actor_id, after FROM audit WHERE action = 'order.cancelled'"
        )
        timeline = await tx.values("SELECT actor FROM order_timeline WHERE type = 'order.cancelled'")
    assert actor == f"shopper:{case.order_id}"
    assert timeline == [actor]
    assert after["reason"] == "Cancelado pelo cliente na página de acompanhamento: Comprei por engano"
    again = await case.cancel(line_1="1")
    assert (again.status_code, again.headers["location"]) == (303, case.link)


async def test_a_part_can_be_cancelled_and_the_rest_goes_on(shop: Shop) -> None:
    case = await a_case(shop)
    answer = await case.cancel(line_1="1", line_2="0")
    assert answer.headers["location"] == f"{case.link}?done=partly"
    assert await case.status() == "allocated"
    await case.told()
    page = await case.page()
    assert "Cancelled" in page
    assert "To be given back R$10.00 The money goes back the way it was paid." in page
    async with shop.database.transaction() as tx:
        await payments.record_fact(
            tx, case.order_id, Fact(position=1, kind=FactKind.REFUNDED, amount=1000, reference="r1")
        )
    page = await case.page()
    assert "Money given back R$10.00" in page
    assert "To be given back" not in page


async def test_of_several_lines_nothing_is_cancelled_that_was_not_chosen_unless_all_are(shop: Shop) -> None:
    case = await a_case(shop)
    page = (await shop.http.get(f"{case.link}/cancel", headers={"accept-language": "en"})).text
    firsts = re.findall(r'<select[^>]* name="line-(\d+)">\s*<option value="(\d+)"', page)
    assert firsts == [("1", "0"), ("2", "0")]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    fields |= {f"line-{line}": first for line, first in firsts}
    assert (await shop.http.post(f"{case.link}/cancel", data=fields, headers=FORM)).status_code == 422
    assert await case.status() == "allocated"
    button = re.search(r'name="([^"]+)" value="([^"]+)">Cancel all items', page)
    assert button is not None
    answer = await shop.http.post(f"{case.link}/cancel", data={**fields, button[1]: button[2]}, headers=FORM)
    assert answer.headers["location"] == f"{case.link}?done=cancelled"
    assert await case.status() == "cancelled"


async def test_a_form_that_is_sent_twice_cancels_its_units_once(shop: Shop) -> None:
    case = await a_case(shop, {"DC": 3})
    page = (await shop.http.get(f"{case.link}/cancel", headers={"accept-language": "en"})).text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)) | {"line-1": "1"}
    for outcome in (303, 409):
        answer = await shop.http.post(f"{case.link}/cancel", data=fields, headers={**FORM, "accept-language": "en"})
        assert answer.status_code == outcome
    assert "changed meanwhile. Look at what is left of it" in words(answer.text)
    async with shop.database.transaction() as tx:
        units = (await ordering.units_of(tx, [case.order_id]))[case.order_id]
    assert sorted((u.state.value, u.quantity) for u in units) == [("allocated", 2), ("cancelled", 1)]


async def test_once_work_began_a_person_decides_and_nothing_leaves_meanwhile(shop: Shop) -> None:
    case = await a_case(shop, policy="not_required")
    [job] = await case.work()
    assert "We are already preparing your order." in await case.page(path="/cancel")
    answer = await case.cancel(line_1="1", reason="too_slow")
    assert answer.headers["location"] == f"{case.link}?done=asked"
    assert await case.status() == "on_hold"
    async with shop.database.transaction() as tx:
        held = (await ordering.open_holds(tx, [case.order_id]))[case.order_id]
        assert "O prazo é longo demais" in held[HoldKind.MANUAL].detail["note"]
        await work.confirm_pick(tx, job)
        await work.pack(tx, job, [Parcel()])
        with pytest.raises(OrderStopped):
            await work.ship(tx, job)
    assert "You asked to cancel" in await case.page()
    assert (await shop.http.get(f"{case.link}/cancel")).status_code == 303


async def notes_of(shop: Shop) -> list[str]:
    async with shop.database.transaction() as tx:
        return await tx.values("SELECT text FROM order_note ORDER BY written_at")


@pytest.mark.parametrize("by", ["the shopper", "a colleague"])
async def test_asking_again_writes_nothing_more_whoever_stopped_the_order(shop: Shop, by: str) -> None:
    case = await a_case(shop, policy="not_required")
    await case.work()
    if by == "a colleague":
        async with shop.database.transaction() as tx:
            await order_holds.place_hold(tx, case.order_id, HoldKind.MANUAL, note="the colour is asked for")
    first = await case.cancel(line_1="1", reason="too_slow")
    assert first.headers["location"] == f"{case.link}?done=asked"
    written = await notes_of(shop)
    again = await asyncio.gather(*[case.cancel(line_1="1", reason="cheaper") for _ in range(5)])
    assert {answer.headers["location"] for answer in again} == {f"{case.link}?done=asked_before"}
    assert await notes_of(shop) == written
    assert "You asked for that already." in await case.page(path="?done=asked_before")
    assert "You asked to cancel" in await case.page()
    # What goes beyond it is no repetition.
    assert (await case.cancel(line_2="1")).headers["location"] == f"{case.link}?done=asked"
    assert len(await notes_of(shop)) == len(written) + 1
    async with shop.database.transaction() as tx:
        await order_holds.resolve_hold(tx, case.order_id, HoldKind.MANUAL, resolution="told them that it is on its way")
    assert (await case.cancel(line_1="1")).headers["location"] == f"{case.link}?done=asked"


async def test_of_many_who_ask_at_once_one_wish_is_written(shop: Shop) -> None:
    case = await a_case(shop, policy="not_required")
    await case.work()
    async with shop.database.transaction() as tx:
        await order_holds.place_hold(tx, case.order_id, HoldKind.MANUAL)
    answers = await asyncio.gather(*[case.cancel(line_1="1", line_2="1") for _ in range(6)])
    said = sorted(answer.headers["location"].partition("=")[2] for answer in answers)
    assert said == ["asked"] + ["asked_before"] * 5
    assert len(await notes_of(shop)) == 1


async def test_what_has_left_or_was_bought_on_a_marketplace_cannot_be_cancelled_here(shop: Shop) -> None:
    case = await a_case(shop, 1, policy="not_required")
    [job] = await case.work()
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        await work.pack(tx, job, [Parcel()])
        await work.ship(tx, job, [Tracking(tracking_code="BR1")])
    assert (await case.cancel(line_1="1")).status_code == 303
    assert await case.status() == "shipped"
    mall = await a_case_more(case, channel="mall", paid=None)
    assert "You bought this on mall" in await mall.page()
    assert (await mall.cancel(line_1="1")).status_code == 303
    assert await mall.status() == "allocated"


async def test_choosing_nothing_or_nonsense_is_refused_and_changes_nothing(shop: Shop) -> None:
    case = await a_case(shop)
    for chosen in ({}, {"line_1": "0"}, {"line_1": "-1"}, {"line_1": "²"}, {"line_9": "1"}):
        assert (await case.cancel(**chosen)).status_code == 422
    assert (await case.cancel(line_1="7")).status_code == 409
    assert await case.status() == "allocated"


async def test_another_site_cannot_cancel(shop: Shop) -> None:
    case = await a_case(shop)
    answer = await shop.http.post(f"{case.link}/cancel", data={"line-1": "1"}, headers={"origin": "https://evil.test"})
    assert answer.status_code == 403
    assert await case.status() == "allocated"


# --- the retailer's face ---


async def test_pages_carry_the_retailers_name_colour_contact_and_languages(shop: Shop) -> None:
    case = await a_case(shop)
    draft = RetailerDraft(name="Aroeira", colour="#0b6e4f", support_email="oi@aroeira.example", languages=("pt-BR",))
    async with shop.database.transaction() as tx:
        await retailer.change(tx, draft, 0)
    answer = await shop.http.get(case.link, headers={"accept-language": "en"})
    assert 'lang="pt-BR"' in answer.text
    assert "Aroeira" in answer.text
    assert "mailto:oi@aroeira.example" in answer.text
    sheet = await shop.http.get("/shop/colour/0b6e4f")
    assert "--m-brand:#0b6e4f" in sheet.text
    assert "immutable" in sheet.headers["cache-control"]
    assert (await shop.http.get("/shop/colour/red;}")).status_code == 404
    assert (await shop.http.get("/shop/logo/nothing")).status_code == 404


async def test_the_language_is_the_browsers_and_can_be_switched_and_kept(shop: Shop) -> None:
    case = await a_case(shop)
    assert "Pedido" in await case.page("pt-BR")
    assert "Order" in await case.page("en")
    chosen = await shop.http.get(f"{case.link}?language=pt-BR", headers={"accept-language": "en"})
    assert "Pedido" in chosen.text
    assert "malha_language=pt-BR" in chosen.headers["set-cookie"]


async def test_the_access_log_does_not_hold_the_key_to_an_order(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    case = await a_case(shop)
    shop.app.state.services.extra["flush_log"]()
    capsys.readouterr()
    for path in (case.link, f"{case.link}/cancel", f"{case.link}/nowhere/else"):
        await shop.http.get(path)
    shop.app.state.services.extra["flush_log"]()
    assert case.link not in capsys.readouterr().err
