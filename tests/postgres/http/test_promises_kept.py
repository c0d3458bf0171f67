"""Kept and broken promises, by API, on their page and in files: what is due counts, and only what one may see."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.platform.i18n import DEFAULT_ZONE
from malha.testing.builders import World, a_network, in_days

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADD = """
WITH o AS (
    INSERT INTO sales_order (id, channel_id, external_id, body_hash, placed_at, status, items_total, total, method,
                             release_after)
    VALUES (gen_random_uuid(), %(channel)s, gen_random_uuid(), gen_random_uuid(), %(placed)s, 'shipped', 0, 0,
            %(method)s, now())
    RETURNING id, number
), p AS (
    INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                                 placed_at, promised_at, present_at, delivered_at, ready_at)
    SELECT id, id, %(channel)s, %(location)s, %(method)s, %(service)s, 'SP', %(state)s, %(placed)s, %(promised)s,
           %(present)s, %(delivered)s, %(ready)s
    FROM o
)
SELECT number FROM o
"""


async def a_promise(
    shop: Shop,
    promised: datetime,
    delivered: datetime | None,
    *,
    at: str = "DC",
    state: str | None = "SP",
    present: datetime | None = None,
    ready: datetime | None = None,
) -> int:
    world: World = shop.world
    facts = {
        "channel": world.channels["web"], "placed": promised - 4 * DAY, "method": "ship" if state else "pickup",
        "location": world.locations[at], "service": world.services["standard"] if state else None, "state": state,
        "promised": promised, "present": present, "delivered": delivered, "ready": ready,
    }  # fmt: skip
    async with shop.database.transaction() as tx:
        number: int = await tx.value(ADD, facts)
    return number


@pytest.fixture
async def told(shop: Shop) -> Shop:
    """Five promises that are due, of which three were kept, and two that are not due."""
    now = datetime.now(UTC).replace(microsecond=0)
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
    await a_promise(shop, now - DAY, now - 2 * DAY)
    await a_promise(shop, now - DAY, now - DAY)
    shop.late = await a_promise(shop, now - 2 * DAY, now - HOUR, at="S1", state="RJ", present=now)
    shop.missing = await a_promise(shop, now - 3 * DAY, None, at="S1")
    await a_promise(shop, now - HOUR, None, at="S1", state=None, ready=now - DAY)
    await a_promise(shop, now + HOUR, now - HOUR)
    await a_promise(shop, now + DAY, None)
    return shop


async def get(shop: Shop, path: str, headers: dict[str, str], status: int = 200) -> dict:
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_promises_that_are_due_are_counted_together_and_apart(told: Shop) -> None:
    found = await get(told, "/v1/promises/kept", await told.key({"orders:read"}))
    total = found["total"]
    assert [total[n] for n in ("due", "kept", "broken", "under_way", "promised_anew", "share")] == [5, 3, 2, 1, 1, 0.6]
    assert total["days_promised"] == pytest.approx(4)
    assert total["days_taken"] == pytest.approx((3 + 4 + (6 - 1 / 24) + (3 + 1 / 24)) / 4)
    assert sum(week["due"] for week in found["weeks"]) == 5
    assert sorted((x["key"], x["due"], x["kept"]) for x in found["locations"]) == [("DC", 2, 2), ("S1", 3, 1)]
    assert {x["key"]: (x["due"], x["kept"]) for x in found["states"]} == {"SP": (3, 2), "RJ": (1, 0), None: (1, 1)}
    assert {x["key"]: (x["due"], x["kept"]) for x in found["services"]} == {"standard": (4, 2), None: (1, 1)}


async def test_broken_promises_are_listed_the_latest_day_first_page_by_page(told: Shop) -> None:
    key = await told.key({"orders:read"})
    first = await get(told, "/v1/promises/broken?limit=1", key)
    second = await get(told, f"/v1/promises/broken?limit=1&cursor={first['next']}", key)
    assert [row["number"] for page in (first, second) for row in page["items"]] == [told.late, told.missing]
    assert second["next"] is None
    one = await get(told, "/v1/promises/broken?location=S1&service=standard&to_state=RJ", key)
    assert [row["number"] for row in one["items"]] == [told.late]


async def test_a_day_is_the_retailer_s_and_ends_when_its_last_promise_does(shop: Shop) -> None:
    """What a channel promises for a day it may promise for the day's last second, which in UTC is of the next day."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
    day = in_days(-3)
    end = datetime.combine(day, time(23, 59, 59), ZoneInfo(DEFAULT_ZONE))
    await a_promise(shop, end, end - HOUR)
    key = await shop.key({"orders:read"})
    for back, due in ((1, 0), (0, 1), (-1, 0)):
        asked = day - back * DAY
        found = await get(shop, f"/v1/promises/kept?since={asked}&until={asked}", key)
        assert found["total"]["due"] == due, asked


@pytest.mark.parametrize(
    ("asked", "field"),
    [("since=2026-01-01&until=2026-06-01", "since"), ("service=none", "service"), ("to_state=XX", "to_state")],
)
async def test_what_cannot_be_counted_is_refused_by_name(told: Shop, asked: str, field: str) -> None:
    for path in ("kept", "broken"):
        answer = await get(told, f"/v1/promises/{path}?{asked}", await told.key({"orders:read"}), 422)
        assert [problem["at"] for problem in answer["errors"]] == [f"?{field}"]


async def test_the_page_shows_shares_and_leads_to_broken_orders_and_the_file_has_them_all(told: Shop) -> None:
    owner = await told.session()
    page = (await told.http.get("/promises", headers=owner)).text
    assert "60.0%" in page
    assert f'href="/orders/{told.late}"' in page
    assert f'href="/orders/{told.missing}"' in page
    filtered = (await told.http.get("/promises?state=RJ", headers=owner)).text
    assert f'href="/orders/{told.late}"' in filtered
    assert f'href="/orders/{told.missing}"' not in filtered
    nothing = (await told.http.get("/promises?location=nowhere", headers=owner)).text
    assert "Nothing matches" in nothing
    lines = (await told.http.get("/promises:export.csv", headers=owner)).text.strip().splitlines()
    assert [line.split(";")[0] for line in lines[1:]] == [str(told.late), str(told.missing)]


async def test_who_is_limited_to_locations_counts_their_promises_only(told: Shop) -> None:
    only = ["DC"]
    headers = await told.session(Role.STORE_LEAD, locations=only)
    page = (await told.http.get("/promises", headers=headers)).text
    assert "100.0%" in page
    assert f'href="/orders/{told.late}"' not in page
    assert "/promises?location=S1" not in page
    key = await told.key({"orders:read"}, locations=only)
    assert (await get(told, "/v1/promises/kept", key))["total"]["due"] == 2
    assert (await get(told, "/v1/promises/broken", key))["items"] == []
    await get(told, "/v1/promises/kept?location=S1", key, 404)


async def test_goods_that_were_ready_some_minutes_late_are_not_told_as_a_day_late(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
    promised = datetime.combine(in_days(-3), time(13), ZoneInfo(DEFAULT_ZONE))
    pickup = await a_promise(shop, promised, None, state=None, ready=promised + timedelta(minutes=47))
    delivery = await a_promise(shop, promised, promised + 2 * DAY)
    owner = await shop.session()
    rows = (await shop.http.get("/promises", headers=owner)).text.split("<tr>")
    (fetched,) = [row for row in rows if f'href="/orders/{pickup}"' in row]
    (sent,) = [row for row in rows if f'href="/orders/{delivery}"' in row]
    assert ", 13:00<" in fetched  # by the hour, and late by the minute
    assert ">47 min<" in fetched
    assert ">2 days<" in sent
    lines = (await shop.http.get("/promises:export.csv", headers=owner)).text.strip().splitlines()
    assert {line.split(";")[0]: line.split(";")[-1] for line in lines[1:]} == {str(pickup): "0", str(delivery): "2"}
