"""What each channel can sell, on screen: the numbers of the API, by group of locations and of buyers, with the reasons."""

import re
from typing import Any

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.testing.builders import a_network, a_product

RIGHTS = ["stock:read", "stock:write", "network:read", "network:write"]
Cells = dict[str, tuple[list[tuple[int, int]], str]]


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """Cups at DC, S1 and S2; a fence for the mall, a cap for the web, a group of shops, and VIPs."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await a_product(tx, shop.world, "CUP", stock={"DC": 10, "S1": 5, "S2": 1})
    shop.headers = await shop.key(RIGHTS)
    fence = {
        "code": "F-VIP",
        "name": "VIP cups",
        "kind": "fence",
        "channels": ["web"],
        "customer_groups": ["vip"],
        "stock": [{"sku": "CUP", "location": "DC", "quantity": 4}],
    }
    cap = {"code": "C-WEB", "name": "Web", "kind": "cap", "quota": 9, "channels": ["web"]}
    group = {"code": "SHOPS", "name": "Shops", "locations": ["S1", "S2"]}
    online = {"code": "R1", "name": "Keep one", "purpose": "online", "amount": 1, "location": "S1"}
    for path, body in (
        ("allotments", fence),
        ("allotments", cap),
        ("location-groups", group),
        ("safety-rules", online),
    ):
        answer = await shop.http.post(f"/v1/{path}", json=body, headers=shop.headers)
        assert answer.status_code == 201, answer.text
    return shop


def cells(page: str) -> Cells:
    """Rows of the matrix: channel -> ((available, shown) by column, the reasons)."""
    found: Cells = {}
    for row in re.findall(r"<tr><td><span class=\"m-cell\">.*?</tr>", page, re.DOTALL):
        code = re.search(r'm-mono">([^<]+)<', row)
        assert code is not None
        pairs = re.findall(r"<b[^>]*>(\d+)</b>(?:<small>shows (\d+)</small>)?", row)
        why = re.sub(r"<[^>]+>", " ", row.partition('m-why-list">')[2])
        found[code[1]] = ([(int(a), int(b or a)) for a, b in pairs], " ".join(why.split()))
    return found


async def asked(shop: Shop, **params: Any) -> tuple[int, int]:
    answer = await shop.http.get("/v1/availability", params={"sku": "CUP", **params}, headers=shop.headers)
    (offer,) = answer.json()["skus"]
    return offer["available"], offer["published"]


async def test_the_matrix_says_what_the_api_says_for_each_channel_group_and_buyer(sold: Shop) -> None:
    from malha.inventory.safety import service as safety

    await safety.sweep(sold.database)
    owner = await sold.session()
    for buyer in ("", "vip"):
        page = (await sold.http.get(f"/stock/CUP/channels?buyer={buyer}", headers=owner)).text
        shown = cells(page)
        assert "web" in shown
        for channel, (found, _why) in shown.items():
            more = {"customer_group": buyer} if buyer else {}
            assert found == [
                await asked(sold, channel=channel, **more),
                await asked(sold, channel=channel, location_group="SHOPS", **more),
            ], channel
    numbers, why = cells((await sold.http.get("/stock/CUP/channels?buyer=vip", headers=owner)).text)["web"]
    assert numbers[0][0] == 9  # of 16, the cap lets 9 through
    assert "cap C-WEB lets no more through" in why
    assert "4 set apart in VIP cups" in why
    _numbers, why = cells((await sold.http.get("/stock/CUP/channels", headers=owner)).text)["web"]
    assert "set apart" not in why


async def test_a_script_gets_the_part_and_others_the_page(sold: Shop) -> None:
    owner = await sold.session()
    part = await sold.http.get(
        "/stock/CUP/channels", headers={**owner, "hx-request": "true", "hx-target": "selling-body"}
    )
    assert part.text.lstrip().startswith('<div id="selling-body"')
    assert "<html" in (await sold.http.get("/stock/CUP/channels", headers=owner)).text
    assert (await sold.http.get("/stock/NOPE/channels", headers=owner)).status_code == 404


async def test_who_is_limited_sees_what_their_locations_give(sold: Shop) -> None:
    keeper = await sold.session(Role.MANAGER, locations=["S1"])
    page = (await sold.http.get("/stock/CUP/channels", headers=keeper)).text
    assert {found[0][0] for found, _why in cells(page).values()} <= {0, 5}
    assert "VIP cups" not in page
