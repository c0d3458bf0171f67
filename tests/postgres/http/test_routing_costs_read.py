"""Who may only read sees costs of routing as text, without what leads to a refusal; who is limited, of theirs alone."""

from typing import Any

import pytest
from test_promises_offered import sold
from tests_http import Shop

from malha.identity.model import Role
from malha.routing import costs
from malha.routing.cost_model import Carton, Costs, Kind, Markdown, Reach, Restriction

__all__ = ["sold"]
STATED = Costs(
    split_penalty=250,
    cartons=[Carton(max_grams=1500, price=120)],
    reach=[Reach(location="S1", max_km=40), Reach(location="S2", max_km=70)],
    restrictions=[Restriction(kind=Kind.BRAND, value="Fria", locations=["S1", "S2"], only=True)],
)


@pytest.fixture
async def stated(sold: Shop) -> Shop:
    async with sold.database.transaction() as tx:
        await costs.set_costs(tx, STATED, 0)
    return sold


async def page(shop: Shop, path: str, role: Role, **options: object) -> str:
    headers = await shop.session(role, **options)
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_who_may_only_read_is_shown_the_costs_without_a_field(stated: Shop) -> None:
    text = await page(stated, "/routing-costs", Role.AUDITOR)
    assert "R$2.50" in text
    assert all(code in text for code in ("Fria", "S1 S2", "40", "70"))
    assert 'name="split_penalty"' not in text
    assert 'href="/cost-drafts"' in text
    assert 'name="split_penalty"' in await page(stated, "/routing-costs", Role.OWNER)


async def test_who_is_limited_reads_of_their_locations_and_is_led_to_no_refusal(stated: Shop) -> None:
    text = await page(stated, "/routing-costs", Role.PLANNER, locations=["S1"])
    assert 'href="/cost-drafts"' not in text
    assert 'name="split_penalty"' not in text
    assert ">S1</td>" in text
    assert "S2" not in text


async def test_the_api_says_to_who_is_limited_what_the_page_says(stated: Shop) -> None:
    async with stated.database.transaction() as tx:
        rows = [Markdown(sku="CUP", location=code, centavos=150) for code in ("S1", "S2")]
        await costs.set_markdowns(tx, rows, 0)

    async def told(path: str, **options: object) -> Any:
        headers = await stated.key({"network:read"}, **options)
        answer = await stated.http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    mine, all_of_it = [await told("/v1/routing-costs", **one) for one in ({"locations": ["S1"]}, {})]
    assert (mine["split_penalty"], mine["cartons"]) == (250, all_of_it["cartons"])
    assert [one["location"] for one in mine["reach"]] == ["S1"]
    assert mine["restrictions"][0]["locations"] == ["S1"]
    assert [one["location"] for one in all_of_it["reach"]] == ["S1", "S2"]
    aged = await told("/v1/markdown-credits", locations=["S1"])
    assert [row["location"] for row in aged["rows"]] == ["S1"]
    assert len((await told("/v1/markdown-credits"))["rows"]) == 2
    text = await page(stated, "/routing-costs", Role.PLANNER, locations=["S1"])
    assert "S2" not in text


async def test_orders_are_narrowed_by_locations_that_the_person_sees(stated: Shop) -> None:
    mine = await page(stated, "/orders", Role.STORE_LEAD, locations=["S1"])
    assert 'value="S1"' in mine
    assert 'value="S2"' not in mine
    assert 'value="S2"' in await page(stated, "/orders", Role.OWNER)
