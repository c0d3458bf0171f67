"""Saved views of a list: kept by a person, shared with a role, opened first; never another's to change."""

import re

import httpx
import pytest
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.identity.model import Role

__all__ = ["retailer"]

LATE = {"list": "orders", "query": "view=late&method=ship&after=abc", "name": "Expressas  atrasadas"}


async def save(shop: Shop, headers: dict[str, str], **said: str) -> httpx.Response:
    return await shop.http.post("/views", data={**LATE, **said}, headers=headers)


async def menu(shop: Shop, headers: dict[str, str], address: str = "/orders?view=open") -> str:
    page = (await shop.http.get(address, headers=headers)).text
    found = re.search(r'm-views-menu">(.*?)</details>', page, re.DOTALL)
    assert found
    return found[1]


async def ids(shop: Shop) -> list[int]:
    async with shop.database.transaction() as tx:
        return await tx.values("SELECT id FROM saved_view ORDER BY id")


async def test_what_a_list_shows_is_kept_under_a_name_and_opened_again(shop: Shop) -> None:
    owner = await shop.session()
    sent = await save(shop, owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/orders?view=late&method=ship")
    assert 'href="/orders?view=late&amp;method=ship"' in await menu(shop, owner)
    assert "Expressas atrasadas" in await menu(shop, owner)
    assert 'aria-current="true"' in await menu(shop, owner, "/orders?method=ship&view=late")
    assert 'aria-current="true"' not in await menu(shop, owner)


async def test_saving_under_the_same_name_replaces_the_view(shop: Shop) -> None:
    owner = await shop.session()
    await save(shop, owner)
    await save(shop, owner, query="view=ready")
    assert len(await ids(shop)) == 1
    assert 'href="/orders?view=ready"' in await menu(shop, owner)


async def test_a_private_view_is_seen_by_nobody_else_a_shared_one_by_its_role(shop: Shop) -> None:
    first = await shop.session(Role.PLANNER, email="one@loja.test")
    second = await shop.session(Role.PLANNER, email="two@loja.test")
    auditor = await shop.session(Role.AUDITOR)
    await save(shop, first, name="Minha")
    await save(shop, first, name="Nossa", role="planner")
    assert "Minha" not in await menu(shop, second)
    assert "Nossa" in await menu(shop, second)
    assert "Nossa" not in await menu(shop, auditor)


async def test_a_view_is_shared_with_ones_own_role_by_an_owner_with_any(shop: Shop) -> None:
    planner = await shop.session(Role.PLANNER)
    assert (await save(shop, planner, role="owner")).status_code == 403
    owner = await shop.session()
    await save(shop, owner, name="Para as lojas", role="store_lead")
    assert "Para as lojas" in await menu(shop, await shop.session(Role.STORE_LEAD))


async def test_a_list_opens_in_the_default_view_and_only_when_asked_for_nothing(shop: Shop) -> None:
    owner = await shop.session()
    await save(shop, owner, default="1")
    led = await shop.http.get("/orders", headers=owner)
    assert (led.status_code, led.headers["location"]) == (303, "/orders?view=late&method=ship")
    assert (await shop.http.get("/orders?view=open", headers=owner)).status_code == 200
    assert (await shop.http.get("/orders", headers={**owner, "hx-request": "true"})).status_code == 200
    await shop.http.post("/views/default", data={"list": "orders", "view": ""}, headers=owner)
    assert (await shop.http.get("/orders", headers=owner)).status_code == 200


async def test_a_shared_view_that_is_no_longer_shared_opens_nothing(shop: Shop) -> None:
    first = await shop.session(Role.PLANNER, email="one@loja.test")
    second = await shop.session(Role.PLANNER, email="two@loja.test")
    await save(shop, first, role="planner")
    view = (await ids(shop))[0]
    chosen = {"list": "orders", "view": str(view), "next": "/orders"}
    assert (await shop.http.post("/views/default", data=chosen, headers=second)).status_code == 303
    assert (await shop.http.get("/orders", headers=second)).status_code == 303
    await shop.http.post(f"/views/{view}", data={"name": "Minha", "role": ""}, headers=first)
    assert (await shop.http.get("/orders", headers=second)).status_code == 200
    assert (await shop.http.post("/views/default", data=chosen, headers=second)).status_code == 404


async def test_a_view_is_renamed_and_deleted_by_its_person_only(shop: Shop) -> None:
    owner, manager = await shop.session(), await shop.session(Role.MANAGER)
    await save(shop, owner, default="1")
    await save(shop, owner, name="Outra")
    first, _second = await ids(shop)
    for act in (f"/views/{first}", f"/views/{first}/delete"):
        assert (await shop.http.post(act, data={"name": "Dela"}, headers=manager)).status_code == 404
    taken = await shop.http.post(f"/views/{first}", data={"name": "Outra"}, headers=owner)
    assert taken.status_code == 409
    assert "You already have a view called Outra." in taken.text
    sent = await shop.http.post(f"/views/{first}", data={"name": "De hoje", "next": "/orders?view=late"}, headers=owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/orders?view=late")
    assert "De hoje" in await menu(shop, owner)
    await shop.http.post(f"/views/{first}/delete", data={}, headers=owner)
    assert "De hoje" not in await menu(shop, owner)
    assert (await shop.http.get("/orders", headers=owner)).status_code == 200  # its default went with it


@pytest.mark.parametrize(
    ("said", "status"),
    [({"name": "  "}, 422), ({"name": "x" * 61}, 422), ({"query": "q=" + "x" * 2100}, 422), ({"list": "wishes"}, 404)],
    ids=["no name", "long name", "long query", "no such list"],
)
async def test_what_cannot_be_kept_is_refused(shop: Shop, said: dict[str, str], status: int) -> None:
    owner = await shop.session()
    assert (await save(shop, owner, **said)).status_code == status
    assert await ids(shop) == []


async def test_changes_are_audited_without_what_was_searched_for(shop: Shop) -> None:
    owner = await shop.session()
    await save(shop, owner, query="q=maria+silva")
    view = (await ids(shop))[0]
    await shop.http.post(f"/views/{view}/delete", data={}, headers=owner)
    async with shop.database.transaction() as tx:
        rows = await tx.tuples(
            "SELECT action, coalesce(before, after)::text FROM audit WHERE entity = 'saved_view' ORDER BY id"
        )
    assert [action for action, _facts in rows] == ["save", "delete"]
    assert not any("maria" in facts for _action, facts in rows)


async def test_a_key_has_no_views_of_its_own(shop: Shop) -> None:
    key = await shop.key({"orders:read"})
    assert (await shop.http.get("/orders", headers=key)).status_code == 200
    sent = await shop.http.post("/views", data=LATE, headers={**key, "origin": "http://shop.test"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("terms", ["location=GONE", "channel=GONE"])
async def test_a_view_of_what_is_not_there_any_more_finds_no_orders_and_not_all(retailer: Shop, terms: str) -> None:
    for _ in range(2):
        await placed(retailer, ("CAMA", 1))
    owner = await retailer.session()
    file = await retailer.http.get("/orders/export.csv?view=all", headers=owner)
    assert len(file.text.splitlines()) == 3
    file = await retailer.http.get(f"/orders/export.csv?view=all&{terms}", headers=owner)
    assert len(file.text.splitlines()) == 1
    page = (await retailer.http.get(f"/orders?view=all&{terms}", headers=owner)).text
    assert "<tr" not in page.partition("<tbody")[2].partition("</tbody>")[0]
    assert '<option value="GONE" selected>GONE (not found)</option>' in page
