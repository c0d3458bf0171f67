"""How a connection does, in a real browser: plots and their tables in both languages, widths and lights, read anew."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, SHOTS, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
PAGE = "/connections/watched/health"
SAMPLES = """
INSERT INTO connection_sample (connection_id, slot, came, ended, told, waiting_in, waiting_out, lag_in_s, lag_out_s,
                               stuck, calls, failures, budget)
SELECT c.id, date_bin('5 minutes', now(), 'epoch') - n * interval '5 minutes',
       20 + (15 * sin(n / 20.0))::int + mod(n * 7, 9), 18 + (15 * sin(n / 20.0))::int + mod(n * 5, 9),
       9 + mod(n * 11, 7), mod(n, 40), mod(n * 3, 25), CASE WHEN n BETWEEN 30 AND 60 THEN n * 9 ELSE mod(n, 12) END,
       mod(n * 13, 90),
       CASE WHEN n BETWEEN 100 AND 300 THEN '{"in:field": 6, "in:unmapped": 3, "out:unknown_outcome": 2}'::jsonb
            WHEN n < 40 THEN '{"in:field": 2, "out:conflict": 1, "in:changed": 1, "in:payment": 2}' ELSE '{}' END,
       1000000 - n * 37, 5000 - n, 100 - mod(n * 17, 80)
FROM connection c, generate_series(0, 4000) n WHERE c.code = 'watched'
"""
COMPARED = """
INSERT INTO reconciliation (connection_id, kind, day, ours, theirs, differing)
SELECT c.id, 'orders', current_date - n, 900 + n, 900 + n + mod(n, 3), '{}' FROM connection c, generate_series(1, 12) n
WHERE c.code = 'watched'
"""


@pytest.fixture(scope="module")
def watched(seeded: str) -> Iterator[None]:
    """Two connections: one with two weeks of samples, one that nobody looked at yet."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            for code, name in (("watched", "Marketplace"), ("new", "Loja nova")):
                draft = ConnectionDraft(
                    code=code, name=name, connector="generic", channel=channel,
                    config={"base_url": "https://loja.example/oms"},
                )  # fmt: skip
                await service.add_connection(tx, draft, Keys(b"k" * 32))
            await tx.execute(SAMPLES)
            await tx.execute(COMPARED)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM reconciliation")
            await tx.execute("DELETE FROM connection WHERE code IN ('watched', 'new')")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize(
    ("language", "viewport", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["wide", "wide-dark", "narrow-dark", "narrow"],
)
@pytest.mark.usefixtures("watched")
def test_plots_and_their_tables_are_whole_in_both_languages_widths_and_lights(
    visit: Visit, language: str, viewport: dict[str, int], theme: str
) -> None:
    page = visit(PAGE, language=language, size=viewport, theme=theme)
    assert page.locator("svg.m-chart").count() == 7
    page.locator("details.m-table-alt summary").nth(1).click()
    assert violations(page) == []
    assert sideways(page) == 0
    if SHOTS:
        name = f"health-{language}-{viewport['width']}-{theme}"
        shot(page, name)
        page.locator("svg.m-chart").nth(4).scroll_into_view_if_needed()
        shot(page, f"{name}-2")
    page = visit("/connections/new/health", language=language, size=viewport, theme=theme)
    expect(page.locator(".m-empty")).to_be_visible()
    assert violations(page) == []


@pytest.mark.usefixtures("watched")
def test_another_period_is_a_press_away_and_a_page_that_is_read_anew_keeps_its_open_table(visit: Visit) -> None:
    page = visit("/connections/watched", language="en")
    page.get_by_role("link", name="Health").click()
    page.get_by_role("link", name="6 hours").click()
    expect(page.locator("a[aria-current=true]", has_text="6 hours")).to_be_visible()
    page.locator("#lag-table summary").click()
    expect(page.locator("#lag-table tbody tr")).to_have_count(72)
    page.evaluate("htmx.ajax('GET', document.querySelector('[data-live-page]').dataset.livePage,"
                  " {target: '#content', swap: 'outerHTML show:none'})")  # fmt: skip
    expect(page.locator("#lag-table:not([open])")).to_have_count(1)
    expect(page.locator("svg.m-chart")).to_have_count(7)
    expect(page.locator("a[aria-current=true]", has_text="6 hours")).to_be_visible()
