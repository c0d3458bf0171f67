"""Stock that others state, in a real browser: declaring a source, a snapshot with its held rows, repairing disagreements."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.flows import stock_sync
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import Scope, SourceDraft, State
from malha.inventory.sync.receiving import Statement
from malha.platform.db import Actor, Database

from .conftest import NARROW, WIDE, apart, sideways, violations

Visit = Callable[..., Page]
ACTOR = Actor("person", "erp", "ERP")


@pytest.fixture(scope="module")
def stated(seeded: str) -> None:
    """An ERP that is the truth of two locations and compared at a third; three snapshots, one of which waits."""

    async def send(db: Database, seq: int, rows: list[str], scope: Scope, seconds: float) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield ("sku;local;saldo\n" + "\n".join(rows)).encode()

        as_of = datetime.now(UTC) - timedelta(seconds=seconds)
        said = Statement(source="ERP", seq=seq, as_of=as_of, scope=scope, name="saldos.csv")
        taken = await stock_sync.receive(db, ACTOR, said, body(), limit_mb=10)
        if taken.state is State.APPLYING:
            await applying.apply(db, taken.id)

    async def run() -> None:
        async with Database(seeded) as db:
            async with db.transaction(ACTOR) as tx:
                draft = SourceDraft(code="ERP", name="ERP Sankhya", truth=["CD-CAJ", "REC-01"], secondary=["NAT-01"])
                await sources.add_source(tx, draft)
                rows = await tx.tuples(
                    "SELECT v.sku, l.code, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id "
                    "JOIN location l ON l.id = b.location_id WHERE l.code IN ('CD-CAJ', 'REC-01', 'NAT-01') ORDER BY 1, 2"
                )
            first = [f"{sku};{place};{n + (i % 4 == 0) * 3 - (i % 5 == 0)}" for i, (sku, place, n) in enumerate(rows)]
            await send(
                db, 1, [*first, "NAO-EXISTE;CD-CAJ;4", "AR-3307-TE;REC-99;2", "AR-3308-MA;SAO-01;-2"], Scope.PARTIAL, 9
            )
            second = [f"{sku};{place};{n - (i % 3 == 0) * 2}" for i, (sku, place, n) in enumerate(rows) if n > 2]
            await send(db, 2, second, Scope.PARTIAL, 7)
            await send(db, 3, ["AR-3307-TE;CD-CAJ;9"], Scope.WHOLE, 5)

    apart(run)


def test_a_source_is_declared_and_a_second_truth_is_refused(visit: Visit, stated: None) -> None:
    page = visit("/stock-sync/sources")
    expect(page.get_by_role("link", name="ERP Sankhya")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Declarar uma fonte").click()
    page.get_by_label("Nome").fill("WMS do CD")
    page.get_by_label("Código", exact=True).fill("WMS")
    page.get_by_label("Papel da fonte em CD Cajamar").select_option("truth")
    assert violations(page) == []
    page.get_by_role("button", name="Declarar fonte").click()
    expect(page.get_by_role("alert")).to_contain_text("já tem ERP como fonte da verdade")
    page.get_by_label("Papel da fonte em CD Cajamar").select_option("secondary")
    page.get_by_role("button", name="Declarar fonte").click()
    expect(page).to_have_url(re.compile(r"/stock-sync/sources/WMS$"))
    expect(page.get_by_role("cell", name="Secundária: só comparada")).to_be_visible()
    assert violations(page) == []


def test_a_snapshot_shows_what_it_did_and_gives_its_held_rows_back(visit: Visit, stated: None) -> None:
    page = visit("/stock-sync/snapshots?source=ERP")
    expect(page.get_by_text("Espera por você")).to_be_visible()
    assert violations(page) == []
    numbers = page.get_by_role("link", name=re.compile(r"^#\d+$"))  # the newest first; others state snapshots too
    newest = numbers.first.inner_text().removeprefix("#")
    numbers.last.click()
    expect(page.get_by_role("cell", name=re.compile("Esse SKU não existe"))).to_be_visible()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Linhas separadas, em CSV").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("sku;location;on_hand;")
    assert lines[1].startswith("NAO-EXISTE;CD-CAJ;4;")
    page.goto(page.url.rsplit("/", 1)[0] + f"/{newest}")
    expect(page.get_by_role("alert")).to_contain_text("Ele zeraria")
    assert violations(page) == []
    page.get_by_role("button", name="Cancelar").click()
    expect(page.get_by_text("Cancelado", exact=True)).to_be_visible()


def test_disagreements_are_explained_and_repaired_one_by_one_and_together(visit: Visit, stated: None) -> None:
    page = visit("/stock-sync")
    assert violations(page) == []
    rows = page.locator("tbody tr")
    before = rows.count()
    assert before >= 3
    rows.first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Movimentos próximos")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Aceitar o da fonte").click()
    expect(page.get_by_text("Número da fonte aceito em 1 saldo")).to_be_visible()
    expect(page.get_by_text("Número da fonte aceito", exact=True)).to_be_visible()
    page.get_by_role("link", name="Sincronia de estoque").last.click()
    expect(rows).to_have_count(before - 1)
    page.get_by_label("Selecionar todos nesta página").check()
    page.get_by_role("button", name="Manter o nosso").click()
    expect(page.get_by_text("Nenhuma divergência")).to_be_visible()
    page.get_by_role("link", name=re.compile("Resolvidas")).click()
    expect(rows.filter(has_text="Nosso número mantido")).to_have_count(before - 1)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", ["/stock-sync?view=settled", "/stock-sync/snapshots", "/stock-sync/snapshots/1", "/stock-sync/sources/ERP", "/stock-sync/sources/ERP/edit"])  # fmt: skip
def test_the_pages_fit_in_english_and_in_the_dark(visit: Visit, stated: None, size: dict[str, Any], path: str) -> None:
    page = visit(path, size=size, language="en", theme="dark")
    assert sideways(page) == 0
    assert violations(page) == []
