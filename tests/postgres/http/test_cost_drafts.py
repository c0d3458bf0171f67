"""Drafts of costs: saved, tried on past orders and beside live ones, put into force with one press, and taken back."""

import asyncio
from typing import Any

import pytest
from test_routing_explained import placed, retailer
from test_shadows import fresh, swept
from test_simulations import a_past, wanted
from tests.waiting import waiting
from tests_http import Shop

from malha.fiscal import tax_cost_reads, tax_costs
from malha.fiscal.tax_cost_reads import TaxCost
from malha.network import reads as network
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.routing import cost_draft_reads, cost_drafts, cost_reads, costs
from malha.routing.cost_draft_model import Carriage, Drafted, Labour, Standing
from malha.routing.cost_draft_rules import print_of
from malha.routing.cost_model import Carton, Costs, Markdown
from malha.simulation import service, shadowing
from malha.simulation.model import Scenario
from malha.simulation.shadow_model import ShadowDraft

__all__ = ["fresh", "retailer"]


async def api(shop: Shop, method: str, path: str, body: Any = None, version: int | None = None) -> Any:
    key = await shop.key({"network:read", "network:write"})
    headers = key if version is None else {**key, "if-match": f'"{version}"'}
    return await shop.http.request(method, f"/v1{path}", json=body, headers=headers)


async def drafted(shop: Shop, **content: Any) -> dict[str, Any]:
    answer = await api(shop, "POST", "/routing-cost-drafts", {"content": content, "note": "Natal"})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def tried(shop: Shop, draft: int, **scenario: Any) -> dict[str, Any]:
    answer = await api(shop, "POST", "/simulations", {**wanted(**scenario), "cost_draft": draft})
    assert answer.status_code == 201, answer.text
    await service.run.work(shop.database, simulation_id=answer.json()["id"])
    result = await api(shop, "GET", f"/simulations/{answer.json()['id']}/result")
    return {**result.json(), "id": answer.json()["id"]}


async def test_a_draft_is_replayed_by_term_and_promoting_it_decides_the_next_order(retailer: Shop) -> None:
    await a_past(retailer)  # Recife sends net and linen together (1880); a net from Cajamar; linen from João Pessoa
    draft = await drafted(retailer, labour=[{"location": "REC", "handling": 4000}], costs={"split_penalty": 250})
    told = await tried(retailer, draft["id"])
    assert told["moved"] == 1
    costed = told["costed"]
    # The first order would go from Cajamar, whole: 4500 + 200 + 2 x 20. From Recife it would cost 3700 more than it did.
    assert costed["then"] == {"freight": 1500 + 4500 + 900, "handling": 800, "picking": 80 + 20 + 40}
    assert costed["kept"] == {**costed["then"], "handling": 800 + 3700}
    after = sum(amount for name, amount in costed["after"].items() if name != "credit")
    assert after == told["after"]["total"]["cost"] < told["before"]["total"]["cost"] == 11540
    done = await api(retailer, "POST", f"/simulations/{told['id']}/promote", {})
    assert done.status_code == 200, done.text
    async with retailer.database.transaction() as tx:
        assert (await cost_reads.costs(tx)).split_penalty == 250
        assert (await network.locations_by_code(tx, ["REC"]))["REC"].handling_cost == 4000
        trail = await tx.values("SELECT entity FROM audit WHERE action IN ('promote', 'change')")
    assert set(trail) == {"routing_cost_draft", "routing_costs", "location", "simulation"}
    again = await api(retailer, "POST", f"/simulations/{told['id']}/promote", {})
    assert (again.status_code, again.json()["code"]) == (409, "costs_moved_on")
    back = await api(retailer, "POST", f"/simulations/{told['id']}/take-back")
    assert back.status_code == 200, back.text
    async with retailer.database.transaction() as tx:
        assert await cost_reads.costs(tx) == Costs()
        assert (await network.locations_by_code(tx, ["REC"]))["REC"].handling_cost == 300


async def test_every_part_is_put_into_force_and_put_back_as_it_was(retailer: Shop) -> None:
    content = Drafted(
        costs=Costs(late_penalty=900, cartons=[Carton(max_grams=2_000, price=150)]),
        taxes=[
            TaxCost(from_state="SP", to_state="PB", basis_points=700),
            TaxCost(from_state="*", to_state="*", basis_points=1800),
        ],
        markdowns=[Markdown(sku="CAMA", location="REC", centavos=300)],
        labour=[Labour(location="CAJ", line=77)],
        carriage=[Carriage(percent=150, to_state="PB"), Carriage(percent=80, from_state="SP")],
    )
    async with retailer.database.transaction() as tx:
        before = await cost_draft_reads.standing(tx, content)
        made = await cost_drafts.start_draft(tx, content)
        await cost_drafts.promote(tx, made.id, made.version)
    async with retailer.database.transaction() as tx:
        tariff = (await network.snapshot(tx)).tariff
        prices = {state: tariff.quote(1, state, "PB", 500) for state in ("PE", "SP")}
        assert {state: quote.price for state, quote in prices.items() if quote is not None} == {"PE": 2250, "SP": 3600}
        assert len(await tax_cost_reads.tax_costs(tx)) == 2
        assert [m.centavos for m in await cost_reads.markdowns(tx)] == [300]
        place = (await network.locations_by_code(tx, ["CAJ"]))["CAJ"]
        assert (place.handling_cost, place.line_cost) == (200, 77)
    async with retailer.database.transaction() as tx:
        await cost_drafts.take_back(tx, made.id)
    async with retailer.database.transaction() as tx:
        assert await cost_draft_reads.standing(tx, content) == before


async def test_nothing_is_overwritten_that_somebody_changed_since_it_was_compared(retailer: Shop) -> None:
    await a_past(retailer)
    draft = await drafted(retailer, costs={"split_penalty": 250})
    told = await tried(retailer, draft["id"])
    shown = await api(retailer, "GET", "/routing-costs")
    version = int(shown.headers["etag"].strip('"'))
    await api(retailer, "PUT", "/routing-costs", {"late_penalty": 5}, version)
    refused = await api(retailer, "POST", f"/simulations/{told['id']}/promote", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "costs_moved_on")
    promoted = await api(retailer, "POST", f"/routing-cost-drafts/{draft['id']}/promote", version=draft["version"])
    assert promoted.status_code == 200, promoted.text
    assert promoted.json()["before"]["costs"]["late_penalty"] == 5
    now = int((await api(retailer, "GET", "/routing-costs")).headers["etag"].strip('"'))
    await api(retailer, "PUT", "/routing-costs", {"late_penalty": 6}, now)
    refused = await api(retailer, "POST", f"/routing-cost-drafts/{draft['id']}/take-back")
    assert (refused.status_code, refused.json()["code"]) == (409, "costs_moved_on")


async def test_two_people_who_promote_two_drafts_at_once_do_it_one_after_the_other(retailer: Shop) -> None:
    async with retailer.database.transaction() as tx:
        made = [await cost_drafts.start_draft(tx, Drafted(costs=Costs(split_penalty=n))) for n in (100, 200)]
        beside = [await cost_draft_reads.standing(tx, one.content) for one in made]
    assert beside[0] == beside[1]

    async def promote(one: int) -> str:
        try:
            async with retailer.database.transaction() as tx:
                await cost_drafts.promote(tx, made[one].id, made[one].version, print_of(beside[one]))
        except MalhaError as refused:
            return refused.code
        return "done"

    assert sorted(await asyncio.gather(promote(0), promote(1))) == ["costs_moved_on", "done"]


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (Drafted(costs=Costs(split_penalty=100)), "costs"),
        (Drafted(taxes=[TaxCost(from_state="*", to_state="*", basis_points=1800)]), "taxes"),
        (Drafted(markdowns=[Markdown(sku="CAMA", location="REC", centavos=300)]), "markdowns"),
    ],
)
async def test_what_somebody_states_while_a_draft_is_promoted_is_not_lost(
    retailer: Shop, content: Drafted, table: str
) -> None:
    async def state(tx: Tx) -> None:
        match table:
            case "costs":
                await costs.set_costs(tx, Costs(late_penalty=7), None)
            case "taxes":
                await tax_costs.replace(tx, [TaxCost(from_state="SP", to_state="PB", basis_points=700)], None)
            case _:
                await costs.set_markdowns(tx, [Markdown(sku="CAMA", location="JPA", centavos=5)], None)

    async def promote() -> str:
        try:
            async with retailer.database.transaction() as tx:
                await cost_drafts.promote(tx, made.id, made.version)
        except MalhaError as refused:
            return refused.code
        return "done"

    async with retailer.database.transaction() as tx:
        made = await cost_drafts.start_draft(tx, content)
    async with retailer.database.transaction() as tx:
        await state(tx)  # not there for others before it is committed, and they wait for it
        promoting = asyncio.create_task(promote())
        while not await waiting(retailer.database):
            assert not promoting.done()
    assert await promoting == "conflict"
    async with retailer.database.transaction() as tx:
        assert (await cost_drafts.show(tx, made.id)).promoted_at is None
        stated = await cost_draft_reads.standing(tx, content)
    assert stated in (
        Standing(costs=Costs(late_penalty=7)),
        Standing(taxes=[TaxCost(from_state="SP", to_state="PB", basis_points=700)]),
        Standing(markdowns=[Markdown(sku="CAMA", location="JPA", centavos=5)]),
    )


@pytest.mark.parametrize(
    ("content", "at"),
    [
        ({}, ""),
        ({"costs": {"split_penalty": -1}}, "/costs/split_penalty"),
        ({"labour": [{"location": "NOPE", "line": 1}]}, "/labour/0/location"),
        ({"taxes": [{"from_state": "XX", "to_state": "PB"}]}, "/taxes/0/from_state"),
        ({"markdowns": [{"sku": "NOPE", "location": "REC", "centavos": 1}]}, "/markdowns/0/sku"),
    ],
)
async def test_a_draft_that_cannot_be_is_refused_where_it_is_wrong(retailer: Shop, content: Any, at: str) -> None:
    answer = await api(retailer, "POST", "/routing-cost-drafts", {"content": content})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["at"] == at


async def test_a_draft_changes_under_its_version_until_it_is_promoted(retailer: Shop) -> None:
    draft = await drafted(retailer, costs={"split_penalty": 250})
    path = f"/routing-cost-drafts/{draft['id']}"
    body = {"content": {"costs": {"split_penalty": 300}}}
    changed = await api(retailer, "PUT", path, body, draft["version"])
    assert (changed.status_code, changed.json()["note"], changed.json()["version"]) == (200, "Natal", 2)
    assert (await api(retailer, "PUT", path, body, draft["version"])).status_code == 412
    assert (await api(retailer, "POST", f"{path}/promote", version=2)).status_code == 200
    refused = await api(retailer, "PUT", path, body, 3)
    assert (refused.status_code, refused.json()["code"]) == (409, "cost_draft_promoted")
    refused = await api(retailer, "DELETE", path)
    assert (refused.status_code, refused.json()["code"]) == (409, "cost_draft_promoted")
    other = await drafted(retailer, costs={"split_penalty": 1})
    assert (await api(retailer, "DELETE", f"/routing-cost-drafts/{other['id']}")).status_code == 204
    missing = await api(retailer, "GET", f"/routing-cost-drafts/{other['id']}")
    assert (missing.status_code, missing.json()["code"]) == (404, "cost_draft_not_found")
    refused = await api(retailer, "POST", f"/routing-cost-drafts/{other['id']}/take-back")
    assert refused.status_code == 404


async def test_who_sees_some_locations_only_sees_no_draft(retailer: Shop) -> None:
    draft = await drafted(retailer, costs={"split_penalty": 250})
    key = await retailer.key({"network:read", "network:write"}, locations=["REC"])
    for path in ("/v1/routing-cost-drafts", f"/v1/routing-cost-drafts/{draft['id']}"):
        assert (await retailer.http.get(path, headers=key)).status_code == 403


async def test_taxes_and_goods_on_paper_are_of_what_each_line_was_sold_for(retailer: Shop) -> None:
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE product SET ncm = '63022100'")
    await placed(retailer, ("CAMA", 2))  # at 1000 a unit, from João Pessoa: 900 + 300 + 40
    draft = await drafted(retailer, taxes=[{"from_state": "PB", "to_state": "PB", "ncm": "6302", "basis_points": 5000}])
    told = await tried(retailer, draft["id"])
    assert told["costed"]["kept"] == {"freight": 900, "handling": 300, "picking": 40, "tax": 1000}
    assert told["costed"]["after"] == {"freight": 1500, "handling": 300, "picking": 40}
    assert told["after"]["locations"].keys() == {"REC"}
    orders = await api(retailer, "GET", f"/simulations/{told['id']}/orders")
    assert [(o["cost_before"], o["cost_after"]) for o in orders.json()] == [(2240, 1840)]
    only = await drafted(
        retailer, costs={"restrictions": [{"kind": "ncm", "value": "63", "locations": ["CAJ"], "only": True}]}
    )
    told = await tried(retailer, only["id"])
    assert told["after"]["locations"].keys() == {"CAJ"}


async def test_a_draft_decides_beside_live_orders_and_its_gap_is_told_in_the_costs_that_decided(retailer: Shop) -> None:
    draft = await drafted(retailer, labour=[{"location": "JPA", "handling": 5000}])
    async with retailer.database.transaction() as tx:
        shadow = await shadowing.start(tx, ShadowDraft(name="x", scenario=Scenario(), cost_draft=draft["id"]))
    await placed(retailer, ("CAMA", 1))
    await swept(retailer)
    async with retailer.database.transaction() as tx:
        compared = await shadowing.outcome(tx, shadow.id)
    assert compared.orders == 1
    assert compared.saved == (900 + 5000 + 40) - (1500 + 300 + 40)
    told = await tried(retailer, draft["id"])
    (day,) = told["gap"]["days"].values()
    assert (day["live"], day["draft"]) == (1240, 1840)
    assert day["bound"] == pytest.approx(1240)


async def test_a_credit_by_age_is_set_on_the_page_and_taken_away_by_empty_fields(retailer: Shop) -> None:
    headers = await retailer.session()

    async def saved(version: int, **fields: str) -> None:
        form = {"version": str(version), **{name.replace("__", "/"): value for name, value in fields.items()}}
        answer = await retailer.http.post("/routing-costs", data=form, headers=headers)
        assert answer.status_code in {200, 303}, answer.text

    await saved(0, aging__after_days="45", aging__per_day="0,10", aging__most="12,00")
    async with retailer.database.transaction() as tx:
        stated, version = await cost_reads.costs(tx), await cost_reads.version(tx)
    assert stated.aging is not None
    assert (stated.aging.after_days, stated.aging.per_day, stated.aging.most) == (45, 10, 1_200)
    page = await retailer.http.get("/routing-costs", headers=headers)
    assert 'name="aging/after_days"' in page.text
    await saved(version, aging__after_days="", aging__per_day="", aging__most="")
    async with retailer.database.transaction() as tx:
        assert (await cost_reads.costs(tx)).aging is None
