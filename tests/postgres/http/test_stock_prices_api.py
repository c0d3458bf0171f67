"""Prices of stock over HTTP: how they stand, each price with what it rests on, a run that a person asks for, on and off."""

from typing import Any

import pytest
from test_promises_offered import sold
from tests_http import Shop

from malha.platform import jobs
from malha.routing import price_process, price_reads, price_state, prices, pricing_wishes
from malha.routing.price_state import Why
from malha.routing.prices import Basis, Found
from malha.testing.builders import a_product

__all__ = ["sold"]


@pytest.fixture
async def priced(sold: Shop) -> Shop:
    """Two runs: the second one prices CUP at both places, and MUG at one, dearer than the first did."""
    async with sold.database.transaction() as tx:
        await a_product(tx, sold.world, "MUG_50%", stock={"DC": 3})
        cup, mug = await tx.values("SELECT id FROM variant ORDER BY id")
        dc, s2 = (sold.world.locations[code] for code in ("DC", "S2"))
        await prices.keep(tx, found({(cup, dc): 300}))
        kept = {(cup, dc): 250, (cup, s2): 900, (mug, dc): 400}
        await prices.keep(tx, found(kept, bases={(cup, s2): Basis(2, 12.5, 1.5)}, at_risk=3))
    return sold


def found(kept: dict[tuple[int, int], int], **facts: Any) -> Found:
    said = {
        "method": "programme",
        "baskets": 500,
        "bound_gap": 0.0004,
        "saving": 0.02,
        "seconds": 3.5,
        "in_force": True,
    }
    return Found(prices=kept, **(said | facts))


async def call(shop: Shop, method: str, path: str, status: int = 200, **options: Any) -> Any:
    rights = options.pop("rights", ["network:read", "network:write"])
    headers = await shop.key(rights, **options.pop("key", {}))
    answer = await shop.http.request(method, f"/v1/stock-prices{path}", headers=headers, **options)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_prices_come_highest_first_in_pages_with_what_they_rest_on_and_what_they_were(priced: Shop) -> None:
    first = await call(priced, "GET", "?limit=2")
    assert [(p["sku"], p["location"], p["price"], p["before"]) for p in first["items"]] == [
        ("CUP", "S2", 900, None),
        ("MUG_50%", "DC", 400, None),
    ]
    assert [(p["free"], p["shipped"], p["fetched"]) for p in first["items"]] == [(2, 12.5, 1.5), (None, None, None)]
    rest = await call(priced, "GET", f"?limit=2&cursor={first['next']}")
    assert [(p["sku"], p["price"], p["before"]) for p in rest["items"]] == [("CUP", 250, 300)]
    assert rest["next"] is None


async def test_they_are_looked_for_by_text_and_location(priced: Shop) -> None:
    async def skus(asked: str) -> list[str]:
        return [f"{p['sku']}@{p['location']}" for p in (await call(priced, "GET", asked))["items"]]

    assert await skus("?q=cup") == ["CUP@S2", "CUP@DC"]
    assert await skus("?q=50%25") == ["MUG_50%@DC"]
    assert await skus("?q=u_") == []  # no wildcard
    assert await skus("?location=DC") == ["MUG_50%@DC", "CUP@DC"]
    assert await skus("?location=S1") == []
    wrong = await call(priced, "GET", "?cursor=abc", 422)
    assert wrong["code"] == "bad_cursor"


async def test_prices_that_are_too_old_are_not_said_to_be_in_force(priced: Shop) -> None:
    async with priced.database.transaction() as tx:
        await tx.execute("UPDATE stock_price_version SET made_at = made_at - interval '2 hours'")
    runs = (await call(priced, "GET", "/status"))["runs"]
    assert [run["why"] for run in runs] == ["withdrawn", "withdrawn"]


async def test_the_state_says_how_the_last_runs_went_and_why_prices_are_not_used(priced: Shop) -> None:
    state = await call(priced, "GET", "/status")
    assert (state["going"], [run["why"] for run in state["runs"]]) == ("on", ["used", "withdrawn"])
    assert [(run["at_risk"], run["prices"], run["skus"], run["seconds"]) for run in state["runs"]] == [
        (3, 3, 2, 3.5),
        (None, 1, 1, 3.5),
    ]
    async with priced.database.transaction() as tx:
        some = {(1, priced.world.locations["DC"]): 9}
        for kept, facts in (
            (some, {"saving": 0.0001, "in_force": False}),
            ({}, {"saving": 0.0, "in_force": False, "at_risk": 0}),
            ({}, {"baskets": 7, "in_force": False}),
            (some, {"method": "closed_form", "problem": "no solution in time"}),
        ):
            await prices.keep(tx, found(kept, **facts))
        await prices.keep(tx, prices.failure("it took more than 120 s", 120.0))
    runs = (await call(priced, "GET", "/status"))["runs"]
    assert [(run["why"], run["problem"]) for run in runs[:5]] == [
        ("failed", "it took more than 120 s"),
        ("withdrawn", "no solution in time"),
        ("few_baskets", ""),
        ("nothing_at_risk", ""),
        ("no_saving", ""),
    ]
    assert (await call(priced, "GET", ""))["items"] == []  # of the last run


async def test_a_run_that_is_asked_for_is_done_once_by_the_worker(priced: Shop) -> None:
    asked = await call(priced, "POST", ":run", 202)
    again = await call(priced, "POST", ":run", 202)
    assert (asked["going"], again["going"], again["since"]) == ("asked", "asked", asked["since"])
    async with priced.database.transaction() as tx:
        assert len(await jobs.open_arguments(tx, price_process.price_now)) == 1
    await price_process.price_now.work(priced.database)  # a process of its own, as the worker has it
    state = await call(priced, "GET", "/status")
    assert (state["going"], state["since"], state["runs"][0]["why"]) == ("on", None, Why.FEW_BASKETS)
    version = state["runs"][0]["version"]
    await price_process.price_now.work(priced.database)  # nobody asks any more
    assert (await call(priced, "GET", "/status"))["runs"][0]["version"] == version
    async with priced.database.transaction() as tx:
        noted = await tx.values("SELECT action FROM audit WHERE entity = 'stock_pricing'")
    assert noted == ["start"]


async def test_a_run_under_way_is_seen_and_one_asked_for_meanwhile_stays(priced: Shop) -> None:
    await pricing_wishes.begin(priced.database)
    assert (await call(priced, "GET", "/status"))["going"] == "running"
    await call(priced, "POST", ":run", 202)
    await pricing_wishes.end(priced.database)
    assert (await call(priced, "GET", "/status"))["going"] == "asked"
    await pricing_wishes.begin(priced.database)
    async with priced.database.transaction() as tx:
        await tx.execute("UPDATE stock_pricing SET began_at = began_at - interval '4 minutes'")
    assert (await call(priced, "GET", "/status"))["going"] == "asked"  # its worker is gone


async def test_off_counts_at_once_and_what_is_made_meanwhile_is_not_used(priced: Shop) -> None:
    await call(priced, "POST", ":run", 202)
    assert (await call(priced, "POST", ":turn", json={"on": False}))["going"] == "off"
    async with priced.database.transaction() as tx:
        assert await price_reads.in_force(tx) is None
        await prices.keep(tx, found({(1, priced.world.locations["DC"]): 9}))
        assert await price_reads.in_force(tx) is None
    refused = await call(priced, "POST", ":run", 409)
    assert refused["code"] == "prices_off"
    assert not await pricing_wishes.is_asked(priced.database)
    assert (await call(priced, "POST", ":turn", json={"on": True}))["going"] == "on"
    async with priced.database.transaction() as tx:
        await prices.keep(tx, found({(1, priced.world.locations["DC"]): 9}))
        assert await price_reads.in_force(tx) is not None
        assert not await price_state.turn(tx, on=True)


async def test_only_who_may_change_the_network_everywhere_acts_and_who_is_limited_sees_nothing(priced: Shop) -> None:
    reader = {"rights": ["network:read"]}
    await call(priced, "GET", "", **reader)
    for path, body in ((":run", None), (":turn", {"on": False})):
        await call(priced, "POST", path, 403, json=body, **reader)
        limited = await call(priced, "POST", path, 403, json=body, key={"locations": ["DC"]})
        assert limited["code"] == "shared_by_all"
    for path in "", "/status":
        assert (await call(priced, "GET", path, 403, key={"locations": ["DC"]}))["code"] == "shared_by_all"
        await call(priced, "GET", path, 403, rights=["orders:read"])


async def test_people_see_the_page_press_its_buttons_and_get_it_as_a_file(priced: Shop) -> None:
    keeper = await priced.session()
    page = await priced.http.get("/stock-prices", headers=keeper)
    assert page.status_code == 200
    assert "MUG_50%" in page.text
    file = await priced.http.get("/stock-prices:export.csv?q=cup", headers=keeper)
    assert file.status_code == 200
    assert [line.count("CUP") > 0 for line in file.text.strip().splitlines()] == [False, True, True]
