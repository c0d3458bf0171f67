"""Drafts beside the live network: they decide what is placed, touch nothing, go on after a kill, and are compared."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.platform import sequencer
from malha.simulation import shadow_reads, shadowing

__all__ = ["retailer"]

RIGHTS = {"network:read", "network:write"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what another test's worker had in memory."""
    monkeypatch.setattr(shadowing, "_memory", {})


async def started(shop: Shop, key: dict[str, str], name: str = "Without Recife", **scenario: Any) -> dict[str, Any]:
    said = {"name": name, "scenario": scenario}
    answer = await shop.http.post("/v1/shadows", json=said, headers={**key, "idempotency-key": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def numbered(shop: Shop) -> None:
    """Move what is committed into the log."""
    async with shop.database.transaction() as tx:
        while (await sequencer.sequence(tx)).count:
            pass


async def swept(shop: Shop) -> None:
    """Number the events, and let the worker's sweep go by."""
    await numbered(shop)
    async with aclosing(shadowing.sweep(shop.database)) as steps:
        async for _step in steps:
            pass


async def told(shop: Shop, run: dict[str, Any], key: dict[str, str], part: str = "/comparison") -> Any:
    answer = await shop.http.get(f"/v1/shadows/{run['id']}{part}", headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_new_orders_are_decided_on_the_draft_too_and_nothing_real_changes(retailer: Shop) -> None:
    key = await retailer.key(RIGHTS)
    await placed(retailer, ("CAMA", 1))  # before it was started: not its business
    await numbered(retailer)
    run = await started(retailer, key, locations=[{"location": "REC", "closed": True}])
    await placed(retailer, ("REDE", 1), ("CAMA", 1))
    await placed(retailer, ("CAMA", 1))
    async with retailer.database.transaction() as tx:
        before = await tx.tuples("SELECT sku_id, location_id, on_hand, allocated FROM balance ORDER BY 1, 2")
    await swept(retailer)
    async with retailer.database.transaction() as tx:
        assert before == await tx.tuples("SELECT sku_id, location_id, on_hand, allocated FROM balance ORDER BY 1, 2")
    compared = await told(retailer, run, key)
    assert (compared["orders"], compared["differs"]) == (2, 1)
    live, draft = compared["result"]["before"]["total"], compared["result"]["after"]["total"]
    assert draft["cost"] > live["cost"]
    assert compared["saved"] == (live["cost"] - draft["cost"]) / 2
    assert compared["saved_least"] <= compared["saved"] <= compared["saved_most"]
    shown = await told(retailer, run, key, "")
    assert (shown["decided"], shown["passed_over"], shown["behind"], shown["status"]) == (2, 0, 0, "running")
    (order,) = (await told(retailer, run, key, "/orders"))["items"]
    assert order["locations_live"] == ["REC"]
    assert "REC" not in order["locations_shadow"]
    assert order["cost_shadow"] > order["cost_live"]


async def test_the_draft_that_changes_nothing_comes_to_the_same(retailer: Shop) -> None:
    key = await retailer.key(RIGHTS)
    run = await started(retailer, key, "As it is")
    for _ in range(3):
        await placed(retailer, ("REDE", 1), ("CAMA", 1))
    await swept(retailer)
    compared = await told(retailer, run, key)
    assert (compared["orders"], compared["differs"], compared["saved"]) == (3, 0, 0)
    assert compared["result"]["before"] == compared["result"]["after"]


async def test_what_the_draft_took_elsewhere_is_missed_by_later_orders_also_after_a_restart(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await retailer.key(RIGHTS)
    scenario = {"locations": [{"location": "REC", "closed": True}]}
    runs = [await started(retailer, key, name, **scenario) for name in ("In one go", "In pieces")]
    for _ in range(2):
        await placed(retailer, ("REDE", 1), ("CAMA", 1))
        await numbered(retailer)
        await shadowing._go_on(retailer.database, shadowing.UUID(runs[1]["id"]))
        monkeypatch.setattr(shadowing, "_memory", {})  # the worker was killed
    await swept(retailer)
    one, pieces = [await told(retailer, run, key) for run in runs]
    assert one["orders"] == 2
    assert one == pieces


async def test_a_piece_that_was_lost_with_its_worker_is_decided_once(retailer: Shop) -> None:
    key = await retailer.key(RIGHTS)
    run = await started(retailer, key, locations=[{"location": "REC", "closed": True}])
    await placed(retailer, ("REDE", 1), ("CAMA", 1))
    await numbered(retailer)
    id_ = shadowing.UUID(run["id"])
    await asyncio.gather(*(shadowing._go_on(retailer.database, id_) for _ in range(3)))
    await swept(retailer)
    assert (await told(retailer, run, key))["orders"] == 1


async def test_what_comes_faster_than_it_is_decided_is_sampled_and_counted(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await retailer.key(RIGHTS)
    run = await started(retailer, key)
    for _ in range(24):  # which are decided goes by their ids: of six, all are once in 64 times
        await placed(retailer, ("CAMA", 1))
    monkeypatch.setattr(shadowing, "LATE", timedelta(0))
    await swept(retailer)
    shown = await told(retailer, run, key, "")
    assert shown["decided"] + shown["passed_over"] == 24
    assert shown["passed_over"] > 0
    assert shown["behind"] == 0


async def test_it_is_stopped_deleted_and_ends_by_itself(retailer: Shop) -> None:
    key = await retailer.key(RIGHTS)
    run = await started(retailer, key)
    refused = await retailer.http.delete(f"/v1/shadows/{run['id']}", headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "shadow_running")
    once = {**key, "idempotency-key": "stop"}
    assert (await retailer.http.post(f"/v1/shadows/{run['id']}/stop", headers=once)).json()["status"] == "stopped"
    await placed(retailer, ("CAMA", 1))
    await swept(retailer)
    assert (await told(retailer, run, key))["orders"] == 0
    over = await retailer.http.post(f"/v1/shadows/{run['id']}/stop", headers={**key, "idempotency-key": "again"})
    assert (over.status_code, over.json()["code"]) == (409, "shadow_over")
    assert (await retailer.http.delete(f"/v1/shadows/{run['id']}", headers=key)).status_code == 204
    gone = await retailer.http.get(f"/v1/shadows/{run['id']}", headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "shadow_not_found")
    timed = await started(retailer, key, "Over soon")
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE shadow SET until = now()")
    await placed(retailer, ("CAMA", 1))
    await swept(retailer)
    assert (await told(retailer, timed, key, ""))["status"] == "stopped"


async def test_few_decide_at_a_time_and_codes_are_checked(retailer: Shop) -> None:
    key = await retailer.key(RIGHTS)
    for n in range(shadowing.MOST_RUNNING):
        await started(retailer, key, f"Draft {n}")
    said = {"name": "One more", "scenario": {}}
    more = await retailer.http.post("/v1/shadows", json=said, headers={**key, "idempotency-key": "more"})
    assert (more.status_code, more.json()["code"]) == (409, "too_many_shadows")
    wrong = {"name": "x", "scenario": {"locations": [{"location": "NOPE", "closed": True}]}}
    refused = await retailer.http.post("/v1/shadows", json=wrong, headers={**key, "idempotency-key": "wrong"})
    assert refused.status_code == 422
    limited = await retailer.key(RIGHTS, locations=["REC"])
    assert (await retailer.http.get("/v1/shadows", headers=limited)).status_code == 403


async def test_a_defect_fails_the_draft_and_says_so(retailer: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await retailer.key(RIGHTS)
    run = await started(retailer, key)
    await placed(retailer, ("CAMA", 1))

    async def broken(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(shadow_reads, "decisions", broken)
    await swept(retailer)
    shown = await told(retailer, run, key, "")
    assert (shown["status"], shown["decided"]) == ("failed", 0)
    assert "defect" in shown["problem"]


async def test_a_simulation_is_put_beside_live_by_one_press_and_the_page_tells(retailer: Shop) -> None:
    owner = await retailer.session()
    key = await retailer.key(RIGHTS)
    said = {"name": "Close Recife", "since": "2026-11-01", "until": "2026-11-02",
            "scenario": {"locations": [{"location": "REC", "closed": True}]}}  # fmt: skip
    run = (await retailer.http.post("/v1/simulations", json=said, headers={**key, "idempotency-key": "s"})).json()
    pressed = await retailer.http.post(f"/simulations/{run['id']}/beside", headers=owner)
    assert pressed.status_code == 303
    address = pressed.headers["location"]
    assert "No order yet" in (await retailer.http.get(address, headers=owner)).text
    order_id = await placed(retailer, ("REDE", 1), ("CAMA", 1))
    await placed(retailer, ("CAMA", 1))
    await swept(retailer)
    async with retailer.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s", {"id": order_id})
    page = (await retailer.http.get(address, headers=owner)).text
    assert f'href="/orders/{number}#why-h"' in page
    assert "Saved an order" in page
    assert "It is up to date." in page
    assert "Pause or close REC" in page
    assert "Close Recife" in (await retailer.http.get("/shadows", headers=owner)).text
    sent = await retailer.http.get(f"{address}/orders:export.csv", headers=owner)
    assert str(number) in sent.text
    assert (await retailer.http.post(f"{address}/stop", headers=owner)).status_code == 303
    assert "Stopped" in (await retailer.http.get(address, headers=owner)).text
    assert (await retailer.http.post(f"{address}/delete", headers=owner)).headers["location"] == "/shadows"
