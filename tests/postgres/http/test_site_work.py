"""One walk through a site: the work of all its owners in one list, taken on together, by whoever sees their goods."""

from typing import Any

import pytest
from tests_http import Shop

from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.reads import QUEUE_LIMIT
from malha.identity.model import Role
from malha.inventory.sync import applying
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order, an_owner_at


@pytest.fixture
async def sited(shop: Shop) -> Shop:
    """At DC two orders want cups of SP1 and one of them plates of Terra; at S1 one wants a cup."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await an_owner_at(tx, shop.world, "DC", "TERRA", root="98765432")
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 10, "DC-TERRA": 5, "S1": 3})
        plate = await a_product(tx, shop.world, "PLATE", stock={"DC-TERRA": 5})
        shop.orders = [
            await an_order(tx, shop.world, [Sold(cup, 2, at="DC")]),
            await an_order(tx, shop.world, [Sold(cup, 1, at="DC"), Sold(plate, 3, at="DC-TERRA")]),
            await an_order(tx, shop.world, [Sold(cup, 1, at="DC-TERRA")]),
            await an_order(tx, shop.world, [Sold(cup, 1, at="S1")]),
        ]
        assert not (await fulfillment.release(tx, shop.orders, forced=True)).left
    shop.headers = await shop.key(["orders:read", "fulfillment:work", "stock:read", "stock:write", "network:write"])
    return shop


async def ask(shop: Shop, method: str, path: str, body: Any = None, status: int = 200, headers: Any = None) -> Any:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    sent = {**(headers or shop.headers), "idempotency-key": str(new_id())}
    answer = await shop.http.request(method, path, headers=sent, **content)
    assert answer.status_code == status, (path, answer.text)
    return answer.json() if answer.headers["content-type"].startswith("application/") else answer.text


async def test_work_of_a_site_is_listed_with_whose_goods_it_is(sited: Shop) -> None:
    every = await ask(sited, "GET", "/v1/fulfillments")
    assert sorted((w["location"], w["owner"], w["shared"]) for w in every) == [
        ("DC", "SP1", True), ("DC", "SP1", True), ("DC-TERRA", "TERRA", True), ("DC-TERRA", "TERRA", True),
        ("S1", "SP1", False),
    ]  # fmt: skip
    for named in ("DC", "DC-TERRA"):  # any location of the site names it
        assert len(await ask(sited, "GET", f"/v1/fulfillments?site={named}")) == 4
    assert len(await ask(sited, "GET", "/v1/fulfillments?site=DC&location=DC-TERRA")) == 2
    assert await ask(sited, "GET", "/v1/fulfillments?site=DC&location=S1") == []
    for nothing in ("site=NOWHERE", "location=NOWHERE"):
        problem = await ask(sited, "GET", f"/v1/fulfillments?{nothing}", status=404)
        assert problem["code"] == "unknown_location"
        assert "NOWHERE" in problem["detail"]


async def test_a_walk_goes_from_sku_to_sku_and_from_owner_to_owner(sited: Shop) -> None:
    rows = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")
    assert [(r["sku"], r["owner"], r["units"], r["state"]) for r in rows] == [
        ("CUP", "SP1", 2, "open"), ("CUP", "SP1", 1, "open"), ("CUP", "TERRA", 1, "open"),
        ("PLATE", "TERRA", 3, "open"),
    ]  # fmt: skip
    mixed = [r for r in rows if r["order_number"] == rows[3]["order_number"]]
    assert [r["owner"] for r in mixed] == ["SP1", "TERRA"]
    assert mixed[0]["fulfillment_id"] != mixed[1]["fulfillment_id"]


async def test_what_is_picked_is_not_fetched_again(sited: Shop) -> None:
    rows = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")
    await ask(sited, "POST", f"/v1/fulfillments/{rows[0]['fulfillment_id']}/pick", {})
    plates = {"picked": [{"line": 2, "quantity": 2}]}
    await ask(sited, "POST", f"/v1/fulfillments/{rows[3]['fulfillment_id']}/pick", plates)
    rows = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")
    assert [(r["sku"], r["owner"], r["units"], r["state"]) for r in rows] == [
        ("CUP", "SP1", 1, "open"), ("CUP", "TERRA", 1, "open"), ("PLATE", "TERRA", 1, "picking"),
    ]  # fmt: skip


async def test_the_work_of_a_site_is_taken_on_together_once_and_nobody_is_robbed(sited: Shop) -> None:
    rows = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")
    ids = list(dict.fromkeys(r["fulfillment_id"] for r in rows))
    other = await sited.session(Role.MANAGER, email="bia@loja.test")
    await ask(sited, "POST", f"/v1/fulfillments/{ids[0]}/accept", {}, headers=other)
    await ask(sited, "POST", f"/v1/fulfillments/{ids[1]}/pick", {})
    taken = await ask(sited, "POST", "/v1/fulfillments:accept", {"fulfillments": [*ids, ids[2]]})
    assert set(taken["fulfillments"]) == set(ids[2:])
    async with sited.database.transaction() as tx:
        states = {
            str(id_): (state, assignee is not None)
            for id_, state, assignee in await tx.tuples("SELECT id, state, assignee FROM fulfillment_order")
        }
        events = await tx.tuples("SELECT payload ->> 'fulfillment_id' FROM outbox WHERE type = 'fulfillment.accepted'")
        assert sorted(e for (e,) in events) == sorted(ids)  # who picks accepts
    assert [states[id_] for id_ in ids] == [
        ("accepted", True),
        ("picked", False),
        ("accepted", True),
        ("accepted", True),
    ]
    again = await ask(sited, "POST", "/v1/fulfillments:accept", {"fulfillments": ids})
    assert again["fulfillments"] == []
    await drain(sited.database, SUBSCRIPTIONS)
    assert not [f for f in (await examine(sited.database)).findings if f.drifts]


async def test_who_sees_one_owners_goods_sees_takes_and_names_nothing_of_the_others(sited: Shop) -> None:
    rows = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")
    limited = await sited.key(["orders:read", "fulfillment:work"], locations=["DC-TERRA"])
    seen = await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC-TERRA", headers=limited)
    assert {r["owner"] for r in seen} == {"TERRA"}
    work = await ask(sited, "GET", "/v1/fulfillments", headers=limited)
    assert {w["shared"] for w in work} == {False}, "nobody else's goods are there, for all that they see"
    assert seen == await ask(sited, "GET", "/v1/fulfillments:pick-list", headers=limited)
    for path in ("/v1/fulfillments?site=DC", "/v1/fulfillments:pick-list?site=DC"):
        await ask(sited, "GET", path, status=404, headers=limited)
    ids = list(dict.fromkeys(r["fulfillment_id"] for r in rows))
    await ask(sited, "POST", "/v1/fulfillments:accept", {"fulfillments": ids}, status=404, headers=limited)
    async with sited.database.transaction() as tx:
        assert await tx.values("SELECT DISTINCT state FROM fulfillment_order") == ["open"]


async def test_the_pages_gather_a_site_in_the_scope_of_who_looks(sited: Shop) -> None:
    lead = await sited.session(Role.STORE_LEAD, email="lead@loja.test", locations=["DC", "DC-TERRA"])
    board = await ask(sited, "GET", "/fulfillment?site=DC", headers=lead)
    assert "TERRA" in board
    walk = await ask(sited, "GET", "/fulfillment/pick-list?site=DC-TERRA", headers=lead)
    assert walk.count('data-cell="owner"') == 3
    assert 'value="DC" selected' in walk  # a site is called by the first location there that is seen
    file = await sited.http.get("/fulfillment/pick-list/export.csv?site=DC", headers=lead)
    assert len(file.text.strip().splitlines()) == 5
    alone = await sited.session(Role.STORE_LEAD, email="terra@loja.test", locations=["DC-TERRA"])
    own = await ask(sited, "GET", "/fulfillment/pick-list?site=DC", headers=alone)
    assert own.count('data-cell="owner"') == 2
    assert 'name="site"' not in own
    form = [("work", r["fulfillment_id"]) for r in await ask(sited, "GET", "/v1/fulfillments:pick-list?site=DC")]
    body = "&".join(f"{name}={value}" for name, value in form)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await sited.http.post("/fulfillment/pick-list:take", content=body, headers={**alone, **kind})
    assert answer.status_code == 404
    answer = await sited.http.post("/fulfillment/pick-list:take", content="work=x", headers={**lead, **kind})
    assert answer.status_code == 422
    answer = await sited.http.post("/fulfillment/pick-list:take", content=body, headers={**lead, **kind})
    assert answer.status_code == 303
    walk = await ask(sited, "GET", "/fulfillment/pick-list?site=DC", headers=lead)
    assert 'name="work"' not in walk


async def test_a_location_with_nothing_to_do_shows_nobody_elses_work(sited: Shop) -> None:
    async with sited.database.transaction() as tx:
        await fulfillment.cancel(tx, sited.orders[3], reason="x")
    owner = await sited.session()
    for path in ("/fulfillment", "/fulfillment/pick-list"):
        page = await ask(sited, "GET", f"{path}?location=S1", headers=owner)
        assert 'value="S1" selected' in page
        assert "CUP" not in page
    file = await sited.http.get("/fulfillment/pick-list/export.csv?location=S1", headers=owner)
    assert len(file.text.strip().splitlines()) == 1


async def test_disagreements_of_a_site_are_listed_added_up_sent_as_files_and_repaired_together(sited: Shop) -> None:
    await ask(sited, "POST", "/v1/stock/sources", {"code": "WMS", "name": "WMS", "secondary": ["DC", "DC-TERRA", "S1"],
              "skew_seconds": 0}, status=201)  # fmt: skip
    said = b"sku;location;on_hand\nCUP;DC;12\nCUP;DC-TERRA;3\nCUP;S1;9\n"
    async with sited.database.transaction() as tx:
        await tx.execute("UPDATE movement SET occurred_at = now() - interval '1 day'")
        as_of = (await tx.now()).isoformat()
    made = await sited.http.put(
        "/v1/stock/snapshots", content=said, headers=sited.headers,
        params={"source": "WMS", "seq": 1, "as_of": as_of},
    )  # fmt: skip
    await applying.apply(sited.database, UUID(made.json()["id"]))
    rows = (await ask(sited, "GET", "/v1/stock/drift?site=DC-TERRA"))["items"]
    assert sorted((r["location"], r["site"], r["owner"], r["unexplained"]) for r in rows) == [
        ("DC", "DC", "SP1", 2), ("DC-TERRA", "DC", "TERRA", -2),
    ]  # fmt: skip
    first = await ask(sited, "GET", "/v1/stock/drift:by-site?limit=1")
    rest = await ask(sited, "GET", f"/v1/stock/drift:by-site?cursor={first['next']}")
    found = {one["site"]: one for one in (*first["items"], *rest["items"])}
    assert rest["next"] is None
    assert {site: (one["theirs"], one["ours"], one["unexplained"], len(one["rows"])) for site, one in found.items()} == {
        "DC": (15, 15, 0, 2), "S1": (9, 3, 6, 1),
    }  # fmt: skip
    file = await ask(sited, "GET", "/v1/stock/drift:export?site=DC&by_site=true")
    assert len(file.strip().splitlines()) == 3
    await ask(sited, "GET", "/v1/stock/drift:export?site=NOWHERE", status=404)
    page = await ask(sited, "GET", "/stock-sync?site=DC", headers=await sited.session(Role.OWNER))
    assert page.count("data-select-part") == 1
    assert page.count("data-select-row") == 2
    assert "<tfoot>" in page
    items = [{"id": r["id"], "version": r["version"]} for r in found["DC"]["rows"]]
    done = await ask(sited, "POST", "/v1/stock/drift:repair", {"how": "theirs", "items": items})
    assert {r["state"] for r in done} == {"theirs"}
    assert (await ask(sited, "GET", "/v1/stock/drift:by-site?site=DC"))["items"] == []
    limited = await sited.key(["stock:read", "stock:write"], locations=["DC-TERRA"])
    own = await ask(sited, "GET", "/v1/stock/drift:by-site?status=theirs", headers=limited)
    assert [(one["site"], len(one["rows"])) for one in own["items"]] == [("DC-TERRA", 1)]


async def test_the_file_of_a_walk_has_the_work_that_a_page_has_no_room_for(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 400})
        orders = [await an_order(tx, shop.world, [Sold(cup, 1, at="DC")]) for _ in range(QUEUE_LIMIT + 3)]
        assert not (await fulfillment.release(tx, orders, forced=True)).left
    owner = await shop.session(Role.OWNER)
    page = await shop.http.get("/fulfillment/pick-list", headers=owner)
    assert "3 pieces of work that are due later are not in it" in page.text
    file = await shop.http.get("/fulfillment/pick-list/export.csv", headers=owner)
    assert len(file.text.splitlines()) == 1 + QUEUE_LIMIT + 3
