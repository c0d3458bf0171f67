"""Logging in by an identity provider, over real HTTP: one that somebody else wrote, and one that lies."""

import asyncio
import hmac
import html
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from tests.waiting import waiting
from tests_http import HOST, PASSWORD, Shop, open_shop

from malha.identity import oidc, provider_reads, providers, reads, second_factor, service, totp
from malha.identity.model import Role
from malha.identity.provider_model import FactorPolicy, ProviderDraft, Rule
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.testing import builders
from oidc_provider import CLIENT, SECRET, Hostile, encoded, honest

LOST = (
    "This log-in cannot be finished: it began in another browser, was finished already, or took too long."
    " Log in again. If it happens every time, allow cookies for this address."
)
ANA = {"sub": "ana-1", "email": "ana@loja.test", "email_verified": True, "name": "Ana Lima"}


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1",))


@pytest.fixture(scope="module")
def liar() -> Iterator[Hostile]:
    with Hostile() as provider:
        yield provider


@pytest.fixture
def provider(liar: Hostile) -> Hostile:
    """The hostile provider, honest again."""
    key = liar.key
    fresh = {
        "published": [key.as_dict()], "person": dict(ANA), "metadata": {}, "change": dict, "sign": liar.signed,
        "answer_iss": "", "state": None, "pages": {}, "asked": [], "codes": {}, "public": False,
    }  # fmt: skip
    for name, value in fresh.items():
        setattr(liar, name, value)
    return liar


async def set_up(shop: Shop, issuer: str, **terms: Any) -> None:
    """Add a provider named `house` that is in use."""
    terms = {"creates": True, "role": Role.PLANNER, "secret": SECRET, "active": True, "code": "house", **terms}
    draft = ProviderDraft(name="Casa Login", issuer=issuer, client_id=CLIENT, **terms)
    services = shop.app.state.services
    async with shop.database.transaction() as tx:
        await providers.create_provider(tx, services.signing, draft)


async def change(shop: Shop, **terms: Any) -> None:
    services = shop.app.state.services
    async with shop.database.transaction() as tx:
        found = await providers.provider_named(tx, "house")
        draft = ProviderDraft(**{**_fields(providers.draft_of(found)), **terms})
        await providers.change_provider(tx, services.signing, draft, None)


def _fields(draft: ProviderDraft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__struct_fields__}


async def leave(shop: Shop, *, next_: str = "/", link: str = "", code: str = "house") -> str:
    """Press the button, and return where the browser is sent."""
    form = {"next": next_, **({"link": link} if link else {})}
    answer = await shop.http.post(f"/login/with/{code}", data=form, headers={"origin": HOST, "accept-language": "en"})
    assert answer.status_code == 200, answer.text
    return answer.headers["refresh"].removeprefix("0; url=")


def back(address: str) -> str:
    """Let the hostile provider answer at once; return the path to which the browser comes back."""
    answer = httpx.get(address)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].removeprefix("http://127.0.0.1:8000")


async def arrive(shop: Shop, path: str) -> httpx.Response:
    return await shop.http.get(path, headers={"accept-language": "en"})


async def log_in(shop: Shop, **terms: Any) -> httpx.Response:
    shop.http.cookies.clear()
    return await arrive(shop, back(await leave(shop, **terms)))


async def people(shop: Shop) -> dict[str, reads.PersonView]:
    async with shop.database.transaction() as tx:
        return {person.email: person for person in await reads.people(tx, 100)}


async def trail(shop: Shop, entity: str = "login_provider") -> list[tuple[str, Any]]:
    async with shop.database.transaction() as tx:
        return await tx.tuples("SELECT action, after FROM audit WHERE entity = %(e)s::text ORDER BY id", {"e": entity})


def said(answer: httpx.Response) -> str:
    found = re.search(r'id="why">.*?<b>(.*?)</b><small>(.*?)</small>', answer.text, re.DOTALL)
    assert found, answer.text
    return html.unescape(f"{found[1]} {found[2]}")


async def who(shop: Shop) -> dict[str, Any]:
    answer = await shop.http.get("/v1/session")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def with_a_factor(shop: Shop, person_id: UUID, keep_token: str | None = None) -> tuple[bytes, list[str]]:
    """Turn a person's second factor on; return its secret and the recovery codes."""
    keys, at = shop.app.state.services.signing, datetime.now(UTC)
    made = second_factor.begin(keys, person_id=person_id, issuer="x", account="y", at=at)
    secret = totp.decoded(made.secret)
    async with shop.database.transaction() as tx:
        code = totp.code_at(secret, totp.step_at(await tx.now()))
        codes = await second_factor.confirm(tx, keys, person_id, made.sealed, code, keep_token=keep_token)
        # As if half a minute had passed: a log-in needs another code.
        await tx.execute("UPDATE second_factor SET last_step = last_step - 1")
    return secret, codes


# --- a provider that somebody else wrote


async def test_somebody_new_comes_in_by_a_provider_and_is_known_the_next_time(shop: Shop) -> None:
    with honest(ANA) as issuer:
        await set_up(shop, issuer, domains=["loja.test"])
        for _ in range(2):
            shop.http.cookies.clear()
            address = await leave(shop, next_="/stock?q=caneca")
            async with httpx.AsyncClient() as browser:
                answer = await browser.post(address, data={"sub": "ana-1"})
            assert answer.status_code == 302, answer.text
            answer = await arrive(shop, answer.headers["location"].removeprefix("http://127.0.0.1:8000"))
            assert (answer.status_code, answer.headers["location"]) == (303, "/stock?q=caneca")
            assert (await who(shop))["name"] == "Ana Lima"
    found = await people(shop)
    assert set(found) == {"ana@loja.test"}
    assert (found["ana@loja.test"].role, found["ana@loja.test"].invited) == (Role.PLANNER, False)
    sessions = (await shop.http.get("/v1/sessions")).json()
    assert [session["provider"] for session in sessions] == ["Casa Login"] * 2


async def test_whoever_the_provider_does_not_let_in_reads_so(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    asked = httpx.URL(await leave(shop)).params
    terms = {"error": "access_denied", "state": asked["state"], "iss": provider.issuer}
    answer = await shop.http.get("/login/back/house", params=terms, headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert said(answer).startswith("Casa Login did not let you in.")
    assert (await trail(shop))[-1] == ("turn_away", {"reason": "provider_says_no", "detail": "access_denied"})


async def test_logging_out_ends_both_sessions(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    await log_in(shop)
    token = shop.http.cookies["malha"]
    answer = await shop.http.post("/logout", headers={"origin": HOST})
    address = httpx.URL(answer.headers["refresh"].removeprefix("0; url="))
    assert str(address).startswith(f"{provider.issuer}/end?")
    assert address.params["client_id"] == CLIENT
    assert address.params["post_logout_redirect_uri"] == "http://127.0.0.1:8000/login"
    assert address.params["id_token_hint"].count(".") == 2
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM session") == 0
    assert (await shop.http.get("/v1/session", headers={"cookie": f"malha={token}"})).status_code == 401


# --- a provider that lies


def _later(name: str, by: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, name: claims[name] + by}


def _with(**other: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {name: value for name, value in {**claims, **other}.items() if value is not None}


LIES = {
    "nonce": ("nonce", _with(nonce="another")),
    "no nonce": ("nonce", _with(nonce=None)),
    "audience": ("aud", _with(aud="another-client")),
    "no audience": ("aud", _with(aud=None)),
    "two audiences, no azp": ("azp", _with(aud=[CLIENT, "another-client"])),
    "another azp": ("azp", _with(azp="another-client")),
    "expired": ("exp", _later("exp", -400)),
    "no expiry": ("exp", _with(exp=None)),
    "expiry in words": ("exp", _with(exp="tomorrow")),
    "issued later": ("iat", _later("iat", 300)),
    "issued long ago": ("iat", _later("iat", -3600)),
    "not yet good": ("nbf", lambda claims: {**claims, "nbf": claims["iat"] + 600}),
    "issuer": ("iss", _with(iss="https://login.example")),
    "no subject": ("sub", _with(sub=None)),
    "subject is a number": ("sub", _with(sub=7)),
}


async def test_a_token_that_was_not_made_for_us_here_and_now_lets_nobody_in(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    for lie, (detail, change) in LIES.items():
        provider.change = change
        answer = await log_in(shop)
        assert (answer.status_code, "malha" in shop.http.cookies) == (403, False), lie
        assert said(answer).startswith("The answer of the log-in provider could not be believed."), lie
        told = ("turn_away", {"reason": "provider_answer_wrong", "detail": detail})
        assert (await trail(shop))[-1] == told, lie
    assert await people(shop) == {}
    provider.change = dict
    assert (await log_in(shop)).status_code == 303  # it was the lies


async def test_a_token_signed_by_nobody_or_by_somebody_else_lets_nobody_in(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    stranger = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
    unnamed = RSAKey.generate_key(2048, {"kid": "second"})

    def shared(key: bytes) -> Callable[[dict[str, Any]], str]:
        def sign(claims: dict[str, Any]) -> str:
            head = {"alg": "HS256", "kid": "first"}
            text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
            return f"{text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"

        return sign

    forgeries = {
        "alg": [provider.unsigned, shared(SECRET.encode()), shared(provider.key.as_pem(private=False))],
        "signature": [
            lambda claims: provider.signed(claims, key=stranger),
            lambda claims: provider.signed(claims)[:-8] + "AAAAAAAA",
        ],
        "kid": [lambda claims: provider.signed(claims, key=unnamed)],
        "id_token": [lambda _claims: "no token at all", lambda _claims: "a.b.c"],
    }
    provider.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
    for detail, makers in forgeries.items():
        for make in makers:
            provider.sign = make
            answer = await log_in(shop)
            assert (answer.status_code, "malha" in shop.http.cookies) == (403, False)
            assert (await trail(shop))[-1][1]["detail"] == detail
    assert await people(shop) == {}


async def test_keys_change_and_people_still_come_in(shop: Shop, provider: Hostile, monkeypatch: Any) -> None:
    monkeypatch.setattr(oidc, "AGAIN_S", 0.0)
    await set_up(shop, provider.issuer)
    assert (await log_in(shop)).status_code == 303
    fetched = sum(path == "/jwks" for path, _terms in provider.asked)
    assert (await log_in(shop)).status_code == 303
    assert sum(path == "/jwks" for path, _terms in provider.asked) == fetched == 1  # remembered
    new = RSAKey.generate_key(2048, {"kid": "next", "use": "sig"})
    provider.published = [provider.key.as_dict(), new.as_dict()]
    provider.sign = lambda claims: provider.signed(claims, key=new)
    assert (await log_in(shop)).status_code == 303
    provider.published = [new.as_dict()]
    provider.sign = provider.signed  # the old key is no longer published, but a process remembers it for ten minutes
    shop.app.state.services.directory._keys.clear()
    assert (await log_in(shop)).status_code == 403


async def test_only_the_browser_that_began_can_end_a_log_in_once_and_in_time(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    path = back(await leave(shop))
    cookies = dict(shop.http.cookies)
    shop.http.cookies.clear()
    stolen = await arrive(shop, path)  # another browser: log-in CSRF
    assert (stolen.status_code, said(stolen)) == (401, LOST)
    shop.http.cookies.update(cookies)
    for wrong in (path.replace("state=", "state=x"), path.replace("/house?", "/other?")):
        shop.http.cookies.update(cookies)
        assert (await arrive(shop, wrong)).status_code == 401
    shop.http.cookies.update(cookies)
    asked = len(provider.asked)
    assert (await arrive(shop, path)).status_code == 303
    assert len(provider.asked) > asked
    shop.http.cookies.update(cookies)  # with the cookie put back: the answer is used up
    asked = len(provider.asked)
    again = await arrive(shop, path)
    assert (again.status_code, len(provider.asked)) == (401, asked)  # the provider was not even asked
    provider.state = "invented"
    assert (await log_in(shop)).status_code == 401


async def test_a_code_that_was_used_elsewhere_is_refused(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    path = back(await leave(shop))
    provider.codes.clear()
    answer = await arrive(shop, path)
    assert answer.status_code == 403
    assert (await trail(shop))[-1][1]["detail"] == "invalid_grant"


async def test_an_answer_of_another_provider_is_not_taken_here(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    for wrong in ("https://login.example", None):  # RFC 9207: another one, or none although it promised one
        provider.answer_iss = wrong
        answer = await log_in(shop)
        assert answer.status_code == 403
        assert (await trail(shop))[-1][1]["detail"] == "iss_parameter"
        assert not [path for path, _terms in provider.asked if path == "/token"]


async def test_a_document_that_calls_itself_otherwise_or_leads_elsewhere_is_refused(
    shop: Shop, provider: Hostile
) -> None:
    await set_up(shop, provider.issuer)
    for wrong in ({"issuer": "https://login.example"}, {"token_endpoint": "http://10.0.0.1/token"}, {"jwks_uri": 7}):
        provider.metadata = wrong
        shop.app.state.services.directory._documents.clear()
        answer = await shop.http.post("/login/with/house", headers={"origin": HOST, "accept-language": "en"})
        assert answer.status_code in {403, 502}
        assert "refresh" not in answer.headers


async def test_a_provider_that_does_not_answer_is_not_asked_by_every_stranger(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    document = "/.well-known/openid-configuration"
    provider.pages[document] = (503, {}, b"")

    async def press() -> httpx.Response:
        return await shop.http.post("/login/with/house", headers={"origin": HOST, "accept-language": "en"})

    answers = await asyncio.gather(*(press() for _ in range(5)))
    assert {answer.status_code for answer in answers} == {502}
    assert [path for path, _terms in provider.asked] == [document]
    provider.pages.clear()
    shop.app.state.services.directory._failed.clear()
    answers = await asyncio.gather(*(press() for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert [path for path, _terms in provider.asked] == [document] * 2


async def test_over_https_the_cookie_of_a_log_in_is_bound_to_the_host(
    shop: Shop, provider: Hostile, tmp_path: Path
) -> None:
    await set_up(shop, provider.issuer)
    async with AsyncExitStack() as stack:
        terms = {"public_url": "https://oms.loja.test", "outward_allow": ("127.0.0.1",)}
        secure = await open_shop(stack, shop.database, tmp_path, **terms)
        answer = await secure.http.post("/login/with/house", headers={"origin": "https://oms.loja.test"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-malha-login=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax", "Max-Age=600"} <= set(cookie.split("; ")[1:])
    assert "Domain" not in cookie
    asked = httpx.URL(answer.headers["refresh"].removeprefix("0; url=")).params
    assert asked["redirect_uri"] == "https://oms.loja.test/login/back/house"
    for secret in (asked["state"], asked["nonce"]):
        assert secret not in cookie  # sealed


async def test_a_provider_that_redirects_floods_or_is_silent_is_refused(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    for status, headers, body, detail in (
        (302, {"location": "http://127.0.0.1:1/token"}, b"", "302, a redirect"),
        (200, {}, b'{"id_token": "' + b"x" * oidc.LARGEST + b'"}', "200, an endless answer"),
        (200, {}, b"<html>", "token_response"),
        (500, {}, b"", "http_500"),
    ):
        provider.pages["/token"] = (status, headers, body)
        answer = await log_in(shop)
        assert answer.status_code in {403, 502}
        assert (await trail(shop))[-1][1]["detail"] == detail
    assert await people(shop) == {}


# --- who is let in, as what


async def test_a_person_is_found_by_subject_even_when_the_email_changes(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    await log_in(shop)
    first = (await people(shop))["ana@loja.test"].id
    provider.person = {**ANA, "email": "ana.lima@loja.test"}
    assert (await log_in(shop)).status_code == 303
    assert (await who(shop))["id"] == str(first)
    provider.person = {**ANA, "sub": "somebody-else"}  # who got Ana's address later is not Ana
    answer = await log_in(shop)
    assert (answer.status_code, len(await people(shop))) == (403, 1)
    assert "There is an account with your e-mail" in said(answer)


async def test_an_email_opens_an_account_only_verified_and_with_the_switch(shop: Shop, provider: Hostile) -> None:
    person_id = await shop.person(Role.STORE_LEAD, email="ana@loja.test")
    await set_up(shop, provider.issuer)
    assert "There is an account with your e-mail" in said(await log_in(shop))
    await change(shop, links=True)
    for unproved in (False, "yes", 1, None):
        provider.person = {**ANA, "email_verified": unproved}
        assert "does not say that your e-mail is verified" in said(await log_in(shop))
    provider.person = {**ANA, "email": "no address"}
    assert "does not say that your e-mail is verified" in said(await log_in(shop))
    provider.person = dict(ANA)
    assert (await log_in(shop)).status_code == 303
    me = await who(shop)
    assert (me["id"], me["role"]) == (str(person_id), "store_lead")  # without rules the role stays
    assert ("bind", {"issuer": provider.issuer}) in await trail(shop, "person")
    async with shop.database.transaction() as tx:
        assert [i.subject for i in await provider_reads.identities(tx, person_id)] == ["ana-1"]


async def test_domains_say_whose_emails_come_in(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer, domains=["loja.test"])
    provider.person = {**ANA, "email": "ana@evil.loja.test"}
    assert said(await log_in(shop)).startswith("E-mails of evil.loja.test may not log in here.")
    assert (await trail(shop))[-1] == ("turn_away", {"reason": "email_elsewhere", "domain": "evil.loja.test"})
    provider.person = dict(ANA)
    assert (await log_in(shop)).status_code == 303


async def test_whoever_is_deactivated_or_unknown_stays_out(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer, creates=False, links=True)
    assert said(await log_in(shop)) == "You have no access to Malha yet. Ask an owner to invite you."
    person_id = await shop.person(Role.PLANNER, email="ana@loja.test")
    assert (await log_in(shop)).status_code == 303
    token = shop.http.cookies["malha"]
    async with shop.database.transaction() as tx:
        await service.set_active(tx, person_id, active=False)
    assert (await shop.http.get("/v1/session", headers={"cookie": f"malha={token}"})).status_code == 401
    assert said(await log_in(shop)).startswith("Your access to Malha was ended.")
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM session") == 0


async def test_an_invitation_binds_the_account_of_its_email(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer, creates=False)
    owner = await shop.session()

    async def invite(email: str) -> tuple[UUID, str]:
        body = {"name": "Ana", "email": email, "role": "auditor"}
        person_id = (await shop.http.post("/v1/people", json=body, headers=owner)).json()["id"]
        made = (await shop.http.post(f"/v1/people/{person_id}/link", headers=owner)).json()
        return person_id, made["address"].partition("token=")[2]

    _other, wrong = await invite("bia@loja.test")
    assert said(await log_in(shop, link=wrong)).startswith("You have no access")  # not to this e-mail
    person_id, link = await invite("ana@loja.test")
    page = await shop.http.get(f"/access?token={link}", headers={"accept-language": "en"})
    assert f'name="link" value="{link}"' in page.text
    assert said(await log_in(shop)).startswith("There is an account with your e-mail")  # without the link
    assert (await log_in(shop, link=link)).status_code == 303
    assert (await who(shop))["id"] == person_id
    assert (await shop.http.get(f"/access?token={link}")).status_code == 410  # used up
    assert not (await people(shop))["ana@loja.test"].invited


async def test_groups_give_role_and_places_at_every_log_in(shop: Shop, provider: Hostile) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
        one, two, three = await tx.values("SELECT code FROM location ORDER BY code LIMIT 3")
    rules = [
        Rule(value="leads-sp01", role=Role.STORE_LEAD, locations=[one]),
        Rule(value="leads-sp02", role=Role.STORE_LEAD, locations=[two]),
        Rule(value="everybody", role=Role.STORE_ASSOCIATE, locations=[three]),
    ]
    await set_up(shop, provider.issuer, rules=rules, claim="realm_access.roles", role=None)

    async def with_groups(*groups: str) -> tuple[str, list[str]] | str:
        provider.person = {**ANA, "realm_access": {"roles": list(groups)}}
        answer = await log_in(shop)
        if answer.status_code != 303:
            return said(answer)
        person = (await people(shop))["ana@loja.test"]
        return person.role.value, person.locations

    assert (await with_groups("nothing"))[:24] == "None of your groups at C"
    assert await with_groups("everybody", "leads-sp02", "leads-sp01") == ("store_lead", [one, two])
    assert await with_groups("everybody") == ("store_associate", [three])
    token = shop.http.cookies["malha"]
    assert (await with_groups("nothing"))[:24] == "None of your groups at C"
    assert (await shop.http.get("/v1/session", headers={"cookie": f"malha={token}"})).status_code == 401
    assert await with_groups("leads-sp02") == ("store_lead", [two])


async def test_the_last_owner_stays_owner_whatever_the_groups_say(shop: Shop, provider: Hostile) -> None:
    await shop.person(Role.OWNER, email="ana@loja.test")
    rules = [Rule(value="staff", role=Role.AUDITOR)]
    await set_up(shop, provider.issuer, rules=rules, claim="groups", role=Role.AUDITOR, links=True)
    provider.person = {**ANA, "groups": ["staff"]}
    assert (await log_in(shop)).status_code == 303
    assert (await people(shop))["ana@loja.test"].role is Role.OWNER
    assert ("keep_role", {"reason": "last_owner"}) in await trail(shop, "person")


async def test_the_last_way_back_stays_whatever_the_groups_say(shop: Shop, provider: Hostile) -> None:
    ana = await shop.person(Role.OWNER, email="ana@loja.test")
    await shop.person(Role.OWNER, email="another@loja.test")
    rules = [Rule(value="staff", role=Role.AUDITOR)]
    await set_up(shop, provider.issuer, rules=rules, claim="groups", role=Role.OWNER, links=True)
    await with_a_factor(shop, ana)
    async with shop.database.transaction() as tx:
        await providers.set_policy(tx, provider_only=True)
    provider.person = {**ANA, "groups": ["staff"]}
    assert (await log_in(shop)).status_code == 303
    assert (await people(shop))["ana@loja.test"].role is Role.OWNER
    assert ("keep_role", {"reason": "no_way_back"}) in await trail(shop, "person")


async def test_claims_that_the_token_lacks_are_asked_for_and_must_be_of_the_same_person(
    shop: Shop, provider: Hostile
) -> None:
    await set_up(shop, provider.issuer)
    provider.change = lambda claims: {
        name: value for name, value in claims.items() if name not in {"email", "email_verified", "name"}
    }
    assert (await log_in(shop)).status_code == 303
    assert (await people(shop))["ana@loja.test"].name == "Ana Lima"
    provider.pages["/userinfo"] = (200, {}, b'{"sub": "another", "email": "x@loja.test"}')
    assert (await log_in(shop)).status_code == 403
    assert (await trail(shop))[-1][1]["detail"] == "userinfo"


async def test_the_second_factor_is_the_providers_unless_it_must_prove_it(shop: Shop, provider: Hostile) -> None:
    person_id = await shop.person(Role.PLANNER, email="ana@loja.test")
    _secret, codes = await with_a_factor(shop, person_id)
    await set_up(shop, provider.issuer, links=True)
    assert (await log_in(shop)).status_code == 303  # the provider answers for it
    await change(shop, second_factor=FactorPolicy.UNLESS_PROVED, proofs=["mfa", "urn:two"])
    for proof in ({"amr": ["pwd", "mfa"]}, {"acr": "urn:two"}):
        provider.person = {**ANA, **proof}
        assert (await log_in(shop)).status_code == 303
    for none in ({}, {"amr": ["pwd"]}, {"acr": "urn:one"}, {"amr": {"mfa": True}}):
        provider.person = {**ANA, **none}
        answer = await log_in(shop)
        assert (answer.status_code, "malha" in shop.http.cookies) == (200, False)
        assert "Enter the code" in answer.text
    token = re.search(r'name="token" value="([^"]+)"', answer.text)
    assert token
    form = {"token": token[1], "code": codes[0], "next": "/"}
    assert (await shop.http.post("/login/code", data=form, headers={"origin": HOST})).status_code == 303
    assert (await shop.http.get("/v1/sessions")).json()[0]["provider"] == "Casa Login"


async def test_a_role_that_demands_a_second_factor_is_content_with_the_providers(shop: Shop, provider: Hostile) -> None:
    async with shop.database.transaction() as tx:
        await second_factor.demand(tx, Role.PLANNER, demanded=True)
    await set_up(shop, provider.issuer)
    await log_in(shop)
    assert "stock:write" in (await who(shop))["permissions"]
    await change(shop, second_factor=FactorPolicy.UNLESS_PROVED)
    await log_in(shop)
    assert (await who(shop))["permissions"] == []  # not proved, and no app of their own: first set one up


async def test_a_public_client_has_no_secret(shop: Shop, provider: Hostile) -> None:
    provider.public = True
    await set_up(shop, provider.issuer, secret=None)
    assert (await log_in(shop)).status_code == 303
    form = next(terms for path, terms in provider.asked if path == "/token")
    assert form["client_id"] == CLIENT
    assert "client_secret" not in form


async def test_a_wrong_client_secret_is_told_to_the_trail(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer, secret="not it")
    assert (await log_in(shop)).status_code == 403
    assert (await trail(shop))[-1][1]["detail"] == "invalid_client"


async def test_refused_log_ins_wait_like_wrong_passwords(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    provider.change = _with(nonce="another")
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO login_attempt (subject, failures, last_at) VALUES ('source:127.0.0.1', 29, now())"
        )
    assert (await log_in(shop)).status_code == 403
    async with shop.database.transaction() as tx:  # however slow this machine is
        await tx.execute("UPDATE login_attempt SET blocked_until = blocked_until + interval '1 hour'")
    assert (await log_in(shop)).status_code == 429


async def test_switching_a_provider_off_ends_its_sessions_and_its_button(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    await log_in(shop)
    path = back(await leave(shop))
    await change(shop, active=False)
    assert (await shop.http.get("/v1/session")).status_code == 401
    assert "Casa Login" not in (await shop.http.get("/login", follow_redirects=True)).text
    assert (await arrive(shop, path)).status_code == 404  # a log-in that was under way
    assert (await shop.http.post("/login/with/house", headers={"origin": HOST})).status_code == 404


async def test_two_first_log_ins_at_once_make_one_person(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    flows = []
    for _ in range(4):
        shop.http.cookies.clear()
        path = back(await leave(shop))
        flows.append((path, shop.http.cookies["malha-login"]))
    shop.http.cookies.clear()
    answers = await asyncio.gather(
        *(shop.http.get(path, headers={"cookie": f"malha-login={cookie}"}) for path, cookie in flows)
    )
    assert [answer.status_code for answer in answers] == [303] * 4
    assert len(await people(shop)) == 1


@pytest.mark.parametrize("table", ["person", "person_identity"])
async def test_a_first_log_in_that_ends_between_two_reads_of_another_is_found(
    shop: Shop, provider: Hostile, table: str
) -> None:
    await set_up(shop, provider.issuer)
    assert (await log_in(shop)).status_code == 303
    ana = (await people(shop))["ana@loja.test"].id
    async with shop.database.transaction() as tx:
        await tx.execute("CREATE TABLE kept AS SELECT * FROM person_identity")
        await tx.execute("CREATE TABLE mail AS SELECT id, email FROM person")
        await tx.execute("DELETE FROM person_identity")
        await tx.execute("UPDATE person SET email = 'not.yet@loja.test'")
    async with shop.database.transaction() as tx:  # the other, which is nearly there: Ana is added and bound
        await tx.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")  # whoever reads this table waits
        await tx.execute("UPDATE person p SET email = m.email FROM mail m WHERE m.id = p.id")
        await tx.execute("INSERT INTO person_identity SELECT * FROM kept")
        second = asyncio.create_task(log_in(shop))
        await _waits(shop)
    assert (await second).status_code == 303
    assert {person.id for person in (await people(shop)).values()} == {ana}


async def _waits(shop: Shop) -> None:
    """Wait until somebody waits for a lock."""
    for _ in range(400):
        if await waiting(shop.database):
            return
        await asyncio.sleep(0.05)
    pytest.fail("nobody waited")


async def test_clocks_may_differ_by_a_minute(shop: Shop, provider: Hostile) -> None:
    await set_up(shop, provider.issuer)
    provider.change = lambda claims: {**claims, "iat": int(time.time()) + 45, "nbf": int(time.time()) + 45}
    assert (await log_in(shop)).status_code == 303
    provider.change = lambda claims: {**claims, "exp": int(time.time()) - 45}
    assert (await log_in(shop)).status_code == 303


async def test_where_people_log_in_by_a_provider_only_passwords_open_for_owners_with_a_factor(
    shop: Shop, provider: Hostile
) -> None:
    owner = await shop.session()
    await shop.person(Role.MANAGER)
    me = (await people(shop))["owner@loja.test"].id
    put = {"json": {"provider_only": True}, "headers": owner}
    assert (await shop.http.put("/v1/login-policy", **put)).json()["code"] == "no_way_back"
    token = owner["cookie"].removeprefix("malha=")
    secret, _codes = await with_a_factor(shop, me, keep_token=token)
    assert (await shop.http.put("/v1/login-policy", **put)).json()["code"] == "no_provider_in_use"
    await set_up(shop, provider.issuer)
    answer = await shop.http.put("/v1/login-policy", **put)
    assert (answer.status_code, answer.json()["provider_only"]) == (200, True)

    body = {"email": "manager@loja.test", "password": PASSWORD}
    answer = await shop.http.post("/v1/sessions", json=body, headers={"accept-language": "en"})
    assert (answer.status_code, answer.json()["code"]) == (403, "only_by_provider")
    page = await shop.http.post("/login", data=body, headers={"origin": HOST, "accept-language": "en"})
    assert "Passwords do not open this account" in said(page)
    wrong = await shop.http.post("/v1/sessions", json={**body, "password": "not this"})
    assert wrong.json()["code"] == "wrong_credentials"  # who does not know the password learns nothing
    door = (await shop.http.get("/login", headers={"accept-language": "en"})).text
    assert ('name="password"' in door, "Continue with Casa Login" in door, "Emergency" in door) == (False, True, True)
    assert 'name="password"' in (await shop.http.get("/login?by=password")).text
    code = totp.code_at(secret, totp.step_at(datetime.now(UTC)))
    body = {"email": "owner@loja.test", "password": PASSWORD, "code": code}
    assert (await shop.http.post("/v1/sessions", json=body)).status_code == 204

    # nothing may take the last way back
    shop.http.cookies.clear()
    for method, path in (("DELETE", f"/v1/people/{me}/second-factor"), ("DELETE", "/v1/login-providers/house")):
        answer = await shop.http.request(method, path, headers=owner)
        assert answer.json()["code"] in {"no_way_back", "no_provider_in_use"}, path
    other = await shop.person(Role.OWNER, email="second@loja.test")
    demoted = {"name": "x", "email": "owner@loja.test", "role": "auditor"}
    headers = {**owner, "if-match": "*"}
    assert (await shop.http.put(f"/v1/people/{me}", json=demoted, headers=headers)).json()["code"] == "no_way_back"
    assert other
