"""Stock that a channel shows, in a real browser: differences by cause, chosen and told again."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service, stock_service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.stock_service import RoleDraft
from malha.inventory.sync import sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
PUSH = """
INSERT INTO stock_push (channel_id, kind) SELECT channel_id, 'connector' FROM connection WHERE code = 'shown'
ON CONFLICT DO NOTHING
"""
LOOKS = """
INSERT INTO stock_look (connection_id, began_at, ended_at, shown, listed, passing, underway, differing)
SELECT id, now() - make_interval(hours => n), now() - make_interval(hours => n), 1210 - n, 1204, n / 3, mod(n, 5), 2 + n / 2
FROM connection, generate_series(42, 0, -6) n WHERE code = 'shown'
"""
LISTED = """
INSERT INTO listing (channel_id, sku_id, code)
SELECT c.channel_id, v.id, v.sku FROM connection c, variant v WHERE c.code = 'shown' ON CONFLICT DO NOTHING
"""
DIFFERENCES = """
INSERT INTO stock_difference (look_id, code, sku_id, cause, shown, told, ours, places, since, repairs)
SELECT k.id, coalesce(v.sku, 'GHOST-1'), v.id, (ARRAY['changed', 'missing', 'refused', 'behind', 'unlisted'])[w.n],
       CASE WHEN w.n = 2 THEN NULL ELSE w.n * 3 END, CASE WHEN w.n = 5 THEN NULL ELSE 12 END, 12,
       CASE WHEN w.n = 1 THEN '{"Centro": 2, "Norte": 1}'::jsonb END, now() - make_interval(hours => w.n * 7), (w.n = 4)::int * 2
FROM (SELECT max(id) AS id FROM stock_look) k, generate_series(1, 5) AS w(n)
LEFT JOIN LATERAL (SELECT * FROM variant ORDER BY id OFFSET w.n LIMIT 1) v ON w.n < 5
"""


@pytest.fixture(scope="module")
def shown(seeded: str) -> Iterator[None]:
    """A connection that was compared eight times, and states the stock of a place."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            place = await tx.value("SELECT code FROM location ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="shown", name="Loja online", connector="generic", channel=channel,
                config={"base_url": "https://loja.example/oms"},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            await sources.add_source(tx, SourceDraft(code="loja-online", name="Estoque da loja online"))
            await stock_service.put_role(tx, "shown", RoleDraft(source="loja-online"), 0)
            await service.put_method(tx, "shown", "location", "Centro", place)
            await tx.execute(
                "INSERT INTO method_mapping (connection_id, kind, theirs) SELECT id, 'location', 'Norte' FROM connection"
            )
            for statement in (PUSH, LISTED, LOOKS, DIFFERENCES):
                await tx.execute(statement)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM stock_push WHERE channel_id IN (SELECT channel_id FROM connection)")
            await tx.execute("DELETE FROM listing WHERE channel_id IN (SELECT channel_id FROM connection)")
            await tx.execute("DELETE FROM connection WHERE code = 'shown'")
            await tx.execute("DELETE FROM stock_source WHERE code = 'loja-online'")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.usefixtures("shown")
def test_the_page_is_whole_in_both_languages_and_widths(visit: Visit, language: str, viewport: dict[str, int]) -> None:
    page = visit("/connections/shown/stock", language=language, size=viewport)
    assert violations(page) == []
    assert sideways(page) == 0
    shot(page, f"connection-stock-{language}-{viewport['width']}")


@pytest.mark.usefixtures("shown")
def test_what_was_chosen_is_told_again(visit: Visit) -> None:
    page = visit("/connections/shown/stock", language="en")
    page.get_by_role("link", name="Changed at the channel").click()
    expect(page.locator("tbody").first.get_by_role("row")).to_have_count(1)
    page.locator("[data-select-row]").first.check()
    page.get_by_role("button", name="Tell again").click()
    expect(page.get_by_text("1 are told again")).to_be_visible()
    expect(page.get_by_text("told again", exact=False).first).to_be_visible()


@pytest.mark.usefixtures("shown")
def test_who_states_stock_is_edited_on_the_page(visit: Visit) -> None:
    page = visit("/connections/shown/stock", language="en")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Read every (minutes)").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#slot-role")).to_contain_text("between 1 minute and a day")
    page.get_by_label("Read every (minutes)").fill("45")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("45 minutes")).to_be_visible()
