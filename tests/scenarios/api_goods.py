"""How goods are used over the API, as part of the story of every operation: shared out, stated, ordered, moved, counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from malha.intake.reference import REFRESH_SECONDS
from malha.inventory.sync import applying
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.simulation import service as simulation

Job = Callable[[Database], Awaitable[Any]]

FIG = {"sku": "FIG-1", "location": "STALL"}
LATER = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def worked_off(url: str, retailer: str, job: Job) -> Any:
    """Do on the database what the worker would: none runs beside the story."""

    async def run() -> Any:
        async with Database(url, retailer) as database:
            return await job(database)

    return asyncio.run(run())


def share_out(story: Any) -> None:
    """Groups, owners, fences and caps, safety rules, what a channel may sell, and how it hears of it."""
    do, change = story.do, story.change
    do("create_location_group", body={"code": "stalls", "name": "Barracas", "locations": ["STALL"]})
    change("change_location_group", 1, code="stalls", body={"name": "Barracas SP", "locations": ["STALL", "TENT"]})
    do("list_location_groups")
    do("show_location_group", code="stalls")
    do("create_location_group", body={"code": "tents", "name": "Tendas", "locations": ["TENT"]})
    change("delete_location_group", 1, code="tents")
    do("show_owner", code="TENT")
    change("change_owner", story.version(), code="TENT", body={"establishment": "FAIR"})
    do("show_channel_owners", code="fair")
    change("change_channel_owners", story.version(), code="fair", body={"legal_entities": ["12ABC345"]})

    cap = {"code": "FEW", "name": "Poucos", "kind": "cap", "channels": ["fair"], "quota": 90, "skus": ["FIG-1"]}
    fence = {
        "code": "APART",
        "name": "À parte",
        "kind": "fence",
        "channels": ["fair"],
        "stock": [{**FIG, "quantity": 5}],
    }
    do("create_allotment", body=cap)
    do("create_allotment", body=fence)
    change("change_allotment", 1, code="FEW", body={**cap, "quota": 80})
    do("get_allotment", code="APART")
    do("list_allotments", query={"only": "active"})
    rows = do("export_fence_rows", query={"format": "csv"})
    assert do("import_fence_rows", query={"mode": "all"}, body=rows)["bad"] == 0
    run = do("upload_allotments", query={"name": "cercas.csv"}, body=rows)["id"]
    do("stop_import", import_id=run)
    vip = {"name": "VIP", "note": "Quem compra toda semana"}
    do("create_customer_group", body={"code": "vip", **vip})
    do("list_customer_groups")
    do("show_customer_group", code="vip")
    change("change_customer_group", 1, code="vip", body={**vip, "name": "Da casa"})
    change("delete_customer_group", 2, code="vip")
    rule = {"code": "SPARE", "name": "Reserva", "amount": 1, "location": "TENT"}
    do("try_safety_rule", body=rule)
    do("create_safety_rule", body=rule)
    change("change_safety_rule", 1, code="SPARE", body={**rule, "location": None, "location_group": "stalls"})
    do("list_safety_rules", query={"purpose": "routing"})
    do("explain_safety", sku="FIG-1", query={"channel": "fair"})
    stated = do("export_safety_rules", query={"format": "csv"})
    report = do("import_safety_rules", query={"mode": "all"}, body=stated)
    assert report["unchanged"] == report["rows"] > 0
    do("stop_import", import_id=do("upload_safety_rules", query={"name": "regras.csv"}, body=stated)["id"])
    change("delete_safety_rule", 2, code="SPARE")
    here = do("show_availability", query={"channel": "fair", "sku": ["FIG-1"], "location_group": "stalls"})
    assert here["skus"][0]["available"] > 50
    basket = {"channel": "fair", "lines": [{"sku": "FIG-1", "quantity": 3}], "method": "ship", "to_state": "SP"}
    assert do("check_basket", body=basket)["available"]
    do("promise_basket", body={"channel": "fair", "lines": basket["lines"], "to_state": "SP"})
    do("end_allotment", code="APART")

    do("put_stock_push", code="fair", body={"kind": "feed", "all_skus": True})
    do("get_stock_push", code="fair")
    do("list_stock_pushes")
    do("put_listings", code="fair", body={"items": [{"sku": "FIG-1", "code": "F-1"}, {"sku": "NONE"}]})
    do("list_listings", code="fair", query={"sku": "FIG-1", "limit": 1})
    do("resend_stock", code="fair", body={"everything": True})
    page = do("list_stock_changes", code="fair", query={"limit": 1})
    do("list_stock_changes", code="fair", query={"cursor": page["cursor"]})


def state_stock(story: Any) -> None:
    """What a warehouse's own system states, and where the two disagree."""
    do = story.do
    source = {"code": "GALPAO", "name": "Galpão", "secondary": ["TENT"], "skew_seconds": 0, "zero_percent": 10}
    do("add_source", body=source)
    story.change("change_source", 1, code="GALPAO", body={**source, "name": "Galpão 2"})
    do("get_source", code="GALPAO")
    do("list_sources")
    do("set_stock", body={"items": [{"sku": "FIG-1", "location": "TENT", "quantity": 30}], "occurred_at": ago(3)})
    told = b"sku;location;on_hand\nFIG-1;TENT;25\nFIG-9;TENT;1\n"
    stated = do("put_snapshot", query={"source": "GALPAO", "seq": 1, "as_of": ago(2)}, body=told)["id"]
    story.work_off(lambda database: applying.apply(database, UUID(stated)))
    assert do("get_snapshot", snapshot_id=stated)["state"] == "applied"
    do("list_snapshots", query={"source": "GALPAO", "limit": 1})
    assert [row["sku"] for row in do("list_held", snapshot_id=stated)["items"]] == ["FIG-9"]
    do("export_held", snapshot_id=stated)
    do("export_held", snapshot_id=stated, query={"format": "xlsx"})
    do("source_trend", code="GALPAO", query={"location": "TENT", "days": 7})
    (off,) = do("list_drift", query={"source": "GALPAO"})["items"]
    (together,) = do("list_site_drift", query={"source": "GALPAO", "site": "TENT"})["items"]
    assert [row["id"] for row in together["rows"]] == [off["id"]]
    do("export_drift", query={"site": "TENT", "by_site": True})
    do("get_drift", drift_id=off["id"])
    do("export_drift", query={"source": "GALPAO"})
    do("export_drift", query={"source": "GALPAO", "format": "xlsx"})
    settled = do("repair_drift", body={"how": "theirs", "items": [{"id": off["id"], "version": off["version"]}]})
    assert (settled[0]["state"], settled[0]["theirs"]) == ("theirs", 25)
    rows = [{"ref": "d-1", "sku": "FIG-1", "location": "TENT", "delta": 2}, {"ref": "d-2", **FIG, "set": 9}]
    assert do("report_deltas", body={"source": "GALPAO", "rows": rows})["applied"] == 1

    truth = {"code": "ERP-F", "name": "ERP", "truth": ["TENT"], "zero_percent": 10}
    do("add_source", body=truth)
    nothing = {"query": {"source": "ERP-F", "as_of": ago(1), "covers": "whole", "location": ["TENT"]}}
    for seq, decide in ((1, "cancel_snapshot"), (2, "confirm_snapshot")):
        nothing["query"]["seq"] = seq
        waits = do("put_snapshot", **nothing, body=b"sku;location;on_hand\nFIG-1;TENT;0\n")
        assert waits["state"] == "waiting"
        do(decide, snapshot_id=waits["id"])


def order_and_receive(story: Any) -> None:
    """Goods that a supplier sends, in more than one condition."""
    do = story.do
    lines = [{"sku": "FIG-1", "quantity": n, "eta": LATER, "unit_cost": 2_500} for n in (10, 4)]
    order = {"supplier": "Sítio", "reference": "OC-1", "location": "STALL", "lines": lines}
    number = do("place_inbound_order", body=order)["number"]
    moved = {"lines": {"1": LATER}, "reason": "chuva"}
    do("reschedule_inbound_order", number=number, body=moved)
    do("list_incoming", query={"sku": ["FIG-1"]})
    do("get_inbound_order", number=number)
    more = {"note": "com nota", "lines": [{"line": 2, "quantity": 5, "unit_cost": None}], "reason": "faltou"}
    story.change("change_inbound_order", story.version(), number=number, body=more)
    do("add_inbound_lines", number=number, body={"lines": [{"sku": "FIG-1", "quantity": 1, "eta": LATER}]})
    parts = [
        {"sku": "FIG-1", "quantity": 3, "line": 1},
        {"sku": "FIG-1", "quantity": 2, "bucket": "damaged", "line": 1},
    ]
    done = do("receive_goods", body={"location": "STALL", "order": number, "lines": parts})["number"]
    do("list_receipts", query={"limit": 1})
    do("get_receipt", number=done)
    do("list_buckets", query={"sku": ["FIG-1"]})
    put = {"location": "STALL", "items": [{"sku": "FIG-1", "quantity": 1}]}
    do("move_between_buckets", body={**put, "from": "damaged", "to": "quality_control"})
    do("move_between_buckets", body={**put, "from": "quality_control", "to": "damaged"})
    do("undo_receipt", number=done, body={"reason": "wrong place"})
    do("list_inbound_orders", query={"q": "OC-1", "open": True, "location": "STALL", "status": ["partial"]})
    do("get_inbound_order", number=number)
    do("close_inbound_order", number=number, body={"reason": "not delivered"})


def move_goods(story: Any) -> None:
    """Goods between locations, of which one is missing on arrival."""
    do = story.do
    wanted = {"origin": "STALL", "destination": "TENT", "lines": [{"sku": "FIG-1", "quantity": 4}], "eta": LATER}
    number = do("request_transfer", body=wanted)["number"]
    do("approve_transfer", number=number, body={"quantities": {"1": 3}})
    do("ship_transfer", number=number, body={"carrier": "Própria", "eta": LATER})
    do("get_transfer", number=number)
    moved = {"eta": LATER, "reason": "chuva"}
    story.change("reschedule_transfer", story.version(), number=number, body=moved)
    come = do("receive_transfer", number=number, body={"lines": [{"sku": "FIG-1", "quantity": 2}]})
    assert (come["state"], come["missing"]) == ("received", 1)
    (gone,) = do("get_transfer", number=number)["discrepancies"]
    do("decide_discrepancy", number=number, discrepancy_id=gone["id"], body={"decision": "lost"})
    do("list_transfers", query={"status": "closed", "crosses": ["nothing", "company"], "limit": 1})
    do("cancel_transfer", number=do("request_transfer", body=wanted)["number"], body={"reason": "too far"})
    ship_in_parts(story, do("request_transfer", body=wanted)["number"])


def ship_in_parts(story: Any, number: int) -> None:
    """A transfer whose goods leave bit by bit; the last of them stay."""
    do = story.do
    do("approve_transfer", number=number, body={"quantities": {"1": 3}})
    for _ in range(2):
        left = do("ship_transfer", number=number, body={"quantities": {"1": 1}, "more_follows": True})
    assert (left["shipment"], left["to_ship"], left["state"]) == (2, 1, "partly_shipped")
    second = {"shipment": 2, "lines": [{"sku": "FIG-1", "quantity": 1}]}
    assert do("receive_transfer", number=number, body=second)["missing"] == 0
    do("get_transfer", number=number)
    given = story.change("close_transfer", story.version(), number=number, body={"reason": "sold out here"})
    assert given["units"] == 1
    shown = do("get_transfer", number=number)
    assert [one["state"] for one in shown["shipments"]] == ["shipped", "closed"]
    assert do("receive_transfer", number=number, body={**second, "shipment": 1})["state"] == "closed"


def count_goods(story: Any, second: dict[str, str], third: dict[str, str]) -> None:
    """A count of two people, which the owner approves; `second` and `third` are the headers of theirs."""
    do = story.do
    number = do("raise_count", body={"location": "STALL", "skus": ["FIG-1"], "limit_units": 0})["number"]
    there = do("list_stock", query={"sku": ["FIG-1"], "location": "STALL"})["items"][0]["on_hand"]
    counted = {"items": [{"sku": "FIG-1", "counted": there - 1}]}
    assert do("enter_counts", number=number, body=counted, headers=second)[0]["state"] == "recount"
    assert do("enter_counts", number=number, body=counted, headers=third)[0]["state"] == "review"
    assert do("recount", number=number, body={"skus": ["FIG-1"]})["count"] == 1
    do("enter_counts", number=number, body=counted, headers=second)
    do("get_count", number=number)
    do("list_count_lines", number=number, query={"limit": 1})
    do("list_counts", query={"open": True, "limit": 1})
    do("approve_count", number=number, body={})
    assert do("close_count", number=number, body={})["applied"] == 1
    zone = {"location": "STALL", "skus": ["FIG-1"], "zone": "Back", "freeze_zone": True}
    other = do("raise_count", body=zone)["number"]
    assert do("get_count", number=other)["count"]["zone_frozen"]
    do("cancel_count", number=other, body={"reason": "closing time"})
    do("list_suspicions")
    do("lift_suspicions", body={"location": "STALL", "skus": ["FIG-1"], "reason": "found behind the shelf"})


def sell_ahead(story: Any) -> None:
    """Goods that are promised before they are there, who waits for them, and what may stand in for them."""
    do = story.do
    jars = [{"sku": "JAM-1", "price": 2_000, "substitutes": [{"sku": "JAM-2"}]}, {"sku": "JAM-2", "price": 1_500}]
    named = [{"options": {"Fruta": fruit}, **jar} for fruit, jar in zip(("Figo", "Uva"), jars, strict=True)]
    do("create_product", body={"code": "JAM", "name": "Geleia", "options": ["Fruta"], "variants": named})
    do("set_stock", body={"items": [{"sku": "JAM-2", "location": "STALL", "quantity": 9}]})
    lines = [{"sku": "JAM-1", "quantity": 3, "eta": LATER}]
    do("place_inbound_order", body={"supplier": "Sítio", "location": "STALL", "lines": lines})
    policy = do("put_ahead_policy", code="JAM", body={"mode": "backorder", "sku": "JAM-1", "channel": "fair"})
    assert do("list_ahead_policies", code="JAM")[0]["id"] == policy["id"]
    stated = do("export_ahead_policies", query={"format": "csv"})
    report = do("import_ahead_policies", query={"mode": "all"}, body=stated)
    assert report["unchanged"] == report["rows"] > 0
    do("stop_import", import_id=do("upload_ahead_policies", query={"name": "antecipada.csv"}, body=stated)["id"])
    time.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    address = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}
    wanted = [{"sku": "JAM-1", "quantity": 2, "unit_price": 2_000}]
    order = do("create_order", body={"channel": "fair", "external_id": "F-9", "ship_to": address, "lines": wanted})[
        "id"
    ]
    assert do("list_supply", query={"sku": ["JAM-1"]})[0]["promised"] == 2
    assert [row["quantity"] for row in do("list_supply_claims", query={"q": "JAM-1", "limit": 1})["items"]] == [2]
    (choice,) = do("list_substitutes", order_id=order)
    assert (choice["waiting"], [one["sku"] for one in choice["substitutes"]]) == (2, ["JAM-2"])
    done = do("replace_line", order_id=order, line=1, body={"sku": "JAM-2", "quantity": 1})
    assert done["replaced"]["amount"] == 500
    assert do("list_supply", query={"sku": ["JAM-1"]})[0]["promised"] == 1
    gone = {"version": policy["version"]}
    do("remove_ahead_policy", code="JAM", policy_id=policy["id"], body=gone)


def weigh(story: Any) -> None:
    """What routing compares besides freight: stated, read back, and off again."""
    do, change = story.do, story.change
    before = do("show_routing_costs")
    change("change_routing_costs", story.version(), body={**before, "split_penalty": 150})
    assert do("show_routing_costs")["split_penalty"] == 150
    change("change_routing_costs", story.version(), body=before)
    assert do("price_stock_now")["going"] in {"asked", "running", "on"}
    assert do("turn_stock_pricing", body={"on": False})["going"] == "off"
    assert do("turn_stock_pricing", body={"on": True})["going"] != "off"
    assert do("show_stock_pricing")["going"] != "off"
    assert do("list_stock_prices")["items"] == []  # so few orders are no evidence
    kept = do("show_markdown_credits")
    aged = {"sku": "FIG-1", "location": "STALL", "centavos": 200}
    change("change_markdown_credits", story.version(), body={"rows": [aged]})
    assert do("show_markdown_credits")["rows"] == [aged]
    change("change_markdown_credits", story.version(), body=kept)
    kept = do("show_tax_costs")
    change("change_tax_costs", story.version(), body=kept)
    do("list_routing_risks")


def ask_what_if(story: Any) -> None:
    """Simulations: one that is stopped and forgotten, one that comes to its end."""
    do = story.do
    scenario = {"locations": [{"location": "STALL", "handling": 500}], "split_penalty": 300}
    wanted = {"name": "E se?", "since": ago(48)[:10], "until": LATER, "scenario": scenario}
    stopped = do("start_simulation", body=wanted)["id"]
    assert do("stop_simulation", id=stopped)["status"] == "cancelled"
    do("forget_simulation", id=stopped)
    run = do("start_simulation", body=wanted)["id"]
    story.work_off(lambda database: simulation.run.work(database, simulation_id=run))
    assert do("show_simulation", id=run)["status"] == "done"
    assert do("show_simulation_result", id=run)["after"]["total"]["orders"] > 0
    do("list_simulations")
