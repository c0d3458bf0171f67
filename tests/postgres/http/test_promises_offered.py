"""What a basket is promised before it is bought, over HTTP, and that its order is promised the same."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests_http import Shop

from malha.intake.reference import REFRESH_SECONDS
from malha.network import reads
from malha.platform import i18n, revisions
from malha.promising.rules import day_promised
from malha.testing.builders import a_network, a_product, in_days

ADDRESS = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}
FAST = """
WITH s AS (INSERT INTO service (code, name, carrier, method) VALUES ('fast', 'Expressa', 'Azul', 'ship') RETURNING id)
INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days)
SELECT id, '*', '*', 30000, 4000, 1 FROM s
"""
CLOSE = """
INSERT INTO location_closure (location_id, day, reason) SELECT id, d::date, 'stock-taking' FROM location,
  generate_series(current_date - 1, current_date + 10, interval '1 day') AS d WHERE code = %(code)s::text
"""
MOVE = "UPDATE location SET latitude = -22.9, longitude = -43.2 WHERE code = 'S2'"


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """Cups at DC and S2 (Rio); two services."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await tx.execute(FAST)
        await tx.execute(MOVE)
        await a_product(tx, shop.world, "CUP", stock={"DC": 10, "S2": 2})
        await revisions.bump(tx, reads.REVISION)
    shop.headers = await shop.key(["stock:read", "intake:submit", "orders:read"])
    return shop


async def ask(shop: Shop, status: int = 200, **changes) -> dict:
    body = {"channel": "web", "postal_code": "01310-100", "lines": [{"sku": "CUP", "quantity": 2}]} | changes
    answer = await shop.http.post("/v1/promises", json=body, headers=shop.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_services_are_offered_with_dates_and_prices_and_an_order_gets_the_date_it_was_shown(sold: Shop) -> None:
    found = await ask(sold)
    assert [(d["service"], d["price"], d["transit_days"]) for d in found["deliveries"]] == [
        ("fast", 4000, 1),
        ("standard", 1500, 3),
    ]
    assert found["deliveries"][0]["arrives"] < found["deliveries"][1]["arrives"]
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    for shown in found["deliveries"]:
        order = {
            "channel": "web", "external_id": shown["service"], "service": shown["service"], "ship_to": ADDRESS,
            "customer": {"name": "Ana"}, "lines": [{"sku": "CUP", "quantity": 2, "unit_price": 1000}],
        }  # fmt: skip
        placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
        assert placed.status_code in {200, 201}, placed.text
        promises = await sold.http.get(f"/v1/orders/{placed.json()['id']}/promises", headers=sold.headers)
        present = datetime.fromisoformat(promises.json()["present"])
        assert present == datetime.fromisoformat(shown["promised_at"])
        assert day_promised(present, "SP").isoformat() == shown["arrives"]


async def test_places_to_fetch_it_come_nearest_first_and_only_with_all_units(sold: Shop) -> None:
    found = (await ask(sold))["collections"]
    assert [c["location"] for c in found] == ["DC", "S2"]
    assert found[0]["kilometres"] < 20
    assert found[1]["kilometres"] > 300
    ready = datetime.fromisoformat(found[0]["ready_at"])
    assert datetime.now(UTC) < ready < datetime.now(UTC) + timedelta(days=2)
    more = await ask(sold, lines=[{"sku": "CUP", "quantity": 5}])
    assert [c["location"] for c in more["collections"]] == ["DC"]
    nobody = await ask(sold, lines=[{"sku": "CUP", "quantity": 500}])
    assert nobody == {"deliveries": [], "collections": []}


async def test_a_closed_location_hands_over_when_it_opens_again(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(CLOSE, {"code": "DC"})
        await revisions.bump(tx, reads.REVISION)
    closed = in_days(8)
    found = await ask(sold, lines=[{"sku": "CUP", "quantity": 5}])
    assert all(d["leaves"] > closed.isoformat() for d in found["deliveries"])
    assert datetime.fromisoformat(found["collections"][0]["ready_at"]).date() > closed


async def test_what_is_asked_wrongly_is_refused_with_its_place(sold: Shop) -> None:
    assert (await ask(sold, 422, postal_code="99999-9"))["errors"][0]["at"] == "/postal_code"
    assert (await ask(sold, 422, to_state="RJ"))["errors"][0]["at"] == "/to_state"
    assert (await ask(sold, 422, lines=[{"sku": "NONE", "quantity": 1}]))["errors"][0]["at"] == "/lines/0/sku"
    nowhere = await ask(sold, postal_code=None)
    assert nowhere["deliveries"] == []
    assert nowhere["collections"][0]["kilometres"] is None


async def test_a_promised_day_ends_where_the_goods_go_and_pages_name_that_day(sold: Shop) -> None:
    """Manaus is an hour behind São Paulo: there the day is over when the reader's next day has begun."""
    manaus = {"postal_code": "69005010", "city": "Manaus", "state": "AM", "street": "Av. Sete", "number": "1"}
    [shown] = [d for d in (await ask(sold, postal_code="69005-010"))["deliveries"] if d["service"] == "fast"]
    ends = datetime.fromisoformat(shown["promised_at"])
    assert f"{ends.astimezone(ZoneInfo('America/Manaus')):%Y-%m-%d %H:%M:%S}" == f"{shown['arrives']} 23:59:59"
    await asyncio.sleep(REFRESH_SECONDS + 0.1)
    order = {
        "channel": "web", "external_id": "1", "service": "fast", "ship_to": manaus, "customer": {"name": "Ana"},
        "lines": [{"sku": "CUP", "quantity": 2, "unit_price": 1000}],
    }  # fmt: skip
    placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
    assert placed.status_code == 201, placed.text
    async with sold.database.transaction() as tx:
        assert await tx.value("SELECT promised_at FROM sales_order") == ends
        await tx.execute("UPDATE retailer SET timezone = 'America/Sao_Paulo'")
    headers = await sold.session()
    page = (await sold.http.get(f"/orders/{placed.json()['number']}", headers=headers)).text
    day = date.fromisoformat(shown["arrives"])
    today = datetime.now(ZoneInfo("America/Sao_Paulo")).date()
    assert f"Promised for {i18n.day(day, today)}." in page
    table = (await sold.http.get("/orders/export.csv", headers=headers)).text
    assert shown["arrives"] in table
