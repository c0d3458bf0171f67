"""However many disagreements were settled, a page of them by site costs what it shows, the last one as the first."""

import pytest
from row_costs import Counting
from test_site_drift import a_consignor

from malha.inventory.sync import reads
from malha.inventory.sync.model import SiteDrift
from malha.inventory.sync.reads import SITE_DRIFTS, DriftAsked, SitePosition
from malha.platform.db import Database

GOODS = 3_000
PAGE = 50
SETTLED = ("theirs", "ours", "agreed")
MORE = """
INSERT INTO variant (product_id, sku, name)
SELECT (SELECT min(id) FROM product), 'GOOD-' || n, 'Good ' || n FROM generate_series(1, %(n)s::int) n
"""
# Each SKU at two owners' locations of one site and at a store, some of them with a later word of one owner alone; those
# of a hundred SKUs were found at once. Twenty are open.
FILL = """
INSERT INTO stock_drift (id, source_id, sku_id, location_id, kind, state, as_of, theirs, ours, underway, later,
                         in_window, allocated, unexplained, found_at)
SELECT gen_random_uuid(), s.id, v.id, l.id, 'compared',
       CASE WHEN v.id %% (%(n)s::int / 20) = 0 THEN 'open' ELSE (ARRAY['theirs', 'ours', 'agreed'])[1 + v.id %% 3] END,
       now(), 2, 1, 0, 0, 0, 0, 1,
       timestamptz '2026-10-01' + (v.id / 100) * interval '1 hour'
       + CASE WHEN l.owner_id IS NOT NULL AND v.id %% 5 = 0 THEN interval '30 hours' ELSE interval '0' END
FROM stock_source s CROSS JOIN variant v CROSS JOIN location l
WHERE v.sku LIKE 'GOOD-%%' AND l.code IN ('DC', 'DC-TERRA', 'S1')
"""


@pytest.fixture
async def settled(database: Database) -> Database:
    await a_consignor(database)
    async with database.transaction() as tx:
        await tx.execute(MORE, {"n": GOODS})
        await tx.execute(FILL, {"n": GOODS})
        await tx.execute("ANALYZE stock_drift, variant, location, stock_source")
    return database


async def page(
    db: Database, asked: DriftAsked, before: SitePosition | None = None, limit: int = PAGE
) -> tuple[list[tuple[SitePosition, SiteDrift]], float]:
    """Return a page, and how many rows were looked at for it."""
    async with db.transaction() as tx:
        counting = Counting(tx, SITE_DRIFTS)
        return await reads.site_drifts(counting, asked, before=before, limit=limit), counting.looked


async def test_a_page_far_behind_costs_what_the_first_one_costs(settled: Database) -> None:
    asked = DriftAsked(states=SETTLED)
    first, cheap = await page(settled, asked)
    before, seen, looked = first[-1][0], len(first), [cheap]
    while found := (await page(settled, asked, before, limit=1_000))[0]:  # over what lies between
        before, seen = found[-1][0], seen + len(found)
        rows, cost_here = await page(settled, asked, before)
        if len(rows) == PAGE:
            looked.append(cost_here)
    open_ = GOODS // (GOODS // 20)
    assert seen == 2 * (GOODS - open_)
    assert len(looked) > 4
    assert max(looked) < 80 * PAGE  # of some 9,000 rows
    assert max(looked) < 2 * min(looked)


async def test_pages_name_every_site_once_the_newest_first_with_all_its_rows(settled: Database) -> None:
    asked = DriftAsked(states=SETTLED)
    whole, _ = await page(settled, asked, limit=10 * GOODS)
    keys = [key for key, _ in whole]
    assert len(set(keys)) == len(keys)
    assert [key[0] for key in keys] == sorted((key[0] for key in keys), reverse=True)
    assert sum(len(one.rows) for _, one in whole) == 3 * (GOODS - 20)
    assert all(key[0] == max(row.found_at for row in one.rows) for key, one in whole)
    paged, before = list[tuple[SitePosition, SiteDrift]](), None
    while found := (await page(settled, asked, before, limit=777))[0]:
        paged, before = paged + found, found[-1][0]
    assert paged == whole


async def test_what_is_open_is_not_looked_for_among_all_that_was_settled(settled: Database) -> None:
    found, looked = await page(settled, DriftAsked(states=("open",)))
    assert len(found) == 2 * 20
    assert looked < 100 * len(found)
