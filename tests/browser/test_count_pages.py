"""The page of a count that ended: which lines were counted again later, and which others corrected meanwhile."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as stock
from malha.inventory.counts import service
from malha.inventory.counts.model import CountDraft, Entry, Limits
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Actor, Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
CHOSEN = """
SELECT b.location_id, (array_agg(b.sku_id ORDER BY b.sku_id))[1:3]
FROM balance b JOIN location p ON p.id = b.location_id
WHERE b.on_hand - b.allocated - b.held >= 6 AND p.site_id IS NULL
  AND NOT EXISTS (SELECT FROM location m WHERE m.site_id = p.id)
GROUP BY b.location_id HAVING count(*) >= 3 ORDER BY b.location_id LIMIT 1
"""
THERE = "SELECT sku_id, on_hand FROM balance WHERE location_id = %(place)s AND sku_id = ANY (%(skus)s)"


@pytest.fixture(scope="module")
def ended(seeded: str) -> int:
    """A count of three SKUs: one was counted again later, one was noted as lost meanwhile, one only misses units."""

    async def make() -> int:
        async with Database(seeded) as database:
            async with database.transaction(Actor("person", "lead")) as tx:
                place, skus = (await tx.tuples(CHOSEN))[0]
                there = dict(await tx.tuples(THERE, {"place": place, "skus": skus}))
                draft = CountDraft(location_id=place, skus=skus, limits=Limits(units=9, value=10**9))
                number = await service.raise_count(tx, draft)
            async with database.transaction(Actor("person", "ana")) as tx:
                await service.enter(tx, number, [Entry(sku, there[sku] - 3) for sku in skus], {})
            async with database.transaction(Actor("person", "bia")) as tx:
                await service.count_shelf(tx, skus[0], place, there[skus[0]])
                await stock.adjust(tx, [Claim(skus[1], place, -2)], Reason.LOSS, Reference("console"))
            async with database.transaction(Actor("person", "lead")) as tx:
                await service.close(tx, number, {})
            return number

    return apart(make)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("pt-BR", NARROW, "dark"), ("en", WIDE, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide", "pt-narrow-dark", "en-wide-dark", "en-narrow"],
)
def test_a_count_says_what_became_of_each_line(
    visit: Visit, ended: int, language: str, size: dict[str, int], theme: str
) -> None:
    page = visit(f"/counts/{ended}", size=size, language=language, theme=theme)
    later = "contado de novo depois: vale a contagem mais recente"
    lost = "−2 já corrigidas por outra via"
    if language == "en":
        later, lost = "counted again later: that count stands", "−2 corrected elsewhere since"
    expect(page.get_by_text(later)).to_have_count(1)
    expect(page.get_by_text(lost)).to_have_count(1)
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"count-ended-{language}-{size['width']}-{theme}")
