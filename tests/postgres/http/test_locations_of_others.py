"""Channels and log-in providers name locations of the whole retailer: who is limited to some reads of theirs only, and
that there are more.
"""

import csv
import io
from typing import Any

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.testing import builders

CHANNEL = {"code": "lojas", "name": "Lojas", "kind": "web", "locations": ["S1", "S2"]}
FAR = {"code": "longe", "name": "Longe", "kind": "web", "locations": ["S2"]}
PROVIDER: dict[str, Any] = {
    "code": "house",
    "name": "Casa Login",
    "issuer": "https://login.example/realms/loja",
    "client_id": "malha",
    "creates": True,
    "claim": "groups",
    "role": "store_associate",
    "locations": ["S1", "S2"],
    "rules": [
        {"value": "far", "role": "store_lead", "locations": ["S2"]},
        {"value": "all", "role": "planner", "locations": None},
    ],
}


@pytest.fixture
async def stated(shop: Shop) -> dict[str, str]:
    """Two locations, what names them, and the owner who stated it."""
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    owner = await shop.session()
    for path, body in (("/v1/channels", CHANNEL), ("/v1/channels", FAR), ("/v1/login-providers", PROVIDER)):
        answer = await shop.http.post(path, json=body, headers=owner)
        assert answer.status_code == 201, answer.text
    return owner


async def told(shop: Shop, path: str, headers: dict[str, str]) -> Any:
    shop.http.cookies.clear()
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json() if path.startswith("/v1/") else answer.text


async def test_a_channel_names_the_callers_locations_and_how_many_more_serve_it(
    shop: Shop, stated: dict[str, str]
) -> None:
    limited = await shop.key(["network:read"], locations=["S1"])
    channels = {c["code"]: c for c in await told(shop, "/v1/channels", limited)}
    assert (channels["lojas"]["locations"], channels["lojas"]["others"]) == (["S1"], 1)
    assert (channels["longe"]["locations"], channels["longe"]["others"]) == ([], 1)
    assert "others" not in channels["web"]  # every location serves it
    for code in ("lojas", "longe"):
        assert await told(shop, f"/v1/channels/{code}", limited) == channels[code]
    whole = await told(shop, "/v1/channels/lojas", stated)
    assert (whole["locations"], whole.get("others")) == (["S1", "S2"], None)


async def test_establishments_and_companies_are_those_of_the_callers_locations(
    shop: Shop, stated: dict[str, str]
) -> None:
    everyone = {e["code"]: e for e in await told(shop, "/v1/establishments", stated)}
    own = everyone.pop("SP1")
    limited = await shop.key(["network:read"], locations=["S1"])
    assert await told(shop, "/v1/establishments", limited) == [own]
    assert await told(shop, "/v1/establishments/SP1", limited) == own
    assert everyone, "there is another"
    for code in everyone:
        refused = await shop.http.get(f"/v1/establishments/{code}", headers=limited)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_establishment")
    companies = await told(shop, "/v1/legal-entities", limited)
    assert [company["cnpj_root"] for company in companies] == [own["cnpj"][:8]]
    for company in await told(shop, "/v1/legal-entities", stated):
        answer = await shop.http.get(f"/v1/legal-entities/{company['cnpj_root']}", headers=limited)
        assert answer.status_code == (200 if company in companies else 404), answer.text


async def test_nobody_gives_their_location_to_an_establishment_of_others(shop: Shop, stated: dict[str, str]) -> None:
    limited = await shop.key(["network:read", "network:write"], locations=["S1"])
    read = await shop.http.get("/v1/locations/S1", headers=limited)
    assert read.json()["establishment"] == "SP1"
    left_out = {"version", "paused_reason", "paused_until"}
    body = {name: value for name, value in read.json().items() if name not in left_out}
    match = {"if-match": read.headers["etag"]}
    refused = await shop.http.put("/v1/locations/S1", json={**body, "establishment": "RJ1"}, headers=limited | match)
    assert (refused.status_code, refused.json()["code"]) == (403, "shared_by_all"), refused.text
    renamed = await shop.http.put("/v1/locations/S1", json={**body, "name": "Centro"}, headers=limited | match)
    assert renamed.status_code == 200, renamed.text
    person = await shop.session(Role.MANAGER, email="franchise@loja.test", locations=["S1"])
    form = await told(shop, "/locations/S1/edit", person)
    assert ("(SP1)" in form, "(RJ1)" in form) == (True, False)
    owner = {"if-match": renamed.headers["etag"]} | stated
    moved = await shop.http.put("/v1/locations/S1", json={**body, "establishment": "RJ1"}, headers=owner)
    assert moved.status_code == 200, "who sees all may"


async def test_a_login_provider_and_its_rules_name_the_callers_locations(shop: Shop, stated: dict[str, str]) -> None:
    limited = await shop.key(["identity:manage"], locations=["S1"])
    (listed,) = await told(shop, "/v1/login-providers", limited)
    assert (listed["locations"], [rule["locations"] for rule in listed["rules"]]) == (["S1"], [[], None])
    assert listed["others"] == 1  # S2, however often it is named
    assert await told(shop, "/v1/login-providers/house", limited) == listed
    whole = await told(shop, "/v1/login-providers/house", stated)
    assert [whole["locations"], *(rule["locations"] for rule in whole["rules"])] == [["S1", "S2"], ["S2"], None]
    assert "others" not in whole


async def test_what_is_read_everywhere_can_be_sent_back(shop: Shop, stated: dict[str, str]) -> None:
    body = await told(shop, "/v1/channels/lojas", stated)
    version = {"if-match": f'"{body.pop("version")}"'}
    answer = await shop.http.put("/v1/channels/lojas", json=body, headers=stated | version)
    assert answer.status_code == 200, answer.text


async def test_pages_say_that_there_are_more(shop: Shop, stated: dict[str, str]) -> None:
    limited = await shop.session(email="one@loja.test", locations=["S1"])
    for path in ("/channels/lojas", "/channels/longe", "/providers/house"):
        page = await told(shop, path, limited)
        assert "S2" not in page, path
        assert "1 more is not among your locations" in page, path
        assert "not among your locations" not in await told(shop, path, stated), path
    assert "None of your locations." in await told(shop, "/channels/longe", limited)


async def test_an_export_of_channels_says_which_locations_are_out_of_sight_and_when_all_may_serve(
    shop: Shop, stated: dict[str, str]
) -> None:
    async def places(headers: dict[str, str]) -> dict[str, str]:
        text = await told(shop, "/channels:export.csv", headers)
        rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";")
        return {row["Code"]: row["Locations"] for row in rows}

    limited = await places(await shop.session(email="one@loja.test", locations=["S1"]))
    assert limited["lojas"] == "S1; 1 more is not among your locations"
    assert limited["longe"] == "None of your locations."
    everywhere = await places(await shop.session(email="all@loja.test"))
    assert (everywhere["lojas"], everywhere["longe"], everywhere["web"]) == ("S1 S2", "S2", "All of them.")
