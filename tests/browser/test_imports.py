"""Bringing a table in a real browser: columns, check, import, the rows to mend; both languages, wide and narrow, no axe findings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from malha.exchange import service
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, violations

Visit = Callable[..., Page]


@pytest.fixture
def work(seeded: str) -> Callable[[], None]:
    """Do what the worker would: check or apply the newest import."""

    async def run() -> None:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                newest = await tx.value("SELECT id FROM import_run ORDER BY number DESC LIMIT 1")
            await service.go_on.work(database, run_id=str(newest))

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
    expect(page.get_by_text("Não há como desfazer")).to_be_visible()
    page.get_by_role("button", name="Importar 1 linha").click()
    expect(page.get_by_text("As linhas estão sendo gravadas")).to_be_visible()
    work()
    expect(page.get_by_text("Importada", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Linhas recusadas, para corrigir").click()
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


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_pages_fit_in_english_and_in_the_dark(visit: Visit, size: dict[str, Any]) -> None:
    page = visit("/imports", size=size, language="en", theme="dark")
    expect(page.get_by_role("heading", name="Import and export")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Prices as an Excel file").click()
    assert download.value.suggested_filename == "prices.xlsx"
