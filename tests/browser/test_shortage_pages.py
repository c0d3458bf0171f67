"""The queue of missing goods in a real browser: one press does what is suggested, in both languages and sizes."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from malha.intake.gate import Gate
from malha.platform.db import Database

from . import seeding
from .conftest import NARROW, WIDE, apart, violations

Visit = Callable[..., Page]
BASKET = "AR-6107-OC"


@pytest.fixture
def short(seeded: str, settle: Callable[[], None]) -> Iterator[int]:
    """The number of an order that waits for what nobody has, with a SKU that may stand in."""

    async def place() -> int:
        async with Database(seeded) as database:
            gate = Gate(database)
            order = await gate.submit(seeding.an_order(913, "shortage"))
            await gate.close()
            return order.number

    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        connection.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position)"
            " SELECT v.id, s.id, 0 FROM variant v, variant s WHERE v.sku = %s AND s.sku = %s ON CONFLICT DO NOTHING",
            (seeding.RARE[0], BASKET),
        )
        known = connection.execute("SELECT number FROM sales_order WHERE external_id = 'AR2026913'").fetchone()
        number = known[0] if known else apart(place)
        settle()
        yield number
        connection.execute("DELETE FROM variant_substitute")


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_the_queue_has_no_flaws(visit: Visit, short: int, size: Any, language: str) -> None:
    page = visit("/shortages", size=size, language=language)
    expect(page.get_by_role("heading", name="Faltas" if language == "pt-BR" else "Missing goods")).to_be_visible()
    expect(page.get_by_role("link", name=f"#{short}")).to_be_visible()
    assert violations(page) == []
    ways = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"#{short}")).locator("form button")
    assert ways.count() > 1
    cut = (
        "at => at.scrollWidth > at.clientWidth + 1 || at.closest('div').scrollWidth > at.closest('div').clientWidth + 1"
    )
    assert [way.inner_text() for way in ways.all() if way.evaluate(cut)] == []
    if size is NARROW:
        page.evaluate(  # places are called as their owners like
            "document.querySelectorAll('.m-way-hint').forEach(at => { at.textContent = 'CD-JABOATAO → SP-CAMPINAS-2' })"
        )
        beyond = "at => at.getBoundingClientRect().right > at.closest('.m-panel').getBoundingClientRect().right - 8"
        assert [way.inner_text() for way in ways.all() if way.evaluate(beyond) or way.evaluate(cut)] == []
        hints = page.locator(".m-way-hint")
        assert not any(hint.evaluate("at => at.scrollWidth > at.clientWidth") for hint in hints.all())


def test_the_cap_is_changed_in_a_dialog_and_a_press_replaces_the_goods(visit: Visit, short: int) -> None:
    page = visit("/shortages", language="en")
    page.get_by_role("button", name="5 decisions by itself").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Decisions").fill("4")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="4 decisions by itself")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"#{short}"))
    row.get_by_role("button", name=f"Replace by {BASKET}").click()
    expect(page.locator("#toasts")).to_contain_text(f"#{short}: replaced")
    expect(page.get_by_role("link", name=f"#{short}")).to_have_count(0)
