"""Whatever goes wrong, and wherever: a person sees a page or a part of one, in their language, which says how to mend it."""

from typing import Any

import psycopg
import pytest
from litestar import get

from malha.identity.model import PUBLIC

BROWSER = {"accept": "text/html,application/xhtml+xml", "accept-language": "pt-BR"}
SCRIPT = {"accept": "*/*", "hx-request": "true", "accept-language": "pt-BR"}


@pytest.fixture
def broken(own_shop: Any) -> Any:
    """A shop with pages behind which the database does not answer."""
    for path in ("/broken-page", "/track/broken/x"):

        @get(path, opt={"permission": PUBLIC})
        async def page() -> str:
            raise psycopg.OperationalError("the connection is lost")

        own_shop.app.register(page)
    return own_shop


async def test_a_script_gets_a_part_of_a_page_for_its_slot_and_never_json(broken: Any) -> None:
    told = await broken.http.get("/broken-page", headers={**SCRIPT, "x-slot": "#slot-cancel"})
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert told.headers["hx-retarget"] == "#slot-cancel"
    assert told.headers["content-type"].startswith("text/html")
    assert 'role="alert"' in told.text
    assert "O banco de dados não responde neste momento." in told.text
    assert "Nada foi alterado. Tente de novo em alguns segundos." in told.text


async def test_a_shopper_is_told_so_in_the_retailers_colours_without_words_of_the_trade(broken: Any) -> None:
    told = await broken.http.get("/track/broken/x", headers=BROWSER)
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert "Não é possível mostrar esta página agora." in told.text
    assert "Seu pedido está seguro." in told.text
    assert 'href="/track"' in told.text
    assert "banco de dados" not in told.text


async def test_a_form_from_another_site_is_refused_by_a_page_to_a_browser(shop: Any) -> None:
    foreign = {"origin": "https://evil.example"}
    for path, word in (("/login", "m-refused"), ("/track", "m-shop-hero")):
        page = await shop.http.post(path, data={"a": "b"}, headers={**BROWSER, **foreign})
        assert page.status_code == 403, path
        assert word in page.text
        assert "Esta solicitação vem de outro site." in page.text
    part = await shop.http.post("/login", data={"a": "b"}, headers={**SCRIPT, **foreign})
    assert (part.status_code, part.headers["hx-retarget"]) == (403, "#refusal")
    program = await shop.http.post("/v1/people", json={}, headers={**BROWSER, **foreign})
    assert (program.status_code, program.json()["code"]) == (403, "cross_site")


async def test_an_address_that_only_takes_forms_says_so_to_who_loads_it_again(shop: Any) -> None:
    page = await shop.http.get("/stock:adjust", headers=BROWSER)
    assert page.status_code == 405
    assert "Não há página em /stock:adjust" in page.text
    assert "Allow" not in page.text
    shopper = await shop.http.put("/track", headers={**BROWSER, "origin": "http://shop.test"})
    assert shopper.status_code == 404
    assert "m-shop-hero" in shopper.text


async def test_who_is_signed_out_comes_back_to_the_page_and_not_to_a_part_of_it(shop: Any) -> None:
    script = {**SCRIPT, "hx-current-url": "http://shop.test/stock?view=out&q=caf%C3%A9"}
    sent = await shop.http.get("/stock:rows?skus=7.1", headers=script)
    assert sent.headers["hx-redirect"] == "/login?next=%2Fstock%3Fview%3Dout%26q%3Dcaf%25C3%25A9"
    away = await shop.http.get("/stock:rows?skus=7.1", headers={**SCRIPT, "hx-current-url": "https://evil.example//x"})
    assert away.headers["hx-redirect"] == "/login"
