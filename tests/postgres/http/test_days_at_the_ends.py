"""Days at the ends of the calendar, which have no day beside them: refused where they are asked for, never a fault."""

from datetime import UTC, datetime

import msgspec
import pytest
from tests_http import Shop

from malha.intake import rules
from malha.intake.model import NewLine, NewOrder
from malha.platform.flaws import Invalid
from malha.testing.builders import a_network, a_product

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
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 5})
    shop.headers = await shop.key(["network:read", "network:write", "orders:read", "intake:submit"])
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


@pytest.mark.parametrize("field", ["promised_at", "placed_at"])
@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-03:00", "0001-01-01T00:00:00Z", "\\u0039999-12-31T23:59:59-03:00"])
async def test_an_order_for_a_day_nobody_can_read_is_refused_and_no_list_breaks(
    asked: Shop, field: str, at: str
) -> None:
    """Programs write such days for none. In the database it would be of the year 10000, which no list can show."""
    order = f'{{"channel": "mall", "external_id": "1", "lines": [{{"sku": "CUP", "quantity": 1, "unit_price": 1}}], "{field}": "{at}"}}'
    answer = await asked.http.post("/v1/orders", content=order, headers=asked.headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["at"] == f"/{field}"
    assert (await asked.http.get("/v1/orders", headers=asked.headers)).status_code == 200
    assert (await asked.http.get("/orders", headers=await asked.session())).status_code == 200


def test_the_gate_refuses_such_days_whoever_read_the_order() -> None:
    line = NewLine("CUP", 1, 1)
    order = NewOrder(channel="mall", lines=[line], promised_at=datetime.max.replace(tzinfo=UTC))
    assert isinstance(rules.refuse_days(order), Invalid)
    assert rules.refuse_days(msgspec.structs.replace(order, promised_at=datetime(2026, 12, 24, tzinfo=UTC))) is None


async def test_words_that_begin_like_such_a_day_are_words(asked: Shop) -> None:
    draft = {"name": "9999-12-31", "since": "2026-01-01", "until": "2026-01-02", "scenario": {}}
    answer = await asked.http.post("/v1/simulations", json=draft, headers=asked.headers)
    assert answer.status_code == 201, answer.text
