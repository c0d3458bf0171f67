"""Field rules in a real browser: filled in, tried on the last orders, wrong cells marked, saved; what an order says besides."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import fields, inbox, service
from malha.channels.connecting.field_rules import FieldRule, Form
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.contract import ExtLine, ExtOrder, InboxEvent, Trust
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
PAGE = "/connections/ruled/fields"
HELD = """
UPDATE channel_inbox SET state = 'parked', cause = 'field', error = 'rule 1, buyer.document: attributes.cpf is missing.'
WHERE connection_id = (SELECT id FROM connection WHERE code = 'ruled') AND entity = 'order:3001'
"""
TAKEN = """
UPDATE channel_inbox SET state = 'done', done_at = now()
WHERE connection_id = (SELECT id FROM connection WHERE code = 'ruled') AND entity <> 'order:3001'
"""
RULES = [
    FieldRule(to="buyer.document", source="attributes._billing_cpf", form=Form.DOCUMENT, required=True),
    FieldRule(to="gift_message", source="note", if_field="attributes.gift", if_value="yes"),
    FieldRule(to="pickup_location", source="attributes.store", values={"Loja Centro": "S1", "Loja Norte": "S2"}),
    FieldRule(to="line.attributes.engraving", source="line.attributes.Gravação"),
    FieldRule(to="tags", default="marketplace"),
]
DETAILS = {
    "gift_message": "Feliz Natal, vó!\nCom carinho, Ana",
    "tags": ["marketplace", "vip"],
    "desired_on": "2026-12-24",
    "seller": "ana",
    "attributes": {"Embrulho": "vermelho"},
    "lines": [{"line": 1, "attributes": {"Gravação": "Ana & Zé"}}],
}


def told() -> list[InboxEvent]:
    events = []
    for n, attributes in enumerate(
        (
            {},
            {"_billing_cpf": "529.982.247-25", "gift": "yes"},
            {"_billing_cpf": "390.533.447-05", "store": "Loja Norte"},
        )
    ):
        lines = [ExtLine(quantity=1, unit_price=12990, sku="A", attributes={"Gravação": "Ana & Zé"} if n == 2 else {})]
        order = ExtOrder(
            id=f"300{n + 1}", version=1, placed_at=datetime.now(UTC), currency="BRL", lines=lines,
            note="Feliz Natal, vó!", attributes=attributes,
        )  # fmt: skip
        events.append(InboxEvent(dedup=f"o{n}", entity=f"order:{order.id}", trust=Trust.DATA, order=order))
    return events


@pytest.fixture(scope="module")
def ruled(seeded: str) -> Iterator[int]:
    """A connection with rules that told three orders, one of which waits; an order of ours that says more. Its number."""
    number = []

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="ruled", name="Loja virtual", connector="generic", channel=channel,
                config={"base_url": "https://loja.example/oms"},
            )  # fmt: skip
            made = await service.add_connection(tx, draft, Keys(b"k" * 32))
            await inbox.keep(tx, made.id, "pull", told())
            await fields.put(tx, "ruled", RULES, 0)
            await tx.execute(HELD)
            await tx.execute(TAKEN)
            order_id, found = (await tx.tuples("SELECT id, number FROM sales_order ORDER BY number LIMIT 1"))[0]
            body = msgspec.json.encode(DETAILS).decode()
            await tx.execute("INSERT INTO order_details VALUES (%s, %s::jsonb)", (order_id, body))
            number.append(found)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM order_details")
            await tx.execute("DELETE FROM channel_inbox")
            await tx.execute("DELETE FROM connection WHERE code = 'ruled'")

    apart(run)
    yield number[0]
    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_the_rules_and_what_an_order_says_besides_are_whole_in_both_languages_and_widths(
    visit: Visit, ruled: int, language: str, viewport: dict[str, int]
) -> None:
    for path, page in walk(visit, (PAGE, f"/orders/{ruled}"), language=language, size=viewport):
        assert violations(page) == []
        assert sideways(page) == 0
        if path == PAGE:  # every cell of a rule is seen without scrolling to the side
            wraps = page.locator(".m-table-wrap").evaluate_all("all => all.map(e => e.scrollWidth <= e.clientWidth)")
            assert all(wraps)
        shot(page, f"{'fields' if path == PAGE else 'details'}-{language}-{viewport['width']}")


@pytest.mark.usefixtures("ruled")
def test_rules_are_tried_corrected_in_the_cell_that_is_wrong_and_saved(visit: Visit) -> None:
    page = visit(PAGE, language="en")
    expect(page.get_by_role("heading", name="1 order waits because a rule fails")).to_be_visible()
    page.get_by_role("button", name="Try on the last orders").click()
    expect(page.get_by_role("heading", name="What these last 3 orders would have got")).to_be_visible()
    expect(page.locator("#tried")).to_contain_text("_billing_cpf is missing.")
    expect(page.locator("#tried")).to_contain_text("Pickup location: S2")
    assert violations(page) == []
    page.get_by_label("Required, row 1").select_option("")
    page.get_by_label("Field here, row 1").fill("buyer.shoe")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_label("Field here, row 1")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Field here, row 1").fill("buyer.document")
    page.get_by_role("button", name="Copy row 5").click()
    expect(page.get_by_label("If it is missing, row 6")).to_have_value("marketplace")
    page.get_by_label("If it is missing, row 6").fill("extra")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_text("6 rules saved; 1 order goes on")).to_be_visible()
    page.get_by_role("button", name="Let it count again").click()
    expect(page.get_by_text("They count again, as version 3")).to_be_visible()
