"""Offering and choosing substitutes in a real browser, in both languages and sizes."""

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
BASKET, RUG = "AR-6107-OC", "AR-5520-NA"


@pytest.fixture
def short(seeded: str, settle: Callable[[], None]) -> Iterator[int]:
    """The number of an order that waits for what nobody has, with two SKUs that may stand in."""

    async def place() -> int:
        async with Database(seeded) as database:
            gate = Gate(database)
            order = await gate.submit(seeding.an_order(912, "shortage"))
            await gate.close()
            return order.number

    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        named: list[tuple[Any, ...]] = [(seeding.RARE[0], sku, n) for n, sku in enumerate((BASKET, RUG))]
        for row in named:
            connection.execute(
                "INSERT INTO variant_substitute (variant_id, substitute_id, position)"
                " SELECT v.id, s.id, %s FROM variant v, variant s WHERE v.sku = %s AND s.sku = %s"
                " ON CONFLICT DO NOTHING",
                (row[2], row[0], row[1]),
            )
        known = connection.execute("SELECT number FROM sales_order WHERE external_id = 'AR2026912'").fetchone()
        number = known[0] if known else apart(place)
        settle()
        yield number
        connection.execute("DELETE FROM variant_substitute")


@pytest.mark.parametrize(("size", "language"), [(WIDE, "pt-BR"), (NARROW, "en")])
def test_the_choice_of_a_substitute_has_no_flaws(visit: Visit, short: int, size: Any, language: str) -> None:
    page = visit(f"/orders/{short}", size=size, language=language)
    words = {"pt-BR": ("Substituir por…", "Substituir e avisar"), "en": ("Replace by…", "Replace and tell")}[language]
    page.get_by_role("button", name=words[0]).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name=words[1])).to_be_visible()
    expect(dialog.get_by_role("radio").first).to_be_checked()
    assert violations(page) == []


@pytest.mark.parametrize(("size", "language"), [(WIDE, "pt-BR"), (NARROW, "en")])
def test_the_field_of_substitutes_has_no_flaws(visit: Visit, short: int, size: Any, language: str) -> None:
    page = visit(f"/products/{seeding.RARE[0]}/edit", size=size, language=language)
    expect(page.get_by_label("Substitutos" if language == "pt-BR" else "Substitutes")).to_have_value(
        f"{BASKET} | {RUG}"
    )
    assert violations(page) == []


def test_one_act_replaces_the_item_and_the_page_says_so(visit: Visit, short: int) -> None:
    page = visit(f"/orders/{short}")
    page.get_by_role("button", name="Substituir o item").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cesto de palha")
    dialog.get_by_role("button", name="Substituir e avisar").click()
    expect(page.locator("#toasts")).to_contain_text(f"Substituído por {BASKET}")
    expect(page.get_by_role("button", name="Substituir por…")).to_have_count(0)
    expect(page.locator("#content")).to_contain_text("no lugar de Banco de sucupira")
