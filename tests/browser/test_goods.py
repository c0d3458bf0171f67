"""Stock, products and customers in a real browser: finding, opening beside the list, acting, both languages and sizes."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, sideways, violations

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
    page.locator(".m-ledger-head select[name=reason]").select_option("ship")
    expect(page).to_have_url(re.compile("reason=ship"))
    rows = page.locator(".m-ledger tbody tr")
    expect(rows.first).to_contain_text("Expedido")
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")


# --- products and customers ---


def test_a_long_form_of_a_product_is_saved_from_wherever_one_is_in_it(visit: Visit) -> None:
    for path, save in (("/products:new", "Criar produto"), ("/products/AR-5520-NA/edit", "Salvar produto")):
        page = visit(path, size=NARROW)
        expect(page.get_by_role("button", name=save)).to_be_in_viewport()
        page.get_by_role("button", name="Incluir variação").scroll_into_view_if_needed()
        expect(page.get_by_role("button", name=save)).to_be_in_viewport()


def test_a_weight_out_of_range_is_refused_in_the_unit_it_was_typed_in(visit: Visit) -> None:
    page = visit("/products/AR-5520-NA/edit")
    page.get_by_label("Peso").fill("-1")
    page.get_by_role("button", name="Salvar produto").click()
    expect(page.get_by_role("alert")).to_contain_text("Escreva um de 0 a 2.147.483")
    expect(page.get_by_role("alert")).not_to_contain_text("1000")


def test_a_product_is_edited_and_a_wrong_value_is_said_without_losing_the_form(visit: Visit, seeded: str) -> None:
    page = visit("/products/AR-5520-NA")
    page.get_by_role("link", name="Editar produto").click()
    page.get_by_label("Marca").fill("Cariri")
    page.get_by_label("NCM").fill("123")
    page.get_by_role("button", name="Salvar produto").click()
    expect(page.get_by_role("alert")).to_contain_text("123")
    expect(page.get_by_label("Marca")).to_have_value("Cariri")
    page.get_by_label("NCM").fill("5702.20.00")
    page.get_by_label("Peso").fill("6,35")
    page.get_by_role("button", name="Salvar produto").click()
    expect(page.locator("#toasts")).to_contain_text("Produto salvo")
    expect(page.get_by_text("6,35 kg")).to_be_visible()
    assert value_of(seeded, "SELECT brand || ' ' || ncm FROM product WHERE code = 'AR-5520-NA'") == "Cariri 57022000"


def test_a_product_is_taken_off_sale(visit: Visit) -> None:
    page = visit("/products/AR-2210-BR")
    page.get_by_role("button", name="Tirar de venda").click()
    page.get_by_role("dialog").get_by_role("button", name="Tirar de venda").click()
    expect(page.locator("#toasts")).to_contain_text("Produto fora de venda")
    page.get_by_role("button", name="Pôr à venda").click()
    page.get_by_role("dialog").get_by_role("button", name="Pôr à venda").click()
    expect(page.locator("#toasts")).to_contain_text("Produto à venda")


def test_a_customer_is_found_shown_in_full_with_a_reason_and_changed(visit: Visit, seeded: str) -> None:
    page = visit("/customers")
    page.get_by_label("Nome, CPF, CNPJ").fill("tainá")
    expect(page).to_have_url(re.compile("q=tain"))
    page.locator("[data-rows] a.m-id").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tainá Moura")
    number = page.url.rsplit("/", 1)[1]
    email = value_of(seeded, "SELECT email FROM customer WHERE number = %s", int(number))
    assert email not in page.content()
    page.get_by_role("button", name="Mostrar tudo").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Motivo").fill("transportadora pediu")
    dialog.get_by_role("button", name="Mostrar tudo").click()
    expect(page.get_by_text(email)).to_be_visible()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Editar cliente").click()
    dialog.get_by_label("CPF ou CNPJ").fill("111")
    dialog.get_by_role("button", name="Salvar cliente").click()
    expect(dialog.get_by_role("alert")).to_contain_text("111")
    dialog.get_by_label("CPF ou CNPJ").fill("")
    dialog.get_by_label("Nome").fill("Tainá Moura Lins")
    dialog.get_by_role("button", name="Salvar cliente").click()
    expect(page.locator("#toasts")).to_contain_text("Cliente salvo")
    expect(page.get_by_text("transportadora pediu")).to_be_visible()
    assert value_of(seeded, "SELECT email FROM customer WHERE number = %s", int(number)) == email


PAGES = {
    "stock": "/stock",
    "balance": f"/stock/{TOWEL}/REC-01",
    "sku": f"/stock/{TOWEL}",
    "products": "/products",
    "product": f"/products/{TOWEL}",
    "edit": f"/products/{TOWEL}/edit",
    "customers": "/customers",
    "customer": "/customers/1",
}


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "light"), (WIDE, "dark")])
def test_pages_are_accessible_and_fit(visit: Visit, address: str, size: Any, theme: str) -> None:
    page = visit(f"/stock?open={TOWEL}/REC-01", size=size, theme=theme)
    assert violations(page) == []
    for name, path in PAGES.items():
        page.goto(address + path)
        assert violations(page) == [], name
        assert sideways(page) == 0, name


def test_dialogs_are_accessible(visit: Visit) -> None:
    for path, opener in (
        (f"/stock/{TOWEL}/REC-01", "dlg-adjust"),
        (f"/stock/{TOWEL}", "dlg-count"),
        (f"/products/{TOWEL}", "dlg-active"),
        ("/customers/1", "dlg-edit"),
        ("/customers/1", "dlg-reveal"),
    ):
        page = visit(path)
        page.locator(f"[data-open={opener}]").first.click()
        assert violations(page) == [], opener


@pytest.mark.parametrize(
    ("path", "portuguese", "english"),
    [("/stock", "Estoque", "Stock"), ("/products", "Produtos", "Products"), ("/customers", "Clientes", "Customers")],
)
def test_headings_speak_the_readers_language(visit: Visit, path: str, portuguese: str, english: str) -> None:
    for language, heading in (("pt-BR", portuguese), ("en", english)):
        page = visit(path, language=language)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
