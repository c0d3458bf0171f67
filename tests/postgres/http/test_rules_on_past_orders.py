"""Other routing rules on past orders, and beside live: what they come to, both explanations, promoting, taking back."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from test_routing_explained import placed, retailer
from test_shadows import swept
from test_simulations import wanted
from tests_http import Shop

from malha.identity.model import Role
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.platform.clock import now
from malha.platform.ids import UUID
from malha.simulation import reads, service, shadowing

__all__ = ["retailer"]

BOTH = {"network:read", "network:write"}
FROM_AFAR = {"name": "From afar", "where": {"locations": ["CAJ"]}, "unfilled": "queue"}
AFAR = {"runs": [{"name": "All", "rules": [FROM_AFAR]}]}
BY_TABLE = {
    "runs": [{"name": "All", "when": {"customer_groups": ["nobody"]}, "rules": [FROM_AFAR]}],
    "table": {
        "rows": [
            {"name": "Dear", "when": {"min_value": 1_000_000}, "then": {"run": "All"}},
            {"name": "Here", "when": {"states": ["PB"], "max_value": 1_500}, "then": {"run": "All"}},
            {"name": "Never", "when": {"states": ["PB"], "max_value": 1_000}, "then": {"max_packages": 1}},
        ]
    },
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what another test's worker had in memory."""
    monkeypatch.setattr(shadowing, "_memory", {})


async def said(shop: Shop, method: str, path: str, key: dict[str, str], status: int = 200, **body: Any) -> Any:
    answer = await shop.http.request(method, path, headers=key, **({"json": body} if method != "GET" else {}))
    assert answer.status_code == status, answer.text
    return answer.json()


async def drafted(shop: Shop, key: dict[str, str], content: dict[str, Any]) -> dict[str, Any]:
    return await said(shop, "POST", "/v1/routing-rules", key, 201, content=content)


async def tried(shop: Shop, key: dict[str, str], rule_set: int, **scenario: Any) -> str:
    run = await said(shop, "POST", "/v1/simulations", key, 201, **{**wanted(**scenario), "rule_set": rule_set})
    await service.run.work(shop.database, simulation_id=run["id"])
    return f"/v1/simulations/{run['id']}"


async def a_past(shop: Shop) -> None:
    await placed(shop, ("REDE", 1), ("CAMA", 1))  # 2000 centavos; Recife has both
    await placed(shop, ("CAMA", 1))  # 1000 centavos


async def published(shop: Shop) -> list[tuple[int, bool]]:
    rows = await said(shop, "GET", "/v1/routing-rules", await shop.key(BOTH))
    return [(row["number"], row["in_force"]) for row in rows if row["number"] is not None]


async def test_a_draft_decides_past_orders_and_each_that_moves_has_both_explanations(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, AFAR)
    at = await tried(retailer, key, draft["id"])
    result = await said(retailer, "GET", f"{at}/result", key)
    assert set(result["after"]["locations"]) == {"CAJ"}
    assert (result["moved"], result["ruled"]) == (2, {"runs": {"All": 2}})
    assert result["after"]["total"]["cost"] > result["before"]["total"]["cost"]
    moved = await said(retailer, "GET", f"{at}/orders", key)
    assert [(x["from_before"], x["from_after"], x["run"], x["rule"]) for x in moved] == [
        (["JPA"], ["CAJ"], "All", "From afar"),
        (["REC"], ["CAJ"], "All", "From afar"),
    ]
    differences = [abs(x["cost_after"] - x["cost_before"]) for x in moved]
    assert differences == sorted(differences, reverse=True)
    assert sum(differences) == result["after"]["total"]["cost"] - result["before"]["total"]["cost"]
    async with retailer.database.transaction() as tx:
        for x in moved:
            _, before, after = await service.moved_order(tx, UUID(at.rsplit("/", 1)[1]), UUID(x["order_id"]))
            assert before is not None
            assert after is not None
            assert ([p.code for p in before.alternatives[0].locations], before.rule) == (x["from_before"], None)
            assert [p.code for p in after.alternatives[0].locations] == x["from_after"]
            assert after.alternatives[0].cost == x["cost_after"]
            assert after.rule is not None
            assert {r.location.code: r.reason for r in after.rejected}["REC"] == "rule"


async def test_the_rows_of_a_table_are_counted_from_what_was_asked_when_it_was_decided(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, BY_TABLE)
    async with retailer.database.transaction() as tx:  # what is kept is what counts, not what became of the order
        await tx.execute("UPDATE sales_order SET items_total = 9000000, total = 9000000")
    at = await tried(retailer, key, draft["id"])
    ruled = (await said(retailer, "GET", f"{at}/result", key))["ruled"]
    assert ruled == {"runs": {"All": 1}, "rows": {"2": 1}, "none": 1}
    (moved,) = await said(retailer, "GET", f"{at}/orders", key)
    assert (moved["rows"], moved["from_after"]) == ([2], ["CAJ"])
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE routing_decision SET asked = NULL")
    at = await tried(retailer, key, draft["id"])
    ruled = (await said(retailer, "GET", f"{at}/result", key))["ruled"]
    assert ruled == {"runs": {"All": 2}, "rows": {"1": 2}, "asked_today": 2}


async def test_products_are_what_they_were_where_the_rules_asked_then_and_else_what_they_are(retailer: Shop) -> None:
    key = await retailer.key(BOTH)
    by_brand = {"runs": [{"name": "Brand", "when": {"brands": ["Old"]}, "rules": [FROM_AFAR]}]}

    async def named(brand: str) -> None:
        async with retailer.database.transaction() as tx:
            await tx.execute("UPDATE product SET brand = %s::text", [brand])

    await named("Old")
    await placed(retailer, ("CAMA", 1))  # nobody asks what it is
    live = await drafted(retailer, key, by_brand)
    await said(retailer, "POST", f"/v1/routing-rules/{live['id']}/publish", {**key, "if-match": '"1"'})
    await asyncio.sleep(1)  # the gate looks twice a second
    await placed(retailer, ("CAMA", 1))
    draft = await drafted(retailer, key, by_brand)
    for brand, orders in (("Old", 2), ("New", 1)):
        await named(brand)
        at = await tried(retailer, key, draft["id"])
        assert (await said(retailer, "GET", f"{at}/result", key))["ruled"]["runs"] == {"Brand": orders}


async def test_rules_and_another_network_are_tried_together(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    content = {"runs": [{"name": "All", "rules": [{"name": "In AL", "where": {"locations": ["CAJ"]}}]}]}
    draft = await drafted(retailer, key, content)
    opened = [{"name": "Maceió 2", "state": "AL", "stock_from": "CAJ", "share": 50}]
    at = await tried(retailer, key, draft["id"], opened=opened)
    result = await said(retailer, "GET", f"{at}/result", key)
    assert "+ Maceió 2" in result["after"]["locations"]
    assert all(x["from_after"] == ["+ Maceió 2"] for x in await said(retailer, "GET", f"{at}/orders", key))
    refused = await said(retailer, "POST", f"{at}/promote", key, 409)
    assert refused["code"] == "not_only_rules"


async def test_one_press_promotes_and_one_takes_it_back_both_in_the_trail(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    first = await drafted(retailer, key, AFAR)
    at = await tried(retailer, key, first["id"])
    done = await said(retailer, "POST", f"{at}/promote", key)
    assert (done["promoted"], done["taken_back"], done["rules"]["live"]) == (1, None, None)
    assert await published(retailer) == [(1, True)]
    assert (await said(retailer, "POST", f"{at}/promote", key, 409))["code"] == "already_promoted"
    back = await said(retailer, "POST", f"{at}/take-back", key)
    assert back["taken_back"] == 2  # an empty set: there were no rules before
    assert await published(retailer) == [(2, True), (1, False)]
    assert (await said(retailer, "POST", f"{at}/take-back", key, 409))["code"] == "not_promoted"
    second = await drafted(retailer, key, BY_TABLE)
    at = await tried(retailer, key, second["id"])
    later = (now() + timedelta(days=1)).isoformat()
    done = await said(retailer, "POST", f"{at}/promote", key, effective_from=later)
    assert (done["promoted"], await published(retailer)) == (3, [(3, False), (2, True), (1, False)])
    assert (await said(retailer, "POST", f"{at}/take-back", key))["taken_back"] == 0
    async with retailer.database.transaction() as tx:
        trail = await tx.values("SELECT action FROM audit WHERE entity = 'simulation' ORDER BY at, id")
        status = await tx.value("SELECT status FROM routing_rule_set WHERE number = 3")
    assert trail == ["start", "promote", "take_back", "start", "promote", "take_back"]
    assert status == "withdrawn"


async def test_what_was_not_compared_is_not_promoted(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, AFAR)
    path = f"/v1/routing-rules/{draft['id']}"
    at = await tried(retailer, key, draft["id"])
    await said(retailer, "PUT", path, {**key, "if-match": '"1"'}, content=BY_TABLE)
    assert (await said(retailer, "POST", f"{at}/promote", key, 409))["code"] == "rules_moved_on"  # another draft by now
    at = await tried(retailer, key, draft["id"])
    other = await drafted(retailer, key, AFAR)
    later = (now() + timedelta(days=1)).isoformat()
    tag = {**key, "if-match": '"1"'}
    await said(retailer, "POST", f"/v1/routing-rules/{other['id']}/publish", tag, effective_from=later)
    assert (await said(retailer, "POST", f"{at}/promote", key, 409))["code"] == "rules_moved_on"  # other rules to come
    plain = await said(retailer, "POST", "/v1/simulations", key, 201, **wanted())
    waits = f"/v1/simulations/{plain['id']}"
    assert (await said(retailer, "POST", f"{waits}/promote", key, 409))["code"] == "simulation_without_result"
    await service.run.work(retailer.database, simulation_id=plain["id"])
    assert (await said(retailer, "POST", f"{waits}/promote", key, 409))["code"] == "no_rules_tried"
    at = await tried(retailer, key, draft["id"])
    await said(retailer, "POST", f"{at}/promote", await retailer.key({"network:read"}), 403)
    await said(retailer, "POST", f"{at}/promote", await retailer.key(BOTH, locations=["REC"]), 403)
    assert await published(retailer) == [(1, False)]
    unknown = {**wanted(), "rule_set": 999}
    assert (await said(retailer, "POST", "/v1/simulations", key, 404, **unknown))["code"] == "rule_set_not_found"


async def test_the_page_shows_what_moved_both_explanations_and_promotes_with_one_press(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, BY_TABLE)
    person = await retailer.session(Role.OWNER)
    form = await retailer.http.get(f"/simulations:new?rule_set={draft['id']}", headers=person)
    assert f'<option value="{draft["id"]}" selected>' in form.text
    fields = {"rows": "4", "rule_set": str(draft["id"]), "since": wanted()["since"], "until": wanted()["until"]}
    made = await retailer.http.post("/simulations:new", data=fields, headers=person)
    assert made.status_code == 303, made.text
    at = made.headers["location"]
    await service.run.work(retailer.database, simulation_id=at.rsplit("/", 1)[1])
    page = (await retailer.http.get(at, headers=person)).text
    assert "Orders that would have gone elsewhere" in page
    assert "Row 2 · Here" in page
    assert "dlg-promote" in page
    (order,) = await said(retailer, "GET", f"/v1{at}/orders", key)
    both = await retailer.http.get(f"{at}/orders/{order['order_id']}", headers=person)
    assert "Row 2 of the decision table fitted the order." in both.text
    assert both.text.count('class="m-why"') == 2
    sheet = await retailer.http.get(f"{at}/orders:export.csv", headers=person)
    assert len(sheet.text.splitlines()) == 2
    done = await retailer.http.post(f"{at}/promote", data={}, headers=person)
    assert done.status_code == 303, done.text
    assert "Promoted as rule set 1" in (await retailer.http.get(at, headers=person)).text
    back = await retailer.http.post(f"{at}/take-back", data={}, headers=person)
    assert back.status_code == 303, back.text
    assert "taken back: rule set 2 replaced it" in (await retailer.http.get(at, headers=person)).text
    other = await drafted(retailer, key, AFAR)
    at = (await tried(retailer, key, other["id"])).removeprefix("/v1")
    await said(retailer, "PUT", f"/v1/routing-rules/{other['id']}", {**key, "if-match": '"1"'}, content=BY_TABLE)
    page = (await retailer.http.get(at, headers=person)).text
    assert "Simulate again before you promote." in page
    assert "dlg-promote" not in page
    beside = await retailer.http.post(f"{at}/beside", data={}, headers=person)
    assert beside.status_code == 303, beside.text
    assert "Rules on paper" in (await retailer.http.get(beside.headers["location"], headers=person)).text
    reader = await retailer.session(Role.AUDITOR)
    assert (await retailer.http.post(f"{at}/promote", data={}, headers=reader)).status_code == 403


async def test_two_who_press_at_once_promote_once(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, AFAR)
    runs = [await tried(retailer, key, draft["id"]) for _ in range(3)]
    answers = await asyncio.gather(
        *(retailer.http.post(f"{at}/promote", json={}, headers=key) for at in [*runs, *runs])
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert await published(retailer) == [(1, True)]


async def test_rules_decide_new_orders_beside_live_and_are_promoted_from_there(retailer: Shop) -> None:
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, BY_TABLE)
    run = await said(retailer, "POST", "/v1/shadows", key, 201, name="Rules", scenario={}, rule_set=draft["id"])
    at = f"/v1/shadows/{run['id']}"
    await a_past(retailer)
    await swept(retailer)
    compared = await said(retailer, "GET", f"{at}/comparison", key)
    assert (compared["orders"], compared["differs"]) == (2, 1)
    assert compared["result"]["ruled"]["rows"] == {"2": 1}
    assert (await said(retailer, "POST", f"{at}/promote", key))["promoted"] == 1
    assert await published(retailer) == [(1, True)]
    retailer.app.state.services.extra["gate"].cache.expire()  # the rules count for the next order here, not soon
    await placed(retailer, ("CAMA", 1))
    async with retailer.database.transaction() as tx:
        assert await tx.values("SELECT rule_set FROM routing_decision ORDER BY decided_at DESC LIMIT 1") == [1]
    assert (await said(retailer, "POST", f"{at}/take-back", key))["taken_back"] == 2


async def test_orders_of_a_simulation_go_with_it(retailer: Shop) -> None:
    await a_past(retailer)
    key = await retailer.key(BOTH)
    draft = await drafted(retailer, key, AFAR)
    at = await tried(retailer, key, draft["id"])
    async with retailer.database.transaction() as tx:
        last = await reads.last_of(tx, draft["id"])
        assert last is not None
        assert at.endswith(str(last.id))
    assert (await retailer.http.delete(at, headers=key)).status_code == 204
    async with retailer.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM simulation_order") == 0


IN_ONE = {"runs": [{"name": "All", "rules": [{"name": "In one", "merge_at": "REC"}, {"name": "Apart"}]}]}
ALONE = {"runs": [{"name": "All", "rules": [{"name": "Apart"}]}]}
# Recife has the net, João Pessoa alone near by has three of bed linen: two parcels, or one by way of Recife.
PARTED = ("REDE", 1), ("CAMA", 3)
COST_APART = (1_500 + 300 + 40) + (900 + 300 + 40)
COST_TOGETHER = (300 + 40) + (250 + 300 + 40 + 300 + 40) - 300 + 1_500


async def lane_to_recife(shop: Shop, price: int = 250) -> None:
    async with shop.database.transaction() as tx:
        await store_lanes.state(tx, "REC", [StoreLaneDraft(origin="JPA", days=1, price=price)])


async def test_goods_come_together_on_paper_and_both_ways_are_explained(retailer: Shop) -> None:
    await placed(retailer, *PARTED)
    await lane_to_recife(retailer)  # the order was decided without
    key = await retailer.key(BOTH)
    at = await tried(retailer, key, (await drafted(retailer, key, IN_ONE))["id"])
    result = await said(retailer, "GET", f"{at}/result", key)
    totals = [result[side]["total"] for side in ("before", "after")]
    assert [(x["cost"], x["packages"]) for x in totals] == [(COST_APART, 2), (COST_TOGETHER, 1)]
    assert result["together"] == {"after": 1, "today": 1}
    (moved,) = await said(retailer, "GET", f"{at}/orders", key)
    assert (moved["from_before"], moved["from_after"]) == (["JPA", "REC"], ["JPA", "REC"])
    assert (moved["together_before"], moved["together_after"]) == (None, "REC")
    async with retailer.database.transaction() as tx:
        _, _, after = await service.moved_order(tx, UUID(at.rsplit("/", 1)[1]), UUID(moved["order_id"]))
    assert after is not None
    assert (after.alternatives[0].cost, after.alternatives[0].onward) == (COST_TOGETHER, 1_500)
    page = (await retailer.http.get(at.removeprefix("/v1"), headers=await retailer.session())).text
    assert "Goods that come together" in page
    assert "No order came together, on paper 1." in page
    assert "1 order was decided in another network" in page
    assert "together at REC" in page


async def test_goods_that_came_together_leave_apart_on_paper_while_the_network_is_what_it_was(retailer: Shop) -> None:
    await lane_to_recife(retailer)
    key = await retailer.key(BOTH)
    live = await drafted(retailer, key, IN_ONE)
    await said(retailer, "POST", f"/v1/routing-rules/{live['id']}/publish", {**key, "if-match": '"1"'})
    retailer.app.state.services.extra["gate"].cache.expire()  # the rules count for the next order here, not soon
    await placed(retailer, *PARTED)
    draft = await drafted(retailer, key, ALONE)
    at = await tried(retailer, key, draft["id"])
    result = await said(retailer, "GET", f"{at}/result", key)
    assert [result[side]["total"]["cost"] for side in ("before", "after")] == [COST_TOGETHER, COST_APART]
    # Cajamar has plenty of both, which nobody looked at: it is dearer than what is known, so that does not matter.
    assert (result["together"], result["moved"]) == ({"before": 1}, 1)
    ((_day, gap),) = result["gap"]["days"].items()
    assert (gap["compared"], gap["live"]) == (1, COST_TOGETHER)
    assert 1_500 < gap["bound"] <= COST_TOGETHER  # Recife has two of the three: part of the programme takes those
    await lane_to_recife(retailer, 260)  # another network: what parcels apart cost in the one before is not kept
    at = await tried(retailer, key, draft["id"])
    result = await said(retailer, "GET", f"{at}/result", key)
    assert result["after"]["total"] == result["before"]["total"]
    assert (result["together"]["unknown"], len(result["together"]["kept"])) == ({"network": 1}, 1)
    page = (await retailer.http.get(at.removeprefix("/v1"), headers=await retailer.session())).text
    assert "Of 1 order it cannot be told: it stays as it was, on both sides." in page
    assert "The network or its costs changed since" in page
