"""Vendors on screen: what they supply, what they are asked, their answers, and the order that waits for them."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.catalog import reads as catalog
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, NewPayment, Placed
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import OfferDraft
from malha.network import reads as network
from malha.platform.address import Address
from malha.platform.db import Actor, Database
from malha.routing.ruling import service
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, Where

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
ANA = Actor("person", "ana", "Ana Prado")
HOME = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


@pytest.fixture
def dropped(seeded: str) -> Iterator[dict[str, int]]:
    """A vendor that supplies one SKU, and two orders it is asked for; afterwards there are no rules."""
    found: dict[str, int] = {}

    async def write() -> None:
        async with Database(seeded) as database:
            async with database.transaction(ANA) as tx:
                await tx.execute(
                    "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state, document_policy)"
                    " SELECT id, 'FORN', 'Tecelagem Ipê', '70615123000112', 'SP', 'not_required' FROM legal_entity"
                    " ORDER BY id LIMIT 1 ON CONFLICT DO NOTHING"
                )
                await tx.execute(
                    "INSERT INTO location (code, name, kind, establishment_id, state)"
                    " SELECT 'IPE', 'Tecelagem Ipê', 'vendor', id, 'SP' FROM establishment WHERE code = 'FORN'"
                    " ON CONFLICT DO NOTHING"
                )
                place = await tx.value("SELECT id FROM location WHERE code = 'IPE'")
                sku = await tx.value("SELECT sku FROM variant WHERE NOT is_kit AND active ORDER BY id LIMIT 1")
                (card,) = await catalog.by_skus(tx, [sku])
                offer = OfferDraft(location_id=place, sku_id=card.id, vendor_sku="IP-1", unit_cost=3990, lead_days=2)
                await vendors.state_offers(tx, [offer])
                rule = Rule(
                    name="Só a tecelagem", where=Where(locations=["IPE"]), unfilled=Unfilled.DROP_SHIP, vendors=["IPE"]
                )
                draft = await service.start_draft(tx, Content(runs=[Run(name="Tudo", rules=[rule])]))
                found["draft"] = (await service.start_draft(tx, Content(runs=[Run(name="Tudo", rules=[rule])]))).id
                found["set"] = (await service.publish(tx, draft.id, draft.version)).id
                channel = (await network.channels(tx))[0]
            gate = Gate(database)
            await gate.open()
            for n in range(2):
                order = NewOrder(
                    channel=channel.code,
                    external_id=f"drop-{n}",
                    lines=[NewLine(sku, 2, 9900)],
                    ship_to=HOME,
                    payments=[NewPayment(kind="pix", amount=19800, state="captured")],
                )
                placed = await gate.submit(order)
                assert isinstance(placed, Placed)
                found[f"order{n}"] = placed.number
            await gate.close()
            async with database.transaction() as tx:
                numbers = await tx.values(
                    "SELECT number FROM drop_ship WHERE state = 'asked' ORDER BY number DESC LIMIT 2"
                )
                found["second"], found["first"] = numbers

    async def forget() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM routing_rule_set")
            await tx.execute("UPDATE sales_order SET external_id = id::text WHERE external_id LIKE 'drop-%%'")

    apart(write)
    yield found
    apart(forget)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", NARROW, "light"), ("pt-BR", NARROW, "dark")],
    ids=["pt-wide-light", "en-narrow-light", "pt-narrow-dark"],
)
def test_the_pages_of_vendors_have_no_barrier_and_nothing_sticks_out(
    visit: Visit,
    dropped: dict[str, int],
    language: str,
    size: dict[str, int],
    theme: str,
    request: pytest.FixtureRequest,
) -> None:
    look = request.node.callspec.id
    pages = {
        "list": "/drop-ships",
        "one": f"/drop-ships/{dropped['first']}",
        "offers": "/vendor-offers",
        "order": f"/orders/{dropped['order0']}",
        "rule": f"/routing-rules/{dropped['draft']}/runs/0/rules/0/edit",
        "set": f"/routing-rules/{dropped['set']}",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (_, page) in zip(pages, walked, strict=True):
        shot(page, f"drops-{name}-{look}")
        assert violations(page) == [], name
        assert sideways(page) == 0, name


def test_a_person_notes_what_a_vendor_says(visit: Visit, dropped: dict[str, int]) -> None:
    page = visit(f"/orders/{dropped['order0']}", language="en")
    expect(page.get_by_text("A vendor is to answer").first).to_be_visible()
    page.get_by_role("link", name=f"V{dropped['first']}").click()
    page.get_by_role("button", name="It accepts").click()
    page.locator("#dlg-accept").get_by_label("Vendor's number").fill("PV-9")
    page.locator("#dlg-accept").get_by_role("button", name="Save").click()
    expect(page.get_by_text("PV-9").first).to_be_visible()
    page.get_by_role("button", name="It has left").click()
    page.locator("#dlg-send").get_by_label("Tracking code").fill("BR123")
    page.locator("#dlg-send").get_by_role("button", name="It has left").click()
    expect(page.get_by_text("Left the vendor").first).to_be_visible()
    page = visit(f"/drop-ships/{dropped['second']}", language="en")
    page.get_by_role("button", name="It refuses").click()
    page.locator("#dlg-refuse").get_by_label("Reason").fill("out of yarn")
    page.locator("#dlg-refuse").get_by_role("button", name="Place it elsewhere").click()
    expect(page.get_by_text("Refused by the vendor").first).to_be_visible()


def test_what_a_vendor_supplies_is_stated_and_wrong_cells_say_so(visit: Visit, dropped: dict[str, int]) -> None:
    page = visit("/vendor-offers", language="en")
    page.get_by_role("button", name="New offer").click()
    form = page.locator("#dlg-new")
    form.get_by_label("SKU", exact=True).fill("NADA")
    form.get_by_label("Cost of a unit, R$").fill("12,50")
    form.get_by_label("Working days until it leaves").fill("3")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_text("There is no SKU NADA.").first).to_be_visible()
    page.goto(page.url)
    page.get_by_role("button", name="Edit").first.click()
    form = page.locator("dialog[open]")
    form.get_by_label("Cost of a unit, R$").fill("12.50")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text(re.compile("12.50")).first).to_be_visible()
    page = visit(f"/routing-rules/{dropped['draft']}/runs/0/rules/0/edit", language="en")
    page.get_by_label("Vendors, in order").fill("NOBODY")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_text("There is no location NOBODY.").first).to_be_visible()
