"""Stock that a channel shows, over the API: comparisons, differences by cause, told again; a connection that states it."""

from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.channels import service as channels
from malha.channels.model import PushDraft, PushKind
from malha.inventory.sync import sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import Database

URL = f"/v1/connections/{CODE}"
PERMISSIONS = ["network:read", "network:write", "settings:manage"]
A_LOOK = """
WITH look AS (
    INSERT INTO stock_look (connection_id, began_at, shown, listed, passing, underway, differing)
    SELECT id, now(), 4, 2, 1, 0, 3 FROM connection RETURNING id
)
INSERT INTO stock_difference (look_id, code, sku_id, cause, shown, told, ours, since)
SELECT look.id, w.code, v.id, w.cause, w.shown, w.told, w.ours, now()
FROM look, (VALUES ('A', 'changed', 50, 52, 52), ('B', 'missing', NULL, 30, 30), ('GHOST', 'unlisted', 3, NULL, 0))
     AS w(code, cause, shown, told, ours)
LEFT JOIN variant v ON v.sku = w.code
"""


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection whose channel differed in three listings at the last comparison."""
    from contextlib import AsyncExitStack

    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        async with database.transaction() as tx:
            await channels.put_push(tx, "web", PushDraft(kind=PushKind.CONNECTOR), 0, world.keys)
            await tx.execute("UPDATE listing SET sent_quantity = CASE code WHEN 'A' THEN 52 ELSE 30 END")
            await tx.execute(A_LOOK)
            await sources.add_source(tx, SourceDraft(code="shop", name="Shop", truth=["S1"]))
        yield world, shop, await shop.key(PERMISSIONS)


async def test_differences_are_listed_by_cause_and_page_with_what_to_do(made):
    _, shop, key = made
    said = (await shop.http.get(f"{URL}/stock-comparisons", headers=key)).json()
    assert said["looks"][0]["differing"] == 3
    assert {c["cause"]: (c["count"], c["told_again"]) for c in said["causes"]} == {
        "changed": (1, 0),
        "missing": (1, 0),
        "unlisted": (1, 0),
    }
    first = (await shop.http.get(f"{URL}/stock-differences?limit=2", headers=key)).json()
    assert [d["code"] for d in first["items"]] == ["A", "B"]
    second = (await shop.http.get(f"{URL}/stock-differences?limit=2&cursor={first['next']}", headers=key)).json()
    assert [(d["code"], d["sku"], d["shown"]) for d in second["items"]] == [("GHOST", None, 3)]
    only = (await shop.http.get(f"{URL}/stock-differences?cause=missing", headers=key)).json()
    assert [(d["code"], d["mend"]) for d in only["items"]] == [
        ("B", "The channel does not have it, or keeps no stock of it: create it there, then tell it again.")
    ]
    wrong = await shop.http.get(f"{URL}/stock-differences?cause=gremlins", headers=key)
    assert wrong.status_code == 422


async def test_what_differs_is_told_again_by_code_cause_or_all_of_it(made):
    world, shop, key = made
    for body, count in (({"codes": ["A", "GHOST"]}, 1), ({"causes": ["missing"]}, 1), ({}, 2)):
        answer = await shop.http.post(f"{URL}/tell-stock-again", json=body, headers=key)
        assert (answer.status_code, answer.json()) == (202, {"count": count})
    assert await world.values("SELECT count(*) FROM listing WHERE sent_quantity IS NULL") == [2]
    nothing = await shop.http.post(f"{URL}/tell-stock-again", json={"codes": ["GHOST"]}, headers=key)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_tell")


async def test_a_comparison_is_asked_for_and_done_by_a_worker(made):
    world, shop, key = made
    assert (await shop.http.post(f"{URL}/stock-comparisons", headers=key)).status_code == 204
    due = "SELECT count(*) FROM connection_cursor WHERE stream = 'stock_look' AND next_at <= now()"
    assert await world.values(due) == [1]


async def test_a_connection_is_declared_to_state_stock_and_edited_by_version(made):
    _, shop, key = made
    role = {"source": "shop", "scope": "whole", "minutes": 30}
    assert (await shop.http.put(f"{URL}/stock-role", json=role, headers=key)).status_code == 428
    read = await shop.http.get(f"{URL}/stock-role", headers=key)
    assert (read.json()["source"], read.headers["etag"]) == (None, '"0"')
    stored = await shop.http.put(f"{URL}/stock-role", json=role, headers={**key, "If-Match": '"0"'})
    assert (stored.status_code, stored.json()) == (200, {"version": 1}), stored.text
    word = {"kind": "location", "theirs": "Centro", "ours": "S1"}
    assert (await shop.http.put(f"{URL}/methods", json=word, headers=key)).status_code == 200
    unknown = await shop.http.put(f"{URL}/methods", json={**word, "ours": "MOON"}, headers=key)
    assert unknown.status_code == 422
    read = (await shop.http.get(f"{URL}/stock-role", headers=key)).json()
    assert read == {"source": "shop", "scope": "whole", "minutes": 30, "version": 1, "places": {"Centro": "S1"}}
    stale = await shop.http.put(f"{URL}/stock-role", json=role, headers={**key, "If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version"), stale.text
    gone = await shop.http.delete(f"{URL}/stock-role", headers={**key, "If-Match": '"1"'})
    assert gone.status_code == 204, gone.text
    nowhere = {**role, "source": "nowhere"}
    missing = await shop.http.put(f"{URL}/stock-role", json=nowhere, headers={**key, "If-Match": '"0"'})
    assert missing.json()["code"] == "unknown_stock_source"


async def test_the_page_and_its_files_say_the_same(made):
    world, shop, _ = made
    owner = await shop.session()
    page = (await shop.http.get(f"/connections/{CODE}/stock", headers=owner)).text
    assert "3 differ" in page
    assert 'value="GHOST"' not in page, "what telling cannot mend is not chosen"
    rows = (await shop.http.get(f"/connections/{CODE}/stock:export.csv?cause=missing", headers=owner)).text.splitlines()
    assert [row.split(";")[:2] for row in rows[1:]] == [["B", "B"]]
    told = await shop.http.post(f"/connections/{CODE}/stock", data={"act": "tell", "pick": "A"}, headers=owner)
    assert told.status_code in {200, 303}, told.text
    assert await world.values("SELECT code FROM listing WHERE sent_quantity IS NULL") == ["A"]
    none = await shop.http.post(f"/connections/{CODE}/stock", data={"act": "tell"}, headers=owner)
    assert none.status_code == 422
