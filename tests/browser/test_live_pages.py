"""Pages that are read anew by themselves: what a person has open, typed, chosen and focused stays, and no reading is newer than an answer.

A reading is held back where it is under way, and let go when the person has done something meanwhile.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from malha.ordering import edits
from malha.platform.db import Database
from malha.platform.ids import UUID

from .conftest import NARROW, apart, patient, sideways, stand_in
from .test_console import number_of
from .test_imports import a_file
from .test_picking_pages import picking  # noqa: F401 -- a fixture
from .test_stock_live import listening

Visit = Callable[..., Page]
Tell = Callable[[int, str], None]
HIDE = """(hidden) => {
    Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
# The stream that a page has, so that a test can break it.
STREAMS = """
    window.streams = [];
    window.EventSource = class extends EventSource { constructor(...of) { super(...of); window.streams.push(this); } };
"""
BREAK = "window.streams.at(-1).dispatchEvent(new Event('error'))"


class Held:
    """Answers that are had, and kept from the page until they are let go."""

    def __init__(self, page: Page, address: str, method: str = "GET") -> None:
        self.page, self.asked, self._answers = page, 0, list[tuple[Route, Any]]()
        self._method, self._holds, self._pattern = method, True, re.compile(address)
        stand_in(page, self._pattern, self._come)

    def _come(self, route: Route) -> None:
        if route.request.method != self._method:
            route.fallback()
            return
        self.asked += 1
        if self._holds:
            self._answers.append((route, route.fetch()))
        else:
            route.continue_()

    def wait(self, count: int = 1) -> None:
        until(self.page, lambda: len(self._answers) >= count)

    def let_go(self) -> None:
        """Let go what is held, and hold nothing more."""
        self._holds = False
        for route, answer in self._answers:
            route.fulfill(response=answer)
        self._answers.clear()
        self.page.wait_for_timeout(300)


def until(page: Page, so: Callable[[], bool]) -> None:
    for _ in range(1_200):
        if so():
            return
        page.wait_for_timeout(50)
    pytest.fail("it does not come about")


@pytest.fixture
def tell(seeded: str, settle: Callable[[], None]) -> Tell:
    """Write a note on an order as somebody else, of which its page hears."""

    def write(number: int, text: str) -> None:
        async def run() -> None:
            async with Database(seeded) as database, database.transaction() as tx:
                id_: UUID = await tx.value(
                    "SELECT id FROM sales_order WHERE number = %(number)s::bigint", {"number": number}
                )
                await edits.add_note(tx, id_, text)

        apart(run)
        settle()

    return write


@pytest.fixture
def number(seeded: str) -> int:
    """An order that nobody works on yet."""
    return number_of(seeded, "status = 'allocated' AND method = 'ship'")


def note(page: Page, text: str) -> Any:
    return page.locator("#content .m-note-item", has_text=text)


# --- what a person has open ---


def test_a_reading_that_comes_back_leaves_an_open_dialog_and_what_is_typed(
    visit: Visit, number: int, tell: Tell
) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    held = Held(page, rf"/orders/{number}$")
    tell(number, "escrita enquanto isso")
    held.wait()
    page.get_by_role("button", name="Reter").click()
    reason = page.get_by_role("dialog").get_by_label("Motivo")
    reason.fill("pela metade")
    held.let_go()
    expect(reason).to_have_value("pela metade")
    expect(reason).to_be_focused()
    expect(note(page, "escrita enquanto isso")).to_have_count(0)
    expect(page.locator("[data-sync-text]")).to_have_text("Há mudanças à espera")
    page.keyboard.press("Escape")
    expect(note(page, "escrita enquanto isso")).to_be_visible()
    expect(page.get_by_role("button", name="Reter")).to_be_focused()


def test_a_reading_that_comes_back_leaves_an_open_menu(visit: Visit, number: int, tell: Tell) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    held = Held(page, rf"/orders/{number}$")
    tell(number, "com o menu aberto")
    held.wait()
    more = page.locator("summary", has_text="Mais")
    more.click()
    held.let_go()
    expect(page.get_by_role("button", name="Registrar pagamento")).to_be_visible()
    expect(note(page, "com o menu aberto")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Registrar pagamento")).to_be_hidden()
    expect(more).to_be_focused()
    expect(note(page, "com o menu aberto")).to_be_visible()
    expect(more).to_be_focused()


PROBE = '<input id="probe" aria-label="probe" value="abcdef">'


def test_a_field_half_filled_in_stays_and_the_page_is_read_when_it_is_as_it_was(
    visit: Visit, number: int, tell: Tell
) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    page.locator("#content").evaluate("(main, field) => main.insertAdjacentHTML('afterbegin', field)", PROBE)
    field = page.locator("#probe")
    field.fill("mais do que isso")
    page.locator("h1").click()  # it is not the focus that tells
    tell(number, "com um campo pela metade")
    page.wait_for_timeout(3_000)
    expect(field).to_have_value("mais do que isso")
    field.fill("abcdef")
    expect(note(page, "com um campo pela metade")).to_be_visible()


# --- what a person was answered ---


SELECT = """(where) => {
    getSelection().selectAllChildren(document.querySelector(where));
    return getSelection().toString();
}"""
SELECTED = "getSelection().toString()"


def test_text_that_is_selected_to_be_copied_stays_and_the_page_is_read_when_it_is_let_go(
    visit: Visit, number: int, tell: Tell
) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    text = page.evaluate(SELECT, "#content .m-head")
    assert len(text) > 10
    tell(number, "Enquanto alguém copia")
    expect(page.locator("[data-sync-text]")).to_have_text("Há mudanças à espera")
    assert page.evaluate(SELECTED) == text
    expect(note(page, "Enquanto alguém copia")).to_have_count(0)
    page.evaluate("getSelection().removeAllRanges()")
    expect(note(page, "Enquanto alguém copia")).to_be_visible()


def test_a_row_of_which_text_is_selected_waits_until_it_is_let_go(visit: Visit, number: int, tell: Tell) -> None:
    page = visit(f"/orders?view=all&q={number}")
    row = page.locator(f"tr[data-number='{number}']")
    expect(row).to_be_visible()
    listening(page)
    row.evaluate("(it) => { it.dataset.old = ''; it.cells[2].append(' vem aqui'); }")  # what the server does not know
    text = page.evaluate(SELECT, f"tr[data-number='{number}']")
    read: list[str] = []
    page.on("response", lambda answer: read.append(answer.url) if "/orders/rows" in answer.url else None)
    tell(number, "Enquanto alguém copia a linha")
    until(page, lambda: len(read) > 0)
    page.wait_for_timeout(300)
    assert page.evaluate(SELECTED) == text
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator(f"tr[data-number='{number}'][data-old]")).to_have_count(0)


def test_a_reading_neither_delays_nor_replaces_what_a_person_opens_meanwhile(visit: Visit, tell: Tell) -> None:
    page = visit("/orders?view=open")
    listening(page)
    rows = page.locator("[data-rows] > tr")
    first, second = (int(str(rows.nth(n).get_attribute("data-number"))) for n in (0, 1))
    heading = page.locator("#detail h2")
    # The page opens with this one: its heading does not tell when it was read.
    with page.expect_response(re.compile(f"/orders/{first}/peek")):
        page.locator(f"#o{first} .m-col-id").click()
    expect(heading).to_have_text(f"#{first}")
    expect(page.locator(f"#detail [data-peek-of='/orders/{first}/peek']")).to_have_count(1)
    held = Held(page, f"/orders/{first}/peek")
    tell(first, "ao lado da lista")
    held.wait()
    page.locator(f"#o{second} .m-col-id").click()
    expect(heading).to_have_text(f"#{second}")
    held.let_go()
    expect(heading).to_have_text(f"#{second}")


def test_who_goes_on_to_another_order_does_not_wait_for_the_one_before(visit: Visit) -> None:
    page = visit("/orders?view=open")
    rows = page.locator("[data-rows] > tr")
    first, second = (int(str(rows.nth(n).get_attribute("data-number"))) for n in (1, 2))
    broken: list[object] = []
    page.on("pageerror", lambda error: broken.extend([error]))
    held = Held(page, f"/orders/{first}/peek")
    page.locator(f"#o{first} .m-col-id").click()
    held.wait()
    page.locator(f"#o{second} .m-col-id").click()
    expect(page.locator("#detail h2")).to_have_text(f"#{second}")
    held.let_go()
    expect(page.locator("#detail h2")).to_have_text(f"#{second}")
    assert broken == []


def test_an_act_under_way_is_answered_though_a_reading_comes_back_meanwhile(
    visit: Visit, number: int, tell: Tell
) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    held, act = Held(page, rf"/orders/{number}$"), Held(page, rf"/orders/{number}/hold$", "POST")
    tell(number, "durante o ato")
    held.wait()
    page.get_by_role("button", name="Reter").click()
    page.get_by_role("dialog").get_by_role("button", name="Reter pedido").click()
    act.wait()
    held.let_go()
    act.let_go()
    expect(page.locator("#toasts")).to_contain_text("Pedido retido")
    expect(page.locator("h1 + .m-st")).to_contain_text("Retido")
    expect(page.get_by_role("dialog")).to_have_count(0)


REFUSAL = '<div class="m-form-error" role="alert"><div><b>Isto não pode ser.</b></div></div>'


def refuse(route: Route) -> None:
    """Refuse an act as the server does, in the slot that the form names."""
    if route.request.method != "POST":
        route.fallback()
        return
    slot = route.request.headers.get("x-slot", "#refusal")
    headers = {"HX-Retarget": slot, "HX-Reswap": "innerHTML", "HX-Push-Url": "false"}
    route.fulfill(status=409, content_type="text/html; charset=utf-8", body=REFUSAL, headers=headers)


def test_a_refusal_stays_when_the_page_is_read_anew(visit: Visit, number: int, tell: Tell) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    stand_in(page, re.compile(rf"/orders/{number}/release$"), refuse)
    page.locator(f'.m-head-actions form[action="/orders/{number}/release"] button').click()
    expect(page.get_by_role("alert")).to_contain_text("Isto não pode ser.")
    tell(number, "depois da recusa")
    expect(note(page, "depois da recusa")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Isto não pode ser.")


def test_what_was_shown_in_full_stays_when_the_page_is_read_anew(visit: Visit, seeded: str, tell: Tell) -> None:
    number = number_of(seeded, "status = 'delivered'")
    page = visit(f"/orders/{number}")
    listening(page)
    page.get_by_role("button", name="Mostrar tudo").click()
    asked = page.locator("dialog[open]")
    asked.get_by_label("Motivo").fill("A transportadora pediu")
    asked.get_by_role("button", name="Mostrar tudo").click()
    expect(page.get_by_role("button", name="Copiar link")).to_be_visible()
    tell(number, "depois de mostrar")
    expect(note(page, "depois de mostrar")).to_be_visible()
    expect(page.get_by_role("button", name="Copiar link")).to_be_visible()


@pytest.fixture
def checking(visit: Visit, seeded: str, tmp_path: Path) -> Page:
    """The page of an import that is being checked, and goes on so: no worker runs."""
    page = visit("/imports")
    page.get_by_label(re.compile("arquivo.*Preços")).set_input_files(a_file(tmp_path, seeded))
    page.get_by_role("button", name="Verificar todas as linhas").click()
    expect(page.get_by_role("status").filter(has_text="nada é gravado ainda")).to_be_visible()
    return page


def counted(page: Page, address: str) -> list[str]:
    """Return the list that grows with each request to an address."""
    asked: list[str] = []
    page.on("request", lambda asking: asked.append(asking.url) if re.search(address, asking.url) else None)
    return asked


def test_a_refusal_stays_on_a_page_that_tells_how_far_its_work_is(checking: Page) -> None:
    stand_in(checking, re.compile(r"/imports/\d+/stop$"), refuse)
    checking.get_by_role("button", name="Parar").click()
    alert = checking.get_by_role("alert")
    expect(alert).to_contain_text("Isto não pode ser.")
    asked = counted(checking, r"/imports/\d+$")
    until(checking, lambda: len(asked) >= 2)
    checking.wait_for_timeout(300)
    expect(alert).to_contain_text("Isto não pode ser.")


# --- focus, what is chosen ---


def test_the_keyboard_stays_where_it_was_and_so_does_the_caret(visit: Visit, number: int, tell: Tell) -> None:
    page = visit("/orders")

    def with_a_field(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r'(<main [^>]*id="content"[^>]*>)', rf"\1{PROBE}", answer.text()))

    page.route(re.compile(rf"/orders/{number}$"), with_a_field)
    page.goto(page.url.split("/orders")[0] + f"/orders/{number}")
    listening(page)
    button = page.locator("[data-tags]").get_by_role("button")
    button.focus()
    tell(number, "com o foco no botão")
    expect(note(page, "com o foco no botão")).to_be_visible()
    expect(button).to_be_focused()
    field = page.locator("#probe")
    field.focus()
    field.evaluate("field => field.setSelectionRange(2, 4)")
    tell(number, "com o cursor no campo")
    expect(note(page, "com o cursor no campo")).to_be_visible()
    expect(field).to_be_focused()
    assert field.evaluate("field => [field.selectionStart, field.selectionEnd]") == [2, 4]


def test_the_keyboard_goes_on_in_the_page_after_an_act(visit: Visit, number: int) -> None:
    page = visit(f"/orders/{number}")
    opener = page.locator("[data-tags]").get_by_role("button")
    opener.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_label("Incluir").fill("vip")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Etiquetas mudadas")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_have_text("Mudar etiquetas")
    expect(opener).to_be_focused()


def test_chosen_work_stays_chosen_and_what_is_gone_is_told(visit: Visit, picking: dict[str, Any], tell: Tell) -> None:  # noqa: F811
    page = visit(f"/fulfillment?location={picking['code']}")
    listening(page)
    boxes = page.locator("[data-select-row]")
    stays, goes = (str(boxes.nth(n).get_attribute("value")) for n in (0, 1))
    for n in (0, 1):
        boxes.nth(n).check()

    def without_one(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace(f'value="{goes}"', 'value="another"'))

    stand_in(page, re.compile(r"/fulfillment\?"), without_one)
    tell(picking["work"][0][2], "no quadro")
    expect(page.locator("[data-select-row][value=another]")).to_be_visible()
    expect(page.locator(f'[data-select-row][value="{stays}"]')).to_be_checked()
    expect(page.locator("[data-select-row]:checked")).to_have_count(1)
    expect(page.get_by_role("toolbar")).to_contain_text("1 na seleção")
    expect(page.locator("#toasts")).to_contain_text("saíram da seleção: 1")


# --- menus ---


def test_escape_or_a_click_elsewhere_closes_a_menu_and_focus_goes_back(visit: Visit, number: int) -> None:
    page = visit(f"/orders/{number}")
    more, entry = page.locator("summary", has_text="Mais"), page.get_by_role("button", name="Registrar pagamento")
    more.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(entry.or_(page.locator(".m-pop-list button").first).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(entry).to_be_hidden()
    expect(more).to_be_focused()
    more.click()
    expect(entry).to_be_visible()
    page.locator("h1").click()
    expect(entry).to_be_hidden()
    more.click()
    entry.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry).to_be_visible()
    page.locator("[data-tags]").get_by_role("button").focus()  # as the Tab key goes on
    expect(entry).to_be_hidden()


def test_escape_closes_the_side_menu_of_a_phone(visit: Visit) -> None:
    page = visit("/orders", size=NARROW)
    button = page.locator(".m-side-open")
    button.click()
    expect(page.locator(".m-shell[data-side-open]")).to_have_count(1)
    page.locator("#menu a").first.focus()
    page.keyboard.press("Escape")
    expect(page.locator(".m-shell[data-side-open]")).to_have_count(0)
    expect(button).to_be_focused()


# --- the stream ---


@pytest.mark.parametrize("size", [{"width": 1366, "height": 768}, NARROW], ids=["wide", "narrow"])
def test_a_page_whose_stream_broke_says_so_and_is_read_once_when_it_is_back(
    visit: Visit, seeded: str, number: int, size: Any
) -> None:
    page = visit(f"/orders/{number}", size=size)
    page.add_init_script(STREAMS)
    page.reload()
    text = page.locator("[data-sync-text]")
    expect(text).to_have_text("Em dia")
    stand_in(page, re.compile("/events/"), lambda route: route.abort("connectionrefused"))
    page.evaluate(BREAK)
    expect(text).to_have_text("Reconectando…")
    expect(text).to_be_visible()
    with patient(seeded) as connection:  # of which no event tells
        connection.execute("UPDATE sales_order SET buyer_name = 'Nome Mudado' WHERE number = %s", (number,))
    until(page, lambda: page.evaluate("window.streams.length") >= 3)  # it tries again by itself
    asked = counted(page, rf"/orders/{number}$")
    page.unroute(re.compile("/events/"))
    expect(text).to_have_text(re.compile("Em dia"))
    expect(page.get_by_text("Nome Mudado").first).to_be_visible()
    page.wait_for_timeout(2_500)
    assert len(asked) == 1


def test_a_stream_that_falls_silent_is_asked_for_again(visit: Visit, number: int) -> None:
    page = visit("/me")
    page.add_init_script(STREAMS)
    page.clock.install()
    page.goto(page.url.replace("/me", f"/orders/{number}"))
    expect(page.locator("[data-sync-text]")).to_have_text("Em dia")
    assert page.evaluate("window.streams.length") == 1
    page.clock.fast_forward(60_000)
    until(page, lambda: page.evaluate("window.streams.length") == 2)
    assert page.evaluate("window.streams[0].readyState") == 2  # closed
    expect(page.locator("[data-sync-text]")).to_have_text("Em dia")


def test_a_page_of_which_too_much_happened_to_be_told_is_read_anew(visit: Visit) -> None:
    page = visit("/me")
    told: list[str] = []

    def once(route: Route) -> None:
        told.append(route.request.url)
        if len(told) > 1:
            route.abort("connectionrefused")
        else:
            route.fulfill(status=200, content_type="text/event-stream", body="id: 1\nevent: again\ndata: null\n\n")

    page.route(re.compile("/events/"), once)
    page.goto(page.url.replace("/me", "/fulfillment"))
    asked = counted(page, "/fulfillment")
    until(page, lambda: len(asked) >= 1)


def test_who_is_signed_out_stays_on_the_page_and_is_told_so(visit: Visit, number: int, tell: Tell) -> None:
    page = visit(f"/orders/{number}")
    listening(page)
    page.context.clear_cookies(name="malha")
    tell(number, "depois da sessão")
    expect(page.locator("[data-sync-text]")).to_have_text("Sessão encerrada")
    expect(page.locator("#toasts")).to_contain_text("Sua sessão foi encerrada.")
    page.wait_for_timeout(1_000)
    expect(page).to_have_url(re.compile(rf"/orders/{number}$"))


# --- many tabs, much that happens ---


def test_a_hidden_page_does_not_ask_how_far_its_work_is(checking: Page) -> None:
    asked = counted(checking, r"/imports/\d+$")
    checking.evaluate(HIDE, True)
    checking.wait_for_timeout(500)  # what was under way
    asked.clear()
    checking.wait_for_timeout(3_000)
    assert asked == []
    checking.evaluate(HIDE, False)
    until(checking, lambda: len(asked) >= 1)


def test_while_a_reading_is_under_way_no_other_is_asked_for(visit: Visit, number: int, tell: Tell) -> None:
    page = visit("/orders?view=open")
    listening(page)
    held = Held(page, "/orders/rows")
    tell(number, "uma")
    held.wait()
    for text in ("duas", "três"):
        tell(number, text)
        page.wait_for_timeout(1_500)
    assert held.asked == 1
    held.let_go()
    until(page, lambda: held.asked == 2)
    page.wait_for_timeout(3_000)
    assert held.asked == 2


def test_a_phone_that_lost_the_server_says_so_and_can_still_be_searched(visit: Visit) -> None:
    page = visit("/orders", size=NARROW)
    search = page.get_by_role("button", name=re.compile("^Página, pedido"))
    page.locator(".m-sync").evaluate("sign => { sign.dataset.sync = 'lost'; }")
    page.locator("[data-sync-text]").evaluate("text => { text.textContent = 'Reconectando…'; }")
    expect(page.locator("[data-sync-text]")).to_be_visible()
    words = search.locator("span").first
    cut = "one => one.clientWidth > 1 && one.scrollWidth > 2 * one.clientWidth"
    assert not words.evaluate(cut), "a word or two of what can be searched for say nothing"
    box = search.bounding_box()
    assert box
    assert box["width"] >= 40
    assert sideways(page) == 0
