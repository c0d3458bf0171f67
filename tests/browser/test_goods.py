"""Stock, products and customers in a real browser: finding, opening beside the list, acting, both languages and sizes."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, violations

Visit = Callable[..., Page]
TOWEL = "AR-3307-TE"


def value_of(seeded: str, statement: str, *params: Any) -> Any:
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        row = connection.execute(statement, params).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]


# --- stock ---


def test_a_balance_opens_beside_the_matrix_and_an_adjustment_changes_both(visit: Visit, seeded: str) -> None:
    page = visit("/stock")
    cell = page.locator(f'[data-cell][href="/stock/{TOWEL}/REC-01"]')
    before = int(cell.locator("b").inner_text().replace("−", "-"))
    cell.click()
    drawer = page.locator("#drawer")
    expect(drawer.get_by_role("heading", level=2)).to_contain_text("Toalha de banho")
    expect(page).to_have_url(re.compile("open="))
    drawer.get_by_role("button", name="Ajustar saldo").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Diferença").fill("dois")
    dialog.get_by_role("button", name="Ajustar saldo").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Escreva de quantas unidades")
    dialog.get_by_label("Diferença").fill("-2")
    dialog.get_by_label("Motivo").select_option("damage")
    dialog.get_by_label("Anotação").fill("molhada na doca")
    dialog.get_by_role("button", name="Ajustar saldo").click()
    expect(page.locator("#toasts")).to_contain_text("Saldo ajustado")
    expect(cell.locator("b")).to_have_text(str(before - 2).replace("-", "−"))
    expect(drawer).to_contain_text("molhada na doca")
    page.reload()
    expect(drawer).to_contain_text("molhada na doca")
    page.get_by_role("button", name="Fechar", exact=True).click()
    expect(drawer).to_be_hidden()
    expect(cell).to_be_focused()


def test_arrow_keys_move_between_balances(visit: Visit) -> None:
    page = visit("/stock")
    cells = page.locator("tbody tr").first.locator("[data-cell]")
    cells.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("tbody tr").nth(1).locator("[data-cell]").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_be_visible()


def test_safety_stock_is_set_for_the_chosen_skus(visit: Visit, seeded: str) -> None:
    page = visit("/stock?location=NAT-01")
    boxes = page.locator("[data-select-row]")
    for i in (0, 1):
        boxes.nth(i).check()
    chosen = [int(boxes.nth(i).get_attribute("value") or 0) for i in (0, 1)]
    page.get_by_role("toolbar").get_by_role("button", name="Definir segurança").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Unidades").fill("4")
    dialog.get_by_role("button", name="Definir segurança").click()
    expect(page.locator("#toasts")).to_contain_text("Estoque de segurança definido em 2 SKUs")
    kept = value_of(
        seeded,
        "SELECT count(*) FROM balance b JOIN location l ON l.id = b.location_id WHERE l.code = 'NAT-01' AND safety = 4 AND b.sku_id = ANY(%s)",
        chosen,
    )
    assert kept == 2


def test_the_ledger_is_filtered_paged_and_leads_to_the_order(visit: Visit, seeded: str) -> None:
    sku, code = value_of(
        seeded,
        "SELECT v.sku || '/' || l.code FROM movement m JOIN variant v ON v.id = m.sku_id JOIN location l "
        "ON l.id = m.location_id WHERE m.reason = 'ship' ORDER BY m.id LIMIT 1",
    ).split("/")
    page = visit(f"/stock/{sku}/{code}")
    page.locator(".m-ledger-head select").select_option("ship")
    expect(page).to_have_url(re.compile("reason=ship"))
    rows = page.locator(".m-ledger tbody tr")
    expect(rows.first).to_contain_text("Expedido")
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")


PAGES = {"stock": "/stock", "balance": f"/stock/{TOWEL}/REC-01", "sku": f"/stock/{TOWEL}"}


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "light"), (WIDE, "dark"), (NARROW, "dark")])
def test_pages_are_accessible_and_fit(visit: Visit, size: Any, theme: str) -> None:
    page = visit(f"/stock?open={TOWEL}/REC-01", size=size, theme=theme)
    assert violations(page) == []
    for name, path in PAGES.items():
        page.goto(page.url.split("/stock")[0] + path)
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.parametrize(("language", "stock"), [("pt-BR", "Estoque"), ("en", "Stock")])
def test_headings_speak_the_readers_language(visit: Visit, language: str, stock: str) -> None:
    page = visit("/stock", language=language)
    expect(page.get_by_role("heading", level=1)).to_have_text(stock)
