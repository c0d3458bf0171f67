"""Goods that come together and leave in one shipment, on the pages of the rule, the order and the location."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.platform.address import Address
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Rule, Run, Where

from .conftest import NARROW, WIDE, apart, shot, unsound

Visit = Callable[..., Page]
DEPOT, STORE = "CD-JAB", "NAT-01"
TOWEL, HAMMOCK = "AR-3307-TE", "AR-1180-CR"  # the depot has no towels
HOME = Address(postal_code="58038310", street="Avenida João Maurício", number="12", city="João Pessoa", state="PB")


async def fill(url: str) -> dict[str, Any]:
    """An order whose towels are brought to the depot that has its hammock; the rule that says so, and a draft of it."""
    async with Database(url) as db:
        async with db.transaction(Actor("person", "ana")) as tx:
            await store_lanes.state(tx, DEPOT, [StoreLaneDraft(origin=STORE, days=1, price=490)])
            rule = Rule(name="Em uma remessa", where=Where(locations=[DEPOT, STORE]), merge_at=DEPOT)
            content = Content(runs=[Run(name="Envios", rules=[rule, Rule(name="Separado")])])
            draft = await rule_sets.start_draft(tx, content)
            live = await rule_sets.publish(tx, draft.id, draft.version)
            other = await rule_sets.start_draft(tx, content)
            channel = await tx.value("SELECT code FROM channel WHERE kind = 'web' ORDER BY id LIMIT 1")
        gate = Gate(db)
        await gate.open()
        placed = await gate.submit(
            NewOrder(
                channel=channel,
                external_id=f"together-{new_id()}",
                lines=[NewLine(TOWEL, 2, 5_990), NewLine(HAMMOCK, 1, 34_990)],
                customer=Buyer(name="Iara Nogueira"),
                ship_to=HOME,
                payments=[NewPayment("pix", 46_970, "captured")],
            )
        )
        await gate.close()
    return {"order": placed.number, "set": live.id, "draft": other.id, "depot": DEPOT}


@pytest.fixture(scope="module")
def together(seeded: str) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = apart(lambda: fill(seeded))
    yield found

    async def forget() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM routing_rule_set")
            await store_lanes.state(tx, DEPOT, [])

    apart(forget)


PAGES = {
    "together-order": "/orders/{order}",
    "together-rule": "/routing-rules/{draft}/runs/0/rules/0/edit",
    "together-rules": "/routing-rules/{set}",
    "together-depot": "/locations/{depot}/brought",
}


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "dark")],
    ids=["wide", "narrow"],
)
def test_every_page_is_sound_at_both_sizes_in_both_languages(
    visit: Visit, together: dict[str, Any], size: Any, language: str, theme: str
) -> None:
    paths = {name: path.format(**together) for name, path in PAGES.items()}
    wrong = unsound(visit, paths, size=size, language=language, theme=theme)
    assert not wrong, wrong
    for name, path in paths.items():
        shot(visit(path, size=size, language=language, theme=theme), f"{name}-{language}")


def test_the_order_says_where_it_comes_together_and_why(visit: Visit, together: dict[str, Any]) -> None:
    page = visit(f"/orders/{together['order']}", language="en")
    expect(page.locator("#content")).to_contain_text("Comes together at")
    expect(page.locator("#content")).to_contain_text("CD Jaboatão sends it all in one")


def test_a_rule_is_given_a_place_that_goods_are_brought_to(visit: Visit, together: dict[str, Any]) -> None:
    page = visit(f"/routing-rules/{together['draft']}/runs/0/rules/0/edit", language="en")
    field = page.get_by_label("Goods come together at")
    expect(field).to_have_value(DEPOT)
    field.fill(STORE)
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_text(f"Goods are brought to {STORE} from nowhere.").first).to_be_visible()
    field.fill(DEPOT)
    page.get_by_role("button", name="Save rule").click()
    expect(page.locator("#content")).to_contain_text("in one shipment from CD Jaboatão")
