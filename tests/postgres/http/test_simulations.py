"""What if: past orders of the real gate decided again, by API, background job and page."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import OperationalError
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.identity.model import Role
from malha.platform import jobs
from malha.platform.clock import now
from malha.platform.ids import UUID
from malha.simulation import reads, service, writes

__all__ = ["retailer"]

HEADERS = {"idempotency-key": "once"}


def wanted(**scenario: Any) -> dict[str, Any]:
    today = now().date()
    return {
        "name": "What if", "since": str(today - timedelta(days=2)), "until": str(today + timedelta(days=1)), "scenario": scenario,
    }  # fmt: skip


async def started(shop: Shop, **scenario: Any) -> dict[str, Any]:
    key = await shop.key({"network:read", "network:write"})
    answer = await shop.http.post("/v1/simulations", json=wanted(**scenario), headers=key)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def replayed(shop: Shop, **scenario: Any) -> dict[str, Any]:
    run = await started(shop, **scenario)
    await service.run.work(shop.database, simulation_id=run["id"])
    key = await shop.key({"network:read"})
    answer = await shop.http.get(f"/v1/simulations/{run['id']}/result", headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def a_past(shop: Shop) -> None:
    """Recife serves the first order whole, then has no net left; Cajamar sends the second."""
    await placed(shop, ("REDE", 1), ("CAMA", 1))
    await placed(shop, ("REDE", 1))
    await placed(shop, ("CAMA", 1))


async def test_closing_a_location_moves_its_orders_and_tells_the_difference(retailer: Shop) -> None:
    await a_past(retailer)
    told = await replayed(retailer, locations=[{"location": "REC", "closed": True}])
    assert told["before"]["total"]["orders"] == told["after"]["total"]["orders"] == 3
    assert told["before"]["locations"]["REC"]["orders"] == 1
    assert "REC" not in told["after"]["locations"]
    # The whole order comes from Cajamar (4740) or net from there and bed linen from João Pessoa; the others stay.
    assert told["moved"] == 1
    (example,) = told["dearer"]
    assert (example["cost_before"], example["from_before"]) == (1880, ["REC"])
    assert (
        example["cost_after"] - example["cost_before"]
        == told["after"]["total"]["cost"] - told["before"]["total"]["cost"]
    )
    assert told["before"]["total"]["transit"] == 6  # three parcels of two business days


async def test_what_a_changed_plan_took_is_missing_for_the_next_order_and_what_it_left_is_there(retailer: Shop) -> None:
    await placed(retailer, ("REDE", 1))  # Recife's last net
    await placed(retailer, ("REDE", 1))  # so this one comes from Cajamar
    told = await replayed(retailer, freight=[{"percent": 1, "from_state": "SP"}])
    assert told["after"]["locations"] == {"CAJ": {"orders": 2, "units": 2, "cost": 2 * (200 + 20 + 45), "peak": 2}}
    told = await replayed(retailer, locations=[{"location": "CAJ", "keep": 4}])
    assert told["after"]["total"]["unplaced"] == 1
    told = await replayed(
        retailer,
        locations=[{"location": "CAJ", "closed": True}],
        opened=[{"name": "Maceió 2", "state": "AL", "stock_from": "CAJ", "share": 50, "handling": 100}],
    )
    assert told["after"]["locations"]["+ Maceió 2"] == {"orders": 1, "units": 1, "cost": 1900, "peak": 1}


async def test_a_day_that_is_full_on_paper_sends_orders_elsewhere(retailer: Shop) -> None:
    for _ in range(3):
        await placed(retailer, ("CAMA", 1))
    before = await replayed(retailer)
    assert before["before"] == before["after"]
    assert before["before"]["locations"]["JPA"]["orders"] == 3
    told = await replayed(retailer, locations=[{"location": "JPA", "capacity": 1}])
    assert {code: load["orders"] for code, load in told["after"]["locations"].items()} == {"JPA": 1, "REC": 2}


async def test_it_runs_in_the_background_to_its_end(retailer: Shop) -> None:
    await a_past(retailer)
    run = await started(retailer)
    assert (run["status"], run["total"], run["done"]) == ("waiting", 3, 0)
    stop = asyncio.Event()
    running = asyncio.create_task(jobs.run_jobs(retailer.database, stop, settings=retailer.app.state.services.settings))
    key = await retailer.key({"network:read"})
    async with asyncio.timeout(30):
        while run["status"] != "done":
            run = (await retailer.http.get(f"/v1/simulations/{run['id']}", headers=key)).json()
            await asyncio.sleep(0.02)
    stop.set()
    await running
    assert run["done"] == 3
    assert [x["id"] for x in (await retailer.http.get("/v1/simulations", headers=key)).json()] == [run["id"]]


async def test_one_that_was_stopped_ends_without_a_result_and_only_an_ended_one_is_deleted(retailer: Shop) -> None:
    run = await started(retailer)
    key = await retailer.key({"network:read", "network:write"})
    address = f"/v1/simulations/{run['id']}"
    refused = await retailer.http.delete(address, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "simulation_running")
    stopped = await retailer.http.post(f"{address}/stop", headers=key)
    assert stopped.json()["status"] == "cancelled"
    await service.run.work(retailer.database, simulation_id=run["id"])
    none = await retailer.http.get(f"{address}/result", headers=key)
    assert (none.status_code, none.json()["code"]) == (409, "simulation_without_result")
    again = await retailer.http.post(f"{address}/stop", headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "simulation_over")
    assert (await retailer.http.delete(address, headers=key)).status_code == 204
    assert (await retailer.http.get(address, headers=key)).json()["code"] == "simulation_not_found"


@pytest.mark.parametrize(
    ("scenario", "at"),
    [
        ({"locations": [{"location": "NOPE"}]}, "/scenario/locations/0/location"),
        ({"locations": [{"location": "REC"}, {"location": "REC"}]}, "/scenario/locations/1/location"),
        (
            {"opened": [{"name": "x", "state": "PE", "stock_from": "NOPE", "share": 10}]},
            "/scenario/opened/0/stock_from",
        ),
    ],
)
async def test_a_scenario_about_unknown_places_is_refused_where_it_is_wrong(retailer: Shop, scenario, at) -> None:
    key = await retailer.key({"network:write"})
    answer = await retailer.http.post("/v1/simulations", json=wanted(**scenario), headers=key)
    assert answer.status_code == 422
    assert [problem["at"] for problem in answer.json()["errors"]] == [at]


async def test_days_in_the_wrong_order_and_unknown_channels_are_refused_together(retailer: Shop) -> None:
    key = await retailer.key({"network:write"})
    draft = {**wanted(), "since": "2026-02-02", "until": "2026-02-01", "channel": "nope"}
    answer = await retailer.http.post("/v1/simulations", json=draft, headers=key)
    assert {problem["at"] for problem in answer.json()["errors"]} == {"/until", "/channel"}


async def test_whoever_works_at_some_locations_sees_no_simulation(retailer: Shop) -> None:
    run = await started(retailer)
    key = await retailer.key({"network:read", "network:write"}, locations=["REC"])
    for method, path in (
        ("GET", ""),
        ("GET", f"/{run['id']}"),
        ("GET", f"/{run['id']}/result"),
        ("POST", f"/{run['id']}/stop"),
    ):
        answer = await retailer.http.request(method, f"/v1/simulations{path}", headers=key)
        assert answer.status_code == 403, (method, path, answer.text)
    assert (await retailer.http.post("/v1/simulations", json=wanted(), headers=key)).status_code == 403


async def test_the_page_takes_a_scenario_shows_it_and_keeps_what_was_typed_when_it_is_wrong(retailer: Shop) -> None:
    await a_past(retailer)
    person = await retailer.session(Role.OWNER)
    form = {
        "rows": "4",
        "since": wanted()["since"],
        "until": wanted()["until"],
        "at/1/location": "REC",
        "at/1/closed": "on",
    }
    wrong = await retailer.http.post("/simulations:new", data={**form, "at/2/keep": "4"}, headers=person)
    assert wrong.status_code == 422
    assert "Which location is this about?" in wrong.text
    never = await retailer.http.post("/simulations:new", data={**form, "replenished_after": "0"}, headers=person)
    assert never.status_code == 422
    assert "Use a whole number from 1 to 365." in never.text
    more = await retailer.http.post("/simulations:more", data=form, headers=person)
    assert 'name="at/9/location"' in more.text
    assert '<option value="REC" selected>' in more.text
    made = await retailer.http.post("/simulations:new", data=form, headers=person)
    assert made.status_code == 303, made.text
    address = made.headers["location"]
    waiting = await retailer.http.get(address, headers=person)
    assert "Orders are decided again" in waiting.text
    await service.run.work(retailer.database, simulation_id=address.rsplit("/", 1)[1])
    shown = (await retailer.http.get(address, headers=person)).text
    assert "REC closed" in shown
    assert "Orders that would have gone elsewhere" in shown
    async with retailer.database.transaction() as tx:
        found = await reads.simulation(tx, UUID(address.rsplit("/", 1)[1]))
    assert found is not None
    assert found.scenario.locations[0].closed
    assert "REC closed" in (await retailer.http.get("/simulations", headers=person)).text
    gone = await retailer.http.post(f"{address}/delete", headers=person)
    assert gone.status_code == 303
    assert "No simulation yet" in (await retailer.http.get("/simulations", headers=person)).text


async def test_so_many_wait_and_no_more_whoever_asks_at_once(retailer: Shop) -> None:
    key = await retailer.key({"network:read", "network:write"})
    for _ in range(service.MOST_OPEN - 2):
        assert (await retailer.http.post("/v1/simulations", json=wanted(), headers=key)).status_code == 201
    answers = await asyncio.gather(
        *(retailer.http.post("/v1/simulations", json=wanted(), headers=key) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["code"] == "too_many_simulations"
    assert "20 simulations have not ended yet" in refused["detail"]
    one = (await retailer.http.get("/v1/simulations", headers=key)).json()[0]["id"]
    assert (await retailer.http.post(f"/v1/simulations/{one}/stop", headers=key)).status_code == 200
    assert (await retailer.http.post("/v1/simulations", json=wanted(), headers=key)).status_code == 201
    person = await retailer.session(Role.OWNER)
    page = await retailer.http.post("/simulations:new", data={"rows": "1"}, headers=person)
    assert (page.status_code, "simulations have not ended yet" in page.text) == (409, True)


async def test_what_came_of_one_is_kept_for_so_long_and_one_that_runs_is_never_forgotten(retailer: Shop) -> None:
    runs = [await started(retailer) for _ in range(3)]
    old, young, open_ = (run["id"] for run in runs)
    for done in (old, young):
        await service.run.work(retailer.database, simulation_id=done)
    async with retailer.database.transaction() as tx:
        for id_, days in ((old, service.KEEP_DAYS + 1), (young, service.KEEP_DAYS - 1), (open_, 400)):
            await tx.execute(
                "UPDATE simulation SET created_at = now() - make_interval(days => %(days)s::int), "
                "finished_at = CASE WHEN status = 'done' THEN now() - make_interval(days => %(days)s::int) END "
                "WHERE id = %(id)s::uuid",
                {"id": id_, "days": days},
            )
        await service.forget_old(tx)
        kept = {str(found.id) for found in await reads.simulations(tx)}
    assert kept == {young, open_}


async def test_each_day_is_compared_with_what_hindsight_would_have_let_it_cost(retailer: Shop) -> None:
    await a_past(retailer)
    gap = (await replayed(retailer))["gap"]
    ((_day, found),) = gap["days"].items()
    assert (found["orders"], found["compared"]) == (3, 3)
    assert found["live"] == found["draft"]
    assert 0 < found["bound"] <= found["live"] * (1 + 1e-9)
    assert found.get("certificate", 0.0) < 0.01
    assert gap.get("left", 0) == 0
    dearer = (await replayed(retailer, locations=[{"location": "REC", "closed": True}]))["gap"]
    ((_day, closed),) = dearer["days"].items()
    assert closed["bound"] == pytest.approx(found["bound"])
    assert closed["draft"] > closed["live"]


async def test_days_of_few_orders_share_a_process_and_are_bounded_as_alone(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET placed_at = placed_at - interval '1 day' * mod(number, 2)")
    asked, ask = [], service.ask

    async def counted(*args: Any, **more: Any) -> Any:
        asked.append(more["arguments"])
        return await ask(*args, **more)

    monkeypatch.setattr(service, "ask", counted)
    together = (await replayed(retailer))["gap"]
    assert (len(asked), len(together["days"])) == (1, 2)
    monkeypatch.setattr(service, "TOGETHER", 1)
    alone = (await replayed(retailer))["gap"]
    assert len(asked) == 3
    assert alone["days"] == together["days"]


async def test_a_bound_that_takes_too_long_is_killed_and_its_day_left_out(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    monkeypatch.setattr(service, "PATIENCE_S", 0.0)
    gap = (await replayed(retailer))["gap"]
    assert (gap.get("days", {}), gap["left"]) == ({}, 1)


async def test_a_simulation_that_is_stopped_while_a_bound_is_worked_out_ends_and_keeps_its_result(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    run = await started(retailer)
    looked = service.gap_of

    async def stopped_first(*args: Any) -> Any:
        async with retailer.database.transaction() as tx:
            await service.stop(tx, UUID(run["id"]))
        return await looked(*args)

    monkeypatch.setattr(service, "gap_of", stopped_first)
    await service.run.work(retailer.database, simulation_id=run["id"])
    async with retailer.database.transaction() as tx:
        found = await reads.simulation(tx, UUID(run["id"]))
        assert found is not None
        assert found.status == "cancelled"
        kept = await reads.result(tx, UUID(run["id"]))
    assert kept is not None
    assert kept.gap is None
    headers = await retailer.session()
    page = (await retailer.http.get(f"/simulations/{run['id']}", headers=headers)).text
    assert kept.moved == 0 or "Orders that would have gone elsewhere" in page
    assert "every 2s" not in page


async def test_what_came_of_it_is_shown_while_bounds_are_worked_out_and_a_run_that_is_tried_again_says_the_same(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    run = await started(retailer)
    at, headers = f"/simulations/{run['id']}", await retailer.session()
    looked, seen = service.gap_of, []

    async def while_it_works(*args: Any) -> Any:
        key = await retailer.key({"network:read"})
        result = await retailer.http.get(f"/v1{at}/result", headers=key)
        told = (await retailer.http.get(f"/v1{at}", headers=key)).json()
        page = (await retailer.http.get(at, headers=headers)).text
        seen.append((result.json(), told["status"], page))
        if len(seen) == 1:
            raise OperationalError("the database went away")
        return await looked(*args)

    monkeypatch.setattr(service, "gap_of", while_it_works)
    with pytest.raises(OperationalError):
        await service.run.work(retailer.database, simulation_id=run["id"])
    await service.run.work(retailer.database, simulation_id=run["id"])
    (first, status, page), (second, *_) = seen
    assert (status, first["gap"]) == ("running", None)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert "Destinations" in page
    assert 'id="gap" class="m-through" data-poll' in page
    key = await retailer.key({"network:read"})
    done = (await retailer.http.get(f"/v1{at}/result", headers=key)).json()
    assert {**done, "seconds": 0, "gap": None} == {**second, "seconds": 0}
    assert done["gap"] is not None
    assert "data-poll" not in (await retailer.http.get(at, headers=headers)).text.split('id="gap"')[1].split(">")[0]


async def test_the_page_draws_each_day_beside_hindsight(retailer: Shop) -> None:
    await a_past(retailer)
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET placed_at = placed_at - interval '1 day' * mod(number, 2)")
    run = await started(retailer, locations=[{"location": "REC", "closed": True}])
    await service.run.work(retailer.database, simulation_id=run["id"])
    owner = await retailer.session()
    page = await retailer.http.get(f"/simulations/{run['id']}", headers=owner)
    assert page.status_code == 200, page.text
    assert "Above the cost of hindsight" in page.text
    assert page.text.count('<rect class="bar"') > 0


async def test_a_defect_while_bounds_are_worked_out_leaves_the_result_and_says_that_there_is_no_bound(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    run = await started(retailer, locations=[{"location": "REC", "closed": True}])

    async def broken(*_args: Any) -> Any:
        raise ZeroDivisionError("nothing is divided by none")

    monkeypatch.setattr(service, "gap_of", broken)
    await service.run.work(retailer.database, simulation_id=run["id"])
    key = await retailer.key({"network:read"})
    told = (await retailer.http.get(f"/v1/simulations/{run['id']}", headers=key)).json()
    assert (told["status"], told["problem"]) == ("done", "")
    result = (await retailer.http.get(f"/v1/simulations/{run['id']}/result", headers=key)).json()
    gap = {"left": 1, "why": {"defect": 1}, "said": "ZeroDivisionError", "seconds": 0.0}
    assert (result["moved"], result["gap"]) == (1, gap)
    owner = await retailer.session()
    page = (await retailer.http.get(f"/simulations/{run['id']}", headers=owner)).text
    assert "No bound of hindsight could be worked out." in page
    assert "1 day has no bound, for a defect (ZeroDivisionError), which is in the log." in page
    assert "Orders that would have gone elsewhere" in page


async def test_the_day_whose_process_ends_with_a_defect_has_no_bound_and_the_others_have(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    monkeypatch.setattr(service, "BOUNDING", "malha.simulation.nowhere")
    gap = (await replayed(retailer))["gap"]
    assert gap == {"left": 1, "why": {"ended": 1}, "seconds": gap["seconds"]}


async def test_a_day_of_which_orders_were_decided_after_the_replay_has_no_bound(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_past(retailer)
    gap_of = service.gap_of

    async def later(db: Any, span: Any, compared: Any, going: Any) -> Any:
        for day in compared.days.values():
            day.compared -= 1  # as if the last one had not been there yet
        return await gap_of(db, span, compared, going)

    monkeypatch.setattr(service, "gap_of", later)
    gap = (await replayed(retailer))["gap"]
    assert (gap["left"], gap["why"], gap.get("days", {})) == (1, {"moved": 1}, {})


async def test_orders_that_no_bound_speaks_of_are_counted_by_reason(retailer: Shop) -> None:
    await placed(retailer, ("REDE", 9))  # nobody has so many
    await placed(retailer, ("CAMA", 1))
    gap = (await replayed(retailer))["gap"]
    ((_day, found),) = gap["days"].items()
    assert (found["orders"], found["compared"]) == (2, 1)
    assert sum(gap["beyond"].values()) == 1


async def test_one_that_runs_is_not_said_to_be_in_force(retailer: Shop) -> None:
    """Nothing that it tries decides orders; in Portuguese both had the same words."""
    run = await started(retailer)
    async with retailer.database.transaction() as tx:
        assert await tx.value(writes.KEEP_PACE, {"id": UUID(run["id"]), "done": 0})
    headers = {**await retailer.session(), "accept-language": "pt-BR"}
    head = (await retailer.http.get(f"/simulations/{run['id']}", headers=headers)).text.split('id="run-head"')[1]
    shown = head.split('class="m-sim-changes"')[0]
    assert "Em andamento" in shown
    assert "Em vigor" not in shown
