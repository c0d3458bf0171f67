"""Whose goods, on screen: what a cell says is what routing and availability do; what is stated is kept and audited."""

import re
from typing import Any

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.testing.builders import a_network, a_product

RIGHTS = ["stock:read", "stock:write", "network:read", "network:write"]


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        places = dict.fromkeys(shop.world.locations, 3)
        await a_product(tx, shop.world, "CUP", stock=places)
    shop.headers = await shop.key(RIGHTS)
    return shop


def matrix(page: str) -> dict[str, list[str]]:
    """Rows: root of the company -> what each channel does."""
    table = page.partition('class="m-table m-table-tight m-owners"')[2].partition("</table>")[0]
    found = {}
    for row in table.split('<tr><th scope="row">')[1:]:
        root = re.search(r"/companies/([0-9A-Z]+)", row)
        assert root is not None
        found[root[1]] = re.findall(r"</svg>\s*(sells|does not sell|may not sell)<", row)
    return found


def channels(page: str) -> list[str]:
    return re.findall(r'href="/stock-owners/channels/([^"]+)"', page)


async def offered(shop: Shop, channel: str) -> set[str]:
    """Companies whose goods availability gives to a channel, by the root of their CNPJ."""
    answer = await shop.http.get("/v1/availability", params={"channel": channel, "sku": "CUP"}, headers=shop.headers)
    codes = answer.json()["locations"]
    async with shop.database.transaction() as tx:
        return set(
            await tx.values(
                "SELECT l.cnpj_root FROM location p JOIN establishment e ON e.id = coalesce(p.owner_id, p.establishment_id) "
                "JOIN legal_entity l ON l.id = e.legal_entity_id WHERE p.code = ANY (%(codes)s::text[])",
                {"codes": codes},
            )
        )


async def agrees(shop: Shop, page: str) -> None:
    """Every cell says what availability does, for channels that every location may serve."""
    rows = matrix(page)
    for n, channel in enumerate(channels(page)):
        assert {root for root, cells in rows.items() if cells[n] == "sells"} == await offered(shop, channel), channel


async def test_cells_say_what_availability_does_before_and_after_a_change(sold: Shop) -> None:
    owner = await sold.session()
    page = (await sold.http.get("/stock-owners", headers=owner)).text
    async with sold.database.transaction() as tx:
        await tx.execute("DELETE FROM channel_location")
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
        version = await tx.value("SELECT version FROM channel WHERE code = 'web'")
        roots = sorted(matrix(page))
    page = (await sold.http.get("/stock-owners", headers=owner)).text
    await agrees(sold, page)
    form = {"version": str(version), "companies": roots[:1]}
    saved = await sold.http.post("/stock-owners/channels/web", data=form, headers=owner)
    assert saved.status_code == 303, saved.text
    page = (await sold.http.get("/stock-owners", headers=owner)).text
    at = channels(page).index("web")
    assert {cells[at] for root, cells in matrix(page).items() if root != roots[0]} == {"does not sell"}
    await agrees(sold, page)
    async with sold.database.transaction() as tx:
        trail = await tx.tuples("SELECT entity, entity_id FROM audit WHERE entity IN ('channel', 'location')")
    assert trail == [("channel", "web")]
    stale = await sold.http.post("/stock-owners/channels/web", data=form, headers={**owner, "hx-request": "true"})
    assert stale.status_code == 409


async def test_a_location_keeps_the_goods_of_another_and_goes_back(sold: Shop) -> None:
    owner = await sold.session()
    async with sold.database.transaction() as tx:
        ((code, version, other),) = await tx.tuples(
            "SELECT p.code, p.version, e.code FROM location p JOIN establishment e ON e.id <> p.establishment_id "
            "ORDER BY p.code, e.code LIMIT 1"
        )
    saved = await sold.http.post(
        f"/stock-owners/locations/{code}", data={"version": str(version), "owner": other}, headers=owner
    )
    assert saved.status_code == 303, saved.text
    page = (await sold.http.get("/stock-owners", headers=owner)).text
    assert "stated: not its own establishment" in page
    await agrees_if_open(sold, page)
    form = (await sold.http.get(f"/stock-owners/locations/{code}", headers=owner)).text
    assert f'value="{other}" selected' in form
    back = {"version": str(version + 1), "owner": ""}
    assert (await sold.http.post(f"/stock-owners/locations/{code}", data=back, headers=owner)).status_code == 303
    page = (await sold.http.get("/stock-owners", headers=owner)).text
    assert "stated: not its own establishment" not in page
    exported = (await sold.http.get("/stock-owners:export.csv", headers=owner)).text
    assert len(exported.splitlines()) == 1 + page.count("its own establishment</small>")


async def agrees_if_open(shop: Shop, page: str) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM channel_location")
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
    await agrees(shop, page)


async def test_who_is_limited_reads_what_concerns_their_locations_and_changes_nothing(sold: Shop) -> None:
    code = min(sold.world.locations)
    keeper: dict[str, Any] = await sold.session(Role.MANAGER, locations=[code])
    page = (await sold.http.get("/stock-owners", headers=keeper)).text
    assert re.findall(r'/locations/([^"]+)"', page) == [code]
    assert channels(page) == []
    form = {"version": "1", "companies": []}
    refused = await sold.http.post("/stock-owners/channels/web", data=form, headers=keeper)
    assert refused.status_code == 403
