"""The administrator's pages in a real browser: locations, prices, settings, audit, what needs attention."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, sideways, violations, walk

Visit = Callable[..., Page]
PAGES = {
    "locations": "/locations",
    "no location": "/locations?q=zzzz",
    "location": "/locations/REC-01",
    "new location": "/locations:new",
    "location's form": "/locations/REC-01/edit",
    "companies": "/companies",
    "company": "/companies/11222333",
    "establishment": "/establishments/REC-01",
    "new establishment": "/establishments:new",
    "channels": "/channels",
    "time to pay": "/payment-terms",
    "channel": "/channels/site",
    "channel's stock": "/channels/site/stock",
    "channel's form": "/channels/site/edit",
    "shipping": "/services",
    "service": "/services/expressa",
    "new service": "/services:new",
    "settings": "/settings",
    "audit": "/audit",
    "empty audit": "/audit?record=zzzz",
    "attention": "/attention",
}


@pytest.fixture
def stopped(seeded: str) -> Iterator[str]:
    """An order whose payments could not be handled; gone again afterwards."""
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        row = connection.execute("SELECT id, number FROM sales_order ORDER BY number DESC LIMIT 1").fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO parked_key (subscriber, key, state, cause, error, position)"
            " VALUES ('order_payments', %s, 'parked', 'ValueError', 'ValueError: sem conta', 1)",
            (f"order:{row[0]}",),
        )
        yield f"#{row[1]}"
        connection.execute("DELETE FROM parked_key")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide light", "narrow dark"])
@pytest.mark.usefixtures("stopped")
def test_pages_are_accessible_and_fit(visit: Visit, size: Any, theme: str) -> None:
    found = {}
    language = "en" if theme == "dark" else "pt-BR"
    walked = walk(visit, PAGES.values(), size=size, theme=theme, language=language)
    for name, (_, page) in zip(PAGES, walked, strict=True):
        found[name] = violations(page)
        if wide := sideways(page):
            found[name].append(f"{wide} px too wide")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("path", ["/locations/REC-01", "/services/expressa", "/companies/11222333", "/locations"])
def test_dialogs_are_accessible(visit: Visit, path: str) -> None:
    page = visit(path)
    found = {}
    for dialog in page.locator("main dialog").all():
        dialog.evaluate("dialog => dialog.showModal()")
        found[dialog.get_attribute("id")] = violations(page)
        dialog.evaluate("dialog => dialog.close()")
    assert found
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_what_else_a_page_offers_opens_across_a_phone(visit: Visit) -> None:
    page = visit("/locations/REC-01", size=NARROW)
    page.get_by_text("Mais", exact=True).click()
    sheet = page.locator("details[open] > .m-pop-body").bounding_box()
    assert sheet is not None
    left, right = sheet["x"], NARROW["width"] - sheet["x"] - sheet["width"]
    assert left == right > 0


def test_a_location_is_paused_with_a_reason_and_takes_work_again(visit: Visit) -> None:
    page = visit("/locations/NAT-01")
    page.get_by_role("button", name="Pausar este local").click()
    dialog = page.get_by_role("dialog", name="Pausar Natal Tirol?")
    dialog.get_by_label("Motivo").fill("Inventário")
    dialog.get_by_role("button", name="Pausar este local").click()
    expect(page.get_by_text("Em pausa: novos pedidos vão para outros locais")).to_be_visible()
    expect(page.locator(".m-answers").get_by_text("Inventário")).to_be_visible()
    page.get_by_role("button", name="Voltar a receber pedidos").click()
    expect(page.get_by_role("button", name="Pausar este local")).to_be_visible()


def test_several_locations_are_paused_and_resumed_at_once(visit: Visit) -> None:
    page = visit("/locations")
    page.get_by_label("Selecionar Salvador Barra").check()
    page.get_by_label("Selecionar Natal Tirol").check()
    page.get_by_role("toolbar").get_by_role("button", name="Pausar").click()
    page.get_by_role("dialog").get_by_label("Motivo").fill("Falta de energia")
    page.get_by_role("button", name="Pausar locais").click()
    expect(page.get_by_text("2 locais em pausa")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Em pausa")).click()
    expect(page.locator("[data-rows] > tr")).to_have_count(2)
    page.get_by_label("Selecionar todos nesta página").check()
    page.get_by_role("toolbar").get_by_role("button", name="Retomar").click()
    expect(page.get_by_text("2 locais voltaram a receber pedidos")).to_be_visible()


def test_a_wrong_hour_is_marked_and_the_rest_of_the_form_kept(visit: Visit) -> None:
    page = visit("/locations/BHZ-01/edit")
    page.get_by_role("button", name="Horário de segunda até sexta").click()
    expect(page.get_by_label("Sexta-feira, abre", exact=True)).to_have_value("00:00")
    page.get_by_label("Terça-feira, abre", exact=True).fill("26:00")
    page.get_by_label("Nome", exact=True).fill("Belo Horizonte Savassi Mall")
    page.get_by_role("button", name="Salvar local").click()
    wrong = page.get_by_label("Terça-feira, abre", exact=True)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Terça-feira, abre: Isto não é um horário.")
    wrong.fill("9h30")
    page.get_by_role("button", name="Salvar local").click()
    expect(page.get_by_role("heading", name="Belo Horizonte Savassi Mall")).to_be_visible()
    expect(page.get_by_text("09:30 – 24:00")).to_be_visible()


def test_a_day_is_closed_and_opened_again(visit: Visit) -> None:
    page = visit("/locations/SAO-01")
    page.get_by_role("button", name="Fechar em uma data").click()
    dialog = page.get_by_role("dialog", name="Fechar em uma data")
    dialog.get_by_label("Dia", exact=True).fill("2039-11-20")
    dialog.get_by_label("Motivo").fill("Consciência Negra")
    dialog.get_by_role("button", name="Fechar nessas datas").click()
    row = page.get_by_role("row", name=re.compile("Consciência Negra"))
    expect(row).to_contain_text("2039")
    row.get_by_role("button", name=re.compile("^Remover")).click()
    expect(row).to_have_count(0)


def test_prices_are_typed_into_the_grid_and_quoted(visit: Visit) -> None:
    page = visit("/services/expressa?origin=MG")
    page.get_by_label("Preço para MG, coluna 1", exact=True).fill("7,77")
    page.get_by_role("button", name="Salvar preços").click()
    expect(page.get_by_text("Preços salvos")).to_be_visible()
    expect(page.get_by_label("Preço para MG, coluna 1", exact=True)).to_have_value("7,77")
    page.get_by_label("De", exact=True).fill("30130-010")
    page.get_by_label("Para", exact=True).fill("MG")
    page.get_by_label("Peso (kg)").fill("2,5")
    page.get_by_role("button", name="Calcular").click()
    expect(page.locator("#quotes")).to_contain_text("R$ 7,77")  # the amount has a no-break space


def test_a_file_of_prices_tells_its_effect_before_it_replaces_them(visit: Visit, tmp_path: Path) -> None:
    page = visit("/services:new")
    page.get_by_label("Nome").fill("Econômica")
    page.get_by_label("Código").fill("economica")
    page.get_by_label("Transportadora").fill("Rota Sul")
    page.get_by_role("button", name="Criar modalidade de envio").click()
    expect(page.get_by_role("heading", name="Econômica")).to_be_visible()
    table = tmp_path / "precos.csv"
    table.write_text("origem;destino;até kg;preço;prazo\nSP;RJ;1;19,90;4\nSP;RJ;5;9,90;4\n", encoding="utf-8")
    page.get_by_role("button", name="Importar preços").click()
    page.get_by_label("Arquivo CSV").set_input_files(table)
    expect(page.get_by_text("corrija o arquivo primeiro")).to_be_visible()
    table = tmp_path / "precos-2.csv"
    table.write_text("origem;destino;até kg;preço;prazo\nSP;RJ;1;19,90;4\nSP;RJ;5;29,90;4\n", encoding="utf-8")
    page.get_by_label("Arquivo CSV").set_input_files(table)
    expect(page.get_by_text("Preços novos")).to_be_visible()
    page.get_by_role("button", name="Substituir a tabela").click()
    expect(page.get_by_text("2 preços alterados")).to_be_visible()
    expect(page.get_by_label("Preço para RJ, coluna 2", exact=True)).to_have_value("29,90")


def test_a_colour_is_shown_as_shoppers_will_see_it_and_saved(visit: Visit) -> None:
    page = visit("/settings")
    page.get_by_label("Cor", exact=True).fill("#ffe600")
    expect(page.locator("#sample")).to_contain_text("tom mais escuro")
    expect(page.get_by_label("Escolher a cor")).to_have_value("#ffe600")
    page.get_by_role("button", name="Salvar configurações").click()
    expect(page.get_by_text("Configurações salvas")).to_be_visible()
    expect(page.get_by_label("Cor", exact=True)).to_have_value("#ffe600")


def test_the_audit_trail_is_walked_by_keyboard(visit: Visit) -> None:
    page = visit("/audit?entity=order")
    first = page.locator("#detail h2.m-h2").inner_text()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#detail h2.m-h2")).not_to_have_text(first)
    expect(page.locator("[data-rows] > tr").nth(3)).to_have_attribute("aria-current", "true")
    page.locator("#detail").get_by_role("link", name="Abrir registro").click()
    expect(page).to_have_url(re.compile(r"/orders/\d+$"))


def test_what_stopped_is_shown_with_its_cause_and_tried_again(visit: Visit, stopped: str) -> None:
    page = visit("/attention")
    expect(page.get_by_role("heading", name="Efeito dos pagamentos")).to_be_visible()
    expect(page.get_by_role("link", name=stopped)).to_be_visible()
    expect(page.get_by_text("ValueError: sem conta")).to_be_visible()
    page.get_by_role("button", name="Reprocessar 1").click()
    expect(page.get_by_text("1 registro será reprocessado em um segundo.")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Nova tentativa automática 1"))).to_be_visible()
