"""Learned dates count by themselves once enough is known, say how good they are, and are turned off at once by people."""

import re
from typing import Any

import pytest
from test_promises_learned_live import days_of, fill
from test_promises_offered import sold
from tests_http import Shop

from malha.fulfillment.learning_days import renew
from malha.identity.model import Role
from malha.platform import audit

__all__ = ["sold"]

CAME_DUE = """
UPDATE promise_outcome SET foretold = 0.92, said = 0.9,
       promised_at = delivered_at + CASE WHEN n <= 240 THEN interval '1 hour' ELSE -interval '1 hour' END
FROM (SELECT work_id AS id, row_number() OVER (ORDER BY work_id) AS n FROM promise_outcome) o WHERE o.id = work_id
"""


async def asked(shop: Shop) -> dict[str, Any]:
    headers = await shop.key(["orders:read"])
    answer = await shop.http.get("/v1/promises/learned", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def turn(shop: Shop, on: bool, status: int = 200, **options: Any) -> dict[str, Any]:
    headers = await shop.key(["network:write"], **options)
    answer = await shop.http.post("/v1/promises/learned:turn", json={"on": on}, headers=headers)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_they_count_by_themselves_once_two_hundred_deliveries_are_known(sold: Shop) -> None:
    await fill(sold, 199)
    found = await asked(sold)
    assert (found["state"], found["known"], found["needed"], found["in_force"]) == ("too_few", 199, 200, None)
    await fill(sold, 51)
    assert (await asked(sold))["state"] == "soon"
    assert await renew(sold.database, wanted=True)
    found = await asked(sold)
    assert (found["state"], found["in_force"]["level"], found["in_force"]["worth"]) == ("in_force", 0.9, None)
    assert (found["in_force"]["outcomes"], found["in_force"]["lanes"], found["in_force"]["locations"]) == (250, 1, 1)
    assert (found["due"], found["kept"], found["said"]) == (0, None, None)
    since = found["in_force"]["since"]
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE promise_days_version SET made_at = made_at - interval '7 hours'")
    assert await renew(sold.database, wanted=True)
    found = await asked(sold)
    assert found["in_force"]["since"] == since, "learned anew, in force without a break"
    assert found["in_force"]["made_at"] > since


async def test_how_good_they_were_stands_beside_what_was_said(sold: Shop) -> None:
    await fill(sold, 300)
    assert await renew(sold.database, wanted=True)
    async with sold.database.transaction() as tx:
        await tx.execute(CAME_DUE)
    found = await asked(sold)
    assert (found["due"], found["kept"], found["said"]) == (300, 0.8, pytest.approx(0.9))


async def test_a_person_turns_them_off_at_once_and_on_again(sold: Shop) -> None:
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    assert (await days_of(sold))[:2] == (7, True)
    off = await turn(sold, False)
    assert (off["state"], off["in_force"]) == ("off", None)
    assert (await days_of(sold))[:2] == (3, False)
    assert not await renew(sold.database, wanted=True), "the worker leaves it off"
    assert (await turn(sold, False))["state"] == "off"
    assert (await turn(sold, True))["state"] == "soon"
    assert await renew(sold.database, wanted=True)
    assert (await days_of(sold))[:2] == (7, True)
    async with sold.database.transaction() as tx:
        trail = await audit.trail(tx, entity="promise_learning", entity_id="all")
    assert [(row.before, row.after) for row in trail] in (
        [({"wanted": True}, {"wanted": False}), ({"wanted": False}, {"wanted": True})],
        [({"wanted": False}, {"wanted": True}), ({"wanted": True}, {"wanted": False})],
    )


async def test_the_setting_keeps_them_off_whatever_a_person_says(sold: Shop) -> None:
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    assert not await renew(sold.database, wanted=False)
    assert (await days_of(sold))[:2] == (3, False)


async def test_who_is_limited_to_some_locations_turns_nothing_off(sold: Shop) -> None:
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    await turn(sold, False, status=403, locations=["S2"])
    assert (await asked(sold))["state"] == "in_force"
    page = await sold.http.get("/promises", headers=await sold.session(Role.MANAGER, locations=["S2"]))
    assert page.status_code == 200, page.text
    assert "In force" in page.text
    assert "/promises/learned" not in page.text


async def test_the_page_says_what_is_so_and_turns_it_off(sold: Shop) -> None:
    headers = await sold.session()
    page = (await sold.http.get("/promises", headers=headers)).text
    assert "Dates go by the tariff until 200 deliveries of the last weeks are known; 0 are." in page
    await fill(sold, 300)
    assert await renew(sold.database, wanted=True)
    async with sold.database.transaction() as tx:
        await tx.execute(CAME_DUE)
    page = (await sold.http.get("/promises", headers=headers)).text
    figures = re.findall(r'<dt>([^<]+)</dt><dd><b class="m-num">([^<]+)</b>', page)
    assert [name for name, _ in figures] == ["In force since", "Level", "Learned from", "Kept", "Expected"]
    assert dict(figures)["Level"] == "90.0%"
    assert (dict(figures)["Kept"], dict(figures)["Expected"]) == ("80.0%", "90.0%")
    gone_on = await sold.http.post("/promises/learned", data={"on": "0"}, headers=headers)
    assert gone_on.status_code in {200, 303}, gone_on.text
    page = (await sold.http.get("/promises", headers=headers)).text
    assert "A person turned learned dates off." in page
    assert (await days_of(sold))[:2] == (3, False)
