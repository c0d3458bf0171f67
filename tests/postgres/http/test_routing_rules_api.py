"""Routing rules by API: drafts under their version, publishing, rolling back, trying, and who may."""

import re
from typing import Any

from test_routing_explained import placed, retailer
from tests_http import Shop

__all__ = ["retailer"]

BOTH = {"network:read", "network:write"}
NORTH_EAST = {
    "runs": [
        {
            "name": "Nordeste",
            "when": {"states": ["PB", "PE"]},
            "rules": [
                {"name": "Same state", "where": {"same_state": True}, "unfilled": "queue", "cancel_after_days": 3}
            ],
        }
    ]
}
BASKET = {"channel": "site", "to_state": "PB", "lines": [{"sku": "CAMA", "quantity": 1}]}


async def keyed(shop: Shop, permissions: set[str]) -> dict[str, str]:
    return await shop.key(permissions)


async def drafted(shop: Shop, key: dict[str, str], content: dict[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    answer = await shop.http.post("/v1/routing-rules", json={"content": content or NORTH_EAST}, headers=key)
    assert answer.status_code == 201, answer.text
    return answer.json(), answer.headers["etag"]


async def test_a_draft_is_changed_under_its_version_published_and_brought_back(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    draft, tag = await drafted(retailer, key)
    at = f"/v1/routing-rules/{draft['id']}"
    assert draft["status"] == "draft"
    unversioned = await retailer.http.put(at, json={"content": NORTH_EAST}, headers=key)
    assert unversioned.status_code == 428
    changed = await retailer.http.put(
        at, json={"content": NORTH_EAST, "note": "First"}, headers=key | {"if-match": tag}
    )
    assert changed.status_code == 200, changed.text
    stale = await retailer.http.put(at, json={"content": NORTH_EAST}, headers=key | {"if-match": tag})
    assert stale.status_code == 412
    tag = changed.headers["etag"]
    done = await retailer.http.post(f"{at}/publish", json={}, headers=key | {"if-match": tag})
    assert done.status_code == 200, done.text
    assert (done.json()["number"], done.json()["in_force"], done.json()["note"]) == (1, True, "First")
    refused = await retailer.http.delete(at, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "rule_set_published")
    back = await retailer.http.post("/v1/routing-rules:rollback", json={"number": 1, "note": "again"}, headers=key)
    assert (back.json()["number"], back.json()["based_on"], back.json()["in_force"]) == (2, 1, True)
    rows = (await retailer.http.get("/v1/routing-rules", headers=key)).json()
    assert [(row["number"], row["in_force"]) for row in rows] == [(2, True), (1, False)]


async def test_a_rule_tried_on_an_example_or_an_order_says_what_it_would_do_and_writes_nothing(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    draft, _ = await drafted(retailer, key)
    tried = (
        await retailer.http.post("/v1/routing-rules:try", json={**BASKET, "rule_set": draft["id"]}, headers=key)
    ).json()
    assert (tried["run"], tried["rule"], tried["ending"]) == ("Nordeste", "Same state", None)
    assert [place["location"] for place in tried["places"]] == ["JPA"]
    without = (await retailer.http.post("/v1/routing-rules:try", json=BASKET, headers=key)).json()
    assert (without["run"], without["rule_set"]) == (None, None)
    order_id = await placed(retailer, ("REDE", 1))
    async with retailer.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order WHERE id = %s::uuid", [order_id])
    body = {"order": number, "rule_set": draft["id"]}
    of_order = (await retailer.http.post("/v1/routing-rules:try", json=body, headers=key)).json()
    assert (of_order["rule"], of_order["ending"], of_order["cancel_after_days"]) == ("Same state", "queue", 3)
    assert of_order["unplaced"] == [{"sku": "REDE", "quantity": 1}]
    async with retailer.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM routing_decision WHERE rule_set IS NOT NULL") == 0


async def test_what_is_wrong_is_told_where_it_is(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    wrong = {
        "runs": [{"name": "A", "when": {"channels": ["nowhere"]}, "rules": [{"name": "B", "where": {"groups": ["x"]}}]}]
    }
    answer = await retailer.http.post("/v1/routing-rules", json={"content": wrong}, headers=key)
    assert answer.status_code == 422
    assert {problem["at"] for problem in answer.json()["errors"]} == {
        "/runs/0/when/channels/0", "/runs/0/rules/0/where/groups/0"
    }  # fmt: skip
    shape = await retailer.http.post(
        "/v1/routing-rules",
        json={"content": {"runs": [{"name": "A", "rules": [{"name": "B", "keep": -1}]}]}},
        headers=key,
    )
    assert shape.status_code in {400, 422}
    empty = await retailer.http.post("/v1/routing-rules:try", json={"channel": "site", "to_state": "XX"}, headers=key)
    assert {problem["at"] for problem in empty.json()["errors"]} == {"/lines", "/to_state"}


async def test_a_published_set_says_until_when_and_its_end_is_moved(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    draft, tag = await drafted(retailer, key)
    at = f"/v1/routing-rules/{draft['id']}"
    until = {"effective_until": "2099-11-30T03:00:00Z"}
    done = await retailer.http.post(f"{at}/publish", json=until, headers=key | {"if-match": tag})
    assert (done.json()["in_force"], done.json()["effective_until"]) == (True, "2099-11-30T03:00:00Z")
    past = await retailer.http.post(f"{at}/end", json={"effective_until": "2020-01-01T00:00:00Z"}, headers=key)
    assert (past.status_code, past.json()["code"]) == (409, "rule_set_ends_too_soon")
    endless = await retailer.http.post(f"{at}/end", json={"effective_until": None}, headers=key)
    assert endless.json()["effective_until"] is None
    stale = {"if-match": f'"{endless.json()["version"] - 1}"'}
    assert (await retailer.http.post(f"{at}/end", json=until, headers=key | stale)).status_code == 412


async def test_of_two_managers_who_move_its_end_the_second_sees_first_what_the_other_did(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    draft, tag = await drafted(retailer, key)
    await retailer.http.post(f"/v1/routing-rules/{draft['id']}/publish", json={}, headers=key | {"if-match": tag})
    ana, bia = await retailer.session(email="ana@loja.test"), await retailer.session(email="bia@loja.test")
    at = f"/routing-rules/{draft['id']}"
    dialogs = [(await retailer.http.get(at, headers=who)).text for who in (ana, bia)]
    seen = [re.findall(r'action="[^"]+/end".*?name="version" value="(\d+)"', page, re.DOTALL) for page in dialogs]
    assert seen[0] == seen[1] != []
    first = {"effective_until": "2099-11-30T03:00", "version": seen[0][0]}
    second = {"effective_until": "", "version": seen[1][0]}
    assert (await retailer.http.post(f"{at}/end", data=first, headers=ana)).status_code == 303
    refused = await retailer.http.post(f"{at}/end", data=second, headers=bia)
    assert refused.status_code == 409, refused.text
    kept = (await retailer.http.get(f"/v1/routing-rules/{draft['id']}", headers=key)).json()
    assert kept["effective_until"] is not None
    unsaid = await retailer.http.post(f"{at}/end", data={"effective_until": ""}, headers=bia)
    assert unsaid.status_code == 409


async def test_of_two_managers_one_of_whom_gives_it_an_end_the_second_does_not_withdraw_it_unseen(
    retailer: Shop,
) -> None:
    key = await keyed(retailer, BOTH)
    draft, tag = await drafted(retailer, key)
    api, at = f"/v1/routing-rules/{draft['id']}", f"/routing-rules/{draft['id']}"
    to_come = {"effective_from": "2099-01-01T00:00:00Z"}
    done = await retailer.http.post(f"{api}/publish", json=to_come, headers=key | {"if-match": tag})
    stale = {"if-match": f'"{done.json()["version"]}"'}
    ana, bia = await retailer.session(email="ana@loja.test"), await retailer.session(email="bia@loja.test")
    page = (await retailer.http.get(at, headers=bia)).text
    (seen,) = re.findall(r'action="[^"]+/withdraw"><input type="hidden" name="version" value="(\d+)"', page)
    ending = {"effective_until": "2099-11-30T03:00", "version": seen}
    assert (await retailer.http.post(f"{at}/end", data=ending, headers=ana)).status_code == 303
    for unseen in ({"version": seen}, {}):
        refused = await retailer.http.post(f"{at}/withdraw", data=unseen, headers=bia)
        assert refused.status_code == 409, refused.text
    assert (await retailer.http.post(f"{api}/withdraw", headers=key | stale)).status_code == 412
    now_so = (await retailer.http.get(api, headers=key)).json()
    assert (now_so["status"], now_so["effective_until"]) == ("published", "2099-11-30T06:00:00Z")
    withdrawn = await retailer.http.post(f"{at}/withdraw", data={"version": now_so["version"]}, headers=bia)
    assert withdrawn.status_code == 303, withdrawn.text
    assert (await retailer.http.get(api, headers=key)).json()["status"] == "withdrawn"


async def test_the_state_of_an_example_follows_from_its_cep_and_one_of_both_has_to_be_there(retailer: Shop) -> None:
    key = await keyed(retailer, BOTH)
    draft, _ = await drafted(retailer, key)
    example = {"channel": "site", "lines": [{"sku": "CAMA"}], "rule_set": draft["id"]}
    by_cep = await retailer.http.post(
        "/v1/routing-rules:try", json={**example, "postal_code": "58038-000"}, headers=key
    )
    assert (by_cep.json()["run"], by_cep.json()["places"][0]["location"]) == ("Nordeste", "JPA")
    for said, at, says in (
        ({}, "/to_state", "Say where it goes."),
        ({"postal_code": "00000-000"}, "/postal_code", "No city has the CEP 00000-000."),
    ):
        (problem,) = (await retailer.http.post("/v1/routing-rules:try", json={**example, **said}, headers=key)).json()[
            "errors"
        ]
        assert (problem["at"], problem["says"]) == (at, says)


async def test_who_only_reads_publishes_nothing_and_who_is_limited_to_locations_sees_nothing(retailer: Shop) -> None:
    reader = await keyed(retailer, {"network:read"})
    assert (await retailer.http.post("/v1/routing-rules", json={}, headers=reader)).status_code == 403
    assert (await retailer.http.get("/v1/routing-rules", headers=reader)).status_code == 200
    limited = await retailer.key(BOTH, locations=["REC"])
    assert (await retailer.http.get("/v1/routing-rules", headers=limited)).status_code == 403


async def test_a_group_that_rules_in_force_or_to_come_name_is_not_deleted(retailer: Shop) -> None:
    """Without it they would send nothing where it was: every order of the run would wait for a person."""
    key = await keyed(retailer, BOTH)
    group = await retailer.http.post(
        "/v1/location-groups", json={"code": "coast", "name": "Coast", "locations": ["REC", "JPA"]}, headers=key
    )
    tag = key | {"if-match": group.headers["etag"]}

    def naming(**rule: Any) -> dict[str, Any]:
        return {"runs": [{"name": "All", "rules": [{"name": "Coast", "unfilled": "queue", **rule}]}]}

    async def delete(**headers: str) -> Any:
        return await retailer.http.delete("/v1/location-groups/coast", headers=tag | headers)

    async def publish(content: dict[str, Any], **when: str) -> int:
        draft, version = await drafted(retailer, key, content)
        at = f"/v1/routing-rules/{draft['id']}"
        done = await retailer.http.post(f"{at}/publish", json=when, headers=key | {"if-match": version})
        assert done.status_code == 200, done.text
        return draft["id"]

    await publish(naming(where={"groups": ["coast"]}))
    refused = await delete()
    assert (refused.status_code, refused.json()["code"]) == (409, "location_group_in_routing_rules")
    in_words = await delete(**{"accept-language": "pt-BR"})
    assert in_words.json()["detail"] == "O grupo coast não pode ser excluído: as regras de roteamento 1 o usam."
    await publish(naming(), effective_until="2099-01-01T00:00:00Z")
    assert (await delete()).status_code == 409  # the first set is back when the second ends
    await publish(naming())
    to_come = await publish(
        {"table": {"rows": [{"then": {"prefer": ["coast"]}}]}}, effective_from="2099-01-01T00:00:00Z"
    )
    assert (await delete()).json()["facts"]["numbers"] == "4"
    page = await retailer.session()
    form = await retailer.http.post("/location-groups/coast/delete", data={"version": "1"}, headers=page)
    assert form.status_code == 409, form.text
    await retailer.http.post(f"/v1/routing-rules/{to_come}/withdraw", headers=key)
    assert (await delete()).status_code == 204
