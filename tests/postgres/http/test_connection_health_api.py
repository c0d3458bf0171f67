"""How a connection did, over the API and on its page: plots with their tables, an empty state, and a file."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.channels.connecting import samples
from malha.platform.db import Database

URL = f"/v1/connections/{CODE}/health"
PAGE = f"/connections/{CODE}/health"


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        yield world, shop, await shop.key(["network:read"])


@pytest.mark.parametrize(("period", "count", "step"), [("6h", 72, 5), ("2d", 48, 60), ("14d", 56, 360)])
async def test_a_period_has_all_its_whiles_also_those_in_which_nobody_looked(made, period, count, step):
    world, shop, key = made
    await world.receive(world.peer.webhook(world.peer.sell("1001")))
    async with world.database.transaction() as tx:
        await samples.sample(tx)
    rows = (await shop.http.get(f"{URL}?period={period}", headers=key)).json()
    at = [datetime.fromisoformat(row["at"]) for row in rows]
    assert len(rows) == count
    assert {later - earlier for earlier, later in pairwise(at)} == {timedelta(minutes=step)}
    assert at[-1] <= datetime.now(UTC) < at[-1] + timedelta(minutes=step)
    assert [(row["came"], row["waiting_in"]) for row in rows][-2:] in (
        [[0, 0], [1, 1]], [(0, None), (1, 1)], [(1, 1), (0, 0)], [(0, 0), (1, 1)], [(1, None), (0, 1)],
    )  # fmt: skip
    assert rows[0]["waiting_in"] is None
    assert (await shop.http.get(f"{URL}?period=year", headers=key)).status_code == 422


async def test_the_page_is_empty_then_drawn_and_its_part_is_read_anew(made):
    world, shop, _ = made
    owner = await shop.session()
    assert "Nothing was looked at yet" in (await shop.http.get(PAGE, headers=owner)).text
    await world.receive(
        world.peer.webhook(world.peer.sell("1001", lines=[{"sku": "X", "quantity": 1, "unit_price": 1}]))
    )
    await world.handle()
    async with world.database.transaction() as tx:
        await samples.sample(tx)
        await tx.execute(
            "INSERT INTO reconciliation (connection_id, kind, day, ours, theirs, differing)"
            " SELECT id, 'orders', current_date, 5, 7, ARRAY['a', 'b'] FROM connection"
        )
    for period in ("6h", "2d", "14d", "odd"):
        shown = (await shop.http.get(f"{PAGE}?period={period}", headers=owner)).text
        assert shown.count('<svg class="m-chart"') == 7, period
        assert shown.count("Show as a table") == 7
    assert "in: Words without a meaning" in shown
    assert "Orders that differ" in shown
    part = (await shop.http.get(PAGE, headers=owner | {"hx-request": "true"})).text
    assert part.lstrip().startswith("<main")
    lines = (await shop.http.get(f"{PAGE}:export.csv?period=2d", headers=owner)).text.splitlines()
    assert len(lines) == 49
