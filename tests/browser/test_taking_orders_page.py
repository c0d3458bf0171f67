"""An order taken by hand: no barrier in any look, the whole way of it by the keyboard and on a phone, one order in the end."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from playwright.sync_api import APIResponse, Error, Page, Route, expect

from .conftest import NARROW, WIDE, patient, shot, stand_in, violations

Visit = Callable[..., Page]
WORDS = {
    "pt-BR": {
        "title": "Novo pedido", "name": "Nome", "document": "CPF ou CNPJ", "goods": "SKU, GTIN ou parte do nome", "street": "Rua",
        "number": "Número", "later": "Na entrega ou na retirada", "pix": "Pix, a pagar", "place": "Fazer pedido",
        "taken": "Pedido anotado por Helena Prates", "note": "Anotação", "wrong": "não é CPF nem CNPJ", "pickup": "Retirada em loja",
    },
    "en": {
        "title": "New order", "name": "Name", "document": "CPF or CNPJ", "goods": "SKU, GTIN or part of the name", "street": "Street",
        "number": "Number", "later": "On delivery or at pickup", "pix": "Pix, to be paid", "place": "Place order",
        "taken": "Order taken by Helena Prates", "note": "Note", "wrong": "is no CPF or CNPJ", "pickup": "Pickup at a store",
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def named_goods(seeded: str) -> Iterator[None]:
    """Goods that are found by their names; the seeded ones are there by their codes alone."""
    with patient(seeded) as connection:
        connection.execute("UPDATE variant SET folded = lower(sku || ' ' || name)")
    yield
    with patient(seeded) as connection:
        connection.execute("UPDATE variant SET folded = ''")


def orders(seeded: str, key: str) -> int:
    with psycopg.connect(seeded, options="-c search_path=malha") as connection:
        row = connection.execute("SELECT count(*) FROM sales_order WHERE external_id = %s", [key]).fetchone()
    assert row is not None
    return int(row[0])


def add(page: Page, field: str, text: str) -> None:
    """Type into a search and take the first that is found with Enter."""
    page.get_by_label(field, exact=True).press_sequentially(text)
    expect(page.locator("#goods-found [role=option]").first).to_be_visible()
    page.keyboard.press("Enter")


def too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "light"), ("en", NARROW, "dark")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-light", "en-narrow-dark"],
)
def test_an_order_is_taken_from_the_first_word_to_its_page(
    visit: Visit,
    seeded: str,
    settle: Callable[[], None],
    language: str,
    size: Any,
    theme: str,
    request: pytest.FixtureRequest,
) -> None:
    say, look = WORDS[language], request.node.callspec.id
    page = visit("/orders/new", language=language, size=size, theme=theme)
    expect(page.get_by_role("heading", level=1)).to_have_text(say["title"])
    key = page.locator("[name=key]").input_value()
    page.locator("#f-channel").select_option("site")
    page.get_by_label(say["name"], exact=True).fill("Ana Balcão")
    page.get_by_label(say["document"]).fill("529.982.247-26")
    add(page, say["goods"], "felpa")
    expect(page.locator("[data-line]")).to_have_count(1)
    expect(page.locator("#l0-q")).to_be_focused()  # how many comes next; Enter goes back to the search
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(page.locator("#f-goods")).to_be_focused()
    add(page, say["goods"], "rede")
    expect(page.locator("[data-line]")).to_have_count(2)
    page.locator("#f-postal_code").fill("01310-100")
    expect(page.locator("#cep-says")).to_have_text(re.compile("São Paulo . SP"))
    page.get_by_label(say["street"], exact=True).fill("Av. Paulista")
    page.get_by_label(say["number"], exact=True).fill("10")
    page.get_by_label(say["pix"]).check()
    expect(page.locator("#offers [name=option]:checked")).to_have_count(1)
    page.get_by_label(say["note"], exact=True).fill("Portaria")
    shot(page, f"taking-{look}", whole=False)
    assert violations(page) == []
    assert not too_wide(page)
    page.get_by_role("button", name=say["place"]).click()
    # A wrong CPF: it is told at its field, and nothing that was typed is lost.
    wrong = page.locator("#f-document")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#refusal")).to_contain_text(say["wrong"])
    expect(page.locator("#l0-q")).to_have_value("2")
    shot(page, f"taking-refused-{look}", whole=False)
    assert violations(page) == []
    assert orders(seeded, key) == 0
    wrong.fill("529.982.247-25")
    wrong.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/orders/\d+$"), timeout=60_000)
    assert orders(seeded, key) == 1
    settle()
    page.reload()
    expect(page.get_by_text(say["taken"])).to_be_visible()
    assert not too_wide(page)


def test_an_order_is_taken_without_a_mouse(visit: Visit, seeded: str) -> None:
    """Tab and Enter alone, in the order in which a call goes; a customer who is known; fetched at a store."""
    page = visit("/orders/new", language="pt-BR")
    key = page.locator("[name=key]").input_value()
    page.locator("#f-channel").focus()
    page.keyboard.type("Loja")
    page.keyboard.press("Tab")
    expect(page.locator("#f-who")).to_be_focused()
    page.keyboard.type("Luíza Tavares")
    expect(page.locator("#who-found [role=option]").first).to_contain_text("Luíza Tavares")
    page.keyboard.press("Enter")
    expect(page.locator(".m-take-buyer")).to_contain_text("Luíza Tavares")
    expect(page.locator("#f-goods")).to_be_focused()
    page.keyboard.type("toalha")
    expect(page.locator("#goods-found [role=option]").nth(1)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#goods-1")).to_have_attribute("aria-selected", "true")
    assert page.locator("#f-goods").get_attribute("aria-activedescendant") == "goods-1"
    page.keyboard.press("Enter")
    expect(page.locator("#l0-q")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("[name=method][value=ship]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[name=method][value=pickup]")).to_be_checked()
    first = page.locator("#offers [name=option]").first
    expect(first).to_be_visible()
    first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#offers [name=option]:checked")).to_have_count(1)
    page.locator("[name=pay][value=pix]").focus()
    page.keyboard.press("Space")
    expect(page.locator("#sum")).not_to_contain_text("0 unidades")
    page.keyboard.press("Enter")  # a key too many places nothing
    assert orders(seeded, key) == 0
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/orders/\d+$"), timeout=60_000)
    assert orders(seeded, key) == 1


def test_what_is_short_is_told_with_ways_out_and_codes_are_scanned_one_after_the_other(visit: Visit) -> None:
    page = visit("/orders/new", language="en", size=NARROW)
    page.locator("#f-channel").select_option("site")
    field = page.locator("#f-goods")
    for code in ("AR-3307-TE", "AR-3308-MA", "AR-3307-TE"):  # quicker than the list below can answer
        field.fill(code)
        field.press("Enter")
    expect(page.locator("[data-line]")).to_have_count(2)
    expect(page.locator("#l0-q")).to_have_value("2")
    field.fill("no such code")
    field.press("Enter")
    expect(page.locator("#goods-says")).to_contain_text("no such code")
    page.locator("#f-postal_code").fill("50030-230")
    page.locator("#l0-q").fill("90000")
    page.locator("#l0-q").press("Enter")
    take = page.get_by_role("button", name=re.compile("^Take "))
    expect(take).to_be_visible()
    shot(page, "taking-short", whole=False)
    assert violations(page) == []
    assert not too_wide(page)
    take.click()
    expect(page.locator("#l0-q")).not_to_have_value("90000")
    expect(take).to_have_count(0)
    page.locator("[data-line]").nth(1).get_by_role("button").click()
    expect(page.locator("[data-line]")).to_have_count(1)


def test_ways_to_the_form_stand_on_the_list_the_order_and_the_customer(visit: Visit) -> None:
    page = visit("/orders", language="en")
    page.get_by_role("link", name="New order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New order")
    page.goto(page.url.replace("/orders/new", "/customers"))
    page.locator("tbody tr a").first.click()
    page.get_by_role("link", name="New order").click()
    expect(page.locator(".m-take-buyer")).to_be_visible()


STATED = """
WITH one AS (INSERT INTO capacity_plan (location_id) SELECT id FROM location WHERE can_ship
             ON CONFLICT (location_id) DO UPDATE SET version = capacity_plan.version + 1 RETURNING location_id)
INSERT INTO capacity_template (location_id, kind, weekday, starts, ends, quota)
SELECT location_id, 'delivery', weekday, starts, ends, 1 FROM one, generate_series(1, 7) weekday,
       (VALUES ('08:00'::time, '13:00'::time), ('13:00', '19:00')) t (starts, ends)
"""
FILLED = """
INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, confirmed)
SELECT l.id, 'delivery', split_part(%(slot)s, '|', 1)::date, t.starts, t.ends, 1, 1, 1
FROM location l JOIN capacity_template t ON t.location_id = l.id AND t.kind = 'delivery'
WHERE l.code = split_part(%(slot)s, '|', 3) AND t.weekday = 1 AND t.starts = split_part(%(slot)s, '|', 2)::time
"""


@pytest.fixture
def slots(seeded: str) -> Iterator[None]:
    """Every location that sends delivers in slots of one customer each."""
    bump = "INSERT INTO revision (name, n) VALUES ('capacity', 1) ON CONFLICT (name) DO UPDATE SET n = revision.n + 1"
    with patient(seeded) as connection:
        connection.execute(STATED)
        connection.execute(bump)
    yield
    with patient(seeded) as connection:
        connection.execute("DELETE FROM capacity_template WHERE kind = 'delivery'")
        connection.execute(
            "DELETE FROM capacity_slot s WHERE NOT EXISTS (SELECT FROM capacity_reservation r"
            " WHERE (r.location_id, r.kind, r.day, r.starts) = (s.location_id, s.kind, s.day, s.starts))"
        )
        connection.execute(bump)


def test_a_slot_that_is_chosen_while_an_answer_is_under_way_stays_chosen(visit: Visit, slots: None) -> None:
    page = visit("/orders/new", language="pt-BR")
    page.locator("#f-channel").select_option("site")
    add(page, "SKU, GTIN ou parte do nome", "felpa")
    expect(page.locator("[data-line]")).to_have_count(1)
    page.locator("#f-postal_code").fill("01310-100")
    slot = page.get_by_label("Horário de entrega")
    expect(slot.locator("option").nth(2)).to_be_attached()
    page.wait_for_load_state("networkidle")
    under_way: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if under_way:
            route.continue_()
        else:
            under_way.append((route, route.fetch()))

    stand_in(page, "**/orders/new/offers", hold)
    page.get_by_label("Pix, a pagar").check()
    page.wait_for_timeout(1_500)
    [(route, answer)] = under_way
    slot.select_option(index=1)
    value = slot.input_value()
    with suppress(Error):  # nobody waits for it any more
        route.fulfill(response=answer)
    page.wait_for_timeout(1_500)
    page.wait_for_load_state("networkidle")
    assert value
    assert slot.input_value() == value


def test_a_slot_that_fills_while_the_form_is_open_is_told_and_stays_chosen_until_another_one_is(
    visit: Visit, seeded: str, slots: None
) -> None:
    page = visit("/orders/new", language="pt-BR")
    key = page.locator("[name=key]").input_value()
    page.locator("#f-channel").select_option("site")
    page.get_by_label("Nome", exact=True).fill("Ana Balcão")
    add(page, "SKU, GTIN ou parte do nome", "felpa")
    expect(page.locator("[data-line]")).to_have_count(1)
    page.locator("#f-postal_code").fill("01310-100")
    page.get_by_label("Rua", exact=True).fill("Av. Paulista")
    page.get_by_label("Número", exact=True).fill("10")
    page.get_by_label("Pix, a pagar").check()
    slot = page.get_by_label("Horário de entrega")
    expect(slot.locator("option").nth(2)).to_be_attached()
    slot.select_option(index=1)
    value = slot.input_value()
    with patient(seeded) as connection:
        connection.execute(FILLED, {"slot": value})
    page.get_by_role("button", name="Fazer pedido").click()
    expect(page.locator("#refusal")).to_contain_text("agora está cheio")
    expect(page.locator("#f-slot-lost")).to_contain_text("agora está cheio")
    assert slot.input_value() == value
    assert page.get_by_label("Rua", exact=True).input_value() == "Av. Paulista"
    assert violations(page) == []
    shot(page, "taking-slot-full", whole=False)
    assert orders(seeded, key) == 0
    slot.select_option(index=2)
    page.get_by_role("button", name="Fazer pedido").click()
    expect(page).to_have_url(re.compile(r"/orders/\d+$"), timeout=60_000)
    assert orders(seeded, key) == 1
