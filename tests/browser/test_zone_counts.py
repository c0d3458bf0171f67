"""Counting a zone in a real browser: what is counted stands still, the rest of the location goes on."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, violations

Visit = Callable[..., Page]


@pytest.mark.parametrize(("language", "size"), [("pt-BR", WIDE), ("en", NARROW)])
def test_a_zone_is_frozen_by_a_count_and_let_go(visit: Visit, language: str, size: dict[str, int]) -> None:
    portuguese = language == "pt-BR"
    page = visit("/counts:new", language=language, size=size)
    page.get_by_label("Local" if portuguese else "Location", exact=True).select_option("REC-01")
    page.get_by_label("Zona ou prateleira" if portuguese else "Zone or shelf").fill("Mezanino")
    page.locator("textarea[name=lines]").fill("AR-3307-TE")
    page.get_by_label("Congelar a zona" if portuguese else "Freeze the zone").check()
    assert violations(page) == []
    page.get_by_role("button", name="Iniciar contagem" if portuguese else "Begin count").click()
    note = page.get_by_text("A zona está congelada." if portuguese else "The zone is frozen.")
    expect(note).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Cancelar contagem" if portuguese else "Cancel count").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("-")
    dialog.get_by_role("button").last.click()
    expect(note).to_be_hidden()
