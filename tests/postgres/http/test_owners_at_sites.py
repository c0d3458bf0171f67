"""Who states stock names an owner beside the site: goods come to the owner's location, or the row says what is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests_http import Shop

from malha.doctor import examine
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import service as fulfillment
from malha.identity.model import Role
from malha.inventory.imports import StockImport, stock_pages
from malha.inventory.sync import applying
from malha.platform import jobs
from malha.platform.db import Actor, Tx
from malha.platform.ids import UUID, new_id
from malha.platform.tabular import Row
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order, an_owner_at

RIGHTS = ["stock:read", "stock:write", "stock:count", "stock:approve", "network:read", "network:write"]


@pytest.fixture
async def sited(shop: Shop) -> Shop:
    """DC keeps SP1's goods, DC-SP9 a franchise's; S1 is on its own."""
    await jobs.install(shop.database.url)
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await an_owner_at(tx, shop.world, "DC", "SP9", root="98765432")
        for sku in ("CUP", "BOWL"):
            await a_product(tx, shop.world, sku, stock={"DC": 10, "DC-SP9": 5})
        await tx.execute("UPDATE movement SET occurred_at = now() - interval '1 day', recorded_at = occurred_at")
    shop.headers = await shop.key(RIGHTS)
    return shop


async def post(shop: Shop, path: str, body: dict[str, Any]) -> httpx.Response:
    return await shop.http.post(path, json=body, headers={**shop.headers, "idempotency-key": str(new_id())})


async def on_hand(shop: Shop, sku: str = "CUP") -> dict[str, int]:
    answer = await shop.http.get("/v1/stock", params={"sku": sku}, headers=shop.headers)
    return {row["location"]: row["on_hand"] for row in answer.json()["items"]}


def ago(hours: int) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


async def sound(shop: Shop) -> None:
    report = await examine(shop.database)
    assert [f.lines("en") for f in report.findings if f.drifts] == []


async def test_receipts_orders_buckets_and_statements_find_the_owners_location_at_the_site(sited: Shop) -> None:
    line = {"sku": "CUP", "quantity": 3}
    for location in ("DC", "DC-SP9"):  # any location of the site names it
        answer = await post(sited, "/v1/receipts", {"location": location, "owner": "SP9", "lines": [line]})
        assert answer.status_code == 201, answer.text
    assert await on_hand(sited) == {"DC": 10, "DC-SP9": 11}
    ordered = await post(
        sited,
        "/v1/purchase-orders",
        {"supplier": "F", "location": "DC", "owner": "SP9", "lines": [{**line, "eta": "2030-01-01"}]},
    )
    order = await sited.http.get(f"/v1/purchase-orders/{ordered.json()['number']}", headers=sited.headers)
    assert order.json()["location"] == "DC-SP9"
    move = {
        "location": "DC",
        "owner": "SP9",
        "items": [{"sku": "CUP", "quantity": 2}],
        "from": "sellable",
        "to": "damaged",
    }
    assert (await post(sited, "/v1/stock:move", move)).status_code == 200
    assert await on_hand(sited) == {"DC": 10, "DC-SP9": 9}
    items = [
        {"sku": "CUP", "location": "DC", "owner": "SP9", "quantity": 20},
        {"sku": "BOWL", "location": "DC", "owner": "SP1", "quantity": 21},
        {"sku": "BOWL", "location": "DC", "quantity": 22},  # the site's own; of a pair named twice the last counts
    ]
    assert (await post(sited, "/v1/stock:set", {"items": items})).status_code == 200
    assert (await on_hand(sited), await on_hand(sited, "BOWL")) == ({"DC": 10, "DC-SP9": 20}, {"DC": 22, "DC-SP9": 5})
    await sound(sited)


async def test_an_owner_that_keeps_nothing_there_is_refused_wherever_it_is_named(sited: Shop) -> None:
    line = {"sku": "CUP", "quantity": 3}
    for path, body in (
        ("/v1/receipts", {"location": "S1", "owner": "SP9", "lines": [line]}),
        ("/v1/purchase-orders", {"supplier": "F", "location": "S1", "owner": "SP9", "lines": [{**line, "eta": "2030-01-01"}]}),
        ("/v1/stock:move", {"location": "S1", "owner": "SP9", "items": [line], "from": "sellable", "to": "damaged"}),
        ("/v1/transfers", {"origin": "DC", "destination": "S1", "destination_owner": "SP9", "lines": [line]}),
    ):  # fmt: skip
        answer = await post(sited, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "owner_not_at_site"), path
    answer = await post(sited, "/v1/stock:adjust", {
        "items": [{"sku": "CUP", "location": "S1", "owner": "SP9", "change": 1}], "reason": "found",
    })  # fmt: skip
    assert answer.status_code == 422
    assert [e["at"] for e in answer.json()["errors"]] == ["/items/0/owner"]
    assert await on_hand(sited) == {"DC": 10, "DC-SP9": 5}


async def test_a_sources_file_and_its_changes_name_owners(sited: Shop) -> None:
    source = {"code": "ERP", "name": "ERP", "truth": ["DC", "DC-SP9", "S1"]}
    assert (await post(sited, "/v1/stock/sources", source)).status_code == 201
    lines = b"sku;loja;dono;saldo\nCUP;DC;SP9;8\nCUP;DC;;7\nBOWL;S1;SP9;3\nBOWL;DC;SP9;x\nBOWL;S1;;1\n"
    for seq, kind, body in (
        (1, "text/csv", lines),
        (2, "application/x-ndjson", b'{"sku":"CUP","location":"DC","owner":"SP9","on_hand":9}\n{"sku":"CUP","location":"DC","on_hand":6}\n'),
        (3, "application/x-ndjson", b'{"sku":"BOWL","location":"DC","on_hand":2}\n'),
    ):  # fmt: skip
        answer = await sited.http.put(
            "/v1/stock/snapshots",
            params={"source": "ERP", "seq": seq, "as_of": ago(4 - seq), "covers": "partial"},
            content=body,
            headers={**sited.headers, "content-type": kind},
        )
        assert answer.status_code == 202, answer.text
        if answer.json()["state"] == "applying":
            await applying.apply(sited.database, UUID(answer.json()["id"]))
        if seq == 1:
            number = answer.json()["id"]
            assert await on_hand(sited) == {"DC": 7, "DC-SP9": 8}
            assert (await on_hand(sited, "BOWL"))["S1"] == 1
    assert (await on_hand(sited), (await on_hand(sited, "BOWL"))["DC"]) == ({"DC": 6, "DC-SP9": 9}, 2)
    async with sited.database.transaction() as tx:
        held = await tx.tuples(
            "SELECT row, location, problem FROM stock_snapshot_held WHERE snapshot_id = %(id)s::uuid ORDER BY row",
            {"id": UUID(number)},
        )
    assert held == [(4, "S1 @ SP9", "unknown_owner"), (5, "DC-SP9", "no_number")]
    rows = [
        {"ref": "1", "sku": "CUP", "location": "DC", "owner": "SP9", "delta": -2},
        {"ref": "2", "sku": "CUP", "location": "DC", "delta": -1},
        {"ref": "3", "sku": "CUP", "location": "S1", "owner": "SP9", "delta": 1},
    ]
    answer = await post(sited, "/v1/stock/deltas", {"source": "ERP", "rows": rows})
    assert [row["outcome"] for row in answer.json()["rows"]] == ["applied", "applied", "unknown_owner"]
    assert await on_hand(sited) == {"DC": 5, "DC-SP9": 7}
    await sound(sited)


async def test_exported_stock_names_the_owners_of_a_site_and_is_read_back_unchanged(sited: Shop) -> None:
    async with sited.database.transaction() as tx:
        await a_product(tx, sited.world, "JUG", stock={"S1": 1})
    pages = [row async for page in stock_pages(sited.database, Actor("person", "P")) for row in page]
    header, *table = pages
    found = {(row["sku"], row["location"]): row["owner"] for row in (dict(zip(header, r, strict=True)) for r in table)}
    assert found["CUP", "DC"] == "SP1"
    assert found["CUP", "DC-SP9"] == "SP9"
    assert found["JUG", "S1"] == ""  # one owner: nothing to tell apart
    rows = [Row(n, {k: v for k, v in zip(header, row, strict=True) if v != ""}, {}) for n, row in enumerate(table, 2)]
    async with sited.database.transaction() as tx:
        told = await StockImport().handle(tx, rows, apply=True, turn=0)
        assert (told.changed, told.created, told.unchanged, told.flaws) == (0, 0, 5, {})
        values = {"sku": "CUP", "location": "DC", "owner": "SP9", "on_hand": 1}
        await StockImport().handle(tx, [Row(2, values, {})], apply=True, turn=0)
        told = await StockImport().handle(tx, [Row(2, {**values, "owner": "RJ1"}, {})], apply=True, turn=0)
        assert [flaw.at for flaw in told.flaws[2]] == ["owner"]
    assert await on_hand(sited) == {"DC": 10, "DC-SP9": 1}


async def all_shipped(tx: Tx, sited: Shop, order: UUID) -> None:
    """Have all of an order leave, each owner's goods under their own document."""
    for work in await fulfillment.release_order(tx, order):
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        owner = "SP1" if work.location_id == sited.world.locations["DC"] else "SP9"
        await fiscal.record_document(tx, work.id, DocumentFacts(access_key=an_access_key(sited.world, owner)))
        await fulfillment.ship(tx, work.id)


async def test_a_settlement_says_what_left_of_each_owners_goods_and_what_customers_paid(sited: Shop) -> None:
    async with sited.database.transaction() as tx:
        ids = dict(await tx.tuples("SELECT sku, id FROM variant"))
        kit = await a_product(tx, sited.world, "SET", components={ids["CUP"]: 2})
        bought = [
            Sold(ids["CUP"], 3, price=500, discount=100),
            Sold(ids["BOWL"], 1, price=900, at="DC-SP9"),
            Sold(kit, 1),
        ]
        order = await an_order(tx, sited.world, bought)
        await an_order(tx, sited.world, [Sold(ids["CUP"], 1)])  # placed only: nothing left
        await all_shipped(tx, sited, order)
    period = {"since": ago(1), "until": ago(-1)}
    answer = await sited.http.get("/v1/stock/settlement", params=period, headers=sited.headers)
    found = [
        (r["owner"], r["sku"], r["location"], r["units"], r["unpriced"], r["value"]) for r in answer.json()["items"]
    ]
    assert found == [("SP1", "CUP", "DC", 5, 2, 1400), ("SP9", "BOWL", "DC-SP9", 1, 0, 900)]
    first = await sited.http.get("/v1/stock/settlement", params={**period, "limit": 1}, headers=sited.headers)
    rest = {**period, "cursor": first.json()["next"]}
    assert [
        r["sku"]
        for r in (await sited.http.get("/v1/stock/settlement", params=rest, headers=sited.headers)).json()["items"]
    ] == ["BOWL"]
    before = {"since": ago(9), "until": ago(8)}
    assert (await sited.http.get("/v1/stock/settlement", params=before, headers=sited.headers)).json()["items"] == []
    reader = await sited.session()
    page = (await sited.http.get("/stock-owners/settlement?owner=SP9", headers=reader)).text
    assert "BOWL" in page
    assert ">CUP<" not in page
    exported = (await sited.http.get("/stock-owners/settlement:export.csv", headers=reader)).text
    assert [line.split(";")[0] for line in exported.splitlines()[1:]] == ["SP1", "SP9"]
    keeper = await sited.session(Role.MANAGER, locations=["DC-SP9"])
    page = (await sited.http.get("/stock-owners/settlement", headers=keeper)).text
    assert "CUP" not in page
    assert "BOWL" in page
    empty = await sited.http.get("/stock-owners/settlement?since=2020-01-01&until=2020-01-02", headers=reader)
    assert "Nothing left in this time" in empty.text


async def test_a_settlement_goes_by_the_retailers_days_whoever_reads_it(sited: Shop) -> None:
    async with sited.database.transaction() as tx:
        ids = dict(await tx.tuples("SELECT sku, id FROM variant"))
        order = await an_order(tx, sited.world, [Sold(ids["CUP"], 3)])
        await all_shipped(tx, sited, order)
        # Late in the evening of the fifth in São Paulo, the sixth in Noronha.
        await tx.execute("UPDATE movement SET recorded_at = '2026-10-06T02:30:00Z' WHERE reason = 'ship'")
    reader = await sited.session()
    async with sited.database.transaction() as tx:
        await tx.execute("UPDATE person SET timezone = 'America/Noronha'")
    path = "/stock-owners/settlement"
    fifth, sixth = "since=2026-10-05&until=2026-10-05", "since=2026-10-06&until=2026-10-06"
    for name, period, there in (("fifth", fifth, True), ("sixth", sixth, False)):
        assert ("CUP" in (await sited.http.get(f"{path}?{period}", headers=reader)).text) is there, name
        assert ("CUP" in (await sited.http.get(f"{path}:export.csv?{period}", headers=reader)).text) is there, name


async def test_a_settlement_tells_units_of_kits_apart_though_an_order_left_in_pieces(sited: Shop) -> None:
    async with sited.database.transaction() as tx:
        ids = dict(await tx.tuples("SELECT sku, id FROM variant"))
        kit = await a_product(tx, sited.world, "SET", components={ids["CUP"]: 2})
        order = await an_order(tx, sited.world, [Sold(ids["CUP"], 1, price=1000), Sold(kit, 1, at="DC-SP9")])
        await all_shipped(tx, sited, order)
    period = {"since": ago(1), "until": ago(-1)}
    answer = await sited.http.get("/v1/stock/settlement", params=period, headers=sited.headers)
    found = [(r["owner"], r["units"], r["unpriced"], r["value"]) for r in answer.json()["items"]]
    assert found == [("SP1", 1, 1, 333), ("SP9", 2, 1, 667)]
