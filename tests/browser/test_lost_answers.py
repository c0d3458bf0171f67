"""What a page says when the server does not answer, answers with something else, or no longer knows the person."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .conftest import stand_in

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
    stand_in(page, re.compile(r"/products\?"), answer)
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
    stand_in(page, re.compile(r"/location-groups"), answer)
    page.locator("main [type=submit]").last.click()
    expect(page.locator("#refusal [role=alert]")).to_contain_text(NO_ANSWER)
    expect(page.get_by_label("Nome")).to_have_value("Lojas da praia")
    expect(page.get_by_text("502 Bad Gateway")).to_have_count(0)


def test_what_was_refused_before_fades_while_it_is_sent_again(unwatched: Open):
    page = unwatched("/location-groups:new")
    page.get_by_label("Nome").fill("Lojas da praia")
    page.get_by_label("Código").fill("PRAIA")
    stand_in(page, re.compile(r"/location-groups"), lost)
    send = page.locator("main [type=submit]").last
    send.click()
    expect(page.locator("#refusal [role=alert]")).to_be_visible()
    expect(page.locator("#refusal")).not_to_have_attribute("data-stale", "")
    page.unroute(re.compile(r"/location-groups"))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    stand_in(page, re.compile(r"/location-groups"), hold)
    send.click()
    expect(page.locator("#refusal")).to_have_attribute("data-stale", "")
    expect(page.locator("#refusal [role=alert]")).to_be_visible()  # in its place: nothing moves under a finger
    held[0].abort("connectionrefused")
    expect(page.locator("#refusal")).not_to_have_attribute("data-stale", "")


def test_a_dialog_says_so_in_itself_and_goes_on_when_the_server_is_back(unwatched: Open):
    page = unwatched("/orders")
    page.keyboard.press("Control+k")
    stand_in(page, re.compile(r"/find\?"), lost)
    page.locator("[data-command] input").fill("rede")
    expect(page.locator("#cmd-list [role=alert]")).to_contain_text(NO_ANSWER)
    page.unroute(re.compile(r"/find\?"))
    page.locator("[data-command] input").fill("estoque")
    expect(page.locator("#cmd-list [role=option]").first).to_be_visible()
    expect(page.locator("#cmd-list [role=alert]")).to_have_count(0)


def test_a_refusal_without_a_slot_on_the_page_is_told_all_the_same(unwatched: Open):
    page = unwatched("/products")
    refusal = '<div role="alert"><div><b>Isto exige a permissão x.</b><small>Peça.</small></div></div>'
    stand_in(
        page,
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


SIGNED_OUT = "Sua sessão foi encerrada."


def sign_in_again(page: Page, cookies: list[Any]) -> None:
    """Log in, as another tab of the same browser would."""
    page.context.add_cookies([each for each in cookies if each["name"] == "malha"])


def test_a_form_sent_by_somebody_signed_out_keeps_what_was_typed_and_goes_on_after_the_log_in(
    unwatched: Open, session_cookies: list[Any]
):
    page = unwatched("/location-groups:new")
    page.get_by_label("Nome").fill("Lojas da serra")
    page.get_by_label("Código").fill("SERRA-SAIU")
    page.context.clear_cookies(name="malha")
    page.locator("main [type=submit]").last.click()
    told = page.locator("#refusal [role=alert]")
    expect(told).to_contain_text(SIGNED_OUT)
    expect(told.get_by_role("link")).to_have_attribute("target", "_blank")
    expect(page.get_by_label("Nome")).to_have_value("Lojas da serra")
    sign_in_again(page, session_cookies)
    page.locator("main [type=submit]").last.click()
    expect(page.locator("#content h1")).to_have_text("Lojas da serra")


def test_an_order_taken_by_hand_outlives_the_session_that_it_was_begun_in(unwatched: Open, session_cookies: list[Any]):
    page = unwatched("/orders/new")
    page.locator("#f-channel").select_option("site")
    page.locator("#f-goods").fill("AR-1180-CR")
    page.locator("#f-goods").press("Enter")
    expect(page.locator("#lines [data-line]")).to_have_count(1)
    page.get_by_label("Nome").first.fill("Iolanda Sem Sessão")
    page.context.clear_cookies(name="malha")
    page.locator("#f-goods").press_sequentially("AR-1412-AZ")
    page.locator("#f-goods").press("Enter")
    expect(page.locator("#goods-says")).to_contain_text(SIGNED_OUT)
    page.get_by_label("Nome").first.press("Tab")
    page.wait_for_timeout(500)  # the offers are asked for, and are no reason to leave
    expect(page.locator("#lines [data-line]")).to_have_count(1)
    expect(page.get_by_label("Nome").first).to_have_value("Iolanda Sem Sessão")
    sign_in_again(page, session_cookies)
    page.locator("#f-goods").fill("AR-1412-AZ")
    page.locator("#f-goods").press("Enter")
    expect(page.locator("#lines [data-line]")).to_have_count(2)
    expect(page.locator("#goods-says")).not_to_contain_text(SIGNED_OUT)


def test_a_list_in_which_nothing_is_being_done_leads_who_is_signed_out_to_the_log_in(unwatched: Open):
    page = unwatched("/orders")
    page.context.clear_cookies(name="malha")
    page.locator("#views [data-view]").nth(1).click()
    expect(page).to_have_url(re.compile(r"/login\?next="))


@pytest.mark.parametrize("gone", ["session", "server"])
def test_a_form_that_is_sent_as_a_whole_keeps_what_was_typed_too(
    unwatched: Open, session_cookies: list[Any], gone: str
):
    page = unwatched("/people/new")
    page.get_by_label("Nome", exact=True).fill("Plínio Sem Sessão")
    page.get_by_label("E-mail").fill("helena@aroeira.example")  # she is there already: whoever sends this hears of it
    page.get_by_label("Atendimento").check()
    page.get_by_label("Todos os locais").check()
    if gone == "session":
        page.context.clear_cookies(name="malha")
    else:
        page.context.set_offline(True)
    send = page.locator("main form.m-panel [type=submit]")
    send.click()
    expect(page.locator("main [role=alert]")).to_contain_text(SIGNED_OUT if gone == "session" else NO_ANSWER)
    expect(page.get_by_label("Nome", exact=True)).to_have_value("Plínio Sem Sessão")
    sign_in_again(page, session_cookies)
    page.context.set_offline(False)
    send.click()
    expect(page.locator("main [role=alert]")).to_contain_text("Já existe uma pessoa")
    expect(page.get_by_label("Nome", exact=True)).to_have_value("Plínio Sem Sessão")
