"""Days at the ends of the calendar, which have no day beside them: refused where they are asked for, never a fault."""

import pytest
from tests_http import Shop

from malha.testing.builders import a_network

ENDS = ("0001-01-01", "0001-01-05", "9999-12-26", "9999-12-31")
ASKED = [
    "/v1/capacity?location=S1&since={}",
    "/v1/capacity?location=S1&since={}&until={}",
    "/v1/promises/kept?until={}",
    "/v1/promises/kept?since={}&until={}",
    "/v1/promises/broken?until={}",
]


@pytest.fixture
async def asked(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    shop.headers = await shop.key(["network:read", "network:write", "orders:read"])
    return shop


@pytest.mark.parametrize("path", ASKED)
async def test_a_day_at_an_end_of_the_calendar_is_refused_in_words(asked: Shop, path: str) -> None:
    for day in ENDS:
        answer = await asked.http.get(path.format(day, day), headers=asked.headers)
        assert answer.status_code == 422, (day, answer.text)
        assert {e["says"] for e in answer.json()["errors"]} == {"This day is of none of the years 1900 to 2999."}
    portuguese = await asked.http.get(path.format(day, day), headers=asked.headers | {"accept-language": "pt-BR"})
    assert portuguese.json()["errors"][0]["says"] == "Este dia não é de nenhum dos anos de 1900 a 2999."


async def test_a_simulation_is_of_days_that_have_others_beside_them(asked: Shop) -> None:
    for day in ENDS:
        draft = {"name": "x", "since": day, "until": day, "scenario": {}}
        answer = await asked.http.post("/v1/simulations", json=draft, headers=asked.headers)
        assert answer.status_code == 422, (day, answer.text)
        assert [e["at"] for e in answer.json()["errors"]] == ["/since", "/until"]
