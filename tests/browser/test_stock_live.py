"""Stock pages that stay up to date: cells change and flash by themselves, one at a time, and what a person does is left alone."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
from playwright.sync_api import Page, expect

from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Database

from .conftest import NARROW, apart

Visit = Callable[..., Page]
HAMMOCK = "AR-1180-CR"


def keys(seeded: str, sku: str, place: str) -> tuple[int, int]:
    with psycopg.connect(seeded) as connection:
        row = connection.execute(
            "SELECT v.id, l.id FROM malha.variant v, malha.location l WHERE v.sku = %s AND l.code = %s", (sku, place)
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def move(seeded: str, sku: str, place: str, by: int, *, times: int = 1) -> None:
    """Count units in or out as somebody else, `times` in transactions of their own."""
    claim = Claim(*keys(seeded, sku, place), by)

    async def run() -> None:
        async with Database(seeded) as database:
            for _ in range(times):
                async with database.transaction() as tx:
                    await inventory.adjust(tx, [claim], Reason.COUNT, Reference("count", None, "elsewhere"))

    apart(run)


def keep_back(seeded: str, sku: str, place: str, units: int) -> None:
    async def run() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await inventory.set_safety(tx, [Claim(*keys(seeded, sku, place), units)])

    apart(run)


def free(cell: Any) -> int:
    return int(cell.locator("b").inner_text().replace("−", "-").replace(".", ""))


def listening(page: Page) -> None:
    expect(page.locator("[data-sync-text]")).to_have_text(re.compile("Em dia|Up to date"))


def test_a_cell_changes_and_flashes_while_the_rest_of_the_matrix_stays(visit: Visit, seeded: str) -> None:
    page = visit("/stock")
    listening(page)
    cell = page.locator(f'[data-cell][href="/stock/{HAMMOCK}/REC-01"]')
    neighbour = page.locator(f'[data-cell][href="/stock/{HAMMOCK}/JPA-01"]')
    before = free(cell)
    box = page.locator("[data-select-row]").nth(1)
    box.check()
    cell.focus()
    neighbour.evaluate("cell => { cell.dataset.mine = 'kept'; }")
    move(seeded, HAMMOCK, "REC-01", 3)
    expect(cell.locator("b")).to_have_text(str(before + 3))
    expect(cell.locator("xpath=..")).to_have_class(re.compile("m-fresh"))
    expect(cell).to_be_focused()
    expect(box).to_be_checked()
    assert neighbour.get_attribute("data-mine") == "kept"  # the same element: nothing drew it anew
    assert "m-fresh" not in (neighbour.locator("xpath=..").get_attribute("class") or "")


def test_safety_stock_that_somebody_sets_shows_without_an_event_of_the_log(visit: Visit, seeded: str) -> None:
    page = visit("/stock?location=SSA-01", language="en")
    listening(page)
    cell = page.locator(f'[data-cell][href="/stock/{HAMMOCK}/SSA-01"]')
    before = free(cell)
    keep_back(seeded, HAMMOCK, "SSA-01", 2)
    expect(cell.locator("b")).to_have_text(str(before - 2).replace("-", "−"))
    keep_back(seeded, HAMMOCK, "SSA-01", 0)


def test_a_storm_of_movements_is_told_at_most_once_a_second(visit: Visit, seeded: str) -> None:
    page = visit("/stock")
    listening(page)
    asked: list[float] = []
    page.on("request", lambda request: asked.append(0.0) if "/stock:rows" in request.url else None)
    cell = page.locator(f'[data-cell][href="/stock/{HAMMOCK}/NAT-01"]')
    before = free(cell)
    started = page.evaluate("performance.now()")
    move(seeded, HAMMOCK, "NAT-01", 1, times=40)
    expect(cell.locator("b")).to_have_text(str(before + 40))
    seconds = (page.evaluate("performance.now()") - started) / 1000
    assert 1 <= len(asked) <= seconds + 2, (len(asked), seconds)
    move(seeded, HAMMOCK, "NAT-01", -40)


def test_the_balance_beside_the_list_follows_its_cell(visit: Visit, seeded: str) -> None:
    page = visit("/stock")
    listening(page)
    cell = page.locator(f'[data-cell][href="/stock/{HAMMOCK}/BHZ-01"]')
    cell.click()
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("Extrato")
    rows = drawer.locator(".m-ledger tbody tr")
    before = rows.count()
    move(seeded, HAMMOCK, "BHZ-01", 1)
    expect(rows).to_have_count(min(before + 1, 12))
    expect(drawer).to_contain_text("elsewhere")
    expect(cell).to_have_attribute("aria-current", "true")


def test_the_page_of_a_sku_is_read_anew_and_waits_while_somebody_fills_in_a_form(visit: Visit, seeded: str) -> None:
    page = visit(f"/stock/{HAMMOCK}/SAO-01", size=NARROW)
    listening(page)
    page.get_by_role("button", name="Ajustar saldo").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Diferença").fill("-1")
    move(seeded, HAMMOCK, "SAO-01", 5)
    page.wait_for_timeout(7_000)
    expect(dialog.get_by_label("Diferença")).to_have_value("-1")
    page.keyboard.press("Escape")
    expect(page.locator(".m-ledger")).to_contain_text("elsewhere")
    move(seeded, HAMMOCK, "SAO-01", -5)
