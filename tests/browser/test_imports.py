"""Bringing a table in a real browser: columns, check, import, the rows to mend; both languages, wide and narrow, no axe findings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect
from xlsxwriter import Workbook

from malha.exchange import service, undoing
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]


@pytest.fixture
def work(seeded: str) -> Callable[[], None]:
    """Do what the worker would: check, apply or undo the newest import."""

    async def run() -> None:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                newest = await tx.value("SELECT id FROM import_run ORDER BY number DESC LIMIT 1")
            await service.go_on.work(database, run_id=str(newest))
            await undoing.take_back.work(database, run_id=str(newest))

    return lambda: apart(run)


def a_sku(seeded: str) -> str:
    with psycopg.connect(seeded) as connection:
        row = connection.execute("SELECT sku FROM malha.variant WHERE NOT is_kit ORDER BY sku LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


def a_file(tmp_path: Path, seeded: str) -> Path:
    file = tmp_path / "preços de novembro.csv"
    file.write_bytes(f"código;valor;obs\n{a_sku(seeded)};49,90;x\nNAO-EXISTE;10,00;y\n".encode("cp1252"))
    return file


def test_a_check_of_which_nobody_knows_how_long_it_is_does_not_look_as_if_nothing_was_done(
    visit: Visit, seeded: str, tmp_path: Path
) -> None:
    page = visit("/imports")
    page.get_by_label(re.compile("arquivo.*Preços")).set_input_files(a_file(tmp_path, seeded))
    page.get_by_role("button", name="Verificar todas as linhas").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    drawn = "each => getComputedStyle(each).backgroundImage.split('(')[0]"  # tests keep nothing moving
    assert bar.evaluate(drawn) == "linear-gradient"
    with psycopg.connect(seeded) as connection:  # all rows are read, and it goes on: kits come last
        connection.execute("UPDATE malha.import_run SET turn = 1, seen = 2, total = 2 WHERE state = 'checking'")
    expect(page.get_by_text("2 linhas lidas; agora os kits e substitutos são vistos")).to_be_visible()
    assert bar.evaluate(drawn) == "linear-gradient"
    expect(page.get_by_text("100%")).to_have_count(0)
    assert violations(page) == []


def test_a_table_is_uploaded_mapped_checked_and_imported(
    visit: Visit, seeded: str, work: Callable[[], None], tmp_path: Path
) -> None:
    page = visit("/imports")
    expect(page.get_by_role("heading", name="Importar e exportar")).to_be_visible()
    assert violations(page) == []
    page.get_by_label(re.compile("arquivo.*Preços")).set_input_files(a_file(tmp_path, seeded))
    expect(page).to_have_url(re.compile(r"/imports/\d+$"))
    expect(page.get_by_text("Windows-1252, ponto e vírgula")).to_be_visible()
    expect(page.get_by_label(re.compile("^código"))).to_have_value("sku")
    expect(page.get_by_label(re.compile("^obs"))).to_have_value("")
    assert violations(page) == []
    page.get_by_role("button", name="Verificar todas as linhas").click()
    expect(page.get_by_role("status").filter(has_text="nada é gravado ainda")).to_be_visible()
    assert violations(page) == []
    work()
    expect(page.get_by_role("button", name="Importar 1 linha")).to_be_visible()  # the page asks by itself
    expect(page.get_by_role("cell", name=re.compile("Não existe o SKU NAO-EXISTE"))).to_be_visible()
    assert violations(page) == []
    expect(page.get_by_text("Pode ser desfeita por 30 dias")).to_be_visible()
    page.get_by_role("button", name="Importar 1 linha").click()
    expect(page.get_by_text("As linhas estão sendo gravadas")).to_be_visible()
    work()
    expect(page.get_by_text("Importada", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Linhas recusadas, para corrigir.*CSV")).click()
    mended = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert mended[0] == "código;valor;obs;O que está errado"
    assert mended[1].startswith("NAO-EXISTE;10,00;y;")


def test_what_is_no_table_is_refused_where_it_was_sent(visit: Visit, tmp_path: Path) -> None:
    page = visit("/imports")
    file = tmp_path / "foto.xlsx"
    file.write_bytes(b"PK\x03\x04 no workbook")
    page.get_by_label(re.compile("arquivo.*Estoque")).set_input_files(file)
    expect(page.get_by_role("alert")).to_contain_text("não é uma planilha")
    expect(page).to_have_url(re.compile(r"/imports$"))


@pytest.mark.parametrize(("language", "size"), [("pt-BR", WIDE), ("en", NARROW)])
def test_a_workbook_of_several_sheets_says_which_are_not_read(
    visit: Visit, seeded: str, tmp_path: Path, language: str, size: Any
) -> None:
    file = tmp_path / "preços.xlsx"
    made = Workbook(file)
    for name in ("Novembro", "Dezembro", "Outlet"):
        made.add_worksheet(name).write_row(0, 0, ["sku", "price"])
    made.get_worksheet_by_name("Novembro").write_row(1, 0, [a_sku(seeded), 49.9])
    made.close()
    page = visit("/imports", language=language, size=size)
    page.get_by_label(re.compile("arquivo.*Preços|file.*Prices")).set_input_files(file)
    expect(page).to_have_url(re.compile(r"/imports/\d+$"))
    expect(page.locator(".m-note")).to_contain_text("Dezembro, Outlet")
    expect(page.locator(".m-note")).to_contain_text("Só a primeira" if language == "pt-BR" else "Only the first")
    assert sideways(page) == 0
    assert violations(page) == []


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_pages_fit_in_english_and_in_the_dark(visit: Visit, size: dict[str, Any]) -> None:
    page = visit("/imports", size=size, language="en", theme="dark")
    expect(page.get_by_role("heading", name="Import and export")).to_be_visible()
    assert sideways(page) == 0
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Prices as an Excel file").click()
    assert re.fullmatch(r"prices-\d{4}-\d\d-\d\d\.xlsx", download.value.suggested_filename)


@pytest.mark.parametrize(("language", "size"), [("pt-BR", WIDE), ("en", NARROW)])
def test_an_import_is_undone_and_what_somebody_changed_since_is_listed_and_left(
    visit: Visit, seeded: str, work: Callable[[], None], tmp_path: Path, language: str, size: Any
) -> None:
    portuguese = language == "pt-BR"
    undo = "Desfazer a importação" if portuguese else "Undo the import"
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        skus = connection.execute(
            "SELECT sku, price FROM variant WHERE NOT is_kit ORDER BY sku DESC LIMIT 2"
        ).fetchall()
    file = tmp_path / "prices.csv"
    file.write_text("sku;price\n" + "".join(f"{sku};777,77\n" for sku, _price in skus), "utf-8")
    page = visit("/imports", language=language, size=size)
    page.get_by_label(re.compile("arquivo.*Preços|file.*Prices", re.IGNORECASE)).set_input_files(file)
    page.get_by_role("button", name="Verificar todas as linhas" if portuguese else "Check all rows").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("nada é gravado|nothing is written"))).to_be_visible()
    work()
    page.get_by_role("button", name="Importar 2 linhas" if portuguese else "Import 2 rows").click()
    expect(
        page.get_by_text("As linhas estão sendo gravadas" if portuguese else "The rows are being written")
    ).to_be_visible()
    work()
    page.get_by_role("button", name=undo).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 linhas" if portuguese else "2 new and changed rows")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name=undo)).to_be_focused()
    with psycopg.connect(seeded) as connection:
        connection.execute("UPDATE malha.variant SET price = 4200 WHERE sku = %s", (skus[0][0],))
    page.get_by_role("button", name=undo).click()
    dialog.get_by_role("button", name=undo).click()
    expect(page.get_by_text("está voltando ao que era" if portuguese else "What it wrote is put back")).to_be_visible()
    work()
    expect(page.get_by_text("Desfeita" if portuguese else "Undone", exact=True)).to_be_visible()
    left = page.locator("section[aria-labelledby=left-h]")
    expect(left).to_contain_text(skus[0][0])
    expect(left).not_to_contain_text(skus[1][0])
    assert sideways(page) == 0
    assert violations(page) == []
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        found = dict(
            connection.execute("SELECT sku, price FROM variant WHERE sku = ANY(%s)", ([s for s, _ in skus],)).fetchall()
        )
        connection.execute("UPDATE variant SET price = %s WHERE sku = %s", (skus[0][1], skus[0][0]))
    assert found == {skus[0][0]: 4200, skus[1][0]: skus[1][1]}


@pytest.mark.parametrize(("language", "size"), [("pt-BR", NARROW), ("en", WIDE)])
@pytest.mark.parametrize("kind", ["safety_rules", "ahead_policies"])
def test_rules_and_policies_of_a_table_are_undone_too(
    visit: Visit, seeded: str, work: Callable[[], None], tmp_path: Path, language: str, size: Any, kind: str
) -> None:
    portuguese = language == "pt-BR"
    file = tmp_path / "table.csv"
    sku = a_sku(seeded)
    tables = {
        "safety_rules": f"code;name;amount;sku\nUNDONE;To be undone;3;{sku}\n",
        "ahead_policies": f"sku;channel;mode;handling_days\n{sku};;backorder;9\n",
    }
    file.write_text(tables[kind], "utf-8")
    page = visit("/imports", language=language, size=size)
    page.locator(f"#file-{kind}").set_input_files(file)
    page.get_by_role("button", name="Verificar todas as linhas" if portuguese else "Check all rows").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("nada é gravado|nothing is written"))).to_be_visible()
    work()
    says = "Pode ser desfeita por 30 dias" if portuguese else "It can be undone for 30 days"
    expect(page.get_by_text(says)).to_be_visible()
    shot(page, f"import-{kind}-checked-{language}")
    page.get_by_role("button", name="Importar 1 linha" if portuguese else "Import 1 row").click()
    written = "As linhas estão sendo gravadas" if portuguese else "The rows are being written"
    expect(page.get_by_text(written)).to_be_visible()
    work()
    undo = "Desfazer a importação" if portuguese else "Undo the import"
    page.get_by_role("button", name=undo).click()
    shot(page, f"import-{kind}-undo-{language}", whole=False)
    page.get_by_role("dialog").get_by_role("button", name=undo).click()
    expect(page.get_by_text("está voltando ao que era" if portuguese else "What it wrote is put back")).to_be_visible()
    work()
    expect(
        page.get_by_text("1 registro está como era" if portuguese else "1 record is as it was before.")
    ).to_be_visible()
    shot(page, f"import-{kind}-undone-{language}")
    assert sideways(page) == 0
    assert violations(page) == []
