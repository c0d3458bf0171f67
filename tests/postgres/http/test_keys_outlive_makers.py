"""A key is the retailer's: it outlives who made it, never does more than it was made for, and is shown when they go."""

import re

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.testing.builders import a_network


async def ask(shop: Shop, method: str, path: str, headers: dict[str, str], **body):
    answer = await shop.http.request(method, path, headers=headers, **body)
    assert answer.status_code < 300, answer.text
    return answer


@pytest.fixture
async def made(shop: Shop):
    """An owner who stays, another who made a key by hand and one by that key, and a key that somebody else made."""
    async with shop.database.transaction() as tx:
        await a_network(tx)
    boss = await shop.session(email="boss@loja.test")
    maker = await shop.session(email="maker@loja.test")
    key = {"name": "ERP", "permissions": ["identity:manage", "orders:read"]}
    first = (await ask(shop, "POST", "/v1/keys", maker, json=key)).json()
    by_key = {"authorization": f"Bearer {first['secret']}"}
    second = (await ask(shop, "POST", "/v1/keys", by_key, json={"name": "BI", "permissions": ["orders:read"]})).json()
    await ask(shop, "POST", "/v1/keys", boss, json={"name": "Till", "permissions": ["orders:read"]})
    people = (await ask(shop, "GET", "/v1/people", boss)).json()["items"]
    who = next(p["id"] for p in people if p["email"] == "maker@loja.test")
    return shop, boss, who, {"authorization": f"Bearer {second['secret']}"}


async def person(shop: Shop, boss: dict[str, str], who: str, **changes):
    read = await ask(shop, "GET", f"/v1/people/{who}", boss)
    was = read.json()
    body = {n: was[n] for n in ("name", "email", "role", "active")} | {"locations": None} | changes
    return await ask(shop, "PUT", f"/v1/people/{who}", boss | {"if-match": read.headers["etag"]}, json=body)


async def test_a_key_goes_on_when_its_maker_goes_and_the_owner_is_told_which(made) -> None:
    shop, boss, who, program = made
    before = (await ask(shop, "GET", "/v1/keys", boss)).json()
    assert [(k["name"], k["maker"]["state"], k["works"]) for k in before] == [
        ("ERP", "active", True),
        ("BI", "active", True),
        ("Till", "active", True),
    ]
    gone = (await person(shop, boss, who, active=False)).json()
    assert len(gone["keys"]) == 2, "also the one that their key made"
    assert (await shop.http.get("/v1/orders", headers=program)).status_code == 200, "it is the retailer's"
    listed = (await ask(shop, "GET", f"/v1/people/{who}/keys", boss)).json()
    assert [(k["name"], k["maker"]["state"]) for k in listed] == [("ERP", "gone"), ("BI", "gone")]


async def test_all_keys_of_somebody_end_in_one_act_and_the_trail_names_each(made) -> None:
    shop, boss, who, program = made
    ended = (await ask(shop, "POST", f"/v1/people/{who}/keys/revoke", boss)).json()
    assert len(ended["keys"]) == 2
    async with shop.database.transaction() as tx:
        trail = await tx.values(
            "SELECT entity_id FROM audit WHERE action = 'revoke' AND entity = 'api_key' ORDER BY id"
        )
    assert trail == [str(k) for k in ended["keys"]]
    keys = (await ask(shop, "GET", "/v1/keys", boss)).json()
    assert [k["name"] for k in keys if k["works"]] == ["Till"]
    assert (await ask(shop, "POST", f"/v1/people/{who}/keys/revoke", boss)).json() == {"keys": []}
    shop.app.state.services.keys._known.clear()
    assert (await shop.http.get("/v1/orders", headers=program)).status_code == 401


async def test_who_deactivates_may_revoke_in_the_same_step(made) -> None:
    shop, boss, who, _ = made
    assert (await person(shop, boss, who, active=False, revoke_keys=True)).json()["keys"] == []
    assert [k["name"] for k in (await ask(shop, "GET", "/v1/keys", boss)).json() if k["works"]] == ["Till"]


async def test_a_key_of_somebody_who_may_less_by_now_keeps_its_rights_and_is_marked(made) -> None:
    shop, boss, who, _ = made
    await person(shop, boss, who, role="auditor")
    keys = {k["name"]: k["maker"]["state"] for k in (await ask(shop, "GET", "/v1/keys", boss)).json()}
    assert keys == {"ERP": "less", "BI": "active", "Till": "active"}, "an auditor reads orders"
    await person(shop, boss, who, role="owner", locations=["S1"])
    keys = {k["name"]: k["maker"]["state"] for k in (await ask(shop, "GET", "/v1/keys", boss)).json()}
    assert keys == {"ERP": "less", "BI": "less", "Till": "active"}, "they see one store, their keys all"


async def test_who_may_less_than_a_key_does_not_end_it_by_its_maker(made) -> None:
    shop, _boss, who, _ = made
    narrow = await shop.key(["identity:manage"])
    refused = await shop.http.post(f"/v1/people/{who}/keys/revoke", headers=narrow)
    assert (refused.status_code, refused.json()["code"]) == (403, "beyond_own_rights"), refused.text


async def test_the_pages_say_whose_keys_they_are_and_offer_to_end_them(made) -> None:
    shop, boss, who, _ = made
    page = (await ask(shop, "GET", f"/people/{who}", boss)).text
    assert "Keys they made" in page
    assert 'name="revoke_keys"' in page
    kept = await shop.http.post(f"/people/{who}/deactivate", data={}, headers=boss)
    assert kept.status_code == 303
    page = (await ask(shop, "GET", f"/people/{who}", boss)).text
    assert "2 keys still work though their maker has no access" in page
    keys = (await ask(shop, "GET", "/keys", boss)).text
    assert "2 keys that work were made by people who have no access any more" in keys
    assert len(re.findall(r"who has no access any more", keys)) == 2
    done = await shop.http.post(f"/people/{who}/keys/revoke", headers=boss)
    assert done.status_code == 303
    assert "Keys they made" not in (await ask(shop, "GET", f"/people/{who}", boss)).text
    table = (await ask(shop, "GET", "/keys:export.csv", boss)).text
    assert "Made by" in table.splitlines()[0]


async def test_the_dialog_of_a_deactivation_ends_them_with_it(made) -> None:
    shop, boss, who, _ = made
    done = await shop.http.post(f"/people/{who}/deactivate", data={"revoke_keys": "on"}, headers=boss)
    assert done.status_code == 303
    assert [k["name"] for k in (await ask(shop, "GET", "/v1/keys", boss)).json() if k["works"]] == ["Till"]


async def attention(shop: Shop, headers: dict[str, str]) -> str:
    page = (await ask(shop, "GET", "/attention", headers)).text
    found = re.search(r'id="orphaned-keys">(.*?)</a></div>', page, re.DOTALL)
    return "" if found is None else re.sub(r"<[^>]+>", "", found[1])


async def test_a_key_whose_maker_is_gone_needs_attention_until_it_is_taken_over_or_revoked(made) -> None:
    shop, boss, who, program = made
    assert await attention(shop, boss) == ""
    await person(shop, boss, who, active=False)
    told = await attention(shop, boss)
    assert "2 API keys work whose makers have no access any more" in told
    assert "ERP, BI" in told
    manager = await shop.session(Role.MANAGER, email="manager@loja.test")
    assert await attention(shop, manager) == "", "who may not change keys is not told of them"
    keys = {k["name"]: k["id"] for k in (await ask(shop, "GET", "/v1/keys", boss)).json()}
    assert f'action="/keys/{keys["BI"]}/take-over"' in (await ask(shop, "GET", "/keys", boss)).text
    taken = await shop.http.post(f"/keys/{keys['BI']}/take-over", headers=boss)
    assert taken.status_code == 303, taken.text
    assert "1 API key works whose maker has no access any more" in await attention(shop, boss)
    assert (await shop.http.get("/v1/orders", headers=program)).status_code == 200, "its secret is as before"
    await ask(shop, "POST", f"/v1/keys/{keys['ERP']}/revoke", boss)
    assert await attention(shop, boss) == ""
    assert "take-over" not in (await ask(shop, "GET", "/keys", boss)).text


async def test_a_key_is_handed_over_with_those_that_it_made_and_the_trail_says_to_whom(made) -> None:
    shop, boss, who, _ = made
    await person(shop, boss, who, active=False)
    people = (await ask(shop, "GET", "/v1/people", boss)).json()["items"]
    me = next(p for p in people if p["email"] == "boss@loja.test")
    first = (await ask(shop, "GET", "/v1/keys", boss)).json()[0]
    handed = await ask(shop, "POST", f"/v1/keys/{first['id']}/hand-over", boss, json={"person": me["id"]})
    assert handed.json()["maker"] == {"id": me["id"], "name": me["name"], "state": "active"}
    keys = (await ask(shop, "GET", "/v1/keys", boss)).json()
    assert {k["name"]: k["maker"]["state"] for k in keys} == {"ERP": "active", "BI": "active", "Till": "active"}
    assert (await ask(shop, "GET", f"/v1/people/{who}/keys", boss)).json() == []
    async with shop.database.transaction() as tx:
        trail = await tx.tuples(
            "SELECT actor_name, entity_id, before ->> 'person', after ->> 'person' FROM audit"
            " WHERE action = 'hand_over' AND entity = 'api_key'"
        )
    assert trail == [(me["name"], str(first["id"]), who, me["id"])]


async def test_a_key_is_handed_only_to_who_has_access_and_all_of_its_rights(made) -> None:
    shop, boss, who, _ = made
    clerk = await shop.session(Role.CUSTOMER_SERVICE, email="clerk@loja.test")
    people = {p["email"]: p["id"] for p in (await ask(shop, "GET", "/v1/people", boss)).json()["items"]}
    first = (await ask(shop, "GET", "/v1/keys", boss)).json()[0]
    path = f"/v1/keys/{first['id']}/hand-over"

    async def refused(person: str, headers: dict[str, str] = boss) -> tuple[int, str]:
        answer = await shop.http.post(path, json={"person": person}, headers=headers)
        return answer.status_code, answer.json()["code"]

    assert await refused(people["clerk@loja.test"]) == (409, "key_beyond_keeper")
    assert (await refused(people["boss@loja.test"], clerk))[0] == 403
    await person(shop, boss, who, active=False)
    assert (await refused(who))[0] == 404
    assert (await refused("00000000-0000-7000-8000-000000000000"))[0] == 404
    await ask(shop, "POST", f"/v1/keys/{first['id']}/revoke", boss)
    assert (await refused(people["boss@loja.test"]))[0] == 404


async def test_a_program_is_told_of_such_keys_too_where_it_may_change_keys(made) -> None:
    shop, boss, who, _program = made

    async def told(key: dict[str, str]) -> list[tuple[str, str]]:
        keys = (await ask(shop, "GET", "/v1/attention", key)).json()["keys"]
        return [(key["name"], key["maker"]["state"]) for key in keys]

    watcher = await shop.key(["doctor:read", "identity:manage"])
    assert await told(watcher) == []
    await person(shop, boss, who, active=False)
    assert await told(watcher) == [("ERP", "gone"), ("BI", "gone")]
    assert await told(await shop.key(["doctor:read"])) == []
