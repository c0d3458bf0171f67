"""The pages of people, roles, keys and one's own account: what they show, and whom they refuse what."""

import csv
import re
from typing import Any

from tests_http import PASSWORD, Shop

from malha.identity.model import PERMISSIONS, Role
from malha.testing import builders


async def version_of(shop: Shop, person_id: object) -> str:
    async with shop.database.transaction() as tx:
        return str(await tx.value("SELECT version FROM person WHERE id = %(id)s::uuid", {"id": person_id}))


async def post(shop: Shop, path: str, headers: dict[str, str], **form: Any) -> Any:
    return await shop.http.post(path, data=form, headers=headers)


async def test_people_are_found_by_name_without_accents_by_role_and_by_state(shop: Shop) -> None:
    owner = await shop.session()
    for name, email, role in (("José Álvares", "ze@loja.test", "planner"), ("Rita Sá", "rita@loja.test", "auditor")):
        await post(shop, "/people/new", owner, name=name, email=email, role=role, scope="everywhere")

    async def found(query: str) -> set[str]:
        page = (await shop.http.get(f"/people{query}", headers=owner)).text
        return set(re.findall(r"<small>([\w@.]+)</small>", page))

    assert await found("") == {"owner@loja.test", "ze@loja.test", "rita@loja.test"}
    assert await found("?q=jose+alv") == {"ze@loja.test"}
    assert await found("?q=RITA") == {"rita@loja.test"}
    assert await found("?role=planner") == {"ze@loja.test"}
    assert await found("?state=active") == {"owner@loja.test"}
    assert await found("?state=invited&q=%25") == set()
    table = (await shop.http.get("/people/export.csv?role=auditor", headers=owner)).text
    assert [line.split(";")[1] for line in table.splitlines()] == ["E-mail", "rita@loja.test"]


async def test_a_person_is_changed_unless_somebody_else_was_first(shop: Shop) -> None:
    owner, person_id = await shop.session(), await shop.person(Role.PLANNER)
    form = {"name": "Nova", "email": "planner@loja.test", "role": "manager", "scope": "everywhere"}
    version = await version_of(shop, person_id)
    assert (await post(shop, f"/people/{person_id}", owner, version=version, **form)).status_code == 303
    stale = await post(shop, f"/people/{person_id}", owner, version=version, **{**form, "name": "Outra"})
    assert (stale.status_code, "Someone else changed" in stale.text) == (409, True)
    nowhere = await post(shop, f"/people/{person_id}", owner, version=version, **{**form, "scope": "some"})
    assert nowhere.status_code in {409, 422}
    async with shop.database.transaction() as tx:
        assert await tx.tuples("SELECT name, role FROM person WHERE name = 'Nova'") == [("Nova", "manager")]


async def test_a_deactivated_person_is_out_at_once_and_can_be_let_in_again(shop: Shop) -> None:
    owner, planner = await shop.session(), await shop.session(Role.PLANNER)
    person_id = (await shop.http.get("/v1/session", headers=planner)).json()["id"]
    assert (await post(shop, f"/people/{person_id}/deactivate", owner)).status_code == 303
    assert (await shop.http.get("/v1/session", headers=planner)).status_code == 401
    assert (await post(shop, f"/people/{person_id}/activate", owner)).status_code == 303
    assert await shop.token("planner@loja.test")
    owner_id = (await shop.http.get("/v1/session", headers=owner)).json()["id"]
    last = await post(shop, f"/people/{owner_id}/deactivate", owner)
    assert (last.status_code, "last active owner" in last.text) == (409, True)


async def test_nobody_gives_or_takes_over_more_than_they_have(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        code = await tx.value("SELECT min(code) FROM location")
    assert world is not None
    owner_id = await shop.person()
    narrow = await shop.session(Role.OWNER, email="narrow@loja.test", locations=[code])
    program = await shop.key({"identity:manage"})
    wide = {"name": "W", "email": "w@loja.test", "password": PASSWORD, "role": "owner", "locations": None}
    for headers, code_ in ((narrow, "not_found"), (program, "beyond_own_rights")):  # who is out of sight is not there
        made = await shop.http.post("/v1/people", json=wide, headers=headers)
        assert (made.status_code, made.json()["code"]) == (403, "beyond_own_rights")
        for path, body in (("password", {"password": PASSWORD}), ("link", None)):
            taken = await shop.http.post(f"/v1/people/{owner_id}/{path}", json=body, headers=headers)
            assert taken.json()["code"] == code_, path
        gone = await shop.http.delete(f"/v1/people/{owner_id}/second-factor", headers=headers)
        assert gone.json()["code"] == code_
    within = await shop.http.post("/v1/people", json={**wide, "locations": [code]}, headers=narrow)
    assert within.status_code == 201


async def test_the_role_table_shows_every_permission_once(shop: Shop) -> None:
    page = (await shop.http.get("/roles", headers=await shop.session())).text
    shown = re.findall(r'<small class="m-mono">([a-z_]+:[a-z_]+)</small>', page)
    assert sorted(shown) == sorted(PERMISSIONS)


async def test_an_owner_of_one_location_is_told_no_number_of_people_of_others(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    franchisee = await shop.session(Role.OWNER, email="dona@loja.test", locations=["S1"])
    await shop.person(Role.PLANNER, email="dc@loja.test", locations=["DC"])
    await shop.person(Role.OWNER, email="all@loja.test")
    page = (await shop.http.get("/people", headers=franchisee)).text
    assert "dc@loja.test" not in page
    tabs = page.partition('class="m-views m-acc-views"')[2].partition("</nav>")[0]
    assert re.findall(r"<span>(\d+)</span>", tabs) == ["1", "1", "0", "0"]
    table = (await shop.http.get("/roles:export.csv", headers=franchisee)).text
    told = {row[0]: row[2:4] for row in csv.reader(table.splitlines(), delimiter=";")}
    assert (told["Owner"], told["Planner"]) == (["1", "1"], ["0", "0"])


async def test_a_key_is_shown_once_works_and_is_revoked(shop: Shop) -> None:
    owner = await shop.session()
    made = await shop.http.post(
        "/keys/new",
        data={"name": "ERP <x>", "permissions": ["stock:read"], "scope": "everywhere", "lasts": "30"},
        headers=owner,
    )
    secret = re.findall(r'id="secret" value="(mk_[^"]+)"', made.text)[0]
    program = {"authorization": f"Bearer {secret}"}
    assert (await shop.http.get("/v1/stock", headers=program)).status_code == 200
    assert (await shop.http.get("/v1/orders", headers=program)).status_code == 403
    page = (await shop.http.get("/keys", headers=owner)).text
    assert secret not in page
    assert "ERP &lt;x&gt;" in page
    key_id = re.findall(r"/keys/(\d+)/revoke", page)[0]
    assert (await post(shop, f"/keys/{key_id}/revoke", owner)).status_code == 303
    assert "1 key that has ended" in (await shop.http.get("/keys", headers=owner)).text
    bare = await shop.http.post("/keys/new", data={"name": "", "scope": "some"}, headers=owner)
    assert (bare.status_code, "at least one permission" in bare.text) == (422, True)


async def test_one_sees_and_ends_ones_own_sessions(shop: Shop) -> None:
    here = await shop.session()
    there = {**here, "cookie": f"malha={await shop.token('owner@loja.test')}"}
    third = {**here, "cookie": f"malha={await shop.token('owner@loja.test')}"}
    listed = (await shop.http.get("/v1/sessions", headers=here)).json()
    assert sorted(session["current"] for session in listed) == [False, False, True]
    other = next(session["id"] for session in listed if not session["current"])
    assert (await post(shop, f"/account/sessions/{other}/revoke", here)).status_code == 303
    alive = [(await shop.http.get("/v1/session", headers=h)).status_code for h in (here, there, third)]
    assert sorted(alive) == [200, 200, 401]
    assert (await post(shop, "/account/sessions/revoke-others", here)).status_code == 303
    alive = [(await shop.http.get("/v1/session", headers=h)).status_code for h in (here, there, third)]
    assert alive == [200, 401, 401]


async def test_the_password_is_changed_by_who_knows_it_and_other_sessions_end(shop: Shop) -> None:
    here = await shop.session()
    there = {**here, "cookie": f"malha={await shop.token('owner@loja.test')}"}
    wrong = await post(shop, "/account/password", here, current="wrong", password="another good one")
    assert (wrong.status_code, "This is not your password." in wrong.text) == (422, True)
    done = await post(shop, "/account/password", here, current=PASSWORD, password="another good one")
    assert done.status_code == 303
    shop.http.cookies.clear()
    here = {**here, "cookie": f"malha={done.cookies['malha']}"}  # the session goes on under a new token
    assert (await shop.http.get("/v1/session", headers=here)).status_code == 200
    assert (await shop.http.get("/v1/session", headers=there)).status_code == 401
