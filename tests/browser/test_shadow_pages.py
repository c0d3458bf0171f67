"""Drafts beside the live network in a real browser: what one comes to, in both languages, sizes and looks."""

from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database
from malha.platform.sequencer import sequence
from malha.simulation import shadowing
from malha.simulation.model import At, Scenario
from malha.simulation.shadow_model import ShadowDraft

from .conftest import NARROW, WIDE, apart, shot, violations

Visit = Callable[..., Page]


@pytest.fixture
def draft(seeded: str) -> Iterator[str]:
    """The address of a draft that decided every order there is, with the busiest location closed."""

    async def make() -> str:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                while (await sequence(tx)).count:
                    pass
                place = await tx.value(
                    "SELECT l.code FROM order_unit u JOIN location l ON l.id = u.location_id"
                    " GROUP BY l.code ORDER BY count(*) DESC, l.code LIMIT 1"
                )
                scenario = Scenario(locations=[At(location=place, closed=True)])
                made = await shadowing.start(tx, ShadowDraft(name=f"{place} fechado", scenario=scenario))
                await tx.execute("UPDATE shadow SET position = 0")
            async with aclosing(shadowing.sweep(database)) as steps:
                async for _step in steps:
                    pass
        return f"/shadows/{made.id}"

    async def drop() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM shadow")

    yield apart(make)
    apart(drop)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
)
def test_the_pages_have_no_flaws(visit: Visit, draft: str, language: str, size: Any, theme: str) -> None:
    page = visit(draft, size=size, language=language, theme=theme)
    label = {"pt-BR": "Economia por pedido", "en": "Saved an order"}[language]
    expect(page.get_by_text(label, exact=True)).to_be_visible()
    shot(page, f"shadow-{language}-{size['width']}")
    assert violations(page) == []
    page = visit("/shadows", size=size, language=language, theme=theme)
    expect(page.get_by_role("table")).to_be_visible()
    shot(page, f"shadows-{language}-{size['width']}")
    assert violations(page) == []


def test_an_order_that_differs_leads_to_why_and_the_draft_is_stopped(visit: Visit, draft: str) -> None:
    page = visit(draft, language="en")
    page.get_by_role("region", name="Orders that differ, as a table").get_by_role("link").first.click()
    expect(page.locator("#why-h")).to_be_visible()
    page = visit(draft, language="en")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#content")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
