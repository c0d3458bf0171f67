"""Setting providers up, by API and on pages: what is refused, what is kept, what trying one out says."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop, open_shop

from malha.identity import providers
from malha.identity.model import Role
from malha.platform import sealing
from malha.platform.db import Database
from malha.platform.sealing import SealBroken
from malha.platform.signing import Keys
from malha.testing import builders
from oidc_provider import CLIENT, SECRET, Hostile

BODY: dict[str, Any] = {
    "code": "house",
    "name": "Casa Login",
    "issuer": "https://login.example/realms/loja",
    "client_id": CLIENT,
    "client_secret": SECRET,
    "creates": True,
    "role": "planner",
}
CHANGED = {name: value for name, value in BODY.items() if name not in {"code", "client_secret"}}


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1",))


@pytest.fixture(scope="module")
def provider() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


async def test_a_provider_is_added_changed_and_deleted_and_its_secret_never_comes_back(shop: Shop) -> None:
    owner = await shop.session()
    made = await shop.http.post("/v1/login-providers", json=BODY, headers=owner)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/login-providers/house")
    assert made.json()["redirect_uri"] == "http://127.0.0.1:8000/login/back/house"
    taken = await shop.http.post("/v1/login-providers", json=BODY, headers=owner)
    assert taken.json()["code"] == "provider_code_taken"
    found = await shop.http.get("/v1/login-providers/house", headers=owner)
    assert (found.headers["etag"], found.json()["has_secret"], found.json()["active"]) == ('"1"', True, False)
    page = await shop.http.get("/providers/house", headers=owner)
    async with shop.database.transaction() as tx:
        kept = bytes(await tx.value("SELECT client_secret FROM login_provider"))
        everything = str(await tx.tuples("SELECT before::text, after::text FROM audit"))
    for text in (found.text, page.text, everything, kept.decode("latin-1"), made.text):
        assert SECRET not in text
    assert "(changed)" in everything

    address = "/v1/login-providers/house"
    assert (await shop.http.put(address, json=CHANGED, headers=owner)).status_code == 428
    stale = await shop.http.put(address, json=CHANGED, headers={**owner, "if-match": '"7"'})
    assert stale.status_code == 412
    done = await shop.http.put(address, json=CHANGED, headers={**owner, "if-match": '"1"'})
    assert (done.status_code, done.json()["version"]) == (200, 2)
    services = shop.app.state.services
    async with shop.database.transaction() as tx:
        house = await providers.provider_named(tx, "house")
        assert await providers.secret_of(tx, services.signing, house) == SECRET  # was not given: it stayed
        # The key of the installation changed: the former one still opens it, and without it nothing does.
        newer = Keys(b"x" * 40, services.signing.current)
        assert await providers.secret_of(tx, newer, house) == SECRET
        with pytest.raises(SealBroken):
            await providers.secret_of(tx, Keys(b"x" * 40), house)
        assert sealing.seal(services.signing, "another purpose", SECRET) != kept
    public = {**CHANGED, "client_secret": ""}
    await shop.http.put(address, json=public, headers={**owner, "if-match": '"2"'})
    assert not (await shop.http.get(address, headers=owner)).json()["has_secret"]
    assert (await shop.http.delete(address, headers=owner)).status_code == 204
    assert (await shop.http.get(address, headers=owner)).status_code == 404


async def test_what_is_wrong_with_a_provider_is_told_all_at_once(shop: Shop) -> None:
    owner = await shop.session()
    wrong = {
        **BODY, "code": "Not a code", "issuer": "http://10.0.0.1/", "scopes": ["email"], "domains": ["loja"],
        "rules": [{"value": "a", "role": "planner", "locations": ["NOWHERE"]}],
    }  # fmt: skip
    answer = await shop.http.post("/v1/login-providers", json=wrong, headers=owner)
    assert answer.status_code == 422
    ats = [flaw["at"] for flaw in answer.json()["errors"]]
    assert ats == ["/code", "/scopes", "/domains", "/claim", "/issuer", "/rules/0/locations"]
    assert "it is not https." in answer.text
    typo = await shop.http.post("/v1/login-providers", json={**BODY, "isuer": "x"}, headers=owner)
    assert typo.status_code == 422


async def test_nobody_sets_a_provider_up_that_gives_more_than_they_have(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    key = await shop.key(["identity:manage", "orders:read"])
    beyond = await shop.http.post("/v1/login-providers", json=BODY, headers=key)
    assert (beyond.status_code, beyond.json()["code"]) == (403, "beyond_own_rights")
    by_rule = {**BODY, "role": None, "claim": "groups", "rules": [{"value": "a", "role": "owner"}]}
    assert (await shop.http.post("/v1/login-providers", json=by_rule, headers=key)).status_code == 403
    narrow = await shop.session(Role.OWNER, email="narrow@loja.test", locations=["S1"])
    for method, path, body in (
        ("POST", "/v1/login-providers", BODY),
        ("PUT", "/v1/login-policy", {"provider_only": True}),
    ):
        answer = await shop.http.request(method, path, json=body, headers=narrow)
        assert answer.json()["code"] == "needs_everywhere"
    owner = await shop.session()
    await shop.http.post("/v1/login-providers", json=BODY, headers=owner)
    for taken in (key, narrow):
        put = await shop.http.put(
            "/v1/login-providers/house",
            json={**CHANGED, "role": None, "creates": False},
            headers={**taken, "if-match": "*"},
        )
        assert put.status_code == 403
        assert (await shop.http.delete("/v1/login-providers/house", headers=taken)).status_code == 403


async def test_trying_a_provider_out_says_what_is_wrong_and_how_to_mend_it(shop: Shop, provider: Hostile) -> None:
    owner = await shop.session()
    provider.metadata = {"claims_supported": ["email", "email_verified"]}
    await shop.http.post("/v1/login-providers", json={**BODY, "issuer": provider.issuer}, headers=owner)

    async def tried(**terms: Any) -> dict[str, tuple[str, str]]:
        if terms:
            body = {**CHANGED, "issuer": provider.issuer, **terms}
            headers = {**owner, "if-match": "*"}
            assert (await shop.http.put("/v1/login-providers/house", json=body, headers=headers)).status_code == 200
        answer = await shop.http.post("/v1/login-providers/house/test", headers=owner)
        assert answer.status_code == 200, answer.text
        return {check["says"]: (check["state"], check["mend"]) for check in answer.json()}

    good = await tried()
    assert {state for state, _mend in good.values()} == {"good"}, good
    assert "It takes our client id and secret." in good
    assert not provider.codes

    bad = await tried(client_secret="not it")
    assert bad["It does not take our client id and secret (invalid_client)."][0] == "bad"
    warned = await tried(client_secret=SECRET, scopes=["openid", "email", "groups"])
    assert warned["It does not know the scopes groups."] == ("warn", "Remove them.")
    provider.metadata = {"claims_supported": ["email"], "id_token_signing_alg_values_supported": ["HS256"],
                         "code_challenge_methods_supported": ["plain"], "end_session_endpoint": None,
                         "token_endpoint_auth_methods_supported": ["private_key_jwt"]}  # fmt: skip
    provider.published = [{"kty": "oct", "k": "AAAA"}]
    states = {says: state for says, (state, _mend) in (await tried()).items()}
    assert states == {
        "The provider answers, and people log in at 127.0.0.1.": "good",
        "It does not check PKCE (S256); it is sent all the same.": "warn",
        "It signs with nothing that is believed here.": "bad",
        "It does not know the scopes groups.": "warn",
        "It does not say that it verifies e-mails (email_verified).": "warn",
        "It cannot be asked to end its own session: logging out ends ours only.": "warn",
        "It publishes no key that signs.": "bad",
        "It takes neither of the two ways in which a client secret is sent.": "bad",
    }
    provider.metadata = {"issuer": "https://login.example"}
    renamed = await tried()
    assert renamed == {
        "The provider calls itself https://login.example.": ("bad", "Put exactly that into the field Issuer.")
    }
    provider.metadata = {}
    nowhere = await tried(issuer=f"{provider.issuer}/realms/none")
    assert next(iter(nowhere.values()))[0] == "bad"
    lost = await tried(issuer="https://nobody.invalid")
    assert next(iter(lost)).startswith("nobody.invalid cannot be reached: ")
    async with shop.database.transaction() as tx:  # as it was saved while the operator allowed it
        await tx.execute("UPDATE login_provider SET issuer = 'https://10.0.0.1'")
    private = await tried()
    assert "MALHA_OUTWARD_ALLOW" in next(iter(private.values()))[1]


async def test_on_the_pages_a_provider_is_filled_in_with_its_rules_and_tried(shop: Shop, provider: Hostile) -> None:
    owner = await shop.session()
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    provider.metadata, provider.published = {}, [provider.key.as_dict()]
    empty = await shop.http.get("/providers", headers=owner)
    assert "People log in by password" in empty.text
    form = {
        "code": "house", "name": "Casa Login", "issuer": f"{provider.issuer}/.well-known/openid-configuration",
        "client_id": CLIENT, "secret": SECRET, "scopes": "openid, email profile", "domains": "@Loja.test\nloja.com.br",
        "links": "on", "role": "", "scope": "everywhere", "claim": "groups", "second_factor": "unless_proved",
        "proofs": "mfa", "rules/0/value": "leads", "rules/0/role": "store_lead", "rules/0/locations": "S1, S2",
        "rules/1/value": "", "rules/1/role": "owner", "rules/2/value": "all staff", "rules/2/role": "store_associate",
    }  # fmt: skip
    done = await shop.http.post("/providers:new", data=form, headers=owner)
    assert (done.status_code, done.headers["location"]) == (303, "/providers/house")
    found = (await shop.http.get("/v1/login-providers/house", headers=owner)).json()
    assert (found["issuer"], found["domains"]) == (provider.issuer, ["loja.com.br", "loja.test"])
    assert found["rules"] == [
        {"value": "leads", "role": "store_lead", "locations": ["S1", "S2"]},
        {"value": "all staff", "role": "store_associate", "locations": None},
    ]
    page = await shop.http.post("/providers/house/test", headers=owner)
    assert "It takes our client id and secret." in page.text
    assert "http://127.0.0.1:8000/login/back/house" in page.text
    stale = await shop.http.post("/providers/house", data={**form, "version": "9"}, headers=owner)
    assert stale.status_code == 409
    empty_rules = {name: value for name, value in form.items() if not name.startswith("rules")}
    saved = {**empty_rules, "claim": "", "role": "planner", "version": "1", "secret": "", "active": "on"}
    assert (await shop.http.post("/providers/house", data=saved, headers=owner)).status_code == 303
    assert "Casa Login" in (await shop.http.get("/providers", headers=owner)).text
    trail = await shop.http.get("/audit?entity=login_provider", headers=owner)
    assert re.search(r"Log-in provider", trail.text)
    refused = await shop.http.post("/providers:policy", data={"provider_only": "yes", "version": "0"}, headers=owner)
    assert (refused.status_code, "nobody could come in" in refused.text) == (409, True)
    assert (await shop.http.post("/providers/house/delete", headers=owner)).status_code == 303
    assert (await shop.http.get("/providers/house", headers=owner)).status_code == 404
    assert (await shop.http.get("/providers", headers=await shop.session(Role.MANAGER))).status_code == 403


async def test_who_is_limited_to_locations_is_offered_nothing_that_would_be_refused(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    owner, limited = await shop.session(), await shop.session(email="s1@loja.test", locations=["S1"])

    async def offered(path: str, headers: dict[str, str]) -> list[str]:
        page = await shop.http.get(path, headers=headers)
        assert page.status_code == 200, path
        return re.findall(r'href="(/providers:new)"|action="(/providers[^"]*)"', page.text)

    assert len(await offered("/providers", owner)) == 3
    assert await offered("/providers", limited) == []
    assert (await shop.http.get("/providers:new", headers=limited)).status_code == 403
    made = await shop.http.post("/v1/login-providers", json={**BODY, "locations": ["S1"]}, headers=owner)
    assert made.status_code == 201, made.text
    assert len(await offered("/providers/house", owner)) == 3
    page = (await shop.http.get("/providers/house", headers=limited)).text
    assert "Whoever works everywhere changes it." in page
    assert not re.search(r'action="/providers/house/(test|delete)"|Save provider', page)
