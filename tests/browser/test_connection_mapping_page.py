"""The mapping of a channel's variants in a real browser: suggestions beside each, chosen, accepted together."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
SEEN = """
INSERT INTO channel_variant (connection_id, code, external_id, gtin, name, price, source, active)
SELECT c.id, 'ML-' || lower(replace(v.sku, '-', '')), 'x' || v.id, coalesce(v.gtin, ''), v.name || ' (oferta)', 12990,
       'catalog', mod(v.id, 4) <> 0
FROM connection c, (SELECT * FROM variant ORDER BY id LIMIT 5) v WHERE c.code = 'mapped'
UNION ALL
SELECT c.id, lower(replace(v.sku, '-', '.')), 'y' || v.id, '', '', 9900, 'order', true
FROM connection c, (SELECT * FROM variant ORDER BY id LIMIT 2) v WHERE c.code = 'mapped'
UNION ALL SELECT id, 'GIFT-CARD', 'gift', '', 'Vale-presente', 5000, 'catalog', true FROM connection WHERE code = 'mapped'
"""
WAITS = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state, cause, wants)
SELECT id, 'w' || n, 'order:' || n, 'webhook', 'hint', '1', 'unmapped', 'unmapped', ARRAY['listing:GIFT-CARD']
FROM connection, generate_series(1, 3) n WHERE code = 'mapped'
"""


@pytest.fixture(scope="module")
def mapped(seeded: str) -> Iterator[None]:
    """A connection whose catalogue and orders name eight variants; three orders wait for one."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="mapped", name="Marketplace", connector="generic", channel=channel,
                config={"base_url": "https://loja.example/oms"},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            await tx.execute("UPDATE variant SET folded = lower(name)")  # the seed has no text that is searched
            await tx.execute(SEEN)
            await tx.execute(WAITS)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("UPDATE variant SET folded = ''")
            await tx.execute("DELETE FROM listing WHERE channel_id IN (SELECT channel_id FROM connection)")
            await tx.execute("DELETE FROM connection WHERE code = 'mapped'")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.usefixtures("mapped")
def test_the_page_and_what_needs_attention_are_whole_in_both_languages_and_widths(
    visit: Visit, language: str, viewport: dict[str, int]
) -> None:
    for path, page in walk(visit, ("/connections/mapped/mapping", "/attention"), language=language, size=viewport):
        assert violations(page) == []
        assert sideways(page) == 0
        name = f"{path.strip('/').replace('/', '-')}-{language}-{viewport['width']}"
        shot(page, name)


@pytest.mark.usefixtures("mapped")
def test_a_variant_is_mapped_by_hand_and_the_sure_ones_together(visit: Visit) -> None:
    page = visit("/connections/mapped/mapping", language="en")
    page.get_by_label("SKU of GIFT-CARD").fill("NOT-THERE")
    page.get_by_label("Choose GIFT-CARD").check()
    page.get_by_role("button", name="It is this SKU").click()
    expect(page.locator("#refusal, .m-flaws, main").first).to_contain_text("cannot be mapped")
    page = visit("/connections/mapped/mapping", language="en")
    page.get_by_role("button", name="Accept the sure ones").click()
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_text("waiting orders go on")).to_be_visible()
    page.locator("a.m-view[href$='view=mapped']").click()
    expect(page.get_by_text("the same SKU but for punctuation").first).to_be_visible()
    page.locator("[data-select-row]").first.check()
    page.get_by_role("button", name="Undo the mapping").click()
    expect(page.get_by_text("1 are to be mapped again")).to_be_visible()
