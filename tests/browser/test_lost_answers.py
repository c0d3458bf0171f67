"""What a page says when the server does not answer, answers with something else, or no longer knows the person."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

Open = Callable[[str], Page]
PROXY = "<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"
NO_ANSWER = "O servidor não responde."


def by_proxy(route: Route) -> None:
    """Answer as a proxy does whose server is away."""
    route.fulfill(status=502, content_type="text/html", body=PROXY)


def lost(route: Route) -> None:
    """Do not answer at all."""
    route.abort("connectionrefused")


@pytest.fixture
def unwatched(browser: Browser, address: str, session_cookies: list[Any], nothing_kept: None) -> Iterator[Open]:
    """Open a page in which faults are no fault of the test."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, reduced_motion="reduce")
    context.add_cookies(session_cookies)
    context.add_cookies([{"name": "malha_language", "value": "pt-BR", "url": address}])

    def open_(path: str) -> Page:
        page = context.new_page()
        page.goto(address + path)
        return page

    yield open_
    context.close()


@pytest.mark.parametrize("answer", [by_proxy, lost])
def test_a_list_stays_as_it_was_and_says_that_nobody_answers(unwatched: Open, answer: Callable[[Route], None]):
    page = unwatched("/products")
    rows = page.locator("#content tbody tr").count()
    page.route(re.compile(r"/products\?"), answer)
    page.locator("#q").fill("nothing has this name")
    expect(page.locator("#toasts")).to_contain_text(NO_ANSWER)
    expect(page.locator("#content h1")).to_have_text("Produtos")
    assert page.locator("#content tbody tr").count() == rows > 0
    expect(page.get_by_text("502 Bad Gateway")).to_have_count(0)


@pytest.mark.parametrize("answer", [by_proxy, lost])
def test_a_form_keeps_what_was_typed_and_says_so_where_it_was_sent(unwatched: Open, answer: Callable[[Route], None]):
    page = unwatched("/location-groups:new")
    page.get_by_label("Nome").fill("Lojas da praia")
    page.get_by_label("Código").fill("PRAIA")
    page.route(re.compile(r"/location-groups"), answer)
    page.locator("main [type=submit]").last.click()
    expect(page.locator("#refusal [role=alert]")).to_contain_text(NO_ANSWER)
    expect(page.get_by_label("Nome")).to_have_value("Lojas da praia")
    expect(page.get_by_text("502 Bad Gateway")).to_have_count(0)


def test_a_dialog_says_so_in_itself_and_goes_on_when_the_server_is_back(unwatched: Open):
    page = unwatched("/orders")
    page.keyboard.press("Control+k")
    page.route(re.compile(r"/find\?"), lost)
    page.locator("[data-command] input").fill("rede")
    expect(page.locator("#cmd-list [role=alert]")).to_contain_text(NO_ANSWER)
    page.unroute(re.compile(r"/find\?"))
    page.locator("[data-command] input").fill("estoque")
    expect(page.locator("#cmd-list [role=option]").first).to_be_visible()
    expect(page.locator("#cmd-list [role=alert]")).to_have_count(0)


def test_a_refusal_without_a_slot_on_the_page_is_told_all_the_same(unwatched: Open):
    page = unwatched("/products")
    refusal = '<div role="alert"><div><b>Isto exige a permissão x.</b><small>Peça.</small></div></div>'
    page.route(
        re.compile(r"/products\?"),
        lambda route: route.fulfill(
            status=403, content_type="text/html; charset=utf-8", body=refusal, headers={"HX-Retarget": "#nowhere"}
        ),
    )
    page.locator("#q").fill("rede")
    expect(page.locator("#toasts")).to_contain_text("Isto exige a permissão x. Peça.")


def test_who_was_signed_out_elsewhere_is_told_so_by_the_open_page(unwatched: Open):
    page = unwatched("/orders")
    expect(page.locator("[data-sync-text]")).to_contain_text("Em dia")
    page.context.clear_cookies(name="malha")
    for hidden in ("true", "false"):  # the stream is let go and asked for anew
        page.evaluate(
            f"""() => {{
                Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});
                document.dispatchEvent(new Event('visibilitychange'));
            }}"""
        )
    expect(page.locator("[data-sync-text]")).to_have_text("Sessão encerrada")
    expect(page.locator("#toasts")).to_contain_text("Sua sessão foi encerrada.")
