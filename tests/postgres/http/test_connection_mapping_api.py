"""Mapping over the API and on its page: suggestions, said and taken back, and the orders that waited."""

from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.platform.db import Database

URL = f"/v1/connections/{CODE}/variants"
SEEN = """
INSERT INTO channel_variant (connection_id, code, external_id, gtin, name, price, source)
SELECT id, w.code, w.code, w.gtin, w.name, 1990, 'catalog' FROM connection,
       (VALUES ('a', '', 'Ware'), ('B-1', '07891000315507', 'Other'), ('GIFT', '', 'Card')) AS w(code, gtin, name)
"""
WAITS = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state, cause, wants)
SELECT id, 'x', 'order:1', 'webhook', 'hint', '1', 'unmapped', 'unmapped', ARRAY['listing:B-1'] FROM connection
"""


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection whose catalogue names three variants; an order waits for one."""
    from contextlib import AsyncExitStack

    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        async with database.transaction() as tx:
            await tx.execute("UPDATE variant SET gtin = '7891000315507' WHERE sku = 'B'")
            await tx.execute(SEEN)
            await tx.execute(WAITS)
        yield world, shop, await shop.key(["network:read", "network:write"])


async def states(shop, key) -> dict[str, list[tuple[str, str | None]]]:
    found = {}
    for state in ("open", "mapped", "ignored"):
        rows = (await shop.http.get(f"{URL}?view={state}", headers=key)).json()["items"]
        found[state] = [(row["code"], row["sku"]) for row in rows]
    return found


async def test_open_variants_come_with_suggestions_and_the_orders_that_wait(made):
    _, shop, key = made
    first = (await shop.http.get(f"{URL}?limit=2", headers=key)).json()
    second = (await shop.http.get(f"{URL}?limit=2&cursor={first['next']}", headers=key)).json()
    rows = {row["code"]: row for row in [*first["items"], *second["items"]]}
    assert [(s["sku"], s["how"], s["score"]) for s in rows["B-1"]["suggestions"]] == [("B", "gtin", 98)]
    assert [(s["sku"], s["how"]) for s in rows["a"]["suggestions"]] == [("A", "sku")]
    assert {code: row["waiting"] for code, row in rows.items()} == {"a": 0, "B-1": 1, "GIFT": 0}


async def test_a_mapping_is_said_accepted_taken_back_and_set_aside(made):
    _, shop, key = made
    said = await shop.http.put(URL, json={"items": [{"code": "a", "sku": "A"}]}, headers=key)
    assert (said.status_code, said.json()) == (200, {"mapped": 1, "orders": 0}), said.text
    accepted = await shop.http.post(f"{URL}/accept", json={"at_least": 98}, headers=key)
    assert accepted.json() == {"mapped": 1, "orders": 1}
    assert (await shop.http.post(f"{URL}/accept", json={"at_least": 20}, headers=key)).status_code == 422
    assert (await shop.http.post(f"{URL}/ignore", json={"codes": ["GIFT"]}, headers=key)).json() == {"count": 1}
    assert await states(shop, key) == {"open": [], "mapped": [("B-1", "B"), ("a", "A")], "ignored": [("GIFT", None)]}
    assert (await shop.http.post(f"{URL}/unmap", json={"codes": ["a"]}, headers=key)).json() == {"count": 1}
    assert (await shop.http.post(f"{URL}/consider", json={"codes": ["GIFT"]}, headers=key)).json() == {"count": 1}
    assert (await states(shop, key))["open"] == [("GIFT", None), ("a", None)]
    wrong = await shop.http.put(URL, json={"items": [{"code": "a", "sku": "NOPE"}]}, headers=key)
    assert wrong.status_code == 422
    gone = await shop.http.post(f"{URL}/unmap", json={"codes": ["nothing"]}, headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_entry")


async def test_the_page_maps_to_what_stands_beside_a_variant_and_its_file_says_the_same(made):
    _, shop, key = made
    owner = await shop.session()
    page = f"/connections/{CODE}/mapping"
    shown = (await shop.http.get(page, headers=owner)).text
    assert 'value="B"' in shown
    rows = (await shop.http.get(f"{page}:export.csv", headers=owner)).text.splitlines()
    assert sorted(row.split(";")[0] for row in rows[1:]) == ["B-1", "GIFT", "a"]
    empty = {"act": "map", "pick": "GIFT", "sku/GIFT": ""}
    assert (await shop.http.post(page, data=empty, headers=owner)).status_code == 422
    done = await shop.http.post(page, data={"act": "map", "pick": "B-1", "sku/B-1": "B"}, headers=owner)
    assert done.status_code in {200, 303}, done.text
    assert (await states(shop, key))["mapped"] == [("B-1", "B")]
    mapped = (await shop.http.get(f"{page}?view=mapped", headers=owner)).text
    assert "somebody said so" in mapped


async def test_what_waits_for_a_mapping_says_what_to_do_to_programs_too(made):
    _, shop, key = made
    says = "Say what they mean, or which SKU it is: they go on by themselves."
    (row,) = (await shop.http.get(f"/v1/connections/{CODE}/inbox", headers=key)).json()["items"]
    assert (row["cause"], row["mend"], row["wants"]) == ("unmapped", says, ["listing:B-1"])
    (cause,) = (await shop.http.get(f"/v1/connections/{CODE}", headers=key)).json()["causes"]
    assert (cause["cause"], cause["mend"]) == ("unmapped", says)
