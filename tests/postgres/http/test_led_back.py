"""Where a form or a log-in leads back to: the page that was asked for, whatever letters its address has."""

import re
from html import unescape
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from tests_http import HOST, PASSWORD, Shop

from malha.testing import builders

# Codes of goods are free texts without slashes.
CODES = ("日本の椅子", "Maçã #1?", "100% A&B", "..;x=%2F")
FORM = {"origin": HOST}


@pytest.fixture(params=CODES)
async def code(request: pytest.FixtureRequest, shop: Shop) -> str:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        await builders.a_product(tx, world, request.param)
    return str(request.param)


async def test_a_log_in_leads_to_the_page_that_was_asked_for(shop: Shop, code: str) -> None:
    await shop.person()
    asked = f"/stock/{quote(code, safe='')}?from=2026-01-01"
    turned_away = await shop.http.get(asked, headers={"accept": "text/html"})
    wanted = parse_qs(urlsplit(turned_away.headers["location"]).query)["next"][0]
    form = {"email": "owner@loja.test", "password": PASSWORD, "next": wanted}
    entered = await shop.http.post("/login", data=form, headers=FORM)
    assert entered.status_code == 303, entered.text
    found = urlsplit(entered.headers["location"])
    assert (unquote(found.path), found.query) == (f"/stock/{code}", "from=2026-01-01")


async def test_the_switches_of_a_page_lead_back_to_it(shop: Shop, code: str) -> None:
    headers = await shop.session()
    page = await shop.http.get(f"/stock/{quote(code, safe='')}", headers=headers)
    assert page.status_code == 200, page.text
    switch = re.search(r'action="/me/language"><input type="hidden" name="next" value="([^"]*)"', page.text)
    assert switch
    form = {"language": "pt-BR", "next": unescape(switch[1])}
    answer = await shop.http.post("/me/language", data=form, headers=headers)
    assert answer.status_code == 303, answer.text
    assert unquote(urlsplit(answer.headers["location"]).path) == f"/stock/{code}"


async def test_a_listing_that_was_saved_is_what_the_list_shows_then(shop: Shop, code: str) -> None:
    headers = await shop.session()
    form = {"sku": code, "code": "EXT-1", "active": "on"}
    for said in (headers, {**headers, "hx-request": "true"}):
        answer = await shop.http.post("/channels/web/stock/listing", data=form, headers=said)
        assert answer.status_code in {200, 303}, answer.text
        address = answer.headers.get("location") or answer.headers["hx-redirect"]
        assert parse_qs(urlsplit(address).query) == {"q": [code]}
        assert not urlsplit(address).fragment


@pytest.mark.parametrize("wanted", ["/orders?q=日本", "/orders?q=\x7f", "/orders?q=\ud800"], ids=ascii)
async def test_an_address_that_somebody_made_up_is_no_fault_of_the_server(shop: Shop, wanted: str) -> None:
    headers = await shop.session()
    body = b"language=en&next=" + quote(wanted, errors="surrogatepass").encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await shop.http.post("/me/language", content=body, headers={**headers, **kind})
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/orders?q=")
