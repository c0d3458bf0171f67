"""Purchase orders, receipts, transfers and counts in a real browser: by scanner, on the phone, in both languages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as stock
from malha.inventory.buckets.model import Bucket
from malha.inventory.counts import service as counts
from malha.inventory.counts import suspicions
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Habits, Limits, Suspicion
from malha.inventory.model import Claim, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft, ReceiptDraft, ReceivedLine
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Arrival, Arrived, Departure, TransferDraft
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id
from malha.testing.builders import in_days

from .conftest import NARROW, WIDE, apart, shot, unsound, violations
from .test_live_pages import Held

Visit = Callable[..., Page]
ANA, BIA = Actor("person", str(new_id()), "Ana"), Actor("person", str(new_id()), "Bia")
NAT, BHZ, JAB = "NAT-01", "BHZ-01", "CD-JAB"


async def fill(url: str) -> dict[str, Any]:
    """Goods in every state, at places other tests leave alone."""
    day = in_days(0)
    async with Database(url) as db:
        async with db.transaction() as tx:
            places = dict(await tx.tuples("SELECT code, id FROM location"))
            goods = await tx.tuples(
                "UPDATE variant SET gtin = (ARRAY['7891000315507', '7891000053508', '7891000100103'])[n.at]"
                " FROM (SELECT id, row_number() OVER (ORDER BY sku) AS at FROM variant WHERE NOT is_kit) n"
                " WHERE n.id = variant.id AND n.at <= 3 RETURNING variant.id, sku, variant.gtin"
            )
            skus = [id_ for id_, _, _ in sorted(goods, key=lambda row: row[1])]
            await stock.set_on_hand(
                tx, [Claim(sku, places[code], 40) for sku in skus for code in (NAT, BHZ, JAB)], Reference("test")
            )
        nat, jab, bhz = places[NAT], places[JAB], places[BHZ]
        async with db.transaction(ANA) as tx:
            lines = [InboundLineDraft(sku, 24, day + timedelta(days=9)) for sku in skus]
            order = await supply.place_order(
                tx,
                InboundDraft(
                    kind=InboundKind.PURCHASE,
                    supplier="Tecelagem Sul",
                    location_id=nat,
                    lines=lines,
                    reference="OC-2211",
                ),
            )
            await supply.reschedule(tx, order.number, {2: day + timedelta(days=16)}, "navio atrasado")
            arrived = [
                ReceivedLine(skus[0], 10),
                ReceivedLine(skus[0], 2, Bucket.QUALITY_CONTROL),
                ReceivedLine(skus[1], 3, Bucket.DAMAGED),
            ]
            receipt = await supply.receive(
                tx, ReceiptDraft(id=new_id(), location_id=nat, order_id=order.id, lines=arrived, document="NF-e 4417")
            )
            late = InboundDraft(
                kind=InboundKind.PRODUCTION,
                supplier="Fábrica Jaguaribe",
                location_id=jab,
                lines=[InboundLineDraft(skus[2], 60, day - timedelta(days=3))],
            )
            await supply.place_order(tx, late)
            ways = []
            for units in (5, 6, 7, 9):
                draft = TransferDraft(
                    origin_id=jab, destination_id=nat, lines=[(sku, units) for sku in skus], eta=day + timedelta(days=2)
                )
                ways.append(await transfers.request(tx, draft))
            for number in ways[1:]:
                await transfers.approve(tx, number)
            for number in ways[1:3]:
                await transfers.ship(tx, number, Departure(document="35261111222333000181550010000044171000044170"))
            for at, (truck, document) in enumerate((("Jadlog", "NF-e 4418"), ("Braspress", "NF-e 4431")), start=1):
                some = {1: 4 - at, 2: 2, 3: 0}
                left = Departure(
                    quantities=some, more_follows=True, document=document, carrier=truck, tracking_code=f"JD{at:09}BR",
                    eta=day + timedelta(days=at),
                )  # fmt: skip
                await transfers.ship(tx, ways[3], left)
            first = [Arrived(skus[0], 3), Arrived(skus[1], 1)]
            await transfers.receive(tx, ways[3], Arrival(id=new_id(), lines=first, shipment=1))
            arrival = Arrival(
                id=new_id(), lines=[Arrived(skus[0], 7), Arrived(skus[1], 5), Arrived(skus[1], 1, Bucket.DAMAGED)]
            )
            await transfers.receive(tx, ways[1], arrival)
            review = await counts.raise_count(
                tx, CountDraft(location_id=bhz, skus=skus, zone="Vitrine", limits=Limits(2, 50_000))
            )
            count = await counts.raise_count(tx, CountDraft(location_id=nat, skus=skus, zone="Corredor 3"))
            await counts.raise_count(tx, CountDraft(location_id=jab, kind=CountKind.PHYSICAL))
            await counts.enter(tx, review, [Entry(skus[0], 40), Entry(skus[1], 33), Entry(skus[2], 48)], {})
        async with db.transaction(BIA) as tx:
            await counts.enter(tx, review, [Entry(skus[1], 33)], {})
            habits = Habits(
                sku_id=skus[2],
                location_id=bhz,
                free=6,
                on_hand=40,
                short_picks=2,
                sales=31,
                observed=40.0,
                silence=11.0,
            )
            await suspicions.keep_back(tx, [Suspicion(habits, 93, 0.0002)])
    return {
        "order": order.number,
        "receipt": receipt.number,
        "asked": ways[0],
        "decide": ways[1],
        "sent": ways[2],
        "parts": ways[3],
        "review": review,
        "count": count,
        "sku": min(sku for _, sku, _ in goods),
    }


@pytest.fixture(scope="module")
def moving(seeded: str) -> dict[str, Any]:
    found: dict[str, Any] = apart(lambda: fill(seeded))
    return found


PAGES = {
    "orders": "/purchase-orders",
    "order": "/purchase-orders/{order}",
    "order-new": "/purchase-orders:new",
    "order-edit": "/purchase-orders/{order}/edit",
    "orders-none": "/purchase-orders?q=nowhere",
    "receive": "/receive?order={order}",
    "receipts": "/receipts",
    "receipt": "/receipts/{receipt}",
    "transfers": "/transfers",
    "transfer-new": "/transfers:new",
    "transfer-asked": "/transfers/{asked}",
    "transfer-decide": "/transfers/{decide}",
    "transfer-parts": "/transfers/{parts}",
    "transfer-receive": "/transfers/{sent}/receive",
    "counts": "/counts",
    "count-new": "/counts:new",
    "count-review": "/counts/{review}",
    "count-phone": "/counts/{count}/count",
    "suspicions": "/suspicions",
    "sku": "/stock/{sku}",
}


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "dark")],
    ids=["wide", "narrow"],
)
def test_every_page_is_sound_at_both_sizes_in_both_languages(
    visit: Visit, moving: dict[str, Any], size: Any, language: str, theme: str
) -> None:
    paths = {name: path.format(**moving) for name, path in PAGES.items()}
    wrong = unsound(visit, paths, size=size, language=language, theme=theme)
    assert not wrong, wrong


def scan(page: Page, code: str) -> None:
    """A scanner types quickly and ends with Enter."""
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def test_goods_are_received_by_scanner_damaged_ones_apart(visit: Visit, moving: dict[str, Any]) -> None:
    page = visit(f"/receive?order={moving['order']}", language="en")
    for _ in range(3):
        scan(page, "7891000315507")
    first = page.locator("[data-codes~='7891000315507']")
    expect(first.locator("input[name$='/sellable']")).to_have_value("3")
    page.get_by_label("Condition").select_option("damaged")
    page.locator("#scan").focus()
    scan(page, "7891000315507")
    expect(first.locator("input[name$='/damaged']")).to_have_value("1")
    scan(page, "4006381333931")
    expect(page.locator("[data-scan-says]")).to_contain_text("No SKU or GTIN is 4006381333931")
    page.get_by_role("button", name="Receive goods").click()
    expect(page.locator("#toasts")).to_contain_text("Goods received")
    expect(page.locator("main")).to_contain_text("Damaged")


def test_a_person_counts_on_the_phone_with_a_scanner_and_sees_no_expectation(
    visit: Visit, moving: dict[str, Any]
) -> None:
    page = visit(f"/counts/{moving['count']}/count", size=NARROW)
    expect(page.locator("#code")).to_be_focused()
    for _ in range(3):
        scan(page, "7891000315507")  # nobody waits for the answer
    expect(page.locator(".m-count-list b").first).to_have_text("3")
    expect(page.locator("#code")).to_be_focused()
    scan(page, "4006381333931")
    expect(page.locator("#scan-slot")).to_contain_text("Nenhum SKU ou GTIN")
    page.locator("#code").fill("7891000053508")
    page.locator("#quantity").fill("40")
    page.get_by_role("button", name="Incluir").click()
    expect(page.locator(".m-count-list li")).to_contain_text(["40", "3"])
    page.get_by_role("button", name="Pronto").click()
    expect(page.locator("#toasts")).to_contain_text("2 SKUs contados. 2 vão para uma segunda pessoa")
    expect(page.locator("main")).not_to_contain_text("Previsto")


def test_the_same_code_again_counts_though_the_answer_to_the_one_before_comes_before_its_enter(
    visit: Visit, moving: dict[str, Any]
) -> None:
    page = visit(f"/counts/{moving['count']}/count", size=NARROW)
    expect(page.locator("#code")).to_be_focused()
    held = Held(page, r"/scan$", "POST")
    scan(page, "7891000100103")
    held.wait()
    page.keyboard.type("7891000100103")
    held.let_go()
    expect(page.locator(".m-count-list b").first).to_have_text("1")
    page.keyboard.press("Enter")
    expect(page.locator(".m-count-list b").first).to_have_text("2")


def test_a_buyer_changes_an_open_order_and_is_told_which_field_cannot_be(visit: Visit, moving: dict[str, Any]) -> None:
    page = visit(f"/purchase-orders/{moving['order']}", language="en")
    page.get_by_role("link", name="Change order").click()
    quantity = page.locator("input[name='lines/0/quantity']")
    before = int(quantity.input_value())
    quantity.fill("0")
    page.get_by_role("button", name="Save changes").click()
    expect(quantity).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#refusal")).to_contain_text("Ordered: ")
    quantity.fill(str(before + 7))
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#toasts")).to_contain_text("Purchase order changed")
    expect(page.locator("main")).to_contain_text(str(before + 7))


def test_variances_are_approved_together_and_the_count_is_applied(visit: Visit, moving: dict[str, Any]) -> None:
    page = visit(f"/counts/{moving['review']}", language="en")
    expect(page.locator("main")).to_contain_text("−7")
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("toolbar").get_by_role("button", name="Approve").click()
    expect(page.locator("#toasts")).to_contain_text("1 variance approved")
    page.get_by_role("button", name="Close and apply").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Close and apply").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("wait for a recount")


def test_a_missing_unit_is_decided_on_the_page_of_its_transfer(visit: Visit, moving: dict[str, Any]) -> None:
    page = visit(f"/transfers/{moving['decide']}", language="en")
    todo = page.locator(".m-todo").filter(has_text="Missing")
    before = todo.count()
    todo.first.get_by_role("button", name="Decide").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Claimed from the carrier").check()
    dialog.get_by_role("button", name="Decide").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Give the number of the claim")
    dialog.get_by_label("Number of the claim").fill("SIN-77")
    dialog.get_by_role("button", name="Decide").click()
    expect(page.locator("#toasts")).to_contain_text("Decided")
    expect(todo).to_have_count(before - 1)
    expect(page.locator("main")).to_contain_text("SIN-77")


@pytest.mark.parametrize(("size", "language"), [(WIDE, "pt-BR"), (NARROW, "en")], ids=["wide", "narrow"])
def test_a_transfer_that_left_in_part_shows_its_shipments_and_asks_for_what_is_left(
    visit: Visit, moving: dict[str, Any], size: Any, language: str
) -> None:
    page = visit(f"/transfers/{moving['parts']}", size=size, language=language)
    shipments = page.locator("section").filter(has=page.locator("#h-ships")).locator("tbody tr")
    expect(shipments).to_have_count(2)
    shot(page, f"transfer-parts-{language}")
    page.locator("[data-open=dlg-ship]").click()
    dialog = page.locator("#dlg-ship")
    expect(dialog.locator("input[name='quantities/1']")).to_have_value("4")
    expect(dialog.locator("input[name='more_follows']")).to_be_checked()
    assert not violations(page)
    shot(page, f"transfer-ship-more-{language}", whole=False)
    page.keyboard.press("Escape")
    page.locator("[data-open=dlg-close]").click()
    shot(page, f"transfer-give-back-{language}", whole=False)
    page.keyboard.press("Escape")
    page.locator("[data-open=dlg-eta]").click()
    expect(page.locator("#dlg-eta select[name=shipment] option")).to_have_count(3)
    shot(page, f"transfer-day-{language}", whole=False)
    page.goto(page.url.partition("/transfers")[0] + "/transfers")
    shot(page, f"transfers-{language}")


def test_more_leaves_a_shipment_is_received_from_its_row_and_the_rest_is_given_back(
    visit: Visit, moving: dict[str, Any]
) -> None:
    page = visit(f"/transfers/{moving['parts']}", language="en")
    page.get_by_role("button", name="Ship more").click()
    dialog = page.get_by_role("dialog")
    for line, units in ((1, "2"), (2, "0"), (3, "0")):
        dialog.locator(f"input[name='quantities/{line}']").fill(units)
    dialog.get_by_label("Document").fill("NF-e 4502")
    dialog.get_by_role("button", name="Ship").click()
    expect(page.locator("#toasts")).to_contain_text("units are left to ship")
    third = page.locator("tr").filter(has_text="NF-e 4502")
    third.get_by_role("link", name="Receive shipment 3").click()
    expect(page.locator("main")).to_contain_text("shipment 3")
    page.locator("input[name$='/sellable']").first.fill("2")
    page.get_by_role("button", name="Receive goods").click()
    expect(page.locator("#toasts")).to_contain_text("The goods are received")
    expect(third).to_contain_text("Closed")
    page.get_by_role("button", name="Give the rest back").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("No truck this week")
    dialog.get_by_role("button", name="Give the rest back").click()
    expect(page.locator("#toasts")).to_contain_text("free again at the origin")
    expect(page.locator("main")).to_contain_text("No truck this week")
    expect(page.get_by_role("button", name="Ship more")).to_have_count(0)


def test_suspected_stock_says_why_and_is_lifted_by_who_saw_it(visit: Visit, moving: dict[str, Any]) -> None:
    page = visit("/suspicions", language="en")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("not found 2 times")
    row.get_by_role("checkbox").check()
    page.get_by_role("toolbar").get_by_role("button", name="I have seen it").click()
    page.get_by_role("dialog").get_by_role("button", name="It is there").click()
    expect(page.locator("#toasts")).to_contain_text("1 suspicion lifted")
